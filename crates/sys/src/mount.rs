//! The mount API of Linux 5.2 and later: mounts as descriptors, attached where a descriptor points.

use core::ffi::CStr;

use crate::raw::general as k;
use crate::{Fd, PathBuffer, PathSpace, Result, call};

pub use k::{
    MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY, MOUNT_ATTR_STRICTATIME,
};

/// As mount_setattr(2) takes them.
pub const MS_PRIVATE: u64 = k::MS_PRIVATE as u64;
/// The same.
pub const MS_SLAVE: u64 = k::MS_SLAVE as u64;
/// The same.
pub const MS_SHARED: u64 = k::MS_SHARED as u64;
/// The same.
pub const MS_UNBINDABLE: u64 = k::MS_UNBINDABLE as u64;

const EMPTY: *const core::ffi::c_char = c"".as_ptr();

/// Makes every mount of this namespace private, mount(2): nothing mounted from now on reaches another one.
#[inline(always)]
pub fn make_all_private() -> Result<()> {
    // SAFETY: the target is a C string; source, type and data are ignored for a change of propagation.
    unsafe { call!(__NR_mount, 0, c"/".as_ptr(), 0, k::MS_REC | k::MS_PRIVATE, 0) }.map(drop)
}

/// `open_tree(2)` with OPEN_TREE_CLONE: a detached copy of the mount at `path`, with those below it if `recursive`.
#[inline(always)]
pub fn clone_tree(base: Fd, path: &CStr, recursive: bool) -> Result<Fd> {
    let mut flags = k::OPEN_TREE_CLONE | k::OPEN_TREE_CLOEXEC | k::AT_EMPTY_PATH;
    if recursive {
        flags |= k::AT_RECURSIVE;
    }
    // SAFETY: the path is a C string.
    unsafe { call!(__NR_open_tree, base.arg(), path.as_ptr(), flags) }.map(|fd| Fd(fd as i32))
}

/// Linux 7.0; not in the headers yet.
const OPEN_TREE_NAMESPACE: u32 = 1 << 1;

/// `open_tree(2)` with OPEN_TREE_NAMESPACE: a mount namespace that has nothing but a copy of what `source` has open and the
/// mounts below it. EINVAL before Linux 7.0.
#[inline(always)]
pub fn tree_namespace(source: Fd) -> Result<Fd> {
    let flags = OPEN_TREE_NAMESPACE | k::OPEN_TREE_CLOEXEC | k::AT_RECURSIVE | k::AT_EMPTY_PATH;
    // SAFETY: the empty path is a C string.
    unsafe { call!(__NR_open_tree, source.arg(), EMPTY, flags) }.map(|fd| Fd(fd as i32))
}

/// `fsopen(2)`: a file system being configured.
#[inline(always)]
pub fn fsopen(kind: &CStr) -> Result<Fd> {
    // SAFETY: the name is a C string.
    unsafe { call!(__NR_fsopen, kind.as_ptr(), k::FSOPEN_CLOEXEC) }.map(|fd| Fd(fd as i32))
}

/// `fsconfig(2)` FSCONFIG_SET_STRING; the kernel takes at most 255 bytes of value.
#[inline(always)]
pub fn fsconfig_string(fs: Fd, key: &CStr, value: &CStr) -> Result<()> {
    let set = k::fsconfig_command::FSCONFIG_SET_STRING as u32;
    // SAFETY: key and value are C strings.
    unsafe { call!(__NR_fsconfig, fs.arg(), set, key.as_ptr(), value.as_ptr(), 0) }.map(drop)
}

/// `fsconfig(2)` FSCONFIG_SET_FLAG.
#[inline(always)]
pub fn fsconfig_flag(fs: Fd, key: &CStr) -> Result<()> {
    let set = k::fsconfig_command::FSCONFIG_SET_FLAG as u32;
    // SAFETY: the key is a C string.
    unsafe { call!(__NR_fsconfig, fs.arg(), set, key.as_ptr(), 0, 0) }.map(drop)
}

/// `fsconfig(2)` FSCONFIG_SET_FD: a layer of an overlay by what has it open. Linux 6.13 there.
#[inline(always)]
pub fn fsconfig_fd(fs: Fd, key: &CStr, value: Fd) -> Result<()> {
    let set = k::fsconfig_command::FSCONFIG_SET_FD as u32;
    // SAFETY: the key is a C string, the descriptor a number.
    unsafe { call!(__NR_fsconfig, fs.arg(), set, key.as_ptr(), 0, value.arg()) }.map(drop)
}

/// `fsconfig(2)` FSCONFIG_CMD_CREATE: makes the superblock.
#[inline(always)]
pub fn fsconfig_create(fs: Fd) -> Result<()> {
    let create = k::fsconfig_command::FSCONFIG_CMD_CREATE as u32;
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_fsconfig, fs.arg(), create, 0, 0, 0) }.map(drop)
}

/// `fsmount(2)`: a detached mount of what was configured, with `MOUNT_ATTR_…` flags.
#[inline(always)]
pub fn fsmount(fs: Fd, attributes: u32) -> Result<Fd> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_fsmount, fs.arg(), k::FSMOUNT_CLOEXEC, attributes) }.map(|fd| Fd(fd as i32))
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `mount_setattr(2)` on the mount behind `mount`. Linux 5.12.
#[inline(always)]
pub fn set_attributes(mount: Fd, set: u32, recursive: bool) -> Result<()> {
    let attr = MountAttr { set: set as u64, clear: 0, propagation: 0, userns_fd: 0 };
    let flags = k::AT_EMPTY_PATH | if recursive { k::AT_RECURSIVE } else { 0 };
    let size = size_of::<MountAttr>();
    // SAFETY: `attr` is a struct mount_attr of `size` bytes.
    unsafe { call!(__NR_mount_setattr, mount.arg(), EMPTY, flags, &raw const attr, size) }.map(drop)
}

/// The same with attributes taken away and the propagation of mount_namespaces(7), MS_SHARED and its relatives, or 0. How access
/// times are written is one of several: it is cleared before it is set.
#[inline(always)]
pub fn change_attributes(mount: Fd, set: u32, clear: u32, propagation: u64, recursive: bool) -> Result<()> {
    let attr = MountAttr { set: set as u64, clear: clear as u64, propagation, userns_fd: 0 };
    let flags = k::AT_EMPTY_PATH | if recursive { k::AT_RECURSIVE } else { 0 };
    let size = size_of::<MountAttr>();
    // SAFETY: `attr` is a struct mount_attr of `size` bytes.
    unsafe { call!(__NR_mount_setattr, mount.arg(), EMPTY, flags, &raw const attr, size) }.map(drop)
}

/// Shows the files of a detached mount under the ids that `user_namespace` has for them: MOUNT_ATTR_IDMAP of
/// mount_setattr(2). Linux 5.12; EINVAL where the file system cannot do that.
#[inline(always)]
pub fn map_ids(mount: Fd, user_namespace: Fd, recursive: bool) -> Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let attr = MountAttr { set: MOUNT_ATTR_IDMAP, clear: 0, propagation: 0, userns_fd: user_namespace.arg() as u64 };
    let flags = k::AT_EMPTY_PATH | if recursive { k::AT_RECURSIVE } else { 0 };
    let size = size_of::<MountAttr>();
    // SAFETY: `attr` is a struct mount_attr of `size` bytes.
    unsafe { call!(__NR_mount_setattr, mount.arg(), EMPTY, flags, &raw const attr, size) }.map(drop)
}

/// [`change_attributes`] for one mount that is attached, by mount(2) with MS_REMOUNT | MS_BIND on its path in /proc/self/fd.
///
/// That call sets all flags: the mount's own are looked up and kept, as a user namespace may not clear locked ones. The
/// kernel keeps how access times are written if no flag speaks of it.
#[inline(always)]
pub fn remount_with(mount: Fd, set: u32, clear: u32) -> Result<()> {
    // As in statfs(2); the lower four are those of mount(2) and of mount_setattr(2) too.
    const ST_NOSYMFOLLOW: u64 = 0x2000;
    const ST_NOATIME: u64 = 0x0400;
    const ST_NODIRATIME: u64 = 0x0800;
    const ST_RELATIME: u64 = 0x1000;
    const COMMON: u32 = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    let now = statfs_flags(mount)?;
    let mut flags = k::MS_REMOUNT | k::MS_BIND | (now as u32 & !clear | set) & COMMON;
    let stays = |now: bool, attribute: u32| set & attribute != 0 || (now && clear & attribute == 0);
    if stays(now & ST_NOSYMFOLLOW != 0, MOUNT_ATTR_NOSYMFOLLOW) {
        flags |= k::MS_NOSYMFOLLOW;
    }
    // Of access times all or nothing: one flag of them says that the others are not meant.
    if (set | clear) & (MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME) != 0 {
        let kept = match (now & ST_NOATIME != 0, now & ST_RELATIME != 0) {
            (true, _) => MOUNT_ATTR_NOATIME,
            (false, true) => 0,
            (false, false) => MOUNT_ATTR_STRICTATIME,
        };
        flags |= match if clear & MOUNT_ATTR__ATIME != 0 { set & MOUNT_ATTR__ATIME } else { kept } {
            MOUNT_ATTR_NOATIME => k::MS_NOATIME,
            MOUNT_ATTR_STRICTATIME => k::MS_STRICTATIME,
            _ => k::MS_RELATIME,
        };
        if stays(now & ST_NODIRATIME != 0, MOUNT_ATTR_NODIRATIME) {
            flags |= k::MS_NODIRATIME;
        }
    }
    change(mount, flags)
}

/// `mount(2)` with MS_SHARED or one of its relatives, of an attached mount, and those below it if `recursive`.
#[inline(always)]
pub fn change_propagation(mount: Fd, propagation: u64, recursive: bool) -> Result<()> {
    change(mount, propagation as u32 | if recursive { k::MS_REC } else { 0 })
}

/// `mount(2)` with MS_REC and MS_PRIVATE of an attached mount and those below it, by its path in /proc.
#[inline(always)]
pub fn make_private(mount: Fd) -> Result<()> {
    change(mount, k::MS_REC | k::MS_PRIVATE)
}

#[inline(always)]
fn change(mount: Fd, flags: u32) -> Result<()> {
    let mut space = PathSpace::uninit();
    let mut path = PathBuffer::new(&mut space);
    path.push_all(b"/proc/self/fd/")?;
    path.push_number(mount.0 as u32)?;
    // SAFETY: the target is a C string; source, type and data are ignored for a change of flags or of propagation.
    unsafe { call!(__NR_mount, 0, path.from(0).as_ptr(), 0, flags, 0) }.map(drop)
}

/// `move_mount(2)`: attaches the detached `mount` on what `onto` has open.
#[inline(always)]
pub fn attach(mount: Fd, onto: Fd) -> Result<()> {
    let flags = k::MOVE_MOUNT_F_EMPTY_PATH | k::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are empty C strings: the descriptors themselves.
    unsafe { call!(__NR_move_mount, mount.arg(), EMPTY, onto.arg(), EMPTY, flags) }.map(drop)
}

/// `pivot_root(2)` with both paths `.`: the working directory becomes the root, the old root lies over it.
#[inline(always)]
pub fn pivot_here() -> Result<()> {
    // SAFETY: both paths are C strings.
    unsafe { call!(__NR_pivot_root, c".".as_ptr(), c".".as_ptr()) }.map(drop)
}

/// `chroot(2)` to the working directory: the rest of the namespace's tree stays where it is.
#[inline(always)]
pub fn chroot_here() -> Result<()> {
    // SAFETY: the path is a C string.
    unsafe { call!(__NR_chroot, c".".as_ptr()) }.map(drop)
}

/// `umount2(2)` with MNT_DETACH of what is mounted on `name` in the working directory.
#[inline(always)]
pub fn detach(name: &CStr) -> Result<()> {
    // SAFETY: the path is a C string.
    unsafe { call!(__NR_umount2, name.as_ptr(), k::MNT_DETACH | k::UMOUNT_NOFOLLOW) }.map(drop)
}

/// `umount2(2)` with MNT_DETACH of the working directory's topmost mount.
#[inline(always)]
pub fn detach_here() -> Result<()> {
    // SAFETY: the path is a C string.
    unsafe { call!(__NR_umount2, c".".as_ptr(), k::MNT_DETACH) }.map(drop)
}

/// The id of the mount that `path` leads to from `base`, statx(2) STATX_MNT_ID. Linux 5.8.
///
/// The kernel tells it in any case. The file system is asked for nothing: one of fuse answers EACCES to all but its
/// owner, and does not answer at all if its daemon hangs.
#[inline(always)]
pub fn mount_id(base: Fd, path: &CStr) -> Result<u64> {
    let mut buffer = core::mem::MaybeUninit::<k::statx>::uninit();
    let flags = k::AT_EMPTY_PATH | k::AT_SYMLINK_NOFOLLOW | k::AT_STATX_DONT_SYNC;
    // SAFETY: the kernel fills the structure, and it is read only if the call succeeded.
    unsafe {
        call!(__NR_statx, base.arg(), path.as_ptr(), flags, 0, buffer.as_mut_ptr())?;
        Ok((*buffer.as_ptr()).stx_mnt_id)
    }
}

/// Whether fstatfs(2) says ST_RDONLY.
#[inline(always)]
pub fn is_read_only(mount: Fd) -> Result<bool> {
    statfs_flags(mount).map(|flags| flags & 1 != 0)
}

/// The `f_flags` of fstatfs(2).
#[inline(always)]
fn statfs_flags(mount: Fd) -> Result<u64> {
    let mut buffer = core::mem::MaybeUninit::<k::statfs64>::uninit();
    // SAFETY: the kernel fills the structure, and it is read only if the call succeeded.
    let flags = unsafe {
        call!(__NR_fstatfs, mount.arg(), buffer.as_mut_ptr())?;
        (*buffer.as_ptr()).f_flags
    };
    Ok(flags as u64)
}

/// The type of the file system behind `fd`, as fstatfs(2) numbers it.
#[inline(always)]
pub fn filesystem_magic(fd: Fd) -> Result<u64> {
    let mut buffer = core::mem::MaybeUninit::<k::statfs64>::uninit();
    // SAFETY: the kernel fills the structure, and it is read only if the call succeeded.
    let magic = unsafe {
        call!(__NR_fstatfs, fd.arg(), buffer.as_mut_ptr())?;
        (*buffer.as_ptr()).f_type
    };
    Ok(magic as u64)
}
