//! What a request begins from.

use std::fmt;
use std::str::FromStr;

/// What a request begins from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Preset {
    /// For code that nobody trusts: the host's programs, and nothing else of its files ([`crate::Command::sandbox`]).
    Sandbox,
    /// For accidents of code that one trusts: the same, but all of the host's files can be read, the environment is the
    /// caller's, and root is the host's root. No boundary.
    Host,
    /// Nothing but what is asked for.
    Bare,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 3] = [Preset::Sandbox, Preset::Host, Preset::Bare];

    /// Its name, such as `"sandbox"`.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Sandbox => "sandbox",
            Preset::Host => "host",
            Preset::Bare => "bare",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no preset.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown preset {0:?}: it is sandbox, host or bare")]
pub struct UnknownPreset(pub String);

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(word: &str) -> Result<Preset, UnknownPreset> {
        let found = Preset::ALL.into_iter().find(|preset| preset.name() == word);
        found.ok_or_else(|| UnknownPreset(word.to_owned()))
    }
}
