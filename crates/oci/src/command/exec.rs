//! `exec`: another process in a running container, with the container's own rights, filter and cgroup.

use std::os::fd::{AsFd, OwnedFd};

use seclude::Command;

use super::{Context, create, look_at_made, wait};
use crate::arguments::Exec;
use crate::bundle::read_json;
use crate::convert::{self, Home};
use crate::failure::{Failure, Result};
use crate::inside::Inside;
use crate::preserved;
use crate::sockets;
use crate::spec::{Capabilities, Linux, Process, Spec};
use crate::state::Status;

pub(super) fn run(context: &Context<'_>, exec: &Exec) -> Result<u8> {
    let (entry, record, status) = look_at_made(context, &exec.id)?;
    match status {
        Status::Running | Status::Created => {}
        Status::Paused if exec.ignore_paused => {}
        Status::Paused => return Err(Failure::new(format!("container {} is paused", exec.id))),
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
    if let Some(told) = convert::not_ambient(&process) {
        context.log.warn(&told);
    }
    let mut command = command(exec, &spec, &process, &inside)?;
    if let Some(path) = &record.cgroup {
        if record.open_cgroup()?.is_none() {
            let text = format!("{}: it is not the container's any more", path.display());
            return Err(Failure::at("linux.cgroupsPath", text));
        }
        command.join_cgroup(path);
    }
    let explain = |error| create::without_mounts().explain(error);
    let signals = wait::Signals::hold()?;
    let mut spawned = command.spawn();
    let is_busy = |error: &seclude::Error| error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error());
    if spawned.as_ref().is_err_and(is_busy)
        && let (Some(own), Some(first)) = (&record.cgroup, inside.cgroup())
        && first != *own
        && first.starts_with(own)
    {
        // An init of its own has made cgroups of v2 below, and moved itself into one: then nobody can be in the container's itself.
        spawned = command.join_cgroup(first).spawn();
    }
    let mut child = spawned.map_err(explain)?;
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
    child.outlives(true);
    if exec.detach {
        return Ok(0);
    }
    let pid = child.id() as i32;
    let pidfd = child.pidfd().try_clone_to_owned().map_err(|error| Failure::of("pidfd", error))?;
    wait::for_child(pid, pidfd, terminal, &signals)
}

/// What is to be run: a file says all of it, else what the container has, changed by flags.
fn process(context: &Context<'_>, exec: &Exec, spec: &Spec) -> Result<Process> {
    if !exec.cgroup.is_empty() {
        return Err(Failure::new("--cgroup: this runtime does not do that"));
    }
    if let Some(file) = &exec.process {
        let (process, unknown): (Process, _) = read_json(file)?;
        for field in unknown {
            context.log.warn(&format!("process.{field}: the runtime specification has no such field"));
        }
        return Ok(process);
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
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            if !set.contains(name) {
                set.push(name.clone());
            }
        }
    }
    Ok(process)
}

fn command(exec: &Exec, spec: &Spec, process: &Process, inside: &Inside) -> Result<Command> {
    let empty = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&empty);
    let root = inside.root()?;
    let mut command = convert::begin_process(process)?;
    convert::apply_process(&mut command, process, Home::At(root.as_fd()))?;
    convert::ids(&mut command, process, linux);
    inside.join(&mut command)?;
    command.new_session(true).seccomp(convert::seccomp(linux)).die_with_parent(!exec.detach);
    preserved::give(&mut command, exec.preserve_fds)?;
    Ok(command)
}
