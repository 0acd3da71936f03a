//! What a spawn made on the host, and how each thing is unmade.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::fcntl_dupfd_cloexec;

use crate::error::Error;
use crate::mount_points::MountPoints;

/// Named undos, taken back in reverse order.
///
/// Each success pushes one; a failed spawn unwinds them all and its error tells which did not work; a running
/// child owns the rest until its end.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    /// They may be in use, and then stay.
    pub(crate) mount_points: MountPoints,
    /// What undoing will take, while a failure for want of descriptors is still possible.
    reserve: Vec<OwnedFd>,
}

/// As many descriptors as an undo has open at a time.
const RESERVE: usize = 6;

struct Entry {
    name: String,
    undo: Box<dyn FnOnce() -> io::Result<()> + Send + Sync>,
    leave: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Ledger {
    /// An empty one that can undo what is made also where descriptors run out meanwhile.
    pub(crate) fn with_reserve() -> rustix::io::Result<Ledger> {
        let first = eventfd(0, EventfdFlags::CLOEXEC)?;
        let mut reserve = Vec::with_capacity(RESERVE);
        for _ in 1..RESERVE {
            reserve.push(fcntl_dupfd_cloexec(&first, 0)?);
        }
        reserve.push(first);
        Ok(Ledger { entries: Vec::new(), mount_points: MountPoints::default(), reserve })
    }

    /// Nothing can fail any more.
    pub(crate) fn give_reserve_back(&mut self) {
        self.reserve.clear();
    }

    /// Notes that something now exists which `undo` removes.
    pub(crate) fn push(
        &mut self,
        name: impl Into<String>,
        undo: impl FnOnce() -> io::Result<()> + Send + Sync + 'static,
    ) {
        self.entries.push(Entry { name: name.into(), undo: Box::new(undo), leave: None });
    }

    /// The same for what has to be told if it is to go on without its owner.
    pub(crate) fn push_leaving(
        &mut self,
        name: impl Into<String>,
        undo: impl FnOnce() -> io::Result<()> + Send + Sync + 'static,
        leave: impl FnOnce() + Send + Sync + 'static,
    ) {
        self.entries.push(Entry { name: name.into(), undo: Box::new(undo), leave: Some(Box::new(leave)) });
    }

    /// Undoes everything, last first, and attaches to `error` what resisted.
    pub(crate) fn unwind(&mut self, error: &mut Error) {
        let Left { resisted, stays } = self.settle();
        resisted.into_iter().for_each(|left| error.attach_undo(left));
        stays.into_iter().for_each(|left| error.attach_stay(left));
    }

    /// Undoes everything, last first.
    pub(crate) fn settle(&mut self) -> Left {
        self.reserve.clear();
        let stays = self.mount_points.remove();
        let mut resisted = Vec::new();
        while let Some(Entry { name, undo, .. }) = self.entries.pop() {
            if let Err(error) = undo() {
                resisted.push(format!("{name} ({error})"));
            }
        }
        Left { resisted, stays }
    }
}

/// What is there after everything was undone, and why.
pub(crate) struct Left {
    /// It should not be.
    pub(crate) resisted: Vec<String>,
    /// It has come into use meanwhile.
    pub(crate) stays: Vec<String>,
}

impl Ledger {
    /// Lets go of everything: what it is for goes on without its owner.
    pub(crate) fn abandon(&mut self) {
        self.mount_points.leave();
        for leave in self.entries.drain(..).rev().filter_map(|entry| entry.leave) {
            leave();
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn undoes_in_reverse_and_reports_what_resisted() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut ledger = Ledger::default();
        for number in 0..3 {
            let order = order.clone();
            ledger.push(format!("thing {number}"), move || {
                order.lock().unwrap().push(number);
                if number == 1 { Err(io::ErrorKind::ResourceBusy.into()) } else { Ok(()) }
            });
        }
        let mut error = Error::invalid("test", "broke");
        ledger.unwind(&mut error);
        assert_eq!(*order.lock().unwrap(), [2, 1, 0]);
        assert_eq!(error.left_behind().len(), 1);
        assert!(error.to_string().contains("left behind: thing 1"), "{error}");
    }
}
