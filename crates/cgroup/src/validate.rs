//! What cannot be meant, before anything is made.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::device::{MAX_MAJOR, MAX_MINOR};
use crate::{DeviceRule, HugetlbLimit, IoLimit, Limit, LimitError, Limits};

/// The smallest page there is. What a page is here decides the rounding, not the range.
const PAGE: u64 = 4096;
/// Far above what a machine has, and below where the kernel takes a number for "no limit".
const MAX_BYTES: u64 = 1 << 62;
/// The kernel takes no quota below 1 ms a period.
const MIN_CPUS: f64 = 0.01;
/// More than any kernel is built for. What is online is looked at in `Cgroup::create`.
const MAX_CPUS: f64 = 65_536.0;
/// `PID_MAX_LIMIT`; above it `pids.max` is `EINVAL`.
const MAX_PIDS: u64 = 4_194_304;
/// One below the number that the kernel takes for "no limit".
const MAX_IOPS: u64 = 4_294_967_294;

impl Limits {
    /// Looks at the values by themselves. What this machine has is looked at by [`Limits::validate_online`] (CPUs and
    /// memory nodes) and by [`Cgroup::create`](crate::Cgroup::create) (devices and huge page sizes as well).
    ///
    /// # Errors
    /// The first value that is out of range, or contradicts another, with the range.
    pub fn validate(&self) -> Result<(), LimitError> {
        self.validate_memory()?;
        if let Some(cpus) = self.cpu_max
            && !(MIN_CPUS..=MAX_CPUS).contains(&cpus)
        {
            let expected = format!("{MIN_CPUS} to the number of CPUs");
            return Err(LimitError::new(Limit::CpuMax, format_args!("{cpus} CPUs"), expected));
        }
        in_range(Limit::CpuWeight, self.cpu_weight.map(u64::from), 1..=10_000, "")?;
        in_range(Limit::PidsMax, self.pids_max, 1..=MAX_PIDS, "")?;
        in_range(Limit::IoWeight, self.io_weight.map(u64::from), 1..=10_000, "")?;
        each_once(Limit::IoMax, self.io_max.iter().map(|io| io.device))?;
        self.io_max.iter().try_for_each(validate_io)?;
        each_once(Limit::HugetlbMax, self.hugetlb.iter().map(|h| h.page_size))?;
        self.hugetlb.iter().try_for_each(validate_hugetlb)?;
        self.devices.iter().flatten().try_for_each(validate_device)
    }

    fn validate_memory(&self) -> Result<(), LimitError> {
        let sizes = [
            (Limit::MemoryMax, self.memory_max),
            (Limit::MemoryHigh, self.memory_high),
            (Limit::MemoryLow, self.memory_low),
        ];
        for (limit, bytes) in sizes {
            in_range(limit, bytes, PAGE..=MAX_BYTES, " bytes")?;
        }
        in_range(Limit::MemorySwapMax, self.memory_swap_max, 0..=MAX_BYTES, " bytes")?;
        let high = self.memory_high.map(|bytes| (Limit::MemoryHigh, bytes));
        let max = self.memory_max.map(|bytes| (Limit::MemoryMax, bytes));
        let low = self.memory_low.map(|bytes| (Limit::MemoryLow, bytes));
        for (lower, upper) in [(high, max), (low, high), (low, max)] {
            if let (Some((limit, bytes)), Some((above, most))) = (lower, upper)
                && bytes > most
            {
                let expected = format!("at most {above}, which is {most} bytes");
                return Err(LimitError::new(limit, format_args!("{bytes} bytes"), expected));
            }
        }
        Ok(())
    }
}

fn in_range(limit: Limit, value: Option<u64>, range: RangeInclusive<u64>, unit: &str) -> Result<(), LimitError> {
    match value {
        Some(value) if !range.contains(&value) => {
            let expected = format!("{} to {}{unit}", range.start(), range.end());
            Err(LimitError::new(limit, format_args!("{value}{unit}"), expected))
        }
        _ => Ok(()),
    }
}

fn each_once<T: Ord + Copy + Display>(limit: Limit, items: impl Iterator<Item = T>) -> Result<(), LimitError> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    match items.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(LimitError::new(limit, format_args!("given twice for {}", pair[0]), "one for each")),
        None => Ok(()),
    }
}

fn validate_io(io: &IoLimit) -> Result<(), LimitError> {
    let wrong = |value: String, expected: &str| Err(LimitError::new(Limit::IoMax, value, expected));
    if !io.device.is_valid() {
        return wrong(format!("for {}", io.device), "a device from 0:0 to 4095:1048575");
    }
    let rates = [
        ("rbps", io.rbps, MAX_BYTES, "bytes a second"),
        ("wbps", io.wbps, MAX_BYTES, "bytes a second"),
        ("riops", io.riops, MAX_IOPS, "operations a second"),
        ("wiops", io.wiops, MAX_IOPS, "operations a second"),
    ];
    if rates.iter().all(|(_, rate, ..)| rate.is_none()) {
        return wrong(format!("for {} without a rate", io.device), "at least one of rbps, wbps, riops, wiops");
    }
    for (name, rate, most, unit) in rates {
        if let Some(rate) = rate.filter(|&rate| rate == 0 || rate > most) {
            return wrong(format!("{name} {rate} for {}", io.device), &format!("1 to {most} {unit}"));
        }
    }
    Ok(())
}

fn validate_hugetlb(limit: &HugetlbLimit) -> Result<(), LimitError> {
    if limit.page_size <= PAGE || !limit.page_size.is_power_of_two() {
        let value = format!("for pages of {} bytes", limit.page_size);
        return Err(LimitError::new(Limit::HugetlbMax, value, "a page size of the kernel's, such as 2097152 bytes"));
    }
    in_range(Limit::HugetlbMax, Some(limit.max), 0..=MAX_BYTES, " bytes")
}

fn validate_device(rule: &DeviceRule) -> Result<(), LimitError> {
    let wrong = |expected: &str| Err(LimitError::new(Limit::Devices, format_args!("{:?}", rule.to_string()), expected));
    if rule.major.is_some_and(|n| n > MAX_MAJOR) || rule.minor.is_some_and(|n| n > MAX_MINOR) {
        return wrong("major 0 to 4095 and minor 0 to 1048575");
    }
    if rule.access.to_string().is_empty() {
        return wrong("at least one of read, write, mknod");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::v2::quota;
    use crate::{Access, DeviceKind, DeviceNumber};

    proptest! {
        #[test]
        fn a_number_of_cpus_that_is_taken_is_a_quota_that_the_kernel_takes(cpus in any::<f64>(), near in -0.1..70_000.0) {
            for cpus in [cpus, near] {
                if Limits::new().cpu_max(cpus).validate().is_ok() {
                    prop_assert!((1000..=6_553_600_000).contains(&quota(cpus)), "{}", cpus);
                }
            }
        }
    }

    fn message(limits: Limits) -> String {
        limits.validate().unwrap_err().to_string()
    }

    const DISK: DeviceNumber = DeviceNumber { major: 8, minor: 0 };
    const IO: IoLimit = IoLimit { device: DISK, rbps: Some(1), wbps: None, riops: None, wiops: None };

    #[test]
    fn ranges_are_closed_at_both_ends() {
        let new = Limits::new;
        for good in [
            new(),
            new().memory_max(4096).memory_swap_max(0),
            new().memory_max(1 << 62).memory_high(4096).memory_low(4096),
            new().cpu_max(0.01),
            new().cpu_max(64.0).cpu_weight(1).io_weight(10_000),
            new().pids_max(1),
            new().pids_max(4_194_304),
            new().io_max(IO).io_max(IoLimit { device: DeviceNumber { major: 8, minor: 16 }, ..IO }),
            new().hugetlb(HugetlbLimit { page_size: 2 << 20, max: 0 }),
        ] {
            assert_eq!(good.validate(), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn an_error_names_the_limit_the_value_and_the_range() {
        let new = Limits::new;
        let device = |major, access| DeviceRule { kind: DeviceKind::Char, major: Some(major), minor: None, access };
        let nothing = Access { read: false, write: false, mknod: false };
        for (limits, expected) in [
            (new().memory_max(0), "memory.max is 0 bytes, expected 4096 to 4611686018427387904 bytes"),
            (new().memory_high(u64::MAX), "memory.high is 18446744073709551615 bytes, expected 4096 to"),
            (new().memory_low(4095), "memory.low is 4095 bytes, expected 4096 to"),
            (
                new().memory_max(8192).memory_high(8193),
                "memory.high is 8193 bytes, expected at most memory.max, which is 8192",
            ),
            (new().memory_max(8192).memory_low(8193), "memory.low is 8193 bytes, expected at most memory.max"),
            (new().memory_high(8192).memory_low(8193), "memory.low is 8193 bytes, expected at most memory.high"),
            (new().cpu_max(0.0), "cpu.max is 0 CPUs, expected 0.01 to the number of CPUs"),
            (new().cpu_max(-1.0), "cpu.max is -1 CPUs"),
            (new().cpu_max(f64::NAN), "cpu.max is NaN CPUs"),
            (new().cpu_max(f64::INFINITY), "cpu.max is inf CPUs"),
            (new().cpu_weight(0), "cpu.weight is 0, expected 1 to 10000"),
            (new().cpu_weight(10_001), "cpu.weight is 10001, expected 1 to 10000"),
            (new().io_weight(0), "io.weight is 0, expected 1 to 10000"),
            (new().pids_max(0), "pids.max is 0, expected 1 to 4194304"),
            (new().pids_max(4_194_305), "pids.max is 4194305, expected"),
            (
                new().io_max(IoLimit { rbps: Some(0), ..IO }),
                "io.max is rbps 0 for 8:0, expected 1 to 4611686018427387904 bytes",
            ),
            (
                new().io_max(IoLimit { riops: Some(u64::MAX), ..IO }),
                "io.max is riops 18446744073709551615 for 8:0, expected 1 to",
            ),
            (
                new().io_max(IoLimit { rbps: None, ..IO }),
                "io.max is for 8:0 without a rate, expected at least one of rbps",
            ),
            (new().io_max(IO).io_max(IO), "io.max is given twice for 8:0, expected one for each"),
            (
                new().io_max(IoLimit { device: DeviceNumber { major: 4096, minor: 0 }, ..IO }),
                "io.max is for 4096:0, expected a device",
            ),
            (new().hugetlb(HugetlbLimit { page_size: 3 << 20, max: 0 }), "hugetlb.max is for pages of 3145728 bytes"),
            (new().hugetlb(HugetlbLimit { page_size: 0, max: 0 }), "hugetlb.max is for pages of 0 bytes"),
            (new().devices(vec![device(4096, Access::ALL)]), "devices is \"c 4096:* rwm\", expected major 0 to 4095"),
            (new().devices(vec![device(1, nothing)]), "devices is \"c 1:* \", expected at least one of read"),
        ] {
            let message = message(limits);
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
