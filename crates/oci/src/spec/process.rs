//! The container's process, and those that are executed in it.

use serde::{Deserialize, Serialize};

use super::is_false;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Process {
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) terminal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) console_size: Option<ConsoleSize>,
    pub(crate) user: User,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command_line: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capabilities: Option<Capabilities>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rlimits: Vec<Rlimit>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) no_new_privileges: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) apparmor_profile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oom_score_adj: Option<i16>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) selinux_label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scheduler: Option<Scheduler>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) io_priority: Option<IoPriority>,
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "Option::is_none")]
    pub(crate) exec_cpu_affinity: Option<ExecCpuAffinity>,
}

impl Process {
    /// One that a file says: what that leaves out of what confines it is as the container's own process has it.
    pub(crate) fn confined_as(self, containers: &Process) -> Process {
        let word = |own: String, theirs: &String| if own.is_empty() { theirs.clone() } else { own };
        Process {
            capabilities: self.capabilities.or_else(|| containers.capabilities.clone()),
            rlimits: if self.rlimits.is_empty() { containers.rlimits.clone() } else { self.rlimits },
            apparmor_profile: word(self.apparmor_profile, &containers.apparmor_profile),
            selinux_label: word(self.selinux_label, &containers.selinux_label),
            oom_score_adj: self.oom_score_adj.or(containers.oom_score_adj),
            scheduler: self.scheduler.or_else(|| containers.scheduler.clone()),
            io_priority: self.io_priority.or_else(|| containers.io_priority.clone()),
            ..self
        }
    }
}

/// Lists of processors, such as `0-3,7`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ExecCpuAffinity {
    /// Of the runtime, before it enters the container's cgroup.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) initial: String,
    /// Of the process.
    #[serde(rename = "final", skip_serializing_if = "String::is_empty")]
    pub(crate) last: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Scheduler {
    pub(crate) policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nice: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) flags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) runtime: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) period: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct IoPriority {
    pub(crate) class: String,
    pub(crate) priority: i64,
}

/// Characters.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ConsoleSize {
    pub(crate) height: u16,
    pub(crate) width: u16,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) umask: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) additional_gids: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Capabilities {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) bounding: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) effective: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) inheritable: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) permitted: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ambient: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rlimit {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}
