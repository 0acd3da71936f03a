//! The presets: what a request begins from.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::command::Command;
use crate::config::capability::{Capabilities, Capability};
use crate::config::cgroup::Cgroup;
use crate::config::ids::UserMap;
use crate::config::mount::{Mount, MountKind};
use crate::config::namespace::Namespace;
use crate::config::root::Root;
use crate::host::Host;

/// Files of /proc through which uid 0 of the host changes the host, whatever its capabilities: the kernel looks
/// at the uid alone.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Files of /proc that show the host's memory, keys or timers.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
];

/// What a request begins from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Preset {
    /// [`Command::sandbox`].
    Sandbox,
    /// Nothing but what is asked for.
    Bare,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 2] = [Preset::Sandbox, Preset::Bare];

    /// Its name, such as `"sandbox"`.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Sandbox => "sandbox",
            Preset::Bare => "bare",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no preset.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown preset {0:?}: it is sandbox or bare")]
pub struct UnknownPreset(pub String);

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(word: &str) -> Result<Preset, UnknownPreset> {
        let found = Preset::ALL.into_iter().find(|preset| preset.name() == word);
        found.ok_or_else(|| UnknownPreset(word.to_owned()))
    }
}

/// What keeps root out of the host's business by way of a /proc or /sys of the container's own.
pub(crate) fn masks(below: &str) -> impl Iterator<Item = Mount> {
    let read_only = READ_ONLY.into_iter().map(|path| Mount::read_only_path(path).if_present());
    let masked = MASKED.into_iter().map(|path| Mount::mask(path).if_present());
    read_only.chain(masked).filter(move |mount| mount.target.starts_with(below))
}

impl Command {
    /// Begins from this preset. To be called before anything else is said of the container.
    pub fn preset(&mut self, preset: Preset) -> &mut Self {
        match preset {
            Preset::Sandbox => self.sandbox(),
            Preset::Bare => self,
        }
    }

    /// Asks for a sandbox: all namespaces new but time; for root 65,536 ids of the host that nobody has, for another caller
    /// itself as root ([`UserMap::Sandbox`]); the host's tree read-only with a fresh /proc, /sys, /dev and /tmp (and where the caller is, if that is below /tmp); a loopback
    /// interface that is up and no other; a tiny init as the first process; no capabilities, no new privileges, no user
    /// namespaces below it; a session and a session keyring of its own; the nice value and personality of a new login; death
    /// with the parent.
    ///
    /// What is set afterwards changes what it names, and nothing else. Where the mount or pid namespace is shared afterwards,
    /// the preset's root and mounts, or its /proc and its init, are not asked for.
    pub fn sandbox(&mut self) -> &mut Self {
        for kind in Namespace::ALL.into_iter().filter(|kind| *kind != Namespace::Time) {
            self.unshare(kind);
        }
        let mut mounts = vec![Mount::proc("/proc")];
        mounts.extend(masks("/proc"));
        mounts.push(Mount::dev("/dev"));
        mounts.push(Mount::tmpfs("/tmp"));
        self.mounts.extend(mounts.into_iter().map(|mount| Mount { preset: true, ..mount }));
        self.root = Some(Root { preset: true, ..Root::host().read_only() });
        self.user_map.get_or_insert(UserMap::Sandbox);
        self.sandboxed = true;
        self.nested = false;
        self.own_keyring = true;
        self.init = true;
        self.capabilities(Capabilities::NONE).no_new_privileges(true).new_session(true).die_with_parent(true)
    }

    /// The command itself is the first process of its pid namespace, not the child of an init of ours.
    ///
    /// It then has to reap what is orphaned, and a signal whose default ends a process does nothing to it. And it dies with
    /// its parent only as long as it does not take that back: prctl(PR_SET_PDEATHSIG, 0) is all that it takes, so after a
    /// kill of the spawner it may go on.
    pub fn as_pid_1(&mut self) -> &mut Self {
        self.init(false)
    }

    /// In the sandbox: root is root of the host also inside, uid 0, as far as ids go. So it is to every unix socket that it
    /// can see (docker.sock, systemd's), and for every file of root's; what it makes through a writable mount is root's. A
    /// boundary for accidents, not for malice.
    ///
    /// Only root has a root to give: for another caller it is an error.
    pub fn host_root(&mut self) -> &mut Self {
        self.user_map(UserMap::HostRoot)
    }

    /// Whether the command may make user namespaces of its own: nested containers, and with them a much larger part of the
    /// kernel. In the sandbox it may not, unless it is switched on here; /proc then has no masks, as the kernel mounts no
    /// other one beside a masked one, and the command has CAP_SETFCAP, without which the kernel lets nobody pass its root on
    /// (user_namespaces(7)). Never together with [`Command::host_root`].
    pub fn nested(&mut self, on: bool) -> &mut Self {
        self.nested = on;
        self
    }

    /// The request with what its namespaces bring along, and without those parts of the preset that they have no place for.
    pub(crate) fn completed(&self) -> Command {
        let mut command = self.without_idle_preset();
        let spaces = &command.namespaces;
        let shows =
            |mount: &Mount| mount.target == Path::new("/proc") && !matches!(mount.kind, MountKind::Directory { .. });
        if spaces.is_new(Namespace::Pid) && spaces.is_new(Namespace::Mount) && !command.mounts.iter().any(shows) {
            let mut mounts = vec![Mount::proc("/proc")];
            mounts.extend(masks("/proc").filter(|_| !(command.sandboxed && command.nested)));
            let added = mounts.into_iter().map(|mount| Mount { preset: true, ..mount });
            command.mounts.splice(0..0, added);
        }
        command
    }

    /// A root caller's cgroups are its uid's to write, whatever else the command may do: where it could come to see a
    /// hierarchy, the container has a cgroup of its own in each.
    pub(crate) fn with_cgroup_of_its_own(mut self, host: &Host) -> Command {
        if host.uid == 0 && self.could_see_cgroups() {
            match &mut self.cgroup {
                Some(cgroup) => cgroup.everywhere = true,
                None => self.cgroup = Some(Cgroup { everywhere: true, implied: true, ..Cgroup::default() }),
            }
        }
        self
    }

    /// Whether the command could mount a hierarchy, as whoever may write to the cgroup that it is in.
    pub(crate) fn could_see_cgroups(&self) -> bool {
        let is_host_root = self.user_map == Some(UserMap::HostRoot) || !self.namespaces.is_new(Namespace::User);
        let could = self.nested || is_host_root || crate::step::has_inner(self);
        self.sandboxed && could && self.namespaces.is_new(Namespace::Cgroup)
    }

    /// Where the sandbox shows the host's tree: a /sys of its own, as the host's tells of the host's network; and the directory that
    /// it is started in, where one of the preset's mounts lies over it.
    pub(crate) fn with_places_of_its_own(mut self, host: &Host) -> Command {
        let spaces = &self.namespaces;
        let shows_the_host = self.root.as_ref().is_none_or(Root::shows_the_host);
        if !self.sandboxed || !spaces.is_new(Namespace::Mount) || !shows_the_host {
            return self;
        }
        let own = |mount: Mount| Mount { preset: true, ..mount };
        let is_named = |mount: &Mount| !mount.preset && Path::new("/sys").starts_with(&mount.target);
        let has_net = spaces.is_new(Namespace::Net) && spaces.is_new(Namespace::User);
        if host.sysfs && has_net && !self.mounts.iter().any(is_named) {
            let masks = masks("/sys").filter(|_| !self.nested);
            // Where a runtime of a language looks for its limits, and a container inside for what it may limit.
            let limited = self.cgroup.as_ref().is_some_and(|cgroup| !cgroup.implied);
            let asked = limited || self.nested || !spaces.is_new(Namespace::Cgroup);
            let cgroups = asked.then(|| Mount::bind("/sys/fs/cgroup", "/sys/fs/cgroup").read_only());
            let added: Vec<Mount> = [Mount::sysfs("/sys")].into_iter().chain(cgroups).chain(masks).map(own).collect();
            // Before what the caller has below it.
            self.mounts.splice(0..0, added);
        }
        let Some(directory) = host.directory.as_ref().filter(|_| self.workdir.is_none()) else { return self };
        let lies_over = |mount: &Mount| directory != &mount.target && directory.starts_with(&mount.target);
        let covers = |mount: &Mount| matches!(mount.kind, MountKind::Tmpfs { .. } | MountKind::Dev);
        if let Some(last) = self.mounts.iter().rposition(lies_over)
            && self.mounts.get(last).is_some_and(|mount| mount.preset && covers(mount))
        {
            self.mounts.insert(last + 1, own(Mount::bind(directory, directory).read_only()));
        }
        self
    }

    fn without_idle_preset(&self) -> Command {
        let mut command = self.clone();
        if !command.namespaces.is_new(Namespace::Mount) {
            command.root = command.root.filter(|root| !root.preset);
            command.mounts.retain(|mount| !mount.preset);
        }
        if !command.namespaces.is_new(Namespace::Pid) {
            command.mounts.retain(|mount| !(mount.preset && mount.target.starts_with("/proc")));
            command.init &= command.init_is_asked_for;
        }
        if command.sandboxed && command.nested {
            command.mounts.retain(|mount| !(mount.preset && is_mask(&mount.kind)));
            let capabilities = command.capabilities.unwrap_or(Capabilities::ALL);
            command.capabilities = Some(capabilities.with(Capability::SETFCAP));
        }
        if !command.namespaces.is_new(Namespace::User) && command.user_map == Some(UserMap::Sandbox) {
            command.user_map = None;
        }
        command
    }
}

fn is_mask(kind: &MountKind) -> bool {
    matches!(kind, MountKind::Mask { .. } | MountKind::ReadOnlyPath { .. })
}
