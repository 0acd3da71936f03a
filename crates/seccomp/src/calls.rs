//! The numbers of the calls, from the kernel's tables (arch/x86/entry/syscalls).

/// The calls of one kind, as `seccomp_data.arch` tells it.
pub(crate) struct Calls {
    /// AUDIT_ARCH_…, linux/audit.h.
    pub(crate) architecture: u32,
    /// Numbers with this bit are another kind's that has the same name (x32).
    pub(crate) foreign_bit: Option<u32>,
    /// A call, and which of its arguments is the mode that a file gets.
    pub(crate) that_change_a_mode: &'static [(u32, u32)],
    /// The same of calls that make it.
    pub(crate) that_create: &'static [(u32, u32)],
    /// A call, and which of its arguments are the flags and the mode, which counts only if something is created.
    pub(crate) that_may_create: &'static [(u32, u32, u32)],
    pub(crate) of_attributes: &'static [u32],
    pub(crate) io_uring: &'static [u32],
    pub(crate) openat2: u32,
    pub(crate) clone: u32,
    pub(crate) clone3: u32,
    pub(crate) unshare: u32,
    pub(crate) setns: u32,
}

/// io_uring_setup, io_uring_enter, io_uring_register: the same everywhere.
const IO_URING: &[u32] = &[425, 426, 427];

/// The kinds of calls that a process on this machine can make.
#[cfg(target_arch = "x86_64")]
pub(crate) const NATIVE: &[Calls] = &[
    Calls {
        architecture: 0xc000_003e,
        foreign_bit: Some(0x4000_0000),
        // chmod, fchmod, fchmodat, fchmodat2
        that_change_a_mode: &[(90, 1), (91, 1), (268, 2), (452, 2)],
        // creat, mknod, mknodat, mkdir, mkdirat
        that_create: &[(85, 1), (133, 1), (259, 2), (83, 1), (258, 2)],
        // open, openat
        that_may_create: &[(2, 1, 2), (257, 2, 3)],
        // setxattr, lsetxattr, fsetxattr, setxattrat
        of_attributes: &[188, 189, 190, 463],
        io_uring: IO_URING,
        openat2: 437,
        clone: 56,
        clone3: 435,
        unshare: 272,
        setns: 308,
    },
    Calls {
        architecture: 0x4000_0003,
        foreign_bit: None,
        that_change_a_mode: &[(15, 1), (94, 1), (306, 2), (452, 2)],
        that_create: &[(8, 1), (14, 1), (297, 2), (39, 1), (296, 2)],
        that_may_create: &[(5, 1, 2), (295, 2, 3)],
        of_attributes: &[226, 227, 228, 463],
        io_uring: IO_URING,
        openat2: 437,
        clone: 120,
        clone3: 435,
        unshare: 310,
        setns: 346,
    },
];
