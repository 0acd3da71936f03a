//! The eight namespaces, namespaces(7): one table.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use seclude_request::Field;
use seclude_sys::clone as k;

/// A kind of namespace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Namespace {
    /// User and group ids, capabilities; user_namespaces(7). Linux 3.8.
    User,
    /// Process ids, and the end of all with the first; pid_namespaces(7).
    Pid,
    /// The mount table; mount_namespaces(7).
    Mount,
    /// Network devices, addresses, ports, routes; network_namespaces(7).
    Net,
    /// Host name and domain name; uts_namespaces(7).
    Uts,
    /// System V IPC and POSIX message queues; ipc_namespaces(7).
    Ipc,
    /// The root of /proc/self/cgroup; cgroup_namespaces(7). Linux 4.6.
    Cgroup,
    /// Offsets of the monotonic and boot-time clocks; time_namespaces(7). Linux 5.6.
    Time,
}

struct Row {
    kind: Namespace,
    name: &'static str,
    /// The file of /proc/PID/ns.
    file: &'static str,
    flag: u32,
}

/// In the order in which they are joined: user first, it gives the rights for the others; pid last.
const TABLE: [Row; 8] = [
    Row { kind: Namespace::User, name: "user", file: "user", flag: k::CLONE_NEWUSER },
    Row { kind: Namespace::Cgroup, name: "cgroup", file: "cgroup", flag: k::CLONE_NEWCGROUP },
    Row { kind: Namespace::Ipc, name: "ipc", file: "ipc", flag: k::CLONE_NEWIPC },
    Row { kind: Namespace::Uts, name: "uts", file: "uts", flag: k::CLONE_NEWUTS },
    Row { kind: Namespace::Net, name: "net", file: "net", flag: k::CLONE_NEWNET },
    Row { kind: Namespace::Time, name: "time", file: "time", flag: k::CLONE_NEWTIME },
    Row { kind: Namespace::Mount, name: "mount", file: "mnt", flag: k::CLONE_NEWNS },
    Row { kind: Namespace::Pid, name: "pid", file: "pid", flag: k::CLONE_NEWPID },
];

impl Namespace {
    /// All of them, in the order in which they are joined.
    pub const ALL: [Namespace; 8] = {
        let mut all = [Namespace::User; 8];
        let mut i = 0;
        while i < all.len() {
            all[i] = TABLE[i].kind;
            i += 1;
        }
        all
    };

    const fn row(self) -> &'static Row {
        let mut i = 0;
        while i < TABLE.len() - 1 {
            if TABLE[i].kind as u8 == self as u8 {
                return &TABLE[i];
            }
            i += 1;
        }
        &TABLE[TABLE.len() - 1]
    }

    /// The field of a request that says which it is.
    pub(crate) fn field(self) -> Field {
        Field::of("namespaces").key(self.name())
    }

    /// Its name on the command line, such as `"mount"`.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Its file in `/proc/PID/ns`, such as `"mnt"`.
    pub const fn proc_name(self) -> &'static str {
        self.row().file
    }

    pub(crate) const fn flag(self) -> u32 {
        self.row().flag
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no namespace.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown namespace {0:?}: one of user, pid, mount, net, uts, ipc, cgroup, time")]
pub struct UnknownNamespace(pub String);

impl FromStr for Namespace {
    type Err = UnknownNamespace;

    /// Takes the name, `/proc`'s spelling, or Docker's and unshare(1)'s `network`.
    fn from_str(word: &str) -> Result<Self, UnknownNamespace> {
        TABLE
            .iter()
            .find(|row| word == row.name || word == row.file || (word == "network" && row.name == "net"))
            .map(|row| row.kind)
            .ok_or_else(|| UnknownNamespace(word.to_owned()))
    }
}

/// Where a process's namespace of one kind comes from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Origin {
    /// The caller's own.
    #[default]
    Inherited,
    /// Made with the process.
    New,
    /// An existing one.
    Joined(Joined),
}

/// An existing namespace.
#[derive(Clone, Debug)]
pub(crate) enum Joined {
    Path(PathBuf),
    Fd(Arc<OwnedFd>),
}

/// Where each kind comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namespaces([Origin; 8]);

impl Namespaces {
    pub(crate) fn set(&mut self, kind: Namespace, origin: Origin) {
        self.0[kind as usize] = origin;
    }

    pub(crate) fn origin(&self, kind: Namespace) -> &Origin {
        &self.0[kind as usize]
    }

    pub(crate) fn is_new(&self, kind: Namespace) -> bool {
        matches!(self.origin(kind), Origin::New)
    }

    pub(crate) fn is_joined(&self, kind: Namespace) -> bool {
        matches!(self.origin(kind), Origin::Joined(_))
    }

    pub(crate) fn joined(&self) -> impl Iterator<Item = (Namespace, &Joined)> {
        Namespace::ALL.into_iter().filter_map(|kind| match self.origin(kind) {
            Origin::Joined(joined) => Some((kind, joined)),
            _ => None,
        })
    }

    /// The `CLONE_NEW…` flags of the new ones.
    pub(crate) fn new_flags(&self) -> u64 {
        let new = Namespace::ALL.into_iter().filter(|kind| self.is_new(*kind));
        new.fold(0, |flags, kind| flags | u64::from(kind.flag()))
    }

    pub(crate) fn new_names(&self) -> String {
        let names: Vec<_> = Namespace::ALL.into_iter().filter(|k| self.is_new(*k)).map(Namespace::name).collect();
        names.join(" ")
    }
}

impl Joined {
    pub(crate) fn path(path: &Path) -> Joined {
        Joined::Path(path.to_owned())
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Joined::Path(path) => path.display().to_string(),
            Joined::Fd(fd) => format!("descriptor {}", std::os::fd::AsRawFd::as_raw_fd(&fd.as_fd())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_namespace_is_read_back_from_its_own_name() {
        for kind in Namespace::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(kind.proc_name().parse(), Ok(kind));
        }
        assert!("banana".parse::<Namespace>().is_err());
    }

    #[test]
    fn the_table_has_each_namespace_once_with_its_own_flag() {
        let mut flags = 0;
        for kind in Namespace::ALL {
            assert_eq!(flags & kind.flag(), 0, "{kind}");
            flags |= kind.flag();
        }
        assert_eq!(flags.count_ones(), 8);
    }
}
