//! Everything that can go wrong; each message is one line.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

use crate::{Controller, Limit, LimitError};

/// Why something with a cgroup did not happen. [`Error::hint`] says what can be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The value of a limit cannot be meant, or is above what this machine has.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The parent cgroup is not given as an absolute path of plain names.
    #[error("{} cannot be a parent cgroup: {reason}", path.display())]
    BadParent {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No hierarchy is mounted that a cgroup could be made in.
    #[error("no cgroup hierarchy is mounted")]
    NoHierarchy,
    /// A controller is not there: in no mounted hierarchy, or (v2) not handed down to a cgroup.
    #[error("{}, which {}", needs(*limit, *controller), lacks(path.as_deref()))]
    NoController {
        /// Which.
        controller: Controller,
        /// The limit that needs it; `None` if the caller asked for the controller itself.
        limit: Option<Limit>,
        /// The v2 cgroup whose `cgroup.controllers` lacks it; `None` if no hierarchy has it.
        path: Option<PathBuf>,
    },
    /// The mount shows a part of the hierarchy in which the parent cgroup is not.
    #[error("cgroup {} is not in {}, which shows {}", path.display(), mount_point.display(), root.display())]
    NotVisible {
        /// The cgroup, as given.
        path: PathBuf,
        /// The mount.
        mount_point: PathBuf,
        /// What it shows.
        root: PathBuf,
    },
    /// A directory is not of the filesystem type it should be.
    #[error("{} is not a cgroup directory", path.display())]
    NotCgroup {
        /// The directory.
        path: PathBuf,
    },
    /// The cgroup mount is read-only (`EROFS`).
    #[error("{call} {}: {source}", path.display())]
    ReadOnly {
        /// The call.
        call: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// The caller may not (`EACCES`, `EPERM`): the cgroup is not delegated to it.
    #[error("{call} {}: {source}", path.display())]
    NotDelegated {
        /// The call.
        call: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// It is not there (`ENOENT`).
    #[error("{call} {}: {source}", path.display())]
    Missing {
        /// The call.
        call: &'static str,
        /// What.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// The new cgroup is there already (`EEXIST`). Names are unique by construction and a cgroup
    /// is never shared.
    #[error("cgroup {} exists already", path.display())]
    Exists {
        /// The cgroup.
        path: PathBuf,
    },
    /// Controllers cannot be handed down from a v2 cgroup that has processes of its own (`EBUSY`).
    #[error("cgroup {} has processes of its own, so it cannot hand controllers down", path.display())]
    InternalProcesses {
        /// The cgroup.
        path: PathBuf,
    },
    /// A v2 cgroup is the root of threaded ones, or threaded itself: those made in it can have no processes of their own.
    #[error("cgroup {} has threaded cgroups, beside which no other can have processes", path.display())]
    Threaded {
        /// The cgroup.
        path: PathBuf,
    },
    /// No process can be put into a cgroup that exists.
    #[error("cgroup {} cannot be joined: {reason}", path.display())]
    CannotBeJoined {
        /// The cgroup.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// This host's cgroups cannot do it.
    #[error("{what} is not possible here: {reason}")]
    Unsupported {
        /// What.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The kernel did not take a limit.
    #[error("{limit}: write {value:?} to {}: {source}", path.display())]
    Refused {
        /// The limit.
        limit: Limit,
        /// What was written.
        value: String,
        /// To which file.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// The kernel took a limit without an error, but what is read back is something else.
    #[error("{limit}: wrote {value:?} to {}, where there is now {found:?}", path.display())]
    Ignored {
        /// The limit.
        limit: Limit,
        /// What was written.
        value: String,
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// Processes of the cgroup are alive after everything was tried.
    #[error("{} processes of cgroup {} are alive after SIGKILL", pids.len(), path.display())]
    Survivors {
        /// The cgroup, in its hierarchy.
        path: PathBuf,
        /// Their ids.
        pids: Vec<u32>,
    },
    /// Not everything could be removed.
    #[error("{} cgroups are left, the first is {}: {source}", left.len(), left.first().map(|p| p.display().to_string()).unwrap_or_default())]
    NotRemoved {
        /// What is left.
        left: Vec<PathBuf>,
        /// Why the first of them is.
        source: io::Error,
    },
    /// It failed, and then not everything that was made could be removed.
    #[error("{error}; and {undo}")]
    NotUndone {
        /// What failed.
        #[source]
        error: Box<Error>,
        /// What then failed to be undone.
        undo: Box<Error>,
    },
    /// A system call failed in another way.
    #[error("{call} {}: {source}", path.display())]
    Call {
        /// The call.
        call: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
}

fn needs(limit: Option<Limit>, controller: Controller) -> String {
    match limit {
        Some(limit) => format!("{limit} needs the {controller} controller"),
        None => format!("the {controller} controller is asked for"),
    }
}

fn lacks(path: Option<&Path>) -> String {
    match path {
        Some(path) => format!("{} does not have", path.display()),
        None => "no mounted cgroup hierarchy has".to_owned(),
    }
}

impl Error {
    /// What a call on a path answered.
    pub(crate) fn from_call(call: &'static str, path: &Path, source: impl Into<io::Error>) -> Error {
        let (path, source) = (path.to_path_buf(), source.into());
        match Errno::from_io_error(&source) {
            Some(Errno::ROFS) => Error::ReadOnly { call, path, source },
            Some(Errno::ACCESS | Errno::PERM) => Error::NotDelegated { call, path, source },
            Some(Errno::NOENT) => Error::Missing { call, path, source },
            _ => Error::Call { call, path, source },
        }
    }

    pub(crate) fn unsupported(what: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Unsupported { what: what.into(), reason: reason.into() }
    }

    /// The file or directory it is about.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::BadParent { path, .. }
            | Error::NotVisible { path, .. }
            | Error::NotCgroup { path }
            | Error::ReadOnly { path, .. }
            | Error::NotDelegated { path, .. }
            | Error::Missing { path, .. }
            | Error::Exists { path }
            | Error::InternalProcesses { path }
            | Error::Threaded { path }
            | Error::CannotBeJoined { path, .. }
            | Error::Refused { path, .. }
            | Error::Ignored { path, .. }
            | Error::Survivors { path, .. }
            | Error::Call { path, .. } => Some(path),
            Error::NoController { path, .. } => path.as_deref(),
            Error::NotRemoved { left, .. } => left.first().map(PathBuf::as_path),
            Error::NotUndone { error, .. } => error.path(),
            Error::Limit(_) | Error::NoHierarchy | Error::Unsupported { .. } => None,
        }
    }

    /// The call that failed: `mkdir`, `openat`, `read`, `write`, …
    pub fn call(&self) -> Option<&'static str> {
        match self {
            Error::ReadOnly { call, .. }
            | Error::NotDelegated { call, .. }
            | Error::Missing { call, .. }
            | Error::Call { call, .. } => Some(call),
            Error::Exists { .. } => Some("mkdir"),
            Error::InternalProcesses { .. } | Error::Refused { .. } => Some("write"),
            Error::NotRemoved { .. } => Some("rmdir"),
            Error::NotUndone { error, .. } => error.call(),
            _ => None,
        }
    }

    /// What the call answered.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::ReadOnly { source, .. }
            | Error::NotDelegated { source, .. }
            | Error::Missing { source, .. }
            | Error::Refused { source, .. }
            | Error::NotRemoved { source, .. }
            | Error::Call { source, .. } => source.raw_os_error(),
            Error::Exists { .. } => Some(Errno::EXIST.raw_os_error()),
            Error::InternalProcesses { .. } => Some(Errno::BUSY.raw_os_error()),
            Error::NotUndone { error, .. } => error.errno(),
            _ => None,
        }
    }

    /// The limit it is about.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Error::Limit(error) => Some(error.limit),
            Error::NoController { limit, .. } => *limit,
            Error::Refused { limit, .. } | Error::Ignored { limit, .. } => Some(*limit),
            Error::Unsupported { what, .. } => Limit::ALL.into_iter().find(|limit| limit.name() == what),
            Error::NotUndone { error, .. } => error.limit(),
            _ => None,
        }
    }

    /// Whether another host could do what was asked for: it was not the request that could not be meant.
    pub fn is_of_the_host(&self) -> bool {
        match self {
            Error::NotUndone { error, .. } => error.is_of_the_host(),
            Error::NoHierarchy
            | Error::NoController { .. }
            | Error::InternalProcesses { .. }
            | Error::Threaded { .. }
            | Error::Unsupported { .. }
            | Error::Refused { .. }
            | Error::Ignored { .. } => true,
            other => other.is_no_access(),
        }
    }

    pub(crate) fn is(&self, errno: Errno) -> bool {
        self.errno() == Some(errno.raw_os_error())
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.is(Errno::NOENT)
    }

    /// Whether a directory or its files went away under us: somebody removed it.
    pub(crate) fn is_gone(&self) -> bool {
        self.is(Errno::NOENT) || self.is(Errno::NODEV)
    }

    /// Whether the caller simply has no access to that hierarchy.
    pub fn is_no_access(&self) -> bool {
        matches!(self, Error::ReadOnly { .. } | Error::NotDelegated { .. } | Error::NotVisible { .. })
    }
}
