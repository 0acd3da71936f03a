//! What is mounted where in the caller's tree, proc_pid_mountinfo(5).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::{Error, Result};

/// File systems that are views of the kernel: nothing in them can be copied up.
const VIEWS: [&str; 19] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// File systems without a block device of their own that are of this machine all the same; behind any other such may be a server.
const LOCAL: [&str; 7] = ["tmpfs", "ramfs", "overlay", "btrfs", "bcachefs", "zfs", "rootfs"];

/// Whether no server is asked for what is in a file system of this type, which has no block device.
pub(crate) fn is_local(kind: &str) -> bool {
    // A look into an autofs mounts what it stands for.
    LOCAL.contains(&kind) || (VIEWS.contains(&kind) && kind != "autofs")
}

/// Mount points, and which of them are views of the kernel.
pub(crate) struct Mounts {
    points: BTreeSet<PathBuf>,
    views: BTreeSet<PathBuf>,
    /// Those of servers, but for `/`: where that one is dead nothing works.
    remote: BTreeSet<PathBuf>,
    /// As stat(2) has them, with the type of each file system.
    pub(crate) devices: BTreeMap<u64, String>,
}

/// Whether a mount has peers, mount_namespaces(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shared {
    Both,
    /// It is a slave.
    Received,
    Not,
}

impl Mounts {
    /// Of the mount with this number.
    pub(crate) fn propagation_of(step: &'static str, id: u64) -> Result<Shared> {
        const FILE: &str = "/proc/self/mountinfo";
        let text = mountinfo(FILE);
        let text = text.map_err(|error| Error::parent(step, format!("read {FILE}"), error).path_of(FILE))?;
        let line = text.lines().find(|line| line.split(' ').next().is_some_and(|own| own.parse() == Ok(id)));
        let (front, _) = line.and_then(|line| line.split_once(" - ")).unwrap_or_default();
        let has = |tag: &str| front.split(' ').skip(6).any(|field| field.starts_with(tag));
        Ok(match (has("shared:"), has("master:")) {
            (true, _) => Shared::Both,
            (false, true) => Shared::Received,
            _ => Shared::Not,
        })
    }

    /// Those of this process; `step` is named if they cannot be read.
    pub(crate) fn read(step: &'static str) -> Result<Mounts> {
        const FILE: &str = "/proc/self/mountinfo";
        let text = mountinfo(FILE);
        text.map(|text| Mounts::parse(&text))
            .map_err(|error| Error::parent(step, format!("read {FILE}"), error).path_of(FILE))
    }

    fn parse(mountinfo: &str) -> Mounts {
        let mut mounts = Mounts {
            points: BTreeSet::new(),
            views: BTreeSet::new(),
            remote: BTreeSet::new(),
            devices: BTreeMap::new(),
        };
        for line in mountinfo.lines() {
            let (front, back) = line.split_once(" - ").unwrap_or((line, ""));
            let Some(point) = front.split(' ').nth(4).map(unescape) else { continue };
            let kind = back.split(' ').next().unwrap_or_default();
            let device = front.split(' ').nth(2).and_then(|device| device.split_once(':'));
            if let Some((Ok(major), Ok(minor))) = device.map(|(major, minor)| (major.parse(), minor.parse())) {
                mounts.devices.insert(rustix::fs::makedev(major, minor), kind.to_owned());
                if major == 0 && !is_local(kind) && point != Path::new("/") {
                    mounts.remote.insert(point.clone());
                }
            }
            // The last one mounted on a point is the one that is seen.
            if VIEWS.contains(&kind) {
                mounts.views.insert(point.clone())
            } else {
                mounts.views.remove(&point)
            };
            mounts.points.insert(point);
        }
        mounts
    }

    pub(crate) fn is_point(&self, path: &Path) -> bool {
        self.points.contains(path)
    }

    /// Whether a view of the kernel is mounted there.
    pub(crate) fn is_view(&self, path: &Path) -> bool {
        self.views.contains(path)
    }

    /// Whether the way to it leads through the files of a server, who may never answer: nothing interrupts that.
    pub(crate) fn is_behind_a_server(&self, path: &Path) -> bool {
        self.remote.iter().any(|point| point != path && path.starts_with(point))
    }

    /// Whether a file system of a server is mounted there.
    pub(crate) fn is_remote(&self, path: &Path) -> bool {
        self.remote.contains(path)
    }

    /// The mount points below it, each before those below itself.
    pub(crate) fn below(&self, path: &Path) -> Vec<PathBuf> {
        let below = self.points.range(path.to_path_buf()..).take_while(|point| point.starts_with(path));
        below.filter(|point| *point != path).cloned().collect()
    }

    /// Whether anything is mounted below it.
    pub(crate) fn any_below(&self, path: &Path) -> bool {
        self.points.range(path.to_path_buf()..).take_while(|point| point.starts_with(path)).any(|point| point != path)
    }
}

/// One of the kernel's lists of mounts. Bytes that are no UTF-8, which it writes as they are, are octal like a space: [`unescape`] has them
/// back.
pub(crate) fn mountinfo(file: impl AsRef<Path>) -> io::Result<String> {
    Ok(as_text(&fs::read(file)?))
}

fn as_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\{byte:03o}");
        }
    }
    text
}

/// Space, tab, newline and backslash are octal there.
pub(crate) fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, octal.and_then(|digits| u8::from_str_radix(digits, 8).ok())) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn mount_points_are_unescaped_and_found_below_their_directories_only() {
        let mounts = Mounts::parse(
            "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /var/lib/a\\040b rw shared:1 - tmpfs t rw\n\
             3 1 0:6 / /proc rw - proc p rw\n4 1 8:2 / /varnish rw - ext4 /dev/b rw",
        );
        assert!(mounts.any_below(Path::new("/var")));
        assert!(mounts.points.contains(Path::new("/var/lib/a b")));
        assert!(!mounts.any_below(Path::new("/varnish")));
        assert!(!mounts.any_below(Path::new("/usr")));
        assert!(mounts.views.contains(Path::new("/proc")));
        assert_eq!(unescape(r"a\134b").as_os_str().as_bytes(), br"a\b");
    }

    #[test]
    fn mount_points_may_be_in_any_encoding() {
        let latin = as_text(b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /media/M\xfcller\\040b rw - tmpfs t rw\n");
        let mounts = Mounts::parse(&latin);
        let names: Vec<&[u8]> = mounts.points.iter().map(|point| point.as_os_str().as_bytes()).collect();
        assert_eq!(names, [&b"/"[..], b"/media/M\xfcller b"]);
        assert_eq!(as_text("/media/Müller".as_bytes()), "/media/Müller");
    }
}
