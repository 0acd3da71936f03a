//! What the caller names of the host is no home, unless that is meant.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::Statx;
use seclude_request::Remedy;

use super::show::path_of;
use crate::advice::Hint;
use crate::error::{Error, Result};
use crate::places::Places;

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
    if !places.show_a_home(found, real).map_err(failed)? {
        return Ok(());
    }
    let action = format!("{} would show a home, with all keys in it", path.display());
    let hint = Hint::from("show the directory of the project instead, or say that the whole home is meant");
    Err(Error::invalid(step, action).hint(hint.with([Remedy::set("whole_home", true)])))
}
