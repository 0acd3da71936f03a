//! config.json of the OCI runtime specification 1.3, as far as it is about Linux.
//!
//! Types of our own: the crate `oci-spec` passes over what it does not know, and lacks fields of 1.3; here whatever is not carried out
//! is an error with its name, and whatever nobody knows is told.

mod linux;
mod process;
mod resources;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub(crate) use linux::{Device, IdMapping, IntelRdt, Linux, Namespace, NamespaceKind};
pub(crate) use process::{Capabilities, Process, Scheduler, User};
pub(crate) use resources::{Cpu, DeviceRule, Memory, Network, Pids, Resources, ThrottleDevice};

/// All of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    pub(crate) oci_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<Root>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domainname: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) mounts: Vec<Mount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hooks: Option<Hooks>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) linux: Option<Linux>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) solaris: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) windows: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vm: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) zos: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) freebsd: Option<Json>,
}

/// The container's root file system.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Root {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) readonly: bool,
}

/// One mount.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Mount {
    pub(crate) destination: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) options: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) uid_mappings: Vec<IdMapping>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) gid_mappings: Vec<IdMapping>,
}

/// What is run beside the container, by the moment.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Hooks {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) prestart: Vec<Hook>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) create_runtime: Vec<Hook>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) create_container: Vec<Hook>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) start_container: Vec<Hook>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) poststart: Vec<Hook>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) poststop: Vec<Hook>,
}

impl Hooks {
    /// All of them, with their moments as config.json calls them.
    pub(crate) fn moments(&self) -> [(&'static str, &[Hook]); 6] {
        [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("createContainer", &self.create_container),
            ("startContainer", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }
}

/// One program of those.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Hook {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env: Option<Vec<String>>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<i64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
