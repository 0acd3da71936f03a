//! What is Linux's alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Resources, is_false};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Linux {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) uid_mappings: Vec<IdMapping>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) gid_mappings: Vec<IdMapping>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) sysctl: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<Resources>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) cgroups_path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) namespaces: Vec<Namespace>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) devices: Vec<Device>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) net_devices: BTreeMap<String, NetDevice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seccomp: Option<Json>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) rootfs_propagation: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) masked_paths: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) readonly_paths: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) mount_label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intel_rdt: Option<IntelRdt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_policy: Option<MemoryPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) personality: Option<Personality>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) time_offsets: BTreeMap<String, TimeOffset>,
}

impl Linux {
    /// Whether the container has this namespace for itself.
    pub(crate) fn is_new(&self, kind: NamespaceKind) -> bool {
        self.namespaces.iter().any(|namespace| namespace.kind == kind && namespace.path.is_empty())
    }
}

/// A share of the processors' caches and memory bandwidth.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct IntelRdt {
    #[serde(rename = "closID", skip_serializing_if = "String::is_empty")]
    pub(crate) clos_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub(crate) schemata: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) l3_cache_schema: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) mem_bw_schema: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) enable_monitoring: bool,
    /// Of older versions: what is there is counted.
    #[serde(rename = "enableCMT", skip_serializing_if = "Option::is_none")]
    pub(crate) enable_cmt: Option<bool>,
    #[serde(rename = "enableMBM", skip_serializing_if = "Option::is_none")]
    pub(crate) enable_mbm: Option<bool>,
}

/// A list, or the text that it was before the version had its name.
fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Either::deserialize(from)? {
        Either::One(text) => vec![text],
        Either::Many(list) => list,
    })
}

/// A device of the host's network namespace; the key is its name there.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct NetDevice {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct MemoryPolicy {
    pub(crate) mode: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) nodes: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) flags: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Personality {
    pub(crate) domain: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) flags: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TimeOffset {
    pub(crate) secs: i64,
    pub(crate) nanosecs: u32,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct IdMapping {
    #[serde(rename = "containerID")]
    pub(crate) container_id: u32,
    #[serde(rename = "hostID")]
    pub(crate) host_id: u32,
    pub(crate) size: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Namespace {
    #[serde(rename = "type")]
    pub(crate) kind: NamespaceKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NamespaceKind {
    Pid,
    Network,
    Mount,
    Ipc,
    Uts,
    User,
    Cgroup,
    Time,
}

/// A node that the container has besides the usual ones.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Device {
    pub(crate) path: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) major: i64,
    pub(crate) minor: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file_mode: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gid: Option<u32>,
}
