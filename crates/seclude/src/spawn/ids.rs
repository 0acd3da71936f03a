//! One process at a time may change its ids while it shares our memory.
//!
//! `commit_creds` of the child makes the shared memory non-dumpable, and with that every /proc file of *this*
//! process, and of concurrent children in it, belongs to root: an unprivileged parent can then write no id map and
//! newuidmap refuses. So the change waits behind a barrier of its own, and map writers and it exclude each other.
//! The parent makes itself dumpable again; the child never does: it would let its new uid ptrace it, and us.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use seclude_sys::process::{dumpable, set_dumpable};

static IDS: RwLock<()> = RwLock::new(());

/// As long as this is held no child changes its ids.
pub(super) struct Reading(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'static, ()>);

pub(super) fn maps_may_be_written() -> Reading {
    Reading(IDS.read().unwrap_or_else(PoisonError::into_inner))
}

/// A child's change of ids, from before its GO until it has left our memory.
pub(super) struct IdChange {
    dumpable: Option<u32>,
    _alone: RwLockWriteGuard<'static, ()>,
}

impl IdChange {
    pub(super) fn begin() -> IdChange {
        let alone = IDS.write().unwrap_or_else(PoisonError::into_inner);
        IdChange { dumpable: dumpable().ok(), _alone: alone }
    }
}

impl Drop for IdChange {
    fn drop(&mut self) {
        // 2 (only root may read the core) cannot be set by a process; it was the administrator's choice.
        if self.dumpable == Some(1) {
            let _ = set_dumpable(1);
        }
    }
}
