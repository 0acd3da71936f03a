//! Threads that copy between a pipe of the command's and what the caller has.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::{Errno, ioctl_fionread, pread, read, write};
use rustix::net::{SendFlags, send};

const STACK: usize = 64 * 1024;
/// What a pipe holds.
const PIECE: usize = 64 * 1024;

/// How much is written at a time where that could wait for whoever reads: as much as a pipe takes whole once poll(2) says that it takes any,
/// pipe(7).
const WHOLE: usize = 4096;
/// How long a reader may do nothing before what is left is not waited for any more, once the command was killed.
const PATIENCE: Duration = Duration::from_millis(100);
/// The same of a file, where a disk may be busy and nobody refuses to read.
const PATIENCE_WITH_DISKS: Duration = Duration::from_secs(5);

/// A thread that is to copy, once the command runs. It is there before: that none can be had is an error of the start.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Dropped without a word, it ends the thread.
    start: SyncSender<()>,
    carrying: Carrying,
}

/// A thread that carries the command's input or output.
#[derive(Debug)]
pub(crate) struct Carrying {
    thread: JoinHandle<Option<Errno>>,
    talk: Arc<Talk>,
    is_output: bool,
    patience: Duration,
}

/// What is said between such a thread and whoever has the command.
#[derive(Debug)]
struct Talk {
    /// That the command has ended.
    end: OwnedFd,
    /// That nobody waits for the rest any more.
    stop: OwnedFd,
    /// That all has arrived, or nothing more will.
    done: OwnedFd,
    /// How many bytes have arrived.
    arrived: AtomicU64,
    /// Whether the thread has dropped some, as nobody waits for that.
    dropped: AtomicBool,
    /// Whether the thread is left to itself.
    left: AtomicBool,
}

fn tell(notice: &OwnedFd) {
    let _ = write(notice, &1_u64.to_ne_bytes());
}

impl Carrying {
    /// Says that the command has ended, so that what it has written by now is all. The end of the pipe is not waited for: processes of the
    /// container may go on, and whoever was forked from this process meanwhile has its other end as well.
    pub(crate) fn end(&self) {
        tell(&self.talk.end);
    }

    /// Readable once nothing more is to arrive. Of the command's input there is nothing to wait for.
    pub(crate) fn pending(&self) -> Option<BorrowedFd<'_>> {
        (self.is_output && !self.is_done(Some(Duration::ZERO))).then(|| self.talk.done.as_fd())
    }

    fn is_done(&self, within: Option<Duration>) -> bool {
        let within = within.and_then(|within| Timespec::try_from(within).ok());
        poll(&mut [PollFd::new(&self.talk.done, PollFlags::IN)], within.as_ref()).is_ok_and(|ready| ready > 0)
    }

    /// What is there goes on as long as somebody reads it; then the thread is left.
    pub(crate) fn give_up(&self) {
        let mut before = u64::MAX;
        while self.is_output && !self.is_done(Some(self.patience)) {
            let arrived = self.talk.arrived.load(Ordering::Relaxed);
            if arrived == before {
                break;
            }
            before = arrived;
        }
        tell(&self.talk.stop);
        if !self.is_done(Some(Duration::ZERO)) {
            self.talk.left.store(true, Ordering::Relaxed);
            // For whoever waits for that elsewhere.
            tell(&self.talk.done);
        }
    }

    /// Whether some of the output may not have arrived, as it was given up.
    pub(crate) fn has_dropped(&self) -> bool {
        self.is_output && (self.talk.dropped.load(Ordering::Relaxed) || self.talk.left.load(Ordering::Relaxed))
    }

    /// Why some of the output has not arrived, of one that is done.
    pub(crate) fn finish(self) -> Option<Errno> {
        match self.is_done(Some(Duration::ZERO)) && !self.talk.left.load(Ordering::Relaxed) {
            true if self.is_output => self.thread.join().unwrap_or_default(),
            _ => None,
        }
    }
}

impl Relay {
    pub(crate) fn input(from: OwnedFd, to: OwnedFd, offset: Option<u64>) -> io::Result<Relay> {
        // The pipe is ours: waiting in a write of it, nothing else would be heard.
        without_waiting(&to)?;
        Relay::waiting(from, to, Way::Plain, offset, false)
    }

    pub(crate) fn output(from: OwnedFd, to: OwnedFd) -> io::Result<Relay> {
        // Its other end is the command's, who may read from it as well: what poll(2) has told can be gone.
        without_waiting(&from)?;
        let way = Way::of(&to);
        Relay::waiting(from, to, way, None, true)
    }

    fn waiting(from: OwnedFd, to: OwnedFd, way: Way, offset: Option<u64>, is_output: bool) -> io::Result<Relay> {
        let notice = || eventfd(0, EventfdFlags::CLOEXEC);
        let talk = Arc::new(Talk {
            end: notice()?,
            stop: notice()?,
            done: notice()?,
            arrived: AtomicU64::new(0),
            dropped: AtomicBool::new(false),
            left: AtomicBool::new(false),
        });
        let patience = if matches!(way, Way::Plain) { PATIENCE_WITH_DISKS } else { PATIENCE };
        let copying = Copying { from, to, way, offset, is_output, talk: Arc::clone(&talk) };
        let (start, started) = sync_channel(1);
        let builder = thread::Builder::new().name("seclude-relay".into()).stack_size(STACK + PIECE);
        let thread = builder.spawn(move || {
            // The caller's signal handlers expect the caller's threads.
            let _ = seclude_sys::signal::set_mask(!0);
            let talk = Arc::clone(&copying.talk);
            let failed = started.recv().ok().and_then(|()| copying.copy());
            tell(&talk.done);
            failed
        })?;
        Ok(Relay { start, carrying: Carrying { thread, talk, is_output, patience } })
    }

    pub(crate) fn start(self) -> Carrying {
        let _ = self.start.send(());
        self.carrying
    }
}

fn without_waiting(pipe: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?)
}

/// How it is written without waiting for a reader. (Flags of what the caller has are others' as well.)
#[derive(Clone, Copy)]
enum Way {
    /// No write of it waits.
    Plain,
    Socket,
    /// Asked before, and given no more than it takes.
    Asked,
}

impl Way {
    fn of(to: &OwnedFd) -> Way {
        match fstat(to).map(|found| FileType::from_raw_mode(found.st_mode)) {
            Ok(FileType::RegularFile | FileType::BlockDevice) => Way::Plain,
            Ok(FileType::Socket) => Way::Socket,
            _ => Way::Asked,
        }
    }
}

struct Copying {
    from: OwnedFd,
    to: OwnedFd,
    way: Way,
    /// Where to begin in a file whose offset is the caller's own business.
    offset: Option<u64>,
    is_output: bool,
    talk: Arc<Talk>,
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
            if left.is_none() {
                match self.next() {
                    Next::Copy => {}
                    Next::Stop => return None,
                    Next::CopyWhatIsThere => {
                        left = Some(ioctl_fionread(&self.from).unwrap_or(0));
                        continue;
                    }
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
                // Somebody else has read it.
                Err(Errno::AGAIN) if left.is_some() => return None,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(errno) => return Some(errno),
            };
            if let Some(offset) = &mut self.offset {
                *offset += length as u64;
            }
            left = left.map(|left| left.saturating_sub(length as u64));
            match self.write_on(piece.get(..length).unwrap_or_default()) {
                Ok(true) => {}
                // Whoever reads has seen enough; the command gets SIGPIPE when this end is closed.
                Ok(false) | Err(Errno::PIPE) => return None,
                Err(errno) => return Some(errno),
            }
        }
        None
    }

    /// Whether all of it was written, and nobody has said that the rest is not waited for.
    fn write_on(&self, mut rest: &[u8]) -> Result<bool, Errno> {
        let whole = |rest: &[u8]| rest.len().min(WHOLE);
        while !rest.is_empty() {
            let written = match self.way {
                Way::Plain => write(&self.to, rest),
                Way::Socket => send(&self.to, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
                Way::Asked if !self.takes_any(Some(Duration::ZERO)) => Err(Errno::AGAIN),
                Way::Asked => write(&self.to, rest.get(..whole(rest)).unwrap_or_default()),
            };
            match written {
                Ok(written) => {
                    self.talk.arrived.fetch_add(written as u64, Ordering::Relaxed);
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if !self.takes_any(None) {
                        self.talk.dropped.store(true, Ordering::Relaxed);
                        return Ok(false);
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }

    /// Waits until something can be written, or an error is to be had by it; not if that is not waited for any more.
    fn takes_any(&self, within: Option<Duration>) -> bool {
        let within = within.and_then(|within| Timespec::try_from(within).ok());
        // The command's input ends with it.
        let stop = if self.is_output { &self.talk.stop } else { &self.talk.end };
        loop {
            let mut polled = [PollFd::new(&self.to, PollFlags::OUT), PollFd::new(stop, PollFlags::IN)];
            match poll(&mut polled, within.as_ref()) {
                Err(Errno::INTR) => {}
                _ => return !polled[0].revents().is_empty() && polled[1].revents().is_empty(),
            }
        }
    }

    /// Waits until there is something.
    fn next(&self) -> Next {
        loop {
            let mut polled = [
                PollFd::new(&self.from, PollFlags::IN),
                PollFd::new(&self.to, PollFlags::empty()),
                PollFd::new(&self.talk.end, PollFlags::IN),
            ];
            match poll(&mut polled, None) {
                Err(Errno::INTR) => {}
                Err(_) => return Next::Stop,
                Ok(_) => {
                    return match polled.map(|fd| !fd.revents().is_empty()) {
                        [_, _, true] if self.is_output => Next::CopyWhatIsThere,
                        [_, true, _] | [_, _, true] if !self.is_output => Next::Stop,
                        [true, ..] => Next::Copy,
                        [false, ..] => Next::Stop,
                    };
                }
            }
        }
    }
}
