//! Nobody may look into a child that has the caller's memory who could not look into the caller itself.
//!
//! The owner of a user namespace has all capabilities in it, user_namespaces(7), and the owner of a child's namespace is
//! whoever has the caller's uid, without any of the caller's capabilities. As long as the memory is not dumpable, the
//! capabilities that count are those over the namespace in which the *caller* was executed, ptrace(2). So a caller that has
//! capabilities is not dumpable from before the clone until the child has left its memory; a copy is made without it as well,
//! and stays so. The same for joins: those that are in the namespace may have every capability there (CVE-2016-9962).
//!
//! Who is no root can write the maps of a child that has its memory only while that is not hidden: threads of which one joins
//! and another makes a user namespace take turns.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use seclude_forked::{Forked, GENERATIONS};
use seclude_sys::process::{dumpable, set_dumpable};

use crate::error::{Error, Result};

#[derive(Default)]
struct State {
    /// How many spawns hide.
    hiding: usize,
    /// How many have to be seen.
    seen: usize,
}

static STATE: Forked<State> = Forked::new([const { Mutex::new(State { hiding: 0, seen: 0 }) }; GENERATIONS]);
/// What it was before the first of those that hide, and one more; 0 if none does.
static BEFORE: AtomicU32 = AtomicU32::new(0);
static CHANGED: Condvar = Condvar::new();

fn state_once(ready: impl Fn(&State) -> bool) -> MutexGuard<'static, State> {
    // A process that was forked meanwhile has none of those who hide, and is hidden all the same.
    let state = STATE.lock(reveal);
    CHANGED.wait_while(state, |state| !ready(state)).unwrap_or_else(PoisonError::into_inner)
}

/// A change of ids in the child may have made it 2 (only root may read the core), which no process can set: it becomes 0 then, which
/// is less.
fn reveal() {
    if let Some(before) = BEFORE.swap(0, Ordering::Relaxed).checked_sub(1) {
        let _ = set_dumpable(u32::from(before == 1));
    }
}

thread_local! {
    /// Those of [`State::seen`] that this thread would wait for in vain.
    static SEEN_HERE: Cell<usize> = const { Cell::new(0) };
}

/// The process is not hidden while there is one. It stays with its thread.
pub(super) struct Seen(PhantomData<*const ()>);

impl Seen {
    pub(super) fn begin() -> Seen {
        state_once(|state| state.hiding == 0).seen += 1;
        SEEN_HERE.set(SEEN_HERE.get() + 1);
        Seen(PhantomData)
    }

    /// Whether this thread has one: then what it starts meanwhile (newuidmap, pasta) is part of a start that is seen, and would
    /// wait for itself.
    pub(super) fn is_here() -> bool {
        SEEN_HERE.get() > 0
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        SEEN_HERE.set(SEEN_HERE.get().saturating_sub(1));
        let mut state = state_once(|_| true);
        state.seen = state.seen.saturating_sub(1);
        CHANGED.notify_all();
    }
}

/// The process is not dumpable while there is one.
pub(super) struct Hidden(());

impl Hidden {
    pub(super) fn begin() -> Result<Hidden> {
        let mut state = state_once(|state| state.seen == 0);
        if state.hiding == 0 {
            let failed = |errno| Error::parent("clone", "hide the memory", errno).call("prctl");
            let before = dumpable().map_err(failed)?;
            BEFORE.store(before + 1, Ordering::Relaxed);
            if before != 0 {
                set_dumpable(0).map_err(failed)?;
            }
        }
        state.hiding += 1;
        Ok(Hidden(()))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let mut state = state_once(|_| true);
        state.hiding = state.hiding.saturating_sub(1);
        if state.hiding == 0 {
            reveal();
            CHANGED.notify_all();
        }
    }
}
