//! What a spawn did and what it cost.

use std::time::Duration;

use seclude_cgroup::Cgroup;
use seclude_child::entry::Memory;
use serde::Serialize;

use crate::plan::ClonePlan;

/// How the process was made, and the time of each part.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The way of cloning: `vm`, `copy` or `legacy`.
    pub clone: &'static str,
    /// Whether the child ran in the caller's memory until its exec.
    pub shared_memory: bool,
    /// Why that way.
    pub clone_reason: String,
    /// Its cgroup, if it has one.
    pub cgroup: Option<Placement>,
    /// What [`crate::Command::prefer`] named, and whether it is so.
    pub preferred: Vec<Preferred>,
    /// Parent, until the clone.
    #[serde(rename = "prepare_us", serialize_with = "microseconds")]
    pub prepared: Duration,
    /// The clone call itself.
    #[serde(rename = "clone_us", serialize_with = "microseconds")]
    pub cloned: Duration,
    /// Parent, while the child waited at its barrier.
    #[serde(rename = "attend_us", serialize_with = "microseconds")]
    pub attended: Duration,
    /// Child, from its barrier to its exec.
    #[serde(rename = "set_up_us", serialize_with = "microseconds")]
    pub set_up: Duration,
    /// The parent's time in each step before the clone.
    pub prepare: StepTimes,
    /// The parent's time in each step at the barrier.
    pub attend: StepTimes,
    /// The child's time in each step; empty unless [`crate::Command::timed`] asked for it.
    pub child: Vec<StepTime>,
}

/// Where a container's cgroup is, and how its first process came there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Placement {
    /// The cgroup's path, the same in each hierarchy that it is in.
    pub path: String,
    /// How the process came to be in it.
    pub entered: Entered,
}

impl Placement {
    pub(crate) fn of(cgroup: &Cgroup, by_birth: bool) -> Placement {
        let entered = match (by_birth, cgroup.has_v1()) {
            (true, false) => Entered::Born,
            (true, true) => Entered::BornAndJoined,
            (false, _) => Entered::Joined,
        };
        Placement { path: cgroup.path().display().to_string(), entered }
    }
}

/// How a process comes to be in its cgroup. In none of them has it run anything of its own before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Entered {
    /// Born there: CLONE_INTO_CGROUP.
    Born,
    /// Born there in v2, moved by cgroup.procs in v1 hierarchies while it waited at its barrier.
    BornAndJoined,
    /// Moved by cgroup.procs while it waited: v1 alone, Linux before 5.7, or `clone(2)`.
    Joined,
}

/// What became of a feature that the caller could have done without.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Preferred {
    /// The feature's name, such as `"memory"`.
    pub feature: &'static str,
    /// Whether it holds.
    pub achieved: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Times of steps, in their order.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct StepTimes(Vec<StepTime>);

/// The time that one step took.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StepTime {
    /// The step.
    pub step: &'static str,
    /// Microseconds.
    #[serde(rename = "us")]
    pub microseconds: f64,
}

fn microseconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_nanos() as f64 / 1e3)
}

impl StepTimes {
    pub(crate) fn add(&mut self, step: &'static str, time: Duration) {
        let microseconds = time.as_nanos() as f64 / 1e3;
        match self.0.iter_mut().find(|known| known.step == step) {
            Some(known) => known.microseconds += microseconds,
            None => self.0.push(StepTime { step, microseconds }),
        }
    }

    /// Each step with its time.
    pub fn iter(&self) -> impl Iterator<Item = &StepTime> {
        self.0.iter()
    }
}

impl Report {
    pub(crate) fn new(clone: &ClonePlan) -> Report {
        Report {
            clone: clone.way.name(),
            shared_memory: clone.memory == Memory::Shared,
            clone_reason: clone.reason.clone(),
            cgroup: None,
            preferred: Vec::new(),
            prepared: Duration::ZERO,
            cloned: Duration::ZERO,
            attended: Duration::ZERO,
            set_up: Duration::ZERO,
            prepare: StepTimes::default(),
            attend: StepTimes::default(),
            child: Vec::new(),
        }
    }
}
