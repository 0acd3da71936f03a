//! What a process that spawns could leak.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What a leak would show in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    /// Children, dead or alive.
    pub(crate) children: usize,
    pub(crate) rss_kib: u64,
}

impl State {
    fn now() -> Result<State> {
        let count = |directory: &str| fs::read_dir(directory).map(Iterator::count).context("read /proc/self");
        let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).context("VmRSS")?;
        Ok(State {
            descriptors: count("/proc/self/fd")?,
            threads: count("/proc/self/task")?,
            children: children()?,
            rss_kib: rss,
        })
    }

    /// When there is one thread again: one that was joined is in /proc for a moment more.
    pub(crate) fn settled_alone() -> Result<State> {
        State::settled(|now| now.threads == 1)
    }

    /// As soon as it is quiet, at the latest after two seconds.
    pub(crate) fn settled(is_quiet: impl Fn(&State) -> bool) -> Result<State> {
        let start = Instant::now();
        loop {
            let now = State::now()?;
            if is_quiet(&now) || start.elapsed() > Duration::from_secs(2) {
                return Ok(now);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn leaked_since(&self, before: &State) -> bool {
        (self.descriptors, self.threads, self.children) != (before.descriptors, before.threads, before.children)
    }
}

/// How many processes have us as their parent: also the dead ones, which /proc/self/task/*/children leaves out.
fn children() -> Result<usize> {
    let own = std::process::id().to_string();
    let mut found = 0;
    for entry in fs::read_dir("/proc").context("read /proc")? {
        let path = entry?.path().join("stat");
        // It is no process, or has gone.
        let Ok(stat) = fs::read_to_string(path) else { continue };
        // pid (name) state parent …, and the name may have blanks and parentheses.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        found += usize::from(parent == Some(&own));
    }
    Ok(found)
}
