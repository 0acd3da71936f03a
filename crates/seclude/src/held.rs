//! Letting go what waits before its exec, from any process.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use seclude_child::wire::{LENGTH, Message};

use crate::error::{Error, Result};
use crate::plan::code_of;

const NAME: &str = "exec";

/// Has a command executed that waits ([`crate::Command::hold`]), over a connection to the socket that it waits on (SOCK_SEQPACKET); when this
/// returns, it runs. `program` is what errors call it.
///
/// # Errors
/// Why it could not be executed: then it has ended. ESRCH if it has ended before.
pub fn release(connection: OwnedFd, program: &Path) -> Result<()> {
    let failed =
        |call| move |errno: rustix::io::Errno| Error::parent(NAME, program.display().to_string(), errno).call(call);
    let gone = || failed("recv")(rustix::io::Errno::SRCH).hint("it ended while it waited");
    loop {
        match send(&connection, b"G", SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Err(gone()),
            sent => {
                sent.map_err(failed("sendto"))?;
                break;
            }
        }
    }
    let mut record = [0; LENGTH];
    let length = loop {
        match recv(&connection, &mut record, RecvFlags::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            // It ended without having taken the byte.
            Err(rustix::io::Errno::CONNRESET) => return Err(gone()),
            received => break received.map_err(failed("recv"))?.1,
        }
    };
    if length == 0 {
        return Ok(());
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
