//! `kill`: a signal for a container.

use seclude::cgroup::Cgroup;

use super::{Context, look_at_made};
use crate::failure::{Failure, Result};
use crate::signals;
use crate::spec::NamespaceKind;
use crate::state::{Identity, Record, Status};

const KILL: i32 = 9;

pub(super) fn run(context: &Context<'_>, id: &str, signal: &str, all: bool) -> Result<()> {
    let number = signals::number(signal)?;
    let (entry, record, status) = look_at_made(context, id)?;
    let not_running = || Failure::new(format!("container not running: {id}"));
    // Where its pid namespace is others' as well, or the host's, its processes do not end with the first: all that are in its cgroup are
    // killed then, as runc does it from 1.2 on, and also once the first has gone.
    let outlive = || entry.config().is_ok_and(|spec| !spec.linux.is_some_and(|linux| linux.is_new(NamespaceKind::Pid)));
    if !all && number == KILL && record.owns_cgroup() && outlive() {
        let cgroup = record.open_cgroup()?.ok_or_else(not_running)?;
        if status == Status::Stopped && record.processes(&cgroup)?.is_empty() {
            return Err(not_running());
        }
        return Ok(cgroup.kill()?);
    }
    if all {
        let Some(cgroup) = record.open_cgroup()? else {
            // It has no pids but those of its own pid namespace, which ends with its first process.
            return match record.process.filter(|_| number == KILL) {
                Some(process) => process.signal(number).map(drop),
                None => Err(Failure::new(format!("--all: container {id} has no cgroup that would say who is in it"))),
            };
        };
        if number == KILL && record.owns_cgroup() {
            return Ok(cgroup.kill()?);
        }
        return each(&record, &cgroup, number);
    }
    let process = record.process.filter(|_| status != Status::Stopped).ok_or_else(not_running)?;
    // What waits has no program yet, and handles nothing: as the first process of a pid namespace it would be sent nothing but this,
    // pid_namespaces(7).
    let number = if status == Status::Created && signals::ends(number) { KILL } else { number };
    if !process.signal(number)? {
        return Err(not_running());
    }
    // Frozen by v1, it would die of it no sooner than it goes on.
    if number == KILL
        && status == Status::Paused
        && let Some(cgroup) = record.open_cgroup()?
    {
        cgroup.thaw()?;
    }
    Ok(())
}

/// One by one, as they are found.
pub(super) fn each(record: &Record, cgroup: &Cgroup, number: i32) -> Result<()> {
    each_of(|| record.processes(cgroup), number)
}

/// The same of those that whoever is asked says.
pub(super) fn each_of(processes: impl Fn() -> Result<Vec<u32>>, number: i32) -> Result<()> {
    for pid in processes()? {
        let Some(process) = i32::try_from(pid).ok().and_then(|pid| Identity::of(pid).ok()) else { continue };
        // Between the list and the look the pid may have become somebody else's.
        if processes()?.contains(&pid) {
            process.signal(number)?;
        }
    }
    Ok(())
}
