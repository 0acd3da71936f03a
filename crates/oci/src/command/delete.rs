//! `delete`: everything that there was for a container goes, however much of it was made.

use std::time::Duration;

use seclude::cgroup::{Cgroup, Hierarchies};

use super::Context;
use crate::failure::{Failure, Result};
use crate::hooks::{self, Place};
use crate::state::{Entry, Status};

/// How long the killed are waited for.
const LAST_MOMENTS: Duration = Duration::from_secs(10);

pub(super) fn run(context: &Context<'_>, id: &str, force: bool) -> Result<()> {
    crate::state::check_id(id)?;
    if force && !crate::state::is_there(&context.store, id) {
        return Ok(());
    }
    let entry = match context.store.lock(id) {
        // Another has deleted it meanwhile.
        Err(_) if force && !crate::state::is_there(&context.store, id) => return Ok(()),
        locked => locked?,
    };
    delete(context, entry, force)
}

/// Of one that is locked.
pub(super) fn delete(context: &Context<'_>, entry: Entry, force: bool) -> Result<()> {
    let Some(record) = entry.record()? else { return entry.remove() };
    if let Some(process) = record.process.filter(|process| process.is_alive()) {
        let waits = entry.waits();
        if !force && !waits {
            return Err(Failure::new(format!(
                "cannot delete container {} that is not stopped: {}",
                entry.id,
                record.status(&entry)
            )));
        }
        process.signal(9)?;
    }
    if let Some(cgroup) = record.open_cgroup()? {
        match record.shares_cgroup {
            false => end(&cgroup)?,
            true => super::kill::each(&record, &cgroup, 9)?,
        }
    }
    if let Some(path) = &record.cgroup {
        Cgroup::release_above(&Hierarchies::discover()?, path);
    }
    if let Some(process) = record.process
        && !process.wait(LAST_MOMENTS.as_secs() as i64)
    {
        return Err(Failure::new(format!("container {}: process {} does not end", entry.id, process.pid)));
    }
    let hooks = entry.config().ok().and_then(|spec| spec.hooks).unwrap_or_default();
    let state = record.state(&entry.id, Status::Stopped);
    // What is left of the container is to go in any case.
    if let Err(failure) = hooks::run(&hooks.poststop, "poststop", &state, Place::Here) {
        context.log.warn(&failure.to_string());
    }
    entry.remove()
}

/// Kills what is in a cgroup, and removes it.
pub(super) fn end(cgroup: &Cgroup) -> Result<()> {
    cgroup.kill()?;
    cgroup.wait_empty(Some(LAST_MOMENTS))?;
    Ok(cgroup.remove()?)
}
