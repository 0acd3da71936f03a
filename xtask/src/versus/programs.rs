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
    /// The same for its init.
    pub(super) launcher: PathBuf,
    /// What tells how long calls take.
    pub(super) calls: PathBuf,
    /// The tracer that stops a program at its first clone.
    pub(super) until_clone: PathBuf,
    /// The binary of the command line as it is given out.
    pub(super) seclude: PathBuf,
    /// The OCI runtime likewise.
    pub(super) runtime: PathBuf,
    /// This program.
    pub(super) own: PathBuf,
    /// Where the bench keeps its things.
    pub(super) directory: PathBuf,
}

const EXIT: &str = include_str!("../../floor/exit.c");
const FLOOR: &str = include_str!("../../floor/floor.c");
const LAUNCHER: &str = include_str!("../../floor/launcher.c");
const CALLS: &str = include_str!("../../floor/calls.c");
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
    let (seclude, runtime) = (crate::dist::build()?, crate::dist::build_runtime()?);
    Ok(Programs {
        exit,
        floor: compile(&directory, "floor", FLOOR, &[])?,
        launcher: compile(&directory, "launcher", LAUNCHER, &["-static", "-nostdlib", "-fno-stack-protector", "-s"])?,
        calls: compile(&directory, "calls", CALLS, &["-static"])?,
        until_clone: compile(&directory, "until_clone", UNTIL_CLONE, &[])?,
        seclude,
        runtime,
        own: std::env::current_exe().context("the path of this program")?,
        directory,
    })
}

impl Programs {
    /// The floor, starting the static program.
    pub(super) fn floor(&self, first: First) -> Command {
        let mut command = Command::new(&self.floor);
        command.arg(&self.launcher).arg(first.word()).arg(&self.exit);
        command
    }

    /// The library in a process of its own that has touched so many bytes, starting the static program.
    pub(super) fn library(&self, first: First, touched: u64) -> Command {
        let mut command = Command::new(&self.own);
        command.args(["versus-helper", "library", first.word()]).arg(&self.exit).arg(touched.to_string());
        command
    }
}

/// What the first process of a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum First {
    Init,
    /// The command.
    #[value(name = "pid-1")]
    Pid1,
}

impl First {
    pub(super) fn word(self) -> &'static str {
        match self {
            First::Init => "init",
            First::Pid1 => "pid-1",
        }
    }
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
