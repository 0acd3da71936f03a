//! Making the process: `clone3(2)`, `clone(2)`, and the futex that tells when shared memory is free again.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::raw::general as k;
use crate::{Errno, Fd, Result, arch, call};

pub use k::{
    CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
    CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_PARENT, CLONE_PIDFD, CLONE_VM,
};

/// Reset every handler to the default in the child; what is ignored stays so. Linux 5.5, clone3 only.
pub const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// Be born in the cgroup of [`CloneArgs::cgroup`]. Linux 5.7, clone3 only.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args`, clone(2).
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
#[allow(missing_docs, reason = "the fields of the man page")]
pub struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

/// Bytes of [`CloneArgs`] up to `tls`: what Linux 5.3 knows. Longer forms are refused there with E2BIG.
const CLONE_ARGS_SIZE_VER0: usize = 64;

/// Clones with `clone3` and starts `entry(data)` in the child; answers the child's pid. Linux 5.3.
///
/// # Safety
/// As [`arch::clone3_onto`].
#[inline(always)]
pub unsafe fn clone3(arguments: &CloneArgs, entry: arch::Entry, data: *mut c_void) -> Result<i32> {
    let size = if arguments.flags & CLONE_INTO_CGROUP != 0 { size_of::<CloneArgs>() } else { CLONE_ARGS_SIZE_VER0 };
    // SAFETY: `arguments` is a live struct clone_args of at least `size` bytes; the rest is the caller's promise.
    let pid = unsafe { arch::clone3_onto((&raw const *arguments).cast(), size, entry, data) };
    Errno::check(pid).map(|pid| pid as i32)
}

/// Clones with `clone(2)`: the flags that only clone3 has must not be set. The pidfd is stored where
/// `arguments.pidfd` points, if `CLONE_PIDFD` (Linux 5.2) is among the flags.
///
/// # Safety
/// As [`arch::clone_onto`].
#[inline(always)]
pub unsafe fn clone_legacy(arguments: &CloneArgs, entry: arch::Entry, data: *mut c_void) -> Result<i32> {
    let flags = (arguments.flags | arguments.exit_signal) as usize;
    let top = if arguments.stack == 0 { 0 } else { (arguments.stack + arguments.stack_size) as usize };
    // SAFETY: clone(2) stores the pidfd at parent_tid and clears child_tid; both are the caller's live words.
    let pid = unsafe {
        arch::clone_onto(flags, top, arguments.pidfd as *mut i32, arguments.child_tid as *mut i32, entry, data)
    };
    Errno::check(pid).map(|pid| pid as i32)
}

/// What `clone3` with no arguments answers: EINVAL where it may be called, ENOSYS or EPERM where the kernel or a
/// seccomp filter refuses it.
#[inline(always)]
pub fn clone3_refusal() -> Errno {
    // SAFETY: a null argument of size 0 is refused before anything is read or cloned.
    match unsafe { call!(__NR_clone3, 0, 0) } {
        Err(errno) => errno,
        Ok(_) => Errno::EINVAL,
    }
}

/// What `clone3` answers to `CLONE_INTO_CGROUP` with a descriptor that is none: EBADF where it is known (Linux 5.7),
/// E2BIG or EINVAL before, ENOSYS or EPERM where clone3 itself is refused.
#[inline(always)]
pub fn into_cgroup_refusal() -> Errno {
    let arguments = CloneArgs {
        // All shared: the kernel has little to undo when it comes to the descriptor.
        flags: CLONE_INTO_CGROUP | u64::from(CLONE_VM | k::CLONE_FS | k::CLONE_FILES),
        // Above every number that a process can have (fs.nr_open ends below).
        cgroup: i32::MAX as u64,
        ..CloneArgs::default()
    };
    // SAFETY: a live struct clone_args. The descriptor is none, so that no process comes of it: one would run on
    // this stack.
    match unsafe { call!(__NR_clone3, &raw const arguments, size_of::<CloneArgs>()) } {
        Err(errno) => errno,
        Ok(_) => Errno::EBADF,
    }
}

/// `fork`, but the new process is the *caller's parent's* child (`CLONE_PARENT`): 0 in the child.
///
/// # Safety
/// Both sides go on from here with a copy of the memory; only a process that does not share it may call this.
#[inline(always)]
pub unsafe fn fork_sibling() -> Result<i32> {
    // SAFETY: no stack and no pointers are passed: the child goes on with a copy of this stack.
    unsafe { call!(__NR_clone, CLONE_PARENT, 0, 0, 0, 0) }.map(|pid| pid as i32)
}

/// `setns(2)`: enters the namespace behind `fd`; `kind` is its `CLONE_NEW…` flag, or 0 for any.
#[inline(always)]
pub fn setns(fd: Fd, kind: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_setns, fd.arg(), kind) }.map(drop)
}

/// `unshare(2)`.
#[inline(always)]
pub fn unshare(flags: u32) -> Result<()> {
    // SAFETY: no pointers are passed; CLONE_VM and CLONE_SIGHAND only fail for a thread that shares them.
    unsafe { call!(__NR_unshare, flags) }.map(drop)
}

/// Sleeps until the kernel has cleared `word` (CLONE_CHILD_CLEARTID), futex(2).
///
/// The kernel wakes without `FUTEX_PRIVATE_FLAG`, so the wait may not use it either.
///
/// The kernel clears it with a plain store when it takes the child's memory away, so on a processor that reorders stores `Acquire`
/// alone does not order what the child has written before. Whoever uses that memory again has to have passed a lock of the
/// kernel's that the child passed later than the store: its socket's end of file, or [`crate::signal::reap`].
#[inline(always)]
pub fn wait_cleared(word: &AtomicU32) {
    loop {
        let value = word.load(Ordering::Acquire);
        if value == 0 {
            return;
        }
        // SAFETY: `word` is a live, aligned u32 and a null timeout means for ever.
        let _ = unsafe { call!(__NR_futex, word.as_ptr(), k::FUTEX_WAIT, value, 0, 0, 0) };
    }
}

/// The same for at most so many seconds; whether it is cleared.
#[inline(always)]
pub fn wait_cleared_within(word: &AtomicU32, seconds: u32) -> bool {
    let timeout = [seconds as usize, 0];
    let mut tries = 0;
    loop {
        let value = word.load(Ordering::Acquire);
        // A signal's handler cuts a wait short, and there is no end of those.
        if value == 0 || tries > 100 {
            return value == 0;
        }
        tries += 1;
        // SAFETY: `word` is a live, aligned u32, and the timeout a struct timespec.
        let answer = unsafe { call!(__NR_futex, word.as_ptr(), k::FUTEX_WAIT, value, timeout.as_ptr(), 0, 0) };
        if answer == Err(Errno::ETIMEDOUT) {
            return word.load(Ordering::Acquire) == 0;
        }
    }
}
