//! When the process gets a processor, a disk, and memory of which node, by the kernel's own names.

use seclude::{Command, MemoryPolicy, Scheduler};

use crate::failure::{Failure, Result};
use crate::spec::{self, Linux, Process};

const POLICIES: [(&str, u32); 7] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];
const SCHEDULER_FLAGS: [(&str, u32); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 1),
    ("SCHED_FLAG_RECLAIM", 2),
    ("SCHED_FLAG_DL_OVERRUN", 4),
    ("SCHED_FLAG_KEEP_POLICY", 8),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];
const CLASSES: [(&str, u32); 3] = [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];
const MODES: [(&str, u32); 7] = [
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];
const MODE_FLAGS: [(&str, u32); 3] =
    [("MPOL_F_NUMA_BALANCING", 1 << 13), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_STATIC_NODES", 1 << 15)];
const DOMAINS: [(&str, u32); 2] = [("LINUX", 0), ("LINUX32", 8)];

fn known(word: &str, names: &[(&str, u32)], field: impl Into<String>) -> Result<u32> {
    let found = names.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
    found.ok_or_else(|| Failure::at(field, format!("{word:?} is none that this runtime knows, such as {}", names[0].0)))
}

fn all(words: &[String], names: &[(&str, u32)], field: &str) -> Result<u32> {
    let one = |(index, word): (usize, &String)| known(word, names, format!("{field}[{index}]"));
    words.iter().enumerate().map(one).try_fold(0, |bits, bit| Ok(bits | bit?))
}

/// Of the process, as `exec` has it as well.
pub(crate) fn of_process(command: &mut Command, process: &Process) -> Result<()> {
    if let Some(asked) = &process.scheduler {
        command.scheduler(scheduler(asked)?);
    }
    if let Some(asked) = &process.io_priority {
        let class = known(&asked.class, &CLASSES, "process.ioPriority.class")?;
        let level = u8::try_from(asked.priority).ok().filter(|level| *level <= 7);
        let wrong = || Failure::at("process.ioPriority.priority", format!("{} is not in 0 to 7", asked.priority));
        command.io_priority(class as u8, level.ok_or_else(wrong)?);
    }
    Ok(())
}

fn scheduler(asked: &spec::Scheduler) -> Result<Scheduler> {
    let priority = asked.priority.unwrap_or(0);
    let wrong = |_| Failure::at("process.scheduler.priority", format!("{priority} is below 0"));
    Ok(Scheduler {
        policy: known(&asked.policy, &POLICIES, "process.scheduler.policy")?,
        flags: u64::from(all(&asked.flags, &SCHEDULER_FLAGS, "process.scheduler.flags")?),
        nice: asked.nice.unwrap_or(0),
        priority: u32::try_from(priority).map_err(wrong)?,
        runtime: asked.runtime.unwrap_or(0),
        deadline: asked.deadline.unwrap_or(0),
        period: asked.period.unwrap_or(0),
    })
}

/// What all of its processes take the machine for, those that are executed later as well.
pub(crate) fn personality(command: &mut Command, linux: &Linux) -> Result<()> {
    let Some(asked) = &linux.personality else { return Ok(()) };
    if !asked.flags.is_empty() {
        return Err(Failure::at("linux.personality.flags", "the specification has none"));
    }
    command.personality(known(&asked.domain, &DOMAINS, "linux.personality.domain")?);
    Ok(())
}

/// Of the container.
pub(super) fn of_container(command: &mut Command, linux: &Linux) -> Result<()> {
    personality(command, linux)?;
    if let Some(asked) = &linux.memory_policy {
        let mode = known(&asked.mode, &MODES, "linux.memoryPolicy.mode")?;
        let flags = all(&asked.flags, &MODE_FLAGS, "linux.memoryPolicy.flags")?;
        command.memory_policy(MemoryPolicy { mode: mode | flags, nodes: nodes(&asked.nodes)? });
    }
    Ok(())
}

/// A list such as `0-3,7`.
fn nodes(list: &str) -> Result<Vec<u32>> {
    numbers(list, "linux.memoryPolicy.nodes", 1024)
}

/// Of what `exec` starts: nothing is said without.
pub(crate) struct Affinity {
    /// Of the runtime, before it enters the container's cgroup.
    pub(crate) initial: Option<Vec<u32>>,
    /// Of the process.
    pub(crate) last: Option<Vec<u32>>,
}

/// As it is asked for.
pub(crate) fn affinity(process: &Process) -> Result<Affinity> {
    const FIELD: &str = "process.execCPUAffinity";
    let one = |list: &str, name: &str| match list.is_empty() {
        true => Ok(None),
        false => numbers(list, &format!("{FIELD}.{name}"), 8192).map(Some),
    };
    let Some(asked) = &process.exec_cpu_affinity else { return Ok(Affinity { initial: None, last: None }) };
    Ok(Affinity { initial: one(&asked.initial, "initial")?, last: one(&asked.last, "final")? })
}

fn numbers(list: &str, field: &str, most: u32) -> Result<Vec<u32>> {
    let wrong = || Failure::at(field, format!("{list:?} is no list of numbers below {most}, such as 0-3,7"));
    let mut numbers = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
        if last < first || last >= most {
            return Err(wrong());
        }
        numbers.extend(first..=last);
    }
    if numbers.is_empty() && !list.is_empty() {
        return Err(wrong());
    }
    Ok(numbers)
}
