//! What a command can do to what it may write if it makes mount namespaces of its own: nested, or with CAP_SYS_ADMIN.
//!
//! Two rules of the kernel's hold for the mounts of whoever asks, and that is nobody's place to be: what is mounted on is neither renamed nor
//! removed (`is_local_mountpoint()`), and a copy on writing is made by the kernel, with the bits that no filter sees in a call.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, Statx};

use super::set_id;
use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::mount::{Mount, MountKind, Source};
use crate::config::namespace::Namespace;
use crate::config::root::RootKind;
use crate::error::{Error, Result};
use crate::host::Host;

fn may_be_made(command: &Config) -> bool {
    let is_admin = || command.capabilities.is_none_or(|set| set.bits() & Capability::SYS_ADMIN.bit() != 0);
    command.is_sandboxed() && command.namespaces.is_new(Namespace::Mount) && (command.nested || is_admin())
}

/// Whether it could mount an overlay with what it may write as the upper directory: of a root's, a program with set-id bits is copied there with
/// them, and a store through a shared mapping, mmap(2), gives it another content and leaves them.
pub(crate) fn may_copy_set_id(command: &Config, host: &Host) -> bool {
    host.uid == 0 && may_be_made(command)
}

/// Fails where others come to such a directory of the host's, and would start what lies there.
pub(crate) fn is_apart(step: &'static str, path: &Path, opened: Option<&Arc<OwnedFd>>, found: &Statx) -> Result<()> {
    let is_directory = FileType::from_raw_mode(found.stx_mode.into()) == FileType::Directory;
    if !is_directory || !opened.is_some_and(|opened| set_id::others_come_to(opened, false)) {
        return Ok(());
    }
    let action = format!(
        "others come to {}, which the command may write to: where it mounts by itself, an overlay copies programs with set-id bits there, and \
         with a content of its own",
        path.display()
    );
    let hint = "take the directory, or one above it, from others (chmod go-x), or have it on a file system that is mounted nosuid";
    Err(Error::invalid(step, action).hint(hint).contradicting())
}

/// Fails where this mount is to hold something back of a directory of the host's that the command may write to.
pub(super) fn is_not_replaced(command: &Config, mount: &Mount) -> Result<()> {
    if mount.preset || !may_be_made(command) {
        return Ok(());
    }
    let of_root = command.root.as_ref().and_then(|root| match &root.kind {
        RootKind::Directory(Source::Path(path)) if !root.read_only => Some((Path::new("/"), path.as_path())),
        _ => None,
    });
    let shown = command.mounts.iter().filter_map(|other| match &other.kind {
        MountKind::Bind { source: Source::Path(path), flags, .. } if !flags.read_only => {
            Some((other.target.as_path(), path.as_path()))
        }
        _ => None,
    });
    let holds_back = |(target, written): &(&Path, &Path)| {
        let Ok(below) = mount.target.strip_prefix(target) else { return false };
        below != Path::new("")
            && match &mount.kind {
                // Of something else it is a mount point alone that lies there.
                MountKind::Bind { source: Source::Path(source), flags, .. } => {
                    flags.read_only && *source == written.join(below)
                }
                MountKind::Mask { .. } | MountKind::ReadOnlyPath { .. } => true,
                _ => false,
            }
    };
    let over = of_root.into_iter().chain(shown).rfind(holds_back);
    let Some((over, _)) = over else { return Ok(()) };
    let action = format!(
        "{} lies in {}, which the command may write to: where it makes mount namespaces by itself, it can put something else in its place",
        mount.target.display(),
        over.display()
    );
    let hint = "give what lies beside it to be written, each by itself, or have nothing nested and no SYS_ADMIN";
    Err(Error::invalid(super::NAME, action).hint(hint).contradicting())
}
