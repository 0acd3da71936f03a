//! A connection from a namespace until its name is looked up: whether there is room for it, and what it begins with, where that matters.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, sockopt};
use seclude_sys::Fd;
use seclude_sys::socket::{option, set_option};

use super::dial::{Connection, Stage, Whom};
use super::serve::{Server, Timer, Token};
use crate::connection::{End, look_for_its_peer};
use crate::hello::{self, Hello};
use crate::tally::Why;
use crate::{HOST, Name};

/// How long the first words of TLS may take, where those are wanted.
const HELLO: Duration = Duration::from_secs(10);
pub(super) const LOOK_UP: Duration = Duration::from_secs(10);
/// From where its name is to its other half.
pub(super) const CONNECT: Duration = Duration::from_secs(20);
/// How often the first words of TLS are looked at before they are all there. The longest, in records of a byte, are so about fifty times, as what is looked
/// at grows by a part of itself each time.
const MOST_LOOKS: u8 = 100;

/// SO_RCVLOWAT: epoll(7) tells of a socket that can be read when so many bytes are there, or its end.
fn wake_at(socket: &OwnedFd, count: usize) -> seclude_sys::Result<()> {
    let (level, option) = option::LEAST;
    set_option(Fd(socket.as_raw_fd()), level, option, count as u32)
}

impl Server {
    /// A connection to a slot: its name is looked up now.
    pub(super) fn take(&mut self, id: u64, name: Name, port: u16, accepted: OwnedFd) {
        let inner = End::new(accepted);
        // Its own, and that of the other half.
        let has_room = self.make_room(id, 2);
        let Some(tenant) = self.tenants.get_mut(&id) else { return };
        if !has_room {
            tenant.tally.refused(name.as_str(), Why::TooMany);
            tenant.tally.count(&name, |count| count.failed += 1);
            return inner.reset();
        }
        tenant.connections += 1;
        let is_host = name.as_str() == HOST;
        let says_hello = tenant.server.allow.requires_sni() && !is_host;
        let _ = sockopt::set_tcp_nodelay(&inner.socket, true);
        // A program that has closed it may have left it to the kernel, which keeps it for a minute: then that answers with a reset.
        look_for_its_peer(&inner.socket);
        let now = Instant::now();
        let key = self.next();
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let watched = self.watch(&inner.socket, Token::Inner(key), flags);
        let stage = if says_hello { Stage::Hello { looks: 0 } } else { Stage::Asking };
        self.connections.insert(key, Connection::new(id, Whom::Name(name), port, inner, stage, now + HELLO));
        if watched.is_err() {
            return self.give_up(key);
        }
        if says_hello {
            self.timers.tell(now + HELLO, Timer::Connection(key));
        } else if is_host {
            // That port of it was allowed, so nobody is asked where it is.
            self.connect(key, [Ipv4Addr::LOCALHOST.into()].into(), now + CONNECT);
        } else {
            self.ask(key);
        }
    }

    /// Takes so many descriptors for a namespace. With none left the oldest of its connections goes whose program has closed its own end: a peer
    /// that never does could hold it for ever, and with some more of them everything else.
    pub(super) fn make_room(&mut self, id: u64, count: usize) -> bool {
        loop {
            let Some(tenant) = self.tenants.get_mut(&id) else { return false };
            if self.budget.take(&mut tenant.own, count) {
                return true;
            }
            let Some(oldest) = tenant.ended.pop_first() else { return false };
            self.give_up(oldest);
        }
    }

    /// Asks the host where its name is.
    fn ask(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let Whom::Name(name) = &connection.whom else { return };
        let (id, name, now) = (connection.tenant, name.clone(), Instant::now());
        (connection.stage, connection.deadline) = (Stage::Asking, now + LOOK_UP);
        self.timers.tell(now + LOOK_UP, Timer::Connection(key));
        if !self.wait_for(key, id, &name) {
            self.give_up(key);
        }
    }

    /// `false`: too many names wait to be looked up.
    pub(super) fn wait_for(&mut self, key: u64, id: u64, name: &Name) -> bool {
        let Some(tenant) = self.tenants.get(&id) else { return false };
        let waiting = self.asked.entry((id, name.clone())).or_default();
        waiting.push(key);
        let placed = tenant.server.allow.placed(name);
        if !placed.is_empty() {
            self.resolver.tell(id, name.clone(), placed.to_vec());
            return true;
        }
        let asks = waiting.len() > 1 || self.resolver.ask(id, name.clone(), tenant.lookup);
        if !asks {
            tenant.tally.refused(name.as_str(), Why::TooMany);
            self.asked.remove(&(id, name.clone()));
        }
        asks
    }

    /// Looks at the first words of a connection that has to ask for its name by TLS. They stay where they are, and what was looked at is what goes out:
    /// TCP takes no second version of a byte that has come.
    pub(super) fn look_at_hello(&mut self, key: u64, is_all: bool) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let Stage::Hello { looks } = &mut connection.stage else { return };
        let mut buffer = vec![0; hello::MOST];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let said = match recv(&connection.inner.socket, &mut buffer, flags) {
            Ok((length, _)) => hello::read(buffer.get(..length).unwrap_or_default()),
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => return self.give_up(key),
        };
        *looks += 1;
        let asked_for = match said {
            Hello::Of(name) if Whom::Name(name.clone()) == connection.whom => {
                let _ = wake_at(&connection.inner.socket, 1);
                return self.ask(key);
            }
            Hello::Of(name) => Some(name),
            // The kernel says nothing before there are so many: each byte by itself would be a look at all that are before it.
            Hello::More(least)
                if !is_all && *looks < MOST_LOOKS && wake_at(&connection.inner.socket, least).is_ok() =>
            {
                return;
            }
            Hello::More(_) | Hello::Other => None,
        };
        self.refuse_hello(key, asked_for);
    }

    pub(super) fn refuse_hello(&mut self, key: u64, asked_for: Option<Name>) {
        if let Some(connection) = self.connections.get(&key)
            && let Some(tenant) = self.tenants.get(&connection.tenant)
            && let Whom::Name(name) = &connection.whom
        {
            tenant.tally.refused_sni(name, asked_for);
        }
        self.give_up(key);
    }
}
