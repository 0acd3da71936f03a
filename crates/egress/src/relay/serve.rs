//! The thread itself: what epoll tells, what time tells, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::dial::{Connection, Stage};
use super::enter::Doors;
use super::flow::Flow;
use super::timers::Timers;
use super::{DRAIN, Judge, Opened, Order, Shared};
use crate::budget::Budget;
use crate::connection::{End, Pipes};
use crate::name_server::{Fresh, Later, NameServer, Stream, release};
use crate::resets;
use crate::resolver::{Lookup, Resolver};
use crate::tally::Tally;
use crate::{Kind, Name};

/// Connections that are taken from one listener before others have their turn.
const AT_A_TIME: usize = 64;
/// How long a listener rests when this process has no descriptor left, or the namespace no socket for what comes from outside.
const REST: Duration = Duration::from_millis(100);
/// Sockets that see what namespaces' kernels refuse. Before Linux 6.3 all of the machine's are in one list, which each segment of TCP goes through.
const MOST_WATCHED: usize = 256;
/// Streams of questions that one namespace can have, and how long each can take.
const MOST_STREAMS: usize = 32;
const STREAM: Duration = Duration::from_secs(30);

/// What an event is about: its kind, and a number that is never another's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Orders,
    Resolved,
    Socket(u64),
    Stream(u64),
    Inner(u64),
    Outer(u64),
    Attempt(u64, u8),
    Flow(u64),
}

impl Token {
    pub(super) fn data(self) -> epoll::EventData {
        let (kind, key, part) = match self {
            Token::Orders => (0, 0, 0),
            Token::Resolved => (1, 0, 0),
            Token::Socket(key) => (2, key, 0),
            Token::Stream(key) => (3, key, 0),
            Token::Inner(key) => (4, key, 0),
            Token::Outer(key) => (5, key, 0),
            Token::Attempt(key, part) => (6, key, u64::from(part & 15)),
            Token::Flow(key) => (7, key, 0),
        };
        epoll::EventData::new_u64(key << 8 | part << 4 | kind)
    }

    fn of(data: epoll::EventData) -> Token {
        let data = data.u64();
        let (key, part) = (data >> 8, (data >> 4 & 15) as u8);
        match data & 15 {
            0 => Token::Orders,
            1 => Token::Resolved,
            2 => Token::Socket(key),
            3 => Token::Stream(key),
            4 => Token::Inner(key),
            5 => Token::Outer(key),
            6 => Token::Attempt(key, part),
            _ => Token::Flow(key),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Timer {
    Connection(u64),
    Stream(u64),
    Rested(u64),
    Drained(u64),
    Flow(u64),
}

/// A namespace.
pub(super) struct Tenant {
    pub(super) server: NameServer,
    pub(super) tally: Arc<Tally>,
    pub(super) lookup: Lookup,
    pub(super) judge: Judge,
    pub(super) doors: Doors,
    /// The sockets that came with it.
    held: usize,
    /// Descriptors of its connections.
    pub(super) own: usize,
    pub(super) connections: usize,
    /// Those of which the namespace's own end has ended, by their age.
    pub(super) ended: BTreeSet<u64>,
    streams: usize,
    /// What goes by UDP: when something of it came last, and its key.
    pub(super) flows: BTreeSet<(Instant, u64)>,
    /// Bytes that wait for the names of those.
    pub(super) waiting: usize,
    /// Who waits for its end.
    pub(super) leaving: Option<SyncSender<()>>,
}

pub(super) struct Socket {
    pub(super) tenant: u64,
    pub(super) kind: Kind,
    pub(super) socket: OwnedFd,
    /// What it accepts is to be released first.
    forced: bool,
}

pub(super) struct Server {
    pub(super) shared: Arc<Shared>,
    pub(super) resolver: Resolver,
    pub(super) tenants: HashMap<u64, Tenant>,
    pub(super) sockets: HashMap<u64, Socket>,
    /// Those that see what namespaces' kernels refuse.
    watched: usize,
    streams: HashMap<u64, Stream>,
    pub(super) connections: HashMap<u64, Connection>,
    pub(super) flows: HashMap<u64, Flow>,
    /// By the slot's socket, and who sends to it.
    pub(super) flow_of: HashMap<(u64, SocketAddr), u64>,
    /// Room for one datagram.
    pub(super) datagram: Vec<u8>,
    /// Connections and flows that wait for a name.
    pub(super) asked: HashMap<(u64, Name), Vec<u64>>,
    pub(super) timers: Timers,
    /// Those that are to go on.
    pub(super) ready: VecDeque<u64>,
    pub(super) budget: Budget,
    pub(super) pipes: Pipes,
    last: u64,
    /// No namespace comes any more.
    is_over: bool,
}

impl Server {
    pub(super) fn new(shared: Arc<Shared>, resolver: Resolver) -> io::Result<Server> {
        epoll::add(&shared.epoll, &shared.bell, Token::Orders.data(), EventFlags::IN)?;
        epoll::add(&shared.epoll, resolver.bell(), Token::Resolved.data(), EventFlags::IN)?;
        Ok(Server {
            shared,
            resolver,
            tenants: HashMap::new(),
            sockets: HashMap::new(),
            watched: 0,
            streams: HashMap::new(),
            connections: HashMap::new(),
            flows: HashMap::new(),
            flow_of: HashMap::new(),
            datagram: Vec::new(),
            asked: HashMap::new(),
            timers: Timers::default(),
            ready: VecDeque::new(),
            budget: Budget::new(),
            pipes: Pipes::default(),
            last: 0,
            is_over: false,
        })
    }

    pub(super) fn serve(mut self) {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            let now = Instant::now();
            let soonest = self.timers.soonest().map(|at| at.saturating_duration_since(now));
            let wait = if self.ready.is_empty() { soonest } else { Some(Duration::ZERO) };
            let wait = wait.and_then(|wait| rustix::event::Timespec::try_from(wait).ok());
            match epoll::wait(&self.shared.epoll, rustix::buffer::spare_capacity(&mut events), wait.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                // Nothing can be told any more: all is closed.
                Err(_) => return,
            }
            for event in &events {
                self.hear(Token::of(event.data), event.flags);
            }
            self.tell_time();
            for _ in 0..self.ready.len() {
                if let Some(key) = self.ready.pop_front() {
                    self.carry(key);
                }
            }
            if self.is_over && self.tenants.is_empty() {
                return;
            }
        }
    }

    fn hear(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Orders => {
                let _ = rustix::io::read(&self.shared.bell, &mut [0; 8]);
                let orders = std::mem::take(&mut *self.shared.orders());
                for order in orders {
                    match order {
                        Order::Begin(id, opened) => self.begin(id, *opened),
                        Order::Leave(id, done) => self.leave(id, done),
                        Order::End => self.is_over = true,
                    }
                }
            }
            Token::Resolved => self.resolved(),
            // A listener is done with: whoever has CAP_NET_ADMIN inside can have the kernel end it (SOCK_DESTROY, sock_diag(7)). epoll tells of
            // that for ever, whatever else is asked for.
            Token::Socket(key) if flags.contains(EventFlags::HUP) => self.close_socket(key),
            Token::Socket(key) => self.heard_from(key),
            Token::Stream(key) => self.read_stream(key),
            Token::Inner(key) | Token::Outer(key) => self.news(key, token, flags),
            Token::Attempt(key, part) => self.attempted(key, part),
            Token::Flow(key) => self.answered(key),
        }
    }

    fn tell_time(&mut self) {
        let now = Instant::now();
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Connection(key) => self.look_at(key, now),
                Timer::Stream(key) => self.close_stream(key),
                Timer::Rested(key) => self.listen(key, EventFlags::IN),
                Timer::Drained(id) => self.close_all(id),
                Timer::Flow(key) => self.look_at_flow(key, now),
            }
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn begin(&mut self, id: u64, opened: Opened) {
        let Opened { allow, ipv6, sockets, tally, lookup, judge } = opened;
        let held = sockets.len();
        self.budget.hold(held);
        let (inward, sockets): (Vec<_>, Vec<_>) = sockets.into_iter().partition(|(kind, _)| *kind == Kind::Inward);
        let doors = Doors::new(inward.into_iter().map(|(_, socket)| socket).collect());
        let (spare, sockets): (Vec<_>, Vec<_>) = sockets.into_iter().partition(|(kind, _)| *kind == Kind::Spare);
        let (mut later, mut rest) = (BTreeMap::<Name, Vec<Later>>::new(), Vec::new());
        for (kind, socket) in sockets {
            match kind {
                Kind::Later { name, port, ipv6 } => later.entry(name).or_default().push(Later { port, ipv6, socket }),
                kind => rest.push((kind, socket)),
            }
        }
        let server = NameServer::new(allow, ipv6, spare.into_iter().map(|(_, socket)| socket).collect(), later);
        let (own, connections, streams, flows, waiting, leaving) = (0, 0, 0, BTreeSet::new(), 0, None);
        let ended = BTreeSet::new();
        let tenant = Tenant {
            server,
            tally,
            lookup,
            judge,
            doors,
            held,
            own,
            connections,
            ended,
            streams,
            flows,
            waiting,
            leaving,
        };
        let (refused, sockets): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|(kind, _)| matches!(kind, Kind::Refused { .. }));
        let are_heard = self.watched + refused.len() <= MOST_WATCHED
            && refused.iter().all(|(kind, socket)| resets::watch(socket, *kind == Kind::Refused { ipv6: true }));
        let look_after_each = || refused.into_iter().all(|(kind, socket)| self.look_after(id, kind, socket, false));
        if !are_heard || !look_after_each() {
            tenant.tally.deafen();
        }
        self.tenants.insert(id, tenant);
        for (kind, socket) in sockets {
            self.look_after(id, kind, socket, false);
        }
    }

    /// Whether it is: one that cannot be watched is closed, and whoever connects to it is refused.
    fn look_after(&mut self, id: u64, kind: Kind, socket: OwnedFd, forced: bool) -> bool {
        let key = self.next();
        let nonblocking = rustix::io::ioctl_fionbio(&socket, true);
        let is_watched = nonblocking.is_ok() && self.watch(&socket, Token::Socket(key), EventFlags::IN).is_ok();
        if is_watched {
            self.watched += usize::from(matches!(kind, Kind::Refused { .. }));
            self.sockets.insert(key, Socket { tenant: id, kind, socket, forced });
        }
        is_watched
    }

    /// Names that were asked for just now, for the first time.
    fn look_after_fresh(&mut self, id: u64) {
        let fresh = self.tenants.get_mut(&id).map(|tenant| tenant.server.take_fresh()).unwrap_or_default();
        for Fresh { name, port, socket, forced } in fresh {
            self.look_after(id, Kind::Name(name, port), socket, forced);
        }
    }

    pub(super) fn watch(&self, socket: impl AsFd, token: Token, flags: EventFlags) -> rustix::io::Result<()> {
        epoll::add(&self.shared.epoll, socket, token.data(), flags)
    }

    /// Before it is closed: whoever was forked from this process may have a copy, by which it would be told of for ever, epoll(7).
    pub(super) fn unwatch(&self, socket: impl AsFd) {
        let _ = epoll::delete(&self.shared.epoll, socket);
    }

    fn listen(&self, key: u64, flags: EventFlags) {
        if let Some(socket) = self.sockets.get(&key) {
            let _ = epoll::modify(&self.shared.epoll, &socket.socket, Token::Socket(key).data(), flags);
        }
    }

    /// For a moment nothing is heard of a listener from which nothing can be taken: it would be told of over and over.
    fn rest(&mut self, key: u64) {
        self.listen(key, EventFlags::empty());
        self.timers.tell(Instant::now() + REST, Timer::Rested(key));
    }

    /// Nothing more comes from there: whoever connects to it is refused.
    fn close_socket(&mut self, key: u64) {
        self.timers.forget(Timer::Rested(key));
        if let Some(socket) = self.sockets.remove(&key) {
            self.watched -= usize::from(matches!(socket.kind, Kind::Refused { .. }));
            self.unwatch(&socket.socket);
        }
    }

    fn heard_from(&mut self, key: u64) {
        for _ in 0..AT_A_TIME {
            let Some(Socket { tenant: id, kind, socket, forced }) = self.sockets.get(&key) else { return };
            let Some(tenant) = self.tenants.get_mut(id) else { return };
            if matches!(kind, Kind::Flows(..)) {
                return self.take_datagrams(key);
            }
            if matches!(kind, Kind::Refused { .. }) {
                match resets::next(socket) {
                    Ok(Some(place)) => {
                        tenant.server.note(place, &tenant.tally);
                        let id = *id;
                        self.look_after_fresh(id);
                    }
                    Ok(None) | Err(Errno::INTR) => {}
                    Err(_) => return,
                }
                continue;
            }
            if *kind == Kind::Datagrams {
                tenant.server.answer_datagrams(socket, &tenant.tally);
                let id = *id;
                return self.look_after_fresh(id);
            }
            if matches!(kind, Kind::Published(_)) && !tenant.doors.has_one() {
                // Others wait in the listener's queue, as with any server that is busy.
                return self.rest(key);
            }
            let accepted = match accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(accepted) => accepted,
                Err(Errno::AGAIN) => return,
                // This process has no descriptor left, or the kernel no memory.
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => return self.rest(key),
                // Of the connection that would have been next, accept(2).
                Err(
                    Errno::INTR
                    | Errno::CONNABORTED
                    | Errno::NETDOWN
                    | Errno::PROTO
                    | Errno::NOPROTOOPT
                    | Errno::HOSTDOWN
                    | Errno::NONET
                    | Errno::HOSTUNREACH
                    | Errno::NETUNREACH,
                ) => continue,
                // It listens no more.
                Err(_) => return self.close_socket(key),
            };
            match kind {
                Kind::Published(port) => {
                    let (id, port) = (*id, *port);
                    self.enter(id, port, accepted);
                }
                Kind::Name(..) if *forced && release(&accepted).is_err() => {}
                Kind::Name(name, port) => {
                    let (id, name, port) = (*id, name.clone(), *port);
                    self.take(id, name, port, accepted);
                }
                _ if tenant.streams < MOST_STREAMS => {
                    let (id, stream) = (*id, self.next());
                    if self.watch(&accepted, Token::Stream(stream), EventFlags::IN).is_ok() {
                        self.streams.insert(stream, Stream::new(id, accepted));
                        self.timers.tell(Instant::now() + STREAM, Timer::Stream(stream));
                        self.tenants.entry(id).and_modify(|tenant| tenant.streams += 1);
                    }
                }
                _ => End::new(accepted).reset(),
            }
        }
    }

    fn read_stream(&mut self, key: u64) {
        let Some(stream) = self.streams.get_mut(&key) else { return };
        let id = stream.tenant;
        let goes_on = self.tenants.get_mut(&id).is_some_and(|it| stream.answer(&mut it.server, &it.tally));
        let wanted = if stream.is_behind() { EventFlags::OUT } else { EventFlags::IN };
        let heard = epoll::modify(&self.shared.epoll, &stream.socket, Token::Stream(key).data(), wanted);
        if !goes_on || heard.is_err() {
            self.close_stream(key);
        }
        self.look_after_fresh(id);
    }

    fn close_stream(&mut self, key: u64) {
        let Some(stream) = self.streams.remove(&key) else { return };
        self.timers.forget(Timer::Stream(key));
        self.unwatch(&stream.socket);
        if let Some(tenant) = self.tenants.get_mut(&stream.tenant) {
            tenant.streams -= 1;
        }
    }

    fn leave(&mut self, id: u64, done: SyncSender<()>) {
        // What stands in a listener's queue was sent as well; and a question there may bring one listener more.
        loop {
            // All at once: looked for one by one, those of all other namespaces would be gone through for each.
            let own = self.sockets.iter().filter(|(_, socket)| socket.tenant == id).map(|(key, _)| *key);
            let own: Vec<u64> = own.collect();
            if own.is_empty() {
                break;
            }
            for key in own {
                self.heard_from(key);
                self.close_socket(key);
            }
        }
        let own = self.streams.iter().filter(|(_, stream)| stream.tenant == id).map(|(key, _)| *key);
        own.collect::<Vec<_>>().into_iter().for_each(|key| self.close_stream(key));
        self.close_flows(id, false);
        let Some(tenant) = self.tenants.get_mut(&id) else { return };
        tenant.leaving = Some(done);
        tenant.server.close();
        tenant.doors.close();
        if tenant.connections == 0 {
            return self.close_all(id);
        }
        self.timers.tell(Instant::now() + DRAIN, Timer::Drained(id));
        let own = self.connections.iter().filter(|(_, connection)| connection.tenant == id);
        self.ready.extend(own.filter(|(_, it)| matches!(it.stage, Stage::Moving { .. })).map(|(key, _)| *key));
    }

    pub(super) fn close_all(&mut self, id: u64) {
        let own = self.connections.iter().filter(|(_, connection)| connection.tenant == id);
        for key in own.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.give_up(key);
        }
        self.close_flows(id, true);
        self.asked.retain(|(tenant, _), _| *tenant != id);
        self.resolver.forget(id);
        self.timers.forget(Timer::Drained(id));
        if let Some(tenant) = self.tenants.remove(&id) {
            self.budget.release(tenant.held);
            let _ = tenant.leaving.map(|done| done.send(()));
        }
    }

    /// One less that has something to bring out: with the last, a namespace that has ended is gone.
    pub(super) fn has_brought_out(&mut self, id: u64) {
        let Some(tenant) = self.tenants.get_mut(&id) else { return };
        tenant.connections -= 1;
        if tenant.connections == 0 && tenant.leaving.is_some() {
            self.close_all(id);
        }
    }
}
