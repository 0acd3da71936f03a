//! Files by descriptor: openat2 with a leash, and the small calls around it.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use crate::raw::general as k;
use crate::{Errno, Fd, PathBuffer, Result, call};

pub use k::{
    O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_WRONLY,
    RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV,
};

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// `openat2(2)`: close-on-exec always; `resolve` is a set of `RESOLVE_…`. Linux 5.6.
///
/// EAGAIN (a rename raced with the walk) is tried again as the man page asks, a bounded number of times.
#[inline(always)]
pub fn open(base: Fd, path: &CStr, flags: u32, mode: u32, resolve: u32) -> Result<Fd> {
    let how = OpenHow { flags: (flags | O_CLOEXEC) as u64, mode: mode as u64, resolve: resolve as u64 };
    let mut tries = 0;
    loop {
        // SAFETY: the path is a C string and `how` a struct open_how of the given size.
        let answer = unsafe { call!(__NR_openat2, base.arg(), path.as_ptr(), &raw const how, size_of::<OpenHow>()) };
        match answer {
            Err(Errno::EAGAIN) if tries < 64 => tries += 1,
            answer => return answer.map(|fd| Fd(fd as i32)),
        }
    }
}

/// `close(2)`.
#[inline(always)]
pub fn close(fd: Fd) -> Result<()> {
    // SAFETY: the child owns its own descriptor table; nothing else in it relies on the number.
    unsafe { call!(__NR_close, fd.arg()) }.map(drop)
}

/// `close_range(2)` from `first` to `last`, both included. Linux 5.9.
#[inline(always)]
pub fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: as in `close`.
    unsafe { call!(__NR_close_range, first, last, 0) }.map(drop)
}

/// `dup3(2)`: `to` becomes a copy of `from`; `from` and `to` must differ.
#[inline(always)]
pub fn duplicate_onto(from: Fd, to: Fd, close_on_exec: bool) -> Result<()> {
    let flags = if close_on_exec { O_CLOEXEC } else { 0 };
    // SAFETY: as in `close`.
    unsafe { call!(__NR_dup3, from.arg(), to.arg(), flags) }.map(drop)
}

/// `fcntl(2)` F_SETFL: the status flags of an open file, such as O_APPEND.
#[inline(always)]
pub fn set_status_flags(fd: Fd, flags: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_fcntl, fd.arg(), k::F_SETFL, flags) }.map(drop)
}

/// `fcntl(2)` F_DUPFD_CLOEXEC: a copy at the lowest free number from `least` up.
#[inline(always)]
pub fn duplicate_above(fd: Fd, least: u32) -> Result<Fd> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_fcntl, fd.arg(), k::F_DUPFD_CLOEXEC, least) }.map(|fd| Fd(fd as i32))
}

/// `fcntl(2)` F_SETFD.
#[inline(always)]
pub fn set_close_on_exec(fd: Fd, on: bool) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_fcntl, fd.arg(), k::F_SETFD, if on { k::FD_CLOEXEC } else { 0 }) }.map(drop)
}

/// `fchown(2)`: gives it to `uid`, and leaves its group.
#[inline(always)]
pub fn change_owner(fd: Fd, uid: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_fchown, fd.arg(), uid, u32::MAX) }.map(drop)
}

/// `fchownat(2)` of what is open, as O_PATH will do.
#[inline(always)]
pub fn change_owner_at(fd: Fd, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: the path is an empty C string: the descriptor itself.
    unsafe { call!(__NR_fchownat, fd.arg(), c"".as_ptr(), uid, gid, k::AT_EMPTY_PATH) }.map(drop)
}

/// What is asked for a byte of a file, `fcntl(2)`, open file description locks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteLock {
    /// `F_RDLCK`: others may read-lock it too.
    Read,
    /// `F_WRLCK`: nobody else has any lock on it.
    Write,
    /// `F_UNLCK`.
    None,
}

/// `fcntl(2)` F_OFD_SETLK: a lock on one byte that belongs to the open file description, so that it is shared by copies of
/// the descriptor and goes with the last of them. EAGAIN if another has it: F_OFD_SETLKW would wait without end.
#[inline(always)]
pub fn lock_byte(fd: Fd, lock: ByteLock, offset: u64) -> Result<()> {
    let kind = match lock {
        ByteLock::Read => k::F_RDLCK,
        ByteLock::Write => k::F_WRLCK,
        ByteLock::None => k::F_UNLCK,
    };
    // l_pid has to be 0 for these locks; l_whence 0 is SEEK_SET.
    let flock = k::flock { l_type: kind as i16, l_whence: 0, l_start: offset as i64, l_len: 1, l_pid: 0 };
    // SAFETY: the pointer is to a struct flock that lives through the call, which does not write to it.
    unsafe { call!(__NR_fcntl, fd.arg(), k::F_OFD_SETLK, &raw const flock) }.map(drop)
}

/// `read(2)`; answers how many bytes came.
#[inline(always)]
pub fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: pointer and length are one slice.
    unsafe { call!(__NR_read, fd.arg(), buffer.as_mut_ptr(), buffer.len()) }
}

/// `lseek(2)` from the beginning.
#[inline(always)]
pub fn seek(fd: Fd, offset: u64) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_lseek, fd.arg(), offset, k::SEEK_SET) }.map(drop)
}

/// `write(2)`; answers how many bytes went.
#[inline(always)]
pub fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: pointer and length are one slice.
    unsafe { call!(__NR_write, fd.arg(), bytes.as_ptr(), bytes.len()) }
}

/// `faccessat(2)` with X_OK, relative to the working directory: whether the *real* ids may execute it.
#[inline(always)]
pub fn may_execute(path: &CStr) -> Result<()> {
    const X_OK: u32 = 1;
    // SAFETY: the path is a C string.
    unsafe { call!(__NR_faccessat, Fd::CWD.arg(), path.as_ptr(), X_OK) }.map(drop)
}

/// `mkdirat(2)`.
#[inline(always)]
pub fn mkdir(base: Fd, name: &CStr, mode: u32) -> Result<()> {
    // SAFETY: the name is a C string.
    unsafe { call!(__NR_mkdirat, base.arg(), name.as_ptr(), mode) }.map(drop)
}

/// `mknodat(2)`: `mode` has the kind and the permissions.
#[inline(always)]
pub fn make_node(base: Fd, name: &CStr, mode: u32, major: u32, minor: u32) -> Result<()> {
    // SAFETY: the name is a C string.
    unsafe { call!(__NR_mknodat, base.arg(), name.as_ptr(), mode, number_of(major, minor)) }.map(drop)
}

/// The kernel's wide encoding: minor's low byte, twelve bits of major, the rest of minor.
#[inline(always)]
fn number_of(major: u32, minor: u32) -> u64 {
    u64::from(minor & 0xff) | u64::from(major) << 8 | u64::from(minor & !0xff) << 12
}

/// `unlinkat(2)` of an empty directory, or of anything else.
#[inline(always)]
pub fn remove(base: Fd, name: &CStr, directory: bool) -> Result<()> {
    let flags = if directory { k::AT_REMOVEDIR } else { 0 };
    // SAFETY: the name is a C string.
    unsafe { call!(__NR_unlinkat, base.arg(), name.as_ptr(), flags) }.map(drop)
}

/// `symlinkat(2)`: `name` below `base` points to `target`.
#[inline(always)]
pub fn symlink(target: &CStr, base: Fd, name: &CStr) -> Result<()> {
    // SAFETY: both are C strings.
    unsafe { call!(__NR_symlinkat, target.as_ptr(), base.arg(), name.as_ptr()) }.map(drop)
}

/// `readlinkat(2)`: puts where `name` below `base` leads at the end of `into`; EINVAL if it is no symlink.
#[inline(always)]
pub fn read_link(base: Fd, name: &CStr, into: &mut PathBuffer<'_>) -> Result<()> {
    let (first, room) = into.room();
    // SAFETY: the name is a C string, and there is room for so many bytes at `first`.
    let length = unsafe { call!(__NR_readlinkat, base.arg(), name.as_ptr(), first, room) }?;
    if length >= room {
        return Err(Errno::ENAMETOOLONG);
    }
    // SAFETY: the kernel has written so many bytes of the room.
    unsafe { into.grow(length) };
    Ok(())
}

/// `fchmod(2)`.
#[inline(always)]
pub fn chmod(fd: Fd, mode: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_fchmod, fd.arg(), mode) }.map(drop)
}

/// `fchdir(2)`.
#[inline(always)]
pub fn fchdir(fd: Fd) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_fchdir, fd.arg()) }.map(drop)
}

/// What fstat(2) tells that a check here wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// Type and permissions, inode(7).
    pub mode: u32,
    /// The device that the inode lives on.
    pub device: u64,
    /// The inode's number.
    pub inode: u64,
    /// For a device node: what it stands for.
    pub stands_for: u64,
}

impl Status {
    /// Whether this is the character device `major:minor`.
    #[inline(always)]
    pub fn is_character_device(&self, major: u32, minor: u32) -> bool {
        self.is_node(k::S_IFCHR, major, minor)
    }

    /// Whether this is such a node: S_IFCHR, S_IFBLK, or S_IFIFO, which has no numbers.
    #[inline(always)]
    pub fn is_node(&self, kind: u32, major: u32, minor: u32) -> bool {
        let numbered = kind == k::S_IFCHR || kind == k::S_IFBLK;
        self.mode & k::S_IFMT == kind && (!numbered || self.stands_for == number_of(major, minor))
    }

    /// What no other file has as long as this one is open.
    #[inline(always)]
    pub fn place(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether this is a directory.
    #[inline(always)]
    pub fn is_directory(&self) -> bool {
        self.mode & k::S_IFMT == k::S_IFDIR
    }
}

/// `newfstatat(2)`; an empty path is `base` itself, a symlink is not followed.
#[inline(always)]
pub fn status(base: Fd, path: &CStr) -> Result<Status> {
    let mut buffer = MaybeUninit::<k::stat>::uninit();
    let flags = k::AT_EMPTY_PATH | k::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the kernel fills the structure, and it is read only if the call succeeded.
    unsafe {
        call!(__NR_newfstatat, base.arg(), path.as_ptr(), buffer.as_mut_ptr(), flags)?;
        let stat = buffer.as_ptr();
        Ok(Status { mode: (*stat).st_mode, device: (*stat).st_dev, inode: (*stat).st_ino, stands_for: (*stat).st_rdev })
    }
}
