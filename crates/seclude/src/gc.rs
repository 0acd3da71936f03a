//! What spawners have left that were killed before they could undo it.
//!
//! Each spawn looks for such things once a process, where it makes its own; this is for when nobody spawns any more.

use std::path::Path;

use rustix::io::Errno;
use seclude_cgroup::Hierarchies;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::meter::from_cgroup;
use crate::step::{default_parent, from_net};

const NAME: &str = "gc";

/// Removes the cgroups, the directories of sandboxes without namespaces, the mount points that had to be made on the host and, in the caller's network namespace, the rules, bridges and
/// hosts files of containers whose spawner has ended without removing them; answers what was removed: directories, names of the others.
///
/// `parent` is what [`crate::Cgroup::parent`] was, or `None` for its default. A cgroup in which something runs stays:
/// it may have been left running on purpose ([`crate::Command::kill_on_drop`]).
///
/// # Errors
/// When the cgroups or the links and rules cannot be listed, or `parent` is not absolute. That there is no such parent is none, nor that an ordinary user has no cgroups.
pub fn collect(parent: Option<&Path>) -> Result<Vec<String>> {
    if let Some(parent) = parent.filter(|parent| !parent.is_absolute()) {
        let action = format!("{}: not the absolute path of a cgroup", parent.display());
        return Err(Error::invalid(NAME, action).at("cgroup"));
    }
    // Whoever may not look at them, or has no rights over the network, has made none.
    let links = match seclude_net::sweep() {
        Err(error) if error.errno().is_some_and(is_no_access) => Ok(Vec::new()),
        swept => swept.map_err(|error| from_net(NAME, error)),
    };
    // One may be closed to the caller, or not there at all, and the others not.
    crate::step::range::sweep();
    let directories = crate::step::own_directory::sweep();
    let mount_points = crate::made_record::sweep(None);
    let mut removed = cgroups_below(parent).map_err(|error| from_cgroup(NAME, error))?;
    removed.extend(links?);
    removed.extend(directories);
    removed.extend(mount_points);
    Ok(removed)
}

fn is_no_access(errno: i32) -> bool {
    [Errno::ACCESS, Errno::PERM].contains(&Errno::from_raw_os_error(errno))
}

fn cgroups_below(parent: Option<&Path>) -> std::result::Result<Vec<String>, seclude_cgroup::Error> {
    let hierarchies = Hierarchies::discover()?;
    let host = Host::current();
    let parent = match parent {
        Some(parent) => parent.to_owned(),
        None => match default_parent(&hierarchies, &host) {
            // Whoever has none could have made nothing there.
            Err(_) if host.uid != 0 => return Ok(Vec::new()),
            default => default?,
        },
    };
    Ok(hierarchies.sweep(&parent)?.iter().map(|path| path.display().to_string()).collect())
}
