//! `delete`: everything that there was for a container goes, however much of it was made.

mod unread;

use std::time::{Duration, Instant};

use seclude::cgroup::{Cgroup, Hierarchies};

use super::Context;
use crate::failure::{Failure, Result};
use crate::family;
use crate::hooks::{self, Place};
use crate::intel_rdt::Group;
use crate::mounted;
use crate::spec::{NamespaceKind, Spec};
use crate::state::{CgroupIs, Entry, Record, Status};
use crate::systemd::Unit;

/// How long the killed are waited for.
const LAST_MOMENTS: Duration = Duration::from_secs(10);
/// How long whoever works on a container has until it is asked to give up, and then between one such signal and the next: each ends one wait.
const BETWEEN_SIGNALS: Duration = Duration::from_secs(1);
/// So many that end a command in order, before the one that does not.
const SIGNALS: u32 = 5;
const TERM: i32 = 15;

pub(super) fn run(context: &Context<'_>, id: &str, force: bool) -> Result<()> {
    crate::state::check_id(id)?;
    if force && !crate::state::is_there(&context.store, id) {
        return Ok(());
    }
    let locked = if force { seize(context, id) } else { context.store.lock(id) };
    let entry = match locked {
        // Another has deleted it meanwhile.
        Err(_) if force && !crate::state::is_there(&context.store, id) => return Ok(()),
        locked => locked?,
    };
    delete(context, entry, force)
}

/// Locks it whatever is at work on it: that is asked to give up, which undoes what it does, and is killed with all that it has started if it
/// does not.
fn seize(context: &Context<'_>, id: &str) -> Result<Entry> {
    let mut sent = 0;
    context.store.lock_beside(id, |entry, waited| {
        if waited < BETWEEN_SIGNALS * (sent + 1) {
            return Ok(());
        }
        // One that has it for a moment has not said so yet.
        let Some(worker) = entry.worker()? else { return Ok(()) };
        sent += 1;
        match sent <= SIGNALS {
            true => worker.signal(TERM).map(drop),
            false => family::kill_with_all_below(worker),
        }
    })
}

/// Of one that is locked.
pub(super) fn delete(context: &Context<'_>, entry: Entry, force: bool) -> Result<()> {
    let record = match entry.record() {
        Ok(Some(record)) => record,
        Ok(None) => return entry.remove(),
        Err(failure) if force => return unread::delete(context, entry, failure),
        Err(failure) => return Err(failure.and("`delete --force` removes what can be found of it")),
    };
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
    let spec = entry.config().ok();
    match record.cgroup_is {
        // Nobody of the container's was in it yet.
        CgroupIs::NotKnown => {
            if let Some(found) = record.cgroup_of_its_path()? {
                found.let_go(&record.cgroup_mark);
            }
        }
        CgroupIs::Shared => {
            if let Some(cgroup) = record.open_cgroup()? {
                end_shared(&record, &cgroup, spec.as_ref())?;
            }
        }
        CgroupIs::Own | CgroupIs::OwnMarked => record.own_cgroup()?.as_ref().map_or(Ok(()), end)?,
    }
    if let Some(Err(failure)) = record.scope.as_ref().map(Unit::stop) {
        // Without a process it ends by itself.
        context.log.warn(&failure.to_string());
    }
    if let Some(path) = &record.cgroup {
        Cgroup::release_above(&Hierarchies::discover()?, path);
    }
    if let Some(process) = record.process
        && !process.wait(LAST_MOMENTS.as_secs() as i64)
    {
        return Err(Failure::new(format!("container {}: process {} does not end", entry.id, process.pid)));
    }
    record.rdt.as_ref().map_or(Ok(()), Group::remove)?;
    mounted::take_away(&record)?;
    let hooks = spec.and_then(|spec| spec.hooks).unwrap_or_default();
    let state = record.state(&entry.id, Status::Stopped);
    // What is left of the container is to go in any case.
    for failure in hooks::run_each(&hooks.poststop, "poststop", &state, Place::Here) {
        context.log.warn(&failure.to_string());
    }
    entry.remove()
}

/// Kills what is in a cgroup, and removes it.
pub(super) fn end(cgroup: &Cgroup) -> Result<()> {
    cgroup.kill()?;
    if !cgroup.wait_empty(Some(LAST_MOMENTS))? {
        return Err(stay(cgroup, &cgroup.processes()?));
    }
    Ok(cgroup.remove()?)
}

/// Of a cgroup that may have others' in it or below: the container's processes, which are those of its own pid namespace, and end with its
/// first one; without such a namespace, those that are in the cgroup itself.
fn end_shared(record: &Record, cgroup: &Cgroup, spec: Option<&Spec>) -> Result<()> {
    if cgroup.is_frozen()? {
        cgroup.thaw()?;
    }
    let linux = spec.and_then(|spec| spec.linux.as_ref());
    let has_pids = linux.is_some_and(|linux| {
        linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::Pid && namespace.path.is_empty())
    });
    if record.process.is_some() && !has_pids {
        let began = Instant::now();
        loop {
            // Whoever forks meanwhile is found by the next look.
            super::kill::each(record, cgroup, 9)?;
            let left = record.processes(cgroup)?;
            if left.is_empty() {
                break;
            }
            if began.elapsed() > LAST_MOMENTS {
                return Err(stay(cgroup, &left));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    if let Some(process) = record.process {
        process.wait(LAST_MOMENTS.as_secs() as i64);
    }
    cgroup.let_go(&record.cgroup_mark);
    Ok(())
}

fn stay(cgroup: &Cgroup, pids: &[u32]) -> Failure {
    let text = format!("{}: processes do not end though they were killed: {pids:?}", cgroup.path().display());
    Failure::at("linux.cgroupsPath", text)
}
