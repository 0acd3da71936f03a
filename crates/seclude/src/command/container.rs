//! What the container is: its namespaces, its tree, its cgroup, its network.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use seclude_cgroup::Limits;

use super::Command;
use crate::config::cgroup::{Cgroup, JoinedCgroup};
use crate::config::ids::UserMap;
use crate::config::mount::{Mount, Source};
use crate::config::namespace::{Joined, Namespace, Origin};
use crate::config::network::{Dns, Names, Network, Pasta, Veth};
use crate::config::root::Root;

impl Command {
    /// Makes a new namespace of this kind.
    pub fn unshare(&mut self, kind: Namespace) -> &mut Self {
        self.config.namespaces.set(kind, Origin::New);
        self
    }

    /// Keeps the caller's namespace of this kind.
    pub fn share(&mut self, kind: Namespace) -> &mut Self {
        self.config.namespaces.set(kind, Origin::Inherited);
        self
    }

    /// Enters the namespace that `path` (such as /proc/PID/ns/net) stands for. The process is then made by a copying
    /// clone: it must not share memory with what runs there.
    pub fn join(&mut self, kind: Namespace, path: impl AsRef<Path>) -> &mut Self {
        self.config.namespaces.set(kind, Origin::Joined(Joined::path(path.as_ref())));
        self
    }

    /// Enters the namespace that is open as `fd`.
    pub fn join_fd(&mut self, kind: Namespace, fd: impl Into<OwnedFd>) -> &mut Self {
        self.config.namespaces.set(kind, Origin::Joined(Joined::Fd(Arc::new(fd.into()))));
        self
    }

    /// The ids of the new user namespace; [`UserMap::CallerAsRoot`] unless said.
    pub fn user_map(&mut self, map: UserMap) -> &mut Self {
        self.config.user_map = Some(map);
        self
    }

    /// What the process sees as `/`; needs a new mount namespace.
    pub fn root(&mut self, root: Root) -> &mut Self {
        self.config.root = Some(root);
        self
    }

    /// Adds a mount, a file, a directory, a symlink or a mask; needs a new mount namespace.
    pub fn mount(&mut self, mount: Mount) -> &mut Self {
        self.config.mounts.push(mount);
        self
    }

    /// The host name; needs a new UTS namespace. At most 64 bytes, sethostname(2).
    pub fn hostname(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.config.hostname = Some(name.as_ref().to_owned());
        self
    }

    /// The NIS domain name; needs a new UTS namespace. At most 64 bytes, setdomainname(2).
    pub fn domainname(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.config.domainname = Some(name.as_ref().to_owned());
        self
    }

    /// What CLOCK_MONOTONIC is ahead of the host's (negative: behind), in nanoseconds; needs a new time namespace.
    pub fn monotonic_offset(&mut self, nanoseconds: i128) -> &mut Self {
        self.config.time_offsets.monotonic = nanoseconds;
        self
    }

    /// What CLOCK_BOOTTIME is ahead of the host's (negative: behind), in nanoseconds; needs a new time namespace.
    pub fn boottime_offset(&mut self, nanoseconds: i128) -> &mut Self {
        self.config.time_offsets.boottime = nanoseconds;
        self
    }

    /// What the container may use of the machine, in a cgroup of its own; the parent of that is [`Cgroup::parent`]'s
    /// default unless [`Command::cgroup`] says another. A limit that cannot be set is an error of [`Command::spawn`].
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.config.cgroup.get_or_insert_default().limits = limits;
        self
    }

    /// Gives the container a cgroup of its own. Everything that is in it when the process ends is killed then, also
    /// what has left its session and its parent.
    pub fn cgroup(&mut self, cgroup: Cgroup) -> &mut Self {
        self.config.cgroup = Some(cgroup);
        self
    }

    /// Has the container start in a cgroup that exists: `path` is absolute in the hierarchy (`/ci/job`), in each hierarchy that has
    /// it. Nothing is set, counted, killed or removed there. Born in it (v2, Linux 5.7), or moved before anything of it runs.
    ///
    /// The child has a copy of the caller's memory, [`crate::CloneWay::Copy`], which takes the longer the more that is: what is in such a
    /// cgroup may be killed for lack of memory, and then with all that share it.
    ///
    /// Not together with a cgroup of its own ([`Command::limits`], [`Command::cgroup`]). The caller needs write access to its
    /// `cgroup.procs` and to that of the ancestor that both have in common, cgroups(7).
    pub fn join_cgroup(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.config.joined_cgroup = Some(JoinedCgroup::From(Source::Path(path.as_ref().to_owned())));
        self
    }

    /// The same of one that was looked up before, by its descriptors.
    pub fn join_cgroup_opened(&mut self, existing: seclude_cgroup::Existing) -> &mut Self {
        self.config.joined_cgroup = Some(JoinedCgroup::Opened(Arc::new(existing)));
        self
    }

    /// The same with its directory given open, in that hierarchy alone.
    pub fn join_cgroup_fd(&mut self, directory: impl Into<OwnedFd>) -> &mut Self {
        self.config.joined_cgroup = Some(JoinedCgroup::From(Source::Fd(Arc::new(directory.into()))));
        self
    }

    /// Connects it by a veth pair, and gives it a network namespace of its own. The host's name servers come with it
    /// ([`Command::dns`]), and `/etc/hosts` with its own name if it has a host name.
    pub fn veth(&mut self, veth: Veth) -> &mut Self {
        self.config.network = Some(Network::Veth(veth));
        self.unshare(Namespace::Net)
    }

    /// Connects it through the program `pasta`, without privileges, and gives it a network namespace of its own; the rest as
    /// [`Command::veth`].
    pub fn pasta(&mut self, pasta: Pasta) -> &mut Self {
        self.config.network = Some(Network::Pasta(pasta));
        self.unshare(Namespace::Net)
    }

    /// Gives it a network of names, and a network namespace of its own. Its `/etc/resolv.conf` names an address of its own.
    pub fn names(&mut self, names: Names) -> &mut Self {
        self.config.network = Some(Network::Names(names));
        self.unshare(Namespace::Net)
    }

    /// Its name servers: `/etc/resolv.conf`, resolv.conf(5), read-only inside. Default: the host's with a veth pair or
    /// pasta and a new mount namespace; otherwise the root's file is left alone. A network of names answers itself, at every address:
    /// beside that all but [`Dns::Unchanged`] is an error.
    pub fn dns(&mut self, dns: Dns) -> &mut Self {
        self.config.dns = Some(dns);
        self
    }

    /// A line of its `/etc/hosts`, hosts(5), which is then one of its own, read-only inside. May be said again.
    pub fn add_host(&mut self, name: impl Into<String>, address: IpAddr) -> &mut Self {
        self.config.host_entries.push((address, name.into()));
        self
    }
}
