//! A file read byte by byte through a buffer on the stack.

use core::mem::MaybeUninit;

use crate::file::close;
use crate::{Fd, Result, call};

const CAPACITY: usize = 1024;

/// Where a [`ByteReader`] has its bytes; alone for the same reason as [`crate::PathSpace`].
pub type ReadSpace = MaybeUninit<[u8; CAPACITY]>;

/// Closes the file at its end.
pub struct ByteReader<'a> {
    file: Fd,
    buffer: &'a mut ReadSpace,
    /// At most `CAPACITY`; so many bytes are read.
    length: usize,
    next: usize,
}

impl ByteReader<'_> {
    /// Of a file that is open for reading, and now this one's.
    #[inline(always)]
    pub fn new(file: Fd, space: &mut ReadSpace) -> ByteReader<'_> {
        ByteReader { file, buffer: space, length: 0, next: 0 }
    }

    /// The next byte; `None` at the end.
    #[inline(always)]
    pub fn next_byte(&mut self) -> Result<Option<u8>> {
        if self.next >= self.length {
            // SAFETY: the kernel writes at most `CAPACITY` bytes to the buffer.
            let read = unsafe { call!(__NR_read, self.file.arg(), self.buffer.as_mut_ptr(), CAPACITY) }?;
            (self.length, self.next) = (read, 0);
            if read == 0 {
                return Ok(None);
            }
        }
        // SAFETY: `next` is below `length`, and so many bytes were read.
        let byte = unsafe { self.buffer.as_ptr().cast::<u8>().add(self.next).read() };
        self.next += 1;
        Ok(Some(byte))
    }
}

impl Drop for ByteReader<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let _ = close(self.file);
    }
}
