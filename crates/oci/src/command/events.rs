//! `events`: what a container uses, as runc tells it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use seclude::Stats;
use seclude::cgroup::{Cgroup, Controller, HierarchyOf};
use serde_json::{Value as Json, json};

use super::{Context, look_at_made, write};
use crate::failure::{Failure, Result};
use crate::state::Status;

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

/// Of a file of numbers with names, whichever version the hierarchy of this controller is of.
struct Files<'a> {
    cgroup: &'a Cgroup,
    of: HierarchyOf,
}

impl Files<'_> {
    fn of<'a>(cgroup: &'a Cgroup, controller: Controller, v1: &'static str) -> Files<'a> {
        let of = if cgroup.is_v1(controller) { HierarchyOf::V1(v1) } else { HierarchyOf::V2 };
        Files { cgroup, of }
    }

    fn is_v1(&self) -> bool {
        self.of != HierarchyOf::V2
    }

    fn number(&self, v1: &str, v2: &str) -> u64 {
        let text = self.cgroup.read(self.of, if self.is_v1() { v1 } else { v2 });
        text.map_or(0, |text| match text.trim() {
            "max" => u64::MAX,
            number => number.parse().unwrap_or(0),
        })
    }

    fn table(&self, v1: &str, v2: &str) -> BTreeMap<String, u64> {
        let text = self.cgroup.read(self.of, if self.is_v1() { v1 } else { v2 }).unwrap_or_default();
        let entry = |line: &str| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), number.trim().parse().ok()?))
        };
        text.lines().filter_map(entry).collect()
    }
}

/// How many of its processes the kernel has ended as there was no memory for them (Linux 4.13).
fn killed_for_memory(cgroup: &Cgroup) -> u64 {
    let memory = Files::of(cgroup, Controller::Memory, "memory");
    memory.table("memory.oom_control", "memory.events").get("oom_kill").copied().unwrap_or(0)
}

fn told(cgroup: &Cgroup, stats: &Stats) -> Json {
    let nanoseconds = |time: Option<Duration>| time.map_or(0, |time| time.as_nanos() as u64);
    let (user, system) = (nanoseconds(stats.cpu_user), nanoseconds(stats.cpu_system));
    let of_all = cgroup.read(HierarchyOf::V1("cpuacct"), "cpuacct.usage").and_then(|all| all.trim().parse().ok());
    let periods = Files::of(cgroup, Controller::Cpu, "cpu").table("cpu.stat", "cpu.stat");
    let memory = Files::of(cgroup, Controller::Memory, "memory");
    let raw = memory.table("memory.stat", "memory.stat");
    // How often the limit was hit: a file of its own, or one of several events.
    let failed = |v1: &str, v2: &str| match memory.is_v1() {
        true => memory.number(v1, ""),
        false => memory.table("", v2).get("max").copied().unwrap_or(0),
    };
    let (limit, usage) = (memory.number("memory.limit_in_bytes", "memory.max"), stats.memory_current.unwrap_or(0));
    let (swap_limit, swap_usage) = (
        memory.number("memory.memsw.limit_in_bytes", "memory.swap.max"),
        memory.number("memory.memsw.usage_in_bytes", "memory.swap.current"),
    );
    // Both together, which v2 counts apart.
    let (swap_limit, swap_usage) = match memory.is_v1() {
        true => (swap_limit, swap_usage),
        false => (swap_limit.saturating_add(limit), swap_usage.saturating_add(usage)),
    };
    let pids = Files::of(cgroup, Controller::Pids, "pids");
    // As others have it, 0 is none.
    let most = Some(pids.number("pids.max", "pids.max")).filter(|most| *most != u64::MAX).unwrap_or(0);
    json!({
        "cpu": {
            "usage": { "total": of_all.unwrap_or(user + system), "kernel": system, "user": user },
            "throttling": {
                "periods": periods.get("nr_periods").copied().unwrap_or(0),
                "throttledPeriods": stats.nr_throttled.unwrap_or(0),
                "throttledTime": nanoseconds(stats.cpu_throttled),
            },
        },
        "memory": {
            "cache": raw.get(if memory.is_v1() { "cache" } else { "file" }).copied().unwrap_or(0),
            "usage": {
                "limit": limit,
                "usage": usage,
                "max": stats.memory_peak.unwrap_or(0),
                "failcnt": failed("memory.failcnt", "memory.events"),
            },
            "swap": {
                "limit": swap_limit,
                "usage": swap_usage,
                "failcnt": failed("memory.memsw.failcnt", "memory.swap.events"),
            },
            "raw": raw,
        },
        "pids": { "current": stats.pids_current.unwrap_or(0), "limit": most },
        "blkio": {},
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": null,
    })
}
