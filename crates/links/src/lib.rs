//! The way to a file that a path names, where code that nobody trusts may have written to some of the directories on it: symlinks of the
//! system are followed, and no others, so that no run before has chosen what a later one is given or writes to.
//!
//! Whose a link is cannot be told from its owner: what a container of root's makes in a directory that it was shown is root's as well. So
//! it is told by where it lies, which is few directories that are no container's to write.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs, openat, readlinkat, statat};
use rustix::io::Errno;

/// Directories whose own entries are the system's; what lies below them need not be.
const OF_THE_SYSTEM: [&str; 8] = ["/", "/dev", "/etc", "/home", "/run", "/usr", "/usr/local", "/var"];

/// Where programs are installed: a link among them may lead to what is installed as well ([`INSTALLED`]), and only for reading. (A project
/// may lie in such a directory, and a link in it can have been left there.)
const OF_PROGRAMS: [&str; 25] = [
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/libexec",
    "/usr/share/zoneinfo",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/local/lib",
    "/etc/alternatives",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/profiles",
    "/nix/store",
    "/nix/var/nix/profiles",
    "/gnu/store",
];
const INSTALLED: [&str; 14] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/var/lib/ca-certificates",
    "/nix",
    "/gnu/store",
];
/// What udev(7) makes: other names of devices.
const OF_DEVICES: [&str; 5] = ["/dev/disk", "/dev/input", "/dev/mapper", "/dev/serial", "/dev/v4l"];
/// Where those who build may add, and change nothing that is there (sticky).
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];

/// Whose ids of the host's look like from a user namespace without them, user_namespaces(7).
const NOBODY: u32 = 65534;

/// Of sysfs, include/uapi/linux/magic.h.
const SYSFS_MAGIC: u64 = 0x6265_6572;

/// The kernel's own bound, path_resolution(7).
const MOST_LINKS: usize = 40;

/// What becomes of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum For {
    /// It is read, and nothing is written to it.
    Reading,
    /// It may be written to.
    Writing,
}

/// Where a path leads: a name in an open directory. The file itself need not be there.
#[derive(Debug)]
pub struct Place {
    /// The directory, open (O_PATH).
    pub directory: OwnedFd,
    /// The name in it, which is no symlink but of the kernel's own; `.` for the directory itself.
    pub name: OsString,
    /// The whole path, with no symlink of the system's and no `..` in it.
    pub path: PathBuf,
    /// It is a link of procfs, such as /proc/self/fd/3: the kernel knows where it leads.
    pub is_kernels: bool,
}

/// Why a path was not followed to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Stopped {
    /// This symlink on the way is not the system's.
    Link(PathBuf),
    /// What the kernel says of the way.
    Errno(Errno),
}

impl From<Errno> for Stopped {
    fn from(errno: Errno) -> Stopped {
        Stopped::Errno(errno)
    }
}

/// Follows `path`, step by step, each from what the last has opened.
///
/// # Errors
/// [`Stopped::Link`] where a symlink on the way is not the system's, else what the kernel says of it; that the file itself is not there is
/// no error.
pub fn follow(path: &Path, purpose: For) -> Result<Place, Stopped> {
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let names = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<VecDeque<OsString>>();
    let root = || openat(CWD, "/", place, Mode::empty());
    let here = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::NOENT);
    let mut left = names(&std::path::absolute(path).map_err(here)?);
    let (mut directory, mut at, mut links) = (root()?, PathBuf::from("/"), 0);
    // The first link among programs: where it leads has to be installed.
    let mut among_programs = None;
    let mut file = None;
    while let Some(name) = left.pop_front() {
        if name == "/" {
            (directory, at) = (root()?, PathBuf::from("/"));
            continue;
        }
        let is_link = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink);
        let file_system = if is_link { fstatfs(&directory)?.f_type as u64 } else { 0 };
        let (is_procfs, is_sysfs) = (file_system == PROC_SUPER_MAGIC as u64, file_system == SYSFS_MAGIC);
        // These two are names of a directory beside them; others of procfs lead where no path does.
        let is_kernels = is_procfs && name != "self" && name != "thread-self";
        if is_link && !is_kernels {
            let link = at.join(&name);
            if links == MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            links += 1;
            match whose(&at, &directory)? {
                _ if is_procfs || is_sysfs => {}
                Whose::System => {}
                Whose::Programs if purpose == For::Reading => drop(among_programs.get_or_insert(link)),
                Whose::Programs | Whose::Anybodys => return Err(Stopped::Link(link)),
            }
            let to = readlinkat(&directory, &name, Vec::new())?;
            for part in names(Path::new(OsStr::from_bytes(to.as_bytes()))).into_iter().rev() {
                left.push_front(part);
            }
            continue;
        }
        if left.is_empty() && name != ".." {
            at.push(&name);
            file = Some((name, is_kernels));
            break;
        }
        let follow = if is_kernels { OFlags::empty() } else { OFlags::NOFOLLOW };
        directory = openat(&directory, &name, place | follow, Mode::empty())?;
        match name == ".." {
            true => drop(at.pop()),
            false => at.push(&name),
        }
    }
    if let Some(link) = among_programs.filter(|_| !INSTALLED.iter().any(|place| at.starts_with(place))) {
        return Err(Stopped::Link(link));
    }
    let (name, is_kernels) = file.unwrap_or_else(|| (".".into(), false));
    Ok(Place { directory, name, path: at, is_kernels })
}

enum Whose {
    System,
    Programs,
    Anybodys,
}

/// Whose the links in a directory are.
fn whose(at: &Path, directory: &OwnedFd) -> Result<Whose, Errno> {
    let found = fstat(directory)?;
    let is_store = STORES.iter().any(|store| at == Path::new(store)) && found.st_mode & 0o1002 == 0o1000;
    let is_closed = found.st_mode & 0o022 == 0 || is_store;
    let is_systems = OF_THE_SYSTEM.iter().any(|place| at == Path::new(place))
        || OF_DEVICES.iter().any(|place| at.starts_with(place));
    Ok(match found.st_uid {
        0 | NOBODY if is_closed && is_systems => Whose::System,
        0 | NOBODY if is_closed && OF_PROGRAMS.iter().any(|place| at.starts_with(place)) => Whose::Programs,
        _ => Whose::Anybodys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str, purpose: For) -> Result<PathBuf, Stopped> {
        follow(Path::new(path), purpose).map(|place| place.path)
    }

    #[test]
    fn links_of_the_system_are_followed() {
        let real = |path: &str| Path::new(path).canonicalize().unwrap();
        for link in ["/bin/sh", "/var/run", "/usr/../bin/sh", "/proc/self/status", "/sys/class/net/lo", "/"] {
            if Path::new(link).exists() {
                assert_eq!(path(link, For::Reading).unwrap(), real(link), "{link}");
            }
        }
        assert_eq!(path("/bin", For::Writing).unwrap(), real("/bin"));
        // Among programs, to be read alone.
        let programs = Path::new("/usr/bin").read_dir().unwrap().map(|entry| entry.unwrap().path());
        let mut links = programs.filter(|path| path.is_symlink() && path.exists());
        if let Some(link) = links.find(|link| link.canonicalize().is_ok_and(|real| real.starts_with("/usr/bin"))) {
            let name = link.to_str().unwrap();
            assert_eq!(path(name, For::Reading).unwrap(), real(name));
            assert_eq!(path(name, For::Writing), Err(Stopped::Link(link.clone())));
        }
    }

    #[test]
    fn links_of_others_are_not_wherever_they_lie() {
        let own = std::env::temp_dir().join(format!("seclude-links-{}", std::process::id()));
        std::fs::create_dir(&own).unwrap();
        let [link, root] = ["link", "root"].map(|name| own.join(name));
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        std::os::unix::fs::symlink("/", &root).unwrap();
        let told = [
            follow(&link, For::Reading).map(|place| place.path),
            follow(&link.join("passwd"), For::Reading).map(|place| place.path),
            // What is behind it is root's own, and nothing that this path may have.
            follow(&root.join("var/run"), For::Reading).map(|place| place.path),
            follow(&own.join("file"), For::Writing).map(|place| place.path),
        ];
        std::fs::remove_dir_all(&own).unwrap();
        let stopped = |link: &Path| Err(Stopped::Link(link.to_owned()));
        assert_eq!(told, [stopped(&link), stopped(&link), stopped(&root), Ok(own.join("file"))]);
    }

    #[test]
    fn what_the_kernel_leads_to_is_told_to_be_its_own() {
        let place = follow(Path::new("/proc/self/fd/0"), For::Reading).unwrap();
        assert!(place.is_kernels && place.name == "0");
    }
}
