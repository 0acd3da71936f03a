//! The files that say how the command is confined. Where it may write to what they lie in, it would have the next run confined as it likes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use seclude::request::{Mount, MountKind, Request, Text};

use crate::Failure;

/// Shows them read-only, where they are. Each directory on the way there is a mount as well: moved away, it could have another one
/// in its place. (Without namespaces nothing can be taken away below what is given: docs/attacks.md says so.)
///
/// # Errors
/// Where one of them has several names, of which others may lie there too.
pub(crate) fn keep(request: &mut Request, files: &[&Path]) -> Result<(), Failure> {
    let files = files.iter().filter_map(|file| file.canonicalize().ok()).filter(|file| file.is_file());
    for file in files.collect::<Vec<_>>() {
        for shown in request.rw.clone() {
            let Some((shown, below)) = place(&shown, &file) else { continue };
            can_be_kept(request, &file)?;
            request.rw.extend(directories(&below).map(|way| Text::from(shown.join(way))));
            request.ro.push(Text::from(shown.join(below)));
        }
        let binds = |mount: &&Mount| mount.kind == MountKind::Bind && mount.read_only != Some(true);
        for bind in request.mounts.iter().filter(binds).cloned().collect::<Vec<_>>() {
            let Some((source, below)) = bind.source.as_ref().and_then(|source| place(source, &file)) else { continue };
            can_be_kept(request, &file)?;
            let target = bind.target.as_path().to_owned();
            let mut show = |below: &Path, read_only| {
                let mut mount = Mount::new(MountKind::Bind, Text::from(target.join(below)));
                mount.source = Some(Text::from(source.join(below)));
                mount.read_only = Some(read_only);
                request.mounts.push(mount);
            };
            directories(&below).for_each(|way| show(&way, false));
            show(&below, true);
        }
    }
    Ok(())
}

fn can_be_kept(request: &Request, file: &Path) -> Result<(), Failure> {
    if request.nested == Some(true) {
        return Err(Failure::new(format!(
            "{} lies in what the command may write to, and with --nested it could put another in its place: keep it elsewhere",
            file.display()
        )));
    }
    match file.metadata().is_ok_and(|found| found.nlink() > 1) {
        true => Err(Failure::new(format!(
            "{} has other names as well (hard links), by which the command could write to it: replace it by a copy",
            file.display()
        ))),
        false => Ok(()),
    }
}

/// Where the file is in what is shown, if it is below that. (What is named itself is meant to be changed.)
fn place(shown: &Text, file: &Path) -> Option<(PathBuf, PathBuf)> {
    let shown = std::path::absolute(shown.as_path()).ok()?;
    let identity = |path: &Path| path.symlink_metadata().ok().map(|found| (found.dev(), found.ino()));
    let (own, real) = (identity(file)?, shown.canonicalize().ok()?);
    // By the file, as the directory may be mounted at another path too, and by no symlink, which is changed by itself alone.
    let is_it = |way: &&Path| {
        let there = real.join(way);
        identity(&there) == Some(own) && there.canonicalize().is_ok_and(|found| found == there)
    };
    let below = file.ancestors().skip(1).filter_map(|above| file.strip_prefix(above).ok()).find(is_it)?.to_owned();
    Some((shown, below))
}

/// Those above it, from the outermost on.
fn directories(below: &Path) -> impl Iterator<Item = PathBuf> {
    let above: Vec<_> =
        below.ancestors().skip(1).filter(|way| !way.as_os_str().is_empty()).map(Path::to_owned).collect();
    above.into_iter().rev()
}
