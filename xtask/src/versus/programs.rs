//! The small C programs of the bench, compiled when it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Where they are, and the command line beside them.
pub(super) struct Programs {
    /// A static program that ends at once.
    pub(super) exit: PathBuf,
    /// The library's system calls and nothing else.
    pub(super) floor: PathBuf,
    /// The tracer that stops a program at its first clone.
    pub(super) until_clone: PathBuf,
    /// The binary of the command line as it is given out.
    pub(super) seclude: PathBuf,
    /// This program.
    pub(super) own: PathBuf,
    /// Where the bench keeps its things.
    pub(super) directory: PathBuf,
}

const EXIT: &str = include_str!("../../floor/exit.c");
const FLOOR: &str = include_str!("../../floor/floor.c");
const UNTIL_CLONE: &str = include_str!("../../floor/until_clone.c");

pub(super) fn build() -> Result<Programs> {
    let target = workspace::target();
    let directory = target.join("versus");
    if directory.starts_with("/tmp") {
        bail!(
            "{} is below /tmp, which the containers replace: the bench needs the workspace elsewhere",
            target.display()
        );
    }
    let exit = exit(&directory)?;
    let seclude = crate::dist::build()?;
    Ok(Programs {
        exit,
        floor: compile(&directory, "floor", FLOOR, &[])?,
        until_clone: compile(&directory, "until_clone", UNTIL_CLONE, &[])?,
        seclude,
        own: std::env::current_exe().context("the path of this program")?,
        directory,
    })
}

/// The static program that ends at once, below `directory`.
pub(crate) fn exit(directory: &Path) -> Result<PathBuf> {
    fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    compile(directory, "exit", EXIT, &["-static", "-nostdlib", "-s"])
}

fn compile(directory: &Path, name: &str, source: &str, flags: &[&str]) -> Result<PathBuf> {
    let text = directory.join(format!("{name}.c"));
    fs::write(&text, source).with_context(|| format!("write {}", text.display()))?;
    let program = directory.join(name);
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Wextra", "-Werror"]).args(flags).arg("-o").arg(&program).arg(&text);
    workspace::run(&mut cc).context("the bench needs a C compiler, with the headers of Linux 6.1: gcc, libc6-dev")?;
    Ok(program)
}
