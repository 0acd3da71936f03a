//! Ids, groups, capabilities, no_new_privs: what the command is allowed, credentials(7).

use seclude_child::Op;
use seclude_request::Field;
use seclude_sys::credentials;

use super::{Step, launch};
use crate::config::Config;
use crate::config::capability::{Capabilities, Capability, CapabilitySets};
use crate::config::ids::{Identity, UserMap};
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::late::MOST_GROUPS;
use crate::program::Program;

const NAME: &str = "rights";

struct Rights {
    identity: Identity,
    ids_change: bool,
    /// Groups to set: given, or none at all after a change of ids.
    groups: Option<Vec<u32>>,
    capabilities: Option<Capabilities>,
    ambient: Capabilities,
    /// All five, where they are said one by one: then the two above are not looked at.
    sets: Option<CapabilitySets>,
    no_new_privileges: bool,
    /// Whether the bounding set can be made smaller; where not, no_new_privs keeps an exec from gaining any of it.
    bounded: bool,
    /// What an exec would carry over if the launcher's had not to carry more.
    carried: Option<(u64, u64)>,
}

/// Whether the launcher's exec would take capabilities away, which it needs for what it does: that of anybody but uid 0.
pub(super) fn are_carried(command: &Config, host: &Host) -> bool {
    let root = match (&command.user_map, command.namespaces.is_new(Namespace::User)) {
        (None | Some(UserMap::CallerAsRoot | UserMap::HostRoot | UserMap::Sandbox | UserMap::SubIds), true) => true,
        (_, true) => false,
        (_, false) => host.uid == 0 && !command.namespaces.is_joined(Namespace::User),
    };
    let any = host.permitted != 0 || command.namespaces.is_new(Namespace::User);
    launch::is_needed(command) && !root && (any || command.namespaces.is_joined(Namespace::User))
}

struct Carry;

pub(super) fn carry(command: &Config, host: &Host) -> Option<Box<dyn Step>> {
    are_carried(command, host).then(|| Box::new(Carry) as Box<dyn Step>)
}

impl Step for Carry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("capabilities, for the launcher");
        program.push(Op::CarryCapabilities);
    }
}

pub(super) fn compile(command: &Config, host: &Host) -> Result<Option<Box<dyn Step>>> {
    let identity = command.identity.clone();
    // To the kernel it says that an id stays as it is, setresuid(2): root's, that is.
    let given = [("user.uid", identity.uid), ("user.gid", identity.gid)];
    let groups = identity.groups.iter().flatten().map(|id| ("user.groups", Some(*id)));
    if let Some((key, _)) = given.into_iter().chain(groups).find(|(_, id)| *id == Some(u32::MAX)) {
        return Err(Error::invalid(NAME, "4294967295 is no id").at(key));
    }
    let allowed = command.capabilities.unwrap_or(Capabilities::ALL).bits();
    if command.ambient.bits() & !allowed != 0 {
        return Err(Error::invalid(NAME, "an ambient capability must be among the capabilities")
            .at("rights.ambient")
            .contradicting());
    }
    let new_user = command.namespaces.is_new(Namespace::User);
    let (own_uid, own_gid) = match (&command.user_map, new_user) {
        (None | Some(UserMap::CallerAsRoot | UserMap::HostRoot), true) => (Some(0), Some(0)),
        (Some(UserMap::CallerAs { uid, gid }), true) => (Some(*uid), Some(*gid)),
        (Some(UserMap::Identity), true) => (Some(host.uid), Some(host.gid)),
        (Some(UserMap::Extents { uids, gids }), true) => (uids.inside_of(host.uid), gids.inside_of(host.gid)),
        (Some(UserMap::SubIds | UserMap::Sandbox), true) => (Some(0), Some(0)),
        (_, false) => (Some(host.uid), Some(host.gid)),
    };
    let differs = |wanted: Option<u32>, own| wanted.is_some() && wanted != own;
    let ids_change = differs(identity.uid, own_uid) || differs(identity.gid, own_gid);
    let keeps_ids = match new_user {
        true => command.user_map == Some(UserMap::HostRoot),
        false => !command.namespaces.is_joined(Namespace::User),
    };
    let groups = match &identity.groups {
        Some(groups) => Some(groups.clone()),
        // The caller's groups would stay with the new ids and open the caller's files to them.
        None if ids_change => Some(Vec::new()),
        // As with ids of its own, of which root has them emptied in set-up.
        None if command.is_sandboxed() && keeps_ids && host.gives_ids() => Some(Vec::new()),
        None => None,
    };
    if let Some(count) = groups.as_ref().map(Vec::len).filter(|count| *count > MOST_GROUPS) {
        return Err(Error::invalid(NAME, format!("{count} groups; at most {MOST_GROUPS} can be had")).at("user.groups"));
    }
    Ok(Some(Box::new(Rights {
        identity,
        ids_change,
        groups,
        capabilities: command.capabilities,
        ambient: command.ambient,
        sets: command.capability_sets,
        no_new_privileges: command.no_new_privileges,
        bounded: !(command.no_namespaces && command.no_new_privileges) || host.has(Capability::SETPCAP),
        carried: are_carried(command, host).then(|| match command.namespaces.is_new(Namespace::User) {
            true => (0, 0),
            false if command.namespaces.is_joined(Namespace::User) => (0, 0),
            false => (host.inheritable, host.ambient),
        }),
    })))
}

impl Step for Rights {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        let (outer, key) = match op {
            Op::Groups { .. } => ("user", "groups"),
            Op::Gid { .. } => ("user", "gid"),
            Op::Uid { .. } => ("user", "uid"),
            Op::Ambient { .. } => ("rights", "ambient"),
            Op::NoNewPrivileges => ("rights", "no_new_privileges"),
            _ => ("rights", "capabilities"),
        };
        Some(Field::of(outer).key(key))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if let Some(capabilities) = self.capabilities.filter(|_| self.bounded) {
            program.about_owned(format!("capabilities {capabilities}"));
            program.push(Op::BoundingSet { keep: capabilities.bits() });
        }
        let kept = self.sets.is_some_and(|sets| !sets.permitted.is_empty());
        if self.ids_change && (kept || !self.ambient.is_empty() || self.capabilities.is_some_and(|set| !set.is_empty()))
        {
            program.push(Op::KeepCapabilities);
        }
        if let Some(groups) = &self.groups {
            program.about_owned(format!("groups {groups:?}"));
            program.push(Op::Groups { groups });
        }
        if let Some(gid) = self.identity.gid {
            program.about_owned(format!("gid {gid}"));
            program.push(Op::Gid { gid });
        }
        if let Some(uid) = self.identity.uid {
            program.about_owned(format!("uid {uid}"));
            program.push(Op::Uid { uid });
        }
        if let Some(CapabilitySets { effective, permitted, inheritable, ambient, .. }) = self.sets {
            program.about_owned(format!("capabilities {permitted}"));
            let sets = credentials::CapabilitySets {
                effective: effective.bits(),
                permitted: permitted.bits(),
                inheritable: inheritable.bits(),
            };
            program.push(Op::Capabilities { sets });
            program.about_owned(format!("ambient capabilities {ambient}"));
            program.push(Op::Ambient { raise: ambient.bits() });
        } else if let Some(capabilities) = self.capabilities {
            program.about_owned(format!("capabilities {capabilities}"));
            let set = capabilities.bits();
            let sets = credentials::CapabilitySets { effective: set, permitted: set, inheritable: self.ambient.bits() };
            program.push(Op::Capabilities { sets });
        }
        if self.sets.is_none() && self.capabilities.is_some() || (!self.ambient.is_empty() && self.carried.is_none()) {
            program.about_owned(format!("ambient capabilities {}", self.ambient));
            program.push(Op::Ambient { raise: self.ambient.bits() });
        }
        if self.capabilities.is_none()
            && let Some((inheritable, ambient)) = self.carried
        {
            program.about("capabilities over its exec, as without a launcher");
            let ambient = ambient | self.ambient.bits();
            program.push(Op::CarryNoMore { inheritable: inheritable | ambient, ambient });
        }
        if self.no_new_privileges {
            program.about("no new privileges");
            program.push(Op::NoNewPrivileges);
        }
    }
}
