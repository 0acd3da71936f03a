//! What was written to layers in memory, counted before it goes with them.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2};
use rustix::io::Errno;
use serde::Serialize;

/// The name of an upper layer, in the directory of its overlay.
pub(crate) const EPHEMERAL_UPPER: &str = "-u";

/// Entries that are looked at: who has written more is told that it was more.
const MOST: u64 = 100_000;
/// Directories in directories, each of which is open.
const DEEPEST: usize = 64;

/// What a container has written, and nobody has any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Discarded {
    /// Files that were made, changed or removed. Directories are not counted.
    pub files: u64,
    /// There were more of them, or some in directories that could not be read.
    pub more: bool,
}

/// Where those of a container are.
#[derive(Debug)]
pub(crate) struct Layers {
    directory: OwnedFd,
    /// The root, where it is one of directories in memory that layers lie on.
    root: Option<Root>,
    /// Files that set-up itself has made there, to mount on.
    own: u64,
}

/// Of it.
#[derive(Debug)]
struct Root {
    directory: OwnedFd,
    /// Directories that nobody expects to stay, such as /tmp.
    passed: BTreeSet<(u64, u64)>,
}

impl Layers {
    /// Before the command runs.
    pub(crate) fn new(directory: OwnedFd) -> Layers {
        let own = count(&directory, None).files;
        Layers { directory, root: None, own }
    }

    /// The same with a root that itself is in memory, but for what is a directory of the container's own there.
    pub(crate) fn below(self, root: OwnedFd, own: &[PathBuf]) -> Layers {
        // Each has a mount of itself on it, which is gone by the end.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let at = |path: &Path| openat2(&root, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
        let own = own.iter().filter_map(|path| at(path.strip_prefix("/").ok()?).ok());
        let passed = own.filter_map(|directory| Some(identity(&fstat(directory).ok()?))).collect();
        let root = Some(Root { directory: root, passed });
        let own = count(&self.directory, root.as_ref()).files;
        Layers { root, own, ..self }
    }

    /// When all that could write has ended.
    pub(crate) fn count(self) -> Discarded {
        let all = count(&self.directory, self.root.as_ref());
        Discarded { files: all.files.saturating_sub(self.own), ..all }
    }
}

fn count(scratch: &OwnedFd, root: Option<&Root>) -> Discarded {
    let mut found = Discarded::default();
    let mut left = MOST;
    let Some(all) = read(scratch) else { return Discarded { more: true, ..found } };
    for entry in all.flatten() {
        let Ok(layer) = open(scratch, entry.file_name()) else { continue };
        let Ok(upper) = open(&layer, EPHEMERAL_UPPER) else { continue };
        count_below(&upper, &BTreeSet::new(), DEEPEST, &mut left, &mut found);
    }
    if let Some(root) = root {
        count_below(&root.directory, &root.passed, DEEPEST, &mut left, &mut found);
    }
    found
}

fn count_below(
    directory: &OwnedFd,
    passed: &BTreeSet<(u64, u64)>,
    depth: usize,
    left: &mut u64,
    found: &mut Discarded,
) {
    if !passed.is_empty() && fstat(directory).is_ok_and(|stat| passed.contains(&identity(&stat))) {
        return;
    }
    let Some(entries) = read(directory).filter(|_| depth > 0) else {
        found.more = true;
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if *left == 0 {
            found.more = true;
            return;
        }
        *left -= 1;
        match entry.file_type() {
            FileType::Directory => match open(directory, name) {
                Ok(below) => count_below(&below, passed, depth - 1, left, found),
                // Another file system: a layer, which is counted by itself, or what goes with the container in any case.
                Err(Errno::XDEV) => {}
                Err(_) => found.more = true,
            },
            _ => found.files += 1,
        }
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Whatever the container has there: no symlink is followed, and no mount is entered.
fn open(directory: &OwnedFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(directory, name, flags, Mode::empty(), ResolveFlags::NO_XDEV)
}

fn read(directory: &OwnedFd) -> Option<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Dir::new(openat(directory, c".", flags, Mode::empty()).ok()?).ok()
}
