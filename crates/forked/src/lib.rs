//! A lock for what a process has once, in programs that fork while other threads run.
//!
//! fork(2) takes along the memory, and of the threads the calling one alone: a lock that another thread had is locked in the new process for
//! ever, and a `Once` that it was in is never done. Whoever is first in a new process has [`Forked`] begin anew there: with the same
//! mutex where that is free, with the next one where nobody will ever unlock it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// How many forks of forks can find the lock taken, one after the other. The last one's is waited for.
pub const GENERATIONS: usize = 16;

/// What one process has once; another process that was forked from it has one of its own.
#[derive(Debug)]
pub struct Forked<T> {
    slots: [Mutex<T>; GENERATIONS],
    /// The process, and which slot is its own.
    current: AtomicU64,
}

impl<T: Default> Forked<T> {
    /// For a `static`: `Forked::new([const { Mutex::new(None) }; GENERATIONS])`.
    pub const fn new(slots: [Mutex<T>; GENERATIONS]) -> Forked<T> {
        Forked { slots, current: AtomicU64::new(0) }
    }

    /// Waits for whoever has it in this process. The first in a process that was forked finds the default, and `begun_anew` is called before.
    pub fn lock(&self, begun_anew: impl FnOnce()) -> MutexGuard<'_, T> {
        let process = std::process::id();
        let mut current = self.current.load(Ordering::Acquire);
        loop {
            let (owner, index) = ((current >> 32) as u32, current as u32);
            let own = |slot: u32| u64::from(process) << 32 | u64::from(slot);
            if owner == process || index as usize + 1 >= GENERATIONS {
                let Some(slot) = self.slots.get(index as usize).or(self.slots.last()) else { continue };
                return slot.lock().unwrap_or_else(PoisonError::into_inner);
            }
            let mut slots = (index..).zip(self.slots.iter().skip(index as usize));
            let Some((free, mut guard)) = slots.find_map(|(number, slot)| Some((number, try_lock(slot)?))) else {
                std::thread::yield_now();
                current = self.current.load(Ordering::Acquire);
                continue;
            };
            match self.current.compare_exchange(current, own(free), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if owner != 0 {
                        *guard = T::default();
                        begun_anew();
                    }
                    return guard;
                }
                // Another thread of this process was first.
                Err(found) => current = found,
            }
        }
    }
}

fn try_lock<T>(slot: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match slot.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a process finds it that was forked from one with this number.
    fn forked_from(other: u32, value: u32) -> Forked<u32> {
        let forked = Forked::new([const { Mutex::new(0) }; GENERATIONS]);
        forked.current.store(u64::from(other) << 32, Ordering::Relaxed);
        *forked.slots[0].lock().unwrap() = value;
        forked
    }

    #[test]
    fn a_process_keeps_its_own_and_a_fork_begins_anew() {
        let own = Forked::new([const { Mutex::new(0) }; GENERATIONS]);
        *own.lock(|| panic!("nobody was before")) = 5;
        assert_eq!(*own.lock(|| panic!("it is the same process")), 5);
        let (forked, mut times) = (forked_from(std::process::id() + 1, 7), 0);
        assert_eq!(*forked.lock(|| times += 1), 0);
        *forked.lock(|| times += 1) = 3;
        assert_eq!((*forked.lock(|| times += 1), times), (3, 1));
    }

    #[test]
    fn what_nobody_will_unlock_is_not_waited_for() {
        let forked = forked_from(std::process::id() + 1, 7);
        let lost = forked.slots[0].lock().unwrap();
        assert_eq!(*forked.lock(|| ()), 0);
        // Many at once agree on one.
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| *forked.lock(|| panic!("it has begun")) += 1));
            }
        });
        assert_eq!(*forked.lock(|| ()), 8000);
        drop(lost);
    }

    #[test]
    fn the_first_of_many_begins_it_once() {
        for _ in 0..200 {
            let (forked, begun) = (forked_from(std::process::id() + 1, 7), AtomicU64::new(0));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| *forked.lock(|| _ = begun.fetch_add(1, Ordering::Relaxed)) += 1);
                }
            });
            assert_eq!((*forked.lock(|| ()), begun.into_inner()), (4, 1));
        }
    }
}
