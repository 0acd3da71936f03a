//! `events`: what a container uses, as runc tells it.

use std::time::{Duration, Instant};

use seclude::Stats;
use serde_json::{Value as Json, json};

use super::{Context, look_at_made, write};
use crate::failure::{Failure, Result};
use crate::state::Status;

pub(super) fn run(context: &Context<'_>, id: &str, once: bool, interval: &str) -> Result<()> {
    let wrong = || Failure::new(format!("--interval {interval:?} is no time, such as 5s or 500ms"));
    let interval = duration(interval).ok_or_else(wrong)?;
    let mut seen = false;
    loop {
        let (_, record, status) = match look_at_made(context, id) {
            // It is being deleted, or was.
            Err(_) if seen => return Ok(()),
            found => found?,
        };
        seen = true;
        if status == Status::Stopped {
            return if once { Err(Failure::new(format!("container not running: {id}"))) } else { Ok(()) };
        }
        let cgroup = record.open_cgroup()?;
        let cgroup = cgroup.ok_or_else(|| Failure::new(format!("container {id} has no cgroup of its own")))?;
        // In the order in which others have it.
        write(&format!("{{\"type\":\"stats\",\"id\":{},\"data\":{}}}\n", json!(id), told(&cgroup.stats()?)))?;
        if once {
            return Ok(());
        }
        let began = Instant::now();
        while began.elapsed() < interval {
            let left = interval.saturating_sub(began.elapsed()).min(Duration::from_secs(1));
            // Whoever waits for the last of it is not to wait for a next look.
            if record.process.is_none_or(|process| process.wait_for(left)) {
                break;
            }
        }
    }
}

/// One number with a unit, of seconds without one.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number = number.parse::<u64>().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).filter(|all| *all > 0).map(Duration::from_millis)
}

fn told(stats: &Stats) -> Json {
    let nanoseconds = |time: Option<Duration>| time.map_or(0, |time| time.as_nanos() as u64);
    let (user, system) = (nanoseconds(stats.cpu_user), nanoseconds(stats.cpu_system));
    let usage = stats.memory_current.unwrap_or(0);
    json!({
        "cpu": {
            "usage": { "total": user + system, "kernel": system, "user": user },
            "throttling": {
                "throttledPeriods": stats.nr_throttled.unwrap_or(0),
                "throttledTime": nanoseconds(stats.cpu_throttled),
            },
        },
        "memory": {
            "usage": { "usage": usage, "max": stats.memory_peak.unwrap_or(0), "limit": 0, "failcnt": 0 },
        },
        "pids": { "current": stats.pids_current.unwrap_or(0) },
        "blkio": {},
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": null,
    })
}
