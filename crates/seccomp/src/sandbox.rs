//! The sandbox's own profile.
//!
//! It allows what ordinary programs need, by subject. What is left out is what containers have been left by (docs/attacks.md), what
//! only the owner of a machine needs, and what is new enough that most of its faults are still to be found. A call that is
//! left out answers EPERM; one for which programs have another way answers ENOSYS, so that they take it.

use crate::groups::{CLOCK, DEBUG, IO_URING, MODULE, MOUNT, NAMESPACES, RAW_IO, REBOOT};
use crate::refused::sockets::PLAIN;
use crate::rule::Comparison::{Equal, NotEqual};
use crate::{Action, Condition, Profile};

const EPERM: Action = Action::Errno(1);
const EBUSY: Action = Action::Errno(16);
const ENOSYS: Action = Action::Errno(38);
const ENOMEM: Action = Action::Errno(12);
const EINVAL: Action = Action::Errno(22);
const ENOPROTOOPT: Action = Action::Errno(92);
const EAFNOSUPPORT: Action = Action::Errno(97);

const MAP_HUGETLB: u64 = 0x4_0000;
const MFD_HUGETLB: u64 = 4;
const SHM_HUGETLB: u64 = 0o4000;

/// What the command is given besides, which brings the calls along that it is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Given {
    /// It may make user namespaces, and whatever is made in them.
    pub nested: bool,
    /// Its capabilities, a bit for each, capabilities(7).
    pub capabilities: u64,
    /// Pages of the machine's pool of huge ones are counted for it.
    pub huge_pages: bool,
    /// Process 1 is not the command, and is to be there when somebody wants its end.
    pub init: bool,
    /// It may make children of its parent's, CLONE_PARENT of clone(2): an init reaps them, whoever else started it does not.
    pub siblings: bool,
}

const FILES: &str = "\
    access cachestat chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat \
    faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr \
    file_getattr file_setattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat \
    getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch \
    lchown lgetxattr link linkat listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat \
    mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 \
    pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat \
    renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statmount statx symlink symlinkat sync \
    sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes write writev";

const WAITING: &str = "\
    epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 io_cancel \
    io_destroy io_getevents io_pgetevents io_submit poll ppoll pselect6 select signalfd signalfd4 \
    timerfd_create timerfd_gettime timerfd_settime";

const MEMORY: &str = "\
    brk get_mempolicy madvise map_shadow_stack mbind membarrier memfd_create mincore mlock mlock2 \
    mlockall mmap mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect \
    process_mrelease remap_file_pages set_mempolicy set_mempolicy_home_node";

const PROCESSES: &str = "\
    arch_prctl capget capset clone execve execveat exit exit_group fork get_robust_list getcpu getegid geteuid \
    getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid \
    gettid getuid ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self \
    lsm_get_self_attr lsm_list_modules personality pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall \
    rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler \
    sched_yield seccomp set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority \
    setregid setresgid setresuid setreuid setrlimit setsid setuid tgkill times tkill uretprobe vfork wait4 \
    waitid";

const SIGNALS: &str = "\
    alarm getitimer pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend \
    rt_sigtimedwait rt_tgsigqueueinfo setitimer sigaltstack";

/// The clocks can be read by calls that could set them; the kernel asks for CAP_SYS_TIME then.
const TIME: &str = "\
    adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep time timer_create \
    timer_delete timer_getoverrun timer_gettime timer_settime";

const BETWEEN_PROCESSES: &str = "\
    accept accept4 bind connect futex futex_requeue futex_wait futex_waitv futex_wake getpeername getsockname \
    getsockopt listen mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget \
    msgrcv msgsnd pipe pipe2 recvfrom recvmmsg recvmsg semctl semget semop semtimedop sendmmsg sendmsg sendto \
    setsockopt shmat shmctl shmdt shmget shutdown socket socketpair";

const SYSTEM: &str = "getrandom ioctl sysinfo uname";

static SUBJECTS: [&str; 8] = [FILES, WAITING, MEMORY, PROCESSES, SIGNALS, TIME, BETWEEN_PROCESSES, SYSTEM];

/// A capability, and what it is of no use without.
const BY_CAPABILITY: [(u32, &[&str]); 14] = [
    (DAC_READ_SEARCH, &["open_by_handle_at"]),
    (SYS_MODULE, MODULE),
    (SYS_RAWIO, RAW_IO),
    (SYS_CHROOT, &["chroot"]),
    (SYS_PTRACE, DEBUG),
    (SYS_PACCT, &["acct"]),
    (SYS_ADMIN, MOUNT),
    (SYS_ADMIN, &["bpf", "fanotify_init", "fanotify_mark", "perf_event_open", "quotactl", "quotactl_fd"]),
    (SYS_ADMIN, &["setdomainname", "sethostname", "syslog"]),
    (SYS_BOOT, REBOOT),
    (SYS_TIME, CLOCK),
    (SYS_TTY_CONFIG, &["vhangup"]),
    (SYSLOG, &["syslog"]),
    (PERFMON, &["perf_event_open"]),
];

const DAC_READ_SEARCH: u32 = 2;
const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;
const SYS_MODULE: u32 = 16;
const SYS_RAWIO: u32 = 17;
const SYS_CHROOT: u32 = 18;
const SYS_PTRACE: u32 = 19;
const SYS_PACCT: u32 = 20;
const SYS_ADMIN: u32 = 21;
const SYS_BOOT: u32 = 22;
const SYS_TIME: u32 = 25;
const SYS_TTY_CONFIG: u32 = 26;
const SYSLOG: u32 = 34;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

const SOL_SOCKET: u32 = 1;
const SO_ATTACH_FILTER: u32 = 26;
const SO_ATTACH_BPF: u32 = 50;
const SO_ATTACH_REUSEPORT_CBPF: u32 = 51;
const SO_ATTACH_REUSEPORT_EBPF: u32 = 52;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_THREAD: u64 = 0x1_0000;
/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET, clone(2). (NEWTIME is a signal's bit there.)
const NEW_NAMESPACES: u64 = 0x7e02_0000;

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;
const AF_PACKET: u32 = 17;
const NETLINK_ROUTE: u32 = 0;
/// TCP by several ways at once, which kernels have built in or not at all; what begins with it falls back with a word in the ledger.
const IPPROTO_MPTCP: u32 = 262;
const IPPROTO_TCP: u32 = 6;
const TCP_AO_ADD_KEY: u32 = 38;
const IPPROTO_IPV6: u32 = 41;
const IPV6_FLOWLABEL_MGR: u32 = 32;

/// Asking for the bridges and VLANs of a network, sockios.h: before it looks at who asks, the kernel loads the module for them.
const THAT_LOAD_LINKS: [u32; 6] = [0x8940, 0x8941, 0x89a0, 0x89a1, 0x8982, 0x8983];

const KEYCTL_JOIN_SESSION_KEYRING: u32 = 1;

const SECCOMP_SET_MODE_FILTER: u32 = 1;
const FLAG_NEW_LISTENER: u64 = 8;
/// AUFS_CTL_WBR_FD, aufs_type.h: a directory of the layer below, on the host's own mount of it. It is `_IOW('A', 2, struct aufs_wbr_fd)` with
/// eight bytes, and was `_IO('A', 2)`. (With four it is one of ALSA's.)
const AUFS_WRITABLE_BRANCH: [u32; 2] = [0x4008_4102, 0x4102];
/// Characters as if typed into a terminal (CVE-2017-5226), and the console's selection, which can paste them.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
/// Another line discipline: what was left in place of the caller's, and modules that had a fault each (CVE-2017-2636, CVE-2023-6546).
const TIOCSETD: u32 = 0x5423;
/// The lines of a modem, of which one is its loop: what is written to a serial terminal comes back as if typed, TIOCM_LOOP. The bits
/// are in memory. And what such a line is otherwise, which nobody puts back.
const TIOCMBIS: u32 = 0x5416;
const TIOCMBIC: u32 = 0x5417;
const TIOCMSET: u32 = 0x5418;
const TIOCSSERIAL: u32 = 0x541f;
const TIOCSRS485: u32 = 0x542f;

/// Those that change how numbers of versions look, and asking. Not READ_IMPLIES_EXEC or ADDR_NO_RANDOMIZE, personality(2).
const PERSONALITIES: [u32; 5] = [0, 0x0008, 0x0002_0000, 0x0002_0008, 0xffff_ffff];

impl Given {
    /// The capability without which the kernel refuses a call whatever a filter says, and which brings it along. None for what
    /// [`Given::nested`] is for.
    pub fn capability_for(name: &str) -> Option<u32> {
        let brings = |(_, names): &&(u32, &[&str])| ![MOUNT, DEBUG].contains(names) && names.contains(&name);
        if name == "chroot" { Some(SYS_CHROOT) } else { BY_CAPABILITY.iter().find(brings).map(|(bit, _)| *bit) }
    }
}

impl Profile {
    /// What the sandbox has: for this machine's own kind of calls; others (x32, i386, 32-bit Arm) are not there.
    pub fn sandbox(given: Given) -> Profile {
        let mut profile = Profile::new(EPERM);
        profile.unknown = Some(ENOSYS);
        profile.allowed = &SUBJECTS;
        let has = |capability: u32| given.capabilities & 1 << capability != 0;
        for (capability, names) in BY_CAPABILITY {
            if has(capability) || (given.nested && names == MOUNT) {
                names.iter().for_each(|name| profile.add(name, Action::Allow, &[]));
            }
        }
        if has(BPF) {
            profile.add("bpf", Action::Allow, &[]);
        }
        if given.nested || has(SYS_ADMIN) {
            NAMESPACES.iter().for_each(|name| profile.add(name, Action::Allow, &[]));
            profile.add("sethostname", Action::Allow, &[]);
            profile.add("setdomainname", Action::Allow, &[]);
        } else {
            profile.override_with("clone", EPERM, &[Condition::any(0, NEW_NAMESPACES)]);
            // Its flags are in memory; libraries take clone(2) then.
            profile.add("clone3", ENOSYS, &[]);
        }
        if !given.siblings {
            // Whoever started it waits for the command alone: a child of its own, clone(2) with CLONE_PARENT, would be a zombie until it ends.
            let no_thread = Condition { argument: 0, mask: CLONE_THREAD, comparison: Equal, value: 0 };
            profile.override_with("clone", EPERM, &[Condition::any(0, CLONE_PARENT), no_thread]);
            profile.override_with("clone3", ENOSYS, &[]);
        }
        if given.nested {
            // A container inside has a session keyring of its own, without a name that could be somebody else's.
            let anonymous = [Condition::of_int(0, Equal, KEYCTL_JOIN_SESSION_KEYRING), Condition::new(1, Equal, 0)];
            profile.add("keyctl", Action::Allow, &anonymous);
        }
        // Each takes from a number that all of the machine has together, fs.aio-max-nr, and programs do without.
        for name in IO_URING.iter().chain(&["io_setup"]) {
            profile.add(name, ENOSYS, &[]);
        }
        if !has(NET_RAW) && !has(NET_ADMIN) {
            // Filters of packets are compiled into memory that all of the machine has together, net.core.bpf_jit_limit, as are those of system
            // calls: where it is used up, nobody else's sandbox starts.
            let of_sockets = Condition::of_int(1, Equal, SOL_SOCKET);
            for attach in [SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF] {
                profile.override_with("setsockopt", EPERM, &[of_sockets, Condition::of_int(2, Equal, attach)]);
            }
        }
        if !given.nested {
            // Whoever has the listener of a filter keeps its memory, which is compiled and nobody's, without any process. (Where there is
            // one already the kernel says the same.) A container inside lists what it refuses by one.
            let listens = [Condition::of_int(0, Equal, SECCOMP_SET_MODE_FILTER), Condition::any(1, FLAG_NEW_LISTENER)];
            profile.override_with("seccomp", EBUSY, &listens);
        }
        // As long as there is memory that is secret, the machine does not hibernate, memfd_secret(2).
        profile.add("memfd_secret", ENOSYS, &[]);
        if !given.huge_pages {
            // So do pages of a pool that nobody has a share of, vm.nr_hugepages. Who asks whether memfd_create(2) is there gives it
            // all flags at once, and takes EINVAL for yes.
            let asked = [
                ("mmap", 3, MAP_HUGETLB, ENOMEM),
                ("memfd_create", 1, MFD_HUGETLB, EINVAL),
                ("shmget", 2, SHM_HUGETLB, ENOMEM),
            ];
            for (name, flags, huge, answer) in asked {
                profile.override_with(name, answer, &[Condition::any(flags, huge)]);
            }
        }
        // What the kernel takes for an int is one here: high bits hide nothing.
        let is_not = |argument: u8, value: u32| Condition::of_int(argument, NotEqual, value);
        let is = |argument: u8, value: u32| Condition::of_int(argument, Equal, value);
        let mut families = vec![AF_UNIX, AF_INET, AF_INET6, AF_NETLINK];
        families.extend((has(NET_RAW) || has(NET_ADMIN)).then_some(AF_PACKET));
        let others: Vec<Condition> = families.into_iter().map(|family| is_not(0, family)).collect();
        profile.override_with("socket", EAFNOSUPPORT, &others);
        if !has(NET_ADMIN) && !given.nested {
            profile.override_with("socket", EAFNOSUPPORT, &[is(0, AF_NETLINK), is_not(2, NETLINK_ROUTE)]);
        }
        // For any other the kernel loads a module into the host, which asks for no capability (inet_create()) and stays there: SCTP, DCCP,
        // L2TP, SMC, in which holes of the kernel's have been that took no rights (CVE-2017-6074 of DCCP, CVE-2019-8956 of SCTP).
        let protocols: Vec<u32> = PLAIN.into_iter().chain([IPPROTO_MPTCP]).collect();
        profile.refuse_protocols_but(&protocols);
        if !has(NET_ADMIN) {
            // By the name of an algorithm it loads any module of the kernel's cryptography, which stays, from a pool that is the machine's (TCP-AO,
            // Linux 6.7).
            profile.override_with("setsockopt", ENOPROTOOPT, &[is(1, IPPROTO_TCP), is(2, TCP_AO_ADD_KEY)]);
            // Of flow labels all of the machine has a few thousand together, ip6_flowlabel.c.
            profile.override_with("setsockopt", ENOPROTOOPT, &[is(1, IPPROTO_IPV6), is(2, IPV6_FLOWLABEL_MGR)]);
        }
        if !has(NET_ADMIN) && !given.nested {
            for request in THAT_LOAD_LINKS {
                profile.override_with("ioctl", EPERM, &[is(1, request)]);
            }
        }
        profile.override_with("socketpair", EAFNOSUPPORT, &[is_not(0, AF_UNIX)]);
        const OF_TERMINALS: [u32; 8] =
            [TIOCSTI, TIOCLINUX, TIOCSETD, TIOCMBIS, TIOCMBIC, TIOCMSET, TIOCSSERIAL, TIOCSRS485];
        for request in OF_TERMINALS.into_iter().chain(AUFS_WRITABLE_BRANCH) {
            profile.override_with("ioctl", EPERM, &[is(1, request)]);
        }
        if given.init {
            // Of a process 1 that is made to wait behind the command's others, an end by a deadline comes late. Below an ordinary user nobody
            // could undo it: to take SCHED_IDLE back asks for CAP_SYS_NICE over the host. With containers inside it is their own first
            // process too that cannot be named so; 0, which is whoever asks, can.
            const INIT: u32 = 1;
            for name in ["sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"] {
                profile.override_with(name, EPERM, &[is(0, INIT)]);
            }
            if !given.nested {
                profile.override_with("prlimit64", EPERM, &[is(0, INIT)]);
            }
            // Of the process; of a group, which may have joined the init's, setpgid(2), and is "one's own" then; and of all processes of a user,
            // whose the init is as well.
            for (name, process, group, user) in [("setpriority", 0, 1, 2), ("ioprio_set", 1, 2, 3)] {
                profile.override_with(name, EPERM, &[is(0, process), is(1, INIT)]);
                for many in [group, user] {
                    profile.override_with(name, EPERM, &[is(0, many)]);
                }
            }
        }
        profile.override_with("personality", EPERM, &PERSONALITIES.map(|value| is_not(0, value)));
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture;

    const KIND: Architecture = Architecture::NATIVE;

    fn answer(profile: &Profile, name: &str, arguments: &[u64]) -> Action {
        let mut all = [0; 6];
        all.iter_mut().zip(arguments).for_each(|(place, given)| *place = *given);
        profile.evaluate(KIND, KIND.number_of(name).unwrap_or_else(|| panic!("{name}")), &all)
    }

    #[test]
    fn every_name_is_one_of_a_call_of_some_kind() {
        let conditional = BY_CAPABILITY.iter().flat_map(|(_, names)| *names);
        for name in SUBJECTS.into_iter().flat_map(str::split_ascii_whitespace).chain(conditional.copied()) {
            assert!(crate::architecture::is_known(name), "{name}");
        }
    }

    #[test]
    fn what_aarch64_does_not_have_of_it_are_the_calls_that_others_have_taken_the_place_of() {
        let old = "\
            access alarm arch_prctl chmod chown creat dup2 epoll_create epoll_wait eventfd fork futimesat getdents getpgrp \
            inotify_init lchown link lstat mkdir mknod open pause pipe poll readlink rename rmdir select signalfd stat symlink \
            time unlink uretprobe utime utimes vfork";
        let names = SUBJECTS.into_iter().flat_map(str::split_ascii_whitespace);
        let mut missing: Vec<&str> = names.filter(|name| Architecture::Aarch64.number_of(name).is_none()).collect();
        missing.sort_unstable();
        assert_eq!(missing, old.split_ascii_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn requests_of_file_systems_that_reach_further_are_refused() {
        let beyond = crate::Refused { beyond_files: true, ..crate::Refused::default() }.profile();
        // Of btrfs, F2FS, OCFS2 and SMB; of everybody that makes a snapshot or moves content.
        for request in [0x5000_9401_u64, 0xc020_f509, 0x4018_6f04, 0x4004_cf03] {
            assert!(!answer(&beyond, "ioctl", &[0, request]).allows(), "{request:x}");
        }
        let profile = Profile::sandbox(Given::default());
        // What a program of aufs's sends, of today and of its first years.
        for request in [0x4008_4102, 0x0000_4102] {
            assert_eq!(answer(&profile, "ioctl", &[0, request]), EPERM, "{request:x}");
        }
        // FICLONE; and of DVB, whose kind OCFS2 has as well: FE_GET_INFO, DMX_START, FE_SET_PROPERTY, AUDIO_STOP.
        for request in [0x4004_9409, 0x80a8_6f3d, 0x6f29, 0x4010_6f52, 0x6f01] {
            assert!(answer(&beyond, "ioctl", &[0, request]).allows(), "{request:x}");
        }
        // Of ALSA's: SNDRV_PCM_IOCTL_TSTAMP, and one that is near.
        for request in [0x4004_4102, 0x4004_4104] {
            assert_eq!(answer(&profile, "ioctl", &[0, request]), Action::Allow, "{request:x}");
        }
    }

    #[test]
    fn high_bits_hide_nothing_and_flags_are_looked_for_one_by_one() {
        let profile = Profile::sandbox(Given::default());
        let high = 1 << 32;
        for request in
            [u64::from(TIOCSTI), u64::from(TIOCSTI) | high, u64::from(TIOCLINUX) | high << 7, u64::from(TIOCSETD)]
        {
            assert_eq!(answer(&profile, "ioctl", &[0, request]), EPERM, "{request:x}");
        }
        assert_eq!(answer(&profile, "ioctl", &[0, 0x5401]), Action::Allow);
        for family in [38, 38 | high, 0, 40, 17, 16 | 1 << 31] {
            assert_eq!(answer(&profile, "socket", &[family, 3, 0]), EAFNOSUPPORT, "{family:x}");
        }
        for family in [1, 2, 10, 16, 2 | high] {
            assert_eq!(answer(&profile, "socket", &[family, 1, 0]), Action::Allow, "{family:x}");
        }
        assert_eq!(answer(&profile, "socket", &[16, 3, 12]), EAFNOSUPPORT);
        let other =
            [[1, 132], [5, 0], [6, 33], [2, 115], [1, 256], [2, 136], [10, 768], [6 | high, 0], [0x80801, 132 | high]];
        for [kind, protocol] in other {
            for family in [2, 10] {
                assert_eq!(
                    answer(&profile, "socket", &[family, kind, protocol]),
                    Action::Errno(93),
                    "{kind} {protocol}"
                );
            }
        }
        for [kind, protocol] in
            [[1, 0], [0x80801, 6], [2, 17], [2, 1], [2, 58], [3, 255], [3, 132], [1, 262], [1 | high, 6]]
        {
            assert_eq!(answer(&profile, "socket", &[10, kind, protocol]), Action::Allow, "{kind} {protocol}");
        }
        assert_eq!(answer(&profile, "ioctl", &[3, 0x8940]), EPERM);
        assert_eq!(answer(&profile, "socketpair", &[2, 1, 0]), EAFNOSUPPORT);
        for bit in [17, 25, 26, 27, 28, 29, 30] {
            assert_eq!(answer(&profile, "clone", &[1 << bit | 17]), EPERM, "{bit}");
        }
        assert_eq!(answer(&profile, "clone", &[0x003d_0f00]), Action::Allow);
        for persona in [0x40_0000, 0x4_0000, 0x8 | 0x4_0000] {
            assert_eq!(answer(&profile, "personality", &[persona]), EPERM, "{persona:x}");
        }
        assert_eq!(answer(&profile, "personality", &[0xffff_ffff]), Action::Allow);
        assert_eq!(profile.evaluate(KIND, 5000, &[0; 6]), ENOSYS);
        assert_eq!(profile.evaluate(Architecture::X86, 20, &[0; 6]), ENOSYS);
    }

    #[test]
    fn the_init_is_nobodys_to_slow_down() {
        let with = |init| Profile::sandbox(Given { init, capabilities: u64::MAX, ..Given::default() });
        let nested = Profile::sandbox(Given { init: true, siblings: true, nested: true, ..Given::default() });
        let calls: [(&str, &[u64]); 10] = [
            ("sched_setaffinity", &[1, 8, 1]),
            ("sched_setscheduler", &[1 | 1 << 32, 5]),
            ("sched_setparam", &[1]),
            ("sched_setattr", &[1]),
            ("prlimit64", &[1, 0]),
            ("setpriority", &[0, 1, 19]),
            ("setpriority", &[1, 1, 19]),
            ("ioprio_set", &[1, 1, 3 << 13]),
            ("setpriority", &[2, 0, 19]),
            ("ioprio_set", &[3, 0, 3 << 13]),
        ];
        for (name, arguments) in calls {
            let answers = [true, false].map(|init| answer(&with(init), name, arguments).allows());
            assert_eq!(answers, [false, true], "{name} {arguments:?}");
            // Its limits take no time from it.
            assert_eq!(answer(&nested, name, arguments).allows(), name == "prlimit64", "{name} {arguments:?}");
        }
        for (name, arguments) in
            [("prlimit64", [0, 7]), ("sched_setaffinity", [2, 8]), ("setpriority", [0, 0]), ("setpriority", [0, 2])]
        {
            assert!(answer(&with(true), name, &arguments).allows(), "{name} {arguments:?}");
        }
    }

    #[test]
    fn what_is_given_brings_its_calls_along_and_no_others() {
        let given = |nested, capabilities| Given { nested, capabilities, siblings: true, ..Given::default() };
        let of = |nested, capabilities| Profile::sandbox(given(nested, capabilities));
        let alone = Profile::sandbox(Given { siblings: false, ..given(true, 0) });
        assert!(!answer(&alone, "clone3", &[]).allows() && !answer(&alone, "clone", &[CLONE_PARENT]).allows());
        assert!(answer(&alone, "clone", &[CLONE_PARENT | CLONE_THREAD]).allows());
        let (none, nested, admin) = (of(false, 0), of(true, 0), of(false, 1 << SYS_ADMIN));
        for name in ["mount", "unshare", "setns", "pivot_root", "move_mount"] {
            let answers = [&none, &nested, &admin].map(|profile| answer(profile, name, &[]).allows());
            assert_eq!(answers, [false, true, true], "{name}");
        }
        assert_eq!([&none, &nested].map(|profile| answer(profile, "clone3", &[]).allows()), [false, true]);
        assert!(answer(&nested, "clone", &[1 << 28]).allows());
        let keyring = |arguments: &[u64]| [&none, &nested].map(|profile| answer(profile, "keyctl", arguments).allows());
        assert_eq!(
            (keyring(&[1, 0]), keyring(&[1, 0x7000_0000]), keyring(&[11, 0])),
            ([false, true], [false; 2], [false; 2])
        );
        let tracer = of(false, 1 << SYS_PTRACE);
        assert_eq!(
            [&nested, &admin, &tracer].map(|profile| answer(profile, "ptrace", &[]).allows()),
            [false, false, true]
        );
        assert!(answer(&of(false, 1 << NET_RAW), "socket", &[17]).allows());
        assert!(answer(&of(false, 1 << NET_ADMIN), "socket", &[16, 3, 12]).allows());
        for name in ["keyctl", "io_uring_setup", "userfaultfd"] {
            assert!(!answer(&of(true, u64::MAX), name, &[]).allows(), "{name}");
        }
    }
}
