//! Who is inside.

use std::collections::BTreeSet;

use crate::below::{self, Visitor};
use crate::cgroup::Place;
use crate::dir::Dir;
use crate::text::keyed;
use crate::{Cgroup, Error};

/// What the `cgroup.procs` of a tree list.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) pids: BTreeSet<u32>,
    /// There are processes that have no pid in our pid namespace; the kernel lists them as 0.
    pub(crate) foreign: bool,
}

impl Listed {
    pub(crate) fn is_empty(&self) -> bool {
        self.pids.is_empty() && !self.foreign
    }
}

impl Cgroup {
    /// The processes inside and in cgroups that they made below, in any of the hierarchies,
    /// ascending. Zombies are not among them, nor processes that have no pid in the caller's pid
    /// namespace.
    ///
    /// # Errors
    /// When a `cgroup.procs` cannot be read. That the cgroup was removed is not an error.
    pub fn processes(&self) -> Result<Vec<u32>, Error> {
        Ok(listed(&self.places)?.pids.into_iter().collect())
    }

    /// Whether no process is inside or below.
    ///
    /// # Errors
    /// As [`Cgroup::processes`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        if let Some(v2) = self.v2() {
            // A removed cgroup has nobody inside.
            match v2.dir.read("cgroup.events") {
                Ok(events) if keyed(&events, "populated") == Some(1) => return Ok(false),
                Err(error) if !error.is_gone() => return Err(error),
                _ => {}
            }
        }
        Ok(listed(self.v1())?.is_empty())
    }
}

pub(crate) fn listed<'a>(places: impl IntoIterator<Item = &'a Place>) -> Result<Listed, Error> {
    let mut listed = Listed::default();
    for place in places {
        walk(&place.dir, &mut |dir| {
            for pid in dir.read_list("cgroup.procs")?.lines().filter_map(|line| line.parse().ok()) {
                match pid {
                    0 => listed.foreign = true,
                    pid => drop(listed.pids.insert(pid)),
                }
            }
            Ok(())
        })?;
    }
    Ok(listed)
}

/// Visits a cgroup and all below it. One that goes away meanwhile is passed over.
pub(crate) fn walk(dir: &Dir, visit: &mut dyn FnMut(&Dir) -> Result<(), Error>) -> Result<(), Error> {
    match visit(dir) {
        Err(error) if error.is_gone() => {}
        other => other?,
    }
    match below::through(dir, &mut Looking(visit)) {
        Err(error) if error.is_gone() => Ok(()),
        other => other,
    }
}

struct Looking<'a>(&'a mut dyn FnMut(&Dir) -> Result<(), Error>);

impl Visitor for Looking<'_> {
    fn enter(&mut self, dir: &Dir) -> Result<(), Error> {
        (self.0)(dir)
    }
}
