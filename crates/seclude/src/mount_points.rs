//! What had to be made on the host for something to be mounted on, and goes again when the container has ended.
//!
//! The kernel takes a mount off, in whatever namespace, when what it lies on is removed, rename(2) and unlink(2): so nothing is
//! removed that another container which writes there may have mounts on. Each of those shares a lock on the directories of the host
//! that it can have mount points in, flock(2), and only who has it alone removes what it has made. Whoever shows a directory read-only, or
//! another part of the same tree, shares no lock: the mounts of all processes are looked at for those (`mounted_on.rs`). Nobody waits
//! for the lock for long: whoever can read a directory can hold it. And a file system whose server does not answer is asked for none:
//! nothing interrupts that.
//!
//! What a spawner that was killed, or has left its container running, cannot remove itself is written down (`made_record.rs`).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, fstatfs, major, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::made_record::{Record, find_on_host, path_of};
use crate::mount_point::{Identity, MOUNTED_ON, MountPoint, look_at, remove_unless_mounted_on};
use crate::mounts::{Mounts, is_local};

/// How often, a millisecond apart, a lock is asked for that somebody has alone: removing takes less.
const TRIES: usize = 250;

/// From statfs(2): what a container can have of its own.
const TMPFS: i64 = 0x0102_1994;
const OVERLAYFS: i64 = 0x794c_7630;

/// One component that was missing, as the child has told.
#[derive(Debug)]
pub(crate) struct Made {
    /// What it lies in; `None` if the descriptor did not arrive.
    pub(crate) directory: Option<OwnedFd>,
    /// Device and inode.
    pub(crate) place: (u64, u64),
    /// From the container's root on, as the child came to it: what the descriptor's own path is depends on whether the container is
    /// still there.
    pub(crate) path: Vec<u8>,
}

const OTHERS: &str = "another container may have mounts on it";

/// One in which something was made.
struct Directory {
    place: (u64, u64),
    open: Arc<OwnedFd>,
    /// Where the host has it, if it was asked and found.
    path: Option<PathBuf>,
}

/// All that one container has made, in that order.
#[derive(Default)]
pub(crate) struct MountPoints {
    made: Vec<MountPoint>,
    directories: Vec<Directory>,
    shared: Vec<Arc<OwnedFd>>,
    /// Why nothing may be removed.
    kept: Option<&'static str>,
    /// What stays for want of a descriptor.
    unknown: Vec<String>,
    /// Whether what is made is written down: its end can be known by the locks.
    pub(crate) recorded: bool,
    /// Whether an init has the locks, whoever else is gone.
    pub(crate) held_by_init: bool,
    record: Option<Record>,
    /// Whether an overlay keeps its writes on the host.
    pub(crate) overlay_stays: bool,
    /// The devices of the host's mounts, once they are asked for.
    devices: Option<BTreeMap<u64, String>>,
}

impl MountPoints {
    /// Shares the lock on a directory of the host as long as the answer is open: in the handle, or in an init as well. Its number
    /// is above this one.
    pub(crate) fn share(
        &mut self,
        directory: &OwnedFd,
        device: u64,
        above: i32,
    ) -> rustix::io::Result<Option<Arc<OwnedFd>>> {
        if major(device) == 0 && self.devices().get(&device).is_some_and(|kind| !is_local(kind)) {
            self.kept = Some("on a file system that is not this machine's alone nothing is locked");
            return Ok(None);
        }
        // What is open as a path alone cannot be locked.
        let opened = openat(directory, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let opened = match opened {
            Ok(opened) => opened,
            Err(Errno::ACCESS | Errno::PERM) => {
                self.kept = Some("the directory could not be locked, as it cannot be read");
                return Ok(None);
            }
            Err(errno) => return Err(errno),
        };
        let opened = match opened.as_raw_fd() > above {
            true => opened,
            false => fcntl_dupfd_cloexec(&opened, above + 1)?,
        };
        // By another open file it would be in its own way.
        let place = |file: &OwnedFd| fstat(file).map(|found| (found.st_dev, found.st_ino)).ok();
        if let Some(known) = self.shared.iter().find(|known| place(known) == place(&opened)) {
            return Ok(Some(known.clone()));
        }
        for _ in 0..TRIES {
            match flock(&opened, FlockOperation::NonBlockingLockShared) {
                Ok(()) => {
                    let opened = Arc::new(opened);
                    self.shared.push(opened.clone());
                    return Ok(Some(opened));
                }
                Err(Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(1)),
                // A file system that has no locks.
                Err(_) => break,
            }
        }
        self.kept = Some("the directory could not be locked");
        Ok(None)
    }

    /// Notes what the child has made, if that was on the host.
    pub(crate) fn note(&mut self, made: Made) {
        let Made { directory, place, path } = made;
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
        let (name, path) = (OsString::from_vec(name), OsString::from_vec(path));
        // A link in the root may have led to any name.
        let shown = format!("/{}", path.display()).replace(char::is_control, "?");
        let Some(directory) = directory else {
            return self.unknown.push(format!("mount point {shown} (no descriptor was left to know it by)"));
        };
        let Ok(found) = fstat(&directory) else { return };
        if !self.is_hosts(&directory, found.st_dev) {
            return;
        }
        let key = (found.st_dev, found.st_ino);
        let index = match self.directories.iter().position(|known| known.place == key) {
            Some(index) => index,
            None => {
                let above = Path::new(&path).parent().map_or(OsStr::new(""), Path::as_os_str);
                // By the child's own it may be read-only by now, as its root is.
                let on_host = find_on_host(&self.shared, key, above, self.is_written_down());
                let path = on_host.as_ref().filter(|_| self.is_written_down()).and_then(path_of);
                let open = Arc::new(on_host.unwrap_or(directory));
                self.directories.push(Directory { place: key, open, path });
                self.directories.len() - 1
            }
        };
        let Some(directory) = self.directories.get(index) else { return };
        let mut identity = Identity { place, born: None };
        if let Some(path) = directory.path.as_ref().map(|path| path.join(&name)) {
            // On the host nothing is mounted on it; it is known by its place, whatever that path leads to.
            let look = look_at(CWD, path.as_os_str()).ok().filter(|(look, _)| look.place == place);
            identity.born = look.and_then(|(look, _)| look.born);
            if self.record.is_none() {
                self.record = Record::begin(&self.shared);
            }
            if let Some(record) = &self.record {
                record.add(key, identity, path);
            }
        }
        self.made.push(MountPoint { directory: directory.open.clone(), identity, name, shown });
    }

    fn is_written_down(&self) -> bool {
        self.recorded && self.kept.is_none()
    }

    /// A tmpfs or overlay that the caller does not see is the container's own, and ends with it.
    fn is_hosts(&mut self, directory: &OwnedFd, device: u64) -> bool {
        if major(device) != 0 || self.devices().contains_key(&device) {
            return true;
        }
        match fstatfs(directory).map(|found| found.f_type) {
            Ok(OVERLAYFS) => self.overlay_stays,
            // A volume of btrfs has a device of its own that no mount is listed with.
            Ok(kind) => kind != TMPFS,
            Err(_) => false,
        }
    }

    fn devices(&mut self) -> &BTreeMap<u64, String> {
        self.devices.get_or_insert_with(|| Mounts::read("mount").map(|mounts| mounts.devices).unwrap_or_default())
    }

    /// Once nothing of the container is left: removes what is still empty and the same, last first; answers what stays, and why.
    pub(crate) fn remove(&mut self) -> Vec<String> {
        let mut stays = std::mem::take(&mut self.unknown);
        let made = std::mem::take(&mut self.made);
        if !made.is_empty() && self.kept.is_none() {
            // Somebody may be removing what another has left there, which takes no time.
            let alone = |lock: &Arc<OwnedFd>| {
                (0..3).any(|attempt| {
                    std::thread::sleep(Duration::from_millis(attempt));
                    flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok()
                })
            };
            if !self.shared.iter().all(alone) {
                self.kept = Some(OTHERS);
            }
        }
        let left = match self.kept {
            Some(why) => made.iter().rev().map(|point| (point, Err(why.to_owned()))).collect(),
            None => remove_unless_mounted_on(&made),
        };
        let left: Vec<_> = left.into_iter().filter_map(|(point, answer)| Some((point, answer.err()?))).collect();
        stays.extend(left.iter().map(|(point, why)| format!("mount point {} ({why})", point.shown)));
        // What others have mounts on goes with the last of them, if somebody looks then.
        let may_go = self.kept == Some(OTHERS) || left.iter().any(|(_, why)| why == MOUNTED_ON);
        if let Some(record) = self.record.take_if(|_| !may_go) {
            record.remove();
        }
        // Whoever was forked from this process meanwhile has the same open files.
        for lock in &self.shared {
            let _ = flock(lock, FlockOperation::Unlock);
        }
        self.forget();
        stays
    }

    /// It goes on without its owner. What was made for it stays until somebody finds it written down; where nobody could know when it
    /// is over, for good.
    pub(crate) fn leave(&mut self) {
        if let Some(record) = self.record.take_if(|_| !self.held_by_init) {
            record.remove();
        }
        self.forget();
    }

    fn forget(&mut self) {
        *self = MountPoints::default();
    }
}
