//! What the sandbox hides of the host's /etc stays hidden where the caller mounts /etc, or a directory above or in it, by itself,
//! by whatever mount of it, or has one for its root.
//!
//! A mask over a file goes when that file is replaced by another, rename(2), as the host's own programs do with /etc/shadow. So what can
//! hold secrets is shown without its owners as well, as in the sandbox's own tree. What is named itself is meant:
//! a file, or a directory that is hidden or closed to others.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::mount::{Mount, MountKind, Source, Stands};
use crate::config::root::{Root, RootKind};
use crate::host::Host;
use crate::places::{SECRETS, has_its_owners, is_in_a_secret};
use crate::same_files::join;

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
        let is_curated = self.root.as_ref().is_none_or(Root::is_curated);
        let mut kept =
            self.root.as_ref().and_then(as_a_mount).map_or_else(Vec::new, |root| keep(root, host, &strange).1);
        for mount in std::mem::take(&mut self.mounts) {
            // A tree of the host's as a whole has one of the preset's for where the caller is, and those that were made above.
            let is_bind = matches!(mount.kind, MountKind::Bind { .. });
            let is_presets = mount.preset && mount.stands.is_none() && (is_curated || !is_bind);
            if is_presets || mount.id_mapped.is_some() {
                kept.push(mount);
                continue;
            }
            let (mount, own) = keep(mount, host, &strange);
            kept.push(mount);
            kept.extend(own);
        }
        self.mounts = kept;
    }
}

/// A root of which the host's files may be a part, as if it were a mount.
fn as_a_mount(root: &Root) -> Option<Mount> {
    let mount = match &root.kind {
        RootKind::Host => Mount::bind("/", "/"),
        RootKind::Directory(Source::Path(path)) => Mount::bind(path, "/"),
        RootKind::Directory(Source::Fd(fd)) => Mount::bind(crate::step::show::path_of(fd).ok()?, "/"),
        RootKind::Overlay(overlay) if !overlay.curated => Mount::overlay(overlay.clone(), "/"),
        RootKind::Sandbox | RootKind::Overlay(_) => return None,
    };
    let is_bind = matches!(mount.kind, MountKind::Bind { .. });
    Some(if root.read_only && is_bind { mount.read_only() } else { mount })
}

/// The mount, and what has to lie in it.
fn keep(mut mount: Mount, host: &Host, strange: &[&Path]) -> (Mount, Vec<Mount>) {
    let mut own = Vec::new();
    for source in &directories_of(&mount) {
        // By its own name the tree has hidden what is shown by the host's path.
        let by_itself = (mount.shown.is_none() && !mount.preset).then(|| (PathBuf::new(), source.clone()));
        for (at, name) in by_itself.into_iter().chain(host.places.administrators_by_other_names(source)) {
            let (target, source) = (join(&mount.target, &at), join(source, &at));
            let is_itself = at == Path::new("");
            if is_itself && mount.stands != Some(Stands::Here) && is_meant(&source, &name, strange) {
                continue;
            }
            if is_in_a_secret(&name) {
                own.push(Mount::mask(target).if_present());
                continue;
            }
            if is_read_only_bind(&mount) {
                let is_in_one = strange.iter().any(|part| name.starts_with(part));
                if is_in_one && is_itself {
                    mount = mount.for_strangers();
                } else if is_in_one && source.is_dir() {
                    own.push(shown_to_strangers(&source, &target));
                }
                let below = strange.iter().filter(|part| **part != name);
                let below = below.filter_map(|part| Some((part, part.strip_prefix(&name).ok()?)));
                own.extend(below.map(|(part, below)| shown_to_strangers(part, &target.join(below))));
            }
            let below = SECRETS.iter().filter_map(|secret| Path::new(secret).strip_prefix(&name).ok());
            own.extend(below.map(|below| Mount::mask(join(&target, below)).if_present()));
        }
    }
    let own = own.into_iter().map(|mount| Mount { preset: true, ..mount }).collect();
    (mount, own)
}

fn shown_to_strangers(source: &Path, target: &Path) -> Mount {
    Mount::bind(source, target).read_only().nosuid().nodev().for_strangers()
}

/// Who names what is hidden, or what all but its owner are kept from below what is for everybody, means it.
fn is_meant(source: &Path, name: &Path, strange: &[&Path]) -> bool {
    let is_below = strange.iter().any(|part| name.starts_with(part) && name != *part);
    let is_closed = || source.metadata().is_ok_and(|found| found.permissions().mode() & 0o005 != 0o005);
    (is_below && is_closed()) || is_in_a_secret(name)
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
    // By the host's own path, which leads through no symlink.
    if mount.shown.is_some() || mount.stands.is_some() {
        return given;
    }
    // What is not there is an error of the mount.
    given.into_iter().filter_map(|path| path.canonicalize().ok()).filter(|path| path.is_dir()).collect()
}
