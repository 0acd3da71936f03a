//! How long a start may take.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::error::{Code, Error, Result};

/// Ends a start from elsewhere: another thread, a signal's handler through [`Canceller::descriptor`].
///
/// What was started stays: it ends by [`crate::Child::kill`].
#[derive(Clone, Debug)]
pub struct Canceller {
    fd: Arc<OwnedFd>,
    /// How long a start may still come to its end by itself.
    moment: Duration,
}

/// The command may run already, and have said so to whoever signals, before that is seen here.
const MOMENT: Duration = Duration::from_millis(100);

impl Canceller {
    /// For [`crate::Command::cancelled_by`].
    ///
    /// # Errors
    /// EMFILE and its like, eventfd(2).
    pub fn new() -> std::io::Result<Canceller> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Canceller { fd: Arc::new(fd), moment: Duration::ZERO })
    }

    /// One that is cancelled as soon as there is something to be read from `fd`, such as a signalfd(2). Nothing is read.
    ///
    /// A start that is done in that very moment (a tenth of a second) is done: a command that runs already may be whom a
    /// signal is meant for.
    pub fn when_readable(fd: impl Into<OwnedFd>) -> Canceller {
        Canceller { fd: Arc::new(fd.into()), moment: MOMENT }
    }

    /// Every start that it was given to ends with an error, now or when it begins; nothing is left of it.
    pub fn cancel(&self) {
        // It cannot block, and is full only if it was cancelled 2^64 - 2 times. What is read from has nothing written to it.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }

    /// An eventfd(2): writing 1 to it as eight bytes is [`Self::cancel`], which a signal's handler may do too.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// When a start has to end, done or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience {
    pub(crate) until: Option<Instant>,
    pub(crate) canceller: Option<Canceller>,
}

/// A killed process ends at once, unless it is in a call that cannot be interrupted.
pub(crate) const LAST_MOMENTS: Duration = Duration::from_secs(2);

impl Patience {
    pub(crate) fn is_endless(&self) -> bool {
        self.until.is_none() && self.canceller.is_none()
    }

    /// Waits until there is something on `fd`.
    pub(crate) fn wait_for(&self, fd: impl AsFd, flags: PollFlags) -> Result<()> {
        if self.is_endless() && flags == PollFlags::IN {
            // The receive itself waits.
            return Ok(());
        }
        loop {
            let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout = left.map(|left| Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut polled = vec![PollFd::new(&fd, flags)];
            polled.extend(self.canceller.iter().map(|canceller| PollFd::new(&*canceller.fd, PollFlags::IN)));
            match poll(&mut polled, timeout.as_ref()) {
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(Error::parent("handshake", "", errno).call("poll")),
                Ok(0) => return Err(self.deadline_passed()),
                Ok(_) => {}
            }
            let [here, cancelling] = [0, 1].map(|n| polled.get(n).is_some_and(|polled| !polled.revents().is_empty()));
            let moment = self.canceller.as_ref().map_or(Duration::ZERO, |canceller| canceller.moment);
            return match cancelling {
                false => Ok(()),
                true if moment.is_zero() => Err(cancelled()),
                true if here => Ok(()),
                true => {
                    let moment = left.map_or(moment, |left| left.min(moment));
                    let alone = Patience { until: Some(Instant::now() + moment), canceller: None };
                    alone.wait_for(fd.as_fd(), flags).map_err(|_| cancelled())
                }
            };
        }
    }

    /// Fails once it is over: between two of many things.
    pub(crate) fn look(&self) -> Result<()> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Err(self.deadline_passed());
        }
        let Some(canceller) = &self.canceller else { return Ok(()) };
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut [PollFd::new(&*canceller.fd, PollFlags::IN)], Some(&now)) {
            Ok(1) => Err(cancelled()),
            _ => Ok(()),
        }
    }

    pub(crate) fn deadline_passed(&self) -> Error {
        let error = Error::invalid("deadline", "it has passed before the command ran").at("deadline");
        error.coded(Code::Deadline).hint(
            "it is short for a machine as busy as this, something that set-up or the exec has to open does not answer (a lease, a FUSE or network file system), or there is much to look at \
             (the lower directories of an overlay)",
        )
    }
}

pub(crate) fn cancelled() -> Error {
    Error::invalid("cancel", "the start was given up").coded(Code::Cancelled)
}
