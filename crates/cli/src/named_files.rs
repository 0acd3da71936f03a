//! Files of the host that a flag names: opened without waiting for anybody, and not by way of a symlink that code which ran before could
//! have left there for us.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::path::Path;

use rustix::fs::{
    CWD, FileType, Mode, OFlags, ResolveFlags, fcntl_getfl, fcntl_setfl, fstat, fstatfs, openat, openat2,
};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use seclude_links::{For, Stopped, follow};

/// Of pipes that have no name, include/uapi/linux/magic.h: `<(…)` of a shell.
const PIPEFS_MAGIC: u64 = 0x5049_5045;

/// All that is in it, which may be this many bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    read_all(to_read(path)?, most)
}

/// The same of what is open.
pub(crate) fn read_all(from: impl Read, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
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

/// A new file, or what was in it is gone; a device or a FIFO that somebody reads stays what it is, and a write to that waits for nobody
/// (EAGAIN). One with several names is refused: by another of them a command may write to it.
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
    let found = fstat(&opened)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Fifo => return Ok(opened),
        FileType::RegularFile if found.st_nlink > 1 => {
            return Err(Error::other("it has other names as well (hard links): remove it first"));
        }
        FileType::RegularFile => opened.set_len(0)?,
        _ => {}
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
        Err(Errno::LOOP | Errno::NOSYS) => {
            let purpose = if flags.contains(OFlags::WRONLY) { For::Writing } else { For::Reading };
            let place = follow(path, purpose).map_err(|stopped| match stopped {
                Stopped::Errno(errno) => errno.into(),
                Stopped::Link(link) => Error::other(format!(
                    "{} is a symlink, which whoever can write there has chosen: name where it leads to, if that is meant",
                    link.display()
                )),
            })?;
            let last = if place.is_kernels { OFlags::empty() } else { OFlags::NOFOLLOW };
            openat(&place.directory, &place.name, flags | last, mode)
        }
        opened => opened,
    };
    Ok(opened?.into())
}
