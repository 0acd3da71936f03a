//! What the caller names of the host is no home, unless that is meant.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Statx, StatxFlags, openat, statx};
use seclude_request::Remedy;

use super::show::path_of;
use crate::advice::Hint;
use crate::error::{Error, Result};
use crate::places::{Places, identity_of, is_or_is_above};

/// Fails if it is a home, or has one below it: by what it is, as a symlink, or a mount, can have any name.
pub(crate) fn is_no_home(
    step: &'static str,
    path: &Path,
    opened: Option<&OwnedFd>,
    found: &Statx,
    places: &Places,
) -> Result<()> {
    let failed = |error| Error::parent(step, format!("{}", path.display()), error).call("statx").path_of(path);
    let real = || opened.and_then(|opened| path_of(opened).ok());
    let shows = is_or_is_above(identity_of(found), &places.homes).map_err(failed)?
        || real().is_some_and(|path| places.has_a_home_below(&path) || shows_by_other_mounts(&path, places));
    if !shows {
        return Ok(());
    }
    let action = format!("{} would show a home, with all keys in it", path.display());
    let hint = Hint::from("show the directory of the project instead, or say that the whole home is meant");
    Err(Error::invalid(step, action).hint(hint.with([Remedy::set("whole_home", true)])))
}

/// Whether what the host has there would be refused, as it is now; of what cannot be opened its name tells.
pub(crate) fn shows_a_home(path: &Path, places: &Places) -> bool {
    let looked = || {
        let opened = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let found =
            statx(&opened, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::BASIC_STATS).ok()?;
        Some(is_no_home("", path, Some(&opened), &found, places).is_err())
    };
    looked().unwrap_or_else(|| places.has_a_home_below(path))
}

fn shows_by_other_mounts(path: &Path, places: &Places) -> bool {
    // Where it cannot be read there are no mounts to be told apart.
    let mountinfo = crate::mounts::mountinfo("/proc/self/mountinfo");
    mountinfo.is_ok_and(|mountinfo| places.seen_by_other_mounts(&mountinfo, path).0)
}
