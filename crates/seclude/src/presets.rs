//! What a command begins from, said to the builder.

use std::path::{Component, Path, PathBuf};

use crate::command::Command;
use crate::config::ids::UserMap;
use crate::config::preset::Preset;
use crate::config::start::Shown;

impl Command {
    /// Begins from this preset. To be called before anything else is said of the container.
    pub fn preset(&mut self, preset: Preset) -> &mut Self {
        self.config.begin_from(preset);
        self
    }

    /// Asks for a sandbox: all namespaces new but time; for root 65,536 ids of the host that nobody has, for another caller
    /// itself as root ([`UserMap::Sandbox`]); of the host's files /usr, /bin, /sbin, /lib*, /opt, /etc without its secrets, the stores of Nix and
    /// Guix, and where the caller is, all read-only; a fresh /proc, /sys and /dev; an empty /tmp, /var/tmp, /run and home, in memory; of the environment
    /// what [`Command::inherit_env`] says; a loopback
    /// interface that is up and no other; a tiny init as the first process; no capabilities, no new privileges, no user
    /// namespaces below it; a session and a session keyring of its own; the nice value and personality of a new login; death
    /// with the parent.
    ///
    /// What is set afterwards changes what it names, and nothing else. Where the mount or pid namespace is shared afterwards,
    /// the preset's root and mounts, or its /proc and its init, are not asked for.
    pub fn sandbox(&mut self) -> &mut Self {
        self.preset(Preset::Sandbox)
    }

    /// Asks for the sandbox without any namespace, for hosts that give none: what landlock, the filter of system calls, capabilities and
    /// limits confine without one. To be called before anything else is said of the container.
    ///
    /// The host's files are where they are, and closed but for its programs and their configuration, what [`Command::ro`] and
    /// [`Command::rw`] name, and where the caller is, to read. HOME and TMPDIR are in a new directory among the host's temporary files,
    /// which goes with the command; one that may outlive this process has none. Nothing of /proc is open that is of a process. No TCP port can be
    /// connected to or bound, but those of [`Command::landlock`], and until the kernel has rules for them no unix sockets and no UDP, but by
    /// allowing `socket` in [`Command::seccomp`].
    ///
    /// The host's root, if that is the caller and no other user is asked for, can change no modes, owners or times of files there: it owns
    /// what everybody runs.
    ///
    /// [`crate::Report::not_isolated`] says what the command shares with the host all the same: a boundary, but a smaller one. Linux
    /// 6.12, unless [`crate::Feature::Landlock`] is preferred.
    pub fn no_namespaces(&mut self) -> &mut Self {
        if self.config.preset == Preset::Bare {
            self.config.begin_from(Preset::Sandbox);
        }
        self.config.forgo_namespaces();
        self
    }

    /// Shows this file or directory of the host inside, by the same path, read-only. A relative one begins where the caller is; a
    /// home, or what is above one, is an error without [`Command::whole_home`]; and so is a path with a symlink in it (but for one in `/`): whoever
    /// can write where it lies would choose what is shown.
    pub fn ro(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.show(path.as_ref(), false)
    }

    /// The same, writable: what the command makes there stays, and is the caller's. New set-user-ID programs cannot be made there; one of
    /// others that is there already can be given another content (by a shared mapping, mmap(2)): name no directory with such.
    pub fn rw(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.show(path.as_ref(), true)
    }

    pub(crate) fn show(&mut self, path: &Path, written: bool) -> &mut Self {
        self.config.shown.push(Shown { path: path_inside(path), written });
        self
    }

    /// Whether [`Command::ro`] and [`Command::rw`] may show a home, with all keys in it.
    pub fn whole_home(&mut self, on: bool) -> &mut Self {
        self.config.whole_home = on;
        self
    }

    /// How many bytes the sandbox's own directories hold together: /tmp, /var/tmp, /run and the home; /dev/shm as many by itself.
    /// 1 GiB unless said; more is ENOSPC. They are in memory, and count as the command's.
    pub fn max_tmp(&mut self, bytes: u64) -> &mut Self {
        self.config.max_tmp = Some(bytes);
        self
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
    ///
    /// In mount namespaces of its own it is not held by what is mounted in others: nothing can be read-only or masked inside what it may
    /// write. And of root's callers, what it may write is where others do not come, or mounted nosuid: an overlay that it mounts copies programs
    /// with set-id bits there.
    pub fn nested(&mut self, on: bool) -> &mut Self {
        self.config.nested = on;
        self
    }
}

/// Its path from `/` on, without `.` and `..`: a link in it is not followed for them, as nothing in what is shown is by a link.
fn path_inside(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
        plain
    })
}
