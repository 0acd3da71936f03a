//! Who the process is: the map of its user namespace, and its ids inside.

pub use seclude_idmap::{Extent, IdMap};

/// The ids of a new user namespace, user_namespaces(7).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum UserMap {
    /// The caller's uid and gid are 0 inside; no other id exists there.
    #[default]
    CallerAsRoot,
    /// The caller's uid and gid are these inside; no other id exists there.
    CallerAs {
        /// The uid inside.
        uid: u32,
        /// The gid inside.
        gid: u32,
    },
    /// Every id that the caller may map is itself inside: for a privileged caller (CAP_SETUID and CAP_SETGID) all of
    /// them, for another one its own uid and gid.
    Identity,
    /// These extents. An unprivileged caller needs `newuidmap` and ranges in /etc/subuid and /etc/subgid for
    /// anything but its own id.
    Extents {
        /// Extents of user ids.
        uids: IdMap,
        /// Extents of group ids.
        gids: IdMap,
    },
    /// [`UserMap::CallerAsRoot`] of a caller that is root.
    HostRoot,
    /// What the sandbox has. For root (CAP_SETUID and CAP_SETGID, and more ids than its own): as [`UserMap::SubIds`], 0 to
    /// 65535 are a range of the host that nobody has, and holds as long as the container lives; for any other caller as
    /// [`UserMap::CallerAsRoot`].
    Sandbox,
    /// The caller's subordinate ids. Unprivileged: the caller is 0, its ranges of /etc/subuid and /etc/subgid follow
    /// from 1, set by `newuidmap` and `newgidmap`. Privileged: 0 to 65535 are a range of the host that nobody has.
    SubIds,
}

/// The ids that the command runs with, as seen inside.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) groups: Option<Vec<u32>>,
}
