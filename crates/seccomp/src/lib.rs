//! Filters of system calls, seccomp(2): profiles as data, and the BPF programs that they are compiled to.
//!
//! ```
//! use seclude_seccomp::{Action, Architecture, Condition, Profile};
//!
//! let mut profile = Profile::new(Action::Allow);
//! profile.deny("ptrace", None)?;
//! profile.rule("socket", Action::Errno(97), &[Condition::any(0, !3)])?;
//! let program = profile.compile();
//! program.check()?;
//! let ptrace = Architecture::NATIVE.number_of("ptrace").unwrap();
//! let (answer, _) = program.run(Architecture::NATIVE, ptrace, &[0; 6]).unwrap();
//! assert_eq!(answer, Action::Errno(1).number());
//! # Ok::<(), seclude_seccomp::Error>(())
//! ```
//!
//! A filter sees the numbers of a call's arguments and nothing that they point to. So a call whose meaning is in memory
//! (openat2, clone3) cannot be let through in part: it is answered ENOSYS, as by an older kernel, and programs take the call
//! that came before it.
//!
//! Needs Linux 3.5; actions that came later say so.
#![forbid(unsafe_code)]

mod architecture;
mod backwards;
mod compile;
mod error;
mod groups;
mod oci;
mod profile;
mod program;
mod refused;
mod rule;
mod sandbox;

pub use architecture::Architecture;
pub use error::Error;
pub use oci::{Host, take_unknown};
pub use profile::Profile;
pub use program::{Instruction, MOST_INSTRUCTIONS, Program};
pub use refused::Refused;
pub use rule::{Action, Comparison, Condition, Rule};
pub use sandbox::Given;
