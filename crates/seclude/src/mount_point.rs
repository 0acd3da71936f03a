//! One thing that was made on the host for something to be mounted on, and how it is removed.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, StatxFlags, fstat, makedev, statx, unlinkat};
use rustix::io::Errno;

use crate::mounted_on::{Place, are_mounted_on};

/// Why something stays that may go later.
pub(crate) const MOUNTED_ON: &str = "something is mounted on it";

/// What tells a file from another that came to have its name, and perhaps its inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// Device and inode.
    pub(crate) place: (u64, u64),
    /// When it was made, where its file system knows that: seconds and nanoseconds.
    pub(crate) born: Option<(i64, u32)>,
}

pub(crate) struct MountPoint {
    pub(crate) directory: Arc<OwnedFd>,
    pub(crate) identity: Identity,
    pub(crate) name: OsString,
    /// What the container calls it.
    pub(crate) shown: String,
}

impl MountPoint {
    /// One that was written down.
    pub(crate) fn found(directory: OwnedFd, identity: Identity, path: &Path) -> MountPoint {
        let name = path.file_name().unwrap_or_default().to_owned();
        MountPoint {
            directory: Arc::new(directory),
            identity,
            name,
            shown: path.display().to_string().replace(char::is_control, "?"),
        }
    }

    fn place(&self) -> Place<'_> {
        let directory = fstat(&self.directory).map(|found| (found.st_dev, found.st_ino));
        Place { directory: directory.unwrap_or_default(), name: &self.name }
    }

    /// Whether it was there.
    fn remove(&self) -> Result<bool, String> {
        let (identity, (kind, size)) = match look_at(&self.directory, &self.name) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(errno.to_string()),
        };
        // Another lies there now: the command's, or a mount of a process that goes on.
        if identity.place != self.identity.place || self.identity.born.is_some_and(|born| identity.born != Some(born)) {
            return Ok(false);
        }
        let flags = match kind {
            FileType::Directory => AtFlags::REMOVEDIR,
            FileType::RegularFile if size == 0 => AtFlags::empty(),
            // Nothing can be put into one.
            FileType::Symlink => AtFlags::empty(),
            _ => return Err("not empty".into()),
        };
        match unlinkat(&self.directory, &self.name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Err("not empty".into()),
            Err(errno) => Err(errno.to_string()),
        }
    }
}

/// What is there now, and its kind and size.
pub(crate) fn look_at(directory: impl AsFd, name: &OsStr) -> rustix::io::Result<(Identity, (FileType, u64))> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let found = statx(directory, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
    let place = (makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino);
    let has_birth = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    let born = has_birth.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec));
    Ok((Identity { place, born }, (FileType::from_raw_mode(found.stx_mode.into()), found.stx_size)))
}

/// Removes what nobody has mounted something on, last first; answers of each whether it was there, or why it stays.
pub(crate) fn remove_unless_mounted_on(points: &[MountPoint]) -> Vec<(&MountPoint, Result<bool, String>)> {
    let places: Vec<_> = points.iter().map(MountPoint::place).collect();
    let mounted_on = if points.is_empty() { Vec::new() } else { are_mounted_on(&places) };
    let each = points.iter().zip(mounted_on).rev();
    each.map(|(point, mounted_on)| (point, if mounted_on { Err(MOUNTED_ON.into()) } else { point.remove() })).collect()
}
