//! What `seclude run` does while the command runs: hands on signals, keeps the deadline, says the statistics.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use seclude::{Child, Exit};

use crate::signals::Forwarder;
use crate::stats::Ticker;

pub(crate) struct Watch {
    pub(crate) signals: Forwarder,
    pub(crate) stats: Option<Ticker>,
}

impl Watch {
    /// How long a poll may take until something is due.
    pub(crate) fn time_left(&self, child: &Child) -> Option<Timespec> {
        let due = self.stats.as_ref().map(Ticker::time_left);
        let left: Duration = child.time_left().into_iter().chain(due).min()?;
        Some(Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        })
    }

    /// After each poll. Answers a signal that came, of which seclude itself would end.
    pub(crate) fn attend(&mut self, child: &mut Child, knows_end: bool) -> Option<i32> {
        if let Some(stats) = &mut self.stats {
            stats.tick();
        }
        self.signals.deliver(child, knows_end)
    }

    /// Waits for the end of the child.
    pub(crate) fn wait(&mut self, child: &mut Child) -> seclude::Result<Exit> {
        loop {
            if let Some(exit) = child.try_wait()? {
                return Ok(exit);
            }
            if self.signals.has_to_note(child) {
                self.attend(child, true);
                continue;
            }
            let left = self.time_left(child);
            let mut polled = [
                PollFd::from_borrowed_fd(child.end_notice(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.signals.wake(), PollFlags::IN),
            ];
            // An interrupted one has a signal to hand on; an ended child is seen above, before a line about it.
            match poll(&mut polled, left.as_ref()) {
                Ok(1..) if !polled[0].revents().is_empty() => {}
                _ => {
                    self.attend(child, false);
                }
            }
        }
    }
}
