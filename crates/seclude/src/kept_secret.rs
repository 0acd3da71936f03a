//! What the sandbox hides of the host's /etc stays hidden where the caller mounts /etc, or a directory above or in it, by itself.
//!
//! A mask over a file goes when that file is replaced by another, rename(2), as the host's own programs do with /etc/shadow. So what can
//! hold secrets is shown without its owners as well, as in the sandbox's own tree. What is named itself is meant:
//! a file, or a directory that is hidden or closed to others.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::mount::{Mount, MountKind, Source};
use crate::host::Host;
use crate::places::{SECRETS, has_its_owners};

impl Config {
    pub(crate) fn keep_secrets(&mut self, host: &Host) {
        let strange: Vec<&Path> = host
            .places
            .parts
            .iter()
            .filter(|part| part.link.is_none())
            .map(|part| part.path.as_path())
            .filter(|path| host.gives_ids() && !has_its_owners(path))
            .collect();
        let mut kept = Vec::with_capacity(self.mounts.len());
        for mut mount in std::mem::take(&mut self.mounts) {
            if mount.preset || mount.shown.is_some() || mount.id_mapped.is_some() {
                kept.push(mount);
                continue;
            }
            let sources = directories_of(&mount);
            let mut own = Vec::new();
            for source in sources.iter().filter(|source| !is_meant(source, &strange)) {
                if is_read_only_bind(&mount) {
                    if strange.iter().any(|part| source.starts_with(part)) {
                        mount = mount.for_strangers();
                    }
                    let below = strange.iter().filter(|part| *part != source);
                    let below = below.filter_map(|part| Some((part, part.strip_prefix(source).ok()?)));
                    own.extend(below.map(|(part, below)| {
                        Mount::bind(part, mount.target.join(below)).read_only().nosuid().nodev().for_strangers()
                    }));
                }
                let below = SECRETS.iter().filter_map(|secret| Path::new(secret).strip_prefix(source).ok());
                own.extend(below.map(|below| Mount::mask(mount.target.join(below)).if_present()));
            }
            kept.push(mount);
            kept.extend(own.into_iter().map(|mount| Mount { preset: true, ..mount }));
        }
        self.mounts = kept;
    }
}

/// Who names what is hidden, or what all but its owner are kept from below what is for everybody, means it.
fn is_meant(source: &Path, strange: &[&Path]) -> bool {
    let is_below = strange.iter().any(|part| source.starts_with(part) && source != *part);
    let is_closed = || source.metadata().is_ok_and(|found| found.permissions().mode() & 0o005 != 0o005);
    (is_below && is_closed()) || SECRETS.iter().any(|secret| source.starts_with(secret))
}

fn is_read_only_bind(mount: &Mount) -> bool {
    matches!(&mount.kind, MountKind::Bind { flags, .. } if flags.read_only)
}

/// Of the host, by the names that they really have.
fn directories_of(mount: &Mount) -> Vec<PathBuf> {
    let given: Vec<PathBuf> = match &mount.kind {
        MountKind::Bind { source: Source::Path(source), .. } => vec![source.clone()],
        MountKind::Bind { source: Source::Fd(fd), .. } => crate::step::show::path_of(fd).into_iter().collect(),
        MountKind::Overlay { overlay, .. } => overlay.lowers.clone(),
        _ => Vec::new(),
    };
    // What is not there is an error of the mount.
    given.into_iter().filter_map(|path| path.canonicalize().ok()).filter(|path| path.is_dir()).collect()
}
