//! What lies at a place inside: something of the host's, or what set-up has made there.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags, fstatfs, fstatvfs, openat, statx,
};
use rustix::io::Errno;
use seclude_links::For;

use super::subject::{Known, Modes};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::places::Places;
use crate::step::{self, Ids};

/// One place, as a walk came to it.
#[derive(Debug)]
pub(super) struct Node {
    /// Inside, without symlinks.
    pub(super) path: PathBuf,
    pub(super) what: What,
    /// The layer that it is seen on, and the one that it is of.
    pub(super) seen: usize,
    pub(super) layer: usize,
    pub(super) read_only: bool,
    pub(super) noexec: bool,
    pub(super) nodev: bool,
}

#[derive(Debug)]
pub(super) enum What {
    Host(Found),
    Directory {
        mode: u32,
    },
    File {
        mode: u32,
    },
    /// Of one of the host's, whose it is.
    Link {
        to: PathBuf,
        owner: Option<u32>,
    },
    /// One of /dev's that do the same everywhere.
    Device,
    /// What is there is hidden, if anything is.
    Masked,
    /// A view of the kernel's, of which nothing is known.
    Kernel,
    Unknown(String),
}

/// A file of the host's, open as a path.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) fd: OwnedFd,
    /// Where it lies on the host, without symlinks.
    pub(super) path: PathBuf,
    pub(super) kind: FileType,
    pub(super) modes: Modes,
    pub(super) identity: (u32, u32, u64),
    pub(super) device: (u32, u32),
    pub(super) mount: u64,
    file_system: i64,
    pub(super) immutable: bool,
    pub(super) append_only: bool,
}

const EXT4: i64 = 0xef53;
const XFS: i64 = 0x5846_5342;
const BTRFS: i64 = 0x9123_683e;
const F2FS: i64 = 0xf2f5_2010;
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;
const OVERLAY: i64 = 0x794c_7630;
const SQUASHFS: i64 = 0x7371_7368;
const EROFS: i64 = 0xe0f5_e1e2;
const VFAT: i64 = 0x4d44;

const PROC: i64 = 0x9fa0;
const SYSFS: i64 = 0x6265_6572;

/// File systems in which the kernel decides by nothing but what is seen of a file.
const PLAIN: [i64; 10] = [EXT4, XFS, BTRFS, F2FS, TMPFS, RAMFS, OVERLAY, SQUASHFS, EROFS, VFAT];

impl Found {
    pub(super) fn open(directory: impl AsFd, name: &Path, path: PathBuf) -> Result<Found, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Found::of(openat(directory, name, flags, Mode::empty())?, path)
    }

    pub(super) fn of(fd: OwnedFd, path: PathBuf) -> Result<Found, Errno> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let found = statx(&fd, c"", flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
        let kind = FileType::from_raw_mode(found.stx_mode.into());
        let modes = Modes {
            mode: u32::from(found.stx_mode) & 0o7777,
            uid: found.stx_uid,
            gid: found.stx_gid,
            directory: kind == FileType::Directory,
            listed: kind != FileType::Symlink && has_list(&fd),
        };
        Ok(Found {
            path,
            kind,
            modes,
            identity: (found.stx_dev_major, found.stx_dev_minor, found.stx_ino),
            device: (found.stx_rdev_major, found.stx_rdev_minor),
            // Linux 5.8.
            mount: if found.stx_mask & StatxFlags::MNT_ID.bits() != 0 { found.stx_mnt_id } else { 0 },
            file_system: fstatfs(&fd)?.f_type,
            immutable: found.stx_attributes.contains(StatxAttributes::IMMUTABLE),
            append_only: found.stx_attributes.contains(StatxAttributes::APPEND),
            fd,
        })
    }

    /// Whether it lies in a file system that answers to nothing but modes.
    pub(super) fn is_plain(&self) -> bool {
        PLAIN.contains(&self.file_system)
    }

    /// Of a view of the kernel's: whether it is one of processes.
    pub(super) fn is_of_processes(&self) -> Option<bool> {
        [(PROC, true), (SYSFS, false)].into_iter().find(|(kind, _)| *kind == self.file_system).map(|(_, is)| is)
    }

    /// Whether it is shown under the container's ids, where that is wanted: mount_setattr(2), of a plain file system.
    pub(super) fn is_mapped(&self, host: &Host) -> Known {
        let since = match self.file_system {
            EXT4 | XFS | VFAT => (5, 12),
            BTRFS => (5, 15),
            TMPFS => (6, 3),
            _ => return Known::Perhaps,
        };
        // Of a file system of an outer container's nobody but its maker may.
        if Host::kernel() >= since && host.first_user_namespace { Known::Yes } else { Known::Perhaps }
    }

    /// (read-only, noexec, nodev) of the mount that it lies on.
    pub(super) fn flags(&self) -> Result<(bool, bool, bool), Errno> {
        let flags = fstatvfs(&self.fd)?.f_flag;
        let has = |flag: StatVfsMountFlags| flags.contains(flag);
        Ok((has(StatVfsMountFlags::RDONLY), has(StatVfsMountFlags::NOEXEC), has(StatVfsMountFlags::NODEV)))
    }

    /// Whether it is shown when it is asked for by `named`, as `step/mount/bind.rs` looks; `closed`: where the homes are that it may not show.
    pub(super) fn may_be_shown(&self, named: &Path, purpose: For, closed: Option<&Places>) -> Result<()> {
        const STEP: &str = "mount";
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let found = statx(&self.fd, c"", flags, StatxFlags::BASIC_STATS)
            .map_err(|errno| Error::parent(STEP, named.display().to_string(), errno).call("statx"))?;
        if let Some(places) = closed {
            step::is_no_home(STEP, named, Some(&self.fd), &found, places)?;
        }
        step::show::is_where_it_says(STEP, named, Some(&self.fd), purpose)
    }

    /// One of the devices that do the same everywhere: null, zero, full, random, urandom.
    pub(super) fn is_harmless_device(&self) -> bool {
        self.kind == FileType::CharacterDevice && self.device.0 == 1 && [3, 5, 7, 8, 9].contains(&self.device.1)
    }
}

/// Whether it has an access control list; what cannot be told counts as one.
fn has_list(fd: &OwnedFd) -> bool {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let found = rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 0][..]);
    !matches!(found, Err(Errno::NODATA | Errno::OPNOTSUPP))
}

/// How a view of the host's shows ids.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    Plain,
    Mapped,
    /// Below an overlay, some under these and some under those.
    Mixed,
}

impl Shown {
    pub(super) fn of(ids: Ids, plain: bool) -> Shown {
        if ids == Ids::Containers && !plain { Shown::Mapped } else { Shown::Plain }
    }

    pub(super) fn is_mapped(self, found: &Found, host: &Host) -> Known {
        match self {
            Shown::Plain => Known::No,
            Shown::Mapped => found.is_mapped(host),
            Shown::Mixed => Known::Perhaps,
        }
    }
}

impl Node {
    pub(super) fn is_directory(&self) -> bool {
        match &self.what {
            What::Host(found) => found.kind == FileType::Directory,
            What::Directory { .. } | What::Kernel | What::Masked => true,
            What::File { .. } | What::Link { .. } | What::Device | What::Unknown(_) => false,
        }
    }
}
