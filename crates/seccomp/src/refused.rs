//! What no mount and no capability can hold back, on top of any profile.

pub(crate) mod sockets;

use crate::groups::IO_URING;
use crate::{Action, Comparison, Condition, Profile, Program};

const EPERM: Action = Action::Errno(1);
const ENOSYS: Action = Action::Errno(38);

/// What a filter refuses whatever its profile says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refused {
    /// Giving a file that is there set-user-ID or set-group-ID bits (EPERM).
    pub set_id: bool,
    /// Making a file that has some (EPERM); openat2 and io_uring, which can do that too, are not there (ENOSYS).
    pub creation: bool,
    /// Setting extended attributes (EPERM): a file's capabilities are one, and its name is in memory.
    pub attributes: bool,
    /// Making or entering user namespaces (EPERM).
    pub user_namespaces: bool,
    /// Making user namespaces alone (EPERM), where the kernel's own limit holds them back and would say that there is no space (ENOSPC).
    pub nested: bool,
    /// What goes past landlock's rules of TCP ports: other protocols that make connections over IP, such as MPTCP (EPROTONOSUPPORT),
    /// and connecting by sending, MSG_FASTOPEN (EOPNOTSUPP).
    pub beside_tcp: bool,
    /// Datagrams over IP (EACCES).
    pub datagrams: bool,
    /// Unix sockets that could lead to others: those of socketpair(2) that have no addresses stay (EACCES).
    pub unix_sockets: bool,
    /// Listening (EACCES): a socket that is bound to no port gets one by that.
    pub listening: bool,
    /// Changing modes, owners, times and attributes of files, by path or open (EPERM): no rule of landlock is for that.
    pub metadata: bool,
    /// Setting resource limits of other processes (EPERM): a process of the same user could end by them.
    pub limits_of_others: bool,
    /// Leases of files, F_SETLEASE of fcntl(2) (EACCES): who has one is told of whoever opens the file, and has them wait, also where it
    /// may only be read, if its owner is the caller's own or an id-mapped mount says so.
    pub leases: bool,
    /// Requests of a file system that reach further than the file that they are made of (EPERM): snapshots, which have what a mount hides,
    /// subvolumes by their number, keys of encryption that all of a user's processes have in common.
    pub beyond_files: bool,
    /// Changing the limit of core dumps, setrlimit(2): it is answered as if it were done. One that is lower than 1 byte is none that
    /// keeps the host's program for them from being run, core(5).
    pub core_limit: bool,
    /// Having a terminal send a signal whenever it can be read or written, O_ASYNC: it sends that to whoever is in its foreground, in whatever
    /// pid namespace, as the caller's user, and F_SETSIG says which signal. fcntl(2) is refused (EPERM); FIOASYNC of ioctl(2), by which servers
    /// ask it of their sockets, is answered as if it were done.
    pub signals_of_terminals: bool,
    /// Watching files and directories, inotify(7) (EPERM): it tells names, and what is done there, where nothing may be read.
    pub watches: bool,
}

const S_ISUID_S_ISGID: u64 = 0o6000;
const O_CREAT: u64 = 0o100;
const O_TMPFILE: u64 = 0o20_000_000;
const CLONE_NEWUSER: u64 = 0x1000_0000;
/// All that change what stat(2) shows, or what lies beside it.
const OF_METADATA: [&str; 26] = [
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "chown32",
    "fchown",
    "fchown32",
    "lchown",
    "lchown32",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "utimensat_time64",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "setxattrat",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "removexattrat",
    "file_setattr",
    "io_uring_setup",
];
/// Calls by which a file that is open is changed in the same ways: of each kind of requests, ioctl_list(2), all are refused but these. Kinds
/// of file systems: ext4's and everybody's, XFS's and everybody's, those that began with ext2's version, btrfs's.
const OF_METADATA_BY_IOCTL: [(u32, &[u32]); 4] = [
    // FS_IOC_GETFLAGS with a long and an int, FS_IOC_FIEMAP, FS_IOC_GET_ENCRYPTION_POLICY, FS_IOC_MEASURE_VERITY
    (b'f' as u32, &[0x8008_6601, 0x8004_6601, 0xc020_660b, 0x400c_6615, 0xc004_6686]),
    // FS_IOC_FSGETXATTR
    (b'X' as u32, &[0x801c_581f]),
    // FS_IOC_GETVERSION with a long and an int
    (b'v' as u32, &[0x8008_7601, 0x8004_7601]),
    // FICLONE, FICLONERANGE, FIDEDUPERANGE, FS_IOC_GETFSLABEL: what is written there is open for that
    (0x94, &[0x4004_9409, 0x4020_940d, 0xc018_9436, 0x8100_9431]),
];
/// The same of all that reaches further than the file. Its own attributes stay: FS_IOC_SETFLAGS and FS_IOC_SETVERSION with a long and an int,
/// FS_IOC_ENABLE_VERITY, FS_IOC_FSSETXATTR. Of bcachefs, F2FS and SMB's nothing is asked.
const BEYOND_FILES_BY_IOCTL: [(u32, &[u32]); 7] = [
    (
        b'f' as u32,
        &[
            0x8008_6601,
            0x8004_6601,
            0x4008_6602,
            0x4004_6602,
            0xc020_660b,
            0x400c_6615,
            0xc009_6616,
            0x4080_6685,
            0xc004_6686,
        ],
    ),
    (b'X' as u32, &[0x801c_581f, 0x401c_5820]),
    (b'v' as u32, &[0x8008_7601, 0x8004_7601, 0x4008_7602, 0x4004_7602]),
    (0x94, &[0x4004_9409, 0x4020_940d, 0xc018_9436, 0x8100_9431]),
    (0xbc, &[]),
    (0xf5, &[]),
    (0xcf, &[]),
];
/// Of OCFS2, whose kind is DVB's as well: GROUP_EXTEND, GROUP_ADD, GROUP_ADD64, REFLINK, INFO, MOVE_EXT, ocfs2_ioctl.h.
const OF_OCFS2: [u32; 6] = [0x4004_6f01, 0x4018_6f02, 0x4018_6f03, 0x4018_6f04, 0x8010_6f05, 0x4038_6f06];
/// The byte of a request that says of which kind it is.
const KIND_OF_REQUEST: u64 = 0xff00;
const F_SETLEASE: u32 = 1024;
/// Linux 6.19: the same for directories, fcntl_delegation(2).
const F_SETDELEG: u32 = 1040;
const F_SETFL: u32 = 4;
const O_ASYNC: u64 = 0o20_000;
const FIOASYNC: u32 = 0x5452;
const OF_WATCHES: [&str; 3] = ["inotify_init", "inotify_init1", "inotify_add_watch"];
const EACCES: Action = Action::Errno(13);
const EINVAL: Action = Action::Errno(22);
/// A call, and which of its arguments is the mode that a file gets.
const THAT_CHANGE_A_MODE: [(&str, u8); 4] = [("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2)];

/// The same of calls that make it.
const THAT_CREATE: [(&str, u8); 5] = [("creat", 1), ("mknod", 1), ("mknodat", 2), ("mkdir", 1), ("mkdirat", 2)];

/// A call, and which of its arguments are the flags and the mode, which counts only if something is created.
const THAT_MAY_CREATE: [(&str, u8, u8); 2] = [("open", 1, 2), ("openat", 2, 3)];

const OF_ATTRIBUTES: [&str; 4] = ["setxattr", "lsetxattr", "fsetxattr", "setxattrat"];

impl Refused {
    /// Whether it refuses nothing.
    pub fn is_empty(self) -> bool {
        self == Refused::default()
    }

    /// A program that refuses it and nothing else: for every kind of system call that this machine has.
    pub fn program(self) -> Program {
        self.profile().compile()
    }

    /// The same as a profile.
    pub fn profile(self) -> Profile {
        let mut profile = Profile::unlimited();
        if cfg!(target_arch = "x86_64") {
            // Nobody has x32, and it would have to be told apart in each.
            profile.architectures.retain(|kind| *kind != crate::Architecture::X32);
        }
        profile.refuse(self);
        profile
    }
}

impl Profile {
    /// Refuses this, whatever else is said.
    pub fn refuse(&mut self, refused: Refused) {
        let set_id = |mode: u8| Condition::any(mode, S_ISUID_S_ISGID);
        let of_a_mode = [(refused.set_id, &THAT_CHANGE_A_MODE[..]), (refused.creation, &THAT_CREATE[..])];
        for (name, mode) in of_a_mode.into_iter().filter(|(on, _)| *on).flat_map(|(_, calls)| calls) {
            self.override_with(name, EPERM, &[set_id(*mode)]);
        }
        if refused.creation {
            for (name, flags, mode) in THAT_MAY_CREATE {
                self.override_with(name, EPERM, &[Condition::any(flags, O_CREAT | O_TMPFILE), set_id(mode)]);
            }
            self.override_with("openat2", ENOSYS, &[]);
        }
        if refused.creation || refused.attributes {
            // Its operations are none of the other calls, and do the same.
            IO_URING.iter().for_each(|name| self.override_with(name, ENOSYS, &[]));
        }
        if refused.attributes {
            OF_ATTRIBUTES.iter().for_each(|name| self.override_with(name, EPERM, &[]));
        }
        if refused.user_namespaces || refused.nested {
            for name in ["clone", "unshare"] {
                self.override_with(name, EPERM, &[Condition::any(0, CLONE_NEWUSER)]);
            }
        }
        if refused.user_namespaces {
            self.override_with("clone3", ENOSYS, &[]);
            self.override_with("setns", EPERM, &[]);
        }
        if refused.metadata {
            OF_METADATA.iter().for_each(|name| self.override_with(name, EPERM, &[]));
            self.refuse_requests(&OF_METADATA_BY_IOCTL);
        }
        if refused.beyond_files {
            self.refuse_requests(&BEYOND_FILES_BY_IOCTL);
            for request in OF_OCFS2 {
                self.override_with("ioctl", EPERM, &[Condition::of_int(1, Comparison::Equal, request)]);
            }
        }
        if refused.core_limit {
            const CORE: u32 = 4;
            let done = Action::Errno(0);
            let is = |argument: u8| Condition::of_int(argument, Comparison::Equal, CORE);
            self.override_with("setrlimit", done, &[is(0)]);
            self.override_with("prlimit64", done, &[is(1), Condition::new(2, Comparison::NotEqual, 0)]);
        }
        if refused.limits_of_others {
            // Its own has the number 0 as well, and whoever only asks gives no new one.
            let others = [Condition::of_int(0, Comparison::NotEqual, 0), Condition::new(2, Comparison::NotEqual, 0)];
            self.override_with("prlimit64", EPERM, &others);
        }
        if refused.leases {
            for name in ["fcntl", "fcntl64"] {
                for request in [F_SETLEASE, F_SETDELEG] {
                    self.override_with(name, EACCES, &[Condition::of_int(1, Comparison::Equal, request)]);
                }
                // As a kernel without them: among what comes later there may be another.
                self.override_with(name, EINVAL, &[Condition::of_int(1, Comparison::Greater, F_SETDELEG)]);
            }
        }
        if refused.signals_of_terminals {
            for name in ["fcntl", "fcntl64"] {
                let sets = Condition::of_int(1, Comparison::Equal, F_SETFL);
                self.override_with(name, EPERM, &[sets, Condition::any(2, O_ASYNC)]);
            }
            self.override_with("ioctl", Action::Errno(0), &[Condition::of_int(1, Comparison::Equal, FIOASYNC)]);
        }
        if refused.watches {
            // With the first two refused, programs look again and again instead; one that was handed on is no way round either.
            OF_WATCHES.iter().for_each(|name| self.override_with(name, EPERM, &[]));
        }
        self.refuse_sockets(refused);
    }
}

impl Profile {
    /// Of each kind all but those that are named.
    fn refuse_requests(&mut self, kinds: &[(u32, &[u32])]) {
        for (kind, kept) in kinds {
            let of_kind = Condition {
                argument: 1,
                mask: KIND_OF_REQUEST,
                comparison: Comparison::Equal,
                value: u64::from(*kind) << 8,
            };
            let mut others = vec![of_kind];
            others.extend(kept.iter().map(|request| Condition::of_int(1, Comparison::NotEqual, *request)));
            self.override_with("ioctl", EPERM, &others);
        }
    }
}

#[cfg(test)]
mod by_name {
    use super::*;
    use crate::Architecture;

    #[test]
    fn set_id_bits_are_refused_by_name_whatever_kind_of_call_it_is() {
        let program = Refused { set_id: true, creation: true, ..Default::default() }.program();
        let answer = |kind: Architecture, number, arguments: &[u64; 6]| program.run(kind, number, arguments).unwrap().0;
        for kind in Architecture::OF_THIS_MACHINE.iter().copied().filter(|kind| *kind != Architecture::X32) {
            let mut found = 0;
            for (name, mode) in THAT_CHANGE_A_MODE.into_iter().chain(THAT_CREATE) {
                let Some(number) = kind.number_of(name) else { continue };
                let mut arguments = [0; 6];
                arguments[usize::from(mode)] = 0o755;
                assert_eq!(answer(kind, number, &arguments), 0x7fff_0000, "{kind:?} {name}");
                arguments[usize::from(mode)] = 0o4755;
                assert_eq!(answer(kind, number, &arguments), 0x5_0001, "{kind:?} {name}");
                found += 1;
            }
            assert!(found >= 5, "{kind:?}: {found}");
            let number = kind.number_of("openat2").unwrap();
            assert_eq!(answer(kind, number, &[0; 6]), 0x5_0026, "{kind:?}");
        }
    }
}

/// By x86-64's own numbers, and those of its relatives.
#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::Architecture::{self, Aarch64, X32, X86, X86_64};

    pub(super) const ALLOW: u32 = 0x7fff_0000;
    const REFUSED: u32 = 0x5_0001;
    pub(super) const MISSING: u32 = 0x5_0026;

    pub(super) fn run(program: &Program, architecture: Architecture, number: u32, arguments: [u64; 6]) -> u32 {
        program.run(architecture, number, &arguments).unwrap().0
    }

    #[test]
    fn set_id_bits_are_refused_by_every_call_that_can_give_them_and_nothing_else_is() {
        let program = Refused { set_id: true, creation: true, ..Default::default() }.program();
        let (set, plain, create) = (0o4755, 0o755, 0o101);
        // architecture, number, which argument is the mode, flags
        for (architecture, number, mode, flags) in [
            (X86_64, 90, 1, None),
            (X86_64, 91, 1, None),
            (X86_64, 268, 2, None),
            (X86_64, 452, 2, None),
            (X86_64, 85, 1, None),
            (X86_64, 133, 1, None),
            (X86_64, 259, 2, None),
            (X86_64, 83, 1, None),
            (X86_64, 258, 2, None),
            (X86_64, 2, 2, Some(1)),
            (X86_64, 257, 3, Some(2)),
            (X86, 15, 1, None),
            (X86, 94, 1, None),
            (X86, 306, 2, None),
            (X86, 452, 2, None),
            (X86, 8, 1, None),
            (X86, 14, 1, None),
            (X86, 297, 2, None),
            (X86, 39, 1, None),
            (X86, 296, 2, None),
            (X86, 5, 2, Some(1)),
            (X86, 295, 3, Some(2)),
        ] {
            let mut arguments = [0u64; 6];
            arguments[mode] = set;
            if let Some(flags) = flags {
                // Without creation the mode is whatever the register has.
                assert_eq!(run(&program, architecture, number, arguments), ALLOW, "{number}");
                arguments[flags] = create;
            }
            assert_eq!(run(&program, architecture, number, arguments), REFUSED, "{number}");
            arguments[mode] = 0o2755 | 0xffff_ffff_0000_0000;
            assert_eq!(run(&program, architecture, number, arguments), REFUSED, "{number}");
            arguments[mode] = plain;
            assert_eq!(run(&program, architecture, number, arguments), ALLOW, "{number}");
        }
        for number in [437, 425, 426, 427] {
            assert_eq!(run(&program, X86_64, number, [0; 6]), MISSING);
            assert_eq!(run(&program, X86, number, [0; 6]), MISSING);
        }
        // x32, and an architecture that this machine does not have.
        assert_eq!(run(&program, X32, 0x4000_0000 + 90, [0, set, 0, 0, 0, 0]), MISSING);
        assert_eq!(run(&program, Aarch64, 52, [0, set, 0, 0, 0, 0]), MISSING);
        for number in [0, 1, 59, 56, 188, 272, 308, 435] {
            assert_eq!(run(&program, X86_64, number, [u64::MAX; 6]), ALLOW, "{number}");
        }
    }

    #[test]
    fn where_there_is_no_place_to_make_files_in_what_makes_them_is_there() {
        let program = Refused { set_id: true, ..Default::default() }.program();
        for (number, mode) in [(90, 1), (91, 1), (268, 2), (452, 2)] {
            let mut arguments = [0u64; 6];
            arguments[mode] = 0o4755;
            assert_eq!(run(&program, X86_64, number, arguments), REFUSED, "{number}");
        }
        for number in [437, 425, 85, 83, 257] {
            assert_eq!(run(&program, X86_64, number, [0o4755; 6]), ALLOW, "{number}");
        }
    }

    #[test]
    fn user_namespaces_and_attributes_are_refused_only_where_asked() {
        let program = Refused { user_namespaces: true, attributes: true, ..Default::default() }.program();
        let new_user = 0x1000_0000 | 17;
        for (architecture, clone, unshare) in [(X86_64, 56, 272), (X86, 120, 310)] {
            assert_eq!(run(&program, architecture, clone, [new_user, 0, 0, 0, 0, 0]), REFUSED);
            assert_eq!(run(&program, architecture, unshare, [new_user, 0, 0, 0, 0, 0]), REFUSED);
            assert_eq!(run(&program, architecture, clone, [17, 0, 0, 0, 0, 0]), ALLOW);
            assert_eq!(run(&program, architecture, 435, [0; 6]), MISSING);
        }
        for (architecture, number) in
            [(X86_64, 188), (X86_64, 189), (X86_64, 190), (X86_64, 463), (X86, 226), (X86_64, 308), (X86, 346)]
        {
            assert_eq!(run(&program, architecture, number, [0; 6]), REFUSED, "{number}");
        }
        assert_eq!(run(&program, X86_64, 90, [0, 0o4755, 0, 0, 0, 0]), ALLOW);
    }

    #[test]
    fn the_limit_of_core_dumps_stays_and_whoever_changes_it_is_told_that_it_is_done() {
        const DONE: u32 = 0x5_0000;
        let program = Refused { core_limit: true, ..Default::default() }.program();
        for (kind, number, arguments, answer) in [
            (X86_64, 160, [4, 4096, 0], DONE),
            (X86_64, 160, [7, 4096, 0], ALLOW),
            (X86_64, 302, [0, 4, 4096], DONE),
            (X86_64, 302, [0, 4, 0], ALLOW),
            (X86_64, 302, [0, 7, 4096], ALLOW),
            (X86, 75, [4, 4096, 0], DONE),
            (X86, 340, [0, 4, 4096], DONE),
        ] {
            let [first, second, third] = arguments;
            assert_eq!(run(&program, kind, number, [first, second, third, 0, 0, 0]), answer, "{number} {arguments:?}");
        }
    }

    #[test]
    fn no_terminal_is_asked_to_send_signals() {
        let program = Refused { signals_of_terminals: true, ..Default::default() }.program();
        for (kind, fcntl, ioctl) in [(X86_64, 72, 16), (X86, 55, 54), (X86, 221, 54)] {
            for flags in [0o20_000, 0o24_002, 0o20_000 | 1 << 40] {
                assert_eq!(run(&program, kind, fcntl, [1, 4 | 1 << 32, flags, 0, 0, 0]), REFUSED, "{flags:o}");
            }
            assert_eq!(run(&program, kind, fcntl, [1, 4, 0o4_002, 0, 0, 0]), ALLOW);
            // F_GETFL and F_SETFD.
            assert_eq!(run(&program, kind, fcntl, [1, 3, 0o20_000, 0, 0, 0]), ALLOW);
            assert_eq!(run(&program, kind, fcntl, [1, 2, 0o20_000, 0, 0, 0]), ALLOW);
            assert_eq!(run(&program, kind, ioctl, [1, 0x5452, 1, 0, 0, 0]), 0x5_0000, "as if it were done");
            assert_eq!(run(&program, kind, ioctl, [1, 0x5421, 1, 0, 0, 0]), ALLOW, "FIONBIO");
        }
    }

    #[test]
    fn files_keep_their_modes_and_other_processes_their_limits() {
        for name in OF_METADATA {
            assert!(crate::architecture::is_known(name), "{name}");
        }
        let program = Refused { metadata: true, limits_of_others: true, watches: true, ..Default::default() }.program();
        for number in [90, 91, 92, 188, 260, 268, 280, 253, 254, 294] {
            assert_eq!(run(&program, X86_64, number, [0; 6]), REFUSED, "{number}");
        }
        for (arguments, answer) in [([0, 7, 4096, 0], ALLOW), ([55, 7, 0, 4096], ALLOW), ([55, 7, 4096, 0], REFUSED)] {
            let [pid, resource, new, old] = arguments;
            assert_eq!(run(&program, X86_64, 302, [pid, resource, new, old, 0, 0]), answer, "{arguments:?}");
        }
    }
}
