//! What the command is lent of its caller's: terminals and streams that are the shell's again when it has ended.
//!
//! A terminal's modes and a stream's O_NONBLOCK are of whoever has it open, not of a process: what a command leaves there meets the
//! next program. (A window's size is left: its user may have changed it meanwhile.) A shell undoes some of it, and only for jobs of its
//! own that a signal has ended.

use std::os::fd::BorrowedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{Action, OptionalActions, Termios, ioctl_tiocnxcl, tcflow, tcgetattr, tcgetpgrp, tcsetattr};

/// As they were before the command; put back when this goes.
pub(crate) struct Lent {
    flags: Vec<(BorrowedFd<'static>, OFlags)>,
    terminal: Option<Terminal>,
}

struct Terminal {
    stream: BorrowedFd<'static>,
    modes: Termios,
    exclusive: bool,
}

impl Lent {
    pub(crate) fn note() -> Lent {
        let streams = [stdin(), stdout(), stderr()];
        let flags = streams.iter().filter_map(|stream| Some((*stream, fcntl_getfl(stream).ok()?))).collect();
        Lent { flags, terminal: streams.into_iter().find_map(Terminal::of) }
    }
}

impl Terminal {
    /// In the background it is somebody else's by now.
    fn of(stream: BorrowedFd<'static>) -> Option<Terminal> {
        let modes = tcgetattr(stream).ok()?;
        is_foreground(stream).then(|| Terminal { stream, modes, exclusive: is_exclusive() })
    }

    fn put_back(&self) {
        if !is_foreground(self.stream) {
            return;
        }
        if !self.exclusive {
            let _ = ioctl_tiocnxcl(self.stream);
        }
        // Stopped, it takes nothing of what is said from here on, and no key undoes that (TCOOFF is not ^S).
        let _ = tcflow(self.stream, Action::OOn);
        let same = |now: &Termios| format!("{now:?}") == format!("{:?}", self.modes);
        if tcgetattr(self.stream).is_ok_and(|now| !same(&now)) {
            let _ = tcsetattr(self.stream, OptionalActions::Now, &self.modes);
        }
    }
}

fn is_foreground(stream: BorrowedFd<'_>) -> bool {
    tcgetpgrp(stream).is_ok_and(|group| group == getpgrp())
}

/// TIOCEXCL, ioctl_tty(2): nobody but root opens it anew.
fn is_exclusive() -> bool {
    let opened = open("/dev/tty", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, rustix::fs::Mode::empty());
    opened.err() == Some(Errno::BUSY)
}

impl Drop for Lent {
    fn drop(&mut self) {
        for (stream, flags) in &self.flags {
            if fcntl_getfl(stream).is_ok_and(|now| now != *flags) {
                let _ = fcntl_setfl(stream, *flags);
            }
        }
        if let Some(terminal) = &self.terminal {
            terminal.put_back();
        }
    }
}
