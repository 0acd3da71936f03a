//! The control group of a container: where it is made, what it limits, what may be missing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use seclude_cgroup::{Limit, Limits};

/// The control group that a container gets, cgroups(7): one of its own, gone at its end with all that is in it.
///
/// It is asked for by [`crate::Command::cgroup`], or by [`crate::Command::limits`] with the defaults of this.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cgroup {
    pub(crate) parent: Option<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) move_caller: bool,
    pub(crate) counted: bool,
    pub(crate) delegated: bool,
    pub(crate) scope: bool,
}

impl Cgroup {
    /// One without limits: for [`crate::Child::stats`], for the kill of a whole tree, for pause and resume.
    pub fn new() -> Cgroup {
        Cgroup::default()
    }

    /// The cgroup to make it in, absolute in the hierarchy (`/seclude`, not `/sys/fs/cgroup/seclude`), in all
    /// hierarchies the same. It is made if it is missing, and then goes with the last cgroup in it.
    ///
    /// A parent with a memory limit of its own that is all but used up is a danger to the caller: until its exec the child
    /// shares the caller's memory ([`crate::CloneWay::Vm`]), and the kernel's out-of-memory killer kills all that share it.
    ///
    /// Without it: `/seclude` for root. For an ordinary user the delegated cgroup that the caller is in (v2), or the
    /// one above where the caller is in a leaf of a delegated tree.
    #[must_use]
    pub fn parent(mut self, path: impl AsRef<Path>) -> Cgroup {
        self.parent = Some(path.as_ref().to_owned());
        self
    }

    /// What it limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Cgroup {
        self.limits = limits;
        self
    }

    /// Counts memory, CPU time, processes and block I/O also where they are not limited, as far as their controllers are
    /// there. Without limits it is so in any case.
    #[must_use]
    pub fn count_all(mut self, on: bool) -> Cgroup {
        self.counted = on;
        self
    }

    /// Lets the *calling process* be moved to a cgroup of its own below the parent, where v2's rule against processes
    /// in inner cgroups stands in the way of handing controllers down. It stays there. Off unless asked for.
    #[must_use]
    pub fn move_caller(mut self, allowed: bool) -> Cgroup {
        self.move_caller = allowed;
        self
    }

    /// Asks systemd over D-Bus for a delegated scope to make it in, as `systemd-run --scope -p Delegate=yes` does: the
    /// user's systemd, or the system's for root. v2. The child joins it while it waits at its barrier.
    ///
    /// Without systemd it is an error. What systemd hands down to users is its configuration's: by default memory and
    /// pids.
    #[cfg(feature = "systemd")]
    #[must_use]
    pub fn scope(mut self, on: bool) -> Cgroup {
        self.scope = on;
        self
    }

    /// Delegates a cgroup of its own below the limited one to the container's root (v2): with
    /// [`crate::Mount::cgroup`] the container can make cgroups in it, and cannot reach its own limits.
    #[must_use]
    pub fn delegate(mut self, on: bool) -> Cgroup {
        self.delegated = on;
        self
    }
}

/// Something asked for that the caller can do without, if [`crate::Command::prefer`] says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Feature {
    /// One of the [`Limits`].
    Limit(Limit),
}

/// The names are those of the command line's flags.
const FEATURES: [(&str, Feature); 14] = [
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
