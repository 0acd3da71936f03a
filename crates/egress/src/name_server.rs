//! The name server of a namespace: whichever address it is asked at, and whatever it is asked, nothing leaves the machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{bind, listen, sockopt};
use seclude_sys::Fd;
use seclude_sys::socket::{self, option, set_option};

use crate::dns::{self, Answer, Asked, Wants};
use crate::slots::{self, Slot};
use crate::tally::{Tally, Why};
use crate::{Allow, Name};

/// Questions that are answered before others have their turn.
const AT_A_TIME: usize = 64;
/// How many names below a `*` a container can have.
const MOST_NAMES: usize = 128;
/// What is read of a datagram; a question is far shorter.
const LONGEST: usize = 4096;
/// Connections that wait to be accepted, as of the listeners that are there from the start.
const BACKLOG: i32 = 4096;

/// What a namespace is told.
pub(crate) struct NameServer {
    pub(crate) allow: Allow,
    ipv6: bool,
    /// Sockets that are bound nowhere yet, for names below a `*`.
    spare: Vec<OwnedFd>,
    /// Of names that were asked for, the ports that could not be had.
    missing: BTreeMap<Name, Vec<u16>>,
    /// What listens since it was looked at last.
    fresh: Vec<Fresh>,
    /// Of exact names that nobody has asked for yet.
    later: BTreeMap<Name, Vec<Later>>,
}

/// A socket that is bound nowhere yet.
pub(crate) struct Later {
    pub(crate) port: u16,
    pub(crate) ipv6: bool,
    pub(crate) socket: OwnedFd,
}

/// One that listens since a name was asked for.
pub(crate) struct Fresh {
    pub(crate) name: Name,
    pub(crate) port: u16,
    pub(crate) socket: OwnedFd,
    /// What [`listen_at`] says.
    pub(crate) forced: bool,
}

impl NameServer {
    pub(crate) fn new(allow: Allow, ipv6: bool, spare: Vec<OwnedFd>, later: BTreeMap<Name, Vec<Later>>) -> NameServer {
        NameServer { allow, ipv6, spare, missing: BTreeMap::new(), fresh: Vec::new(), later }
    }

    /// Listeners that are to be looked after from here on.
    pub(crate) fn take_fresh(&mut self) -> Vec<Fresh> {
        std::mem::take(&mut self.fresh)
    }

    /// No further name comes.
    pub(crate) fn close(&mut self) {
        self.spare.clear();
        self.later.clear();
    }

    pub(crate) fn reply(&mut self, message: &[u8], tally: &Tally) -> Option<Vec<u8>> {
        dns::reply(message, |asked, wants| self.find(asked, wants, tally))
    }

    fn find(&mut self, asked: &Asked, wants: Wants, tally: &Tally) -> Answer {
        let name = match asked {
            Asked::Address(address) => {
                let name = Slot::of(*address).and_then(|slot| self.allow.slots().name(slot));
                return name.map_or(Answer::NoSuchName, |name| Answer::Pointer(name.to_string()));
            }
            Asked::Name(name) => name,
        };
        // RFC 6761, 6.3.
        if name == "localhost" || name.ends_with(".localhost") {
            return Answer::Addresses(Ipv4Addr::LOCALHOST, Some(Ipv6Addr::LOCALHOST).filter(|_| self.ipv6));
        }
        if let Some(slot) = self.allow.slots().of(name).filter(|_| self.allow.is_exact(name)) {
            if wants != Wants::Other {
                self.open_exact(name, slot, tally);
            }
            return Answer::Addresses(slot.v4(), Some(slot.v6()).filter(|_| self.ipv6));
        }
        let below = name.parse::<Name>().ok().filter(|name| self.allow.ports_of(name).is_some());
        let Some(below) = below else {
            tally.refused(name, Why::NotAllowed);
            // Who asks from the top on (RFC 9156), and who keeps answers, takes a name that is not there for the end of all below it (RFC 8020).
            return if self.allow.is_above(name) { Answer::Nothing } else { Answer::NoSuchName };
        };
        // One address takes half the sockets of two, and there is nobody who has none of IPv4 here. Whoever wants something else takes none.
        if wants != Wants::V4 {
            return Answer::Nothing;
        }
        self.open(below, tally).map_or(Answer::NoSuchName, |slot| Answer::Addresses(slot.v4(), None))
    }

    /// Has a name listen on its slot, before anybody is told of that.
    fn open_exact(&mut self, name: &str, slot: Slot, tally: &Tally) {
        let Some((name, sockets)) = self.later.remove_entry(name) else { return };
        let (mut missing, mut failed) = (Vec::new(), false);
        for later in sockets {
            let address = if later.ipv6 { IpAddr::V6(slot.v6()) } else { slot.v4().into() };
            let Later { port, ipv6, socket } = later;
            match listen_at(socket, SocketAddr::new(address, port)) {
                Ok((socket, forced)) => self.fresh.push(Fresh { name: name.clone(), port, socket, forced }),
                Err(socket) => {
                    failed = true;
                    missing.extend(socket.map(|socket| Later { port, ipv6, socket }));
                }
            }
        }
        if failed {
            tally.refused(name.as_str(), Why::Taken);
        }
        // Asked again, it is tried again.
        if !missing.is_empty() {
            self.later.insert(name, missing);
        }
    }

    /// Has a name below a `*` listen on its slot, before anybody knows that slot.
    fn open(&mut self, name: Name, tally: &Tally) -> Option<Slot> {
        if !self.missing.contains_key(&name) {
            let ports: Vec<u16> = self.allow.ports_of(&name).map(|ports| ports.iter().collect()).unwrap_or_default();
            // A name whose ports somebody else has keeps its slot, and takes no socket: so they are counted.
            let full = self.missing.len() >= MOST_NAMES || self.spare.len() < ports.len();
            if full || self.allow.give_slot(&name).is_none() {
                tally.refused(name.as_str(), Why::TooMany);
                return None;
            }
            self.missing.insert(name.clone(), ports);
        }
        let slot = self.allow.slots().of(name.as_str())?;
        let ports = self.missing.remove(&name).unwrap_or_default();
        let mut missing = Vec::new();
        for port in ports {
            let Some(socket) = self.spare.pop() else {
                missing.push(port);
                continue;
            };
            match listen_at(socket, SocketAddr::new(slot.v4().into(), port)) {
                Ok((socket, forced)) => self.fresh.push(Fresh { name: name.clone(), port, socket, forced }),
                Err(socket) => {
                    self.spare.extend(socket);
                    missing.push(port);
                }
            }
        }
        if !missing.is_empty() {
            tally.refused(name.as_str(), Why::Taken);
        }
        self.missing.insert(name, missing);
        Some(slot)
    }

    /// A place that the namespace's kernel has refused: a slot, as its name has other ports, or an address that is no name's.
    pub(crate) fn note(&mut self, place: SocketAddr, tally: &Tally) {
        let (ip, port) = (place.ip(), place.port());
        let slot = Slot::of(ip);
        match slot.and_then(|slot| self.allow.slots().name(slot)) {
            // Who has it from elsewhere than by asking, such as a file of an earlier start, finds it the next time.
            Some(name) if self.allow.ports_of(name).is_some_and(|ports| ports.contains(port)) => {
                let name = name.as_str().to_owned();
                if let Some(slot) = slot {
                    self.open_exact(&name, slot, tally);
                }
            }
            Some(name) => tally.refused_port(name, port, self.allow.rules_of(name)),
            // Its own.
            None if ip == IpAddr::V4(slots::OWN) || ip == IpAddr::V6(slots::OWN6) => {}
            None => tally.refused_number(place),
        }
    }

    /// Answers what has come by UDP, as from the address that it was sent to.
    pub(crate) fn answer_datagrams(&mut self, socket: &OwnedFd, tally: &Tally) {
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

/// Has a socket listen at a slot. `true`: by force, as a program of the namespace has the port at every address, which to the kernel is the same
/// place; connections go to who is bound more narrowly. The kernel lets who may repair connections have both (TCP_REPAIR, Linux 3.5), and
/// what is accepted has to be taken out of that ([`release`]).
///
/// A socket that failed comes back, unless it is bound already, and so of no more use.
fn listen_at(socket: OwnedFd, address: SocketAddr) -> Result<(OwnedFd, bool), Option<OwnedFd>> {
    match bind_at(&socket, address) {
        Ok(forced) if listen(&socket, BACKLOG).is_ok() => Ok((socket, forced)),
        Ok(_) => Err(None),
        Err(_) => Err(Some(socket)),
    }
}

fn bind_at(socket: &OwnedFd, address: SocketAddr) -> rustix::io::Result<bool> {
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(socket, true)?;
        // Its slot is an address of no link.
        sockopt::set_ipv6_freebind(socket, true)?;
    }
    match bind(socket, &address) {
        Err(Errno::ADDRINUSE) => {}
        bound => return bound.map(|()| false),
    }
    repair(socket, ON)?;
    bind(socket, &address).map(|()| true).inspect_err(|_| {
        let _ = repair(socket, OFF);
    })
}

const ON: u32 = 1;
/// Without a probe of the peer's window. Linux 4.19.
const OFF: u32 = -1_i32 as u32;

fn repair(socket: &OwnedFd, how: u32) -> rustix::io::Result<()> {
    let (level, option) = option::REPAIR;
    set_option(Fd(socket.as_raw_fd()), level, option, how).map_err(|errno| Errno::from_raw_os_error(errno.0.into()))
}

/// Makes a connection one as any other that was accepted by a listener that is there by force.
pub(crate) fn release(accepted: &OwnedFd) -> rustix::io::Result<()> {
    repair(accepted, OFF)
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
    pub(crate) fn answer(&mut self, server: &mut NameServer, tally: &Tally) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_allowed_names_lie_below_is_there_and_has_nothing_of_its_own() {
        let mut allow = Allow::nothing();
        for rule in ["a.b.example.org:443", "*.zone.test:443"] {
            allow.add(&rule.parse().unwrap()).unwrap();
        }
        let tally = Tally::default();
        let mut server = NameServer::new(allow, false, Vec::new(), BTreeMap::new());
        let mut find = |name: &str| server.find(&Asked::Name(name.to_owned()), Wants::V4, &tally);
        for above in ["b.example.org", "example.org", "org", "zone.test", "test"] {
            assert!(matches!(find(above), Answer::Nothing), "{above}");
        }
        for other in ["c.example.org", "x.a.b.example.org", "ample.org", "net"] {
            assert!(matches!(find(other), Answer::NoSuchName), "{other}");
        }
        assert!(matches!(find("a.b.example.org"), Answer::Addresses(..)));
        // They are refused all the same.
        assert!(tally.refusals().iter().any(|refused| refused.name == "example.org" && refused.why == Why::NotAllowed));
    }
}
