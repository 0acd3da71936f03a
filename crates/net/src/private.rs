//! Directories in /run that only their owner may open.
//!
//! What can be opened can be locked, so nobody else opens them, nor what is in them. An older version made them for all to
//! read: they are closed when they are used.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::Error;

/// Nobody else passes: whoever needs a file of ours is given a descriptor of it.
const MODE: Mode = Mode::from_raw_mode(0o700);

/// Makes the directory if it is not there, and opens it; `None` if somebody has removed it, or the one above, meanwhile.
pub(crate) fn directory(path: &str) -> Result<Option<OwnedFd>, Error> {
    match rustix::fs::mkdir(path, MODE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(Error::from_call(path, "mkdir", errno)),
    }
    match open(path) {
        // It stays if somebody has files in it.
        Err(error) if !matches!(error, Error::NotOurs { .. }) => {
            let _ = rustix::fs::rmdir(path);
            Err(error)
        }
        other => other,
    }
}

fn open(path: &str) -> Result<Option<OwnedFd>, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let directory = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => return Err(foreign(path, "it is no directory".to_owned())),
        other => other.map_err(|errno| Error::from_call(path, "open", errno))?,
    };
    let status = rustix::fs::fstat(&directory).map_err(|errno| Error::from_call(path, "fstat", errno))?;
    if status.st_uid != 0 && status.st_uid != rustix::process::geteuid().as_raw() {
        return Err(foreign(path, format!("it belongs to the user {}", status.st_uid)));
    }
    if Mode::from_raw_mode(status.st_mode) != MODE {
        rustix::fs::fchmod(&directory, MODE).map_err(|errno| Error::from_call(path, "fchmod", errno))?;
    }
    Ok(Some(directory))
}

/// Whether what was opened there is a file at all, and that of whoever owns the directory.
pub(crate) fn check_file(path: &str, file: &OwnedFd) -> Result<(), Error> {
    let status = rustix::fs::fstat(file).map_err(|errno| Error::from_call(path, "fstat", errno))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(foreign(path, "it is no regular file".to_owned()));
    }
    if status.st_uid != 0 && status.st_uid != rustix::process::geteuid().as_raw() {
        return Err(foreign(path, format!("it belongs to the user {}", status.st_uid)));
    }
    Ok(())
}

fn foreign(path: &str, reason: String) -> Error {
    Error::NotOurs { path: path.to_owned(), reason }
}
