//! The host's whole tree with ephemeral writes over it.
//!
//! No overlay can have a tree with mounts below it as its lower: they would be missing, and in a user namespace, where
//! they are locked, the kernel refuses. So the root is a tmpfs, and each directory of `/` that has no mounts below it
//! is an overlay of its own; one that has some is a plain directory whose entries are treated likewise.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{DirEntry, Metadata, read_dir, read_link, read_to_string};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use seclude_child::op::Want;
use seclude_child::{Op, Slot};
use seclude_sys::mount::MOUNT_ATTR_RDONLY;

use super::mount::overlay::OverlayMount;
use super::root::NAME;
use crate::config::root::Overlay;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::program::Program;

/// More would be a tree with mounts in a large directory, such as a store of container layers.
const MOST_PARTS: usize = 2000;

/// File systems that are views of the kernel: nothing in them can be copied up.
const VIEWS: [&str; 19] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
];

pub(super) struct LayeredHost {
    new_user: bool,
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
    Overlay(OverlayMount),
    /// What cannot have an overlay over it: read-only, with what is mounted below.
    Bind,
}

impl LayeredHost {
    pub(super) fn new(new_user: bool) -> LayeredHost {
        LayeredHost { new_user, parts: Vec::new() }
    }

    pub(super) fn prepare(&mut self, ledger: &mut Ledger) -> Result<()> {
        let mounts = read_to_string("/proc/self/mountinfo")
            .map_err(|error| Error::parent(NAME, "read /proc/self/mountinfo", error).path_of("/proc/self/mountinfo"))?;
        let mounts = Mounts::parse(&mounts);
        self.scan(Path::new("/"), &mounts)?;
        for part in &mut self.parts {
            if let Kind::Overlay(overlay) = &mut part.kind {
                overlay.prepare(NAME, ledger)?;
            }
        }
        Ok(())
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
                Err(_) if mounts.points.contains(&path) => {}
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
        let kind = if metadata.is_symlink() {
            match read_link(&path) {
                Ok(target) => Kind::Link(target),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(unread(&path, error)),
            }
        } else if !metadata.is_dir() || mounts.views.contains(&path) {
            Kind::Bind
        } else if mounts.any_below(&path) {
            // An unreadable one keeps its secrets, and its mounts.
            let searched = read_dir(&path).and_then(|_| path.join(".").metadata());
            recurse = !searched.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
            if recurse { Kind::Directory(mode) } else { Kind::Bind }
        } else {
            let overlay = Overlay::new([&path]).ephemeral();
            Kind::Overlay(OverlayMount::compile(NAME, &overlay, self.new_user, &path.display().to_string())?)
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
                create: Some(mode),
                symlinks: false,
                into: Slot::PLACE,
            };
            match &part.kind {
                Kind::Link(target) => {
                    program.about_owned(format!("symlink {}", part.path.display()));
                    let parent = part.path.parent().unwrap_or(Path::new("/"));
                    let (parent, target) = (program.place(parent), program.text(target));
                    let (base, into, want) = (Slot::ROOT, Slot::PLACE, Want::Directory);
                    program.push(Op::Resolve { base, place: parent, want, create: None, symlinks: false, into });
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
                Kind::Bind => {
                    program.about_owned(format!("bind {}, read-only", part.path.display()));
                    let source = program.text(&part.path);
                    let (set, recursive) = (MOUNT_ATTR_RDONLY, true);
                    program.push(Op::CloneTree { source, recursive, into: Slot::TREE });
                    program.push(resolve(Want::Like(Slot::TREE), 0o755));
                    program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
                    program.push(Op::SetAttributes { mount: Slot::TREE, set, recursive });
                }
            }
        }
    }
}

fn unread(path: &Path, error: std::io::Error) -> Error {
    Error::parent(NAME, format!("read {}", path.display()), error).path_of(path)
}

/// What is mounted where, proc_pid_mountinfo(5).
struct Mounts {
    points: BTreeSet<PathBuf>,
    views: BTreeSet<PathBuf>,
}

impl Mounts {
    fn parse(mountinfo: &str) -> Mounts {
        let mut mounts = Mounts { points: BTreeSet::new(), views: BTreeSet::new() };
        for line in mountinfo.lines() {
            let (front, back) = line.split_once(" - ").unwrap_or((line, ""));
            let Some(point) = front.split(' ').nth(4).map(unescape) else { continue };
            let kind = back.split(' ').next().unwrap_or_default();
            // The last one mounted on a point is the one that is seen.
            if VIEWS.contains(&kind) {
                mounts.views.insert(point.clone())
            } else {
                mounts.views.remove(&point)
            };
            mounts.points.insert(point);
        }
        mounts
    }

    fn any_below(&self, path: &Path) -> bool {
        self.points.range(path.to_path_buf()..).take_while(|point| point.starts_with(path)).any(|point| point != path)
    }
}

/// Space, tab, newline and backslash are octal there.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, octal.and_then(|digits| u8::from_str_radix(digits, 8).ok())) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn mount_points_are_unescaped_and_found_below_their_directories_only() {
        let mounts = Mounts::parse(
            "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /var/lib/a\\040b rw shared:1 - tmpfs t rw\n\
             3 1 0:6 / /proc rw - proc p rw\n4 1 8:2 / /varnish rw - ext4 /dev/b rw",
        );
        assert!(mounts.any_below(Path::new("/var")));
        assert!(mounts.points.contains(Path::new("/var/lib/a b")));
        assert!(!mounts.any_below(Path::new("/varnish")));
        assert!(!mounts.any_below(Path::new("/usr")));
        assert!(mounts.views.contains(Path::new("/proc")));
        assert_eq!(unescape(r"a\134b").as_os_str().as_bytes(), br"a\b");
    }
}
