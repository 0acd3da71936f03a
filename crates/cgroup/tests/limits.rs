//! Limits that are enforced, not only accepted: on whatever the host has, v1 or v2. Each one has a
//! contrast, the same without the limit or below it.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use common::{Parent, Payload, status_field};
use seclude_cgroup::{
    Access, Controller, DeviceKind, DeviceNumber, DeviceRule, Error, HugetlbLimit, IoLimit, Limit, Limits, Mode,
};

const MIB: u64 = 1 << 20;

/// A process that touches this many MiB.
fn allocate(mib: u32) -> String {
    format!("exec dd if=/dev/zero of=/dev/null bs={mib}M count=1")
}

#[test]
fn an_allocation_over_the_memory_limit_is_killed_and_counted() {
    let Some(parent) = Parent::new("memory") else { return };
    if !parent.has(&[Controller::Memory]) {
        return;
    }
    let limits = Limits::new().memory_max(32 * MIB);
    let cgroup = parent.make(&limits, &[]);
    let status = Payload::inside(&cgroup, &allocate(128)).wait();
    assert_eq!(status.signal(), Some(9), "{status}");
    let events = cgroup.events().unwrap();
    assert_eq!(events.oom_kill, Some(1), "{events:?}");
    assert!(events.memory_max.unwrap() > 0, "{events:?}");
    let peak = cgroup.stats().unwrap().memory_peak;
    assert!(peak.is_none_or(|peak| (16 * MIB..=32 * MIB).contains(&peak)), "{peak:?}");
    cgroup.end();

    let cgroup = parent.make(&limits, &[]);
    assert!(Payload::inside(&cgroup, &allocate(8)).wait().success());
    assert_eq!(cgroup.events().unwrap().oom_kill, Some(0));
    let stats = cgroup.stats().unwrap();
    assert!(stats.memory_peak.is_none_or(|peak| peak >= 8 * MIB), "{stats:?}");
    assert!(stats.memory_current.unwrap() < 32 * MIB, "{stats:?}");
    cgroup.end();
    parent.done();
}

#[test]
fn memory_and_swap_limits_are_there_rounded_to_pages() {
    let Some(parent) = Parent::new("swap") else { return };
    if !parent.has(&[Controller::Memory]) {
        return;
    }
    let cgroup = match parent.try_make(&Limits::new().memory_max(32 * MIB + 5).memory_swap_max(0), &[]) {
        Err(Error::Unsupported { reason, .. }) => return println!("not run: {reason}"),
        other => other.unwrap(),
    };
    let (max, swap) = match parent.is_v2(Controller::Memory) {
        true => ("memory.max", ("memory.swap.max", 0)),
        false => ("memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", 32 * MIB)),
    };
    assert_eq!(cgroup.text(max), (32 * MIB).to_string());
    assert_eq!(cgroup.text(swap.0), swap.1.to_string());
    cgroup.end();
    parent.done();
}

#[test]
fn memory_high_low_and_group_are_set_on_v2_and_refused_on_v1() {
    let Some(parent) = Parent::new("high") else { return };
    if !parent.has(&[Controller::Memory]) {
        return;
    }
    let limits = Limits::new().memory_max(32 * MIB).memory_high(16 * MIB).memory_low(8 * MIB).memory_oom_group(true);
    if parent.is_v2(Controller::Memory) {
        let cgroup = parent.make(&limits, &[]);
        let texts = ["memory.max", "memory.high", "memory.low", "memory.oom.group"].map(|file| cgroup.text(file));
        assert_eq!(texts, ["33554432", "16777216", "8388608", "1"]);
        // Two processes; the big one's end takes the small one along.
        let mut small = Payload::inside(&cgroup, "exec sleep 60");
        let mut big = Payload::inside(&cgroup, &allocate(128));
        assert_eq!((big.wait().signal(), small.wait().signal()), (Some(9), Some(9)));
        let events = cgroup.events().unwrap();
        assert!(events.memory_high.is_some() && events.oom_kill.unwrap() >= 2, "{events:?}");
        cgroup.end();
    } else {
        let error = parent.try_make(&limits, &[]).err().unwrap();
        assert!(matches!(&error, Error::Unsupported { what, .. } if what == "memory.high"), "{error}");
    }
    parent.done();
}

#[test]
fn one_process_too_many_is_refused_and_counted() {
    let Some(parent) = Parent::new("pids") else { return };
    if !parent.has(&[Controller::Pids]) {
        return;
    }
    // Its own process and 5 more. The subshell is one, and what it cannot start ends it.
    let script = |count: u32| format!("for i in $(seq {count}); do sleep 60 & done 2>&1; echo started $i; wait");
    let limits = Limits::new().pids_max(6);
    let cgroup = parent.make(&limits, &[]);
    let mut bomb = Payload::inside(&cgroup, &script(20));
    let said = bomb.line();
    assert!(!said.starts_with("started 20"), "{said}");
    assert!(cgroup.processes().unwrap().len() <= 6);
    assert!(cgroup.events().unwrap().pids_max.unwrap() >= 1);
    cgroup.end();

    let cgroup = parent.make(&limits, &[]);
    let mut few = Payload::inside(&cgroup, &script(5));
    assert_eq!(few.line(), "started 5");
    let stats = cgroup.stats().unwrap();
    assert_eq!(stats.pids_current, Some(6));
    assert!(stats.pids_peak.is_none_or(|peak| peak == 6), "{stats:?}");
    assert_eq!(cgroup.events().unwrap().pids_max, Some(0));
    cgroup.end();
    parent.done();
}

/// CPU time that a busy loop gets in a second.
fn busy(parent: &Parent, limits: &Limits) -> (Duration, Option<u64>, Duration) {
    let cgroup = parent.make(limits, &[Controller::Cpu, Controller::Cpuacct]);
    let _payload = Payload::inside(&cgroup, "while :; do :; done");
    std::thread::sleep(Duration::from_secs(1));
    let stats = cgroup.stats().unwrap();
    let used = stats.cpu_user.unwrap() + stats.cpu_system.unwrap();
    cgroup.end();
    (used, stats.nr_throttled, stats.cpu_throttled.unwrap())
}

#[test]
fn a_busy_loop_gets_its_quota_and_no_more() {
    let Some(parent) = Parent::new("cpu") else { return };
    if !parent.has(&[Controller::Cpu, Controller::Cpuacct]) {
        return;
    }
    let (used, throttled, lost) = busy(&parent, &Limits::new().cpu_max(0.2));
    // It may be less on a busy machine, and is more nowhere.
    assert!((20..=300).contains(&used.as_millis()), "{used:?}");
    assert!(throttled.unwrap() >= 1 && lost.as_millis() > 0, "{throttled:?} {lost:?}");

    let (free, throttled, _) = busy(&parent, &Limits::new());
    assert_eq!(throttled, Some(0));
    assert!(free > used + Duration::from_millis(50), "{free:?}");
    parent.done();
}

#[test]
fn quota_and_weight_are_in_the_files() {
    let Some(parent) = Parent::new("weight") else { return };
    if !parent.has(&[Controller::Cpu]) {
        return;
    }
    let cgroup = parent.make(&Limits::new().cpu_max(0.5).cpu_weight(50), &[]);
    match parent.is_v2(Controller::Cpu) {
        true => assert_eq!((cgroup.text("cpu.max"), cgroup.text("cpu.weight")), ("50000 100000".into(), "50".into())),
        false => {
            let texts = ["cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares"].map(|file| cgroup.text(file));
            assert_eq!(texts, ["50000", "100000", "512"]);
        }
    }
    cgroup.end();
    parent.done();
}

#[test]
fn a_process_runs_on_the_cpus_of_its_cpuset() {
    let Some(parent) = Parent::new("cpuset") else { return };
    if !parent.has(&[Controller::Cpuset]) {
        return;
    }
    let cgroup = parent.make(&Limits::new().cpuset_cpus("0".parse().unwrap()).cpuset_mems("0".parse().unwrap()), &[]);
    let payload = Payload::inside(&cgroup, "exec sleep 60");
    assert_eq!(status_field(payload.id(), "Cpus_allowed_list"), "0");
    assert_eq!(status_field(payload.id(), "Mems_allowed_list"), "0");
    cgroup.end();

    let all = status_field(std::process::id(), "Cpus_allowed_list");
    let cgroup = parent.make(&Limits::new(), &[Controller::Cpuset]);
    let payload = Payload::inside(&cgroup, "exec sleep 60");
    assert_eq!(status_field(payload.id(), "Cpus_allowed_list"), all);
    cgroup.end();
    parent.done();
}

#[test]
fn a_disk_limit_is_in_the_files_and_no_disk_is_an_error() {
    let Some(parent) = Parent::new("io") else { return };
    if !parent.has(&[Controller::Io]) {
        return;
    }
    let limit = |device| IoLimit { device, rbps: Some(MIB), wbps: None, riops: None, wiops: Some(100) };
    let Some(disk) = first_disk() else { return println!("not run: no disk") };
    let cgroup = parent.make(&Limits::new().io_max(limit(disk)), &[]);
    match parent.is_v2(Controller::Io) {
        true => assert_eq!(cgroup.text("io.max"), format!("{disk} rbps={MIB} wbps=max riops=max wiops=100")),
        false => {
            assert_eq!(cgroup.text("blkio.throttle.read_bps_device"), format!("{disk} {MIB}"));
            assert_eq!(cgroup.text("blkio.throttle.write_iops_device"), format!("{disk} 100"));
        }
    }
    cgroup.end();

    let none = DeviceNumber { major: 4000, minor: 77 };
    let error = parent.try_make(&Limits::new().io_max(limit(none)), &[]).err().unwrap();
    assert!(matches!(error, Error::Refused { limit: Limit::IoMax, .. }), "{error}");
    assert!(error.hint().unwrap().contains("no such block device"), "{error}");
    parent.done();
}

fn first_disk() -> Option<DeviceNumber> {
    let disks = std::fs::read_dir("/sys/block").ok()?;
    let dev = disks.filter_map(|disk| std::fs::read_to_string(disk.ok()?.path().join("dev")).ok()).min()?;
    let (major, minor) = dev.trim().split_once(':')?;
    Some(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

#[test]
fn an_io_weight_is_in_a_file_or_an_error() {
    let Some(parent) = Parent::new("ioweight") else { return };
    if !parent.has(&[Controller::Io]) {
        return;
    }
    match parent.try_make(&Limits::new().io_weight(10_000), &[]) {
        Ok(cgroup) => cgroup.end(),
        Err(error) => assert!(matches!(error, Error::Unsupported { .. }), "{error}"),
    }
    parent.done();
}

#[test]
fn huge_pages_of_a_size_that_there_is_not_are_an_error() {
    let Some(parent) = Parent::new("hugetlb") else { return };
    if parent.is_v2(Controller::Hugetlb) && parent.hierarchies.mode() == Mode::Hybrid {
        return println!("not run: on this hybrid host it would change the top of the v2 hierarchy");
    }
    if !parent.has(&[Controller::Hugetlb]) {
        return;
    }
    let limits = |page_size| Limits::new().hugetlb(HugetlbLimit { page_size, max: 3 * MIB });
    let cgroup = parent.make(&limits(2 * MIB), &[]);
    let file = if parent.is_v2(Controller::Hugetlb) { "hugetlb.2MB.max" } else { "hugetlb.2MB.limit_in_bytes" };
    assert_eq!(cgroup.text(file), (2 * MIB).to_string(), "rounded to pages");
    cgroup.end();
    let error = parent.try_make(&limits(1 << 45), &[]).err().unwrap();
    assert!(matches!(&error, Error::Unsupported { what, .. } if what == "hugetlb.max"), "{error}");
    parent.done();
}

fn only_allowed_devices_can_be_used(parent: Parent) {
    let null = DeviceRule { kind: DeviceKind::Char, major: Some(1), minor: Some(3), access: Access::ALL };
    let limits = Limits::new().devices(vec![null]);
    let script = "(: < /dev/null) && echo null; (: < /dev/zero) && echo zero; echo end";
    let lines = |payload: &mut Payload| -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|last| last != "end") {
            lines.push(payload.line());
        }
        lines
    };
    let cgroup = match parent.try_make(&limits, &[]) {
        Err(error @ Error::Refused { .. }) => return println!("not run: {error}: {:?}", error.hint()),
        other => other.unwrap(),
    };
    assert_eq!(lines(&mut Payload::inside(&cgroup, script)), ["null", "end"]);
    cgroup.end();
    let cgroup = parent.make(&Limits::new(), &[]);
    assert_eq!(lines(&mut Payload::inside(&cgroup, script)), ["null", "zero", "end"]);
    cgroup.end();
    parent.done();
}

#[test]
fn devices_are_refused_by_the_v1_controller() {
    if let Some(parent) = Parent::v1_only("devicesv1", &[Controller::Devices]) {
        only_allowed_devices_can_be_used(parent);
    }
}

#[test]
fn devices_are_refused_by_a_program_on_v2() {
    if let Some(parent) = Parent::v2_only("devicesv2") {
        only_allowed_devices_can_be_used(parent);
    }
}

#[test]
fn an_error_leaves_nothing() {
    let Some(parent) = Parent::new("errors") else { return };
    if !parent.has(&[Controller::Memory, Controller::Cpu, Controller::Cpuset, Controller::Pids, Controller::Io]) {
        return;
    }
    let none = DeviceNumber { major: 4000, minor: 77 };
    let all_but_one_fit = Limits::new().memory_max(32 * MIB).pids_max(10).cpu_max(0.5);
    let io = IoLimit { device: none, rbps: Some(1), wbps: None, riops: None, wiops: None };
    for limits in [
        all_but_one_fit.clone().io_max(io),
        all_but_one_fit.clone().cpu_max(60_000.0),
        all_but_one_fit.clone().cpuset_cpus("65535".parse().unwrap()),
        all_but_one_fit.clone().cpuset_mems("65535".parse().unwrap()),
        all_but_one_fit.pids_max(0),
    ] {
        let error = parent.try_make(&limits, &[]).err().unwrap();
        assert!(error.limit().is_some(), "{error}");
        assert_eq!(parent.left(), Vec::<std::path::PathBuf>::new(), "{error}");
    }
    parent.done();
}
