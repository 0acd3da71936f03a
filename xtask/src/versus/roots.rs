//! What a directory as root costs on a host of few mounts and of many: where the mount namespace can be made of that alone
//! (Linux 7.0), and where something else of the host's tree is asked for, so that all of it is copied first.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount};
use seclude::{Mount, Namespace, Root, RootMade};
use serde::{Deserialize, Serialize};

use super::contestants::time_library;
use super::limits::Times;

/// How many mounts the host has.
const MOUNTS: [usize; 2] = [20, 1000];

/// Microseconds from spawn to reaped.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) mounts: usize,
    /// A directory is all of the host's tree that the container has.
    pub(crate) alone: Times,
    pub(crate) made: String,
    /// It has a bind of another one besides.
    pub(crate) with_bind: Times,
}

/// Makes mounts: to be run in a mount namespace that nobody else is in.
pub(super) fn measure(program: &Path, runs: usize) -> Result<Vec<Cost>> {
    // Goes with the namespace, and all below it.
    let place = Path::new("/mnt");
    mount("none", place, "tmpfs", MountFlags::empty(), None).context("mount /mnt")?;
    let (root, other) = (place.join("root"), place.join("other"));
    for directory in [&root.join("proc"), &root.join("bound"), &other] {
        fs::create_dir_all(directory)?;
    }
    fs::copy(program, root.join("exit"))?;
    let alone = || {
        let mut command = seclude::Command::new("/exit");
        command.unshare(Namespace::Mount).unshare(Namespace::Pid).unshare(Namespace::Uts).unshare(Namespace::Ipc);
        command.root(Root::directory(&root));
        command
    };
    let with_bind = || {
        let mut command = alone();
        command.mount(Mount::bind(&other, "/bound"));
        command
    };
    let made = match alone().spawn()?.report().root {
        Some(RootMade::Entered) => "made of it",
        _ => "a copy of all",
    };
    let mut costs = Vec::new();
    for wanted in MOUNTS {
        let mounts = fill(place, wanted)?;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            first.push(time_library(alone)?);
            second.push(time_library(with_bind)?);
        }
        let (alone, with_bind) = (Times::of(&first)?, Times::of(&second)?);
        costs.push(Cost { mounts, alone, made: made.to_owned(), with_bind });
    }
    Ok(costs)
}

/// Mounts until there are as many; answers how many there are.
fn fill(place: &Path, wanted: usize) -> Result<usize> {
    let there = fs::read_to_string("/proc/self/mountinfo")?.lines().count();
    for number in there..wanted {
        let target = place.join(format!("mount-{number}"));
        fs::create_dir(&target)?;
        mount("none", &target, "tmpfs", MountFlags::empty(), None)
            .with_context(|| format!("mount {}", target.display()))?;
    }
    Ok(there.max(wanted))
}
