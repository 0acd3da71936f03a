//! `tmpcopyup`: a new file system that begins with what the image has in its place.
//!
//! It is filled from outside, before anything leads to it, by descriptors on both sides: the image's files may lead anywhere, and nothing here
//! follows them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, chownat, fchmod, fchown, mkdirat, mknodat,
    openat, openat2, readlinkat, statat, symlinkat,
};
use rustix::io::Errno;

/// Deeper trees are nobody's image.
const DEEPEST: usize = 128;

/// One such mount.
#[derive(Clone, Debug)]
pub(crate) struct CopyUp {
    /// The root as the image has it.
    pub(crate) image: PathBuf,
    pub(crate) target: String,
    /// Whether the directory's own permissions were said.
    pub(crate) has_mode: bool,
}

impl CopyUp {
    /// Fills it; what the image does not have leaves it empty.
    pub(crate) fn fill(&self, into: &OwnedFd) -> io::Result<()> {
        let failed = |errno: Errno| io::Error::new(errno.kind(), format!("tmpcopyup: {errno}"));
        let image = openat(CWD, &self.image, DIRECTORY, Mode::empty()).map_err(failed)?;
        let leash = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let target = self.target.trim_start_matches('/');
        let from = match openat2(image, target, DIRECTORY, Mode::empty(), leash) {
            Ok(from) => from,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(failed(errno)),
        };
        // What was handed over is a place alone.
        let into = openat(into, ".", DIRECTORY, Mode::empty()).map_err(failed)?;
        if !self.has_mode {
            let found = rustix::fs::fstat(&from).map_err(failed)?;
            own(&into, &found).map_err(failed)?;
        }
        copy(from.as_fd(), into.as_fd(), 0).map_err(failed)
    }
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
