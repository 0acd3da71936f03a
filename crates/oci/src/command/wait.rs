//! Waiting in the foreground: signals go on to the process, and so does what a terminal has.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use seclude::Signaller;

use crate::failure::{Failure, Result};
use crate::interrupts;

/// Those that are this process's own, whoever runs: what its own faults come to, its children's ends, and what a terminal says to whoever
/// asks it from the background. (Go's runtime sends itself SIGURG, so nobody who calls a runtime means anything by it.) All others would end
/// or stop it alone, and leave the container without anybody who waits.
const OWN: [Signal; 13] = [
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGKILL,
    Signal::SIGSEGV,
    Signal::SIGCHLD,
    Signal::SIGSTOP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGURG,
    Signal::SIGSYS,
];

/// Signals that wait to be handed on.
pub(super) struct Signals {
    come: SignalFd,
    /// As a set of bits.
    ignored: u64,
}

impl Signals {
    /// From here on they interrupt nothing. What is started has none of it.
    pub(super) fn hold() -> Result<Signals> {
        let failed = |errno: nix::Error| Failure::of("signals", std::io::Error::from(errno));
        // One that the caller ignores, as nohup(1) has it, is nobody's; so is SIGPIPE, which this program ignores itself.
        let ignored = interrupts::ignored();
        let mut set = SigSet::all();
        OWN.iter().for_each(|signal| set.remove(*signal));
        // Of those of real time, which have no names here, none can be taken out of a set; they are passed over as they come.
        Signal::iterator().filter(|signal| is_in(ignored, *signal as i32)).for_each(|signal| set.remove(signal));
        set.thread_block().map_err(failed)?;
        let come = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
        Ok(Signals { come, ignored })
    }

    fn next(&self) -> Option<i32> {
        loop {
            let signal = self.come.read_signal().ok().flatten()?.ssi_signo as i32;
            if !is_in(self.ignored, signal) {
                return Some(signal);
            }
        }
    }
}

fn is_in(set: u64, signal: i32) -> bool {
    set >> (signal - 1) & 1 == 1
}

/// The caller's own terminal, without a keyboard of its own meanwhile.
struct Raw<'a>(BorrowedFd<'a>, Termios);

impl<'a> Raw<'a> {
    fn begin(terminal: BorrowedFd<'a>) -> Option<Raw<'a>> {
        let before = tcgetattr(terminal).ok().filter(|_| isatty(terminal))?;
        let mut raw = before.clone();
        raw.make_raw();
        // Lines end as they do for whatever else writes to it: the container's own terminal adds nothing to them.
        raw.output_modes |= OutputModes::OPOST;
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
pub(super) fn for_child(pid: i32, pidfd: OwnedFd, terminal: Option<OwnedFd>, signals: &Signals) -> Result<u8> {
    let copy = pidfd.try_clone().map_err(|error| Failure::of("pidfd", error))?;
    attend(pidfd.as_fd(), &Signaller::of(copy), terminal.as_ref(), signals)?;
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

/// Hands signals on, and carries the terminal's bytes both ways, until the process has ended and all that it wrote is shown.
fn attend(pidfd: BorrowedFd<'_>, process: &Signaller, master: Option<&OwnedFd>, signals: &Signals) -> Result<()> {
    let stdin = std::io::stdin();
    let stdin = stdin.as_fd();
    let _raw = master.and_then(|_| Raw::begin(stdin));
    let resize = || {
        if let (Some(master), Ok(size)) = (master, tcgetwinsize(stdin)) {
            let _ = tcsetwinsize(master, size);
        }
    };
    resize();
    if let Some(master) = master {
        // One who reads nothing is not waited for: what it writes is to be shown meanwhile.
        let flags = rustix::fs::fcntl_getfl(master).map_err(|errno| Failure::of("the terminal", errno))?;
        rustix::fs::fcntl_setfl(master, flags | OFlags::NONBLOCK)
            .map_err(|errno| Failure::of("the terminal", errno))?;
    }
    let mut keyboard = Keyboard { is_open: master.is_some(), typed: Vec::new(), told_in: None };
    loop {
        let mut polled = vec![
            PollFd::from_borrowed_fd(pidfd, PollFlags::IN),
            PollFd::from_borrowed_fd(signals.come.as_fd(), PollFlags::IN),
        ];
        let wants = if keyboard.typed.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        polled.extend(master.map(|master| PollFd::new(master, wants)));
        if keyboard.is_open && keyboard.typed.is_empty() {
            polled.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        }
        match poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Failure::of("poll", errno)),
        }
        let answers: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        let answer = |index: usize| answers.get(index).copied().unwrap_or(PollFlags::empty());
        if !answer(1).is_empty() {
            while let Some(signal) = signals.next() {
                match (signal, master) {
                    (winch, Some(_)) if winch == Signal::SIGWINCH as i32 => resize(),
                    // One that has ended meanwhile needs none.
                    _ => drop(process.send(signal)),
                }
            }
        }
        let shows = !(answer(2) - PollFlags::OUT).is_empty();
        if let Some(master) = master {
            if shows && !show(master)? {
                return Ok(());
            }
            keyboard.is_ended_for(master, shows);
            // However much it writes.
            if !answer(3).is_empty() {
                keyboard.read(stdin);
            }
            keyboard.hand_on(master);
        }
        if !shows && !answer(0).is_empty() {
            return Ok(());
        }
    }
}

/// All that is there of what somebody wrote who has ended.
pub(super) fn show_the_rest(master: &OwnedFd) -> Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        let mut polled = [PollFd::new(master, PollFlags::IN)];
        match poll(&mut polled, Some(&now)) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(Failure::of("poll", errno)),
        }
        if !show(master)? {
            return Ok(());
        }
    }
}

/// As others do: what is written is read as it was written, by a program as well.
pub(super) fn written_as_is(master: &OwnedFd) {
    if let Ok(mut modes) = tcgetattr(master) {
        modes.output_modes -= OutputModes::ONLCR;
        let _ = tcsetattr(master, OptionalActions::Now, &modes);
    }
}

/// What it wrote; false when nobody has the other end any more.
fn show(master: &OwnedFd) -> Result<bool> {
    let mut buffer = [0u8; 16 * 1024];
    match rustix::io::read(master, &mut buffer) {
        Ok(0) | Err(rustix::io::Errno::IO) => Ok(false),
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(true),
        Err(errno) => Err(Failure::of("the terminal", errno)),
        Ok(read) => {
            let mut stdout = std::io::stdout().lock();
            let shown = stdout.write_all(buffer.get(..read).unwrap_or_default()).and_then(|()| stdout.flush());
            shown.map(|()| true).map_err(|error| Failure::of("stdout", error))
        }
    }
}

/// What is typed.
struct Keyboard {
    is_open: bool,
    /// What the terminal has no room for yet.
    typed: Vec<u8>,
    /// How the terminal was when the end of what is typed was written to it.
    told_in: Option<LocalModes>,
}

/// What a terminal takes for the end of input.
const END: u8 = 4;

/// By lines, with an end of input, or each key by itself; and whether it shows them. What was typed before that changes is lost for whoever
/// changed it, the end of input among that: a shell that edits its lines makes it no end (n_tty_set_termios).
fn manner(master: &OwnedFd) -> Option<LocalModes> {
    tcgetattr(master).ok().map(|modes| modes.local_modes & (LocalModes::ICANON | LocalModes::ECHO))
}

impl Keyboard {
    fn read(&mut self, stdin: BorrowedFd<'_>) {
        let mut buffer = [0u8; 4096];
        match rustix::io::read(stdin, &mut buffer) {
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Ok(0) | Err(_) => {
                self.is_open = false;
                self.typed.push(END);
            }
            Ok(read) => self.typed.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }

    /// Tells the end once more to whoever has just begun to read in another manner, as a prompt tells.
    fn is_ended_for(&mut self, master: &OwnedFd, has_written: bool) {
        if has_written && !self.is_open && self.typed.is_empty() && manner(master) != self.told_in {
            self.typed.push(END);
        }
    }

    fn hand_on(&mut self, master: &OwnedFd) {
        if !self.is_open && !self.typed.is_empty() {
            self.told_in = manner(master);
        }
        while !self.typed.is_empty() {
            match rustix::io::write(master, &self.typed) {
                Ok(written @ 1..) => drop(self.typed.drain(..written)),
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) | Err(rustix::io::Errno::AGAIN) => return,
                // Nobody has the other end, which its output tells as well.
                Err(_) => self.typed.clear(),
            }
        }
    }
}
