//! A process from its start to its end.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use napi::bindgen_prelude::Result;
use napi::{Error, Status};
use napi_derive::napi;
use rustix::io::Errno;
use seclude::{Canceller, Child, Denials, Exit, Meter, Signaller};
use serde_json::{Value as Json, json};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::fate::{self, Fate};
use crate::hub::{Answer, Answers};
use crate::options::{Facts, Names};
use crate::pipe::{Output, Reader, Writer};
use crate::terminal::Terminal;
use crate::tree::Tree;
use crate::{descriptor, reactor, report, tree};

const SIGKILL: i32 = 9;

/// What JavaScript, the start and the wait all look at.
pub(crate) struct Shared {
    /// How its options call what it is told of.
    names: Arc<Names>,
    state: Mutex<State>,
    /// Ends the start; `None` where there are no descriptors for one.
    canceller: Mutex<Option<Canceller>>,
    given_up: Mutex<Option<watch::Sender<bool>>>,
    stdin: Mutex<Option<OwnedFd>>,
    /// Our end of its terminal.
    terminal: Mutex<Option<OwnedFd>>,
    /// Our ends of its further descriptors.
    further: Mutex<Vec<(i32, OwnedFd)>>,
    output: Mutex<[Option<std::io::Result<Output>>; 2]>,
}

enum State {
    /// What was asked of it before it ran.
    Starting {
        kill: bool,
    },
    Running(Running),
    /// Nobody holds it any more: what starts yet is killed.
    Abandoned,
    Ended,
}

struct Running {
    /// Locked by whoever reaps or kills it; both are asked for by the reactor.
    child: Arc<Mutex<Child>>,
    pid: u32,
    /// It keeps the pidfd open for as long as JavaScript may see its number.
    signaller: Signaller,
    pidfd: RawFd,
    meter: Option<Meter>,
    denials: Denials,
    /// Nobody waits for the readers of what it wrote.
    let_go: Arc<AtomicBool>,
}

impl Running {
    fn let_go(&self) {
        self.let_go.store(true, Ordering::SeqCst);
        let child = self.child.clone();
        // Once it has ended; until then its signal alone decides.
        reactor::block(move || {
            let mut child = lock(&child);
            if waits_for_readers(&child) {
                let _ = child.kill();
            }
        });
    }
}

/// Whether it has ended, and what it wrote waits for who reads it.
pub(crate) fn waits_for_readers(child: &Child) -> bool {
    child.end_notice().as_raw_fd() != child.pidfd().as_raw_fd()
}

impl Shared {
    fn cancel(&self) {
        if let Some(canceller) = &*lock(&self.canceller) {
            canceller.cancel();
        }
        if let Some(given_up) = &*lock(&self.given_up) {
            given_up.send_replace(true);
        }
    }

    pub(crate) fn canceller(&self) -> Option<Canceller> {
        lock(&self.canceller).clone()
    }

    /// Whether it was given up; closed when it cannot be any more.
    pub(crate) fn given_up(&self) -> watch::Receiver<bool> {
        lock(&self.given_up).get_or_insert_with(|| watch::Sender::new(false)).subscribe()
    }

    /// The start is over: its descriptor is not to wait for JavaScript to collect the handle.
    pub(crate) fn started(&self) {
        lock(&self.canceller).take();
        lock(&self.given_up).take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The handle of a process.
#[napi]
pub struct Process {
    shared: Arc<Shared>,
    facts: Facts,
}

impl Process {
    pub(crate) fn starting(facts: Facts, names: Arc<Names>, further: Vec<(i32, OwnedFd)>) -> Process {
        let state = Mutex::new(State::Starting { kill: false });
        let canceller = Mutex::new(Canceller::new().ok());
        let given_up = Mutex::new(Some(watch::Sender::new(false)));
        let further = Mutex::new(further);
        let (stdin, terminal, output) = Default::default();
        Process {
            shared: Arc::new(Shared { names, state, canceller, given_up, stdin, terminal, further, output }),
            facts,
        }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    fn reader(&self, number: usize) -> Result<Option<Reader>> {
        let output = lock(&self.shared.output)[number].take().transpose();
        let refused = |error| Error::new(Status::GenericFailure, format!("pipe: {error}"));
        output.map(|output| output.map(Reader::new)).map_err(refused)
    }

    /// The pid of the command, which may be below an init.
    fn command(&self, running: &Running) -> u32 {
        let below = if self.facts.init { fate::below_init(running.pid) } else { None };
        below.unwrap_or(running.pid)
    }

    fn meter(&self) -> std::result::Result<Meter, Json> {
        match &*lock(&self.shared.state) {
            State::Running(Running { meter: Some(meter), .. }) => Ok(meter.clone()),
            State::Running(_) => {
                Err(report::invalid("cgroup", "it has none of its own; ask for one: container.cgroup"))
            }
            _ => Err(report::of_errno("cgroup", "the process does not run", Errno::SRCH)),
        }
    }
}

#[napi]
impl Process {
    /// Whether the command is PID 1, which gets only the signals that it has handlers for, and SIGKILL and SIGSTOP.
    #[napi(getter)]
    pub fn first(&self) -> bool {
        self.facts.first
    }

    /// Sends a signal; answers what becomes of it: 0 if nobody is there to get it, 1 if it is taken, 2 if the kernel drops
    /// it, 3 if it is ignored, 4 if it is blocked and may yet be dropped.
    #[napi]
    pub fn signal(&self, signal: i32) -> Result<u32> {
        let State::Running(running) = &*lock(&self.shared.state) else { return Ok(0) };
        let fate = if signal == 0 { Fate::Taken } else { fate::of(signal, self.command(running), self.facts.first) };
        let sent = running.signaller.send(signal);
        if signal == SIGKILL {
            running.let_go();
        }
        match sent {
            Ok(()) => Ok(match fate {
                Fate::Taken => 1,
                Fate::Dropped => 2,
                Fate::Ignored => 3,
                Fate::Waits => 4,
            }),
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(0),
            Err(error) => Err(Error::new(Status::GenericFailure, format!("signal {signal}: {error}"))),
        }
    }

    /// It is to end: once the command has, nobody waits for those who read what it wrote.
    #[napi]
    pub fn let_go(&self) {
        if let State::Running(running) = &*lock(&self.shared.state) {
            running.let_go();
        }
    }

    /// Whether it would be dropped now.
    #[napi]
    pub fn drops(&self, signal: i32) -> bool {
        match &*lock(&self.shared.state) {
            State::Running(running) => fate::of(signal, self.command(running), self.facts.first) == Fate::Dropped,
            _ => false,
        }
    }

    /// Sends a signal to everything in the container.
    #[napi]
    pub fn signal_tree(&self, answers: &crate::hub::Hub, request: f64, signal: i32) {
        let answers = answers.answers();
        let tree = match &*lock(&self.shared.state) {
            State::Running(running) => descriptor::copy_of(running.pidfd).map(|pidfd| Tree {
                pid: running.pid,
                pidfd,
                signaller: running.signaller.clone(),
                init: self.facts.init,
                below: self.facts.init || self.facts.first,
                cgroup: running.meter.as_ref().map(|meter| meter.path().to_owned()),
            }),
            _ => return answers.send(request, Answer::Done),
        };
        reactor::block(move || {
            let answer = match tree.and_then(|tree| tree.signal(signal)) {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Failed(report::of_io("kill", "everything in the container", &error)),
            };
            answers.send(request, answer);
        });
    }

    /// What it has in memory now and has had at most, in bytes; nothing where it does not run.
    #[napi]
    pub fn memory(&self) -> Option<Vec<f64>> {
        let State::Running(running) = &*lock(&self.shared.state) else { return None };
        if let Some(stats) = running.meter.as_ref().and_then(|meter| meter.stats().ok())
            && let Some(now) = stats.memory_current
        {
            return Some(vec![now as f64, stats.memory_peak.unwrap_or(now).max(now) as f64]);
        }
        let command = self.command(running);
        let status = fate::status(command)?;
        // Whoever has the pid by now is somebody else, unless it is there yet.
        let pidfd = descriptor::copy_of(running.pidfd).ok()?;
        if self.command(running) != command || tree::has_ended(&pidfd) {
            return None;
        }
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib * 1024.0)
        };
        let now = bytes("VmRSS:")?;
        Some(vec![now, bytes("VmHWM:").unwrap_or(now)])
    }

    /// Our end of one of its further descriptors; once, and the caller's to close.
    #[napi]
    pub fn further(&self, number: i32) -> Option<i32> {
        let mut further = lock(&self.shared.further);
        let place = further.iter().position(|(own, _)| *own == number)?;
        Some(further.swap_remove(place).1.into_raw_fd())
    }

    /// Kills everything in the container.
    #[napi]
    pub fn kill_tree(&self, answers: &crate::hub::Hub, request: f64) {
        let answers = answers.answers();
        let child = match &mut *lock(&self.shared.state) {
            State::Starting { kill } => {
                *kill = true;
                self.shared.cancel();
                None
            }
            State::Running(running) => Some(running.child.clone()),
            State::Ended | State::Abandoned => None,
        };
        let Some(child) = child else { return answers.send(request, Answer::Done) };
        reactor::block(move || {
            let answer = match lock(&child).kill() {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Failed(report::of_io("kill", "everything in the container", &error)),
            };
            answers.send(request, answer);
        });
    }

    /// The counters of its cgroup.
    #[napi]
    pub fn stats(&self, answers: &crate::hub::Hub, request: f64) {
        self.with_meter(answers, request, |meter| meter.stats().map(|stats| Answer::Value(report::stats(&stats))));
    }

    /// What its filter of system calls has refused so far, as JSON; nothing where it does not run.
    #[napi]
    pub fn denials(&self) -> Option<String> {
        let State::Running(running) = &*lock(&self.shared.state) else { return None };
        Some(running.denials.to_json(&|remedy| self.shared.names.as_json(remedy)).to_string())
    }

    /// Stops every process of the container.
    #[napi]
    pub fn pause(&self, answers: &crate::hub::Hub, request: f64) {
        self.with_meter(answers, request, |meter| meter.pause().map(|()| Answer::Done));
    }

    /// Lets them go on.
    #[napi]
    pub fn resume(&self, answers: &crate::hub::Hub, request: f64) {
        self.with_meter(answers, request, |meter| meter.resume().map(|()| Answer::Done));
    }

    fn with_meter(
        &self,
        answers: &crate::hub::Hub,
        request: f64,
        ask: impl FnOnce(&Meter) -> seclude::Result<Answer> + Send + 'static,
    ) {
        let (answers, names) = (answers.answers(), self.shared.names.clone());
        match self.meter() {
            Ok(meter) => reactor::block(move || {
                let answer = ask(&meter).unwrap_or_else(|error| Answer::Failed(report::failure(&error, &names)));
                answers.send(request, answer);
            }),
            Err(failure) => answers.send(request, Answer::Failed(failure)),
        }
    }

    /// The pidfd, as long as it runs.
    #[napi(getter)]
    pub fn pidfd(&self) -> Option<i32> {
        match &*lock(&self.shared.state) {
            State::Running(running) => Some(running.pidfd),
            _ => None,
        }
    }

    /// The end of its stdin that is written to; once.
    #[napi]
    pub fn stdin(&self) -> Result<Option<Writer>> {
        lock(&self.shared.stdin).take().map(Writer::new).transpose()
    }

    /// The end of its stdout that is read; once.
    #[napi]
    pub fn stdout(&self) -> Result<Option<Reader>> {
        self.reader(0)
    }

    /// The end of its stderr that is read; once.
    #[napi]
    pub fn stderr(&self) -> Result<Option<Reader>> {
        self.reader(1)
    }

    /// The end of its terminal that is ours; once.
    #[napi]
    pub fn terminal(&self) -> Result<Option<Terminal>> {
        lock(&self.shared.terminal).take().map(Terminal::new).transpose()
    }

    /// Closes those that were not asked for.
    #[napi]
    pub fn close_further(&self) {
        lock(&self.shared.further).clear();
    }

    /// Forgets it after its end, but for what it has written: that is there until the handle is collected.
    #[napi]
    pub fn ended(&self) {
        drop(lock(&self.shared.stdin).take());
        drop(lock(&self.shared.terminal).take());
        self.shared.started();
        if let State::Starting { .. } = std::mem::replace(&mut *lock(&self.shared.state), State::Ended) {
            // Nobody was there to write.
            self.close_further();
        }
    }
}

impl Drop for Process {
    /// JavaScript holds the handle of whatever runs, so this is the end of its environment, or that of the process.
    fn drop(&mut self) {
        if self.facts.outlives {
            return;
        }
        let state = std::mem::replace(&mut *lock(&self.shared.state), State::Abandoned);
        self.shared.cancel();
        if let State::Running(running) = state {
            reactor::block(move || drop(lock(&running.child).kill()));
        }
    }
}

/// Waits for the end of a process that runs by now.
pub(crate) fn attend(
    mut child: Child,
    shared: &Arc<Shared>,
    ahead: bool,
    answers: Answers,
    started: Instant,
    spawned: f64,
    exited: f64,
) {
    let made = serde_json::to_value(child.report()).unwrap_or_default();
    let pidfd = child.pidfd().try_clone_to_owned();
    *lock(&shared.stdin) = child.stdin.take().map(OwnedFd::from);
    *lock(&shared.terminal) = child.take_terminal().map(OwnedFd::from);
    let ends = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
    *lock(&shared.output) = ends.map(|end| end.map(|end| Output::new(end, ahead)));
    let (pid, number, signaller, meter) = (child.id(), child.pidfd().as_raw_fd(), child.signaller(), child.meter());
    let denials = child.denials();
    let child = Arc::new(Mutex::new(child));
    let let_go = Arc::new(AtomicBool::new(false));
    let kill = {
        let mut state = lock(&shared.state);
        let (child, let_go) = (child.clone(), let_go.clone());
        let running = Running { child, pid, signaller, pidfd: number, meter, denials, let_go };
        match std::mem::replace(&mut *state, State::Running(running)) {
            State::Starting { kill } => kill,
            _ => {
                *state = State::Abandoned;
                true
            }
        }
    };
    if kill {
        let _ = lock(&child).kill();
    }
    answers.send(spawned, Answer::Value(json!({ "pid": pid })));
    let names = shared.names.clone();
    reactor::spawn(async move {
        let answer = match ended(child, pidfd, &let_go, &names).await {
            Ok(exit) => Answer::Value(exit.to_json(&made, started.elapsed(), &|remedy| names.as_json(remedy))),
            Err(failure) => Answer::Failed(failure),
        };
        answers.send(exited, answer);
    });
}

/// The end of `child`, or the deadline, which kills it.
async fn ended(
    child: Arc<Mutex<Child>>,
    pidfd: std::io::Result<OwnedFd>,
    let_go: &AtomicBool,
    names: &Names,
) -> std::result::Result<Exit, Json> {
    let failed = |error: std::io::Error| report::of_io("wait", "the pidfd", &error);
    let pidfd = pidfd.map_err(failed)?;
    // Deprecated because of types that close or swap their descriptor while it is registered; an OwnedFd cannot.
    #[expect(deprecated, reason = "its successor is an unsafe function")]
    let watched = |fd: OwnedFd| AsyncFd::with_interest(fd, Interest::READABLE);
    let mut notice = watched(pidfd).map_err(failed)?;
    loop {
        let left = lock(&child).time_left();
        match left {
            Some(left) => {
                // The deadline: the next look at the child kills it.
                let _ = tokio::time::timeout(left, notice.readable()).await;
            }
            None => drop(notice.readable().await.map_err(failed)?),
        }
        let looked_at = child.clone();
        // Its clean-up waits for the kernel, and nobody's streams shall wait for that.
        let looked = tokio::task::spawn_blocking(move || lock(&looked_at).try_wait()).await;
        match looked.map_err(|error| failed(std::io::Error::other(error)))? {
            Ok(Some(exit)) => return Ok(exit),
            // Readable is not forgotten by itself; after a deadline it is not there yet.
            Ok(None) => {
                let other = {
                    let mut child = lock(&child);
                    let waits = waits_for_readers(&child);
                    if waits && let_go.load(Ordering::SeqCst) {
                        let _ = child.kill();
                    }
                    waits.then(|| child.end_notice().try_clone_to_owned())
                };
                if let Some(other) = other {
                    notice = watched(other.map_err(failed)?).map_err(failed)?;
                }
                tokio::task::yield_now().await;
            }
            Err(error) => return Err(report::failure(&error, names)),
        }
    }
}
