//! What is written down of a container.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use seclude::cgroup::{Cgroup, Hierarchies};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{Entry, Identity};
use crate::failure::Result;

/// All of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) oci_version: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// `None` until there is one.
    pub(crate) process: Option<Identity>,
    /// Absolute in each hierarchy; `None`: it has none of its own.
    pub(crate) cgroup: Option<PathBuf>,
    /// Whether others have cgroups below it, so that it is neither removed nor killed as a whole.
    #[serde(default)]
    pub(crate) shares_cgroup: bool,
    /// RFC 3339.
    pub(crate) created: String,
    /// Who made it.
    pub(crate) owner: u32,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// How it is, as the specification calls it; `Paused` is runc's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        })
    }
}

impl Record {
    /// By what is the case, not by what was written down.
    pub(crate) fn status(&self, entry: &Entry) -> Status {
        match self.process {
            None if entry.is_locked() => Status::Creating,
            None => Status::Stopped,
            Some(process) if !process.is_alive() => Status::Stopped,
            Some(_) if entry.waits() => Status::Created,
            Some(_) if self.is_paused() => Status::Paused,
            Some(_) => Status::Running,
        }
    }

    fn is_paused(&self) -> bool {
        self.open_cgroup().ok().flatten().is_some_and(|cgroup| cgroup.is_frozen().unwrap_or(false))
    }

    /// Its cgroup, if it has one that is still there.
    pub(crate) fn open_cgroup(&self) -> Result<Option<Cgroup>> {
        let Some(path) = &self.cgroup else { return Ok(None) };
        Ok(Cgroup::open_named(&Hierarchies::discover()?, path)?)
    }

    /// Who is in it, by pid.
    pub(crate) fn processes(&self, cgroup: &Cgroup) -> Result<Vec<u32>> {
        Ok(if self.shares_cgroup { cgroup.processes_of_its_own()? } else { cgroup.processes()? })
    }

    /// What hooks get, and who asks for the state.
    pub(crate) fn state(&self, id: &str, status: Status) -> Json {
        let pid = match status {
            Status::Stopped => 0,
            _ => self.process.map_or(0, |process| process.pid),
        };
        json!({
            "ociVersion": self.oci_version,
            "id": id,
            "status": status.to_string(),
            "pid": pid,
            "bundle": self.bundle,
            "annotations": self.annotations,
        })
    }

    /// The same with what others tell besides.
    pub(crate) fn full_state(&self, id: &str, status: Status) -> Json {
        let mut state = self.state(id, status);
        state["rootfs"] = json!(self.rootfs);
        state["created"] = json!(self.created);
        state["owner"] = json!(if self.owner == 0 { "root".to_owned() } else { self.owner.to_string() });
        state
    }
}
