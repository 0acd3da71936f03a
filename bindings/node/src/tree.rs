//! Everything in a container, one by one: signals but SIGKILL, which the library has.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use seclude::Signaller;

use crate::fate;

/// What a container is known by.
pub(crate) struct Tree {
    /// The process that was made.
    pub(crate) pid: u32,
    /// And the same process, whoever has its pid later.
    pub(crate) pidfd: OwnedFd,
    pub(crate) signaller: Signaller,
    /// It is an init, which would hand the signal on to a command that has it already.
    pub(crate) init: bool,
    /// All that it has started is below it: it is the first process of a pid namespace.
    pub(crate) below: bool,
    pub(crate) cgroup: Option<PathBuf>,
}

/// A process, by its pid and so that it is no other.
type Member = (u32, OwnedFd);

/// How often it is looked for who came meanwhile.
const ROUNDS: usize = 16;

impl Tree {
    /// Sends each process the signal, once.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        let below = self.below && seclude::proc_is_of_own_pid_namespace();
        if self.below && !below && self.cgroup.is_none() {
            return Err(io::Error::other(
                "/proc is of another pid namespace than this process, so nobody can be found there; container.cgroup is another way",
            ));
        }
        if !self.init {
            match self.signaller.send(signal) {
                Err(error) if error.raw_os_error() != Some(Errno::SRCH.raw_os_error()) => return Err(error),
                _ => {}
            }
        }
        // SAFETY: the kernel says what is no signal; none is kept for the C library, as none is made a handler of.
        #[expect(unsafe_code, reason = "real-time signals have numbers alone")]
        let signal = unsafe { Signal::from_raw_unchecked(signal) };
        let mut done: BTreeMap<u32, OwnedFd> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let mut found = if below { self.descendants()? } else { Vec::new() };
            if let Some(cgroup) = &self.cgroup {
                found.extend(members(&|| in_cgroup(cgroup))?);
            }
            found.retain(|(pid, _)| *pid != self.pid && done.get(pid).is_none_or(has_ended));
            if found.is_empty() {
                break;
            }
            for (pid, pidfd) in found {
                // It is found twice where it is below the first process and in the cgroup.
                if done.get(&pid).is_some_and(|done| !has_ended(done)) {
                    continue;
                }
                match pidfd_send_signal(&pidfd, signal) {
                    Ok(()) | Err(Errno::SRCH) => drop(done.insert(pid, pidfd)),
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        Ok(())
    }

    /// Whoever is below the first process.
    fn descendants(&self) -> io::Result<Vec<Member>> {
        let mut found = children(self.pid, &self.pidfd)?;
        let mut next = 0;
        while let Some((pid, pidfd)) = found.get(next) {
            let further = children(*pid, pidfd)?;
            found.extend(further);
            next += 1;
        }
        Ok(found)
    }
}

/// The children of a process, if it is there when they are known: with its pid somebody else's would be found.
fn children(pid: u32, pidfd: &OwnedFd) -> io::Result<Vec<Member>> {
    let found = members(&|| fate::children(pid))?;
    Ok(if has_ended(pidfd) { Vec::new() } else { found })
}

/// Those that `list` has: who is in it again once it is open, and has not ended by then, has had that pid all the time.
fn members(list: &dyn Fn() -> Vec<u32>) -> io::Result<Vec<Member>> {
    let mut opened = Vec::new();
    for pid in list() {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { continue };
        match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => opened.push((pid, pidfd)),
            Err(Errno::SRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    if !opened.is_empty() {
        let again = list();
        opened.retain(|(pid, pidfd)| again.contains(pid) && !has_ended(pidfd));
    }
    Ok(opened)
}

/// Whether the process of a pidfd has ended.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

fn in_cgroup(directory: &Path) -> Vec<u32> {
    let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<u32> = listed.lines().filter_map(|pid| pid.parse().ok()).collect();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(in_cgroup(&entry.path()));
        }
    }
    found
}
