//! The parent cgroup: opened or made, level by level, and taken away again if it was made here.

use std::path::{Component, Path};

use rustix::fs::fstat;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::sweep::hold;
use crate::v1::inherit_cpuset;
use crate::v2::{hand_down, hands_down};
use crate::{Controller, Error, Hierarchy, Limit, Version, freeze};

/// Marks a parent as made here, whichever of seclude's cgroups goes last, of whatever process, takes it along: the sticky
/// bit, which means nothing for the kernel's use of the directory and is there from its first moment. An attribute would
/// come too late if its maker were killed meanwhile.
pub(crate) const MADE: u32 = 0o1000;

/// Somebody else's last cgroup may take the parent along at any moment; then it is made again.
const ATTEMPTS: usize = 100;

/// Whether a path can be a parent.
pub(crate) fn check(parent: &Path) -> Result<(), Error> {
    let bad = |reason| Err(Error::BadParent { path: parent.to_path_buf(), reason });
    if !parent.is_absolute() {
        return bad("it is not absolute");
    }
    if parent.components().skip(1).any(|c| !matches!(c, Component::Normal(_))) {
        return bad("it has a `..`");
    }
    Ok(())
}

/// Does it again as long as something on the way went away meanwhile.
pub(crate) fn retrying<T>(once: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        match once() {
            Err(error) if error.is_gone() && attempt < ATTEMPTS => attempt += 1,
            other => return other,
        }
    }
}

/// Makes the cgroup `name` in the parent, and everything above that is missing; if it fails that is for [`release`].
pub(crate) fn make(
    hierarchy: &Hierarchy,
    parent: &Path,
    name: &Path,
    needed: &[(Controller, Option<Limit>)],
) -> Result<Dir, Error> {
    retrying(|| open_ready(hierarchy, parent, needed).and_then(|dir| make_leaf(hierarchy, &dir, name)))
}

/// Opens the parent and makes it ready to have children. What it hands down already, those above it do too, so nearly
/// always one look is enough.
fn open_ready(hierarchy: &Hierarchy, parent: &Path, needed: &[(Controller, Option<Limit>)]) -> Result<Dir, Error> {
    if hierarchy.version() == Version::V2 {
        match open_existing(hierarchy, parent) {
            Ok(dir) if hands_down(&dir, needed)? => return Ok(dir),
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    open(hierarchy, parent, needed)
}

/// Opens the parent from the mount downwards, making what is missing.
fn open(hierarchy: &Hierarchy, parent: &Path, needed: &[(Controller, Option<Limit>)]) -> Result<Dir, Error> {
    let mut dir = Dir::open_mount(hierarchy)?;
    for component in below(hierarchy, parent)?.components() {
        if hierarchy.version() == Version::V2 {
            hand_down(&dir, needed)?;
        }
        let above = dir;
        dir = open_or_make(&above, component.as_ref())?;
        if hierarchy.serves_v1_cpuset() {
            inherit_cpuset(&above, &dir)?;
        }
    }
    if hierarchy.version() == Version::V2 {
        // What it handed down would stay so, for a start that cannot be.
        is_running(&dir, parent)?;
        hand_down(&dir, needed)?;
    }
    Ok(dir)
}

/// Whether a process below it would run.
pub(crate) fn is_running(dir: &Dir, parent: &Path) -> Result<(), Error> {
    if freeze::is_frozen(dir)? {
        let reason = "it is frozen: a process below it would never start";
        return Err(Error::CannotBeJoined { path: parent.to_owned(), reason });
    }
    Ok(())
}

/// The path below the mount.
pub(crate) fn below<'a>(hierarchy: &Hierarchy, path: &'a Path) -> Result<&'a Path, Error> {
    hierarchy.below_root(path).ok_or_else(|| Error::NotVisible {
        path: path.to_path_buf(),
        mount_point: hierarchy.mount_point().to_path_buf(),
        root: hierarchy.root().to_path_buf(),
    })
}

/// Opens a cgroup that is there.
pub(crate) fn open_existing(hierarchy: &Hierarchy, path: &Path) -> Result<Dir, Error> {
    let mut names = below(hierarchy, path)?.components();
    names.try_fold(Dir::open_mount(hierarchy)?, |dir, name| dir.open_child(name.as_ref()))
}

/// The same of one that its container may have closed: its root can be the caller, who has made it.
pub(crate) fn open_closed(hierarchy: &Hierarchy, path: &Path) -> Result<Dir, Error> {
    match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) => open_existing(hierarchy, above)?.open_closed_child(Path::new(name)),
        _ => open_existing(hierarchy, path),
    }
}

fn open_or_make(above: &Dir, name: &Path) -> Result<Dir, Error> {
    match above.open_child(name) {
        Err(error) if error.is_not_found() => {
            // Nobody else has any business in it: whoever can open a directory can also lock it.
            above.make_child_with(name, 0o700 | MADE)?;
            above.open_child(name)
        }
        other => other,
    }
}

fn make_leaf(hierarchy: &Hierarchy, parent: &Dir, name: &Path) -> Result<Dir, Error> {
    if !parent.make_child_with(name, 0o700)? {
        return Err(Error::Exists { path: parent.path().join(name) });
    }
    let ready = parent.open_child(name).and_then(|dir| {
        hold(&dir)?;
        // Known now, it is an error of the request's own; clone3 and cgroup.procs would only say EOPNOTSUPP.
        if hierarchy.version() == Version::V2 && dir.read("cgroup.type")?.trim() == "domain invalid" {
            return Err(Error::Threaded { path: parent.path().to_path_buf() });
        }
        if hierarchy.serves_v1_cpuset() {
            inherit_cpuset(parent, &dir)?;
        }
        Ok(dir)
    });
    ready.map_err(|error| match parent.remove_child(name) {
        Ok(()) => error,
        Err(errno) => {
            let left = vec![parent.path().join(name)];
            Error::NotUndone {
                error: Box::new(error),
                undo: Box::new(Error::NotRemoved { left, source: errno.into() }),
            }
        }
    })
}

/// Removes the parent, and those above it, as long as they are marked as made and nothing is in them any more. Failure
/// is no error: others may use it.
pub(crate) fn release(hierarchy: &Hierarchy, parent: &Path) {
    let (Ok(mut dir), Some(below)) = (Dir::open_mount(hierarchy), hierarchy.below_root(parent)) else { return };
    let mut depth = 0;
    for name in below.components() {
        // It and all below may be gone already.
        let Ok(child) = dir.open_child(name.as_ref()) else { break };
        dir = child;
        depth += 1;
    }
    release_opened(dir, depth);
}

/// The same of one that is open, so many levels below the mount.
pub(crate) fn release_opened(mut dir: Dir, depth: usize) {
    for _ in 0..depth {
        let made = fstat(dir.fd()).is_ok_and(|stat| stat.st_mode & MADE != 0);
        let Some(name) = dir.path().file_name().filter(|_| made).map(Path::new).map(Path::to_owned) else { return };
        let Ok(above) = dir.open_parent() else { return };
        // EBUSY: a sibling is in it.
        if above.remove_child(&name).is_err_and(|errno| errno != Errno::NOENT) {
            return;
        }
        dir = above;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_absolute_and_without_dots() {
        for good in ["/", "/seclude", "/a.b/c d/", "/a/./b"] {
            assert!(check(Path::new(good)).is_ok(), "{good}");
        }
        for bad in ["", "seclude", "./x", "/a/../b", "/.."] {
            assert!(matches!(check(Path::new(bad)), Err(Error::BadParent { .. })), "{bad}");
        }
    }
}
