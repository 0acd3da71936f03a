//! What a cgroup has used, in runc's words and their order (its types/events.go): engines read it by those.

use std::collections::BTreeMap;
use std::time::Duration;

use seclude::Stats;
use seclude::cgroup::{Cgroup, Controller, HierarchyOf};
use serde_json::{Map, Value as Json, json};

/// The files of one controller, whichever version its hierarchy is of.
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

    fn text(&self, file: &str) -> Option<String> {
        self.cgroup.read(self.of, file)
    }

    fn number_if_any(&self, file: &str) -> Option<u64> {
        number(&self.text(file)?)
    }

    fn number(&self, v1: &str, v2: &str) -> u64 {
        self.number_if_any(if self.is_v1() { v1 } else { v2 }).unwrap_or(0)
    }

    fn table(&self, v1: &str, v2: &str) -> BTreeMap<String, u64> {
        let text = self.text(if self.is_v1() { v1 } else { v2 }).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(name, of)| Some((name.to_owned(), number(of)?)))
            .collect()
    }
}

fn number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// How many of its processes the kernel has ended as there was no memory for them (Linux 4.13).
pub(crate) fn killed_for_memory(cgroup: &Cgroup) -> u64 {
    let memory = Files::of(cgroup, Controller::Memory, "memory");
    memory.table("memory.oom_control", "memory.events").get("oom_kill").copied().unwrap_or(0)
}

pub(crate) fn told(cgroup: &Cgroup, stats: &Stats) -> Json {
    let pids = Files::of(cgroup, Controller::Pids, "pids");
    // As others have it, 0 is none.
    let most = Some(pids.number("pids.max", "pids.max")).filter(|most| *most != u64::MAX).unwrap_or(0);
    let mut all = Map::new();
    let mut add = |key: &str, value: Json| drop(all.insert(key.to_owned(), value));
    add("cpu", cpu(cgroup, stats));
    if let Some(cpuset) = cpuset(cgroup) {
        add("cpuset", cpuset);
    }
    add("memory", memory(cgroup, stats));
    add("pids", json!({ "current": stats.pids_current.unwrap_or(0), "limit": most }));
    add("blkio", blkio(cgroup));
    add("hugetlb", hugetlb(cgroup));
    add("intel_rdt", json!({}));
    add("network_interfaces", Json::Null);
    Json::Object(all)
}

/// With this, where the kernel counts it: v2, and compiled with PSI.
fn with_pressure(mut of: Json, cgroup: &Cgroup, file: &str) -> Json {
    let pressure = cgroup.read(HierarchyOf::V2, file).map(|text| pressure(&text)).filter(|found| !found.is_empty());
    if let (Some(pressure), Some(of)) = (pressure, of.as_object_mut()) {
        of.insert("psi".to_owned(), Json::Object(pressure));
    }
    of
}

/// `some avg10=1.50 avg60=0.00 avg300=0.00 total=2500000`, Documentation/accounting/psi.rst.
fn pressure(text: &str) -> Map<String, Json> {
    let value = |word: &str| {
        let (name, value) = word.split_once('=')?;
        let value = if name == "total" { json!(value.parse::<u64>().ok()?) } else { json!(value.parse::<f64>().ok()?) };
        Some((name.to_owned(), value))
    };
    let line = |line: &str| {
        let (which, words) = line.split_once(' ')?;
        Some((which.to_owned(), Json::Object(words.split(' ').filter_map(value).collect())))
    };
    text.lines().filter_map(line).collect()
}

fn cpu(cgroup: &Cgroup, stats: &Stats) -> Json {
    let nanoseconds = |time: Option<Duration>| time.map_or(0, |time| time.as_nanos() as u64);
    let (user, system) = (nanoseconds(stats.cpu_user), nanoseconds(stats.cpu_system));
    let periods = Files::of(cgroup, Controller::Cpu, "cpu").table("cpu.stat", "cpu.stat");
    let mut usage = Map::new();
    let mut add = |key: &str, value: Json| drop(usage.insert(key.to_owned(), value));
    let read = |file: &str| cgroup.read(HierarchyOf::V1("cpuacct"), file);
    add("total", json!(read("cpuacct.usage").and_then(|all| number(&all)).unwrap_or(user + system)));
    if let Some(each) = read("cpuacct.usage_percpu") {
        add("percpu", json!(each.split_whitespace().filter_map(number).collect::<Vec<_>>()));
    }
    // A line of names, and one of each processor: its number, user, system. Linux 4.12.
    if let Some(each) = read("cpuacct.usage_all") {
        let column = |at: usize| {
            let of = |line: &str| line.split(' ').nth(at).and_then(number);
            each.lines().skip(1).filter_map(of).collect::<Vec<_>>()
        };
        add("percpu_kernel", json!(column(2)));
        add("percpu_user", json!(column(1)));
    }
    add("kernel", json!(system));
    add("user", json!(user));
    let told = json!({
        "usage": usage,
        "throttling": {
            "periods": periods.get("nr_periods").copied().unwrap_or(0),
            "throttledPeriods": stats.nr_throttled.unwrap_or(0),
            "throttledTime": nanoseconds(stats.cpu_throttled),
        },
    });
    with_pressure(told, cgroup, "cpu.pressure")
}

/// Of v1, as of others.
fn cpuset(cgroup: &Cgroup) -> Option<Json> {
    let files = Files::of(cgroup, Controller::Cpuset, "cpuset");
    if !files.is_v1() {
        return None;
    }
    let list = |file: &str| files.text(file).map(|text| listed(&text)).unwrap_or_default();
    let number = |file: &str| files.number_if_any(file).unwrap_or(0);
    let level = files.text("cpuset.sched_relax_domain_level").and_then(|level| level.trim().parse::<i64>().ok());
    Some(json!({
        "cpus": list("cpuset.cpus"),
        "cpu_exclusive": number("cpuset.cpu_exclusive"),
        "mems": list("cpuset.mems"),
        "mem_hardwall": number("cpuset.mem_hardwall"),
        "mem_exclusive": number("cpuset.mem_exclusive"),
        "memory_migrate": number("cpuset.memory_migrate"),
        "memory_spread_page": number("cpuset.memory_spread_page"),
        "memory_spread_slab": number("cpuset.memory_spread_slab"),
        "memory_pressure": number("cpuset.memory_pressure"),
        "sched_load_balance": number("cpuset.sched_load_balance"),
        "sched_relax_domain_level": level.unwrap_or(0),
    }))
}

/// `0-2,7`, cpuset(7).
fn listed(text: &str) -> Vec<u16> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

fn memory(cgroup: &Cgroup, stats: &Stats) -> Json {
    let memory = Files::of(cgroup, Controller::Memory, "memory");
    let raw = memory.table("memory.stat", "memory.stat");
    let cache = raw.get(if memory.is_v1() { "cache" } else { "file" }).copied().unwrap_or(0);
    let mut all = Map::new();
    let mut add = |key: &str, value: Json| drop(all.insert(key.to_owned(), value));
    add("cache", json!(cache));
    if memory.is_v1() {
        // A limit, what is used of it, the most there ever was, and how often the limit was hit; of swap with the memory.
        for (key, prefix) in [("usage", ""), ("swap", "memsw."), ("kernel", "kmem."), ("kernelTCP", "kmem.tcp.")] {
            let number = |file: &str| memory.number_if_any(&format!("memory.{prefix}{file}"));
            let Some(usage) = number("usage_in_bytes") else { continue };
            let of = json!({
                "limit": number("limit_in_bytes").unwrap_or(0),
                "usage": usage,
                "max": number("max_usage_in_bytes").unwrap_or(0),
                "failcnt": number("failcnt").unwrap_or(0),
            });
            add(key, of);
        }
    } else {
        let hit = |file: &str| memory.table("", file).get("max").copied().unwrap_or(0);
        let (limit, usage) = (memory.number("", "memory.max"), stats.memory_current.unwrap_or(0));
        let peak = stats.memory_peak.unwrap_or(0);
        add("usage", json!({ "limit": limit, "usage": usage, "max": peak, "failcnt": hit("memory.events") }));
        // Both together, as v1 counts them.
        let limit = memory.number("", "memory.swap.max").saturating_add(limit);
        let usage = memory.number("", "memory.swap.current").saturating_add(usage);
        add("swap", json!({ "limit": limit, "usage": usage, "failcnt": hit("memory.swap.events") }));
    }
    add("raw", json!(raw));
    with_pressure(Json::Object(all), cgroup, "memory.pressure")
}

/// Of block devices: v1 by operation, as it was asked for (bfq's own count, where that schedules); v2 by reading and writing.
fn blkio(cgroup: &Cgroup) -> Json {
    let files = Files::of(cgroup, Controller::Io, "blkio");
    let mut all = Map::new();
    let mut add = |key: &str, entries: Vec<Json>| {
        if !entries.is_empty() {
            all.insert(key.to_owned(), json!(entries));
        }
    };
    if files.is_v1() {
        let of = |name: &str| {
            let read = |prefix: &str| files.text(&format!("blkio.{prefix}.{name}_recursive")).unwrap_or_default();
            let entries = |text: String| text.lines().filter_map(operation).collect::<Vec<_>>();
            Some(entries(read("bfq"))).filter(|found| !found.is_empty()).unwrap_or_else(|| entries(read("throttle")))
        };
        add("ioServiceBytesRecursive", of("io_service_bytes"));
        add("ioServicedRecursive", of("io_serviced"));
    } else {
        let text = files.text("io.stat").unwrap_or_default();
        let of = |names: [(&str, &str); 3]| text.lines().flat_map(|line| counted(line, names)).collect();
        add("ioServiceBytesRecursive", of([("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")]));
        add("ioServicedRecursive", of([("rios", "Read"), ("wios", "Write"), ("dios", "Discard")]));
    }
    with_pressure(Json::Object(all), cgroup, "io.pressure")
}

/// `8:0 Read 4096`; a sum over all devices has no device.
fn operation(line: &str) -> Option<Json> {
    let mut words = line.split(' ');
    let (major, minor) = device(words.next()?)?;
    let (op, value) = (words.next()?, number(words.next()?)?);
    Some(json!({ "major": major, "minor": minor, "op": op, "value": value }))
}

/// `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`
fn counted(line: &str, names: [(&str, &str); 3]) -> Vec<Json> {
    let Some((device, rest)) = line.split_once(' ').and_then(|(first, rest)| Some((device(first)?, rest))) else {
        return Vec::new();
    };
    let of = |(name, op): (&str, &str)| {
        let value = rest.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=').and_then(number))?;
        Some(json!({ "major": device.0, "minor": device.1, "op": op, "value": value }))
    };
    names.into_iter().filter_map(of).collect()
}

fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Of each size that the machine has, by its name in the files of cgroups.
fn hugetlb(cgroup: &Cgroup) -> Json {
    let files = Files::of(cgroup, Controller::Hugetlb, "hugetlb");
    let mut all = Map::new();
    for size in huge_page_sizes() {
        let number = |file: &str| files.number_if_any(&format!("hugetlb.{size}.{file}"));
        let Some(usage) = number(if files.is_v1() { "usage_in_bytes" } else { "current" }) else { continue };
        let mut of = json!({ "usage": usage });
        let hit = match files.is_v1() {
            true => {
                of["max"] = json!(number("max_usage_in_bytes").unwrap_or(0));
                number("failcnt").unwrap_or(0)
            }
            false => files.table("", &format!("hugetlb.{size}.events")).get("max").copied().unwrap_or(0),
        };
        of["failcnt"] = json!(hit);
        all.insert(size, of);
    }
    Json::Object(all)
}

/// `2MB`, `1GB`: of /sys/kernel/mm/hugepages/hugepages-2048kB.
fn huge_page_sizes() -> Vec<String> {
    const UNITS: [(u64, &str); 2] = [(1 << 20, "GB"), (1 << 10, "MB")];
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let kib: u64 = name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let unit = UNITS.into_iter().find(|(unit, _)| kib >= *unit);
        Some(unit.map_or_else(|| format!("{kib}KB"), |(unit, word)| format!("{}{word}", kib / unit)))
    };
    std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_ranges() {
        assert_eq!(listed("0-2,7\n"), [0, 1, 2, 7]);
        assert!(listed("\n").is_empty());
    }

    #[test]
    fn what_devices_counted_has_one_form_of_both_versions() {
        let told = json!({ "major": 8, "minor": 0, "op": "Read", "value": 4096 });
        assert_eq!(operation("8:0 Read 4096"), Some(told.clone()));
        assert_eq!(operation("Total 4096"), None);
        let names = [("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")];
        let all = counted("8:0 rbytes=4096 wbytes=7 rios=1 wios=0", names);
        assert_eq!(all, [told, json!({ "major": 8, "minor": 0, "op": "Write", "value": 7 })]);
    }

    #[test]
    fn pressure_is_read_line_by_line() {
        let text =
            "some avg10=1.50 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let told = Json::Object(pressure(text));
        assert_eq!((&told["some"]["avg10"], &told["some"]["total"]), (&json!(1.5), &json!(2_500_000)));
        assert_eq!(told["full"]["total"], 7);
    }
}
