//! Waiting, by events.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::dir::Dir;
use crate::processes::listed;
use crate::text::keyed;
use crate::{Cgroup, Error, read};

/// When to give up; `None` is never.
pub(crate) type Deadline = Option<Instant>;

pub(crate) fn deadline(timeout: Option<Duration>) -> Deadline {
    Instant::now().checked_add(timeout?)
}

impl Cgroup {
    /// Waits until no process is inside or below; false if the timeout came first. `None` waits
    /// without end, zero only looks.
    ///
    /// v2 tells by `cgroup.events`. v1 tells nothing, so there the end of each listed process is
    /// awaited by its pidfd (Linux 5.3), until none is listed.
    ///
    /// # Errors
    /// On v1 [`Error::Unsupported`] if only processes are inside that have no pid in the caller's
    /// pid namespace.
    pub fn wait_empty(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let deadline = deadline(timeout);
        if let Some(v2) = self.v2()
            && !event(&v2.dir, "populated", 0, deadline)?
        {
            return Ok(false);
        }
        loop {
            let listed = listed(self.v1())?;
            if listed.is_empty() {
                return Ok(true);
            }
            if listed.pids.is_empty() {
                let reason = "processes are inside that have no pid in this pid namespace, and cgroup v1 has no events";
                return Err(Error::unsupported("waiting", reason));
            }
            for pid in listed.pids {
                if !exited(pid, deadline)? {
                    return Ok(false);
                }
            }
        }
    }
}

/// Waits until a key of `cgroup.events` has this value. A removed cgroup has any.
pub(crate) fn event(dir: &Dir, key: &str, value: u64, deadline: Deadline) -> Result<bool, Error> {
    let fail = |errno: Errno| Error::from_call("read", &dir.path().join("cgroup.events"), errno);
    let file = match dir.open_file("cgroup.events", OFlags::RDONLY) {
        Err(error) if error.is_gone() => return Ok(true),
        other => other?,
    };
    loop {
        match read::piece(file.as_fd()) {
            Ok(text) if keyed(&text, key) == Some(value) => return Ok(true),
            Ok(_) => {}
            Err(Errno::NODEV) => return Ok(true),
            Err(errno) => return Err(fail(errno)),
        }
        if !ready(file.as_fd(), PollFlags::PRI, deadline).map_err(fail)? {
            return Ok(false);
        }
    }
}

/// Waits until a process has ended.
fn exited(pid: u32, deadline: Deadline) -> Result<bool, Error> {
    let fail = |call, errno: Errno| Error::from_call(call, &Path::new("/proc").join(pid.to_string()), errno);
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(true) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => ready(pidfd.as_fd(), PollFlags::IN, deadline).map_err(|errno| fail("poll", errno)),
        Err(Errno::SRCH) => Ok(true),
        Err(errno) => Err(fail("pidfd_open", errno)),
    }
}

/// poll(2) on one descriptor; false at the deadline.
pub(crate) fn ready(fd: BorrowedFd<'_>, events: PollFlags, deadline: Deadline) -> Result<bool, Errno> {
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::from_borrowed_fd(fd, events)], timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// For the two states of v1 that have no event at all, the end of freezing and the last moments
/// of an exiting process: looks again after a millisecond. False at the deadline.
pub(crate) fn look_again(deadline: Deadline) -> bool {
    const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    if deadline.is_some_and(|at| Instant::now() >= at) {
        return false;
    }
    // Interrupted or not, the caller looks again.
    let _ = poll(&mut [], Some(&PAUSE));
    true
}
