//! The files that say how the command is confined. Where it may write to what they lie in, it would have the next run confined as it likes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use seclude::request::{Mount, MountKind, Request, Text};

use crate::Failure;

/// Shows them read-only, where they are: the library holds the directories on the way there. (Without namespaces nothing can be taken away
/// below what is given: docs/attacks.md says so.)
///
/// Answers whether any is kept.
///
/// # Errors
/// Where one of them has several names, of which others may lie there too, or lies in a layer that is written to.
pub(crate) fn keep(request: &mut Request, files: &[&Path]) -> Result<bool, Failure> {
    let before = (request.ro.len(), request.mounts.len());
    let files = files.iter().filter_map(|file| file.canonicalize().ok()).filter(|file| file.is_file());
    for file in files.collect::<Vec<_>>() {
        for shown in request.rw.clone() {
            let Some((shown, below)) = place(&shown, &file) else { continue };
            can_be_kept(request, &file)?;
            request.ro.push(Text::from(shown.join(below)));
        }
        for layer in layers(request) {
            if place(&layer, &file).is_some() {
                return Err(Failure::new(format!(
                    "{} lies in {layer}, a layer that the command writes to: keep it elsewhere",
                    file.display()
                )));
            }
        }
        for (target, written) in written(request) {
            let Some((source, below)) = place(&written, &file) else { continue };
            can_be_kept(request, &file)?;
            let mut mount = Mount::new(MountKind::Bind, Text::from(target.join(&below)));
            mount.source = Some(Text::from(source.join(below)));
            mount.read_only = Some(true);
            request.mounts.push(mount);
        }
    }
    Ok(before != (request.ro.len(), request.mounts.len()))
}

/// The directories of the host that are seen inside by another name and are written to, each with that.
fn written(request: &Request) -> Vec<(PathBuf, Text)> {
    let of_the_root = request.root.iter().filter_map(|root| {
        let is_itself = root.upper.is_none() && !root.ephemeral && root.read_only != Some(true);
        root.path.clone().filter(|_| is_itself).map(|path| (PathBuf::from("/"), path))
    });
    let binds = request.mounts.iter().filter(|mount| mount.kind == MountKind::Bind && mount.read_only != Some(true));
    let binds = binds.filter_map(|bind| Some((bind.target.as_path().to_owned(), bind.source.clone()?)));
    of_the_root.chain(binds).collect()
}

/// Those that writes come to.
fn layers(request: &Request) -> Vec<Text> {
    let of_the_root = request.root.iter().flat_map(|root| [root.upper.clone(), root.work.clone()]);
    let mounted = request.mounts.iter().flat_map(|mount| [mount.upper.clone(), mount.work.clone()]);
    of_the_root.chain(mounted).flatten().collect()
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
