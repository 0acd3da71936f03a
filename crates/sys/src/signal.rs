//! Signals: the mask around the clone, and the default dispositions that `CLONE_CLEAR_SIGHAND` would give.

use crate::{Errno, Fd, Result, call};

/// A set of signals, a bit for each: signal N is bit N-1, as the kernel's `sigset_t`.
pub type SignalSet = u64;

const SET_SIZE: usize = size_of::<SignalSet>();
const SIG_SETMASK: usize = 2;

/// `rt_sigprocmask(2)`; answers the mask before.
#[inline(always)]
pub fn set_mask(mask: SignalSet) -> Result<SignalSet> {
    let mut before: SignalSet = 0;
    // SAFETY: both are sets of the size that is passed.
    unsafe { call!(__NR_rt_sigprocmask, SIG_SETMASK, &raw const mask, &raw mut before, SET_SIZE) }?;
    Ok(before)
}

/// Keeps SIGXFSZ from the calling thread while it lives, and what of it came meanwhile: a write beyond RLIMIT_FSIZE answers
/// EFBIG, and does not end the process, setrlimit(2).
pub struct FileSizeSignal {
    /// The mask to go back to, if the signal was not blocked already.
    before: Option<SignalSet>,
}

static SIGXFSZ: SignalSet = 1 << (25 - 1);

impl FileSizeSignal {
    /// From here on.
    pub fn hold() -> FileSizeSignal {
        const SIG_BLOCK: usize = 0;
        let mut before: SignalSet = 0;
        // SAFETY: both are sets of the size that is passed.
        let held = unsafe { call!(__NR_rt_sigprocmask, SIG_BLOCK, &raw const SIGXFSZ, &raw mut before, SET_SIZE) };
        FileSizeSignal { before: held.ok().map(|_| before).filter(|before| before & SIGXFSZ == 0) }
    }
}

impl Drop for FileSizeSignal {
    fn drop(&mut self) {
        let Some(before) = self.before else { return };
        let now = [0_i64; 2];
        // SAFETY: a set, no siginfo, and a `struct timespec` of zero: it does not wait.
        let _ = unsafe { call!(__NR_rt_sigtimedwait, &raw const SIGXFSZ, 0, &raw const now, SET_SIZE) };
        let _ = set_mask(before);
    }
}

/// `struct sigaction` as the kernel takes it on 64-bit architectures that have a restorer.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: SignalSet,
}

/// Gives `signal` its default disposition; EINVAL for SIGKILL and SIGSTOP, which have no other.
///
/// Only for a process with handlers of its own (no `CLONE_SIGHAND`): it would change the caller's otherwise.
#[inline(always)]
pub fn set_default(signal: u32) -> Result<()> {
    let action = Action::default();
    // SAFETY: an all-zero action is SIG_DFL; no old one is asked for.
    unsafe { call!(__NR_rt_sigaction, signal, &raw const action, 0, SET_SIZE) }.map(drop)
}

/// What becomes of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// `SIG_DFL`
    Default,
    /// `SIG_IGN`
    Ignored,
    /// A function of the program's.
    Handled,
}

/// The one of `signal`.
#[inline(always)]
pub fn disposition(signal: u32) -> Result<Disposition> {
    const SIG_IGN: usize = 1;
    let mut action = Action::default();
    // SAFETY: the kernel writes the current action; nothing is changed.
    unsafe { call!(__NR_rt_sigaction, signal, 0, &raw mut action, SET_SIZE) }?;
    Ok(match action.handler {
        0 => Disposition::Default,
        SIG_IGN => Disposition::Ignored,
        _ => Disposition::Handled,
    })
}

/// Whether `signal` is ignored.
#[inline(always)]
pub fn is_ignored(signal: u32) -> bool {
    disposition(signal) == Ok(Disposition::Ignored)
}

/// Whether a child's end is thrown away because SIGCHLD is ignored or has SA_NOCLDWAIT, waitid(2).
#[inline(always)]
pub fn children_are_forgotten() -> bool {
    const SIGCHLD: usize = 17;
    const SIG_IGN: usize = 1;
    const SA_NOCLDWAIT: u64 = 2;
    let mut action = Action::default();
    // SAFETY: the kernel writes the current action; nothing is changed.
    let answer = unsafe { call!(__NR_rt_sigaction, SIGCHLD, 0, &raw mut action, SET_SIZE) };
    answer.is_ok() && (action.handler == SIG_IGN || action.flags & SA_NOCLDWAIT != 0)
}

/// The same with a value beside it, as sigqueue(3) sends one: `SI_QUEUE`.
pub fn queue_to(pidfd: Fd, signal: u32, value: i32) -> Result<()> {
    const SI_QUEUE: i32 = -1;
    /// `struct siginfo` in numbers of four bytes: the signal, an error, the code; from the sixth place on pid, user and value.
    const VALUE: usize = 6;
    let mut info = [0i32; 32];
    (info[0], info[2], info[VALUE]) = (signal as i32, SI_QUEUE, value);
    // SAFETY: the kernel reads one siginfo, which has 128 bytes on every architecture.
    unsafe { call!(__NR_pidfd_send_signal, pidfd.arg(), signal, &raw const info, 0) }.map(drop)
}

/// `SIGPIPE`, signal(7).
pub const SIGPIPE: u32 = 13;

/// `SIGKILL`, signal(7).
pub const SIGKILL: u32 = 9;

/// `pidfd_send_signal(2)`: ESRCH once the process was reaped. Linux 5.1.
#[inline(always)]
pub fn send_to(pidfd: Fd, signal: u32) -> Result<()> {
    // SAFETY: no siginfo is passed.
    unsafe { call!(__NR_pidfd_send_signal, pidfd.arg(), signal, 0, 0) }.map(drop)
}

/// `__WALL` of waitid(2): children without an exit signal too.
pub const WALL: u32 = 0x4000_0000;

/// Waits for the end of a child by pidfd and throws its status away, waitid(2). Linux 5.4.
///
/// `__WALL`: until its exec a child of ours has no exit signal, and only that flag finds it.
#[inline(always)]
pub fn reap(pidfd: Fd) {
    const P_PIDFD: usize = 3;
    const WEXITED: usize = 4;
    loop {
        // SAFETY: neither siginfo nor rusage is asked for.
        let answer = unsafe { call!(__NR_waitid, P_PIDFD, pidfd.arg(), 0, WEXITED | WALL as usize, 0) };
        if answer != Err(Errno::EINTR) {
            return;
        }
    }
}
