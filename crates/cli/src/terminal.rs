//! `--tty`: this terminal, connected to the container's.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::getpgrp;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{
    LocalModes, OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use seclude::{Cause, Child};

use crate::signals::hold;
use crate::watch::Watch;

/// Rows and columns of the terminal that seclude runs in. Many have none: those of expect(1), script(1), serial lines.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size: Winsize = tcgetwinsize(stdout()).or_else(|_| tcgetwinsize(stdin())).ok()?;
    (size.ws_row != 0 && size.ws_col != 0).then_some((size.ws_row, size.ws_col))
}

/// Whether this process has a controlling terminal, tty(4): with one, somebody sits there who can have a job go on.
pub(crate) fn is_there() -> bool {
    const ENXIO: i32 = 6;
    std::fs::File::open("/dev/tty").map_or_else(|error| error.raw_os_error() != Some(ENXIO), |_| true)
}

/// Whether another job has the terminal that is stdin: who reads from it, or sets its mode, is stopped by the kernel (SIGTTIN,
/// SIGTTOU), as long as it is of the terminal's session.
pub(crate) fn is_anothers() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|foreground| foreground != getpgrp())
}

/// The same of stdin, stdout and stderr.
pub(crate) fn are_anothers() -> [bool; 3] {
    [stdin(), stdout(), stderr()].map(|stream| tcgetpgrp(stream).is_ok_and(|foreground| foreground != getpgrp()))
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

/// What is shown, in an open file of its own: its flags are nobody else's, and who does not read holds nobody up.
struct Screen {
    stdout: OwnedFd,
    /// Of a file that cannot be opened anew: asked before each write.
    asked: bool,
    pending: Vec<u8>,
}

impl Screen {
    fn open() -> io::Result<Screen> {
        let own = || {
            let kind = FileType::from_raw_mode(fstat(stdout())?.st_mode);
            if !matches!(kind, FileType::CharacterDevice | FileType::Fifo) {
                return Err(Errno::NXIO);
            }
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            rustix::fs::open("/proc/self/fd/1", flags, Mode::empty())
        };
        match own() {
            Ok(stdout) => Ok(Screen { stdout, asked: false, pending: Vec::new() }),
            Err(_) => Ok(Screen { stdout: fcntl_dupfd_cloexec(stdout(), 3)?, asked: true, pending: Vec::new() }),
        }
    }

    /// Whether whoever reads takes any within a moment: nobody else is waited for once the command was killed.
    fn is_read(&mut self) -> io::Result<bool> {
        let before = self.pending.len();
        let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let _ = poll(&mut [PollFd::new(&self.stdout, PollFlags::OUT)], Some(&moment));
        self.show()?;
        Ok(self.pending.len() < before)
    }

    /// As much as it takes now.
    fn show(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            let mut polled = [PollFd::new(&self.stdout, PollFlags::OUT)];
            if self.asked && poll(&mut polled, Some(&Timespec::default())) != Ok(1) {
                return Ok(());
            }
            // As much as a pipe takes whole once it takes any, pipe(7).
            let most = if self.asked { 4096 } else { usize::MAX }.min(self.pending.len());
            match rustix::io::write(&self.stdout, &self.pending[..most]) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// What a terminal takes for the end of input, where it is at the beginning of a line.
const END_OF_INPUT: u8 = 4;

/// By lines, with an end of input, or each key by itself; and whether it shows them. What was typed before that changes is lost for
/// whoever changed it, the end of input among that: a shell that edits its lines makes it no end (n_tty_set_termios), and one who asks for a
/// password throws it away.
fn manner(master: &File) -> Option<LocalModes> {
    tcgetattr(master).ok().map(|modes| modes.local_modes & (LocalModes::ICANON | LocalModes::ECHO))
}

/// How much is shown of a command that has ended: more than a terminal holds. Whoever it has handed its end to may write for ever.
const MOST_AFTERWARDS: usize = 256 * 1024;

/// Copies between this terminal and the container's `master` until the command has ended and all it wrote is shown, or nobody
/// reads what is shown any more (EPIPE). `master` is closed then: a terminal that is gone.
///
/// Answers whether all is shown: not where the deadline came before whoever reads.
pub(crate) fn relay(child: &mut Child, mut master: File, watch: &mut Watch) -> io::Result<bool> {
    // SIGCHLD tells of a command that has stopped, where no init does.
    let stopped = hold(&[Signal::SIGCHLD])?;
    let mut raw = Raw::enter()?;
    watch.signals.has_terminal = true;
    // A full terminal takes no more until what it has to say is read: waiting in a write would be for ever.
    fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
    let (mut typing, mut within_line) = (true, false);
    // How the terminal was when the end of what is typed was written to it.
    let mut told_in = None;
    // Nobody has the other end open just now; a process of its session may open it again.
    let mut unused = false;
    let mut typed: Vec<u8> = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let (mut screen, mut afterwards, mut is_known) = (Screen::open()?, 0, false);
    // A signal that came when the command had ended, before that was seen here.
    let mut too_late = None;
    loop {
        let exit = child.try_wait().map_err(io::Error::from)?;
        let ended = exit.is_some();
        if ended && !std::mem::replace(&mut is_known, true) {
            too_late = watch.attend(child, true);
        }
        if let Some(exit) = &exit {
            let is_killed = matches!(exit.cause(), Cause::Deadline | Cause::Killed);
            let is_late = child.time_left().is_some_and(|left| left.is_zero());
            if afterwards > MOST_AFTERWARDS {
                return Ok(true);
            }
            if !screen.pending.is_empty() && (is_killed || is_late) && !screen.is_read()? {
                return Ok(is_killed);
            }
            if let Some(signal) = too_late.filter(|_| !screen.pending.is_empty())
                && !screen.is_read()?
            {
                watch.signals.give_up(signal);
                return Ok(true);
            }
        }
        let shown_by = (!unused || ended).then_some(&master);
        // What is typed for another job is not read: who is of the terminal's session would be stopped for it.
        let reads = typing && (raw.0.is_some() || !is_anothers());
        // What waits to be shown goes first.
        let was_asked = screen.pending.is_empty();
        let [keys, shown] = wait(child, shown_by, watch, &stopped, &screen, (reads, !typed.is_empty()), ended)?;
        while let Ok(Some(_)) = stopped.read_signal() {}
        screen.show()?;
        unused = false;
        let come = watch.attend(child, ended);
        if let Some(signal) = come.filter(|_| ended && !screen.pending.is_empty()) {
            watch.signals.give_up(signal);
            return Ok(true);
        }
        if !ended && child.stopped().is_some() {
            // The keyboard's signal came to the command's terminal alone: here it stops the job that shows it.
            drop(raw);
            watch.signals.stop_too(child);
            raw = Raw::enter()?;
            show_size(&master)?;
        } else if raw.0.is_none() {
            raw = Raw::enter()?;
        }
        if watch.signals.take_resized() {
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
                    typed.extend(std::iter::repeat_n(END_OF_INPUT, if within_line { 2 } else { 1 }));
                }
            }
        }
        if !typed.is_empty() {
            if !typing {
                told_in = manner(&master);
            }
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
                    screen.pending.extend_from_slice(&buffer[..read]);
                    screen.show()?;
                    afterwards += if ended { read } else { 0 };
                    // Whoever has just begun to read in another manner, as a prompt tells, finds the end as well.
                    if !typing && typed.is_empty() && manner(&master) != told_in {
                        typed.push(END_OF_INPUT);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && ended => return Ok(true),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // As above, and all has been read.
                Err(error) if !closed(&error) => return Err(error),
                _ if ended => return Ok(true),
                _ => unused = true,
            }
        } else if ended && was_asked {
            return Ok(true);
        }
    }
}

/// Gives the command's terminal the size of this one.
fn show_size(master: &File) -> io::Result<()> {
    let Some((ws_row, ws_col)) = size() else { return Ok(()) };
    Ok(tcsetwinsize(master, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 })?)
}

/// How long a terminal that nobody has open is not looked at: the kernel tells of that for ever, and of the next one that opens it never.
const UNUSED: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Waits until there is something to do: whether a key was typed, something is to be shown.
fn wait(
    child: &Child,
    master: Option<&File>,
    watch: &Watch,
    stopped: &SignalFd,
    screen: &Screen,
    (typing, pending): (bool, bool),
    ended: bool,
) -> io::Result<[bool; 2]> {
    let shows = !screen.pending.is_empty();
    // What is not waited for is not polled: a hang-up is told whether it was asked for or not, for ever.
    let typing = typing && !pending;
    let out = if pending { PollFlags::OUT } else { PollFlags::empty() };
    // What is shown goes first, so that it cannot pile up either.
    let input = if shows { PollFlags::empty() } else { PollFlags::IN };
    let master = master.filter(|_| !shows || (pending && !ended));
    let mut polled =
        vec![PollFd::new(stopped, PollFlags::IN), PollFd::from_borrowed_fd(watch.signals.wake(), PollFlags::IN)];
    polled.extend(master.map(|master| PollFd::new(master, input | out)));
    if !ended {
        polled.push(PollFd::from_borrowed_fd(child.end_notice(), PollFlags::IN));
        polled.extend(child.stop_notice().map(|notice| PollFd::from_borrowed_fd(notice, PollFlags::IN)));
    }
    if shows {
        polled.push(PollFd::new(&screen.stdout, PollFlags::OUT));
    }
    if typing {
        // What was typed goes first, so that it cannot pile up.
        polled.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
    }
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let left = if ended && !shows { Some(now) } else { watch.time_left(child) };
    let left = match left {
        _ if shows && ended => left,
        Some(left) if master.is_none() && (left.tv_sec, left.tv_nsec) > (UNUSED.tv_sec, UNUSED.tv_nsec) => Some(UNUSED),
        None if master.is_none() => Some(UNUSED),
        left => left,
    };
    match poll(&mut polled, left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let came = |fd: &PollFd<'_>| fd.revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
    let shown = !shows && master.is_some() && polled.get(2).is_some_and(came);
    Ok([typing && polled.last().is_some_and(came), shown])
}
