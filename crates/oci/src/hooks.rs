//! Hooks: programs of the host's, or of the container's, that are run at six moments of its life, with the state on stdin.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fcntl_setfl, memfd_create};
use rustix::io::Errno;
use seclude::{Child, Code, Command, Stdio};
use serde_json::Value as Json;

use crate::convert::{self, Home};
use crate::failure::{Failure, Result};
use crate::family::Family;
use crate::inside::Inside;
use crate::interrupts;
use crate::notify::Notify;
use crate::spec::{Hook, Hooks, Linux, Process};
use crate::state::Record;

/// Where they are run.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Where this process is.
    Here,
    /// The same, in the bundle.
    InBundle(&'a Path),
    /// In the namespaces of the container's process, which has not left the host's tree: programs of the host's, with the caller's rights, in the
    /// container's root, which lies there.
    Inside(&'a Inside, &'a Path),
    /// In the container, which is set up: programs of the image's, with the rights of its process.
    Contained(Contained<'a>),
}

/// What a program of the image's is kept in.
#[derive(Clone, Copy)]
pub(crate) struct Contained<'a> {
    pub(crate) inside: &'a Inside,
    pub(crate) process: &'a Process,
    pub(crate) linux: &'a Linux,
    /// Of the container, which says in which cgroup it is.
    pub(crate) record: &'a Record,
    pub(crate) notify: Option<&'a Notify>,
}

/// All of one moment, in order, to the first that fails.
pub(crate) fn run(hooks: &[Hook], moment: &str, state: &Json, place: Place<'_>) -> Result<()> {
    for (index, hook) in hooks.iter().enumerate() {
        let field = format!("hooks.{moment}[{index}]");
        one(hook, state, place).map_err(|failure| named(&failure, moment, index).or_at(&field))?;
    }
    Ok(())
}

/// All of one moment whatever becomes of each, in order: those that failed.
pub(crate) fn run_each(hooks: &[Hook], moment: &str, state: &Json, place: Place<'_>) -> Vec<Failure> {
    let run = |(index, hook)| {
        let failed = |failure| named(&failure, moment, index).or_at(&format!("hooks.{moment}[{index}]"));
        one(hook, state, place).map_err(failed)
    };
    hooks.iter().enumerate().filter_map(|hook| run(hook).err()).collect()
}

/// In the words by which others' errors of hooks are found.
fn named(failure: &Failure, moment: &str, index: usize) -> Failure {
    Failure::new(format!("error running {moment} hook #{index}: {failure}"))
}

/// Whether all of them can be meant, known before anything is made: one that comes to its moment has something to undo.
pub(crate) fn check(hooks: &Hooks) -> Result<()> {
    for (moment, list) in hooks.moments() {
        for (index, hook) in list.iter().enumerate() {
            let named = |field: &str| format!("hooks.{moment}[{index}].{field}");
            if !hook.path.starts_with('/') {
                return Err(Failure::at(named("path"), format!("{:?} is not absolute", hook.path)));
            }
            let env = hook.env.as_deref().unwrap_or_default();
            if let Some((position, entry)) = env.iter().enumerate().find(|(_, entry)| variable(entry).is_none()) {
                return Err(Failure::at(named(&format!("env[{position}]")), format!("{entry:?} is no NAME=VALUE")));
            }
            if let Some(seconds @ ..=0) = hook.timeout {
                return Err(Failure::at(named("timeout"), format!("{seconds} is not above 0")));
            }
        }
    }
    Ok(())
}

fn variable(entry: &str) -> Option<(&str, &str)> {
    entry.split_once('=').filter(|(name, _)| !name.is_empty())
}

/// Of those that [`check`] has let through.
fn one(hook: &Hook, state: &Json, place: Place<'_>) -> Result<()> {
    let mut command = Command::new(&hook.path);
    if let Some((name, arguments)) = hook.args.split_first() {
        command.arg0(name).args(arguments);
    }
    command.no_new_privileges(false).stdin(Stdio::piped());
    // One that says none has that of who is there: the container's process, or the runtime.
    match (&hook.env, place) {
        (Some(said), _) => {
            command.env_clear();
            for (name, value) in said.iter().filter_map(|entry| variable(entry)) {
                command.env(name, value);
            }
        }
        (None, Place::Contained(contained)) => {
            let root = contained.inside.root()?;
            convert::environment(&mut command, contained.process, Home::At(root.as_fd()))?;
        }
        (None, Place::Here | Place::InBundle(_) | Place::Inside(..)) => {}
    }
    let said = Said::by(&mut command)?;
    let time = hook.timeout.map(|seconds| Duration::from_secs(seconds.unsigned_abs()));
    if let Some(time) = time {
        command.deadline(time);
    }
    if let Some(canceller) = interrupts::canceller()? {
        command.cancelled_by(&canceller);
    }
    match place {
        Place::Here => {}
        Place::InBundle(bundle) => drop(command.current_dir(bundle)),
        Place::Inside(inside, rootfs) => {
            inside.join(&mut command)?;
            command.current_dir(rootfs);
        }
        Place::Contained(Contained { inside, process, linux, record, notify }) => {
            inside.join_root(&mut command)?;
            convert::confine(&mut command, process, linux)?;
            if let Some(cgroup) = record.whole_cgroup()? {
                command.join_cgroup_opened(cgroup.existing()?);
            }
            if let Some(notify) = notify.cloned() {
                let state = state.clone();
                command
                    .when_listening(move |pid, listener| notify.send(&listener, pid, &state).map_err(Failure::into_io));
            }
        }
    }
    let late = || Failure::new(format!("{} did not end in {} s", hook.path, hook.timeout.unwrap_or(0)));
    let family = Family::begin();
    let spawned = command.spawn();
    let mut child = spawned.map_err(|error| match error.code() {
        Code::Deadline => late(),
        _ => interrupts::explain(error, Failure::from),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        let text = state.to_string();
        // Beside the wait for its end, which has a deadline: one that does not read it is no failure, and may leave a pipe full.
        std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
    }
    let given_up = match attend(&child)? {
        Ending::Itself => None,
        Ending::Late => Some(late()),
        Ending::Interrupted(by) => Some(by.and(format!("{} was ended", hook.path))),
    };
    if let Some(failure) = given_up {
        // What it has started may be what it waits for, and is to go with it.
        if let Err(left) = family.kill(child.id()) {
            // Nobody can wait for those.
            child.outlives(true);
            return Err(failure.told(&said).and(left));
        }
        child.kill().map_err(|error| Failure::of(&hook.path, error))?;
        return Err(match child.wait() {
            Ok(_) => failure.told(&said),
            Err(left) => failure.told(&said).and(left),
        });
    }
    let exit = child.wait()?;
    if exit.success() { Ok(()) } else { Err(Failure::new(format!("{} failed: {exit}", hook.path)).told(&said)) }
}

/// What a hook writes. It is told where that fails, and goes nowhere else: the streams that are there are the container's.
///
/// In memory, not by pipes: what a hook has left running may hold them for as long as it likes, and is not ended by them.
struct Said([(&'static str, File); 2]);

/// Of each, the end: by then it has come to the point.
const MOST_OF_IT: u64 = 4096;

impl Said {
    fn by(command: &mut Command) -> Result<Said> {
        let failed = |errno| Failure::of("memfd_create", errno);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let open = || memfd_create("hook", flags).map(File::from).map_err(failed);
        let (stdout, stderr) = (open()?, open()?);
        for file in [&stdout, &stderr] {
            // Who opens /dev/stderr anew writes at an offset of its own: neither is to write over the other.
            fcntl_setfl(file, OFlags::APPEND).map_err(|errno| Failure::of("fcntl", errno))?;
        }
        let shared = |file: &File| file.try_clone().map_err(|error| Failure::of("fcntl", error));
        command.stdout(Stdio::from(shared(&stdout)?)).stderr(Stdio::from(shared(&stderr)?));
        Ok(Said([("stdout", stdout), ("stderr", stderr)]))
    }
}

impl Drop for Said {
    /// What it has left running would fill memory that nobody reads: it is told that there is no more, EPERM.
    fn drop(&mut self) {
        for (_, file) in &self.0 {
            let _ = file.set_len(0);
            let _ = fcntl_add_seals(file, SealFlags::GROW);
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (stream, file) in &self.0 {
            let length = file.metadata().map_or(0, |found| found.len());
            let begins = length.saturating_sub(MOST_OF_IT);
            let mut text = vec![0; (length - begins) as usize];
            // What was there a moment ago may have been cut off since.
            let read = file.read_at(&mut text, begins).unwrap_or(0);
            let text = String::from_utf8_lossy(text.get(..read).unwrap_or_default());
            let text = text.trim();
            if !text.is_empty() {
                let cut = if begins > 0 { "…" } else { "" };
                write!(f, ", {stream}: {cut}{text}")?;
            }
        }
        Ok(())
    }
}

/// How the wait for a hook ended.
enum Ending {
    Itself,
    Late,
    Interrupted(Failure),
}

fn attend(child: &Child) -> Result<Ending> {
    loop {
        let left = child.time_left();
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Ending::Late);
        }
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let pidfd = child.pidfd();
        let mut polled = vec![PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        polled.extend(interrupts::descriptor().map(|come| PollFd::from_borrowed_fd(come, PollFlags::IN)));
        match poll(&mut polled, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::of("poll", errno)),
        }
        if polled.first().is_some_and(|polled| !polled.revents().is_empty()) {
            return Ok(Ending::Itself);
        }
        if let Some(by) = interrupts::take() {
            return Ok(Ending::Interrupted(by));
        }
    }
}
