//! `--stats`: a line a second of what the container uses.

use std::time::{Duration, Instant};

use crate::told::say;
use seclude::{Meter, Psi, Reach, Stats};

const EVERY: Duration = Duration::from_secs(1);
/// Names in a line: those with most bytes.
const MOST_NAMES: usize = 4;

/// When the next line is due. No thread: where a seccomp filter answers EPERM to clone3, glibc can make none.
pub(crate) struct Ticker {
    meter: Meter,
    reach: Option<Reach>,
    next: Instant,
}

impl Ticker {
    pub(crate) fn new(meter: Meter, reach: Option<Reach>) -> Ticker {
        Ticker { meter, reach, next: Instant::now() + EVERY }
    }

    /// How long until the next line.
    pub(crate) fn time_left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Says a line to stderr if one is due.
    pub(crate) fn tick(&mut self) {
        if !self.time_left().is_zero() {
            return;
        }
        // One that is late moves those after it: nobody needs two lines at once.
        self.next = Instant::now() + EVERY;
        match self.meter.stats() {
            Ok(stats) => {
                let reached = self.reach.as_ref().map(Reach::reached).unwrap_or_default();
                let reached = reached.into_iter().map(|it| (it.name, it.sent, it.received)).collect();
                say(line(&stats, reached));
            }
            Err(error) => say(format_args!("--stats: {error}")),
        }
    }
}

/// `reached`: names, and bytes to and from each.
fn line(stats: &Stats, mut reached: Vec<(String, u64, u64)>) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(now) = stats.memory_current {
        let peak = stats.memory_peak.map_or(String::new(), |peak| format!(" (peak {})", bytes(peak)));
        parts.push(format!("memory {}{peak}", bytes(now)));
    }
    let seconds = |time: Duration| format!("{:.2}s", time.as_secs_f64());
    if let (Some(user), Some(system)) = (stats.cpu_user, stats.cpu_system) {
        let throttled = stats.cpu_throttled.map_or(String::new(), |time| format!(" throttled {}", seconds(time)));
        parts.push(format!("cpu user {} system {}{throttled}", seconds(user), seconds(system)));
    }
    if let Some(pids) = stats.pids_current {
        parts.push(format!("pids {pids}"));
    }
    if let (Some(read), Some(written)) = (stats.io_read_bytes, stats.io_write_bytes) {
        parts.push(format!("io read {} written {}", bytes(read), bytes(written)));
    }
    let pressure = [("cpu", stats.pressure.cpu), ("memory", stats.pressure.memory), ("io", stats.pressure.io)];
    let waiting: Vec<String> = pressure
        .into_iter()
        .filter_map(|(name, psi): (&str, Option<Psi>)| Some(format!("{name} {:.1}%", psi?.some.avg10)))
        .collect();
    if !waiting.is_empty() {
        parts.push(format!("waiting (10 s) {}", waiting.join(" ")));
    }
    reached.sort_by_key(|(_, sent, received)| std::cmp::Reverse(sent + received));
    let more = reached.len().saturating_sub(MOST_NAMES);
    let names = reached.iter().take(MOST_NAMES);
    let mut names: Vec<String> = names
        .map(|(name, sent, received)| format!("{name} sent {} received {}", bytes(*sent), bytes(*received)))
        .collect();
    if more > 0 {
        names.push(format!("{more} more names"));
    }
    if !names.is_empty() {
        parts.push(names.join(", "));
    }
    parts.join("; ")
}

/// A size to read: `12.5M`.
fn bytes(count: u64) -> String {
    let units = [(1u64 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => format!("{:.1}{name}", count as f64 / unit as f64),
        None => count.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_counted_is_not_shown() {
        let mut stats = Stats::default();
        assert_eq!(line(&stats, Vec::new()), "");
        stats.memory_current = Some(3 << 19);
        stats.pids_current = Some(2);
        assert_eq!(line(&stats, Vec::new()), "memory 1.5M; pids 2");
        let names = (1..=6).map(|number| (format!("n{number}"), number << 10, 0)).collect();
        let said = line(&Stats::default(), names);
        assert!(said.starts_with("n6 sent 6.0K received 0, n5 sent"), "{said}");
        assert!(said.ends_with("n3 sent 3.0K received 0, 2 more names"), "{said}");
    }
}
