//! What stdin, stdout and stderr are, and what of it a container may have.
//!
//! A descriptor leads to its file's mount: by /proc/self/fd/N whoever has the file's owner opens it again, for writing on the
//! host's mount, or changes its mode. So a file to be read is opened anew, on a mount of its own (reopen.rs), and what is
//! written to one goes through a pipe.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, SealFlags, fcntl_get_seals, fcntl_getfl, fstat, fstatfs};
use rustix::io::Errno;
use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType, getpeername};

use super::Preparation;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};

const NAME: &str = "descriptors";
/// Of pipes that have no name, include/uapi/linux/magic.h.
const PIPEFS_MAGIC: u64 = 0x5049_5045;

/// What a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Looked {
    Directory,
    /// To be read, at an offset.
    File,
    /// One without a name.
    Pipe,
    /// Open as a path alone: it can do nothing but lead there.
    Path,
    /// A connection that is for good, as those of unix(7) are: nobody else is reached by it. But it tells of the network namespace that it is of,
    /// takes a name in it, and is what that namespace is managed by for whoever has the right.
    Pair,
    /// A connection that can be undone for another one, to whoever is in the network namespace that it is of.
    Connection,
    /// A socket that reaches whoever it likes there.
    Socket,
    /// A block device.
    Disk,
    Other,
}

pub(super) fn look(fd: BorrowedFd<'_>) -> rustix::io::Result<Looked> {
    let kind = FileType::from_raw_mode(fstat(fd)?.st_mode);
    let flags = fcntl_getfl(fd)?;
    Ok(match kind {
        FileType::Directory => Looked::Directory,
        _ if flags.contains(OFlags::PATH) => Looked::Path,
        // Opened anew for reading, one that is open for writing alone would be open wider than it was.
        FileType::RegularFile if flags & OFlags::RWMODE != OFlags::WRONLY => Looked::File,
        FileType::Fifo if fstatfs(fd)?.f_type as u64 == PIPEFS_MAGIC => Looked::Pipe,
        FileType::Socket => look_at_socket(fd)?,
        FileType::BlockDevice => Looked::Disk,
        _ => Looked::Other,
    })
}

/// A socket stays in the network namespace that it was made in, whoever has it; connect(2) to AF_UNSPEC undoes its connection, other than those of
/// unix(7) that are streams.
fn look_at_socket(fd: BorrowedFd<'_>) -> rustix::io::Result<Looked> {
    let kind = socket_type(fd)?;
    let connected = kind == SocketType::STREAM && !socket_acceptconn(fd)? && getpeername(fd).is_ok();
    // What has records would lose them by a relay.
    Ok(match connected {
        true if socket_domain(fd)? == AddressFamily::UNIX => Looked::Pair,
        true => Looked::Connection,
        false => Looked::Socket,
    })
}

/// What the command has of the host that it can write to, and that stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum View {
    Nothing,
    /// Open files: it can change their modes.
    Files,
    /// Directories: it can make files in them.
    Places,
}

/// Which of these it is, or leads to; what cannot be looked at counts as the most, what is closed as nothing.
pub(super) fn view(fd: BorrowedFd<'_>) -> View {
    match fstat(fd).map(|found| FileType::from_raw_mode(found.st_mode)) {
        Ok(FileType::RegularFile) => View::Files,
        Ok(FileType::Directory) => View::Places,
        Ok(_) | Err(Errno::BADF) => View::Nothing,
        Err(_) => View::Places,
    }
}

/// Whether somebody who does not own this file, and is of this group, could open it for more than it is open for here, by
/// /proc/self/fd/N: a log to be read, or to be written from its beginning.
fn opens_wider(fd: BorrowedFd<'_>, gid: u32) -> bool {
    let (Ok(found), Ok(flags)) = (fstat(fd), fcntl_getfl(fd)) else { return false };
    let mode = Mode::from_raw_mode(found.st_mode);
    let of_group = found.st_gid == gid;
    let reads = mode.contains(Mode::ROTH) || of_group && mode.contains(Mode::RGRP);
    let writes = mode.contains(Mode::WOTH) || of_group && mode.contains(Mode::WGRP);
    let wider = match flags & OFlags::RWMODE {
        OFlags::WRONLY => reads || writes && flags.contains(OFlags::APPEND),
        // What is sealed nobody writes.
        OFlags::RDONLY => writes && !fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SealFlags::WRITE)),
        _ => writes && flags.contains(OFlags::APPEND),
    };
    wider && lies_somewhere(fd, &found) && !flags.contains(OFlags::PATH)
}

/// Whether others can walk to this file, so that being handed it opens nothing to them.
pub(super) fn is_everybodys(fd: BorrowedFd<'_>) -> bool {
    let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())) else { return false };
    let is_it = || {
        let (named, open) = (rustix::fs::stat(&path).ok()?, fstat(fd).ok()?);
        Some((named.st_dev, named.st_ino) == (open.st_dev, open.st_ino))
    };
    let passes = |directory: &Path| {
        rustix::fs::stat(directory).is_ok_and(|found| Mode::from_raw_mode(found.st_mode).contains(Mode::XOTH))
    };
    is_it() == Some(true) && path.ancestors().skip(1).all(passes)
}

/// What a file that would be opened wider becomes for the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wider {
    /// Nothing: it is not, or not by this.
    No,
    /// A pipe.
    Relayed,
    /// There is no other way to hand it on.
    Refused,
}

/// `gid` of whoever is handed it, whose it is not.
pub(super) fn wider(fd: BorrowedFd<'_>, gid: u32, may_relay: bool) -> Wider {
    let is_output = fcntl_getfl(fd).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::WRONLY);
    match opens_wider(fd, gid) {
        false => Wider::No,
        true if may_relay && is_output => Wider::Relayed,
        true if is_everybodys(fd) => Wider::No,
        true => Wider::Refused,
    }
}

/// Whether the command has it to write to, and would miss nothing by a pipe: nobody reads from stdout or stderr, however it was
/// opened (`w+`).
fn writes_alone(fd: BorrowedFd<'_>, number: i32) -> bool {
    match fcntl_getfl(fd).map(|flags| flags & OFlags::RWMODE) {
        Ok(OFlags::WRONLY) => true,
        Ok(OFlags::RDWR) => number == 1 || number == 2,
        _ => false,
    }
}

/// Whether what is written to the one comes behind what is written to the other.
pub(super) fn share_an_end(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let look = |fd| {
        let (found, flags) = (fstat(fd).ok()?, fcntl_getfl(fd).ok()?);
        // What cannot be sought in has one end.
        let place = if flags.contains(OFlags::APPEND) { None } else { rustix::fs::tell(fd).ok() };
        Some((found.st_dev, found.st_ino, flags, place))
    };
    look(one).is_some_and(|found| Some(found) == look(other))
}

/// The caller's own.
pub(super) fn own(number: i32) -> BorrowedFd<'static> {
    match number {
        0 => rustix::stdio::stdin(),
        1 => rustix::stdio::stdout(),
        _ => rustix::stdio::stderr(),
    }
}

/// Whom descriptors are handed to.
#[derive(Clone, Copy)]
pub(super) struct Handed {
    /// The command's ids, on the host.
    pub(super) user: (u32, u32),
    /// Of the container's root, on the host.
    pub(super) root: u32,
    /// Whether its ids are others than the caller's.
    pub(super) differs: bool,
}

impl Handed {
    pub(super) fn by(preparation: &Preparation<'_>) -> Handed {
        let (user, root) = (*preparation.container_user, preparation.container_root.0);
        Handed { user, root, differs: user != (preparation.host.uid, preparation.host.gid) }
    }

    /// Whether it owns this, and comes to it in other ways as well.
    fn is_own(&self, fd: BorrowedFd<'_>) -> bool {
        fstat(fd).is_ok_and(|found| [self.user.0, self.root].contains(&found.st_uid))
    }
}

fn is_file(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
}

/// Whether it has a mode of its own and a place where others come to it.
fn lies_somewhere(fd: BorrowedFd<'_>, found: &rustix::fs::Stat) -> bool {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => true,
        FileType::Fifo => fstatfs(fd).is_ok_and(|found| found.f_type as u64 != PIPEFS_MAGIC),
        _ => false,
    }
}

/// What would be a hole here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confinement {
    /// A tree of its own, which a directory of the host's would not be part of.
    tree: bool,
    /// Files are opened no wider than they were.
    narrow: bool,
    /// Somebody is there as long as the command, to relay.
    relays: bool,
    /// A network that is not the caller's, or none.
    network: bool,
}

impl Confinement {
    pub(super) fn of(command: &Config) -> Confinement {
        Confinement {
            tree: command.namespaces.is_new(Namespace::Mount),
            narrow: command.is_sandboxed(),
            relays: command.die_with_parent,
            network: command.namespaces.is_new(Namespace::Net)
                || command.namespaces.is_joined(Namespace::Net)
                || command.no_namespaces,
        }
    }

    /// Whether what goes over a connection has to be relayed, as it would lead into the caller's network.
    pub(super) fn relays_connection(self, looked: &Looked, number: i32) -> Result<bool> {
        if !self.narrow || !self.network || !matches!(looked, Looked::Pair | Looked::Connection | Looked::Socket) {
            return Ok(false);
        }
        if *looked != Looked::Socket && self.relays {
            return Ok(true);
        }
        if *looked == Looked::Pair {
            // Where nobody stays to relay it: Node.js has its children's streams such pairs.
            return Ok(false);
        }
        let what = match looked {
            Looked::Connection => "a connection, and nobody stays to relay it",
            _ => "a socket of datagrams or records, or one that is connected to nobody",
        };
        let action = format!("{} is {what}: by it the command would reach the caller's network", name(number));
        Err(Error::invalid(NAME, action).at("stdio").hint("hand a pipe on, or share the caller's network"))
    }

    /// Whether what is written to a file has to be relayed, so that the command has no descriptor of it.
    pub(super) fn relays(self, fd: BorrowedFd<'_>, to: Handed, number: i32) -> Result<bool> {
        if !self.narrow {
            return Ok(false);
        }
        // Whoever can write to a file takes O_APPEND away and empties it, whosever it is, fcntl(2), ftruncate(2).
        if is_file(fd) && self.relays && writes_alone(fd, number) {
            return Ok(true);
        }
        if to.is_own(fd) {
            return Ok(false);
        }
        match wider(fd, to.user.1, self.relays) {
            // Whoever has the caller's ids comes to it in other ways as well.
            Wider::Refused if !to.differs => Ok(false),
            Wider::No => Ok(false),
            Wider::Relayed => Ok(true),
            Wider::Refused => {
                let action = format!(
                    "{} is a file that its mode opens to others, in a directory where they do not come: by its descriptor the \
                     command could open it for more than it was opened for",
                    name(number),
                );
                let error = Error::invalid(NAME, action).at(if number < 3 { "stdio" } else { "descriptors" });
                Err(error.hint("take the rights of others from it (chmod o-rw), or hand a pipe on"))
            }
        }
    }

    /// Whose device it is opens it anew, for writing as well, and changes its mode; read-only mounts hold neither back.
    pub(super) fn allows_disk(self, looked: &Looked, fd: BorrowedFd<'_>, to: Handed, number: i32) -> Result<()> {
        if !self.narrow || *looked != Looked::Disk || !to.is_own(fd) {
            return Ok(());
        }
        let action = format!(
            "{} is a device that the command's user owns: it could write to it, whatever it is open for",
            name(number)
        );
        let error = Error::invalid(NAME, action).at("stdio");
        Err(error.hint("hand on a pipe of what is read from it, or pass the stream on as it is"))
    }

    pub(super) fn allows(self, looked: &Looked, number: i32) -> Result<()> {
        let what = match looked {
            Looked::Directory => "a directory",
            Looked::Path => "a path that is open and nothing more",
            _ => return Ok(()),
        };
        if !self.tree {
            return Ok(());
        }
        Err(Error::invalid(
            NAME,
            format!("{} is {what}: through it the command would see the host's tree", name(number)),
        )
        .at("stdio")
        .hint("redirect it, such as from /dev/null"))
    }
}

pub(super) fn name(number: i32) -> String {
    match number {
        0 => "stdin".to_owned(),
        1 => "stdout".to_owned(),
        2 => "stderr".to_owned(),
        _ => format!("descriptor {number}"),
    }
}
