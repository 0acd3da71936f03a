//! What a caller may say that it can do without.

use std::fmt;
use std::str::FromStr;

use seclude_cgroup::Limit;
use seclude_request::Field;

use super::ids::UserMap;
use super::namespace::Namespace;
use crate::config::Config;
use crate::error::{Error, Result};

/// Something asked for that the caller can do without, if [`crate::Command::prefer`] says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Feature {
    /// One of the [`crate::Limits`].
    Limit(Limit),
    /// A veth pair or pasta; without it there is loopback alone.
    Network,
    /// Rules of landlock; without them those that the kernel has.
    Landlock,
    /// An adjustment of the OOM score; without it the caller's stays.
    OomScoreAdj,
    /// All resource limits of setrlimit(2); without them the caller's stay.
    Rlimits,
    /// Subordinate ids; without them the caller is mapped to 0 and nobody else is there.
    SubIds,
    /// A time namespace and its offsets (Linux 5.6); without it the host's clocks stay.
    Time,
}

/// The names are those of the command line's flags.
const FEATURES: [(&str, Feature); 20] = [
    ("memory", Feature::Limit(Limit::MemoryMax)),
    ("memory-high", Feature::Limit(Limit::MemoryHigh)),
    ("memory-low", Feature::Limit(Limit::MemoryLow)),
    ("memory-swap", Feature::Limit(Limit::MemorySwapMax)),
    ("memory-oom-group", Feature::Limit(Limit::MemoryOomGroup)),
    ("cpus", Feature::Limit(Limit::CpuMax)),
    ("cpu-weight", Feature::Limit(Limit::CpuWeight)),
    ("cpuset-cpus", Feature::Limit(Limit::CpusetCpus)),
    ("cpuset-mems", Feature::Limit(Limit::CpusetMems)),
    ("pids", Feature::Limit(Limit::PidsMax)),
    ("io-max", Feature::Limit(Limit::IoMax)),
    ("io-weight", Feature::Limit(Limit::IoWeight)),
    ("hugetlb", Feature::Limit(Limit::HugetlbMax)),
    ("device-allow", Feature::Limit(Limit::Devices)),
    ("landlock", Feature::Landlock),
    ("net", Feature::Network),
    ("oom-score-adj", Feature::OomScoreAdj),
    ("rlimit", Feature::Rlimits),
    ("map-subids", Feature::SubIds),
    ("time", Feature::Time),
];

impl Feature {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Feature> {
        FEATURES.iter().map(|(_, feature)| *feature)
    }

    /// Its name: that of the command line's flag, such as `"memory"`.
    pub fn name(self) -> &'static str {
        FEATURES.iter().find(|(_, feature)| *feature == self).map_or("?", |(name, _)| name)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no [`Feature`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown feature {0:?}: one of {names}", names = FEATURES.map(|(name, _)| name).join(", "))]
pub struct UnknownFeature(pub String);

impl FromStr for Feature {
    type Err = UnknownFeature;

    fn from_str(word: &str) -> Result<Feature, UnknownFeature> {
        let found = FEATURES.iter().find(|(name, _)| *name == word);
        found.map(|(_, feature)| *feature).ok_or_else(|| UnknownFeature(word.to_owned()))
    }
}

impl Config {
    /// Whatever is preferred has to be asked for.
    pub(crate) fn prefers_what_it_asks_for(&self) -> Result<()> {
        match self.preferred.iter().enumerate().find(|(_, feature)| !is_asked_for(self, **feature)) {
            Some((number, feature)) => {
                let error = Error::invalid("prefer", format!("{feature} is preferred, but was not asked for"));
                Err(error.at_field(Field::of("prefer").index(number)).contradicting())
            }
            None => Ok(()),
        }
    }
}

fn is_asked_for(command: &Config, feature: Feature) -> bool {
    match feature {
        // The sandbox asks for it, by whichever means the host has.
        Feature::Limit(Limit::PidsMax) if command.is_sandboxed() => true,
        Feature::Limit(limit) => {
            command.cgroup.as_ref().is_some_and(|cgroup| cgroup.limits.limits().any(|asked| asked == limit))
        }
        Feature::Landlock => command.is_landlocked(),
        Feature::Network => command.network.is_some(),
        Feature::OomScoreAdj => command.oom_score_adj.is_some(),
        Feature::Rlimits => !command.rlimits.is_empty(),
        Feature::SubIds => command.user_map == Some(UserMap::SubIds),
        Feature::Time => command.namespaces.is_new(Namespace::Time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_read_back_from_its_own_name() {
        for feature in Feature::all() {
            assert_eq!(feature.name().parse(), Ok(feature));
        }
        assert!("memory.max".parse::<Feature>().unwrap_err().to_string().contains("memory-high"));
    }
}
