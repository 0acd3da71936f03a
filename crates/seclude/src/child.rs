//! The handle of a running process.

mod ending;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use seclude_cgroup::{Cgroup, Stats};
use seclude_child::entry::Newborn;
use seclude_child::wire::Message;
use seclude_sys::{Errno, Fd, signal};

use crate::channel::Channel;
use crate::denials::Denials;
use crate::discarded::Layers;
use crate::ends::ParentEnds;
use crate::error::{Error, Result};
use crate::exit::{Cause, Exit};
use crate::handled::Handled;
use crate::ledger::Ledger;
use crate::listeners::Listening;
use crate::meter::Meter;
use crate::reach::Reach;
use crate::relay::Carrying;
use crate::report::{Preferred, Report};

/// A process that runs in its container.
///
/// Dropped while the process runs, it kills and reaps it, unless [`crate::Command::kill_on_drop`] says otherwise.
/// After the end nothing of it is left: no thread, no zombie, no open descriptor but the caller's pipes.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    pidfd: Arc<OwnedFd>,
    /// The command's stdin, if it is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The command's stdout, if it is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The command's stderr, if it is a pipe.
    pub stderr: Option<ChildStderr>,
    cgroup: Option<Arc<Cgroup>>,
    new_pid: bool,
    init: bool,
    waits: bool,
    ties: Ties,
    ledger: LedgerOf,
    report: Report,
    deadline: Option<Instant>,
    running: Instant,
    kill_on_drop: bool,
    stopped_by: Option<Cause>,
    /// Whether the relays know that it has ended.
    has_ended: bool,
    /// Whether nobody waits for what they still have.
    is_given_up: bool,
    /// Whether its deadline passed when it had ended.
    is_late: bool,
    /// Whether some of its output has not arrived, as nobody waited for that.
    has_lost_output: bool,
    exit: Option<Exit>,
}

/// What a successful start hands to the handle.
pub(crate) struct Running {
    pub(crate) newborn: Newborn,
    pub(crate) ends: ParentEnds,
    pub(crate) ties: Ties,
    pub(crate) report: Report,
    pub(crate) started: Instant,
}

/// What binds the handle to the running process.
#[derive(Debug)]
pub(crate) struct Ties {
    /// Whose threads these are.
    pub(crate) process: u32,
    /// The master of its terminal.
    pub(crate) terminal: Option<OwnedFd>,
    /// The socket of its init.
    pub(crate) channel: Option<Channel>,
    /// What came of that beside other news.
    pub(crate) ended: Option<i32>,
    /// The thread that cloned it.
    pub(crate) keeper: Option<JoinHandle<()>>,
    /// Those that carry its input and output.
    pub(crate) relays: Vec<Carrying>,
    /// Whoever is asked what its filter answers.
    pub(crate) listening: Option<Listening>,
    /// What it reaches, where it has a network of names.
    pub(crate) reach: Option<Reach>,
    /// What it writes to, where that is memory.
    pub(crate) layers: Option<Layers>,
}

struct LedgerOf(Ledger);

impl std::fmt::Debug for LedgerOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledger")
    }
}

/// Sends signals to a process, also from another thread, and never to one that has its pid later.
#[derive(Clone, Debug)]
pub struct Signaller {
    pidfd: Arc<OwnedFd>,
    /// It is the sandbox's init, which has a command.
    init: bool,
}

/// The values by which an init is told what becomes of a signal: the docs of `seclude_init`.
const FOR_ALL: i32 = 1;
const STOP: i32 = 2;

impl Signaller {
    /// Of the process behind a pidfd, pidfd_open(2).
    pub fn of(pidfd: impl Into<OwnedFd>) -> Signaller {
        Signaller { pidfd: Arc::new(pidfd.into()), init: false }
    }

    /// Sends `signal` (its number), as [`Child::signal`].
    ///
    /// # Errors
    /// ESRCH once the process was reaped, EINVAL for a number that is no signal.
    pub fn send(&self, signal: i32) -> io::Result<()> {
        let pidfd = Fd(self.pidfd.as_raw_fd());
        let sent = match self.init && signal == Signal::STOP.as_raw() {
            // A stopped init hands nothing on. Of the signals that a SIGCONT takes back, and that take back a SIGCONT which has not been
            // handed on yet, this is the one that nobody else sends: of two that wait the kernel keeps the first.
            true => signal::queue_to(pidfd, Signal::TTOU.as_raw() as u32, STOP),
            false => signal::send_to(pidfd, signal as u32),
        };
        sent.map_err(|errno| io::Error::from_raw_os_error(i32::from(errno.0)))
    }
}

impl Child {
    pub(crate) fn new(running: Running, ledger: Ledger, command: &Handled) -> Child {
        let Running { newborn, mut ends, mut ties, report, started } = running;
        for relay in std::mem::take(&mut ends.relays) {
            ties.relays.push(relay.start());
        }
        Child {
            pid: newborn.pid,
            pidfd: Arc::new(newborn.pidfd),
            stdin: ends.stdin.map(ChildStdin::from),
            stdout: ends.stdout.map(ChildStdout::from),
            stderr: ends.stderr.map(ChildStderr::from),
            cgroup: ends.cgroup.get().cloned(),
            new_pid: command.new_pid,
            init: command.init,
            waits: command.waits,
            ties,
            ledger: LedgerOf(ledger),
            report,
            // One that no clock reaches is none.
            deadline: command.deadline.and_then(|after| started.checked_add(after)),
            running: Instant::now(),
            kill_on_drop: command.kill_on_drop,
            stopped_by: None,
            has_ended: false,
            is_given_up: false,
            is_late: false,
            has_lost_output: false,
            exit: None,
        }
    }

    pub(crate) fn kept_by(&mut self, keeper: JoinHandle<()>) {
        self.ties.keeper = Some(keeper);
    }

    /// The pid, in the caller's pid namespace.
    pub fn id(&self) -> u32 {
        self.pid as u32
    }

    /// The pidfd, pidfd_open(2): readable once the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub(crate) fn note_preferred(&mut self, preferred: impl IntoIterator<Item = Preferred>) {
        self.report.preferred.extend(preferred);
    }

    /// How it was made and what that cost.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whether some of what it wrote to an output that is relayed has not arrived, as nobody waited any more for whoever reads that: it was
    /// killed, or its deadline had passed. Not before its end.
    pub fn has_lost_output(&self) -> bool {
        self.has_lost_output
    }

    /// What its filter of system calls has refused so far; none where [`Report::deaf`] says why.
    pub fn denials(&self) -> Denials {
        match (&self.exit, &self.ties.listening) {
            (_, Some(listening)) => listening.denials.clone(),
            (Some(exit), None) => exit.denials(),
            (None, None) => Denials::none(),
        }
    }

    /// What it has reached so far, and what it was refused, if it has a network of names.
    pub fn reach(&self) -> Option<Reach> {
        self.ties.reach.clone()
    }

    /// Takes the other end of its terminal, if it has one: what is written there is its keyboard.
    pub fn take_terminal(&mut self) -> Option<File> {
        self.ties.terminal.take().map(File::from)
    }

    /// Its cgroup, to look at and to hold still, also from another thread; `None` if it was given none.
    pub fn meter(&self) -> Option<Meter> {
        self.cgroup.clone().map(Meter)
    }

    fn own_meter(&self) -> Result<Meter> {
        let none =
            || Error::invalid("cgroup", "it has none of its own").at("cgroup").hint("ask for one: Command::cgroup");
        self.meter().ok_or_else(none)
    }

    /// What the container uses now and has used so far.
    ///
    /// # Errors
    /// Without a cgroup, and as [`Meter::stats`].
    pub fn stats(&self) -> Result<Stats> {
        self.own_meter()?.stats()
    }

    /// Stops every process of the container, until [`Child::resume`]. The deadline goes on meanwhile.
    ///
    /// # Errors
    /// Without a cgroup, and as [`Meter::pause`].
    pub fn pause(&self) -> Result<()> {
        self.own_meter()?.pause()
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// Without a cgroup, and as [`Meter::resume`].
    pub fn resume(&self) -> Result<()> {
        self.own_meter()?.resume()
    }

    /// Whether it goes on when this handle is dropped: [`crate::Command::kill_on_drop`], decided later.
    pub fn outlives(&mut self, on: bool) {
        self.kill_on_drop = !on;
    }

    /// For signals from other threads.
    pub fn signaller(&self) -> Signaller {
        Signaller { pidfd: self.pidfd.clone(), init: self.init }
    }

    /// Leaves a command that waits ([`crate::Command::hold`]) to whoever lets it go: from here on it outlives this process, and whatever
    /// is there for it stays. Until then it ends with this process, so whoever is to find it can be told first.
    ///
    /// # Errors
    /// If it does not wait, or cannot be told.
    pub fn leave(mut self) -> Result<()> {
        match &self.ties.channel {
            Some(channel) if self.waits => channel.go()?,
            _ => return Err(Error::invalid("hold", "the command does not wait")),
        }
        self.kill_on_drop = false;
        Ok(())
    }

    /// Sends `signal` (its number). The first process of a pid namespace gets only those that it has a handler for,
    /// and SIGKILL and SIGSTOP. An init hands on to its command all but SIGKILL; those of job control, SIGSTOP among them, go to all of the
    /// command's process group, if it leads one: without a session of its own it is in the caller's.
    ///
    /// # Errors
    /// ESRCH once the process was reaped.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.signaller().send(signal)
    }

    /// Sends `signal` to the command and all of its process group, as a keyboard does: what a shell runs for itself is interrupted with it. A
    /// command that leads no group gets it alone.
    ///
    /// # Errors
    /// ESRCH once the process was reaped.
    pub fn signal_group(&self, signal: i32) -> io::Result<()> {
        let number = u32::try_from(signal).map_err(|_| io::ErrorKind::InvalidInput)?;
        if self.init && signal == Signal::STOP.as_raw() {
            return self.signal(signal);
        }
        if self.ties.channel.is_some() {
            let sent = signal::queue_to(Fd(self.pidfd.as_raw_fd()), number, FOR_ALL);
            return sent.map_err(|errno| io::Error::from_raw_os_error(i32::from(errno.0)));
        }
        // Not reaped yet, so its number is still its own, and its group's.
        let leader = self.exit.is_none().then(|| Pid::from_raw(self.pid)).flatten();
        let named = leader.zip(Signal::from_named_raw(signal));
        match named.map(|(leader, signal)| kill_process_group(leader, signal)) {
            Some(Ok(())) => Ok(()),
            _ => self.signal(signal),
        }
    }

    /// The signal that has stopped the command since this was last asked, if one has; SIGCONT has it go on. Only of a command with
    /// a terminal: whoever shows that has its own terminal back meanwhile. `None` below an init without one.
    pub fn stopped(&mut self) -> Option<i32> {
        let Some(channel) = &self.ties.channel else {
            let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
            let found = waitid(WaitId::PidFd(self.pidfd.as_fd()), options).ok().flatten()?;
            return found.stopping_signal();
        };
        loop {
            match channel.news()? {
                Message::Stopped(signal) => return Some(signal),
                Message::Ended(status) => self.ties.ended = Some(status),
                _ => {}
            }
        }
    }

    /// Readable when [`Child::stopped`] may have something to tell; without an init there is SIGCHLD for that.
    pub fn stop_notice(&self) -> Option<BorrowedFd<'_>> {
        // With the command's end it hangs up, which is readable for ever; the process itself may take a while yet.
        self.ties.channel.as_ref().filter(|_| self.ties.ended.is_none()).map(Channel::fd)
    }

    /// Kills it with SIGKILL, and with it everything in its cgroup, if it has one of its own, and in its pid
    /// namespace, if that is new: also what has left its session and its parent. With neither it is the process alone.
    /// One that has ended already is no error.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn kill(&mut self) -> io::Result<()> {
        self.kill_because(Cause::Killed)
    }

    fn kill_because(&mut self, cause: Cause) -> io::Result<()> {
        if self.exit.is_some() {
            return Ok(());
        }
        self.is_given_up = true;
        if self.has_ended && self.ties.process == std::process::id() {
            self.ties.relays.iter().for_each(Carrying::give_up);
        }
        // What it ended with by itself is not ours.
        if self.ended_before(Some(Instant::now())).map_err(io::Error::from)? {
            return Ok(());
        }
        if let Some(cgroup) = &self.cgroup {
            // Paused processes of v1 die of no signal alone.
            cgroup.kill().map_err(io::Error::other)?;
            self.stopped_by.get_or_insert(cause);
            return Ok(());
        }
        match self.signal(signal::SIGKILL as i32) {
            Err(error) if error.raw_os_error() == Some(i32::from(Errno::ESRCH.0)) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                self.stopped_by.get_or_insert(cause);
                Ok(())
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exit.is_some() {
            return;
        }
        if !self.kill_on_drop {
            // The container still uses what was made for it.
            self.ledger.0.abandon();
            return;
        }
        if self.kill().is_ok() {
            let _ = self.wait();
        }
    }
}
