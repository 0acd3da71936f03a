//! What the caller names of the host: no home, unless that is meant, and nothing that a symlink leads to.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::Statx;
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
        || real().is_some_and(|path| places.has_a_home_below(&path));
    if !shows {
        return Ok(());
    }
    let action = format!("{} would show a home, with all keys in it", path.display());
    let hint = Hint::from("show the directory of the project instead, or say that the whole home is meant");
    Err(Error::invalid(step, action).hint(hint.with([Remedy::set("whole_home", true)])))
}

/// Fails if a symlink leads to it.
pub(crate) fn is_where_it_says(step: &'static str, path: &Path, opened: Option<&OwnedFd>) -> Result<()> {
    let Some(real) = opened.and_then(|opened| path_of(opened).ok()) else { return Ok(()) };
    if real == without_link_in_root(path) {
        return Ok(());
    }
    let (path, real) = (path.display(), real.display());
    let action = format!("{path} leads to {real} by a symlink, which whoever can write there has chosen");
    Err(Error::invalid(step, action).hint("name where it leads to, if that is meant"))
}

/// The same path past a symlink that lies in `/`, as of distributions that have /home elsewhere: nobody but root can write there.
fn without_link_in_root(path: &Path) -> PathBuf {
    let mut parts = path.components().skip(1);
    let Some(first) = parts.next() else { return path.to_owned() };
    let first = Path::new("/").join(first);
    let first = first.canonicalize().unwrap_or(first);
    parts.fold(first, |whole, part| whole.join(part))
}
