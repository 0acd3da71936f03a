//! What limits cost where the container is born in its cgroup, measured by itself: in the virtual machines, which have
//! cgroups of version 2 alone.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use seclude::CloneWay;
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
    /// Memory, CPU and pids limited, born there.
    pub(crate) born: Times,
    /// The same by clone(2), moved by cgroup.procs.
    pub(crate) moved: Times,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Times {
    fn of(found: &[Duration]) -> Result<Times> {
        let found = Statistics::of(found).context("no times")?;
        Ok(Times { p50: found.p50, p99: found.p99 })
    }
}

pub(super) fn measure(program: &Path, runs: usize) -> Result<Cost> {
    let (mut free, mut born, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let after = |build: &dyn Fn() -> seclude::Command| {
            std::thread::sleep(IDLE);
            time_library(build)
        };
        free.push(after(&|| lean(program))?);
        born.push(after(&|| limited(program))?);
        moved.push(after(&|| {
            let mut command = limited(program);
            command.clone_way(CloneWay::Legacy);
            command
        })?);
    }
    Ok(Cost { runs, free: Times::of(&free)?, born: Times::of(&born)?, moved: Times::of(&moved)? })
}
