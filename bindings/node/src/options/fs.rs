//! `container.fs`: what is mounted or put into the tree.

use std::fmt::Write;
use std::path::PathBuf;

use seclude::Mount;

use super::root::{Layers, OVERLAY_ENTRY};
use super::{At, Key, Off, Read, Shape, Wrong};
use crate::value::Value;

/// An entry as far as it is read.
#[derive(Default)]
pub(crate) struct Entry {
    of: Option<(&'static Type, String)>,
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
    content: Vec<u8>,
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

/// What is said of each type, and what an entry of it has.
struct Type {
    kind: Kind,
    names: &'static [&'static str],
    /// Whether it comes from somewhere.
    from: bool,
    /// Whether it is nothing without its options.
    options: bool,
}

const fn kind(kind: Kind, names: &'static [&'static str]) -> Type {
    Type { kind, names, from: false, options: false }
}

const TYPES: [Type; 14] = [
    Type { options: true, ..kind(Kind::Overlay, &["overlayfs", "overlay"]) },
    kind(Kind::Tmpfs, &["tmpfs"]),
    Type { from: true, ..kind(Kind::Bind, &["bind"]) },
    kind(Kind::Proc, &["proc"]),
    kind(Kind::Sysfs, &["sysfs"]),
    kind(Kind::Cgroup, &["cgroup"]),
    kind(Kind::Mqueue, &["mqueue"]),
    kind(Kind::Devpts, &["devpts"]),
    kind(Kind::Dev, &["dev"]),
    Type { options: true, ..kind(Kind::File, &["file"]) },
    kind(Kind::Directory, &["directory", "dir"]),
    Type { from: true, ..kind(Kind::Symlink, &["symlink"]) },
    kind(Kind::Mask, &["mask"]),
    kind(Kind::ReadOnly, &["readonly", "readOnly"]),
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

/// The types of entries: each takes `from`, and options under its own name, as it has them.
pub(crate) fn declare(text: &mut String) {
    text.push_str("/** One thing in the container's tree. */\nexport type FsEntry = FsEntryPlace & (\n");
    for of in &TYPES {
        let names: Vec<String> = of.names.iter().map(|name| format!("{name:?}")).collect();
        let _ = write!(text, "  | ({{ type: {}", names.join(" | "));
        let options = OPTIONS.keys.iter().find(|key| key.names[0] == of.names[0]);
        let _ = match options {
            Some(key) if of.options => write!(text, "; options: {}", key.spelled(key.ts)),
            Some(key) => {
                let spellings = key.spellings();
                let keys: Vec<String> = spellings.iter().map(|name| format!("{name}?: {} | false", key.ts)).collect();
                write!(text, "; options?: {{ {} }} | false", keys.join("; "))
            }
            None => write!(text, "; options?: Record<string, never> | false"),
        };
        for from in ENTRY.keys.iter().filter(|key| key.names[0] == "from") {
            let _ = match of.from {
                true => writeln!(text, " }} & {})", from.spelled(from.ts)),
                false => writeln!(text, "; from?: never; source?: never }})"),
            };
        }
    }
    text.push_str(");\n\n");
}

impl Entry {
    fn mount(self, at: &At<'_>) -> Read<Mount> {
        let missing = |key: &str| Wrong::Type(format!("{}.{key} is missing", at.path));
        let (of, kind_path) = self.of.ok_or_else(|| missing("type"))?;
        let to = self.to.ok_or_else(|| missing("to"))?;
        let not_for = |path: &str| Wrong::Type(format!("{path}: not for {kind_path} {:?}", of.names[0]));
        if let Some((_, path)) = self.options.given.iter().find(|(other, _)| *other != of.kind) {
            return Err(not_for(path));
        }
        let given = !self.options.given.is_empty();
        let from = match self.from {
            Some((_, from)) if of.from => from,
            Some((path, _)) => return Err(not_for(&path)),
            None if of.from => return Err(missing("from")),
            None if of.options && !given => return Err(missing(&format!("options.{}", of.names[0]))),
            None => String::new(),
        };
        let flags = self.options.flags;
        let mut mount = match of.kind {
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
            Kind::File => Mount::file(to, flags.content),
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
    name: "FsEntryPlace",
    doc: "What every entry of `fs` has.",
    keys: &[
        Key {
            names: &["type"],
            ts: "unknown",
            doc: "What it is. `dev`: a minimal /dev; `mask`: hides what is there; `readonly`: makes what is there
                  read-only; `cgroup`: the container's own cgroup (v2).",
            off: Off::Required,
            read: |entry, at| {
                let word = at.text()?;
                let found = TYPES.iter().find(|of| of.names.contains(&word));
                entry.of = Some((found.ok_or_else(|| at.out_of_range(EXPECTED))?, at.path.clone()));
                Ok(())
            },
        },
        Key {
            names: &["to", "target"],
            ts: "string",
            doc: "Where it will be: an absolute path inside. Missing directories are created where the root can be
                  written, and never outside of it.",
            off: Off::Required,
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
            ts: "unknown",
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
            ts: "OverlayEntryOptions",
            doc: "For an entry of this type.",
            off: Off::Absent,
            read: |options, at| {
                options.given.push((Kind::Overlay, at.path.clone()));
                OVERLAY_ENTRY.read(&mut options.layers, at)?;
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
    ts: "number | bigint",
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
            ts: "string | Bytes",
            doc: "What is in it.",
            off: Off::Required,
            read: |flags, at| {
                flags.content = match at.value {
                    Value::Text(text) => text.clone().into_bytes(),
                    Value::Bytes(bytes) => bytes.clone(),
                    _ => return Err(at.wrong_type("a string or bytes")),
                };
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
