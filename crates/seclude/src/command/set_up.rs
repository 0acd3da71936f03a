//! For whoever takes part in the set-up, as a runtime of engines does.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Command;
use crate::config::born::{WhenBorn, WhenListening};

impl Command {
    /// Its terminal lies on `/dev/console` as well, which is made where it is missing.
    pub fn console(&mut self, on: bool) -> &mut Self {
        self.config.console = on;
        self
    }

    /// Gives a device of the caller's network namespace to the container's own, or to one that is joined, as `inside` (a `%d` in it is the first number that
    /// is free): with its permanent addresses, and up. It is moved once the mounts are made. When the namespace ends, the kernel gives back what is hardware; what
    /// was made (veth, dummy, vlan, …) goes with it. A start that fails after that gives all of them back as they were. Takes CAP_NET_ADMIN. Linux 5.13 where
    /// the namespace is joined.
    ///
    /// # Errors
    /// Of [`Command::spawn`]: there is none of that name, or there is one of the other name already; a `%` beside one `%d`; no network namespace but the
    /// caller's, also by joining that.
    pub fn net_device(&mut self, name: impl Into<String>, inside: impl Into<String>) -> &mut Self {
        self.config.net_devices.push((name.into(), inside.into()));
        self
    }

    /// Has the command wait for somebody else when everything is done but its exec: for whoever connects to `listener`, a unix socket
    /// of type SOCK_SEQPACKET that listens, and lets it go with [`crate::release`]. The socket is its only descriptor besides the command's own. The
    /// command has been found then, and may be executed by its user.
    ///
    /// [`Command::spawn`] returns when it waits. It ends with the [`crate::Child`], and with this process, until [`crate::Child::leave`]. Needs
    /// [`Command::die_with_parent`] off, and no init.
    pub fn hold(&mut self, listener: impl Into<OwnedFd>) -> &mut Self {
        self.config.waits_on = Some(Arc::new(listener.into()));
        self
    }

    /// Does something in this process while the new one waits at its barrier, with its pid: its namespaces, ids and cgroup are there, and
    /// nothing else yet. An error fails the start.
    pub fn when_born(&mut self, work: impl Fn(u32) -> std::io::Result<()> + Send + Sync + 'static) -> &mut Self {
        self.config.when_born = Some(WhenBorn::new(work));
        self
    }

    /// The same once its mounts are made and before it leaves the caller's tree. Whoever enters its mount namespace meanwhile, setns(2), has the
    /// caller's tree for its root, and the container's root lies on the directory that it is made of; what is mounted there then is the container's alone.
    /// (A root that is no directory of the host's, or whose mounts need memory of its own - overlays, files from bytes - lies over `/` instead.)
    ///
    /// # Errors
    /// Of [`Command::spawn`]: without a new mount namespace, and whatever `work` answers.
    pub fn when_mounted(&mut self, work: impl Fn(u32) -> std::io::Result<()> + Send + Sync + 'static) -> &mut Self {
        self.config.when_mounted = Some(WhenBorn::new(work));
        self
    }

    /// The root of the command is the directory that is open as `fd` (O_PATH will do), by chroot(2) once its namespaces are entered: that of a
    /// process which is in no other mount namespace than the caller, and has another root. It takes the place of a root of its own.
    ///
    /// # Errors
    /// Of [`Command::spawn`]: with a root, mounts, or a mount namespace of its own; `CAP_SYS_CHROOT` is needed.
    pub fn enter_root_fd(&mut self, fd: impl Into<OwnedFd>) -> &mut Self {
        self.config.entered_root = Some(Arc::new(fd.into()));
        self
    }

    /// The working directory is entered with the rights of set-up, not with those of the command, which begins there even where it could not go by
    /// itself: as others' runtimes do. Default: false.
    pub fn current_dir_by_set_up(&mut self, on: bool) -> &mut Self {
        self.config.enters_by_set_up = on;
        self
    }

    /// Whether the directories on the way to what is held back (read-only, masked, a file of its own) of something that the command may write
    /// to are held with it, each by a mount of itself: renamed, they would take it along, and leave its path to the command. The kernel moves
    /// nothing from one mount to another, rename(2), and a symlink on the way is an error. With the presets that show the host they are in
    /// any case; default else: false, as in others' runtimes.
    pub fn hold_ways(&mut self, on: bool) -> &mut Self {
        self.config.holds_ways = on;
        self
    }

    /// Hands over the listener of a filter that asks (SCMP_ACT_NOTIFY), with the pid of its process, seccomp_unotify(2), Linux 5.0: before the command is
    /// executed, and before this returns nothing of what it asks is answered. A command that waits ([`Command::hold`]) and has no_new_privs gets its filter
    /// when it is let go: [`crate::release_with`].
    ///
    /// # Errors
    /// Of [`Command::spawn`]: whatever `work` answers; EBUSY below a filter that has a listener already; a profile that asks about the calls by
    /// which the listener is handed over.
    pub fn when_listening(
        &mut self,
        work: impl Fn(u32, OwnedFd) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> &mut Self {
        self.config.when_listening = Some(WhenListening::new(work));
        self
    }
}
