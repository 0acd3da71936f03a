//! `exec`: another process in a running container, with the container's own rights, filter and cgroup.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use seclude::Command;
use seclude::cgroup::{Existing, Hierarchy, Version};

use super::{Context, create, look_at_made, wait};
use crate::arguments::Exec;
use crate::bundle::read_json;
use crate::convert::{self, Home};
use crate::failure::{Failure, Result};
use crate::inside::Inside;
use crate::interrupts;
use crate::notify::Notify;
use crate::processors;
use crate::sockets;
use crate::spec::{Capabilities, Linux, Process, Spec};
use crate::state::{Identity, Record, Status};

pub(super) fn run(context: &Context<'_>, exec: &Exec) -> Result<u8> {
    let (entry, record, status) = look_at_made(context, &exec.id)?;
    match status {
        Status::Running | Status::Created => {}
        Status::Paused if exec.ignore_paused => {}
        Status::Paused => return Err(Failure::new(format!("cannot exec in a paused container: {}", exec.id))),
        Status::Creating | Status::Stopped => return Err(Failure::new(format!("container not running: {}", exec.id))),
    }
    let spec = entry.config()?;
    let process = process(context, exec, &spec)?;
    let console = match (&exec.console_socket, process.terminal) {
        (Some(path), true) => Some(sockets::of_caller("--console-socket", path)?),
        (Some(_), false) => {
            return Err(Failure::new("--console-socket: the process has no terminal that it would be sent"));
        }
        (None, true) if exec.detach => {
            return Err(Failure::new("--detach: without --console-socket nobody has the other end of its terminal"));
        }
        (None, _) => None,
    };
    let pidfd_socket = exec.pidfd_socket.as_ref().map(|path| sockets::of_caller("--pidfd-socket", path)).transpose()?;
    let identity = record.process.ok_or_else(|| Failure::new(format!("container not running: {}", exec.id)))?;
    let inside = Inside::of(identity)?;
    for told in [convert::unknown_capabilities(&process), convert::not_ambient(&process)].into_iter().flatten() {
        context.log.warn(&told);
    }
    let mut command = command(context, exec, &spec, &process, &inside)?;
    let cgroup = cgroup(&record, exec)?;
    if let Some(cgroup) = cgroup {
        command.join_cgroup_opened(cgroup);
    }
    if let Some(group) = record.rdt.clone() {
        command.when_born(move |pid| group.join(pid).map_err(Failure::into_io));
    }
    let affinity = spec.process.as_ref().filter(|_| process.exec_cpu_affinity.is_none()).unwrap_or(&process);
    let affinity = convert::affinity(affinity)?;
    match affinity.initial {
        Some(initial) => {
            processors::these(&initial)?;
            // In the words in which others tell it.
            context.log.debug(&format!("affinity: {}", processors::mask(&initial)));
        }
        None => processors::all(),
    }
    if let Some(last) = affinity.last {
        command.cpu_affinity(last);
    }
    if let Some(notify) = Notify::of(&spec)? {
        let state = record.state(&entry.id, status);
        command.when_listening(move |pid, listener| notify.send(&listener, pid, &state).map_err(Failure::into_io));
    }
    let explain = |error| create::without_mounts().explain(error);
    let signals = wait::Signals::hold()?;
    if let Some(canceller) = interrupts::canceller()? {
        command.cancelled_by(&canceller);
    }
    let spawned = command.spawn();
    let mut child = spawned.map_err(|error| interrupts::explain(error, explain))?;
    let mut terminal = child.take_terminal().map(OwnedFd::from);
    if let (Some(socket), Some(master)) = (&console, terminal.take_if(|_| console.is_some())) {
        sockets::send(socket, master.as_fd(), "/dev/ptmx")?;
    }
    if let Some(socket) = pidfd_socket {
        sockets::send(&socket, child.pidfd(), "pidfd")?;
    }
    if let Some(file) = &exec.pid_file {
        // Dropped, it is killed: nobody could find it.
        create::write_pid(file, child.id())?;
    }
    if let Some(terminal) = &terminal {
        wait::written_as_is(terminal);
    }
    child.outlives(true);
    if exec.detach {
        return Ok(0);
    }
    let pid = child.id() as i32;
    let pidfd = child.pidfd().try_clone_to_owned().map_err(|error| Failure::of("pidfd", error))?;
    wait::for_child(pid, pidfd, terminal, &signals)
}

/// Where it is to be: in the container's cgroup, or in one below that, by the descriptors of what was looked at.
fn cgroup(record: &Record, exec: &Exec) -> Result<Option<Existing>> {
    const FLAG: &str = "--cgroup";
    let Some(path) = &record.cgroup else {
        return match exec.cgroup.is_empty() {
            true => Ok(None),
            false => Err(Failure::new("--cgroup: the container has no cgroup that one could be below")),
        };
    };
    let Some(mut cgroup) = record.whole_cgroup()? else { return Ok(None) };
    let is_v2 = |hierarchy: &Hierarchy| hierarchy.version() == Version::V2;
    for word in &exec.cgroup {
        let failed =
            |error: seclude::cgroup::Error| Failure::new(format!("{FLAG} {word:?}: bad sub cgroup path: {error}"));
        let (controller, below) = word.split_once(':').map_or((None, word.as_str()), |(one, rest)| (Some(one), rest));
        let is_meant = |hierarchy: &Hierarchy| match controller {
            Some(name) => !is_v2(hierarchy) && hierarchy.controllers().iter().any(|own| own == name),
            None => true,
        };
        cgroup = cgroup.below(Path::new(below), is_meant).map_err(failed)?;
    }
    if exec.cgroup.is_empty()
        && let Some(below) = record.process.and_then(|first| moved_below(first, path))
        && let Some(own) = record.whole_cgroup()?
        && let Ok(lower) = own.below(&below, is_v2)
    {
        cgroup = lower;
    }
    Ok(Some(match exec.ignore_paused {
        true => cgroup.existing_or_frozen()?,
        false => cgroup.existing()?,
    }))
}

/// Where below its own cgroup of v2 the first process is: an init of its own makes some, and moves itself into one, as then nobody can be in
/// the container's itself, cgroups(7).
fn moved_below(first: Identity, own: &Path) -> Option<PathBuf> {
    let is = Inside::of(first).ok()?.cgroup()?;
    let below = is.strip_prefix(own).ok()?;
    (!below.as_os_str().is_empty()).then(|| below.to_owned())
}

/// What is to be run: a file says all of it, else what the container has, changed by flags.
fn process(context: &Context<'_>, exec: &Exec, spec: &Spec) -> Result<Process> {
    if let Some(file) = &exec.process {
        let (process, unknown): (Process, _) = read_json(file)?;
        for field in unknown {
            context.log.note(&format!("process.{field}: the runtime specification has no such field"));
        }
        return Ok(match &spec.process {
            Some(containers) => process.confined_as(containers),
            None => process,
        });
    }
    let mut process = spec.process.clone().unwrap_or_default();
    if exec.args.is_empty() {
        return Err(Failure::new("exec: neither a command nor --process"));
    }
    process.args.clone_from(&exec.args);
    process.terminal = exec.tty;
    process.console_size = None;
    process.env.extend(exec.env.iter().cloned());
    if let Some(cwd) = &exec.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some(user) = &exec.user {
        let wrong = || Failure::new(format!("--user {user:?} is no UID or UID:GID"));
        let (uid, gid) = user.split_once(':').map_or((user.as_str(), None), |(uid, gid)| (uid, Some(gid)));
        process.user.uid = uid.parse().map_err(|_| wrong())?;
        if let Some(gid) = gid {
            process.user.gid = gid.parse().map_err(|_| wrong())?;
        }
    }
    if let Some(label) = &exec.process_label {
        process.selinux_label.clone_from(label);
    }
    if let Some(profile) = &exec.apparmor {
        process.apparmor_profile.clone_from(profile);
    }
    process.user.additional_gids.extend(&exec.additional_gids);
    process.no_new_privileges |= exec.no_new_privs;
    let sets = process.capabilities.get_or_insert_with(Capabilities::default);
    for name in &exec.cap {
        // None is ambient that is not inheritable, and what inherits nothing is to go on so.
        if !sets.inheritable.is_empty() && !sets.ambient.contains(name) {
            sets.ambient.push(name.clone());
        }
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            if !set.contains(name) {
                set.push(name.clone());
            }
        }
    }
    Ok(process)
}

fn command(context: &Context<'_>, exec: &Exec, spec: &Spec, process: &Process, inside: &Inside) -> Result<Command> {
    let empty = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&empty);
    let root = inside.root()?;
    let mut command = convert::begin_process(process)?;
    convert::apply_process(&mut command, process, Home::At(root.as_fd()))?;
    convert::ids(&mut command, process, linux);
    convert::personality(&mut command, linux)?;
    inside.join_root(&mut command)?;
    command.new_session(true).seccomp(convert::seccomp(linux)).die_with_parent(!exec.detach);
    context.preserved.give(&mut command)?;
    Ok(command)
}
