//! What the process sees as `/`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::attributes::{Attributes, Propagation};
use super::mount::Source;

/// The root of the container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Root {
    pub(crate) kind: RootKind,
    pub(crate) read_only: bool,
    /// Read-only once all mounts are made.
    pub(crate) closed: bool,
    pub(crate) propagation: Option<Propagation>,
    /// By chroot(2).
    pub(crate) chroot: bool,
    /// In a mount namespace that is not new.
    pub(crate) in_place: bool,
    /// Part of the sandbox preset: left out where the mount namespace is not new.
    pub(crate) preset: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RootKind {
    Host,
    /// A directory in memory, with the host's programs in it.
    Sandbox,
    Directory(Source),
    Overlay(Overlay),
}

impl Root {
    /// The sandbox's: the host's programs and their configuration, read-only, and else empty directories in memory; see
    /// [`crate::Command::sandbox`], from which alone it can be begun.
    pub fn sandbox() -> Root {
        Root {
            kind: RootKind::Sandbox,
            read_only: false,
            closed: false,
            propagation: None,
            chroot: false,
            in_place: false,
            preset: false,
        }
    }

    /// The host's own tree.
    pub fn host() -> Root {
        Root {
            kind: RootKind::Host,
            read_only: false,
            closed: false,
            propagation: None,
            chroot: false,
            in_place: false,
            preset: false,
        }
    }

    /// A directory of the host, with what is mounted below it, as `/`: nothing else of the host's tree is left.
    ///
    /// Where a privileged caller takes nothing else from the host, Linux 7.0 makes the mount namespace of it alone; mounts below
    /// it that are unbindable (mount_namespaces(7)) are then left out.
    pub fn directory(path: impl Into<PathBuf>) -> Root {
        Root {
            kind: RootKind::Directory(Source::Path(path.into())),
            read_only: false,
            closed: false,
            propagation: None,
            chroot: false,
            in_place: false,
            preset: false,
        }
    }

    /// The same of the directory that is open as `fd` (O_PATH will do), wherever it is by then.
    pub fn directory_fd(fd: impl Into<OwnedFd>) -> Root {
        Root {
            kind: RootKind::Directory(Source::Fd(Arc::new(fd.into()))),
            read_only: false,
            closed: false,
            propagation: None,
            chroot: false,
            in_place: false,
            preset: false,
        }
    }

    /// Several directories as one.
    pub fn overlay(overlay: Overlay) -> Root {
        Root {
            kind: RootKind::Overlay(overlay),
            read_only: false,
            closed: false,
            propagation: None,
            chroot: false,
            in_place: false,
            preset: false,
        }
    }

    /// Nothing can be written to it (EROFS), also not by set-up: targets of mounts must exist in it, unless it is an
    /// overlay.
    #[must_use]
    pub fn read_only(mut self) -> Root {
        self.read_only = true;
        self
    }

    /// The same for the command alone: targets of mounts that are missing are made first.
    #[must_use]
    pub fn closed(mut self) -> Root {
        self.read_only = true;
        self.closed = true;
        self
    }

    /// Mounts made on its own mount are seen elsewhere as this says, once it is the root. Default: private.
    #[must_use]
    pub fn propagation(mut self, attributes: Attributes) -> Root {
        self.propagation = attributes.propagation;
        self
    }

    /// By chroot(2), where the kernel cannot pivot, as from an initramfs. The host's tree stays in the container's mount namespace, a few
    /// system calls away for whoever has `CAP_SYS_CHROOT`, and user namespaces cannot be made in there. Of a directory alone.
    #[must_use]
    pub fn chroot(mut self) -> Root {
        self.chroot = true;
        self
    }

    /// In a mount namespace that is not new: in one that is joined, whose other processes are in this root then as well; or in the
    /// caller's own, with [`Root::chroot`]. There the tree is mounted over the directory that it is of, where all see it, and stays when the
    /// container ends: it is the caller's to unmount. Of a directory alone.
    #[must_use]
    pub fn in_place(mut self) -> Root {
        self.in_place = true;
        self
    }

    /// Whether of the host's tree the sandbox's part alone is found in it.
    pub(crate) fn is_curated(&self) -> bool {
        match &self.kind {
            RootKind::Sandbox => true,
            RootKind::Overlay(overlay) => overlay.curated,
            RootKind::Host | RootKind::Directory(_) => false,
        }
    }

    /// Whether the host's paths are found in it.
    pub(crate) fn shows_the_host(&self) -> bool {
        match &self.kind {
            RootKind::Host | RootKind::Sandbox => true,
            RootKind::Directory(source) => source.is_path(Path::new("/")),
            RootKind::Overlay(overlay) => overlay.lowers == [Path::new("/")],
        }
    }

    pub(crate) fn describe(&self) -> String {
        let what = match &self.kind {
            RootKind::Host => "the host's tree".to_owned(),
            RootKind::Sandbox => "the host's programs".to_owned(),
            RootKind::Directory(source) => source.describe(),
            RootKind::Overlay(overlay) => overlay.describe(),
        };
        format!("{what}, {}", if self.read_only { "read-only" } else { "writable" })
    }
}

/// Several directories as one, overlayfs: the first lower directory wins over the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overlay {
    pub(crate) lowers: Vec<PathBuf>,
    pub(crate) upper: Upper,
    /// Of the host's tree: what the sandbox shows of it.
    pub(crate) curated: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Upper {
    None,
    Ephemeral,
    Directory { upper: PathBuf, work: PathBuf },
}

impl Overlay {
    /// The lower directories, the topmost first; without an upper the overlay is read-only (and needs two of them).
    pub fn new<P: Into<PathBuf>>(lowers: impl IntoIterator<Item = P>) -> Overlay {
        Overlay { lowers: lowers.into_iter().map(Into::into).collect(), upper: Upper::None, curated: false }
    }

    /// Writes go to a tmpfs and are gone at the end.
    ///
    /// Before Linux 6.6 a tmpfs keeps no attributes of users: in a user namespace a directory of the lower that was
    /// removed cannot be made again there (`EIO`).
    #[must_use]
    pub fn ephemeral(mut self) -> Overlay {
        self.upper = Upper::Ephemeral;
        self
    }

    /// Writes go to `upper` and stay; `work` is an empty directory of the same file system for the kernel's use.
    #[must_use]
    pub fn upper(mut self, upper: impl AsRef<Path>, work: impl AsRef<Path>) -> Overlay {
        self.upper = Upper::Directory { upper: upper.as_ref().to_owned(), work: work.as_ref().to_owned() };
        self
    }

    /// Whether there is such a directory in it, before anything is written.
    pub(crate) fn has(&self, below: &Path) -> bool {
        let upper = if let Upper::Directory { upper, .. } = &self.upper { Some(upper) } else { None };
        self.lowers.iter().chain(upper).any(|layer| layer.join(below).is_dir())
    }

    pub(crate) fn describe(&self) -> String {
        let lowers: Vec<_> = self.lowers.iter().map(|lower| lower.display().to_string()).collect();
        let upper = match &self.upper {
            Upper::None => String::new(),
            Upper::Ephemeral => ", writes on a tmpfs".to_owned(),
            Upper::Directory { upper, .. } => format!(", writes in {}", upper.display()),
        };
        format!("overlay of {}{upper}", lowers.join(" over "))
    }
}
