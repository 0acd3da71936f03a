//! A cgroup that is somebody else's.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, OFlags, accessat};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::{Error, Hierarchies, Version, freeze, parent};

/// A cgroup that exists already: a process can be put into it, and nothing else is done to it.
#[derive(Debug)]
pub struct Existing {
    path: PathBuf,
    /// v2 first.
    places: Vec<(Version, Dir)>,
}

/// What a v2 cgroup cannot hand down and have processes itself, cgroups(7): all that is not threaded.
const DOMAIN: [&str; 6] = ["memory", "io", "hugetlb", "rdma", "misc", "dmem"];

/// Between the look and the join.
const REMOVED: &str = "somebody has removed it meanwhile";

impl Existing {
    /// In each hierarchy that has it and that the caller sees; at least one. `path` is absolute in the hierarchy, such as
    /// `/system.slice/ci`.
    ///
    /// # Errors
    /// [`Error::CannotBeJoined`] if there is none, or one in which no process could run; [`Error::NotDelegated`] if the caller may
    /// not put any into it.
    pub fn find(hierarchies: &Hierarchies, path: &Path) -> Result<Existing, Error> {
        parent::check(path)?;
        let mut places = Vec::new();
        for hierarchy in hierarchies.v2().into_iter().chain(hierarchies.v1()) {
            match parent::open_existing(hierarchy, path) {
                Ok(dir) => places.push((hierarchy.version(), dir)),
                Err(error) if error.is_gone() || matches!(error, Error::NotVisible { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if places.is_empty() {
            let mounted = hierarchies.v2().into_iter().chain(hierarchies.v1()).map(|hierarchy| hierarchy.mount_point());
            let reason = match mounted.into_iter().any(|point| path.starts_with(point)) {
                true => "it is to be given from the top of the hierarchy, without the mount point",
                false => "no hierarchy has it",
            };
            return Err(cannot(path, reason));
        }
        Existing { path: path.to_owned(), places }.checked()
    }

    /// The one that is open there, in its hierarchy alone.
    ///
    /// # Errors
    /// [`Error::NotCgroup`], and as [`Existing::find`].
    pub fn open(directory: BorrowedFd<'_>) -> Result<Existing, Error> {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).unwrap_or_default();
        let place = Dir::reopen(directory, &path)?;
        Existing { path, places: vec![place] }.checked()
    }

    /// Of directories that are open, v2 first.
    pub(crate) fn of_places(
        path: PathBuf,
        places: Vec<(Version, Dir)>,
        may_be_frozen: bool,
    ) -> Result<Existing, Error> {
        Existing { path, places }.checked_but(may_be_frozen)
    }

    /// As it was given, or where the descriptor's directory was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The v2 directory, for `clone3(CLONE_INTO_CGROUP)` (Linux 5.7). `None` if it is on v1 only.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.v2().map(Dir::fd)
    }

    /// Whether it is in a v1 hierarchy, which a process can only join.
    pub fn has_v1(&self) -> bool {
        self.v1().next().is_some()
    }

    /// Moves a process into the v2 one, by `cgroup.procs`.
    ///
    /// # Errors
    /// As [`crate::Cgroup::join`].
    pub fn join_v2(&self, pid: u32) -> Result<(), Error> {
        self.v2().map_or(Ok(()), |dir| dir.write("cgroup.procs", &pid.to_string()))
    }

    /// As [`crate::Cgroup::own_entrances`].
    ///
    /// # Errors
    /// [`Error::NotDelegated`] where the caller may not write there; [`Error::CannotBeJoined`] if it was removed from a hierarchy.
    pub fn own_entrances(&self) -> Result<Vec<(PathBuf, OwnedFd)>, Error> {
        let open = |dir: &Dir| {
            let file = dir.open_file("tasks", OFlags::WRONLY);
            // It is there as long as its cgroup is.
            file.map_err(|error| if error.is_gone() { cannot(dir.path(), REMOVED) } else { error })
        };
        self.v1().map(|dir| Ok((dir.path().join("tasks"), open(dir)?))).collect()
    }

    fn v2(&self) -> Option<&Dir> {
        self.places.iter().find(|(version, _)| *version == Version::V2).map(|(_, dir)| dir)
    }

    fn v1(&self) -> impl Iterator<Item = &Dir> {
        self.places.iter().filter(|(version, _)| *version == Version::V1).map(|(_, dir)| dir)
    }

    /// What the kernel would only answer with a number, or with a process that never starts.
    fn checked(self) -> Result<Existing, Error> {
        self.checked_but(false)
    }

    fn checked_but(self, may_be_frozen: bool) -> Result<Existing, Error> {
        for (version, dir) in &self.places {
            if !may_be_frozen && freeze::is_frozen(dir)? {
                return Err(cannot(dir.path(), "it is frozen: a process in it would never start"));
            }
            if *version == Version::V1 {
                let is_empty = |name| dir.read_if_any(name).map(|list| list.is_some_and(|list| list.trim().is_empty()));
                if is_empty("cpuset.cpus")? || is_empty("cpuset.mems")? {
                    return Err(cannot(
                        dir.path(),
                        "its cpuset.cpus or cpuset.mems is empty: a process in it could run nowhere",
                    ));
                }
                continue;
            }
            let file = |name| dir.read_if_any(name).map(Option::unwrap_or_default);
            if matches!(file("cgroup.type")?.trim(), "threaded" | "domain invalid") {
                return Err(cannot(dir.path(), "it is threaded: it takes threads of a process above alone"));
            }
            let handed_down = file("cgroup.subtree_control")?;
            if dir.has("cgroup.type") && handed_down.split_whitespace().any(|name| DOMAIN.contains(&name)) {
                return Err(cannot(dir.path(), "it hands controllers down, and so may have no process itself"));
            }
            accessat(dir.fd(), "cgroup.procs", Access::WRITE_OK, AtFlags::EACCESS).map_err(|errno| match errno {
                Errno::NOENT | Errno::NODEV => cannot(dir.path(), REMOVED),
                errno => Error::from_call("write", &dir.path().join("cgroup.procs"), errno),
            })?;
        }
        Ok(self)
    }
}

fn cannot(path: &Path, reason: &'static str) -> Error {
    Error::CannotBeJoined { path: path.to_owned(), reason }
}
