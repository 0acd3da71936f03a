//! What a mount of the type `cgroup` shows: the container's own cgroup, in each hierarchy that there is.

use std::path::Path;

use seclude::cgroup::{Hierarchies, Hierarchy, Version};
use seclude::{Attributes, Mount};

use super::{Circumstances, Tree};
use crate::failure::{Failure, Result};
use crate::spec::{Linux, NamespaceKind, Spec};

/// Whom its cgroup is given to, config-linux.md "Cgroup ownership": the process's user, where it is shown to be written, in namespaces of its own,
/// and there are hierarchies of v2 alone, whose limits that user cannot change.
pub(crate) fn owner(spec: &Spec, hierarchies: &Hierarchies) -> Option<u32> {
    let linux = spec.linux.as_ref()?;
    let is_shown = |mount: &crate::spec::Mount| {
        let read_only = mount.options.iter().any(|word| word == "ro" || word == "rro");
        mount.kind.as_deref().is_some_and(|kind| kind.starts_with("cgroup")) && !read_only
    };
    let own = [NamespaceKind::User, NamespaceKind::Cgroup].into_iter().all(|kind| linux.is_new(kind));
    if !own || !hierarchies.v1().is_empty() || !spec.mounts.iter().any(is_shown) {
        return None;
    }
    let uid = spec.process.as_ref().map_or(0, |process| process.user.uid);
    linux.uid_mappings.iter().find_map(|map| {
        let offset = uid.checked_sub(map.container_id).filter(|offset| *offset < map.size)?;
        map.host_id.checked_add(offset)
    })
}

pub(super) fn apply(
    tree: &mut Tree<'_>,
    target: &str,
    attributes: Attributes,
    linux: &Linux,
    circumstances: &Circumstances<'_>,
    origin: &str,
) -> Result<()> {
    let hierarchies = circumstances.hierarchies;
    if circumstances.cgroup.is_none() && !attributes.is_read_only() {
        let why = "the container has no cgroup of its own, and its caller's can only be shown to it read-only";
        return Err(Failure::at(format!("{origin}.options"), why));
    }
    // Where it has none, it is in its caller's.
    let own = |hierarchy: &Hierarchy| {
        let path = circumstances.cgroup.or_else(|| hierarchy.own_path())?;
        hierarchy.locate(path)
    };
    if hierarchies.v1().is_empty() {
        let own = hierarchies.v2().and_then(own);
        let own = own.ok_or_else(|| Failure::at(origin, "the hierarchy is not to be seen here"))?;
        let shown = match linux.is_new(NamespaceKind::Cgroup) && circumstances.cgroup.is_some() {
            true => Mount::file_system("cgroup2", target),
            false => Mount::bind(own, target).not_recursive(),
        };
        tree.mount(origin, shown.attributes(attributes));
        return Ok(());
    }
    tree.mount(origin, Mount::file_system("tmpfs", target).attributes(writable(attributes)).data("mode", Some("755")));
    for hierarchy in hierarchies.v1().iter().chain(hierarchies.v2()) {
        let Some(own) = own(hierarchy).filter(|own| own.is_dir() || own.symlink_metadata().is_err()) else {
            continue;
        };
        let Some(name) = hierarchy.mount_point().file_name() else { continue };
        let place = Path::new(target).join(name);
        tree.mount(origin, Mount::bind(own, &place).not_recursive().attributes(writable(attributes)));
        // Hierarchies of several controllers are found by the name of each.
        for controller in hierarchy.controllers().iter().filter(|_| hierarchy.version() == Version::V1) {
            if name != controller.as_str() && !controller.starts_with("name=") {
                tree.mount(origin, Mount::symlink(name, Path::new(target).join(controller)).unless_present());
            }
        }
    }
    if attributes.is_read_only() {
        tree.mount(origin, Mount::read_only_path(target));
    }
    Ok(())
}

/// What is to be read-only is so once all of it is there.
fn writable(mut attributes: Attributes) -> Attributes {
    attributes.add("rw");
    attributes
}
