//! seclude for C: a request as JSON in, a handle out; what `include/seclude.h` declares, over the library's public interface.
//!
//! Each function looks at its pointers, does what the library does, and makes a number and an `Error` of what it answers, inside
//! `guard`, which no panic leaves. Nothing else is here.
// The boundary to C: pointers in, pointers out. Each block says why.
#![allow(unsafe_code)]
// What every function asks of its pointers stands once, at the head of the header; what one asks besides, with it.
#![allow(clippy::missing_safety_doc)]

mod child;
mod error;
mod examine;
mod guard;
mod spawn;
mod strings;
mod version;

pub use child::*;
pub use error::*;
pub use examine::*;
pub use spawn::*;
pub use strings::*;
pub use version::*;
