//! Lines on stderr. While a command runs nobody waits long for whoever reads them, as the command can see to it that nobody does: a
//! deadline would come late, and no signal be handed on.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustix::stdio::stderr;

use crate::signals::ENDING;

/// Whether a command runs.
static RUNS: AtomicBool = AtomicBool::new(false);
/// Whether the last line was not taken: the next is not waited for.
static STUCK: AtomicBool = AtomicBool::new(false);

const PATIENCE: Duration = Duration::from_millis(200);
/// What a pipe takes whole once it takes any, pipe(7).
const PIPE_BUF: usize = 4096;

/// As long as it lives a command runs.
pub(crate) struct Running(());

impl Running {
    pub(crate) fn begin() -> Running {
        RUNS.store(true, Ordering::Relaxed);
        Running(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNS.store(false, Ordering::Relaxed);
    }
}

/// What makes a terminal show a line in another order than it is written in, UAX #9.
fn turns(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line on stderr, whatever names of others' choosing are in it. If nobody listens (`2>&1 | head`), the command's status is
/// told all the same.
pub(crate) fn say(line: impl Display) {
    let line = line.to_string();
    let mut shown = String::with_capacity(line.len());
    let plain = |character: &char| !character.is_control() && !turns(*character);
    line.chars().for_each(|character| match plain(&character) {
        true => shown.push(character),
        false => shown.extend(character.escape_default()),
    });
    // In one piece: the command may write to the same file.
    let text = format!("seclude: {shown}\n");
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGTTOU);
    // A terminal that the command has told to (TOSTOP) stops who writes in the background.
    let before = mask.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    match Stderr::open().write_in_time(text.as_bytes()) {
        Ok(true) | Err(_) => {}
        Ok(false) if RUNS.load(Ordering::Relaxed) => {}
        Ok(false) => {
            // Of a program that writes its last line whoever does not read it can be waited for, and signals end that.
            let _ = ENDING.into_iter().collect::<SigSet>().thread_unblock();
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
}

enum Stderr {
    /// In an open file of its own, whose flags are nobody else's.
    Anew(OwnedFd),
    Socket,
    /// What cannot be opened anew, or never has anybody wait.
    AsItIs,
}

impl Stderr {
    fn open() -> Stderr {
        let Ok(found) = fstat(stderr()) else { return Stderr::AsItIs };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Socket => Stderr::Socket,
            FileType::CharacterDevice | FileType::Fifo => {
                let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                rustix::fs::open("/proc/self/fd/2", flags, Mode::empty()).map_or(Stderr::AsItIs, Stderr::Anew)
            }
            _ => Stderr::AsItIs,
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Stderr::Anew(fd) => fd.as_fd(),
            Stderr::Socket | Stderr::AsItIs => stderr(),
        }
    }

    fn write_some(&self, text: &[u8]) -> Result<usize, Errno> {
        match self {
            Stderr::Socket => send(stderr(), text, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            _ => rustix::io::write(self.fd(), text),
        }
    }

    /// Whether all of it is taken within a moment; of what is not, nothing but what was taken.
    fn write_in_time(&self, mut text: &[u8]) -> Result<bool, Errno> {
        let patience = if STUCK.load(Ordering::Relaxed) { Duration::ZERO } else { PATIENCE };
        let until = Instant::now() + patience;
        while !text.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            let is_taken = match poll(&mut [PollFd::from_borrowed_fd(self.fd(), PollFlags::OUT)], Some(&left)) {
                Ok(ready) => ready > 0,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            STUCK.store(!is_taken, Ordering::Relaxed);
            if !is_taken {
                return Ok(false);
            }
            let part = text.get(..PIPE_BUF).unwrap_or(text);
            match self.write_some(part) {
                Ok(written) => text = text.get(written..).unwrap_or_default(),
                Err(Errno::INTR | Errno::AGAIN) if Instant::now() < until => {}
                Err(Errno::INTR | Errno::AGAIN) => {
                    STUCK.store(true, Ordering::Relaxed);
                    return Ok(false);
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }
}
