//! One file per architecture: how a system call is made, and how a clone starts on another stack.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{Entry, clone_onto, clone3_onto, syscall};

#[cfg(not(target_arch = "x86_64"))]
compile_error!("seclude knows x86_64 so far: another architecture needs its file in crates/sys/src/arch");
