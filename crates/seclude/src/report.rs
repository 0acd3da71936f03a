//! What a spawn did and what it cost.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use seclude_cgroup::{Cgroup, Existing};
use seclude_child::entry::Memory;
use serde::Serialize;

use crate::isolation::Gap;

/// How the process was made, and the time of each part.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The way of cloning: `vm`, `copy` or `legacy`.
    pub clone: &'static str,
    /// Whether the child ran in the caller's memory until its exec.
    pub shared_memory: bool,
    /// Why that way.
    pub clone_reason: String,
    /// How its root was made; `None` without a new mount namespace.
    pub root: Option<RootMade>,
    /// The caller's directory, if the command began in the sandbox's new, empty home instead: it is a home, above one, below something
    /// hidden in one, where the host keeps what is alive (/run, /proc), or behind a mount of the request's own. With the preset `host` it begins in / for the last of these.
    pub moved_from: Option<PathBuf>,
    /// Where it began instead, inside.
    pub moved_to: Option<PathBuf>,
    /// What is shown of the host under the host's ids, not the container's, because its file system or the kernel cannot map
    /// them: whoever owns it is nobody inside. Always empty where the container's ids are the caller's.
    pub plain: Vec<PathBuf>,
    /// With ephemeral writes over the host's tree: what of it is read-only, as the kernel takes it for no layer of an overlay: a file
    /// system that ignores case, automounts, an overlay over another one. Single files next to mount points and views of the
    /// kernel (/proc, /sys) are so anyway, and not listed.
    pub read_only: Vec<PathBuf>,
    /// The same: what was removed or replaced while it was copied, so that it is not there.
    pub left_out: Vec<PathBuf>,
    /// Why what its filter of system calls refuses is not listed, if it has one and that is so: somebody else's filter has the one
    /// listener that there can be, this process may end before the command, or there is no thread for it.
    pub deaf: Option<String>,
    /// The ABI of landlock by which rules hold for it, if any do.
    pub landlock_abi: Option<u32>,
    /// What it shares with the host, in a sandbox without namespaces; else empty, as whoever gives namespaces up says which.
    pub not_isolated: Vec<Gap>,
    /// Its cgroup, if it has one.
    pub cgroup: Option<Placement>,
    /// What it is connected by, if it is.
    pub network: Option<Connection>,
    /// What [`crate::Command::prefer`] named, and whether it is so.
    pub preferred: Vec<Preferred>,
    /// Parent, until the clone.
    #[serde(rename = "prepare_us", serialize_with = "microseconds")]
    pub prepared: Duration,
    /// The clone call itself.
    #[serde(rename = "clone_us", serialize_with = "microseconds")]
    pub cloned: Duration,
    /// Parent, while the child waited at its barrier.
    #[serde(rename = "attend_us", serialize_with = "microseconds")]
    pub attended: Duration,
    /// Child, from its barrier to its exec.
    #[serde(rename = "set_up_us", serialize_with = "microseconds")]
    pub set_up: Duration,
    /// The parent's time in each step before the clone.
    pub prepare: StepTimes,
    /// The parent's time in each step at the barrier.
    pub attend: StepTimes,
    /// The child's time in each step; empty unless [`crate::Command::timed`] asked for it.
    pub child: Vec<StepTime>,
}

/// How a container's root was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RootMade {
    /// It is the copy of the host's tree that every new mount namespace has.
    Kept,
    /// A tree was made in that copy, and pivot_root(2) left the rest of it behind.
    Pivoted,
    /// The same, but left behind with chroot(2), [`crate::Root::chroot`].
    Changed,
    /// The mount namespace was made of the root alone, OPEN_TREE_NAMESPACE of open_tree(2), Linux 7.0: no other mount of the
    /// host's was copied for it.
    Entered,
}

/// Where a container's cgroup is, and how its first process came there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Placement {
    /// The cgroup's path, the same in each hierarchy that it is in.
    pub path: String,
    /// Whether it was made for the container, and goes with it; else it was there before, [`crate::Command::join_cgroup`].
    pub own: bool,
    /// How the process came to be in it.
    pub entered: Entered,
}

impl Placement {
    pub(crate) fn of(cgroup: &Cgroup, by_birth: bool) -> Placement {
        Placement { path: cgroup.path().display().to_string(), own: true, entered: entered(by_birth, cgroup.has_v1()) }
    }

    pub(crate) fn in_existing(cgroup: &Existing, by_birth: bool) -> Placement {
        Placement { path: cgroup.path().display().to_string(), own: false, entered: entered(by_birth, cgroup.has_v1()) }
    }
}

fn entered(by_birth: bool, has_v1: bool) -> Entered {
    match (by_birth, has_v1) {
        (true, false) => Entered::Born,
        (true, true) => Entered::BornAndJoined,
        (false, _) => Entered::Joined,
    }
}

/// What a container is connected by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Connection {
    /// `veth`, `pasta` or `names`.
    pub by: &'static str,
    /// Its address; `None` with pasta, which takes the host's, and with names, as all addresses are its own.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address, if one was asked for.
    pub address6: Option<Ipv6Addr>,
    /// Where it sends what is not of its subnet.
    pub gateway: Option<Ipv4Addr>,
    /// Its subnet, such as `10.88.0.0/16`.
    pub subnet: Option<String>,
    /// The bridge, if there is one.
    pub bridge: Option<String>,
    /// The host's end of the veth pair.
    pub link: Option<String>,
    /// What its `/etc/resolv.conf` names; empty where that is the root's.
    pub name_servers: Vec<IpAddr>,
    /// Name servers of the host that were left out, because they are on its loopback, or the host itself, which is closed.
    pub name_servers_left_out: Vec<IpAddr>,
}

impl Connection {
    pub(crate) fn of_veth(veth: &seclude_net::Veth) -> Connection {
        Connection {
            by: "veth",
            address: Some(veth.address()),
            address6: veth.address6(),
            gateway: veth.gateway(),
            subnet: Some(veth.subnet().to_string()),
            bridge: veth.bridge().map(str::to_owned),
            link: Some(veth.link().to_owned()),
            ..Connection::of_pasta()
        }
    }

    pub(crate) fn of_names() -> Connection {
        Connection { by: "names", ..Connection::of_pasta() }
    }

    pub(crate) fn of_pasta() -> Connection {
        Connection {
            by: "pasta",
            address: None,
            address6: None,
            gateway: None,
            subnet: None,
            bridge: None,
            link: None,
            name_servers: Vec::new(),
            name_servers_left_out: Vec::new(),
        }
    }
}

/// How a process comes to be in its cgroup. In none of them has it run anything of its own before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Entered {
    /// Born there: CLONE_INTO_CGROUP.
    Born,
    /// Born there in v2, moved by cgroup.procs in v1 hierarchies while it waited at its barrier.
    BornAndJoined,
    /// Moved by cgroup.procs while it waited: v1 alone, Linux before 5.7, or `clone(2)`.
    Joined,
}

/// What became of a feature that the caller could have done without.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Preferred {
    /// The feature's name, such as `"memory"`.
    pub feature: &'static str,
    /// Whether it holds.
    pub achieved: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Times of steps, in their order.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct StepTimes(Vec<StepTime>);

/// The time that one step took.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StepTime {
    /// The step.
    pub step: &'static str,
    /// Microseconds.
    #[serde(rename = "us")]
    pub microseconds: f64,
}

fn microseconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_nanos() as f64 / 1e3)
}

impl StepTimes {
    pub(crate) fn add(&mut self, step: &'static str, time: Duration) {
        let microseconds = time.as_nanos() as f64 / 1e3;
        match self.0.iter_mut().find(|known| known.step == step) {
            Some(known) => known.microseconds += microseconds,
            None => self.0.push(StepTime { step, microseconds }),
        }
    }

    /// Each step with its time.
    pub fn iter(&self) -> impl Iterator<Item = &StepTime> {
        self.0.iter()
    }
}

impl Report {
    pub(crate) fn new(way: &'static str, memory: Memory, reason: &str) -> Report {
        Report {
            clone: way,
            shared_memory: memory == Memory::Shared,
            clone_reason: reason.to_owned(),
            root: None,
            moved_from: None,
            moved_to: None,
            plain: Vec::new(),
            read_only: Vec::new(),
            left_out: Vec::new(),
            deaf: None,
            landlock_abi: None,
            not_isolated: Vec::new(),
            cgroup: None,
            network: None,
            preferred: Vec::new(),
            prepared: Duration::ZERO,
            cloned: Duration::ZERO,
            attended: Duration::ZERO,
            set_up: Duration::ZERO,
            prepare: StepTimes::default(),
            attend: StepTimes::default(),
            child: Vec::new(),
        }
    }
}
