//! Descriptors that Python names by their numbers.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// A copy of descriptor `number`; an error if nothing is open there.
pub(crate) fn copy_of(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(rustix::io::Errno::BADF.raw_os_error()));
    }
    // SAFETY: it is borrowed for the call that copies it, on the thread that named it; if it is not open, that call
    // answers EBADF.
    #[expect(unsafe_code, reason = "a number is all that Python has of a descriptor")]
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned()
}
