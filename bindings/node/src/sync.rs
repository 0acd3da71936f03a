//! `spawnSync`: to the end, on the thread that asks.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use seclude::{Child, Code};
use serde_json::{Value as Json, json};

use crate::fate::{self, Fate};
use crate::launch::Composed;
use crate::options::{Facts, Names};
use crate::{process, report, setup};

/// When it is stopped, and how.
#[napi(object)]
pub struct Bounds {
    /// Milliseconds after which it is sent the signal.
    pub timeout: Option<f64>,
    /// Bytes of stdout, and of stderr, above which it is sent the signal.
    pub max_buffer: Option<f64>,
    /// The number of the signal; 0: everything in it is killed.
    pub signal: i32,
    /// Milliseconds that a PID 1 has that ignores the signal.
    pub grace: f64,
}

/// What there is after the end.
#[napi(object)]
pub struct Ended {
    pub pid: Option<u32>,
    /// The report, as JSON; neither that nor a failure where it has not run in its time.
    pub report: Option<String>,
    /// What an Error is made of, as JSON.
    pub failure: Option<String>,
    pub stdout: Option<Buffer>,
    pub stderr: Option<Buffer>,
    pub exited_due_to_timeout: bool,
    pub exited_due_to_max_buffer: bool,
    /// It was killed, as it ignored the signal.
    pub kill_escalated: bool,
}

pub(crate) fn run(composed: Composed, bounds: &Bounds) -> Ended {
    let started = Instant::now();
    let (facts, names) = (composed.facts, composed.names.clone());
    let limit = bounds.timeout.map(|milliseconds| started + Duration::from_secs_f64(milliseconds / 1e3));
    let mut run = Run {
        bounds,
        facts,
        names,
        limit,
        pid: None,
        output: [None, None],
        late: false,
        timed_out: false,
        full: false,
        overflowed: false,
        stopped: false,
        escalates: None,
        unsure: false,
        escalated: false,
    };
    let answer =
        setup::start_and_wait(composed, &|| time_before(limit)).and_then(|child| run.run_to_its_end(child, started));
    let [stdout, stderr] = run.output.map(|output| output.map(Buffer::from));
    let (report, failure) = match answer {
        Ok(report) => (Some(report.to_string()), None),
        // Nobody but the time gives it up.
        Err(failure) if failure["kind"] == Code::Cancelled.name() && failure["leftBehind"] == json!([]) => {
            run.timed_out = true;
            (None, None)
        }
        Err(failure) => (None, Some(failure.to_string())),
    };
    Ended {
        pid: run.pid,
        report,
        failure,
        stdout,
        stderr,
        exited_due_to_timeout: run.timed_out,
        exited_due_to_max_buffer: run.overflowed,
        kill_escalated: run.escalated,
    }
}

/// How long a start may take yet.
fn time_before(limit: Option<Instant>) -> Option<Duration> {
    /// Without a limit nobody is waited for longer at a time.
    const LONG: Duration = Duration::from_secs(3600);
    limit.map_or(Some(LONG), |limit| limit.checked_duration_since(Instant::now()))
}

struct Run<'a> {
    bounds: &'a Bounds,
    facts: Facts,
    names: Arc<Names>,
    limit: Option<Instant>,
    pid: Option<u32>,
    output: [Option<Vec<u8>>; 2],
    /// The time is over.
    late: bool,
    /// And that has ended it.
    timed_out: bool,
    /// There was more output than there may be.
    full: bool,
    overflowed: bool,
    /// It was sent the signal.
    stopped: bool,
    /// When it is killed, as it ignores that.
    escalates: Option<Instant>,
    /// If it does so then.
    unsure: bool,
    escalated: bool,
}

impl Run<'_> {
    fn run_to_its_end(&mut self, mut child: Child, started: Instant) -> Result<Json, Json> {
        self.pid = Some(child.id());
        let made = serde_json::to_value(child.report()).unwrap_or_default();
        let mut pipes: [Option<File>; 2] = [
            child.stdout.take().map(|pipe| OwnedFd::from(pipe).into()),
            child.stderr.take().map(|pipe| OwnedFd::from(pipe).into()),
        ];
        // What poll(2) has told of may be gone: the command can read from them, too.
        for pipe in pipes.iter().flatten() {
            let set = fcntl_getfl(pipe).and_then(|flags| fcntl_setfl(pipe, flags | OFlags::NONBLOCK));
            set.map_err(|errno| report::of_errno("output", "fcntl", errno))?;
        }
        self.output = [pipes[0].as_ref().map(|_| Vec::new()), pipes[1].as_ref().map(|_| Vec::new())];
        // Also of those who have its pipes when it has ended.
        let deadline = child.time_left().map(|left| Instant::now() + left);
        let mut exit = None;
        while exit.is_none() || pipes.iter().any(Option::is_some) {
            // Whoever has escaped the signal may hold the pipes for ever: nobody waits for that.
            let over = exit.is_some() && (self.stopped || self.is_late(deadline));
            let waits = if over { Some(Duration::ZERO) } else { self.time_left(deadline) };
            let ready = look(child.end_notice(), exit.is_none(), &pipes, waits)?;
            for number in 0..pipes.len() {
                if ready[number + 1] {
                    self.take(number, &mut pipes[number])?;
                }
            }
            if over {
                // What a pipe held was read at once. Who goes on writing would be read for ever.
                break;
            }
            if exit.is_none() {
                self.keep_bounds(&mut child)?;
                exit = child.try_wait().map_err(|error| report::failure(&error, &self.names))?;
                if exit.is_none() && self.stopped && process::waits_for_readers(&child) {
                    // It has ended, by the signal or before that, and who reads what it wrote takes longer.
                    self.is_what_ends_it();
                    child.kill().map_err(|error| report::of_io("kill", "the command", &error))?;
                }
            }
        }
        match exit {
            Some(exit) => Ok(exit.to_json(&made, started.elapsed(), &|remedy| self.names.as_json(remedy))),
            None => Err(report::invalid("wait", "it has not ended")),
        }
    }

    fn time_left(&self, deadline: Option<Instant>) -> Option<Duration> {
        let limit = self.limit.filter(|_| !self.stopped);
        let first = [limit, deadline, self.escalates].into_iter().flatten().min();
        first.map(|first| first.saturating_duration_since(Instant::now()))
    }

    /// Whether the time is over. Then what was said after the command's end is cut off, and `exitedDueToTimeout` says so.
    fn is_late(&mut self, deadline: Option<Instant>) -> bool {
        let now = Instant::now();
        let late = [self.limit, deadline].into_iter().flatten().any(|limit| limit <= now);
        self.timed_out |= late;
        late
    }

    fn take(&mut self, number: usize, pipe: &mut Option<File>) -> Result<(), Json> {
        let (Some(open), Some(output)) = (pipe.as_mut(), self.output[number].as_mut()) else { return Ok(()) };
        let mut chunk = [0; 64 * 1024];
        match open.read(&mut chunk) {
            Ok(0) => *pipe = None,
            Ok(read) => {
                let most = self.bounds.max_buffer.map_or(usize::MAX, |most| most as usize);
                let room = read.min(most - output.len());
                output.extend_from_slice(&chunk[..room]);
                self.full |= room < read;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(report::of_io("output", "read", &error)),
        }
        Ok(())
    }

    fn keep_bounds(&mut self, child: &mut Child) -> Result<(), Json> {
        let now = Instant::now();
        self.late |= self.limit.is_some_and(|limit| limit <= now);
        if self.escalates.is_some_and(|when| when <= now) {
            self.escalates = None;
            if self.unsure && fate::of(self.bounds.signal, child.id(), true) != Fate::Dropped {
                return Ok(());
            }
            self.escalated = true;
            self.is_what_ends_it();
            return send(child, SIGKILL);
        }
        if self.stopped || !(self.late || self.full) {
            return Ok(());
        }
        self.stopped = true;
        let signal = self.bounds.signal;
        if signal == 0 {
            self.is_what_ends_it();
            return child.kill().map_err(|error| report::of_io("kill", "the command", &error));
        }
        let command = if self.facts.init { fate::below_init(child.id()) } else { None };
        let fate = fate::of(signal, command.unwrap_or_else(|| child.id()), self.facts.first);
        match fate {
            Fate::Taken => self.is_what_ends_it(),
            Fate::Waits => {
                self.is_what_ends_it();
                self.unsure = true;
                self.escalates = Some(now + Duration::from_secs_f64(self.bounds.grace / 1e3));
            }
            _ if self.facts.first => {
                self.escalates = Some(now + Duration::from_secs_f64(self.bounds.grace / 1e3));
            }
            _ => {}
        }
        send(child, signal)
    }

    fn is_what_ends_it(&mut self) {
        self.timed_out |= self.late;
        self.overflowed |= self.full;
    }
}

const SIGKILL: i32 = 9;

fn send(child: &Child, signal: i32) -> Result<(), Json> {
    match child.signal(signal) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            Err(report::of_io("kill", "the command", &error))
        }
        _ => Ok(()),
    }
}

/// Which of the pidfd, stdout and stderr have something to tell.
fn look(
    notice: BorrowedFd<'_>,
    running: bool,
    pipes: &[Option<File>; 2],
    timeout: Option<Duration>,
) -> Result<[bool; 3], Json> {
    let sources = [running.then_some(notice), pipes[0].as_ref().map(AsFd::as_fd), pipes[1].as_ref().map(AsFd::as_fd)];
    let open: Vec<usize> = (0..sources.len()).filter(|number| sources[*number].is_some()).collect();
    let mut polled: Vec<PollFd<'_>> =
        sources.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let timeout = timeout.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    });
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(report::of_errno("output", "poll", errno)),
    }
    let mut ready = [false; 3];
    for (number, polled) in open.into_iter().zip(&polled) {
        ready[number] = !polled.revents().is_empty();
    }
    Ok(ready)
}
