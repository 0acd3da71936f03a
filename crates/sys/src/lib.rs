//! Raw system calls for both halves of seclude, and the only crate that makes them by hand.
//!
//! The child half of a spawn runs in its caller's memory while the caller's thread goes on (`CLONE_VM` without
//! `CLONE_VFORK`): it shares that thread's TLS, so it may not touch libc's errno, allocate, lock or unwind.
//! Every function here is one system call, inlined, answering `Result<_, Errno>`; none keeps state, none panics.
//!
//! Descriptors are plain [`Fd`] numbers: in the child they live until exec whatever Rust thinks of them, and the
//! ones it gets belong to the parent's plan. The parent half uses rustix wherever rustix has the call.
#![no_std]

pub mod arch;
mod errno;

pub mod bpf;
mod byte_reader;
pub mod clone;
pub mod credentials;
pub mod file;
pub mod landlock;
pub mod memory;
pub mod mount;
mod path_buffer;
pub mod process;
pub mod seccomp;
pub mod signal;
mod signals_at_start;
pub mod socket;
pub mod terminal;

pub use byte_reader::{ByteReader, ReadSpace};
pub use errno::{Errno, Result};
/// Constants of the kernel's own headers.
pub use linux_raw_sys as raw;
pub use path_buffer::{PathBuffer, PathSpace};
pub use signals_at_start::sigpipe_ignored_at_start;

/// A file descriptor's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(transparent)]
pub struct Fd(pub i32);

impl Fd {
    /// `AT_FDCWD`: paths are relative to the working directory.
    pub const CWD: Fd = Fd(raw::general::AT_FDCWD);
    /// No descriptor.
    pub const NONE: Fd = Fd(-1);

    #[inline(always)]
    fn arg(self) -> usize {
        self.0 as usize
    }
}

macro_rules! call {
    ($number:ident $(, $argument:expr)* $(,)?) => {{
        // The array is filled to six with zeros, as unused registers are ignored by the kernel.
        let given = [$($argument as usize),*];
        let mut six = [0usize; 6];
        let mut i = 0;
        while i < given.len() && i < 6 {
            six[i] = given[i];
            i += 1;
        }
        $crate::Errno::check($crate::arch::syscall($crate::raw::general::$number, six))
    }};
}
pub(crate) use call;
