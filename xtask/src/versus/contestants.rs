//! What is measured: each can start the static program once, and says how long that took, from spawn to reaped.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use seclude::{Limits, Mount, Namespace, Root};

use super::programs::First;

/// One line of the table.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    /// What has to be known to compare it.
    pub(super) note: String,
    /// Somebody else's: that it does not run here is told, and no error.
    pub(super) rival: bool,
    pub(super) measure: Box<dyn FnMut() -> Result<Duration>>,
}

impl Contestant {
    /// One of ours.
    pub(super) fn new(name: &'static str, note: &str, measure: impl FnMut() -> Result<Duration> + 'static) -> Self {
        Contestant { name, note: note.to_owned(), rival: false, measure: Box::new(measure) }
    }
}

/// The isolation that everybody is measured with: seven new namespaces, / as root, a new /proc, a tmpfs on /tmp, and an init, as
/// bubblewrap has it.
pub(super) fn lean(program: &Path) -> seclude::Command {
    leanest(program, First::Init)
}

/// The same with this as the first process.
pub(super) fn leanest(program: &Path, first: First) -> seclude::Command {
    let mut command = seclude::Command::new(program);
    command.init(first == First::Init);
    for kind in Namespace::ALL.into_iter().filter(|kind| *kind != Namespace::Time) {
        command.unshare(kind);
    }
    command.root(Root::directory("/")).mount(Mount::proc("/proc")).mount(Mount::tmpfs("/tmp"));
    command
}

/// The same with the limits that everybody sets.
pub(super) fn limited(program: &Path) -> seclude::Command {
    let mut command = lean(program);
    command.limits(Limits::new().memory_max(256 << 20).cpu_max(1.0).pids_max(64));
    command
}

/// Starts a command and waits for its end, building it included.
pub(super) fn time_library(build: impl FnOnce() -> seclude::Command) -> Result<Duration> {
    let start = Instant::now();
    let exit = build().spawn()?.wait()?;
    let time = start.elapsed();
    if !exit.success() {
        bail!("the command ended with {exit}");
    }
    Ok(time)
}

/// The same with the standard library.
pub(super) fn time_process(program: &Path, args: &[std::ffi::OsString]) -> Result<Duration> {
    let start = Instant::now();
    let status = Command::new(program).args(args).spawn().and_then(|mut child| child.wait());
    let time = start.elapsed();
    let status = status.with_context(|| format!("start {}", program.display()))?;
    if !status.success() {
        bail!("{}: {status}", program.display());
    }
    Ok(time)
}

/// A process that measures inside itself when it is asked to, so that rounds stay interleaved.
pub(super) struct Helper {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    pub(super) fn start(command: &mut Command) -> Result<Helper> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start a helper")?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("a helper without pipes");
        };
        Ok(Helper { process, requests: Some(requests), answers: BufReader::new(answers) })
    }

    /// Has it measure once; its line is a number of nanoseconds, or what went wrong.
    pub(super) fn ask(&mut self) -> Result<Duration> {
        let Some(requests) = &mut self.requests else { bail!("the helper has ended") };
        requests.write_all(b"g").context("ask a helper")?;
        let mut line = String::new();
        self.answers.read_line(&mut line).context("hear a helper")?;
        let line = line.trim();
        line.parse().map(Duration::from_nanos).map_err(|_| anyhow::anyhow!("its helper says: {line:?}"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The end of its stdin is the end of it.
        drop(self.requests.take());
        let _ = self.process.wait();
    }
}

/// A contestant of ours in a helper of its own.
pub(super) fn in_helper(name: &'static str, note: &str, command: &mut Command) -> Result<Contestant> {
    let mut helper = Helper::start(command).with_context(|| name.to_owned())?;
    Ok(Contestant::new(name, note, move || helper.ask()))
}
