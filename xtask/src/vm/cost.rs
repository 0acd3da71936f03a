//! What limits cost where a container can be born in its cgroup: this machine's own may not be of version 2.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::disks::{self, Work};
use super::{Options, directory, get_kernels, initramfs, machine};
use crate::progress::Progress;
use crate::versus::limits::Cost;
use crate::versus::programs;

/// What the machine runs as its only test binary: it is given the flags of one.
const START: &str = "#!/bin/sh\ncd \"$(dirname \"$0\")\" && exec ./xtask versus-helper limits ./exit RUNS\n";

pub(super) fn measure(options: &Options, runs: usize, progress: &mut Progress) -> Result<()> {
    let start = directory().join("cost");
    fs::write(&start, START.replace("RUNS", &runs.to_string()))?;
    let exit = programs::exit(&directory().join("programs"))?;
    let own = std::env::current_exe().context("the path of this program")?;
    let kernels = get_kernels(options, progress)?;
    let root = disks::root(progress)?;
    let plan = format!("root cost {}\n", 60 * options.machine_limit);
    let others = [("cost", start.as_path()), ("exit", exit.as_path()), ("xtask", own.as_path())];
    let work = disks::work(&Work { binaries: &[], plan, shell: false, others: &others })?;
    for (line, kernel) in &kernels {
        progress.show(&format!("{}: {runs} rounds", line.version));
        let initramfs = initramfs::make(kernel, &directory())?;
        let machine = machine(line, kernel, &initramfs, &root, &work);
        machine.run(Duration::from_secs(60 * options.machine_limit), |_| {})?;
        let said = fs::read_to_string(&machine.report).with_context(|| machine.report.display().to_string())?;
        let json = said.lines().find(|line| line.starts_with('{'));
        let cost: Cost = serde_json::from_str(json.with_context(|| format!("the machine says {said:?}"))?)?;
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
    }
    Ok(())
}
