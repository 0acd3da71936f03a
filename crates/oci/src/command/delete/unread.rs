//! What is left of a container of which nobody can read any more what it was: a disk that was full, a hand that has changed it, a version that
//! is to come. What is found by its configuration and by the mark on its cgroup goes, and its directory in any case: no command would ever be
//! able to do more, and its ID would be taken for good.

use std::time::{Duration, Instant};

use seclude::cgroup::{Cgroup, Hierarchies};

use super::{LAST_MOMENTS, end, stay};
use crate::command::{Context, create, kill};
use crate::failure::{Failure, Result};
use crate::spec::{Linux, Spec};
use crate::state::Entry;
use crate::systemd::Unit;

pub(super) fn delete(context: &Context<'_>, entry: Entry, why: Failure) -> Result<()> {
    let without = "its hooks are not run, and processes that are not in its cgroup go on";
    context.log.warn(&why.and(without).to_string());
    let spec: Spec = entry.config().unwrap_or_default();
    let linux: Linux = spec.linux.unwrap_or_default();
    let scope = create::scope(&entry.id, &linux, context).unwrap_or_default();
    let path = match &scope {
        Some(unit) => unit.path().ok(),
        None => create::cgroup_path(&entry.id, &linux, context).unwrap_or_default(),
    };
    if let Some(path) = path {
        let hierarchies = Hierarchies::discover()?;
        let mark = entry.mark()?;
        // Its mark has the directory in it that is still there, so it is on no other's.
        if let Some(cgroup) = Cgroup::open_named(&hierarchies, &path, &[])?.and_then(|found| found.only_marked(&mark)) {
            match linux.cgroups_path.is_empty() {
                true => end(&cgroup)?,
                false => end_own(&cgroup, &mark)?,
            }
        }
        Cgroup::release_above(&hierarchies, &path);
    }
    if let Some(Err(failure)) = scope.as_ref().map(Unit::stop) {
        context.log.warn(&failure.to_string());
    }
    entry.remove()
}

/// Of a cgroup that an engine has chosen, and that may have been there: what is in it itself, and not what somebody has made below it.
fn end_own(cgroup: &Cgroup, mark: &str) -> Result<()> {
    if cgroup.is_frozen()? {
        cgroup.thaw()?;
    }
    let began = Instant::now();
    loop {
        let left = cgroup.processes_of_its_own()?;
        if left.is_empty() {
            break;
        }
        if began.elapsed() > LAST_MOMENTS {
            return Err(stay(cgroup, &left));
        }
        kill::each_of(|| Ok(cgroup.processes_of_its_own()?), 9)?;
        std::thread::sleep(Duration::from_millis(2));
    }
    cgroup.let_go(mark);
    Ok(())
}
