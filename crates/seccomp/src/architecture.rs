//! The kinds of system calls: each has numbers of its own, and a process may make those of several.

use std::ops::RangeInclusive;

/// A kind of system calls, as `seccomp_data.arch` and the number tell it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Architecture {
    /// AMD64.
    X86_64,
    /// AMD64 with 32-bit pointers: the same architecture, and a bit in the number.
    X32,
    /// i386, which a 64-bit process reaches by `int 0x80`.
    X86,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm.
    Arm,
}

use Architecture::{Aarch64, Arm, X32, X86, X86_64};

/// The numbers of x32 have it, asm/unistd.h.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// Calls of x32 alone, where those of x86-64 with the bit will not do: numbers from 512 on, and the names that they stand for.
const OF_X32: [(&str, u32); 36] = [
    ("rt_sigaction", 512),
    ("rt_sigreturn", 513),
    ("ioctl", 514),
    ("readv", 515),
    ("writev", 516),
    ("recvfrom", 517),
    ("sendmsg", 518),
    ("recvmsg", 519),
    ("execve", 520),
    ("ptrace", 521),
    ("rt_sigpending", 522),
    ("rt_sigtimedwait", 523),
    ("rt_sigqueueinfo", 524),
    ("sigaltstack", 525),
    ("timer_create", 526),
    ("mq_notify", 527),
    ("kexec_load", 528),
    ("waitid", 529),
    ("set_robust_list", 530),
    ("get_robust_list", 531),
    ("vmsplice", 532),
    ("move_pages", 533),
    ("preadv", 534),
    ("pwritev", 535),
    ("rt_tgsigqueueinfo", 536),
    ("recvmmsg", 537),
    ("sendmmsg", 538),
    ("process_vm_readv", 539),
    ("process_vm_writev", 540),
    ("setsockopt", 541),
    ("getsockopt", 542),
    ("io_setup", 543),
    ("io_submit", 544),
    ("execveat", 545),
    ("preadv2", 546),
    ("pwritev2", 547),
];

/// The kernel's name of a call of aarch64, and what `syscalls` calls it there, by the name of libc's function.
const NEWFSTATAT: (&str, &str) = ("newfstatat", "fstatat");
/// Of the table that newer architectures share: calls with times of 64 bits, which `syscalls` has for aarch64 too, and the kernel
/// for those of 32 bits alone.
const OF_32_BITS: RangeInclusive<u32> = 403..=423;

impl Architecture {
    /// All of them.
    pub const ALL: [Architecture; 5] = [X86_64, X32, X86, Aarch64, Arm];

    /// What processes of this machine's own kind make.
    #[cfg(target_arch = "x86_64")]
    pub const NATIVE: Architecture = X86_64;
    /// What processes of this machine's own kind make.
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Architecture = Aarch64;

    /// All that a process of this machine can make, its own first.
    #[cfg(target_arch = "x86_64")]
    pub const OF_THIS_MACHINE: &[Architecture] = &[X86_64, X32, X86];
    /// All that a process of this machine can make, its own first.
    #[cfg(target_arch = "aarch64")]
    pub const OF_THIS_MACHINE: &[Architecture] = &[Aarch64, Arm];

    /// `AUDIT_ARCH_…`, linux/audit.h.
    pub fn audit(self) -> u32 {
        match self {
            X86_64 | X32 => 0xc000_003e,
            X86 => 0x4000_0003,
            Aarch64 => 0xc000_00b7,
            Arm => 0x4000_0028,
        }
    }

    /// Whose call it is, by `seccomp_data.arch` and the number.
    pub fn of_call(audit: u32, number: u32) -> Option<Architecture> {
        let kind = Architecture::ALL.into_iter().find(|kind| kind.audit() == audit)?;
        Some(if kind == X86_64 && number & X32_BIT != 0 { X32 } else { kind })
    }

    /// Its name, as uname(2) has it.
    pub fn name(self) -> &'static str {
        match self {
            X86_64 => "x86_64",
            X32 => "x32",
            X86 => "i386",
            Aarch64 => "aarch64",
            Arm => "arm",
        }
    }

    /// As libseccomp has it, and OCI.
    pub fn libseccomp_name(self) -> &'static str {
        match self {
            X86_64 => "SCMP_ARCH_X86_64",
            X32 => "SCMP_ARCH_X32",
            X86 => "SCMP_ARCH_X86",
            Aarch64 => "SCMP_ARCH_AARCH64",
            Arm => "SCMP_ARCH_ARM",
        }
    }

    /// The one of that name.
    pub(crate) fn of_oci(name: &str) -> Option<Architecture> {
        Architecture::ALL.into_iter().find(|one| one.libseccomp_name() == name)
    }

    /// As Docker's profiles have it, by Go's names.
    pub(crate) fn go_name(self) -> &'static str {
        match self {
            X86_64 => "amd64",
            X32 => "x32",
            X86 => "x86",
            Aarch64 => "arm64",
            Arm => "arm",
        }
    }

    /// The number that a name has.
    pub fn number_of(self, name: &str) -> Option<u32> {
        let id = match self {
            X86_64 => name.parse::<syscalls::x86_64::Sysno>().ok()?.id(),
            X32 => {
                let own = OF_X32.iter().find(|(own, _)| *own == name).map(|(_, number)| *number);
                return own.or_else(|| X86_64.number_of(name)).map(|number| number | X32_BIT);
            }
            X86 => name.parse::<syscalls::x86::Sysno>().ok()?.id(),
            Aarch64 => {
                let name = if name == NEWFSTATAT.0 { NEWFSTATAT.1 } else { name };
                let id = name.parse::<syscalls::aarch64::Sysno>().ok()?.id();
                return u32::try_from(id).ok().filter(|number| !OF_32_BITS.contains(number));
            }
            Arm => name.parse::<syscalls::arm::Sysno>().ok()?.id(),
        };
        u32::try_from(id).ok()
    }

    /// The name of a number.
    pub fn name_of(self, number: u32) -> Option<&'static str> {
        let own = |number: u32| OF_X32.iter().find(|(_, own)| *own == number).map(|(name, _)| *name);
        match self {
            X32 => match number & !X32_BIT {
                number @ 512.. => own(number),
                // Where it has one of its own, the other is not its.
                number => X86_64.name_of(number).filter(|name| OF_X32.iter().all(|(own, _)| own != name)),
            },
            X86_64 => syscalls::x86_64::Sysno::new(number as usize).map(|call| call.name()),
            X86 => syscalls::x86::Sysno::new(number as usize).map(|call| call.name()),
            Aarch64 if OF_32_BITS.contains(&number) => None,
            Aarch64 => {
                let name = syscalls::aarch64::Sysno::new(number as usize)?.name();
                Some(if name == NEWFSTATAT.1 { NEWFSTATAT.0 } else { name })
            }
            Arm => syscalls::arm::Sysno::new(number as usize).map(|call| call.name()),
        }
    }

    /// All numbers that have a name, in their order.
    pub fn numbers(self) -> Vec<u32> {
        // Its own iterator leaves the last one out (syscalls 0.8).
        let last = match self {
            X86_64 => syscalls::x86_64::Sysno::last().id(),
            X32 => OF_X32.iter().map(|(_, number)| *number as i32).max().unwrap_or_default(),
            X86 => syscalls::x86::Sysno::last().id(),
            Aarch64 => syscalls::aarch64::Sysno::last().id(),
            Arm => syscalls::arm::Sysno::last().id(),
        };
        let bit = if self == X32 { X32_BIT } else { 0 };
        let all = (0..=last).filter_map(|number| u32::try_from(number).ok()).map(|number| number | bit);
        all.filter(|number| self.name_of(*number).is_some()).collect()
    }
}

/// Whether any of the kinds has a call of this name.
pub(crate) fn is_known(name: &str) -> bool {
    Architecture::ALL.iter().any(|kind| kind.number_of(name).is_some())
}

/// Whether machines of other kinds (m68k, MIPS, PowerPC, SPARC…) have it: a profile for all of them names it, and here nobody can make it.
pub(crate) fn is_anothers(name: &str) -> bool {
    const NAMES: [&str; 27] = [
        "atomic_barrier",
        "atomic_cmpxchg_32",
        "breakpoint",
        "cachectl",
        "cacheflush",
        "execv",
        "get_tls",
        "getdomainname",
        "kern_features",
        "llseek",
        "memory_ordering",
        "multiplexer",
        "perfctr",
        "rtas",
        "sched_get_affinity",
        "sched_set_affinity",
        "set_tls",
        "subpage_prot",
        "swapcontext",
        "switch_endian",
        "sync_file_range2",
        "sys_debug_setcontext",
        "syscall",
        "sysmips",
        "usr26",
        "usr32",
        "utrap_install",
    ];
    // Of s390, RISC-V, Cell and Alpha.
    NAMES.contains(&name) || ["s390_", "riscv_", "spu_", "osf_"].iter().any(|prefix| name.starts_with(prefix))
}

/// The name that is spelled most like it.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let kind = Architecture::NATIVE;
    let names = kind.numbers().into_iter().filter_map(|number| kind.name_of(number));
    names
        .map(|known| (distance(name, known), known))
        .min()
        .filter(|(far, known)| far * 2 < known.len())
        .map(|(_, known)| known)
}

/// How many letters have to be changed, added, taken or swapped with the next.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let width = other.len() + 1;
    let mut rows: Vec<usize> = (0..width).collect();
    for (row, letter) in one.iter().enumerate() {
        rows.push(row + 1);
        for (column, known) in other.iter().enumerate() {
            let at = |row: usize, column: usize| rows[row * width + column];
            let same = usize::from(letter != known);
            let mut least = (at(row, column) + same).min(at(row, column + 1) + 1).min(at(row + 1, column) + 1);
            if row > 0 && column > 0 && one[row - 1] == *known && *letter == other[column - 1] {
                least = least.min(at(row - 1, column - 1) + 1);
            }
            rows.push(least);
        }
    }
    rows[one.len() * width + other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_belong_together() {
        for kind in Architecture::ALL {
            for number in kind.numbers() {
                let name = kind.name_of(number).unwrap_or_else(|| panic!("{kind:?} {number}"));
                assert_eq!(kind.number_of(name), Some(number), "{kind:?} {name}");
            }
        }
        assert_eq!((X86_64.number_of("execve"), X32.number_of("execve")), (Some(59), Some(X32_BIT | 520)));
        assert!(X86_64.numbers().contains(&469));
        assert_eq!((X86.number_of("socketcall"), Aarch64.number_of("open")), (Some(102), None));
        assert_eq!((Aarch64.number_of("newfstatat"), Aarch64.number_of("fstatat")), (Some(79), Some(79)));
        assert_eq!((Aarch64.name_of(79), Aarch64.number_of("futex_time64")), (Some("newfstatat"), None));
        assert_eq!(
            (nearest("ptrcae"), nearest("mkdri"), nearest("zzzzzzzzzzz")),
            (Some("ptrace"), Some("mkdir"), None)
        );
    }
}
