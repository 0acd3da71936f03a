//! The names of the limits, and what can be wrong with a value.

use std::fmt;

use thiserror::Error;

/// What is limited, by the name of its v2 file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::memory_max`](crate::Limits::memory_max).
    MemoryMax,
    /// [`Limits::memory_high`](crate::Limits::memory_high).
    MemoryHigh,
    /// [`Limits::memory_low`](crate::Limits::memory_low).
    MemoryLow,
    /// [`Limits::memory_swap_max`](crate::Limits::memory_swap_max).
    MemorySwapMax,
    /// [`Limits::memory_oom_group`](crate::Limits::memory_oom_group).
    MemoryOomGroup,
    /// [`Limits::cpu_max`](crate::Limits::cpu_max).
    CpuMax,
    /// [`Limits::cpu_weight`](crate::Limits::cpu_weight).
    CpuWeight,
    /// [`Limits::cpuset_cpus`](crate::Limits::cpuset_cpus).
    CpusetCpus,
    /// [`Limits::cpuset_mems`](crate::Limits::cpuset_mems).
    CpusetMems,
    /// [`Limits::pids_max`](crate::Limits::pids_max).
    PidsMax,
    /// [`Limits::io_max`](crate::Limits::io_max).
    IoMax,
    /// [`Limits::io_weight`](crate::Limits::io_weight).
    IoWeight,
    /// [`Limits::hugetlb`](crate::Limits::hugetlb).
    HugetlbMax,
    /// [`Limits::devices`](crate::Limits::devices).
    Devices,
}

impl Limit {
    /// All of them.
    pub const ALL: [Limit; 14] = [
        Limit::MemoryMax,
        Limit::MemoryHigh,
        Limit::MemoryLow,
        Limit::MemorySwapMax,
        Limit::MemoryOomGroup,
        Limit::CpuMax,
        Limit::CpuWeight,
        Limit::CpusetCpus,
        Limit::CpusetMems,
        Limit::PidsMax,
        Limit::IoMax,
        Limit::IoWeight,
        Limit::HugetlbMax,
        Limit::Devices,
    ];

    /// The name, which is the one of the v2 file where there is one.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::MemoryMax => "memory.max",
            Limit::MemoryHigh => "memory.high",
            Limit::MemoryLow => "memory.low",
            Limit::MemorySwapMax => "memory.swap.max",
            Limit::MemoryOomGroup => "memory.oom.group",
            Limit::CpuMax => "cpu.max",
            Limit::CpuWeight => "cpu.weight",
            Limit::CpusetCpus => "cpuset.cpus",
            Limit::CpusetMems => "cpuset.mems",
            Limit::PidsMax => "pids.max",
            Limit::IoMax => "io.max",
            Limit::IoWeight => "io.weight",
            Limit::HugetlbMax => "hugetlb.max",
            Limit::Devices => "devices",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{limit} is {value}, expected {expected}")]
#[non_exhaustive]
pub struct LimitError {
    /// Which limit.
    pub limit: Limit,
    /// The value, with its unit.
    pub value: String,
    /// The range, with its unit.
    pub expected: String,
}

impl LimitError {
    pub(crate) fn new(limit: Limit, value: impl fmt::Display, expected: impl fmt::Display) -> LimitError {
        LimitError { limit, value: value.to_string(), expected: expected.to_string() }
    }
}
