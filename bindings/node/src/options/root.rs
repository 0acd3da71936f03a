//! `container.root`, and overlays wherever they are.

use std::path::{Path, PathBuf};

use seclude::{Overlay, Root};

use super::{At, Key, Off, Read, Shape, Wrong};
use crate::value::Value;

#[derive(Default)]
pub(crate) struct RootDraft {
    path: Option<PathBuf>,
    read_only: bool,
    overlay: Option<Layers>,
}

/// An overlay as far as it is read.
#[derive(Default)]
pub(crate) struct Layers {
    lowers: Vec<PathBuf>,
    upper: Option<PathBuf>,
    work: Option<PathBuf>,
    ephemeral: bool,
    pub(super) read_only: bool,
}

impl Layers {
    pub(super) fn overlay(self, at: &At<'_>) -> Read<Overlay> {
        let overlay = Overlay::new(self.lowers);
        match (self.upper, self.work, self.ephemeral) {
            (None, None, false) => Ok(overlay),
            (None, None, true) => Ok(overlay.ephemeral()),
            (Some(upper), Some(work), false) => Ok(overlay.upper(upper, work)),
            (Some(_), Some(_), true) => {
                Err(Wrong::Type(format!("{}: ephemeral, and an upper_dir that keeps what is written", at.path)))
            }
            _ => Err(Wrong::Type(format!("{}: upper_dir and work_dir go together", at.path))),
        }
    }
}

pub(super) fn read(at: &At<'_>) -> Read<Root> {
    let mut draft = RootDraft::default();
    match at.value {
        Value::Text(_) => draft.path = Some(at.host_path()?),
        Value::Object(_) => ROOT.read(&mut draft, at)?,
        _ => return Err(at.wrong_type("a path, an object or false")),
    }
    let root = match draft.overlay {
        Some(mut layers) => {
            // The path is the topmost of the lower directories; without any it is the host's own tree.
            layers.lowers.splice(0..0, draft.path);
            if layers.lowers.is_empty() {
                layers.lowers.push(Path::new("/").to_owned());
            }
            draft.read_only |= layers.read_only;
            Root::overlay(layers.overlay(at)?)
        }
        None => draft.path.map_or_else(Root::host, Root::directory),
    };
    Ok(if draft.read_only { root.read_only() } else { root })
}

pub(crate) const ROOT: Shape<RootDraft> = Shape {
    name: "RootOptions",
    doc: "What the process sees as `/`.",
    keys: &[
        Key {
            names: &["path"],
            ts: "string",
            doc: "A directory of the host. Without it: the host's own tree.",
            off: Off::Absent,
            read: |root, at| {
                root.path = Some(at.host_path()?);
                Ok(())
            },
        },
        Key {
            names: &["readonly", "readOnly"],
            ts: "boolean",
            doc: "Writes fail with EROFS. Targets of mounts must exist in it then.",
            off: Off::Absent,
            read: |root, at| {
                root.read_only = at.flag()?;
                Ok(())
            },
        },
        Key {
            names: &["overlay", "overlayfs"],
            ts: "boolean | OverlayOptions",
            doc: "`true`: writes go to memory and are gone at the end; an object: to its upper directory, or more
                  directories below the path.",
            off: Off::Absent,
            read: |root, at| {
                let mut layers = Layers::default();
                match at.value {
                    Value::Bool(_) => layers.ephemeral = true,
                    _ => OVERLAY.read(&mut layers, at)?,
                }
                root.overlay = Some(layers);
                Ok(())
            },
        },
    ],
};

const LOWER_DIRS: Key<Layers> = Key {
    names: &["lowerDirs"],
    ts: "string[]",
    doc: "Directories of the host; the first wins over the next.",
    off: Off::Absent,
    read: |layers, at| {
        let items = at.items("an array of paths")?;
        layers.lowers = items.iter().map(At::host_path).collect::<Read<_>>()?;
        Ok(())
    },
};

const UPPER_DIR: Key<Layers> = Key {
    names: &["upperDir"],
    ts: "string",
    doc: "Where writes go, to stay.",
    off: Off::Absent,
    read: |layers, at| {
        layers.upper = Some(at.host_path()?);
        Ok(())
    },
};

const WORK_DIR: Key<Layers> = Key {
    names: &["workDir"],
    ts: "string",
    doc: "An empty directory of the same file system as the upper, for the kernel's use.",
    off: Off::Absent,
    read: |layers, at| {
        layers.work = Some(at.host_path()?);
        Ok(())
    },
};

const EPHEMERAL: Key<Layers> = Key {
    names: &["ephemeral"],
    ts: "boolean",
    doc: "Writes go to memory and are gone at the end. Before Linux 6.6, in a user namespace, a directory that was
          removed cannot be made again (EIO).",
    off: Off::Absent,
    read: |layers, at| {
        layers.ephemeral = at.flag()?;
        Ok(())
    },
};

const READ_ONLY: Key<Layers> = Key {
    names: &["readonly", "readOnly"],
    ts: "boolean",
    doc: "Writes fail with EROFS.",
    off: Off::Absent,
    read: |layers, at| {
        layers.read_only = at.flag()?;
        Ok(())
    },
};

const OVERLAY_DOC: &str = "Several directories as one. Without an upper directory, and not `ephemeral`, it is read-only, and needs \
                           two lower ones.";

/// Of a root, whose path may be the only lower directory.
pub(crate) const OVERLAY: Shape<Layers> =
    Shape { name: "OverlayOptions", doc: OVERLAY_DOC, keys: &[LOWER_DIRS, UPPER_DIR, WORK_DIR, EPHEMERAL, READ_ONLY] };

pub(crate) const OVERLAY_ENTRY: Shape<Layers> = Shape {
    name: "OverlayEntryOptions",
    doc: OVERLAY_DOC,
    keys: &[Key { off: Off::Required, ..LOWER_DIRS }, UPPER_DIR, WORK_DIR, EPHEMERAL, READ_ONLY],
};
