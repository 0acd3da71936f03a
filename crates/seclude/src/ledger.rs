//! What a spawn made on the host, and how each thing is unmade.

use std::io;

use crate::error::Error;

/// Named undos, taken back in reverse order.
///
/// Each success pushes one; a failed spawn unwinds them all and its error tells which did not work; a running
/// child owns the rest until its end.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    undo: Box<dyn FnOnce() -> io::Result<()> + Send + Sync>,
    leave: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Ledger {
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
        for left in self.settle() {
            error.attach_undo(left);
        }
    }

    /// Undoes everything, last first; answers what resisted.
    pub(crate) fn settle(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        while let Some(Entry { name, undo, .. }) = self.entries.pop() {
            if let Err(error) = undo() {
                left.push(format!("{name} ({error})"));
            }
        }
        left
    }
}

impl Ledger {
    /// Lets go of everything: what it is for goes on without its owner.
    pub(crate) fn abandon(&mut self) {
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
