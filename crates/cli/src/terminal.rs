//! `--tty`: this terminal, connected to the container's.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};

use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use seclude::Child;

use crate::signals::hold;
use crate::watch::Watch;

/// Rows and columns of the terminal that seclude runs in. Many have none: those of expect(1), script(1), serial lines.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size: Winsize = tcgetwinsize(stdout()).or_else(|_| tcgetwinsize(stdin())).ok()?;
    (size.ws_row != 0 && size.ws_col != 0).then_some((size.ws_row, size.ws_col))
}

/// Whether another job has the terminal that is stdin: who reads from it, or sets its mode, is stopped by the kernel (SIGTTIN,
/// SIGTTOU), as long as it is of the terminal's session.
pub(crate) fn is_anothers() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|foreground| foreground != getpgrp())
}

/// Raw mode of this terminal, as long as it lives and another job has it not.
struct Raw(Option<Termios>);

impl Raw {
    fn enter() -> io::Result<Raw> {
        if !isatty(stdin()) || is_anothers() {
            return Ok(Raw(None));
        }
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Raw(Some(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = self.0.as_ref().filter(|_| !is_anothers()) {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

/// Copies between this terminal and the container's `master` until the command has ended and all it wrote is shown, or nobody
/// reads what is shown any more (EPIPE). `master` is closed then: a terminal that is gone.
pub(crate) fn relay(child: &mut Child, mut master: File, watch: &mut Watch) -> io::Result<()> {
    // SIGCHLD tells of a command that has stopped, where no init does.
    let resized = hold(&[Signal::SIGWINCH, Signal::SIGCHLD])?;
    let mut raw = Raw::enter()?;
    watch.signals.has_terminal = true;
    // A full terminal takes no more until what it has to say is read: waiting in a write would be for ever.
    fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
    let (mut typing, mut within_line) = (true, false);
    // Nobody has the other end open just now; a process of its session may open it again.
    let mut unused = false;
    let mut typed: Vec<u8> = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let ended = child.try_wait().map_err(io::Error::from)?.is_some();
        let shown_by = (!unused || ended).then_some(&master);
        // What is typed for another job is not read: who is of the terminal's session would be stopped for it.
        let reads = typing && (raw.0.is_some() || !is_anothers());
        let [keys, shown, resize] = wait(child, shown_by, watch, &resized, (reads, !typed.is_empty()), ended)?;
        unused = false;
        watch.attend(child);
        if !ended && child.stopped().is_some() {
            // The keyboard's signal came to the command's terminal alone: here it stops the job that shows it.
            drop(raw);
            watch.signals.stop_too(child);
            raw = Raw::enter()?;
            show_size(&master)?;
        } else if raw.0.is_none() {
            raw = Raw::enter()?;
        }
        if resize {
            while let Ok(Some(_)) = resized.read_signal() {}
            show_size(&master)?;
        }
        if keys {
            match rustix::io::read(stdin(), &mut buffer) {
                Ok(read) if read > 0 => {
                    typed.extend_from_slice(&buffer[..read]);
                    within_line = buffer[read - 1] != b'\n';
                }
                Err(Errno::INTR) => {}
                // End of input is a control character to a terminal; within a line the first only ends that.
                _ => {
                    typing = false;
                    typed.extend(if within_line { &[4, 4][..] } else { &[4] });
                }
            }
        }
        if !typed.is_empty() {
            match master.write(&typed) {
                Ok(written) => drop(typed.drain(..written)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // Nobody has the other end open any more; what it wrote before is still to be read.
                Err(_) => typed.clear(),
            }
        }
        if shown {
            let closed = |error: &io::Error| error.raw_os_error() == Some(Errno::IO.raw_os_error());
            // The kernel looks whether the other end is closed after whether there is anything to read (n_tty_read):
            // what was written in between is there for another read.
            let read = master.read(&mut buffer).or_else(|error| match closed(&error) {
                true => master.read(&mut buffer),
                false => Err(error),
            });
            match read {
                Ok(read) if read > 0 => {
                    show(&buffer[..read])?;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // As above, and all has been read.
                Err(error) if !closed(&error) => return Err(error),
                _ if ended => return Ok(()),
                _ => unused = true,
            }
        } else if ended {
            return Ok(());
        }
    }
}

/// All of it, also where whoever shares this output has made it O_NONBLOCK.
fn show(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(&stdout(), PollFlags::OUT)], None)),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Gives the command's terminal the size of this one.
fn show_size(master: &File) -> io::Result<()> {
    let Some((ws_row, ws_col)) = size() else { return Ok(()) };
    Ok(tcsetwinsize(master, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 })?)
}

/// How long a terminal that nobody has open is not looked at: the kernel tells of that for ever, and of the next one that opens it never.
const UNUSED: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Waits until there is something to do: whether a key was typed, something is to be shown, the window has a new size.
fn wait(
    child: &Child,
    master: Option<&File>,
    watch: &Watch,
    resized: &SignalFd,
    (typing, pending): (bool, bool),
    ended: bool,
) -> io::Result<[bool; 3]> {
    // What is not waited for is not polled: a hang-up is told whether it was asked for or not, for ever.
    let typing = typing && !pending;
    let out = if pending { PollFlags::OUT } else { PollFlags::empty() };
    let mut polled =
        vec![PollFd::new(resized, PollFlags::IN), PollFd::from_borrowed_fd(watch.signals.wake(), PollFlags::IN)];
    polled.extend(master.map(|master| PollFd::new(master, PollFlags::IN | out)));
    if !ended {
        polled.push(PollFd::from_borrowed_fd(child.pidfd(), PollFlags::IN));
        polled.extend(child.stop_notice().map(|notice| PollFd::from_borrowed_fd(notice, PollFlags::IN)));
    }
    if typing {
        // What was typed goes first, so that it cannot pile up.
        polled.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
    }
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let left = if ended { Some(now) } else { watch.time_left(child) };
    let left = match left {
        Some(left) if master.is_none() && (left.tv_sec, left.tv_nsec) > (UNUSED.tv_sec, UNUSED.tv_nsec) => Some(UNUSED),
        None if master.is_none() => Some(UNUSED),
        left => left,
    };
    match poll(&mut polled, left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let came = |fd: &PollFd<'_>| fd.revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
    let shown = master.is_some() && polled.get(2).is_some_and(came);
    Ok([typing && polled.last().is_some_and(came), shown, polled.first().is_some_and(came)])
}
