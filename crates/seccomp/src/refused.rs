//! What no mount and no capability can hold back, on top of any profile.

use crate::groups::IO_URING;
use crate::{Action, Condition, Profile, Program};

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
}

const S_ISUID_S_ISGID: u64 = 0o6000;
const O_CREAT: u64 = 0o100;
const O_TMPFILE: u64 = 0o20_000_000;
const CLONE_NEWUSER: u64 = 0x1000_0000;

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
        if refused.user_namespaces {
            for name in ["clone", "unshare"] {
                self.override_with(name, EPERM, &[Condition::any(0, CLONE_NEWUSER)]);
            }
            self.override_with("clone3", ENOSYS, &[]);
            self.override_with("setns", EPERM, &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture::{self, Aarch64, X32, X86, X86_64};

    const ALLOW: u32 = 0x7fff_0000;
    const REFUSED: u32 = 0x5_0001;
    const MISSING: u32 = 0x5_0026;

    fn run(program: &Program, architecture: Architecture, number: u32, arguments: [u64; 6]) -> u32 {
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
}
