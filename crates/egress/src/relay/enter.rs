//! Connections from outside to a port of the namespace's own loopback: the same relay, the other way round.
//!
//! A socket of the namespace can be made in it alone, so there are some from the start. One whose connection has ended is taken for the next:
//! connect(2) to AF_UNSPEC makes it a new one.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{connect, connect_unspec, getpeername, sockopt};

use super::dial::{Connection, Stage, Whom};
use super::serve::{Server, Timer, Token};
use crate::connection::{End, Way, leads_to_itself, look_for_its_peer};
use crate::tally::Why;

/// How long the namespace may take to take a connection: its backlog may be full.
const ENTER: Duration = Duration::from_secs(20);

/// Sockets of a namespace that lead into it.
#[derive(Debug, Default)]
pub(super) struct Doors {
    free: Vec<OwnedFd>,
    /// Whose connection has ended as far as the relay goes, and still brings over what was sent.
    lingering: Vec<OwnedFd>,
}

impl Doors {
    pub(super) fn new(free: Vec<OwnedFd>) -> Doors {
        Doors { free, lingering: Vec::new() }
    }

    /// Whether there is one for the next connection.
    pub(super) fn has_one(&mut self) -> bool {
        // Nobody is at its other end any more: all was brought over.
        let is_over = |socket: &OwnedFd| getpeername(socket).err() == Some(Errno::NOTCONN);
        while self.free.is_empty() {
            let Some(place) = self.lingering.iter().position(is_over) else { break };
            self.free.extend(renewed(self.lingering.swap_remove(place)));
        }
        !self.free.is_empty()
    }

    fn take(&mut self) -> Option<OwnedFd> {
        self.has_one().then(|| self.free.pop()).flatten()
    }

    pub(super) fn close(&mut self) {
        self.free.clear();
    }

    /// `at_once`: whoever is at its other end gets a reset.
    pub(super) fn give_back(&mut self, socket: OwnedFd, at_once: bool) {
        if at_once {
            self.free.extend(renewed(socket));
        } else {
            self.lingering.push(socket);
        }
    }
}

fn renewed(socket: OwnedFd) -> Option<OwnedFd> {
    connect_unspec(&socket).ok()?;
    // What had become of the connection before is nobody's business.
    sockopt::socket_error(&socket).ok()?.err();
    Some(socket)
}

impl Server {
    /// A connection to a port of the host that is published.
    pub(super) fn enter(&mut self, id: u64, port: u16, accepted: OwnedFd) {
        let outer = End::new(accepted);
        let whom = Whom::Inside(port);
        let is_room = self.make_room(id, 2);
        let Some(tenant) = self.tenants.get_mut(&id) else { return };
        let Some(socket) = is_room.then(|| tenant.doors.take()).flatten() else {
            if is_room {
                self.budget.give_back(&mut tenant.own, 2);
            }
            tenant.tally.refused(&whom.to_string(), Why::TooMany);
            return outer.reset();
        };
        tenant.connections += 1;
        for end in [&socket, &outer.socket] {
            let _ = rustix::io::ioctl_fionbio(end, true);
            let _ = sockopt::set_tcp_nodelay(end, true);
        }
        // The namespace's own end goes with it.
        look_for_its_peer(&outer.socket);
        let key = self.next();
        let called = match connect(&socket, &SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
            Err(errno) => Err(errno),
        };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let watched = called.and_then(|()| self.watch(&socket, Token::Inner(key), flags));
        let watched = watched.and_then(|()| self.watch(&outer.socket, Token::Outer(key), flags));
        let deadline = Instant::now() + ENTER;
        let stage = Stage::Entering { outer };
        self.connections.insert(key, Connection::new(id, whom, port, End::new(socket), stage, deadline));
        match watched {
            Ok(()) => self.timers.tell(deadline, Timer::Connection(key)),
            Err(_) => self.give_up(key),
        }
    }

    /// Something is known of the socket that leads into the namespace.
    pub(super) fn entered(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        if !matches!(sockopt::socket_error(&connection.inner.socket), Ok(Ok(()))) {
            return self.give_up(key);
        }
        if getpeername(&connection.inner.socket).is_err() {
            return;
        }
        if leads_to_itself(&connection.inner.socket) {
            return self.give_up(key);
        }
        let stage = std::mem::replace(&mut connection.stage, Stage::Asking);
        let Stage::Entering { outer } = stage else { return };
        // What epoll has said of it before was heard by nobody.
        let outer = End { readable: true, writable: true, ..outer };
        (connection.inner.readable, connection.inner.writable) = (true, true);
        connection.stage = Stage::Moving { outer, up: Way::default(), down: Way::default() };
        self.ready.push_back(key);
    }

    /// The socket of a connection into a namespace, for the next one.
    pub(super) fn keep(&mut self, id: u64, inner: End, reset: bool) {
        let _ = epoll::delete(&self.shared.epoll, &inner.socket);
        if let Some(tenant) = self.tenants.get_mut(&id).filter(|tenant| tenant.leaving.is_none()) {
            tenant.doors.give_back(inner.socket, reset);
        } else if reset {
            inner.reset();
        }
    }
}
