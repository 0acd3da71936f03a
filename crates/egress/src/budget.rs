//! How many descriptors connections may take of this process, which has other uses for them.

use rustix::process::Resource;

/// The descriptors of all connections together.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    used: usize,
    /// Of sockets that are there without a connection, which are none of the budget's.
    held: usize,
}

impl Budget {
    pub(crate) fn new() -> Budget {
        let mut budget = Budget { most: 0, used: 0, held: 0 };
        budget.look();
        budget
    }

    /// A namespace's sockets have come.
    pub(crate) fn hold(&mut self, count: usize) {
        self.held += count;
        self.look();
    }

    /// They are closed.
    pub(crate) fn release(&mut self, count: usize) {
        self.held = self.held.saturating_sub(count);
        self.look();
    }

    /// Three quarters of what those leave of all that the process may have open, which can change.
    fn look(&mut self) {
        // Below a filter that refuses to tell, the number that every login has.
        let (limit, _) = seclude_sys::process::rlimit(Resource::Nofile as u32).unwrap_or((1024, 1024));
        let left = limit.saturating_sub(self.held as u64);
        self.most = usize::try_from(left / 4 * 3).unwrap_or(usize::MAX);
    }

    /// So many more for somebody who has `own`: as long as that is no more than what it leaves to others, so whoever takes all that it
    /// gets leaves room for the next.
    pub(crate) fn take(&mut self, own: &mut usize, count: usize) -> bool {
        let left = self.most.saturating_sub(self.used);
        let may = count <= left && *own + count <= left;
        if may {
            self.used += count;
            *own += count;
        }
        may
    }

    pub(crate) fn give_back(&mut self, own: &mut usize, count: usize) {
        self.used = self.used.saturating_sub(count);
        *own = own.saturating_sub(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_without_connections_are_none_of_what_connections_may_take() {
        let mut budget = Budget::new();
        let before = budget.most;
        budget.hold(100);
        assert!((74..=76).contains(&(before - budget.most)), "{before} and then {}", budget.most);
        budget.release(100);
        assert_eq!(budget.most, before);
    }

    #[test]
    fn whoever_takes_all_leaves_room_for_the_next() {
        let mut budget = Budget { most: 900, used: 0, held: 0 };
        let mut owns = [0, 0, 0];
        for own in &mut owns {
            while budget.take(own, 2) {}
            assert!(*own > 100, "{own}");
        }
        let [first, ..] = &mut owns;
        let had = *first;
        budget.give_back(first, had);
        assert!(budget.take(first, 2));
    }
}
