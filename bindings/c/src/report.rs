//! What is known of an end and of a running container, as JSON.

use std::time::Duration;

use seclude::{Exit, Psi, Report, Stats};
use serde_json::{Value as Json, json};

/// As docs/report.schema.json has it.
pub(crate) fn ending(exit: &Exit, made: &Report, wall: Duration) -> Json {
    json!({
        "cause": exit.cause(),
        "code": exit.code(),
        "signal": exit.signal(),
        "wall_us": microseconds(wall),
        "run_us": microseconds(exit.run_time()),
        "clean_up_us": microseconds(exit.clean_up_time()),
        "usage": exit.usage(),
        "tree": { "empty": exit.tree().is_empty(), "proof": exit.tree() },
        "left_behind": exit.left_behind(),
        "spawn": made,
    })
}

fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

/// Times in microseconds, sizes in bytes; `null` is not counted here.
pub(crate) fn stats(stats: &Stats) -> Json {
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
