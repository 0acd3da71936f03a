//! One connection from its name to its end: looked up, dialled, carried.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use super::DRAIN;
use super::serve::{Server, Tenant, Timer, Token};
use super::take::CONNECT;
use crate::addresses::{self, Special};
use crate::connection::{End, Next, Way, leads_to_itself, look_for_its_peer};
use crate::own_address::is_own;
use crate::resolver::Found;
use crate::tally::{Count, Tally, Why};
use crate::{Name, Ports};

/// How long an address is tried before the next one is, too: RFC 8305, 5.
const NEXT: Duration = Duration::from_millis(250);
/// Addresses of a name that are tried.
const MOST: usize = 8;

pub(super) enum Stage {
    /// The first words of TLS are waited for.
    Hello { looks: u8 },
    /// The container is asked to take it.
    Entering { outer: End },
    /// The name is looked up.
    Asking,
    /// Addresses are tried.
    Connecting { left: VecDeque<IpAddr>, attempts: Vec<(u8, OwnedFd)>, tried: u8, next: Instant },
    /// Both halves are there.
    Moving { outer: End, up: Way, down: Way },
}

/// Where a connection leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Whom {
    /// To a name, outside.
    Name(Name),
    /// To this port inside.
    Inside(u16),
}

impl Whom {
    /// What goes to a name is counted.
    pub(super) fn count(&self, tally: &Tally, change: impl FnOnce(&mut Count)) {
        if let Whom::Name(name) = self {
            tally.count(name, change);
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::Name(name) => write!(f, "{name}"),
            Whom::Inside(port) => write!(f, "published port {port}"),
        }
    }
}

pub(super) struct Connection {
    pub(super) tenant: u64,
    pub(super) whom: Whom,
    port: u16,
    pub(super) inner: End,
    pub(super) stage: Stage,
    /// Of the stage that it is in.
    pub(super) deadline: Instant,
    /// The half that was reset: what it has sent before still goes over.
    broken: Option<Half>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Inner,
    Outer,
}

impl Connection {
    pub(super) fn new(tenant: u64, whom: Whom, port: u16, inner: End, stage: Stage, deadline: Instant) -> Connection {
        Connection { tenant, whom, port, inner, stage, deadline, broken: None }
    }

    /// When its stage has to be over.
    fn ends(&self) -> Option<Instant> {
        let is_unbounded = matches!(self.stage, Stage::Moving { .. }) && self.broken.is_none();
        (!is_unbounded).then_some(self.deadline)
    }
}

const MOST_JUDGED: usize = 32;

/// Why an address is not connected to, if it is not.
pub(super) fn judge(address: IpAddr, private: bool) -> Option<Special> {
    let special = addresses::special(address).filter(|special| !(private && special.can_be_allowed()));
    let behind = || addresses::behind_translator(address).is_some_and(|behind| is_own(behind.into()));
    special.or_else(|| (is_own(address) || behind()).then_some(Special::Own))
}

/// Those of a name's addresses that are connected to; of the others it is noted why not, and at which ports.
fn judged(tenant: &Tenant, name: &Name, found: &[IpAddr], private: bool, ports: &(Ports, Ports)) -> VecDeque<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    // However many an answer has: each is asked about, and others wait meanwhile.
    for address in found.iter().take(MOST_JUDGED) {
        match (tenant.judge)(*address, private) {
            Some(special) => tenant.tally.refused_address(name, (*address, special), ports.clone()),
            None if addresses.contains(address) => {}
            None => addresses.push(*address),
        }
    }
    in_turns(addresses)
}

pub(super) fn open(address: IpAddr, kind: SocketType) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

fn dial(address: IpAddr, port: u16) -> rustix::io::Result<OwnedFd> {
    let socket = open(address, SocketType::STREAM)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    look_for_its_peer(&socket);
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
        for Found { name, by, addresses: found } in self.resolver.done() {
            let asked: Vec<_> = self.asked.keys().filter(|(_, asked)| *asked == name).cloned().collect();
            for key in asked {
                let Some(tenant) = self.tenants.get(&key.0) else { continue };
                // Whoever has been told where it is does not go where it is for others.
                let own = (!tenant.server.allow.placed(&name).is_empty()).then_some(key.0);
                if own != by {
                    continue;
                }
                let waiting = self.asked.remove(&key).unwrap_or_default();
                let found = found.as_deref().unwrap_or_default();
                if found.is_empty() {
                    tenant.tally.refused(name.as_str(), Why::Unresolved);
                }
                let allow = &tenant.server.allow;
                let is_private = |key: &u64| match (self.connections.get(key), self.flows.get(key)) {
                    (Some(connection), _) => allow.is_private(&name, connection.port),
                    (None, flow) => flow.is_some_and(|flow| allow.is_private_by_datagrams(&name, flow.port)),
                };
                let (private, public): (Vec<u64>, Vec<u64>) = waiting.into_iter().partition(is_private);
                let mut all = Vec::new();
                for (keys, private) in [(public, false), (private, true)] {
                    if !keys.is_empty() {
                        let ports = keys.iter().filter_map(|key| self.connections.get(key)).map(|it| it.port);
                        let datagrams = keys.iter().filter_map(|key| self.flows.get(key)).map(|it| it.port);
                        let ports = (ports.collect(), datagrams.collect());
                        let addresses = judged(tenant, &name, found, private, &ports);
                        all.push((keys, addresses));
                    }
                }
                let deadline = Instant::now() + CONNECT;
                for (keys, addresses) in all {
                    for key in keys {
                        match self.flows.contains_key(&key) {
                            true => self.open_flow(key, addresses.iter().copied()),
                            false => self.connect(key, addresses.clone(), deadline),
                        }
                    }
                }
            }
        }
    }

    pub(super) fn connect(&mut self, key: u64, left: VecDeque<IpAddr>, deadline: Instant) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let now = Instant::now();
        connection.stage = Stage::Connecting { left, attempts: Vec::new(), tried: 0, next: now };
        connection.deadline = deadline;
        self.timers.tell(deadline, Timer::Connection(key));
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
                    self.reaches_nobody(key);
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
                        self.timers.tell(now + NEXT, Timer::Connection(key));
                    }
                }
                Err(_) if !attempts.is_empty() => {
                    if let Some(tenant) = self.tenants.get_mut(&connection.tenant) {
                        self.budget.give_back(&mut tenant.own, 1);
                    }
                }
                // A want of the host's own tells nothing of the name.
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {}
                Err(_) => *tried = part.saturating_add(1),
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
        if !matches!(sockopt::socket_error(&socket), Ok(Ok(()))) || leads_to_itself(&socket) {
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
        connection.whom.count(&tenant.tally, |count| count.connections += 1);
        let outer = End { readable: true, writable: true, ..End::new(socket) };
        connection.stage = Stage::Moving { outer, up: Way::default(), down: Way::default() };
        self.ready.push_back(key);
    }

    /// A time has come: that of the next address, or that of the last moment.
    pub(super) fn look_at(&mut self, key: u64, now: Instant) {
        self.look_at_now(key, now);
        // It may have been the moment of a stage before this one.
        let ends = self.connections.get(&key).and_then(Connection::ends).filter(|ends| *ends > now);
        if let Some(ends) = ends {
            self.timers.tell(ends, Timer::Connection(key));
        }
    }

    fn look_at_now(&mut self, key: u64, now: Instant) {
        let Some(connection) = self.connections.get(&key) else { return };
        match &connection.stage {
            Stage::Moving { .. } if connection.broken.is_some() && now >= connection.deadline => self.give_up(key),
            Stage::Moving { .. } => {}
            Stage::Connecting { .. } if now < connection.deadline => self.try_next(key, now),
            // The time of a stage before this one.
            Stage::Hello { .. } | Stage::Asking | Stage::Entering { .. } if now < connection.deadline => {}
            Stage::Hello { .. } => self.refuse_hello(key, None),
            Stage::Entering { .. } => self.give_up(key),
            Stage::Asking => {
                let Whom::Name(name) = &connection.whom else { return };
                let (id, name) = (connection.tenant, name.clone());
                if let Some(tenant) = self.tenants.get(&id) {
                    tenant.tally.refused(name.as_str(), Why::Unresolved);
                }
                // A later one may ask anew: the answer to this is still to come.
                if let Some(waiting) = self.asked.get_mut(&(id, name)) {
                    waiting.retain(|waiting| *waiting != key);
                }
                self.give_up(key);
            }
            Stage::Connecting { .. } => self.reaches_nobody(key),
        }
    }

    /// None of its addresses was to be connected to. What is inside has a connection that is reset, and knows no reason.
    fn reaches_nobody(&mut self, key: u64) {
        if let Some(Connection { whom: Whom::Name(name), stage: Stage::Connecting { tried, .. }, tenant, .. }) =
            self.connections.get(&key)
            && *tried > 0
            && let Some(tenant) = self.tenants.get(tenant)
        {
            tenant.tally.refused(name.as_str(), Why::Unreachable);
        }
        self.give_up(key);
    }

    /// What epoll says of one of the two sockets.
    pub(super) fn news(&mut self, key: u64, token: Token, flags: EventFlags) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let outer = match &mut connection.stage {
            Stage::Moving { outer, .. } => Some(outer),
            _ => None,
        };
        let is_moving = outer.is_some();
        let (end, half) = match (token, outer) {
            (Token::Inner(_), _) => (&mut connection.inner, Half::Inner),
            (_, Some(outer)) => (outer, Half::Outer),
            _ => return,
        };
        if flags.contains(EventFlags::ERR) {
            if !is_moving || connection.broken.is_some() {
                return self.give_up(key);
            }
            // What has come before the reset can still be read; who is to have it may take it slowly.
            end.readable = true;
            (connection.broken, connection.deadline) = (Some(half), Instant::now() + DRAIN);
            self.timers.tell(connection.deadline, Timer::Connection(key));
            return self.carry(key);
        }
        end.readable |= flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP);
        end.writable |= flags.intersects(EventFlags::OUT | EventFlags::HUP);
        match connection.stage {
            Stage::Entering { .. } => self.entered(key),
            Stage::Hello { .. } if flags.contains(EventFlags::IN) => {
                self.look_at_hello(key, flags.intersects(EventFlags::RDHUP | EventFlags::HUP));
            }
            Stage::Hello { .. } if flags.intersects(EventFlags::RDHUP | EventFlags::HUP) => {
                self.refuse_hello(key, None)
            }
            _ => self.carry(key),
        }
    }

    /// Moves bytes in both directions.
    pub(super) fn carry(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let Some(tenant) = self.tenants.get_mut(&connection.tenant) else { return };
        let Stage::Moving { outer, up, down } = &mut connection.stage else { return };
        let (mut sent, mut received) = (0, 0);
        let budget = &mut self.budget;
        let (inner, pipes, own) = (&mut connection.inner, &mut self.pipes, &mut tenant.own);
        let there = match connection.broken {
            Some(Half::Outer) => Next::Wait,
            _ => up.carry(inner, outer, pipes, (budget, own), &mut sent),
        };
        let back = match connection.broken {
            Some(Half::Inner) => Next::Wait,
            _ => down.carry(outer, inner, pipes, (budget, own), &mut received),
        };
        let is_drained = match connection.broken {
            Some(Half::Inner) => up.over,
            Some(Half::Outer) => down.over,
            None => false,
        };
        if sent + received > 0 {
            connection.whom.count(&tenant.tally, |count| {
                count.sent += sent;
                count.received += received;
            });
        }
        if up.ended {
            tenant.ended.insert(key);
        }
        let both = [there, back];
        if is_drained || both.contains(&Next::Broken) {
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
        self.timers.forget(Timer::Connection(key));
        let Connection { tenant: id, whom, inner, stage, .. } = connection;
        let close = |end: End| if reset { end.reset() } else { drop(end) };
        match whom {
            Whom::Name(_) => close(inner),
            Whom::Inside(_) => self.keep(id, inner, reset),
        }
        let Some(tenant) = self.tenants.get_mut(&id) else { return };
        tenant.ended.remove(&key);
        self.budget.give_back(&mut tenant.own, 2);
        match stage {
            Stage::Hello { .. } | Stage::Asking => whom.count(&tenant.tally, |count| count.failed += 1),
            Stage::Entering { outer } => close(outer),
            Stage::Connecting { attempts, .. } => {
                self.budget.give_back(&mut tenant.own, attempts.len().saturating_sub(1));
                whom.count(&tenant.tally, |count| count.failed += 1);
            }
            Stage::Moving { outer, up, down } => {
                close(outer);
                up.drop_with(&mut self.budget, &mut tenant.own);
                down.drop_with(&mut self.budget, &mut tenant.own);
            }
        }
        self.has_brought_out(id);
    }
}
