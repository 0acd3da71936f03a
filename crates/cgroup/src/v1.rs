//! The v1 hierarchies: their files, and how they differ.

use crate::dir::Dir;
use crate::setting::{Absent, Check, Setting};
use crate::v2::{PERIOD, bfq_weight, hugetlb, quota};
use crate::{Controller, Error, Limit, Limits};

/// What to write for the limits of one controller.
///
/// # Errors
/// A limit that v1 does not have.
pub(crate) fn settings(controller: Controller, limits: &Limits) -> Result<Vec<Setting>, Error> {
    Ok(match controller {
        Controller::Memory => memory(limits)?,
        Controller::Cpu => cpu(limits),
        Controller::Cpuset => cpuset(limits),
        Controller::Pids => {
            limits.pids_max.map(|n| Setting::new(Limit::PidsMax, "pids.max", n, Check::Same)).into_iter().collect()
        }
        Controller::Io => blkio(limits),
        Controller::Hugetlb => hugetlb(limits, "limit_in_bytes"),
        Controller::Devices => devices(limits),
        Controller::Cpuacct | Controller::Freezer => Vec::new(),
    })
}

/// v1's soft limit is neither memory.high nor memory.low, so it is not used for them.
fn memory(limits: &Limits) -> Result<Vec<Setting>, Error> {
    let lacking = [
        (limits.memory_high.is_some(), Limit::MemoryHigh),
        (limits.memory_low.is_some(), Limit::MemoryLow),
        (limits.memory_oom_group, Limit::MemoryOomGroup),
    ];
    if let Some((_, limit)) = lacking.into_iter().find(|(set, _)| *set) {
        return Err(Error::unsupported(
            limit.name(),
            "the memory controller is on cgroup v1, which has nothing like it",
        ));
    }
    let page = Check::Bytes(rustix::param::page_size() as u64);
    let mut settings = Vec::new();
    if let Some(max) = limits.memory_max {
        settings.push(Setting::new(Limit::MemoryMax, "memory.limit_in_bytes", max, page.clone()));
    }
    if let Some(swap) = limits.memory_swap_max {
        let Some(max) = limits.memory_max else {
            let reason =
                "the memory controller is on cgroup v1, which limits memory and swap together, so set memory.max too";
            return Err(Error::unsupported(Limit::MemorySwapMax.name(), reason));
        };
        // After the limit of memory alone, which may not be above it.
        let both = max.saturating_add(swap);
        settings.push(
            Setting::new(Limit::MemorySwapMax, "memory.memsw.limit_in_bytes", both, page)
                .absent(Absent::Unsupported("no swap accounting (boot with swapaccount=1)")),
        );
    }
    Ok(settings)
}

fn cpu(limits: &Limits) -> Vec<Setting> {
    let no_quota = || Absent::Unsupported("CONFIG_CFS_BANDWIDTH");
    let mut settings = Vec::new();
    if let Some(cpus) = limits.cpu_max {
        settings.push(Setting::new(Limit::CpuMax, "cpu.cfs_period_us", PERIOD, Check::Same).absent(no_quota()));
        settings.push(Setting::new(Limit::CpuMax, "cpu.cfs_quota_us", quota(cpus), Check::Same).absent(no_quota()));
    }
    if let Some(weight) = limits.cpu_weight {
        settings.push(Setting::new(Limit::CpuWeight, "cpu.shares", shares(weight), Check::Same));
    }
    settings
}

/// systemd's `cgroup_cpu_weight_to_shares`: the default 100 becomes the default 1024. The kernel
/// takes 2 to 262144.
fn shares(weight: u32) -> u32 {
    (weight * 1024 / 100).clamp(2, 262_144)
}

fn cpuset(limits: &Limits) -> Vec<Setting> {
    let cpus = limits
        .cpuset_cpus
        .as_ref()
        .map(|list| Setting::new(Limit::CpusetCpus, "cpuset.cpus", list, Check::List("cpuset.cpus")));
    let mems = limits
        .cpuset_mems
        .as_ref()
        .map(|list| Setting::new(Limit::CpusetMems, "cpuset.mems", list, Check::List("cpuset.mems")));
    cpus.into_iter().chain(mems).collect()
}

fn blkio(limits: &Limits) -> Vec<Setting> {
    let mut settings = Vec::new();
    for io in &limits.io_max {
        for (name, rate) in
            [("read_bps", io.rbps), ("write_bps", io.wbps), ("read_iops", io.riops), ("write_iops", io.wiops)]
        {
            if let Some(rate) = rate {
                let file = format!("blkio.throttle.{name}_device");
                let line = format!("{} {rate}", io.device);
                let absent = Absent::Unsupported("CONFIG_BLK_DEV_THROTTLING");
                settings.push(Setting::new(Limit::IoMax, file, line, Check::Words).absent(absent));
            }
        }
    }
    if let Some(weight) = limits.io_weight {
        let bfq = Setting::new(Limit::IoWeight, "blkio.bfq.weight", bfq_weight(weight), Check::Last);
        let cfq = Setting::new(Limit::IoWeight, "blkio.weight", cfq_weight(weight), Check::Last);
        settings.push(bfq.absent(Absent::Otherwise));
        settings.push(cfq.absent(Absent::Unsupported("neither the bfq nor (before Linux 5.0) the cfq scheduler")));
    }
    settings
}

/// systemd's `cgroup_weight_io_to_blkio`: the default 100 becomes the default 500 of 10 to 1000.
fn cfq_weight(weight: u32) -> u32 {
    (weight * 500 / 100).clamp(10, 1000)
}

/// Nothing, and then what is allowed.
fn devices(limits: &Limits) -> Vec<Setting> {
    let Some(allowed) = &limits.devices else { return Vec::new() };
    let none = Setting::new(Limit::Devices, "devices.deny", "a", Check::NoLineOf("devices.list", "a *:* rwm"));
    let allow = |rule| Setting::new(Limit::Devices, "devices.allow", rule, Check::LineOf("devices.list"));
    std::iter::once(none).chain(allowed.iter().map(allow)).collect()
}

/// A new v1 cpuset has no CPUs and no memory nodes, and then nothing can join it: gives it those
/// of the cgroup above.
pub(crate) fn inherit_cpuset(above: &Dir, dir: &Dir) -> Result<(), Error> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if dir.read(file)?.trim().is_empty() {
            dir.write(file, above.read(file)?.trim())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;
    use crate::{Access, DeviceKind, DeviceNumber, DeviceRule, IoLimit};

    fn written(controller: Controller, limits: Limits) -> Vec<String> {
        settings(controller, &limits).unwrap().into_iter().map(|s| format!("{} {}", s.file, s.value)).collect()
    }

    #[test]
    fn memory_and_swap_are_limited_together_and_memory_first() {
        let limits = Limits::new().memory_max(8192).memory_swap_max(4096);
        let expected = ["memory.limit_in_bytes 8192", "memory.memsw.limit_in_bytes 12288"];
        assert_eq!(written(Controller::Memory, limits), expected);
    }

    #[test]
    fn what_v1_lacks_is_an_error_that_says_so() {
        for limits in [
            Limits::new().memory_high(8192),
            Limits::new().memory_low(8192),
            Limits::new().memory_oom_group(true),
            Limits::new().memory_swap_max(0),
        ] {
            let error = settings(Controller::Memory, &limits).unwrap_err();
            assert!(matches!(error, Error::Unsupported { .. }), "{error}");
            assert!(error.to_string().contains("cgroup v1"), "{error}");
        }
    }

    #[test]
    fn weights_keep_the_default_and_the_range() {
        assert_eq!([1, 100, 10_000].map(shares), [10, 1024, 102_400]);
        assert_eq!([1, 100, 10_000].map(cfq_weight), [10, 500, 1000]);
    }

    #[test]
    fn quota_is_in_microseconds_of_a_period() {
        let expected = ["cpu.cfs_period_us 100000", "cpu.cfs_quota_us 150000", "cpu.shares 512"];
        assert_eq!(written(Controller::Cpu, Limits::new().cpu_max(1.5).cpu_weight(50)), expected);
    }

    #[test]
    fn each_rate_has_its_file() {
        let device = DeviceNumber { major: 254, minor: 0 };
        let io = IoLimit { device, rbps: Some(1), wbps: Some(2), riops: Some(3), wiops: Some(4) };
        let expected = [
            "blkio.throttle.read_bps_device 254:0 1",
            "blkio.throttle.write_bps_device 254:0 2",
            "blkio.throttle.read_iops_device 254:0 3",
            "blkio.throttle.write_iops_device 254:0 4",
        ];
        assert_eq!(written(Controller::Io, Limits::new().io_max(io)), expected);
    }

    #[test]
    fn devices_are_all_refused_before_some_are_allowed() {
        let null = DeviceRule { kind: DeviceKind::Char, major: Some(1), minor: Some(3), access: Access::ALL };
        let any_tty =
            DeviceRule { minor: None, major: Some(4), access: Access { mknod: false, ..Access::ALL }, ..null };
        let expected = ["devices.deny a", "devices.allow c 1:3 rwm", "devices.allow c 4:* rw"];
        assert_eq!(written(Controller::Devices, Limits::new().devices(vec![null, any_tty])), expected);
    }

    #[test]
    fn an_empty_cpuset_gets_that_of_the_one_above() {
        let above = Tree::new(&[("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")]);
        let new = Tree::new(&[("cpuset.cpus", "\n"), ("cpuset.mems", "1\n")]);
        inherit_cpuset(&above.dir(), &new.dir()).unwrap();
        assert_eq!((new.text("cpuset.cpus"), new.text("cpuset.mems")), ("0-3".into(), "1\n".into()));
    }
}
