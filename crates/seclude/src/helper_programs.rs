//! Programs of the host's that a start needs: newuidmap, newgidmap, pasta.
//!
//! They run outside, with the caller's rights, so none is taken from where code that ran in a container before could have left it:
//! such as node_modules/.bin of the project that it was shown to write, which package managers put first in PATH. As nobody knows what was
//! shown to which, of PATH only what is root's counts.

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

/// Where `name` is: where programs are installed, or in PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    #[cfg(feature = "fault")]
    if let Some(place) = std::env::var_os("SECLUDE_FAULT_HELPERS").map(PathBuf::from) {
        let installed = INSTALLED.into_iter().filter(|_| place.is_dir()).map(PathBuf::from);
        return first(std::iter::once(place.clone()).chain(installed), name);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter_map(|place| roots(&place));
    first(INSTALLED.into_iter().map(PathBuf::from).chain(in_path), name)
}

fn first(places: impl Iterator<Item = PathBuf>, name: &str) -> Option<PathBuf> {
    places.map(|place| place.join(name)).find(|program| program.is_file())
}

/// The real path of a directory in which root alone can change what is found, at any level: no container of the caller's was given that to
/// write to. (A symlink in it is root's as well.)
fn roots(place: &Path) -> Option<PathBuf> {
    let real = place.canonicalize().ok().filter(|_| place.is_absolute())?;
    let is_closed = |part: &Path, but: u32| {
        part.metadata().is_ok_and(|found| found.uid() == 0 && (found.mode() & 0o022 == 0 || found.mode() & but != 0))
    };
    // Above it, in a sticky directory nobody else takes away what is root's.
    (is_closed(&real, 0) && real.ancestors().skip(1).all(|part| is_closed(part, 0o1000))).then_some(real)
}
