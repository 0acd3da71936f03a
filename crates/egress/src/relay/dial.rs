//! One connection from its name to its end: looked up, dialled, carried.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, getsockname, socket_with, sockopt};

use super::serve::{Server, Timer, Token};
use crate::Name;
use crate::addresses::{self, Special};
use crate::connection::{End, Next, Way};
use crate::tally::Why;

/// How long an address is tried before the next one is, too: RFC 8305, 5.
const NEXT: Duration = Duration::from_millis(250);
/// Addresses of a name that are tried.
const MOST: usize = 8;

pub(super) enum Stage {
    /// The name is looked up.
    Asking,
    /// Addresses are tried.
    Connecting { left: VecDeque<IpAddr>, attempts: Vec<(u8, OwnedFd)>, tried: u8, next: Instant },
    /// Both halves are there.
    Moving { outer: End, up: Way, down: Way },
}

pub(super) struct Connection {
    pub(super) tenant: u64,
    name: Name,
    port: u16,
    inner: End,
    pub(super) stage: Stage,
    deadline: Instant,
}

impl Connection {
    pub(super) fn new(tenant: u64, name: Name, port: u16, inner: End, deadline: Instant) -> Connection {
        Connection { tenant, name, port, inner, stage: Stage::Asking, deadline }
    }
}

const MOST_JUDGED: usize = 32;

/// Why an address is not connected to, if it is not.
pub(super) fn judge(address: IpAddr) -> Option<Special> {
    addresses::special(address).or_else(|| is_own(address).then_some(Special::Own))
}

/// Whether the kernel would connect to this host itself.
fn is_own(address: IpAddr) -> bool {
    let look = || -> rustix::io::Result<bool> {
        let probe = open(address, SocketType::DGRAM)?;
        // No packet is sent.
        connect(&probe, &SocketAddr::new(address, 9))?;
        let source = SocketAddr::try_from(getsockname(&probe)?).map_err(|_| Errno::INVAL)?;
        Ok(source.ip() == address)
    };
    // What leads nowhere is not this host; what cannot be asked may be.
    look().unwrap_or_else(|errno| !matches!(errno, Errno::NETUNREACH | Errno::HOSTUNREACH))
}

fn open(address: IpAddr, kind: SocketType) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

fn dial(address: IpAddr, port: u16) -> rustix::io::Result<OwnedFd> {
    let socket = open(address, SocketType::STREAM)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    match connect(&socket, &SocketAddr::new(address, port)) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// One of each family in turn, in the host's own order (RFC 8305, 4).
fn in_turns(addresses: Vec<IpAddr>) -> VecDeque<IpAddr> {
    let first = addresses.first().is_some_and(IpAddr::is_ipv4);
    let (mut these, mut others): (VecDeque<IpAddr>, VecDeque<IpAddr>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let mut turns = VecDeque::new();
    while !these.is_empty() || !others.is_empty() {
        turns.extend(these.pop_front());
        turns.extend(others.pop_front());
    }
    turns.truncate(MOST);
    turns
}

impl Server {
    /// Names that the host has answered.
    pub(super) fn resolved(&mut self) {
        for (name, found) in self.resolver.done() {
            let asked: Vec<_> = self.asked.keys().filter(|(_, asked)| *asked == name).cloned().collect();
            for key in asked {
                let Some(tenant) = self.tenants.get(&key.0) else { continue };
                let waiting = self.asked.remove(&key).unwrap_or_default();
                let mut addresses: Vec<IpAddr> = Vec::new();
                // However many an answer has: each is asked about, and others wait meanwhile.
                for address in found.as_deref().unwrap_or_default().iter().take(MOST_JUDGED) {
                    match (tenant.judge)(*address) {
                        Some(special) => tenant.tally.refused(name.as_str(), Why::Address, Some((*address, special))),
                        None if addresses.contains(address) => {}
                        None => addresses.push(*address),
                    }
                }
                if found.as_deref().unwrap_or_default().is_empty() {
                    tenant.tally.refused(name.as_str(), Why::Unresolved, None);
                }
                let addresses = in_turns(addresses);
                for connection in waiting {
                    self.connect(connection, addresses.clone());
                }
            }
        }
    }

    fn connect(&mut self, key: u64, left: VecDeque<IpAddr>) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let now = Instant::now();
        connection.stage = Stage::Connecting { left, attempts: Vec::new(), tried: 0, next: now };
        self.timers.insert((connection.deadline, Timer::Connection(key)));
        self.try_next(key, now);
    }

    /// Tries addresses until one is on its way, or gives up.
    fn try_next(&mut self, key: u64, now: Instant) {
        loop {
            let Some(connection) = self.connections.get_mut(&key) else { return };
            let Stage::Connecting { left, attempts, tried, next } = &mut connection.stage else { return };
            if !attempts.is_empty() && now < *next {
                return;
            }
            let Some(address) = left.pop_front() else {
                if attempts.is_empty() {
                    self.give_up(key);
                }
                return;
            };
            if !attempts.is_empty() {
                // The first is counted with the connection.
                let Some(tenant) = self.tenants.get_mut(&connection.tenant) else { return };
                if !self.budget.take(&mut tenant.own, 1) {
                    left.push_front(address);
                    return;
                }
            }
            let part = *tried;
            let dialled = dial(address, connection.port).and_then(|socket| {
                let flags = EventFlags::OUT | EventFlags::ET;
                epoll::add(&self.shared.epoll, &socket, Token::Attempt(key, part).data(), flags)?;
                Ok(socket)
            });
            match dialled {
                Ok(socket) => {
                    attempts.push((part, socket));
                    (*tried, *next) = (part + 1, now + NEXT);
                    if !left.is_empty() {
                        self.timers.insert((now + NEXT, Timer::Connection(key)));
                    }
                }
                Err(_) if !attempts.is_empty() => {
                    if let Some(tenant) = self.tenants.get_mut(&connection.tenant) {
                        self.budget.give_back(&mut tenant.own, 1);
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// Something is known about an attempt.
    pub(super) fn attempted(&mut self, key: u64, part: u8) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let Some(tenant) = self.tenants.get_mut(&connection.tenant) else { return };
        let Stage::Connecting { attempts, next, .. } = &mut connection.stage else { return };
        let Some(place) = attempts.iter().position(|(number, _)| *number == part) else { return };
        let (_, socket) = attempts.swap_remove(place);
        if !matches!(sockopt::socket_error(&socket), Ok(Ok(()))) {
            drop(socket);
            if !attempts.is_empty() {
                self.budget.give_back(&mut tenant.own, 1);
            }
            let now = Instant::now();
            *next = now;
            return self.try_next(key, now);
        }
        self.budget.give_back(&mut tenant.own, attempts.len());
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if epoll::modify(&self.shared.epoll, &socket, Token::Outer(key).data(), flags).is_err() {
            return self.give_up(key);
        }
        tenant.tally.count(&connection.name, |count| count.connections += 1);
        let outer = End { socket, readable: true, writable: true };
        connection.stage = Stage::Moving { outer, up: Way::default(), down: Way::default() };
        self.ready.push_back(key);
    }

    /// A time has come: that of the next address, or that of the last moment.
    pub(super) fn look_at(&mut self, key: u64, now: Instant) {
        let Some(connection) = self.connections.get(&key) else { return };
        match &connection.stage {
            Stage::Moving { .. } => {}
            Stage::Connecting { .. } if now < connection.deadline => self.try_next(key, now),
            Stage::Asking => {
                let (id, name) = (connection.tenant, connection.name.clone());
                if let Some(tenant) = self.tenants.get(&id) {
                    tenant.tally.refused(name.as_str(), Why::Unresolved, None);
                }
                // A later one may ask anew: the answer to this is still to come.
                if let Some(waiting) = self.asked.get_mut(&(id, name)) {
                    waiting.retain(|waiting| *waiting != key);
                }
                self.give_up(key);
            }
            Stage::Connecting { .. } => self.give_up(key),
        }
    }

    /// What epoll says of one of the two sockets.
    pub(super) fn news(&mut self, key: u64, token: Token, flags: EventFlags) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let outer = match &mut connection.stage {
            Stage::Moving { outer, .. } => Some(outer),
            _ => None,
        };
        let end = match (token, outer) {
            (Token::Inner(_), _) => &mut connection.inner,
            (_, Some(outer)) => outer,
            _ => return,
        };
        if flags.contains(EventFlags::ERR) {
            return self.give_up(key);
        }
        end.readable |= flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP);
        end.writable |= flags.intersects(EventFlags::OUT | EventFlags::HUP);
        self.carry(key);
    }

    /// Moves bytes in both directions.
    pub(super) fn carry(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let Some(tenant) = self.tenants.get_mut(&connection.tenant) else { return };
        let Stage::Moving { outer, up, down } = &mut connection.stage else { return };
        let (mut sent, mut received) = (0, 0);
        let budget = &mut self.budget;
        let there = up.carry(&mut connection.inner, outer, &mut self.pipes, (budget, &mut tenant.own), &mut sent);
        let back = down.carry(outer, &mut connection.inner, &mut self.pipes, (budget, &mut tenant.own), &mut received);
        if sent + received > 0 {
            tenant.tally.count(&connection.name, |count| {
                count.sent += sent;
                count.received += received;
            });
        }
        let both = [there, back];
        if both.contains(&Next::Broken) {
            self.give_up(key);
        } else if up.over && (down.over || tenant.leaving.is_some()) {
            self.end(key, false);
        } else if both.contains(&Next::GoOn) {
            self.ready.push_back(key);
        }
    }

    /// Whoever is on either side gets a reset.
    pub(super) fn give_up(&mut self, key: u64) {
        self.end(key, true);
    }

    fn end(&mut self, key: u64, reset: bool) {
        let Some(connection) = self.connections.remove(&key) else { return };
        let Connection { tenant: id, name, inner, stage, .. } = connection;
        let close = |end: End| if reset { end.reset() } else { drop(end) };
        close(inner);
        let Some(tenant) = self.tenants.get_mut(&id) else { return };
        self.budget.give_back(&mut tenant.own, 2);
        match stage {
            Stage::Asking => tenant.tally.count(&name, |count| count.failed += 1),
            Stage::Connecting { attempts, .. } => {
                self.budget.give_back(&mut tenant.own, attempts.len().saturating_sub(1));
                tenant.tally.count(&name, |count| count.failed += 1);
            }
            Stage::Moving { outer, up, down } => {
                close(outer);
                up.drop_with(&mut self.budget, &mut tenant.own);
                down.drop_with(&mut self.budget, &mut tenant.own);
            }
        }
        tenant.connections -= 1;
        if tenant.connections == 0 && tenant.leaving.is_some() {
            self.close_all(id);
        }
    }
}
