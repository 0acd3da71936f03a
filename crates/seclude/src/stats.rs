//! What a container uses, as the doors hand it out.

use std::time::Duration;

use seclude_cgroup::{Psi, Stats};
use serde_json::{Value as Json, json};

/// The same as JSON: times in microseconds (`…_us`), sizes in bytes (`…_bytes`); `null` is not counted here.
pub fn stats_to_json(stats: &Stats) -> Json {
    let us = |time: Option<Duration>| time.map(|time| time.as_micros() as u64);
    let psi = |psi: Option<Psi>| {
        psi.map(|psi| {
            json!({
                "some": { "avg10": psi.some.avg10, "total_us": psi.some.total.as_micros() as u64 },
                "full": psi.full.map(|full| json!({ "avg10": full.avg10, "total_us": full.total.as_micros() as u64 })),
            })
        })
    };
    json!({
        "memory_bytes": stats.memory_current,
        "memory_peak_bytes": stats.memory_peak,
        "cpu_user_us": us(stats.cpu_user),
        "cpu_system_us": us(stats.cpu_system),
        "cpu_throttled_us": us(stats.cpu_throttled),
        "periods_throttled": stats.nr_throttled,
        "pids": stats.pids_current,
        "pids_peak": stats.pids_peak,
        "io_read_bytes": stats.io_read_bytes,
        "io_write_bytes": stats.io_write_bytes,
        "pressure": {
            "cpu": psi(stats.pressure.cpu),
            "memory": psi(stats.pressure.memory),
            "io": psi(stats.pressure.io),
        },
    })
}
