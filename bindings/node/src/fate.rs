//! What becomes of a signal.

use std::fs;

/// What a process does with a signal that is sent to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has a handler, reads it otherwise, or ends or stops by it.
    Taken,
    /// It would end by it, and the kernel drops it: it is PID 1 and has no handler.
    Dropped,
    /// It ignores it, as it was told to or as everybody does.
    Ignored,
    /// PID 1 blocks it: it may read it, signalfd(2), or unblock it in a moment, and then the kernel drops it.
    Waits,
}

/// SIGCHLD, SIGCONT, SIGURG, SIGWINCH: without a handler they do nothing to anybody.
const HARMLESS: [i32; 4] = [17, 18, 23, 28];
/// SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU: those that end or stop whatever there is, and those of a terminal.
const UNASKED: [i32; 5] = [9, 19, 20, 21, 22];

/// Of `signal` to the command with this pid; `first`: it is PID 1. Where nothing can be read, it is taken.
pub(crate) fn of(signal: i32, pid: u32, first: bool) -> Fate {
    if UNASKED.contains(&signal) {
        return Fate::Taken;
    }
    let Some(status) = status(pid) else { return Fate::Taken };
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask & (1 << (signal - 1)) != 0
    };
    if set("SigCgt:") {
        Fate::Taken
    } else if set("SigBlk:") {
        if first { Fate::Waits } else { Fate::Taken }
    } else if set("SigIgn:") || HARMLESS.contains(&signal) {
        Fate::Ignored
    } else if first {
        Fate::Dropped
    } else {
        Fate::Taken
    }
}

/// Its /proc/PID/status; its name in it may be any bytes. In a /proc of another pid namespace the pid is somebody else's.
pub(crate) fn status(pid: u32) -> Option<String> {
    if !seclude::proc_is_of_own_pid_namespace() {
        return None;
    }
    let bytes = fs::read(format!("/proc/{pid}/status")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The command of a container whose first process is the init `pid`: the oldest of its children.
pub(crate) fn below_init(pid: u32) -> Option<u32> {
    children(pid).first().copied()
}

/// The children of a process, the oldest first.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    if !seclude::proc_is_of_own_pid_namespace() {
        return Vec::new();
    }
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_thread = |entry: std::io::Result<fs::DirEntry>| fs::read_to_string(entry.ok()?.path().join("children")).ok();
    let lists: Vec<String> = threads.filter_map(of_thread).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}
