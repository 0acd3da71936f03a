//! What in the lower directories of an overlay gives its rights to whoever starts it, where others come to the upper directory.
//!
//! The kernel copies such a program up with its set-id bits, or its file capabilities, as soon as it is opened to be written, and takes them
//! away at a write(2), but not at a store through a shared mapping, mmap(2): what lies in the upper directory then has the command's
//! content, and the owner's rights for whoever starts it there. A device is copied up with whatever mode the command has given it.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, StatVfsMountFlags, Statx, StatxFlags, fstatvfs, lgetxattr, openat, statx,
};
use rustix::io::Errno;

use crate::error::Result;
use crate::patience::Patience;

/// Whether others than root can come to what lies in this directory, and it would give them its rights there.
pub(super) fn others_come_to(directory: &OwnedFd, devices: bool) -> bool {
    let Ok(mount) = fstatvfs(directory) else { return true };
    let is_nothing_there = mount.f_flag.contains(StatVfsMountFlags::NOSUID)
        && (!devices || mount.f_flag.contains(StatVfsMountFlags::NODEV));
    if is_nothing_there {
        return false;
    }
    let name = format!("/proc/self/fd/{}", directory.as_raw_fd());
    // One without a path is nowhere.
    let Ok(path) = std::fs::read_link(name) else { return false };
    path.ancestors().all(lets_others_pass)
}

/// By its mode, a group's, or a list that it has besides, acl(5).
fn lets_others_pass(directory: &Path) -> bool {
    let Ok(found) = rustix::fs::stat(directory) else { return true };
    let mode = Mode::from_raw_mode(found.st_mode);
    let has_list = || lgetxattr(directory, "system.posix_acl_access", &mut [0u8; 0]).is_ok();
    mode.contains(Mode::XOTH) || (mode.contains(Mode::XGRP) && found.st_gid != 0) || has_list()
}

/// The first that is found, by its path below the directory, and what it is.
pub(super) fn first_below(
    lower: &OwnedFd,
    devices: bool,
    patience: &Patience,
) -> Result<Option<(PathBuf, &'static str)>> {
    let look = |directory: &OwnedFd, name: &CStr| {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
        statx(directory, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)
    };
    let own = look(lower, c"").ok();
    // What is mounted below is no part of a layer; a subvolume, which has a device number of its own as well, is one.
    let is_layers = |found: &Statx| own.as_ref().is_none_or(|own| own.stx_mnt_id == found.stx_mnt_id);
    let below = |path: &Path, name: &CStr| path.join(OsStr::from_bytes(name.to_bytes()));
    let Ok(root) = open(lower, c".") else { return Ok(Some((PathBuf::from("."), UNSEEN))) };
    // By one name each, as a path would have an end that the tree need not have; a descriptor for each level.
    let mut levels = vec![Level { path: PathBuf::from("."), directory: root, left: None }];
    while let Some(Level { path, directory, left }) = levels.last_mut() {
        if let Some(left) = left {
            let Some(name) = left.pop() else {
                levels.pop();
                continue;
            };
            let path = below(path, &name);
            match open(directory, &name) {
                Ok(directory) => levels.push(Level { path, directory, left: None }),
                Err(Errno::NOENT) => {}
                Err(_) => return Ok(Some((path, UNSEEN))),
            }
            continue;
        }
        patience.look()?;
        let (mut inner, path) = (Vec::new(), path.clone());
        let Ok(entries) = Dir::read_from(&*directory) else { return Ok(Some((path, UNSEEN))) };
        for entry in entries {
            let Ok(entry) = entry else { return Ok(Some((path, UNSEEN))) };
            let name = entry.file_name();
            if name == c"." || name == c".." || entry.file_type() == FileType::Symlink {
                continue;
            }
            let found = match look(directory, name) {
                Ok(found) => found,
                Err(Errno::NOENT) => continue,
                Err(_) => return Ok(Some((below(&path, name), UNSEEN))),
            };
            let gives = match FileType::from_raw_mode(found.stx_mode.into()) {
                FileType::RegularFile => gives_rights(directory, name, &found),
                FileType::Directory => {
                    inner.extend(is_layers(&found).then(|| name.to_owned()));
                    None
                }
                // One of 0:0 says that there is nothing.
                FileType::BlockDevice | FileType::CharacterDevice => {
                    let is_one = (found.stx_rdev_major, found.stx_rdev_minor) != (0, 0);
                    (devices && is_one).then_some("a device")
                }
                _ => None,
            };
            if let Some(gives) = gives {
                return Ok(Some((below(&path, name), gives)));
            }
        }
        *left = Some(inner);
    }
    Ok(None)
}

/// A directory on the way, and, once it was read, those in it that are still to be.
struct Level {
    path: PathBuf,
    directory: OwnedFd,
    left: Option<Vec<CString>>,
}

const UNSEEN: &str = "what could not be looked at";

fn gives_rights(directory: &OwnedFd, name: &CStr, found: &Statx) -> Option<&'static str> {
    let bits = Mode::from_raw_mode(found.stx_mode.into());
    if bits.intersects(Mode::SUID | Mode::SGID) {
        return Some("a program with set-id bits");
    }
    let path = [format!("/proc/self/fd/{}/", directory.as_raw_fd()).as_bytes(), name.to_bytes()].concat();
    match lgetxattr(OsStr::from_bytes(&path), "security.capability", &mut [0u8; 0]) {
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOENT) => None,
        _ => Some("a program with capabilities"),
    }
}

fn open(directory: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}
