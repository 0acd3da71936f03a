//! Where mounts come from among the mounts of one configuration.

use std::path::{Path, PathBuf};

/// Mounts of the same configuration, by their targets in the root: whoever names what lies below one of them means what that has brought
/// there.
#[derive(Default)]
pub(super) struct Brought(Vec<(PathBuf, From)>);

/// What a mount shows.
pub(super) enum From {
    /// This of the host: a bind.
    Host(PathBuf),
    /// What lay there before, as a file system of its own.
    Copied,
    Nothing,
}

impl Brought {
    pub(super) fn add(&mut self, target: &str, from: From) {
        self.0.push((target.into(), from));
    }

    /// Where the source of a bind really is: a path below the image that an earlier bind lies over is one below that bind's own source.
    /// `Err`: what lies over it is no bind, and is nowhere on the host.
    pub(super) fn find(&self, rootfs: &Path, source: PathBuf) -> Result<PathBuf, PathBuf> {
        let Ok(inside) = source.strip_prefix(rootfs).map(|inside| Path::new("/").join(inside)) else {
            return Ok(source);
        };
        match self.over(&inside).next() {
            None => Ok(source),
            Some((_, From::Host(from), rest)) if rest.as_os_str().is_empty() => Ok(from.to_owned()),
            Some((_, From::Host(from), rest)) => Ok(from.join(rest)),
            Some((target, From::Copied | From::Nothing, _)) => Err(target.to_owned()),
        }
    }

    /// What is at a place in the root, as the host has it: a root, and a path in that; empty, the root itself, which may be a file. `None`: nothing, as a
    /// file system that is new lies over it.
    pub(super) fn at(&self, rootfs: &Path, place: &str) -> Option<(PathBuf, PathBuf)> {
        let inside = Path::new("/").join(place);
        match self.over(&inside).find(|(_, from, _)| !matches!(from, From::Copied)) {
            None => Some((rootfs.to_owned(), inside.clone())),
            Some((_, From::Host(from), rest)) => Some((from.to_owned(), rest.to_owned())),
            Some(_) => None,
        }
    }

    /// The mounts that lie over it, the last first, and where it is below each.
    fn over<'a>(&'a self, inside: &'a Path) -> impl Iterator<Item = (&'a Path, &'a From, &'a Path)> {
        self.0.iter().rev().filter(|(target, _)| target != Path::new("/")).filter_map(|(target, from)| {
            let rest = inside.strip_prefix(target).ok()?;
            Some((target.as_path(), from, rest))
        })
    }
}
