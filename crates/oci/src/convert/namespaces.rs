//! New namespaces, those that are there, ids, clocks.

use seclude::{Command, Extent, IdMap, Namespace, UserMap};

use crate::failure::{Failure, Result};
use crate::spec::{IdMapping, Linux, NamespaceKind};

pub(super) fn apply(command: &mut Command, linux: &Linux) -> Result<()> {
    let mut seen = Vec::new();
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        let field = format!("linux.namespaces[{index}]");
        if seen.contains(&namespace.kind) {
            return Err(Failure::at(field, "there is one of this type before"));
        }
        seen.push(namespace.kind);
        let kind = kind_of(namespace.kind);
        if namespace.path.is_empty() {
            command.unshare(kind);
        } else if !namespace.path.starts_with('/') {
            return Err(Failure::at(format!("{field}.path"), format!("{:?} is not absolute", namespace.path)));
        } else {
            command.join(kind, &namespace.path);
        }
    }
    maps(command, linux)?;
    for (clock, offset) in &linux.time_offsets {
        let nanoseconds = i128::from(offset.secs) * 1_000_000_000 + i128::from(offset.nanosecs);
        match clock.as_str() {
            "monotonic" => command.monotonic_offset(nanoseconds),
            "boottime" => command.boottime_offset(nanoseconds),
            _ => return Err(Failure::at(format!("linux.timeOffsets.{clock}"), "no clock of a time namespace")),
        };
    }
    Ok(())
}

/// Where its mounts are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MountsIn {
    /// A namespace of its own.
    New,
    /// One that is there.
    Joined,
    /// The caller's.
    Callers,
}

impl MountsIn {
    pub(super) fn of(linux: &Linux) -> MountsIn {
        let is_mount = |namespace: &&crate::spec::Namespace| namespace.kind == NamespaceKind::Mount;
        match linux.namespaces.iter().find(is_mount) {
            Some(namespace) if namespace.path.is_empty() => MountsIn::New,
            Some(_) => MountsIn::Joined,
            None => MountsIn::Callers,
        }
    }
}

/// Whether its mounts are made in the caller's own mount namespace.
pub(crate) fn is_in_place(linux: &Linux) -> bool {
    MountsIn::of(linux) == MountsIn::Callers
}

/// Whether it has a user namespace that is not its caller's, so that it has fewer rights over the host than that.
pub(super) fn has_other_user(linux: &Linux) -> bool {
    linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::User)
}

/// Whether it has a user namespace of its own, so that it has fewer rights over the host than its caller.
pub(super) fn has_new_user(linux: &Linux) -> bool {
    linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::User && namespace.path.is_empty())
}

fn maps(command: &mut Command, linux: &Linux) -> Result<()> {
    let is_there = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
    match (has_new_user(linux), is_there) {
        (false, false) => Ok(()),
        (false, true) if linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::User) => {
            // Engines say what the namespace has already.
            Ok(())
        }
        (false, true) => Err(Failure::at("linux.uidMappings", "they need a user namespace")),
        (true, false) => Err(Failure::at("linux.uidMappings", "a new user namespace without any")),
        (true, true) => {
            let uids = map(&linux.uid_mappings, "linux.uidMappings")?;
            let gids = map(&linux.gid_mappings, "linux.gidMappings")?;
            command.user_map(UserMap::Extents { uids, gids });
            Ok(())
        }
    }
}

pub(super) fn map(mappings: &[IdMapping], field: &str) -> Result<IdMap> {
    let extent =
        |mapping: &IdMapping| Extent { inside: mapping.container_id, outside: mapping.host_id, count: mapping.size };
    IdMap::new(mappings.iter().map(extent).collect()).map_err(|error| Failure::at(field, error.to_string()))
}

/// The library's word for it.
fn kind_of(kind: NamespaceKind) -> Namespace {
    match kind {
        NamespaceKind::Pid => Namespace::Pid,
        NamespaceKind::Network => Namespace::Net,
        NamespaceKind::Mount => Namespace::Mount,
        NamespaceKind::Ipc => Namespace::Ipc,
        NamespaceKind::Uts => Namespace::Uts,
        NamespaceKind::User => Namespace::User,
        NamespaceKind::Cgroup => Namespace::Cgroup,
        NamespaceKind::Time => Namespace::Time,
    }
}
