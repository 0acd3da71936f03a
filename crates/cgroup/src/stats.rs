//! What is used.

use std::path::PathBuf;
use std::time::Duration;

use crate::cgroup::Place;
use crate::text::{assigned, keyed, number};
use crate::{Cgroup, Controller, Error};

/// What a cgroup and those below it use, and have used since it was made. `None` is "this kernel,
/// or this cgroup, does not count it", not 0.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes, with page cache.
    pub memory_current: Option<u64>,
    /// The most there ever was, bytes. v2: Linux 5.19.
    pub memory_peak: Option<u64>,
    /// CPU time in user mode. v1 counts in clock ticks of 10 ms.
    pub cpu_user: Option<Duration>,
    /// CPU time in the kernel.
    pub cpu_system: Option<Duration>,
    /// How long its CPUs waited for the next period of [`cpu_max`](crate::Limits::cpu_max), added up.
    pub cpu_throttled: Option<Duration>,
    /// In how many periods.
    pub nr_throttled: Option<u64>,
    /// Processes and threads.
    pub pids_current: Option<u64>,
    /// The most there ever were. Linux 6.1.
    pub pids_peak: Option<u64>,
    /// Bytes read from block devices. The controller is needed also on v2.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub io_write_bytes: Option<u64>,
    /// Time lost to waiting. v2 (also beside v1 controllers), Linux 4.20 with PSI.
    pub pressure: Pressure,
    /// Which file each comes from.
    pub sources: Vec<Source>,
}

/// Pressure stall information, `Documentation/accounting/psi.rst`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Pressure {
    /// Waiting for a CPU.
    pub cpu: Option<Psi>,
    /// Waiting for memory.
    pub memory: Option<Psi>,
    /// Waiting for I/O.
    pub io: Option<Psi>,
}

/// One pressure file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Psi {
    /// At least one task was waiting.
    pub some: PsiLine,
    /// All were. For cpu since Linux 5.13.
    pub full: Option<PsiLine>,
}

/// One line of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PsiLine {
    /// Percent of the last 10 s.
    pub avg10: f64,
    /// All the time together.
    pub total: Duration,
}

/// Where a number comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The field of [`Stats`] or [`Events`](crate::Events).
    pub field: &'static str,
    /// The file.
    pub file: PathBuf,
}

impl Source {
    /// Notes the file if there is a value, and hands the value on.
    pub(crate) fn note<T>(
        sources: &mut Vec<Source>,
        field: &'static str,
        place: &Place,
        file: &str,
        value: Option<T>,
    ) -> Option<T> {
        if value.is_some() {
            sources.push(Source { field, file: place.dir.path().join(file) });
        }
        value
    }
}

impl Cgroup {
    /// Reads the counters.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut stats = self.totals()?;
        if let Some(v2) = self.v2() {
            stats.read_v2_now(v2)?;
        }
        for place in self.v1() {
            stats.read_v1_now(place)?;
        }
        Ok(stats)
    }

    /// The same without what is of the moment: what is in use now, and pressure. What there is to know at the end, when
    /// every file costs the caller time.
    ///
    /// # Errors
    /// As [`Cgroup::stats`].
    pub fn totals(&self) -> Result<Stats, Error> {
        let mut stats = Stats::default();
        if let Some(v2) = self.v2() {
            stats.read_v2(v2)?;
        }
        for place in self.v1() {
            stats.read_v1(place)?;
        }
        Ok(stats)
    }
}

impl Stats {
    /// The one number of a file.
    fn one(&mut self, field: &'static str, place: &Place, file: &'static str) -> Result<Option<u64>, Error> {
        let value = place.dir.read_if_any(file)?.as_deref().and_then(number);
        Ok(Source::note(&mut self.sources, field, place, file, value))
    }

    fn psi(&mut self, field: &'static str, place: &Place, file: &'static str) -> Result<Option<Psi>, Error> {
        let value = place.dir.read_if_any(file)?.as_deref().and_then(parse_psi);
        Ok(Source::note(&mut self.sources, field, place, file, value))
    }

    fn read_v2_now(&mut self, place: &Place) -> Result<(), Error> {
        self.memory_current = self.one("memory_current", place, "memory.current")?;
        self.pids_current = self.one("pids_current", place, "pids.current")?;
        self.pressure.cpu = self.psi("pressure.cpu", place, "cpu.pressure")?;
        self.pressure.memory = self.psi("pressure.memory", place, "memory.pressure")?;
        self.pressure.io = self.psi("pressure.io", place, "io.pressure")?;
        Ok(())
    }

    fn read_v1_now(&mut self, place: &Place) -> Result<(), Error> {
        if place.hierarchy.serves(Controller::Memory) {
            self.memory_current = self.one("memory_current", place, "memory.usage_in_bytes")?;
        }
        if place.hierarchy.serves(Controller::Pids) {
            self.pids_current = self.one("pids_current", place, "pids.current")?;
        }
        Ok(())
    }

    fn read_v2(&mut self, place: &Place) -> Result<(), Error> {
        self.memory_peak = self.one("memory_peak", place, "memory.peak")?;
        self.pids_peak = self.one("pids_peak", place, "pids.peak")?;

        let s = &mut self.sources;
        let text = place.dir.read_if_any("cpu.stat")?.unwrap_or_default();
        let time = |key| keyed(&text, key).map(Duration::from_micros);
        self.cpu_user = Source::note(s, "cpu_user", place, "cpu.stat", time("user_usec"));
        self.cpu_system = Source::note(s, "cpu_system", place, "cpu.stat", time("system_usec"));
        self.cpu_throttled = Source::note(s, "cpu_throttled", place, "cpu.stat", time("throttled_usec"));
        self.nr_throttled = Source::note(s, "nr_throttled", place, "cpu.stat", keyed(&text, "nr_throttled"));

        let text = place.dir.read_if_any("io.stat")?;
        let bytes = |key| text.as_deref().map(|text| sum_assigned(text, key));
        self.io_read_bytes = Source::note(s, "io_read_bytes", place, "io.stat", bytes("rbytes"));
        self.io_write_bytes = Source::note(s, "io_write_bytes", place, "io.stat", bytes("wbytes"));
        Ok(())
    }

    /// A v1 controller is not on v2, so nothing is read twice but the CPU time: v2 has it for every
    /// cgroup, and finer.
    fn read_v1(&mut self, place: &Place) -> Result<(), Error> {
        let serves = |controller| place.hierarchy.serves(controller);
        let read = |file| place.dir.read_if_any(file);
        if serves(Controller::Memory) {
            self.memory_peak = self.one("memory_peak", place, "memory.max_usage_in_bytes")?;
        }
        if serves(Controller::Pids) {
            self.pids_peak = self.one("pids_peak", place, "pids.peak")?;
        }
        let s = &mut self.sources;
        if serves(Controller::Cpu) {
            let text = read("cpu.stat")?.unwrap_or_default();
            let time = keyed(&text, "throttled_time").map(Duration::from_nanos);
            self.cpu_throttled = Source::note(s, "cpu_throttled", place, "cpu.stat", time);
            self.nr_throttled = Source::note(s, "nr_throttled", place, "cpu.stat", keyed(&text, "nr_throttled"));
        }
        if serves(Controller::Cpuacct) && self.cpu_user.is_none() {
            let text = read("cpuacct.stat")?.unwrap_or_default();
            let time = |key| keyed(&text, key).map(ticks);
            self.cpu_user = Source::note(s, "cpu_user", place, "cpuacct.stat", time("user"));
            self.cpu_system = Source::note(s, "cpu_system", place, "cpuacct.stat", time("system"));
        }
        if serves(Controller::Io) {
            let file = "blkio.throttle.io_service_bytes_recursive";
            let text = read(file)?;
            let bytes = |kind| text.as_deref().map(|text| sum_blkio(text, kind));
            self.io_read_bytes = Source::note(s, "io_read_bytes", place, file, bytes("Read"));
            self.io_write_bytes = Source::note(s, "io_write_bytes", place, file, bytes("Write"));
        }
        Ok(())
    }
}

/// Clock ticks, 100 a second on all of today's kernels.
fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs(count / per_second) + Duration::from_nanos(count % per_second * 1_000_000_000 / per_second)
}

/// Of lines such as `8:0 rbytes=1 wbytes=2`, one key over all devices.
fn sum_assigned(text: &str, key: &str) -> u64 {
    let values = text.lines().filter_map(|line| assigned(line, key)?.parse::<u64>().ok());
    values.fold(0, u64::saturating_add)
}

/// Of lines such as `8:0 Read 1`, one kind over all devices. The last line, `Total 3`, has no kind.
fn sum_blkio(text: &str, kind: &str) -> u64 {
    let values = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        (words.next() == Some(kind)).then(|| words.next()?.parse::<u64>().ok()).flatten()
    });
    values.fold(0, u64::saturating_add)
}

fn parse_psi(text: &str) -> Option<Psi> {
    let line = |kind: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(kind))?;
        let total = Duration::from_micros(assigned(line, "total")?.parse().ok()?);
        Some(PsiLine { avg10: assigned(line, "avg10")?.parse().ok()?, total })
    };
    Some(Psi { some: line("some")?, full: line("full") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_read_with_and_without_full() {
        let some = "some avg10=1.50 avg60=0.00 avg300=0.00 total=2500000\n";
        let psi = parse_psi(some).unwrap();
        assert_eq!(psi.some, PsiLine { avg10: 1.5, total: Duration::from_millis(2500) });
        assert_eq!(psi.full, None);
        let full = format!("{some}full avg10=0.25 avg60=0.00 avg300=0.00 total=7\n");
        assert_eq!(parse_psi(&full).unwrap().full.unwrap().total, Duration::from_micros(7));
        assert_eq!(parse_psi("nothing"), None);
    }

    #[test]
    fn io_is_summed_over_devices() {
        let v2 = "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n254:0 rbytes=1 wbytes=2\n253:0 \n";
        assert_eq!((sum_assigned(v2, "rbytes"), sum_assigned(v2, "wbytes")), (11, 22));
        let v1 = "8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\n254:0 Read 1\nTotal 31\n";
        assert_eq!((sum_blkio(v1, "Read"), sum_blkio(v1, "Write")), (11, 20));
    }
}
