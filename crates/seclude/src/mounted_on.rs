//! Whether any process that can be seen has something mounted on a file or directory, proc_pid_mountinfo(5).
//!
//! The kernel tells where a mount lies by names in the mount that it lies on, and that mount by a path in its file system: both together
//! are a path there, which is looked for below every mount that this process has of the same file system.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, open, openat2};

use crate::mounts::{is_local, mountinfo, unescape};

/// A name in a directory, which is known by device and inode.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) directory: (u64, u64),
    pub(crate) name: &'a OsStr,
}

struct Line<'a> {
    id: &'a str,
    parent: &'a str,
    device: &'a str,
    /// What of the file system is mounted.
    root: PathBuf,
    point: PathBuf,
    /// Whether a server answers for it, perhaps never.
    is_remote: bool,
}

fn lines(mountinfo: &str) -> impl Iterator<Item = Line<'_>> {
    mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (id, parent, device) = (fields.next()?, fields.next()?, fields.next()?);
        let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
        let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
        Some(Line { id, parent, device, root, point, is_remote: device.starts_with("0:") && !is_local(kind) })
    })
}

/// How long it is looked for: whoever may make mount namespaces can fill them with ever so many mounts.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which of `places` have a mount on them, as answers in the same order. A process whose mounts cannot be read is not seen.
/// Where there is too much to look at in time, they have.
pub(crate) fn are_mounted_on(places: &[Place<'_>]) -> Vec<bool> {
    let mut answers = vec![false; places.len()];
    let until = Instant::now() + PATIENCE;
    let Ok(own) = mountinfo("/proc/self/mountinfo") else { return answers };
    let own_lines: Vec<_> = lines(&own).collect();
    let (mut namespaces, mut seen, hashed) = (BTreeSet::new(), BTreeSet::new(), RandomState::new());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit)) {
        // Most processes share one mount namespace, which may be one with a hundred thousand mounts.
        // And each root shows what lies below it.
        let link = |name: &str| fs::read_link(process.path().join(name)).ok();
        let namespace = link("ns/mnt").zip(link("root"));
        if namespace.as_ref().is_some_and(|namespace| namespaces.contains(namespace)) {
            continue;
        }
        // Whose namespace may not be seen may have the same lines.
        if let Ok(text) = mountinfo(process.path().join("mountinfo"))
            && seen.insert(hashed.hash_one(&text))
        {
            look(&text, &own_lines, places, &mut answers, until);
            namespaces.extend(namespace);
        }
        if Instant::now() > until {
            // What has not been looked at may be there.
            answers.fill(true);
            break;
        }
    }
    answers
}

fn look(mountinfo: &str, own: &[Line<'_>], places: &[Place<'_>], answers: &mut [bool], until: Instant) {
    let theirs: Vec<_> = lines(mountinfo).collect();
    let by_id: HashMap<&str, &Line<'_>> = theirs.iter().map(|line| (line.id, line)).collect();
    for line in &theirs {
        if Instant::now() > until {
            return;
        }
        let Some(name) = line.point.file_name() else { continue };
        for (place, answer) in places.iter().zip(answers.iter_mut()) {
            if !*answer && place.name == name {
                let below = by_id.get(line.parent).and_then(|below| lies_in(line, below));
                *answer = below.is_some_and(|(device, directory)| {
                    own.iter().filter(|mount| mount.device == device).any(|mount| {
                        let Ok(rest) = directory.strip_prefix(&mount.root) else { return false };
                        is_at(own, mount, rest, place.directory)
                    })
                });
            }
        }
    }
}

/// Whether a directory is at this path below a mount of ours. No server is asked: one that never answers would be waited for without end,
/// and nothing interrupts that. Where the way leads through one's files, it counts as being there.
fn is_at(own: &[Line<'_>], mount: &Line<'_>, rest: &Path, directory: (u64, u64)) -> bool {
    if own.iter().any(|other| other.is_remote && mount.point.starts_with(&other.point)) {
        return true;
    }
    let as_path = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(top) = open(&mount.point, as_path, Mode::empty()) else { return false };
    // Below it lies the same file system, and nothing that is mounted there.
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
    let found = openat2(&top, rest, as_path, Mode::empty(), inside).and_then(|found| fstat(&found));
    found.is_ok_and(|found| (found.st_dev, found.st_ino) == directory)
}

/// The directory that `line`'s mount point lies in: the file system's device, and the path there.
fn lies_in<'a>(line: &Line<'_>, below: &Line<'a>) -> Option<(&'a str, PathBuf)> {
    let inside = line.point.strip_prefix(&below.point).ok()?;
    Some((below.device, below.root.join(inside).parent().map(Path::to_path_buf)?))
}
