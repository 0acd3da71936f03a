//! Hosts files: the names of peers, hosts(5).
//!
//! `/run/seclude/net/NAMESPACE-BRIDGE/LINK` is a container's file, to be mounted inside. It is always rewritten in
//! place, since a mount is of the inode. What it says is not believed: the container may have written to it. A peer's
//! name is in `LINK.peer`, which is never mounted.

use std::io::{Read, Seek, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::host::Host;
use crate::lease::address_of;
use crate::lock;
use crate::route::link;
use crate::wait::{PATIENCE, Wait};
use crate::{Error, Veth, private};

pub(crate) const DIRECTORY: &str = "/run/seclude/net";
const PEER: &str = ".peer";
/// The container's users are to read their file. Nobody locks it, so it does not matter who else can.
const TO_BE_READ: Mode = Mode::from_raw_mode(0o644);
const OWN: Mode = Mode::from_raw_mode(0o600);
/// How long a sweep waits for the files of a bridge.
const SHORT: Duration = Duration::from_millis(500);
/// More than this of a file is not read: its container may have filled it.
const LONGEST: u64 = 256 << 10;

/// A container's file.
pub(crate) struct File {
    directory: PathBuf,
    link: String,
    /// Its own lines for the files of its peers; empty if it has none.
    lines: String,
}

impl File {
    /// Writes it, with those of its peers that live.
    pub(crate) fn write(
        veth: &Veth,
        host: &Host,
        host_name: Option<&str>,
        extra: &[(IpAddr, String)],
    ) -> Result<File, Error> {
        host_name.into_iter().chain(extra.iter().map(|(_, name)| name.as_str())).try_for_each(check_name)?;
        let own: Vec<IpAddr> = std::iter::once(veth.address.into()).chain(veth.address6.map(IpAddr::from)).collect();
        let mut text = String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        let mut lines = String::new();
        if let Some(name) = host_name {
            for address in own {
                text += &format!("{address}\t{name}\n");
                lines += &format!("{address}\t{name}\t{}\n", mark(&veth.link));
            }
        }
        for (address, name) in extra {
            text += &format!("{address}\t{name}\n");
        }
        if !veth.request.peers {
            lines.clear();
        }
        let directory = PathBuf::from(directory(host, veth.bridge().unwrap_or_default()));
        let file = File { directory, link: veth.link.clone(), lines };
        let _lock = lock_directory(&file.directory)?;
        let mut write = || {
            if !veth.request.peers {
                return rewrite(&file.path(), &text, TO_BE_READ);
            }
            for peer in peers(&file.directory)?.iter().filter(|peer| **peer != file.link) {
                if link(&host.route, peer)?.is_some() {
                    text += &read(&file.directory.join(format!("{peer}{PEER}")))?;
                }
            }
            rewrite(&file.path(), &text, TO_BE_READ)?;
            rewrite(&file.peer_path(), &file.lines, OWN)
        };
        write().inspect_err(|_| drop(file.remove_locked()))?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join(&self.link)
    }

    /// The file itself (O_PATH), whatever has its path later.
    pub(crate) fn open(&self) -> Result<OwnedFd, Error> {
        let path = self.path();
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fail = |errno| Error::from_call(path.display().to_string(), "open", errno);
        rustix::fs::open(&path, flags, Mode::empty()).map_err(fail)
    }

    fn peer_path(&self) -> PathBuf {
        self.directory.join(format!("{}{PEER}", self.link))
    }

    /// Adds its lines to the files of its peers.
    pub(crate) fn announce(&self) -> Result<(), Error> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let Some(_lock) = lock_made(&self.directory, PATIENCE)? else { return Ok(()) };
        self.for_others(|text| {
            let mut kept = without(&text, &self.link);
            kept += &self.lines;
            kept
        })
    }

    /// Takes its lines out of the files of its peers, and removes it; its directory with the last file.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let Some(_lock) = lock_made(&self.directory, PATIENCE)? else { return Ok(()) };
        self.remove_locked()
    }

    fn remove_locked(&self) -> Result<(), Error> {
        let others = self.for_others(|text| without(&text, &self.link));
        for path in [self.path(), self.peer_path()] {
            match rustix::fs::unlink(&path) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::from_call(path.display().to_string(), "unlink", errno)),
            }
        }
        remove_directories(&self.directory);
        others
    }

    fn for_others(&self, change: impl Fn(String) -> String) -> Result<(), Error> {
        let mut first = Ok(());
        for peer in peers(&self.directory)?.iter().filter(|peer| **peer != self.link) {
            let path = self.directory.join(peer);
            let changed = read(&path).and_then(|text| {
                let new = change(text.clone());
                if new == text { Ok(()) } else { rewrite(&path, &new, TO_BE_READ) }
            });
            // Whoever has a lease on its own file, fcntl(2), is not told.
            first =
                first.and(if changed.as_ref().is_err_and(|error| error.is(Errno::AGAIN)) { Ok(()) } else { changed });
        }
        first
    }
}

/// The directories only go if nothing is in them.
fn remove_directories(directory: &Path) {
    let _ = rustix::fs::rmdir(directory);
    let _ = rustix::fs::rmdir(DIRECTORY);
}

/// Where the files of a bridge's containers are.
fn directory(host: &Host, bridge: &str) -> String {
    format!("{DIRECTORY}/{}-{bridge}", host.locks.namespace())
}

/// The comment by which a peer's lines are found.
fn mark(link: &str) -> String {
    format!("# peer {link}")
}

fn without(text: &str, link: &str) -> String {
    let mark = mark(link);
    text.split_inclusive('\n').filter(|line| !line.trim_end().ends_with(&mark)).collect()
}

/// A name that hosts(5) can hold, and that cannot be taken for anything else there.
fn check_name(name: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if (1..=253).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    Err(Error::invalid(None, format!("host name {name:?}"), "a name is letters, digits, '.', '-' and '_'"))
}

/// The links of those that have a name for their peers.
fn peers(directory: &Path) -> Result<Vec<String>, Error> {
    Ok(names(directory)?.iter().filter_map(|name| name.strip_suffix(PEER)).map(str::to_owned).collect())
}

fn names(directory: &Path) -> Result<Vec<String>, Error> {
    match std::fs::read_dir(directory) {
        Ok(entries) => Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(directory, "readdir", &error)),
    }
}

/// Makes the directory if need be, and has it alone until the answer is dropped.
fn lock_directory(directory: &Path) -> Result<OwnedFd, Error> {
    make_and_lock(directory).inspect_err(|_| {
        // Whoever else has it may be about to write.
        if let Ok(Some(_lock)) = lock_made(directory, Duration::ZERO) {
            let _ = rustix::fs::rmdir(directory);
        }
        let _ = rustix::fs::rmdir(DIRECTORY);
    })
}

fn make_and_lock(directory: &Path) -> Result<OwnedFd, Error> {
    let name = directory.display().to_string();
    for _ in 0..100 {
        for path in [lock::DIRECTORY, DIRECTORY, &name] {
            // Whoever left last may have removed the one above just now.
            private::directory(path)?;
        }
        if let Some(lock) = lock_made(directory, PATIENCE)? {
            return Ok(lock);
        }
    }
    Err(Error::from_call(name, "open", Errno::BUSY))
}

/// Answers `None` if somebody has removed it.
fn lock_made(directory: &Path, patience: Duration) -> Result<Option<OwnedFd>, Error> {
    let name = directory.display().to_string();
    let fail = |call| {
        let name = name.clone();
        move |errno| Error::from_call(name, call, errno)
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = match rustix::fs::open(directory, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(fail("open"))?,
    };
    let mut wait = Wait::new(patience);
    wait.until_free(&name, "flock", || rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive))?;
    let ours = rustix::fs::fstat(&fd).map_err(fail("fstat"))?;
    match rustix::fs::stat(directory) {
        Ok(named) if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) => Ok(Some(fd)),
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(fail("stat")(errno)),
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map(std::fs::File::from).map_err(std::io::Error::from);
    let opened = opened.and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
    match opened {
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(failed(path, "read", &error)),
    }
}

/// The same inode with other content. A reader may see a mixture, but never nothing. It is not waited for somebody with a
/// lease on it.
fn rewrite(path: &Path, text: &str, mode: Mode) -> Result<(), Error> {
    let write = || {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = rustix::fs::open(path, flags, mode)?;
        // Whatever the umask is.
        rustix::fs::fchmod(&fd, mode)?;
        let mut file = std::fs::File::from(fd);
        file.write_all(text.as_bytes())?;
        let length = file.stream_position()?;
        file.set_len(length)
    };
    write().map_err(|error| failed(path, "write", &error))
}

fn failed(path: &Path, call: &'static str, error: &std::io::Error) -> Error {
    let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
    Error::from_call(path.display().to_string(), call, errno)
}

/// Removes the files of containers that do not live, by `is_dead`; answers their paths.
pub(crate) fn sweep(host: &Host, is_dead: impl Fn(&str) -> Result<bool, Error>) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let prefix = format!("{}-", host.locks.namespace());
    for name in names(Path::new(DIRECTORY))?.iter().filter(|name| name.starts_with(&prefix)) {
        let directory = Path::new(DIRECTORY).join(name);
        // One that somebody holds is in use, or nobody's to wait for here.
        let _lock = match lock_made(&directory, SHORT) {
            Ok(Some(lock)) => lock,
            Ok(None) | Err(Error::Held { .. }) => continue,
            Err(error) => return Err(error),
        };
        for link in names(&directory)? {
            let link = link.strip_suffix(PEER).unwrap_or(&link).to_owned();
            if address_of(&link).is_some() && is_dead(&link)? {
                let file = File { directory: directory.clone(), link, lines: String::new() };
                let path = file.path().display().to_string();
                file.remove_locked()?;
                if !removed.contains(&path) {
                    removed.push(path);
                }
            }
        }
        let _ = rustix::fs::rmdir(&directory);
    }
    // Also where whoever made it, or removed the last one in it, came no further.
    let _ = rustix::fs::rmdir(DIRECTORY);
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_of_one_peer_are_taken_out() {
        let text = "127.0.0.1\tlocalhost\n10.0.0.2\ta\t# peer sc0a000002\n10.0.0.3\tb\t# peer sc0a000003\n";
        assert_eq!(without(text, "sc0a000002"), "127.0.0.1\tlocalhost\n10.0.0.3\tb\t# peer sc0a000003\n");
        assert_eq!(without(text, "sc0a000004"), text);
    }

    #[test]
    fn a_name_cannot_be_more_than_one() {
        for name in ["", "a b", "a\n127.0.0.1 b", "a#", "a\tb", &"a".repeat(254)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        check_name("db-1.example_x").unwrap();
    }
}
