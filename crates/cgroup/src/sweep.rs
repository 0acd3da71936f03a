//! Removing what makers that were killed have left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::delegation::is_left;
use crate::dir::Dir;
use crate::parent::{below, open_existing, release_opened};
use crate::remove::remove_deserted;
use crate::{Error, Hierarchies, Hierarchy, name};

/// A sweep's own look takes microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose a cgroup is: its maker holds a lock on the directory, which the kernel takes away when the maker ends, however
/// it does, and in whatever pid namespace it is.
pub(crate) fn hold(dir: &Dir) -> Result<(), Error> {
    let fail = |errno| Error::from_call("flock", dir.path(), errno);
    // A sweep has it for a moment; nobody that has it for longer is waited for.
    let started = Instant::now();
    loop {
        match flock(dir.fd(), FlockOperation::NonBlockingLockShared) {
            Ok(()) => break,
            Err(Errno::WOULDBLOCK | Errno::INTR) if started.elapsed() < PATIENCE => sleep(Duration::from_millis(1)),
            Err(errno) => return Err(fail(errno)),
        }
    }
    // A sweep may have had it first: then it has no files any more.
    match dir.has("cgroup.procs") {
        true => Ok(()),
        false => Err(Error::from_call("access", &dir.path().join("cgroup.procs"), Errno::NOENT)),
    }
}

impl Hierarchies {
    /// Removes the cgroups in `parent` whose makers have ended without removing them, and `parent` with the last of them
    /// if it was made for them; answers which.
    ///
    /// One with processes inside stays: it may have been left to run on, and goes with a later sweep.
    ///
    /// # Errors
    /// When the parent is there and cannot be listed.
    pub fn sweep(&self, parent: &Path) -> Result<Vec<PathBuf>, Error> {
        let mut swept = Vec::new();
        for hierarchy in self.v2().into_iter().chain(self.v1()) {
            match sweep_one(hierarchy, parent, &mut swept) {
                Err(error) if error.is_gone() || error.is_no_access() => {}
                other => other?,
            }
        }
        Ok(swept)
    }
}

fn sweep_one(hierarchy: &Hierarchy, parent: &Path, swept: &mut Vec<PathBuf>) -> Result<(), Error> {
    let dir = open_existing(hierarchy, parent)?;
    let mut makers: BTreeMap<(u32, u64), bool> = BTreeMap::new();
    for child in dir.children()? {
        if is_left(&child) && dir.remove_child(&child).is_ok() {
            swept.push(dir.path().join(&child));
            continue;
        }
        let Some(maker) = child.to_str().and_then(name::maker) else { continue };
        // Asked first because it costs one look for all the cgroups of a maker; the lock decides.
        if *makers.entry(maker).or_insert_with(|| name::is_alive(maker)) {
            continue;
        }
        if remove_unheld(&dir, &child) {
            swept.push(dir.path().join(child));
        }
    }
    release_opened(dir, below(hierarchy, parent)?.components().count());
    Ok(())
}

fn remove_unheld(parent: &Dir, name: &Path) -> bool {
    let Ok(dir) = parent.open_child(name) else { return false };
    if flock(dir.fd(), FlockOperation::NonBlockingLockExclusive).is_err() {
        return false;
    }
    // With what its processes have made below.
    remove_deserted(parent, name, &dir)
}
