//! What systemd has a word for, systemd.resource-control(5).

use seclude::Property;
use seclude::cgroup::{Controller, DeviceKind, Devices, Hierarchies, Version};

use crate::failure::Result;
use crate::spec::Resources;

const NO_LIMIT: u64 = u64::MAX;

fn is_v2(controller: Controller) -> Result<bool> {
    let found = Hierarchies::discover()?.controller(controller).map(|hierarchy| hierarchy.version());
    Ok(found != Some(Version::V1))
}

pub(super) fn io_accounting() -> Result<&'static str> {
    Ok(if is_v2(Controller::Io)? { "IOAccounting" } else { "BlockIOAccounting" })
}

pub(super) type Properties = Vec<(String, Property)>;

/// Limits by systemd's names, systemd.resource-control(5); what it has none for is written to the files alone.
pub(super) fn limits(resources: Option<&Resources>) -> Result<Properties> {
    let mut all = Vec::new();
    let Some(resources) = resources else { return Ok(all) };
    let mut add = |name: &str, property| all.push((name.to_owned(), property));
    let bytes = |value: i64| Property::Number(u64::try_from(value).unwrap_or(NO_LIMIT));
    if let Some(memory) = &resources.memory {
        let limit = memory.limit.filter(|limit| *limit != 0);
        let v2 = is_v2(Controller::Memory)?;
        if let Some(limit) = limit {
            add(if v2 { "MemoryMax" } else { "MemoryLimit" }, bytes(limit));
        }
        if let Some(reservation) = memory.reservation.filter(|value| *value != 0 && v2) {
            add("MemoryLow", bytes(reservation));
        }
        match (memory.swap.filter(|swap| *swap != 0 && v2), limit) {
            (Some(..0), _) => add("MemorySwapMax", Property::Number(NO_LIMIT)),
            (Some(swap), Some(limit)) if limit > 0 && swap >= limit => add("MemorySwapMax", bytes(swap - limit)),
            _ => {}
        }
    }
    if let Some(cpu) = &resources.cpu {
        let v2 = is_v2(Controller::Cpu)?;
        if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
            match v2 {
                true => add("CPUWeight", Property::Number(crate::resources::weight_of_shares(shares))),
                false => add("CPUShares", Property::Number(shares)),
            }
        }
        let period = cpu.period.filter(|period| *period != 0);
        if let Some(quota) = cpu.quota.filter(|quota| *quota != 0) {
            let quota = u64::try_from(quota).unwrap_or(NO_LIMIT);
            add("CPUQuotaPerSecUSec", Property::Number(per_second(quota, period.unwrap_or(100_000))));
            if let Some(period) = period {
                add("CPUQuotaPeriodUSec", Property::Number(period));
            }
        }
        if is_v2(Controller::Cpuset)? {
            for (name, list) in [("AllowedCPUs", &cpu.cpus), ("AllowedMemoryNodes", &cpu.mems)] {
                if let Some(bits) = bits(list) {
                    add(name, Property::Bytes(bits));
                }
            }
        }
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit).filter(|limit| *limit != 0) {
        add("TasksMax", bytes(limit));
    }
    // Behind the others, as they are written to the files.
    all.extend(resources.unified.iter().flat_map(|(file, value)| of_file(file, value)));
    Ok(all)
}

/// A file of v2 by its property; others, and values that the kernel is to judge, are the file's alone.
fn of_file(file: &str, value: &str) -> Properties {
    let number = |text: &str| match text.trim() {
        "max" => Some(NO_LIMIT),
        number => number.parse::<u64>().ok(),
    };
    let name = match file {
        "memory.min" => "MemoryMin",
        "memory.low" => "MemoryLow",
        "memory.high" => "MemoryHigh",
        "memory.max" => "MemoryMax",
        "memory.swap.max" => "MemorySwapMax",
        "pids.max" => "TasksMax",
        "cpu.weight" => "CPUWeight",
        "cpuset.cpus" => {
            return bits(value).map(|bits| ("AllowedCPUs".to_owned(), Property::Bytes(bits))).into_iter().collect();
        }
        "cpuset.mems" => {
            return bits(value)
                .map(|bits| ("AllowedMemoryNodes".to_owned(), Property::Bytes(bits)))
                .into_iter()
                .collect();
        }
        "cpu.max" => {
            let (quota, period) = value.trim().split_once(' ').unwrap_or((value, "100000"));
            let (Some(quota), Some(period)) = (number(quota), number(period).filter(|period| *period != 0)) else {
                return Vec::new();
            };
            return vec![
                ("CPUQuotaPerSecUSec".to_owned(), Property::Number(per_second(quota, period))),
                ("CPUQuotaPeriodUSec".to_owned(), Property::Number(period)),
            ];
        }
        _ => return Vec::new(),
    };
    number(value).map(|number| (name.to_owned(), Property::Number(number))).into_iter().collect()
}

/// Systemd has a quota for a second of one processor, in steps of 10 ms, rounded up.
fn per_second(quota: u64, period: u64) -> u64 {
    match quota {
        NO_LIMIT => NO_LIMIT,
        _ => (quota.saturating_mul(1_000_000) / period).div_ceil(10_000).saturating_mul(10_000),
    }
}

/// A list of numbers as bits, the lowest first.
fn bits(list: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok().filter(|last| *last < 8192)?);
        for number in first..=last {
            if bytes.len() <= number / 8 {
                bytes.resize(number / 8 + 1, 0);
            }
            *bytes.get_mut(number / 8)? |= 1 << (number % 8);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// Devices, where systemd has a way to say it: what it has not is held by the cgroup's own list alone.
pub(super) fn access(devices: &Devices) -> Properties {
    let auto = || vec![("DevicePolicy".to_owned(), Property::Text("auto".to_owned()))];
    let Devices::These(rules) = devices else { return auto() };
    let mut allowed = Vec::new();
    for rule in rules {
        let kind = match rule.kind {
            DeviceKind::Char => "char",
            DeviceKind::Block => "block",
        };
        let path = match (rule.major, rule.minor) {
            (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
            (Some(major), None) => format!("{kind}-{major}"),
            (None, None) => format!("{kind}-*"),
            (None, Some(_)) => return auto(),
        };
        let letters = [(rule.access.read, 'r'), (rule.access.write, 'w'), (rule.access.mknod, 'm')];
        allowed.push((path, letters.iter().filter(|(is, _)| *is).map(|(_, letter)| *letter).collect()));
    }
    vec![
        ("DevicePolicy".to_owned(), Property::Text("strict".to_owned())),
        ("DeviceAllow".to_owned(), Property::Pairs(allowed)),
    ]
}

/// As others have it: a value in the words of gvariant, and times in seconds.
pub(super) fn annotated(name: &str, value: &str) -> Option<(String, Property)> {
    let value = value.trim();
    let quoted = |text: &str| {
        let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        inner.or_else(|| text.strip_prefix('"').and_then(|text| text.strip_suffix('"'))).map(str::to_owned)
    };
    let property = match value {
        "true" => Property::Flag(true),
        "false" => Property::Flag(false),
        _ => match value.split_once(' ') {
            Some(("uint64", number)) => Property::Number(number.trim().parse().ok()?),
            Some(("int32", number)) => Property::Signed(number.trim().parse().ok()?),
            _ => match (quoted(value), value.strip_prefix('[').and_then(|list| list.strip_suffix(']'))) {
                (Some(text), _) => Property::Text(text),
                (None, Some(list)) => {
                    Property::Texts(list.split(',').map(|one| quoted(one.trim())).collect::<Option<_>>()?)
                }
                (None, None) => Property::Signed(value.parse().ok()?),
            },
        },
    };
    match (name.strip_suffix("Sec"), &property) {
        (Some(time), Property::Signed(seconds)) if !name.ends_with("USec") => {
            let micros = u64::try_from(*seconds).ok()?.checked_mul(1_000_000)?;
            Some((format!("{time}USec"), Property::Number(micros)))
        }
        (Some(time), Property::Number(seconds)) if !name.ends_with("USec") => {
            Some((format!("{time}USec"), Property::Number(seconds.checked_mul(1_000_000)?)))
        }
        _ => Some((name.to_owned(), property)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_annotations_are_read_and_times_are_microseconds() {
        let of = |name: &str, value: &str| annotated(name, value);
        let some = |name: &str, property| Some((name.to_owned(), property));
        assert_eq!(of("CollectMode", "'inactive'"), some("CollectMode", Property::Text("inactive".to_owned())));
        assert_eq!(of("TimeoutStopUSec", "uint64 123456789"), some("TimeoutStopUSec", Property::Number(123_456_789)));
        assert_eq!(of("TimeoutStopSec", "3"), some("TimeoutStopUSec", Property::Number(3_000_000)));
        assert_eq!(of("SendSIGHUP", "true"), some("SendSIGHUP", Property::Flag(true)));
        assert_eq!(
            of("After", "['a.service', \"b\"]"),
            some("After", Property::Texts(vec!["a.service".to_owned(), "b".to_owned()]))
        );
        assert_eq!(of("x", "what"), None);
        assert_eq!(bits("0-1,9"), Some(vec![3, 2]));
        let number = |name: &str, number| (name.to_owned(), Property::Number(number));
        assert_eq!(of_file("pids.max", "max"), [number("TasksMax", NO_LIMIT)]);
        assert_eq!(of_file("memory.high", "5"), [number("MemoryHigh", 5)]);
        let quota = |micros, period| vec![number("CPUQuotaPerSecUSec", micros), number("CPUQuotaPeriodUSec", period)];
        assert_eq!(of_file("cpu.max", "600000 900000"), quota(670_000, 900_000));
        assert_eq!(of_file("cpu.max", "max 50000"), quota(NO_LIMIT, 50_000));
        assert_eq!(of_file("rdma.max", "x"), Vec::new());
    }
}
