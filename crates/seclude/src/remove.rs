//! Removing what was made, by descriptor: whatever lies at its path by then may be somebody else's.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, chmodat, fchmod, openat2, unlinkat};
use rustix::io::Errno;

/// Removes the directory `name` in `parent` with all that is in it. It follows no symlink and leaves its file system by no
/// mount: what is mounted in there is not ours.
pub(crate) fn directory(parent: &OwnedFd, name: &str) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // What was deleted inside an overlay has left a whiteout there for the next time.
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    empty(&open(parent, name)?)?;
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

fn open(parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let leash = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(&parent, name, flags, Mode::empty(), leash) {
        // A running overlay leaves its directory closed even to its owner.
        Err(Errno::ACCESS) => {
            let seen = openat2(&parent, name, flags | OFlags::PATH, Mode::empty(), leash)?;
            // What fchmod(2) cannot do with O_PATH: by the only path that leads to this very directory.
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&seen));
            chmodat(rustix::fs::CWD, path, Mode::RWXU, AtFlags::empty())?;
            Ok(openat2(&parent, name, flags, Mode::empty(), leash)?)
        }
        opened => Ok(opened?),
    }
}

fn empty(directory: &OwnedFd) -> io::Result<()> {
    fchmod(directory, Mode::RWXU)?;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => {
                let name = name.to_str().map_err(|_| io::ErrorKind::InvalidFilename)?;
                empty(&open(directory, name)?)?;
                unlinkat(directory, name, AtFlags::REMOVEDIR)?;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
