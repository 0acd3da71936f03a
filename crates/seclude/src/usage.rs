//! What a container has used, and what proves that nothing of it runs any more.

use std::collections::BTreeMap;
use std::time::Duration;

use seclude_cgroup::{Cgroup, Events, Source, Stats};
use seclude_sys::process::Waited;
use serde::{Serialize, Serializer};

/// What a container has used by its end. `None` is "not counted here", never 0.
///
/// With a cgroup the numbers are of everything that was in the container; without one only the CPU times are known,
/// of the process and the descendants it waited for. [`Usage::sources`] says which it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// The most memory at a time, bytes, with page cache. v1, or v2 from Linux 5.19.
    #[serde(rename = "memory_peak_bytes")]
    pub memory_peak: Option<u64>,
    /// Processes that were killed for lack of memory.
    pub oom_kills: Option<u64>,
    /// CPU time in user mode.
    #[serde(rename = "cpu_user_us", serialize_with = "microseconds")]
    pub cpu_user: Option<Duration>,
    /// CPU time in the kernel.
    #[serde(rename = "cpu_system_us", serialize_with = "microseconds")]
    pub cpu_system: Option<Duration>,
    /// Time that it could have run but for its CPU quota, added up over the CPUs.
    #[serde(rename = "cpu_throttled_us", serialize_with = "microseconds")]
    pub cpu_throttled: Option<Duration>,
    /// The most processes and threads at a time. Linux 6.1.
    pub pids_peak: Option<u64>,
    /// Processes and threads that were not made because of the limit.
    pub pids_refused: Option<u64>,
    /// Bytes read from block devices.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub io_write_bytes: Option<u64>,
    /// Where each number comes from: a file, or waitid(2).
    pub sources: BTreeMap<&'static str, String>,
}

fn microseconds<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => to.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        None => to.serialize_none(),
    }
}

impl Usage {
    /// What the kernel tells with a process's end.
    pub(crate) fn of_process(waited: &Waited) -> Usage {
        let sources = ["cpu_user", "cpu_system"].map(|field| (field, "waitid".to_owned())).into();
        Usage {
            cpu_user: Some(Duration::from_micros(waited.user_us)),
            cpu_system: Some(Duration::from_micros(waited.system_us)),
            sources,
            ..Usage::default()
        }
    }

    /// What a cgroup has counted goes before what a process has.
    pub(crate) fn add_cgroup(&mut self, cgroup: &Cgroup) -> Result<(), seclude_cgroup::Error> {
        let Stats { memory_peak, cpu_user, cpu_system, cpu_throttled, pids_peak, sources, .. } = {
            let stats = cgroup.totals()?;
            (self.io_read_bytes, self.io_write_bytes) = (stats.io_read_bytes, stats.io_write_bytes);
            stats
        };
        let events: Events = cgroup.events()?;
        (self.memory_peak, self.pids_peak, self.cpu_throttled) = (memory_peak, pids_peak, cpu_throttled);
        (self.oom_kills, self.pids_refused) = (events.oom_kill, events.pids_max);
        if cpu_user.is_some() && cpu_system.is_some() {
            (self.cpu_user, self.cpu_system) = (cpu_user, cpu_system);
        }
        for Source { field, file } in sources.into_iter().chain(events.sources) {
            let field = match field {
                "oom_kill" => "oom_kills",
                "pids_max" => "pids_refused",
                "memory_peak" | "pids_peak" | "cpu_user" | "cpu_system" | "cpu_throttled" | "io_read_bytes"
                | "io_write_bytes" => field,
                _ => continue,
            };
            self.sources.insert(field, file.display().to_string());
        }
        Ok(())
    }
}

/// Whether anything of the container can still run after its first process has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tree {
    /// No: its cgroup was empty and was removed, which the kernel does for empty ones only.
    CgroupRemoved,
    /// No: the first process of its pid namespace has ended, and with it the kernel kills and awaits all others.
    PidNamespaceEnded,
    /// Nobody knows: it had neither a cgroup nor a pid namespace of its own, and the process may have left others.
    Unknown,
}

impl Tree {
    /// Whether it is proven that nothing runs.
    pub fn is_empty(self) -> bool {
        self != Tree::Unknown
    }
}
