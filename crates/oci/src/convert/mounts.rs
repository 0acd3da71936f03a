//! Mounts, in their order, with the words of mount(8).

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use seclude::{IdMap, Mount};

use super::options::{self, Options};
use super::places::{Brought, From};
use super::{Circumstances, Tree, cgroup_mount, namespaces};
use crate::copy_up::CopyUp;
use crate::failure::{Failure, Result};
use crate::spec::{self, Linux, NamespaceKind, Spec};

pub(super) fn apply(
    tree: &mut Tree<'_>,
    spec: &Spec,
    linux: &Linux,
    rootfs: &Path,
    circumstances: &Circumstances<'_>,
) -> Result<Brought> {
    let mut brought = Brought::default();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let origin = format!("mounts[{index}]");
        one(tree, mount, linux, (rootfs, &mut brought), circumstances, &origin)?;
    }
    Ok(brought)
}

fn one(
    tree: &mut Tree<'_>,
    mount: &spec::Mount,
    linux: &Linux,
    (rootfs, brought): (&Path, &mut Brought),
    circumstances: &Circumstances<'_>,
    origin: &str,
) -> Result<()> {
    if mount.destination.is_empty() {
        return Err(Failure::at(format!("{origin}.destination"), "it is empty"));
    }
    // The specification has those of old that are relative begin there. Links are followed by whoever mounts there, in the tree as it is then,
    // and what they lead to is made where it is missing, as others do it: what the image has may be hidden by an earlier mount.
    let absolute = format!("/{}", mount.destination.trim_start_matches('/'));
    let target = absolute.as_str();
    let mut options = Options::of(mount);
    let maps = maps(mount, linux, origin)?;
    options.id_mapped |= maps.is_some();
    let kind = mount.kind.as_deref().unwrap_or_default();
    if options.bind || kind == "bind" || kind == "rbind" {
        // mount(2) passes over what is of a file system, and engines go by that.
        if let Some((word, _)) = options.data.iter().find(|(_, value)| value.is_none()) {
            return Err(unknown(origin, word, "is no option of a bind"));
        }
        let words = options.of_the_file_system.iter().copied();
        if let Some(word) = options.data.iter().map(|(word, _)| word.as_str()).chain(words).next() {
            tree.notes
                .push(format!("{origin}.options: {word:?} is of a file system that is mounted, and none of a bind's"));
        }
        let Some(source) = mount.source.as_ref().filter(|source| !source.is_empty()) else {
            return Err(Failure::at(format!("{origin}.source"), "a bind of nothing"));
        };
        let source = brought.find(rootfs, circumstances.bundle.join(source)).map_err(|target| {
            let why = format!(
                "what lies over it in the root is the mount on {}, of which the host has nothing",
                target.display()
            );
            Failure::at(format!("{origin}.source"), why)
        })?;
        brought.add(target, From::Host(source.clone()));
        // As others do: engines look themselves whether what they share comes from elsewhere.
        let mut bind =
            Mount::bind(source, target).attributes(options.attributes.of_private_sources(true)).links_made_good();
        bind = match maps {
            Some(Maps::Own(uids, gids)) => bind.id_mapped_by(uids, gids),
            Some(Maps::Containers) => bind.id_mapped(),
            None if options.id_mapped => {
                if !linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::User) {
                    let why = "neither the mount nor the container has any mappings";
                    return Err(Failure::at(format!("{origin}.uidMappings"), why));
                }
                bind.id_mapped()
            }
            None => bind,
        };
        if options.ids_below {
            bind = bind.ids_below();
        }
        if !options.recursive && kind != "rbind" {
            bind = bind.not_recursive();
        }
        tree.mount(origin, bind);
        return Ok(());
    }
    // What it is mounted on.
    let below = brought.at(rootfs, target);
    brought.add(target, if options.copies_up { From::Copied } else { From::Nothing });
    if options.id_mapped {
        return Err(Failure::at(format!("{origin}.options"), "only a bind is shown under other ids"));
    }
    if kind == "cgroup" || kind == "cgroup2" {
        return cgroup_mount::apply(tree, target, options.attributes, linux, circumstances, origin);
    }
    if kind.is_empty() || kind == "none" {
        return Err(Failure::at(format!("{origin}.type"), "there is none, and it is no bind"));
    }
    if options.copies_up && kind != "tmpfs" {
        return Err(unknown(origin, "tmpcopyup", "is for a tmpfs"));
    }
    if ["proc", "sysfs"].contains(&kind) {
        is_ordinary(rootfs, target, kind).map_err(|failure| failure.or_at(&format!("{origin}.destination")))?;
    }
    // What is made and mounted in there comes first: it is read-only once all is there.
    if kind == "tmpfs" && options.attributes.is_read_only() {
        options.attributes.add("rw");
        tree.closes.push((origin.to_owned(), absolute.clone()));
    }
    if kind == "tmpfs"
        && !options.copies_up
        && !options.data.iter().any(|(key, _)| key == "mode")
        && let Some(mode) = below.as_ref().and_then(|(root, path)| mode_of(root, path))
    {
        options.data.push(("mode".to_owned(), Some(format!("{mode:o}"))));
    }
    let mut made = Mount::file_system(kind, target).attributes(options.attributes).links_made_good();
    if options.copies_up
        && let Some((image, target)) = below
    {
        let has_mode = options.data.iter().any(|(key, _)| key == "mode");
        let copy = CopyUp { image, target, has_mode };
        made = made.filled_by(move |root| copy.fill(&root));
    }
    if let Some(source) = mount.source.as_ref().filter(|source| !source.is_empty()) {
        made = made.source(source);
    }
    if !linux.mount_label.is_empty() && kind == "mqueue" {
        let label = linux.mount_label.clone();
        made = made.filled_by(move |root| labelled(&root, &label));
    } else if !linux.mount_label.is_empty() && !UNLABELLED.contains(&kind) {
        made = made.data("context", Some(&linux.mount_label));
    }
    for word in &options.of_the_file_system {
        match options::has_effect(word, kind) {
            true => made = made.data(*word, None),
            false => tree.notes.push(format!("{origin}.options: {word:?} has no effect on {kind}")),
        }
    }
    for (key, value) in &options.data {
        made = made.data(key, value.as_deref());
    }
    tree.mount(origin, made);
    Ok(())
}

/// Of message queues there is one file system for the IPC namespace, which is there before any label could be said of it (EINVAL).
fn labelled(root: &OwnedFd, label: &str) -> std::io::Result<()> {
    use rustix::io::Errno;
    // What was handed over is a place alone.
    let opened = openat(root, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    match rustix::fs::fsetxattr(&opened, "security.selinux", label.as_bytes(), rustix::fs::XattrFlags::empty()) {
        // Without SELinux there are none, and in a user namespace they are not for its root to set.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// An image that has a link there would have what belongs there somewhere else, and in its place what it wants (CVE-2019-19921). What it is when it
/// is mounted on is looked at by whoever does that.
fn is_ordinary(rootfs: &Path, target: &str, kind: &str) -> Result<()> {
    match rootfs.join(target.trim_start_matches('/')).symlink_metadata() {
        Ok(found) if !found.is_dir() => Err(Failure::new(format!(
            "filesystem {kind:?} must be mounted on ordinary directory: {target} is none in the root"
        ))),
        _ => Ok(()),
    }
}

/// The mode of the directory that a tmpfs is mounted on, which it takes over where it has none of its own.
fn mode_of(rootfs: &Path, target: &Path) -> Option<u32> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, rootfs, flags, Mode::empty()).ok()?;
    let leash = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found =
        openat2(&root, Path::new(".").join(target.strip_prefix("/").unwrap_or(target)), flags, Mode::empty(), leash)
            .ok()?;
    fstat(&found).ok().map(|found| found.st_mode & 0o7777)
}

/// Under which ids it is to be shown.
enum Maps {
    Containers,
    Own(IdMap, IdMap),
}

fn maps(mount: &spec::Mount, linux: &Linux, origin: &str) -> Result<Option<Maps>> {
    let named = |field: &str| format!("{origin}.{field}");
    match (mount.uid_mappings.is_empty(), mount.gid_mappings.is_empty()) {
        (true, true) => return Ok(None),
        (true, false) => return Err(Failure::at(named("uidMappings"), "there are none, but gidMappings")),
        (false, true) => return Err(Failure::at(named("gidMappings"), "there are none, but uidMappings")),
        (false, false) => {}
    }
    let are_containers = mount.uid_mappings == linux.uid_mappings && mount.gid_mappings == linux.gid_mappings;
    if are_containers && super::has_new_user(linux) {
        return Ok(Some(Maps::Containers));
    }
    let uids = namespaces::map(&mount.uid_mappings, &named("uidMappings"))?;
    let gids = namespaces::map(&mount.gid_mappings, &named("gidMappings"))?;
    Ok(Some(Maps::Own(uids, gids)))
}

/// Views of the kernel, which have labels of their own.
const UNLABELLED: [&str; 3] = ["proc", "sysfs", "cgroup2"];

fn unknown(origin: &str, word: &str, why: &str) -> Failure {
    Failure::at(format!("{origin}.options"), format!("{word:?} {why}"))
}
