//! Hooks: programs of the host's, or of the container's, that are run at six moments of its life, with the state on stdin.

use std::io::Write;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use seclude::{Child, Code, Command, Stdio};
use serde_json::Value as Json;

use crate::convert;
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
    /// In the namespaces of the container's process, which has not left the host's tree: programs of the host's, with the caller's rights.
    Inside(&'a Inside),
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
        one(hook, state, place).map_err(|failure| failure.or_at(&field))?;
    }
    Ok(())
}

/// All of one moment whatever becomes of each, in order: those that failed.
pub(crate) fn run_each(hooks: &[Hook], moment: &str, state: &Json, place: Place<'_>) -> Vec<Failure> {
    let run = |(index, hook)| {
        one(hook, state, place).map_err(|failure: Failure| failure.or_at(&format!("hooks.{moment}[{index}]")))
    };
    hooks.iter().enumerate().filter_map(|hook| run(hook).err()).collect()
}

/// Whether all of them can be meant, known before anything is made: one that comes to its moment has something to undo.
pub(crate) fn check(hooks: &Hooks) -> Result<()> {
    for (moment, list) in hooks.moments() {
        for (index, hook) in list.iter().enumerate() {
            let named = |field: &str| format!("hooks.{moment}[{index}].{field}");
            if !hook.path.starts_with('/') {
                return Err(Failure::at(named("path"), format!("{:?} is not absolute", hook.path)));
            }
            if let Some(position) = hook.env.iter().position(|entry| variable(entry).is_none()) {
                let entry = hook.env.get(position).map_or("", String::as_str);
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
    command.env_clear().no_new_privileges(false).stdin(Stdio::piped());
    for (name, value) in hook.env.iter().filter_map(|entry| variable(entry)) {
        command.env(name, value);
    }
    let time = hook.timeout.map(|seconds| Duration::from_secs(seconds.unsigned_abs()));
    if let Some(time) = time {
        command.deadline(time);
    }
    if let Some(canceller) = interrupts::canceller()? {
        command.cancelled_by(&canceller);
    }
    match place {
        Place::Here => {}
        Place::Inside(inside) => inside.join(&mut command)?,
        Place::Contained(Contained { inside, process, linux, record, notify }) => {
            inside.join(&mut command)?;
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
            return Err(failure.and(left));
        }
        child.kill().map_err(|error| Failure::of(&hook.path, error))?;
        return Err(match child.wait() {
            Ok(_) => failure,
            Err(left) => failure.and(left),
        });
    }
    let exit = child.wait()?;
    if exit.success() { Ok(()) } else { Err(Failure::new(format!("{} failed: {exit}", hook.path))) }
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
