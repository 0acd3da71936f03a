//! Threads that copy between a pipe of the command's and what the caller has.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, pread, read, write};

const STACK: usize = 64 * 1024;
/// What a pipe holds.
const PIECE: usize = 64 * 1024;

/// A thread that is to copy, once the command runs. It is there before: that none can be had is an error of the start.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Dropped without a word, it ends the thread.
    start: SyncSender<()>,
    thread: JoinHandle<()>,
    /// Whether it carries the command's output, all of which is to arrive before its end is told.
    pub(crate) output: bool,
}

impl Relay {
    pub(crate) fn input(from: OwnedFd, to: OwnedFd, offset: Option<u64>) -> io::Result<Relay> {
        Relay::waiting(Copying { from, to, offset, output: false })
    }

    pub(crate) fn output(from: OwnedFd, to: OwnedFd) -> io::Result<Relay> {
        Relay::waiting(Copying { from, to, offset: None, output: true })
    }

    fn waiting(copying: Copying) -> io::Result<Relay> {
        let (start, started) = sync_channel(1);
        let output = copying.output;
        let builder = thread::Builder::new().name("seclude-relay".into()).stack_size(STACK + PIECE);
        let thread = builder.spawn(move || {
            // The caller's signal handlers expect the caller's threads.
            let _ = seclude_sys::signal::set_mask(!0);
            if started.recv().is_ok() {
                copying.copy();
            }
        })?;
        Ok(Relay { start, thread, output })
    }

    pub(crate) fn start(self) -> JoinHandle<()> {
        let _ = self.start.send(());
        self.thread
    }
}

struct Copying {
    from: OwnedFd,
    to: OwnedFd,
    /// Where to begin in a file whose offset is the caller's own business.
    offset: Option<u64>,
    output: bool,
}

impl Copying {
    fn copy(mut self) {
        let mut piece = vec![0; PIECE];
        while self.is_wanted() {
            let got = match self.offset {
                Some(offset) => pread(&self.from, &mut piece, offset),
                None => read(&self.from, &mut piece),
            };
            let length = match got {
                Ok(0) => return,
                Ok(length) => length,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(_) => return,
            };
            if let Some(offset) = &mut self.offset {
                *offset += length as u64;
            }
            let mut rest = piece.get(..length).unwrap_or_default();
            while !rest.is_empty() {
                match write(&self.to, rest) {
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => {
                        let _ = poll(&mut [PollFd::new(&self.to, PollFlags::OUT)], None);
                    }
                    // Whoever reads has seen enough; the command gets SIGPIPE when this end is closed.
                    Err(_) => return,
                }
            }
        }
    }

    /// Waits until there is something; `false` when nobody reads it any more.
    fn is_wanted(&self) -> bool {
        loop {
            let mut polled = [PollFd::new(&self.from, PollFlags::IN), PollFd::new(&self.to, PollFlags::empty())];
            match poll(&mut polled, None) {
                Err(Errno::INTR) => {}
                Err(_) => return false,
                Ok(_) if !polled[1].revents().is_empty() && !self.output => return false,
                Ok(_) if !polled[0].revents().is_empty() => return true,
                Ok(_) => return false,
            }
        }
    }
}

/// A second descriptor of the caller's.
pub(crate) fn copy_of(number: i32) -> io::Result<OwnedFd> {
    // By /proc a file would be opened anew.
    let copied = match number {
        0 => rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3),
        1 => rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3),
        _ => rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3),
    };
    Ok(File::from(copied?).into())
}
