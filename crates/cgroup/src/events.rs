//! How often a limit was hit.

use crate::cgroup::Place;
use crate::processes::walk;
use crate::stats::Source;
use crate::text::{keyed, number};
use crate::{Cgroup, Controller, Error};

/// Counters since the cgroup was made. `None` is "this kernel, or this cgroup, does not count
/// it", not 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Events {
    /// Processes killed for lack of memory. v1: Linux 4.13.
    pub oom_kill: Option<u64>,
    /// Times that the limit was reached and could not be met. v2 only.
    pub oom: Option<u64>,
    /// Times that all processes were killed together. v2 only, Linux 5.17.
    pub oom_group_kill: Option<u64>,
    /// Times that memory was about to go over `memory.max`. On v1 `memory.failcnt`.
    pub memory_max: Option<u64>,
    /// Times that memory went over `memory.high`. v2 only.
    pub memory_high: Option<u64>,
    /// Times that `fork(2)` or `clone(2)` failed for `pids.max`.
    pub pids_max: Option<u64>,
    /// Which file each comes from.
    pub sources: Vec<Source>,
}

impl Cgroup {
    /// Reads the counters of this cgroup and those below.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn events(&self) -> Result<Events, Error> {
        let mut events = Events::default();
        let sources = &mut events.sources;
        if let Some(v2) = self.v2()
            && let Some(text) = v2.dir.read_if_any("memory.events")?
        {
            let mut get = |field, key| Source::note(sources, field, v2, "memory.events", keyed(&text, key));
            events.oom_kill = get("oom_kill", "oom_kill");
            events.oom = get("oom", "oom");
            events.oom_group_kill = get("oom_group_kill", "oom_group_kill");
            events.memory_max = get("memory_max", "max");
            events.memory_high = get("memory_high", "high");
        }
        if let Some(v1) = self.v1_of(Controller::Memory) {
            // Counts the kills of this one cgroup, not of those below.
            let killed = sum(v1, "memory.oom_control", |text| keyed(text, "oom_kill"))?;
            events.oom_kill = Source::note(sources, "oom_kill", v1, "memory.oom_control", killed);
            let failed = v1.dir.read_if_any("memory.failcnt")?.as_deref().and_then(number);
            events.memory_max = Source::note(sources, "memory_max", v1, "memory.failcnt", failed);
        }
        for place in self.v2().into_iter().chain(self.v1_of(Controller::Pids)) {
            let Some(text) = place.dir.read_if_any("pids.events")? else { continue };
            // With a pids.events.local (v2, Linux 6.11) pids.events is of the whole tree. Before,
            // and on v1, it is of one cgroup: the one in which the fork failed.
            let hit = match place.dir.has("pids.events.local") {
                true => keyed(&text, "max"),
                false => sum(place, "pids.events", |text| keyed(text, "max"))?,
            };
            events.pids_max = Source::note(sources, "pids_max", place, "pids.events", hit);
            break;
        }
        Ok(events)
    }
}

/// The sum over the cgroup and those below; `None` if it has no such counter itself.
fn sum(place: &Place, file: &str, value: impl Fn(&str) -> Option<u64>) -> Result<Option<u64>, Error> {
    let mut sum: Option<u64> = None;
    walk(&place.dir, &mut |dir| {
        if let Some(value) = dir.read_if_any(file)?.and_then(|text| value(&text)) {
            sum = Some(sum.unwrap_or(0).saturating_add(value));
        }
        Ok(())
    })?;
    Ok(sum)
}
