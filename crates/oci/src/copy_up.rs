//! `tmpcopyup`: a new file system that begins with what the image has in its place.
//!
//! It is filled from outside, before anything leads to it, by descriptors on both sides: the image's files may lead anywhere, and nothing here
//! follows them.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::{setfsgid, setfsuid};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, chownat, fchmod, fchown, fstat, mkdirat,
    mknodat, openat, openat2, readlinkat, symlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Deeper trees are nobody's image.
const DEEPEST: usize = 128;

/// One such mount.
#[derive(Clone, Debug)]
pub(crate) struct CopyUp {
    /// The root as the image has it, or what an earlier mount has brought there.
    pub(crate) image: PathBuf,
    /// In that; empty, all of it.
    pub(crate) target: PathBuf,
    /// Whether the directory's own permissions were said.
    pub(crate) has_mode: bool,
}

impl CopyUp {
    /// Fills it; what the image does not have leaves it empty.
    pub(crate) fn fill(&self, into: &OwnedFd) -> io::Result<()> {
        let failed = |errno: Errno| {
            let why = match errno {
                Errno::ACCESS => {
                    ": one of its files is not for everybody, and of ids that the container or its caller does not have"
                }
                _ => "",
            };
            io::Error::new(errno.kind(), format!("tmpcopyup: {errno}{why}"))
        };
        let image = openat(CWD, &self.image, DIRECTORY, Mode::empty()).map_err(failed)?;
        let leash = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let target = Path::new(".").join(self.target.strip_prefix("/").unwrap_or(&self.target));
        let from = match openat2(image, target, DIRECTORY, Mode::empty(), leash) {
            Ok(from) => from,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(failed(errno)),
        };
        // What was handed over is a place alone.
        let into = openat(into, ".", DIRECTORY, Mode::empty()).map_err(failed)?;
        let found = fstat(&from).map_err(failed)?;
        let place = fstat(&into).map_err(failed)?;
        let caller = geteuid();
        if !caller.is_root() && place.st_uid != caller.as_raw() {
            let why = "tmpcopyup: it belongs to an id that is subordinate to the caller's, and the caller fills it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        self.fill_opened(&from, &found, &into, &place).map_err(failed)
    }

    fn fill_opened(&self, from: &OwnedFd, found: &Stat, into: &OwnedFd, place: &Stat) -> Result<(), Errno> {
        // Of a user namespace of the container's it takes nothing from an id that is not mapped there; whose the place is always is.
        let copy =
            Copy { uid: nix::unistd::Uid::from_raw(place.st_uid), gid: nix::unistd::Gid::from_raw(place.st_gid) };
        fchmod(into, Mode::from_raw_mode(0o700))?;
        copy.all(from.as_fd(), into.as_fd(), 0)?;
        let given = give(into.as_fd(), found)?;
        if !self.has_mode {
            return permit(into, found, given);
        }
        fchown(into, Some(Uid::from_raw(place.st_uid)), Some(Gid::from_raw(place.st_gid)))?;
        fchmod(into, Mode::from_raw_mode(place.st_mode))
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Whom what is made belongs to at first.
struct Copy {
    uid: nix::unistd::Uid,
    gid: nix::unistd::Gid,
}

impl Copy {
    fn all(&self, from: BorrowedFd<'_>, into: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
        if depth > DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            // What is looked at is what is opened, whatever has its name by then: to open a device may do something.
            let entry = openat(from, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            let found = fstat(&entry)?;
            match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => {
                    self.as_owner(|| mkdirat(into, name, Mode::from_raw_mode(0o700)))?;
                    let inner = openat(&entry, ".", DIRECTORY, Mode::empty())?;
                    let made = openat(into, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
                    self.all(inner.as_fd(), made.as_fd(), depth + 1)?;
                    let given = give(made.as_fd(), &found)?;
                    permit(&made, &found, given)?;
                }
                FileType::RegularFile => {
                    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let made = self.as_owner(|| openat(into, name, flags, Mode::from_raw_mode(0o600)))?;
                    // Before there is anything in it: some may not be read there.
                    let given = give(made.as_fd(), &found)?;
                    let again = format!("/proc/self/fd/{}", entry.as_raw_fd());
                    let source = openat(CWD, again, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                    let mut made = File::from(made);
                    std::io::copy(&mut File::from(source), &mut made).map_err(errno)?;
                    permit(&made.into(), &found, given)?;
                }
                FileType::Symlink => {
                    let target = readlinkat(&entry, "", Vec::new())?;
                    self.as_owner(|| symlinkat(&target, into, name))?;
                    give_place(into, name, &found)?;
                }
                kind => {
                    let mode = Mode::from_raw_mode(found.st_mode);
                    self.as_owner(|| mknodat(into, name, kind, mode, found.st_rdev))?;
                    give_place(into, name, &found)?;
                }
            }
        }
        Ok(())
    }

    /// By the ids that this thread has for files meanwhile, setfsuid(2); without the rights of root, which who owns the directory does not need.
    fn as_owner<T>(&self, make: impl FnOnce() -> T) -> T {
        // Each answers the one before; the group first, as who is not root any more cannot change it.
        let gid = setfsgid(self.gid);
        let uid = setfsuid(self.uid);
        let made = make();
        setfsuid(uid);
        setfsgid(gid);
        made
    }
}

/// What became of an owner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    /// The same as the image's.
    Same,
    /// The container does not have it, and the kernel does not take it.
    Roots,
}

fn give(file: BorrowedFd<'_>, found: &Stat) -> Result<Given, Errno> {
    owned(found, |uid, gid| fchown(file, uid, gid))
}

fn give_place(into: BorrowedFd<'_>, name: &CStr, found: &Stat) -> Result<Given, Errno> {
    owned(found, |uid, gid| chownat(into, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))
}

/// Gives something to the owner that the image has. One that the container does not have is nobody's there, in the copy as in the image. Kernels that
/// refuse such an owner (EOVERFLOW) have it given to the container's root instead, if everybody may read it: a copy of anything else would be read by whom the
/// image's own is not for.
fn owned(found: &Stat, give: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>) -> Result<Given, Errno> {
    let is_had = |given: Result<(), Errno>| match given {
        Ok(()) => Ok(true),
        Err(Errno::OVERFLOW | Errno::INVAL) => Ok(false),
        Err(errno) => Err(errno),
    };
    let uid = is_had(give(Some(Uid::from_raw(found.st_uid)), None))?;
    let gid = is_had(give(None, Some(Gid::from_raw(found.st_gid))))?;
    let needed = match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => 0o005,
        FileType::RegularFile => 0o004,
        _ => 0,
    };
    match uid && gid {
        true => Ok(Given::Same),
        false if found.st_mode & needed == needed => Ok(Given::Roots),
        false => Err(Errno::ACCESS),
    }
}

/// What runs as an owner whom the container does not have runs as nobody else.
fn permit(file: &OwnedFd, found: &Stat, given: Given) -> Result<(), Errno> {
    let kept = if given == Given::Same { found.st_mode } else { found.st_mode & !(0o6000) };
    fchmod(file, Mode::from_raw_mode(kept))
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
