//! Becoming and ending: exec, exit, sessions, limits, prctl.

use core::ffi::{CStr, c_char};

use crate::raw::{general as k, prctl};
use crate::{Errno, Fd, Result, call};

/// A list of C strings as `execve(2)` wants it: pointers, the last one null (an empty slice would have none, so
/// there is none without it).
#[derive(Clone, Copy)]
pub struct StringList<'a>(&'a [*const c_char]);

// SAFETY: the pointers are borrowed for 'a as shared references would be, and nobody writes through them.
unsafe impl Send for StringList<'_> {}
// SAFETY: as above.
unsafe impl Sync for StringList<'_> {}

impl<'a> StringList<'a> {
    /// Writes the pointers and the null after them into `room`, which has place for one more than `strings`; what
    /// does not fit is left out.
    pub fn fill(strings: &[&'a CStr], room: &'a mut [*const c_char]) -> Self {
        for place in room.iter_mut() {
            *place = core::ptr::null();
        }
        let last = room.len().saturating_sub(1);
        for (place, string) in room.iter_mut().take(last).zip(strings) {
            *place = string.as_ptr();
        }
        StringList(room)
    }

    /// The strings, without the null.
    pub fn iter(&self) -> impl Iterator<Item = &'a CStr> {
        // SAFETY: every pointer but null ones came from a `&'a CStr` in `fill`.
        self.0.iter().take_while(|pointer| !pointer.is_null()).map(|pointer| unsafe { CStr::from_ptr(*pointer) })
    }
}

/// `execve(2)`: returns only if it failed.
#[inline(always)]
pub fn execve(path: &CStr, argv: StringList<'_>, envp: StringList<'_>) -> Errno {
    // SAFETY: the path is a C string, the lists are null-terminated by their type.
    let answer = unsafe { call!(__NR_execve, path.as_ptr(), argv.0.as_ptr(), envp.0.as_ptr()) };
    answer.err().unwrap_or(Errno::EINVAL)
}

/// `execveat(2)` of an open file: returns only if it failed.
#[inline(always)]
pub fn execve_fd(file: Fd, argv: StringList<'_>, envp: StringList<'_>) -> Errno {
    // SAFETY: as in `execve`; the empty path with AT_EMPTY_PATH names the descriptor itself.
    let answer =
        unsafe { call!(__NR_execveat, file.arg(), c"".as_ptr(), argv.0.as_ptr(), envp.0.as_ptr(), k::AT_EMPTY_PATH) };
    answer.err().unwrap_or(Errno::EINVAL)
}

/// `exit_group(2)`.
#[inline(always)]
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: ends the process; nothing is passed.
        let _ = unsafe { call!(__NR_exit_group, status) };
    }
}

/// `getpid(2)`.
#[inline(always)]
pub fn getpid() -> i32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { call!(__NR_getpid) }.unwrap_or(0) as i32
}

/// `setsid(2)`: a new session without a terminal.
#[inline(always)]
pub fn setsid() -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_setsid) }.map(drop)
}

/// Leaves the session keyring for a new one of its own, keyctl(2).
#[inline(always)]
pub fn join_new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: u32 = 1;
    // SAFETY: without a name there is no pointer.
    unsafe { call!(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) }.map(drop)
}

/// Which session keyring this is, keyctl(2): EPERM is nobody's answer but a filter's.
#[inline(always)]
pub fn session_keyring() -> Result<usize> {
    const KEYCTL_GET_KEYRING_ID: u32 = 0;
    const KEY_SPEC_SESSION_KEYRING: i32 = -3;
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0) }
}

/// `struct sched_attr` of the first size, sched_setattr(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct SchedulerAttributes {
    /// The structure's own.
    pub size: u32,
    /// SCHED_….
    pub policy: u32,
    /// SCHED_FLAG_….
    pub flags: u64,
    /// Of SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// Of SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// Nanoseconds, of SCHED_DEADLINE.
    pub runtime: u64,
    /// The same.
    pub deadline: u64,
    /// The same.
    pub period: u64,
}

/// `sched_setattr(2)` of this thread.
#[inline(always)]
pub fn set_scheduler(attributes: &SchedulerAttributes) -> Result<()> {
    let attributes = SchedulerAttributes { size: size_of::<SchedulerAttributes>() as u32, ..*attributes };
    // SAFETY: the kernel reads as many bytes as the structure says that it has.
    unsafe { call!(__NR_sched_setattr, 0, &raw const attributes, 0) }.map(drop)
}

/// `ioprio_set(2)` of this thread.
#[inline(always)]
pub fn set_io_priority(value: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) }.map(drop)
}

/// `sched_setaffinity(2)` of this thread: a bit for each processor.
#[inline(always)]
pub fn set_affinity(processors: &[u64]) -> Result<()> {
    // SAFETY: the kernel reads so many bytes of the slice.
    unsafe { call!(__NR_sched_setaffinity, 0, size_of_val(processors), processors.as_ptr()) }.map(drop)
}

/// `set_mempolicy(2)` of this thread: a bit for each node.
#[inline(always)]
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<()> {
    // The kernel takes one bit less than it is told.
    let bits = nodes.len() * 64 + 1;
    let (pointer, bits) = if nodes.is_empty() { (core::ptr::null(), 0) } else { (nodes.as_ptr(), bits) };
    // SAFETY: the kernel reads so many bits, which the slice has, and the bit after them is none of a word that it reads.
    unsafe { call!(__NR_set_mempolicy, mode, pointer, bits) }.map(drop)
}

/// `personality(2)`.
#[inline(always)]
pub fn set_personality(persona: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_personality, persona) }.map(drop)
}

/// `getpriority(2)` of the calling process: its nice value.
#[inline(always)]
pub fn nice() -> Result<i32> {
    const PRIO_PROCESS: u32 = 0;
    // SAFETY: no pointers are passed. The kernel answers 20 minus the value, so that none is an error.
    unsafe { call!(__NR_getpriority, PRIO_PROCESS, 0) }.map(|answer| 20 - answer as i32)
}

/// `setpriority(2)` of the calling process.
#[inline(always)]
pub fn set_nice(value: i32) -> Result<()> {
    const PRIO_PROCESS: u32 = 0;
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_setpriority, PRIO_PROCESS, 0, value as isize as usize) }.map(drop)
}

/// `sched_getscheduler(2)` of the calling thread: whether it goes before what is scheduled by time (SCHED_FIFO, SCHED_RR, SCHED_DEADLINE).
#[inline(always)]
pub fn is_scheduled_in_real_time() -> Result<bool> {
    // SCHED_RESET_ON_FORK
    const RESET: usize = 0x4000_0000;
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_sched_getscheduler, 0) }.map(|policy| matches!(policy & !RESET, 1 | 2 | 6))
}

/// `sched_setscheduler(2)` of the calling thread to SCHED_OTHER.
#[inline(always)]
pub fn schedule_as_usual() -> Result<()> {
    let parameter = 0i32;
    // SAFETY: `parameter` is a struct sched_param for the length of the call.
    unsafe { call!(__NR_sched_setscheduler, 0, 0, &raw const parameter) }.map(drop)
}

const IOPRIO_WHO_PROCESS: u32 = 1;

/// `ioprio_get(2)` of the calling thread.
#[inline(always)]
pub fn io_priority() -> Result<u32> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_ioprio_get, IOPRIO_WHO_PROCESS, 0) }.map(|value| value as u32)
}

/// Whether such a value is of IOPRIO_CLASS_RT.
#[inline(always)]
pub fn is_io_in_real_time(value: u32) -> bool {
    value >> 13 & 7 == 1
}

/// `umask(2)`; answers the mask before.
#[inline(always)]
pub fn umask(mask: u32) -> u32 {
    // SAFETY: no pointers are passed; umask cannot fail.
    unsafe { call!(__NR_umask, mask) }.unwrap_or(0) as u32
}

/// Both limits of `resource`, soft and hard, getrlimit(2).
pub fn rlimit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = [0u64; 2];
    // SAFETY: `limit` has room for a struct rlimit64 for the length of the call; no new value is given.
    unsafe { call!(__NR_prlimit64, 0, resource, 0, limit.as_mut_ptr()) }?;
    Ok((limit[0], limit[1]))
}

/// Sets both limits of `resource`, setrlimit(2).
#[inline(always)]
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = [soft, hard];
    // SAFETY: `limit` is a struct rlimit64 for the length of the call; no old value is asked for.
    unsafe { call!(__NR_prlimit64, 0, resource, limit.as_ptr(), 0) }.map(drop)
}

/// Get `signal` when the *thread* that made this process ends; 0 switches it off. Cleared by a change of ids.
#[inline(always)]
pub fn set_parent_death_signal(signal: u32) -> Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a number.
    unsafe { call!(__NR_prctl, prctl::PR_SET_PDEATHSIG, signal, 0, 0, 0) }.map(drop)
}

/// No exec from here on gains privileges (setuid bits, file capabilities); cannot be taken back.
#[inline(always)]
pub fn set_no_new_privs() -> Result<()> {
    // SAFETY: PR_SET_NO_NEW_PRIVS takes numbers.
    unsafe { call!(__NR_prctl, prctl::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.map(drop)
}

/// Whether /proc/self belongs to the process's own user and it dumps core: PR_GET_DUMPABLE.
#[inline(always)]
pub fn dumpable() -> Result<u32> {
    // SAFETY: PR_GET_DUMPABLE takes nothing.
    unsafe { call!(__NR_prctl, prctl::PR_GET_DUMPABLE, 0, 0, 0, 0) }.map(|value| value as u32)
}

/// PR_SET_DUMPABLE: 0 or 1. Acts on the memory, so on every process that shares it.
#[inline(always)]
pub fn set_dumpable(value: u32) -> Result<()> {
    // SAFETY: PR_SET_DUMPABLE takes a number.
    unsafe { call!(__NR_prctl, prctl::PR_SET_DUMPABLE, value, 0, 0, 0) }.map(drop)
}

/// `sethostname(2)`: in the UTS namespace of the caller.
#[inline(always)]
pub fn set_hostname(name: &[u8]) -> Result<()> {
    // SAFETY: pointer and length are one slice.
    unsafe { call!(__NR_sethostname, name.as_ptr(), name.len()) }.map(drop)
}

/// `setdomainname(2)`: the NIS name, in the UTS namespace of the caller.
#[inline(always)]
pub fn set_domainname(name: &[u8]) -> Result<()> {
    // SAFETY: pointer and length are one slice.
    unsafe { call!(__NR_setdomainname, name.as_ptr(), name.len()) }.map(drop)
}

/// `CLOCK_MONOTONIC` in nanoseconds, by a real system call: the vDSO is code we did not choose.
#[inline(always)]
pub fn monotonic_ns() -> u64 {
    let mut now = [0i64; 2];
    // SAFETY: `now` is a struct timespec that the kernel fills.
    match unsafe { call!(__NR_clock_gettime, k::CLOCK_MONOTONIC, now.as_mut_ptr()) } {
        Ok(_) => (now[0] as u64).wrapping_mul(1_000_000_000).wrapping_add(now[1] as u64),
        Err(_) => 0,
    }
}

/// What became of a process whose pidfd is open, also after it was reaped (Linux 6.15).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    /// pid, tgid, ppid, and the eight ids of the credentials
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`
const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)` for the 64 bytes of the structure's first version.
const PIDFD_GET_INFO: u32 = (3 << 30) | (64 << 16) | (0xFF << 8) | 11;
const _: () = assert!(size_of::<PidfdInfo>() == 64);

/// The wait status of an exited process by its pidfd, whoever reaped it. `Ok(None)` while it runs.
///
/// Linux 6.15 (`PIDFD_INFO_EXIT`); ENOTTY or EINVAL before.
#[inline(always)]
pub fn pidfd_exit_status(pidfd: Fd) -> Result<Option<i32>> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request says how many bytes of `info` the kernel may write, and `info` has them.
    unsafe { call!(__NR_ioctl, pidfd.arg(), PIDFD_GET_INFO, &raw mut info) }?;
    Ok((info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code))
}

/// How a process ended and the CPU time that it and the descendants it waited for took.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// As wait(2) has it.
    pub status: i32,
    /// Microseconds in user mode.
    pub user_us: u64,
    /// Microseconds in the kernel.
    pub system_us: u64,
}

/// `waitid(2)` of a child by its pidfd, with its `struct rusage`: waits for its end and reaps it. Linux 5.4.
///
/// The peak of memory in it is left out: a child that began in its caller's memory has the caller's.
#[inline(always)]
pub fn wait(pidfd: Fd) -> Result<Waited> {
    const P_PIDFD: usize = 3;
    const WEXITED: usize = 4;
    const CLD_EXITED: i32 = 1;
    const CLD_DUMPED: i32 = 3;
    // struct siginfo: signo, errno, code, padding, pid, uid, status; 128 bytes.
    let mut info = [0i32; 32];
    // struct rusage: user and system time, each seconds and microseconds; 144 bytes.
    let mut usage = [0u64; 18];
    // SAFETY: both are as large as the kernel's structures and live for the length of the call.
    unsafe { call!(__NR_waitid, P_PIDFD, pidfd.arg(), info.as_mut_ptr(), WEXITED, usage.as_mut_ptr()) }?;
    let (code, value) = (info[2], info[6]);
    let status = match code {
        CLD_EXITED => value << 8,
        CLD_DUMPED => value | 0x80,
        _ => value,
    };
    let [user_s, user_us, system_s, system_us, ..] = usage;
    Ok(Waited {
        status,
        user_us: user_s.wrapping_mul(1_000_000).wrapping_add(user_us),
        system_us: system_s.wrapping_mul(1_000_000).wrapping_add(system_us),
    })
}
