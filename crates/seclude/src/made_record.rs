//! What was made on the host for mounts, written down for whoever comes after a spawner that was killed or left its container running.
//!
//! A record is a file that its writer alone can open, gone with a restart of the machine: below /run/seclude for root, below the user's own
//! runtime directory otherwise. Where there is neither nothing is written down, as in any other place the command could be given write
//! access to it, and so have something removed. It says where things are and what they are; who finds it goes there by descriptor, removes what is
//! still the same and empty, and only once it has the locks alone that the container shares as long as it lives (`mount_points.rs`).

use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, ResolveFlags, flock, fstat, mkdirat, open, openat,
    openat2, unlinkat,
};
use rustix::io::{Errno, pread, write};
use rustix::process::geteuid;

use crate::mount_point::{Identity, MOUNTED_ON, MountPoint, remove_unless_mounted_on};
use crate::mounts::Mounts;

const OWN: &str = "seclude";
const RECORDS: &str = "mount-points";
/// A thousand mount points with the longest of paths.
const LONGEST: usize = 4 << 20;
/// The last user of the directory may remove it at the same moment.
const TRIES: usize = 16;
const AS_DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// One line of a record.
#[derive(PartialEq, Eq, Debug)]
enum Entry {
    /// The mount namespace in which the paths are meant.
    Namespace(u64),
    /// A directory whose lock the container shares.
    Shared {
        place: (u64, u64),
        path: PathBuf,
    },
    Made {
        directory: (u64, u64),
        identity: Identity,
        path: PathBuf,
    },
}

impl Entry {
    /// Each ends with a NUL, which no path has.
    fn encode(&self) -> Vec<u8> {
        let (head, path) = match self {
            Entry::Namespace(number) => (format!("namespace {number}"), Path::new("")),
            Entry::Shared { place: (device, inode), path } => (format!("shared {device} {inode} "), path.as_path()),
            Entry::Made { directory: (device, inode), identity, path } => {
                let Identity { place: (own_device, own_inode), born } = identity;
                let (seconds, nanoseconds) = born.unwrap_or_default();
                (format!("made {device} {inode} {own_device} {own_inode} {seconds} {nanoseconds} "), path.as_path())
            }
        };
        [head.as_bytes(), path.as_os_str().as_bytes(), b"\0"].concat()
    }

    fn decode(line: &[u8]) -> Option<Entry> {
        let fields = |count| line.splitn(count, |byte| *byte == b' ').skip(1);
        fn number<T: std::str::FromStr>(field: Option<&[u8]>) -> Option<T> {
            std::str::from_utf8(field?).ok()?.parse().ok()
        }
        let path = |field: Option<&[u8]>| {
            let path = PathBuf::from(OsString::from_vec(field?.to_vec()));
            path.is_absolute().then_some(path)
        };
        Some(match line.split(|byte| *byte == b' ').next()? {
            b"namespace" => Entry::Namespace(number(fields(2).next())?),
            b"shared" => {
                let mut fields = fields(4);
                Entry::Shared { place: (number(fields.next())?, number(fields.next())?), path: path(fields.next())? }
            }
            b"made" => {
                let mut fields = fields(8);
                let directory = (number(fields.next())?, number(fields.next())?);
                let place = (number(fields.next())?, number(fields.next())?);
                let born = (number(fields.next())?, number(fields.next())?);
                let identity = Identity { place, born: (born != (0, 0)).then_some(born) };
                Entry::Made { directory, identity, path: path(fields.next())? }
            }
            _ => return None,
        })
    }
}

/// What one container has made, as long as somebody may have to look for it.
pub(crate) struct Record {
    directory: OwnedFd,
    name: String,
    file: OwnedFd,
}

impl Record {
    /// `shared`: what the container has locks on. `None` where it could not be relied on.
    pub(crate) fn begin(shared: &[Arc<OwnedFd>]) -> Option<Record> {
        let directory = own_directory(true)?;
        let name = format!("{:016x}", RandomState::new().build_hasher().finish());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(&directory, name.as_str(), flags, Mode::RUSR | Mode::WUSR).ok()?;
        // As long as its writer is there, it is for that one.
        let is_locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let record = Record { directory, name, file };
        let shared = shared.iter().map(|shared| {
            let found = fstat(shared).ok()?;
            Some(Entry::Shared { place: (found.st_dev, found.st_ino), path: path_of(shared)? })
        });
        let entries: Option<Vec<Entry>> =
            std::iter::once(own_namespace().map(Entry::Namespace)).chain(shared).collect();
        let written = is_locked && entries.is_some_and(|entries| entries.iter().all(|entry| record.write(entry)));
        if written {
            return Some(record);
        }
        record.remove();
        None
    }

    /// `path`: where it is on the host.
    pub(crate) fn add(&self, directory: (u64, u64), identity: Identity, path: PathBuf) {
        let _ = self.write(&Entry::Made { directory, identity, path });
    }

    fn write(&self, entry: &Entry) -> bool {
        let bytes = entry.encode();
        write(&self.file, &bytes).is_ok_and(|written| written == bytes.len())
    }

    pub(crate) fn remove(self) {
        let _ = unlinkat(&self.directory, self.name.as_str(), AtFlags::empty());
        remove_own_directory();
    }
}

/// Where on the host a directory is that is known by device and inode: below one of `shared`, and by some end of the path that the
/// container has for it.
///
/// `further`: by mounts of other file systems as well, whose servers may not answer.
pub(crate) fn find_on_host(
    shared: &[Arc<OwnedFd>],
    directory: (u64, u64),
    inside: &OsStr,
    further: bool,
) -> Option<OwnedFd> {
    let inside = Path::new(inside);
    let components: Vec<_> = inside.components().collect();
    let ends = || (0..=components.len()).map(|from| components.iter().skip(from).collect::<PathBuf>());
    shared.iter().find_map(|shared| {
        ends().find_map(|end| {
            let end = if end.as_os_str().is_empty() { Path::new(".") } else { end.as_path() };
            let leash = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let leash = if further { leash } else { leash | ResolveFlags::NO_XDEV };
            let found = openat2(shared, end, AS_DIRECTORY, Mode::empty(), leash).ok()?;
            let status = fstat(&found).ok()?;
            ((status.st_dev, status.st_ino) == directory).then_some(found)
        })
    })
}

pub(crate) fn path_of(file: &OwnedFd) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    path.is_absolute().then_some(path)
}

fn own_namespace() -> Option<u64> {
    let name = std::fs::read_link("/proc/self/ns/mnt").ok()?;
    name.to_str()?.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok()
}

/// What the records of this user lie in: /run, or the user's runtime directory.
fn base() -> Option<OwnedFd> {
    let user = geteuid();
    if user.is_root() {
        return open("/run", AS_DIRECTORY, Mode::empty()).ok();
    }
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let path = named.unwrap_or_else(|| format!("/run/user/{}", user.as_raw()).into());
    let directory = openat(CWD, &path, AS_DIRECTORY, Mode::empty()).ok()?;
    is_private(&directory).then_some(directory)
}

/// Whether nobody else may write in it.
fn is_private(directory: &OwnedFd) -> bool {
    fstat(directory).is_ok_and(|found| {
        found.st_uid == geteuid().as_raw() && !Mode::from_raw_mode(found.st_mode).intersects(Mode::WGRP | Mode::WOTH)
    })
}

/// What the records lie in, made if it is not there and `make` says so.
fn own_directory(make: bool) -> Option<OwnedFd> {
    let base = base()?;
    for _ in 0..TRIES {
        let below = |above: &OwnedFd, name: &str| -> Result<OwnedFd, Errno> {
            match make.then(|| mkdirat(above, name, Mode::RWXU)) {
                None | Some(Ok(()) | Err(Errno::EXIST)) => {}
                Some(Err(errno)) => return Err(errno),
            }
            openat(above, name, AS_DIRECTORY, Mode::empty())
        };
        let opened = below(&base, OWN).and_then(|own| match is_private(&own) {
            true => below(&own, RECORDS),
            false => Err(Errno::PERM),
        });
        match opened {
            Ok(directory) => return is_private(&directory).then_some(directory),
            Err(Errno::NOENT) if make => {}
            Err(_) => return None,
        }
    }
    None
}

/// Only empty ones go.
fn remove_own_directory() {
    let Some(base) = base() else { return };
    let Ok(own) = openat(&base, OWN, AS_DIRECTORY, Mode::empty()) else { return };
    let _ = unlinkat(&own, RECORDS, AtFlags::REMOVEDIR);
    let _ = unlinkat(&base, OWN, AtFlags::REMOVEDIR);
}

/// Sweeps before the first start of this process.
pub(crate) fn sweep_once() {
    // (A `Once` that another thread is in while this one forks would be waited for without end.)
    static SWEPT: AtomicBool = AtomicBool::new(false);
    if !SWEPT.swap(true, Ordering::Relaxed) {
        drop(sweep(Some(PATIENCE)));
        // Links and rules are root's to make.
        if geteuid().is_root() {
            seclude_net::sweep_if_left();
        }
    }
}

/// How long a start looks: where the mounts of the machine take long to read, each record does.
const PATIENCE: Duration = Duration::from_secs(2);

/// Removes what containers have left that are over, as far as it is found within this time; answers what.
pub(crate) fn sweep(within: Option<Duration>) -> Vec<String> {
    let began = Instant::now();
    let mut removed = Vec::new();
    let Some(directory) = own_directory(false) else { return removed };
    let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(entries) = openat(&directory, c".", readable, Mode::empty()).and_then(Dir::new) else { return removed };
    for entry in entries.flatten() {
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if within.is_some_and(|within| began.elapsed() > within) {
            break;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let Ok(file) = openat(&directory, entry.file_name(), flags, Mode::empty()) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let Some(entries) = read(&file) else { continue };
        if settle(&entries, &mut removed) {
            let _ = unlinkat(&directory, entry.file_name(), AtFlags::empty());
        }
    }
    drop(directory);
    remove_own_directory();
    removed
}

fn read(file: &OwnedFd) -> Option<Vec<Entry>> {
    let found = fstat(file).ok()?;
    let length = usize::try_from(found.st_size).ok().filter(|length| *length <= LONGEST)?;
    let is_own = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_uid == geteuid().as_raw();
    if !is_own {
        return None;
    }
    let mut bytes = vec![0; length];
    let read = pread(file, &mut bytes[..], 0).ok()?;
    // What has no NUL yet is being written.
    let whole = bytes.get(..read)?.split_inclusive(|byte| *byte == 0).filter_map(|line| line.strip_suffix(b"\0"));
    Some(whole.filter_map(Entry::decode).collect())
}

/// Whether a process that can be seen is in this mount namespace.
fn is_in_use(namespace: u64) -> bool {
    let name = PathBuf::from(format!("mnt:[{namespace}]"));
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .map(|entry| entry.path().join("ns/mnt"))
        .any(|link| std::fs::read_link(link).is_ok_and(|found| found == name))
}

/// Whether nothing of it is left to be done.
fn settle(entries: &[Entry], removed: &mut Vec<String>) -> bool {
    // In another mount namespace the paths may lead elsewhere.
    let is_for_nobody_else = || {
        let namespace =
            entries.iter().find_map(|entry| if let Entry::Namespace(number) = entry { Some(*number) } else { None });
        namespace.is_none_or(|namespace| Some(namespace) == own_namespace() || !is_in_use(namespace))
    };
    // Nothing interrupts a question to a server that does not answer.
    let Ok(mounts) = Mounts::read("mount") else { return false };
    let open = |path: &Path, place: (u64, u64), flags: OFlags| {
        let asks_a_server = mounts.is_behind_a_server(path) || mounts.is_remote(path);
        let leash = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | flags;
        let found = if asks_a_server { None } else { openat2(CWD, path, flags, Mode::empty(), leash).ok() };
        found.filter(|found| fstat(found).is_ok_and(|found| (found.st_dev, found.st_ino) == place))
    };
    let mut locks = Vec::new();
    for entry in entries {
        let Entry::Shared { place, path } = entry else { continue };
        // One that has gone has taken its mount points along.
        let Some(lock) = open(path, *place, OFlags::RDONLY) else { return is_for_nobody_else() };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return false;
        }
        locks.push(lock);
    }
    let points = entries.iter().filter_map(|entry| {
        let Entry::Made { directory, identity, path } = entry else { return None };
        let opened = open(path.parent()?, *directory, OFlags::PATH)?;
        Some(MountPoint::found(opened, *identity, path))
    });
    let points: Vec<MountPoint> = points.collect();
    let mut in_use = false;
    for (point, answer) in remove_unless_mounted_on(&points) {
        match answer {
            Ok(true) => removed.push(format!("mount point {}", point.shown)),
            Ok(false) => {}
            Err(why) => in_use |= why == MOUNTED_ON,
        }
    }
    !in_use
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let path = PathBuf::from(OsString::from_vec(b"/a b/\xff\nc".to_vec()));
        let identity = Identity { place: (3, 4), born: Some((-5, 6)) };
        for entry in [
            Entry::Namespace(7),
            Entry::Shared { place: (1, 2), path: path.clone() },
            Entry::Made { directory: (1, 2), identity, path: path.clone() },
            Entry::Made { directory: (1, 2), identity: Identity { born: None, ..identity }, path },
        ] {
            let bytes = entry.encode();
            assert_eq!(Entry::decode(bytes.strip_suffix(b"\0").unwrap()), Some(entry));
        }
        for broken in ["", "made", "made 1 2 3 4 5 6 relative", "made 1 2 3 4 5 /x", "shared 1 x /x", "other 1"] {
            assert_eq!(Entry::decode(broken.as_bytes()), None, "{broken}");
        }
    }
}
