//! `container.limit` and `container.cgroup`.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, PathBuf};

use seclude::{
    Access, Cgroup, Command, DeviceKind, DeviceNumber, DeviceRule, HugetlbLimit, IoLimit, Limit, Limits, List,
};

use super::{At, Key, Off, Read, Shape, Wrong};
use crate::descriptor;
use crate::value::Value;

/// Limits as far as they are read, and which key has set which.
#[derive(Default)]
pub(crate) struct Draft {
    limits: Limits,
    keys: Vec<(Limit, String)>,
}

impl Draft {
    pub(super) fn read(&mut self, at: &At<'_>) -> Read<()> {
        LIMIT.read(self, at)
    }

    fn set(&mut self, limit: Limit, at: &At<'_>, change: impl FnOnce(Limits) -> Limits) {
        self.keys.push((limit, at.path.clone()));
        self.limits = change(std::mem::take(&mut self.limits));
    }

    /// The limits, if each is in its range.
    pub(super) fn checked(self) -> Read<Limits> {
        match self.limits.validate().and_then(|()| self.limits.validate_online()) {
            Ok(()) => Ok(self.limits),
            Err(error) => {
                let key = self.keys.iter().find(|(limit, _)| *limit == error.limit);
                let path = key.map_or("container.limit", |(_, path)| path.as_str());
                // The library counts CPUs, this key percent.
                let each = if path.ends_with(".cpu") { ", each of which is 100" } else { "" };
                Err(Wrong::Range(format!("{path} is {}; it can be {}{each}", error.value, error.expected)))
            }
        }
    }
}

const BYTES: &str = "a number of bytes";

macro_rules! bytes {
    ($names:expr, $limit:ident, $set:ident, $doc:expr) => {
        Key {
            names: $names,
            ts: "number | bigint",
            doc: $doc,
            off: Off::Absent,
            read: |draft, at| {
                let bytes = at.unsigned(BYTES)?;
                draft.set(Limit::$limit, at, |limits| limits.$set(bytes));
                Ok(())
            },
        }
    };
}

macro_rules! weight {
    ($names:expr, $limit:ident, $set:ident, $doc:expr) => {
        Key {
            names: $names,
            ts: "number | bigint",
            doc: $doc,
            off: Off::Absent,
            read: |draft, at| {
                let weight = at.unsigned32("a weight, 1 to 10000")?;
                draft.set(Limit::$limit, at, |limits| limits.$set(weight));
                Ok(())
            },
        }
    };
}

macro_rules! list {
    ($names:expr, $limit:ident, $set:ident, $doc:expr) => {
        Key {
            names: $names,
            ts: "string",
            doc: $doc,
            off: Off::Absent,
            read: |draft, at| {
                let list = at.parse::<List>("a list, such as \"0-2,4\"")?;
                draft.set(Limit::$limit, at, |limits| limits.$set(list));
                Ok(())
            },
        }
    };
}

pub(crate) const LIMIT: Shape<Draft> = Shape {
    name: "Limit",
    doc: "What the container may use of the machine, all its processes together, cgroups(7).",
    keys: &[
        Key {
            names: &["cpu"],
            ts: "number",
            doc: "CPU time in percent of one CPU: 50 is half a CPU, 150 one and a half. From 1 to 100 for each CPU.",
            off: Off::Absent,
            read: |draft, at| {
                const EXPECTED: &str = "percent of one CPU, 1 to 100 for each CPU";
                let percent = at.number(EXPECTED)?;
                if percent < 1.0 {
                    return Err(at.out_of_range(EXPECTED));
                }
                draft.set(Limit::CpuMax, at, |limits| limits.cpu_max(percent / 100.0));
                Ok(())
            },
        },
        Key {
            names: &["cpus"],
            ts: "number",
            doc: "The same as a number of CPUs: 0.5 is half a CPU.",
            off: Off::Absent,
            read: |draft, at| {
                if let Some((_, other)) = draft.keys.iter().find(|(limit, _)| *limit == Limit::CpuMax) {
                    return Err(super::container::said_twice(at, other));
                }
                let cpus = at.number("a number of CPUs")?;
                draft.set(Limit::CpuMax, at, |limits| limits.cpu_max(cpus));
                Ok(())
            },
        },
        bytes!(
            &["ram", "memory"],
            MemoryMax,
            memory_max,
            "Memory, bytes, 4096 or more. Above it processes inside are killed, and the report's cause is
             \"out-of-memory\"."
        ),
        bytes!(
            &["memoryHigh"],
            MemoryHigh,
            memory_high,
            "Memory, bytes, above which processes inside are slowed down and made to give memory back (cgroup v2)."
        ),
        bytes!(&["memoryLow"], MemoryLow, memory_low, "Memory, bytes, that is taken from others first (cgroup v2)."),
        bytes!(
            &["memorySwap", "swap"],
            MemorySwapMax,
            memory_swap_max,
            "Swap, bytes, 0 for none; swap alone, not the sum with `ram`."
        ),
        Key {
            names: &["memoryOomGroup"],
            ts: "boolean",
            doc: "Running out of memory kills everything inside, not one process (cgroup v2).",
            off: Off::Absent,
            read: |draft, at| {
                let all = at.flag()?;
                draft.set(Limit::MemoryOomGroup, at, |limits| limits.memory_oom_group(all));
                Ok(())
            },
        },
        weight!(
            &["cpuWeight"],
            CpuWeight,
            cpu_weight,
            "The share of CPU time when there is not enough: 1 to 10000, 100 is everybody's."
        ),
        list!(&["cpusetCpus"], CpusetCpus, cpuset_cpus, "The CPUs to run on, such as \"0-2,4\"."),
        list!(&["cpusetMems"], CpusetMems, cpuset_mems, "The memory nodes to allocate from."),
        Key {
            names: &["pids"],
            ts: "number | bigint",
            doc: "Processes and threads, 1 to 4194304; one more fails with EAGAIN.",
            off: Off::Absent,
            read: |draft, at| {
                let tasks = at.unsigned("a number of processes, 1 to 4194304")?;
                draft.set(Limit::PidsMax, at, |limits| limits.pids_max(tasks));
                Ok(())
            },
        },
        Key {
            names: &["ioMax"],
            ts: "IoLimit[]",
            doc: "Bandwidth of block devices.",
            off: Off::Absent,
            read: |draft, at| {
                for item in at.items("an array of { device, rbps, wbps, riops, wiops }")? {
                    let device = DeviceNumber { major: 0, minor: 0 };
                    let mut limit = IoLimit { device, rbps: None, wbps: None, riops: None, wiops: None };
                    IO.read(&mut limit, &item)?;
                    draft.set(Limit::IoMax, &item, |limits| limits.io_max(limit));
                }
                Ok(())
            },
        },
        weight!(
            &["ioWeight"],
            IoWeight,
            io_weight,
            "The share of block I/O: 1 to 10000, 100 is everybody's."
        ),
        Key {
            names: &["hugetlb"],
            ts: "HugetlbLimit[]",
            doc: "Huge pages.",
            off: Off::Absent,
            read: |draft, at| {
                for item in at.items("an array of { pageSize, max }")? {
                    let mut limit = HugetlbLimit { page_size: 0, max: 0 };
                    HUGETLB.read(&mut limit, &item)?;
                    draft.set(Limit::HugetlbMax, &item, |limits| limits.hugetlb(limit));
                }
                Ok(())
            },
        },
        Key {
            names: &["devices"],
            ts: "string[]",
            doc: "The devices that may be used, all others being refused: paths such as \"/dev/null:rw\", or numbers such as
                  \"c 136:*:rw\" (`*` is any); r read, w write, m mknod, without them all three.",
            off: Off::Absent,
            read: |draft, at| {
                let items = at.items("an array of devices")?;
                let rules: Vec<DeviceRule> = items.iter().map(read_device).collect::<Read<_>>()?;
                draft.set(Limit::Devices, at, |limits| limits.devices(rules));
                Ok(())
            },
        },
    ],
};

macro_rules! rate {
    ($name:expr, $field:ident, $doc:expr) => {
        Key {
            names: &[$name],
            ts: "number | bigint",
            doc: $doc,
            off: Off::Absent,
            read: |io, at| {
                io.$field = Some(at.unsigned("a number a second")?);
                Ok(())
            },
        }
    };
}

pub(crate) const IO: Shape<IoLimit> = Shape {
    name: "IoLimit",
    doc: "The bandwidth of one block device.",
    keys: &[
        Key {
            names: &["device"],
            ts: "string",
            doc: "A path such as \"/dev/vda\", or a number such as \"8:0\".",
            off: Off::Required,
            read: |io, at| {
                let text = at.path_text()?;
                io.device = match number(text) {
                    Some(number) => number,
                    None => device_of(at, text)?.1,
                };
                Ok(())
            },
        },
        rate!("rbps", rbps, "Bytes read a second."),
        rate!("wbps", wbps, "Bytes written a second."),
        rate!("riops", riops, "Reads a second."),
        rate!("wiops", wiops, "Writes a second."),
    ],
};

pub(crate) const HUGETLB: Shape<HugetlbLimit> = Shape {
    name: "HugetlbLimit",
    doc: "Huge pages of one size.",
    keys: &[
        Key {
            names: &["pageSize"],
            ts: "number | bigint",
            doc: "The size of a page, bytes.",
            off: Off::Required,
            read: |hugetlb, at| {
                hugetlb.page_size = at.unsigned(BYTES)?;
                Ok(())
            },
        },
        Key {
            names: &["max"],
            ts: "number | bigint",
            doc: "The limit, bytes; 0 for none.",
            off: Off::Required,
            read: |hugetlb, at| {
                hugetlb.max = at.unsigned(BYTES)?;
                Ok(())
            },
        },
    ],
};

/// `8:0`
fn number(text: &str) -> Option<DeviceNumber> {
    let (major, minor) = text.split_once(':')?;
    Some(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

fn device_of(at: &At<'_>, path: &str) -> Read<(DeviceKind, DeviceNumber)> {
    let found = std::fs::metadata(path).map_err(|error| Wrong::Range(format!("{}: {path}: {error}", at.path)))?;
    let kind = match found.file_type() {
        kind if kind.is_char_device() => DeviceKind::Char,
        kind if kind.is_block_device() => DeviceKind::Block,
        _ => return Err(Wrong::Range(format!("{}: {path} is not a device", at.path))),
    };
    Ok((kind, DeviceNumber::from_rdev(found.rdev())))
}

fn read_device(at: &At<'_>) -> Read<DeviceRule> {
    let text = at.path_text()?;
    let wrong = || at.out_of_range("a path such as \"/dev/null:rw\", or a number such as \"c 136:*:rw\"");
    let access = |letters: &str| match !letters.is_empty() && letters.chars().all(|letter| "rwm".contains(letter)) {
        true => Ok(Access { read: letters.contains('r'), write: letters.contains('w'), mknod: letters.contains('m') }),
        false => Err(wrong()),
    };
    let kind = match text.split_at_checked(2) {
        Some(("c ", rest)) => Some((DeviceKind::Char, rest)),
        Some(("b ", rest)) => Some((DeviceKind::Block, rest)),
        _ => None,
    };
    let Some((kind, rest)) = kind else {
        let (path, letters) = text.rsplit_once(':').unwrap_or((text, "rwm"));
        let (kind, number) = device_of(at, path)?;
        return Ok(DeviceRule { kind, major: Some(number.major), minor: Some(number.minor), access: access(letters)? });
    };
    let part = |part: &str| match part {
        "*" => Ok(None),
        part => part.parse::<u32>().map(Some).map_err(|_| wrong()),
    };
    match rest.split(':').collect::<Vec<_>>().as_slice() {
        [major, minor] => Ok(DeviceRule { kind, major: part(major)?, minor: part(minor)?, access: Access::ALL }),
        [major, minor, letters] => {
            Ok(DeviceRule { kind, major: part(major)?, minor: part(minor)?, access: access(letters)? })
        }
        _ => Err(wrong()),
    }
}

pub(super) fn read_cgroup(at: &At<'_>) -> Read<Cgroup> {
    match at.value {
        Value::Bool(_) => Ok(Cgroup::new()),
        Value::Object(_) => {
            let mut cgroup = Cgroup::new();
            CGROUP.read(&mut cgroup, at)?;
            Ok(cgroup)
        }
        _ => Err(at.wrong_type("true, false or an object")),
    }
}

/// `container.joinCgroup`
pub(super) fn join_cgroup(command: &mut Command, at: &At<'_>) -> Read<()> {
    let expected = "a path in the hierarchy, such as /ci/job, or a descriptor";
    match at.value {
        Value::Text(_) => {
            command.join_cgroup(hierarchy_path(at)?);
        }
        Value::Number(_) | Value::Integer(_) => {
            let number = at.integer(0, i32::MAX.into(), expected)?;
            let copied = i32::try_from(number).map_err(std::io::Error::other).and_then(descriptor::copy_of);
            let Ok(directory) = copied else { return Err(at.out_of_range("a descriptor that is open")) };
            command.join_cgroup_fd(directory);
        }
        _ => return Err(at.wrong_type(expected)),
    }
    Ok(())
}

fn hierarchy_path(at: &At<'_>) -> Read<PathBuf> {
    let path = PathBuf::from(at.path_text()?);
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(at.out_of_range("an absolute path in the hierarchy without `..`, such as /ci/builds"));
    }
    Ok(path)
}

fn change(cgroup: &mut Cgroup, change: impl FnOnce(Cgroup) -> Cgroup) {
    *cgroup = change(std::mem::take(cgroup));
}

pub(crate) const CGROUP: Shape<Cgroup> = Shape {
    name: "CgroupOptions",
    doc: "The container's cgroup: one of its own, gone at its end with all that is in it.",
    keys: &[
        Key {
            names: &["parent"],
            ts: "string",
            doc: "The cgroup to make it in, absolute in the hierarchy, such as /ci/builds. Default: /seclude as root, the
                  delegated cgroup that you are in as an ordinary user.",
            off: Off::Absent,
            read: |cgroup, at| {
                let path = hierarchy_path(at)?;
                change(cgroup, |cgroup| cgroup.parent(path));
                Ok(())
            },
        },
        Key {
            names: &["countAll"],
            ts: "boolean",
            doc: "Counts memory, CPU time, processes and block I/O also where they are not limited.",
            off: Off::Told,
            read: |cgroup, at| {
                let on = at.flag()?;
                change(cgroup, |cgroup| cgroup.count_all(on));
                Ok(())
            },
        },
        Key {
            names: &["delegate"],
            ts: "boolean",
            doc: "Delegates a cgroup of its own to the container's root (cgroup v2); with an fs entry `cgroup` it can make
                  cgroups there.",
            off: Off::Told,
            read: |cgroup, at| {
                let on = at.flag()?;
                change(cgroup, |cgroup| cgroup.delegate(on));
                Ok(())
            },
        },
        Key {
            names: &["moveCaller"],
            ts: "boolean",
            doc: "Lets *this process* be moved to a cgroup below its own, where the kernel's rule against processes in inner
                  cgroups stands in the way (cgroup v2). It stays there. Default: false.",
            off: Off::Told,
            read: |cgroup, at| {
                let on = at.flag()?;
                change(cgroup, |cgroup| cgroup.move_caller(on));
                Ok(())
            },
        },
    ],
};
