//! The preset: what the command line has by default.

use crate::command::Command;
use crate::config::capability::Capabilities;
use crate::config::mount::Mount;
use crate::config::namespace::Namespace;
use crate::config::root::Root;

/// Files of /proc through which uid 0 of the host changes the host, whatever its capabilities: the kernel looks
/// at the uid alone, and a root caller is uid 0 also inside.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Files of /proc that show the host's memory, keys or timers.
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
];

impl Command {
    /// Asks for a sandbox: all namespaces new but time, the caller mapped to root, the host's tree read-only with a
    /// fresh /proc, /dev and /tmp, a loopback interface that is up and no other, no capabilities, no new
    /// privileges, a session of its own, death with the parent.
    ///
    /// What is set afterwards changes it. Where the mount or pid namespace is shared afterwards, the preset's root
    /// and mounts, or its /proc, are not asked for.
    pub fn sandbox(&mut self) -> &mut Self {
        for kind in Namespace::ALL.into_iter().filter(|kind| *kind != Namespace::Time) {
            self.unshare(kind);
        }
        let mut mounts = vec![Mount::proc("/proc")];
        mounts.extend(READ_ONLY.map(|path| Mount::read_only_path(path).if_present()));
        mounts.extend(MASKED.map(|path| Mount::mask(path).if_present()));
        mounts.push(Mount::dev("/dev"));
        mounts.push(Mount::tmpfs("/tmp"));
        self.mounts.extend(mounts.into_iter().map(|mount| Mount { preset: true, ..mount }));
        self.root = Some(Root { preset: true, ..Root::host().read_only() });
        self.capabilities(Capabilities::NONE).no_new_privileges(true).new_session(true).die_with_parent(true)
    }

    /// The request without those parts of the preset that its namespaces have no place for.
    pub(crate) fn without_idle_preset(&self) -> Command {
        let mut command = self.clone();
        if !command.namespaces.is_new(Namespace::Mount) {
            command.root = command.root.filter(|root| !root.preset);
            command.mounts.retain(|mount| !mount.preset);
        }
        if !command.namespaces.is_new(Namespace::Pid) {
            command.mounts.retain(|mount| !(mount.preset && mount.target.starts_with("/proc")));
        }
        command
    }
}
