//! What runs in a new process between its clone and its exec.
//!
//! The parent compiles what is wanted into a flat array of [`Op`]s; [`run::run`] is one loop with one `match` over
//! it. The child cannot allocate, lock, log, format or unwind, because there is nothing in this crate to do it
//! with: CI checks that its object refers to no symbol of any other (no libc, no allocator, no panic).
//!
//! * [`op`]: the operations, plain values that borrow from the parent's plan
//! * [`run`]: the interpreter
//! * [`wire`]: the eight bytes in which both sides talk
//! * [`board`]: a page both sides see, for what does not fit into eight bytes
//! * [`entry`]: where the child starts, and the parent's guard around it; the crate's only `unsafe`
#![no_std]

#[cfg(feature = "std")]
extern crate std;

pub mod board;
pub mod entry;
mod exec;
mod landlock;
mod mounts;
pub mod op;
mod places;
mod remount;
mod rights;
mod roots;
pub mod run;
mod terminals;
pub mod wire;

pub use op::{Instruction, Op, Slot};
