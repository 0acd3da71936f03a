//! What to start, and in what: the builder.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use seclude_cgroup::Limits;
use seclude_child::entry::copy_of;
use seclude_sys::terminal::WindowSize;

use crate::child::Child;
use crate::config::Config;
use crate::config::born::{WhenBorn, WhenListening};
use crate::config::capability::{Capabilities, CapabilitySets};
use crate::config::cgroup::{Cgroup, JoinedCgroup};
use crate::config::clone::CloneWay;
use crate::config::feature::Feature;
use crate::config::ids::UserMap;
use crate::config::landlock::Landlock;
use crate::config::mount::{Mount, Source};
use crate::config::namespace::{Joined, Namespace, Origin};
use crate::config::network::{Dns, Names, Network, Pasta, Veth};
use crate::config::rlimit::Resource;
use crate::config::root::Root;
use crate::config::scheduling::{MemoryPolicy, Scheduler};
use crate::config::seccomp::Seccomp;
use crate::config::stdio::Stdio;
use crate::error::Result;
use crate::exit::Output;
use crate::host::Host;
use crate::patience::Canceller;
use crate::plan::Plan;
use crate::why::Why;

/// A command and the container that its process is born in; `std::process::Command` with more to say.
///
/// Nothing is isolated unless asked for. [`Command::sandbox`] asks for what the command line has by default.
///
/// ```no_run
/// let output = seclude::Command::new("id").sandbox().output()?;
/// assert!(String::from_utf8_lossy(&output.stdout).starts_with("uid=0(root)"));
/// # Ok::<(), seclude::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Command {
    pub(crate) config: Config,
}

impl Command {
    /// A command by its path, or by its name in a directory of `PATH` — the one inside, in the container's root.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command {
            config: Config::new(program.as_ref().to_owned(), |config| {
                crate::prefer::spawn(config, crate::spawn::spawn)
            }),
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.config.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        self.config.add_args(args);
        self
    }

    /// What the command sees as its own name, instead of the program.
    pub fn arg0(&mut self, arg0: impl AsRef<OsStr>) -> &mut Self {
        self.config.arg0 = Some(arg0.as_ref().to_owned());
        self
    }

    /// Sets an environment variable; the others are the caller's, in the sandbox as far as [`Command::inherit_env`] says.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.config.env.push((key.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.config.env.push((key.as_ref().to_owned(), None));
        self
    }

    /// Starts from an empty environment; forgets what [`Command::env`] set so far.
    pub fn env_clear(&mut self) -> &mut Self {
        self.config.clear_env = true;
        self.config.env.clear();
        self.config.kept_env.clear();
        self
    }

    /// Has these variables in the stead of what is handed on of the caller's environment by itself. What is asked for, by name
    /// ([`Command::inherit_env`]) or as a whole ([`Command::env_all`]), is handed on besides; all that is set or removed one by one wins.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> &mut Self {
        self.config.clear_env |= self.config.whole_env != Some(true);
        let variables = variables.into_iter().map(|(name, value)| (name, Some(value)));
        self.config.env.splice(0..0, variables);
        self
    }

    /// Hands on this variable of the caller's environment. The sandbox hands on PATH, TERM, LANG, LC_*, TZ and NO_COLOR, and else
    /// none but what is named here.
    pub fn inherit_env(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.config.kept_env.push(key.as_ref().to_owned());
        self
    }

    /// Whether the whole environment of the caller is handed on, which is so unless the sandbox was begun from; HOME is the sandbox's
    /// own there all the same, unless it is named with [`Command::inherit_env`].
    pub fn env_all(&mut self, on: bool) -> &mut Self {
        self.config.whole_env = Some(on);
        self
    }

    /// What is the caller's environment, where it was looked at before the start: in a language whose own threads change it.
    pub fn caller_env(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> &mut Self {
        self.config.caller_env = Some(variables.into_iter().collect());
        self
    }

    /// The working directory inside. Without it: the caller's, if the container has the host's tree, else `/`. The sandbox shows it
    /// read-only where it is; if it is a home, above one, or below something hidden in one, the command begins in its new, empty
    /// home instead ([`crate::Report::moved_from`]).
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.config.workdir = Some(directory.as_ref().to_owned());
        self
    }

    /// The directory of the host that the command is to begin in, as if the caller stood there: the sandbox shows it, read-only, by the
    /// same path. In any other tree it is [`Command::current_dir`], which wins.
    pub fn caller_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        let directory = directory.as_ref();
        // By its real name, as the caller would be there; what is missing is an error of the start.
        self.config.caller_dir = Some((directory.to_owned(), directory.canonicalize().ok()));
        self
    }

    /// Where stdin comes from; inherited unless said ([`Command::output`]: /dev/null).
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.config.stdin = Some(stdin.into());
        self
    }

    /// Where stdout goes; inherited unless said ([`Command::output`]: a pipe).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.config.stdout = Some(stdout.into());
        self
    }

    /// Where stderr goes; inherited unless said ([`Command::output`]: a pipe).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.config.stderr = Some(stderr.into());
        self
    }

    /// Gives the command the caller's own descriptor `from`, as it is now, as descriptor `number` (3 or more): for numbers that a
    /// caller was told, such as a job server's. fcntl(2).
    ///
    /// # Errors
    /// EBADF if it is not open, EMFILE.
    pub fn inherit_fd(&mut self, from: i32, number: i32) -> std::io::Result<&mut Self> {
        let copied = copy_of(from).map_err(|errno| std::io::Error::from_raw_os_error(errno.0.into()))?;
        Ok(self.fd(copied, number))
    }

    /// Gives the command `fd` as descriptor `number` (3 or more). All others are closed. In the sandbox a regular file that is open for
    /// reading alone is opened anew, read-only, from its offset on, and one that is open for writing alone is a pipe for the command (see
    /// [`Stdio::inherit`](crate::Stdio::inherit)); one that is open for both is handed on as it is, and so is a socket, in whatever network it was made, and a directory,
    /// from which the command comes to all of the tree that it is in.
    pub fn fd(&mut self, fd: impl Into<OwnedFd>, number: i32) -> &mut Self {
        self.config.fds.push((Arc::new(fd.into()), number));
        self
    }

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
    /// What the kernel does not have is an error, unless [`Feature::Landlock`] is preferred. Without `no_new_privs` the kernel wants
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

    /// Whether the command is killed when the spawning process ends: on, unless switched off.
    pub fn die_with_parent(&mut self, on: bool) -> &mut Self {
        self.config.die_with_parent = on;
        self
    }

    /// A session of its own without a terminal: no keyboard signals, and no way to push input into the caller's
    /// terminal (TIOCSTI, CVE-2017-5226).
    pub fn new_session(&mut self, on: bool) -> &mut Self {
        self.config.new_session = on;
        self
    }

    /// A pseudoterminal of this size as stdin, stdout and stderr where they are not given otherwise, and a session
    /// that it controls. [`Child::take_terminal`] has the other end.
    pub fn terminal(&mut self, rows: u16, columns: u16) -> &mut Self {
        self.config.terminal = Some(WindowSize { rows, columns, width: 0, height: 0 });
        self
    }

    /// Its terminal lies on `/dev/console` as well, which is made where it is missing.
    pub fn console(&mut self, on: bool) -> &mut Self {
        self.config.console = on;
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
    /// [`Command::spawn`] returns when it waits. It ends with the [`Child`], and with this process, until [`Child::leave`]. Needs
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
    /// The child has a copy of the caller's memory, [`CloneWay::Copy`], which takes the longer the more that is: what is in such a
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

    /// Goes on without this feature where the host does not have it; [`crate::Report::preferred`] says whether it is
    /// so. Everything that was asked for is required unless this names it. A value out of range is an error also then.
    ///
    /// Limits are left out one by one; for any other feature the start is made again without it, once for each.
    pub fn prefer(&mut self, feature: Feature) -> &mut Self {
        self.config.preferred.push(feature);
        self
    }

    /// A session keyring of its own, keyrings(7): on in the sandbox. Without it the command reads the caller's keys, and can
    /// plant others.
    pub fn new_keyring(&mut self, on: bool) -> &mut Self {
        self.config.own_keyring = on;
        self
    }

    /// Runs the command below a tiny init as PID 1, which reaps orphans, forwards signals, and ends with the
    /// command; needs a new pid namespace.
    pub fn init(&mut self, on: bool) -> &mut Self {
        self.config.init = on;
        self.config.init_is_asked_for = on;
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

    /// Kills the process this long after [`Command::spawn`] was called. Set-up and the exec are held to it too: a start that
    /// is not done by then fails. From then on it is enforced by whoever waits: [`Child::wait`] and its relatives.
    pub fn deadline(&mut self, after: Duration) -> &mut Self {
        self.config.deadline = Some(after);
        self
    }

    /// Lets `canceller` end the start: one that waits for a file system that does not answer, say.
    pub fn cancelled_by(&mut self, canceller: &Canceller) -> &mut Self {
        self.config.canceller = Some(canceller.clone());
        self
    }

    /// For a program that is there for one container and nothing else: `end` ends the *program* where a start that is late or
    /// was cancelled cannot be ended itself, as its process is in a call that nothing interrupts (of a FUSE file system whose
    /// daemon does not answer) and still has the program's memory.
    ///
    /// Without it a start that has a deadline or a [`Canceller`] is made by a thread of its own, which stays behind then; the
    /// thread costs some 50 microseconds.
    pub fn when_stuck(&mut self, end: fn() -> !) -> &mut Self {
        self.config.stuck = Some(end);
        self
    }

    /// Whether dropping the handle of a running process kills and reaps it: on, unless switched off. Off, what the host
    /// has for the container (the kernel's leftovers in the work directory of an overlay) stays after its end.
    pub fn kill_on_drop(&mut self, on: bool) -> &mut Self {
        self.config.kill_on_drop = on;
        self
    }

    /// How to clone; [`CloneWay::Auto`] unless said.
    pub fn clone_way(&mut self, way: CloneWay) -> &mut Self {
        self.config.clone = way;
        self
    }

    /// Measures the time of each step for the report: about a tenth of a microsecond an op.
    pub fn timed(&mut self, on: bool) -> &mut Self {
        self.config.timed = on;
        self
    }

    /// For tests: what goes wrong, and where.
    #[cfg(feature = "fault")]
    #[doc(hidden)]
    pub fn fault(&mut self, place: crate::fault::Place, fault: crate::fault::Fault) -> &mut Self {
        self.config.fault = Some((place, fault));
        self
    }

    /// Compiles the request for this host, to look at or to spawn. Makes no process, opens nothing.
    ///
    /// # Errors
    /// What contradicts itself or is out of range.
    pub fn plan(&self) -> Result<Plan> {
        Plan::of(&self.config)
    }

    /// Compiles the request for this host, to ask what the command may do: which paths it may read, write and execute, and which system calls
    /// its filter lets through. It starts nothing and makes nothing; of the host's files it looks at those that questions lead to.
    ///
    /// ```no_run
    /// use seclude::{Command, Question, Verdict};
    ///
    /// let why = Command::new("make").sandbox().why()?;
    /// let answer = why.answer(&Question::Write("/usr/bin/x".into()))?;
    /// assert_eq!(answer.verdict, Verdict::Refused);
    /// # Ok::<(), seclude::Error>(())
    /// ```
    ///
    /// # Errors
    /// What contradicts itself or is out of range.
    pub fn why(&self) -> Result<Why> {
        Why::of(&self.config)
    }

    /// Starts the process; when this returns, the command runs (its exec has succeeded).
    ///
    /// # Errors
    /// The step that failed; nothing is left of it.
    pub fn spawn(&mut self) -> Result<Child> {
        crate::prefer::spawn(&self.config, crate::spawn::spawn)
    }

    /// Goes through all of a start but the exec, in a throwaway process, and undoes it: limits, maps, mounts, links and all.
    /// Last it looks whether the command is there and may be executed; whether its interpreter or loader is there only
    /// the exec itself can tell.
    ///
    /// # Errors
    /// The first step that fails, as [`Command::spawn`]; nothing is left of it.
    pub fn rehearse(&self) -> Result<()> {
        let mut command = self.clone();
        command.config.rehearsal = true;
        match command.spawn() {
            Err(error) if error.ends_rehearsal() && !error.has_resisted() => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(crate::error::Error::invalid("exec", "a rehearsal has run the command")),
        }
    }

    /// [`Command::spawn`] on a thread that lives as long as the program. Death with the parent follows the thread that made
    /// the process; elsewhere than on the main thread `spawn` gives each process a thread of its own for that, which this
    /// saves. If the calling thread does end, the container dies with it.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn_on_this_thread(&mut self) -> Result<Child> {
        crate::prefer::spawn(&self.config, crate::spawn::spawn_here)
    }

    /// Runs the command to its end; stdin is /dev/null, stdout and stderr are collected, unless said otherwise.
    ///
    /// # Errors
    /// As [`Command::spawn`] and [`Child::wait`].
    pub fn output(&mut self) -> Result<Output> {
        self.config.output()
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    /// As [`Command::spawn`] and [`Child::wait`].
    pub fn status(&mut self) -> Result<crate::exit::Exit> {
        self.spawn()?.wait()
    }
}

impl Plan {
    /// Compiles `command` for `host`, without a system call.
    ///
    /// # Errors
    /// What contradicts itself or is out of range.
    pub fn compile(command: &Command, host: &Host) -> Result<Plan> {
        Plan::compiled(&command.config, host)
    }
}
