//! All processes that come of one, whoever their parents are by now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nix::sys::prctl::{get_child_subreaper, set_child_subreaper};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::failure::{Failure, Result};
use crate::state::Identity;

/// How long the killed are waited for.
const LAST_MOMENTS: Duration = Duration::from_secs(10);

/// What this process starts from here on. Until this is dropped, those of them whose parents end come to it, PR_SET_CHILD_SUBREAPER, so that
/// none is lost. (In a pid namespace that was joined they go to its first process, and end with that.)
pub(crate) struct Family {
    /// Its children before.
    others: BTreeSet<i32>,
    was_reaper: bool,
}

impl Family {
    pub(crate) fn begin() -> Family {
        let others = children_of(own(), &parents()).collect();
        let was_reaper = get_child_subreaper().unwrap_or(false);
        // Without it those that have left their parents live on, and nothing else is lost.
        let _ = set_child_subreaper(true);
        Family { others, was_reaper }
    }

    /// Kills all of it, and waits until it has ended. `first` is the one that somebody has a handle of, who asks for its status.
    pub(crate) fn kill(&self, first: u32) -> Result<()> {
        let mine = |parents: &BTreeMap<i32, i32>| {
            children_of(own(), parents).filter(|pid| !self.others.contains(pid)).collect::<Vec<i32>>()
        };
        kill_all(mine)?;
        // The others have come to this process, and nobody else waits for them.
        let orphans = mine(&parents()).into_iter().filter(|pid| u32::try_from(*pid) != Ok(first));
        for pid in orphans.filter_map(Pid::from_raw) {
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
        Ok(())
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let _ = set_child_subreaper(self.was_reaper);
    }
}

/// Kills a process with all that it has started.
pub(crate) fn kill_with_all_below(first: Identity) -> Result<()> {
    // Who comes of it is looked up while it is there: then they are others'.
    let parents = parents();
    let below = below(&[first.pid], &parents);
    let known: Vec<Identity> = below.into_iter().filter_map(|pid| still(pid, &parents)).collect();
    first.signal(9)?;
    kill_all(|_| known.iter().filter(|process| process.is_alive()).map(|process| process.pid).collect())
}

/// Until a look finds nobody: who forks meanwhile is found by the next.
fn kill_all(roots: impl Fn(&BTreeMap<i32, i32>) -> Vec<i32>) -> Result<()> {
    let began = Instant::now();
    loop {
        let parents = parents();
        let mut all = roots(&parents);
        all.extend(below(&all, &parents));
        let mut left = Vec::new();
        for process in all.into_iter().filter_map(|pid| still(pid, &parents)) {
            // One that has ended, and that nobody has waited for, takes none. One that took it may have forked since the look.
            if process.signal(9)? {
                left.push(process.pid);
            }
        }
        if left.is_empty() {
            break;
        }
        if began.elapsed() > LAST_MOMENTS {
            return Err(Failure::new(format!("processes do not end though they were killed: {left:?}")));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The process that had this parent as it was looked at: the pid may be another's by now, who is nobody of ours.
fn still(pid: i32, parents: &BTreeMap<i32, i32>) -> Option<Identity> {
    let process = Identity::of(pid).ok()?;
    let parent = crate::state::parent_of(pid)?;
    (parents.get(&pid) == Some(&parent)).then_some(process)
}

fn own() -> i32 {
    rustix::process::getpid().as_raw_pid()
}

fn children_of(parent: i32, parents: &BTreeMap<i32, i32>) -> impl Iterator<Item = i32> {
    parents.iter().filter(move |(_, above)| **above == parent).map(|(pid, _)| *pid)
}

/// All below these, without them.
fn below(first: &[i32], parents: &BTreeMap<i32, i32>) -> Vec<i32> {
    let mut found: Vec<i32> = Vec::new();
    let mut next: Vec<i32> = first.to_vec();
    while let Some(parent) = next.pop() {
        for pid in children_of(parent, parents) {
            if !found.contains(&pid) && !first.contains(&pid) {
                found.push(pid);
                next.push(pid);
            }
        }
    }
    found
}

/// Of each process that can be seen.
fn parents() -> BTreeMap<i32, i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, crate::state::parent_of(pid)?))).collect()
}
