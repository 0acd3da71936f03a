//! What was written to layers in memory, counted before it goes with them.

use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType, Mode, OFlags, openat};
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
    /// Files that set-up itself has made there, to mount on.
    own: u64,
}

impl Layers {
    /// Before the command runs.
    pub(crate) fn new(directory: OwnedFd) -> Layers {
        let own = count(&directory).files;
        Layers { directory, own }
    }

    /// When all that could write has ended.
    pub(crate) fn count(self) -> Discarded {
        let all = count(&self.directory);
        Discarded { files: all.files.saturating_sub(self.own), ..all }
    }
}

fn count(scratch: &OwnedFd) -> Discarded {
    let mut found = Discarded::default();
    let mut left = MOST;
    let Some(all) = read(scratch) else { return Discarded { more: true, ..found } };
    for entry in all.flatten() {
        let Ok(layer) = open(scratch, entry.file_name()) else { continue };
        let Ok(upper) = open(&layer, EPHEMERAL_UPPER) else { continue };
        count_below(&upper, DEEPEST, &mut left, &mut found);
    }
    found
}

fn count_below(directory: &OwnedFd, depth: usize, left: &mut u64, found: &mut Discarded) {
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
                Ok(below) => count_below(&below, depth - 1, left, found),
                Err(_) => found.more = true,
            },
            _ => found.files += 1,
        }
    }
}

/// Whatever the container has there: no symlink is followed.
fn open(directory: &OwnedFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    openat(directory, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn read(directory: &OwnedFd) -> Option<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Dir::new(openat(directory, c".", flags, Mode::empty()).ok()?).ok()
}
