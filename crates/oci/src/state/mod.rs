//! What is known of containers between one command and the next: a directory each, and who works on it holds a lock on that, flock(2).

mod identity;
mod record;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

pub(crate) use identity::{Identity, parent_of};
pub(crate) use record::{CgroupIs, Record, State, Status};

use crate::failure::{Failure, Result};
use crate::spec::Spec;

/// How long another command that works on the same container is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// As others have it.
const LONGEST_ID: usize = 1024;
const RECORD: &str = "state.json";
const CONFIG: &str = "config.json";
/// Who works on it: its process, as long as it has the lock.
const WORKER: &str = "worker.json";
/// Where a created container waits to be started.
pub(crate) const SOCKET: &str = "start.sock";

/// All containers of one root.
pub(crate) struct Store {
    /// `None`: there is no root, and no container.
    dir: Option<OwnedFd>,
    path: PathBuf,
}

/// One container's directory; locked, unless it was only looked up.
pub(crate) struct Entry {
    dir: OwnedFd,
    pub(crate) id: String,
    above: OwnedFd,
    is_mine: bool,
}

/// Whether it can be the name of a container.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let shown: String = id.chars().take(64).collect();
    let wrong = |why: &str| Err(Failure::new(format!("container id {shown:?}: {why}")));
    if id.is_empty() {
        return wrong("it is empty");
    }
    if id.len() > LONGEST_ID {
        return wrong("it has more than 1024 bytes");
    }
    if matches!(id, "." | "..") {
        return wrong("it is a name of every directory");
    }
    match id.chars().find(|c| !(c.is_ascii_alphanumeric() || "_+-.".contains(*c))) {
        None => Ok(()),
        Some(other) => {
            wrong(&format!("invalid character `{other}` in the ID: it may have letters, digits, and _ + - . in it"))
        }
    }
}

impl Store {
    /// Opens the root as it is: whoever only asks makes nothing.
    pub(crate) fn open(path: &Path) -> Result<Store> {
        let dir = match openat(CWD, path, DIRECTORY, Mode::empty()) {
            Ok(dir) => Some(dir),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(Failure::of(format_args!("--root {}", path.display()), errno)),
        };
        Ok(Store { dir, path: path.to_owned() })
    }

    /// The same of one that is to have a container, and is made where it is missing.
    pub(crate) fn make(path: &Path) -> Result<Store> {
        let made =
            std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o711).create(path);
        made.map_err(|error| Failure::of(format_args!("--root {}", path.display()), error))?;
        Store::open(path)
    }

    fn dir(&self) -> Result<&OwnedFd> {
        self.dir.as_ref().ok_or_else(|| Failure::of(format_args!("--root {}", self.path.display()), Errno::NOENT))
    }

    /// A word that no other root of the host has.
    pub(crate) fn mark(&self) -> Result<String> {
        let found = fstat(self.dir()?).map_err(|errno| Failure::of(self.path.display(), errno))?;
        Ok(format!("{:x}-{:x}", found.st_dev, found.st_ino))
    }

    /// A new one, locked.
    pub(crate) fn create(&self, id: &str) -> Result<Entry> {
        check_id(id)?;
        let exists = || Failure::new(format!("container with given ID already exists: {id}"));
        let dir = self.dir()?;
        match mkdirat(dir, id, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(exists()),
            Err(errno) => return Err(Failure::of(self.path.join(id).display(), errno)),
        }
        // Another may have deleted it in between, and a third have made it anew: then it is that one's.
        let entry = match self.lock(id) {
            Ok(entry) => entry,
            Err(failure) => {
                // Nobody is to find a name taken that nobody has. Only an empty one goes, and by a call that needs no descriptor: the lack of
                // those may be why.
                let _ = unlinkat(dir, id, AtFlags::REMOVEDIR);
                return Err(failure);
            }
        };
        match entry.read(CONFIG) {
            Ok(None) => Ok(entry),
            Ok(Some(_)) => Err(exists()),
            Err(failure) => {
                entry.abandon();
                Err(failure)
            }
        }
    }

    /// One that is there, locked: nobody else changes anything of it meanwhile.
    pub(crate) fn lock(&self, id: &str) -> Result<Entry> {
        self.lock_beside(id, |_, _| Ok(()))
    }

    /// The same with something that is done with each look that finds another at work, and knows for how long it was waited.
    pub(crate) fn lock_beside(
        &self,
        id: &str,
        mut beside: impl FnMut(&Entry, Duration) -> Result<()>,
    ) -> Result<Entry> {
        let mut entry = self.look(id)?;
        let began = Instant::now();
        loop {
            match flock(&entry.dir, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK | Errno::INTR) if began.elapsed() < PATIENCE => {
                    if let Some(by) = crate::interrupts::take() {
                        return Err(by);
                    }
                    beside(&entry, began.elapsed())?;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(Errno::WOULDBLOCK) => {
                    return Err(Failure::new(format!("container {id}: another command is at work on it")));
                }
                Err(errno) => return Err(Failure::of(format_args!("container {id}"), errno)),
            }
        }
        entry.is_mine = true;
        if !entry.is_there() {
            return Err(missing(id));
        }
        // Without it `delete --force` waits for this one in vain, at worst; a full file system is no reason not to delete.
        let _ = entry.write_worker();
        Ok(entry)
    }

    /// One that is there, as it is at this moment.
    pub(crate) fn look(&self, id: &str) -> Result<Entry> {
        check_id(id)?;
        let Some(dir) = &self.dir else { return Err(missing(id)) };
        let failed = |errno| Failure::of(format_args!("container {id}"), errno);
        match openat(dir, id, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(own) => {
                let above = rustix::io::fcntl_dupfd_cloexec(dir, 3).map_err(failed)?;
                Ok(Entry { dir: own, id: id.to_owned(), above, is_mine: false })
            }
            Err(Errno::NOENT) => Err(missing(id)),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// All that there are, by their names.
    pub(crate) fn ids(&self) -> Result<Vec<String>> {
        let failed = |errno| Failure::of(self.path.display(), errno);
        let mut ids = Vec::new();
        let Some(dir) = &self.dir else { return Ok(ids) };
        for entry in rustix::fs::Dir::read_from(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if check_id(&name).is_ok() {
                ids.push(name);
            }
        }
        ids.sort();
        Ok(ids)
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn missing(id: &str) -> Failure {
    Failure::new(format!("container does not exist: {id}"))
}

/// Whose creation was killed: to engines, which know it by these words, it is none.
fn never_made(id: &str) -> Failure {
    Failure::new(format!(
        "container does not exist: {id}: its creation came to nothing, and `delete` removes what is left of it"
    ))
}

/// Whether it is one that is not there.
pub(crate) fn is_there(store: &Store, id: &str) -> bool {
    store.look(id).is_ok()
}

impl Entry {
    /// Whether its name still leads to it.
    fn is_there(&self) -> bool {
        let same =
            |one: rustix::fs::Stat, other: rustix::fs::Stat| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
        match (fstat(&self.dir), statat(&self.above, &self.id, AtFlags::SYMLINK_NOFOLLOW)) {
            (Ok(own), Ok(named)) => same(own, named),
            _ => false,
        }
    }

    /// Whether somebody is at work on it.
    pub(crate) fn is_locked(&self) -> bool {
        match flock(&self.dir, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {
                let _ = flock(&self.dir, FlockOperation::Unlock);
                false
            }
            Err(errno) => errno == Errno::WOULDBLOCK,
        }
    }

    /// A word that no other container of the host has as long as this one is there, below whichever root.
    pub(crate) fn mark(&self) -> Result<String> {
        let found = fstat(&self.dir).map_err(|errno| Failure::of(format_args!("container {}", self.id), errno))?;
        Ok(format!("oci-{:x}-{:x}", found.st_dev, found.st_ino))
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// What was written down last; `None` if whoever made it came to nothing.
    pub(crate) fn record(&self) -> Result<Option<Record>> {
        let Some(text) = self.read(RECORD)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|error| Failure::new(format!("{}: {RECORD}: {error}", self.id)))
    }

    /// The same of one that was made.
    pub(crate) fn made(&self) -> Result<Record> {
        self.record()?.ok_or_else(|| never_made(&self.id))
    }

    pub(crate) fn write_record(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record).map_err(|error| Failure::new(error.to_string()))?;
        self.write(RECORD, &text)
    }

    /// The configuration that it was made of.
    pub(crate) fn config(&self) -> Result<Spec> {
        let text = self.read(CONFIG)?.ok_or_else(|| never_made(&self.id))?;
        serde_json::from_slice(&text).map_err(|error| Failure::new(format!("{}: {CONFIG}: {error}", self.id)))
    }

    pub(crate) fn write_config(&self, spec: &Spec) -> Result<()> {
        let text = serde_json::to_vec(spec).map_err(|error| Failure::new(error.to_string()))?;
        self.write(CONFIG, &text)
    }

    /// Whoever has the lock; `None` if that is not known, or it is this process.
    pub(crate) fn worker(&self) -> Result<Option<Identity>> {
        let Some(text) = self.read(WORKER)? else { return Ok(None) };
        let worker: Option<Identity> = serde_json::from_slice(&text).ok();
        Ok(worker.filter(|worker| u32::try_from(worker.pid) != Ok(std::process::id())))
    }

    fn write_worker(&self) -> Result<()> {
        let own = Identity::of(std::process::id() as i32)?;
        let text = serde_json::to_vec(&own).map_err(|error| Failure::new(error.to_string()))?;
        self.write(WORKER, &text)
    }

    /// Whether it waits to be started.
    pub(crate) fn waits(&self) -> bool {
        crate::sockets::is_waited_on(self.dir.as_fd(), SOCKET)
    }

    pub(crate) fn waits_no_more(&self) -> Result<()> {
        match unlinkat(&self.dir, SOCKET, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Failure::of(SOCKET, errno)),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Failure::of(name, errno)),
        };
        let mut text = Vec::new();
        File::from(file).read_to_end(&mut text).map_err(|error| Failure::of(name, error))?;
        Ok(Some(text))
    }

    /// As a whole or not at all, whenever this process ends.
    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        use std::io::Write;
        let other = format!(".{name}");
        let failed = |error| Failure::of(format_args!("container {}: {name}", self.id), error);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file =
            openat(&self.dir, &other, flags, Mode::from_raw_mode(0o600)).map_err(|errno| failed(errno.into()))?;
        File::from(file).write_all(content).map_err(failed)?;
        renameat(&self.dir, &other, &self.dir, name).map_err(|errno| failed(errno.into()))
    }

    /// Removes one that has nothing in it yet but who works on it, without any descriptor more: there may be none left.
    pub(crate) fn abandon(self) {
        for name in [WORKER.to_owned(), format!(".{WORKER}")] {
            let _ = unlinkat(&self.dir, name, AtFlags::empty());
        }
        let _ = unlinkat(&self.above, &self.id, AtFlags::REMOVEDIR);
    }

    /// Removes all of it.
    pub(crate) fn remove(self) -> Result<()> {
        let failed = |errno| Failure::of(format_args!("container {}", self.id), errno);
        for entry in rustix::fs::Dir::read_from(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                unlinkat(&self.dir, entry.file_name(), AtFlags::empty()).map_err(failed)?;
            }
        }
        unlinkat(&self.above, &self.id, AtFlags::REMOVEDIR).map_err(failed)
    }
}

impl Drop for Entry {
    /// Before the lock goes: from here on this process is at work on something else.
    fn drop(&mut self) {
        if self.is_mine {
            let _ = unlinkat(&self.dir, WORKER, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_way_elsewhere_is_none() {
        for good in ["a", "A_b+c-d.e", "0", "..a"] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "/", "a b", "a\0", "ä"] {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
        assert!(check_id(&"x".repeat(1024)).is_ok() && check_id(&"x".repeat(2000)).is_err());
    }
}
