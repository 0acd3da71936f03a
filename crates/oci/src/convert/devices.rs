//! /dev: the nodes that every container has, those that are asked for, and the usual links.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use seclude::Mount;
use seclude::cgroup::{DeviceKind, DeviceNumber};

use super::Tree;
use super::namespaces::has_other_user;
use crate::caller::is_root_of_the_host;
use crate::failure::{Failure, Result};
use crate::spec::{Device, Linux, Spec};

/// Of the specification, "Default Devices".
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Of the specification, "/dev symbolic links".
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
];

pub(super) fn apply(tree: &mut Tree<'_>, spec: &Spec, linux: &Linux) -> Result<()> {
    // Who shows the host's own /dev has its nodes, and nothing is made in there.
    let is_dev = |path: &str| path.trim_end_matches('/') == "/dev";
    let is_bound = |mount: &crate::spec::Mount| {
        let bind = |word: &String| word == "bind" || word == "rbind";
        mount.kind.as_deref() == Some("bind") || mount.options.iter().any(bind)
    };
    let shown = spec.mounts.iter().any(|mount| is_dev(&mount.destination) && is_bound(mount));
    // What the configuration mounts there is what is to be there, as engines have it that have no device of their own to make.
    let is_mounted = |path: &str| {
        let destination = |mount: &crate::spec::Mount| format!("/{}", mount.destination.trim_matches('/'));
        spec.mounts.iter().any(|mount| destination(mount) == path)
    };
    let bound = has_other_user(linux) || !is_root_of_the_host();
    for (path, major, minor) in DEFAULT {
        if shown || is_mounted(path) || linux.devices.iter().any(|device| device.path == path) {
            continue;
        }
        let number = DeviceNumber { major, minor };
        let node = match bound {
            // The library looks at the number of what it binds there.
            true => Mount::bind(path, path),
            false => Mount::device(path, DeviceKind::Char, number),
        };
        tree.mount(format!("linux.devices ({path})"), node);
    }
    for (index, device) in linux.devices.iter().enumerate() {
        let field = format!("linux.devices[{index}]");
        if shown && Path::new(&device.path).starts_with("/dev") {
            tree.notes.push(format!("{field}: the /dev that is bound has its own devices, and nothing is made there"));
            continue;
        }
        let node = node(device, bound).map_err(|failure| failure.or_at(&field))?;
        tree.mount(field, node);
    }
    if !shown {
        for (to, link) in LINKS {
            tree.mount(format!("linux.devices ({link})"), Mount::symlink(to, link).unless_present());
        }
    }
    Ok(())
}

fn node(device: &Device, bound: bool) -> Result<Mount> {
    if !device.path.starts_with('/') {
        return Err(Failure::new(format!("path: {:?} is not absolute", device.path)));
    }
    let mode = device.file_mode.unwrap_or(0o666) & 0o7777;
    let (uid, gid) = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
    let kind = match device.kind.as_str() {
        "c" | "u" => DeviceKind::Char,
        "b" => DeviceKind::Block,
        "p" => return Ok(Mount::fifo(&device.path).mode(mode).owner(uid, gid)),
        other => return Err(Failure::new(format!("type: {other:?} is none of c, u, b and p"))),
    };
    let part = |number: i64, name: &str, most: u32| {
        let fits = u32::try_from(number).ok().filter(|number| *number <= most);
        fits.ok_or_else(|| Failure::new(format!("{name}: {number} is not in 0 to {most}")))
    };
    let number =
        DeviceNumber { major: part(device.major, "major", 4095)?, minor: part(device.minor, "minor", 1_048_575)? };
    if !bound {
        return Ok(Mount::device(&device.path, kind, number).mode(mode).owner(uid, gid));
    }
    host_node(&device.path, kind, number)
}

/// In a user namespace the kernel makes none: the host's is shown, if it is the same one.
fn host_node(path: &str, kind: DeviceKind, number: DeviceNumber) -> Result<Mount> {
    let named = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(format!(
            "the host has no {path} that could be shown, and in a user namespace no device {number} can be made: make it on the host (mknod), or leave the user namespace out"
        )),
        _ => Failure::of(path, error),
    };
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    let opened = rustix::fs::open(Path::new(path), flags, rustix::fs::Mode::empty()).map_err(|e| named(e.into()))?;
    let found = std::fs::File::from(opened);
    let metadata = found.metadata().map_err(named)?;
    let file_type = metadata.file_type();
    let same_kind = match kind {
        DeviceKind::Char => file_type.is_char_device(),
        DeviceKind::Block => file_type.is_block_device(),
    };
    if !same_kind || DeviceNumber::from_rdev(metadata.rdev()) != number {
        return Err(Failure::new(format!(
            "the host's {path} is another one than {number}, and in a user namespace none can be made"
        )));
    }
    Ok(Mount::bind_fd(found, path))
}
