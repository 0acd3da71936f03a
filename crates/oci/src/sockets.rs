//! Unix sockets by descriptor of their directory: a path of any length, walked once.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind,
    connect, listen, sendmsg, socket_with,
};

use crate::failure::{Failure, Result};
use crate::interrupts;

/// How long whoever is sent something has to take all of it.
const TAKES: Duration = Duration::from_secs(10);
/// How long whoever waits has to take what it is told, and to answer: it looks nothing up any more, and executes.
const ANSWERS: Duration = Duration::from_secs(60);

fn address(directory: BorrowedFd<'_>, name: &str) -> Result<SocketAddrUnix> {
    let path = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
    SocketAddrUnix::new(path).map_err(|errno| Failure::of(name, errno))
}

fn new(kind: SocketType, flags: SocketFlags) -> Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | flags, None)
        .map_err(|errno| Failure::of("socket", errno))
}

/// A new one in this directory, to wait on.
pub(crate) fn listener(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let socket = new(SocketType::SEQPACKET, SocketFlags::empty())?;
    bind(&socket, &address(directory, name)?).map_err(|errno| Failure::of(name, errno))?;
    listen(&socket, 16).map_err(|errno| Failure::of(name, errno))?;
    Ok(socket)
}

/// To whoever waits on it.
pub(crate) fn connected(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    for way in [Timeout::Send, Timeout::Recv] {
        set_socket_timeout(&socket, way, Some(ANSWERS))?;
    }
    let path = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Whether somebody waits on it: a file that is there is not enough, as who went on could not remove it.
pub(crate) fn is_waited_on(directory: BorrowedFd<'_>, name: &str) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let Ok(socket) = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None) else { return false };
    let path = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
    let Ok(address) = SocketAddrUnix::new(path) else { return false };
    // AGAIN: others are before this one.
    matches!(connect(&socket, &address), Ok(()) | Err(Errno::AGAIN))
}

/// The socket of a caller that wants a descriptor, given by this flag; whoever does not listen is not waited for.
pub(crate) fn of_caller(flag: &str, path: &Path) -> Result<OwnedFd> {
    let socket = new(SocketType::STREAM, SocketFlags::NONBLOCK)?;
    connect_to(&socket, path).map_err(|errno| Failure::of(format_args!("{flag} {}", path.display()), errno))?;
    Ok(socket)
}

/// Looks whether there is a socket of a caller's, and connects to none: to one of another type the kernel says so (EPROTOTYPE), and
/// that somebody has it.
pub(crate) fn is_of_somebody(flag: &str, path: &Path) -> Result<()> {
    let socket = new(SocketType::DGRAM, SocketFlags::NONBLOCK)?;
    match connect_to(&socket, path) {
        Ok(()) | Err(Errno::PROTOTYPE) => Ok(()),
        Err(errno) => Err(Failure::of(format_args!("{flag} {}", path.display()), errno)),
    }
}

fn connect_to(socket: &OwnedFd, path: &Path) -> Result<(), Errno> {
    let directory = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, directory, flags, Mode::empty())?;
    let name = path.file_name().ok_or(Errno::INVAL)?.to_string_lossy();
    connect(socket, &SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))?)
}

/// Hands a descriptor over, with a word that says what it is.
pub(crate) fn send(socket: &OwnedFd, descriptor: BorrowedFd<'_>, word: &str) -> Result<()> {
    send_text(socket, descriptor, word).map_err(|failure| Failure::new(format!("hand {word} over: {failure}")))
}

fn until_it_takes_more(socket: &OwnedFd, until: Instant) -> Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).map_err(|_| failed(Errno::INVAL))?;
    let mut polled = vec![PollFd::new(socket, PollFlags::OUT)];
    polled.extend(interrupts::descriptor().map(|come| PollFd::from_borrowed_fd(come, PollFlags::IN)));
    match poll(&mut polled, Some(&left)) {
        Ok(0) => Err(failed(Errno::TIMEDOUT)),
        Ok(_) => interrupts::take().map_or(Ok(()), Err),
        Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(failed(errno)),
    }
}

/// The same with a text of any length: the descriptor comes with its beginning.
///
/// # Errors
/// ETIMEDOUT if it is not taken in [`TAKES`], and which signal has ended the wait.
pub(crate) fn send_text(socket: &OwnedFd, descriptor: BorrowedFd<'_>, text: &str) -> Result<()> {
    let until = Instant::now() + TAKES;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let descriptors = [descriptor];
    let mut rest = text.as_bytes();
    let mut is_first = true;
    while !rest.is_empty() {
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if is_first {
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        match sendmsg(socket.as_fd(), &[IoSlice::new(rest)], &mut ancillary, SendFlags::NOSIGNAL) {
            Ok(sent) => {
                rest = rest.get(sent..).unwrap_or_default();
                is_first = false;
            }
            Err(Errno::INTR) => {}
            // It has more before it than it has taken yet.
            Err(Errno::AGAIN) => until_it_takes_more(socket, until)?,
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(())
}

fn failed(errno: Errno) -> Failure {
    Failure::new(std::io::Error::from(errno).to_string())
}
