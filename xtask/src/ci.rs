//! `cargo xtask ci`: `.ci/run`, and with `--all` what that leaves out to stay below 45 minutes.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::{root, run};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Then every runtime of JavaScript, clusters, every kernel, and the walk over faults and kills; some hours
    #[arg(long)]
    all: bool,
}

/// What `.ci/run` leaves out, as tasks of this program.
const REST: [&[&str]; 5] = [
    &["node"],
    &["engines", "slurm", "swarm", "kubernetes"],
    &["vm", "--all"],
    &["vm", "--arch", "aarch64", "--kernel", "6.1", "--machine-limit", "240"],
    &["reliability"],
];

pub(crate) fn run_all(options: &Options) -> Result<()> {
    let mut first = Command::new(root().join(".ci/run"));
    if options.all {
        first.env("SECLUDE_CI_ALL", "1");
    }
    run(&mut first)?;
    if !options.all {
        return Ok(());
    }
    let own: OsString = std::env::current_exe().context("this program")?.into();
    let mut failed = Vec::new();
    for (number, task) in REST.iter().enumerate() {
        let line = task.join(" ");
        println!("\n== the rest, {} of {}: cargo xtask {line}", number + 1, REST.len());
        failed.extend(run(Command::new(&own).args(*task)).err().map(|_| line));
    }
    ensure!(failed.is_empty(), "these failed: cargo xtask {}", failed.join(", cargo xtask "));
    Ok(())
}
