//! Reading a file of the kernel's, with as few calls as it takes: they are much of what a cgroup costs.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, pread, retry_on_intr};

use crate::Error;

const BUFFER: usize = 4096;

/// The whole of a file that the kernel writes in one piece, from its beginning, whatever was read from this descriptor
/// before. It comes in one piece too, unless it fills the buffer. All files of cgroups are such but the lists of processes.
pub(crate) fn piece(fd: BorrowedFd<'_>) -> Result<String, Errno> {
    until(fd, |count| count < BUFFER)
}

/// The whole of a file that the kernel writes line by line, and may end a read at any of them.
pub(crate) fn lines(fd: BorrowedFd<'_>) -> Result<String, Errno> {
    until(fd, |count| count == 0)
}

/// [`piece`], by path.
pub(crate) fn piece_of(path: &Path) -> Result<String, Error> {
    by_path(path, piece)
}

/// [`lines`], by path.
pub(crate) fn lines_of(path: &Path) -> Result<String, Error> {
    by_path(path, lines)
}

fn by_path(path: &Path, read: fn(BorrowedFd<'_>) -> Result<String, Errno>) -> Result<String, Error> {
    let opened = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let fd = opened.map_err(|errno| Error::from_call("openat", path, errno))?;
    read(fd.as_fd()).map_err(|errno| Error::from_call("read", path, errno))
}

/// Bytes that are not UTF-8 become a path that is not found.
fn until(fd: BorrowedFd<'_>, is_last: impl Fn(usize) -> bool) -> Result<String, Errno> {
    let mut bytes = Vec::new();
    let mut buffer = [0; BUFFER];
    loop {
        let offset = bytes.len() as u64;
        let count = retry_on_intr(|| pread(fd, &mut buffer, offset))?;
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if is_last(count) {
            return Ok(
                String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
            );
        }
    }
}
