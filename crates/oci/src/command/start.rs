//! `start`: lets a created container go.

use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use seclude::release_unless;

use super::Context;
use crate::failure::{Failure, Result};
use crate::hooks::{self, Contained, Place};
use crate::inside::Inside;
use crate::interrupts;
use crate::notify::Notify;
use crate::sockets;
use crate::spec::Spec;
use crate::state::{Entry, Record, SOCKET, Status};

pub(super) fn run(context: &Context<'_>, id: &str) -> Result<()> {
    let entry = context.store.lock(id)?;
    let record = entry.made()?;
    let spec = entry.config()?;
    start(&entry, &record, &spec, false)
}

/// Of one that is locked; `is_new`: by whoever made it, and has not let go of it since.
pub(super) fn start(entry: &Entry, record: &Record, spec: &Spec, is_new: bool) -> Result<()> {
    let cannot = |is: Status| Failure::new(format!("cannot start a container that is {is}: {}", entry.id));
    if spec.process.is_none() {
        return Err(Failure::at("process", format!("container {} has none that could be started", entry.id)));
    }
    let Some(process) = record.process else { return Err(cannot(record.status(entry))) };
    // Whoever answers waits: nothing else is asked before.
    let connection = match sockets::connected(entry.dir(), SOCKET) {
        Ok(connection) => connection,
        Err(Errno::CONNREFUSED | Errno::NOENT) => {
            let is = record.status(entry);
            if is == Status::Running {
                // Whoever let it go before could not say so any more.
                entry.waits_no_more()?;
            }
            return Err(cannot(is));
        }
        Err(errno) => return Err(Failure::of(SOCKET, errno)),
    };
    if !is_new && record.is_paused() {
        return Err(cannot(Status::Paused));
    }
    let notify = Notify::of(spec)?;
    let hooks = spec.hooks.as_ref();
    if let Some(hooks) = hooks.filter(|hooks| !hooks.start_container.is_empty()) {
        let inside = Inside::of(process)?;
        let state = record.state(&entry.id, Status::Created);
        let (words, linux) = (spec.process.clone().unwrap_or_default(), spec.linux.clone().unwrap_or_default());
        let contained = Contained { inside: &inside, process: &words, linux: &linux, record, notify: notify.as_ref() };
        let run = hooks::run(&hooks.start_container, "startContainer", &state, Place::Contained(contained));
        run.inspect_err(|_| stop(process))?;
    }
    let program = spec.process.as_ref().and_then(|process| process.args.first()).map_or("", String::as_str);
    let canceller = interrupts::canceller()?;
    let released = release_unless(connection, Path::new(program), canceller.as_ref(), |listener| match &notify {
        Some(notify) => {
            let state = record.state(&entry.id, Status::Created);
            notify.send(&listener, process.pid.unsigned_abs(), &state).map_err(Failure::into_io)
        }
        None => Err(std::io::Error::other("its filter asks, and nobody answers")),
    });
    // What an earlier version has created, which was exchanged for this one meanwhile, runs without a word: it is there still.
    let ended = Some(Errno::SRCH.raw_os_error());
    let released = match released {
        Err(error) if error.raw_os_error() == ended && !process.wait_for(Duration::from_millis(200)) => Ok(()),
        released => released,
    };
    let explain = |error| super::create::without_mounts().explain(error);
    let started = released.map_err(|error| interrupts::explain(error, explain));
    // One that does not answer is not to go on after this has failed.
    let started = started.inspect_err(|_| stop(process));
    entry.waits_no_more()?;
    started?;
    let Some(hooks) = hooks.filter(|hooks| !hooks.poststart.is_empty()) else { return Ok(()) };
    let state = record.state(&entry.id, Status::Running);
    hooks::run(&hooks.poststart, "poststart", &state, Place::Here).inspect_err(|_| stop(process))
}

/// What a hook failed for is not to run.
fn stop(process: crate::state::Identity) {
    let _ = process.signal(9);
    process.wait(10);
}
