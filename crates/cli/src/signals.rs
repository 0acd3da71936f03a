//! Signals that seclude gets are meant for the command. SIGPIPE is not among them: it speaks of seclude's own output, and
//! the handler would raise it again by waking a reader that is gone.
//!
//! No thread: where a seccomp filter answers EPERM to clone3, glibc can make none.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use seclude::Child;
use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::{flag, low_level::pipe};

const FORWARDED: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM];

/// Signals that came and wait to be handed on.
pub(crate) struct Forwarder {
    /// Readable when one has come.
    wake: UnixStream,
    come: Vec<(i32, Arc<AtomicBool>)>,
    ended_by: Option<i32>,
}

impl Forwarder {
    /// From here on signals wait for [`Self::deliver`].
    pub(crate) fn new() -> io::Result<Forwarder> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let mut come = Vec::new();
        for signal in FORWARDED {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag first: who is woken looks at it.
            flag::register(signal, flag.clone())?;
            pipe::register(signal, waker.try_clone()?)?;
            come.push((signal, flag));
        }
        Ok(Forwarder { wake, come, ended_by: None })
    }

    /// To poll for: readable when a signal waits.
    pub(crate) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Hands on what has come.
    ///
    /// The kernel drops a signal for the first process of a pid namespace if that has no handler for it, where any
    /// other process would end: a `sleep` could not be interrupted. So what would have ended it ends the container.
    pub(crate) fn deliver(&mut self, child: &Child) {
        // One that comes after this read wakes again.
        while matches!((&self.wake).read(&mut [0; 64]), Ok(1..)) {}
        for (signal, come) in &self.come {
            if !come.swap(false, Ordering::Relaxed) {
                continue;
            }
            // A process that has ended meanwhile needs no signal.
            if leaves_it_to_the_default(child.id(), *signal) == Some(true) {
                self.ended_by.get_or_insert(*signal);
                let _ = child.signal(SIGKILL);
            } else {
                let _ = child.signal(*signal);
            }
        }
    }

    /// The signal that ended the container because its command had no handler for it.
    pub(crate) fn ended_by(&self) -> Option<i32> {
        self.ended_by
    }
}

/// Whether process `pid` is the first of a pid namespace and neither catches, blocks nor ignores `signal`.
fn leaves_it_to_the_default(pid: u32, signal: i32) -> Option<bool> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let is_first = field("NSpid:")?.split_whitespace().next_back() == Some("1") && pid != 1;
    let mask = |name| u64::from_str_radix(field(name)?, 16).ok();
    let spoken_for = mask("SigCgt:")? | mask("SigIgn:")? | mask("SigBlk:")?;
    Some(is_first && spoken_for & (1 << (signal - 1)) == 0)
}
