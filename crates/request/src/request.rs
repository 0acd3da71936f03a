//! The whole of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    Cgroup, Clone as CloneWay, Dns, Duration, Field, HostEntry, Landlock, Limits, Map, Mode, Mount, Namespace,
    Namespaces, Network, Rights, Rlimit, Root, Seccomp, Size, Terminal, Text, TimeOffsets, User, Wrong, is_default,
};

/// The version of requests that this crate writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// What a process and its container are to be.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Request {
    /// The version of this form: 1, which is also the default.
    #[serde(skip_serializing_if = "is_default")]
    pub version: Option<u32>,
    /// What the request begins from: what is not said here is as the preset has it. Default: `"sandbox"`.
    #[serde(skip_serializing_if = "is_default")]
    pub preset: Option<Preset>,
    /// The program, by path or by its name in a directory of PATH inside, and its arguments.
    #[serde(skip_serializing_if = "is_default")]
    pub command: Vec<Text>,
    /// What the command sees as its own name. Default: the program as given.
    #[serde(skip_serializing_if = "is_default")]
    pub arg0: Option<Text>,
    /// Begin with an empty environment. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub clear_env: bool,
    /// Hand on the whole environment of the caller; in the sandbox but for HOME, which is a new one. Default: in the sandbox false:
    /// PATH, TERM, LANG, LC_*, TZ and NO_COLOR are; else true.
    #[serde(skip_serializing_if = "is_default")]
    pub env_all: Option<bool>,
    /// Variables of the caller's environment to hand on besides those, by name.
    #[serde(skip_serializing_if = "is_default")]
    pub inherit_env: Vec<Text>,
    /// Environment variables to set.
    #[serde(skip_serializing_if = "is_default")]
    pub env: BTreeMap<String, Text>,
    /// Environment variables to remove.
    #[serde(skip_serializing_if = "is_default")]
    pub env_remove: Vec<Text>,
    /// The working directory inside, absolute. Default: the caller's, if the container has the host's tree, else `/`. The sandbox
    /// shows it, read-only; if it is a home, above one or below something hidden in one, it is the sandbox's own, empty home instead.
    #[serde(skip_serializing_if = "is_default")]
    pub workdir: Option<Text>,
    /// The host name inside, 1 to 64 bytes without spaces, `#` and control characters; needs a new UTS namespace. sethostname(2). Default: the caller's.
    #[serde(skip_serializing_if = "is_default")]
    pub hostname: Option<Text>,
    /// The NIS domain name inside, at most 64 bytes; needs a new UTS namespace. setdomainname(2). Default: the caller's.
    #[serde(skip_serializing_if = "is_default")]
    pub domainname: Option<Text>,
    /// The file mode creation mask, umask(2), octal in a string such as `"022"`. Default: the caller's.
    #[serde(skip_serializing_if = "is_default")]
    pub umask: Option<Mode>,
    /// How eager the kernel is to kill it when memory runs out, -1000 to 1000, proc(5). Default: the caller's.
    #[serde(skip_serializing_if = "is_default")]
    pub oom_score_adj: Option<i16>,
    /// Run the command below a tiny init as PID 1; needs a new pid namespace. Default: in the sandbox true, else false.
    #[serde(skip_serializing_if = "is_default")]
    pub init: Option<bool>,
    /// The command may make user namespaces of its own, and mount in them: nothing can then be read-only or masked inside what it may write, and of root's
    /// callers that is where others do not come. Default: in the sandbox false, else true.
    #[serde(skip_serializing_if = "is_default")]
    pub nested: Option<bool>,
    /// A session of its own without a terminal, setsid(2). Default: in the sandbox true, else false.
    #[serde(skip_serializing_if = "is_default")]
    pub new_session: Option<bool>,
    /// A session keyring of its own, keyrings(7). Default: in the sandbox true, else false.
    #[serde(skip_serializing_if = "is_default")]
    pub new_keyring: Option<bool>,
    /// It is killed when the spawning process ends. Default: true.
    #[serde(skip_serializing_if = "is_default")]
    pub die_with_parent: Option<bool>,
    /// It is killed this long after its start was asked for. Default: never.
    #[serde(skip_serializing_if = "is_default")]
    pub deadline: Option<Duration>,
    /// Go on without these where the host does not have them: names of limits such as `"memory"`, or `"net"`, `"map-subids"`,
    /// `"rlimit"`, `"oom-score-adj"`, `"time"`, `"landlock"` (as much of it as the kernel has). The report says what was left out. Default: none, everything is required.
    #[serde(skip_serializing_if = "is_default")]
    pub prefer: Vec<String>,
    /// How to clone. Default: `"auto"`.
    #[serde(skip_serializing_if = "is_default")]
    pub clone: CloneWay,
    /// Measure the time of each step for the report. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub timed: bool,
    /// Name servers in its /etc/resolv.conf, resolv.conf(5). Default: the host's with a network, else unchanged. A network of names answers
    /// itself: beside that all but `"unchanged"` is an error.
    #[serde(skip_serializing_if = "is_default")]
    pub dns: Option<Dns>,
    /// The sandbox without any namespace, for hosts that give none: what landlock, the filter of system calls, ids, capabilities and
    /// limits confine without one. The host's files are where they are, and closed but for its programs, `ro`, `rw` and an empty home
    /// and temporary directory; no TCP port can be reached unless `landlock` has it. Of the host's root no file's mode, owner or times can be
    /// changed, also of its own (EPERM): landlock has no rule for that, and root owns what everybody runs. As another `user` they can.
    /// The report says what is not isolated. Linux 6.12.
    /// Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub no_namespaces: bool,
    /// Its namespaces.
    #[serde(skip_serializing_if = "is_default")]
    pub namespaces: Namespaces,
    /// Offsets of its clocks.
    #[serde(skip_serializing_if = "is_default")]
    pub time_offsets: TimeOffsets,
    /// Its ids.
    #[serde(skip_serializing_if = "is_default")]
    pub user: User,
    /// Files and directories of the host to show by the same path, read-only; relative ones begin where the caller is (or the file
    /// with this request).
    #[serde(skip_serializing_if = "is_default")]
    pub ro: Vec<Text>,
    /// The same, writable. New set-user-ID programs cannot be made there; one of others that is there already can be given another content
    /// (by a shared mapping, mmap(2)), so no directory with such is to be named.
    #[serde(skip_serializing_if = "is_default")]
    pub rw: Vec<Text>,
    /// A home, or what is above one, may be among `ro` and `rw`. Default: false, an error.
    #[serde(skip_serializing_if = "is_default")]
    pub whole_home: bool,
    /// How much the sandbox's own directories hold together (/tmp, /var/tmp, /run, the home), in memory; more is ENOSPC. /dev/shm holds as
    /// much by itself. Default: 1 GiB.
    #[serde(skip_serializing_if = "is_default")]
    pub max_tmp: Option<Size>,
    /// What it sees as `/`. Default: in the sandbox the host's programs and their configuration, in `"host"` all of the host's tree,
    /// both read-only.
    #[serde(skip_serializing_if = "is_default")]
    pub root: Option<Root>,
    /// What it may do.
    #[serde(skip_serializing_if = "is_default")]
    pub rights: Rights,
    /// Which system calls it may make.
    #[serde(skip_serializing_if = "is_default")]
    pub seccomp: Option<Seccomp>,
    /// What it may reach of the container's files, of ports, sockets and processes, by landlock. Default: without a rule of its own.
    #[serde(skip_serializing_if = "is_default")]
    pub landlock: Option<Landlock>,
    /// Resource limits by name, setrlimit(2), such as `NOFILE`. Default: the caller's.
    #[serde(skip_serializing_if = "is_default")]
    pub rlimits: BTreeMap<String, Rlimit>,
    /// What it may use of the machine.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// Its cgroup. Default: one of its own if there are limits, else none.
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup: Option<Cgroup>,
    /// A pseudoterminal of its own. Default: none.
    #[serde(skip_serializing_if = "is_default")]
    pub terminal: Option<Terminal>,
    /// How it is connected. Default: a loopback alone.
    #[serde(skip_serializing_if = "is_default")]
    pub network: Option<Network>,
    /// Lines of its /etc/hosts, which is then one of its own. Of a network of names: where an allowed name leads, in the place of what the host
    /// says; that line is not in the file.
    #[serde(skip_serializing_if = "is_default")]
    pub hosts: Vec<HostEntry>,
    /// What is mounted or put into its tree, one by one in this order, after what the preset has.
    #[serde(skip_serializing_if = "is_default")]
    pub mounts: Vec<Mount>,
}

/// What a request begins from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Preset {
    /// For code that nobody trusts: all namespaces new but time, of the host's files its programs alone, no capabilities.
    Sandbox,
    /// For accidents of code that one trusts: the same with all of the host's files, read-only, the caller's environment, and root as
    /// the host's root. No boundary.
    Host,
    /// Nothing but what is asked for.
    Bare,
}

impl Request {
    /// What needs no host to be seen to be wrong.
    ///
    /// # Errors
    /// The first thing that cannot be meant.
    pub fn check(&self) -> Result<(), Wrong> {
        match self.version {
            None | Some(VERSION) => {}
            Some(other) => {
                let why = format!("{other} is not known to this build, which reads version {VERSION}");
                return Err(Wrong::range(Field::of("version"), why));
            }
        }
        if self.command.first().is_some_and(Text::is_empty) {
            return Err(Wrong::range(Field::of("command").index(0), "no command has an empty name"));
        }
        if let Some(name) = self.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(Wrong::range(Field::of("env").key(name.as_str()), "it cannot name an environment variable"));
        }
        if self.umask.is_some_and(|mask| mask.0 > 0o777) {
            return Err(Wrong::range(Field::of("umask"), "it can be 0 to 777, octal"));
        }
        if self.deadline.is_some_and(|deadline| deadline.nanoseconds <= 0) {
            return Err(Wrong::range(Field::of("deadline"), "it has to be more than 0"));
        }
        if let Some(terminal) = self.terminal {
            let none =
                [("rows", terminal.rows), ("columns", terminal.columns)].into_iter().find(|(_, size)| *size == 0);
            if let Some((key, _)) = none {
                return Err(Wrong::range(Field::of("terminal").key(key), "0 is no size; it can be 1 to 65535"));
            }
        }
        let resource = |name: &str| name.to_ascii_uppercase().trim_start_matches("RLIMIT_").to_owned();
        let mut resources = BTreeSet::new();
        if let Some(name) = self.rlimits.keys().find(|name| !resources.insert(resource(name))) {
            let field = Field::of("rlimits").key(name.as_str());
            return Err(Wrong::contradicts(field, "it is there under another name as well"));
        }
        for (list, paths) in [("ro", &self.ro), ("rw", &self.rw)] {
            if let Some(index) = paths.iter().position(Text::is_empty) {
                return Err(Wrong::range(Field::of(list).index(index), "an empty path leads nowhere"));
            }
        }
        if let Some(index) = self.rw.iter().position(|path| self.ro.contains(path)) {
            return Err(Wrong::contradicts(
                Field::of("rw").index(index),
                "ro has the same path: name it in one of the two",
            ));
        }
        let is_no_name = |name: &Text| name.is_empty() || name.as_os_str().as_encoded_bytes().contains(&b'=');
        if let Some(index) = self.inherit_env.iter().position(is_no_name) {
            let field = Field::of("inherit_env").index(index);
            return Err(Wrong::range(field, "it cannot name an environment variable"));
        }
        if self.max_tmp == Some(Size(0)) {
            return Err(Wrong::range(Field::of("max_tmp"), "the kernel takes 0 as no limit"));
        }
        let curated = matches!(self.preset, None | Some(Preset::Sandbox));
        if self.max_tmp.is_some() && !curated {
            return Err(Wrong::contradicts(Field::of("max_tmp"), "the sandbox alone has such directories"));
        }
        let kept = self
            .root
            .as_ref()
            .is_some_and(|root| root.upper.is_some() && root.path.is_none() && root.lowers.is_empty());
        if curated && kept {
            let why = "the sandbox shows parts of the host's tree, so writes over it cannot be kept: name a root";
            return Err(Wrong::contradicts(Field::of("root").key("upper"), why));
        }
        self.check_no_namespaces()?;
        self.user.check()?;
        self.root.as_ref().map_or(Ok(()), Root::check)?;
        self.seccomp.as_ref().map_or(Ok(()), Seccomp::check)?;
        self.landlock.as_ref().map_or(Ok(()), Landlock::check)?;
        self.limits.check()?;
        let limited = self.limits != Limits::default();
        self.cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.check(limited))?;
        self.network.as_ref().map_or(Ok(()), Network::check)?;
        for (index, mount) in self.mounts.iter().enumerate() {
            mount.check(&Field::of("mounts").index(index))?;
        }
        Ok(())
    }

    /// Without namespaces nothing can be that takes one.
    fn check_no_namespaces(&self) -> Result<(), Wrong> {
        if !self.no_namespaces {
            return Ok(());
        }
        let of = |key: &str| Field::of(key);
        if !matches!(self.preset, None | Some(Preset::Sandbox)) {
            return Err(Wrong::contradicts(of("preset"), "it is the sandbox that no_namespaces is of"));
        }
        let maps = !matches!(self.user.map, None | Some(Map::Sandbox))
            || !self.user.uid_map.is_empty()
            || !self.user.gid_map.is_empty();
        let Namespaces { user, pid, mount, net, uts, ipc, cgroup, time } = &self.namespaces;
        let kinds = [
            ("user", user),
            ("pid", pid),
            ("mount", mount),
            ("net", net),
            ("uts", uts),
            ("ipc", ipc),
            ("cgroup", cgroup),
            ("time", time),
        ];
        let other = |(_, asked): &(&str, &Option<Namespace>)| !matches!(asked, None | Some(Namespace::Inherit));
        let kind = kinds.into_iter().find(other).map(|(kind, _)| of("namespaces").key(kind));
        let given = [
            (self.root.is_some(), of("root"), "it needs a mount namespace"),
            (!self.mounts.is_empty(), of("mounts").index(0), "it needs a mount namespace"),
            (self.dns.is_some(), of("dns"), "it needs a mount namespace"),
            (!self.hosts.is_empty(), of("hosts").index(0), "it needs a mount namespace"),
            (self.max_tmp.is_some(), of("max_tmp"), "it is of directories in memory, which need a mount namespace"),
            (self.network.is_some(), of("network"), "it needs a net namespace"),
            (self.hostname.is_some(), of("hostname"), "it needs a UTS namespace"),
            (self.domainname.is_some(), of("domainname"), "it needs a UTS namespace"),
            (self.time_offsets.monotonic.is_some(), of("time_offsets").key("monotonic"), "it needs a time namespace"),
            (self.time_offsets.boottime.is_some(), of("time_offsets").key("boottime"), "it needs a time namespace"),
            (maps, of("user").key("map"), "it needs a user namespace"),
            (self.init.is_some(), of("init"), "it says who is PID 1 of a pid namespace"),
            (self.nested == Some(true), of("nested"), "it is for user namespaces"),
            (
                self.cgroup.as_ref().is_some_and(|cgroup| cgroup.delegate),
                of("cgroup").key("delegate"),
                "it needs a cgroup namespace",
            ),
        ];
        let given = given.into_iter().find(|(given, ..)| *given).map(|(_, field, why)| (field, why));
        match given.or(kind.map(|kind| (kind, "it is one"))) {
            Some((field, why)) => Err(Wrong::contradicts(field, format!("{why}, and no namespaces are to be made"))),
            None => Ok(()),
        }
    }

    /// Whether its tree is another than the host's: no path of the host's leads anywhere in it.
    pub fn has_own_tree(&self) -> bool {
        let top = self.root.as_ref().and_then(|root| root.path.as_ref().or(root.lowers.first()));
        top.is_some_and(|top| top.as_os_str() != "/")
    }

    /// Makes its paths of the host, which may be relative, begin at `directory`.
    pub fn paths_from(&mut self, directory: &Path) {
        let root = self.root.iter_mut().flat_map(|root| {
            let Root { path, lowers, upper, work, .. } = root;
            path.iter_mut().chain(lowers).chain(upper).chain(work)
        });
        let mounts = self.mounts.iter_mut().flat_map(|mount| {
            let Mount { source, lowers, upper, work, .. } = mount;
            source.iter_mut().chain(lowers).chain(upper).chain(work)
        });
        let filter = self.seccomp.iter_mut().flat_map(|seccomp| &mut seccomp.file);
        let shown = self.ro.iter_mut().chain(&mut self.rw);
        for path in root.chain(mounts).chain(filter).chain(shown).filter(|path| path.as_path().is_relative()) {
            *path = Text::from(directory.join(path.as_path()));
        }
    }
}
