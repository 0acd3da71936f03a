//! `container.fs`: what is mounted or put into the tree.

use std::path::PathBuf;

use seclude::Mount;

use super::root::{Layers, OVERLAY};
use super::{At, Key, Off, Read, Shape, Wrong};
use crate::value::Value;

/// An entry as far as it is read.
#[derive(Default)]
pub(crate) struct Entry {
    kind: Option<(Kind, String)>,
    from: Option<(String, String)>,
    to: Option<PathBuf>,
    options: Options,
}

/// What is in `options`; each kind reads its own part.
#[derive(Default)]
pub(crate) struct Options {
    /// Each kind that has options here, and where.
    given: Vec<(Kind, String)>,
    layers: Layers,
    flags: Flags,
}

/// The options of all kinds but overlays.
#[derive(Default)]
pub(crate) struct Flags {
    read_only: bool,
    not_recursive: bool,
    nosuid: bool,
    nodev: bool,
    noexec: bool,
    size: Option<u64>,
    mode: Option<u32>,
    content: Option<Vec<u8>>,
    if_present: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Overlay,
    Tmpfs,
    Bind,
    Proc,
    Sysfs,
    Cgroup,
    Mqueue,
    Devpts,
    Dev,
    File,
    Directory,
    Symlink,
    Mask,
    ReadOnly,
}

const KINDS: [(&str, Kind); 17] = [
    ("overlayfs", Kind::Overlay),
    ("overlay", Kind::Overlay),
    ("tmpfs", Kind::Tmpfs),
    ("bind", Kind::Bind),
    ("proc", Kind::Proc),
    ("sysfs", Kind::Sysfs),
    ("cgroup", Kind::Cgroup),
    ("mqueue", Kind::Mqueue),
    ("devpts", Kind::Devpts),
    ("dev", Kind::Dev),
    ("file", Kind::File),
    ("directory", Kind::Directory),
    ("dir", Kind::Directory),
    ("symlink", Kind::Symlink),
    ("mask", Kind::Mask),
    ("readonly", Kind::ReadOnly),
    ("readOnly", Kind::ReadOnly),
];

const EXPECTED: &str = "\"overlayfs\", \"tmpfs\", \"bind\", \"proc\", \"sysfs\", \"cgroup\", \"mqueue\", \"devpts\", \"dev\", \
                        \"file\", \"directory\", \"symlink\", \"mask\" or \"readonly\"";

pub(super) fn read(at: &At<'_>) -> Read<Vec<Mount>> {
    at.items("an array of entries")?
        .iter()
        .map(|item| {
            let mut entry = Entry::default();
            ENTRY.read(&mut entry, item)?;
            entry.mount(item)
        })
        .collect()
}

impl Kind {
    fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl Entry {
    fn mount(self, at: &At<'_>) -> Read<Mount> {
        let missing = |key: &str| Wrong::Type(format!("{}.{key} is missing", at.path));
        let (kind, kind_path) = self.kind.ok_or_else(|| missing("type"))?;
        let to = self.to.ok_or_else(|| missing("to"))?;
        if let Some((_, path)) = self.options.given.iter().find(|(other, _)| *other != kind) {
            return Err(Wrong::Type(format!("{path}: not for {kind_path} {:?}", kind.name())));
        }
        let takes_from = matches!(kind, Kind::Bind | Kind::Symlink);
        let from = match self.from {
            Some((_, from)) if takes_from => from,
            Some((path, _)) => return Err(Wrong::Type(format!("{path}: not for {kind_path} {:?}", kind.name()))),
            None if takes_from => return Err(missing("from")),
            None => String::new(),
        };
        let flags = self.options.flags;
        let mut mount = match kind {
            Kind::Overlay => Mount::overlay(self.options.layers.overlay(at)?, to),
            Kind::Tmpfs => Mount::tmpfs(to),
            Kind::Bind => {
                let source = std::path::absolute(&from);
                Mount::bind(source.map_err(|error| Wrong::Range(format!("{}.from: {error}", at.path)))?, to)
            }
            Kind::Proc => Mount::proc(to),
            Kind::Sysfs => Mount::sysfs(to),
            Kind::Cgroup => Mount::cgroup(to),
            Kind::Mqueue => Mount::mqueue(to),
            Kind::Devpts => Mount::devpts(to),
            Kind::Dev => Mount::dev(to),
            Kind::File => Mount::file(to, flags.content.ok_or_else(|| missing("options.file.content"))?),
            Kind::Directory => Mount::directory(to),
            Kind::Symlink => Mount::symlink(from, to),
            Kind::Mask => Mount::mask(to),
            Kind::ReadOnly => Mount::read_only_path(to),
        };
        type Change = fn(Mount) -> Mount;
        let changes: [(bool, Change); 6] = [
            (flags.read_only, Mount::read_only),
            (flags.not_recursive, Mount::not_recursive),
            (flags.nosuid, Mount::nosuid),
            (flags.nodev, Mount::nodev),
            (flags.noexec, Mount::noexec),
            (flags.if_present, Mount::if_present),
        ];
        for (_, change) in changes.into_iter().filter(|(wanted, _)| *wanted) {
            mount = change(mount);
        }
        if let Some(bytes) = flags.size {
            mount = mount.size(bytes);
        }
        if let Some(mode) = flags.mode {
            mount = mount.mode(mode);
        }
        Ok(mount)
    }
}

pub(crate) const ENTRY: Shape<Entry> = Shape {
    name: "FsEntry",
    doc: "One thing in the container's tree.",
    keys: &[
        Key {
            names: &["type"],
            ts: "\"overlayfs\" | \"overlay\" | \"tmpfs\" | \"bind\" | \"proc\" | \"sysfs\" | \"cgroup\" | \"mqueue\" | \"devpts\" | \
                 \"dev\" | \"file\" | \"directory\" | \"dir\" | \"symlink\" | \"mask\" | \"readonly\" | \"readOnly\"",
            doc: "What it is. `dev`: a minimal /dev; `mask`: hides what is there; `readonly`: makes what is there
                  read-only; `cgroup`: the container's own cgroup (v2).",
            off: Off::Told,
            read: |entry, at| {
                let word = at.text()?;
                let found = KINDS.iter().find(|(name, _)| *name == word);
                let (_, kind) = found.ok_or_else(|| at.out_of_range(EXPECTED))?;
                entry.kind = Some((*kind, at.path.clone()));
                Ok(())
            },
        },
        Key {
            names: &["to", "target"],
            ts: "string",
            doc: "Where it will be: an absolute path inside. Missing directories are created where the root can be
                  written, and never outside of it.",
            off: Off::Told,
            read: |entry, at| {
                let path = PathBuf::from(at.path_text()?);
                if !path.is_absolute() {
                    return Err(at.out_of_range("an absolute path inside the container"));
                }
                entry.to = Some(path);
                Ok(())
            },
        },
        Key {
            names: &["from", "source"],
            ts: "string",
            doc: "bind: the file or directory of the host; symlink: where it leads to.",
            off: Off::Told,
            read: |entry, at| {
                entry.from = Some((at.path.clone(), at.path_text()?.to_owned()));
                Ok(())
            },
        },
        Key {
            names: &["options"],
            ts: "FsEntryOptions",
            doc: "More, under the name of the type.",
            off: Off::Absent,
            read: |entry, at| OPTIONS.read(&mut entry.options, at),
        },
    ],
};

macro_rules! of_type {
    ($names:expr, $ts:expr, $kind:expr, $shape:expr) => {
        Key {
            names: $names,
            ts: $ts,
            doc: "For an entry of this type.",
            off: Off::Absent,
            read: |options, at| {
                options.given.push(($kind, at.path.clone()));
                $shape.read(&mut options.flags, at)
            },
        }
    };
}

pub(crate) const OPTIONS: Shape<Options> = Shape {
    name: "FsEntryOptions",
    doc: "Options of an entry, under the name of its type.",
    keys: &[
        Key {
            names: &["overlayfs", "overlay"],
            ts: "OverlayOptions",
            doc: "For an entry of this type; it needs `lowerDirs`.",
            off: Off::Absent,
            read: |options, at| {
                options.given.push((Kind::Overlay, at.path.clone()));
                OVERLAY.read(&mut options.layers, at)?;
                options.flags.read_only = options.layers.read_only;
                Ok(())
            },
        },
        of_type!(&["tmpfs"], "TmpfsOptions", Kind::Tmpfs, TMPFS),
        of_type!(&["bind"], "BindOptions", Kind::Bind, BIND),
        of_type!(&["file"], "FileOptions", Kind::File, FILE),
        of_type!(&["directory", "dir"], "DirectoryOptions", Kind::Directory, DIRECTORY),
        of_type!(&["proc"], "ViewOptions", Kind::Proc, VIEW),
        of_type!(&["sysfs"], "ViewOptions", Kind::Sysfs, VIEW),
        of_type!(&["cgroup"], "ViewOptions", Kind::Cgroup, VIEW),
        of_type!(&["mask"], "IfPresentOptions", Kind::Mask, IF_PRESENT),
        of_type!(&["readonly", "readOnly"], "IfPresentOptions", Kind::ReadOnly, IF_PRESENT),
    ],
};

macro_rules! boolean {
    ($names:expr, $field:ident, $doc:expr) => {
        Key {
            names: $names,
            ts: "boolean",
            doc: $doc,
            off: Off::Told,
            read: |flags, at| {
                flags.$field = at.flag()?;
                Ok(())
            },
        }
    };
}

const READ_ONLY: Key<Flags> = boolean!(&["readonly", "readOnly"], read_only, "Writes fail with EROFS.");
const NOSUID: Key<Flags> = boolean!(&["nosuid"], nosuid, "Setuid bits and file capabilities do nothing.");
const NODEV: Key<Flags> = boolean!(&["nodev"], nodev, "Device nodes do nothing.");
const NOEXEC: Key<Flags> = boolean!(&["noexec"], noexec, "Nothing can be executed.");
const MODE: Key<Flags> = Key {
    names: &["mode"],
    ts: "number",
    doc: "Permissions, such as `0o755`.",
    off: Off::Absent,
    read: |flags, at| {
        flags.mode = Some(at.mode()?);
        Ok(())
    },
};

/// The types of the objects in [`OPTIONS`].
pub(crate) const OF_EACH_TYPE: [&Shape<Flags>; 6] = [&TMPFS, &BIND, &FILE, &DIRECTORY, &VIEW, &IF_PRESENT];

const TMPFS: Shape<Flags> = Shape {
    name: "TmpfsOptions",
    doc: "An empty file system in memory; nosuid and nodev.",
    keys: &[
        Key {
            names: &["size"],
            ts: "number | bigint",
            doc: "Bytes, 1 or more; writing more fails with ENOSPC. Default: half of the machine's memory.",
            off: Off::Absent,
            read: |flags, at| {
                flags.size = Some(at.integer(1, i64::MAX.into(), "a number of bytes, 1 or more")? as u64);
                Ok(())
            },
        },
        MODE,
        READ_ONLY,
        NOSUID,
        NODEV,
        NOEXEC,
    ],
};

const BIND: Shape<Flags> = Shape {
    name: "BindOptions",
    doc: "A file or directory of the host. Flags that the host has locked stay.",
    keys: &[
        READ_ONLY,
        Key {
            names: &["recursive"],
            ts: "boolean",
            doc: "With what is mounted below it. Default: true.",
            off: Off::Told,
            read: |flags, at| {
                flags.not_recursive = !at.flag()?;
                Ok(())
            },
        },
        NOSUID,
        NODEV,
        NOEXEC,
    ],
};

const FILE: Shape<Flags> = Shape {
    name: "FileOptions",
    doc: "A file that is kept in memory.",
    keys: &[
        Key {
            names: &["content"],
            ts: "string | Uint8Array",
            doc: "What is in it.",
            off: Off::Told,
            read: |flags, at| {
                flags.content = Some(match at.value {
                    Value::Text(text) => text.clone().into_bytes(),
                    Value::Bytes(bytes) => bytes.clone(),
                    _ => return Err(at.wrong_type("a string or a Uint8Array")),
                });
                Ok(())
            },
        },
        MODE,
        READ_ONLY,
    ],
};

const DIRECTORY: Shape<Flags> =
    Shape { name: "DirectoryOptions", doc: "A directory; one that exists stays as it is.", keys: &[MODE] };

const VIEW: Shape<Flags> = Shape { name: "ViewOptions", doc: "A view of the kernel's.", keys: &[READ_ONLY] };

const IF_PRESENT: Shape<Flags> = Shape {
    name: "IfPresentOptions",
    doc: "What happens if nothing is there.",
    keys: &[boolean!(&["ifPresent"], if_present, "Nothing happens if the path is missing. Default: it is an error.")],
};
