//! Where a caller that is not root may make cgroups, and making room there.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, accessat};

use crate::dir::Dir;
use crate::parent::open_existing;
use crate::{Error, Hierarchies};

/// The name of the leaf that a caller is moved to begins so.
const CALLER: &str = "seclude-caller-";

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

    /// Moves the calling process to a cgroup of its own below `parent` if it is in `parent` itself, so that controllers
    /// can be handed down there; answers the hierarchies as they are then. v2 only: v1 has no such rule.
    ///
    /// The leaf stays as long as the process does, and longer: nobody else can remove it.
    ///
    /// # Errors
    /// What making the leaf and moving there answer.
    pub fn move_caller_out_of(&self, parent: &Path) -> Result<Hierarchies, Error> {
        let Some(v2) = self.v2().filter(|v2| v2.own_path() == Some(parent)) else { return Ok(self.clone()) };
        let dir = open_existing(v2, parent)?;
        let name = PathBuf::from(format!("{CALLER}{}", std::process::id()));
        dir.make_child(&name)?;
        dir.open_child(&name)?.write("cgroup.procs", &std::process::id().to_string())?;
        Hierarchies::discover()
    }
}

/// What a delegated cgroup is: a directory and a `cgroup.procs` and `cgroup.subtree_control` that the caller may write.
fn is_writable(dir: &Dir) -> bool {
    let may = |name: &str| accessat(dir.fd(), name, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
    may(".") && may("cgroup.procs") && may("cgroup.subtree_control")
}
