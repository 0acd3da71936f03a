//! Opening files, which may keep whoever does it waiting (a FIFO's other end, a lease, a server), and giving that up.
//!
//! Nothing ends such a call but a signal with a handler. One of the real-time signals that nobody in this process has a
//! handler for is taken; it is sent to the one thread that opens, and to nobody else.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// As fopen(3) makes files.
const MODE: u32 = 0o666;
/// Between the call and its look at whether it is given up a signal would be lost.
const AGAIN: Duration = Duration::from_millis(5);
const ATTEMPTS: usize = 400;

/// What one thread opens, one after the other.
#[derive(Default)]
pub(crate) struct Opening {
    given_up: AtomicBool,
    /// The thread, as long as it is at it.
    thread: Mutex<Option<i32>>,
}

impl Opening {
    fn thread(&self) -> MutexGuard<'_, Option<i32>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    /// Opens it; ECANCELED once that is given up.
    pub(crate) fn open(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        *self.thread() = Some(rustix::thread::gettid().as_raw_nonzero().get());
        let opened = loop {
            if self.is_given_up() {
                break Err(Errno::CANCELED);
            }
            match open(path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(MODE)) {
                Err(Errno::INTR) => {}
                opened => break opened,
            }
        };
        *self.thread() = None;
        opened.map_err(io::Error::from)
    }

    /// Ends what is being opened; whether it has ended. It blocks, if only for a moment.
    pub(crate) fn give_up(&self) -> bool {
        self.given_up.store(true, Ordering::SeqCst);
        for _ in 0..ATTEMPTS {
            {
                let thread = self.thread();
                let Some(thread) = *thread else { return true };
                interrupt(thread);
            }
            std::thread::sleep(AGAIN);
        }
        false
    }
}

/// The real-time signals, without those that C libraries and debuggers take from either end.
const CHOICE: std::ops::Range<i32> = 40..60;

extern "C" fn nothing(_: i32) {}

/// A signal with a handler that does nothing, if there is one that nobody else has.
fn signal() -> Option<i32> {
    static SIGNAL: OnceLock<Option<i32>> = OnceLock::new();
    *SIGNAL.get_or_init(|| CHOICE.rev().find(|signal| take(*signal)))
}

#[expect(unsafe_code, reason = "handlers are the C library's")]
fn take(signal: i32) -> bool {
    // SAFETY: all zeroes is an action: the default one, without a mask and without SA_RESTART, so that calls end.
    let (mut old, mut new): (libc::sigaction, libc::sigaction) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: the kernel writes to `old`, which lives on this stack.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut old) } == 0;
    if !known || old.sa_sigaction != libc::SIG_DFL {
        return false;
    }
    new.sa_sigaction = nothing as extern "C" fn(i32) as usize;
    // SAFETY: the handler does nothing, which any thread may do at any moment.
    unsafe { libc::sigaction(signal, &raw const new, std::ptr::null_mut()) == 0 }
}

#[expect(unsafe_code, reason = "one thread of this process")]
fn interrupt(thread: i32) {
    let Some(signal) = signal() else { return };
    // SAFETY: it touches no memory; the thread is there, as it takes itself out under the lock that is held.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
}
