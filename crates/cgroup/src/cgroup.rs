//! A cgroup: one directory in each hierarchy that it needs.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::dir::Dir;
use crate::{Controller, Error, Hierarchy, Version};

/// A cgroup that was made by [`Cgroup::create`].
///
/// It keeps one descriptor a hierarchy. Dropping it closes them and **removes nothing**: call
/// [`Cgroup::remove`].
#[derive(Debug)]
pub struct Cgroup {
    pub(crate) path: PathBuf,
    /// v2 first.
    pub(crate) places: Vec<Place>,
}

/// Its directory in one hierarchy.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) hierarchy: Hierarchy,
    pub(crate) dir: Dir,
    /// Below it, see [`crate::inside`].
    pub(crate) inside: Option<Dir>,
}

impl Place {
    pub(crate) fn version(&self) -> Version {
        self.hierarchy.version()
    }
}

impl Cgroup {
    /// Its path in each of its hierarchies: the parent, and `PID-START-N` for the creating
    /// process, its start time (field 22 of `proc_pid_stat(5)`) and a count.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its directories, as they were found by this process, with the version of each.
    pub fn directories(&self) -> impl Iterator<Item = (Version, &Path)> {
        self.places.iter().map(|place| (place.version(), place.dir.path()))
    }

    /// The v2 directory for its processes, for `clone3(CLONE_INTO_CGROUP)` (Linux 5.7). `None` if it is on v1 only.
    ///
    /// Where there are v1 hierarchies too ([`Cgroup::has_v1`]), the child still has to
    /// [`join_v1`](Cgroup::join_v1).
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.v2().map(|place| place.entrance().fd())
    }

    /// Whether it is in a v1 hierarchy, which a process can only join.
    pub fn has_v1(&self) -> bool {
        self.places.iter().any(|place| place.version() == Version::V1)
    }

    /// Moves a process with all its threads in, in all hierarchies, by `cgroup.procs`.
    ///
    /// A move takes up to some 10 ms (it waits for an RCU grace period); being born inside takes
    /// none. The caller must know that the process is alive or a zombie of its own, or the pid may
    /// be another's by now.
    ///
    /// # Errors
    /// [`Error::NotDelegated`] if the caller may not write to the common ancestor's
    /// `cgroup.procs`; `ESRCH` if there is no such process. It may be in some hierarchies then.
    pub fn join(&self, pid: u32) -> Result<(), Error> {
        self.places.iter().try_for_each(|place| join(place, pid))
    }

    /// The same in the v1 hierarchies only, for a process that was born in [`Cgroup::fd`].
    ///
    /// # Errors
    /// As [`Cgroup::join`].
    pub fn join_v1(&self, pid: u32) -> Result<(), Error> {
        self.v1().try_for_each(|place| join(place, pid))
    }

    /// The same in v2 only.
    ///
    /// # Errors
    /// As [`Cgroup::join`].
    pub fn join_v2(&self, pid: u32) -> Result<(), Error> {
        self.v2().map_or(Ok(()), |place| join(place, pid))
    }

    /// The files of its v1 hierarchies by which a process of one thread joins *itself*, by writing 0: open to be written.
    ///
    /// So it waits for no RCU grace period, some 10 ms, as a move of another process does (since Linux 5.15), cgroups(7).
    ///
    /// # Errors
    /// [`Error::NotDelegated`] where the caller may not write there.
    pub fn own_entrances(&self) -> Result<Vec<(PathBuf, OwnedFd)>, Error> {
        let open = |place: &Place| {
            let dir = place.entrance();
            Ok((dir.path().join("tasks"), dir.open_file("tasks", rustix::fs::OFlags::WRONLY)?))
        };
        self.v1().map(open).collect()
    }

    pub(crate) fn v2(&self) -> Option<&Place> {
        self.places.iter().find(|place| place.version() == Version::V2)
    }

    pub(crate) fn v1(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.version() == Version::V1)
    }

    /// The v1 place that has this controller.
    pub(crate) fn v1_of(&self, controller: Controller) -> Option<&Place> {
        self.v1().find(|place| place.hierarchy.serves(controller))
    }
}

fn join(place: &Place, pid: u32) -> Result<(), Error> {
    if pid == 0 {
        // To the kernel 0 is the writer itself.
        return Err(Error::from_call("write", &place.entrance().path().join("cgroup.procs"), Errno::SRCH));
    }
    place.entrance().write("cgroup.procs", &pid.to_string())
}
