//! Descriptors that JavaScript names by their numbers.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// A copy for the command's stdin, stdout or stderr, which blocks. The runtime makes pipes and sockets that it looks at O_NONBLOCK, and a
/// command takes EAGAIN for an error. The open file is one, so this changes it for the runtime as well, as libuv's own child does: its
/// handles poll before they read, and go on.
pub(crate) fn blocking_copy_of(number: RawFd) -> io::Result<OwnedFd> {
    let copy = copy_of(number)?;
    let flags = fcntl_getfl(&copy)?;
    if flags.contains(OFlags::NONBLOCK) {
        fcntl_setfl(&copy, flags - OFlags::NONBLOCK)?;
    }
    Ok(copy)
}

/// A copy of descriptor `number`; an error if nothing is open there.
pub(crate) fn copy_of(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(rustix::io::Errno::BADF.raw_os_error()));
    }
    // SAFETY: it is borrowed for the call that copies it, on the thread that named it; if it is not open, that call
    // answers EBADF.
    #[expect(unsafe_code, reason = "a number is all that JavaScript has of a descriptor")]
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned()
}
