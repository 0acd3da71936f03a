//! Entering a running container, by descriptors: of the process that was looked at, and not of one that has its pid later.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use seclude::{Command, Namespace};

use crate::failure::{Failure, Result};
use crate::state::Identity;

/// A container's process, as it can be entered.
pub(crate) struct Inside {
    /// Its directory in /proc.
    process: OwnedFd,
    /// Of /proc/self.
    own: OwnedFd,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Inside {
    /// The one of a process that is known to be a child that nobody has waited for.
    pub(crate) fn of_child(pid: u32) -> Result<Inside> {
        let failed = |errno| Failure::of(format_args!("process {pid}"), errno);
        let process = openat(CWD, format!("/proc/{pid}"), DIRECTORY, Mode::empty()).map_err(failed)?;
        let own = openat(CWD, "/proc/self", DIRECTORY, Mode::empty()).map_err(failed)?;
        Ok(Inside { process, own })
    }

    /// The one of a container's process, if it has not ended.
    pub(crate) fn of(identity: Identity) -> Result<Inside> {
        let gone = || Failure::new("container not running");
        let _held = identity.find().ok_or_else(gone)?;
        let inside = Inside::of_child(identity.pid.unsigned_abs())?;
        // The directory is of one process for good, and that was it before and after.
        if identity.is_alive() { Ok(inside) } else { Err(gone()) }
    }

    /// Enters all namespaces that are others than this process's: of a container that is being made the host's tree is there still.
    pub(crate) fn join(&self, command: &mut Command) -> Result<()> {
        for kind in Namespace::ALL {
            if let Some(theirs) = self.others(kind)? {
                command.join_fd(kind, theirs);
            }
        }
        Ok(())
    }

    /// The same, and its root, where that is not its mount namespace's.
    pub(crate) fn join_root(&self, command: &mut Command) -> Result<()> {
        self.join(command)?;
        if self.others(Namespace::Mount)?.is_none() {
            command.enter_root_fd(self.root()?);
        }
        Ok(())
    }

    fn others(&self, kind: Namespace) -> Result<Option<OwnedFd>> {
        let Some(theirs) = open(&self.process, kind)? else { return Ok(None) };
        let is_ours = match open(&self.own, kind)? {
            Some(ours) => inode(&theirs)? == inode(&ours)?,
            None => false,
        };
        Ok((!is_ours).then_some(theirs))
    }

    /// Its cgroup of v2, as this process sees it.
    pub(crate) fn cgroup(&self) -> Option<PathBuf> {
        let file = openat(&self.process, "cgroup", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text).ok()?;
        text.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from)
    }

    /// Its root.
    pub(crate) fn root(&self) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.process, "root", flags, Mode::empty()).map_err(|errno| Failure::of("the container's root", errno))
    }
}

fn open(process: &OwnedFd, kind: Namespace) -> Result<Option<OwnedFd>> {
    let path = format!("ns/{}", kind.proc_name());
    match openat(process, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(namespace) => Ok(Some(namespace)),
        // A kernel that does not have the kind.
        Err(rustix::io::Errno::NOENT) if kind == Namespace::Time => Ok(None),
        Err(errno) => Err(Failure::of(format_args!("the container's {kind} namespace"), errno)),
    }
}

fn inode(namespace: &OwnedFd) -> Result<(u64, u64)> {
    let found = fstat(namespace).map_err(|errno| Failure::of("a namespace", errno))?;
    Ok((found.st_dev, found.st_ino))
}
