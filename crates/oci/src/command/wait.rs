//! Waiting in the foreground: signals go on to the process, and so does what a terminal has.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::failure::{Failure, Result};

/// The caller's own terminal, without a keyboard of its own meanwhile.
struct Raw<'a>(BorrowedFd<'a>, Termios);

impl<'a> Raw<'a> {
    fn begin(terminal: BorrowedFd<'a>) -> Option<Raw<'a>> {
        let before = tcgetattr(terminal).ok().filter(|_| isatty(terminal))?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw).ok()?;
        Some(Raw(terminal, before))
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.0, OptionalActions::Now, &self.1);
    }
}

/// Until a child of this process ends; answers its exit status as a shell does.
pub(super) fn for_child(pid: i32, pidfd: BorrowedFd<'_>, terminal: Option<OwnedFd>) -> Result<u8> {
    if let Some(master) = terminal {
        relay(pidfd, &master)?;
    }
    for_ended(pid)
}

/// The same of one that ends, or has, by itself.
pub(super) fn for_ended(pid: i32) -> Result<u8> {
    let pid = Pid::from_raw(pid).ok_or_else(|| Failure::new("there is no process"))?;
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Failure::of("wait", errno)),
            Ok(None) => {}
            Ok(Some(status)) => {
                let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
                return Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255));
            }
        }
    }
}

/// Carries bytes both ways until the process has ended and all that it wrote is shown.
fn relay(pidfd: BorrowedFd<'_>, master: &OwnedFd) -> Result<()> {
    let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
    let stdin = stdin.as_fd();
    let _raw = Raw::begin(stdin);
    let mut size = None;
    let mut keyboard = true;
    let mut buffer = [0u8; 16 * 1024];
    loop {
        let now = tcgetwinsize(stdin).ok();
        if let Some(now) = now.filter(|now| Some((now.ws_row, now.ws_col)) != size) {
            size = Some((now.ws_row, now.ws_col));
            let _ = tcsetwinsize(master, now);
        }
        let mut polled = vec![PollFd::new(master, PollFlags::IN), PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        if keyboard {
            polled.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        }
        // A terminal says nothing of a new size without its signal, which nobody is told here.
        let moment = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
        match poll(&mut polled, Some(&moment)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Failure::of("poll", errno)),
        }
        let ready: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        if ready.first() == Some(&true) {
            match rustix::io::read(master, &mut buffer) {
                // EIO: nobody has the other end any more.
                Ok(0) | Err(rustix::io::Errno::IO) => return Ok(()),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(errno) => return Err(Failure::of("the terminal", errno)),
                Ok(read) => {
                    let shown = buffer.get(..read).unwrap_or_default();
                    let mut stdout = stdout.lock();
                    stdout
                        .write_all(shown)
                        .and_then(|()| stdout.flush())
                        .map_err(|error| Failure::of("stdout", error))?;
                    continue;
                }
            }
        }
        if ready.get(1) == Some(&true) {
            return Ok(());
        }
        if ready.get(2) == Some(&true) {
            match rustix::io::read(stdin, &mut buffer) {
                Ok(0) | Err(_) => {
                    keyboard = false;
                    // What a terminal takes for the end.
                    let _ = rustix::io::write(master, &[4]);
                }
                Ok(read) => {
                    let mut rest = buffer.get(..read).unwrap_or_default();
                    while let Ok(written @ 1..) = rustix::io::write(master, rest) {
                        rest = rest.get(written..).unwrap_or_default();
                    }
                }
            }
        }
    }
}
