//! UDP to a name: whoever sends from inside has a socket outside, connected to where the name leads, so that nobody else's answers come in.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType, connect, recv, send};
use seclude_sys::{Fd, socket};

use super::dial;
use super::serve::{Server, Tenant, Timer, Token};
use super::take::LOOK_UP;
use crate::tally::Why;
use crate::{Kind, Name};

/// Datagrams that are moved before others have their turn.
const AT_A_TIME: usize = 64;
/// As long as one can be.
const LONGEST: usize = 65_535;
/// Of one namespace. Whoever wants more loses the one that was quiet for longest, as behind any translator of addresses.
const MOST: usize = 1024;
/// How long nothing may come from either side: RFC 4787, REQ-5.
const QUIET: Duration = Duration::from_secs(120);
/// What one keeps until its name is looked up, unless it is one datagram: the rest is lost, as on any way.
const WAITING: usize = 16 * 1024;
/// The same of all that one namespace has: it is memory of the caller's.
const ALL_WAITING: usize = 4 << 20;

/// What goes from one socket inside to one port of one name.
pub(super) struct Flow {
    pub(super) tenant: u64,
    /// The slot's socket, by its key, the address that was sent to, and who sends.
    socket: u64,
    slot: IpAddr,
    from: SocketAddr,
    name: Name,
    pub(super) port: u16,
    stage: Stage,
    /// When something came last.
    last: Instant,
}

enum Stage {
    /// Its name is looked up; what is to be sent then.
    Asking(Vec<Vec<u8>>),
    Open(OwnedFd),
}

impl Stage {
    /// Bytes that are to be sent once its name is known.
    fn waiting(&self) -> usize {
        match self {
            Stage::Asking(waiting) => waiting.iter().map(Vec::len).sum(),
            Stage::Open(_) => 0,
        }
    }
}

/// Something has come: of its namespace's it is the last one that has to go now.
fn touch(tenants: &mut HashMap<u64, Tenant>, key: u64, last: &mut Instant, tenant: u64) {
    if let Some(tenant) = tenants.get_mut(&tenant) {
        tenant.flows.remove(&(*last, key));
        *last = Instant::now();
        tenant.flows.insert((*last, key));
    }
}

impl Flow {
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Asking(_))
    }

    fn ends(&self) -> Instant {
        self.last + if self.is_asking() { LOOK_UP } else { QUIET }
    }
}

impl Server {
    /// What has come to a slot.
    pub(super) fn take_datagrams(&mut self, key: u64) {
        let mut buffer = std::mem::take(&mut self.datagram);
        buffer.resize(LONGEST, 0);
        for _ in 0..AT_A_TIME {
            let Some(slot) = self.sockets.get(&key) else { break };
            match socket::receive_datagram(Fd(slot.socket.as_raw_fd()), &mut buffer) {
                Ok(Some(came)) => {
                    let flow = self.flow_of.get(&(key, came.from)).copied();
                    let flow = flow.or_else(|| self.begin_flow(key, came.from, came.to));
                    if let Some(flow) = flow {
                        self.send_out(flow, buffer.get(..came.length).unwrap_or_default());
                    }
                }
                Ok(None) => {}
                Err(_) => break,
            }
        }
        self.datagram = buffer;
    }

    fn begin_flow(&mut self, socket: u64, from: SocketAddr, slot: IpAddr) -> Option<u64> {
        let known = self.sockets.get(&socket)?;
        let Kind::Flows(name, port) = &known.kind else { return None };
        let (id, name, port) = (known.tenant, name.clone(), *port);
        let own = &self.tenants.get(&id)?.flows;
        if let Some((_, quietest)) = own.first().copied().filter(|_| own.len() >= MOST) {
            self.close_flow(quietest);
        }
        let has_room = self.make_room(id, 1);
        let tenant = self.tenants.get_mut(&id)?;
        if !has_room {
            tenant.tally.refused(name.as_str(), Why::TooMany);
            tenant.tally.count(&name, |count| count.failed += 1);
            return None;
        }
        // As long as it waits for its name, it has something to bring out.
        tenant.connections += 1;
        let (key, now) = (self.next(), Instant::now());
        if let Some(tenant) = self.tenants.get_mut(&id) {
            tenant.flows.insert((now, key));
        }
        let stage = Stage::Asking(Vec::new());
        self.flow_of.insert((socket, from), key);
        self.flows.insert(key, Flow { tenant: id, socket, slot, from, name: name.clone(), port, stage, last: now });
        self.timers.tell(now + LOOK_UP, Timer::Flow(key));
        if self.wait_for(key, id, &name) {
            return Some(key);
        }
        self.close_flow(key);
        None
    }

    fn send_out(&mut self, key: u64, bytes: &[u8]) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        match &mut flow.stage {
            Stage::Asking(waiting) => {
                let all: usize = waiting.iter().map(Vec::len).sum();
                let Some(tenant) = self.tenants.get_mut(&flow.tenant) else { return };
                let is_room = waiting.is_empty() || all + bytes.len() <= WAITING;
                if is_room && tenant.waiting + bytes.len() <= ALL_WAITING {
                    waiting.push(bytes.to_vec());
                    tenant.waiting += bytes.len();
                }
            }
            Stage::Open(outer) => {
                touch(&mut self.tenants, key, &mut flow.last, flow.tenant);
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let sent = match send(&*outer, bytes, flags) {
                    // That is what became of the one before: this one was not sent.
                    Err(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH) => send(&*outer, bytes, flags),
                    sent => sent,
                };
                if let (Ok(sent), Some(tenant)) = (sent, self.tenants.get(&flow.tenant)) {
                    tenant.tally.count(&flow.name, |count| count.sent += sent as u64);
                }
            }
        }
    }

    /// Its name leads to these addresses.
    pub(super) fn open_flow(&mut self, key: u64, addresses: impl IntoIterator<Item = IpAddr>) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        let port = flow.port;
        // The first that there is a way to; whether anybody is there, UDP does not say.
        let opened = addresses.into_iter().find_map(|address| {
            let outer = dial::open(address, SocketType::DGRAM).ok()?;
            connect(&outer, &SocketAddr::new(address, port)).ok().map(|()| outer)
        });
        let Some(outer) = opened.filter(|outer| self.watch(outer, Token::Flow(key), EventFlags::IN).is_ok()) else {
            return self.close_flow(key);
        };
        let Some(flow) = self.flows.get_mut(&key) else { return };
        let id = flow.tenant;
        touch(&mut self.tenants, key, &mut flow.last, id);
        let before = std::mem::replace(&mut flow.stage, Stage::Open(outer));
        self.timers.tell(flow.ends(), Timer::Flow(key));
        if let Some(tenant) = self.tenants.get_mut(&id) {
            tenant.waiting -= before.waiting();
            tenant.tally.count(&flow.name, |count| count.connections += 1);
        }
        if let Stage::Asking(waiting) = before {
            waiting.iter().for_each(|bytes| self.send_out(key, bytes));
        }
        self.has_brought_out(id);
    }

    /// What has come from outside.
    pub(super) fn answered(&mut self, key: u64) {
        let mut buffer = std::mem::take(&mut self.datagram);
        buffer.resize(LONGEST, 0);
        let mut received = 0;
        for _ in 0..AT_A_TIME {
            let Some(flow) = self.flows.get_mut(&key) else { break };
            let Stage::Open(outer) = &flow.stage else { break };
            match recv(outer, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    touch(&mut self.tenants, key, &mut flow.last, flow.tenant);
                    let bytes = buffer.get(..length).unwrap_or_default();
                    if let Some(slot) = self.sockets.get(&flow.socket) {
                        // Whoever does not take it loses it.
                        let fd = Fd(slot.socket.as_raw_fd());
                        let sent = socket::send_datagram(fd, bytes, flow.from, flow.slot);
                        received += sent.unwrap_or_default() as u64;
                    }
                }
                // Nobody is there, as yet: what is sent next may find somebody.
                Err(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    self.close_flow(key);
                    break;
                }
            }
        }
        self.datagram = buffer;
        if let Some(flow) = self.flows.get(&key).filter(|_| received > 0)
            && let Some(tenant) = self.tenants.get(&flow.tenant)
        {
            tenant.tally.count(&flow.name, |count| count.received += received);
        }
    }

    /// A time has come: it was quiet, or nobody knows its name, or it went on meanwhile.
    pub(super) fn look_at_flow(&mut self, key: u64, now: Instant) {
        let Some(flow) = self.flows.get(&key) else { return };
        let ends = flow.ends();
        if now < ends {
            self.timers.tell(ends, Timer::Flow(key));
            return;
        }
        if let Some(tenant) = self.tenants.get(&flow.tenant).filter(|_| flow.is_asking()) {
            tenant.tally.refused(flow.name.as_str(), Why::Unresolved);
        }
        self.close_flow(key);
    }

    pub(super) fn close_flow(&mut self, key: u64) {
        let Some(flow) = self.flows.remove(&key) else { return };
        self.flow_of.remove(&(flow.socket, flow.from));
        self.timers.forget(Timer::Flow(key));
        let Some(tenant) = self.tenants.get_mut(&flow.tenant) else { return };
        tenant.flows.remove(&(flow.last, key));
        tenant.waiting -= flow.stage.waiting();
        self.budget.give_back(&mut tenant.own, 1);
        match flow.stage {
            Stage::Open(outer) => self.unwatch(outer),
            Stage::Asking(_) => {
                tenant.tally.count(&flow.name, |count| count.failed += 1);
                // The answer is still to come, and may be for others as well.
                if let Some(waiting) = self.asked.get_mut(&(flow.tenant, flow.name)) {
                    waiting.retain(|waiting| *waiting != key);
                }
                self.has_brought_out(flow.tenant);
            }
        }
    }

    /// The namespace has ended: nobody is there for answers.
    pub(super) fn close_flows(&mut self, id: u64, asking: bool) {
        let all = self.tenants.get(&id).into_iter().flat_map(|tenant| &tenant.flows).map(|(_, key)| *key);
        let own = all.filter(|key| asking || self.flows.get(key).is_some_and(|flow| !flow.is_asking()));
        own.collect::<Vec<_>>().into_iter().for_each(|key| self.close_flow(key));
    }
}
