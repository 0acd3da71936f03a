//! Everything in a container, one by one: signals but SIGKILL, which the library has.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::fate;

/// What a container is known by.
pub(crate) struct Tree {
    /// The process that was made.
    pub(crate) pid: u32,
    /// It is an init, which would hand the signal on to a command that has it already.
    pub(crate) init: bool,
    /// All that it has started is below it: it is the first process of a pid namespace.
    pub(crate) below: bool,
    pub(crate) cgroup: Option<std::path::PathBuf>,
}

/// How often it is looked for who came meanwhile.
const ROUNDS: usize = 16;

impl Tree {
    /// Sends each process the signal, once.
    pub(crate) fn signal(&self, signal: i32) -> std::io::Result<()> {
        // SAFETY: the kernel says what is no signal; none is kept for the C library, as none is made a handler of.
        #[expect(unsafe_code, reason = "real-time signals have numbers alone")]
        let signal = unsafe { Signal::from_raw_unchecked(signal) };
        let mut done = BTreeMap::new();
        for _ in 0..ROUNDS {
            let mut found: BTreeMap<u32, OwnedFd> = BTreeMap::new();
            for pid in self.members() {
                if done.contains_key(&pid) {
                    continue;
                }
                let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { continue };
                match pidfd_open(raw, PidfdFlags::empty()) {
                    Ok(pidfd) => drop(found.insert(pid, pidfd)),
                    Err(Errno::SRCH) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            // Who is still in it has had that pid all the time.
            let members = self.members();
            found.retain(|pid, _| members.contains(pid));
            if found.is_empty() {
                break;
            }
            for (pid, pidfd) in found {
                match pidfd_send_signal(&pidfd, signal) {
                    Ok(()) | Err(Errno::SRCH) => drop(done.insert(pid, pidfd)),
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        Ok(())
    }

    fn members(&self) -> Vec<u32> {
        let mut members = vec![self.pid];
        if self.below {
            let mut next = 0;
            while let Some(pid) = members.get(next).copied() {
                members.extend(fate::children(pid));
                next += 1;
            }
        }
        if let Some(cgroup) = &self.cgroup {
            in_cgroup(cgroup, &mut members);
        }
        members.retain(|pid| !(self.init && *pid == self.pid));
        members
    }
}

fn in_cgroup(directory: &Path, members: &mut Vec<u32>) {
    let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    members.extend(listed.lines().filter_map(|pid| pid.parse::<u32>().ok()));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            in_cgroup(&entry.path(), members);
        }
    }
}
