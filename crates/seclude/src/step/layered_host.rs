//! The host's whole tree with ephemeral writes over it.
//!
//! No overlay can have a tree with mounts below it as its lower: they would be missing, and in a user namespace, where
//! they are locked, the kernel refuses. So the root is a tmpfs, and each directory of `/` that has no mounts below it
//! is an overlay of its own; one that has some is a plain directory whose entries are treated likewise.
//!
//! The host goes on meanwhile: what is removed or replaced between the look and the copy is left out, and told. What the kernel
//! takes for no layer is shown read-only, and told; if that is all of it, the start fails.

use std::fs::{DirEntry, Metadata, read_dir, read_link};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use seclude_child::op::{Create, Links, Want};
use seclude_child::{Op, Slot};
use seclude_sys::Fd;
use seclude_sys::mount::MOUNT_ATTR_RDONLY;

use super::Preparation;
use super::mount::overlay::{OverlayMount, Way, overlay_of_its_own};
use super::mount::tmpfs;
use super::root::NAME;
use super::show::Show;
use crate::advice::Hint;
use crate::config::root::Overlay;
use crate::error::{Error, Result};
use crate::mounts::Mounts;
use crate::places::{Places, has_its_owners};
use crate::program::Program;

/// More would be a tree with mounts in a large directory, such as a store of container layers.
const MOST_PARTS: usize = 2000;

pub(super) struct LayeredHost {
    way: Way,
    /// Of the sandbox: of the host's tree these parts alone.
    wanted: Option<Vec<PathBuf>>,
    /// The most bytes of the root itself.
    bound: Option<u64>,
    parts: Vec<Part>,
}

/// Whether the container has a path of the host.
enum Wanted {
    Yes,
    /// Something below it.
    Below,
    No,
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
    pub(super) fn new(way: Way, places: Option<&Places>, bound: Option<u64>) -> LayeredHost {
        let wanted = places.map(|places| places.parts.iter().map(|part| part.path.clone()).collect());
        LayeredHost { way, wanted, bound, parts: Vec::new() }
    }

    pub(super) fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let mounts = Mounts::read(NAME)?;
        self.scan(Path::new("/"), &mounts)?;
        let mut there = Vec::with_capacity(self.parts.len());
        for mut part in std::mem::take(&mut self.parts) {
            let prepared = match &mut part.kind {
                // Its layers are ours, not the request's.
                Kind::Overlay(overlay) => {
                    overlay.prepare(NAME, preparation).map_err(|error| error.at("root.ephemeral"))
                }
                Kind::Bind(show) => match show.open(preparation) {
                    Ok(_) => Ok(()),
                    Err(errno) => Err(unread(&part.path, errno.into())),
                },
                Kind::Link(_) | Kind::Directory(_) => Ok(()),
            };
            match prepared {
                Ok(()) => there.push(part),
                Err(_) if matches!(part.path.symlink_metadata(), Err(error) if error.kind() == ErrorKind::NotFound) => {
                    preparation.report.left_out.push(part.path);
                }
                Err(error) => return Err(error),
            }
        }
        self.parts = there;
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

    /// The path of part number `number`.
    pub(super) fn part(&self, number: u16) -> Option<&Path> {
        self.parts.get(usize::from(number)).map(|part| part.path.as_path())
    }

    fn scan(&mut self, directory: &Path, mounts: &Mounts) -> Result<()> {
        let failed = |error| unread(directory, error);
        let mut entries: Vec<DirEntry> =
            read_dir(directory).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            match self.is_wanted(&path) {
                Wanted::No => continue,
                Wanted::Below => {
                    self.parts.push(Part { path: path.clone(), kind: Kind::Directory(0o755) });
                    self.scan(&path, mounts)?;
                    continue;
                }
                Wanted::Yes => {}
            }
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
                let hint = Hint::from("overlay the directories that are to be written instead");
                let error = Error::invalid(NAME, action).at("root.ephemeral");
                return Err(error.hint(hint.with([overlay_of_its_own()])));
            }
        }
        Ok(())
    }

    fn is_wanted(&self, path: &Path) -> Wanted {
        let Some(wanted) = &self.wanted else { return Wanted::Yes };
        if wanted.iter().any(|wanted| path.starts_with(wanted)) {
            Wanted::Yes
        } else if wanted.iter().any(|wanted| wanted.starts_with(path)) {
            Wanted::Below
        } else {
            Wanted::No
        }
    }

    fn add(&mut self, path: PathBuf, metadata: &Metadata, mounts: &Mounts) -> Result<()> {
        let mode = metadata.mode() & 0o7777;
        let mut recurse = false;
        let mut way = self.way;
        way.plain = self.wanted.is_some() && !has_its_owners(&path);
        let bind = || Kind::Bind(Show::new(&path, true, false, way.ids).plain(way.plain));
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
            let overlay = OverlayMount::compile(NAME, &overlay, way, &path.display().to_string())
                .map_err(|error| error.at("root.ephemeral"))?;
            Kind::Overlay(Box::new(overlay))
        };
        let is_whole = !recurse && matches!(kind, Kind::Overlay(_));
        self.parts.push(Part { path: path.clone(), kind });
        // What lies in a part, and is shown in another way.
        let wanted =
            self.wanted.iter().flatten().filter(|wanted| is_whole && **wanted != path && wanted.starts_with(&path));
        for within in wanted.cloned().collect::<Vec<PathBuf>>() {
            if let Ok(metadata) = within.symlink_metadata() {
                self.add(within, &metadata, mounts)?;
            }
        }
        if recurse { self.scan(&path, mounts) } else { Ok(()) }
    }

    /// The tmpfs that becomes the root, in [`Slot::ROOT`].
    pub(super) fn make_root(&self, program: &mut Program<'_>) {
        program.push(Op::FsOpen { kind: c"tmpfs", into: Slot::ROOT });
        program.push(Op::FsString { fs: Slot::ROOT, key: c"mode", value: c"755" });
        if let Some(bytes) = self.bound {
            tmpfs::bound(program, Slot::ROOT, bytes);
        }
        program.push(Op::FsMount { fs: Slot::ROOT, attributes: 0 });
    }

    /// The parts, once the root and the scratch tmpfs are attached.
    pub(super) fn make_parts<'a>(&'a self, program: &mut Program<'a>) {
        for (part, number) in self.parts.iter().zip(0..) {
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
                    program.push(Op::MakeSymlink {
                        base: Slot::PLACE,
                        name: place.name,
                        target,
                        keep: false,
                        told: None,
                    });
                }
                Kind::Directory(mode) => {
                    program.about_owned(format!("directory {}, which has mounts below it", part.path.display()));
                    program.push(resolve(Want::Directory, *mode));
                }
                Kind::Overlay(overlay) => {
                    program.push(Op::Part { number });
                    overlay.make_part(program, Slot::TREE, 0, Some(number));
                    program.push(resolve(Want::Directory, 0o755));
                    program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
                    program.push(Op::EndPart);
                }
                Kind::Bind(show) => {
                    program.about_owned(format!("bind {}, read-only", part.path.display()));
                    let (set, recursive) = (MOUNT_ATTR_RDONLY, true);
                    program.push(Op::Part { number });
                    show.copy(program, Slot::TREE);
                    program.push(resolve(Want::Like(Slot::TREE), 0o755));
                    program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
                    show.covers(program, Slot::TREE);
                    program.push(Op::SetAttributes { mount: Slot::TREE, set, recursive });
                    program.push(Op::EndPart);
                }
            }
        }
        // A read-only tree is not what was asked for.
        if self.parts.iter().any(|part| matches!(part.kind, Kind::Overlay(_))) {
            program.about("ephemeral writes over the host's tree");
            program.push(Op::CheckParts);
        }
    }
}

fn unread(path: &Path, error: std::io::Error) -> Error {
    Error::parent(NAME, format!("read {}", path.display()), error).path_of(path)
}
