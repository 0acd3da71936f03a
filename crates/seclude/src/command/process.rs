//! What the command is inside: its ids, its rights, its limits of setrlimit(2), and how the kernel schedules it.

use super::Command;
use crate::config::capability::{Capabilities, CapabilitySets};
use crate::config::landlock::Landlock;
use crate::config::rlimit::Resource;
use crate::config::scheduling::{MemoryPolicy, Scheduler};
use crate::config::seccomp::Seccomp;

impl Command {
    /// The command's user id inside, real, effective and saved. Must be mapped in a new user namespace.
    pub fn uid(&mut self, uid: u32) -> &mut Self {
        self.config.identity.uid = Some(uid);
        self
    }

    /// The command's group id inside.
    pub fn gid(&mut self, gid: u32) -> &mut Self {
        self.config.identity.gid = Some(gid);
        self
    }

    /// The command's supplementary groups inside. Without it, a change of uid or gid empties them where the kernel
    /// lets it (an unprivileged caller without subordinate ids cannot change them: `setgroups` is denied there).
    pub fn groups(&mut self, groups: impl Into<Vec<u32>>) -> &mut Self {
        self.config.identity.groups = Some(groups.into());
        self
    }

    /// The file mode creation mask, umask(2); the caller's unless said.
    pub fn umask(&mut self, mask: u32) -> &mut Self {
        self.config.umask = Some(mask);
        self
    }

    /// A resource limit, setrlimit(2), in the resource's own unit; [`crate::UNLIMITED`] is none.
    pub fn rlimit(&mut self, resource: Resource, soft: u64, hard: u64) -> &mut Self {
        self.config.rlimits.push((resource, soft, hard));
        self
    }

    /// The capabilities that the command may have: its bounding, permitted and effective set. Its inheritable set
    /// is emptied. A command that does not run as uid 0 keeps them over exec only as [`Command::ambient`] ones.
    pub fn capabilities(&mut self, capabilities: Capabilities) -> &mut Self {
        self.config.capabilities = Some(capabilities);
        self
    }

    /// Capabilities that stay over exec for a command that is not uid 0, and are inheritable for that.
    pub fn ambient(&mut self, capabilities: Capabilities) -> &mut Self {
        self.config.ambient = capabilities;
        self
    }

    /// All five sets of capabilities, each for itself, instead of [`Command::capabilities`] and [`Command::ambient`].
    pub fn capability_sets(&mut self, sets: CapabilitySets) -> &mut Self {
        self.config.capability_sets = Some(sets);
        self.config.capabilities = Some(sets.bounding);
        self.config.ambient = Capabilities::NONE;
        self
    }

    /// Whether an exec may not gain privileges (setuid bits, file capabilities): on, unless switched off.
    pub fn no_new_privileges(&mut self, on: bool) -> &mut Self {
        self.config.no_new_privileges = on;
        self
    }

    /// Which system calls it may make, seccomp(2). Default: in the sandbox [`Seccomp::standard`], else [`Seccomp::none`].
    ///
    /// Without `no_new_privs` the kernel wants CAP_SYS_ADMIN of whoever installs a filter: it is an error where there is none.
    pub fn seccomp(&mut self, seccomp: Seccomp) -> &mut Self {
        self.config.seccomp = seccomp;
        self
    }

    /// What it may reach by landlock, besides whatever else confines it; the paths are those inside. Default: no rules.
    ///
    /// What the kernel does not have is an error, unless [`crate::Feature::Landlock`] is preferred. Without `no_new_privs` the kernel wants
    /// CAP_SYS_ADMIN of whoever restricts itself.
    pub fn landlock(&mut self, landlock: Landlock) -> &mut Self {
        self.config.landlock = landlock;
        self
    }

    /// How eager the kernel is to kill the process when memory runs out, -1000 to 1000, proc(5). The process is
    /// then made by a copying clone: with shared memory the kernel would change the caller's value too.
    pub fn oom_score_adj(&mut self, value: i16) -> &mut Self {
        self.config.oom_score_adj = Some(value);
        self
    }

    /// The AppArmor profile that confines it, apparmor(7), which the host has loaded. Where AppArmor is not there it is an error.
    pub fn apparmor(&mut self, profile: impl Into<String>) -> &mut Self {
        self.config.apparmor = Some(profile.into());
        self
    }

    /// The SELinux label that it has, selinux(8). Where SELinux is not there it is an error.
    pub fn selinux(&mut self, label: impl Into<String>) -> &mut Self {
        self.config.selinux = Some(label.into());
        self
    }

    /// The execution domain, personality(2).
    pub fn personality(&mut self, persona: u32) -> &mut Self {
        self.config.scheduling.personality = Some(persona);
        self
    }

    /// How the kernel schedules it, sched_setattr(2).
    pub fn scheduler(&mut self, scheduler: Scheduler) -> &mut Self {
        self.config.scheduling.scheduler = Some(scheduler);
        self
    }

    /// The priority of its block I/O, ioprio_set(2): the class (1 realtime, 2 best effort, 3 idle), and the level in it, 0 to 7.
    pub fn io_priority(&mut self, class: u8, level: u8) -> &mut Self {
        self.config.scheduling.io_priority = Some(u32::from(class) << 13 | u32::from(level));
        self
    }

    /// Of which nodes it gets memory, set_mempolicy(2).
    pub fn memory_policy(&mut self, policy: MemoryPolicy) -> &mut Self {
        self.config.scheduling.memory = Some(policy);
        self
    }

    /// A session of its own without a terminal: no keyboard signals, and no way to push input into the caller's
    /// terminal (TIOCSTI, CVE-2017-5226).
    pub fn new_session(&mut self, on: bool) -> &mut Self {
        self.config.new_session = on;
        self
    }

    /// A parameter of the kernel, sysctl(8), that a namespace of the container has for itself: `net.…` of a net namespace, `fs.mqueue.…` and
    /// those of System V of an ipc namespace, new or joined. It is written before the command's tree is made, with the rights of set-up.
    pub fn sysctl(&mut self, key: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.config.sysctls.push((key.into(), value.into()));
        self
    }

    /// The processors that it may run on, by their numbers from 0, sched_setaffinity(2): at least one that its cgroup leaves it, or the start is refused.
    /// Default: the caller's.
    pub fn cpu_affinity(&mut self, processors: impl IntoIterator<Item = u32>) -> &mut Self {
        self.config.scheduling.processors = Some(processors.into_iter().collect());
        self
    }

    /// A session keyring of its own, keyrings(7): on in the sandbox. Without it the command reads the caller's keys, and can
    /// plant others.
    pub fn new_keyring(&mut self, on: bool) -> &mut Self {
        self.config.own_keyring = on;
        self
    }

    /// Starts the command with these signals blocked (signal N is bit N-1); none unless said.
    pub fn signal_mask(&mut self, mask: u64) -> &mut Self {
        self.config.signal_mask = mask;
        self
    }

    /// Leaves those of these signals (signal N is bit N-1) ignored that the caller ignores, as nohup(1) and the background of a
    /// shell script want it; every other one has its default disposition. A Rust program ignores SIGPIPE for itself, so that is best
    /// not among them unless [`crate::sigpipe_ignored_at_start`]. signal(7).
    pub fn keep_ignored_signals(&mut self, signals: u64) -> &mut Self {
        self.config.keep_ignored = signals;
        self
    }
}
