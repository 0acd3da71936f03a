//! Whose a cgroup of somebody else's choice is: a word on its directory, which one alone can be the first to write, xattr(7).

use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

use crate::Error;
use crate::dir::Dir;

/// Root's, and where that takes rights over the host, a user's (Linux 5.7).
const NAMES: [&str; 2] = ["trusted.seclude", "user.seclude"];
/// Longer than any.
const LONGEST: usize = 256;

/// Writes it; false if nothing can be written there.
pub(crate) fn claim(dir: &Dir, mark: &str) -> Result<bool, Error> {
    for name in NAMES {
        match fsetxattr(dir.fd(), name, mark.as_bytes(), XattrFlags::CREATE) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) if is(dir, name, mark) == Some(true) => return Ok(true),
            Err(Errno::EXIST) => {
                let reason = "it is another container's";
                return Err(Error::CannotBeJoined { path: dir.path().to_owned(), reason });
            }
            Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => {}
            Err(errno) => return Err(Error::from_call("fsetxattr", dir.path(), errno)),
        }
    }
    Ok(false)
}

/// Whether it has this one; `None` if it has none that can be seen.
pub(crate) fn has(dir: &Dir, mark: &str) -> Option<bool> {
    NAMES.into_iter().find_map(|name| is(dir, name, mark))
}

/// Takes away this one, and no other.
pub(crate) fn clear(dir: &Dir, mark: &str) {
    for name in NAMES {
        if is(dir, name, mark) == Some(true) {
            // It goes with the cgroup at the latest.
            let _ = fremovexattr(dir.fd(), name);
        }
    }
}

fn is(dir: &Dir, name: &str, mark: &str) -> Option<bool> {
    let mut found = [0; LONGEST];
    let length = fgetxattr(dir.fd(), name, &mut found).ok()?;
    Some(found.get(..length) == Some(mark.as_bytes()))
}
