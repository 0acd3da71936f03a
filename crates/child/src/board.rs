//! A page both sides see, also when the child has a copy of the memory: what eight bytes have no room for.
//!
//! The parent reads it when it has seen the child's end of file, or its end: either comes through a lock of the kernel's, behind
//! all that the child has written, whatever the processor reorders. The page's own `Release` and `Acquire` of `length` say so to
//! the compiler as well; the clocks, each a number by itself, need no order.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(feature = "std")]
use std::boxed::Box;

#[cfg(feature = "std")]
use seclude_sys::memory::Mapping;
use seclude_sys::{Errno, Fd, Result, file};

/// Bytes of [`Board::detail`].
pub const DETAIL: usize = 2048;
/// How many steps can be timed.
pub const CLOCKS: usize = 64;

#[repr(C)]
struct Page {
    length: AtomicU32,
    clocks: [AtomicU64; CLOCKS],
    detail: [u8; DETAIL],
}

/// The parent's handle of the page.
#[cfg(feature = "std")]
pub struct Board {
    page: NonNull<Page>,
    /// What it lies in; `None` for memory of the allocator's, which a child in the same memory sees as well.
    mapping: Option<Mapping>,
}

/// The child's: a plain pointer, valid as long as the parent's guard holds the [`Board`].
#[derive(Clone, Copy)]
pub struct BoardPointer(NonNull<Page>);

#[cfg(feature = "std")]
#[allow(unsafe_code, reason = "shared memory between two processes, part of the child's entry")]
impl Board {
    /// An empty page, for a child of that memory.
    pub fn new(memory: crate::entry::Memory) -> Result<Board> {
        if memory == crate::entry::Memory::Copied {
            let mapping = Mapping::shared(size_of::<Page>())?;
            return Ok(Board { page: mapping.start().cast(), mapping: Some(mapping) });
        }
        let page =
            Page { length: AtomicU32::new(0), clocks: [const { AtomicU64::new(0) }; CLOCKS], detail: [0; DETAIL] };
        Ok(Board { page: NonNull::from(Box::leak(Box::new(page))), mapping: None })
    }

    /// For [`crate::run::Setup`].
    pub fn pointer(&self) -> BoardPointer {
        BoardPointer(self.page)
    }

    /// What the child left to explain its failure. Only to be read once the child has ended or exec'd.
    pub fn detail(&self) -> &[u8] {
        // SAFETY: the page is there as long as self; the child, its only writer, is gone.
        let page = unsafe { self.page.as_ref() };
        let length = page.length.load(Ordering::Acquire) as usize;
        page.detail.get(..length).unwrap_or(&[])
    }

    /// Nanoseconds that the child spent in step number `step`. To be read when [`Board::detail`] may be.
    pub fn nanoseconds(&self, step: usize) -> u64 {
        // SAFETY: the page is there as long as self, and the clocks are atomic.
        let page = unsafe { self.page.as_ref() };
        page.clocks.get(step).map_or(0, |clock| clock.load(Ordering::Relaxed))
    }
}

#[cfg(feature = "std")]
#[allow(unsafe_code, reason = "shared memory between two processes, part of the child's entry")]
impl Drop for Board {
    fn drop(&mut self) {
        if self.mapping.is_none() {
            // SAFETY: it came from a Box, and the child, which had the other pointer, is gone.
            drop(unsafe { Box::from_raw(self.page.as_ptr()) });
        }
    }
}

#[allow(unsafe_code, reason = "shared memory between two processes, part of the child's entry")]
impl BoardPointer {
    #[inline(always)]
    pub(crate) fn add_time(self, step: u8, nanoseconds: u64) {
        // SAFETY: the parent keeps the page until the child has exec'd or ended; clocks are atomic.
        let page = unsafe { self.0.as_ref() };
        if let Some(clock) = page.clocks.get(step as usize) {
            // Nobody else writes it, so it need not be one operation: on aarch64 that is a call into the compiler's library.
            clock.store(clock.load(Ordering::Relaxed).wrapping_add(nanoseconds), Ordering::Relaxed);
        }
    }

    /// Has the kernel write what `fd` holds next behind what is there already.
    #[inline(always)]
    pub(crate) fn append_from(mut self, fd: Fd) -> Result<usize> {
        // SAFETY: as above; the child is the only one that touches `detail` before its end.
        let page = unsafe { self.0.as_mut() };
        let used = page.length.load(Ordering::Relaxed) as usize;
        let Some(room) = page.detail.get_mut(used..) else { return Err(Errno::ENOSPC) };
        let read = file::read(fd, room)?;
        page.length.store((used + read) as u32, Ordering::Release);
        Ok(read)
    }
}
