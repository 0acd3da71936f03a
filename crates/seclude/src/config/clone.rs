//! The three ways of making the process.

use std::fmt;
use std::str::FromStr;

/// How the process is cloned. The plan says which way was taken and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum CloneWay {
    /// `vm`, unless the request needs a copy or the host refuses `clone3`.
    #[default]
    Auto,
    /// `clone3` in the caller's memory: the cost does not depend on how much the caller has mapped. Linux 5.5.
    Vm,
    /// `clone3` with a copy of the memory, as fork(2): for what must not touch the caller.
    Copy,
    /// `clone`, where `clone3` is blocked: in the caller's memory, or a copy if the request needs one.
    Legacy,
}

impl CloneWay {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CloneWay::Auto => "auto",
            CloneWay::Vm => "vm",
            CloneWay::Copy => "copy",
            CloneWay::Legacy => "legacy",
        }
    }
}

impl fmt::Display for CloneWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no way of cloning.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown way of cloning {0:?}: one of auto, vm, copy, legacy")]
pub struct UnknownCloneWay(pub String);

impl FromStr for CloneWay {
    type Err = UnknownCloneWay;

    fn from_str(word: &str) -> Result<Self, UnknownCloneWay> {
        [CloneWay::Auto, CloneWay::Vm, CloneWay::Copy, CloneWay::Legacy]
            .into_iter()
            .find(|way| way.name() == word)
            .ok_or_else(|| UnknownCloneWay(word.to_owned()))
    }
}
