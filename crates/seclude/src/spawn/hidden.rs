//! Nobody may look into a child that has the caller's memory who could not look into the caller itself.
//!
//! The owner of a user namespace has all capabilities in it, user_namespaces(7), and the owner of a child's namespace is
//! whoever has the caller's uid, without any of the caller's capabilities. As long as the memory is not dumpable, the
//! capabilities that count are those over the namespace in which the *caller* was executed, ptrace(2). So a caller that has
//! capabilities is not dumpable from before the clone until the child has left its memory; a copy is made without it as well,
//! and stays so. The same for joins: those that are in the namespace may have every capability there (CVE-2016-9962).

use std::sync::{Mutex, PoisonError};

use seclude_sys::process::{dumpable, set_dumpable};

use crate::error::{Error, Result};

/// How many spawns hide, and what it was before the first of them.
static HIDING: Mutex<(usize, u32)> = Mutex::new((0, 0));

/// The process is not dumpable while there is one.
pub(super) struct Hidden(());

impl Hidden {
    pub(super) fn begin() -> Result<Hidden> {
        let mut hiding = HIDING.lock().unwrap_or_else(PoisonError::into_inner);
        if hiding.0 == 0 {
            let failed = |errno| Error::parent("clone", "hide the memory", errno).call("prctl");
            hiding.1 = dumpable().map_err(failed)?;
            if hiding.1 != 0 {
                set_dumpable(0).map_err(failed)?;
            }
        }
        hiding.0 += 1;
        Ok(Hidden(()))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let mut hiding = HIDING.lock().unwrap_or_else(PoisonError::into_inner);
        hiding.0 = hiding.0.saturating_sub(1);
        if hiding.0 == 0 {
            // A change of ids in the child may have made it 2 (only root may read the core), which no process can set: it
            // becomes 0 then, which is less.
            let _ = set_dumpable(u32::from(hiding.1 == 1));
        }
    }
}
