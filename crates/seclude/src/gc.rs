//! What spawners have left that were killed before they could undo it.
//!
//! Each spawn looks for such things once a process, where it makes its own; this is for when nobody spawns any more.

use std::path::{Path, PathBuf};

use seclude_cgroup::Hierarchies;

use crate::error::Result;
use crate::host::Host;
use crate::meter::from_cgroup;
use crate::step::default_parent;

const NAME: &str = "gc";

/// Removes the cgroups of containers whose spawner has ended without removing them, and answers their directories.
///
/// `parent` is what [`crate::Cgroup::parent`] was, or `None` for its default. A cgroup in which something runs stays:
/// it may have been left running on purpose ([`crate::Command::kill_on_drop`]).
///
/// # Errors
/// When the cgroups cannot be listed. That there is no such parent is none.
pub fn collect(parent: Option<&Path>) -> Result<Vec<PathBuf>> {
    let failed = |error| from_cgroup(NAME, error);
    let hierarchies = Hierarchies::discover().map_err(failed)?;
    let parent = match parent {
        Some(parent) => parent.to_owned(),
        None => default_parent(&hierarchies, &Host::current()).map_err(failed)?,
    };
    hierarchies.sweep(&parent).map_err(failed)
}
