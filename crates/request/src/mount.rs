//! What is mounted or put into the root, one by one in their order.

use serde::{Deserialize, Serialize};

use crate::layers::{Layers, check_layers};
use crate::{Field, Size, Text, Wrong, is_default};

/// One thing in the container's tree; it needs a new mount namespace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Mount {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MountKind,
    /// Where: an absolute path inside the root, without `..`. What is missing of it is made where the root can be written.
    pub target: Text,
    /// Of a bind: the file or directory of the host.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Option<Text>,
    /// Of a symlink: where it leads to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub to: Option<Text>,
    /// Of a bind: also what is mounted below the source. Default: true.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recursive: Option<bool>,
    /// Of a bind, tmpfs, overlay, proc, sysfs, cgroup or file: writes fail with EROFS. Default: false, of a sysfs true.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read_only: Option<bool>,
    /// Of a bind or tmpfs: set-id bits and file capabilities do nothing. Default: of a tmpfs true.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nosuid: bool,
    /// Of a bind or tmpfs: device nodes do nothing. Default: of a tmpfs true.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nodev: bool,
    /// Of a bind or tmpfs: nothing can be executed. Default: false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub noexec: bool,
    /// Of a tmpfs: its size in bytes. Default: half of the machine's memory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub size: Option<Size>,
    /// Of a tmpfs, file or directory: permissions, such as `"755"` (octal) or the number 493. Default: 1777, 644 and 755.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Option<crate::Mode>,
    /// Of an overlay: the directories that lie over one another, the first wins over the next.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lowers: Vec<Text>,
    /// Of an overlay: where writes go, and stay.
    #[serde(default, skip_serializing_if = "is_default")]
    pub upper: Option<Text>,
    /// Of an overlay: an empty directory of the same file system as `upper`, for the kernel's use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub work: Option<Text>,
    /// Of an overlay: writes go to memory and are gone at the end. Default: false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ephemeral: bool,
    /// Of a file: its bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub content: Option<crate::Content>,
    /// Of a mask or read-only-path: nothing happens if nothing is there. Default: false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub if_present: bool,
}

/// The kinds of mounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MountKind {
    /// A file or directory of the host.
    Bind,
    /// An empty file system in memory.
    Tmpfs,
    /// Several directories as one.
    Overlay,
    /// The processes of the new pid namespace, proc(5).
    Proc,
    /// sysfs(5) of the new network namespace.
    Sysfs,
    /// The container's own cgroup, as its cgroup namespace shows it (v2).
    Cgroup,
    /// POSIX message queues of the new IPC namespace, mq_overview(7).
    Mqueue,
    /// Pseudoterminals of its own, pts(4).
    Devpts,
    /// A minimal /dev.
    Dev,
    /// A file with `content`, kept in memory.
    File,
    /// A directory. Where its place is the host's it is made there, and goes at the end if it is empty.
    Directory,
    /// A symlink. Where its place is the host's it is made there, and goes at the end if it is the same.
    Symlink,
    /// Hides what is there.
    Mask,
    /// Makes what is there read-only.
    ReadOnlyPath,
}

impl Mount {
    /// One of this kind there, with nothing else said of it.
    pub fn new(kind: MountKind, target: impl Into<Text>) -> Mount {
        Mount {
            kind,
            target: target.into(),
            source: None,
            to: None,
            recursive: None,
            read_only: None,
            nosuid: false,
            nodev: false,
            noexec: false,
            size: None,
            mode: None,
            lowers: Vec::new(),
            upper: None,
            work: None,
            ephemeral: false,
            content: None,
            if_present: false,
        }
    }

    pub(crate) fn check(&self, at: &Field) -> Result<(), Wrong> {
        use MountKind::{Bind, Cgroup, Directory, File, Mask, Overlay, Proc, ReadOnlyPath, Symlink, Sysfs, Tmpfs};
        let field = |key: &str| at.clone().key(key);
        let given: [(&str, bool, &[MountKind]); 14] = [
            ("source", self.source.is_some(), &[Bind]),
            ("to", self.to.is_some(), &[Symlink]),
            ("recursive", self.recursive.is_some(), &[Bind]),
            ("read_only", self.read_only.is_some(), &[Bind, Tmpfs, Overlay, Proc, Sysfs, Cgroup, File]),
            ("nosuid", self.nosuid, &[Bind, Tmpfs]),
            ("nodev", self.nodev, &[Bind, Tmpfs]),
            ("noexec", self.noexec, &[Bind, Tmpfs]),
            ("size", self.size.is_some(), &[Tmpfs]),
            ("mode", self.mode.is_some(), &[Tmpfs, File, Directory]),
            ("lowers", !self.lowers.is_empty(), &[Overlay]),
            ("upper", self.upper.is_some(), &[Overlay]),
            ("work", self.work.is_some(), &[Overlay]),
            ("ephemeral", self.ephemeral, &[Overlay]),
            ("content", self.content.is_some(), &[File]),
        ];
        if let Some((key, ..)) = given.iter().find(|(_, given, kinds)| *given && !kinds.contains(&self.kind)) {
            return Err(Wrong::contradicts(field(key), "it means nothing for this type of mount"));
        }
        if self.if_present && !matches!(self.kind, Mask | ReadOnlyPath) {
            return Err(Wrong::contradicts(field("if_present"), "it means nothing for this type of mount"));
        }
        let needed = [
            (self.kind == Bind && self.source.is_none(), "source", "a bind needs it: what of the host is shown"),
            (self.kind == Symlink && self.to.is_none(), "to", "a symlink needs it: where it leads to"),
            (self.kind == File && self.content.is_none(), "content", "a file needs it: its bytes"),
            (self.kind == Overlay && self.lowers.is_empty(), "lowers", "an overlay needs them"),
        ];
        if let Some((_, key, why)) = needed.into_iter().find(|(missing, ..)| *missing) {
            return Err(Wrong::contradicts(field(key), why));
        }
        for (key, path) in [("source", &self.source), ("to", &self.to)] {
            if path.as_ref().is_some_and(Text::is_empty) {
                return Err(Wrong::range(field(key), "an empty path leads nowhere"));
            }
        }
        let Mount { lowers, upper, work, ephemeral, .. } = self;
        check_layers(at, &Layers { lowers, upper: upper.as_ref(), work: work.as_ref(), ephemeral: *ephemeral })
    }
}
