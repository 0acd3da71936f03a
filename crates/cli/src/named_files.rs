//! Files of the host that a flag names: opened without waiting for anybody, and not by way of a symlink that code which ran before could
//! have left there for us.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, FileType, Mode, OFlags, ResolveFlags, fcntl_getfl, fcntl_setfl, fstat, fstatfs, openat, openat2,
};
use rustix::io::Errno;

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
pub(crate) fn to_write(path: &Path) -> Result<File> {
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

fn wait_for_others(opened: &File) -> Result<()> {
    Ok(fcntl_setfl(opened, fcntl_getfl(opened)? - OFlags::NONBLOCK)?)
}

fn open(path: &Path, flags: OFlags, mode: Mode) -> Result<File> {
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match openat2(CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS) {
        // Before Linux 5.6, and where a filter refuses it.
        Err(Errno::LOOP | Errno::NOSYS) => match link_of_others(path)? {
            None => openat(CWD, path, flags, mode),
            Some(link) => {
                let link = link.display();
                let what = format!(
                    "{link} is a symlink, which whoever can write there has chosen: name where it leads to, if that is meant"
                );
                return Err(Error::other(what));
            }
        },
        opened => opened,
    };
    Ok(opened?.into())
}

/// Where symlinks are the system's own, as far as root alone may write there. Not everything that is root's: what root shows a container
/// to write, such as a project, can have the container's symlinks.
const OF_THE_SYSTEM: [&str; 8] = ["/bin", "/dev", "/etc", "/lib", "/run", "/sbin", "/sys", "/usr"];
const WITH_LINKS: [&str; 2] = ["/", "/var"];

/// The first symlink on the way that others could have made.
fn link_of_others(path: &Path) -> Result<Option<PathBuf>> {
    let whole = std::path::absolute(path)?;
    for place in whole.ancestors() {
        let (Ok(found), Some(above)) = (place.symlink_metadata(), place.parent()) else { continue };
        if !found.is_symlink() {
            continue;
        }
        let above = if above == Path::new("") { Path::new("/") } else { above };
        // Those of /proc are the process's own, and /dev/fd leads there; the kernel makes them.
        let is_kernels = above.canonicalize()?.starts_with("/proc");
        let of_the_system = OF_THE_SYSTEM.iter().any(|system| place.starts_with(system))
            || WITH_LINKS.iter().any(|directory| place.parent() == Some(Path::new(directory)));
        let above = above.metadata()?;
        let is_roots = of_the_system && above.uid() == 0 && above.mode() & 0o022 == 0;
        if !is_roots && !is_kernels {
            return Ok(Some(place.to_owned()));
        }
    }
    Ok(None)
}
