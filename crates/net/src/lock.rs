//! One file of locks: who uses which address, bridge, table. The kernel takes them back from a process that dies.
//!
//! They are open file description locks on single bytes, fcntl(2): they belong to the descriptor and not to the
//! process, so every container of one process has its own; its offsets are the names. What is written to it are the numbers of network
//! namespaces in which containers were left running: whoever comes next, for whatever, has something to look after there.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use seclude_sys::file::{ByteLock, lock_byte};

use crate::wait::{PATIENCE, Wait};
use crate::{Error, private};

pub(crate) const DIRECTORY: &str = "/run/seclude";
const FILE: &str = "/run/seclude/net.lock";
const FILE_NAME: &str = "net.lock";
const DIRECTORY_NAME: &str = "seclude";

/// What a lock is about, in one network namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Write: whose address it is.
    Address(Ipv4Addr),
    /// Read: whoever uses the bridge of ours with that network; write: whoever removes it.
    Bridge(Ipv4Addr),
    /// The same of a bridge that was given, by its index.
    Given(u32),
    /// The same of our nf_tables table and of IP forwarding.
    Table,
    /// Write: whoever makes a bridge.
    Maker,
}

pub(crate) struct Locks {
    file: OwnedFd,
    /// The file's directory: whoever drops this may see another one of that name.
    directory: OwnedFd,
    namespace_fd: OwnedFd,
    namespace: u64,
}

impl Locks {
    /// For the network namespace of the calling thread.
    pub(crate) fn open() -> Result<Locks, Error> {
        let (namespace_fd, namespace) = own_namespace()?;
        let mut wait = Wait::new(PATIENCE);
        for _ in 0..100 {
            // The last user removed it just now.
            let Some(directory) = private::directory(DIRECTORY)? else { continue };
            // A lease on it would have the opening wait.
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let opened = wait.until_free(FILE, "openat", || {
                match rustix::fs::openat(&directory, FILE_NAME, flags, Mode::RUSR | Mode::WUSR) {
                    Err(Errno::NOENT) => Ok(None),
                    other => other.map(Some),
                }
            });
            let Some(file) = opened.inspect_err(|_| give_up())? else { continue };
            private::check_file(FILE, &file)?;
            let fail = |call| move |errno| Error::from_call(FILE, call, errno);
            wait.until_free(FILE, "flock", || rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared))?;
            // Whoever removes the file has it locked alone: now it is either gone, or stays while we have it.
            let ours = rustix::fs::fstat(&file).map_err(fail("fstat"))?;
            match rustix::fs::statat(&directory, FILE_NAME, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(named) if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) => {
                    return Ok(Locks { file, directory, namespace_fd, namespace });
                }
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::from_call(FILE, "fstatat", errno)),
            }
        }
        Err(Error::from_call(FILE, "open", Errno::BUSY))
    }

    /// The number of the network namespace that they are about.
    pub(crate) fn namespace(&self) -> u64 {
        self.namespace
    }

    /// Does something in that namespace, whichever the calling thread is in.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
        if own_namespace()?.1 == self.namespace {
            return work();
        }
        let enter = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.namespace_fd.as_fd(), kind)
                .map_err(|errno| Error::from_call("network namespace", "setns", errno))?;
            work()
        };
        // A thread of its own, as only threads can be in another namespace, and might not come back from it.
        std::thread::scope(|scope| match std::thread::Builder::new().spawn_scoped(scope, enter) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => Err(Error::from_call("network namespace", "clone", Errno::AGAIN)),
        })
    }

    /// Waits until nobody writes there, though not for ever.
    pub(crate) fn read(&self, place: Place) -> Result<(), Error> {
        Wait::new(PATIENCE).until(FILE, "fcntl", || self.set(ByteLock::Read, place))
    }

    /// Waits until nobody else has any lock there, though not for ever.
    pub(crate) fn write(&self, place: Place) -> Result<(), Error> {
        Wait::new(PATIENCE).until(FILE, "fcntl", || self.set(ByteLock::Write, place))
    }

    /// Answers `false` if somebody else has a lock there.
    pub(crate) fn try_write(&self, place: Place) -> Result<bool, Error> {
        self.set(ByteLock::Write, place)
    }

    pub(crate) fn release(&self, place: Place) -> Result<(), Error> {
        self.set(ByteLock::None, place).map(drop)
    }

    fn set(&self, lock: ByteLock, place: Place) -> Result<bool, Error> {
        let fd = seclude_sys::Fd(self.file.as_raw_fd());
        loop {
            match lock_byte(fd, lock, offset(self.namespace, place)) {
                Ok(()) => return Ok(true),
                Err(seclude_sys::Errno::EINTR) => {}
                Err(seclude_sys::Errno::EAGAIN | seclude_sys::Errno::EACCES) => return Ok(false),
                Err(errno) => {
                    let errno = Errno::from_raw_os_error(i32::from(errno.0));
                    return Err(Error::from_call(FILE, "fcntl", errno));
                }
            }
        }
    }
}

impl Locks {
    /// Those of which it is written down that a container was left there.
    fn left_in(&self) -> Vec<u64> {
        let mut bytes = [0; MOST_LEFT * NUMBER];
        let read = rustix::io::pread(&self.file, &mut bytes[..], 0).unwrap_or(0);
        let (numbers, _) = bytes.get(..read).unwrap_or_default().as_chunks::<NUMBER>();
        numbers.iter().map(|number| u64::from_ne_bytes(*number)).collect()
    }

    /// Writes down that a container is left here without its spawner.
    pub(crate) fn note_left(&self) {
        let known = self.left_in();
        if !known.contains(&self.namespace) && known.len() < MOST_LEFT {
            let at = (known.len() * NUMBER) as u64;
            let _ = rustix::io::pwrite(&self.file, &self.namespace.to_ne_bytes(), at);
        }
    }

    /// Takes that back, and of namespaces that have gone: if nobody else has the file, who might be writing it.
    pub(crate) fn forget_left(&self) {
        let mut known = self.left_in();
        if known.is_empty() || rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return;
        }
        known.retain(|number| *number != self.namespace && is_alive(*number));
        let bytes: Vec<u8> = known.iter().flat_map(|number| number.to_ne_bytes()).collect();
        let _ = rustix::fs::ftruncate(&self.file, bytes.len() as u64);
        let _ = rustix::io::pwrite(&self.file, &bytes, 0);
        let _ = rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockShared);
    }
}

/// Bytes of a namespace's number in the file.
const NUMBER: usize = 8;
/// How many are written down.
const MOST_LEFT: usize = 64;

/// Whether a process that can be seen is in that network namespace.
fn is_alive(namespace: u64) -> bool {
    let name = std::path::PathBuf::from(format!("net:[{namespace}]"));
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .map(|process| process.path().join("ns/net"))
        .any(|link| std::fs::read_link(link).is_ok_and(|found| found == name))
}

/// Whether somebody has left something in the calling thread's network namespace that nobody looks after, as far as a look at the file tells:
/// a container that was left running there, or whatever a process that was killed had.
pub(crate) fn is_left_alone() -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::open(FILE, flags, Mode::empty()) else { return false };
    // Whoever is there looks after what is left when it goes.
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return false;
    }
    let mut bytes = [0; MOST_LEFT * NUMBER];
    let read = rustix::io::pread(&file, &mut bytes[..], 0).unwrap_or(0);
    let (numbers, _) = bytes.get(..read).unwrap_or_default().as_chunks::<NUMBER>();
    let own = own_namespace().map(|(_, number)| number);
    numbers.is_empty() || own.is_ok_and(|own| numbers.contains(&own.to_ne_bytes()))
}

impl Drop for Locks {
    fn drop(&mut self) {
        // The lock is given up before it is asked for again, so that of several that leave, one is alone with it.
        if rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && rustix::fs::fstat(&self.file).is_ok_and(|found| found.st_size == 0)
        {
            let _ = rustix::fs::unlinkat(&self.directory, FILE_NAME, AtFlags::empty());
            if let Ok(above) = rustix::fs::openat(&self.directory, "..", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            {
                let _ = rustix::fs::unlinkat(&above, DIRECTORY_NAME, AtFlags::REMOVEDIR);
            }
        }
        // A child that is between its clone and its exec has a copy of the descriptor.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// Takes the directory away again, which stays if somebody else has files in it.
fn give_up() {
    let _ = rustix::fs::unlinkat(rustix::fs::CWD, DIRECTORY, AtFlags::REMOVEDIR);
}

/// Which byte of the file: three bits of what, 28 of the namespace's inode number, 32 of which.
fn offset(namespace: u64, place: Place) -> u64 {
    let (what, which) = match place {
        Place::Address(address) => (0, address.to_bits()),
        Place::Bridge(network) => (1, network.to_bits()),
        Place::Given(index) => (2, index),
        Place::Table => (3, 0),
        Place::Maker => (4, 0),
    };
    what << 60 | (namespace & 0x0fff_ffff) << 32 | u64::from(which)
}

/// The calling thread's network namespace, and its inode number, namespaces(7).
pub(crate) fn own_namespace() -> Result<(OwnedFd, u64), Error> {
    const LINK: &str = "/proc/thread-self/ns/net";
    let fail = |call| move |errno| Error::from_call(LINK, call, errno);
    let fd = rustix::fs::open(LINK, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail("open"))?;
    let number = rustix::fs::fstat(&fd).map_err(fail("fstat"))?.st_ino;
    Ok((fd, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_byte_of_its_own() {
        let one = Ipv4Addr::new(255, 255, 255, 255);
        let places = [Place::Address(one), Place::Bridge(one), Place::Given(u32::MAX), Place::Table, Place::Maker];
        let mut offsets: Vec<u64> =
            places.iter().flat_map(|place| [offset(u64::MAX, *place), offset(1, *place)]).collect();
        offsets.sort_unstable();
        offsets.dedup();
        assert_eq!(offsets.len(), 10);
        assert!(offsets.iter().all(|offset| i64::try_from(*offset).is_ok()));
    }
}
