//! What was found last, as long as it is still there: finding it anew takes longer than making a cgroup.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, TryLockError};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::hierarchies::{OWN, own_paths};
use crate::{Error, Hierarchies, Hierarchy, read};

struct Known {
    found: Hierarchies,
    /// Of each hierarchy.
    mounts: Vec<u64>,
}

static LAST: Mutex<Option<Known>> = Mutex::new(None);

impl Hierarchies {
    /// What this process has found before, if it is still mounted where it was; else what [`Hierarchies::discover`] finds.
    /// Where this process is, is read anew.
    ///
    /// A hierarchy that was mounted meanwhile, and a controller that has moved to another one, are not noticed.
    ///
    /// # Errors
    /// As [`Hierarchies::discover`].
    pub fn known() -> Result<Hierarchies, Error> {
        // Whoever has it just now may be a thread of the process that this one was forked from: it is looked for anew then.
        let last = try_lock().and_then(|last| last.as_ref().map(Known::still)).transpose()?;
        if let Some(found) = last.flatten() {
            return Ok(found);
        }
        let found = Hierarchies::discover()?;
        let mounts: Option<Vec<u64>> = found.all().map(mount_id).collect();
        if let Some(mut last) = try_lock() {
            *last = mounts.map(|mounts| Known { found: found.clone(), mounts });
        }
        Ok(found)
    }
}

fn try_lock() -> Option<MutexGuard<'static, Option<Known>>> {
    match LAST.try_lock() {
        Ok(last) => Some(last),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Known {
    fn still(&self) -> Result<Option<Hierarchies>, Error> {
        if !self.found.all().zip(&self.mounts).all(|(hierarchy, mount)| mount_id(hierarchy) == Some(*mount)) {
            return Ok(None);
        }
        let own = read::piece_of(Path::new(OWN))?;
        Ok(Some(self.found.clone().with_own_paths(&own_paths(&own))))
    }
}

/// What the kernel calls the mount that a path leads to; Linux 5.8.
fn mount_id(hierarchy: &Hierarchy) -> Option<u64> {
    let flags = AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    let stat = statx(CWD, hierarchy.mount_point(), flags, StatxFlags::MNT_ID).ok()?;
    (stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_what_would_be_found() {
        let found = Hierarchies::discover().unwrap();
        assert_eq!(Hierarchies::known().unwrap(), found);
        assert_eq!(Hierarchies::known().unwrap(), found);
    }

    #[test]
    fn what_is_mounted_elsewhere_by_now_is_not_believed() {
        let found = Hierarchies::discover().unwrap();
        let mounts: Vec<u64> = found.all().filter_map(mount_id).collect();
        let known = Known { found, mounts };
        assert!(known.still().unwrap().is_some());
        let moved = Known { mounts: known.mounts.iter().map(|id| id + 1).collect(), found: known.found };
        assert_eq!(moved.still().unwrap().is_some(), moved.mounts.is_empty());
    }
}
