//! What stays with the parent of a start.

use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use seclude_cgroup::Cgroup;
use seclude_idmap::IdMap;

use crate::listeners::Listening;
use crate::reach::{Reach, Reaching};
use crate::relay::Relay;

/// What stays with the parent of the pipes that were made.
#[derive(Debug, Default)]
pub(crate) struct ParentEnds {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    /// What threads are to copy once the command runs.
    pub(crate) relays: Vec<Relay>,
    /// The thread that is to be asked what to answer to a call that the filter refuses.
    pub(crate) listening: Option<Listening>,
    /// The relay, until it has the sockets of the container's network.
    pub(crate) reaching: Option<Reaching>,
    /// What that says of it.
    pub(crate) reach: Option<Reach>,
    /// The container's cgroup, once it is made: a directory a hierarchy.
    pub(crate) cgroup: Arc<OnceLock<Arc<Cgroup>>>,
    /// User namespaces that were made for the ids of mounts, until those are made.
    pub(crate) id_maps: Vec<(IdMap, IdMap, Arc<OwnedFd>)>,
    /// Where the handshake's socket must lie above: a number that the command gets would overwrite it.
    pub(crate) socket_above: i32,
}
