//! The tree of a container without a mount namespace of its own: it is mounted over its rootfs, in the caller's, and goes when that is deleted.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::mount::{UnmountFlags, unmount};

use crate::failure::{Failure, Result};
use crate::state::Record;

/// The tree itself, and what whoever was killed may have mounted over it once more.
const MOST: usize = 3;

/// Which mount a directory is found in, statx(2). Linux 5.8.
pub(crate) fn mount_of(directory: &Path) -> Result<u64> {
    let found = statx(CWD, directory, AtFlags::empty(), StatxFlags::MNT_ID);
    found.map(|found| found.stx_mnt_id).map_err(|errno| Failure::of(directory.display(), errno).or_at("root.path"))
}

/// Unmounts what lies over the rootfs and did not before it was created. What is busy goes with its last user.
pub(crate) fn take_away(record: &Record) -> Result<()> {
    let Some(before) = record.rootfs_on else { return Ok(()) };
    for _ in 0..MOST {
        // Somebody has removed it, and the tree with it.
        if !record.rootfs.exists() || mount_of(&record.rootfs)? == before {
            return Ok(());
        }
        match unmount(&record.rootfs, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Nothing is mounted there: what it lay in is another one by now.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(errno) => return Err(Failure::of(record.rootfs.display(), errno).or_at("root.path")),
        }
    }
    Ok(())
}
