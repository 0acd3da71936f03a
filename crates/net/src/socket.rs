//! A netlink socket: requests go out, answers come back.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use seclude_sys::socket::set_option;

use crate::Error;
use crate::message::{Batch, Message, attributes, messages, text, u32_at};

const NOOP: u16 = 1;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// In the flags of an answer: the request is not repeated in it. In those of a dump: it was changed meanwhile.
const CAPPED: u16 = 0x100;
const HAS_ATTRIBUTES: u16 = 0x200;
const INTERRUPTED: u16 = 0x10;
/// `NLMSGERR_ATTR_MSG`.
const ATTRIBUTE_TEXT: u16 = 1;
const SOL_NETLINK: u32 = 270;
const NETLINK_CAP_ACK: u32 = 10;
const NETLINK_EXT_ACK: u32 = 11;
const KERNEL: SocketAddrNetlink = SocketAddrNetlink::new(0, 0);

/// A socket for the network namespace of the thread that opened it, whoever uses it later.
pub(crate) struct Socket {
    fd: OwnedFd,
    /// Whether answers to the last request may still be there: they are not to be taken for those to the next.
    unread: AtomicBool,
}

impl Socket {
    /// For links, addresses, routes, qdiscs.
    pub(crate) fn route() -> Result<Socket, Error> {
        Socket::open(None, "rtnetlink")
    }

    /// For nf_tables.
    pub(crate) fn netfilter() -> Result<Socket, Error> {
        Socket::open(Some(NETFILTER), "nfnetlink")
    }

    fn open(protocol: Option<Protocol>, name: &'static str) -> Result<Socket, Error> {
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .map_err(|errno| Error::from_call(name, "socket", errno).lacking(name, &[Errno::PROTONOSUPPORT]))?;
        // Answers then say in words what the kernel did not like, and do not repeat the request. Linux 4.12.
        for option in [NETLINK_CAP_ACK, NETLINK_EXT_ACK] {
            let _ = set_option(seclude_sys::Fd(fd.as_raw_fd()), SOL_NETLINK, option, 1);
        }
        Ok(Socket { fd, unread: AtomicBool::new(false) })
    }

    /// Sends all messages in one call and answers the first error, or that all was done.
    ///
    /// The kernel works through them before the call returns, so the answers are there: none is waited for.
    pub(crate) fn send(&self, batch: &Batch) -> Result<(), Error> {
        self.send_until(batch, batch.last())
    }

    /// The same where the last to be acknowledged is not the last message.
    pub(crate) fn send_until(&self, batch: &Batch, last: u32) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        self.transmit(batch)?;
        let mut first = Ok(());
        let mut acknowledged = false;
        let mut buffer = Vec::new();
        loop {
            match self.receive(&mut buffer, RecvFlags::DONTWAIT) {
                Ok(()) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(Error::from_call("netlink answer", "recv", errno)),
            }
            for message in messages(&buffer).filter(|message| message.kind == ERROR) {
                acknowledged |= message.sequence == last;
                if first.is_ok() {
                    first = refusal(batch, &message);
                }
            }
        }
        self.unread.store(false, Ordering::Relaxed);
        match first {
            Ok(()) if !acknowledged => Err(Error::from_call("netlink answer", "recv", Errno::PROTO)),
            other => other,
        }
    }

    /// Sends one message and hands each of the answers to `each`; `false` if there is no such thing.
    pub(crate) fn ask(
        &self,
        batch: &Batch,
        absent: &[Errno],
        each: &mut dyn FnMut(Message<'_>),
    ) -> Result<bool, Error> {
        self.transmit(batch)?;
        let mut buffer = Vec::new();
        let answered = 'answers: loop {
            self.receive(&mut buffer, RecvFlags::empty())
                .map_err(|errno| Error::from_call("netlink answer", "recv", errno))?;
            for message in messages(&buffer) {
                match message.kind {
                    NOOP => {}
                    ERROR => match refusal(batch, &message) {
                        Err(error) if absent.iter().any(|errno| error.is(*errno)) => break 'answers Ok(false),
                        other => break 'answers other.map(|()| true),
                    },
                    DONE => break 'answers Ok(true),
                    _ => {
                        each(message);
                        // What is no part of a dump is the only answer.
                        if message.flags & 2 == 0 {
                            break 'answers Ok(true);
                        }
                    }
                }
            }
        };
        self.unread.store(false, Ordering::Relaxed);
        answered
    }

    /// A dump, from the beginning again while the kernel says that things changed during it.
    pub(crate) fn dump<T>(
        &self,
        batch: &Batch,
        mut read: impl FnMut(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..16 {
            let (mut found, mut changed) = (Vec::new(), false);
            self.ask(batch, &[], &mut |message| {
                changed |= message.flags & INTERRUPTED != 0;
                found.extend(read(&message));
            })?;
            if !changed {
                return Ok(found);
            }
        }
        Err(Error::from_call("netlink dump", "recv", Errno::INTR))
    }

    fn transmit(&self, batch: &Batch) -> Result<(), Error> {
        if self.unread.swap(true, Ordering::Relaxed) {
            let mut buffer = Vec::new();
            // A dump that was given up is some of them.
            for _ in 0..64 {
                if self.receive(&mut buffer, RecvFlags::DONTWAIT) == Err(Errno::AGAIN) {
                    break;
                }
            }
        }
        rustix::io::retry_on_intr(|| rustix::net::sendto(&self.fd, batch.bytes(), SendFlags::empty(), &KERNEL))
            .map(drop)
            .map_err(|errno| Error::from_call("netlink request", "sendto", errno))
    }

    fn receive(&self, buffer: &mut Vec<u8>, flags: RecvFlags) -> Result<(), Errno> {
        // The kernel fills at most 32 KiB of a dump at a time; an answer with its request is as long as that.
        buffer.resize(32 << 10, 0);
        let flags = flags | RecvFlags::TRUNC;
        let (got, length) = rustix::io::retry_on_intr(|| rustix::net::recv(&self.fd, &mut buffer[..], flags))?;
        buffer.truncate(got);
        if length > got { Err(Errno::MSGSIZE) } else { Ok(()) }
    }
}

/// What a `struct nlmsgerr` says: 0 is done.
fn refusal(batch: &Batch, message: &Message<'_>) -> Result<(), Error> {
    let code = u32_at(message.body, 0).unwrap_or(0) as i32;
    if code == 0 {
        return Ok(());
    }
    let errno = Errno::from_raw_os_error(code.unsigned_abs().min(4095) as i32);
    let (kind, about) = match batch.sent(message.sequence) {
        Some((kind, about)) => (kind.1, about.clone()),
        None => ("netlink", "netlink request".into()),
    };
    // The request's header, and all of it if it is not capped.
    let skipped = 4 + if message.flags & CAPPED != 0 { 16 } else { u32_at(message.body, 4).unwrap_or(16) as usize };
    let said = (message.flags & HAS_ATTRIBUTES != 0).then(|| message.body.get(skipped.next_multiple_of(4)..)).flatten();
    let said = said.and_then(|rest| attributes(rest).find(|(kind, _)| *kind == ATTRIBUTE_TEXT));
    Err(Error::from_call(about, kind, errno).explained(&said.map(|(_, value)| text(value)).unwrap_or_default()))
}
