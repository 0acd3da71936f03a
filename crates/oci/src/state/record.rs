//! What is written down of a container.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use seclude::cgroup::{Cgroup, Hierarchies, Hierarchy};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Entry, Identity};
use crate::failure::{Failure, Result};
use crate::intel_rdt::Group;
use crate::systemd::Unit;

/// All of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) oci_version: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// The mount that it lay in, where the container's tree is mounted over it in the caller's own namespace.
    #[serde(default)]
    pub(crate) rootfs_on: Option<u64>,
    /// `None` until there is one.
    pub(crate) process: Option<Identity>,
    /// Absolute in each hierarchy; `None`: it has none of its own.
    pub(crate) cgroup: Option<PathBuf>,
    /// The scope of systemd's that this is.
    #[serde(default)]
    pub(crate) scope: Option<Unit>,
    /// Its directories of resctrl.
    #[serde(default)]
    pub(crate) rdt: Option<Group>,
    /// Whose that is.
    pub(crate) cgroup_is: CgroupIs,
    /// The hierarchies that it is in, by their names: each has limits of it.
    #[serde(default)]
    pub(crate) cgroup_in: Vec<String>,
    /// Which directory it is in each, by device and inode: what the container can write on it decides nothing.
    #[serde(default)]
    pub(crate) cgroup_dirs: Vec<(String, u64, u64)>,
    /// A word that is written on it, so that one that has its path later is not taken for it.
    pub(crate) cgroup_mark: String,
    /// RFC 3339.
    pub(crate) created: String,
    /// Who made it.
    pub(crate) owner: u32,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Whose its cgroup is, as far as that is known: whoever finds less is to kill nothing in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CgroupIs {
    /// Its maker is at work, or was killed.
    NotKnown,
    /// It was there, with nobody in it: others may have some below it, or put processes there.
    Shared,
    /// It was made for this container, where nothing can be written on it.
    Own,
    /// It was made for this container, and has its mark.
    OwnMarked,
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
            // What waits may be held still as well, and then is not to be started.
            Some(_) if self.is_paused() => Status::Paused,
            Some(_) if entry.waits() => Status::Created,
            Some(_) => Status::Running,
        }
    }

    /// Whether its cgroup is frozen.
    pub(crate) fn is_paused(&self) -> bool {
        self.open_cgroup().ok().flatten().is_some_and(|cgroup| cgroup.is_frozen().unwrap_or(false))
    }

    /// Its cgroup, if it has one that is still there.
    pub(crate) fn open_cgroup(&self) -> Result<Option<Cgroup>> {
        let found = self.cgroup_of_its_path()?;
        Ok(match self.cgroup_is {
            CgroupIs::NotKnown => None,
            _ if !self.cgroup_dirs.is_empty() => found.and_then(|found| found.only_of(&self.cgroup_dirs)),
            CgroupIs::Own => found,
            // One that was there is taken with a mark alone.
            CgroupIs::Shared | CgroupIs::OwnMarked => found.and_then(|found| found.only_marked(&self.cgroup_mark)),
        })
    }

    /// The same for a process that is to join it: in every hierarchy that it was made in, as each may have a limit that others do not.
    pub(crate) fn whole_cgroup(&self) -> Result<Option<Cgroup>> {
        let Some(path) = &self.cgroup else { return Ok(None) };
        let gone = |which: &str| {
            Failure::at("linux.cgroupsPath", format!("{}: it is not the container's any more{which}", path.display()))
        };
        let found = self.open_cgroup()?.ok_or_else(|| gone(""))?;
        let there: Vec<String> = found.hierarchies().map(Hierarchy::name).collect();
        match self.cgroup_in.iter().find(|name| !there.contains(name)) {
            Some(missing) => Err(gone(&format!(" in the hierarchy of {missing}"))),
            None => Ok(Some(found)),
        }
    }

    /// Whatever is there by its path, which may be somebody else's.
    pub(crate) fn cgroup_of_its_path(&self) -> Result<Option<Cgroup>> {
        let Some(path) = &self.cgroup else { return Ok(None) };
        Ok(Cgroup::open_named(&Hierarchies::discover()?, path, &self.cgroup_in)?)
    }

    /// Its own cgroup, where it is to go; an error where it may be there and is not known again: of older records, which have the mark alone.
    pub(crate) fn own_cgroup(&self) -> Result<Option<Cgroup>> {
        let own = self.open_cgroup()?;
        let unknown = match own {
            None if self.cgroup_dirs.is_empty() => self.cgroup_of_its_path()?.filter(|found| !found.has_a_mark()),
            _ => None,
        };
        unknown.map_or(Ok(own), |found| {
            let why = format!(
                "{}: it has lost its mark, so nobody knows whether it is the container's",
                found.path().display()
            );
            Err(Failure::at("linux.cgroupsPath", why))
        })
    }

    /// Whether all that is in its cgroup is the container's.
    pub(crate) fn owns_cgroup(&self) -> bool {
        matches!(self.cgroup_is, CgroupIs::Own | CgroupIs::OwnMarked)
    }

    /// Who is in it, by pid.
    pub(crate) fn processes(&self, cgroup: &Cgroup) -> Result<Vec<u32>> {
        Ok(if self.owns_cgroup() { cgroup.processes()? } else { cgroup.processes_of_its_own()? })
    }

    /// What hooks get, and who asks for the state.
    pub(crate) fn state(&self, id: &str, status: Status) -> Json {
        serde_json::to_value(State { rootfs: None, created: None, owner: None, ..self.full_state(id, status) })
            .unwrap_or_default()
    }

    /// The same with what others tell besides.
    pub(crate) fn full_state(&self, id: &str, status: Status) -> State {
        let pid = match status {
            Status::Stopped => 0,
            _ => self.process.map_or(0, |process| process.pid),
        };
        State {
            oci_version: self.oci_version.clone(),
            id: id.to_owned(),
            pid,
            status: status.to_string(),
            bundle: self.bundle.clone(),
            rootfs: Some(self.rootfs.clone()),
            created: Some(self.created.clone()),
            annotations: self.annotations.clone(),
            owner: Some(if self.owner == 0 { "root".to_owned() } else { self.owner.to_string() }),
        }
    }
}

/// In the order in which others have it, and some look for it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    oci_version: String,
    pub(crate) id: String,
    pub(crate) pid: i32,
    pub(crate) status: String,
    pub(crate) bundle: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    rootfs: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
}
