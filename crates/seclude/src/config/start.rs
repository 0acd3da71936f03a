//! All that is said of a process and its container, in the types of the library: a request, and what of it is no data.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use seclude_sys::terminal::WindowSize;

use super::born::{WhenBorn, WhenListening};
use super::capability::{Capabilities, CapabilitySets};
use super::cgroup::{Cgroup, JoinedCgroup};
use super::clone::CloneWay;
use super::feature::Feature;
use super::ids::{Identity, UserMap};
use super::landlock::Landlock;
use super::mount::Mount;
use super::namespace::Namespaces;
use super::network::{Dns, Network};
use super::preset::Preset;
use super::rlimit::Resource;
use super::root::Root;
use super::scheduling::Scheduling;
use super::seccomp::Seccomp;
use super::stdio::Stdio;
use crate::child::Child;
use crate::error::Result;
use crate::exit::Output;
use crate::patience::Canceller;

/// How a process of one's own is started, for steps that need one: they stand below whoever starts.
pub(crate) type Starter = fn(&Config) -> Result<Child>;

/// What to start, and in what.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) starter: Starter,
    pub(crate) program: OsString,
    pub(crate) arg0: Option<OsString>,
    pub(crate) args: Vec<OsString>,
    pub(crate) clear_env: bool,
    /// In the order given; `None` removes.
    pub(crate) env: Vec<(OsString, Option<OsString>)>,
    pub(crate) workdir: Option<PathBuf>,
    pub(crate) stdin: Option<Stdio>,
    pub(crate) stdout: Option<Stdio>,
    pub(crate) stderr: Option<Stdio>,
    pub(crate) fds: Vec<(Arc<OwnedFd>, i32)>,
    pub(crate) namespaces: Namespaces,
    pub(crate) user_map: Option<UserMap>,
    pub(crate) root: Option<Root>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) hostname: Option<OsString>,
    pub(crate) domainname: Option<OsString>,
    pub(crate) time_offsets: TimeOffsets,
    pub(crate) identity: Identity,
    pub(crate) umask: Option<u32>,
    pub(crate) rlimits: Vec<(Resource, u64, u64)>,
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) ambient: Capabilities,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Seccomp,
    pub(crate) landlock: Landlock,
    /// The sandbox by landlock and the filter alone.
    pub(crate) no_namespaces: bool,
    pub(crate) oom_score_adj: Option<i16>,
    pub(crate) die_with_parent: bool,
    pub(crate) new_session: bool,
    pub(crate) terminal: Option<WindowSize>,
    pub(crate) init: bool,
    pub(crate) init_is_asked_for: bool,
    pub(crate) nested: bool,
    /// What it began from, which holds for what nobody names.
    pub(crate) preset: Preset,
    /// The caller's environment, where that was looked at before.
    pub(crate) caller_env: Option<Arc<[(OsString, OsString)]>>,
    /// Names of the caller's environment that are handed on besides those of the preset.
    pub(crate) kept_env: Vec<OsString>,
    /// Whether all of them are handed on, if that is said.
    pub(crate) whole_env: Option<bool>,
    /// What is seen inside by the host's own path, on top of the preset's.
    pub(crate) shown: Vec<Shown>,
    /// Where the caller says that it stands, and what that is, if it is there.
    pub(crate) caller_dir: Option<(PathBuf, Option<PathBuf>)>,
    /// The caller's directory, where the command begins in its new home instead.
    pub(crate) moved_from: Option<PathBuf>,
    /// The caller's directory, which landlock opens, as there is no tree to show it in.
    pub(crate) stands: Option<PathBuf>,
    /// A directory of the host that is made for it, with a home in it.
    pub(crate) own_directory: Option<PathBuf>,
    /// Whether a home may be among that.
    pub(crate) whole_home: bool,
    /// How much all empty directories of the sandbox can hold, in bytes.
    pub(crate) max_tmp: Option<u64>,
    pub(crate) own_keyring: bool,
    pub(crate) signal_mask: u64,
    pub(crate) keep_ignored: u64,
    pub(crate) deadline: Option<Duration>,
    pub(crate) canceller: Option<Canceller>,
    pub(crate) stuck: Option<fn() -> !>,
    pub(crate) kill_on_drop: bool,
    pub(crate) cgroup: Option<Cgroup>,
    pub(crate) joined_cgroup: Option<JoinedCgroup>,
    pub(crate) network: Option<Network>,
    pub(crate) dns: Option<Dns>,
    pub(crate) host_entries: Vec<(IpAddr, String)>,
    pub(crate) preferred: Vec<Feature>,
    pub(crate) clone: CloneWay,
    pub(crate) timed: bool,
    pub(crate) rehearsal: bool,
    /// The socket on which it waits before its exec.
    pub(crate) waits_on: Option<Arc<OwnedFd>>,
    pub(crate) when_born: Option<WhenBorn>,
    pub(crate) when_mounted: Option<WhenBorn>,
    /// A root that is there, for a command in whose mount namespace it is a directory of many.
    pub(crate) entered_root: Option<Arc<OwnedFd>>,
    /// Whether the working directory is entered while set-up has its rights.
    pub(crate) enters_by_set_up: bool,
    pub(crate) holds_ways: bool,
    /// By their names, here and inside.
    pub(crate) net_devices: Vec<(String, String)>,
    pub(crate) when_listening: Option<WhenListening>,
    pub(crate) sysctls: Vec<(String, String)>,
    /// All five, where they are said one by one.
    pub(crate) capability_sets: Option<CapabilitySets>,
    /// What security modules confine it by.
    pub(crate) apparmor: Option<String>,
    pub(crate) selinux: Option<String>,
    pub(crate) scheduling: Scheduling,
    /// Whether its terminal is its console, too.
    pub(crate) console: bool,
    /// No command: the launcher makes a user namespace and waits for the end of its caller.
    pub(crate) holds_user_namespace: bool,
    #[cfg(feature = "fault")]
    pub(crate) fault: Option<(crate::fault::Place, crate::fault::Fault)>,
}

/// A file or directory of the host, seen by the same path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    pub(crate) path: PathBuf,
    pub(crate) written: bool,
}

/// Offsets of a new time namespace, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TimeOffsets {
    pub(crate) monotonic: i128,
    pub(crate) boottime: i128,
}

/// Whether a variable tells of how the user reads, and of nothing else.
fn is_harmless(name: &OsStr) -> bool {
    const NAMES: [&str; 6] = ["PATH", "TERM", "LANG", "LANGUAGE", "TZ", "NO_COLOR"];
    NAMES.iter().any(|harmless| name == *harmless) || name.as_encoded_bytes().starts_with(b"LC_")
}

impl Config {
    /// Whether the kernel is asked for a ruleset of landlock.
    pub(crate) fn is_landlocked(&self) -> bool {
        self.landlock != Landlock::new() || self.no_namespaces
    }

    /// Whether it began from a preset that confines.
    pub(crate) fn is_sandboxed(&self) -> bool {
        self.preset != Preset::Bare
    }

    /// What it has of the caller's environment.
    pub(crate) fn inherited_env(&self) -> Vec<(OsString, OsString)> {
        if self.clear_env && self.kept_env.is_empty() {
            // Not looked at for nothing: a host program in another language may be changing it.
            return Vec::new();
        }
        let all = self.whole_env.unwrap_or(self.preset != Preset::Sandbox);
        let is_home = |name: &OsStr| name == "HOME" && self.preset == Preset::Sandbox;
        let by_preset = |name: &OsStr| if all { !is_home(name) } else { is_harmless(name) };
        let is_kept =
            |name: &OsStr| (!self.clear_env && by_preset(name)) || self.kept_env.iter().any(|kept| kept == name);
        match &self.caller_env {
            Some(looked_at) => looked_at.iter().filter(|(name, _)| is_kept(name)).cloned().collect(),
            None => std::env::vars_os().filter(|(name, _)| is_kept(name)).collect(),
        }
    }

    /// Nothing but this program.
    pub(crate) fn new(program: OsString, starter: Starter) -> Config {
        Config {
            starter,
            program,
            arg0: None,
            args: Vec::new(),
            clear_env: false,
            env: Vec::new(),
            workdir: None,
            stdin: None,
            stdout: None,
            stderr: None,
            fds: Vec::new(),
            namespaces: Namespaces::default(),
            user_map: None,
            root: None,
            mounts: Vec::new(),
            hostname: None,
            domainname: None,
            time_offsets: TimeOffsets::default(),
            identity: Identity::default(),
            umask: None,
            rlimits: Vec::new(),
            capabilities: None,
            ambient: Capabilities::NONE,
            no_new_privileges: true,
            seccomp: Seccomp::none(),
            landlock: Landlock::new(),
            no_namespaces: false,
            oom_score_adj: None,
            die_with_parent: true,
            new_session: false,
            terminal: None,
            init: false,
            init_is_asked_for: false,
            nested: true,
            preset: Preset::Bare,
            caller_env: None,
            kept_env: Vec::new(),
            whole_env: None,
            shown: Vec::new(),
            caller_dir: None,
            moved_from: None,
            stands: None,
            own_directory: None,
            whole_home: false,
            max_tmp: None,
            own_keyring: false,
            signal_mask: 0,
            keep_ignored: 0,
            deadline: None,
            canceller: None,
            stuck: None,
            kill_on_drop: true,
            cgroup: None,
            joined_cgroup: None,
            network: None,
            dns: None,
            host_entries: Vec::new(),
            preferred: Vec::new(),
            clone: CloneWay::Auto,
            timed: false,
            rehearsal: false,
            waits_on: None,
            when_born: None,
            when_mounted: None,
            entered_root: None,
            enters_by_set_up: false,
            holds_ways: false,
            net_devices: Vec::new(),
            when_listening: None,
            sysctls: Vec::new(),
            capability_sets: None,
            apparmor: None,
            selinux: None,
            scheduling: Scheduling::default(),
            console: false,
            holds_user_namespace: false,
            #[cfg(feature = "fault")]
            fault: None,
        }
    }

    pub(crate) fn add_args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Result<Child> {
        (self.starter)(self)
    }

    /// Runs it to its end; stdin is /dev/null, stdout and stderr are collected, unless said otherwise.
    pub(crate) fn output(&self) -> Result<Output> {
        let mut config = self.clone();
        config.stdin.get_or_insert_with(Stdio::null);
        config.stdout.get_or_insert_with(Stdio::piped);
        config.stderr.get_or_insert_with(Stdio::piped);
        config.start()?.wait_with_output()
    }
}
