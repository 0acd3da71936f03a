//! Making the pair, while the container's process waits at its barrier.

use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::claims::Claims;
use crate::inside;
use crate::lease::address_of;
use crate::mac::Mac;
use crate::message::{ACK, Attributes, Batch, CREATE, EXCLUSIVE};
use crate::network::Network;
use crate::nft::{self, Element, Guard, Transaction, sets};
use crate::route::{
    self, IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU,
    IFLA_NET_NS_PID, NEWLINK, SETLINK, link_head,
};
use crate::{Error, Veth, shape, switches};

pub(crate) fn connect(veth: &Veth, claims: &mut Claims, pid: u32) -> Result<(), Error> {
    // Rules first: no packet of the container is ever seen without them.
    add_elements(veth, claims)?;
    // What /proc does not show cannot be held, and is as well off as with others who make links.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    claims.namespace = rustix::fs::open(format!("/proc/{pid}/ns/net"), flags, Mode::empty()).ok();
    let made = make_pair(veth, claims, pid);
    // It is there also if only the answer was lost; not ours is one that was there before.
    if !made.as_ref().is_err_and(|error| error.is(Errno::EXIST)) {
        claims.link = Some(veth.link.clone());
    }
    made?;
    guard(veth, claims)?;
    attach(veth, claims)?;
    shape::shape(veth, claims)?;
    settle(veth, claims)?;
    match &claims.hosts {
        Some(file) => file.announce(),
        None => Ok(()),
    }
}

/// The pair, in one request. The container's end is the main device, so that it can have an index that is chosen
/// (`drivers/net/veth.c` heeds the other's only if this one has one), and is made right in its namespace.
fn make_pair(veth: &Veth, claims: &Claims, pid: u32) -> Result<(), Error> {
    const VETH_INFO_PEER: u16 = 1;
    let mtu = |a: &mut Attributes<'_>| {
        if let Some(mtu) = veth.request.mtu {
            a.u32(IFLA_MTU, mtu);
        }
    };
    let mut batch = Batch::new();
    // Up at once, so that the pair has a carrier, and its bridge, before anybody inside sends.
    let head = link_head(inside::index(veth.address), IFF_UP);
    let about = format!("link {} of {}", veth.request.name, veth.link);
    batch.add(NEWLINK, ACK | CREATE | EXCLUSIVE, &head, about, |a| {
        a.text(IFLA_IFNAME, &veth.request.name);
        a.put(IFLA_ADDRESS, &veth.mac.bytes());
        mtu(a);
        a.u32(IFLA_NET_NS_PID, pid);
        a.nest(IFLA_LINKINFO, |a| {
            a.text(IFLA_INFO_KIND, "veth");
            a.nest(IFLA_INFO_DATA, |a| {
                a.nest(VETH_INFO_PEER, |a| {
                    a.raw(&link_head(0, 0));
                    a.text(IFLA_IFNAME, &veth.link);
                    a.put(IFLA_ADDRESS, &Mac::of_host_end(veth.address).bytes());
                    mtu(a);
                });
            });
        });
    });
    claims.host.route.send(&batch).map_err(|error| error.lacking("veth", &[Errno::OPNOTSUPP]))
}

/// Before the link is up, so that nothing comes by unseen.
fn guard(veth: &Veth, claims: &mut Claims) -> Result<(), Error> {
    let limit = veth.request.rate.map(|rate| (rate / 8, shape::burst(rate / 8)));
    let guard = Guard { mac: veth.mac, address: veth.address, address6: veth.address6, limit };
    let commit = |is_again: bool| {
        let mut transaction = Transaction::new();
        if is_again {
            transaction.unguard(&veth.link);
        }
        transaction.guard(&veth.link, &guard);
        transaction.commit(&claims.host.filter)
    };
    // Also if only the answer is lost.
    claims.guarded = Some(veth.link.clone());
    match commit(false) {
        // The chain of somebody dead who had the address.
        Err(error) if error.is(Errno::EXIST) => commit(true),
        other => other,
    }
}

/// The host's end: to its bridge, alone there unless it has peers, and up last; or with an address of its own.
fn attach(veth: &Veth, claims: &Claims) -> Result<(), Error> {
    const IFLA_GROUP: u16 = 27;
    const IFLA_INFO_SLAVE_KIND: u16 = 4;
    const IFLA_INFO_SLAVE_DATA: u16 = 5;
    const IFLA_BRPORT_MODE: u16 = 4;
    const IFLA_BRPORT_ISOLATED: u16 = 33;
    let (link, host) = (&veth.link, &claims.host);
    // A port has no IP of its own.
    switches::quiet(host, link, veth.network.bridge.is_none() && veth.address6.is_some())?;
    let mut batch = Batch::new();
    let publishes = !veth.request.publish.is_empty();
    let Some(bridge) = &veth.network.bridge else {
        if publishes {
            route::set_ipv4_switch(&mut batch, link, route::ROUTE_LOCALNET, true);
        }
        return attach_point_to_point(veth, claims, batch);
    };
    if publishes {
        // The rule that guards against neighbours who use it is there already.
        bridge.open_localnet(host)?;
    }
    let about = format!("link {link} at bridge {}", bridge.name);
    batch.add(SETLINK, ACK, &link_head(0, 0), about, |a| {
        a.text(IFLA_IFNAME, link);
        a.u32(IFLA_MASTER, bridge.index);
        a.u32(IFLA_GROUP, if veth.request.peers { nft::WITH_PEERS } else { nft::ALONE });
    });
    // One that publishes is reached by others, and by itself, over the bridge where br_netfilter is; by what else, rules say.
    let isolated = !veth.request.peers && !publishes;
    let about = if isolated { format!("link {link} isolated and up") } else { format!("link {link} up") };
    batch.add(NEWLINK, ACK, &link_head(0, IFF_UP), about, |a| {
        a.text(IFLA_IFNAME, link);
        if isolated || publishes {
            a.nest(IFLA_LINKINFO, |a| {
                a.text(IFLA_INFO_SLAVE_KIND, "bridge");
                // Hairpin: what came over a port may go back over it.
                let option = if isolated { IFLA_BRPORT_ISOLATED } else { IFLA_BRPORT_MODE };
                a.nest(IFLA_INFO_SLAVE_DATA, |a| a.put(option, &[1]));
            });
        }
    });
    host.route.send(&batch)
}

fn attach_point_to_point(veth: &Veth, claims: &Claims, mut batch: Batch) -> Result<(), Error> {
    let (link, route) = (&veth.link, &claims.host.route);
    let index = index_of(veth, claims)?;
    let gateway = veth.network.subnet.gateway();
    let about = format!("address {gateway} of {link}");
    route::add_address(&mut batch, index, gateway, 32, Some(veth.address), about);
    if let (Some(gateway), Some(address)) = (veth.network.gateway6, veth.address6) {
        route::add_address6(
            &mut batch,
            index,
            (gateway, 128, route::Reach::Subnet),
            format!("address {gateway} of {link}"),
        );
        route::set_up(&mut batch, index, format!("link {link} up"));
        route::add_route(&mut batch, index, Some(address.into()), None, format!("route to {address} over {link}"));
    } else {
        route::set_up(&mut batch, index, format!("link {link} up"));
    }
    route.send(&batch)
}

/// Waits until packets go out over the host's end and its bridge. The kernel takes note of a carrier some time after it
/// is there, and drops what is sent before: an answer to the container's first question, which it would repeat a second
/// later. It is given up on after a while, as that is all that is lost.
fn settle(veth: &Veth, claims: &Claims) -> Result<(), Error> {
    const STEP: Duration = Duration::from_micros(50);
    const STEPS: u32 = 1000;
    for name in std::iter::once(veth.link()).chain(veth.bridge()) {
        for _ in 0..STEPS {
            match route::link(&claims.host.route, name)? {
                Some(link) if !link.is_running => std::thread::sleep(STEP),
                _ => break,
            }
        }
    }
    Ok(())
}

/// The index that the kernel gave the host's end.
pub(crate) fn index_of(veth: &Veth, claims: &Claims) -> Result<u32, Error> {
    let found = route::link(&claims.host.route, &veth.link)?;
    let missing = || Error::from_call(format!("link {}", veth.link), "RTM_GETLINK", Errno::NODEV);
    Ok(found.ok_or_else(missing)?.index)
}

/// What the container is in the table: elements of its own, and what somebody else with its address may have left.
struct Entries {
    own: Vec<Element>,
    stale: Vec<Element>,
}

impl Entries {
    fn of(veth: &Veth) -> Entries {
        let Network { bridge, .. } = &veth.network;
        let mut entries = Entries { own: Vec::new(), stale: Vec::new() };
        let publishes = !veth.request.publish.is_empty();
        match bridge {
            None => {
                entries.own.push(sets::inside(&veth.link));
                entries.own.extend(publishes.then(|| sets::localnet(&veth.link)));
            }
            Some(bridge) => {
                entries.when(veth.request.peers, sets::peer(&bridge.name, veth.address));
                entries.own.extend((!bridge.is_own).then(|| sets::guest(&bridge.name, veth.address)));
            }
        }
        let (to_host, to_local) = (veth.request.reaches_host(), veth.request.host_access);
        entries.when(veth.request.nat, sets::nat4(veth.address));
        entries.when(to_host, sets::host4(veth.address));
        entries.when(to_local, sets::local4(veth.address));
        if let Some(address6) = veth.address6 {
            entries.when(veth.request.nat, sets::nat6(address6));
            entries.when(to_host, sets::host6(address6));
            entries.when(to_local, sets::local6(address6));
            if let Some(bridge) = bridge {
                entries.when(veth.request.peers, sets::peer6(&bridge.name, address6));
                entries.own.extend((!bridge.is_own).then(|| sets::guest6(&bridge.name, address6)));
            }
        }
        entries.own.extend(veth.request.publish.iter().map(|publish| sets::publish(publish, veth.address)));
        entries
    }

    fn when(&mut self, is_so: bool, element: Element) {
        if is_so { self.own.push(element) } else { self.stale.push(element) }
    }
}

fn add_elements(veth: &Veth, claims: &mut Claims) -> Result<(), Error> {
    let entries = Entries::of(veth);
    let filter = &claims.host.filter;
    let commit = |replaced: &[Element]| {
        let mut transaction = Transaction::new();
        if let Some(bridge) = &veth.network.bridge {
            let shared = bridge.elements(!veth.request.publish.is_empty());
            shared.iter().for_each(|element| transaction.add(element));
        }
        replaced.iter().for_each(|element| transaction.delete(element));
        entries.stale.iter().for_each(|element| transaction.clear(element));
        entries.own.iter().for_each(|element| transaction.add(element));
        transaction.commit(filter)
    };
    let mut answer = commit(&[]);
    if answer.as_ref().is_err_and(|error| error.is(Errno::NOENT)) {
        // Somebody flushed the rules since it was prepared.
        nft::ensure(filter)?;
        answer = commit(&[]);
    }
    if answer.as_ref().is_err_and(|error| error.is(Errno::EXIST)) {
        answer = commit(&in_the_way(veth, claims, &entries.own)?);
    }
    answer?;
    claims.elements = entries.own;
    Ok(())
}

/// Elements of maps that lead elsewhere: those of the dead are to be replaced. The port is held by us, so one of the
/// living is of a container whose maker died.
fn in_the_way(veth: &Veth, claims: &Claims, own: &[Element]) -> Result<Vec<Element>, Error> {
    let mut found = Vec::new();
    for set in ["publish", "publish_any"] {
        for element in nft::elements_of(&claims.host.filter, set)? {
            let wanted = own.iter().position(|mine| mine.set == set && mine.key == element.key && *mine != element);
            let Some(wanted) = wanted else { continue };
            let address: Option<[u8; 4]> = element.data.as_ref().and_then(|data| data.get(..4)?.try_into().ok());
            let name = crate::lease::link_name(address.unwrap_or_default().into());
            if address_of(&name).is_some() && route::link(&claims.host.route, &name)?.is_some() {
                let first = own.len() - veth.request.publish.len();
                return Err(match veth.request.publish.get(wanted.saturating_sub(first)) {
                    Some(publish) => Error::PortTaken {
                        address: publish.host.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED),
                        port: publish.host_port,
                        protocol: publish.protocol,
                    },
                    None => Error::from_call("published port", "NFT_MSG_NEWSETELEM", Errno::EXIST),
                });
            }
            found.push(element);
        }
    }
    Ok(found)
}
