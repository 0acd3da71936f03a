//! What is mounted or put into the root, one by one in the caller's order.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seclude_child::op::Device;
use seclude_idmap::IdMap;

use super::attributes::Attributes;
use super::born::Fill;
use super::root::Overlay;

/// One thing in the container's tree. Targets are absolute paths inside the root; missing ones are made where
/// the root can be written, and never outside of it; they go at the end, if nothing was put there ([`crate::Exit::left_behind`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    pub(crate) target: PathBuf,
    pub(crate) kind: MountKind,
    /// Part of the sandbox preset: left out where its namespace is not new.
    pub(crate) preset: bool,
    /// One of what is seen by the host's own path: whether it is written, and which of those it is.
    pub(crate) shown: Option<(bool, usize)>,
    /// Whether it is the directory that the caller is in, or says that it is.
    pub(crate) stands: Option<Stands>,
    /// What it is to those who use it, of a bind and of a file system by its name.
    pub(crate) attributes: Attributes,
    /// Of a bind: under other ids in any case.
    pub(crate) id_mapped: Option<IdMapped>,
    /// Of a file system by its name.
    pub(crate) fill: Option<Fill>,
    /// Whether what symlinks of its target lead to is made where it is missing.
    pub(crate) links_made_good: bool,
}

/// Under which ids a bind is shown, where that is said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct IdMapped {
    /// Users and groups; `None`: the container's own.
    pub(crate) maps: Option<(IdMap, IdMap)>,
    /// With what is mounted below it.
    pub(crate) below: bool,
}

/// How a directory is the caller's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stands {
    /// It is there, and nothing that takes the name meanwhile is.
    Here,
    /// It says so.
    Named,
}

/// Where something of the host comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Path(PathBuf),
    /// Given open by the caller.
    Fd(Arc<OwnedFd>),
}

impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Path(one), Source::Path(other)) => one == other,
            (Source::Fd(one), Source::Fd(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Source {}

impl Source {
    pub(crate) fn is_path(&self, path: &Path) -> bool {
        matches!(self, Source::Path(own) if own == path)
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Source::Path(path) => path.display().to_string(),
            Source::Fd(fd) => format!("descriptor {}", fd.as_raw_fd()),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum MountKind {
    Bind {
        source: Source,
        recursive: bool,
        flags: Flags,
    },
    Tmpfs {
        size: Option<u64>,
        mode: u32,
        flags: Flags,
    },
    Overlay {
        overlay: Overlay,
        read_only: bool,
    },
    Proc {
        read_only: bool,
    },
    Sysfs {
        read_only: bool,
    },
    Cgroup {
        read_only: bool,
    },
    Mqueue,
    Devpts,
    Dev,
    /// Any that the kernel makes a new one of.
    FileSystem {
        name: String,
        source: Option<String>,
        data: Vec<(String, Option<String>)>,
    },
    Device {
        device: Device,
    },
    /// An empty directory of the sandbox's own root, which can be written though that cannot.
    OwnDirectory {
        mode: u32,
        /// The user and the group, if they are not those of set-up; the group as it is without one.
        owner: Option<(u32, Option<u32>)>,
    },
    File {
        content: Arc<[u8]>,
        mode: u32,
        read_only: bool,
    },
    Directory {
        mode: u32,
    },
    Symlink {
        to: PathBuf,
        /// What is there already stays.
        keep: bool,
    },
    Mask {
        if_present: bool,
    },
    ReadOnlyPath {
        if_present: bool,
        /// With what is mounted below it.
        recursive: bool,
    },
}

/// Per-mount flags, mount(8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) read_only: bool,
    pub(crate) nosuid: bool,
    pub(crate) nodev: bool,
    pub(crate) noexec: bool,
    /// Also where the container has other ids it is under those of the host: nobody's, so that what its owner alone may read is
    /// closed, whoever puts it there, and whenever.
    pub(crate) for_strangers: bool,
}

impl Mount {
    fn new(target: impl AsRef<Path>, kind: MountKind) -> Mount {
        Mount {
            target: target.as_ref().to_owned(),
            kind,
            preset: false,
            shown: None,
            stands: None,
            attributes: Attributes::new(),
            id_mapped: None,
            fill: None,
            links_made_good: false,
        }
    }

    /// A file or directory of the host, with what is mounted below it. Its locked flags stay. In the sandbox no set-user-ID programs can be
    /// made in one that is written; one of others that is there already can be given another content (by a shared mapping, mmap(2)).
    pub fn bind(source: impl AsRef<Path>, target: impl AsRef<Path>) -> Mount {
        let source = Source::Path(source.as_ref().to_owned());
        Mount::new(target, MountKind::Bind { source, recursive: true, flags: Flags::default() })
    }

    /// The same of what is open as `fd` (O_PATH will do), wherever it is by then: nobody can put anything else in its place.
    pub fn bind_fd(fd: impl Into<OwnedFd>, target: impl AsRef<Path>) -> Mount {
        let source = Source::Fd(Arc::new(fd.into()));
        Mount::new(target, MountKind::Bind { source, recursive: true, flags: Flags::default() })
    }

    /// An empty file system in memory; nosuid and nodev. Mode 1777 and half of the machine's memory unless said.
    pub fn tmpfs(target: impl AsRef<Path>) -> Mount {
        let flags = Flags { nosuid: true, nodev: true, ..Flags::default() };
        Mount::new(target, MountKind::Tmpfs { size: None, mode: 0o1777, flags })
    }

    /// Several directories as one.
    pub fn overlay(overlay: Overlay, target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::Overlay { overlay, read_only: false })
    }

    /// The processes of the new pid namespace, proc(5); nosuid, nodev, noexec. The target may not be a symlink.
    pub fn proc(target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::Proc { read_only: false })
    }

    /// sysfs(5) of the new network namespace, which it needs; read-only, unless [`Mount::writable`] says otherwise: it is the
    /// host's processors, disks and power state; nosuid, nodev, noexec.
    pub fn sysfs(target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::Sysfs { read_only: true })
    }

    /// The v2 hierarchy as the container's cgroup namespace shows it: its own cgroup is the root. Needs a cgroup of its
    /// own and a new cgroup namespace; nosuid, nodev, noexec. Writable only with [`crate::Cgroup::delegate`].
    pub fn cgroup(target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::Cgroup { read_only: false })
    }

    /// POSIX message queues of the new IPC namespace, mq_overview(7).
    pub fn mqueue(target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::Mqueue)
    }

    /// Pseudoterminals of its own, pts(4).
    pub fn devpts(target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::Devpts)
    }

    /// A minimal /dev: null, zero, full, random, urandom and tty of the host (their device numbers are checked),
    /// ptmx and pts of its own, shm, and the links fd, stdin, stdout, stderr.
    pub fn dev(target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::Dev)
    }

    /// A file with this content, kept in memory; mode 644.
    pub fn file(target: impl AsRef<Path>, content: impl Into<Vec<u8>>) -> Mount {
        let content = Arc::from(content.into());
        Mount::new(target, MountKind::File { content, mode: 0o644, read_only: false })
    }

    /// A file with all that `source` gives until its end: an open descriptor, a pipe.
    ///
    /// # Errors
    /// What reading it answers.
    pub fn file_from(target: impl AsRef<Path>, mut source: impl std::io::Read) -> std::io::Result<Mount> {
        let mut content = Vec::new();
        source.read_to_end(&mut content)?;
        Ok(Mount::file(target, content))
    }

    /// A directory, with its parents; mode 755. One that exists stays as it is.
    pub fn directory(target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::Directory { mode: 0o755 })
    }

    /// A symlink at `link` that leads to `to`; what is there already is an error.
    pub fn symlink(to: impl AsRef<Path>, link: impl AsRef<Path>) -> Mount {
        Mount::new(link, MountKind::Symlink { to: to.as_ref().to_owned(), keep: false })
    }

    /// Hides what is there: an empty read-only directory over a directory, /dev/null over a file.
    pub fn mask(target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::Mask { if_present: false })
    }

    /// Makes what is there read-only, with what is mounted below it.
    pub fn read_only_path(target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::ReadOnlyPath { if_present: false, recursive: true })
    }

    /// A new file system of this type (`tmpfs`, `proc`, `sysfs`, `mqueue`, `devpts`, `cgroup2`, …), as the kernel makes it of
    /// [`Mount::data`] and [`Mount::attributes`] and nothing else. Those that show namespaces show the container's. The targets of
    /// `proc`, `sysfs`, `cgroup2`, `mqueue` and `devpts` may not be symlinks.
    pub fn file_system(name: impl Into<String>, target: impl AsRef<Path>) -> Mount {
        Mount::new(target, MountKind::FileSystem { name: name.into(), source: None, data: Vec::new() })
    }

    /// A device node, mknod(2), which takes CAP_MKNOD outside of any user namespace. A node of the same device that is there stays.
    pub fn device(
        target: impl AsRef<Path>,
        kind: seclude_cgroup::DeviceKind,
        number: seclude_cgroup::DeviceNumber,
    ) -> Mount {
        let kind = match kind {
            seclude_cgroup::DeviceKind::Char => rustix::fs::FileType::CharacterDevice,
            seclude_cgroup::DeviceKind::Block => rustix::fs::FileType::BlockDevice,
        };
        let kind = kind.as_raw_mode();
        let device = Device { kind, major: number.major, minor: number.minor, mode: 0o666, uid: 0, gid: 0 };
        Mount::new(target, MountKind::Device { device })
    }

    /// A named pipe, fifo(7); one that is there stays.
    pub fn fifo(target: impl AsRef<Path>) -> Mount {
        let kind = rustix::fs::FileType::Fifo.as_raw_mode();
        Mount::new(
            target,
            MountKind::Device { device: Device { kind, major: 0, minor: 0, mode: 0o666, uid: 0, gid: 0 } },
        )
    }

    /// For a device or a named pipe: whose it is, by ids inside.
    #[must_use]
    pub fn owner(mut self, uid: u32, gid: u32) -> Mount {
        if let MountKind::Device { device } = &mut self.kind {
            (device.uid, device.gid) = (uid, gid);
        }
        self
    }

    /// For a [`Mount::file_system`]: an option of the file system's own, such as `size` and `64k`, or a word alone.
    #[must_use]
    pub fn data(mut self, key: impl Into<String>, value: Option<&str>) -> Mount {
        if let MountKind::FileSystem { data, .. } = &mut self.kind {
            data.push((key.into(), value.map(str::to_owned)));
        }
        self
    }

    /// For a [`Mount::file_system`]: what it is of, a name or a block device.
    #[must_use]
    pub fn source(mut self, name: impl Into<String>) -> Mount {
        if let MountKind::FileSystem { source, .. } = &mut self.kind {
            *source = Some(name.into());
        }
        self
    }

    /// For a bind and a [`Mount::file_system`]: attributes and propagation. Those of a bind take mount_setattr(2), Linux 5.12.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Mount {
        self.attributes = attributes;
        self
    }

    /// For a [`Mount::file_system`]: what is in it from the first moment on. `work` gets its root before anything leads to it; a mount that is read-only is
    /// so once this returns. An error fails the start.
    #[must_use]
    pub fn filled_by(mut self, work: impl Fn(OwnedFd) -> std::io::Result<()> + Send + Sync + 'static) -> Mount {
        self.fill = Some(Fill::new(work));
        self
    }

    /// For a bind: its files are the container's by the ids that they have on the host, with a user namespace whose ids are said one
    /// by one, or that is joined. MOUNT_ATTR_IDMAP of mount_setattr(2), Linux 5.12; where that cannot be had, it is an error.
    #[must_use]
    pub fn id_mapped(mut self) -> Mount {
        self.id_mapped = Some(IdMapped { maps: None, below: false });
        self
    }

    /// For a bind: a file that is `inside`'s in the file system is `outside`'s in the mount, as the kernel has ids without any namespace; one whose
    /// owner is not mapped is nobody's. A map of its own, with and without a user namespace of the container's. As [`Mount::id_mapped`].
    #[must_use]
    pub fn id_mapped_by(mut self, uids: IdMap, gids: IdMap) -> Mount {
        self.id_mapped = Some(IdMapped { maps: Some((uids, gids)), below: false });
        self
    }

    /// For one whose ids are mapped: those of all that is mounted below its source are, too, or it is an error. Without, they are as on the host.
    #[must_use]
    pub fn ids_below(mut self) -> Mount {
        if let Some(mapped) = &mut self.id_mapped {
            mapped.below = true;
        }
        self
    }

    /// For a symlink: what is there already is no error, and stays.
    #[must_use]
    pub fn unless_present(mut self) -> Mount {
        if let MountKind::Symlink { keep, .. } = &mut self.kind {
            *keep = true;
        }
        self
    }

    /// For [`Mount::mask`] and [`Mount::read_only_path`]: nothing happens if the path is missing.
    #[must_use]
    pub fn if_present(mut self) -> Mount {
        match &mut self.kind {
            MountKind::Mask { if_present } | MountKind::ReadOnlyPath { if_present, .. } => *if_present = true,
            _ => {}
        }
        self
    }

    /// Writes fail with EROFS; for a bind also in what is mounted below it, and verified.
    #[must_use]
    pub fn read_only(mut self) -> Mount {
        match &mut self.kind {
            MountKind::Bind { flags, .. } | MountKind::Tmpfs { flags, .. } => flags.read_only = true,
            MountKind::Overlay { read_only, .. }
            | MountKind::Proc { read_only }
            | MountKind::Sysfs { read_only }
            | MountKind::Cgroup { read_only }
            | MountKind::File { read_only, .. } => *read_only = true,
            _ => {}
        }
        self
    }

    /// For a sysfs, which is read-only otherwise: root can write to it.
    #[must_use]
    pub fn writable(mut self) -> Mount {
        if let MountKind::Sysfs { read_only } = &mut self.kind {
            *read_only = false;
        }
        self
    }

    /// For a bind: without what is mounted below the source. In a user namespace the kernel refuses that (EINVAL)
    /// if something is: it would uncover what the mount hides. For a [`Mount::read_only_path`]: what is mounted below it stays as it is.
    #[must_use]
    pub fn not_recursive(mut self) -> Mount {
        if let MountKind::Bind { recursive, .. } | MountKind::ReadOnlyPath { recursive, .. } = &mut self.kind {
            *recursive = false;
        }
        self
    }

    /// For a bind, a directory and a [`Mount::file_system`] that is no view of the kernel's: what symlinks of the target lead to is made where it is
    /// missing, in the tree as the mounts before it have left it, and never outside of it. Without, that is an error.
    #[must_use]
    pub fn links_made_good(mut self) -> Mount {
        self.links_made_good = true;
        self
    }

    fn flags(&mut self) -> Option<&mut Flags> {
        match &mut self.kind {
            MountKind::Bind { flags, .. } | MountKind::Tmpfs { flags, .. } => Some(flags),
            _ => None,
        }
    }

    /// For a bind or tmpfs: setuid bits and file capabilities do nothing.
    #[must_use]
    pub fn nosuid(mut self) -> Mount {
        if let Some(flags) = self.flags() {
            flags.nosuid = true;
        }
        self
    }

    /// For a bind or tmpfs: device nodes do nothing.
    #[must_use]
    pub fn nodev(mut self) -> Mount {
        if let Some(flags) = self.flags() {
            flags.nodev = true;
        }
        self
    }

    /// For a bind or tmpfs: nothing can be executed.
    #[must_use]
    pub fn noexec(mut self) -> Mount {
        if let Some(flags) = self.flags() {
            flags.noexec = true;
        }
        self
    }

    /// For a tmpfs: its size in bytes; writing more is ENOSPC.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Mount {
        if let MountKind::Tmpfs { size, .. } = &mut self.kind {
            *size = Some(bytes);
        }
        self
    }

    /// For a tmpfs, a file, a directory or a device: permissions, such as `0o755`.
    #[must_use]
    pub fn mode(mut self, permissions: u32) -> Mount {
        match &mut self.kind {
            MountKind::Tmpfs { mode, .. } | MountKind::File { mode, .. } | MountKind::Directory { mode } => {
                *mode = permissions;
            }
            MountKind::Device { device } => device.mode = permissions,
            _ => {}
        }
        self
    }

    /// The same without its owners, see [`Flags::for_strangers`].
    pub(crate) fn for_strangers(mut self) -> Mount {
        if let MountKind::Bind { flags, .. } = &mut self.kind {
            flags.for_strangers = true;
        }
        self
    }

    /// An empty directory of the sandbox's own root.
    pub(crate) fn own_directory(target: impl AsRef<Path>, mode: u32) -> Mount {
        Mount::new(target, MountKind::OwnDirectory { mode, owner: None })
    }

    /// Such a one of the command's user, which nobody else comes to.
    pub(crate) fn own_home(target: impl AsRef<Path>, owner: Option<(u32, Option<u32>)>) -> Mount {
        Mount::new(target, MountKind::OwnDirectory { mode: 0o700, owner })
    }

    /// `mounts` without the preset's own, if those are what it begins with.
    pub(crate) fn without_presets(presets: &[Mount], mut mounts: Vec<Mount>) -> Vec<Mount> {
        let same = |(preset, given): (&Mount, &Mount)| preset.target == given.target && preset.kind == given.kind;
        match !presets.is_empty() && mounts.len() >= presets.len() && presets.iter().zip(&mounts).all(same) {
            true => mounts.split_off(presets.len()),
            false => mounts,
        }
    }

    /// Where it will be.
    pub fn target(&self) -> &Path {
        &self.target
    }
}
