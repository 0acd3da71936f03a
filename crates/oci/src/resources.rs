//! From resources to files of the cgroup: v1's own, or those of v2 that mean the same.

use seclude::cgroup::{Cgroup, Controller, FileValue, HierarchyOf};
use serde_json::Value as Json;

use crate::before::Before;
use crate::failure::{Failure, Result};
use crate::spec::{Cpu, Memory, Network, Resources, ThrottleDevice};

/// A file, and the field of config.json that it is written for.
struct Setting {
    field: String,
    entry: FileValue,
}

/// Puts a list together.
struct Settings<'a> {
    cgroup: &'a Cgroup,
    list: Vec<Setting>,
}

const BASE: &str = "linux.resources";

/// The least and the most of v1: what the kernel makes of less and of more.
const SHARES: (u64, u64) = (2, 262_144);

/// What v2 has for shares of v1: the least, the default and the most of the one are those of the other. (Evenly spread, the default of 1024
/// would be 39, and the container would have less than half of what a neighbour without any has.)
pub(crate) fn weight_of_shares(shares: u64) -> u64 {
    let power = (shares.clamp(SHARES.0, SHARES.1) as f64).log2();
    let exponent = (power * power + 125.0 * power) / 612.0 - 7.0 / 34.0;
    (10_f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

/// What is no limit, though it has a file: `cgroup.procs` takes any process of the host into the cgroup, which is then killed with what is
/// in it, and `cgroup.kill`, `cgroup.freeze` and `cgroup.subtree_control` are ours. Known before anything is made.
pub(crate) fn check(resources: &Resources) -> Result<()> {
    const LIMITS: [&str; 2] = ["cgroup.max.depth", "cgroup.max.descendants"];
    let why = |file: &str| match file {
        "" | "." | ".." => Some("it is no name of a file of a cgroup"),
        _ if file.contains(['/', '\0']) => Some("it is no name of a file of a cgroup"),
        _ if file.starts_with("cgroup.") && !LIMITS.contains(&file) => Some(
            "it says what is in the cgroup, and is no limit: of those are cgroup.max.depth and cgroup.max.descendants alone",
        ),
        _ => None,
    };
    let wrong = resources.unified.keys().find_map(|file| Some((file, why(file)?)));
    wrong.map_or(Ok(()), |(file, why)| Err(Failure::at(format!("{BASE}.unified.{file}"), why)))
}

/// Sets all of them, devices apart, or none; answers what there was before.
pub(crate) fn apply(cgroup: &Cgroup, resources: &Resources) -> Result<Before> {
    check(resources)?;
    let mut settings = Settings { cgroup, list: Vec::new() };
    if let Some(memory) = &resources.memory {
        settings.memory(memory)?;
    }
    if let Some(cpu) = &resources.cpu {
        settings.cpu(cpu)?;
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        let value = if limit <= 0 { "max".to_owned() } else { limit.to_string() };
        settings.either("pids.limit", Controller::Pids, ("pids", "pids.max", &value), ("pids.max", &value));
    }
    settings.block_io(resources)?;
    for (index, limit) in resources.hugepage_limits.iter().enumerate() {
        let field = format!("hugepageLimits[{index}]");
        let (v1, v2) =
            (format!("hugetlb.{}.limit_in_bytes", limit.page_size), format!("hugetlb.{}.max", limit.page_size));
        let value = limit.limit.to_string();
        settings.either(&field, Controller::Hugetlb, ("hugetlb", &v1, &value), (&v2, &value));
        // What is reserved counts as well, where the kernel counts it (5.7): config-linux.md, "Huge page limits".
        let (of, reserved) = match cgroup.is_v1(Controller::Hugetlb) {
            true => (HierarchyOf::V1("hugetlb"), format!("hugetlb.{}.rsvd.limit_in_bytes", limit.page_size)),
            false => (HierarchyOf::V2, format!("hugetlb.{}.rsvd.max", limit.page_size)),
        };
        if cgroup.has_file(of, &reserved) {
            settings.add(&field, of, &reserved, &value);
        }
    }
    if let Some(network) = &resources.network {
        settings.network(network);
    }
    for (device, limit) in &resources.rdma {
        let parts = [("hca_handle", limit.hca_handles), ("hca_object", limit.hca_objects)];
        let parts: Vec<String> =
            parts.into_iter().filter_map(|(name, most)| Some(format!("{name}={}", most?))).collect();
        if !parts.is_empty() {
            let value = format!("{device} {}", parts.join(" "));
            let of = if cgroup.is_in(HierarchyOf::V1("rdma")) { HierarchyOf::V1("rdma") } else { HierarchyOf::V2 };
            settings.add(&format!("rdma.{device}"), of, "rdma.max", &value);
        }
    }
    for (file, value) in &resources.unified {
        settings.v2(&format!("unified.{file}"), file, value);
    }
    settings.write()
}

/// What limits its memory, if anything does: the field and what it has.
pub(crate) fn memory_limit(resources: &Resources) -> Option<(String, String)> {
    let limit = resources.memory.as_ref().and_then(|memory| memory.limit).filter(|limit| *limit > 0);
    let limit = limit.map(|limit| ("memory.limit", limit.to_string()));
    let unified = || resources.unified.get("memory.max").map(|limit| ("unified.memory.max", limit.clone()));
    limit.or_else(unified).map(|(field, limit)| (format!("{BASE}.{field}"), limit))
}

/// The first that is asked for and needs a cgroup, devices apart: what limits nothing asks for nothing.
pub(crate) fn first_asked(resources: &Resources) -> Option<String> {
    let mut all = serde_json::to_value(resources).ok()?;
    all.as_object_mut()?.remove("devices");
    first_in(&all, BASE)
}

fn first_in(value: &Json, path: &str) -> Option<String> {
    let is_there = match value {
        Json::Object(map) => return map.iter().find_map(|(key, value)| first_in(value, &format!("{path}.{key}"))),
        Json::Array(list) => !list.is_empty(),
        Json::String(text) => !text.is_empty(),
        Json::Bool(is) => *is && !path.ends_with(".checkBeforeUpdate"),
        // Elsewhere a 0 is not said, and -1 no limit.
        Json::Number(number) => path.ends_with(".swappiness") || number.as_i64().is_none_or(|number| number > 0),
        Json::Null => false,
    };
    is_there.then(|| path.to_owned())
}

impl Settings<'_> {
    fn add(&mut self, field: &str, of: HierarchyOf, file: &str, value: &str) {
        let entry = FileValue { of, file: file.to_owned(), value: value.to_owned() };
        self.list.push(Setting { field: format!("{BASE}.{field}"), entry });
    }

    fn v2(&mut self, field: &str, file: &str, value: &str) {
        self.add(field, HierarchyOf::V2, file, value);
    }

    /// In whichever hierarchy has the controller.
    fn either(&mut self, field: &str, of: Controller, v1: (&'static str, &str, &str), v2: (&str, &str)) {
        match self.cgroup.is_v1(of) {
            true => self.add(field, HierarchyOf::V1(v1.0), v1.1, v1.2),
            false => self.v2(field, v2.0, v2.1),
        }
    }

    fn memory(&mut self, memory: &Memory) -> Result<()> {
        let v1 = self.cgroup.is_v1(Controller::Memory);
        let bytes = |value: i64| if value < 0 { "max".to_owned() } else { value.to_string() };
        let limit = memory.limit.filter(|limit| *limit != 0);
        // No limit of memory is none of both together either, unless one is said.
        let counts_swap = match v1 {
            true => self.cgroup.has_file(HierarchyOf::V1("memory"), "memory.memsw.limit_in_bytes"),
            false => self.cgroup.has_file(HierarchyOf::V2, "memory.swap.max"),
        };
        let both = (limit == Some(-1) && counts_swap).then_some(-1);
        let swap = memory.swap.filter(|swap| *swap != 0).or(both);
        if let (Some(limit), Some(swap)) = (limit, swap)
            && limit > 0
            && swap > 0
            && swap < limit
        {
            let text = format!("{swap} is memory and swap together, and less than the memory's {limit}");
            return Err(Failure::at(format!("{BASE}.memory.swap"), text));
        }
        if v1 {
            let of = HierarchyOf::V1("memory");
            if let Some(limit) = limit {
                self.add("memory.limit", of, "memory.limit_in_bytes", &limit.to_string());
            }
            if let Some(swap) = swap {
                self.add("memory.swap", of, "memory.memsw.limit_in_bytes", &swap.to_string());
            }
            if let Some(reservation) = memory.reservation.filter(|value| *value != 0) {
                self.add("memory.reservation", of, "memory.soft_limit_in_bytes", &reservation.to_string());
            }
            if let Some(kernel) = memory.kernel_tcp.filter(|value| *value != 0) {
                self.add("memory.kernelTCP", of, "memory.kmem.tcp.limit_in_bytes", &kernel.to_string());
            }
            if memory.disable_oom_killer == Some(true) {
                self.add("memory.disableOOMKiller", of, "memory.oom_control", "1");
            }
            if let Some(swappiness) = memory.swappiness {
                self.add("memory.swappiness", of, "memory.swappiness", &swappiness.to_string());
            }
        } else {
            self.is_more_than_what_is_used(memory)?;
            if let Some(limit) = limit {
                self.v2("memory.limit", "memory.max", &bytes(limit));
            }
            match (swap, limit) {
                (Some(..0), _) => self.v2("memory.swap", "memory.swap.max", "max"),
                // There swap is counted alone.
                (Some(swap), Some(limit)) if limit > 0 => {
                    self.v2("memory.swap", "memory.swap.max", &(swap - limit).to_string());
                }
                (Some(_), _) => {
                    return Err(Failure::at(
                        format!("{BASE}.memory.swap"),
                        "without a limit of memory it says nothing on v2",
                    ));
                }
                (None, _) => {}
            }
            if let Some(reservation) = memory.reservation.filter(|value| *value != 0) {
                self.v2("memory.reservation", "memory.low", &bytes(reservation));
            }
            let only_v1 = [
                ("memory.kernelTCP", memory.kernel_tcp.is_some_and(|value| value != 0)),
                ("memory.disableOOMKiller", memory.disable_oom_killer == Some(true)),
                ("memory.swappiness", memory.swappiness.is_some()),
            ];
            if let Some((field, _)) = only_v1.iter().find(|(_, is_there)| *is_there) {
                return Err(Failure::at(format!("{BASE}.{field}"), "cgroup v2 does not have it"));
            }
        }
        // The kernel has no such limit any more (5.4, 6.1), and a zero asks for none.
        if memory.kernel.is_some_and(|value| value > 0) {
            return Err(Failure::at(format!("{BASE}.memory.kernel"), "the kernel has no such limit any more"));
        }
        Ok(())
    }

    /// On v2 the kernel would kill until it is; v1 refuses such a limit by itself.
    fn is_more_than_what_is_used(&self, memory: &Memory) -> Result<()> {
        let used = self.cgroup.read(HierarchyOf::V2, "memory.current").and_then(|used| used.trim().parse::<i64>().ok());
        let Some(used) = used.filter(|_| memory.check_before_update) else { return Ok(()) };
        for (limit, field) in [(memory.limit, "memory.limit"), (memory.swap, "memory.swap")] {
            if let Some(limit) = limit.filter(|limit| *limit > 0 && *limit < used) {
                let text =
                    format!("{limit} is less than the {used} bytes that it uses now, and checkBeforeUpdate is set");
                return Err(Failure::at(format!("{BASE}.{field}"), text));
            }
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &Cpu) -> Result<()> {
        let v1 = self.cgroup.is_v1(Controller::Cpu);
        if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
            let weight = weight_of_shares(shares).to_string();
            let shares = shares.clamp(SHARES.0, SHARES.1);
            self.either(
                "cpu.shares",
                Controller::Cpu,
                ("cpu", "cpu.shares", &shares.to_string()),
                ("cpu.weight", &weight),
            );
        }
        let period = cpu.period.filter(|period| *period != 0);
        let quota = cpu.quota.filter(|quota| *quota != 0);
        if v1 {
            let of = HierarchyOf::V1("cpu");
            if let Some(period) = period {
                self.add("cpu.period", of, "cpu.cfs_period_us", &period.to_string());
            }
            if let Some(quota) = quota {
                self.add("cpu.quota", of, "cpu.cfs_quota_us", &quota.max(-1).to_string());
            }
            // The kernel has it from 5.14 on, and without it there is none.
            if let Some(burst) = cpu.burst.filter(|burst| *burst != 0 || self.cgroup.has_file(of, "cpu.cfs_burst_us")) {
                self.add("cpu.burst", of, "cpu.cfs_burst_us", &burst.to_string());
            }
            if let Some(period) = cpu.realtime_period.filter(|value| *value != 0) {
                self.add("cpu.realtimePeriod", of, "cpu.rt_period_us", &period.to_string());
            }
            if let Some(runtime) = cpu.realtime_runtime.filter(|value| *value != 0) {
                self.add("cpu.realtimeRuntime", of, "cpu.rt_runtime_us", &runtime.to_string());
            }
        } else {
            // One of them alone leaves the other as it is.
            if quota.is_some() || period.is_some() {
                let now = self.cgroup.read(HierarchyOf::V2, "cpu.max").unwrap_or_default();
                let mut now = now.split_ascii_whitespace().map(str::to_owned);
                let (most, of) = (now.next(), now.next());
                let asked = quota.map(|quota| if quota > 0 { quota.to_string() } else { "max".to_owned() });
                let most = asked.or(most).unwrap_or_else(|| "max".to_owned());
                let of = period.map(|period| period.to_string()).or(of).unwrap_or_else(|| "100000".to_owned());
                let field = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
                self.v2(field, "cpu.max", &format!("{most} {of}"));
            }
            if let Some(burst) =
                cpu.burst.filter(|burst| *burst != 0 || self.cgroup.has_file(HierarchyOf::V2, "cpu.max.burst"))
            {
                self.v2("cpu.burst", "cpu.max.burst", &burst.to_string());
            }
            if cpu.realtime_period.is_some_and(|value| value != 0)
                || cpu.realtime_runtime.is_some_and(|value| value != 0)
            {
                return Err(Failure::at(format!("{BASE}.cpu.realtimePeriod"), "cgroup v2 does not have it"));
            }
        }
        if let Some(idle) = cpu.idle {
            self.either(
                "cpu.idle",
                Controller::Cpu,
                ("cpu", "cpu.idle", &idle.to_string()),
                ("cpu.idle", &idle.to_string()),
            );
        }
        for (value, field, file) in [(&cpu.cpus, "cpu.cpus", "cpuset.cpus"), (&cpu.mems, "cpu.mems", "cpuset.mems")] {
            if !value.is_empty() {
                self.either(field, Controller::Cpuset, ("cpuset", file, value), (file, value));
            }
        }
        Ok(())
    }

    /// Of v1 alone: on v2 the traffic of a cgroup is what rules of the net filter are for.
    fn network(&mut self, network: &Network) {
        if let Some(class) = network.class_id {
            self.add("network.classID", HierarchyOf::V1("net_cls"), "net_cls.classid", &class.to_string());
        }
        for (index, one) in network.priorities.iter().enumerate() {
            let (field, value) = (format!("network.priorities[{index}]"), format!("{} {}", one.name, one.priority));
            self.add(&field, HierarchyOf::V1("net_prio"), "net_prio.ifpriomap", &value);
        }
    }

    fn block_io(&mut self, resources: &Resources) -> Result<()> {
        let Some(io) = &resources.block_io else { return Ok(()) };
        if let Some(weight) = io.weight.filter(|weight| *weight != 0) {
            // Of 10 to 1000 it makes 1 to 10000, as others do.
            let wide = 1 + (u32::from(weight).saturating_sub(10)) * 9999 / 990;
            let (own, wide) = (weight.to_string(), format!("default {wide}"));
            // The scheduler that has weights of its own has them by the old numbers, and the other file may not be there.
            let v2 = match self.cgroup.has_file(HierarchyOf::V2, "io.bfq.weight") {
                true => ("io.bfq.weight", own.as_str()),
                false => ("io.weight", wide.as_str()),
            };
            self.either("blockIO.weight", Controller::Io, ("blkio", "blkio.bfq.weight", &own), v2);
        }
        if io.leaf_weight.is_some_and(|weight| weight != 0) {
            return Err(Failure::at(format!("{BASE}.blockIO.leafWeight"), "the kernel does not have it any more"));
        }
        for (index, device) in io.weight_device.iter().enumerate() {
            let field = format!("blockIO.weightDevice[{index}]");
            let Some(weight) = device.weight else { continue };
            if device.leaf_weight.is_some_and(|weight| weight != 0) {
                return Err(Failure::at(format!("{BASE}.{field}.leafWeight"), "the kernel does not have it any more"));
            }
            let number = format!("{}:{}", device.major, device.minor);
            let (v1, v2) = (format!("{number} {weight}"), format!("{number} {weight}"));
            self.either(&field, Controller::Io, ("blkio", "blkio.bfq.weight_device", &v1), ("io.bfq.weight", &v2));
        }
        let kinds: [(&str, &[ThrottleDevice], &str, &str); 4] = [
            ("throttleReadBpsDevice", &io.throttle_read_bps_device, "blkio.throttle.read_bps_device", "rbps"),
            ("throttleWriteBpsDevice", &io.throttle_write_bps_device, "blkio.throttle.write_bps_device", "wbps"),
            ("throttleReadIOPSDevice", &io.throttle_read_iops_device, "blkio.throttle.read_iops_device", "riops"),
            ("throttleWriteIOPSDevice", &io.throttle_write_iops_device, "blkio.throttle.write_iops_device", "wiops"),
        ];
        for (name, devices, v1_file, v2_key) in kinds {
            for (index, device) in devices.iter().enumerate() {
                let field = format!("blockIO.{name}[{index}]");
                let number = format!("{}:{}", device.major, device.minor);
                let (v1, v2) = (format!("{number} {}", device.rate), format!("{number} {v2_key}={}", device.rate));
                self.either(&field, Controller::Io, ("blkio", v1_file, &v1), ("io.max", &v2));
            }
        }
        Ok(())
    }

    /// In order; what the kernel refuses because of another that is still to come is tried once more behind that: memory and swap
    /// together are never less than memory, and which is raised first depends on what there is. All of it, or nothing: what was written before
    /// one that fails is put back.
    fn write(self) -> Result<Before> {
        let (mut again, mut before) = (Vec::new(), Before::default());
        for setting in &self.list {
            before.note(self.cgroup, &setting.entry);
            if self.cgroup.write(&setting.entry).is_err() {
                again.push(setting);
            }
        }
        for setting in again {
            let FileValue { file, value, .. } = &setting.entry;
            let failed = |error: seclude::cgroup::Error| {
                Failure::at(setting.field.clone(), format!("{value:?} to {file}: {error}"))
            };
            if let Err(failure) = self.cgroup.write(&setting.entry).map_err(failed) {
                return Err(before.put_back(self.cgroup).into_iter().fold(failure, Failure::and));
            }
        }
        Ok(before)
    }
}

#[cfg(test)]
mod tests {
    use super::{check, weight_of_shares};
    use crate::spec::Resources;

    #[test]
    fn what_is_in_a_cgroup_is_no_limit_of_it() {
        let asks = |file: &str| {
            let unified = [(file.to_owned(), "1".to_owned())].into();
            check(&Resources { unified, ..Resources::default() })
        };
        for file in ["memory.high", "cgroup.max.depth", "cgroup.max.descendants", "pids.max"] {
            assert!(asks(file).is_ok(), "{file}");
        }
        for file in [
            "cgroup.procs",
            "cgroup.threads",
            "cgroup.kill",
            "cgroup.freeze",
            "cgroup.type",
            "cgroup.subtree_control",
            "cgroup.",
            "",
            ".",
            "..",
            "../pids.max",
            "below/cgroup.procs",
            "a\0b",
        ] {
            let said = asks(file).unwrap_err().to_string();
            assert!(said.starts_with("linux.resources.unified."), "{said}");
        }
    }

    #[test]
    fn the_least_the_default_and_the_most_of_the_shares_are_those_of_the_weights() {
        let found = [0, 2, 512, 1024, 2000, 262_144, u64::MAX].map(weight_of_shares);
        assert_eq!(found, [1, 1, 59, 100, 170, 10_000, 10_000]);
    }
}
