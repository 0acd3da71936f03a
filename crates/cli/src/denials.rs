//! What the filter of system calls has refused: each as it comes, `--denials`, or when the command has failed.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use seclude::{Denial, Denials, Exit};

use crate::told::say;
use crate::words;

/// How many calls are named when a command has failed; a report has them all.
const MOST: usize = 4;

/// Says each that comes, on a thread of its own.
pub(crate) struct Follower {
    denials: Denials,
    /// How many were said.
    said: Arc<Mutex<usize>>,
}

impl Follower {
    pub(crate) fn new(denials: Denials) -> io::Result<Follower> {
        let said = Arc::new(Mutex::new(0));
        let (all, counted) = (denials.clone(), said.clone());
        thread::Builder::new().name("denials".into()).spawn(move || {
            let mut seen = 0;
            while let Some(denial) = all.after(seen) {
                let mut said = counted.lock().unwrap_or_else(PoisonError::into_inner);
                if *said == seen {
                    say(line(&denial));
                    *said += 1;
                }
                seen += 1;
            }
        })?;
        Ok(Follower { denials, said })
    }

    /// Says what was not said yet.
    pub(crate) fn finish(self) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.denials.list();
        all.iter().skip(*said).for_each(|denial| say(line(denial)));
        *said = all.len();
        if self.denials.more() > 0 {
            say(format_args!("refused: {} calls more", self.denials.more()));
        }
    }
}

fn line(denial: &Denial) -> String {
    format!("refused: {}", denial.message_with(words::say))
}

/// Names that were not reached, of a network of names.
pub(crate) fn unreached(exit: &Exit, most: usize) {
    let Some(reach) = exit.reach() else { return };
    let all = reach.unreached();
    all.iter().take(most).for_each(|one| say(format_args!("refused: {}", one.message_with(words::say))));
    let more = all.len().saturating_sub(most) as u64 + reach.more();
    if more > 0 {
        say(format_args!("refused: {more} other names, too"));
    }
}

/// Of a command that has failed: perhaps because of these.
pub(crate) fn sum_up(exit: &Exit) {
    unreached(exit, MOST);
    let mut named = BTreeSet::new();
    let all = exit.denials().list();
    let first: Vec<&Denial> = all.iter().filter(|denial| named.insert(denial.call.as_str())).collect();
    first.iter().take(MOST).for_each(|denial| say(line(denial)));
    if first.len() > MOST {
        say(format_args!("refused: {} other system calls, too (--denials)", first.len() - MOST));
    }
    if exit.denials().more() > 0 {
        say(format_args!("refused: {} calls more, which came too fast to be told apart", exit.denials().more()));
    }
}
