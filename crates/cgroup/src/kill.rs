//! SIGKILL to everything inside, whatever session or parent it has by now.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::processes::listed;
use crate::{Cgroup, Error, wait};

/// How many pidfds are open at a time.
const BATCH: usize = 128;
/// Without a freezer, how long to race with what forks.
const RACE: Duration = Duration::from_secs(10);
/// With a freezer nobody forks, so the second look finds nobody new; this only bounds the loop.
const LOOKS: usize = 1000;

impl Cgroup {
    /// Kills every process inside and below. Each has its SIGKILL when this returns, and dies
    /// on its own time: [`Cgroup::wait_empty`] waits for that.
    ///
    /// On v2 by `cgroup.kill` (Linux 5.14), which also reaches what forks meanwhile. Before that,
    /// and on v1 with the freezer: freeze, signal each by pidfd, thaw. On v1 without the freezer:
    /// signal and wait, again and again, for at most 10 s; there this returns when all are dead.
    ///
    /// The cgroup is thawed afterwards if it was frozen, where its processes die only then. One that
    /// was removed is no error.
    ///
    /// # Errors
    /// [`Error::Survivors`] from the race without a freezer; [`Error::NotDelegated`] if a process
    /// may not be signalled (all others are).
    pub fn kill(&self) -> Result<(), Error> {
        if self.kill_by_kernel()? && !self.has_v1() {
            return Ok(());
        }
        // What is in a v1 hierarchy only, because somebody moved it, is killed here too.
        match self.freezer() {
            Ok(freezer) => match freezer.start() {
                // A cgroup that was removed has nobody inside.
                Err(error) if error.is_gone() => Ok(()),
                Err(error) => Err(error),
                Ok(()) => {
                    let signalled = self.signal_all();
                    let thawed = freezer.thaw();
                    signalled.and(thawed)
                }
            },
            Err(Error::Unsupported { .. }) => self.signal_until_empty(),
            Err(error) => Err(error),
        }
    }

    /// False before Linux 5.14, or without v2.
    fn kill_by_kernel(&self) -> Result<bool, Error> {
        let Some(v2) = self.v2() else { return Ok(false) };
        match v2.dir.write("cgroup.kill", "1") {
            Ok(()) => Ok(true),
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Signals each process once, until a look finds no new one.
    fn signal_all(&self) -> Result<(), Error> {
        let mut known = BTreeSet::new();
        for _ in 0..LOOKS {
            let listed = listed(&self.places)?;
            let new: Vec<u32> = listed.pids.difference(&known).copied().collect();
            if new.is_empty() {
                return if listed.foreign { Err(foreign()) } else { Ok(()) };
            }
            self.signal(&new, |_| Ok(()))?;
            known.extend(new);
        }
        Err(self.survivors(known))
    }

    fn signal_until_empty(&self) -> Result<(), Error> {
        let deadline = wait::deadline(Some(RACE));
        loop {
            let listed = listed(&self.places)?;
            if listed.pids.is_empty() {
                return if listed.foreign { Err(foreign()) } else { Ok(()) };
            }
            if deadline.is_some_and(|at| std::time::Instant::now() >= at) {
                return Err(self.survivors(listed.pids));
            }
            let pids: Vec<u32> = listed.pids.into_iter().collect();
            self.signal(&pids, |pidfd| wait::ready(pidfd.as_fd(), PollFlags::IN, deadline).map(drop))?;
        }
    }

    /// Signals each of these, then does `after` with each. A process that may not be signalled is
    /// an error after all others were.
    fn signal(&self, pids: &[u32], after: impl Fn(&OwnedFd) -> Result<(), Errno>) -> Result<(), Error> {
        let mut failed = None;
        for pids in pids.chunks(BATCH) {
            let mut open = Vec::with_capacity(pids.len());
            for &pid in pids {
                match i32::try_from(pid).ok().and_then(Pid::from_raw).map(|p| pidfd_open(p, PidfdFlags::empty())) {
                    Some(Ok(pidfd)) => open.push((pid, pidfd)),
                    Some(Err(Errno::SRCH)) | None => {}
                    Some(Err(errno)) => return Err(call("pidfd_open", pid, errno)),
                }
            }
            // A pid may have become somebody else's between the list and the pidfd. If it is still
            // listed now, the pidfd is the process inside, or a dead one.
            let still = listed(&self.places)?.pids;
            open.retain(|(pid, _)| still.contains(pid));
            for (pid, pidfd) in &open {
                match pidfd_send_signal(pidfd, Signal::KILL) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => failed = Some(call("pidfd_send_signal", *pid, errno)),
                }
            }
            if failed.is_none() {
                open.iter().try_for_each(|(pid, pidfd)| after(pidfd).map_err(|errno| call("poll", *pid, errno)))?;
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn survivors(&self, pids: BTreeSet<u32>) -> Error {
        Error::Survivors { path: self.path.clone(), pids: pids.into_iter().collect() }
    }
}

fn call(call: &'static str, pid: u32, errno: Errno) -> Error {
    Error::from_call(call, &Path::new("/proc").join(pid.to_string()), errno)
}

fn foreign() -> Error {
    Error::unsupported(
        "killing all",
        "processes are inside that have no pid in this pid namespace, and there is no cgroup.kill (v2, Linux 5.14)",
    )
}
