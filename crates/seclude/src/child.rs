//! The handle of a running process.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use seclude_cgroup::{Cgroup, Stats};
use seclude_child::entry::Newborn;
use seclude_child::wire::Message;
use seclude_sys::{Errno, Fd, process, signal};

use crate::channel::Channel;
use crate::denials::Denials;
use crate::discarded::Layers;
use crate::ends::ParentEnds;
use crate::error::{Error, Result};
use crate::exit::{Account, Cause, Exit, Output};
use crate::handled::Handled;
use crate::ledger::{Ledger, Left};
use crate::listeners::Listening;
use crate::meter::{self, Meter, from_cgroup};
use crate::reach::Reach;
use crate::relay::Carrying;
use crate::report::{Preferred, Report};
use crate::usage::{Tree, Usage};

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

/// Of 16 KiB each: more than pipes hold, pipe(7).
const MOST_LOOKS: u32 = 128;

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

    /// Waits for the end, or for the deadline, which kills it. Closes stdin first, as std does. What it has written to an output that is
    /// relayed has arrived by then, however long whoever reads that takes; once it was killed, as far as it is read without delay.
    ///
    /// # Errors
    /// If its status is lost: another part of the program reaped it, on a kernel before 6.15. If something could not be
    /// removed, or what was used could not be read; then the next call answers the exit.
    pub fn wait(&mut self) -> Result<Exit> {
        drop(self.stdin.take());
        loop {
            if let Some(exit) = self.wait_until(None)? {
                return Ok(exit);
            }
        }
    }

    /// Waits for at most this long; `None` if it still runs then.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Exit>> {
        // One that no clock reaches is none.
        self.wait_until(Instant::now().checked_add(timeout))
    }

    /// `None` if it still runs, or what it has written waits for its reader ([`Child::end_notice`]); kills it if its deadline has passed.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn try_wait(&mut self) -> Result<Option<Exit>> {
        self.wait_until(Some(Instant::now()))
    }

    /// Another process has killed it at its deadline, as this one could not: it was stopped itself. Its end is told as that, if it
    /// ended by SIGKILL.
    pub fn deadline_was_kept(&mut self) {
        self.stopped_by.get_or_insert(Cause::Deadline);
    }

    fn wait_until(&mut self, limit: Option<Instant>) -> Result<Option<Exit>> {
        loop {
            if let Some(exit) = &self.exit {
                return Ok(Some(exit.clone()));
            }
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                self.deadline = None;
                self.is_late = self.has_ended || self.ended_before(Some(now))?;
                self.kill_because(Cause::Deadline).map_err(|error| Error::lost("kill at the deadline", error))?;
            }
            let until = match (self.deadline, limit) {
                (Some(deadline), Some(limit)) => Some(deadline.min(limit)),
                (deadline, limit) => deadline.or(limit),
            };
            if self.ended_before(until)? && self.has_carried(until)? {
                return self.reap().map(Some);
            }
            if limit.is_some_and(|limit| limit <= Instant::now()) {
                return Ok(None);
            }
        }
    }

    /// How long until its deadline, if it has one: when a program that waits for more than this process has to look
    /// at it again with [`Child::try_wait`].
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn ended_before(&self, until: Option<Instant>) -> Result<bool> {
        loop {
            let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
            match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], timeout.as_ref()) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(Error::lost("poll of the pidfd", errno)),
            }
        }
    }

    /// Readable when [`Child::try_wait`] has more to tell than that it goes on: its pidfd, and where it has ended while output that is
    /// relayed still waits for its reader, what tells that this has arrived. So it is to be asked for anew before each poll(2).
    pub fn end_notice(&self) -> BorrowedFd<'_> {
        let pending = self.ties.relays.iter().find_map(Carrying::pending);
        pending.filter(|_| self.has_ended).unwrap_or_else(|| self.pidfd.as_fd())
    }

    /// Whether all that it had written when it ended is where it was to go, by then; or nobody waits for that, as it was killed.
    fn has_carried(&mut self, until: Option<Instant>) -> Result<bool> {
        // Whoever was forked from this process has the handle, and no such threads.
        if self.ties.process != std::process::id() {
            return Ok(true);
        }
        if !std::mem::replace(&mut self.has_ended, true) {
            self.ties.relays.iter().for_each(Carrying::end);
        }
        if self.is_given_up {
            self.ties.relays.iter().for_each(Carrying::give_up);
            return Ok(true);
        }
        loop {
            let pending = self.ties.relays.iter().filter_map(Carrying::pending);
            let mut polled: Vec<_> = pending.map(|done| PollFd::from_borrowed_fd(done, PollFlags::IN)).collect();
            if polled.is_empty() {
                return Ok(true);
            }
            let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
            match poll(&mut polled, timeout.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(Error::lost("output of the command, which was relayed", errno).call("poll")),
            }
        }
    }

    /// The process has ended: takes its status, and everything that was there for it.
    fn reap(&mut self) -> Result<Exit> {
        let ended = Instant::now();
        let waited = loop {
            match process::wait(Fd(self.pidfd.as_raw_fd())) {
                Err(Errno::EINTR) => {}
                other => break other,
            }
        };
        let own = match &waited {
            Ok(waited) => Ok(waited.status),
            // Ignored SIGCHLD, or somebody's wait for any child.
            Err(errno) => match process::pidfd_exit_status(Fd(self.pidfd.as_raw_fd())) {
                Ok(Some(status)) => Ok(status),
                _ => Err(*errno),
            },
        };
        let told = self.ties.ended;
        let sent = self.ties.channel.take().and_then(|channel| told.or_else(|| channel.ended()));
        let (keeper, relays) = (self.ties.keeper.take(), std::mem::take(&mut self.ties.relays));
        let unwritten = if self.ties.process == std::process::id() {
            let _ = keeper.map(JoinHandle::join);
            // Whoever kills it waits for no reader, and knows; a deadline is nobody's decision about what it wrote before its end.
            let late =
                (self.is_late && relays.iter().any(Carrying::has_dropped)).then_some(rustix::io::Errno::TIMEDOUT);
            // All of them, whatever becomes of one.
            relays.into_iter().filter_map(Carrying::finish).last().or(late)
        } else {
            // Whoever was forked from this process has the handle, and no such threads: to join one would be a panic.
            std::mem::forget((keeper, relays));
            None
        };
        let discarded = self.ties.layers.take().map(Layers::count);
        let denials = match self.ties.listening.take() {
            Some(listening) => {
                let denials = listening.denials.clone();
                // Where processes of it may go on, what they are refused is still to be answered.
                if self.new_pid {
                    listening.ended();
                }
                denials
            }
            None => Denials::none(),
        };
        let mut usage = waited.as_ref().map(Usage::of_process).unwrap_or_default();
        let mut left = Vec::new();
        let mut uncounted = None;
        if let Some(cgroup) = self.cgroup.take() {
            // What is left of the tree is part of what was used; with a pid namespace nothing is.
            let emptied = if self.new_pid { Ok(()) } else { meter::empty(&cgroup) };
            left.extend(emptied.err().map(|error| format!("cgroup {} ({error})", cgroup.path().display())));
            uncounted = usage.add_cgroup(&cgroup).err();
        }
        let Left { resisted, stays: left_behind } = self.ledger.0.settle();
        left.extend(resisted);
        let tree = match (self.report.cgroup.as_ref().is_some_and(|cgroup| cgroup.own) && left.is_empty(), self.new_pid)
        {
            (true, _) => Tree::CgroupRemoved,
            (false, true) => Tree::PidNamespaceEnded,
            (false, false) => Tree::Unknown,
        };
        let lost = |mut error: Error| {
            left.iter().for_each(|left| error.attach_undo(left.clone()));
            error
        };
        let raw = match (sent, own) {
            (Some(status), _) | (None, Ok(status)) => status,
            (None, Err(errno)) => {
                let error = Error::lost("the exit status", errno).call("waitid");
                let taken = (errno == Errno::ECHILD)
                    .then(|| "another part of the program waits for any child, or ignores SIGCHLD".to_owned());
                return Err(lost(error.hint_if(taken)));
            }
        };
        let run = ended.saturating_duration_since(self.running);
        let reach = self.ties.reach.clone();
        let clean_up = ended.elapsed();
        let account = Account { usage, tree, run, clean_up, left_behind, denials, reach, discarded };
        let exit = Exit::new(raw, self.stopped_by, account);
        self.exit = Some(exit.clone());
        if !left.is_empty() {
            return Err(lost(Error::lost("clean-up", Errno::EBUSY)));
        }
        if let Some(errno) = unwritten {
            let error = Error::lost("output of the command, which was relayed", errno).call("write");
            return Err(
                error.hint(format!("it has ended by itself ({exit}), but not all that it wrote was written on"))
            );
        }
        if let Some(error) = uncounted {
            return Err(from_cgroup("usage", error));
        }
        Ok(exit)
    }

    /// Reads stdout and stderr to their ends, and waits.
    ///
    /// # Errors
    /// As [`Child::wait`], and what reading answers.
    pub fn wait_with_output(mut self) -> Result<Output> {
        drop(self.stdin.take());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (self.stdout.take().map(OwnedFd::from), self.stderr.take().map(OwnedFd::from));
        self.collect([out.map(File::from), err.map(File::from)], [&mut stdout, &mut stderr])?;
        let exit = self.wait()?;
        Ok(Output { exit, stdout, stderr })
    }

    /// Reads both pipes as they fill, so that neither can block the command, and keeps the deadline meanwhile. They end with the last who
    /// has them open; with its pid namespace all have ended, but for whom it has handed them to.
    fn collect(&mut self, mut pipes: [Option<File>; 2], into: [&mut Vec<u8>; 2]) -> Result<()> {
        let failed = |errno: rustix::io::Errno| Error::lost("output", errno);
        // What poll(2) has told of may be gone: the command can read from them, too.
        for pipe in pipes.iter().flatten() {
            fcntl_getfl(pipe).and_then(|flags| fcntl_setfl(pipe, flags | OFlags::NONBLOCK)).map_err(failed)?;
        }
        // Once all have ended: how often there may be more, as whoever else has a pipe may write for ever.
        let mut looks = None::<u32>;
        while pipes.iter().any(Option::is_some) {
            let timeout = self.time_left().map(timespec);
            let open: Vec<(usize, &File)> =
                pipes.iter().enumerate().filter_map(|(index, pipe)| pipe.as_ref().map(|pipe| (index, pipe))).collect();
            let mut polled: Vec<PollFd<'_>> = open.iter().map(|(_, pipe)| PollFd::new(*pipe, PollFlags::IN)).collect();
            if self.new_pid && looks.is_none() {
                polled.push(PollFd::new(&self.pidfd, PollFlags::IN));
            }
            let timeout = if looks.is_some() { Some(Timespec::default()) } else { timeout };
            match poll(&mut polled, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
            let has_ended = polled.get(open.len()).is_some_and(|fd| !fd.revents().is_empty());
            let ready: Vec<usize> = open
                .iter()
                .zip(&polled)
                .filter(|(_, polled)| !polled.revents().is_empty())
                .map(|((index, _), _)| *index)
                .collect();
            match &mut looks {
                Some(_) if ready.is_empty() => return Ok(()),
                Some(0) => return Ok(()),
                Some(left) => *left -= 1,
                None => looks = has_ended.then_some(MOST_LOOKS),
            }
            for index in ready {
                let Some(pipe) = pipes[index].as_mut() else { continue };
                let mut chunk = [0; 16 * 1024];
                match pipe.read(&mut chunk) {
                    Ok(0) => pipes[index] = None,
                    Ok(read) => into[index].extend_from_slice(&chunk[..read]),
                    Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                    Err(error) => return Err(Error::lost("output", error)),
                }
            }
            // A grandchild that escaped the kill (no pid namespace) may hold the pipes: the deadline ends it here.
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(time.subsec_nanos()) }
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
