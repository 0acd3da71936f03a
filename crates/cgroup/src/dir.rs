//! A cgroup directory by descriptor. Every file and directory is reached from here, by a name
//! without a slash, and no symlink is followed.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, chmodat, chownat, fchmod, fchown, fstat, statat};
use rustix::io::Errno;

use crate::{Error, Hierarchy, Version, read};

/// `CGROUP_SUPER_MAGIC`, v1.
const CGROUP: u64 = 0x0027_e0eb;
/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: u64 = 0x6367_7270;

/// What whoever lists and enters a directory has to be allowed; and whoever removes what is in it.
const SEEN: u32 = 0o500;
const ALL: u32 = 0o700;

#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    /// Where it was found; only for messages.
    path: PathBuf,
    /// The filesystem type that it and everything below is checked to have.
    magic: u64,
}

impl Dir {
    pub(crate) fn open_mount(hierarchy: &Hierarchy) -> Result<Dir, Error> {
        let magic = match hierarchy.version() {
            Version::V1 => CGROUP,
            Version::V2 => CGROUP2,
        };
        open_dir(CWD, hierarchy.mount_point(), hierarchy.mount_point().to_path_buf(), magic)
    }

    /// The same directory by a descriptor of our own, and the version of its hierarchy.
    pub(crate) fn reopen(directory: BorrowedFd<'_>, path: &Path) -> Result<(Version, Dir), Error> {
        let stat = rustix::fs::fstatfs(directory).map_err(|errno| Error::from_call("fstatfs", path, errno))?;
        let version = match stat.f_type as u64 {
            CGROUP => Version::V1,
            CGROUP2 => Version::V2,
            _ => return Err(Error::NotCgroup { path: path.to_owned() }),
        };
        let dir = open_dir(directory, Path::new("."), path.to_owned(), stat.f_type as u64)?;
        Ok((version, dir))
    }

    /// Any directory, so that a test needs no cgroup.
    #[cfg(test)]
    pub(crate) fn open_plain(path: &Path) -> Dir {
        let stat = rustix::fs::statfs(path).unwrap();
        open_dir(CWD, path, path.to_path_buf(), stat.f_type as u64).unwrap()
    }

    /// Whether it is of the hierarchy of v2, whose files those of v1 do not have.
    pub(crate) fn is_v2(&self) -> bool {
        self.magic == CGROUP2
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The same directory by one more descriptor, also when it was removed.
    pub(crate) fn again(&self) -> Result<Dir, Error> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 3)
            .map_err(|errno| Error::from_call("fcntl", &self.path, errno))?;
        Ok(Dir { fd, path: self.path.clone(), magic: self.magic })
    }

    pub(crate) fn open_child(&self, name: &Path) -> Result<Dir, Error> {
        open_dir(self.fd(), name, self.path.join(name), self.magic)
    }

    /// The same of one that its owner may have closed to itself: where that is this process, as whoever made it inside was the same user,
    /// it is opened again.
    pub(crate) fn open_closed_child(&self, name: &Path) -> Result<Dir, Error> {
        self.open_below(name, true)
    }

    /// The same, and whether messages are to name it, or the one above: far down a name more is no help.
    pub(crate) fn open_below(&self, name: &Path, is_named: bool) -> Result<Dir, Error> {
        let path = if is_named { self.path.join(name) } else { self.path.clone() };
        let dir = match open_dir(self.fd(), name, path.clone(), self.magic) {
            Err(error) if error.is(Errno::ACCESS) => {
                self.unlock(name, ALL).map_err(|_| error)?;
                open_dir(self.fd(), name, path, self.magic)?
            }
            other => other?,
        };
        // One can be listed and yet not be entered.
        dir.open_up(SEEN);
        Ok(dir)
    }

    /// Gives its owner these rights. By a name: no file system of cgroups has symlinks, and nothing in one is moved elsewhere.
    fn unlock(&self, name: impl rustix::path::Arg + Copy, rights: u32) -> Result<(), Errno> {
        let mode = statat(self.fd(), name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode;
        chmodat(self.fd(), name, Mode::from_raw_mode(mode | rights), AtFlags::empty())
    }

    /// Without the right to write nothing in it can be removed.
    pub(crate) fn open_to_be_emptied(&self) {
        self.open_up(ALL);
    }

    /// Gives its owner these rights. Where it is somebody else's, that is an error of what follows.
    fn open_up(&self, rights: u32) {
        if let Ok(stat) = fstat(self.fd())
            && stat.st_mode & rights != rights
        {
            let _ = fchmod(self.fd(), Mode::from_raw_mode(stat.st_mode | rights));
        }
    }

    /// Back from there.
    pub(crate) fn open_above(mut self, is_named: bool) -> Result<Dir, Error> {
        let above = open_dir(self.fd(), Path::new(".."), PathBuf::new(), self.magic)?;
        if is_named {
            self.path.pop();
        }
        Ok(Dir { path: self.path, ..above })
    }

    /// The directory it is in, also when it was removed or lies outside of what the caller can
    /// name by now.
    pub(crate) fn open_parent(&self) -> Result<Dir, Error> {
        let path = self.path.parent().unwrap_or(&self.path).to_path_buf();
        open_dir(self.fd(), Path::new(".."), path, self.magic)
    }

    /// mkdir; false if it is there already.
    pub(crate) fn make_child(&self, name: &Path) -> Result<bool, Error> {
        self.make_child_with(name, 0o755)
    }

    /// The same with these permissions.
    pub(crate) fn make_child_with(&self, name: &Path, mode: u32) -> Result<bool, Error> {
        match rustix::fs::mkdirat(self.fd(), name, Mode::from_raw_mode(mode)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(Error::from_call("mkdir", &self.path.join(name), errno)),
        }
    }

    pub(crate) fn remove_child(&self, name: &Path) -> Result<(), Errno> {
        rustix::fs::unlinkat(self.fd(), name, AtFlags::REMOVEDIR)
    }

    /// The names of the cgroups directly below.
    pub(crate) fn children(&self) -> Result<Vec<PathBuf>, Error> {
        let fail = |errno: Errno| Error::from_call("readdir", &self.path, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(self.fd()).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if entry.file_type() == FileType::Directory && !matches!(name, b"." | b"..") {
                names.push(PathBuf::from(OsString::from_vec(name.to_vec())));
            }
        }
        Ok(names)
    }

    pub(crate) fn open_file(&self, file: &str, flags: OFlags) -> Result<OwnedFd, Error> {
        rustix::fs::openat(self.fd(), file, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|errno| Error::from_call("openat", &self.path.join(file), errno))
    }

    /// A file that the kernel writes in one piece: all but the lists of processes and threads.
    pub(crate) fn read(&self, file: &str) -> Result<String, Error> {
        let fd = self.open_file(file, OFlags::RDONLY)?;
        read::piece(fd.as_fd()).map_err(|errno| Error::from_call("read", &self.path.join(file), errno))
    }

    /// A list of processes, also where its owner has closed it to itself.
    pub(crate) fn read_list(&self, file: &str) -> Result<String, Error> {
        let fd = match self.open_file(file, OFlags::RDONLY) {
            Err(error) if error.is(Errno::ACCESS) => {
                self.unlock(file, 0o400).map_err(|_| error)?;
                self.open_file(file, OFlags::RDONLY)?
            }
            other => other?,
        };
        read::lines(fd.as_fd()).map_err(|errno| Error::from_call("read", &self.path.join(file), errno))
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        rustix::fs::accessat(self.fd(), file, Access::EXISTS, AtFlags::empty()).is_ok()
    }

    /// `None` if there is no such file, or nothing behind it (`EOPNOTSUPP`: PSI switched off).
    pub(crate) fn read_if_any(&self, file: &str) -> Result<Option<String>, Error> {
        match self.read(file) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_not_found() || error.is(Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Itself, and those of its files that are there.
    pub(crate) fn give_to<'a>(&self, uid: u32, files: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        let owner = Some(rustix::fs::Uid::from_raw(uid));
        for file in files {
            match chownat(&self.fd, file, owner, None, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::from_call("fchownat", &self.path.join(file), errno)),
            }
        }
        fchown(&self.fd, owner, None).map_err(|errno| Error::from_call("fchown", &self.path, errno))
    }

    /// One write(2): a cgroup file takes a whole value or none.
    pub(crate) fn write(&self, file: &str, value: &str) -> Result<(), Error> {
        let fd = self.open_file(file, OFlags::WRONLY | OFlags::TRUNC)?;
        self.write_to(fd.as_fd(), file, value)
    }

    /// The same, and what the file has then.
    pub(crate) fn exchange(&self, file: &str, value: &str) -> Result<String, Error> {
        let fd = self.open_file(file, OFlags::RDWR | OFlags::TRUNC)?;
        self.write_to(fd.as_fd(), file, value)?;
        read::piece(fd.as_fd()).map_err(|errno| Error::from_call("read", &self.path.join(file), errno))
    }

    fn write_to(&self, fd: BorrowedFd<'_>, file: &str, value: &str) -> Result<(), Error> {
        let fail = |errno: Errno| Error::from_call("write", &self.path.join(file), errno);
        match rustix::io::retry_on_intr(|| rustix::io::write(fd, value.as_bytes())).map_err(fail)? {
            written if written == value.len() => Ok(()),
            _ => Err(fail(Errno::IO)),
        }
    }
}

fn open_dir(at: BorrowedFd<'_>, name: &Path, path: PathBuf, magic: u64) -> Result<Dir, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd =
        rustix::fs::openat(at, name, flags, Mode::empty()).map_err(|errno| Error::from_call("openat", &path, errno))?;
    let stat = rustix::fs::fstatfs(&fd).map_err(|errno| Error::from_call("fstatfs", &path, errno))?;
    match stat.f_type as u64 == magic {
        true => Ok(Dir { fd, path, magic }),
        false => Err(Error::NotCgroup { path }),
    }
}
