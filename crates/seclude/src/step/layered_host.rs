//! The host's whole tree with ephemeral writes over it.
//!
//! No overlay can have a tree with mounts below it as its lower: they would be missing, and in a user namespace, where
//! they are locked, the kernel refuses. So the root is a tmpfs, and each directory of `/` that has no mounts below it
//! is an overlay of its own; one that has some is a plain directory whose entries are treated likewise.

use std::fs::{DirEntry, Metadata, read_dir, read_link};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use seclude_child::op::{Create, Links, Want};
use seclude_child::{Op, Slot};
use seclude_sys::Fd;
use seclude_sys::mount::MOUNT_ATTR_RDONLY;

use super::Preparation;
use super::mount::overlay::{OverlayMount, Way};
use super::root::NAME;
use super::show::Show;
use crate::config::root::Overlay;
use crate::error::{Error, Result};
use crate::mounts::Mounts;
use crate::program::Program;

/// More would be a tree with mounts in a large directory, such as a store of container layers.
const MOST_PARTS: usize = 2000;

pub(super) struct LayeredHost {
    way: Way,
    parts: Vec<Part>,
}

struct Part {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Link(PathBuf),
    /// A directory with mounts below it: its permissions.
    Directory(u32),
    Overlay(Box<OverlayMount>),
    /// What cannot have an overlay over it: read-only, with what is mounted below.
    Bind(Show),
}

impl LayeredHost {
    pub(super) fn new(way: Way) -> LayeredHost {
        LayeredHost { way, parts: Vec::new() }
    }

    pub(super) fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let mounts = Mounts::read(NAME)?;
        self.scan(Path::new("/"), &mounts)?;
        for part in &mut self.parts {
            match &mut part.kind {
                Kind::Overlay(overlay) => overlay.prepare(NAME, preparation)?,
                Kind::Bind(show) => {
                    show.open(preparation).map_err(|errno| unread(&part.path, errno.into()))?;
                }
                Kind::Link(_) | Kind::Directory(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn keeps(&self) -> Vec<Fd> {
        let kept = self.parts.iter().flat_map(|part| match &part.kind {
            Kind::Overlay(overlay) => overlay.keeps(),
            Kind::Bind(show) => show.keeps().collect(),
            Kind::Link(_) | Kind::Directory(_) => Vec::new(),
        });
        kept.collect()
    }

    fn scan(&mut self, directory: &Path, mounts: &Mounts) -> Result<()> {
        let failed = |error| unread(directory, error);
        let mut entries: Vec<DirEntry> =
            read_dir(directory).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            match entry.metadata() {
                Ok(metadata) => self.add(path, &metadata, mounts)?,
                // What vanishes meanwhile was not there.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // Another user's FUSE, or a server that is gone, would not answer inside either.
                Err(_) if mounts.is_point(&path) => {}
                Err(error) => return Err(unread(&path, error)),
            }
            if self.parts.len() > MOST_PARTS {
                let action = format!("{} has mounts below it and too many entries for an overlay", directory.display());
                return Err(Error::invalid(NAME, action).hint("overlay the directories that are to be written instead"));
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, metadata: &Metadata, mounts: &Mounts) -> Result<()> {
        let mode = metadata.mode() & 0o7777;
        let mut recurse = false;
        let bind = || Kind::Bind(Show::new(&path, true, false, self.way.ids));
        let kind = if metadata.is_symlink() {
            match read_link(&path) {
                Ok(target) => Kind::Link(target),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(unread(&path, error)),
            }
        } else if !metadata.is_dir() || mounts.is_view(&path) {
            bind()
        } else if mounts.any_below(&path) {
            // An unreadable one keeps its secrets, and its mounts.
            let searched = read_dir(&path).and_then(|_| path.join(".").metadata());
            recurse = !searched.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
            if recurse { Kind::Directory(mode) } else { bind() }
        } else {
            let overlay = Overlay::new([&path]).ephemeral();
            let overlay = OverlayMount::compile(NAME, &overlay, self.way, &path.display().to_string())?;
            Kind::Overlay(Box::new(overlay))
        };
        self.parts.push(Part { path: path.clone(), kind });
        if recurse { self.scan(&path, mounts) } else { Ok(()) }
    }

    /// The tmpfs that becomes the root, in [`Slot::ROOT`].
    pub(super) fn make_root(&self, program: &mut Program<'_>) {
        program.push(Op::FsOpen { kind: c"tmpfs", into: Slot::ROOT });
        program.push(Op::FsString { fs: Slot::ROOT, key: c"mode", value: c"755" });
        program.push(Op::FsMount { fs: Slot::ROOT, attributes: 0 });
    }

    /// The parts, once the root and the scratch tmpfs are attached.
    pub(super) fn make_parts<'a>(&'a self, program: &mut Program<'a>) {
        for part in &self.parts {
            let place = program.place(&part.path);
            let resolve = |want, mode| Op::Resolve {
                base: Slot::ROOT,
                place,
                want,
                create: Some(Create { mode, told: false }),
                links: Links::Refused,
                into: Slot::PLACE,
            };
            match &part.kind {
                Kind::Link(target) => {
                    program.about_owned(format!("symlink {}", part.path.display()));
                    let parent = part.path.parent().unwrap_or(Path::new("/"));
                    let (parent, target) = (program.place(parent), program.text(target));
                    let (base, into, want) = (Slot::ROOT, Slot::PLACE, Want::Directory);
                    program.push(Op::Resolve { base, place: parent, want, create: None, links: Links::Refused, into });
                    program.push(Op::MakeSymlink { base: Slot::PLACE, name: place.name, target });
                }
                Kind::Directory(mode) => {
                    program.about_owned(format!("directory {}, which has mounts below it", part.path.display()));
                    program.push(resolve(Want::Directory, *mode));
                }
                Kind::Overlay(overlay) => {
                    overlay.make(program, Slot::TREE, 0);
                    program.push(resolve(Want::Directory, 0o755));
                    program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
                }
                Kind::Bind(show) => {
                    program.about_owned(format!("bind {}, read-only", part.path.display()));
                    let (set, recursive) = (MOUNT_ATTR_RDONLY, true);
                    show.copy(program, Slot::TREE);
                    program.push(resolve(Want::Like(Slot::TREE), 0o755));
                    program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
                    show.covers(program, Slot::TREE);
                    program.push(Op::SetAttributes { mount: Slot::TREE, set, recursive });
                }
            }
        }
    }
}

fn unread(path: &Path, error: std::io::Error) -> Error {
    Error::parent(NAME, format!("read {}", path.display()), error).path_of(path)
}
