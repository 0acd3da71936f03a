//! Removing what was made, by descriptor: whatever lies at its path by then may be somebody else's.

use std::collections::hash_map::RandomState;
use std::ffi::{CStr, CString};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, ResolveFlags, Stat, chmodat, fchmod, fstat, openat2, renameat, statat, unlinkat,
};
use rustix::io::Errno;

/// A directory to be removed with all that is in it. Whoever may write beside it can have put another by its name; and with root's rights what
/// was moved into it would go, also what the mover itself may not touch.
pub(crate) struct Directory<'a> {
    pub(crate) parent: &'a OwnedFd,
    pub(crate) name: &'a str,
    pub(crate) known: Known<'a>,
}

/// What it is known by, and whose directories are emptied in it: who put something there could have done no more with its own.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    /// It is open, so nothing else goes by its name. What is in it is of this user, who is the command.
    Made(&'a OwnedFd, u32),
    /// It is of one of these users, and what is in it of the same.
    OneOf(&'a [u32]),
}

impl Directory<'_> {
    /// It follows no symlink and leaves its file system by no mount: what is mounted in there is not ours.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.remove_until(Instant::now() + PATIENCE)
    }

    fn remove_until(&self, until: Instant) -> io::Result<()> {
        let found = match statat(self.parent, self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            found => found?,
        };
        let owner = self.owner_in(&found)?;
        match unlinkat(self.parent, self.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // What was deleted inside an overlay has left a whiteout there for the next time.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let opened = open(self.parent, &CString::new(self.name)?, found.st_uid)?;
        self.owner_in(&fstat(&opened)?)?;
        empty(&opened, owner, until)?;
        Ok(unlinkat(self.parent, self.name, AtFlags::REMOVEDIR)?)
    }

    /// Whose directories are emptied, if what was found is it.
    fn owner_in(&self, found: &Stat) -> io::Result<u32> {
        match self.known {
            Known::Made(made, owner) => {
                let made = fstat(made)?;
                let is_it = (made.st_dev, made.st_ino) == (found.st_dev, found.st_ino);
                if is_it { Ok(owner) } else { Err(io::Error::other("another lies there by now")) }
            }
            Known::OneOf(owners) if owners.contains(&found.st_uid) => Ok(found.st_uid),
            Known::OneOf(_) => Err(anothers(found)),
        }
    }
}

fn anothers(found: &Stat) -> io::Error {
    io::Error::other(format!("a directory of user {}'s is in its place, or in it", found.st_uid))
}

fn open(parent: impl AsFd, name: &CStr, owner: u32) -> io::Result<OwnedFd> {
    let leash = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let seen = openat2(&parent, name, flags | OFlags::PATH, Mode::empty(), leash)?;
    let found = fstat(&seen)?;
    if found.st_uid != owner {
        return Err(anothers(&found));
    }
    match openat2(&seen, c".", flags, Mode::empty(), leash) {
        // A running overlay leaves its directory closed even to its owner.
        Err(Errno::ACCESS) => {
            // What fchmod(2) cannot do with O_PATH: by the only path that leads to this very directory.
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&seen));
            chmodat(rustix::fs::CWD, path, Mode::RWXU, AtFlags::empty())?;
            Ok(openat2(&seen, c".", flags, Mode::empty(), leash)?)
        }
        opened => Ok(opened?),
    }
}

/// As long as it is worked on: whoever goes on making something there, or has made very much, holds up whoever waits for the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so many entries the clock is looked at.
const AT_A_TIME: usize = 256;

fn in_time(until: Instant) -> io::Result<()> {
    let late = || io::Error::other("there is too much in it, or somebody goes on making more");
    if Instant::now() < until { Ok(()) } else { Err(late()) }
}

/// Without recursion, as whoever filled it chose how deep it is: what is not empty two levels down is lifted to the top, under a name
/// that nobody guesses. So three descriptors do, and little of the stack.
fn empty(top: &OwnedFd, owner: u32, until: Instant) -> io::Result<()> {
    let mut lifted = RandomState::new().build_hasher().finish();
    fchmod(top, Mode::RWXU)?;
    loop {
        in_time(until)?;
        let mut full = Vec::new();
        unlink_all(top, until, |name| full.push(name.to_owned()))?;
        if full.is_empty() {
            return Ok(());
        }
        for name in full {
            in_time(until)?;
            let below = open(top, &name, owner)?;
            fchmod(&below, Mode::RWXU)?;
            let mut deeper = Vec::new();
            unlink_all(&below, until, |name| deeper.push(name.to_owned()))?;
            for inner in deeper {
                // Its own ".." changes: that takes the right to write to it.
                fchmod(open(&below, &inner, owner)?, Mode::RWXU)?;
                lifted = lifted.wrapping_add(1);
                renameat(&below, &inner, top, format!("{lifted:016x}"))?;
            }
            match unlinkat(top, &name, AtFlags::REMOVEDIR) {
                // Somebody goes on making something there: the next round sees that.
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Removes all that can be removed at once, and hands on the directories that are not empty.
fn unlink_all(directory: &OwnedFd, until: Instant, mut full: impl FnMut(&CStr)) -> io::Result<()> {
    for (count, entry) in Dir::read_from(directory)?.enumerate() {
        if count % AT_A_TIME == 0 {
            in_time(until)?;
        }
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => match unlinkat(directory, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY | Errno::EXIST) => full(name),
                Err(errno) => return Err(errno.into()),
            },
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, mkdirat, openat};

    use super::*;

    #[test]
    fn what_is_deep_and_what_has_any_name_goes() {
        let above = std::env::temp_dir();
        let name = format!("seclude-test-remove-{}", std::process::id());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = openat(CWD, &above, flags, Mode::empty()).unwrap();
        mkdirat(&parent, name.as_str(), Mode::RWXU).unwrap();
        let mut deepest = openat(&parent, name.as_str(), flags, Mode::empty()).unwrap();
        mkdirat(&deepest, c"\xff\xfe", Mode::RWXU).unwrap();
        mkdirat(&deepest, c"\xff\xfe/full", Mode::RWXU).unwrap();
        for _ in 0..5000 {
            mkdirat(&deepest, c"d", Mode::RWXU).unwrap();
            openat(&deepest, c"f", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
            deepest = openat(&deepest, c"d", flags, Mode::empty()).unwrap();
        }
        drop(deepest);
        // As little of the stack as a thread can have.
        let (path, small) = (above.join(&name), std::thread::Builder::new().stack_size(64 * 1024));
        let until = Instant::now() + Duration::from_secs(600);
        let owners = [rustix::process::geteuid().as_raw()];
        let work = move || {
            Directory { parent: &parent, name: &name, known: Known::OneOf(&owners) }.remove_until(until).unwrap();
        };
        small.spawn(work).unwrap().join().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_anothers_or_lies_there_instead_stays() {
        let above = std::env::temp_dir().join(format!("seclude-test-remove-others-{}", std::process::id()));
        let make = |name: &str| std::fs::create_dir_all(above.join(name)).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        make("made/in/it");
        make("other/in/it");
        let parent = openat(CWD, &above, flags, Mode::empty()).unwrap();
        let made = openat(&parent, "made", flags, Mode::empty()).unwrap();
        let own = rustix::process::geteuid().as_raw();
        let others = [own + 1];
        let remove = |name, known| Directory { parent: &parent, name, known }.remove();
        let is_there = |path: &str| above.join(path).exists();
        assert!(remove("other", Known::Made(&made, own)).is_err() && is_there("other/in/it"));
        assert!(remove("made", Known::Made(&made, own + 1)).is_err() && is_there("made/in/it"));
        assert!(remove("made", Known::OneOf(&others)).is_err() && is_there("made/in/it"));
        if own == 0 {
            // Each user's alone: what the other could not have emptied stays.
            std::os::unix::fs::chown(above.join("made/in"), Some(1), None).unwrap();
            for known in [Known::Made(&made, 0), Known::OneOf(&[0, 1])] {
                assert!(remove("made", known).is_err() && is_there("made/in/it"));
            }
            std::os::unix::fs::chown(above.join("made/in"), Some(0), None).unwrap();
        }
        assert!(remove("made", Known::Made(&made, own)).is_ok() && !is_there("made"));
        std::fs::remove_dir_all(&above).unwrap();
    }
}
