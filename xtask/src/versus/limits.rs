//! What limits cost where the container is born in its cgroup, measured by itself: in the virtual machines, which have
//! cgroups of version 2 alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seclude::{CloneWay, Stdio};
use serde::{Deserialize, Serialize};

use super::contestants::{lean, limited, time_library};
use super::statistics::Statistics;

/// After which the kernel's lock of thread groups waits for an RCU grace period again.
const IDLE: Duration = Duration::from_millis(150);

/// Microseconds from spawn to reaped, each after 150 ms of idleness.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) runs: usize,
    /// No limits.
    pub(crate) free: Times,
    /// Memory, CPU and pids limited, born there, in a parent that is made for it and goes with it.
    pub(crate) alone: Times,
    /// The same beside another container with limits.
    pub(crate) born: Times,
    /// The same by clone(2), moved by cgroup.procs.
    pub(crate) moved: Times,
    /// No process at all: the same cgroups made, limited and removed by hand in the same parent.
    pub(crate) floor: Times,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Times {
    pub(super) fn of(found: &[Duration]) -> Result<Times> {
        let found = Statistics::of(found).context("no times")?;
        Ok(Times { p50: found.p50, p99: found.p99 })
    }
}

pub(super) fn measure(program: &Path, runs: usize) -> Result<Cost> {
    let after = |build: &dyn Fn() -> seclude::Command| {
        std::thread::sleep(IDLE);
        time_library(build)
    };
    let alone = (0..runs).map(|_| after(&|| limited(program))).collect::<Result<Vec<_>>>()?;
    // Has nothing to read, and so keeps the parent until it is killed.
    let mut other = limited(Path::new("/bin/cat")).stdin(Stdio::piped()).spawn()?;
    let parent = parent_of(other.id())?;
    let (mut free, mut born, mut moved, mut floor) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        free.push(after(&|| lean(program))?);
        born.push(after(&|| limited(program))?);
        moved.push(after(&|| {
            let mut command = limited(program);
            command.clone_way(CloneWay::Legacy);
            command
        })?);
        floor.push(by_hand(&parent)?);
    }
    other.kill()?;
    other.wait()?;
    Ok(Cost {
        runs,
        free: Times::of(&free)?,
        alone: Times::of(&alone)?,
        born: Times::of(&born)?,
        moved: Times::of(&moved)?,
        floor: Times::of(&floor)?,
    })
}

/// Where the cgroups of containers are made, from the one of a process in a container.
fn parent_of(pid: u32) -> Result<PathBuf> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::/")).context("no cgroup of version 2")?;
    let parent = Path::new("/sys/fs/cgroup").join(path).ancestors().nth(2).map(Path::to_owned);
    let parent = parent.context("not in a container's cgroup")?;
    ensure!(parent.ends_with("seclude"), "{} is not the parent of containers", parent.display());
    Ok(parent)
}

fn by_hand(parent: &Path) -> Result<Duration> {
    let start = Instant::now();
    let outer = parent.join("by-hand");
    fs::create_dir(&outer)?;
    for (file, value) in [("memory.max", "268435456"), ("cpu.max", "100000 100000"), ("pids.max", "64")] {
        fs::write(outer.join(file), value)?;
    }
    let inside = outer.join("inside");
    fs::create_dir(&inside)?;
    fs::remove_dir(&inside)?;
    fs::remove_dir(&outer)?;
    Ok(start.elapsed())
}
