//! How the process is cloned, and why that way.

use seclude_child::entry::Memory;
use seclude_request::Remedy;
use seclude_sys::clone::{CLONE_NEWCGROUP, CLONE_NEWNS, CLONE_NEWTIME};

use crate::advice::Hint;
use crate::config::Config;
use crate::config::clone::CloneWay;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::host::Host;

/// How the process is made.
#[derive(Clone, Debug)]
pub(crate) struct ClonePlan {
    pub(crate) way: CloneWay,
    pub(crate) memory: Memory,
    pub(crate) reason: String,
    pub(crate) namespaces: u64,
    /// Whether the kernel can make the process in its cgroup.
    pub(crate) into_cgroup: bool,
    pub(crate) names: String,
}

impl ClonePlan {
    /// The way that the request and the host leave.
    pub(crate) fn of(command: &Config, host: &Host) -> Result<ClonePlan> {
        const NAME: &str = "clone";
        let spaces = &command.namespaces;
        let joins = spaces.joined().next().is_some();
        let legacy =
            command.clone == CloneWay::Legacy || (command.clone == CloneWay::Auto && host.clone3_refused.is_some());
        let needs_copy = if joins {
            Some("it must not share memory with what runs in the joined namespaces")
        } else if command.oom_score_adj.is_some() {
            Some("with shared memory the kernel would change the caller's oom_score_adj too")
        } else if super::holds_user_namespace(command, host) {
            Some(
                "the caller has capabilities and is not root: its memory is hidden, and another process makes the user namespace",
            )
        } else if has_little_memory(command) {
            Some(
                "with so little memory set-up could run out of it, and the kernel kills whoever shares the victim's memory",
            )
        } else if command.joined_cgroup.is_some() {
            Some(
                "others can use up the memory of a cgroup that is theirs, and the kernel kills whoever shares the victim's",
            )
        } else if legacy && spaces.is_new(Namespace::Time) {
            Some("clone(2) has no flag for a time namespace, so the child makes it for itself")
        } else if spaces.is_new(Namespace::Time) && !host.exec_enters_time {
            Some("before Linux 6.3 who shares memory is in its time namespace from birth, too early for offsets")
        } else {
            None
        };
        let way = match (command.clone, host.clone3_refused, needs_copy) {
            _ if legacy => CloneWay::Legacy,
            (CloneWay::Auto, None, Some(_)) => CloneWay::Copy,
            (CloneWay::Auto, None, None) => CloneWay::Vm,
            (CloneWay::Vm, _, Some(reason)) => {
                let error = Error::invalid(NAME, format!("vm cannot be had: {reason}")).at(NAME).contradicting();
                let ways = ["auto", "copy"].map(|way| Remedy::set(NAME, way));
                return Err(error.hint(Hint::from("ask for auto or copy").with(ways)));
            }
            (CloneWay::Vm | CloneWay::Copy, Some(errno), _) => {
                let ways = ["auto", "legacy"].map(|way| Remedy::set(NAME, way));
                let error = Error::invalid(NAME, format!("clone3 answers {errno} here")).at(NAME);
                return Err(error.hint(Hint::from("ask for auto or legacy").with(ways)));
            }
            (way, _, _) => way,
        };
        let copying = way == CloneWay::Copy || needs_copy.is_some();
        let reason = match (command.clone, host.clone3_refused, needs_copy) {
            (CloneWay::Auto, Some(errno), None) => format!("clone3 answers {errno} here"),
            (CloneWay::Auto, Some(errno), Some(reason)) => format!("clone3 answers {errno} here; a copy: {reason}"),
            (CloneWay::Auto, None, Some(reason)) => reason.to_owned(),
            (CloneWay::Auto, None, None) => "the default".to_owned(),
            (_, _, Some(reason)) => format!("asked for; a copy: {reason}"),
            (_, _, None) => "asked for".to_owned(),
        };
        let mut namespaces = spaces.new_flags();
        if copying {
            // Made by the child itself: offsets cannot be set any more when a process was born in it.
            namespaces &= !u64::from(CLONE_NEWTIME);
        }
        if host.tree_namespaces && super::root_is_all(command) {
            namespaces &= !u64::from(CLONE_NEWNS);
        }
        if super::holds_user_namespace(command, host) || super::makes_namespaces_late(command) {
            namespaces = 0;
        }
        if super::makes_namespace_late(command) {
            namespaces &= !u64::from(CLONE_NEWCGROUP);
        }
        let memory = if copying { Memory::Copied } else { Memory::Shared };
        let into_cgroup = (command.cgroup.is_some() || command.joined_cgroup.is_some())
            && host.born_in_cgroup
            && way != CloneWay::Legacy;
        Ok(ClonePlan { way, memory, reason, namespaces, into_cgroup, names: spaces.new_names() })
    }
}

/// Whether set-up could be killed for lack of memory in its own limit. The out-of-memory killer takes along every process
/// that shares the victim's memory: until its exec that is the caller (seen on Linux 6.12, v2).
fn has_little_memory(command: &Config) -> bool {
    /// Far above what set-up and exec charge to the container, which is the kernel's own memory for mounts and the like. On
    /// Linux 6.12 4 KiB were too little; where between the two it ends to be is not known.
    const AMPLE: u64 = 32 << 20;
    let limit = command.cgroup.as_ref().and_then(|cgroup| cgroup.limits.memory_max);
    let Some(limit) = limit.filter(|limit| *limit < 8 * AMPLE) else { return false };
    // Exec copies them to the new program's stack, on the container's account.
    let inherited = command.inherited_env().into_iter().map(|(key, value)| key.len() + value.len());
    let set = command.env.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, |value| value.len()));
    let strings: usize = command.args.iter().map(|arg| arg.len()).chain(inherited).chain(set).sum();
    limit < AMPLE + 4 * strings as u64 + 4096 * command.mounts.len() as u64
}
