//! Which process a container's is: by pid and by when it began, so that one that has the pid later is none of it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use seclude::Signaller;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// A process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// In clock ticks since boot, proc_pid_stat(5).
    pub(crate) start: u64,
}

impl Identity {
    /// Of a process that the caller knows to be there.
    pub(crate) fn of(pid: i32) -> Result<Identity> {
        let (_, start) = look(pid).ok_or_else(|| Failure::new(format!("process {pid}: it has ended")))?;
        Ok(Identity { pid, start })
    }

    /// The process, if it has not ended; one that nobody has waited for has.
    pub(crate) fn find(self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Looked at once it is held: from here on the pid is nobody else's, or the process has ended.
        let (_, start) = look(self.pid)?;
        // Its first thread may have ended, and be a zombie, while others run on: the pidfd tells of the last.
        (start == self.start && !has_ended(&pidfd)).then_some(pidfd)
    }

    pub(crate) fn is_alive(self) -> bool {
        self.find().is_some()
    }

    /// Sends it a signal; false if it has ended.
    pub(crate) fn signal(self, number: i32) -> Result<bool> {
        let Some(pidfd) = self.find() else { return Ok(false) };
        match Signaller::of(pidfd).send(number) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(false),
            Err(error) => Err(Failure::of(format_args!("signal {number} to process {}", self.pid), error)),
        }
    }

    /// Waits until it has ended, at most so many seconds; false if it has not.
    pub(crate) fn wait(self, seconds: i64) -> bool {
        self.wait_for(Duration::from_secs(seconds.unsigned_abs()))
    }

    /// The same.
    pub(crate) fn wait_for(self, time: Duration) -> bool {
        let Some(pidfd) = self.find() else { return true };
        let Ok(time) = Timespec::try_from(time) else { return false };
        loop {
            match poll(&mut [PollFd::new(&pidfd.as_fd(), PollFlags::IN)], Some(&time)) {
                Err(rustix::io::Errno::INTR) => {}
                answer => return answer.is_ok_and(|ready| ready > 0),
            }
        }
    }
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)) {
            Err(rustix::io::Errno::INTR) => {}
            answer => return answer.is_ok_and(|ready| ready > 0),
        }
    }
}

/// The parent of a process, if that can be seen.
pub(crate) fn parent_of(pid: i32) -> Option<i32> {
    look(pid).map(|(parent, _)| parent)
}

/// Its parent and its beginning.
fn look(pid: i32) -> Option<(i32, u64)> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may have anything in it, also what is no text.
    let text = String::from_utf8_lossy(&text);
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    // The state is the third field, the beginning the 22nd.
    let parent = fields.nth(1)?.parse().ok()?;
    Some((parent, fields.nth(17)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_its_pid_and_its_beginning_and_by_no_other() {
        let own = Identity::of(std::process::id() as i32).unwrap();
        assert!(own.is_alive());
        assert!(!Identity { start: own.start + 1, ..own }.is_alive());
        assert_eq!(Identity { start: own.start + 1, ..own }.signal(9).ok(), Some(false));
    }

    #[test]
    fn a_process_whose_name_is_no_text_is_found_as_well() {
        use std::io::Read;
        use std::process::{Command, Stdio};
        let mut named = Command::new("sh");
        named.args(["-c", r"printf '\374)' > /proc/$$/comm; echo; read end"]);
        let mut named = named.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        named.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let found = Identity::of(named.id() as i32);
        drop(named.stdin.take());
        named.wait().unwrap();
        assert!(found.is_ok_and(|found| !found.is_alive()), "it was seen, and has ended");
    }
}
