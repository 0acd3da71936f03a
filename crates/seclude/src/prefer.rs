//! Going on without what the caller can do without. (Limits are left out one by one where they are set: `step/cgroup.rs`.)
//!
//! A start that fails has undone itself, so it can simply be made again without the feature whose step has failed.

use crate::child::Child;
use crate::command::Command;
use crate::config::feature::Feature;
use crate::config::ids::UserMap;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::report::Preferred;

/// Whatever is preferred has to be asked for.
pub(crate) fn check(command: &Command) -> Result<()> {
    match command.preferred.iter().find(|feature| !is_asked_for(command, **feature)) {
        Some(feature) => Err(Error::invalid("prefer", format!("{feature} is preferred, but was not asked for"))),
        None => Ok(()),
    }
}

fn is_asked_for(command: &Command, feature: Feature) -> bool {
    match feature {
        Feature::Limit(limit) => {
            command.cgroup.as_ref().is_some_and(|cgroup| cgroup.limits.limits().any(|asked| asked == limit))
        }
        Feature::Network => command.network.is_some(),
        Feature::OomScoreAdj => command.oom_score_adj.is_some(),
        Feature::Rlimits => !command.rlimits.is_empty(),
        Feature::SubIds => command.user_map == Some(UserMap::SubIds),
        Feature::Time => command.namespaces.is_new(Namespace::Time),
    }
}

/// Whether this is what an error looks like that the feature is the reason of. What contradicts itself is none: that is
/// found before anything is made.
fn is_reason(feature: Feature, error: &Error) -> bool {
    match feature {
        Feature::Limit(_) => false,
        Feature::Network => matches!(error.step(), "veth" | "pasta"),
        Feature::OomScoreAdj => error.step() == "oom score",
        Feature::Rlimits => error.step() == "rlimit",
        Feature::SubIds => error.step() == "user map",
        // A kernel without the kind says EINVAL to all that are asked for together.
        Feature::Time => {
            error.step() == "time offsets" || error.step() == "clone" && error.errno_name() == Some("EINVAL")
        }
    }
}

fn leave_out(command: &mut Command, feature: Feature) {
    match feature {
        Feature::Limit(_) => {}
        // Its namespace stays, with loopback alone.
        Feature::Network => {
            command.network = None;
            command.dns = None;
        }
        Feature::OomScoreAdj => command.oom_score_adj = None,
        Feature::Rlimits => command.rlimits.clear(),
        Feature::SubIds => command.user_map = Some(UserMap::CallerAsRoot),
        Feature::Time => {
            command.share(Namespace::Time);
            command.time_offsets = crate::command::TimeOffsets::default();
        }
    }
    command.preferred.retain(|preferred| *preferred != feature);
}

/// `start` makes one attempt.
pub(crate) fn spawn(command: &Command, start: fn(Plan) -> Result<Child>) -> Result<Child> {
    let mut softened = None::<Command>;
    let mut lost = Vec::new();
    loop {
        let current = softened.as_ref().unwrap_or(command);
        match start(current.plan()?) {
            Ok(mut child) => {
                let limit = |feature: &Feature| matches!(feature, Feature::Limit(_));
                let held = current.preferred.iter().filter(|feature| !limit(feature));
                let held = held.map(|feature| Preferred { feature: feature.name(), achieved: true, reason: None });
                child.note_preferred(held.chain(lost));
                return Ok(child);
            }
            Err(error) => {
                let reason = current.preferred.iter().copied().find(|feature| is_reason(*feature, &error));
                let Some(feature) = reason.filter(|_| !error.has_resisted()) else { return Err(error) };
                lost.push(Preferred { feature: feature.name(), achieved: false, reason: Some(error.to_string()) });
                leave_out(softened.get_or_insert_with(|| command.clone()), feature);
            }
        }
    }
}
