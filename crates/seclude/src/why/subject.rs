//! As whom the command runs, and what the modes of a file let it do.

use rustix::process::getgroups;

use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::feature::Feature;
use crate::config::ids::{IdMap, UserMap};
use crate::config::namespace::Namespace;
use crate::host::Host;
use crate::step::{self, Ids};

/// An answer that may not be known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    Yes,
    No,
    Perhaps,
}

use Known::{No, Perhaps, Yes};

impl Known {
    pub(super) fn of(is: bool) -> Known {
        if is { Yes } else { No }
    }

    /// What all of them say.
    pub(super) fn agreed(all: impl IntoIterator<Item = Known>) -> Known {
        let mut all = all.into_iter();
        let first = all.next().unwrap_or(Perhaps);
        if all.all(|other| other == first) { first } else { Perhaps }
    }
}

/// An id as the files of the host have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Id {
    Is(u32),
    /// No file has it.
    Nobodys,
    Unknown,
}

impl Id {
    fn is(self, id: u32) -> Known {
        match self {
            Id::Is(own) => Known::of(own == id),
            Id::Nobodys => No,
            Id::Unknown => Perhaps,
        }
    }
}

/// Of which files a capability holds.
#[derive(Clone, Debug)]
enum Reach {
    All,
    /// Of those with these ids.
    Only(u32, u32),
    Mapped(IdMap, IdMap),
    /// Of none under the host's ids.
    None,
    Unknown,
}

/// What decides about a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modes {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) directory: bool,
    /// Whether there is more to it than the mode, acl(5).
    pub(super) listed: bool,
}

impl Modes {
    /// As they are told, behind what they refuse.
    pub(super) fn words(&self) -> String {
        let list = if self.listed { ", with a list of more, acl(5)" } else { "" };
        format!(": mode {:o}, uid {}, gid {} on the host{list}", self.mode, self.uid, self.gid)
    }
}

pub(super) const READ: u32 = 4;
pub(super) const WRITE: u32 = 2;
pub(super) const EXECUTE: u32 = 1;

#[derive(Debug)]
pub(super) struct Subject {
    uid: Id,
    gid: Id,
    /// Inside, and how many ids there are, where files are shown under those.
    inside: Option<(u32, u32, u32)>,
    groups: Option<Vec<u32>>,
    inside_groups: Vec<u32>,
    override_all: Known,
    read_all: Known,
    reach: Reach,
    /// Whether what set-up makes belongs to it: the user, the group.
    made: (Known, Known),
}

impl Subject {
    pub(super) fn of(config: &Config, host: &Host) -> Subject {
        let new_user = config.namespaces.is_new(Namespace::User);
        let joined = config.namespaces.is_joined(Namespace::User);
        let chosen = step::is_chosen(config, host);
        let map = config.user_map.clone().unwrap_or_default();
        // As whom set-up works.
        let (own_uid, own_gid) = match &map {
            _ if !new_user => (Some(host.uid), Some(host.gid)),
            UserMap::CallerAs { uid, gid } => (Some(*uid), Some(*gid)),
            UserMap::Identity => (Some(host.uid), Some(host.gid)),
            UserMap::Extents { uids, gids } if step::leaves_caller_out(config, host) => (first(uids), first(gids)),
            UserMap::Extents { uids, gids } => (uids.inside_of(host.uid), gids.inside_of(host.gid)),
            _ => (Some(0), Some(0)),
        };
        let identity = &config.identity;
        let (uid, gid) = (identity.uid.or(own_uid), identity.gid.or(own_gid));
        let is = |id: Option<u32>| id.map_or(Id::Unknown, Id::Is);
        let softened = config.preferred.contains(&Feature::SubIds);
        let (on_uid, on_gid) = match &map {
            _ if joined || softened => (Id::Unknown, Id::Unknown),
            _ if !new_user => (is(uid), is(gid)),
            _ if chosen => (Id::Nobodys, Id::Nobodys),
            UserMap::Identity if host.gives_ids() => (is(uid), is(gid)),
            UserMap::Extents { uids, gids } => {
                (is(uid.and_then(|uid| uids.outside_of(uid))), is(gid.and_then(|gid| gids.outside_of(gid))))
            }
            UserMap::SubIds => {
                let of = |id: Option<u32>, own: u32| if id == Some(0) { Id::Is(own) } else { Id::Unknown };
                (of(uid, host.uid), of(gid, host.gid))
            }
            _ => (Id::Is(host.uid), Id::Is(host.gid)),
        };
        let shown = chosen && step::ids_of_files(config, host) == Ids::Containers && !softened;
        let inside = uid.zip(gid).filter(|_| shown).map(|(uid, gid)| (uid, gid, step::chosen_ids(config)));
        let reach = match &map {
            _ if joined || softened => Reach::Unknown,
            _ if !new_user => Reach::All,
            _ if chosen => Reach::None,
            UserMap::Identity if host.gives_ids() => Reach::All,
            UserMap::Extents { uids, gids } => Reach::Mapped(uids.clone(), gids.clone()),
            UserMap::SubIds => Reach::Unknown,
            _ => Reach::Only(host.uid, host.gid),
        };
        let same = |one: Option<u32>, other: Option<u32>| match one.zip(other).filter(|_| !joined && !softened) {
            Some((one, other)) => Known::of(one == other),
            None => Perhaps,
        };
        let capability = |capability: Capability| holds(config, host, uid, capability);
        Subject {
            uid: on_uid,
            gid: on_gid,
            inside,
            groups: groups(config, host, (own_uid, own_gid)).filter(|_| !joined && !softened),
            inside_groups: identity.groups.clone().unwrap_or_default(),
            override_all: capability(Capability::DAC_OVERRIDE),
            read_all: capability(Capability::DAC_READ_SEARCH),
            reach,
            made: (same(uid, own_uid), same(gid, own_gid)),
        }
    }

    /// Whether a file of the host lets it do this; `mapped`: whether it is shown under the container's ids.
    pub(super) fn may(&self, file: &Modes, mapped: Known, wanted: u32) -> Known {
        let under_own = self.inside.map(|(uid, gid, count)| {
            if wanted & WRITE != 0 && (file.uid >= count || file.gid >= count) {
                // The kernel writes no inode whose owner it could not write down.
                return No;
            }
            let reached = Known::of(file.uid < count && file.gid < count);
            self.by_class(file, wanted, (Id::Is(uid), Id::Is(gid)), Some(&self.inside_groups), reached)
        });
        let plain = || self.by_class(file, wanted, (self.uid, self.gid), self.groups.as_deref(), self.reaches(file));
        match (mapped, under_own) {
            (_, None) | (No, _) => plain(),
            (Yes, Some(under_own)) => under_own,
            (Perhaps, Some(under_own)) => Known::agreed([under_own, plain()]),
        }
    }

    /// The same of what set-up has made.
    pub(super) fn may_made(&self, mode: u32, directory: bool, wanted: u32) -> Known {
        let (uid, gid) = self.made;
        let id = |known: Known| match known {
            Yes => Id::Is(0),
            No => Id::Nobodys,
            Perhaps => Id::Unknown,
        };
        let file = Modes { mode, uid: 0, gid: 0, directory, listed: false };
        // One of its groups may be that of set-up.
        let groups = self.groups.as_ref().filter(|groups| groups.is_empty()).map(Vec::as_slice);
        self.by_class(&file, wanted, (id(uid), id(gid)), groups, Yes)
    }

    fn reaches(&self, file: &Modes) -> Known {
        match &self.reach {
            Reach::All => Yes,
            Reach::None => No,
            Reach::Only(uid, gid) => Known::of((*uid, *gid) == (file.uid, file.gid)),
            Reach::Mapped(uids, gids) => {
                Known::of(uids.inside_of(file.uid).is_some() && gids.inside_of(file.gid).is_some())
            }
            Reach::Unknown => Perhaps,
        }
    }

    /// The kernel's own order: the owner, else the group, else the others; then capabilities.
    fn by_class(
        &self,
        file: &Modes,
        wanted: u32,
        (uid, gid): (Id, Id),
        groups: Option<&[u32]>,
        reached: Known,
    ) -> Known {
        let has = |shift: u32| Known::of(file.mode >> shift & wanted == wanted);
        let in_group = match (gid.is(file.gid), groups) {
            (Yes, _) => Yes,
            (_, Some(groups)) if groups.contains(&file.gid) => Yes,
            (known, Some(_)) => known,
            (_, None) => Perhaps,
        };
        let not_owner = match in_group {
            // Whoever is on a list is told apart from both.
            _ if file.listed => Perhaps,
            Yes => has(3),
            No => has(0),
            Perhaps => Known::agreed([has(3), has(0)]),
        };
        let by_mode = match uid.is(file.uid) {
            Yes => has(6),
            No => not_owner,
            Perhaps => Known::agreed([has(6), not_owner]),
        };
        if by_mode == Yes {
            return Yes;
        }
        let executes = wanted & EXECUTE != 0 && !file.directory && file.mode & 0o111 == 0;
        let reads = wanted & WRITE == 0 && (file.directory || wanted == READ);
        let mut lifted = [(self.override_all, !executes), (self.read_all, reads)].into_iter().filter(|(_, fits)| *fits);
        let lifts = |(held, _): (Known, bool)| match (held, reached) {
            (No, _) | (_, No) => No,
            (Yes, Yes) => Yes,
            _ => Perhaps,
        };
        let lifted = lifted.by_ref().map(lifts).fold(No, |best, one| match (best, one) {
            (Yes, _) | (_, Yes) => Yes,
            (Perhaps, _) | (_, Perhaps) => Perhaps,
            _ => No,
        });
        match (by_mode, lifted) {
            (_, Yes) => Yes,
            (No, No) => No,
            _ => Perhaps,
        }
    }

    /// Whether it owns a file under the host's ids, or it is shown under its own.
    pub(super) fn owns(&self, uid: u32, mapped: Known) -> Known {
        let under_own = self.inside.map(|(own, ..)| Known::of(own == uid));
        match (mapped, under_own) {
            (_, None) | (No, _) => self.uid.is(uid),
            (Yes, Some(owns)) => owns,
            (Perhaps, Some(owns)) => Known::agreed([owns, self.uid.is(uid)]),
        }
    }
}

fn first(map: &IdMap) -> Option<u32> {
    match map.outside_of(0) {
        Some(_) => Some(0),
        None => map.extents().first().map(|extent| extent.inside),
    }
}

/// Its groups on the host, as far as that is known: `step/rights.rs` and `step/user.rs` empty them.
fn groups(config: &Config, host: &Host, own: (Option<u32>, Option<u32>)) -> Option<Vec<u32>> {
    let new_user = config.namespaces.is_new(Namespace::User);
    if let Some(groups) = &config.identity.groups {
        return (groups.is_empty() || !new_user).then(|| groups.clone());
    }
    let differs = |wanted: Option<u32>, own: Option<u32>| wanted.is_some() && wanted != own;
    let identity = &config.identity;
    let keeps_ids = !new_user || config.user_map == Some(UserMap::HostRoot);
    let emptied = differs(identity.uid, own.0)
        || differs(identity.gid, own.1)
        || step::leaves_caller_out(config, host)
        || (config.is_sandboxed() && keeps_ids && host.gives_ids());
    if emptied { Some(Vec::new()) } else { getgroups().ok().map(|all| all.iter().map(|gid| gid.as_raw()).collect()) }
}

/// Whether it has a capability once it is executed, capabilities(7).
fn holds(config: &Config, host: &Host, uid: Option<u32>, capability: Capability) -> Known {
    let new_user = config.namespaces.is_new(Namespace::User);
    let bit = capability.bit();
    let kept = config.capabilities.is_none_or(|set| set.bits() & bit != 0);
    let ambient = config.ambient.bits() & bit != 0;
    let carried = config.capabilities.is_none() && !new_user && host.ambient & bit != 0;
    match uid {
        _ if !kept => No,
        None => Perhaps,
        _ if config.namespaces.is_joined(Namespace::User) => Perhaps,
        Some(0) if new_user || host.permitted & bit != 0 => Yes,
        Some(0) if !config.no_new_privileges => Perhaps,
        Some(_) => Known::of(ambient || carried),
    }
}
