//! `start`: lets a created container go.

use std::path::Path;

use seclude::release;

use super::Context;
use crate::failure::{Failure, Result};
use crate::hooks::{self, Contained, Place};
use crate::inside::Inside;
use crate::sockets;
use crate::spec::Spec;
use crate::state::{Entry, Record, SOCKET, Status};

pub(super) fn run(context: &Context<'_>, id: &str) -> Result<()> {
    let entry = context.store.lock(id)?;
    let record = entry.record()?.ok_or_else(|| Failure::new(format!("container {id}: it was never made")))?;
    let spec = entry.config()?;
    start(&entry, &record, &spec)
}

/// Of one that is locked.
pub(super) fn start(entry: &Entry, record: &Record, spec: &Spec) -> Result<()> {
    let is = record.status(entry);
    let Some(process) = record.process.filter(|_| is == Status::Created) else {
        return Err(Failure::new(format!("cannot start a container that is {is}: {}", entry.id)));
    };
    let hooks = spec.hooks.clone().unwrap_or_default();
    if !hooks.start_container.is_empty() {
        let inside = Inside::of(process)?;
        let state = record.state(&entry.id, Status::Created);
        let (words, linux) = (spec.process.clone().unwrap_or_default(), spec.linux.clone().unwrap_or_default());
        let cgroup = record.cgroup.as_deref();
        let contained = Contained { inside: &inside, process: &words, linux: &linux, cgroup };
        let run = hooks::run(&hooks.start_container, "startContainer", &state, Place::Contained(contained));
        run.inspect_err(|_| stop(process))?;
    }
    let connection = match sockets::connected(entry.dir(), SOCKET) {
        Ok(connection) => connection,
        // Whoever let it go before could not say so any more.
        Err(rustix::io::Errno::CONNREFUSED) => {
            entry.waits_no_more()?;
            return Err(Failure::new(format!("cannot start a container that is running: {}", entry.id)));
        }
        Err(errno) => return Err(Failure::of(SOCKET, errno)),
    };
    let program = spec.process.as_ref().and_then(|process| process.args.first()).map_or("", String::as_str);
    let released = release(connection, Path::new(program));
    let started = released.map_err(|error| super::create::without_mounts().explain(error));
    // One that does not answer is not to go on after this has failed.
    let started = started.inspect_err(|_| stop(process));
    entry.waits_no_more()?;
    started?;
    let state = record.state(&entry.id, Status::Running);
    hooks::run(&hooks.poststart, "poststart", &state, Place::Here).inspect_err(|_| stop(process))
}

/// What a hook failed for is not to run.
fn stop(process: crate::state::Identity) {
    let _ = process.signal(9);
    process.wait(10);
}
