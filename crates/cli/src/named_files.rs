//! Files of the host that a flag names: opened without waiting for anybody, and not by way of a symlink that code which ran before could
//! have left there for us.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Error, Read, Result};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fcntl_getfl, fcntl_setfl, fstat, fstatfs,
    openat, openat2, readlinkat, statat,
};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Of pipes that have no name, include/uapi/linux/magic.h: `<(…)` of a shell.
const PIPEFS_MAGIC: u64 = 0x5049_5045;

/// All that is in it, which may be this many bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    to_read(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(Error::other(format!("it has more than {most} bytes"))),
        false => Ok(bytes),
    }
}

/// A file, or a pipe without a name.
pub(crate) fn to_read(path: &Path) -> Result<File> {
    let opened = open(path, OFlags::RDONLY, Mode::empty())?;
    let what = match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
        FileType::RegularFile => return Ok(opened),
        FileType::Fifo if fstatfs(&opened)?.f_type as u64 == PIPEFS_MAGIC => {
            wait_for_others(&opened)?;
            return Ok(opened);
        }
        FileType::Directory => "it is a directory, not a file",
        FileType::Fifo => "it is a FIFO, not a file",
        _ => "it is no file",
    };
    Err(Error::other(what))
}

/// A new file, or what was in it is gone; a device or a FIFO that somebody reads stays what it is.
/// (`-` and paths of this process's own descriptors are those: written where they stand.)
pub(crate) fn to_write(path: &Path) -> Result<File> {
    if path == Path::new("-") {
        return own_descriptor(1);
    }
    if let Some(number) = own_number(path) {
        return own_descriptor(number);
    }
    let opened =
        open(path, OFlags::WRONLY | OFlags::CREATE, Mode::from_bits_retain(0o666)).map_err(|error| {
            match error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) {
                true => Error::other("nobody reads it"),
                false => error,
            }
        })?;
    if FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::RegularFile {
        opened.set_len(0)?;
    }
    wait_for_others(&opened)?;
    Ok(opened)
}

/// Which descriptor of this process a path leads to, by the names that the kernel and the system have for them.
fn own_number(path: &Path) -> Option<i32> {
    let whole = std::path::absolute(path).ok()?;
    let number = match whole.to_str()? {
        "/dev/stdout" => return Some(1),
        "/dev/stderr" => return Some(2),
        text => {
            let process = format!("/proc/{}/fd/", std::process::id());
            ["/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/", &process]
                .iter()
                .find_map(|above| text.strip_prefix(above))?
        }
    };
    number.parse().ok()
}

/// The same open file, and not one that is opened anew, which would begin at its start and empty it.
fn own_descriptor(number: i32) -> Result<File> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let file = pidfd_getfd(own, number, PidfdGetfdFlags::empty()).map_err(|errno| match errno {
        Errno::BADF => Error::other("this descriptor is not open"),
        errno => errno.into(),
    })?;
    match fcntl_getfl(&file)? & OFlags::RWMODE {
        OFlags::RDONLY => Err(Error::other("this descriptor is not open for writing")),
        _ => Ok(file.into()),
    }
}

fn wait_for_others(opened: &File) -> Result<()> {
    Ok(fcntl_setfl(opened, fcntl_getfl(opened)? - OFlags::NONBLOCK)?)
}

fn open(path: &Path, flags: OFlags, mode: Mode) -> Result<File> {
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match openat2(CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS) {
        // Before Linux 5.6, and where a filter refuses it.
        Err(Errno::LOOP | Errno::NOSYS) => return walk(path, flags, mode),
        opened => opened,
    };
    Ok(opened?.into())
}

/// Where symlinks are the system's own, as far as root alone may write there. Not everything that is root's: what root shows a container
/// to write, such as a project, can have the container's symlinks.
const OF_THE_SYSTEM: [&str; 8] = ["/bin", "/dev", "/etc", "/lib", "/run", "/sbin", "/sys", "/usr"];
const WITH_LINKS: [&str; 2] = ["/", "/var"];
/// The kernel's own bound, path_resolution(7).
const MOST_LINKS: usize = 40;

/// Follows the symlinks that no others than root could have made, and no other: step by step, each from what the last has opened.
fn walk(path: &Path, flags: OFlags, mode: Mode) -> Result<File> {
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let names = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<VecDeque<OsString>>();
    let mut left = names(&std::path::absolute(path)?);
    let (mut directory, mut at, mut links) = (openat(CWD, "/", place, Mode::empty())?, PathBuf::from("/"), 0);
    while let Some(name) = left.pop_front() {
        if name == "/" {
            (directory, at) = (openat(CWD, "/", place, Mode::empty())?, PathBuf::from("/"));
            continue;
        }
        let is_link = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink);
        // Those of /proc are the process's own, and the kernel makes them; some lead where no path does.
        let is_kernels = is_link && fstatfs(&directory)?.f_type as u64 == PROC_SUPER_MAGIC as u64;
        if is_link && !is_kernels {
            let link = at.join(&name);
            if links == MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            if !is_the_systems(&link, &directory)? {
                let link = link.display();
                let what = format!(
                    "{link} is a symlink, which whoever can write there has chosen: name where it leads to, if that is meant"
                );
                return Err(Error::other(what));
            }
            links += 1;
            let to = readlinkat(&directory, &name, Vec::new())?;
            for part in names(Path::new(OsStr::from_bytes(to.as_bytes()))).into_iter().rev() {
                left.push_front(part);
            }
            continue;
        }
        let follow = if is_kernels { OFlags::empty() } else { OFlags::NOFOLLOW };
        if left.is_empty() {
            return Ok(openat(&directory, &name, flags | follow, mode)?.into());
        }
        directory = openat(&directory, &name, place | follow, Mode::empty())?;
        match name == ".." {
            true => drop(at.pop()),
            false => at.push(&name),
        }
    }
    Err(Errno::ISDIR.into())
}

fn is_the_systems(link: &Path, directory: &OwnedFd) -> Result<bool> {
    let of_the_system = OF_THE_SYSTEM.iter().any(|system| link.starts_with(system))
        || WITH_LINKS.iter().any(|directory| link.parent() == Some(Path::new(directory)));
    let found = fstat(directory)?;
    Ok(of_the_system && found.st_uid == 0 && found.st_mode & 0o022 == 0)
}
