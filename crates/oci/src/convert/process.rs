//! The process: its words, ids, rights and limits.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use seclude::{Capabilities, Capability, CapabilitySets, Command, Resource};

use super::{refused, scheduling};
use crate::failure::{Failure, Result};
use crate::interrupts;
use crate::spec::{self, IdMapping, Linux, Process};

/// Where its /etc/passwd is.
pub(crate) enum Home<'a> {
    /// At this path below a directory, or, where that is empty, this file. `None`: there is none.
    In(Option<(&'a Path, &'a Path)>),
    /// In the root that is open as this.
    At(BorrowedFd<'a>),
}

/// In a container's root.
pub(crate) const PASSWD: &str = "/etc/passwd";
/// How long whoever has it may take to give it out.
const PATIENCE: Duration = Duration::from_secs(10);
/// No user has more names than that, and a container could have a file without end.
const MOST_OF_PASSWD: u64 = 1 << 20;

/// A command with its words.
pub(crate) fn begin(process: &Process) -> Result<Command> {
    let Some((program, arguments)) = process.args.split_first() else {
        return Err(Failure::at("process.args", "there are none"));
    };
    if program.is_empty() {
        return Err(Failure::at("process.args[0]", "it is empty"));
    }
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// The rest of it.
pub(crate) fn apply(command: &mut Command, process: &Process, home: Home<'_>) -> Result<()> {
    refused::process(process)?;
    if !process.cwd.starts_with('/') {
        return Err(Failure::at("process.cwd", format!("{:?} is not absolute", process.cwd)));
    }
    command.current_dir(&process.cwd).current_dir_by_set_up(true);
    environment(command, process, home)?;
    let user = &process.user;
    if user.username.as_ref().is_some_and(|name| !name.is_empty()) {
        return Err(Failure::at("process.user.username", "it is for other systems"));
    }
    command.umask(user.umask.unwrap_or(0o022));
    rights(command, process)?;
    for (index, limit) in process.rlimits.iter().enumerate() {
        let field = format!("process.rlimits[{index}]");
        let known = limit.kind.starts_with("RLIMIT_").then(|| limit.kind.parse::<Resource>().ok()).flatten();
        let resource =
            known.ok_or_else(|| Failure::at(format!("{field}.type"), format!("{:?} is no limit", limit.kind)))?;
        if process.rlimits.iter().take(index).any(|other| other.kind == limit.kind) {
            return Err(Failure::at(field, "there is one of this type before"));
        }
        command.rlimit(resource, limit.soft, limit.hard);
    }
    if let Some(value) = process.oom_score_adj {
        command.oom_score_adj(value);
    }
    scheduling::of_process(command, process)?;
    if process.terminal {
        let size = process.console_size.unwrap_or_default();
        command.terminal(size.height, size.width);
    }
    Ok(())
}

/// What it may do, and what it can never gain.
fn rights(command: &mut Command, process: &Process) -> Result<()> {
    let sets = capabilities(process.capabilities.as_ref());
    // The kernel would say so as well, of all sets together, and once everything is made: capset(2).
    let beyond = |capability: &Capability| sets.effective.has(*capability) && !sets.permitted.has(*capability);
    if let Some(capability) = Capability::all().find(beyond) {
        let why = format!("{capability} is not permitted, and what is effective has to be");
        return Err(Failure::at("process.capabilities.effective", why));
    }
    command.capability_sets(sets);
    command.no_new_privileges(process.no_new_privileges);
    if !process.apparmor_profile.is_empty() {
        command.apparmor(&process.apparmor_profile);
    }
    if !process.selinux_label.is_empty() {
        command.selinux(&process.selinux_label);
    }
    Ok(())
}

/// Another program of the image's than its process, with no more rights than that one has: as the container's root, without a way to the
/// caller's terminal.
pub(crate) fn confine(command: &mut Command, process: &Process, linux: &Linux) -> Result<()> {
    rights(command, process)?;
    let root = Process { user: spec::User::default(), ..process.clone() };
    ids(command, &root, linux);
    command.new_session(true).seccomp(super::seccomp(linux));
    Ok(())
}

/// Its ids. A user whose own id alone is mapped has it already, and may not change groups, user_namespaces(7): without any named there is
/// nothing to change.
pub(crate) fn ids(command: &mut Command, process: &Process, linux: &Linux) {
    let user = &process.user;
    let is_own = |maps: &[IdMapping], id: u32| matches!(maps, [only] if only.size == 1 && only.container_id == id);
    let has_all = is_own(&linux.uid_mappings, user.uid) && is_own(&linux.gid_mappings, user.gid);
    if has_all && user.additional_gids.is_empty() && !rustix::process::geteuid().is_root() {
        return;
    }
    command.uid(user.uid).gid(user.gid).groups(user.additional_gids.clone());
}

/// Its own, and HOME, which is its user's where none is said.
pub(crate) fn environment(command: &mut Command, process: &Process, home: Home<'_>) -> Result<()> {
    command.env_clear();
    let mut has_home = false;
    for (index, entry) in process.env.iter().enumerate() {
        let Some((name, value)) = entry.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let field = format!("process.env[{index}]");
            return Err(Failure::at(field, format!("{entry:?} is no NAME=VALUE")));
        };
        if name == "HOME" {
            has_home = !value.is_empty();
        }
        command.env(name, value);
    }
    if !has_home {
        command.env("HOME", home_of(process.user.uid, home)?.unwrap_or_else(|| "/".to_owned()));
    }
    Ok(())
}

/// As the container's own /etc/passwd has it. Whoever is in there may have made of that what never answers (FUSE), so a thread asks, whose wait
/// a signal ends: no signal ends its own.
fn home_of(uid: u32, home: Home<'_>) -> Result<Option<String>> {
    let path = OFlags::PATH | OFlags::CLOEXEC;
    let (root, file) = match home {
        Home::In(Some((root, file))) => (openat(CWD, root, path, Mode::empty()).ok(), file.to_owned()),
        Home::In(None) => (None, PathBuf::new()),
        Home::At(root) => (root.try_clone_to_owned().ok(), PASSWD.into()),
    };
    let Some(root) = root else { return Ok(None) };
    let found = interrupts::wait_for(PATIENCE, move || read_home(uid, root, &file))?;
    let late = || format!("HOME: the container's /etc/passwd is not to be had for {} s", PATIENCE.as_secs());
    found.ok_or_else(|| Failure::at("process.env", late()))
}

/// By a walk that does not leave its root, of a plain file alone.
fn read_home(uid: u32, root: OwnedFd, file: &Path) -> Option<String> {
    let leash = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // Looked at before it is opened: to open a device may do something.
    let found = match file.as_os_str().is_empty() {
        true => root,
        false => openat2(root, file, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), leash).ok()?,
    };
    let found = File::from(found);
    if !found.metadata().ok()?.is_file() {
        return None;
    }
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    // A lease that somebody inside has of it holds nobody up then, fcntl(2): there is no home that could be told.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, again, flags, Mode::empty()).ok()?);
    let mut text = Vec::new();
    file.take(MOST_OF_PASSWD).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.split(':').nth(2).is_some_and(|id| id.parse() == Ok(uid)))?;
    line.split(':').nth(5).filter(|home| home.starts_with('/')).map(str::to_owned)
}

fn capabilities(sets: Option<&spec::Capabilities>) -> CapabilitySets {
    let Some(sets) = sets else { return CapabilitySets::default() };
    let (permitted, inheritable, ambient) = (set(&sets.permitted), set(&sets.inheritable), set(&sets.ambient));
    let can_be = |capability: &Capability| [ambient, permitted, inheritable].iter().all(|set| set.has(*capability));
    CapabilitySets {
        bounding: set(&sets.bounding),
        effective: set(&sets.effective),
        permitted,
        inheritable,
        ambient: Capability::all().filter(can_be).fold(Capabilities::NONE, Capabilities::with),
    }
}

/// By the specification's own spelling: others are passed over by the rest of the world, and so would be rights that nobody else gives.
fn known(name: &str) -> Option<Capability> {
    let is_spelled = name.starts_with("CAP_") && !name.bytes().any(|byte| byte.is_ascii_lowercase());
    is_spelled.then(|| name.parse().ok()).flatten()
}

/// Those of a configuration that no kernel has, each once: engines have lists of later ones, and the specification has them told.
pub(crate) fn unknown_capabilities(process: &Process) -> Option<String> {
    let sets = process.capabilities.as_ref()?;
    let all = [&sets.bounding, &sets.effective, &sets.permitted, &sets.inheritable, &sets.ambient];
    let unknown = all.into_iter().flatten().filter(|name| known(name).is_none());
    let unknown: BTreeSet<&str> = unknown.map(String::as_str).collect();
    let names: Vec<&str> = unknown.into_iter().collect();
    (!names.is_empty())
        .then(|| format!("process.capabilities: ignoring unknown or unavailable capabilities: [{}]", names.join(" ")))
}

/// What of the ambient set cannot be: the kernel has it among the permitted and the inheritable ones alone, capabilities(7). Engines ask
/// for more, and go by that nobody minds; so it is told.
pub(crate) fn not_ambient(process: &Process) -> Option<String> {
    let sets = process.capabilities.as_ref()?;
    let lacks =
        |name: &&String| known(name).is_some() && !(sets.permitted.contains(name) && sets.inheritable.contains(name));
    let names: Vec<&str> = sets.ambient.iter().filter(lacks).map(String::as_str).collect();
    let why = "what is not permitted and inheritable cannot be ambient";
    let told = |name: &&str| format!("can't raise ambient capability {name}: {why}");
    let told: Vec<String> = names.iter().map(told).collect();
    (!told.is_empty()).then(|| format!("process.capabilities.ambient: {}", told.join("; ")))
}

/// Those of them that there are.
fn set(names: &[String]) -> Capabilities {
    names.iter().filter_map(|name| known(name)).fold(Capabilities::NONE, Capabilities::with)
}
