//! Published ports on the host's `[::1]`: carried to 127.0.0.1 by threads, where rules lead them on.
//!
//! Rules cannot: an answer to ::1 from another link is not routed. A name server puts ::1 first for `localhost`, and a program
//! that does not try another address would not come through. It lasts as long as the spawner: a container that is left running
//! has its ports on the IPv4 addresses alone.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use seclude_net::{Protocol, Publish};

const STACK: usize = 128 * 1024;
/// Connections at a time; more wait in the kernel's queue, listen(2).
const MOST: usize = 512;
/// Senders of datagrams that are remembered, and for how long: as nf_conntrack has it for those that are answered.
const MOST_SENDERS: usize = 256;
const REMEMBERED: Duration = Duration::from_secs(120);
const CONNECT: Duration = Duration::from_secs(10);

/// Held since before the clone, so that a port that somebody has is an error of the start.
#[derive(Default)]
pub(crate) struct Ports {
    streams: Vec<(TcpListener, u16)>,
    datagrams: Vec<(UdpSocket, u16)>,
}

impl Ports {
    /// Those that are published on every address of the host.
    pub(crate) fn hold(publish: &[Publish]) -> Result<Ports, (u16, io::Error)> {
        let mut ports = Ports::default();
        for publish in publish.iter().filter(|publish| publish.host.is_none()) {
            let port = publish.host_port;
            let at = (Ipv6Addr::LOCALHOST, port);
            let held = match publish.protocol {
                Protocol::Udp => UdpSocket::bind(at).map(|socket| ports.datagrams.push((socket, port))),
                _ => TcpListener::bind(at).map(|listener| ports.streams.push((listener, port))),
            };
            match held {
                Ok(()) => {}
                // A host without IPv6 has no such address.
                Err(error) if is_one_of(&error, &[Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT]) => {}
                Err(error) => return Err((port, error)),
            }
        }
        Ok(ports)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.datagrams.is_empty()
    }

    /// From here on what comes is carried.
    pub(crate) fn carry(self) -> io::Result<Carrier> {
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        for (listener, _) in &self.streams {
            listener.set_nonblocking(true)?;
        }
        for (socket, _) in &self.datagrams {
            socket.set_nonblocking(true)?;
        }
        let live: Live = Arc::new(Mutex::new(Some(Vec::new())));
        let shared = live.clone();
        let thread = builder().spawn(move || {
            quiet();
            run(&self, &stopped, &shared);
        })?;
        Ok(Carrier { stop, live, thread })
    }
}

/// The threads that carry.
pub(crate) struct Carrier {
    /// Closed, it ends the thread: a call that could fail would leave it there, and who waits for it.
    stop: OwnedFd,
    live: Live,
    thread: JoinHandle<()>,
}

impl Carrier {
    /// Ends all connections, and gives the ports back.
    pub(crate) fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).take();
        for stream in live.into_iter().flatten().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Both ends of each connection; none once all is over.
type Live = Arc<Mutex<Option<Vec<[Arc<TcpStream>; 2]>>>>;

fn builder() -> thread::Builder {
    thread::Builder::new().name("seclude-ports".into()).stack_size(STACK)
}

/// The caller's signal handlers expect the caller's threads.
fn quiet() {
    let _ = seclude_sys::signal::set_mask(!0);
}

fn is_one_of(error: &io::Error, errnos: &[Errno]) -> bool {
    error.raw_os_error().is_some_and(|number| errnos.iter().any(|errno| errno.raw_os_error() == number))
}

fn run(ports: &Ports, stop: &OwnedFd, live: &Live) {
    let mut senders: Vec<Senders> = ports.datagrams.iter().map(|(_, port)| Senders::new(*port)).collect();
    // Each connection has a copy while it lasts.
    let permit = Arc::new(());
    loop {
        if let Some(live) = &mut *live.lock().unwrap_or_else(PoisonError::into_inner) {
            // The threads of one that is over have let go of it.
            live.retain(|ends| Arc::strong_count(&ends[0]) > 1);
        }
        let full = Arc::strong_count(&permit) > MOST;
        let mut polled = vec![PollFd::new(stop, PollFlags::IN)];
        polled.extend(ports.datagrams.iter().map(|(socket, _)| PollFd::new(socket, PollFlags::IN)));
        let streams = if full { &[][..] } else { &ports.streams };
        polled.extend(streams.iter().map(|(listener, _)| PollFd::new(listener, PollFlags::IN)));
        polled.extend(
            senders.iter().flat_map(Senders::sockets).map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)),
        );
        let moment = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        match poll(&mut polled, full.then_some(&moment)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        if polled.first().is_some_and(|stop| !stop.revents().is_empty()) {
            return;
        }
        for ((socket, _), senders) in ports.datagrams.iter().zip(&mut senders) {
            senders.carry(socket);
        }
        for (listener, port) in streams {
            match listener.accept() {
                Ok((from, _)) => connect(from, *port, live, permit.clone()),
                Err(error) if is_one_of(&error, &[Errno::AGAIN, Errno::CONNABORTED, Errno::INTR]) => {}
                // The caller's table of descriptors is full: it waits in the queue, and would be told of over and over.
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

fn connect(from: TcpStream, port: u16, live: &Live, permit: Arc<()>) {
    let live = live.clone();
    let carried = move || -> io::Result<()> {
        let to = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), CONNECT)?;
        from.set_nonblocking(false)?;
        let (from, to) = (Arc::new(from), Arc::new(to));
        match &mut *live.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(live) => live.push([from.clone(), to.clone()]),
            None => return Ok(()),
        }
        let (back_from, back_to) = (to.clone(), from.clone());
        builder().spawn(move || {
            quiet();
            copy(&back_from, &back_to);
        })?;
        copy(&from, &to);
        Ok(())
    };
    // Without a thread the connection is closed, as by a host that has too many.
    let _ = builder().spawn(move || {
        quiet();
        let _ = carried();
        drop(permit);
    });
}

/// One direction, and its end.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

/// Who sends datagrams to a port, each with a socket of its own, by which the answers come.
struct Senders {
    port: u16,
    known: HashMap<SocketAddr, (UdpSocket, Instant)>,
}

impl Senders {
    fn new(port: u16) -> Senders {
        Senders { port, known: HashMap::new() }
    }

    fn sockets(&self) -> impl Iterator<Item = std::os::fd::BorrowedFd<'_>> {
        self.known.values().map(|(socket, _)| socket.as_fd())
    }

    fn carry(&mut self, outer: &UdpSocket) {
        let mut datagram = vec![0; 64 * 1024];
        // A flood of one does not keep the others waiting.
        for _ in 0..64 {
            let Ok((length, sender)) = outer.recv_from(&mut datagram) else { break };
            if let Some(socket) = self.of(sender) {
                let _ = socket.send(datagram.get(..length).unwrap_or_default());
            }
        }
        for (sender, (socket, last)) in &mut self.known {
            for _ in 0..64 {
                let Ok(length) = socket.recv(&mut datagram) else { break };
                *last = Instant::now();
                let _ = outer.send_to(datagram.get(..length).unwrap_or_default(), sender);
            }
        }
    }

    fn of(&mut self, sender: SocketAddr) -> Option<&UdpSocket> {
        let now = Instant::now();
        if !self.known.contains_key(&sender) {
            self.known.retain(|_, (_, last)| now.duration_since(*last) < REMEMBERED);
            if self.known.len() >= MOST_SENDERS {
                let oldest = *self.known.iter().min_by_key(|(_, (_, last))| *last)?.0;
                self.known.remove(&oldest);
            }
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            socket.connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
            socket.set_nonblocking(true).ok()?;
            self.known.insert(sender, (socket, now));
        }
        let (socket, last) = self.known.get_mut(&sender)?;
        *last = now;
        Some(socket)
    }
}
