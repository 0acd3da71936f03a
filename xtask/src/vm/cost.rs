//! What limits cost where a container can be born in its cgroup, and what a root of its own costs where the mount namespace
//! can be made of it: this machine's own kernel may have neither.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::disks::{self, Work};
use super::{Options, directory, get_kernels, initramfs, machine};
use crate::progress::Progress;
use crate::versus::limits::Cost;
use crate::versus::{programs, roots};

/// What the machine runs as its only test binary: it is given the flags of one.
const START: &str = "#!/bin/sh\ncd \"$(dirname \"$0\")\" && \
                     ./xtask versus-helper limits ./exit RUNS && \
                     exec unshare --mount ./xtask versus-helper roots ./exit RUNS\n";

pub(super) fn measure(options: &Options, runs: usize, progress: &mut Progress) -> Result<()> {
    let start = directory(options.arch).join("cost");
    fs::write(&start, START.replace("RUNS", &runs.to_string()))?;
    let exit = programs::exit(&directory(options.arch).join("programs"))?;
    let own = std::env::current_exe().context("the path of this program")?;
    let kernels = get_kernels(options, progress)?;
    let root = disks::root(options.arch, &kernels, progress)?;
    let plan = format!("root cost {}\n", 60 * options.machine_limit);
    let others = [("cost", start.as_path()), ("exit", exit.as_path()), ("xtask", own.as_path())];
    let work = disks::work(&Work { architecture: options.arch, binaries: &[], plan, shell: false, others: &others })?;
    for (line, kernel) in &kernels {
        progress.show(&format!("{}: {runs} rounds", line.version));
        let initramfs = initramfs::make(kernel, &directory(options.arch))?;
        let mut machine = machine(line, kernel, initramfs, &root, &work);
        // Not among those of tests.
        machine.report.set_extension("cost");
        machine.run(Duration::from_secs(60 * options.machine_limit), |_| {})?;
        let said = fs::read_to_string(&machine.report).with_context(|| machine.report.display().to_string())?;
        let json = |begin: char| {
            let line = said.lines().find(|line| line.starts_with(begin));
            line.with_context(|| format!("the machine says {said:?}"))
        };
        let cost: Cost = serde_json::from_str(json('{')?)?;
        let roots: Vec<roots::Cost> = serde_json::from_str(json('[')?)?;
        println!("{} (emulated, {} runs), from spawn to reaped after 150 ms of idleness:", kernel.release, cost.runs);
        let free = cost.free.p50;
        for (name, times) in [
            ("no limits", &cost.free),
            ("limits, born there, alone", &cost.alone),
            ("limits, born there, beside another", &cost.born),
            ("limits, moved, beside another", &cost.moved),
            ("the cgroup alone, by hand", &cost.floor),
        ] {
            println!("  {name:<35} p50 {:>8.0} us  p99 {:>8.0} us  {:.2}", times.p50, times.p99, times.p50 / free);
        }
        println!("a directory as root, from spawn to reaped:");
        for cost in &roots {
            let copied = cost.with_bind.p50;
            for (name, times) in [("a copy of all, for a bind besides", &cost.with_bind), (&cost.made, &cost.alone)] {
                let (mounts, ratio) = (cost.mounts, times.p50 / copied);
                println!(
                    "  {mounts:>4} mounts, {name:<34} p50 {:>6.0} us  p99 {:>6.0} us  {ratio:.2}",
                    times.p50, times.p99
                );
            }
        }
    }
    Ok(())
}
