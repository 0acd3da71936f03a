//! What the process that becomes the command is left with: ids, capabilities, limits, a filter, namespaces of its own.

use crate::arch::{number, syscall};
use crate::kernel::{Errno, Fd, Result, check};

const PR_CAPBSET_DROP: usize = 24;
const PR_CAP_AMBIENT: usize = 47;
const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;
const PR_CAP_AMBIENT_RAISE: usize = 2;
const PR_SET_KEEPCAPS: usize = 8;
const PR_SET_NO_NEW_PRIVS: usize = 38;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const SECCOMP_SET_MODE_FILTER: usize = 1;
const CAP_KILL: u32 = 5;

/// Instructions of the longest filter that the kernel takes, BPF_MAXINSNS.
pub(crate) const MOST_INSTRUCTIONS: usize = 4096;

fn prctl(option: usize, first: usize, second: usize) -> Result<()> {
    // SAFETY: none of the options above takes a pointer.
    check(unsafe { syscall(number::PRCTL, [option, first, second, 0, 0, 0]) }).map(drop)
}

/// `setgroups(2)`
pub(crate) fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: pointer and length are one slice.
    check(unsafe { syscall(number::SETGROUPS, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0]) }).map(drop)
}

/// `setresgid(2)`, one id for all three
pub(crate) fn set_gid(gid: u32) -> Result<()> {
    let gid = gid as usize;
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::SETRESGID, [gid, gid, gid, 0, 0, 0]) }).map(drop)
}

/// `setresuid(2)`, one id for all three
pub(crate) fn set_uid(uid: u32) -> Result<()> {
    let uid = uid as usize;
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::SETRESUID, [uid, uid, uid, 0, 0, 0]) }).map(drop)
}

/// `prlimit(2)` of this process
pub(crate) fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limits = [soft, hard];
    // SAFETY: the kernel reads one structure of two numbers and is not asked for the old ones.
    check(unsafe { syscall(number::PRLIMIT64, [0, resource as usize, &raw const limits as usize, 0, 0, 0]) }).map(drop)
}

/// Keeps the permitted capabilities over the next change from uid 0 to another.
pub(crate) fn keep_capabilities() -> Result<()> {
    prctl(PR_SET_KEEPCAPS, 1, 0)
}

/// Takes all capabilities that are not in the mask out of the bounding set.
pub(crate) fn limit_bounding_set(keep: u64) -> Result<()> {
    for capability in 0..64 {
        if keep & 1 << capability != 0 {
            continue;
        }
        match prctl(PR_CAPBSET_DROP, capability, 0) {
            Ok(()) => {}
            // Past the last capability that this kernel has.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// `capset(2)`
pub(crate) fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let header = [CAPABILITY_VERSION_3, 0];
    let (e, p, i) = (effective, permitted, inheritable);
    let data = [e as u32, p as u32, i as u32, (e >> 32) as u32, (p >> 32) as u32, (i >> 32) as u32];
    // SAFETY: version 3 reads a header of two words and two triples of words.
    check(unsafe { syscall(number::CAPSET, [&raw const header as usize, &raw const data as usize, 0, 0, 0, 0]) })
        .map(drop)
}

/// These are inheritable and ambient from here on; effective and permitted sets stay.
pub(crate) fn carry(inheritable: u64, ambient: u64) -> Result<()> {
    let header = [CAPABILITY_VERSION_3, 0];
    let mut data = [0u32; 6];
    // SAFETY: version 3 reads a header of two words and fills two triples of words.
    check(unsafe { syscall(number::CAPGET, [&raw const header as usize, &raw mut data as usize, 0, 0, 0, 0]) })?;
    let wide = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0)?;
    set_capabilities(wide(data[0], data[3]), wide(data[1], data[4]), inheritable)?;
    set_ambient(ambient)
}

/// What an init still needs once its command is started: the right to hand signals on to whomever the command has become.
pub(crate) fn keep_right_to_signal() {
    // Giving up cannot be refused; who never had it gets nothing by this.
    if set_capabilities(1 << CAP_KILL, 1 << CAP_KILL, 0).is_err() {
        let _ = set_capabilities(0, 0, 0);
    }
}

/// Exactly these are ambient from here on.
pub(crate) fn set_ambient(raise: u64) -> Result<()> {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0)?;
    for capability in 0..64 {
        if raise & 1 << capability != 0 {
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)?;
        }
    }
    Ok(())
}

pub(crate) fn set_no_new_privileges() -> Result<()> {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0)
}

/// `unshare(2)`
pub(crate) fn unshare(flags: usize) -> Result<()> {
    // SAFETY: no pointers are passed, and nothing is shared with anybody.
    check(unsafe { syscall(number::UNSHARE, [flags, 0, 0, 0, 0, 0]) }).map(drop)
}

/// `struct sock_fprog`
#[repr(C)]
struct Program {
    length: u16,
    instructions: *const u64,
}

/// The same, with a listener, seccomp_unotify(2). One that waits for its answer is interrupted by no signal but one that ends it, from Linux 5.19 on.
pub(crate) fn install_listener(instructions: &[u64], flags: usize) -> Result<Fd> {
    const WAIT_KILLABLE: usize = 32;
    match install_asking(instructions, flags | WAIT_KILLABLE) {
        Err(Errno::EINVAL) => install_asking(instructions, flags),
        installed => installed,
    }
}

/// The same with these flags and no others.
pub(crate) fn install_asking(instructions: &[u64], flags: usize) -> Result<Fd> {
    const NEW_LISTENER: usize = 8;
    install_filter(instructions, flags | NEW_LISTENER).map(|number| Fd(number as i32))
}

/// `seccomp(2)` SECCOMP_SET_MODE_FILTER
pub(crate) fn install_filter(instructions: &[u64], flags: usize) -> Result<usize> {
    let Ok(length) = u16::try_from(instructions.len()) else { return Err(Errno::EINVAL) };
    let program = Program { length, instructions: instructions.as_ptr() };
    // SAFETY: the structure names one slice of instructions; both live through the call.
    check(unsafe { syscall(number::SECCOMP, [SECCOMP_SET_MODE_FILTER, flags, &raw const program as usize, 0, 0, 0]) })
}

/// `landlock_restrict_self(2)`: what the ruleset does not allow is refused from here on, to whatever is started as well.
pub(crate) fn restrict(ruleset: Fd) -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::LANDLOCK_RESTRICT_SELF, [ruleset.0 as usize, 0, 0, 0, 0, 0]) }).map(drop)
}

/// Brings the interface `lo` of this network namespace up, netdevice(7).
pub(crate) fn loopback_up() -> Result<()> {
    const AF_INET: usize = 2;
    const SOCK_DGRAM_CLOEXEC: usize = 2 | 0o2_000_000;
    const SIOCSIFFLAGS: usize = 0x8914;
    const UP: u16 = 1;
    /// `struct ifreq`: a name, and here the flags.
    #[repr(C)]
    struct Interface {
        name: [u8; 16],
        flags: u16,
        rest: [u8; 22],
    }
    // SAFETY: no pointers are passed.
    let socket = check(unsafe { syscall(number::SOCKET, [AF_INET, SOCK_DGRAM_CLOEXEC, 0, 0, 0, 0]) })?;
    let mut name = [0; 16];
    name[..2].copy_from_slice(b"lo");
    let interface = Interface { name, flags: UP, rest: [0; 22] };
    // SAFETY: the request reads one structure.
    let done = unsafe { syscall(number::IOCTL, [socket, SIOCSIFFLAGS, &raw const interface as usize, 0, 0, 0]) };
    crate::kernel::close(Fd(socket as i32));
    check(done).map(drop)
}
