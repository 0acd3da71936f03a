//! The same files by way of another mount: of a disk that is mounted whole while a directory of it is bound to where homes are, the
//! one shows the other, whatever the paths say.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::mounts::unescape;

/// A mount, proc_pid_mountinfo(5).
struct Mount<'a> {
    /// `8:1`
    device: &'a str,
    /// Which directory of the file system it has.
    root: Cow<'a, [u8]>,
    point: Cow<'a, [u8]>,
}

/// What a directory is to homes, by the files that it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// It is one, or has one in it, by itself or by a mount below it.
    pub(crate) shows: bool,
    /// A mount below it does.
    pub(crate) shows_below: bool,
    /// It lies in what programs keep in a home without showing it, such as ~/.ssh.
    pub(crate) is_hidden: bool,
}

/// What whoever sees `directory`, with all that is mounted below it, sees of `homes`.
///
/// (Each start asks: by bytes, as components of paths take a hundred times as long.)
pub(crate) fn seen<'a>(mountinfo: &str, directory: &Path, homes: impl Iterator<Item = &'a Path>) -> Seen {
    let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(mount).collect();
    let directory = directory.as_os_str().as_bytes();
    let is_inner = |mount: &&Mount<'_>| mount.point.len() > directory.len() && below(&mount.point, directory).is_some();
    let inner: Vec<(&str, &[u8])> = mounts.iter().filter(is_inner).map(|mount| (mount.device, &*mount.root)).collect();
    let own = place(&mounts, directory);
    let mut seen = Seen { shows: false, shows_below: false, is_hidden: false };
    for (device, home) in homes.filter_map(|home| place(&mounts, home.as_os_str().as_bytes())) {
        seen.shows_below |= inner.iter().any(|(other, root)| *other == device && below(&home, root).is_some());
        if let Some((_, own)) = own.as_ref().filter(|(other, _)| *other == device) {
            seen.shows |= below(&home, own).is_some();
            seen.is_hidden |= below(own, &home).is_some_and(|rest| rest.starts_with(b"/."));
        }
    }
    Seen { shows: seen.shows || seen.shows_below, ..seen }
}

/// What of `places` whoever sees `directory` sees by another name: where below the directory, and what that is. Either lies in the
/// other.
pub(crate) fn other_names<'a>(
    mountinfo: &str,
    directory: &Path,
    places: impl Iterator<Item = &'a Path>,
) -> Vec<(PathBuf, PathBuf)> {
    let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(mount).collect();
    let path = directory.as_os_str().as_bytes();
    let of_inner = |mount: &'_ Mount<'_>| {
        let inner = below(&mount.point, path).filter(|rest| !rest.is_empty())?;
        Some((relative(inner).to_owned(), mount.device.to_owned(), mount.root.to_vec()))
    };
    let own = place(&mounts, path).map(|(device, root)| (PathBuf::new(), device.to_owned(), root.to_vec()));
    let shown: Vec<_> = own.into_iter().chain(mounts.iter().filter_map(of_inner)).collect();
    let places: Vec<&Path> = places.collect();
    let lies_in_one = |mount: &&Mount<'_>| {
        let below =
            |place: &&Path| below(&mount.point, place.as_os_str().as_bytes()).is_some_and(|rest| !rest.is_empty());
        places.iter().any(below)
    };
    // With what is mounted in them, of other file systems.
    let inner = mounts.iter().filter(lies_in_one).map(|mount| Path::new(OsStr::from_bytes(&mount.point)));
    let mut names = Vec::new();
    for (name, (device, of_place)) in places
        .iter()
        .copied()
        .chain(inner)
        .filter_map(|name| Some((name, place(&mounts, name.as_os_str().as_bytes())?)))
    {
        for (at, _, root) in shown.iter().filter(|(_, other, _)| other == device) {
            let found = match (below(&of_place, root), below(root, &of_place)) {
                (Some(rest), _) => (join(at, relative(rest)), name.to_owned()),
                (None, Some(rest)) => (at.clone(), join(name, relative(rest))),
                (None, None) => continue,
            };
            if directory.join(&found.0) != found.1 {
                names.push(found);
            }
        }
    }
    names
}

fn relative(below: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(below.strip_prefix(b"/").unwrap_or(below)))
}

/// What lies below a path, or itself. (With nothing, the standard library's would end in a slash.)
pub(crate) fn join(path: &Path, below: &Path) -> PathBuf {
    if below == Path::new("") { path.to_owned() } else { path.join(below) }
}

fn mount(line: &str) -> Option<Mount<'_>> {
    let mut fields = line.split(' ').skip(2);
    Some(Mount { device: fields.next()?, root: fields.next().map(bytes)?, point: fields.next().map(bytes)? })
}

fn bytes(field: &str) -> Cow<'_, [u8]> {
    match field.contains('\\') {
        true => unescape(field).into_os_string().into_vec().into(),
        false => field.as_bytes().into(),
    }
}

/// What of a path is below a directory, if it lies there.
fn below<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    path.strip_prefix(directory).filter(|rest| matches!(rest, [] | [b'/', ..]))
}

/// The file system that a path lies in, and where in that.
fn place<'a>(mounts: &'a [Mount<'_>], path: &[u8]) -> Option<(&'a str, Cow<'a, [u8]>)> {
    // Of those on one point the last one is seen.
    let above = mounts.iter().filter(|mount| below(path, &mount.point).is_some());
    let mount = above.max_by_key(|mount| mount.point.len())?;
    let rest = below(path, &mount.point)?;
    let root = mount.root.strip_suffix(b"/").unwrap_or(&mount.root);
    Some((mount.device, if rest.is_empty() { Cow::Borrowed(&*mount.root) } else { [root, rest].concat().into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /data rw - ext4 /dev/b rw\n\
                        3 1 8:2 /homes /home rw - ext4 /dev/b rw\n4 1 8:1 / /mnt/whole\\040disk rw - ext4 /dev/a rw\n\
                        5 1 0:9 / /srv/memory rw - tmpfs t rw\n6 1 8:3 / /keys rw - ext4 /dev/c rw\n\
                        7 1 8:3 /tls /etc/letsencrypt rw - ext4 /dev/c rw";

    #[test]
    fn a_disk_shows_what_of_it_is_bound_elsewhere() {
        let found =
            |directory: &str| seen(HOST, Path::new(directory), ["/home/me", "/root"].map(Path::new).into_iter());
        let shows = |directory: &str| found(directory).shows;
        for directory in
            ["/data", "/data/homes", "/data/homes/me", "/home", "/mnt", "/mnt/whole disk", "/mnt/whole disk/root", "/"]
        {
            assert!(shows(directory), "{directory}");
        }
        for directory in
            ["/data/homes/other", "/data/else", "/data/homes/me/project", "/srv", "/srv/memory", "/mnt/whole disk/home"]
        {
            assert!(!shows(directory), "{directory}");
        }
        for (directory, hidden) in [
            ("/data/homes/me/.ssh/x", true),
            ("/home/me/.aws", true),
            ("/data/homes/me/project", false),
            ("/data/.x", false),
        ] {
            assert_eq!(found(directory).is_hidden, hidden, "{directory}");
        }
        assert!(found("/mnt").shows_below && !found("/data").shows_below);
    }

    #[test]
    fn what_lies_in_another_mount_has_its_other_name() {
        for (directory, at, name) in [
            ("/mnt/whole disk", "etc", "/etc"),
            ("/mnt/whole disk/etc", "", "/etc"),
            ("/mnt/whole disk/etc/ssl", "", "/etc/ssl"),
            ("/mnt", "whole disk/etc", "/etc"),
            ("/keys", "tls", "/etc/letsencrypt"),
            ("/keys/tls/live", "", "/etc/letsencrypt/live"),
        ] {
            let found = other_names(HOST, Path::new(directory), ["/etc"].map(Path::new).into_iter());
            assert_eq!(found, [(PathBuf::from(at), PathBuf::from(name))], "{directory}");
        }
        for directory in ["/etc", "/etc/ssl", "/data", "/mnt/whole disk/usr", "/srv"] {
            let found = other_names(HOST, Path::new(directory), ["/etc"].map(Path::new).into_iter());
            assert_eq!(found, [], "{directory}");
        }
        // Of what shows all, once by the other name.
        let found = other_names(HOST, Path::new("/"), ["/etc"].map(Path::new).into_iter());
        let expected = [("mnt/whole disk/etc", "/etc"), ("keys/tls", "/etc/letsencrypt")];
        assert_eq!(found, expected.map(|(at, name)| (PathBuf::from(at), PathBuf::from(name))));
    }
}
