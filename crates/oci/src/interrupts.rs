//! Signals that have a command given up: what waits for others - a hook, a listener, a file system - ends its wait, and all is undone.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use seclude::{Canceller, Code};

use crate::failure::{Failure, Result};

const ENDING: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// Signals are the process's, and so is whoever reads them.
static HELD: OnceLock<SignalFd> = OnceLock::new();

/// From here on they end no more than what is waited for. Before any thread is there; what is started has none of it.
pub(crate) fn hold() -> Result<()> {
    let failed = |errno: nix::Error| Failure::of("signals", std::io::Error::from(errno));
    let ignored = ignored();
    // nohup(1) and shells have some ignored, which is to stay so.
    let meant = |signal: &Signal| ignored >> (*signal as i32 - 1) & 1 == 0;
    let set: SigSet = ENDING.into_iter().filter(meant).collect();
    set.thread_block().map_err(failed)?;
    let come = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
    let _ = HELD.set(come);
    Ok(())
}

/// As a set of bits, proc_pid_status(5).
pub(crate) fn ignored() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

/// Readable once one has come; `None` where none is held.
pub(crate) fn descriptor() -> Option<BorrowedFd<'static>> {
    HELD.get().map(AsFd::as_fd)
}

/// What ends a start once one has come.
pub(crate) fn canceller() -> Result<Option<Canceller>> {
    let again = |held: BorrowedFd<'_>| held.try_clone_to_owned().map(Canceller::when_readable);
    descriptor().map(again).transpose().map_err(|error| Failure::of("signals", error))
}

/// The one that has come, if one has. It is taken: what is then undone waits for others as well, and only the next ends that.
pub(crate) fn take() -> Option<Failure> {
    let come = HELD.get()?.read_signal().ok().flatten()?;
    let name = i32::try_from(come.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
    Some(Failure::new(format!("given up because of {}", name.map_or("a signal", Signal::as_str))))
}

/// What a thread comes to, which may wait for what no signal ends: then one ends the wait for it. `None` if it takes longer than that.
pub(crate) fn wait_for<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>> {
    let (answers, answer) = sync_channel(1);
    let thread = std::thread::Builder::new().spawn(move || drop(answers.send(work())));
    let thread = thread.map_err(|error| Failure::of("a thread that asks", error))?;
    let began = Instant::now();
    loop {
        match answer.recv_timeout(Duration::from_millis(20)) {
            Ok(answer) => {
                // What follows may be for processes of one thread alone, setns(2).
                let _ = thread.join();
                return Ok(Some(answer));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(by) = take() {
                    return Err(by);
                }
                if began.elapsed() > patience {
                    return Ok(None);
                }
            }
        }
    }
}

/// Why a start failed, with the signal that ended it, if one did.
pub(crate) fn explain(error: seclude::Error, otherwise: impl FnOnce(seclude::Error) -> Failure) -> Failure {
    let by = (error.code() == Code::Cancelled).then(take).flatten();
    match by {
        Some(by) => by.and(error),
        None => otherwise(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_waited_for_without_an_end() {
        assert_eq!(wait_for(Duration::from_secs(20), || 7).unwrap(), Some(7));
        let slow = || std::thread::sleep(Duration::from_secs(3));
        assert_eq!(wait_for(Duration::from_millis(50), slow).unwrap(), None);
    }
}
