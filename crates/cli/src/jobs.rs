//! Job control: seclude stops as a shell's job does, and its command with it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{self, ExitCode, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, getpgid, getpgrp, getsid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::pidfd_send_signal;
use seclude::Child;

use crate::signals::is_heeded;
use crate::told::say;
use crate::{Failure, terminal};

/// The task that nobody asks for by hand: it keeps a deadline while seclude itself is stopped.
pub(crate) const KEEP_DEADLINE: &str = "keep-deadline";

/// What the keeper exits with if it had to.
const KILLED: u8 = 1;

/// Whether there is a shell that could continue this job: the kernel stops nobody by a keyboard where there is none, setpgid(2) about
/// orphaned process groups.
///
/// A session or group that began outside of this pid namespace has the number 0 here (`unshare -p`, `docker run` of a script),
/// which is as good as any to tell whether two are the same: whoever is here inherited it.
pub(crate) fn can_be_continued() -> bool {
    let (group, session) = (getpgrp(), getsid(None).ok());
    let mut process = Pid::this();
    while let Some(parent) = parent_of(process) {
        match (getpgid(Some(parent)), getsid(Some(parent))) {
            (Ok(other), Ok(found)) if Some(found) == session && other != group => return true,
            (Ok(_), Ok(found)) if Some(found) == session => process = parent,
            _ => return false,
        }
    }
    false
}

/// Stops this job until it has the terminal, as setting that to raw mode would; nothing of it runs yet.
pub(crate) fn wait_for_terminal() {
    while terminal::is_anothers() && can_be_continued() && is_heeded(Signal::SIGTTOU) {
        let _ = kill(Pid::from_raw(0), Signal::SIGTTOU);
    }
}

/// None where it is outside of this pid namespace.
fn parent_of(process: Pid) -> Option<Pid> {
    // A process may have any bytes for a name.
    let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok().filter(|parent| *parent != 0).map(Pid::from_raw)
}

/// Stops this process until somebody has it continue; its command is stopped already. `come`: with all of its job, which a
/// terminal in raw mode has not told; unless a signal has come meanwhile, which would wait here for the next.
pub(crate) fn stop(child: &mut Child, come: Option<BorrowedFd<'_>>) {
    let keeper = child.time_left().map(|left| keep_deadline(child, left));
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let has_come =
        come.is_some_and(|come| poll(&mut [PollFd::from_borrowed_fd(come, PollFlags::IN)], Some(&now)) == Ok(1));
    if come.is_some() && !has_come {
        // It is held here: the signal that stops this process is the one below.
        let _ = kill(Pid::from_raw(0), Signal::SIGTSTP);
    }
    if let Some(Err(error)) = &keeper {
        say(format_args!("--timeout is not kept while this is stopped: {error}"));
    }
    if !has_come {
        let _ = raise(Signal::SIGSTOP);
    }
    if let Some(Ok(mut keeper)) = keeper {
        let _ = keeper.kill();
        if keeper.wait().is_ok_and(|status| status.code() == Some(KILLED.into())) {
            child.deadline_was_kept();
        }
    }
}

/// In a group of its own, which the shell neither stops nor ends.
fn keep_deadline(child: &Child, left: Duration) -> io::Result<process::Child> {
    use std::os::unix::process::CommandExt;
    let pidfd = child.pidfd().try_clone_to_owned()?;
    let mut command = process::Command::new("/proc/self/exe");
    command.arg(KEEP_DEADLINE).arg(left.as_millis().to_string()).process_group(0);
    command.stdin(Stdio::from(pidfd)).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Kills what the pidfd on stdin stands for once the time has passed, unless it ends before.
pub(crate) fn run_keeper(milliseconds: &str) -> Result<ExitCode, Failure> {
    let milliseconds: u64 = milliseconds.parse().map_err(|_| Failure::new("no time was given"))?;
    let left = Timespec {
        tv_sec: (milliseconds / 1000).try_into().unwrap_or(i64::MAX),
        tv_nsec: (milliseconds % 1000 * 1_000_000) as i64,
    };
    let stdin = io::stdin();
    if let Ok(0) = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&left)) {
        let killed = pidfd_send_signal(stdin.as_fd(), rustix::process::Signal::KILL);
        return Ok(ExitCode::from(if killed.is_ok() { KILLED } else { 0 }));
    }
    Ok(ExitCode::SUCCESS)
}
