//! The flags of the container's cgroup: their definitions, their values, and the request that they make.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use seclude::request::{Cgroup, Device, DeviceKind, Hugetlb, IoMax, Mount, MountKind, Request, Size, Text};
use seclude::{DeviceNumber, Feature, Limit, List};

use crate::Failure;
use crate::args::Heading;
use crate::values::{size, within};

type Parsed<T> = Result<T, String>;

// What the container may use of the machine. Any of these makes a cgroup. (A doc comment would become the task's.)
#[derive(Args, Default)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitFlags {
    /// Memory; above it processes inside are killed
    #[arg(long, value_name = "SIZE", value_parser = memory, allow_negative_numbers = true)]
    memory: Option<u64>,
    /// Memory above which processes inside are slowed down and made to give memory back (cgroup v2)
    #[arg(long, value_name = "SIZE", value_parser = memory, allow_negative_numbers = true)]
    memory_high: Option<u64>,
    /// Memory that is taken from others first (cgroup v2)
    #[arg(long, value_name = "SIZE", value_parser = memory, allow_negative_numbers = true)]
    memory_low: Option<u64>,
    /// Swap, 0 for none; swap alone, not the sum with --memory
    #[arg(long, value_name = "SIZE", value_parser = memory, allow_negative_numbers = true)]
    memory_swap: Option<u64>,
    /// Running out of memory kills everything inside, not one process (cgroup v2)
    #[arg(long)]
    memory_oom_group: bool,
    /// CPU time: a number of CPUs such as 1.5, or percent of one such as 50%
    #[arg(long, value_name = "N|P%", value_parser = cpus, allow_negative_numbers = true)]
    cpus: Option<f64>,
    /// The share of CPU time when there is not enough: 1 to 10000, 100 is everybody's
    #[arg(long, value_name = "N", value_parser = within::<u32>(1..=10_000), allow_negative_numbers = true)]
    cpu_weight: Option<u32>,
    /// The CPUs to run on, such as 0-2,4
    #[arg(long, value_name = "LIST", value_parser = list)]
    cpuset_cpus: Option<List>,
    /// The memory nodes to allocate from
    #[arg(long, value_name = "LIST", value_parser = list)]
    cpuset_mems: Option<List>,
    /// Processes and threads; one more fails with EAGAIN
    #[arg(long, value_name = "N", value_parser = within::<u32>(1..=4_194_304), allow_negative_numbers = true)]
    pids: Option<u32>,
    /// Bandwidth of a block device: bytes a second (rbps, wbps) and operations a second (riops, wiops)
    #[arg(long, value_name = "DEVICE:rbps=SIZE,wiops=N,…")]
    io_max: Vec<IoSpec>,
    /// The share of block I/O: 1 to 10000, 100 is everybody's
    #[arg(long, value_name = "N", value_parser = within::<u32>(1..=10_000), allow_negative_numbers = true)]
    io_weight: Option<u32>,
    /// Huge pages of one size, such as 2M=64M
    #[arg(long, value_name = "PAGE=SIZE")]
    hugetlb: Vec<HugetlbSpec>,
    /// A device that may be used, as a path or as c|b MAJOR:MINOR (`*` is any); all that are not named are refused.
    /// With --tty the container needs c 5:2 and c 136:* too
    #[arg(long, value_name = "PATH|\"c MAJOR:MINOR\"[:rwm]")]
    device_allow: Vec<DeviceSpec>,
    /// Make the cgroup in this one, absolute in the hierarchy, such as /ci/builds. Without it: /seclude as root, the
    /// delegated cgroup that you are in as a user
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    /// Start in this cgroup, which exists, absolute in the hierarchy; nothing is set, counted, killed or removed there
    #[arg(long, value_name = "PATH")]
    cgroup_join: Option<PathBuf>,
    /// Make the cgroup in a delegated scope that systemd is asked for: your own, or the system's as root (cgroup v2)
    #[cfg(feature = "systemd")]
    #[arg(long, conflicts_with_all = ["cgroup", "cgroup_move_self", "prefer"])]
    cgroup_scope: bool,
    /// Let seclude move itself to a cgroup below its own, where its own must have no processes to hand controllers down; it goes
    /// with the next run there, or `gc`
    #[arg(long)]
    cgroup_move_self: bool,
    /// Show the container its cgroup at /sys/fs/cgroup (cgroup v2); rw: it can make cgroups of its own there
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "ro")]
    cgroup_mount: Option<Shown>,
    /// Go on without this where the host does not have it; the report says whether it holds. A name is that of a limit's
    /// flag, such as memory-swap, or net, map-subids, rlimit, oom-score-adj, time
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    prefer: Vec<Feature>,
}

impl Heading for LimitFlags {
    const FLAGS: &[&str] = &[
        "memory",
        "memory_high",
        "memory_low",
        "memory_swap",
        "memory_oom_group",
        "cpus",
        "cpu_weight",
        "cpuset_cpus",
        "cpuset_mems",
        "pids",
        "io_max",
        "io_weight",
        "hugetlb",
        "device_allow",
        "cgroup",
        "cgroup_join",
        "cgroup_scope",
        "cgroup_move_self",
        "cgroup_mount",
        "prefer",
    ];
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shown {
    Ro,
    Rw,
}

/// Where the container sees its cgroup, as a host's programs do.
const CGROUPS: &str = "/sys/fs/cgroup";

impl LimitFlags {
    /// Adds what these flags ask for; `watched`: a cgroup for its counters, whatever else is asked for.
    pub(crate) fn compose(&self, request: &mut Request, watched: bool) -> Result<(), Failure> {
        self.limits(request);
        request.prefer.extend(self.prefer.iter().map(|feature| feature.name().to_owned()));
        if let Some(path) = &self.cgroup_join {
            request.cgroup.get_or_insert_default().join = Some(Text::from(path));
        }
        #[cfg(feature = "systemd")]
        let scope = self.cgroup_scope;
        #[cfg(not(feature = "systemd"))]
        let scope = false;
        let placed = scope || self.cgroup.is_some() || self.cgroup_move_self || self.cgroup_mount.is_some();
        if placed || watched {
            let cgroup: &mut Cgroup = request.cgroup.get_or_insert_default();
            cgroup.move_caller |= self.cgroup_move_self;
            cgroup.delegate |= self.cgroup_mount == Some(Shown::Rw);
            cgroup.count_all |= watched;
            cgroup.scope |= scope;
            if let Some(parent) = &self.cgroup {
                cgroup.parent = Some(Text::from(parent));
            }
        }
        if let Some(shown) = self.cgroup_mount {
            let mut mount = Mount::new(MountKind::Cgroup, CGROUPS);
            mount.read_only = (shown == Shown::Ro).then_some(true);
            request.mounts.push(mount);
        }
        Ok(())
    }

    fn limits(&self, request: &mut Request) {
        fn given<T>(place: &mut Option<T>, value: Option<T>) {
            *place = value.or(place.take());
        }
        let limits = &mut request.limits;
        given(&mut limits.memory_max, self.memory.map(Size));
        given(&mut limits.memory_high, self.memory_high.map(Size));
        given(&mut limits.memory_low, self.memory_low.map(Size));
        given(&mut limits.memory_swap_max, self.memory_swap.map(Size));
        limits.memory_oom_group |= self.memory_oom_group;
        given(&mut limits.cpu_max, self.cpus);
        given(&mut limits.cpu_weight, self.cpu_weight);
        given(&mut limits.cpuset_cpus, self.cpuset_cpus.as_ref().map(ToString::to_string));
        given(&mut limits.cpuset_mems, self.cpuset_mems.as_ref().map(ToString::to_string));
        given(&mut limits.pids_max, self.pids.map(u64::from));
        limits.io_max.extend(self.io_max.iter().map(|spec| spec.0));
        given(&mut limits.io_weight, self.io_weight);
        limits.hugetlb.extend(self.hugetlb.iter().map(|spec| spec.0));
        if !self.device_allow.is_empty() {
            limits.devices.get_or_insert_default().extend(self.device_allow.iter().map(|spec| spec.0.clone()));
        }
    }
}

/// The flag that sets a limit.
pub(crate) fn flag(limit: Limit) -> String {
    format!("--{}", Feature::Limit(limit))
}

/// As [`size`]; what else there could be is said with the least that the kernel takes.
fn memory(text: &str) -> Parsed<u64> {
    size(text).map_err(|error| format!("{error}; from 4096 bytes"))
}

/// `1.5` or `150%`
fn cpus(text: &str) -> Parsed<f64> {
    let wrong = || format!("{text:?} is neither a number of CPUs, such as 1.5, nor percent of one, such as 50%");
    let (number, unit) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    let number: f64 = number.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    Ok(number / unit)
}

fn list(text: &str) -> Parsed<List> {
    text.parse().map_err(|error| format!("{error}"))
}

/// `/dev/vda:rbps=1M,wiops=100`, or the device by its number
#[derive(Clone)]
struct IoSpec(IoMax);

impl FromStr for IoSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let wrong = || format!("{text:?}: expected a device and its rates, such as /dev/vda:rbps=10M,wiops=100");
        let (device, rates) = text.rsplit_once(':').filter(|(_, rates)| rates.contains('=')).ok_or_else(wrong)?;
        let device = match number(device) {
            Some(number) => number,
            None => device_of(device)?.1,
        };
        let DeviceNumber { major, minor } = device;
        let mut io = IoMax { major, minor, rbps: None, wbps: None, riops: None, wiops: None };
        for rate in rates.split(',') {
            let (key, value) = rate.split_once('=').ok_or_else(wrong)?;
            let amount = size(value)?;
            let twice = match key {
                "rbps" => io.rbps.replace(Size(amount)).is_some(),
                "wbps" => io.wbps.replace(Size(amount)).is_some(),
                "riops" => io.riops.replace(amount).is_some(),
                "wiops" => io.wiops.replace(amount).is_some(),
                _ => return Err(format!("{key:?} is no rate: one of rbps, wbps, riops, wiops")),
            };
            if twice {
                return Err(format!("{key} is given twice"));
            }
        }
        Ok(IoSpec(io))
    }
}

/// `2M=64M`
#[derive(Clone)]
struct HugetlbSpec(Hugetlb);

impl FromStr for HugetlbSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let (page, max) = text.split_once('=').ok_or("expected PAGE=SIZE, such as 2M=64M")?;
        Ok(HugetlbSpec(Hugetlb { page_size: Size(size(page)?), max: Size(size(max)?) }))
    }
}

/// `/dev/null`, `/dev/null:r`, `c 1:3`, `c 136:*:rw`
#[derive(Clone)]
struct DeviceSpec(Device);

impl FromStr for DeviceSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let wrong = || format!("{text:?}: expected a path such as /dev/null:rw, or a number such as \"c 136:*:rw\"");
        let (kind, rest) = match text.split_at_checked(2) {
            Some(("c ", rest)) => (Some(DeviceKind::Char), rest),
            Some(("b ", rest)) => (Some(DeviceKind::Block), rest),
            _ => (None, text),
        };
        let Some(kind) = kind else {
            let (path, access) = rest.rsplit_once(':').unwrap_or((rest, "rwm"));
            let (kind, number) = device_of(path)?;
            let (major, minor) = (Some(number.major), Some(number.minor));
            return Ok(DeviceSpec(Device { kind, major, minor, access: access_of(access)? }));
        };
        let mut parts = rest.split(':');
        let number = |part: Option<&str>| match part {
            Some("*") => Ok(None),
            Some(part) => part.parse::<u32>().map(Some).map_err(|_| wrong()),
            None => Err(wrong()),
        };
        let (major, minor) = (number(parts.next())?, number(parts.next())?);
        let access = access_of(parts.next().unwrap_or("rwm"))?;
        match parts.next() {
            None => Ok(DeviceSpec(Device { kind, major, minor, access })),
            Some(_) => Err(wrong()),
        }
    }
}

/// `None` is all there is.
fn access_of(letters: &str) -> Parsed<Option<String>> {
    let known = !letters.is_empty() && letters.chars().all(|letter| matches!(letter, 'r' | 'w' | 'm'));
    let in_order: String = "rwm".chars().filter(|letter| letters.contains(*letter)).collect();
    match known {
        true => Ok((in_order != "rwm").then_some(in_order)),
        false => Err(format!("{letters:?} is not an access: some of r, w, m")),
    }
}

/// `8:0`
fn number(text: &str) -> Option<DeviceNumber> {
    let (major, minor) = text.split_once(':')?;
    Some(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// The device that a path of the host stands for.
fn device_of(path: &str) -> Parsed<(DeviceKind, DeviceNumber)> {
    let found = std::fs::metadata(path).map_err(|error| format!("{path}: {error}"))?;
    let kind = match found.file_type() {
        kind if kind.is_char_device() => DeviceKind::Char,
        kind if kind.is_block_device() => DeviceKind::Block,
        _ => return Err(format!("{path} is not a device")),
    };
    Ok((kind, DeviceNumber::from_rdev(found.rdev())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_cpus_is_also_percent() {
        assert_eq!(cpus("1.5"), Ok(1.5));
        assert_eq!(cpus("50%"), Ok(0.5));
        // Out of range is for the library to say, with the range.
        assert_eq!(cpus("-1"), Ok(-1.0));
        for wrong in ["", "%", "half", "1e3", "nan", "inf", "1 2"] {
            assert!(cpus(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_device_is_a_path_or_a_number_with_an_access() {
        let rule = |text: &str| {
            text.parse::<DeviceSpec>().map(|DeviceSpec(device)| {
                let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
                let kind = if device.kind == DeviceKind::Char { "c" } else { "b" };
                let access = device.access.unwrap_or("rwm".into());
                format!("{kind} {}:{} {access}", number(device.major), number(device.minor))
            })
        };
        assert_eq!(rule("/dev/null"), Ok("c 1:3 rwm".into()));
        assert_eq!(rule("/dev/null:r"), Ok("c 1:3 r".into()));
        assert_eq!(rule("c 136:*:rw"), Ok("c 136:* rw".into()));
        assert_eq!(rule("b *:*"), Ok("b *:* rwm".into()));
        for wrong in ["", "c", "c 1", "c 1:x", "c 1:3:q", "c 1:3:", "c 1:2:r:w", "/dev", "/no/such"] {
            assert!(rule(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_belong_to_a_device() {
        let io = |text: &str| text.parse::<IoSpec>().map(|spec| spec.0);
        let expected =
            IoMax { major: 8, minor: 0, rbps: Some(Size(1 << 20)), wbps: None, riops: None, wiops: Some(100) };
        assert_eq!(io("8:0:rbps=1M,wiops=100"), Ok(expected));
        for wrong in ["", "8:0", "8:0:", "8:0:rbps", "8:0:x=1", "8:0:rbps=1,rbps=2", "/dev/null/x:rbps=1"] {
            assert!(io(wrong).is_err(), "{wrong}");
        }
    }
}
