//! The presets: what a request begins from.

use std::path::{Path, PathBuf};

use seclude_sys::process::rlimit;

use crate::config::Config;
use crate::config::capability::{Capabilities, Capability};
use crate::config::cgroup::Cgroup;
use crate::config::ids::UserMap;
use crate::config::mount::{Mount, MountKind};
use crate::config::namespace::{Namespace, Origin};
use crate::config::preset::Preset;
use crate::config::rlimit::{Resource, UNLIMITED};
use crate::config::root::Root;
use crate::config::seccomp::Seccomp;
use crate::error::{Error, Result};
use crate::host::Host;

/// Files of /proc through which uid 0 of the host changes the host, whatever its capabilities: the kernel looks
/// at the uid alone.
const READ_ONLY: [&str; 8] = [
    "/proc/bus",
    "/proc/dynamic_debug",
    "/proc/fs",
    "/proc/irq",
    // Open to all: who writes there has the kernel look at the whole machine's load for it.
    "/proc/pressure",
    "/proc/sys",
    "/proc/sysrq-trigger",
    // Of the init alone, which whoever has its uid could have wait behind all that the command starts, sched(7).
    "/proc/1/autogroup",
];

/// Files that show the host's memory, keys or timers.
const MASKED: [&str; 14] = [
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
    // What others compute, by the power it takes: CVE-2020-8694.
    "/sys/devices/virtual/powercap",
];

/// What a container may have of processes and threads if nothing else is said: enough for a build, and too few to starve a machine.
const MOST_PROCESSES: u64 = 1024;

/// What keeps root out of the host's business by way of a /proc or /sys of the container's own.
pub(crate) fn masks(below: &str) -> impl Iterator<Item = Mount> {
    let read_only = READ_ONLY.into_iter().map(|path| Mount::read_only_path(path).if_present());
    let masked = MASKED.into_iter().map(|path| Mount::mask(path).if_present());
    read_only.chain(masked).filter(move |mount| mount.target.starts_with(below))
}

/// Whether this process is killed after others when memory runs out, as daemons are made to be, proc(5) oom_score_adj.
fn is_spared_by_the_oom_killer() -> bool {
    std::fs::read("/proc/self/oom_score_adj").is_ok_and(|score| score.starts_with(b"-"))
}

/// The limit of core dumps by which there are none. A program that the host has for them, core(5), is run as its root, and for a
/// process with a limit of 0 as well; a limit of 1 byte means that nobody is to be run.
fn most_of_a_core() -> u64 {
    let pattern = std::fs::read("/proc/sys/kernel/core_pattern");
    u64::from(pattern.is_ok_and(|pattern| pattern.starts_with(b"|")))
}

impl Config {
    /// What [`crate::Command::preset`] says.
    pub(crate) fn begin_from(&mut self, preset: Preset) {
        if preset == Preset::Bare {
            return;
        }
        for kind in Namespace::ALL.into_iter().filter(|kind| *kind != Namespace::Time) {
            self.namespaces.set(kind, Origin::New);
        }
        let mut mounts = vec![Mount::proc("/proc")];
        mounts.extend(masks("/proc"));
        mounts.push(Mount::dev("/dev"));
        mounts.push(Mount::tmpfs("/tmp"));
        self.mounts.extend(mounts.into_iter().map(|mount| Mount { preset: true, ..mount }));
        let root = if preset == Preset::Host { Root::host() } else { Root::sandbox() };
        self.root = Some(Root { preset: true, ..root.read_only() });
        self.user_map.get_or_insert(UserMap::Sandbox);
        self.preset = preset;
        self.nested = false;
        self.own_keyring = true;
        self.init = true;
        self.capabilities = Some(Capabilities::NONE);
        self.no_new_privileges = true;
        self.seccomp = Seccomp::standard();
        self.new_session = true;
        self.die_with_parent = true;
    }

    /// What [`crate::Command::no_namespaces`] says.
    pub(crate) fn forgo_namespaces(&mut self) {
        for kind in Namespace::ALL {
            self.namespaces.set(kind, Origin::Inherited);
        }
        self.mounts.retain(|mount| !mount.preset);
        self.root = self.root.take().filter(|root| !root.preset);
        self.user_map = self.user_map.take().filter(|map| *map != UserMap::Sandbox);
        self.init = false;
        self.no_namespaces = true;
    }

    /// Fails where namespaces are asked for that none are to be of.
    pub(crate) fn has_no_namespace_if_none_may_be(&self) -> Result<()> {
        if !self.no_namespaces {
            return Ok(());
        }
        const NAME: &str = "namespaces";
        let spaces = &self.namespaces;
        let error = match Namespace::ALL.into_iter().find(|kind| spaces.is_new(*kind) || spaces.is_joined(*kind)) {
            Some(kind) => Error::invalid(NAME, format!("a {kind} namespace is asked for, and that there is none"))
                .at_field(kind.field()),
            None if self.preset != Preset::Sandbox => {
                Error::invalid(NAME, "it is the sandbox that can go without").at("preset")
            }
            None if self.nested => Error::invalid(NAME, "user namespaces below, and none at all").at("nested"),
            None => return Ok(()),
        };
        Err(error.contradicting())
    }

    /// The request with what its namespaces bring along, and without those parts of the preset that they have no place for.
    pub(crate) fn completed(&self) -> Config {
        let mut command = self.without_idle_preset();
        let spaces = &command.namespaces;
        let shows =
            |mount: &Mount| mount.target == Path::new("/proc") && !matches!(mount.kind, MountKind::Directory { .. });
        if spaces.is_new(Namespace::Pid) && spaces.is_new(Namespace::Mount) && !command.mounts.iter().any(shows) {
            let mut mounts = vec![Mount::proc("/proc")];
            mounts.extend(masks("/proc").filter(|_| !(command.is_sandboxed() && command.nested)));
            let added = mounts.into_iter().map(|mount| Mount { preset: true, ..mount });
            command.mounts.splice(0..0, added);
        }
        if command.is_sandboxed() && !command.nested {
            command.mask_own_views();
        }
        command
    }

    /// Whoever asks for a /proc or /sys of its own, wherever, has it with the preset's masks.
    fn mask_own_views(&mut self) {
        let mut mounts = Vec::with_capacity(self.mounts.len());
        for mount in std::mem::take(&mut self.mounts) {
            let view = match &mount.kind {
                _ if mount.preset => None,
                MountKind::Proc { .. } => Some("/proc"),
                MountKind::Sysfs { .. } => Some("/sys"),
                MountKind::FileSystem { name, .. } if name == "proc" => Some("/proc"),
                MountKind::FileSystem { name, .. } if name == "sysfs" => Some("/sys"),
                _ => None,
            };
            let target = mount.target.clone();
            mounts.push(mount);
            mounts.extend(view.into_iter().flat_map(masks).map(|mask| {
                let below = mask.target.components().skip(2).collect::<PathBuf>();
                Mount { preset: true, target: target.join(below), ..mask }
            }));
        }
        self.mounts = mounts;
    }

    /// A root caller's cgroups are its uid's to write, whatever else the command may do: where it could come to see a
    /// hierarchy, the container has a cgroup of its own in each.
    pub(crate) fn with_cgroup_of_its_own(mut self, host: &Host) -> Config {
        if host.uid == 0 && self.could_see_cgroups() {
            match &mut self.cgroup {
                Some(cgroup) => cgroup.everywhere = true,
                None => self.cgroup = Some(Cgroup { everywhere: true, implied: true, ..Cgroup::default() }),
            }
        }
        self
    }

    /// Names of unix sockets that no file has are the network namespace's. Where that is not its own, landlock leaves those of the command's own
    /// programs (Linux 6.12): a desktop's session and display are among the others.
    pub(crate) fn with_names_of_its_own(mut self, host: &Host) -> Config {
        const SCOPES: u32 = 6;
        let is_others = !self.namespaces.is_new(Namespace::Net) && !self.no_namespaces;
        let takes_rules = self.no_new_privileges && host.landlock >= SCOPES;
        self.landlock.sockets |= self.preset == Preset::Sandbox && is_others && takes_rules;
        self
    }

    /// No core files, no priority above others, and [`MOST_PROCESSES`] processes and threads, unless something else is said of them.
    ///
    /// The kernel counts them by the user and, from Linux 5.14 on, by the user namespace: that costs nothing and holds for whoever has no
    /// way to another uid. Root of the host is counted by nobody, and before 5.14 a user's other processes are counted along:
    /// there a cgroup does it.
    pub(crate) fn with_limits_of_its_own(mut self, host: &Host) -> Config {
        let names = |config: &Config, wanted: Resource| config.rlimits.iter().any(|(named, ..)| *named == wanted);
        if !self.is_sandboxed() {
            return self;
        }
        if !names(&self, Resource::CORE) {
            let hard = rlimit(Resource::CORE.number()).map_or(UNLIMITED, |(_, hard)| hard);
            // Raised it cannot be by who has a user namespace of its own.
            let most = most_of_a_core().min(hard);
            self.rlimits.push((Resource::CORE, most, most));
        }
        // What a login has: no way to priorities that others have to wait for.
        for resource in [Resource::RTPRIO, Resource::NICE] {
            if !names(&self, resource) && rlimit(resource.number()).is_ok_and(|(_, hard)| hard != 0) {
                self.rlimits.push((resource, 0, 0));
            }
        }
        if self.oom_score_adj.is_none() && is_spared_by_the_oom_killer() {
            self.oom_score_adj = Some(0);
        }
        let limited = self.cgroup.as_ref().is_some_and(|cgroup| cgroup.limits.pids_max.is_some());
        if self.namespaces.is_new(Namespace::User) {
            // The kernel counts these for the caller as well, whose own programs would find nothing left.
            for resource in [Resource::MEMLOCK, Resource::MSGQUEUE, Resource::SIGPENDING] {
                if !names(&self, resource)
                    && let Ok((soft, _)) = rlimit(resource.number())
                    && soft != UNLIMITED
                {
                    self.rlimits.push((resource, soft / 2, soft / 2));
                }
            }
        }
        // Without a user namespace its user's other processes would be counted along, and a cgroup may not be there to be had.
        if self.no_namespaces || limited || names(&self, Resource::NPROC) || self.joined_cgroup.is_some() {
            return self;
        }
        // Whoever can become others is counted once for each. Below root there may be no cgroup to be had.
        let many = self.capabilities.is_none_or(|set| set.bits() & Capability::SETUID.bit() != 0);
        if self.is_counted_alone(host) && !(many && host.uid == 0 && host.first_user_namespace) {
            // Nobody below root raises a hard one.
            let own = rlimit(Resource::NPROC.number()).map_or(MOST_PROCESSES, |(_, hard)| hard);
            // The caller's own are counted along, and it is to have some left.
            let own = if host.uid == 0 { own } else { own / 2 };
            let most = own.min(MOST_PROCESSES);
            self.rlimits.push((Resource::NPROC, most, most));
        } else {
            let cgroup = self.cgroup.get_or_insert_with(|| Cgroup { implied: true, ..Cgroup::default() });
            cgroup.limits.pids_max = Some(MOST_PROCESSES);
        }
        self
    }

    /// Whether the kernel counts the container's processes for its user, and no others with them.
    fn is_counted_alone(&self, host: &Host) -> bool {
        if self.namespaces.is_joined(Namespace::User) {
            // With those of the container that it joins.
            return host.counts_by_namespace;
        }
        let ids = match self.user_map.as_ref().filter(|_| self.namespaces.is_new(Namespace::User)) {
            None | Some(UserMap::HostRoot) => return false,
            // Nobody else has them.
            Some(UserMap::Sandbox | UserMap::SubIds) if host.gives_ids() => return true,
            Some(ids) => ids,
        };
        // Root of a namespace below is somebody else outside.
        let is_roots = host.uid == 0 && host.first_user_namespace && !matches!(ids, UserMap::Extents { .. });
        !is_roots && host.counts_by_namespace
    }

    /// Whether the command could mount a hierarchy and, where it is the host's root, be the owner of what it finds there.
    pub(crate) fn could_mount_cgroups(&self) -> bool {
        let may_mount = self.capabilities.is_none_or(|set| set.bits() & Capability::SYS_ADMIN.bit() != 0);
        self.is_sandboxed() && may_mount && self.namespaces.is_new(Namespace::Cgroup)
    }

    /// Whether the command could mount a hierarchy, as whoever may write to the cgroup that it is in.
    pub(crate) fn could_see_cgroups(&self) -> bool {
        let is_host_root = self.user_map == Some(UserMap::HostRoot) || !self.namespaces.is_new(Namespace::User);
        let could = self.nested || is_host_root || crate::step::has_inner(self);
        self.is_sandboxed() && could && self.namespaces.is_new(Namespace::Cgroup)
    }

    /// Where the sandbox shows the host's tree: a /sys of its own, as the host's tells of the host's network.
    pub(crate) fn with_places_of_its_own(mut self, host: &Host) -> Config {
        let spaces = &self.namespaces;
        let shows_the_host = self.root.as_ref().is_none_or(Root::shows_the_host);
        if !self.is_sandboxed() || !spaces.is_new(Namespace::Mount) || !shows_the_host {
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
        } else if self.root.as_ref().is_some_and(Root::is_curated) && host.places.sys {
            // The host's, as the whole of its tree would have it.
            let host = [Mount::bind("/sys", "/sys").read_only().for_strangers()];
            self.mounts.splice(0..0, host.into_iter().chain(masks("/sys")).map(own));
        }
        self
    }

    fn without_idle_preset(&self) -> Config {
        let mut command = self.clone();
        if !command.namespaces.is_new(Namespace::Mount) {
            command.root = command.root.filter(|root| !root.preset);
            command.mounts.retain(|mount| !mount.preset);
        }
        if !command.namespaces.is_new(Namespace::Pid) {
            command.mounts.retain(|mount| !(mount.preset && mount.target.starts_with("/proc")));
            command.init &= command.init_is_asked_for;
        }
        if command.is_sandboxed() && command.nested {
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
