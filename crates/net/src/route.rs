//! rtnetlink(7): links, addresses and routes of the host, asked for and changed.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;

use crate::Error;
use crate::message::{ACK, Batch, CREATE, DUMP, Kind, Message, REPLACE, attributes, text, u32_at};
use crate::socket::Socket;
use crate::subnet::Subnet;

pub(crate) const NEWLINK: Kind = Kind(16, "RTM_NEWLINK");
pub(crate) const DELLINK: Kind = Kind(17, "RTM_DELLINK");
const GETLINK: Kind = Kind(18, "RTM_GETLINK");
pub(crate) const SETLINK: Kind = Kind(19, "RTM_SETLINK");
const NEWADDR: Kind = Kind(20, "RTM_NEWADDR");
const GETADDR: Kind = Kind(22, "RTM_GETADDR");
const NEWROUTE: Kind = Kind(24, "RTM_NEWROUTE");
const GETROUTE: Kind = Kind(26, "RTM_GETROUTE");
const NEWNEIGH: Kind = Kind(28, "RTM_NEWNEIGH");
const GETNEIGH: Kind = Kind(30, "RTM_GETNEIGH");

pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;
pub(crate) const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 1 << 6;

pub(crate) const IFLA_ADDRESS: u16 = 1;
pub(crate) const IFLA_IFNAME: u16 = 3;
pub(crate) const IFLA_MTU: u16 = 4;
pub(crate) const IFLA_MASTER: u16 = 10;
pub(crate) const IFLA_LINKINFO: u16 = 18;
pub(crate) const IFLA_NET_NS_PID: u16 = 19;
pub(crate) const IFLA_NET_NS_FD: u16 = 28;
pub(crate) const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
/// Linux 5.13.
pub(crate) const IFLA_NEW_IFINDEX: u16 = 49;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_INET_CONF: u16 = 1;
/// Whether packets from 127.0.0.0/8 may leave over the link.
pub(crate) const ROUTE_LOCALNET: (u16, &str) = (26, "route_localnet");
/// Whether a router there may name a shorter way.
pub(crate) const ACCEPT_REDIRECTS: (u16, &str) = (4, "accept_redirects");
pub(crate) const IFLA_INFO_KIND: u16 = 1;
pub(crate) const IFLA_INFO_DATA: u16 = 2;

/// A link as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) alias: String,
    pub(crate) is_up: bool,
    /// Whether packets go out over it: it is up, has a carrier, and the kernel has taken note of that.
    pub(crate) is_running: bool,
    /// `net.ipv4.conf.LINK.route_localnet`
    pub(crate) routes_localnet: bool,
}

/// `struct ifinfomsg`: the flags that are set are also the ones that change.
pub(crate) fn link_head(index: u32, flags: u32) -> [u8; 16] {
    let mut head = [0; 16];
    head[4..8].copy_from_slice(&index.to_ne_bytes());
    head[8..12].copy_from_slice(&flags.to_ne_bytes());
    head[12..16].copy_from_slice(&flags.to_ne_bytes());
    head
}

/// The link of that name.
pub(crate) fn link(socket: &Socket, name: &str) -> Result<Option<Link>, Error> {
    let mut batch = Batch::new();
    batch.add(GETLINK, 0, &link_head(0, 0), format!("link {name}"), |a| {
        a.text(IFLA_IFNAME, name);
        without_counters(a);
    });
    let mut found = None;
    socket.ask(&batch, &[Errno::NODEV], &mut |message| found = read_link(&message))?;
    Ok(found)
}

/// The link with that index.
pub(crate) fn link_by_index(socket: &Socket, index: u32) -> Result<Option<Link>, Error> {
    let mut batch = Batch::new();
    batch.add(GETLINK, 0, &link_head(index, 0), format!("link {index}"), without_counters);
    let mut found = None;
    socket.ask(&batch, &[Errno::NODEV], &mut |message| found = read_link(&message))?;
    Ok(found)
}

/// All links, or those that are ports of a bridge.
pub(crate) fn links(socket: &Socket, master: Option<u32>) -> Result<Vec<Link>, Error> {
    let mut batch = Batch::new();
    batch.add(GETLINK, DUMP, &link_head(0, 0), "links", |a| {
        if let Some(master) = master {
            a.u32(IFLA_MASTER, master);
        }
        without_counters(a);
    });
    socket.dump(&batch, read_link)
}

/// `RTEXT_FILTER_SKIP_STATS`: the counters are the larger part of a link, and cost time.
fn without_counters(a: &mut crate::message::Attributes<'_>) {
    a.u32(IFLA_EXT_MASK, 1 << 3);
}

fn read_link(message: &Message<'_>) -> Option<Link> {
    if message.kind != NEWLINK.0 {
        return None;
    }
    let (index, flags) = (u32_at(message.body, 4)?, u32_at(message.body, 8)?);
    let mut link = Link {
        index,
        name: String::new(),
        kind: String::new(),
        alias: String::new(),
        is_up: flags & IFF_UP != 0,
        is_running: flags & IFF_RUNNING != 0,
        routes_localnet: false,
    };
    for (kind, value) in message.attributes(16) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_IFALIAS => link.alias = text(value),
            IFLA_LINKINFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                link.kind = kind.map(|(_, value)| text(value)).unwrap_or_default();
            }
            IFLA_AF_SPEC => link.routes_localnet = routes_localnet(value).unwrap_or(false),
            _ => {}
        }
    }
    Some(link)
}

/// The settings are an array of numbers here, of which the first has number 1.
fn routes_localnet(families: &[u8]) -> Option<bool> {
    let (_, inet) = attributes(families).find(|(family, _)| *family == u16::from(AF_INET))?;
    let (_, settings) = attributes(inet).find(|(kind, _)| *kind == IFLA_INET_CONF)?;
    Some(u32_at(settings, usize::from(ROUTE_LOCALNET.0 - 1) * 4)? != 0)
}

/// An address of the host.
pub(crate) struct Address {
    pub(crate) index: u32,
    pub(crate) prefix: u8,
    pub(crate) address: IpAddr,
    /// It has no end.
    pub(crate) is_permanent: bool,
    /// It is not of the link or the host alone.
    pub(crate) is_global: bool,
}

/// All addresses of a family.
pub(crate) fn addresses(socket: &Socket, family: u8) -> Result<Vec<Address>, Error> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let mut batch = Batch::new();
    batch.add(GETADDR, DUMP, &address_head(family, 0, 0, 0), "addresses", |_| {});
    socket.dump(&batch, |message| {
        const IFA_F_PERMANENT: u8 = 0x80;
        let (prefix, index) = (*message.body.get(1)?, u32_at(message.body, 4)?);
        let (flags, scope) = (*message.body.get(2)?, *message.body.get(3)?);
        let (is_permanent, is_global) = (flags & IFA_F_PERMANENT != 0, scope == 0);
        // On a point-to-point link IFA_ADDRESS is the other end's; IPv6 has no IFA_LOCAL otherwise.
        let find = |wanted| message.attributes(8).find(|(kind, _)| *kind == wanted).and_then(|(_, value)| ip(value));
        let address = find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?;
        Some(Address { index, prefix, address, is_permanent, is_global })
    })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    }
}

/// Where an IPv4 route of any table leads, and over which link. Default routes lead nowhere in particular and are left
/// out.
pub(crate) fn routes(socket: &Socket) -> Result<Vec<(Subnet, Option<u32>)>, Error> {
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    let mut batch = Batch::new();
    batch.add(GETROUTE, DUMP, &route_head(AF_INET, 0, 0), "routes", |_| {});
    socket.dump(&batch, |message| {
        let prefix = *message.body.get(1).filter(|prefix| **prefix > 0)?;
        let (mut destination, mut link) = (None, None);
        for (kind, value) in message.attributes(12) {
            match kind {
                RTA_DST => destination = ip(value),
                RTA_OIF => link = u32_at(value, 0),
                _ => {}
            }
        }
        match destination? {
            IpAddr::V4(address) => Some((Subnet::around(address, prefix), link)),
            IpAddr::V6(_) => None,
        }
    })
}

/// Whose hardware address the kernel knows on a link.
pub(crate) fn neighbours(socket: &Socket, index: u32) -> Result<Vec<(Ipv4Addr, [u8; 6])>, Error> {
    let mut head = [0; 12];
    head[0] = AF_INET;
    let mut batch = Batch::new();
    batch.add(GETNEIGH, DUMP, &head, "neighbours", |_| {});
    let all = socket.dump(&batch, |message| {
        let on = u32_at(message.body, 4).filter(|_| message.kind == NEWNEIGH.0)?;
        let (address, mac) = neighbour(message)?;
        Some((on, <[u8; 4]>::try_from(address?).ok()?, mac))
    })?;
    Ok(all.into_iter().filter(|(on, ..)| *on == index).map(|(_, address, mac)| (address.into(), mac)).collect())
}

/// What hardware addresses a bridge has seen behind its ports.
pub(crate) fn forwarded(socket: &Socket, bridge: u32) -> Result<HashSet<[u8; 6]>, Error> {
    const AF_BRIDGE: u8 = 7;
    // `struct ifinfomsg` here, as `bridge fdb` has it: with `struct ndmsg` the kernel heeds no attribute.
    let mut head = link_head(0, 0);
    head[0] = AF_BRIDGE;
    let mut batch = Batch::new();
    batch.add(GETNEIGH, DUMP, &head, "forwarding table", |a| a.u32(IFLA_MASTER, bridge));
    let found = socket.dump(&batch, |message| {
        // NTF_SELF: of the port itself, and nobody behind it.
        let behind = message.kind == NEWNEIGH.0 && message.body.get(10)? & 2 == 0;
        behind.then(|| neighbour(message))?.map(|(_, mac)| mac)
    })?;
    Ok(found.into_iter().collect())
}

/// The address (a bridge has none) and the hardware address of a `struct ndmsg`.
fn neighbour<'a>(message: &Message<'a>) -> Option<(Option<&'a [u8]>, [u8; 6])> {
    const NDA_DST: u16 = 1;
    const NDA_LLADDR: u16 = 2;
    let find = |wanted| message.attributes(12).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    Some((find(NDA_DST), find(NDA_LLADDR)?.try_into().ok()?))
}

/// `struct ifaddrmsg`.
fn address_head(family: u8, prefix: u8, flags: u8, index: u32) -> [u8; 8] {
    let [a, b, c, d] = index.to_ne_bytes();
    [family, prefix, flags, 0, a, b, c, d]
}

/// `struct rtmsg` of a unicast route in the main table.
fn route_head(family: u8, prefix: u8, scope: u8) -> [u8; 12] {
    const RT_TABLE_MAIN: u8 = 254;
    const RTPROT_BOOT: u8 = 3;
    const RTN_UNICAST: u8 = 1;
    [family, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0, 0, 0, 0]
}

/// Adds an IPv4 address; `other` is the other end's if there is no network between the two.
pub(crate) fn add_address(
    batch: &mut Batch,
    index: u32,
    address: Ipv4Addr,
    prefix: u8,
    other: Option<Ipv4Addr>,
    about: String,
) {
    address_in(batch, index, (address, prefix, Reach::Subnet), other, about);
}

/// What an address brings along, by its prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A route: each address of the subnet is right there, and has a neighbour's entry, arp(7), once it is spoken to.
    Subnet,
    /// None, IFA_F_NOPREFIXROUTE.
    Nothing,
}

impl Reach {
    const fn flags(self) -> u32 {
        const IFA_F_NOPREFIXROUTE: u32 = 0x200;
        match self {
            Reach::Subnet => 0,
            Reach::Nothing => IFA_F_NOPREFIXROUTE,
        }
    }
}

const IFA_FLAGS: u16 = 8;

/// The same, with what it brings along.
pub(crate) fn address_in(
    batch: &mut Batch,
    index: u32,
    (address, prefix, reach): (Ipv4Addr, u8, Reach),
    other: Option<Ipv4Addr>,
    about: String,
) {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_BROADCAST: u16 = 4;
    batch.add(NEWADDR, ACK | CREATE | REPLACE, &address_head(AF_INET, prefix, 0, index), about, |a| {
        a.put(IFA_LOCAL, &address.octets());
        a.put(IFA_ADDRESS, &other.unwrap_or(address).octets());
        if prefix < 31 {
            a.put(IFA_BROADCAST, &Subnet::around(address, prefix).broadcast().octets());
        }
        a.u32(IFA_FLAGS, reach.flags());
    });
}

/// Adds an IPv6 address, without waiting for somebody to say that it is taken: leases are unique.
pub(crate) fn add_address6(
    batch: &mut Batch,
    index: u32,
    (address, prefix, reach): (Ipv6Addr, u8, Reach),
    about: String,
) {
    const IFA_ADDRESS: u16 = 1;
    const IFA_F_NODAD: u8 = 2;
    batch.add(NEWADDR, ACK | CREATE | REPLACE, &address_head(AF_INET6, prefix, IFA_F_NODAD, index), about, |a| {
        a.put(IFA_ADDRESS, &address.octets());
        // In the place of those above.
        a.u32(IFA_FLAGS, u32::from(IFA_F_NODAD) | reach.flags());
    });
}

/// Adds one that a link had elsewhere.
pub(crate) fn add_address_as_it_was(batch: &mut Batch, index: u32, address: IpAddr, prefix: u8, about: String) {
    match address {
        IpAddr::V4(address) => add_address(batch, index, address, prefix, None, about),
        IpAddr::V6(address) => add_address6(batch, index, (address, prefix, Reach::Subnet), about),
    }
}

/// A route over the link: to one address that is right there, or (`None`) to everything.
pub(crate) fn add_route(batch: &mut Batch, index: u32, to: Option<IpAddr>, via: Option<IpAddr>, about: String) {
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RT_SCOPE_LINK: u8 = 253;
    let family = if to.or(via).is_some_and(|address| address.is_ipv6()) { AF_INET6 } else { AF_INET };
    let prefix = to.map_or(0, |to| if to.is_ipv6() { 128 } else { 32 });
    // Only IPv4 has scopes of routes.
    let scope = if via.is_none() && family == AF_INET { RT_SCOPE_LINK } else { 0 };
    batch.add(NEWROUTE, ACK | CREATE, &route_head(family, prefix, scope), about, |a| {
        let mut put = |kind, address| match address {
            Some(IpAddr::V4(address)) => a.put(kind, &address.octets()),
            Some(IpAddr::V6(address)) => a.put(kind, &address.octets()),
            None => {}
        };
        put(RTA_DST, to);
        put(RTA_GATEWAY, via);
        a.u32(RTA_OIF, index);
    });
}

/// Sets a link up, by index.
pub(crate) fn set_up(batch: &mut Batch, index: u32, about: String) {
    batch.add(NEWLINK, ACK, &link_head(index, IFF_UP), about, |_| {});
}

/// Removes a link; answers `false` if there is none of that name.
pub(crate) fn delete_link(socket: &Socket, name: &str) -> Result<bool, Error> {
    let mut batch = Batch::new();
    batch.add(DELLINK, ACK, &link_head(0, 0), format!("link {name}"), |a| a.text(IFLA_IFNAME, name));
    match socket.send(&batch) {
        Err(error) if error.is(Errno::NODEV) => Ok(false),
        other => other.map(|()| true),
    }
}

/// A switch of the link's, `net.ipv4.conf.LINK.…`, by its number.
pub(crate) fn set_ipv4_switch(batch: &mut Batch, name: &str, (number, switch): (u16, &str), on: bool) {
    batch.add(SETLINK, ACK, &link_head(0, 0), format!("{switch} of {name}"), |a| {
        a.text(IFLA_IFNAME, name);
        a.nest(IFLA_AF_SPEC, |a| {
            a.nest(u16::from(AF_INET), |a| {
                a.nest(IFLA_INET_CONF, |a| a.u32(number, u32::from(on)));
            });
        });
    });
}
