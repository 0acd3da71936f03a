//! What the container has of files: its root, what is shown of the host, what is mounted.

use std::path::{Component, Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgMatches, Args};
use seclude::Field;
use seclude::request::{self as data, Mount, MountKind, Request, Text};

use crate::args::{Heading, is_defined};
use crate::mounts::{BindSpec, FileSpec, MountSpec, OverlaySpec, SymlinkSpec, TmpfsSpec};
use crate::{values, words};

#[derive(Args, Default)]
#[command(next_help_heading = "Files")]
pub(crate) struct FileFlags {
    /// Show a file or directory of the host inside, by the same path, read-only; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) ro: Vec<PathBuf>,
    /// The same, writable: `--rw .` to build where you are
    #[arg(long, value_name = "PATH")]
    pub(crate) rw: Vec<PathBuf>,
    /// Let --ro and --rw show a home, with all keys in it
    #[arg(long)]
    pub(crate) whole_home: bool,
    /// How much /tmp, /var/tmp, /run and the new home hold together, in memory, and /dev/shm by itself: 1G unless said
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_tmp: Option<u64>,
    /// The directory that becomes /; read-only unless --writable or --overlay
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Put a writable layer in memory over the root; it is gone at the end
    #[arg(long, conflicts_with_all = ["upper", "writable"])]
    pub(crate) overlay: bool,
    /// Put a writable layer in this directory over the root; it stays
    #[arg(long, value_name = "DIR", requires = "work", conflicts_with = "writable")]
    pub(crate) upper: Option<PathBuf>,
    /// An empty directory on the file system of --upper, for the kernel's use
    #[arg(long, value_name = "DIR", requires = "upper")]
    pub(crate) work: Option<PathBuf>,
    /// Make the root read-only, also with --overlay and --upper
    #[arg(long, conflicts_with = "writable")]
    pub(crate) read_only: bool,
    /// Let the command write to the root itself
    #[arg(long)]
    pub(crate) writable: bool,
    /// Show a file or directory of the host inside (with what is mounted below it); `\:` is a colon in a path
    #[arg(long, value_name = "SRC[:DST]", value_parser = OsStringValueParser::new().try_map(BindSpec::parse))]
    pub(crate) bind: Vec<BindSpec>,
    /// The same, read-only
    #[arg(long, value_name = "SRC[:DST]", value_parser = OsStringValueParser::new().try_map(BindSpec::parse))]
    pub(crate) ro_bind: Vec<BindSpec>,
    /// An empty directory in memory
    #[arg(long, value_name = "DST[:size=64M,mode=1777]", value_parser = OsStringValueParser::new().try_map(TmpfsSpec::parse))]
    pub(crate) tmpfs: Vec<TmpfsSpec>,
    /// Several directories as one; the first lower wins. Without upper and work it is read-only; with the word
    /// `ephemeral` writes go to memory. `\,` is a comma in a path
    #[arg(long, value_name = "lower=A,lower=B[,upper=C,work=D],to=E", value_parser = OsStringValueParser::new().try_map(OverlaySpec::parse))]
    pub(crate) overlay_mount: Vec<OverlaySpec>,
    /// Any mount. Types: bind, tmpfs, overlay, proc, sysfs, mqueue, devpts, dev, file, dir, symlink, mask, ro. Keys: src,
    /// dst, size, mode, lower, upper, work, content; words: ro, rw (of sysfs), nosuid, nodev, noexec, norecursive, ephemeral, optional
    #[arg(long, value_name = "type=…,src=…,dst=…", value_parser = OsStringValueParser::new().try_map(MountSpec::parse))]
    pub(crate) mount: Vec<MountSpec>,
    /// A file with this text, or with the content of a file of the host
    #[arg(long, value_name = "DST=@HOSTFILE|TEXT", value_parser = OsStringValueParser::new().try_map(FileSpec::parse))]
    pub(crate) file: Vec<FileSpec>,
    /// A directory. Where its place is the host's it goes at the end if it is empty
    #[arg(long, value_name = "DST")]
    pub(crate) dir: Vec<PathBuf>,
    /// A symlink. Where its place is the host's it goes at the end
    #[arg(long, value_name = "TARGET:LINK", value_parser = OsStringValueParser::new().try_map(SymlinkSpec::parse))]
    pub(crate) symlink: Vec<SymlinkSpec>,
    /// Hide a file or directory
    #[arg(long, value_name = "PATH")]
    pub(crate) mask: Vec<PathBuf>,
    /// Make a file or directory read-only
    #[arg(long, value_name = "PATH")]
    pub(crate) ro_path: Vec<PathBuf>,
}

impl Heading for FileFlags {
    const FLAGS: &[&str] = &[
        "ro",
        "rw",
        "whole_home",
        "max_tmp",
        "root",
        "overlay",
        "upper",
        "work",
        "read_only",
        "writable",
        "bind",
        "ro_bind",
        "tmpfs",
        "overlay_mount",
        "mount",
        "file",
        "dir",
        "symlink",
        "mask",
        "ro_path",
    ];
}

impl FileFlags {
    /// On top of what the request has.
    pub(crate) fn compose(&self, request: &mut Request, order: &ArgMatches) {
        root(request, self);
        show(request, self);
        for (flag, mount) in in_order(self, order) {
            words::given_by(Field::of("mounts").index(request.mounts.len()), flag);
            request.mounts.push(mount);
        }
    }
}

fn root(request: &mut Request, flags: &FileFlags) {
    let layered = flags.overlay || flags.upper.is_some();
    if !layered && flags.root.is_none() && !flags.writable && !flags.read_only {
        // As the preset has it.
        return;
    }
    let given = [
        (flags.root.is_some(), "--root"),
        (flags.overlay, "--overlay"),
        (flags.upper.is_some(), "--upper"),
        (flags.read_only, "--read-only"),
        (flags.writable, "--writable"),
    ];
    if let Some((_, flag)) = given.into_iter().find(|(given, _)| *given) {
        words::given_by(Field::of("root"), flag);
    }
    let root = request.root.get_or_insert_default();
    let absolute = |path: &PathBuf| Text::from(std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    if let Some(directory) = &flags.root {
        *root = data::Root::default();
        root.path = Some(absolute(directory));
    }
    if layered {
        root.ephemeral = flags.overlay;
        (root.upper, root.work) = (flags.upper.as_ref().map(absolute), flags.work.as_ref().map(absolute));
    }
    let kept = if flags.root.is_some() || layered { None } else { root.read_only };
    root.read_only = match (flags.read_only, flags.writable) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => kept.or(Some(!layered)),
    };
}

fn show(request: &mut Request, flags: &FileFlags) {
    request.ro.extend(flags.ro.iter().map(Text::from));
    request.rw.extend(flags.rw.iter().map(Text::from));
    request.whole_home |= flags.whole_home;
    request.max_tmp = flags.max_tmp.map(data::Size).or(request.max_tmp);
}

/// The mounts of all flags in the order of the command line.
fn in_order(flags: &FileFlags, order: &ArgMatches) -> Vec<(&'static str, Mount)> {
    if !is_defined(order, FileFlags::FLAGS) {
        return Vec::new();
    }
    let mut found: Vec<(usize, &'static str, Mount)> = Vec::new();
    let mut add = |id: &str, flag: &'static str, mounts: Vec<Mount>| {
        let placed = mounts.into_iter().map(placed);
        found.extend(order.indices_of(id).into_iter().flatten().zip(placed).map(|(index, mount)| (index, flag, mount)));
    };
    let bind = |source: &Path, target: &Path, read_only: bool| {
        let mut mount = Mount::new(MountKind::Bind, target);
        (mount.source, mount.read_only) = (Some(Text::from(source)), read_only.then_some(true));
        mount
    };
    let at = |kind: MountKind, paths: &[PathBuf]| paths.iter().map(|path| Mount::new(kind, path)).collect();
    add("bind", "--bind", flags.bind.iter().map(|spec| bind(&spec.source, &spec.target, false)).collect());
    add("ro_bind", "--ro-bind", flags.ro_bind.iter().map(|spec| bind(&spec.source, &spec.target, true)).collect());
    add("tmpfs", "--tmpfs", flags.tmpfs.iter().map(|spec| spec.0.clone()).collect());
    add("overlay_mount", "--overlay-mount", flags.overlay_mount.iter().map(|spec| spec.0.clone()).collect());
    add("mount", "--mount", flags.mount.iter().map(|spec| spec.0.clone()).collect());
    add("file", "--file", flags.file.iter().map(|spec| spec.0.clone()).collect());
    add("dir", "--dir", at(MountKind::Directory, &flags.dir));
    add("symlink", "--symlink", flags.symlink.iter().map(|spec| spec.0.clone()).collect());
    add("mask", "--mask", at(MountKind::Mask, &flags.mask));
    add("ro_path", "--ro-path", at(MountKind::ReadOnlyPath, &flags.ro_path));
    found.sort_by_key(|(index, ..)| *index);
    found.into_iter().map(|(_, flag, mount)| (flag, mount)).collect()
}

/// A relative target begins where the caller is, as what --ro and --rw show does; `..` is resolved by name then.
fn placed(mut mount: Mount) -> Mount {
    let target = mount.target.as_path();
    if target.is_relative()
        && !target.as_os_str().is_empty()
        && let Ok(here) = std::env::current_dir()
    {
        let plain = here.join(target).components().fold(PathBuf::new(), |mut plain, part| {
            match part {
                Component::ParentDir => drop(plain.pop()),
                part => plain.push(part),
            }
            plain
        });
        mount.target = Text::from(plain);
    }
    mount
}
