//! The host in a world: an uplink, and an internet behind it. The internet is a namespace that plays the host to the host:
//! the host's uplink is itself a container's end.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use seclude_net::{Attach, Publish, Request, Veth};

use super::*;

/// A host with an uplink: the internet's address as the host sees it, the host's as the internet sees it.
pub struct World {
    pub host: Space,
    pub internet: Space,
    _uplink: Veth,
    pub far: Ipv4Addr,
    pub near: Ipv4Addr,
}

impl World {
    pub fn new() -> World {
        let (internet, host) = (Space::host(), Space::host());
        let mut request = Request::default();
        request.nat = false;
        request.attach = Attach::PointToPoint;
        request.subnet = Some("192.0.2.0/24".parse().unwrap());
        let uplink = internet.run(move || Veth::prepare(&request).unwrap());
        join(&uplink, &host);
        let link = uplink.link().to_owned();
        internet.run(move || {
            // What the host lets out under other addresses is to be seen here.
            look("nft", &["flush", "chain", "netdev", "seclude", &link]);
            look("nft", &["flush", "chain", "inet", "seclude", "input"]);
            serve(SocketAddr::from(([0, 0, 0, 0], 7)), "far");
        });
        let (far, near) = (uplink.gateway().unwrap(), uplink.address());
        World { host, internet, _uplink: uplink, far, near }
    }

    pub fn prepare(&self, request: &Request) -> Veth {
        let request = request.clone();
        self.host.run(move || Veth::prepare(&request).unwrap())
    }

    /// A container that serves its name on port 80, TCP and UDP.
    pub fn container(&self, request: &Request, name: &'static str) -> (Veth, Space) {
        let (veth, container) = (self.prepare(request), Space::container());
        join(&veth, &container);
        container.run(move || serve(SocketAddr::from(([0, 0, 0, 0], 80)), name));
        (veth, container)
    }
}

/// Says its name and the caller's address to whoever connects, on TCP and UDP.
pub fn serve(at: SocketAddr, name: &'static str) {
    let (tcp, udp) = (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap());
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let Ok(mut stream) = stream else { return };
            let peer = stream.peer_addr().unwrap().ip();
            let _ = stream.write_all(format!("{name} {peer}").as_bytes());
        }
    });
    std::thread::spawn(move || {
        while let Ok((_, peer)) = udp.recv_from(&mut [0; 8]) {
            let _ = udp.send_to(format!("{name} {}", peer.ip()).as_bytes(), peer);
        }
    });
}

/// What is said at an address, or "" after a while.
pub fn ask(space: &Space, address: impl Into<Ipv4Addr>, port: u16) -> String {
    let at = SocketAddr::from((address.into(), port));
    space.run(move || {
        let mut said = String::new();
        // Twice: on a busy machine the first packet may be lost, and TCP repeats it after a second.
        for _ in 0..2 {
            if let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_millis(700)) {
                stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
                let _ = stream.read_to_string(&mut said);
                break;
            }
        }
        said
    })
}

pub fn ask_udp(space: &Space, address: impl Into<Ipv4Addr>, port: u16) -> String {
    let at = SocketAddr::from((address.into(), port));
    space.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        let mut said = [0; 64];
        let got = socket.send_to(b"?", at).and_then(|_| socket.recv_from(&mut said)).map_or(0, |(length, _)| length);
        String::from_utf8_lossy(&said[..got]).into_owned()
    })
}

pub fn with_nat() -> Request {
    let mut request = Request::default();
    request.ip_forward = true;
    request
}

pub fn alone() -> Request {
    let mut request = Request::default();
    request.nat = false;
    request
}

pub fn publishing(text: &str) -> Request {
    let mut request = alone();
    request.ip_forward = true;
    request.publish = Publish::parse(text).unwrap();
    request
}

/// Whether a connection is refused, and at once.
pub fn refuses(space: &Space, at: SocketAddr) -> bool {
    space.run(move || {
        let try_once = || {
            let start = std::time::Instant::now();
            let error = TcpStream::connect_timeout(&at, Duration::from_secs(3)).err();
            (error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused), start.elapsed())
        };
        // By an ICMP answer it would be a second each time, and on a busy machine one try can be as slow by itself.
        (0..8)
            .map(|_| try_once())
            .take_while(|(refused, _)| *refused)
            .any(|(_, took)| took < Duration::from_millis(500))
    })
}

/// What is said at an address of either family, or "".
pub fn hear(space: &Space, at: SocketAddr) -> String {
    space.run(move || {
        let mut said = String::new();
        if let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_millis(1500)) {
            stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
            let _ = stream.read_to_string(&mut said);
        }
        said
    })
}
