//! Which cgroup hierarchies are mounted, where, and where this process is in each.

use std::cmp::Reverse;
use std::path::{Component, Path, PathBuf};

use crate::dir::Dir;
use crate::mountinfo::{self, Mount};
use crate::{Controller, Error, read};

/// Where this process is.
pub(crate) const OWN: &str = "/proc/self/cgroup";

/// The mounted cgroup hierarchies, as the calling process sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchies {
    v2: Option<Hierarchy>,
    v1: Vec<Hierarchy>,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    version: Version,
    mount_point: PathBuf,
    root: PathBuf,
    read_only: bool,
    delegation_boundary: bool,
    controllers: Vec<String>,
    own_path: Option<PathBuf>,
}

/// The two interfaces of cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// One hierarchy a set of controllers, filesystem type `cgroup`.
    V1,
    /// One hierarchy for all, filesystem type `cgroup2`, Linux 4.5.
    V2,
}

/// How a host uses the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// v2 only. (A v1 hierarchy without controllers, such as `name=systemd`, does not count.)
    Unified,
    /// v2 is mounted, and there are controllers on v1.
    Hybrid,
    /// v1 only.
    Legacy,
    /// No cgroup hierarchy is mounted.
    Absent,
}

impl Hierarchies {
    /// Reads `/proc/self/mountinfo`, `/proc/self/cgroup` and the v2 mount's `cgroup.controllers`.
    ///
    /// # Errors
    /// When one of them cannot be read. A kernel without cgroups is not an error but
    /// [`Mode::Absent`].
    pub fn discover() -> Result<Hierarchies, Error> {
        let mountinfo = read::lines_of(Path::new("/proc/self/mountinfo"))?;
        let own = match read::piece_of(Path::new(OWN)) {
            Err(error) if error.is_not_found() => String::new(),
            other => other?,
        };
        let found = Hierarchies::parse(&mountinfo, &own);
        let Some(v2) = &found.v2 else { return Ok(found) };
        let offered = Dir::open_mount(v2)?.read("cgroup.controllers")?;
        Ok(found.with_v2_controllers(&offered))
    }

    /// What these two files say; no system call.
    ///
    /// Neither of them tells which controllers v2 has, so none are taken to be there until
    /// [`with_v2_controllers`](Hierarchies::with_v2_controllers).
    pub fn parse(mountinfo: &str, proc_self_cgroup: &str) -> Hierarchies {
        let mounts = mountinfo::parse(mountinfo);
        let own = own_paths(proc_self_cgroup);
        let mut found: Vec<Hierarchy> = Vec::new();
        for mount in mounts.iter().filter(|m| matches!(m.fs_type, "cgroup" | "cgroup2")) {
            if !mountinfo::is_visible(mount, &mounts) {
                continue;
            }
            let new = Hierarchy::of(mount, &own);
            match found.iter_mut().find(|old| old.is_same(&new)) {
                Some(old) if new.rank() > old.rank() => *old = new,
                Some(_) => {}
                None => found.push(new),
            }
        }
        let (v2, v1): (Vec<_>, Vec<_>) = found.into_iter().partition(|h| h.version == Version::V2);
        Hierarchies { v2: v2.into_iter().next(), v1 }
    }

    /// The same with the controllers that the `cgroup.controllers` of the v2 mount lists.
    #[must_use]
    pub fn with_v2_controllers(mut self, cgroup_controllers: &str) -> Hierarchies {
        if let Some(v2) = &mut self.v2 {
            v2.controllers = cgroup_controllers.split_ascii_whitespace().map(str::to_owned).collect();
        }
        self
    }

    /// How this host uses v1 and v2.
    pub fn mode(&self) -> Mode {
        let v1_controllers = self.v1.iter().any(|h| h.controllers.iter().any(|name| !name.starts_with("name=")));
        match (&self.v2, v1_controllers) {
            (Some(_), false) => Mode::Unified,
            (Some(_), true) => Mode::Hybrid,
            (None, _) if !self.v1.is_empty() => Mode::Legacy,
            (None, _) => Mode::Absent,
        }
    }

    /// The v2 hierarchy.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.v2.as_ref()
    }

    /// The v1 hierarchies, also those with a name and no controllers.
    pub fn v1(&self) -> &[Hierarchy] {
        &self.v1
    }

    /// The hierarchy that serves this controller.
    ///
    /// Where v2 is mounted it serves what it lists, and [`Controller::Cpuacct`] and
    /// [`Controller::Freezer`], which every v2 cgroup has without a controller.
    pub fn controller(&self, controller: Controller) -> Option<&Hierarchy> {
        let v2 = self.v2.as_ref().filter(|h| h.serves(controller));
        v2.or_else(|| self.v1.iter().find(|h| h.serves(controller)))
    }

    /// Where this process is, in the hierarchy that serves the controller. See
    /// [`Hierarchy::own_path`].
    pub fn own_path(&self, controller: Controller) -> Option<&Path> {
        self.controller(controller)?.own_path()
    }
}

impl Hierarchies {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Hierarchy> {
        self.v2.iter().chain(&self.v1)
    }

    /// The same with where this process is by now.
    pub(crate) fn with_own_paths(mut self, own: &[(Vec<&str>, PathBuf)]) -> Hierarchies {
        for hierarchy in self.v2.iter_mut().chain(&mut self.v1) {
            let is_it = |names: &[&str]| match hierarchy.version {
                Version::V2 => names.is_empty(),
                Version::V1 => hierarchy.controllers.iter().map(String::as_str).eq(names.iter().copied()),
            };
            let known = own.iter().find(|(names, _)| is_it(names));
            hierarchy.own_path = known.and_then(|(_, path)| not_removed(path));
        }
        self
    }
}

/// The path unless the kernel says that what it names was removed.
fn not_removed(path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().as_encoded_bytes().ends_with(b" (deleted)")).then(|| path.to_owned())
}

impl Hierarchy {
    fn of(mount: &Mount<'_>, own: &[(Vec<&str>, PathBuf)]) -> Hierarchy {
        let version = if mount.fs_type == "cgroup2" { Version::V2 } else { Version::V1 };
        let known = own.iter().find(|(names, _)| match version {
            Version::V2 => names.is_empty(),
            Version::V1 => !names.is_empty() && names.iter().all(|name| mount.options().any(|option| option == *name)),
        });
        let controllers = match (version, known) {
            (Version::V2, _) => Vec::new(),
            (Version::V1, Some((names, _))) => names.iter().map(|&name| name.to_owned()).collect(),
            (Version::V1, None) => mount.options().filter(|name| is_v1_subsystem(name)).map(str::to_owned).collect(),
        };
        Hierarchy {
            version,
            mount_point: mountinfo::unescape(mount.point),
            root: mountinfo::unescape(mount.root),
            read_only: mount.is_read_only(),
            delegation_boundary: mount.options().any(|option| option == "nsdelegate"),
            controllers,
            own_path: known.and_then(|(_, path)| not_removed(path)),
        }
    }

    /// v1 or v2.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where it is mounted.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Which cgroup the mount point shows: `/`, unless it is a bind mount of a part.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the mount is read-only.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether a cgroup namespace bounds what can be written from inside (`nsdelegate`, cgroups(7)): of its root's files nothing but
    /// those that concern its own processes.
    pub fn is_delegation_boundary(&self) -> bool {
        self.delegation_boundary
    }

    /// The names of its controllers, as the kernel has them; a v1 hierarchy with a name of its own
    /// has `name=…`.
    pub fn controllers(&self) -> &[String] {
        &self.controllers
    }

    /// What it is called, the same wherever it is mounted: `v2`, or of v1 the names of its controllers, such as `cpu,cpuacct`.
    pub fn name(&self) -> String {
        match self.version {
            Version::V2 => "v2".to_owned(),
            Version::V1 => {
                let mut names = self.controllers.clone();
                names.sort();
                names.join(",")
            }
        }
    }

    /// The cgroup of the calling process, absolute in this hierarchy (in a cgroup namespace:
    /// from the namespace's root, so that it may begin with `/..`). `None` if the kernel did not
    /// say, or the cgroup was removed meanwhile.
    pub fn own_path(&self) -> Option<&Path> {
        self.own_path.as_deref()
    }

    /// Where the cgroup of this absolute path is found; `None` if the mount does not show it.
    pub fn locate(&self, path: &Path) -> Option<PathBuf> {
        Some(self.mount_point.join(self.below_root(path)?))
    }

    /// The path below what is mounted. A `..` says "above the namespace's root", and what that is
    /// called is not known.
    pub(crate) fn below_root<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let rest = path.strip_prefix(&self.root).ok()?;
        rest.components().all(|c| matches!(c, Component::Normal(_))).then_some(rest)
    }

    /// Whether it serves the controller.
    pub(crate) fn serves(&self, controller: Controller) -> bool {
        let has = |name: &str| self.controllers.iter().any(|c| c == name);
        match self.version {
            Version::V1 => has(controller.v1_name()),
            Version::V2 => controller.in_v2_core() || controller.v2_name().is_some_and(has),
        }
    }

    pub(crate) fn serves_v1_cpuset(&self) -> bool {
        self.version == Version::V1 && self.serves(Controller::Cpuset)
    }

    fn is_same(&self, other: &Hierarchy) -> bool {
        self.version == other.version && self.controllers == other.controllers
    }

    /// Of several mounts of one hierarchy the one that shows this process, is writable, shows most.
    fn rank(&self) -> (bool, bool, Reverse<usize>) {
        let shows_us = self.own_path().is_some_and(|own| self.below_root(own).is_some());
        (shows_us, !self.read_only, Reverse(self.root.components().count()))
    }
}

/// The lines of `/proc/PID/cgroup`: controllers (none for v2) and path.
pub(crate) fn own_paths(text: &str) -> Vec<(Vec<&str>, PathBuf)> {
    let line = |line: &'_ str| -> Option<(usize, usize)> {
        let names = line.find(':')? + 1;
        Some((names, names + line[names..].find(':')?))
    };
    text.lines()
        .filter_map(|text| {
            let (from, to) = line(text)?;
            let names = text[from..to].split(',').filter(|name| !name.is_empty()).collect();
            Some((names, PathBuf::from(&text[to + 1..])))
        })
        .collect()
}

fn is_v1_subsystem(option: &str) -> bool {
    option.starts_with("name=")
        || Controller::ALL.iter().any(|c| c.v1_name() == option)
        || matches!(option, "net_cls" | "net_prio" | "perf_event" | "rdma" | "misc")
}
