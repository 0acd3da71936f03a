//! What the container may use of the machine.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::{Field, Size, Text, Wrong, is_default};

/// The limits of the container's cgroup, cgroups(7). What is not said is not limited; one that cannot be set is an error, unless `prefer`
/// names it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Memory in bytes; above it, processes inside are killed (out of memory). From one page to 2^62.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_max: Option<Size>,
    /// Memory in bytes above which processes inside are slowed and made to give memory back. Needs cgroup v2.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_high: Option<Size>,
    /// Memory in bytes that is taken from others first. Needs cgroup v2.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_low: Option<Size>,
    /// Swap in bytes, 0 for none. On cgroup v1 it needs `memory_max`.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_swap_max: Option<Size>,
    /// Running out of memory kills everything inside, not one process. Needs cgroup v2, Linux 4.19. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_oom_group: bool,
    /// CPU time as a number of CPUs: 0.5 is 50 ms in each period of 100 ms. From 0.01 to the number of CPUs online.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_max: Option<f64>,
    /// The share of CPU time when there is not enough: 1 to 10000. Default: 100, as everybody's.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_weight: Option<u32>,
    /// The CPUs to run on, such as `"0-3,8"`.
    #[serde(skip_serializing_if = "is_default")]
    pub cpuset_cpus: Option<String>,
    /// The memory nodes to allocate from, such as `"0"`.
    #[serde(skip_serializing_if = "is_default")]
    pub cpuset_mems: Option<String>,
    /// Processes and threads, 1 to 4194304; one more fails with EAGAIN.
    #[serde(skip_serializing_if = "is_default")]
    pub pids_max: Option<u64>,
    /// Bandwidth of block devices.
    #[serde(skip_serializing_if = "is_default")]
    pub io_max: Vec<IoMax>,
    /// The share of block I/O: 1 to 10000. Default: 100.
    #[serde(skip_serializing_if = "is_default")]
    pub io_weight: Option<u32>,
    /// Huge pages.
    #[serde(skip_serializing_if = "is_default")]
    pub hugetlb: Vec<Hugetlb>,
    /// The devices that may be used, all others being refused; an empty list refuses all. Needs CAP_BPF on cgroup v2.
    #[serde(skip_serializing_if = "is_default")]
    pub devices: Option<Vec<Device>>,
}

/// The bandwidth of one whole block device (not a partition).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IoMax {
    /// The device's major number.
    pub major: u32,
    /// The device's minor number.
    pub minor: u32,
    /// Bytes read a second, 1 to 2^62.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rbps: Option<Size>,
    /// Bytes written a second, 1 to 2^62.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wbps: Option<Size>,
    /// Reads a second, 1 to 4294967294.
    #[serde(default, skip_serializing_if = "is_default")]
    pub riops: Option<u64>,
    /// Writes a second, 1 to 4294967294.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wiops: Option<u64>,
}

/// Huge pages of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hugetlb {
    /// The size of a page in bytes, such as `"2M"`.
    pub page_size: Size,
    /// The limit in bytes, 0 for none; the kernel rounds down to a page.
    pub max: Size,
}

/// A device, or several, that may be used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Character or block device.
    #[serde(rename = "type")]
    pub kind: DeviceKind,
    /// The major number. Default: any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub major: Option<u32>,
    /// The minor number. Default: any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub minor: Option<u32>,
    /// What may be done: some of `r` (read), `w` (write), `m` (make a node). Default: all three.
    #[serde(default, skip_serializing_if = "is_default")]
    pub access: Option<String>,
}

/// What kind of device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// Character device.
    Char,
    /// Block device.
    Block,
}

impl Limits {
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        let at = |key: &str| Field::of("limits").key(key);
        if self.cpu_max.is_some_and(|cpus| !cpus.is_finite()) {
            return Err(Wrong::range(at("cpu_max"), "it can be a number of CPUs, 0.01 or more"));
        }
        for (index, io) in self.io_max.iter().enumerate() {
            if io.rbps.or(io.wbps).is_none() && io.riops.or(io.wiops).is_none() {
                return Err(Wrong::range(at("io_max").index(index), "it has no rate: rbps, wbps, riops or wiops"));
            }
        }
        if let Some(index) = self.hugetlb.iter().position(|pages| !pages.page_size.0.is_power_of_two()) {
            return Err(Wrong::range(
                at("hugetlb").index(index),
                "no page is as large; the kernel has some of 2097152 bytes",
            ));
        }
        for (index, device) in self.devices.iter().flatten().enumerate() {
            let letters = device.access.as_deref().unwrap_or("rwm");
            let mut seen = Vec::new();
            let known = letters.chars().all(|letter| {
                let new = !seen.contains(&letter);
                seen.push(letter);
                new && matches!(letter, 'r' | 'w' | 'm')
            });
            if letters.is_empty() || !known {
                let why = format!("{letters:?}; it can be some of r, w, m");
                return Err(Wrong::range(at("devices").index(index).key("access"), why));
            }
        }
        Ok(())
    }
}

/// The control group that the container gets: one of its own, gone at its end with all that is in it; or one that exists.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Cgroup {
    /// The cgroup to make it in, absolute in the hierarchy, such as `"/ci/builds"`. Default: `/seclude` for root, the delegated
    /// cgroup that the caller is in for an ordinary user.
    #[serde(skip_serializing_if = "is_default")]
    pub parent: Option<Text>,
    /// Start in this one, which exists, absolute in the hierarchy; nothing is set, counted, killed or removed there. Contradicts
    /// everything else of a cgroup, and limits.
    #[serde(skip_serializing_if = "is_default")]
    pub join: Option<Text>,
    /// The calling process may be moved to a cgroup of its own below the parent where that must have no processes (v2). Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub move_caller: bool,
    /// Count memory, CPU time, processes and block I/O also where they are not limited. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub count_all: bool,
    /// Delegate a cgroup below the limited one to the container's root (v2), who can make 1,000 in it, 32 deep. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub delegate: bool,
    /// Ask systemd over D-Bus for a delegated scope to make it in (v2). Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub scope: bool,
    /// In every hierarchy of the host, also where nothing is limited. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub everywhere: bool,
}

impl Cgroup {
    pub(crate) fn check(&self, limits: bool) -> Result<(), Wrong> {
        for (key, path) in [("parent", &self.parent), ("join", &self.join)] {
            let climbs = |path: &Path| path.components().any(|part| part == Component::ParentDir);
            if path.as_ref().map(Text::as_path).is_some_and(|path| !path.is_absolute() || climbs(path)) {
                let why = "it can be an absolute path in the hierarchy without `..`, such as /ci/builds";
                return Err(Wrong::range(Field::of("cgroup").key(key), why));
            }
        }
        let own = *self != Cgroup { join: self.join.clone(), ..Cgroup::default() };
        match (&self.join, own || limits) {
            (Some(_), true) => Err(Wrong::contradicts(
                Field::of("cgroup").key("join"),
                "one that exists and a cgroup of its own cannot both be had: ask for one of them; a cgroup of its own can be made in the other",
            )),
            _ => Ok(()),
        }
    }
}
