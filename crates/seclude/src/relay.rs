//! Threads that copy between a pipe of the command's and what the caller has.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec, ioctl_fionread, pread, read, write};

const STACK: usize = 64 * 1024;
/// What a pipe holds.
const PIECE: usize = 64 * 1024;

/// A thread that is to copy, once the command runs. It is there before: that none can be had is an error of the start.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Dropped without a word, it ends the thread.
    start: SyncSender<()>,
    thread: JoinHandle<Option<Errno>>,
    /// Of one that carries the command's output: what tells it that the command has ended.
    end: Option<OwnedFd>,
}

/// A thread that carries the command's output, all of which is to arrive before its end is told.
#[derive(Debug)]
pub(crate) struct Carrying {
    thread: JoinHandle<Option<Errno>>,
    end: OwnedFd,
}

impl Carrying {
    /// Waits until all that the command has written has arrived; why some of it has not. The end of the pipe is not waited for: processes
    /// of the container may go on, and whoever was forked from this process meanwhile has its other end as well.
    pub(crate) fn finish(self) -> Option<Errno> {
        let _ = write(&self.end, &1_u64.to_ne_bytes());
        self.thread.join().unwrap_or_default()
    }
}

impl Relay {
    pub(crate) fn input(from: OwnedFd, to: OwnedFd, offset: Option<u64>) -> io::Result<Relay> {
        Relay::waiting(Copying { from, to, offset, end: None }, None)
    }

    pub(crate) fn output(from: OwnedFd, to: OwnedFd) -> io::Result<Relay> {
        let end = eventfd(0, EventfdFlags::CLOEXEC)?;
        let theirs = fcntl_dupfd_cloexec(&end, 3)?;
        Relay::waiting(Copying { from, to, offset: None, end: Some(theirs) }, Some(end))
    }

    fn waiting(copying: Copying, end: Option<OwnedFd>) -> io::Result<Relay> {
        let (start, started) = sync_channel(1);
        let builder = thread::Builder::new().name("seclude-relay".into()).stack_size(STACK + PIECE);
        let thread = builder.spawn(move || {
            // The caller's signal handlers expect the caller's threads.
            let _ = seclude_sys::signal::set_mask(!0);
            started.recv().ok().and_then(|()| copying.copy())
        })?;
        Ok(Relay { start, thread, end })
    }

    pub(crate) fn start(self) -> Option<Carrying> {
        let _ = self.start.send(());
        let Relay { thread, end, .. } = self;
        end.map(|end| Carrying { thread, end })
    }
}

struct Copying {
    from: OwnedFd,
    to: OwnedFd,
    /// Where to begin in a file whose offset is the caller's own business.
    offset: Option<u64>,
    /// Of the command's output: what says that the command has ended.
    end: Option<OwnedFd>,
}

/// What there is to be done next.
enum Next {
    Copy,
    /// Nobody writes or reads any more.
    Stop,
    /// The command has ended, though somebody may still write.
    CopyWhatIsThere,
}

impl Copying {
    /// Why not all of it has arrived.
    fn copy(mut self) -> Option<Errno> {
        let mut piece = vec![0; PIECE];
        let mut left = None;
        while left != Some(0) {
            match self.next(left.is_some()) {
                Next::Copy => {}
                Next::Stop => return None,
                Next::CopyWhatIsThere => {
                    left = Some(ioctl_fionread(&self.from).unwrap_or(0));
                    continue;
                }
            }
            let wanted = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(PIECE).min(PIECE);
            let got = match self.offset {
                Some(offset) => pread(&self.from, &mut piece, offset),
                None => read(&self.from, piece.get_mut(..wanted).unwrap_or_default()),
            };
            let length = match got {
                Ok(0) => return None,
                Ok(length) => length,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(errno) => return Some(errno),
            };
            if let Some(offset) = &mut self.offset {
                *offset += length as u64;
            }
            left = left.map(|left| left.saturating_sub(length as u64));
            let mut rest = piece.get(..length).unwrap_or_default();
            while !rest.is_empty() {
                match write(&self.to, rest) {
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => {
                        let _ = poll(&mut [PollFd::new(&self.to, PollFlags::OUT)], None);
                    }
                    // Whoever reads has seen enough; the command gets SIGPIPE when this end is closed.
                    Err(Errno::PIPE) => return None,
                    Err(errno) => return Some(errno),
                }
            }
        }
        None
    }

    /// Waits until there is something; once it is `known` that the command has ended, for nothing else.
    fn next(&self, known: bool) -> Next {
        loop {
            let mut polled = vec![PollFd::new(&self.from, PollFlags::IN), PollFd::new(&self.to, PollFlags::empty())];
            polled.extend(self.end.as_ref().filter(|_| !known).map(|end| PollFd::new(end, PollFlags::IN)));
            let is_output = self.end.is_some();
            match poll(&mut polled, None) {
                Err(Errno::INTR) => {}
                Err(_) => return Next::Stop,
                Ok(_) => {
                    let seen = |place: usize| polled.get(place).is_some_and(|fd| !fd.revents().is_empty());
                    return match (seen(0), seen(1), seen(2)) {
                        (_, true, _) if !is_output => Next::Stop,
                        (_, _, true) => Next::CopyWhatIsThere,
                        (true, ..) => Next::Copy,
                        (false, ..) => Next::Stop,
                    };
                }
            }
        }
    }
}
