//! What to limit: plain data.

use std::collections::BTreeSet;

use crate::{Controller, DeviceNumber, DeviceRule, Limit, List};

/// The limits of a cgroup. Everything is optional; what is not set is not limited.
///
/// Nothing is looked at until [`Limits::validate`] or
/// [`Cgroup::create`](crate::Cgroup::create).
///
/// ```
/// use seclude_cgroup::{Controller, Limits};
///
/// let limits = Limits::new().memory_max(64 << 20).cpu_max(1.5);
/// limits.validate()?;
/// assert!(limits.controllers().into_iter().eq([Controller::Memory, Controller::Cpu]));
/// # Ok::<(), seclude_cgroup::LimitError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Memory in bytes; above it, processes inside are killed (out of memory). From one page to
    /// 2^62; the kernel rounds down to a page.
    pub memory_max: Option<u64>,
    /// Memory in bytes above which processes inside are slowed and made to give memory back. v2.
    pub memory_high: Option<u64>,
    /// Memory in bytes that is taken from others first. v2.
    pub memory_low: Option<u64>,
    /// Swap in bytes, 0 for none. v1 limits memory and swap together, so there it needs
    /// `memory_max`.
    pub memory_swap_max: Option<u64>,
    /// Whether running out of memory kills everything inside, not one process. v2, Linux 4.19.
    pub memory_oom_group: bool,
    /// CPU time as a number of CPUs: 0.5 is 50 ms in each period of 100 ms. From 0.01 to the
    /// number of CPUs online.
    pub cpu_max: Option<f64>,
    /// The share of CPU time when there is not enough, relative to siblings: 1 to 10000, 100 by
    /// default. v1 has `cpu.shares`, and gets weight * 1024 / 100.
    pub cpu_weight: Option<u32>,
    /// The CPUs to run on.
    pub cpuset_cpus: Option<List>,
    /// The memory nodes to allocate from.
    pub cpuset_mems: Option<List>,
    /// Number of processes and threads, 1 to 4194304; one more fails with `EAGAIN`.
    pub pids_max: Option<u64>,
    /// Bandwidth of block devices.
    pub io_max: Vec<IoLimit>,
    /// The share of block I/O, relative to siblings: 1 to 10000, 100 by default. It has effect on
    /// devices with the bfq scheduler or (v2) with iocost switched on.
    pub io_weight: Option<u32>,
    /// Huge pages.
    pub hugetlb: Vec<HugetlbLimit>,
    /// The devices that may be used, all others being refused. On v2 as an eBPF program, which needs CAP_BPF and
    /// CAP_NET_ADMIN (or CAP_SYS_ADMIN) in the first user namespace.
    pub devices: Option<Vec<DeviceRule>>,
}

/// The bandwidth of one whole block device (not a partition). At least one of the four is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoLimit {
    /// The device.
    pub device: DeviceNumber,
    /// Bytes read a second, 1 to 2^62.
    pub rbps: Option<u64>,
    /// Bytes written a second, 1 to 2^62.
    pub wbps: Option<u64>,
    /// Reads a second, 1 to 4294967294.
    pub riops: Option<u64>,
    /// Writes a second, 1 to 4294967294.
    pub wiops: Option<u64>,
}

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugetlbLimit {
    /// The size of a page in bytes, such as 2 MiB.
    pub page_size: u64,
    /// The limit in bytes, 0 for none; the kernel rounds down to a page.
    pub max: u64,
}

impl Limits {
    /// No limits.
    pub fn new() -> Limits {
        Limits::default()
    }

    /// Sets [`Limits::memory_max`](#structfield.memory_max), bytes.
    #[must_use]
    pub fn memory_max(mut self, bytes: u64) -> Limits {
        self.memory_max = Some(bytes);
        self
    }

    /// Sets [`Limits::memory_high`](#structfield.memory_high), bytes.
    #[must_use]
    pub fn memory_high(mut self, bytes: u64) -> Limits {
        self.memory_high = Some(bytes);
        self
    }

    /// Sets [`Limits::memory_low`](#structfield.memory_low), bytes.
    #[must_use]
    pub fn memory_low(mut self, bytes: u64) -> Limits {
        self.memory_low = Some(bytes);
        self
    }

    /// Sets [`Limits::memory_swap_max`](#structfield.memory_swap_max), bytes.
    #[must_use]
    pub fn memory_swap_max(mut self, bytes: u64) -> Limits {
        self.memory_swap_max = Some(bytes);
        self
    }

    /// Sets [`Limits::memory_oom_group`](#structfield.memory_oom_group).
    #[must_use]
    pub fn memory_oom_group(mut self, all: bool) -> Limits {
        self.memory_oom_group = all;
        self
    }

    /// Sets [`Limits::cpu_max`](#structfield.cpu_max), a number of CPUs.
    #[must_use]
    pub fn cpu_max(mut self, cpus: f64) -> Limits {
        self.cpu_max = Some(cpus);
        self
    }

    /// Sets [`Limits::cpu_weight`](#structfield.cpu_weight).
    #[must_use]
    pub fn cpu_weight(mut self, weight: u32) -> Limits {
        self.cpu_weight = Some(weight);
        self
    }

    /// Sets [`Limits::cpuset_cpus`](#structfield.cpuset_cpus).
    #[must_use]
    pub fn cpuset_cpus(mut self, cpus: List) -> Limits {
        self.cpuset_cpus = Some(cpus);
        self
    }

    /// Sets [`Limits::cpuset_mems`](#structfield.cpuset_mems).
    #[must_use]
    pub fn cpuset_mems(mut self, nodes: List) -> Limits {
        self.cpuset_mems = Some(nodes);
        self
    }

    /// Sets [`Limits::pids_max`](#structfield.pids_max).
    #[must_use]
    pub fn pids_max(mut self, tasks: u64) -> Limits {
        self.pids_max = Some(tasks);
        self
    }

    /// Adds to [`Limits::io_max`](#structfield.io_max).
    #[must_use]
    pub fn io_max(mut self, limit: IoLimit) -> Limits {
        self.io_max.push(limit);
        self
    }

    /// Sets [`Limits::io_weight`](#structfield.io_weight).
    #[must_use]
    pub fn io_weight(mut self, weight: u32) -> Limits {
        self.io_weight = Some(weight);
        self
    }

    /// Adds to [`Limits::hugetlb`](#structfield.hugetlb).
    #[must_use]
    pub fn hugetlb(mut self, limit: HugetlbLimit) -> Limits {
        self.hugetlb.push(limit);
        self
    }

    /// Sets [`Limits::devices`](#structfield.devices).
    #[must_use]
    pub fn devices(mut self, allowed: Vec<DeviceRule>) -> Limits {
        self.devices = Some(allowed);
        self
    }

    /// What is limited.
    pub fn limits(&self) -> impl Iterator<Item = Limit> {
        self.set().map(|(limit, _)| limit)
    }

    /// The same without this one.
    #[must_use]
    pub fn without(mut self, limit: Limit) -> Limits {
        match limit {
            Limit::MemoryMax => self.memory_max = None,
            Limit::MemoryHigh => self.memory_high = None,
            Limit::MemoryLow => self.memory_low = None,
            Limit::MemorySwapMax => self.memory_swap_max = None,
            Limit::MemoryOomGroup => self.memory_oom_group = false,
            Limit::CpuMax => self.cpu_max = None,
            Limit::CpuWeight => self.cpu_weight = None,
            Limit::CpusetCpus => self.cpuset_cpus = None,
            Limit::CpusetMems => self.cpuset_mems = None,
            Limit::PidsMax => self.pids_max = None,
            Limit::IoMax => self.io_max.clear(),
            Limit::IoWeight => self.io_weight = None,
            Limit::HugetlbMax => self.hugetlb.clear(),
            Limit::Devices => self.devices = None,
        }
        self
    }

    /// The controllers that these limits need.
    pub fn controllers(&self) -> BTreeSet<Controller> {
        self.set().map(|(_, controller)| controller).collect()
    }

    /// Each limit that is set, with its controller.
    pub(crate) fn set(&self) -> impl Iterator<Item = (Limit, Controller)> {
        [
            (self.memory_max.is_some(), Limit::MemoryMax, Controller::Memory),
            (self.memory_high.is_some(), Limit::MemoryHigh, Controller::Memory),
            (self.memory_low.is_some(), Limit::MemoryLow, Controller::Memory),
            (self.memory_swap_max.is_some(), Limit::MemorySwapMax, Controller::Memory),
            (self.memory_oom_group, Limit::MemoryOomGroup, Controller::Memory),
            (self.cpu_max.is_some(), Limit::CpuMax, Controller::Cpu),
            (self.cpu_weight.is_some(), Limit::CpuWeight, Controller::Cpu),
            (self.cpuset_cpus.is_some(), Limit::CpusetCpus, Controller::Cpuset),
            (self.cpuset_mems.is_some(), Limit::CpusetMems, Controller::Cpuset),
            (self.pids_max.is_some(), Limit::PidsMax, Controller::Pids),
            (!self.io_max.is_empty(), Limit::IoMax, Controller::Io),
            (self.io_weight.is_some(), Limit::IoWeight, Controller::Io),
            (!self.hugetlb.is_empty(), Limit::HugetlbMax, Controller::Hugetlb),
            (self.devices.is_some(), Limit::Devices, Controller::Devices),
        ]
        .into_iter()
        .filter_map(|(set, limit, controller)| set.then_some((limit, controller)))
    }
}
