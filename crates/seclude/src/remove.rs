//! Removing what was made, by descriptor: whatever lies at its path by then may be somebody else's.

use std::collections::hash_map::RandomState;
use std::ffi::{CStr, CString};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, chmodat, fchmod, openat2, renameat, unlinkat};
use rustix::io::Errno;

/// Removes the directory `name` in `parent` with all that is in it. It follows no symlink and leaves its file system by no
/// mount: what is mounted in there is not ours.
pub(crate) fn directory(parent: &OwnedFd, name: &str) -> io::Result<()> {
    directory_until(parent, name, Instant::now() + PATIENCE)
}

fn directory_until(parent: &OwnedFd, name: &str, until: Instant) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // What was deleted inside an overlay has left a whiteout there for the next time.
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let c_name = CString::new(name)?;
    empty(&open(parent, &c_name)?, until)?;
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

fn open(parent: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let leash = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(&parent, name, flags, Mode::empty(), leash) {
        // A running overlay leaves its directory closed even to its owner.
        Err(Errno::ACCESS) => {
            let seen = openat2(&parent, name, flags | OFlags::PATH, Mode::empty(), leash)?;
            // What fchmod(2) cannot do with O_PATH: by the only path that leads to this very directory.
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&seen));
            chmodat(rustix::fs::CWD, path, Mode::RWXU, AtFlags::empty())?;
            Ok(openat2(&parent, name, flags, Mode::empty(), leash)?)
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
fn empty(top: &OwnedFd, until: Instant) -> io::Result<()> {
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
            let below = open(top, &name)?;
            fchmod(&below, Mode::RWXU)?;
            let mut deeper = Vec::new();
            unlink_all(&below, until, |name| deeper.push(name.to_owned()))?;
            for inner in deeper {
                // Its own ".." changes: that takes the right to write to it.
                fchmod(open(&below, &inner)?, Mode::RWXU)?;
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
        small.spawn(move || directory_until(&parent, &name, until).unwrap()).unwrap().join().unwrap();
        assert!(!path.exists());
    }
}
