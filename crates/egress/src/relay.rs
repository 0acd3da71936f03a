//! The one thread of this process that relays, for all namespaces, however many there are and however many connections they have. It is
//! started with the first, and ends with the last.
//!
//! When it ends, whatever the reason, all sockets of the namespaces are closed, and nothing of them can be reached any more.

mod dial;
mod enter;
mod flow;
mod serve;
mod take;
mod timers;

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{EventfdFlags, epoll, eventfd};
use seclude_forked::{Forked, GENERATIONS};
use seclude_sys::signal;

use crate::addresses::Special;
use crate::resolver::{self, Lookup, Resolver};
use crate::tally::Tally;
use crate::{Allow, Kind};

use serve::Server;

const STACK: usize = 256 * 1024;
/// How long what a namespace has sent may take to get out after its end.
const DRAIN: Duration = Duration::from_secs(1);

static RUNNING: Forked<Option<Running>> = Forked::new([const { Mutex::new(None) }; GENERATIONS]);

struct Running {
    /// Another than this one after a fork, which takes no thread along.
    process: u32,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    seats: usize,
    last: u64,
}

struct Shared {
    epoll: OwnedFd,
    /// Written when there are orders.
    bell: OwnedFd,
    orders: Mutex<Vec<Order>>,
}

enum Order {
    Begin(u64, Box<Opened>),
    /// Told when all of it is closed.
    Leave(u64, SyncSender<()>),
    /// Once the last one is closed.
    End,
}

/// A namespace as it comes to the thread.
struct Opened {
    allow: Allow,
    ipv6: bool,
    sockets: Vec<(Kind, OwnedFd)>,
    tally: Arc<Tally>,
    lookup: Lookup,
    judge: Judge,
}

/// Why an address is not connected to, if it is not; the other: whether private ones are.
type Judge = fn(IpAddr, bool) -> Option<Special>;

fn running() -> MutexGuard<'static, Option<Running>> {
    RUNNING.lock(|| ())
}

impl Running {
    fn start() -> io::Result<Running> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let shared = Arc::new(Shared { epoll, bell, orders: Mutex::default() });
        let server = Server::new(shared.clone(), Resolver::new()?)?;
        let builder = thread::Builder::new().name("seclude-egress".into()).stack_size(STACK);
        let thread = builder.spawn(move || {
            // The caller's signal handlers expect the caller's threads; and a socket that nobody reads any more is a SIGPIPE.
            let _ = signal::set_mask(!0);
            server.serve();
        })?;
        Ok(Running { process: std::process::id(), shared, thread, seats: 0, last: 0 })
    }
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Vec<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, orders: impl IntoIterator<Item = Order>) {
        self.orders().extend(orders);
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }
}

/// A namespace's place with the thread.
pub struct Seat {
    process: u32,
    shared: Arc<Shared>,
    id: u64,
    begun: bool,
    tally: Arc<Tally>,
}

impl Seat {
    /// Once this is there, the thread is.
    pub fn take() -> io::Result<Seat> {
        let process = std::process::id();
        let mut running = running();
        // Another process's after a fork; and one that has ended on an error serves nobody any more.
        let own = match running.take_if(|running| running.process == process && !running.thread.is_finished()) {
            Some(own) => own,
            None => Running::start()?,
        };
        let (shared, id) = (own.shared.clone(), own.last + 1);
        *running = Some(Running { seats: own.seats + 1, last: id, ..own });
        Ok(Seat { process, shared, id, begun: false, tally: Arc::default() })
    }

    /// Serves from here on what comes to these sockets, which are those of [`Allow::sockets`] in their order; and to listeners of the outside,
    /// whose connections go to that port of the namespace's own 127.0.0.1 ([`Allow::enter`]).
    pub fn begin(
        &mut self,
        allow: Allow,
        ipv6: bool,
        sockets: Vec<OwnedFd>,
        published: Vec<(u16, OwnedFd)>,
    ) -> io::Result<()> {
        let wanted = allow.sockets(ipv6);
        if wanted.len() != sockets.len() {
            let why = format!("{} sockets came, of {}", sockets.len(), wanted.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let sockets = wanted.into_iter().map(|wanted| wanted.kind).zip(sockets);
        let published = published.into_iter().map(|(port, listener)| (Kind::Published(port), listener));
        let sockets = sockets.chain(published).collect();
        self.begin_with(allow, ipv6, sockets, resolver::by_host, dial::judge);
        Ok(())
    }

    fn begin_with(&mut self, allow: Allow, ipv6: bool, sockets: Vec<(Kind, OwnedFd)>, lookup: Lookup, judge: Judge) {
        let opened = Opened { allow, ipv6, sockets, tally: self.tally.clone(), lookup, judge };
        self.begun = true;
        self.shared.order([Order::Begin(self.id, Box::new(opened))]);
    }

    /// What went through, and what was refused.
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// The namespace goes on, and with it its relay, until this process ends.
    pub fn stay(self) {
        // The seat stays taken, so the thread does not end.
        std::mem::forget(self);
    }

    /// The namespace has ended: what it has sent is still brought out, for a second at most, and the rest closed.
    pub fn leave(self) {
        // As it is dropped.
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Whoever was forked from this process has no such thread.
        if self.process != std::process::id() {
            return;
        }
        let mut running = running();
        let own = running.as_mut().filter(|own| Arc::ptr_eq(&own.shared, &self.shared));
        let is_last = own.is_some_and(|own| {
            own.seats -= 1;
            own.seats == 0
        });
        // Whoever comes now begins with another thread.
        let thread = running.take_if(|_| is_last).map(|running| running.thread);
        drop(running);
        let (done, ended) = sync_channel(1);
        let leave = self.begun.then_some(Order::Leave(self.id, done));
        match thread {
            // Both at once: each would wake the thread, and that this one.
            Some(thread) => {
                self.shared.order(leave.into_iter().chain([Order::End]));
                let _ = thread.join();
            }
            None if self.begun => {
                self.shared.order(leave);
                // The thread may have ended, and then it has closed all.
                let _ = ended.recv_timeout(DRAIN * 2);
            }
            None => {}
        }
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seat").field(&self.tally).finish()
    }
}

#[cfg(test)]
mod tests;
