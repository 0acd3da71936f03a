//! The host's published ports, held so that nobody else listens there and two containers do not share one.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::{Error, Protocol, Publish};

/// Binds a socket to it. It never listens: what comes for the port goes to the container before it is looked for.
pub(crate) fn hold(publish: &Publish) -> Result<OwnedFd, Error> {
    let (address, port, protocol) =
        (publish.host.unwrap_or(Ipv4Addr::UNSPECIFIED), publish.host_port, publish.protocol);
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let fail = |call| move |errno| Error::from_call(format!("published port {publish}"), call, errno);
    let socket = rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None);
    let socket = socket.map_err(fail("socket"))?;
    match rustix::net::bind(&socket, &SocketAddrV4::new(address, port)) {
        Ok(()) => Ok(socket),
        Err(Errno::ADDRINUSE) => Err(Error::PortTaken { address, port, protocol }),
        Err(errno) => Err(fail("bind")(errno)),
    }
}
