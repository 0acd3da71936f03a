//! A start, and the handle of what runs.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOverflowError, PyProcessLookupError, PyValueError};
use pyo3::prelude::*;
use seclude::request::Request;
use seclude::{Child, Command, Field, Meter, Stdio};
use serde_json::Value as Json;

use crate::compose::{Composed, Keyword, Names, compose};
use crate::object::about;
use crate::{descriptor, failure};

/// What `subprocess.Popen` is given besides the command and its container.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Launch {
    arg0: Option<Vec<u8>>,
    cwd: Option<PathBuf>,
    /// Names and values; without it this process's own environment.
    env: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    /// stdin, stdout, stderr: descriptors, or -1 for what the command has without being given one.
    stdio: [i32; 3],
    /// Further descriptors, which keep their numbers.
    fds: Vec<i32>,
    new_session: bool,
    /// Signals that have their default disposition even where this process ignores them.
    reset: u64,
    umask: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Option<Vec<u32>>,
    /// Seconds from now until it is killed, set-up included, where its own deadline is not before that.
    timeout: Option<f64>,
}

/// Starts a command; returns when it runs.
#[pyfunction]
pub(crate) fn spawn(
    py: Python<'_>,
    command: Vec<Bound<'_, PyAny>>,
    container: Option<Bound<'_, PyAny>>,
    keywords: Vec<Keyword<'_>>,
    launch: &Bound<'_, PyAny>,
) -> PyResult<Process> {
    let launch: Launch = launch.extract()?;
    let mut composed = compose(&command, container.as_ref(), &keywords)?;
    surround(&mut composed, &launch)?;
    let Composed { mut command, request, mut names } = composed;
    connect(&mut command, &launch)?;
    if launch.new_session {
        command.new_session(true);
    }
    command.keep_ignored_signals(!launch.reset);
    if let Some(mask) = launch.umask {
        command.umask(mask);
    }
    if let Some(uid) = launch.uid {
        command.uid(uid);
    }
    if let Some(gid) = launch.gid {
        command.gid(gid);
    }
    if let Some(groups) = launch.groups {
        command.groups(groups);
    }
    // What goes on without its parent does so at the ordinary end of an interpreter as well.
    if request.die_with_parent == Some(false) {
        command.kill_on_drop(false);
    }
    // The container's own is no longer for who waits less.
    let asked = launch.timeout.map(length).transpose()?;
    let timeout =
        asked.filter(|asked| request.deadline.is_none_or(|own| asked.as_nanos().cast_signed() < own.nanoseconds));
    if let Some(timeout) = timeout {
        command.deadline(timeout);
        names.add("timeout", Field::of("deadline").parts());
    }
    let started = Instant::now();
    let child = py.detach(move || {
        let child = command.spawn();
        // Its copies of descriptors are closed here, before anybody waits for the end of a pipe.
        drop(command);
        child
    });
    let child = child.map_err(|error| failure::raise(py, &error, &names))?;
    let (pid, made) = (child.id(), serde_json::to_value(child.report()).unwrap_or_default());
    let state = Mutex::new(State::Running(Box::new(child)));
    let (timed, killed) = (timeout.is_some(), AtomicBool::new(false));
    Ok(Process { owner: std::process::id(), pid, names, timed, made, started, killed, state })
}

/// Longer than anybody waits.
const AGES: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn length(seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() {
        return Err(PyValueError::new_err("timeout is no number"));
    }
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).map_or(AGES, |length| length.min(AGES)))
}

/// Its directory, and its environment, the caller's as it is now: here, where no other thread of Python's changes it, and never later.
fn surround(composed: &mut Composed, launch: &Launch) -> PyResult<()> {
    let Composed { command, request, names } = composed;
    if let Some(env) = &launch.env {
        let variable = |(name, value): &(Vec<u8>, Vec<u8>)| {
            (OsStr::from_bytes(name).to_owned(), OsStr::from_bytes(value).to_owned())
        };
        command.environment(env.iter().map(variable));
    }
    let cleared = request.clear_env || (launch.env.is_some() && request.env_all != Some(true));
    if !cleared || !request.inherit_env.is_empty() {
        command.caller_env(std::env::vars_os());
    }
    if let Some(arg0) = &launch.arg0 {
        command.arg0(OsStr::from_bytes(arg0));
    }
    if let Some(directory) = &launch.cwd {
        if request.workdir.is_some() {
            let place = names.place(&Field::of("workdir"));
            return Err(about(PyValueError::new_err(format!("{place}: cwd says it already")), &place));
        }
        command.caller_dir(from_here(directory, request)?);
    }
    Ok(())
}

/// A relative directory is this process's own, in a tree that is this process's own.
fn from_here(directory: &Path, request: &Request) -> PyResult<PathBuf> {
    if directory.is_absolute() || directory.as_os_str().is_empty() {
        return Ok(directory.to_owned());
    }
    if request.has_own_tree() {
        let line = format!("cwd is {directory:?}; it can be an absolute path inside container.root");
        return Err(about(PyValueError::new_err(line), "cwd"));
    }
    Ok(std::env::current_dir().map_err(failure::of_io)?.join(directory))
}

fn connect(command: &mut Command, launch: &Launch) -> PyResult<()> {
    for (number, fd) in launch.stdio.into_iter().enumerate() {
        if fd < 0 {
            continue;
        }
        let stdio = Stdio::from(descriptor::copy_of(fd).map_err(failure::of_io)?);
        match number {
            0 => command.stdin(stdio),
            1 => command.stdout(stdio),
            _ => command.stderr(stdio),
        };
    }
    for fd in &launch.fds {
        command.inherit_fd(*fd, *fd).map_err(failure::of_io)?;
    }
    Ok(())
}

const SIGKILL: i32 = 9;

enum State {
    Running(Box<Child>),
    Ended(Ended),
}

/// Its exit code, or the signal that has ended it, and the report as JSON.
type Ended = (Option<i32>, Option<i32>, String);

/// A process, until its end is known; then its report.
#[pyclass(frozen, module = "seclude._native")]
pub(crate) struct Process {
    /// The process that started it. One that was forked from that has a copy of all this, and no child.
    owner: u32,
    pid: u32,
    /// How the caller calls what it is told of.
    names: Names,
    /// Its deadline is the caller's timeout.
    timed: bool,
    made: Json,
    started: Instant,
    /// It was killed: nobody waits for the readers of what it wrote.
    killed: AtomicBool,
    state: Mutex<State>,
}

/// Whether it has ended, and what it wrote waits for who reads it.
fn waits_for_readers(child: &Child) -> bool {
    child.end_notice().as_raw_fd() != child.pidfd().as_raw_fd()
}

impl Process {
    /// With the state locked and the interpreter's lock given back, which whoever has the state may wait for.
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut State) -> PyResult<T> + Send) -> PyResult<T> {
        if self.owner != std::process::id() {
            return Err(failure::foreign());
        }
        py.detach(|| work(&mut self.lock()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meter(&self, py: Python<'_>) -> PyResult<Meter> {
        let found = self.with(py, |state| match state {
            State::Running(child) => Ok(Some(child.meter())),
            State::Ended(_) => Ok(None),
        })?;
        match found {
            Some(Some(meter)) => Ok(meter),
            Some(None) => {
                Err(PyValueError::new_err("it has no cgroup of its own; container.cgroup or a limit gives it one"))
            }
            None => Err(gone()),
        }
    }

    fn of_meter<T: Send>(&self, py: Python<'_>, ask: impl FnOnce(&Meter) -> seclude::Result<T> + Send) -> PyResult<T> {
        let meter = self.meter(py)?;
        py.detach(|| ask(&meter)).map_err(|error| failure::raise(py, &error, &self.names))
    }
}

fn gone() -> PyErr {
    PyProcessLookupError::new_err((rustix::io::Errno::SRCH.raw_os_error(), "the process has ended"))
}

#[pymethods]
impl Process {
    /// The pid, in the caller's pid namespace.
    #[getter]
    fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether its deadline is the caller's timeout, and none of its own.
    #[getter]
    fn timed(&self) -> bool {
        self.timed
    }

    /// A new descriptor, the caller's to close, that is readable when there is more to know than that the process runs; `None` if its end is
    /// known. To be asked for anew where that was none: it has ended, and what it wrote waits for its reader.
    fn watch(&self, py: Python<'_>) -> PyResult<Option<i32>> {
        self.with(py, |state| match state {
            State::Running(child) => {
                let copy = child.end_notice().try_clone_to_owned().map_err(failure::of_io)?;
                Ok(Some(copy.into_raw_fd()))
            }
            State::Ended(_) => Ok(None),
        })
    }

    /// How it has ended, if it has. Kills it if its deadline has passed, and waits for that.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<Ended>> {
        let (made, started, names) = (&self.made, self.started, &self.names);
        let ended = self.with(py, |state| {
            let child = match state {
                State::Ended(ended) => return Ok(Ok(Some(ended.clone()))),
                State::Running(child) => child,
            };
            let mut looked = child.try_wait();
            if matches!(looked, Ok(None)) && self.killed.load(Ordering::SeqCst) && waits_for_readers(child) {
                child.kill().map_err(failure::of_io)?;
                looked = child.try_wait();
            }
            match looked {
                Ok(Some(exit)) => {
                    let report = exit.to_json(made, started.elapsed(), &|remedy| names.as_json(remedy)).to_string();
                    let ended = (exit.code(), exit.signal(), report);
                    *state = State::Ended(ended.clone());
                    Ok(Ok(Some(ended)))
                }
                Ok(None) => Ok(Ok(None)),
                Err(error) => Ok(Err(error)),
            }
        })?;
        ended.map_err(|error| failure::raise(py, &error, &self.names))
    }

    /// Seconds until its deadline, if it has one.
    fn time_left(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.with(py, |state| match state {
            State::Running(child) => Ok(child.time_left().map(|left| left.as_secs_f64())),
            State::Ended(_) => Ok(None),
        })
    }

    /// Sends a signal to its first process; whether there was one.
    fn signal(&self, py: Python<'_>, number: i64) -> PyResult<bool> {
        let number =
            i32::try_from(number).map_err(|_| PyOverflowError::new_err("signed integer is greater than maximum"))?;
        let ended = Some(rustix::io::Errno::SRCH.raw_os_error());
        self.with(py, |state| match state {
            State::Running(child) => match child.signal(number) {
                Ok(()) => {
                    self.killed.fetch_or(number == SIGKILL, Ordering::SeqCst);
                    if number == SIGKILL && waits_for_readers(child) {
                        child.kill().map_err(failure::of_io)?;
                    }
                    Ok(true)
                }
                Err(error) if error.raw_os_error() == ended => Ok(false),
                Err(error) => Err(failure::of_io(error)),
            },
            State::Ended(_) => Ok(false),
        })
    }

    /// Kills everything in the container.
    fn kill(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |state| match state {
            State::Running(child) => child.kill().map_err(failure::of_io),
            State::Ended(_) => Ok(()),
        })
    }

    /// The counters of its cgroup, as JSON.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        self.of_meter(py, Meter::stats).map(|stats| seclude::stats_to_json(&stats).to_string())
    }

    /// What its filter of system calls has refused so far, as JSON.
    fn denials(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |state| match state {
            State::Running(child) => Ok(child.denials().to_json(&|remedy| self.names.as_json(remedy)).to_string()),
            State::Ended((.., report)) => {
                let report: Json = serde_json::from_str(report).unwrap_or_default();
                Ok(report["denials"].to_string())
            }
        })
    }

    /// Stops every process of the container.
    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        self.of_meter(py, Meter::pause)
    }

    /// Lets them go on.
    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        self.of_meter(py, Meter::resume)
    }

    /// Our end of its terminal, the caller's to close; once.
    fn take_terminal(&self, py: Python<'_>) -> PyResult<Option<i32>> {
        self.with(py, |state| match state {
            State::Running(child) => Ok(child.take_terminal().map(File::into_raw_fd)),
            State::Ended(_) => Ok(None),
        })
    }

    /// How it was made, as JSON.
    fn made(&self) -> String {
        self.made.to_string()
    }
}

impl Drop for Process {
    /// What still runs is killed, but by no process that was forked from the one that started it.
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::replace(state, State::Ended((None, None, String::new()))));
        }
    }
}
