//! Whether the floor still makes the library's system calls: both are looked at with strace, where it is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::contestants::Helper;
use super::programs::{First, Programs};
use crate::workspace;

/// Made by the allocator, and by a futex only if the other side was slower.
const PASSING: [&str; 5] = ["brk", "futex", "mremap", "madvise", "restart_syscall"];

/// One spawn: the calls of the parent, those of the child (and of the init that it becomes), and those of the init's child.
#[derive(PartialEq, Eq, Debug)]
struct Calls {
    parent: Vec<String>,
    child: Vec<String>,
    command: Vec<String>,
}

/// A sentence for the output.
pub(super) fn compare(programs: &Programs) -> String {
    if workspace::find("strace").is_none() {
        return "floor: not compared with the library's system calls, strace is not installed".into();
    }
    let verdicts = [First::Init, First::Pid1].map(|first| {
        let traced = trace(&programs.directory.join("trace-floor"), &programs.floor(first)).and_then(|floor| {
            Ok((floor, trace(&programs.directory.join("trace-library"), &programs.library(first, 0))?))
        });
        match traced {
            Ok((floor, library)) => format!("floor ({}): {}", first.word(), verdict(&floor, &library)),
            // As where a seccomp filter forbids ptrace.
            Err(error) => format!("floor ({}): not compared with the library's system calls: {error:#}", first.word()),
        }
    });
    verdicts.join("\n")
}

fn verdict(floor: &Calls, library: &Calls) -> String {
    let sides = [
        ("parent", &floor.parent, &library.parent),
        ("child", &floor.child, &library.child),
        ("command", &floor.command, &library.command),
    ];
    for (side, floor, library) in sides {
        if let Some(at) = first_difference(floor, library) {
            let name = |calls: &[String]| calls.get(at).map_or("nothing", String::as_str).to_owned();
            let (number, floor, library) = (at + 1, name(floor), name(library));
            return format!(
                "NOT the library's system calls any more: call {number} of the {side} is {floor}, the library's {library}; \
                 change floor.c or launcher.c"
            );
        }
    }
    let (parent, child) = (floor.parent.len(), floor.child.len() + floor.command.len());
    format!("the same system calls as the library, {parent} in the parent and {child} inside (strace)")
}

fn first_difference(one: &[String], other: &[String]) -> Option<usize> {
    let longest = one.len().max(other.len());
    (0..longest).find(|&at| one.get(at) != other.get(at))
}

/// Traces a helper that measures twice; the second time has nothing that only the first one needs.
fn trace(directory: &Path, helper: &Command) -> Result<Calls> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).context("remove old traces"),
        _ => fs::create_dir_all(directory).context("create a directory for traces")?,
    }
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-ff", "-s", "0", "-e", "signal=none", "-o"]).arg(directory.join("of"));
    strace.arg(helper.get_program()).args(helper.get_args());
    let mut traced = Helper::start(&mut strace)?;
    traced.ask()?;
    traced.ask()?;
    drop(traced);
    for entry in fs::read_dir(directory).context("read the traces")? {
        let text = fs::read_to_string(entry?.path()).context("read a trace")?;
        if let Some((parent, child)) = last_spawn(&text) {
            let trace_of = |pid: u32| directory.join(format!("of.{pid}"));
            let inside = fs::read_to_string(trace_of(child)).context("read the child's trace")?;
            // The init knows its child by another number; on the host it is the next, if nobody else was faster.
            let forked = (child + 1..child + 100).map(trace_of).find(|trace| trace.exists());
            let command = forked.map_or(Ok(String::new()), fs::read_to_string).context("read the command's trace")?;
            return Ok(Calls { parent, child: names(inside.lines()), command: names(command.lines()) });
        }
    }
    bail!("no trace has a spawn in it")
}

/// What was called between the last request (a read) and its answer (a write), and the pid that clone3 answered.
fn last_spawn(trace: &str) -> Option<(Vec<String>, u32)> {
    let lines: Vec<&str> = trace.lines().collect();
    let answer = lines.iter().rposition(|line| line.starts_with("write(1,"))?;
    let request = lines[..answer].iter().rposition(|line| line.starts_with("read(0,"))?;
    let spawn = &lines[request + 1..answer];
    let clone = spawn.iter().find(|line| line.starts_with("clone3("))?;
    let pid = clone.rsplit_once("= ")?.1.trim().parse().ok()?;
    Some((names(spawn.iter().copied()), pid))
}

fn names<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names = lines.filter_map(|line| line.split_once('(')).map(|(name, _)| name.to_owned());
    names.filter(|name| !PASSING.contains(&name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_spawn_is_found_in_a_trace() {
        let trace = "read(0, \"\"..., 1) = 1\nclone3({flags=A}, 64) = 7\nwrite(1, \"\"..., 3) = 3\n\
                     read(0, \"\"..., 1) = 1\nbrk(0) = 0\ngettid() = 5\n\
                     clone3({flags=A} => {pidfd=[5]}, 64) = 8\nwrite(1, \"\"..., 3) = 3\nread(0, \"\", 1) = 0\n";
        assert_eq!(last_spawn(trace), Some((vec!["gettid".into(), "clone3".into()], 8)));
        assert_eq!(last_spawn("read(0, \"\", 1) = 0\n"), None);
    }

    #[test]
    fn a_missing_call_is_a_difference() {
        let calls = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(first_difference(&calls(&["a", "b"]), &calls(&["a", "b"])), None);
        assert_eq!(first_difference(&calls(&["a", "b"]), &calls(&["a"])), Some(1));
        assert_eq!(first_difference(&calls(&["a"]), &calls(&["c", "a"])), Some(0));
    }
}
