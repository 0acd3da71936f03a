//! How many descriptors connections may take of this process, which has other uses for them.

use rustix::process::Resource;

/// The descriptors of all connections together.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    used: usize,
}

impl Budget {
    pub(crate) fn new() -> Budget {
        let mut budget = Budget { most: 0, used: 0 };
        budget.look();
        budget
    }

    /// Three quarters of what the process may have open, which can change.
    pub(crate) fn look(&mut self) {
        // Below a filter that refuses to tell, the number that every login has.
        let (limit, _) = seclude_sys::process::rlimit(Resource::Nofile as u32).unwrap_or((1024, 1024));
        self.most = usize::try_from(limit / 4 * 3).unwrap_or(usize::MAX);
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
    fn whoever_takes_all_leaves_room_for_the_next() {
        let mut budget = Budget { most: 900, used: 0 };
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
