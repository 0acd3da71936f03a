//! A path put together byte by byte on the stack.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use crate::{Errno, Result};

/// The kernel's own limit, PATH_MAX, which counts the NUL.
const CAPACITY: usize = 4096;

/// Where a [`PathBuffer`] has its bytes. It stands alone as it is never initialised: beside a number that is, the
/// compiler would zero both, by a call to `memset` that a child which shares memory cannot make.
pub type PathSpace = MaybeUninit<[u8; CAPACITY]>;

/// A path of at most PATH_MAX.
pub struct PathBuffer<'a> {
    bytes: &'a mut PathSpace,
    /// At most `CAPACITY - 1`; so many bytes are written.
    length: usize,
}

impl PathBuffer<'_> {
    /// An empty one.
    #[inline(always)]
    pub fn new(space: &mut PathSpace) -> PathBuffer<'_> {
        PathBuffer { bytes: space, length: 0 }
    }

    /// Forgets what was pushed.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// How many bytes were pushed.
    #[inline(always)]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Puts a byte at the end; ENAMETOOLONG if there is no room.
    #[inline(always)]
    pub fn push(&mut self, byte: u8) -> Result<()> {
        if self.length >= CAPACITY - 1 {
            return Err(Errno::ENAMETOOLONG);
        }
        // SAFETY: the length is below the array's.
        unsafe { self.bytes.as_mut_ptr().cast::<u8>().add(self.length).write(byte) };
        self.length += 1;
        Ok(())
    }

    /// Puts several at the end.
    #[inline(always)]
    pub fn push_all(&mut self, bytes: &[u8]) -> Result<()> {
        for byte in bytes {
            self.push(*byte)?;
        }
        Ok(())
    }

    /// Puts a number at the end, in decimal.
    #[inline(always)]
    pub fn push_number(&mut self, number: u32) -> Result<()> {
        let mut unit = 1_000_000_000;
        while unit > 0 {
            let digits = number / unit;
            if digits > 0 || unit == 1 {
                self.push(b'0' + (digits % 10) as u8)?;
            }
            unit /= 10;
        }
        Ok(())
    }

    /// Where more can be written, and how much.
    pub(crate) fn room(&mut self) -> (*mut u8, usize) {
        // SAFETY: the length is below the array's.
        let first = unsafe { self.bytes.as_mut_ptr().cast::<u8>().add(self.length) };
        (first, CAPACITY - 1 - self.length)
    }

    /// # Safety
    /// So many bytes of [`Self::room`] must have been written.
    pub(crate) unsafe fn grow(&mut self, written: usize) {
        self.length += written;
    }

    /// The byte there, if so many were pushed.
    #[inline(always)]
    pub fn at(&self, index: usize) -> Option<u8> {
        if index >= self.length {
            return None;
        }
        // SAFETY: every byte below the length was written.
        Some(unsafe { self.bytes.as_ptr().cast::<u8>().add(index).read() })
    }

    /// What was pushed from there on, up to a NUL in it.
    #[inline(always)]
    pub fn from(&mut self, start: usize) -> &CStr {
        let start = if start < self.length { start } else { self.length };
        // SAFETY: `length` is below the array's, and every byte from `start` to the NUL written here is initialised.
        unsafe {
            let first = self.bytes.as_mut_ptr().cast::<u8>();
            first.add(self.length).write(0);
            let mut length = 0;
            // Bounded, or the compiler makes a call of strlen(3) of it, which the child has not.
            while start + length < self.length && first.add(start + length).read() != 0 {
                length += 1;
            }
            CStr::from_bytes_with_nul_unchecked(core::slice::from_raw_parts(first.add(start), length + 1))
        }
    }
}
