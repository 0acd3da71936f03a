//! The name server of a namespace: whichever address it is asked at, and whatever it is asked, nothing leaves the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use seclude_sys::{Fd, socket};

use crate::Allow;
use crate::dns::{self, Answer, Asked};
use crate::slots::Slot;
use crate::tally::{Tally, Why};

/// Questions that are answered before others have their turn.
const AT_A_TIME: usize = 64;
/// What is read of a datagram; a question is far shorter.
const LONGEST: usize = 4096;

/// What a namespace is told.
pub(crate) struct NameServer {
    pub(crate) allow: Allow,
    pub(crate) ipv6: bool,
}

impl NameServer {
    pub(crate) fn reply(&self, message: &[u8], tally: &Tally) -> Option<Vec<u8>> {
        dns::reply(message, |asked| self.find(asked, tally))
    }

    fn find(&self, asked: &Asked, tally: &Tally) -> Answer {
        let name = match asked {
            Asked::Address(address) => {
                let name = Slot::of(*address).and_then(|slot| self.allow.slots().name(slot));
                return name.map_or(Answer::NoSuchName, |name| Answer::Pointer(name.to_string()));
            }
            Asked::Name(name) => name,
        };
        let addresses = |v4, v6| Answer::Addresses(v4, Some(v6).filter(|_| self.ipv6));
        // RFC 6761, 6.3.
        if name == "localhost" || name.ends_with(".localhost") {
            return addresses(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        }
        if let Some(slot) = self.allow.slots().of(name) {
            return addresses(slot.v4(), slot.v6());
        }
        tally.refused(name, Why::NotAllowed, None);
        Answer::NoSuchName
    }

    /// Answers what has come by UDP, as from the address that it was sent to.
    pub(crate) fn answer_datagrams(&self, socket: &OwnedFd, tally: &Tally) {
        let fd = Fd(socket.as_raw_fd());
        let mut buffer = [0; LONGEST];
        for _ in 0..AT_A_TIME {
            let came = match socket::receive_datagram(fd, &mut buffer) {
                Ok(Some(came)) => came,
                Ok(None) => continue,
                Err(_) => return,
            };
            let message = buffer.get(..came.length).unwrap_or_default();
            let to: IpAddr = came.to;
            if let Some(reply) = self.reply(message, tally) {
                // Whoever does not take it asks again.
                let _ = socket::send_datagram(fd, &reply, came.from, to);
            }
        }
    }
}

/// Somebody who asks by TCP: each message has its length before it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) tenant: u64,
    pub(crate) socket: OwnedFd,
    read: Vec<u8>,
    written: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(tenant: u64, socket: OwnedFd) -> Stream {
        Stream { tenant, socket, read: Vec::new(), written: Vec::new() }
    }

    /// What has come, as far as one read goes: others wait for their turn. `false`: it is over.
    pub(crate) fn answer(&mut self, server: &NameServer, tally: &Tally) -> bool {
        if !self.flush() {
            return false;
        }
        if self.is_behind() {
            return true;
        }
        let mut buffer = [0; LONGEST];
        match rustix::io::read(&self.socket, &mut buffer) {
            Ok(0) => return false,
            Ok(length) => self.read.extend(buffer.get(..length).unwrap_or_default()),
            Err(errno) => return matches!(errno, Errno::AGAIN | Errno::INTR),
        }
        let mut begin = 0;
        while let Some((length, rest)) = self.read.get(begin..).unwrap_or_default().split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length > LONGEST {
                return false;
            }
            let Some(message) = rest.get(..length) else { break };
            let Some(reply) = server.reply(message, tally) else { return false };
            self.written.extend((reply.len() as u16).to_be_bytes());
            self.written.extend(reply);
            begin += length + 2;
        }
        self.read.drain(..begin);
        self.flush()
    }

    /// Whether it does not read its answers: then nothing more is read of it.
    pub(crate) fn is_behind(&self) -> bool {
        !self.written.is_empty()
    }

    fn flush(&mut self) -> bool {
        while !self.written.is_empty() {
            let flags = rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT;
            match rustix::net::send(&self.socket, &self.written, flags) {
                Ok(count) => drop(self.written.drain(..count)),
                Err(Errno::INTR) => {}
                Err(errno) => return errno == Errno::AGAIN,
            }
        }
        true
    }
}
