//! Pause and resume.

use std::time::Duration;

use crate::cgroup::Place;
use crate::dir::Dir;
use crate::wait::{self, Deadline};
use crate::{Cgroup, Controller, Error, Hierarchy, Version};

/// Whether a process that came to be in it would not run: it is frozen itself, or lies in one that is.
pub(crate) fn is_frozen(dir: &Dir) -> Result<bool, Error> {
    if !dir.is_v2() {
        let state = dir.read_if_any("freezer.state")?;
        return Ok(state.is_some_and(|state| matches!(state.trim(), "FROZEN" | "FREEZING")));
    }
    if dir.read_if_any("cgroup.freeze")?.is_some_and(|state| state.trim() == "1") {
        return Ok(true);
    }
    // What a cgroup above does shows here.
    Ok(dir.read_if_any("cgroup.events")?.is_some_and(|events| events.lines().any(|line| line == "frozen 1")))
}

/// Whether it could be held still in there.
pub(crate) fn can_freeze(hierarchy: &Hierarchy) -> bool {
    hierarchy.version() == Version::V2 || hierarchy.controllers().iter().any(|own| own == "freezer")
}

/// Who can do it.
pub(crate) enum Freezer<'a> {
    V2(&'a Place),
    V1(&'a Place),
}

impl Cgroup {
    /// Stops all processes inside and below. True when all of them have stopped, false if the
    /// timeout came first (a process in uninterruptible sleep stops when that ends); `None` waits
    /// without end.
    ///
    /// v2 does it with `cgroup.freeze` (Linux 5.2), and such processes can still be killed. v1 does
    /// it if the cgroup was made with [`Controller::Freezer`]; there they die when thawed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the cgroup has neither.
    pub fn freeze(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let freezer = self.freezer()?;
        freezer.start()?;
        freezer.wait(wait::deadline(timeout))
    }

    /// Lets them go on. Does nothing if they are not frozen.
    ///
    /// # Errors
    /// As [`Cgroup::freeze`].
    pub fn thaw(&self) -> Result<(), Error> {
        self.freezer()?.thaw()
    }

    pub(crate) fn freezer(&self) -> Result<Freezer<'_>, Error> {
        if let Some(v2) = self.v2()
            && v2.dir.read_if_any("cgroup.freeze")?.is_some()
        {
            return Ok(Freezer::V2(v2));
        }
        self.v1_of(Controller::Freezer).map(Freezer::V1).ok_or_else(|| {
            Error::unsupported("freezing", "the cgroup is neither on v2 (Linux 5.2) nor has it the v1 freezer")
        })
    }
}

impl Freezer<'_> {
    pub(crate) fn start(&self) -> Result<(), Error> {
        match self {
            Freezer::V2(place) => place.dir.write("cgroup.freeze", "1"),
            Freezer::V1(place) => place.dir.write("freezer.state", "FROZEN"),
        }
    }

    pub(crate) fn thaw(&self) -> Result<(), Error> {
        match self {
            Freezer::V2(place) => place.dir.write("cgroup.freeze", "0"),
            Freezer::V1(place) => place.dir.write("freezer.state", "THAWED"),
        }
    }

    fn wait(&self, deadline: Deadline) -> Result<bool, Error> {
        let place = match self {
            Freezer::V2(place) => return wait::event(&place.dir, "frozen", 1, deadline),
            Freezer::V1(place) => place,
        };
        // FREEZING until the last one has stopped; reading it makes the kernel look.
        while place.dir.read("freezer.state")?.trim() != "FROZEN" {
            if !wait::look_again(deadline) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
