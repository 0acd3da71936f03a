//! What this host can do, tried in the calling thread's network namespace and undone. Call them in a namespace that
//! was made for it where nothing is to be seen for a moment.

use std::net::Ipv4Addr;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::lock::Locks;
use crate::message::{ACK, Batch, CREATE, EXCLUSIVE};
use crate::route::{IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, NEWLINK, delete_link, link_head};
use crate::socket::Socket;
use crate::{Error, forward, lease, nft};

pub(crate) const TUN: &str = "/dev/net/tun";

/// Whether veth pairs can be made.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::NoModule`].
pub fn veth() -> Result<(), Error> {
    make("veth")
}

/// Whether bridges can be made.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::NoModule`].
pub fn bridge() -> Result<(), Error> {
    make("bridge")
}

fn make(kind: &'static str) -> Result<(), Error> {
    let socket = Socket::route()?;
    // A name that no container has: its address would be the process's id, which is of 0.0.0.0/8.
    let name = lease::link_name(Ipv4Addr::from_bits(std::process::id() & 0x00ff_ffff)).replace("sc", "sp");
    let mut batch = Batch::new();
    batch.add(NEWLINK, ACK | CREATE | EXCLUSIVE, &link_head(0, 0), format!("{kind} {name}"), |a| {
        a.text(IFLA_IFNAME, &name);
        a.nest(IFLA_LINKINFO, |a| a.text(IFLA_INFO_KIND, kind));
    });
    socket.send(&batch).map_err(|error| error.lacking(kind, &[Errno::OPNOTSUPP]))?;
    delete_link(&socket, &name).map(drop)
}

/// Whether it can be written down who uses which address, in /run/seclude.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::Call`].
pub fn locks() -> Result<(), Error> {
    Locks::open().map(drop)
}

/// Whether nf_tables can have what is needed: a table with chains of type nat, maps and sets, and their rules.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::NoModule`].
pub fn nf_tables() -> Result<(), Error> {
    nft::probe(&Socket::netfilter()?)
}

/// Whether /dev/net/tun is there and may be opened, which user-mode networks need.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::Call`].
pub fn tun() -> Result<(), Error> {
    match rustix::fs::open(TUN, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        Ok(_) => Ok(()),
        Err(errno) => Err(Error::from_call(TUN, "open", errno)),
    }
}

/// Whether IPv4 packets are forwarded; [`Error::NoForwarding`] if not.
///
/// # Errors
/// [`Error::NoForwarding`], [`Error::Call`].
pub fn ip_forward() -> Result<(), Error> {
    if forward::ipv4_is_on()? { Ok(()) } else { Err(Error::NoForwarding { file: forward::IPV4_FILE }) }
}

/// The chain of another table that drops what is forwarded unless a rule of it says otherwise, as Docker's and ufw's do;
/// whether one does is not known. Those of xtables' legacy are not seen.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::Call`].
pub fn dropping_forwarded() -> Result<Option<String>, Error> {
    nft::dropping(&Socket::netfilter()?)
}
