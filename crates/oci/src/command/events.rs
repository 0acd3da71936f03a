//! `events`: what a container uses, as runc tells it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Context, look_at_made, write};
use crate::failure::{Failure, Result};
use crate::state::Status;
use crate::usage::{killed_for_memory, told};

pub(super) fn run(context: &Context<'_>, id: &str, once: bool, interval: &str) -> Result<()> {
    let wrong = || Failure::new(format!("--interval {interval:?} is no time, such as 5s or 500ms"));
    let length = seclude::request::nanoseconds(interval)
        .ok()
        .and_then(|length| u64::try_from(length).ok())
        .filter(|length| *length >= 1_000_000);
    let interval = length.map(Duration::from_nanos).ok_or_else(wrong)?;
    let mut seen = false;
    let mut killed = None;
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
        let now = killed_for_memory(&cgroup);
        if killed.replace(now).is_some_and(|before| now > before) {
            write(&format!("{{\"type\":\"oom\",\"id\":{}}}\n", json!(id)))?;
        }
        // In the order in which others have it.
        let data = told(&cgroup, &cgroup.stats()?);
        write(&format!("{{\"type\":\"stats\",\"id\":{},\"data\":{data}}}\n", json!(id)))?;
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
