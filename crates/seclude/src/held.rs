//! Letting go what waits before its exec, from any process.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, socket_timeout};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use seclude_child::wire::{LENGTH, Message};

use crate::error::{Error, Result};
use crate::patience::{Canceller, Patience};
use crate::plan::code_of;

const NAME: &str = "exec";

/// Has a command executed that waits ([`crate::Command::hold`]), over a connection to the socket that it waits on (SOCK_SEQPACKET); when this
/// returns, it runs. `program` is what errors call it.
///
/// # Errors
/// Why it could not be executed: then it has ended. ESRCH if it has ended before.
pub fn release(connection: OwnedFd, program: &Path) -> Result<()> {
    release_with(connection, program, |_| Err(io::Error::other("nobody answers what its filter asks")))
}

/// The same of one whose filter asks ([`crate::Command::when_listening`]): `serve` is handed its listener before the exec.
///
/// # Errors
/// As [`release`], and what `serve` answers; then nothing is executed, and it ends.
pub fn release_with(connection: OwnedFd, program: &Path, serve: impl FnOnce(OwnedFd) -> io::Result<()>) -> Result<()> {
    release_unless(connection, program, None, serve)
}

/// The same unless `canceller` ends the wait for it: what its filter asks may be answered by nobody.
///
/// # Errors
/// As [`release_with`]; [`Code::Cancelled`](crate::Code::Cancelled), and [`Code::Deadline`](crate::Code::Deadline) once the connection's time to
/// receive has passed, SO_RCVTIMEO, socket(7): then too whoever has its pid ends it.
pub fn release_unless(
    connection: OwnedFd,
    program: &Path,
    canceller: Option<&Canceller>,
    serve: impl FnOnce(OwnedFd) -> io::Result<()>,
) -> Result<()> {
    let failed =
        |call| move |errno: rustix::io::Errno| Error::parent(NAME, program.display().to_string(), errno).call(call);
    let gone = || failed("recv")(rustix::io::Errno::SRCH).hint("it ended while it waited");
    let go = || loop {
        match send(&connection, b"G", SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Err(gone()),
            sent => return sent.map(drop).map_err(failed("sendto")),
        }
    };
    go()?;
    let time = socket_timeout(&connection, Timeout::Recv).map_err(failed("getsockopt"))?;
    let (mut serve, mut has_taken_it) = (Some(serve), false);
    let (record, length) = loop {
        if canceller.is_some() {
            let until = time.map(|time| Instant::now() + time);
            let patience = Patience { until, canceller: canceller.cloned() };
            patience.wait_for(&connection, PollFlags::IN)?;
        }
        let (record, length, listener) = receive(&connection).map_err(|errno| match errno {
            // It ended without having taken the byte.
            rustix::io::Errno::CONNRESET => gone(),
            errno => failed("recvmsg")(errno),
        })?;
        match (Message::decode(record), listener, serve.take()) {
            (Some(Message::Running), None, kept) if length == LENGTH => (has_taken_it, serve) = (true, kept),
            (Some(Message::Listener(_)), Some(listener), Some(serve)) => {
                let failed = |error| Error::parent("filter", "the caller's own work with its listener", error);
                serve(listener).map_err(|error| failed(error).at("seccomp"))?;
                // Without this it executes nothing.
                go()?;
            }
            _ => break (record, length),
        }
    };
    if length == 0 {
        // An exec closes it, and so does an end before that.
        return if has_taken_it { Ok(()) } else { Err(gone()) };
    }
    match Message::decode(record).filter(|_| length == LENGTH) {
        Some(Message::Failed { call, errno, .. }) => {
            // So that whoever hears of it finds nothing that still runs.
            let moment = Timespec { tv_sec: 1, tv_nsec: 0 };
            let _ = poll(&mut [PollFd::new(&connection, PollFlags::HUP)], Some(&moment));
            let code = code_of(call, errno);
            Err(Error::child(code, NAME, program.display().to_string(), call.name(), errno)
                .path_of(program)
                .at("command"))
        }
        _ => Err(Error::invalid(NAME, "it said something that is no failure")),
    }
}

/// A record, how long it is, and the descriptor that came with it.
fn receive(connection: &OwnedFd) -> rustix::io::Result<([u8; LENGTH], usize, Option<OwnedFd>)> {
    let mut record = [0; LENGTH];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        let mut parts = [IoSliceMut::new(&mut record)];
        match recvmsg(connection, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?.bytes,
        }
    };
    let sent = ancillary.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((record, length, sent))
}
