//! What came out: the table, the verdicts, and both as JSON.

use std::fmt::{self, Display};
use std::fs;

use serde::Serialize;

use super::filter::Filter;
use super::helper::Throughput;
use super::names::Way;
use super::network::Network;
use super::ours::{
    AS_LITTLE, AS_MUCH, FLOOR, LIBRARY, LIMITED, SANDBOX, SANDBOX_AS_PID_1, SECLUDE, SECLUDE_SANDBOX, UNTIL_CLONE,
};
use super::rivals::{BWRAP, BWRAP_LIKE_SANDBOX, CRUN, OWN_RUNTIME, RUNC};
use super::rounds::Row;

#[derive(Serialize)]
pub(super) struct Outcome {
    pub(super) host: Host,
    pub(super) rows: Vec<Row>,
    pub(super) throughput: Option<Throughput>,
    pub(super) network: Option<Network>,
    pub(super) filter: Option<Filter>,
    pub(super) binary_bytes: u64,
    pub(super) floor_check: String,
    pub(super) wanted: Vec<Wanted>,
}

#[derive(Serialize)]
pub(super) struct Host {
    pub(super) kernel: String,
    pub(super) cpus: usize,
    pub(super) mounts: usize,
    /// Of the last minute, when it began: times are worth little on a busy machine.
    pub(super) load: String,
}

impl Host {
    pub(super) fn current() -> Host {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_or(0, |text| text.lines().count());
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Host {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            mounts,
            load: load.split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// One wish, and whether it came true; `None`: not measured.
#[derive(Serialize)]
pub(super) struct Wanted {
    pub(super) what: &'static str,
    pub(super) wanted: String,
    pub(super) measured: Option<String>,
    pub(super) met: Option<bool>,
}

/// What the bench is about: the limits of issue 2.
pub(super) fn wanted(
    rows: &[Row],
    throughput: Option<&Throughput>,
    network: Option<&Result<Network, String>>,
    filter: Option<&Filter>,
    binary: u64,
) -> Vec<Wanted> {
    let p50 = |name: &str| rows.iter().find(|row| row.name == name).and_then(|row| row.time).map(|time| time.p50);
    let ratio = |what, one: &str, other: &str, most: f64| {
        let found = p50(one).zip(p50(other)).map(|(one, other)| one / other);
        Wanted {
            what,
            wanted: format!("<= {most}"),
            measured: found.map(|found| format!("{found:.3}")),
            met: found.map(|found| found <= most),
        }
    };
    let mut all = vec![
        ratio("library / floor, p50", LIBRARY, FLOOR, 1.15),
        ratio("library sandbox / as PID 1, p50", SANDBOX, SANDBOX_AS_PID_1, 1.15),
        ratio("library from 4 GiB / from 16 MiB, p50", AS_MUCH, AS_LITTLE, 1.15),
        ratio("seclude run / bwrap, p50", SECLUDE, BWRAP, 0.65),
        ratio("seclude run, sandbox / bwrap with its places, p50", SECLUDE_SANDBOX, BWRAP_LIKE_SANDBOX, 0.85),
        ratio("seclude run / runc run, p50", SECLUDE, RUNC, 0.1),
        ratio("seclude-oci run / runc run, p50", OWN_RUNTIME, RUNC, 0.15),
        ratio("seclude-oci run / crun run, p50", OWN_RUNTIME, CRUN, 0.4),
    ];
    let limits = p50(LIMITED).zip(p50(LIBRARY)).map(|(limited, free)| limited - free);
    all.push(Wanted {
        what: "library, limits on v2 / without, p50",
        wanted: "<= +250 us".into(),
        // On v1 the process has to be moved, which is what v2 saves.
        measured: limits.map(|more| format!("{more:+.0} us{}", if on_v2() { "" } else { " (v1)" })),
        met: limits.filter(|_| on_v2()).map(|more| more <= 250.0),
    });
    let clone = p50(UNTIL_CLONE);
    all.push(Wanted {
        what: "seclude run, exec to clone, p50",
        wanted: "<= 1000 us".into(),
        measured: clone.map(|time| format!("{time:.0} us")),
        met: clone.map(|time| time <= 1000.0),
    });
    all.push(Wanted {
        what: "release binary",
        wanted: "<= 3 MiB".into(),
        measured: Some(format!("{:.2} MiB", binary as f64 / f64::from(1 << 20))),
        met: Some(binary <= 3 << 20),
    });
    all.push(Wanted {
        what: "many threads: errors and leaks",
        wanted: "none".into(),
        measured: throughput.map(|t| if t.is_clean() { "none".into() } else { t.to_string() }),
        met: throughput.map(Throughput::is_clean),
    });
    all.push(Wanted {
        what: "many threads: growth of the caller's memory",
        wanted: format!("<= {FLAT_KIB} KiB"),
        measured: throughput.map(|t| format!("{} KiB", t.growth_kib())),
        met: throughput.map(|t| t.growth_kib() <= FLAT_KIB),
    });
    all.extend(network.into_iter().flat_map(of_network));
    all.extend(of_filter(filter));
    all
}

/// Those of "A preset that confines".
fn of_filter(filter: Option<&Filter>) -> [Wanted; 2] {
    let refused = filter.map(|filter| (filter.listened_to.refused_ns - filter.alone.refused_ns) / 1e3);
    // A few instructions of a filter are there for everybody; what counts is that whoever answers costs nothing more.
    let allowed = filter.map(|filter| filter.listened_to.allowed_ns - filter.alone.allowed_ns);
    [
        Wanted {
            what: "a refused call that is listed / by the filter, p50",
            wanted: "<= +10 us".into(),
            measured: refused.map(|more| format!("{more:+.1} us")),
            met: refused.map(|more| more <= 10.0),
        },
        Wanted {
            what: "an allowed call with the list / without, p50",
            wanted: "<= +5 ns".into(),
            measured: allowed.zip(filter).map(|(more, filter)| {
                format!(
                    "{more:+.1} ns; without a filter {:+.1} ns",
                    filter.without.allowed_ns - filter.alone.allowed_ns
                )
            }),
            met: allowed.map(|more| more <= 5.0),
        },
    ]
}

/// The wishes of issue 4.
fn of_network(network: &Result<Network, String>) -> Vec<Wanted> {
    let found = network.as_ref().ok();
    let wish = |what, wanted: &str, measured: Option<String>, met| Wanted {
        what,
        wanted: wanted.to_owned(),
        measured: measured.or_else(|| network.as_ref().err().cloned()),
        met,
    };
    let more = found.map(|n| n.with_us - n.without_us);
    let later = found.map(|n| n.last_us / n.first_us);
    let rate = found.and_then(|n| n.throughput.as_ref()).map(|t| t.ours / t.by_hand);
    let names = found.map(|n| &n.names);
    let at_least = |what, least: f64, ratio: Option<f64>| {
        wish(what, &format!(">= {least}"), ratio.map(|r| format!("{r:.3}")), ratio.map(|r| r >= least))
    };
    let at_most = |what, most: f64, more: Option<f64>| {
        wish(what, &format!("<= +{most} us"), more.map(|m| format!("{m:+.0} us")), more.map(|m| m <= most))
    };
    let to_pasta = names.and_then(|n| Some(n.relayed.bits_per_second / n.pasta.as_ref().ok()?.bits_per_second));
    vec![
        wish(
            "veth, address, route, NAT and a port, until it runs, p50",
            "<= +1500 us",
            more.zip(found).map(|(more, n)| format!("{more:+.0} us; alone {:+.0} us", n.alone_us - n.without_us)),
            more.map(|more| more <= 1500.0),
        ),
        wish(
            "the 951st to 1000th container / the first fifty, p50",
            "0.8 to 1.2",
            later.map(|ratio| format!("{ratio:.3}")),
            later.map(|ratio| (0.8..=1.2).contains(&ratio)),
        ),
        wish(
            "throughput to the host / a pair made by hand",
            ">= 0.9",
            rate.map(|ratio| format!("{ratio:.3}")),
            rate.map(|ratio| ratio >= 0.9),
        ),
        at_least(
            "names: bytes of a connection / direct",
            0.35,
            names.map(|n| n.relayed.bits_per_second / n.direct.bits_per_second),
        ),
        at_least("names: bytes of a connection / pasta", 1.5, to_pasta),
        at_least(
            "names: connections / direct",
            0.4,
            names.map(|n| n.relayed.connections_per_second / n.direct.connections_per_second),
        ),
        at_most(
            "names: a byte there and back, p50",
            80.0,
            names.map(|n| n.relayed.there_and_back_us - n.direct.there_and_back_us),
        ),
        at_most("names: until it runs, p50", 450.0, names.map(|n| n.with_us - n.without_us)),
    ]
}

/// Whether memory is limited on v2 here.
fn on_v2() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    !mounts.lines().any(|line| line.contains(" - cgroup ") && line.ends_with("memory"))
}

/// More than that in thousands of spawns is not flat: it would be a quarter of a KiB each for 8,000.
const FLAT_KIB: i64 = 2048;

impl Throughput {
    pub(super) fn is_clean(&self) -> bool {
        self.errors == 0 && !self.after.leaked_since(&self.before)
    }

    fn growth_kib(&self) -> i64 {
        self.after.rss_kib as i64 - self.before.rss_kib as i64
    }
}

impl Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (&self.before, &self.after);
        write!(f, "{} errors", self.errors)?;
        if let Some(error) = &self.first_error {
            write!(f, " (the first: {error})")?;
        }
        write!(f, ", descriptors {} -> {}", before.descriptors, after.descriptors)?;
        write!(f, ", threads {} -> {}", before.threads, after.threads)?;
        write!(f, ", children {} -> {}", before.children, after.children)
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { kernel, cpus, mounts, load } = &self.host;
        writeln!(f, "A static program that ends at once, from spawn to reaped, in microseconds.")?;
        writeln!(
            f,
            "Linux {kernel}, {cpus} CPUs, {mounts} mounts, load {load}. Rounds are interleaved, in a new order each.\n"
        )?;
        writeln!(f, "{:<28}{:>6}{:>10}{:>10}{:>10}{:>9}  note", "", "runs", "p50", "p99", "min", "x floor")?;
        for row in &self.rows {
            write!(f, "{:<28}", row.name)?;
            match &row.time {
                Some(time) => {
                    write!(f, "{:>6}{:>10.0}{:>10.0}{:>10.0}", time.runs, time.p50, time.p99, time.min)?;
                }
                None => write!(f, "{:>6}{:>10}{:>10}{:>10}", "-", "-", "-", "-")?,
            }
            match row.ratio_to_floor {
                Some(ratio) => write!(f, "{ratio:>9.2}")?,
                None => write!(f, "{:>9}", "-")?,
            }
            writeln!(f, "  {}", row.note)?;
        }
        writeln!(f, "\n{}", self.floor_check)?;
        if let Some(many) = &self.throughput {
            writeln!(
                f,
                "{} threads, {} spawns in one process: {many}, resident memory {} -> {} KiB, {:.0} spawns a second",
                many.threads, many.spawns, many.before.rss_kib, many.after.rss_kib, many.per_second
            )?;
        }
        if let Some(names) = self.network.as_ref().map(|network| &network.names) {
            let way = |way: &Way| {
                let gigabits = way.bits_per_second / 1e9;
                let Way { connections_per_second, there_and_back_us, .. } = way;
                format!(
                    "{gigabits:.1} Gbit/s, {connections_per_second:.0} connections a second, {there_and_back_us:.0} us there and back"
                )
            };
            writeln!(f, "a connection over the loopback: {}", way(&names.direct))?;
            writeln!(
                f,
                "through a network of names:     {}, {:.2} s of processor for a GB",
                way(&names.relayed),
                names.seconds_per_gb
            )?;
            match &names.pasta {
                Ok(pasta) => writeln!(f, "through pasta:                  {}", way(pasta))?,
                Err(why) => writeln!(f, "through pasta:                  not measured: {why}")?,
            }
        }
        writeln!(f)?;
        for wanted in &self.wanted {
            let verdict = match wanted.met {
                Some(true) => "met",
                Some(false) => "not met",
                None => "not measured",
            };
            let measured = wanted.measured.as_deref().unwrap_or("-");
            writeln!(f, "{:<52}{:>12}  {:<12}  {measured}", wanted.what, wanted.wanted, verdict)?;
        }
        Ok(())
    }
}
