//! How far long work is: one line on a terminal that is written again and again, a line now and then elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// On something that is not a terminal.
const EVERY: Duration = Duration::from_secs(10);
/// On a terminal: more often than this nobody can read.
const REFRESH: Duration = Duration::from_millis(50);

/// The line; gone when dropped.
pub(crate) struct Progress {
    terminal: bool,
    last: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress { terminal: stderr().is_terminal(), last: None }
    }

    /// What is being done; shown if the last one was shown long enough ago.
    pub(crate) fn update(&mut self, what: &str) {
        let pause = if self.terminal { REFRESH } else { EVERY };
        if self.last.is_none_or(|last| last.elapsed() >= pause) {
            self.show(what);
        }
    }

    /// A new part of the work; always shown.
    pub(crate) fn show(&mut self, what: &str) {
        self.last = Some(Instant::now());
        let mut stderr = stderr().lock();
        let line: String = what.chars().take(100).collect();
        // Nobody's work fails because nobody reads how far it is.
        let _ = if self.terminal { write!(stderr, "\r\x1b[K{line}") } else { writeln!(stderr, "{line}") };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal && self.last.is_some() {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
    }
}
