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
    let in_path = std::env::split_paths(&path).filter(|place| is_roots(&place.join(name)));
    first(INSTALLED.into_iter().map(PathBuf::from).chain(in_path), name)
}

fn first(places: impl Iterator<Item = PathBuf>, name: &str) -> Option<PathBuf> {
    places.map(|place| place.join(name)).find(|program| program.is_file())
}

/// Whether root alone can change what is found there, at any level: no container of the caller's was given that to write to.
fn is_roots(program: &Path) -> bool {
    let Ok(real) = program.canonicalize() else { return false };
    // In a sticky directory nobody else takes away what is root's.
    let is_closed = |mode: u32| mode & 0o022 == 0 || mode & 0o1000 != 0;
    let is_roots = |part: &Path| part.metadata().is_ok_and(|found| found.uid() == 0 && is_closed(found.mode()));
    program.is_absolute() && program.parent().is_some_and(is_roots) && real.ancestors().all(is_roots)
}
