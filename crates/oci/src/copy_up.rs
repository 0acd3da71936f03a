//! `tmpcopyup`: a new file system that begins with what the image has in its place.
//!
//! It is filled from outside, once it is mounted and before anything of the container runs, by descriptors on both sides: the image's
//! files may lead anywhere, and nothing here follows them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, chownat, fchmod, fchown, mkdirat, mknodat,
    openat, openat2, readlinkat, statat, symlinkat,
};
use rustix::io::Errno;

use crate::failure::{Failure, Result};

/// Deeper trees are nobody's image.
const DEEPEST: usize = 128;

/// One such mount.
#[derive(Clone, Debug)]
pub(crate) struct CopyUp {
    pub(crate) field: String,
    pub(crate) target: String,
    /// Whether the directory's own permissions were said.
    pub(crate) has_mode: bool,
}

/// Fills it: `image` is the root as the image has it, `root` the container's.
pub(crate) fn fill(mount: &CopyUp, image: BorrowedFd<'_>, root: BorrowedFd<'_>) -> Result<()> {
    let failed = |errno| Failure::at(mount.field.clone(), format!("tmpcopyup of {}: {errno}", mount.target));
    let target = mount.target.trim_start_matches('/');
    let leash = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let from = match openat2(image, target, DIRECTORY, Mode::empty(), leash) {
        Ok(from) => from,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    };
    let into = openat2(root, target, DIRECTORY, Mode::empty(), leash).map_err(failed)?;
    if !mount.has_mode {
        let found = rustix::fs::fstat(&from).map_err(failed)?;
        own(&into, &found).map_err(failed)?;
    }
    copy(from.as_fd(), into.as_fd(), 0).map_err(failed)
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn ids(found: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(found.st_uid)), Some(Gid::from_raw(found.st_gid)))
}

fn own(file: &OwnedFd, found: &Stat) -> Result<(), Errno> {
    let (uid, gid) = ids(found);
    fchown(file, uid, gid)?;
    fchmod(file, Mode::from_raw_mode(found.st_mode))
}

fn copy(from: BorrowedFd<'_>, into: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
    if depth > DEEPEST {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let found = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let (uid, gid) = ids(&found);
        let mode = Mode::from_raw_mode(found.st_mode);
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                mkdirat(into, name, Mode::from_raw_mode(0o700))?;
                let (inner, made) = (open(from, name, DIRECTORY)?, open(into, name, DIRECTORY)?);
                copy(inner.as_fd(), made.as_fd(), depth + 1)?;
                own(&made, &found)?;
            }
            FileType::RegularFile => {
                let source = open(from, name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = openat(into, name, flags, Mode::from_raw_mode(0o600))?;
                std::io::copy(
                    &mut std::fs::File::from(source),
                    &mut std::fs::File::from(made.try_clone().map_err(errno)?),
                )
                .map_err(errno)?;
                own(&made, &found)?;
            }
            FileType::Symlink => {
                symlinkat(readlinkat(from, name, Vec::new())?, into, name)?;
                chownat(into, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            kind => {
                mknodat(into, name, kind, mode, found.st_rdev)?;
                chownat(into, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
    }
    Ok(())
}

fn open(directory: BorrowedFd<'_>, name: &std::ffi::CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty())
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
