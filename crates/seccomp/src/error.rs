//! What cannot be meant.

use crate::MOST_INSTRUCTIONS;
use crate::groups::names;

/// Why something is no profile or no program, in one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No architecture has it.
    #[error("there is no system call {name:?}{nearest}", nearest = said(nearest))]
    UnknownCall {
        /// What was given.
        name: String,
        /// The one that is spelled most like it.
        nearest: Option<&'static str>,
    },
    /// No group of calls.
    #[error("there is no group {0:?}; there are {names}", names = names())]
    UnknownGroup(String),
    /// No profile of OCI's.
    #[error("it is no profile: {0}")]
    Profile(String),
    /// A length that is no number of instructions.
    #[error("{0} bytes are no program: each of its instructions has 8, and there is one at least")]
    Length(usize),
    /// More than the kernel takes.
    #[error("the filter has {0} instructions, and the kernel takes {MOST_INSTRUCTIONS}")]
    TooLong(usize),
    /// A jump behind the end.
    #[error("instruction {instruction} is a jump behind the program's end")]
    Jump {
        /// Counted from 0.
        instruction: usize,
    },
    /// What a filter may not have.
    #[error("instruction {instruction} ({code:#x}) is none that a filter may have")]
    Instruction {
        /// Counted from 0.
        instruction: usize,
        /// Its code.
        code: u16,
    },
    /// It runs out.
    #[error("the program ends without an answer")]
    NoAnswer,
}

fn said(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; the nearest is {nearest}"))
}
