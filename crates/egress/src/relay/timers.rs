//! What time tells: at most one moment for each thing that waits, and none for what is gone. Whoever makes connections without end, each
//! of which ends at once, is not to leave one behind with each.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::serve::Timer;

#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Instant, Timer)>,
    at: HashMap<Timer, Instant>,
}

impl Timers {
    /// Tells at that moment, or before, if it was to tell before: whoever is told looks whether it is time.
    pub(super) fn tell(&mut self, at: Instant, timer: Timer) {
        match self.at.get(&timer) {
            Some(before) if *before <= at => return,
            Some(before) => drop(self.by_time.remove(&(*before, timer))),
            None => {}
        }
        self.at.insert(timer, at);
        self.by_time.insert((at, timer));
    }

    /// It is gone.
    pub(super) fn forget(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    /// The next moment.
    pub(super) fn soonest(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// One whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        self.by_time.first().filter(|(at, _)| *at <= now)?;
        let (_, timer) = self.by_time.pop_first()?;
        self.at.remove(&timer);
        Some(timer)
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.by_time.len(), self.at.len());
        self.at.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_has_one_moment_the_first_and_none_once_it_is_gone() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        timers.tell(later(3), Timer::Flow(1));
        timers.tell(later(9), Timer::Flow(1));
        timers.tell(later(2), Timer::Flow(2));
        timers.tell(later(1), Timer::Connection(1));
        timers.tell(later(0), Timer::Connection(1));
        assert_eq!((timers.len(), timers.soonest()), (3, Some(now)));
        timers.forget(Timer::Flow(2));
        timers.forget(Timer::Flow(7));
        assert_eq!(timers.pop_due(later(2)), Some(Timer::Connection(1)));
        assert_eq!(timers.pop_due(later(2)), None);
        assert_eq!(timers.pop_due(later(3)), Some(Timer::Flow(1)));
        assert_eq!(timers.len(), 0);
    }
}
