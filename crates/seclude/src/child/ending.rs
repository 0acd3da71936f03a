//! How a process ends for its handle: who waits, what its deadline does, what is undone, and what it has written by then.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use seclude_sys::{Errno, Fd, process};

use super::Child;
use crate::denials::Denials;
use crate::discarded::Layers;
use crate::error::{Error, Result};
use crate::exit::{Account, Cause, Exit, Output};
use crate::ledger::Left;
use crate::meter::{self, from_cgroup};
use crate::relay::Carrying;
use crate::usage::{Tree, Usage};

/// Of 16 KiB each: more than pipes hold, pipe(7).
const MOST_LOOKS: u32 = 128;

impl Child {
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

    pub(super) fn ended_before(&self, until: Option<Instant>) -> Result<bool> {
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
            self.has_lost_output = relays.iter().any(Carrying::has_dropped);
            let late = (self.is_late && self.has_lost_output).then_some(rustix::io::Errno::TIMEDOUT);
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
