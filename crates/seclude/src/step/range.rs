//! Ids of the host that nobody has, for one container as long as it lives.
//!
//! Which ranges are in use by containers is told by locks on bytes of one file, fcntl(2): a byte a range. They are of the open
//! file and not of a process, and the container's init holds it open: so the kernel takes the lock back when the init has ended,
//! whoever was killed before. Where there is no init, the byte itself says so as well: before such a range is given to somebody else,
//! or the file goes, all processes are asked for one that has it still. Nobody waits for such a lock: what somebody else holds is not free.
//!
//! Where there is no /run to have that file in (a chroot, a read-only root), the locks are names of abstract sockets, one a range, which
//! the kernel gives to one at a time in a network namespace.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, open, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};
use seclude_idmap::{GROUP_FILE, IdMap, PASSWD_FILE, Range, SUBGID_FILE, SUBUID_FILE, free_range_in, read_taken};
use seclude_request::Remedy;
use seclude_sys::Fd;
use seclude_sys::file::{ByteLock, lock_byte};

use super::Preparation;
use super::user::NAME;
use crate::advice::Hint;
use crate::error::{Error, Result};
use crate::ledger::Ledger;

const RUN: &str = "/run";
const DIRECTORY: &str = "seclude";
const FILE: &str = "ids.lock";
/// Others are at it at the same moment: each has another range next time.
const TRIES: u64 = 64;
/// How often the file is opened while others remove it: behind the first hundred times a millisecond each. Root alone comes to it.
const PATIENCE: u32 = 1100;
/// How many ids one byte stands for.
const SLOT: u32 = 65536;

/// A range, and what is open as long as it is held: the file of the locks, or the sockets.
pub(super) struct Lease {
    range: Range,
    held: Vec<OwnedFd>,
    /// Whether no init holds it.
    noted: bool,
    /// Whether nobody is left in it at the end: all of a pid namespace end with its first.
    alone: bool,
}

/// A range that no user, no group, nobody's subordinate ids and no container of this function's last look use.
pub(super) fn unused(seed: u64, count: u32) -> Result<Range> {
    let mut taken = Vec::new();
    for (subids, names) in [(SUBUID_FILE, PASSWD_FILE), (SUBGID_FILE, GROUP_FILE)] {
        let found = read_taken(subids, names);
        taken.extend(found.map_err(|error| {
            Error::parent(NAME, format!("read {}", error.path.display()), error.source).path_of(error.path)
        })?);
    }
    let (uids, gids) = (own_map("uid_map")?, own_map("gid_map")?);
    free_range_in(&taken, &uids, &gids, count, seed).ok_or_else(|| {
        Error::invalid(NAME, format!("no {count} ids in a row are free here"))
            .hint(by_other_ids("have the container's root be the host's, or choose the ids yourself"))
    })
}

/// The map of the user namespace that the caller is in.
pub(super) fn own_map(file: &str) -> Result<IdMap> {
    let path = format!("/proc/self/{file}");
    let failed = |error| Error::parent(NAME, format!("read {path}"), error).path_of(&path);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let hint = Errno::from_io_error(&error).and_then(crate::hint::no_proc);
        failed(error).hint_if(hint)
    })?;
    IdMap::parse_kernel_text(&text).map_err(|error| failed(std::io::Error::other(error)))
}

impl Lease {
    /// Without an init, nobody holds it once this process has ended.
    pub(super) fn of_unused(count: u32, init: bool, alone: bool, preparation: &Preparation<'_>) -> Result<Lease> {
        let Lease { range, held, .. } = Lease::taken(count)?;
        // By the same open file it is the same lock.
        let held: rustix::io::Result<Vec<_>> = held.into_iter().map(|held| preparation.lifted(held)).collect();
        let held = held.map_err(|errno| {
            sweep();
            Error::parent(NAME, "the lock on its ids", errno).call("fcntl")
        })?;
        let noted = !init && held.first().is_some_and(|file| note(file, &range, IN_USE));
        Ok(Lease { range, held, noted, alone })
    }

    fn taken(count: u32) -> Result<Lease> {
        let file = match open_file() {
            Ok(file) => file,
            Err(error) => {
                // It may have come as far as the directory.
                sweep();
                // A name says nothing to whoever holds the file: only where nobody could.
                let nobody_can = [Errno::NOENT, Errno::ROFS, Errno::ACCESS, Errno::PERM];
                return match nobody_can.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) {
                    true => Lease::by_name(count, error),
                    false => Err(error),
                };
            }
        };
        match Lease::lock(&file, count) {
            Ok(range) => Ok(Lease { range, held: vec![file], noted: false, alone: false }),
            Err(error) => {
                drop(file);
                sweep();
                Err(error)
            }
        }
    }

    fn lock(file: &OwnedFd, count: u32) -> Result<Range> {
        let fd = Fd(file.as_raw_fd());
        let mut seed = u64::from(std::process::id()) << 32 ^ seclude_sys::process::monotonic_ns();
        for _ in 0..TRIES {
            let range = unused(seed, count)?;
            let slots = slots(&range);
            let locked: Vec<u32> =
                slots.clone().take_while(|slot| lock_byte(fd, ByteLock::Write, u64::from(*slot)).is_ok()).collect();
            if locked.len() == slots.clone().count() && is_left_by_all(file, &range) {
                return Ok(range);
            }
            for slot in locked {
                let _ = lock_byte(fd, ByteLock::None, u64::from(slot));
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        }
        Err(Error::invalid(NAME, format!("no {count} ids in a row are free: every range looked at is in use"))
            .hint(by_choice("it is held by containers that run: end some, or choose the ids yourself")))
    }

    /// `because`: why there is no file.
    fn by_name(count: u32, because: Error) -> Result<Lease> {
        for attempt in 0..TRIES {
            let range = unused(seclude_sys::process::monotonic_ns() ^ attempt << 40, count)?;
            match slots(&range).map(hold_name).collect() {
                Ok(held) => return Ok(Lease { range, held, noted: false, alone: false }),
                Err(Errno::ADDRINUSE) => {}
                Err(_) => return Err(because),
            }
        }
        Err(because)
    }

    pub(super) fn range(&self) -> Range {
        self.range
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.held.iter().map(AsFd::as_fd)
    }

    /// Takes the file away at the end, if nobody else uses it.
    pub(super) fn kept_until_the_end(self: &std::sync::Arc<Lease>, ledger: &mut Ledger) {
        let lease = self.clone();
        ledger.push(format!("lock on ids {}", self.range.start), move || {
            if lease.noted && (lease.alone || !is_mapped(&lease.range)) {
                for file in &lease.held {
                    let _ = note(file, &lease.range, FREE);
                }
            }
            // The steps of a start that has failed still have it open.
            for held in &lease.held {
                let _ = flock(held, FlockOperation::Unlock);
            }
            drop(lease);
            sweep();
            Ok(())
        });
    }
}

/// Removes the file and its directory if nobody uses them.
pub(crate) fn sweep() {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let Ok(run) = open(RUN, flags, Mode::empty()) else { return };
    let Ok(directory) = openat(&run, DIRECTORY, flags, Mode::empty()) else { return };
    if let Ok(file) = openat(&directory, FILE, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) {
        let is_unused = || flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let mut left = is_unused().then(|| noted(&file));
        if left.as_ref().is_some_and(|ranges| !ranges.is_empty()) {
            // To ask all processes takes a while, in which nobody could begin.
            let _ = flock(&file, FlockOperation::Unlock);
            left = left.filter(|ranges| !ranges.iter().any(is_mapped));
            left = left.filter(|ranges| is_unused() && noted(&file) == *ranges);
        }
        if left.is_some() {
            let _ = unlinkat(&directory, FILE, AtFlags::empty());
        }
    }
    // Only an empty one goes.
    let _ = unlinkat(&run, DIRECTORY, AtFlags::REMOVEDIR);
}

/// The bytes, or names, that stand for a range.
fn slots(range: &Range) -> std::ops::RangeInclusive<u32> {
    range.start / SLOT..=(range.start + (range.count - 1)) / SLOT
}

/// What the byte of a range says: that it may be in use though nobody has a lock on it.
const IN_USE: u8 = b'1';
const FREE: u8 = 0;

/// Whether it could be written down. The socket of a range that is held by name takes nothing.
fn note(file: &OwnedFd, range: &Range, byte: u8) -> bool {
    slots(range).all(|slot| rustix::io::pwrite(file, &[byte], u64::from(slot)) == Ok(1))
}

/// Whether the byte says nothing else, or what it says is over.
fn is_left_by_all(file: &OwnedFd, range: &Range) -> bool {
    let mut byte = [FREE];
    let is_noted =
        |slot: u32| rustix::io::pread(file, &mut byte, u64::from(slot)).is_ok_and(|read| read == 1 && byte == [IN_USE]);
    if !slots(range).map(is_noted).fold(false, |any, one| any | one) {
        return true;
    }
    !is_mapped(range) && note(file, range, FREE)
}

/// Each range that is written down.
fn noted(file: &OwnedFd) -> Vec<Range> {
    let mut bytes = vec![0; 1 << 16];
    let read = rustix::io::pread(file, &mut bytes[..], 0).unwrap_or(0);
    let slots = bytes.iter().take(read).zip(0..).filter(|(byte, _)| **byte == IN_USE);
    slots.map(|(_, slot): (&u8, u32)| Range { start: slot * SLOT, count: SLOT }).collect()
}

/// A process's name in it may be any bytes: it is not to be overlooked for that.
fn text_of(file: &std::path::Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned()
}

/// Whether it has ended, and nobody has asked for that yet. One whose first thread has ended looks the same, and goes on by the others.
fn is_dead(process: &std::path::Path) -> bool {
    let stat = text_of(&process.join("stat"));
    let Some((_, rest)) = stat.rsplit_once(") ") else { return true };
    // proc_pid_stat(5): the state is field 3, the number of threads field 20.
    let threads = rest.split_ascii_whitespace().nth(17).and_then(|threads| threads.parse::<u32>().ok());
    rest.starts_with(['Z', 'X']) && threads.is_none_or(|threads| threads < 2)
}

/// Whether one of its own ids is among these: in a user namespace that has no map yet it has those that it had.
fn has_id_of(process: &std::path::Path, range: &Range) -> bool {
    let status = text_of(&process.join("status"));
    let lines = status.lines().filter_map(|line| line.strip_prefix("Uid:").or_else(|| line.strip_prefix("Gid:")));
    let mut ids = lines.flat_map(str::split_ascii_whitespace).filter_map(|id| id.parse::<u32>().ok());
    ids.any(|id| id >= range.start && id - range.start < range.count)
}

/// Whether a process is in a user namespace that has one of these ids, or has one itself, as far as /proc tells.
fn is_mapped(range: &Range) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return true };
    // Of our own namespace the kernel tells the ids outside of it.
    let own = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let has = |entry: std::io::Result<std::fs::DirEntry>| -> Option<bool> {
        let process = entry.ok()?.path();
        let text = std::fs::read_to_string(process.join("uid_map")).ok().filter(|text| *text != own)?;
        if text.trim().is_empty() {
            return Some(has_id_of(&process, range) && !is_dead(&process));
        }
        let map = IdMap::parse_kernel_text(&text).ok()?;
        let meets = |extent: &seclude_idmap::Extent| {
            u64::from(extent.outside) < u64::from(range.start) + u64::from(range.count)
                && u64::from(range.start) < u64::from(extent.outside) + u64::from(extent.count)
        };
        Some(map.extents().iter().any(meets) && !is_dead(&process))
    };
    processes.filter_map(has).any(|has| has)
}

fn hold_name(slot: u32) -> rustix::io::Result<OwnedFd> {
    let file = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    bind(&file, &SocketAddrUnix::new_abstract_name(format!("seclude-ids-{slot}").as_bytes())?)?;
    Ok(file)
}

/// The file, with a lock on all of it that says that it is in use.
fn open_file() -> Result<OwnedFd> {
    let failed = |call: &'static str| {
        move |errno: Errno| {
            Error::parent(NAME, format!("{RUN}/{DIRECTORY}/{FILE}"), errno)
                .call(call)
                .path_of(format!("{RUN}/{DIRECTORY}/{FILE}"))
                // What has run out is told by whoever knows the limit.
                .hint_if((!matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOSPC | Errno::DQUOT)).then(|| {
                    by_other_ids("ranges of ids are held there: have the container's root be the host's, or choose the ids yourself")
                }))
        }
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let run = open(RUN, flags, Mode::empty()).map_err(failed("open"))?;
    for attempt in 0..PATIENCE {
        match rustix::fs::mkdirat(&run, DIRECTORY, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed("mkdirat")(errno)),
        }
        let directory = match openat(&run, DIRECTORY, flags, Mode::empty()) {
            // The last user removed it just now.
            Err(Errno::NOENT) => continue,
            opened => opened.map_err(failed("openat"))?,
        };
        let create = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match openat(&directory, FILE, create, Mode::RUSR | Mode::WUSR) {
            Err(Errno::NOENT) => continue,
            opened => opened.map_err(failed("openat"))?,
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            // Somebody is about to remove it.
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                match attempt {
                    0..100 => std::thread::yield_now(),
                    _ => std::thread::sleep(std::time::Duration::from_millis(1)),
                }
                continue;
            }
            Err(errno) => return Err(failed("flock")(errno)),
        }
        let ours = fstat(&file).map_err(failed("fstat"))?;
        match statat(&directory, FILE, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) => return Ok(file),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("fstatat")(errno)),
        }
    }
    Err(failed("open")(Errno::BUSY))
}

fn by_choice(hint: &str) -> Hint {
    Hint::from(hint).with([Remedy::give("user.uid_map"), Remedy::give("user.gid_map")])
}

fn by_other_ids(hint: &str) -> Hint {
    Hint { remedies: vec![Remedy::set("user.map", "host-root")], text: hint.to_owned() }.with(by_choice(hint).remedies)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_whose_name_is_no_text_is_not_taken_for_one_that_has_ended() {
        let mut named = Command::new("sh");
        named.args(["-c", r"printf '\374)' > /proc/$$/comm; echo; read end"]);
        let mut named = named.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        named.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let process = std::path::PathBuf::from(format!("/proc/{}", named.id()));
        let own = rustix::process::getuid().as_raw();
        assert!(!is_dead(&process) && has_id_of(&process, &Range { start: own, count: 1 }));
        drop(named.stdin.take());
        // Not waited for yet.
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !is_dead(&process) {
            assert!(std::time::Instant::now() < limit, "it never ends");
            std::thread::yield_now();
        }
        named.wait().unwrap();
    }
}
