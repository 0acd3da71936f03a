//! Memory by the page: the child's stack with its guard, and a page that both sides see.

use core::ptr::NonNull;

use crate::raw::general as k;
use crate::{Result, call};

/// The guard: whole pages on every kernel, however large its pages are. It costs addresses, and no memory.
const GUARD: usize = crate::arch::LARGEST_PAGE;

/// Anonymous memory of our own, unmapped on drop.
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is owned; moving the owner to another thread moves nothing else.
unsafe impl Send for Mapping {}

impl Mapping {
    /// A stack of at least `length` bytes, a multiple of 16, above a guard: overflow is a fault, not a silent overwrite.
    pub fn stack(length: usize) -> Result<Mapping> {
        let mapping = Self::map(GUARD + length, k::MAP_PRIVATE | k::MAP_STACK | k::MAP_NORESERVE)?;
        // SAFETY: the first pages are ours and hold nothing.
        unsafe { call!(__NR_mprotect, mapping.start.as_ptr(), GUARD, k::PROT_NONE) }?;
        Ok(mapping)
    }

    /// `length` zeroed bytes that a copied child still shares with us.
    pub fn shared(length: usize) -> Result<Mapping> {
        Self::map(length, k::MAP_SHARED)
    }

    fn map(length: usize, flags: u32) -> Result<Mapping> {
        let (access, flags) = (k::PROT_READ | k::PROT_WRITE, flags | k::MAP_ANONYMOUS);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe { call!(__NR_mmap, 0, length, access, flags, -1isize, 0) }?;
        match NonNull::new(start as *mut u8) {
            Some(start) => Ok(Mapping { start, length }),
            None => Err(crate::Errno::ENOMEM),
        }
    }

    /// The first byte; for a stack, the guard.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Bytes mapped, the guard included.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and its users borrow from the owner that is being dropped.
        let _ = unsafe { call!(__NR_munmap, self.start.as_ptr(), self.length) };
    }
}
