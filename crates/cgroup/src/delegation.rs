//! Where a caller that is not root may make cgroups, and making room there.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, accessat};

use crate::dir::Dir;
use crate::parent::open_existing;
use crate::{Error, Hierarchies};

/// The name of a leaf that a process is moved to begins so.
const LEAF: &str = "seclude-leaf-";

/// Whether it is a leaf that nobody of that number could be in any more. (In another pid namespace it is removed all the same only if it is empty.)
pub(crate) fn is_left(name: &Path) -> bool {
    let pid = name.to_str().and_then(|name| name.strip_prefix(LEAF)).and_then(|pid| pid.parse::<u32>().ok());
    pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

impl Hierarchies {
    /// The delegated v2 cgroup of this process: the one that it is in, or the one above if that is delegated too, as
    /// it is where processes are in leaves (the no internal processes rule, cgroups(7)).
    ///
    /// # Errors
    /// [`Error::NoHierarchy`] without v2; [`Error::NotDelegated`] if the caller may write neither.
    pub fn delegated_to_caller(&self) -> Result<PathBuf, Error> {
        let v2 = self.v2().ok_or(Error::NoHierarchy)?;
        let own = v2.own_path().ok_or(Error::NoHierarchy)?;
        let dir = open_existing(v2, own)?;
        if own != Path::new("/")
            && let (Some(above), Ok(up)) = (own.parent(), dir.open_parent())
            && is_writable(&up)
        {
            return Ok(above.to_path_buf());
        }
        match is_writable(&dir) {
            true => Ok(own.to_path_buf()),
            false => Err(Error::from_call("access", dir.path(), rustix::io::Errno::ACCESS)),
        }
    }

    /// Moves a process that is in `parent` itself to a leaf of its own below, so that controllers can be handed down
    /// there, and answers that leaf; `None` if it is elsewhere. v2 only: v1 has no such rule.
    ///
    /// The leaf stays until [`Hierarchies::remove_leaf`], or a sweep of `parent` once that process has ended.
    ///
    /// # Errors
    /// What making the leaf and moving there answer.
    pub fn move_to_leaf(&self, parent: &Path, pid: u32) -> Result<Option<PathBuf>, Error> {
        let Some(v2) = self.v2() else { return Ok(None) };
        let dir = match open_existing(v2, parent) {
            // Nobody is in what is still to be made.
            Err(error) if error.is_gone() => return Ok(None),
            other => other?,
        };
        if !dir.read_list("cgroup.procs")?.lines().any(|line| line.parse() == Ok(pid)) {
            return Ok(None);
        }
        let name = PathBuf::from(format!("{LEAF}{pid}"));
        let moved = || {
            dir.make_child(&name)?;
            dir.open_child(&name)?.write("cgroup.procs", &pid.to_string())
        };
        // A sweep that does not know the process may have removed it, empty as it was.
        match moved() {
            Err(error) if error.is_gone() => moved()?,
            other => other?,
        }
        Ok(Some(parent.join(name)))
    }

    /// Removes an empty leaf of [`Hierarchies::move_to_leaf`]; that it is gone is no error.
    ///
    /// # Errors
    /// `EBUSY` if a process is in it.
    pub fn remove_leaf(&self, leaf: &Path) -> Result<(), Error> {
        let (Some(v2), Some(above), Some(name)) = (self.v2(), leaf.parent(), leaf.file_name()) else { return Ok(()) };
        let removed = open_existing(v2, above).and_then(|above| {
            let path = above.path().join(name);
            above.remove_child(Path::new(name)).map_err(|errno| Error::from_call("rmdir", &path, errno))
        });
        match removed {
            Err(error) if error.is_gone() => Ok(()),
            other => other,
        }
    }
}

/// The v2 cgroup of a process, as this process's cgroup namespace shows it; `None` without v2, or if it has ended.
///
/// # Errors
/// When /proc cannot be read.
pub fn v2_path_of(pid: u32) -> Result<Option<PathBuf>, Error> {
    let path = PathBuf::from(format!("/proc/{pid}/cgroup"));
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| Error::from_call("read", &path, error))?,
    };
    Ok(text.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from))
}

/// What a delegated cgroup is: a directory and a `cgroup.procs` and `cgroup.subtree_control` that the caller may write.
fn is_writable(dir: &Dir) -> bool {
    let may = |name: &str| accessat(dir.fd(), name, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
    may(".") && may("cgroup.procs") && may("cgroup.subtree_control")
}
