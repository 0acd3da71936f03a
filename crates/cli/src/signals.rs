//! Signals that seclude gets are meant for the command. SIGPIPE is not among them: it speaks of seclude's own output.
//!
//! No thread: where a seccomp filter answers EPERM to clone3, glibc can make none.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgid, getpgrp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, setrlimit};
use seclude::{Canceller, Child, Exit};

use crate::{jobs, terminal};

const FORWARDED: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// `si_code` of what the kernel sends itself, sigaction(2).
const SI_KERNEL: i32 = 0x80;

/// Those that end a start as well.
pub(crate) const ENDING: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// Signals that came and wait to be handed on.
pub(crate) struct Forwarder {
    come: SignalFd,
    /// Of [`ENDING`], those that are not ignored.
    ending: Vec<Signal>,
    ended_by: Option<i32>,
    /// The last of the keyboard's that was the command's to end by.
    typed: Option<i32>,
    /// What has ended the showing of what the command wrote before its end.
    has_given_up: bool,
    /// The first that came when the command had ended, and what it wrote still waited for its reader.
    cut_by: Option<i32>,
    /// Whether the command had ended when signals were looked for, and what it wrote waited.
    knows_end: bool,
    /// Whether the window has another size than the command's terminal.
    resized: bool,
    /// Whether the command has a terminal: that it has stopped is told then, and is what stops this process.
    pub(crate) has_terminal: bool,
    /// Whether it had one until its end.
    had_terminal: bool,
    /// Whether somebody has had this job stop, and not the command itself.
    stop_was_asked: bool,
}

/// Blocks these signals: from here on they wait in what is answered, signalfd(2), and interrupt nothing.
pub(crate) fn hold(signals: &[Signal]) -> io::Result<SignalFd> {
    let set: SigSet = signals.iter().copied().collect();
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

impl Forwarder {
    /// From here on signals wait for [`Self::deliver`]. What was ignored when seclude was started (nohup(1), the background of a
    /// script) is nobody's business: held, it would come.
    pub(crate) fn new() -> io::Result<Forwarder> {
        let ignored = ignored();
        let heeded = |signals: &[Signal]| -> Vec<Signal> {
            signals.iter().copied().filter(|signal| ignored & 1 << (*signal as i32 - 1) == 0).collect()
        };
        Ok(Forwarder {
            come: hold(&heeded(&FORWARDED))?,
            ending: heeded(&ENDING),
            ended_by: None,
            typed: None,
            has_given_up: false,
            cut_by: None,
            knows_end: false,
            resized: false,
            has_terminal: false,
            had_terminal: false,
            stop_was_asked: false,
        })
    }

    /// Cancelled by whatever would end seclude. The signal itself waits for [`Self::ended_start`].
    pub(crate) fn canceller(&self) -> io::Result<Canceller> {
        Ok(Canceller::when_readable(OwnedFd::from(hold(&self.ending)?)))
    }

    /// The signal that has ended a start.
    pub(crate) fn ended_start(&self) -> Option<i32> {
        while let Ok(Some(come)) = self.come.read_signal() {
            let signal = come.ssi_signo as i32;
            if self.ending.iter().any(|ending| *ending as i32 == signal) {
                return Some(signal);
            }
        }
        None
    }

    /// To poll for: readable when a signal waits.
    pub(crate) fn wake(&self) -> BorrowedFd<'_> {
        self.come.as_fd()
    }

    /// Hands on what has come.
    ///
    /// The kernel drops a signal for the first process of a pid namespace if that has no handler for it, where any
    /// other process would end: a `sleep` could not be interrupted. So what would have ended it ends the container.
    ///
    /// Answers the last of those that came of which seclude itself would end. `knows_end`: the handle has told of the command's end; of
    /// one that it has not told of yet, signals are kept until it has.
    pub(crate) fn deliver(&mut self, child: &mut Child, knows_end: bool) -> Option<i32> {
        let mut ending = None;
        let waits = waits_for_a_reader(child);
        while knows_end || waits || !has_ended(child) {
            let Ok(Some(come)) = self.come.read_signal() else { break };
            let signal = come.ssi_signo as i32;
            let in_this_job = || getpgid(Some(Pid::from_raw(child.id() as i32))) == Ok(getpgrp());
            // The keyboard's is for all that are in the foreground: a shell that waits for others leaves it to them.
            let is_keyboards =
                come.ssi_code == SI_KERNEL && [Signal::SIGINT as i32, Signal::SIGQUIT as i32].contains(&signal);
            if is_keyboards {
                self.typed = Some(signal);
            }
            // The kernel has sent it to all of this job itself.
            let has_it = is_keyboards && in_this_job();
            if self.ending.iter().any(|ending| *ending as i32 == signal) {
                ending = Some(signal);
                // Nobody else could be told any more, but of what the command may have ended by. What is read goes on being written.
                if self.knows_end || waits && !has_it {
                    self.cut_by.get_or_insert(signal);
                    let _ = child.kill();
                    continue;
                }
            }
            if signal == Signal::SIGTSTP as i32 {
                if !jobs::can_be_continued() {
                    continue;
                }
                // The kernel has the first process of a pid namespace stopped by no other.
                let stop = match leaves_it_to_the_default(child.id(), signal) {
                    Some(true) => Signal::SIGSTOP,
                    _ => Signal::SIGTSTP,
                };
                let _ = child.signal(stop as i32);
                self.stop_was_asked = true;
                if !self.has_terminal {
                    jobs::stop(child, None);
                }
                continue;
            }
            if signal == Signal::SIGCONT as i32 {
                let _ = child.signal(signal);
                continue;
            }
            if signal == Signal::SIGWINCH as i32 {
                match self.has_terminal {
                    true => self.resized = true,
                    // The kernel tells those of the terminal's own session alone.
                    false if !in_this_job() => drop(child.signal_group(signal)),
                    false => {}
                }
                continue;
            }
            // A process that has ended meanwhile needs no signal.
            if leaves_it_to_the_default(child.id(), signal) == Some(true) {
                self.ended_by.get_or_insert(signal);
                let _ = child.signal(Signal::SIGKILL as i32);
            } else if has_it {
                continue;
            } else if is_keyboards && !self.has_terminal {
                let _ = child.signal_group(signal);
            } else {
                let _ = child.signal(signal);
            }
        }
        self.knows_end = waits;
        ending
    }

    /// Whether the command is found to have ended, and what it wrote not to have arrived, since the last signals were handed on.
    pub(crate) fn has_to_note(&self, child: &Child) -> bool {
        !self.knows_end && waits_for_a_reader(child)
    }

    /// Does not wait any more for whoever reads what the command wrote before it ended.
    pub(crate) fn give_up(&mut self, signal: i32) {
        self.ended_by.get_or_insert(signal);
        self.has_given_up = true;
    }

    /// Stops this process, whose command has stopped, with all of its job; the command goes on when it does, or at once if nobody could
    /// continue the job. Continued in the background it has no terminal to show, and stops again.
    pub(crate) fn stop_too(&mut self, child: &mut Child) {
        let mut others = Vec::new();
        // What stopped itself would have nobody to continue it where no terminal is.
        let is_meant = std::mem::take(&mut self.stop_was_asked) || terminal::is_there();
        while is_meant && jobs::can_be_continued() {
            jobs::stop(child, Some(self.come.as_fd()));
            while let Ok(Some(come)) = self.come.read_signal() {
                let signal = come.ssi_signo as i32;
                if ![Signal::SIGTSTP as i32, Signal::SIGCONT as i32].contains(&signal) {
                    others.push(signal);
                }
            }
            let is_ended = !matches!(child.try_wait(), Ok(None));
            if is_ended || !others.is_empty() || !terminal::is_anothers() {
                break;
            }
        }
        for signal in others {
            let _ = child.signal(signal);
        }
        let _ = child.signal(Signal::SIGCONT as i32);
    }

    /// The signal that ended the container because its command had no handler for it.
    pub(crate) fn ended_by(&self) -> Option<i32> {
        self.ended_by
    }

    /// All that its terminal has to show is shown.
    pub(crate) fn had_terminal(&mut self) {
        (self.has_terminal, self.had_terminal) = (false, true);
    }

    /// The keyboard's signal that the command has ended by, and that this process ends by as well: a shell that sees another end goes on
    /// with its list or its loop. (The command's own terminal has told its foreground by itself.)
    pub(crate) fn ends_by(&self, exit: &Exit) -> Option<i32> {
        let signal = exit.signal()?;
        let of_its_own = self.had_terminal && [Signal::SIGINT as i32, Signal::SIGQUIT as i32].contains(&signal);
        let is_typed = self.typed.is_some_and(|typed| typed == signal || self.ended_by == Some(typed) && signal == 9);
        let typed = self.typed.filter(|_| is_typed);
        typed.or(of_its_own.then_some(signal))
    }

    /// Whether the window has got another size since this was asked.
    pub(crate) fn take_resized(&mut self) -> bool {
        std::mem::take(&mut self.resized)
    }

    /// The signal for which some of what the command wrote before its end has not arrived.
    pub(crate) fn cut_by(&self, child: &Child) -> Option<i32> {
        let given_up = self.ended_by.filter(|_| self.has_given_up);
        given_up.or(self.cut_by.filter(|_| child.has_lost_output()))
    }
}

/// Writing in the background stops nobody from here on, in no thread that is made.
pub(crate) fn hold_output() -> io::Result<()> {
    Ok([Signal::SIGTTOU].into_iter().collect::<SigSet>().thread_block()?)
}

/// Ends this process by a signal, if that is not ignored, and without an image of its memory.
pub(crate) fn end_by(signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else { return };
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    let _ = [signal].into_iter().collect::<SigSet>().thread_unblock();
    let _ = raise(signal);
}

/// Whether the command has ended, and what it wrote has not arrived.
fn waits_for_a_reader(child: &Child) -> bool {
    child.end_notice().as_raw_fd() != child.pidfd().as_raw_fd()
}

fn has_ended(child: &Child) -> bool {
    let now = Timespec::default();
    poll(&mut [PollFd::from_borrowed_fd(child.pidfd(), PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// The signals that this process ignores, a bit each; where /proc is not there, none.
fn ignored() -> u64 {
    mask("SigIgn:").unwrap_or(0)
}

fn mask(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Whether this signal does what it does by default: it is neither ignored nor blocked.
pub(crate) fn is_heeded(signal: Signal) -> bool {
    let bit = 1 << (signal as i32 - 1);
    let has = |name| mask(name).is_some_and(|mask| mask & bit == 0);
    has("SigIgn:") && has("SigBlk:")
}

/// Whether process `pid` is the first of a pid namespace and neither catches, blocks nor ignores `signal`.
fn leaves_it_to_the_default(pid: u32, signal: i32) -> Option<bool> {
    if !seclude::proc_is_of_own_pid_namespace() {
        return None;
    }
    let status = std::fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let is_first = field("NSpid:")?.split_whitespace().next_back() == Some("1") && pid != 1;
    let mask = |name| u64::from_str_radix(field(name)?, 16).ok();
    let spoken_for = mask("SigCgt:")? | mask("SigIgn:")? | mask("SigBlk:")?;
    Some(is_first && spoken_for & (1 << (signal - 1)) == 0)
}
