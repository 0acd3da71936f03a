//! Programs of the host's that a start needs: newuidmap, newgidmap, pasta.
//!
//! They run outside, with the caller's rights, so none is taken from where code that ran in a container before could have left it:
//! such as node_modules/.bin of the project that it was shown to write, which package managers put first in PATH.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where such programs are installed.
const INSTALLED: [&str; 8] = [
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    // Of NixOS.
    "/run/wrappers/bin",
    "/run/current-system/sw/bin",
];

/// Where `name` is: in PATH, or where programs are installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let installed = || first(INSTALLED.into_iter().map(PathBuf::from), name);
    in_path(name).or_else(installed)
}

/// The first in PATH.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).ok();
    first(std::env::split_paths(&path).filter(|place| is_nobody_elses(place, here.as_deref())), name)
}

fn first(places: impl Iterator<Item = PathBuf>, name: &str) -> Option<PathBuf> {
    places.map(|place| place.join(name)).find(|program| program.is_file())
}

/// Whether a directory of PATH is neither for others to write nor near the caller's: below it, or below what both lie in, as the
/// node_modules/.bin of a project above.
fn is_nobody_elses(place: &Path, here: Option<&Path>) -> bool {
    if INSTALLED.iter().any(|installed| place == Path::new(installed)) {
        return true;
    }
    let (Ok(real), Ok(found)) = (place.canonicalize(), place.metadata()) else { return false };
    let is_near =
        |here: &Path| real.components().zip(here.components()).take_while(|(one, other)| one == other).count() > 1;
    place.is_absolute() && found.mode() & 0o022 == 0 && !here.is_some_and(is_near)
}
