//! Trees of the host that the parent copies for the child, under the ids of the container.
//!
//! Only who has CAP_SYS_ADMIN over a file system may map its ids, mount_setattr(2), and only while the copy is not attached:
//! so this is the parent's, once the child's map is written. (What a mount of the host is not attached to cannot be walked to
//! either: the child gets it as a descriptor.)

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::mount::{OpenTreeFlags, open_tree};
use seclude_request::{Field, Remedy};
use seclude_sys::{Errno, Fd, mount};

use crate::advice::Hint;
use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::mounts::Mounts;
use crate::patience::Patience;
use crate::program::Wanted;
use crate::step::Born;

const NAME: &str = "mount";

/// Sends them in the order in which the child takes them; answers what could only be shown under the ids of the host.
///
/// `field` says which field of the request a step is of.
pub(super) fn send(
    wanted: &[Wanted],
    field: impl Fn(usize) -> Option<Field>,
    born: &Born,
    channel: &Channel,
    patience: &Patience,
) -> Result<Vec<PathBuf>> {
    let namespace = namespace_of(born)?;
    let mut plain = Vec::new();
    let mut below: Option<Mounts> = None;
    for tree in wanted {
        let failed = |path: &Path, call, errno| failed(path, call, errno).or_at(field(tree.step));
        let copied = copy(tree).map_err(|errno| failed(&tree.path, "open_tree", errno))?;
        let whole = match (&tree.mapped, tree.plain) {
            (Some(asked), _) => map_ids(&copied, tree.namespace.as_deref().unwrap_or(&namespace), asked.below),
            (None, true) => Ok(()),
            (None, false) => map_ids(&copied, &namespace, tree.recursive),
        };
        let mapped = match whole {
            Ok(()) => true,
            Err(Refused::NotHere(errno)) if tree.mapped.is_some() => {
                let error = failed(&tree.path, "mount_setattr", to_rustix(errno));
                return Err(error.hint(
                    "a file system in it cannot be shown under other ids, or this kernel cannot (5.12), or it is mapped already",
                ));
            }
            // Something below it cannot be mapped, or the tree itself.
            Err(Refused::NotHere(_)) if tree.recursive && map_ids(&copied, &namespace, false).is_ok() => true,
            Err(Refused::NotHere(errno)) if tree.strict => {
                return Err(cannot_be_mapped(&tree.path, errno, field(tree.step)));
            }
            Err(Refused::NotHere(_)) => false,
            Err(Refused::Error(errno)) => return Err(failed(&tree.path, "mount_setattr", to_rustix(errno))),
        };
        if !mapped {
            plain.push(tree.path.clone());
        }
        let copied = match tree.open_at {
            Some(offset) => open_to_read(&copied, offset).map_err(|errno| failed(&tree.path, "open", errno))?,
            None => copied,
        };
        if !channel.send_tree(Some(copied.as_fd()), b"", patience)? {
            return Ok(plain);
        }
        if !tree.recursive {
            continue;
        }
        if whole.is_err() {
            let mounts = match &mut below {
                Some(mounts) => mounts,
                None => below.insert(Mounts::read(NAME)?),
            };
            let mut covered: Vec<PathBuf> = Vec::new();
            for point in mounts.below(&tree.path) {
                // What lies on something that was covered is to be seen as before, in whatever way.
                let hidden = covered.iter().any(|above| point.starts_with(above));
                if mounts.is_behind_a_server(&point) {
                    plain.push(point.clone());
                    continue;
                }
                let view = mounts.is_view(&point);
                if view && !hidden {
                    continue;
                }
                let relative = point.strip_prefix(&tree.path).unwrap_or(Path::new(""));
                let found = Point { of: tree.source.as_deref(), relative, path: &point };
                let mapped = if view { None } else { found.copy(Some(&namespace))? };
                if mapped.is_none() && !view {
                    plain.push(point.clone());
                }
                let cover = match mapped {
                    None if hidden => found.copy(None)?,
                    mapped => mapped,
                };
                let Some(cover) = cover else { continue };
                covered.push(point.clone());
                if !channel.send_tree(Some(cover.as_fd()), relative.as_os_str().as_bytes(), patience)? {
                    return Ok(plain);
                }
            }
        }
        if !channel.send_tree(None, b"", patience)? {
            return Ok(plain);
        }
    }
    Ok(plain)
}

fn namespace_of(born: &Born) -> Result<OwnedFd> {
    let path = format!("/proc/{}/ns/user", born.pid_in_proc(NAME)?);
    open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| {
        Error::parent(NAME, "the container's user namespace", errno)
            .call("open")
            .path_of(path)
            .hint("showing files under the ids of the container takes CAP_SYS_PTRACE")
    })
}

/// Something mounted below what is shown.
struct Point<'a> {
    of: Option<&'a OwnedFd>,
    relative: &'a Path,
    path: &'a Path,
}

impl Point<'_> {
    /// A copy of the mount that is there, under the ids of this namespace; `None` if the kernel has none to give, or the mount is gone.
    fn copy(&self, namespace: Option<&OwnedFd>) -> Result<Option<OwnedFd>> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let copied = match self.open().and_then(|found| open_tree(found, c"", flags)) {
            Ok(copied) => copied,
            Err(errno) if is_out_of_sight(errno) => return Ok(None),
            // Without it, what lies under it would be seen in its place: a full table of descriptors is no reason for that.
            Err(errno) => return Err(failed(self.path, "open_tree", errno)),
        };
        match namespace.map(|namespace| map_ids(&copied, namespace, false)) {
            None | Some(Ok(())) => Ok(Some(copied)),
            Some(Err(Refused::NotHere(_))) => Ok(None),
            Some(Err(Refused::Error(errno))) => Err(failed(self.path, "mount_setattr", to_rustix(errno))),
        }
    }

    /// From what is shown on: whoever may rename what is on the way could have a path of the host lead elsewhere by now.
    fn open(&self) -> rustix::io::Result<OwnedFd> {
        let leash = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(self.of.ok_or(rustix::io::Errno::NOENT)?, self.relative, flags, Mode::empty(), leash)
    }
}

/// Whether a mount that was listed has gone, or is not to be reached by its path: under another, behind a closed directory, or
/// of a server that has died.
fn is_out_of_sight(errno: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM | Errno::INVAL)
        || errno == Errno::XDEV
        || matches!(errno, Errno::NOTCONN | Errno::STALE | Errno::HOSTDOWN)
}

/// The file that is the root of a tree, on the tree's mount, which nobody writes to.
fn open_to_read(tree: &OwnedFd, offset: u64) -> rustix::io::Result<OwnedFd> {
    let errno = |errno: Errno| to_rustix(errno);
    mount::set_attributes(Fd(tree.as_raw_fd()), mount::MOUNT_ATTR_RDONLY, false).map_err(errno)?;
    let path = format!("/proc/self/fd/{}", tree.as_raw_fd());
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(offset))?;
    Ok(file)
}

fn copy(tree: &Wanted) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let recursive = if tree.recursive { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let Some(source) = &tree.source else { return Err(rustix::io::Errno::BADF) };
    open_tree(source, c"", flags | recursive)
}

enum Refused {
    /// The kernel or the file system cannot do it.
    NotHere(Errno),
    Error(Errno),
}

fn map_ids(tree: &OwnedFd, namespace: &OwnedFd, recursive: bool) -> std::result::Result<(), Refused> {
    mount::map_ids(Fd(tree.as_raw_fd()), Fd(namespace.as_raw_fd()), recursive).map_err(|errno| match errno {
        // EINVAL: the file system, or a map that lies on another; EPERM: a file system of another user namespace.
        Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EPERM => Refused::NotHere(errno),
        errno => Refused::Error(errno),
    })
}

fn failed(path: &Path, call: &'static str, errno: rustix::io::Errno) -> Error {
    let confined = matches!(errno, rustix::io::Errno::PERM | rustix::io::Errno::ACCESS);
    let confined = confined.then(crate::confinement::found).flatten();
    Error::parent(NAME, format!("copy of {}", path.display()), errno).call(call).path_of(path).hint_if(confined)
}

fn to_rustix(errno: Errno) -> rustix::io::Errno {
    rustix::io::Errno::from_raw_os_error(i32::from(errno.0))
}

fn cannot_be_mapped(path: &Path, errno: Errno, field: Option<Field>) -> Error {
    let read_only = field.clone().map(|field| Remedy::Set(field.key("read_only"), Some(true.into())));
    failed(path, "mount_setattr", to_rustix(errno)).hint(
        Hint::from(
            "its file system or this kernel (5.12) cannot show it under the ids of the container, so nothing could be written as \
         whoever owns it: show it without write access, or have the container's root be the host's",
        )
        .with(read_only)
        .with([Remedy::set("user.map", "host-root")]),
    )
    .or_at(field)
}
