//! The unified hierarchy: its files, and handing controllers down.

use std::time::Duration;

use rustix::io::Errno;

use crate::dir::Dir;
use crate::setting::{Absent, Check, Setting};
use crate::{Controller, Error, Limit, Limits};

/// The period of a CPU quota in µs.
pub(crate) const PERIOD: u64 = 100_000;

/// The CPU time of a period in µs, for a number of CPUs that was validated.
pub(crate) fn quota(cpus: f64) -> u64 {
    (cpus * PERIOD as f64).round() as u64
}

/// What to write for the limits of one controller.
pub(crate) fn settings(controller: Controller, limits: &Limits) -> Vec<Setting> {
    match controller {
        Controller::Memory => memory(limits),
        Controller::Cpu => cpu(limits),
        Controller::Cpuset => cpuset(limits),
        Controller::Pids => {
            limits.pids_max.map(|n| Setting::new(Limit::PidsMax, "pids.max", n, Check::Same)).into_iter().collect()
        }
        Controller::Io => io(limits),
        Controller::Hugetlb => hugetlb(limits, "max"),
        Controller::Cpuacct | Controller::Devices | Controller::Freezer => Vec::new(),
    }
}

fn memory(limits: &Limits) -> Vec<Setting> {
    let page = rustix::param::page_size() as u64;
    let no_swap = Absent::Unsupported("no swap accounting (CONFIG_SWAP, or swapaccount=0 at boot)");
    let bytes =
        |limit: Limit, value: Option<u64>| value.map(|n| Setting::new(limit, limit.name(), n, Check::Bytes(page)));
    let group = limits.memory_oom_group.then(|| {
        Setting::new(Limit::MemoryOomGroup, "memory.oom.group", 1, Check::Same)
            .absent(Absent::Unsupported("Linux 4.19"))
    });
    [
        bytes(Limit::MemoryMax, limits.memory_max),
        bytes(Limit::MemoryHigh, limits.memory_high),
        bytes(Limit::MemoryLow, limits.memory_low),
        bytes(Limit::MemorySwapMax, limits.memory_swap_max).map(|s| s.absent(no_swap)),
        group,
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn cpu(limits: &Limits) -> Vec<Setting> {
    let no_quota = Absent::Unsupported("CONFIG_CFS_BANDWIDTH");
    let max = limits.cpu_max.map(|cpus| {
        Setting::new(Limit::CpuMax, "cpu.max", format!("{} {PERIOD}", quota(cpus)), Check::Same).absent(no_quota)
    });
    let weight = limits.cpu_weight.map(|weight| Setting::new(Limit::CpuWeight, "cpu.weight", weight, Check::Same));
    max.into_iter().chain(weight).collect()
}

/// The kernel takes CPUs that the parent does not have, and leaves them out: what is in effect
/// tells.
fn cpuset(limits: &Limits) -> Vec<Setting> {
    let cpus = limits
        .cpuset_cpus
        .as_ref()
        .map(|list| Setting::new(Limit::CpusetCpus, "cpuset.cpus", list, Check::List("cpuset.cpus.effective")));
    let mems = limits
        .cpuset_mems
        .as_ref()
        .map(|list| Setting::new(Limit::CpusetMems, "cpuset.mems", list, Check::List("cpuset.mems.effective")));
    cpus.into_iter().chain(mems).collect()
}

fn io(limits: &Limits) -> Vec<Setting> {
    let mut settings: Vec<Setting> = limits
        .io_max
        .iter()
        .map(|io| {
            let mut line = io.device.to_string();
            for (name, rate) in [("rbps", io.rbps), ("wbps", io.wbps), ("riops", io.riops), ("wiops", io.wiops)] {
                if let Some(rate) = rate {
                    line += &format!(" {name}={rate}");
                }
            }
            Setting::new(Limit::IoMax, "io.max", line, Check::Words)
                .absent(Absent::Unsupported("CONFIG_BLK_DEV_THROTTLING"))
        })
        .collect();
    if let Some(weight) = limits.io_weight {
        let iocost = Setting::new(Limit::IoWeight, "io.weight", format!("default {weight}"), Check::Words);
        let bfq = Setting::new(Limit::IoWeight, "io.bfq.weight", bfq_weight(weight), Check::Last);
        settings.push(iocost.absent(Absent::Otherwise));
        settings.push(bfq.absent(Absent::Unsupported("neither iocost nor the bfq scheduler")));
    }
    settings
}

/// bfq has 1 to 1000 with the default 100. systemd's `BFQ_WEIGHT`: straight from 1 to the default,
/// and from there to the highest.
pub(crate) fn bfq_weight(weight: u32) -> u32 {
    if weight <= 100 { weight } else { 100 + (weight - 100) * 900 / 9900 }
}

/// The files are named as `hugetlb_cgroup` does: `hugetlb.2MB.max`; v1 has another suffix.
pub(crate) fn hugetlb(limits: &Limits, suffix: &str) -> Vec<Setting> {
    let size = |bytes: u64| match bytes {
        _ if bytes >= 1 << 30 => format!("{}GB", bytes >> 30),
        _ if bytes >= 1 << 20 => format!("{}MB", bytes >> 20),
        _ => format!("{}KB", bytes >> 10),
    };
    let each = limits.hugetlb.iter();
    each.map(|limit| {
        let file = format!("hugetlb.{}.{suffix}", size(limit.page_size));
        Setting::new(Limit::HugetlbMax, file, limit.max, Check::Bytes(limit.page_size))
            .absent(Absent::Unsupported("the kernel has no huge pages of this size"))
    })
    .collect()
}

/// Whether the cgroups below `dir` have these controllers.
pub(crate) fn hands_down(dir: &Dir, needed: &[(Controller, Option<Limit>)]) -> Result<bool, Error> {
    let mut names = needed.iter().filter_map(|(controller, _)| controller.v2_name()).peekable();
    if names.peek().is_none() {
        return Ok(true);
    }
    let enabled = dir.read("cgroup.subtree_control")?;
    Ok(names.all(|name| enabled.split_ascii_whitespace().any(|word| word == name)))
}

/// Makes the cgroups below `dir` have these controllers.
///
/// They stay handed down: others may rely on it by now, and without a limit they only count.
pub(crate) fn hand_down(dir: &Dir, needed: &[(Controller, Option<Limit>)]) -> Result<(), Error> {
    if needed.is_empty() {
        return Ok(());
    }
    let has = |list: &str, name: &str| list.split_ascii_whitespace().any(|word| word == name);
    let enabled = dir.read("cgroup.subtree_control")?;
    let lacking = needed.iter().filter_map(|&(controller, limit)| Some((controller, limit, controller.v2_name()?)));
    let lacking: Vec<_> = lacking.filter(|(.., name)| !has(&enabled, name)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let offered = dir.read("cgroup.controllers")?;
    if let Some(&(controller, limit, _)) = lacking.iter().find(|(.., name)| !has(&offered, name)) {
        return Err(Error::NoController { controller, limit, path: Some(dir.path().to_path_buf()) });
    }
    let value: Vec<String> = lacking.iter().map(|(.., name)| format!("+{name}")).collect();
    patiently(|| dir.write("cgroup.subtree_control", &value.join(" "))).map_err(|error| {
        let path = dir.path().to_path_buf();
        match error {
            busy if busy.is(Errno::BUSY) => Error::InternalProcesses { path },
            threaded if threaded.is(Errno::OPNOTSUPP) => Error::Threaded { path },
            other => other,
        }
    })
}

/// Again while it answers EINVAL, which an old kernel (seen on 5.10) does for the cpu controller as long as a process below
/// is just being forked; for a tenth of a second, as it does that also where realtime processes are in the way.
fn patiently(write: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    for _ in 0..100 {
        match write() {
            Err(error) if error.is(Errno::INVAL) => std::thread::sleep(Duration::from_millis(1)),
            answer => return answer,
        }
    }
    write()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use super::*;
    use crate::testing::Tree;
    use crate::{DeviceNumber, HugetlbLimit, IoLimit};

    fn written(controller: Controller, limits: Limits) -> Vec<(String, String)> {
        settings(controller, &limits).into_iter().map(|s| (s.file, s.value)).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(file, value)| ((*file).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_limit_has_its_file() {
        let memory = Limits::new().memory_max(9).memory_high(8).memory_low(7).memory_swap_max(0).memory_oom_group(true);
        assert_eq!(
            written(Controller::Memory, memory),
            pairs(&[
                ("memory.max", "9"),
                ("memory.high", "8"),
                ("memory.low", "7"),
                ("memory.swap.max", "0"),
                ("memory.oom.group", "1")
            ])
        );
        let cpu = Limits::new().cpu_max(0.015).cpu_weight(50);
        assert_eq!(written(Controller::Cpu, cpu), pairs(&[("cpu.max", "1500 100000"), ("cpu.weight", "50")]));
        let device = DeviceNumber { major: 8, minor: 16 };
        let io = IoLimit { device, rbps: Some(1), wbps: None, riops: None, wiops: Some(2) };
        assert_eq!(
            written(Controller::Io, Limits::new().io_max(io).io_weight(200)),
            pairs(&[("io.max", "8:16 rbps=1 wiops=2"), ("io.weight", "default 200"), ("io.bfq.weight", "109")])
        );
        let huge = |page_size| HugetlbLimit { page_size, max: 0 };
        assert_eq!(
            written(
                Controller::Hugetlb,
                Limits::new().hugetlb(huge(64 << 10)).hugetlb(huge(2 << 20)).hugetlb(huge(1 << 30))
            ),
            pairs(&[("hugetlb.64KB.max", "0"), ("hugetlb.2MB.max", "0"), ("hugetlb.1GB.max", "0")])
        );
        assert_eq!(written(Controller::Pids, Limits::new()), []);
    }

    #[test]
    fn weights_of_bfq_keep_the_default_and_the_ends() {
        assert_eq!([1, 100, 10_000].map(bfq_weight), [1, 100, 1000]);
    }

    #[test]
    fn only_what_is_lacking_is_handed_down() {
        let tree = Tree::new(&[("cgroup.controllers", "cpu memory pids\n"), ("cgroup.subtree_control", "cpu\n")]);
        let needed = [(Controller::Cpu, None), (Controller::Freezer, None)];
        hand_down(&tree.dir(), &needed).unwrap();
        assert_eq!(tree.text("cgroup.subtree_control"), "cpu\n");
        hand_down(&tree.dir(), &[(Controller::Cpu, None), (Controller::Memory, None), (Controller::Pids, None)])
            .unwrap();
        assert_eq!(tree.text("cgroup.subtree_control"), "+memory +pids");
    }

    #[test]
    fn a_refusal_that_passes_is_waited_for_and_any_other_is_told() {
        let refusal = |errno| Error::from_call("write", Path::new("cgroup.subtree_control"), errno);
        let tries = Cell::new(0);
        let after = |wanted: u32, errno| {
            tries.set(0);
            patiently(|| {
                tries.set(tries.get() + 1);
                if tries.get() > wanted { Ok(()) } else { Err(refusal(errno)) }
            })
        };
        assert!(after(5, Errno::INVAL).is_ok());
        assert!(after(1000, Errno::INVAL).is_err_and(|error| error.is(Errno::INVAL)));
        assert!(tries.get() > 50);
        assert!(after(1, Errno::BUSY).is_err_and(|error| error.is(Errno::BUSY)));
        assert_eq!(tries.get(), 1);
    }

    #[test]
    fn a_missing_controller_is_named_with_its_limit() {
        let tree = Tree::new(&[("cgroup.controllers", "memory pids\n"), ("cgroup.subtree_control", "\n")]);
        let error = hand_down(&tree.dir(), &[(Controller::Cpu, Some(Limit::CpuMax))]).unwrap_err();
        let expected = format!("cpu.max needs the cpu controller, which {} does not have", tree.path().display());
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().unwrap().contains("Delegate=yes"));
        assert_eq!(tree.text("cgroup.subtree_control"), "\n");
    }
}
