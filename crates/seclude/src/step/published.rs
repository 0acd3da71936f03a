//! Ports of the host that lead into a container without a link to it: whose they are is known before anything is made.

use std::io::{Error as IoError, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use seclude_net::{Protocol, Publish};
use seclude_request::{Field, Remedy};

use crate::advice::Hint;
use crate::error::{Error, Result};

/// What listens for it: on all of the host's IPv4 addresses and at `[::1]`, which is the first that `localhost` is for many, or at
/// the one that is named.
pub(super) fn listen(name: &'static str, index: usize, port: &Publish) -> Result<Vec<OwnedFd>> {
    let bind = |address: IpAddr| -> std::io::Result<OwnedFd> {
        let address = SocketAddr::new(address, port.host_port);
        match port.protocol {
            Protocol::Tcp => TcpListener::bind(address).map(OwnedFd::from),
            Protocol::Udp => UdpSocket::bind(address).map(OwnedFd::from),
        }
    };
    let mut listeners =
        vec![bind(port.host.unwrap_or(Ipv4Addr::UNSPECIFIED).into()).map_err(|e| taken(name, index, port, e))?];
    if port.host.is_none() {
        match bind(Ipv6Addr::LOCALHOST.into()) {
            Ok(listener) => listeners.push(listener),
            // A host without IPv6.
            Err(error) if is_without(&error) => {}
            Err(error) => return Err(taken(name, index, port, error)),
        }
    }
    Ok(listeners)
}

fn is_without(error: &IoError) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT))
}

fn taken(name: &'static str, index: usize, port: &Publish, error: IoError) -> Error {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => Some("choose a port of 1024 or above"),
        ErrorKind::AddrInUse => Some("somebody on the host has it: choose another"),
        ErrorKind::AddrNotAvailable => Some("the host has no such address"),
        _ => None,
    };
    let hint = hint.map(|hint| Hint::from(hint).with([Remedy::give("network.publish")]));
    let field = Field::of("network").key("publish").index(index);
    Error::parent(name, format!("published port {port}"), error).call("bind").at_field(field).hint_if(hint)
}
