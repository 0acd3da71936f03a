//! Going on without what the caller can do without. (Limits and rules of landlock are left out one by one where they are set:
//! `step/cgroup.rs`, `step/landlock.rs`.)
//!
//! A start that fails has undone itself, so it can simply be made again without the feature whose step has failed.

use seclude_request::Field;

use crate::child::Child;
use crate::config::Config;
use crate::config::feature::Feature;
use crate::config::ids::UserMap;
use crate::config::namespace::{Namespace, Origin};
use crate::config::start::TimeOffsets;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::report::Preferred;

/// Whether this is what an error looks like that the feature is the reason of. What contradicts itself is none: that is
/// found before anything is made.
fn is_reason(feature: Feature, error: &Error) -> bool {
    let is_at = |field: &Field| error.field().is_some_and(|about| about.is_in(field));
    let is_of = |key: &str| is_at(&Field::of(key));
    match feature {
        Feature::Limit(_) | Feature::Landlock => false,
        Feature::Network => is_of("network"),
        Feature::OomScoreAdj => is_of("oom_score_adj"),
        Feature::Rlimits => is_of("rlimits"),
        Feature::SubIds => is_at(&Field::of("user").key("map")),
        // A kernel without the kind says EINVAL to all that are asked for together.
        Feature::Time => {
            let together = error.field() == Some(&Field::of("namespaces")) && error.errno_name() == Some("EINVAL");
            is_of("time_offsets") || is_at(&Namespace::Time.field()) || together
        }
    }
}

fn leave_out(command: &mut Config, feature: Feature) {
    match feature {
        Feature::Limit(_) | Feature::Landlock => {}
        // Its namespace stays, with loopback alone.
        Feature::Network => {
            command.network = None;
            command.dns = None;
        }
        Feature::OomScoreAdj => command.oom_score_adj = None,
        Feature::Rlimits => command.rlimits.clear(),
        Feature::SubIds => command.user_map = Some(UserMap::CallerAsRoot),
        Feature::Time => {
            command.namespaces.set(Namespace::Time, Origin::Inherited);
            command.time_offsets = TimeOffsets::default();
        }
    }
    command.preferred.retain(|preferred| *preferred != feature);
}

/// `start` makes one attempt.
pub(crate) fn spawn(command: &Config, start: fn(Plan) -> Result<Child>) -> Result<Child> {
    let mut softened = None::<Config>;
    let mut lost = Vec::new();
    loop {
        let current = softened.as_ref().unwrap_or(command);
        match start(Plan::of(current)?) {
            Ok(mut child) => {
                let by_step = |feature: &Feature| matches!(feature, Feature::Limit(_) | Feature::Landlock);
                let held = current.preferred.iter().filter(|feature| !by_step(feature));
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
