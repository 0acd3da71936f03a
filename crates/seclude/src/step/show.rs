//! What is shown of the host's files: opened once, by the parent, and copied from there.
//!
//! Where the container's ids are not the caller's, the parent makes the copy, under the container's ids (`spawn/trees.rs`).
//! Elsewhere the caller may have no right to copy a mount but in the child's own namespace, where what the parent has open is
//! not: so the child walks the path again, and looks whether it came to the same file.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags, openat, statx};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use seclude_child::{Op, Slot};
use seclude_links::For;
use seclude_sys::Fd;

use super::Preparation;
use super::user::{self, Ids};
use crate::config::mount::{IdMapped, Source};
use crate::config::start::Starter;
use crate::error::{Error, Result};
use crate::program::{Program, Wanted};

/// A file or directory of the host.
pub(crate) struct Show {
    from: Source,
    path: PathBuf,
    recursive: bool,
    /// Whether the container may write to it.
    writable: bool,
    ids: Ids,
    /// Under the host's ids though the container has others.
    plain: bool,
    /// Under these ids, though other files of the host are not.
    mapped: Option<IdMapped>,
    starter: Option<Starter>,
    /// The user namespace whose map they are.
    namespace: Option<Arc<OwnedFd>>,
    /// A peer of what it is a copy of: only the parent is where that is.
    peer: bool,
    /// The parent can come to it, and the child, with the rights of its own ids alone, perhaps not.
    parents: bool,
    open: Option<Arc<OwnedFd>>,
    /// Whether mount points may have to be made in it.
    takes_mounts: bool,
    /// It has to be what lies there by that name, and not where a symlink leads.
    as_named: bool,
    lock: Option<Arc<OwnedFd>>,
}

impl Show {
    pub(crate) fn new(path: &Path, recursive: bool, writable: bool, ids: Ids) -> Show {
        Show::of(Source::Path(path.to_owned()), recursive, writable, ids)
    }

    pub(crate) fn of(from: Source, recursive: bool, writable: bool, ids: Ids) -> Show {
        let path = match &from {
            Source::Path(path) => path.clone(),
            Source::Fd(fd) => PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())),
        };
        Show {
            from,
            path,
            recursive,
            writable,
            ids,
            plain: false,
            mapped: None,
            starter: None,
            namespace: None,
            peer: false,
            parents: false,
            open: None,
            takes_mounts: false,
            as_named: false,
            lock: None,
        }
    }

    /// Under the host's ids in any case.
    pub(crate) fn plain(mut self, plain: bool) -> Show {
        self.plain = plain;
        self
    }

    /// Under these ids, or not at all.
    pub(crate) fn mapped(mut self, mapped: Option<IdMapped>, starter: Starter) -> Show {
        self.mapped = mapped;
        self.starter = Some(starter);
        self
    }

    /// A namespace for a map of its own: what is shown under it needs one, mount_setattr(2).
    pub(crate) fn make_maps(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let maps = self.mapped.as_ref().and_then(|mapped| mapped.maps.as_ref());
        if let (Some((uids, gids)), Some(starter)) = (maps, self.starter) {
            self.namespace = Some(user::namespace_of_maps(uids, gids, starter, preparation)?);
        }
        Ok(())
    }

    /// What is mounted in it later is seen in the host's own, or the other way round.
    pub(crate) fn peer(mut self, peer: bool) -> Show {
        self.peer = peer;
        self
    }

    /// The copy is made by the parent, whatever its ids.
    pub(crate) fn made_by_parent(mut self, parents: bool) -> Show {
        self.parents = parents;
        self
    }

    /// Something is to be mounted in it: what has to be made for that is made on the host if it is written.
    pub(crate) fn takes_mounts(mut self, takes: bool) -> Show {
        self.takes_mounts = takes;
        self
    }

    /// Nothing that a symlink leads to: where an earlier run could write, it may have left one.
    pub(crate) fn only_as_named(mut self, as_named: bool) -> Show {
        self.as_named = as_named;
        self
    }

    /// Fails where it is open by now and is not that.
    pub(crate) fn look_where(&self, step: &'static str) -> Result<()> {
        match self.as_named && self.is_by_path() {
            true => is_where_it_says(step, self.path(), self.open.as_deref(), self.purpose()),
            false => Ok(()),
        }
    }

    /// What becomes of it.
    fn purpose(&self) -> For {
        if self.writable { For::Writing } else { For::Reading }
    }

    /// Its path; of one that was given open, once it is looked at, the one that it had then.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was asked for by a path, and is not the host's root itself.
    pub(crate) fn is_by_path(&self) -> bool {
        matches!(&self.from, Source::Path(path) if path != Path::new("/"))
    }

    /// After all: its mount is to be read-only.
    pub(crate) fn is_not_written(&mut self) {
        self.writable = false;
    }

    /// Whether the child makes the copy.
    pub(crate) fn is_childs(&self) -> bool {
        self.ids == Ids::Callers && !self.peer && !self.parents && self.mapped.is_none()
    }

    /// It, opened in `prepare`.
    pub(crate) fn opened(&self) -> Option<&Arc<OwnedFd>> {
        self.open.as_ref()
    }

    /// Opens it, and tells what it is.
    pub(crate) fn open(&mut self, preparation: &mut Preparation<'_>) -> std::result::Result<Statx, Errno> {
        let opened = match &self.from {
            // By descriptor from here on; a symlink in the path is followed once.
            Source::Path(path) => openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?,
            Source::Fd(fd) => {
                self.path = path_of(fd)?;
                fcntl_dupfd_cloexec(fd, preparation.ends.socket_above + 1)?
            }
        };
        let opened = preparation.lifted(opened)?;
        // What it is does not change, and the server of a file system may not answer.
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let found = statx(&opened, c"", flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
        let kind = FileType::from_raw_mode(found.stx_mode.into());
        if self.takes_mounts && self.writable && kind == FileType::Directory {
            self.lock = preparation.share_mount_points(&opened, &found)?;
        }
        self.open = Some(Arc::new(opened));
        Ok(found)
    }

    /// The same of what was come to by descriptors.
    pub(crate) fn set_open(
        &mut self,
        opened: OwnedFd,
        path: PathBuf,
        preparation: &Preparation<'_>,
    ) -> std::result::Result<(), Errno> {
        self.open = Some(Arc::new(preparation.lifted(opened)?));
        self.path = path;
        Ok(())
    }

    /// What the child needs of it.
    pub(crate) fn keeps(&self) -> impl Iterator<Item = Fd> {
        self.source().into_iter().chain(self.lock.iter().map(|lock| Fd(lock.as_raw_fd())))
    }

    /// What it is a copy of, if the child makes that.
    pub(crate) fn source(&self) -> Option<Fd> {
        let open = self.open.as_ref().filter(|_| self.is_childs())?;
        Some(Fd(open.as_raw_fd()))
    }

    fn hold(&self, program: &mut Program<'_>) {
        if let Some(lock) = &self.lock {
            program.hold_in_init(Fd(lock.as_raw_fd()));
        }
    }

    /// A copy of it, detached, in `slot`. What is mounted below one that the parent has made comes with [`Self::covers`].
    pub(crate) fn copy<'a>(&'a self, program: &mut Program<'a>, slot: Slot) {
        self.hold(program);
        if !self.is_childs() {
            return program.take_tree(
                slot,
                Wanted {
                    source: self.open.clone(),
                    recursive: self.recursive,
                    strict: self.writable,
                    mapped: self.mapped.clone(),
                    namespace: self.namespace.clone(),
                    plain: self.plain || (self.ids == Ids::Callers && self.mapped.is_none()),
                    peer: self.peer,
                    open_at: None,
                    path: self.path.clone(),
                    step: 0,
                },
            );
        }
        let source = program.text(&self.path);
        program.push(Op::CloneTree { source, recursive: self.recursive, into: slot });
        self.check(program, slot);
    }

    /// It itself, open, in `slot`: where it lies in the child's own copy of the caller's tree.
    pub(crate) fn open_in_child<'a>(&'a self, program: &mut Program<'a>, slot: Slot) {
        let directory = program.text(&self.path);
        program.push(Op::OpenHost { directory, into: slot });
        self.check(program, slot);
    }

    /// Fails unless what is in `slot` is what was opened.
    pub(crate) fn check(&self, program: &mut Program<'_>, slot: Slot) {
        let looked_at = self.open.as_ref().map_or(Fd::NONE, |open| Fd(open.as_raw_fd()));
        program.push(Op::SameAs { found: slot, looked_at });
    }

    /// What is mounted below it, once the copy in `slot` is attached.
    pub(crate) fn covers(&self, program: &mut Program<'_>, slot: Slot) {
        if !self.is_childs() && self.recursive {
            program.push(Op::TakeCovers { root: slot });
        }
    }

    /// How the printed plan says it.
    pub(crate) fn describe(&self) -> String {
        let how = match self.ids {
            Ids::Callers => "",
            Ids::Containers if self.plain => ", to be copied under nobody's ids",
            Ids::Containers if self.writable => ", to be copied under the container's ids",
            Ids::Containers => ", to be copied under the container's ids where its file system can do that",
        };
        format!("open {}{how}", self.path.display())
    }
}

/// The path that an open descriptor's file has now.
pub(crate) fn path_of(fd: &OwnedFd) -> std::result::Result<PathBuf, Errno> {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|error| {
        match Errno::from_io_error(&error) {
            // It is not open.
            None | Some(Errno::NOENT) => Errno::BADF,
            Some(errno) => errno,
        }
    })
}

/// Opens a directory.
pub(crate) fn directory(
    show: &mut Show,
    step: &'static str,
    about: impl Fn(&Path) -> String,
    preparation: &mut Preparation<'_>,
) -> Result<Statx> {
    let opened = show.open(preparation);
    let failed = |errno: Errno| {
        Error::parent(step, about(show.path()), errno)
            .call("openat")
            .path_of(show.path())
            .hint_if(crate::hint::directory(errno))
    };
    let found = opened.map_err(failed)?;
    match rustix::fs::FileType::from_raw_mode(found.stx_mode.into()) {
        rustix::fs::FileType::Directory => Ok(found),
        _ => Err(failed(Errno::NOTDIR)),
    }
}

/// Fails if a symlink leads to it that is not the system's.
pub(crate) fn is_where_it_says(step: &'static str, path: &Path, opened: Option<&OwnedFd>, purpose: For) -> Result<()> {
    let Some(real) = opened.and_then(|opened| path_of(opened).ok()) else { return Ok(()) };
    if real == path || seclude_links::follow(path, purpose).is_ok_and(|place| place.path == real) {
        return Ok(());
    }
    let (path, real) = (path.display(), real.display());
    let action = format!("{path} leads to {real} by a symlink, which whoever can write there has chosen");
    Err(Error::invalid(step, action).hint("name where it leads to, if that is meant"))
}
