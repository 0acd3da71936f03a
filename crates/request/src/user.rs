//! Who the process is.

use serde::{Deserialize, Serialize};

use crate::{Field, Wrong, is_default};

/// The ids of the process, and the map of its user namespace.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct User {
    /// Which ids the new user namespace has. Default: in the sandbox `"sandbox"`, else `"caller-as-root"`.
    #[serde(skip_serializing_if = "is_default")]
    pub map: Option<Map>,
    /// With the map `"caller-as"`: what the caller's uid is inside.
    #[serde(skip_serializing_if = "is_default")]
    pub caller_uid: Option<u32>,
    /// With the map `"caller-as"`: what the caller's gid is inside.
    #[serde(skip_serializing_if = "is_default")]
    pub caller_gid: Option<u32>,
    /// With the map `"extents"`: user ids, at most 340 extents. An unprivileged caller needs newuidmap(1) and ranges of /etc/subuid
    /// for anything but its own id.
    #[serde(skip_serializing_if = "is_default")]
    pub uid_map: Vec<Extent>,
    /// With the map `"extents"`: group ids.
    #[serde(skip_serializing_if = "is_default")]
    pub gid_map: Vec<Extent>,
    /// The command's user id inside, real, effective and saved. Default: in a new user namespace 0, else the caller's.
    #[serde(skip_serializing_if = "is_default")]
    pub uid: Option<u32>,
    /// The command's group id inside. Default: in a new user namespace 0, else the caller's.
    #[serde(skip_serializing_if = "is_default")]
    pub gid: Option<u32>,
    /// The command's supplementary groups inside. Without it a change of uid or gid empties them where the kernel lets it.
    #[serde(skip_serializing_if = "is_default")]
    pub groups: Option<Vec<u32>>,
}

/// The ids of a new user namespace, user_namespaces(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Map {
    /// For root 65,536 ids of the host that nobody has, for any other caller as `"caller-as-root"`.
    Sandbox,
    /// The caller's uid and gid are 0 inside; no other id exists there.
    CallerAsRoot,
    /// The caller's uid and gid are `caller_uid` and `caller_gid` inside; no other id exists there.
    CallerAs,
    /// Every id that the caller may map is itself inside.
    Identity,
    /// Those of `uid_map` and `gid_map`.
    Extents,
    /// The caller's subordinate ids, subuid(5); for root 65,536 ids of the host that nobody has.
    SubIds,
    /// Root is root of the host also inside. A boundary for accidents, not for malice.
    HostRoot,
}

/// Ids in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// The first inside.
    pub inside: u32,
    /// The first outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The last number is "no id" to the kernel.
const NO_ID: &str = "4294967295 is no id; it can be 0 to 4294967294";

impl User {
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        let at = |key| Field::of("user").key(key);
        let extents = !self.uid_map.is_empty() || !self.gid_map.is_empty();
        match self.map {
            Some(Map::Extents) if !extents => {
                Err(Wrong::contradicts(at("map"), "it needs user.uid_map or user.gid_map"))
            }
            Some(Map::Extents) | None => Ok(()),
            Some(_) if !self.uid_map.is_empty() => Err(Wrong::contradicts(at("uid_map"), "user.map says another map")),
            Some(_) if !self.gid_map.is_empty() => Err(Wrong::contradicts(at("gid_map"), "user.map says another map")),
            _ => Ok(()),
        }?;
        let caller = self.caller_uid.is_some() || self.caller_gid.is_some();
        match (self.map == Some(Map::CallerAs), self.caller_uid, self.caller_gid) {
            (true, None, _) => Err(Wrong::contradicts(at("caller_uid"), "the map \"caller-as\" needs it")),
            (true, _, None) => Err(Wrong::contradicts(at("caller_gid"), "the map \"caller-as\" needs it")),
            (false, uid, _) if caller => {
                let key = if uid.is_some() { "caller_uid" } else { "caller_gid" };
                Err(Wrong::contradicts(at(key), "it needs the map \"caller-as\""))
            }
            _ => Ok(()),
        }?;
        for (key, extents) in [("uid_map", &self.uid_map), ("gid_map", &self.gid_map)] {
            if let Some(index) = extents.iter().position(|extent| extent.count == 0) {
                return Err(Wrong::range(at(key).index(index).key("count"), "0 ids are none; it can be 1 or more"));
            }
        }
        if let Some(index) = self.groups.iter().flatten().position(|id| *id == u32::MAX) {
            return Err(Wrong::range(at("groups").index(index), NO_ID));
        }
        let ids =
            [("uid", self.uid), ("gid", self.gid), ("caller_uid", self.caller_uid), ("caller_gid", self.caller_gid)];
        match ids.into_iter().find(|(_, id)| *id == Some(u32::MAX)) {
            Some((key, _)) => Err(Wrong::range(at(key), NO_ID)),
            None => Ok(()),
        }
    }
}
