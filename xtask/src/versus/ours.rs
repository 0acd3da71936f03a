//! Our own contestants, and what they are measured against.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use seclude::CloneWay;

use super::contestants::{Contestant, in_helper, lean, leanest, limited, time_library, time_process};
use super::programs::{First, Programs};
use super::rounds::{Row, absent};
use crate::workspace;

pub(super) const FLOOR: &str = "floor";
pub(super) const LIBRARY: &str = "library";
const FLOOR_AS_PID_1: &str = "floor, as PID 1";
const LIBRARY_AS_PID_1: &str = "library, as PID 1";
pub(super) const SANDBOX: &str = "library sandbox";
pub(super) const SANDBOX_AS_PID_1: &str = "library sandbox, as PID 1";
pub(super) const LIMITED: &str = "library, limits";
pub(super) const MOVED: &str = "library, limits, moved";
pub(super) const AS_LITTLE: &str = "library from 16 MiB";
pub(super) const AS_MUCH: &str = "library from 4 GiB";
pub(super) const SECLUDE: &str = "seclude run";
pub(super) const SECLUDE_SANDBOX: &str = "seclude run, sandbox";
pub(super) const UNTIL_CLONE: &str = "seclude run, exec to clone";

/// All that `wanted` names; what cannot be measured here is a row at once.
pub(super) fn all(programs: &Programs, wanted: impl Fn(&str) -> bool) -> Result<(Vec<Contestant>, Vec<Row>)> {
    let (mut all, mut absentees) = (Vec::new(), Vec::new());
    if wanted("posix_spawn") {
        let exit = programs.exit.clone();
        let note = "std::process::Command, no isolation";
        all.push(Contestant::new("posix_spawn", note, move || time_process(&exit, &[])));
    }
    if wanted(FLOOR) {
        let note = "the library's system calls, from two small C programs";
        all.push(in_helper(FLOOR, note, &mut programs.floor(First::Init))?);
    }
    if wanted(LIBRARY) {
        let exit = programs.exit.clone();
        all.push(Contestant::new(LIBRARY, "the same isolation", move || time_library(|| lean(&exit))));
    }
    if wanted(FLOOR_AS_PID_1) {
        let note = "the same without an init";
        all.push(in_helper(FLOOR_AS_PID_1, note, &mut programs.floor(First::Pid1))?);
    }
    if wanted(LIBRARY_AS_PID_1) {
        let exit = programs.exit.clone();
        let note = "the same isolation, the command is the first process";
        let build = move || leanest(&exit, First::Pid1);
        all.push(Contestant::new(LIBRARY_AS_PID_1, note, move || time_library(&build)));
    }
    if wanted(LIMITED) {
        match limited(&programs.exit).status() {
            Ok(_) => all.extend(with_limits(programs)),
            Err(error) => absentees.push(absent(LIMITED, error.to_string())),
        }
    }
    for (name, bytes) in [(AS_LITTLE, 16u64 << 20), (AS_MUCH, 4u64 << 30)] {
        if !wanted(name) {
            continue;
        }
        // What it touches, and something for everybody else.
        if available_memory().is_some_and(|available| available < bytes + bytes / 8) {
            absentees.push(absent(name, "not enough memory here"));
            continue;
        }
        let mut helper = programs.library(First::Init, bytes);
        all.push(in_helper(name, "the same, from a process that has touched as much", &mut helper)?);
    }
    if wanted(SANDBOX) {
        let exit = programs.exit.clone();
        let note = "Command::sandbox(): also /dev, a read-only root, masks, no capabilities";
        let build = move || {
            let mut command = seclude::Command::new(&exit);
            command.sandbox();
            command
        };
        all.push(Contestant::new(SANDBOX, note, move || time_library(&build)));
    }
    if wanted(SANDBOX_AS_PID_1) {
        let exit = programs.exit.clone();
        let build = move || {
            let mut command = seclude::Command::new(&exit);
            command.sandbox().as_pid_1();
            command
        };
        let note = "the same, the command is the first process";
        all.push(Contestant::new(SANDBOX_AS_PID_1, note, move || time_library(&build)));
    }
    if wanted(SECLUDE) {
        let (seclude, exit) = (programs.seclude.clone(), programs.exit.clone());
        let words = "run --bare --init --unshare user,pid,mount,net,uts,ipc,cgroup --root / --writable \
                     --mount type=proc,dst=/proc --tmpfs /tmp --";
        let mut args: Vec<std::ffi::OsString> = words.split_whitespace().map(Into::into).collect();
        args.push(exit.into_os_string());
        let note = "the whole program, with the isolation of the library's row";
        all.push(Contestant::new(SECLUDE, note, move || time_process(&seclude, &args)));
    }
    if wanted(SECLUDE_SANDBOX) {
        let (seclude, exit) = (programs.seclude.clone(), programs.exit.clone());
        let args = ["run".into(), "--".into(), exit.into_os_string()];
        let note = "the whole program, with all that the sandbox has";
        all.push(Contestant::new(SECLUDE_SANDBOX, note, move || time_process(&seclude, &args)));
    }
    if wanted(UNTIL_CLONE) {
        all.push(until_clone(programs));
    }
    Ok((all, absentees))
}

/// With a cgroup: born in it, and moved into it by cgroup.procs when the kernel has had no such move for a while.
fn with_limits(programs: &Programs) -> [Contestant; 2] {
    /// After which the kernel's lock of thread groups waits for an RCU grace period again.
    const IDLE: Duration = Duration::from_millis(150);
    let (exit, same) = (programs.exit.clone(), programs.exit.clone());
    let born = Contestant::new(LIMITED, "with --memory --cpus --pids; born in its cgroup on v2", move || {
        time_library(|| limited(&exit))
    });
    let moved =
        Contestant::new(MOVED, "the same by clone(2), which has to move it, after 150 ms of idleness", move || {
            std::thread::sleep(IDLE);
            time_library(|| {
                let mut command = limited(&same);
                command.clone_way(CloneWay::Legacy);
                command
            })
        });
    [born, moved]
}

/// In bytes.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib << 10)
}

/// How long the command line takes until it clones; see until_clone.c.
fn until_clone(programs: &Programs) -> Contestant {
    let (tracer, seclude, exit) = (programs.until_clone.clone(), programs.seclude.clone(), programs.exit.clone());
    let note = "from just before its exec until a seccomp filter stops its clone3; no spawn";
    Contestant::new(UNTIL_CLONE, note, move || {
        let mut command = Command::new(&tracer);
        let nanoseconds = workspace::read(command.arg(&seclude).args(["run", "--"]).arg(&exit))?;
        Ok(Duration::from_nanos(nanoseconds.trim().parse().context("the tracer's answer")?))
    })
}
