//! The controllers that this crate knows.

use std::fmt;

/// A cgroup controller (v1: subsystem), `cgroups(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Controller {
    /// Memory and swap. v2 since Linux 4.5.
    Memory,
    /// CPU time: quota and weight. v2 since Linux 4.15.
    Cpu,
    /// CPU time used. v1 only; on v2 every cgroup has it (`cpu.stat`).
    Cpuacct,
    /// Which CPUs and which memory nodes. v2 since Linux 5.0.
    Cpuset,
    /// Number of processes and threads. Linux 4.3, v2 since 4.5.
    Pids,
    /// Block devices; v1 calls it `blkio`. v2 since Linux 4.5.
    Io,
    /// Huge pages. v2 since Linux 5.6.
    Hugetlb,
    /// Which device nodes may be used. v1 only; on v2 it is an eBPF program.
    Devices,
    /// Stopping all processes. v1 only; on v2 every cgroup has it (`cgroup.freeze`, Linux 5.2).
    Freezer,
}

impl Controller {
    /// All of them.
    pub const ALL: [Controller; 9] = [
        Controller::Memory,
        Controller::Cpu,
        Controller::Cpuacct,
        Controller::Cpuset,
        Controller::Pids,
        Controller::Io,
        Controller::Hugetlb,
        Controller::Devices,
        Controller::Freezer,
    ];

    /// Its name in the mount options of v1 and in `/proc/PID/cgroup`.
    pub const fn v1_name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpu => "cpu",
            Controller::Cpuacct => "cpuacct",
            Controller::Cpuset => "cpuset",
            Controller::Pids => "pids",
            Controller::Io => "blkio",
            Controller::Hugetlb => "hugetlb",
            Controller::Devices => "devices",
            Controller::Freezer => "freezer",
        }
    }

    /// Its name in `cgroup.controllers` of v2; `None` for the three that v2 does not have.
    pub const fn v2_name(self) -> Option<&'static str> {
        match self {
            Controller::Io => Some("io"),
            Controller::Cpuacct | Controller::Devices | Controller::Freezer => None,
            _ => Some(self.v1_name()),
        }
    }

    /// Whether every v2 cgroup has this without any controller.
    pub(crate) const fn in_v2_core(self) -> bool {
        matches!(self, Controller::Cpuacct | Controller::Freezer)
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.v2_name().unwrap_or(self.v1_name()))
    }
}
