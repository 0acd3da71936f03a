//! Where the processes are: a cgroup below the one that has the limits.
//!
//! Who owns a cgroup's files may write them. A container's root can be the owner as far as the kernel sees it (host
//! root, mapped to itself), and any process may make a user and a cgroup namespace, and mount the hierarchy in them:
//! that mount shows the process's own cgroup and what is below, and nothing above. So the limits are above.

use std::path::Path;

use rustix::fs::{AtFlags, Gid, Uid, chownat, fchown};

use crate::cgroup::Place;
use crate::dir::Dir;
use crate::v1::inherit_cpuset;
use crate::v2::hand_down;
use crate::{Cgroup, Controller, Error, Version};

/// Its name.
pub(crate) const INSIDE: &str = "inside";

/// How many cgroups a delegate may make, and how far down. The kernel counts what they take for nobody, and it takes time to go through
/// them when they are to be removed. systemd in a container has some two hundred, seven deep.
const MOST: (&str, &str) = ("cgroup.max.descendants", "1000");
const DEEPEST: (&str, &str) = ("cgroup.max.depth", "32");

/// What a delegate may write, cgroups(7): to make cgroups, to place processes, to enable controllers.
const DELEGATED: [&str; 3] = ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"];

impl Place {
    /// Makes it, once the limits are set.
    pub(crate) fn make_inside(&mut self) -> Result<(), Error> {
        // The only v1 controller whose limits do not hold for what is below.
        if self.version() == Version::V1 && self.hierarchy.serves(Controller::Io) {
            return Ok(());
        }
        self.dir.make_child(Path::new(INSIDE))?;
        let inside = self.dir.open_child(Path::new(INSIDE))?;
        if self.hierarchy.serves_v1_cpuset() {
            inherit_cpuset(&self.dir, &inside)?;
        }
        self.inside = Some(inside);
        Ok(())
    }

    /// Where its processes are.
    pub(crate) fn entrance(&self) -> &Dir {
        self.inside.as_ref().unwrap_or(&self.dir)
    }
}

impl Cgroup {
    /// Lets `uid` and `gid` make cgroups below the one in which the processes are, with all controllers that this
    /// cgroup has: 1,000 of them, 31 levels down. Its limits stay out of their reach.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it is not on v2; what the calls answer.
    pub fn delegate(&self, uid: u32, gid: u32) -> Result<(), Error> {
        let Some((outer, inside)) = self.v2().and_then(|place| Some((&place.dir, place.inside.as_ref()?))) else {
            return Err(Error::unsupported("delegation", "the cgroup is not on v2"));
        };
        let offered = outer.read("cgroup.controllers")?;
        let offered = |controller: Controller| {
            controller.v2_name().is_some_and(|name| offered.split_ascii_whitespace().any(|word| word == name))
        };
        let all: Vec<_> =
            Controller::ALL.iter().filter(|c| offered(**c)).map(|&controller| (controller, None)).collect();
        hand_down(outer, &all)?;
        // In the one above what is delegated, so that they are out of reach.
        for (file, value) in [MOST, DEEPEST] {
            outer.write(file, value)?;
        }
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        fchown(inside.fd(), uid, gid).map_err(|errno| Error::from_call("fchown", inside.path(), errno))?;
        for file in DELEGATED {
            chownat(inside.fd(), file, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| Error::from_call("fchownat", &inside.path().join(file), errno))?;
        }
        Ok(())
    }
}
