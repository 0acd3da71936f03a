//! Where mounts come from among the mounts of one configuration.

use std::path::{Path, PathBuf};

/// Binds of the same configuration, by their targets in the root: whoever binds what lies below one of them in the image means what that has
/// brought there.
#[derive(Default)]
pub(super) struct Brought(Vec<(PathBuf, Option<PathBuf>)>);

impl Brought {
    /// `source`: of a bind.
    pub(super) fn add(&mut self, target: &str, source: Option<PathBuf>) {
        self.0.push((target.into(), source));
    }

    /// Where the source of a bind really is: a path below the image that an earlier bind lies over is one below that bind's own source.
    /// `Err`: what lies over it is no bind, and is nowhere on the host.
    pub(super) fn find(&self, rootfs: &Path, source: PathBuf) -> Result<PathBuf, PathBuf> {
        let Ok(inside) = source.strip_prefix(rootfs).map(|inside| Path::new("/").join(inside)) else {
            return Ok(source);
        };
        match self.over(&inside) {
            None => Ok(source),
            Some((_, Some((from, rest)))) if rest.as_os_str().is_empty() => Ok(from.to_owned()),
            Some((_, Some((from, rest)))) => Ok(from.join(rest)),
            Some((target, None)) => Err(target.to_owned()),
        }
    }

    /// What on the host is at a place in the root, as a root and a path in that. `None`: nothing, as a file system that is new lies over it.
    pub(super) fn at(&self, rootfs: &Path, place: &str) -> Option<(PathBuf, PathBuf)> {
        let inside = Path::new("/").join(place);
        match self.over(&inside) {
            None => Some((rootfs.to_owned(), inside)),
            Some((_, brought)) => brought.map(|(from, rest)| (from.to_owned(), Path::new("/").join(rest))),
        }
    }

    /// The last mount that lies over it, and of a bind the source, and where it is below that.
    fn over<'a>(&'a self, inside: &'a Path) -> Option<(&'a Path, Option<(&'a Path, &'a Path)>)> {
        self.0.iter().rev().filter(|(target, _)| target != Path::new("/")).find_map(|(target, from)| {
            let rest = inside.strip_prefix(target).ok()?;
            Some((target.as_path(), from.as_deref().map(|from| (from, rest))))
        })
    }
}
