//! Bridges: ours, made with the first container that needs one and removed with the last, and given ones.

use std::net::Ipv4Addr;

use rustix::io::Errno;

use crate::host::Host;
use crate::lock::Place;
use crate::mac::Mac;
use crate::message::{ACK, Batch, CREATE, EXCLUSIVE};
use crate::nft::{self, Element, sets};
use crate::route::{
    IFLA_ADDRESS, IFLA_IFALIAS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, Link, NEWLINK,
    ROUTE_LOCALNET, SETLINK, add_address, delete_link, link, link_head, set_ipv4_switch, set_up,
};
use crate::subnet::Subnet;
use crate::{Error, choose, switches};

/// The bridge of those that ask for no subnet.
const DEFAULT: &str = "seclude0";
/// How a bridge of ours says so, before its subnet.
const ALIAS: &str = "made by seclude: ";

/// A bridge in use: its lock is held.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) is_own: bool,
    pub(crate) place: Place,
}

impl Bridge {
    /// What the bridge is in the table, while anybody uses it.
    pub(crate) fn elements(&self, publishes: bool) -> Vec<Element> {
        let mut elements = vec![if self.is_own { sets::inside(&self.name) } else { sets::given(&self.name) }];
        if publishes {
            elements.push(sets::localnet(&self.name));
        }
        elements
    }

    /// Lets packets from 127.0.0.1 leave over it. That they could not before is noted of a bridge that was given.
    pub(crate) fn open_localnet(&self, host: &Host) -> Result<(), Error> {
        if link(&host.route, &self.name)?.is_some_and(|link| link.routes_localnet) {
            return Ok(());
        }
        if !self.is_own {
            nft::note(&host.filter, &self.localnet_note())?;
        }
        let mut batch = Batch::new();
        set_ipv4_switch(&mut batch, &self.name, ROUTE_LOCALNET, true);
        host.route.send(&batch)
    }

    /// Puts that back, while the rule that guards it is still there.
    pub(crate) fn shut_localnet(&self, host: &Host) -> Result<(), Error> {
        let note = self.localnet_note();
        if self.is_own || !nft::chain_exists(&host.filter, &note)? {
            return Ok(());
        }
        let mut batch = Batch::new();
        set_ipv4_switch(&mut batch, &self.name, ROUTE_LOCALNET, false);
        match host.route.send(&batch) {
            // The bridge is gone, and the switch with it.
            Err(error) if error.is(Errno::NODEV) => {}
            other => other?,
        }
        nft::erase_note(&host.filter, &note)
    }

    fn localnet_note(&self) -> String {
        format!("route-localnet-was-off-{}", self.name)
    }
}

/// The bridge of ours for that subnet, or for none in particular, and the subnet that it has.
///
/// Its lock is taken first: whoever removes a bridge holds that alone, so what is there afterwards stays. On an error
/// the lock is still held, as long as `host` lives.
pub(crate) fn own(host: &Host, wanted: Option<Subnet>) -> Result<(Bridge, Subnet), Error> {
    let name = name(wanted);
    let place = Place::Bridge(wanted.map_or(Ipv4Addr::UNSPECIFIED, |subnet| subnet.network()));
    host.locks.read(place)?;
    let ready = |link: &Link| link.is_up.then(|| subnet_of(link)).flatten().map(|subnet| (link.index, subnet));
    let found = link(&host.route, &name)?;
    let (index, subnet) = match found.as_ref().and_then(ready) {
        Some(ready) => ready,
        None => {
            // Made by one at a time; whoever waited finds it made.
            host.locks.write(Place::Maker)?;
            let made = complete(host, &name, wanted);
            host.locks.release(Place::Maker)?;
            made?
        }
    };
    Ok((Bridge { name, index, is_own: true, place }, subnet))
}

fn name(subnet: Option<Subnet>) -> String {
    match subnet {
        Some(subnet) => format!("sc-{:08x}-{}", subnet.network().to_bits(), subnet.prefix()),
        None => DEFAULT.to_owned(),
    }
}

/// The subnet that a bridge of ours has; `None` for any other link.
pub(crate) fn subnet_of(link: &Link) -> Option<Subnet> {
    let subnet = link.alias.strip_prefix(ALIAS)?.parse().ok()?;
    (link.kind == "bridge" && (link.name == DEFAULT || link.name == name(Some(subnet)))).then_some(subnet)
}

/// The lock of a bridge of ours.
pub(crate) fn place_of(link: &Link, subnet: Subnet) -> Place {
    Place::Bridge(if link.name == DEFAULT { Ipv4Addr::UNSPECIFIED } else { subnet.network() })
}

/// Makes the bridge, or what is missing of one whose maker was killed.
fn complete(host: &Host, name: &str, wanted: Option<Subnet>) -> Result<(u32, Subnet), Error> {
    let subnet = match link(&host.route, name)? {
        Some(link) => subnet_of(&link).ok_or_else(|| Error::Foreign { name: name.to_owned() })?,
        None => {
            let subnet = choose::subnet(&host.route, wanted)?;
            make(host, name, subnet)?;
            subnet
        }
    };
    let finish = || {
        let missing = || Error::from_call(format!("bridge {name}"), "RTM_GETLINK", Errno::NODEV);
        let index = link(&host.route, name)?.ok_or_else(missing)?.index;
        switches::quiet(host, name, false)?;
        let mut batch = Batch::new();
        let about = format!("address {}/{} of bridge {name}", subnet.gateway(), subnet.prefix());
        add_address(&mut batch, index, subnet.gateway(), subnet.prefix(), None, about);
        host.route.send(&batch)?;
        // Last, and only then: others take one that is up for complete.
        let mut batch = Batch::new();
        set_up(&mut batch, index, format!("bridge {name} up"));
        host.route.send(&batch)?;
        Ok((index, subnet))
    };
    finish().inspect_err(|_| {
        // Nobody uses it yet: all wait for the maker's lock.
        let _ = delete_link(&host.route, name);
    })
}

fn make(host: &Host, name: &str, subnet: Subnet) -> Result<(), Error> {
    const IFLA_BR_STP_STATE: u16 = 5;
    const IFLA_BR_MCAST_SNOOPING: u16 = 23;
    let mut batch = Batch::new();
    batch.add(NEWLINK, ACK | CREATE | EXCLUSIVE, &link_head(0, 0), format!("bridge {name}"), |a| {
        a.text(IFLA_IFNAME, name);
        // Without one of its own it takes its lowest port's, and changes it with every container.
        a.put(IFLA_ADDRESS, &Mac::of(subnet.gateway()).bytes());
        a.nest(IFLA_LINKINFO, |a| {
            a.text(IFLA_INFO_KIND, "bridge");
            a.nest(IFLA_INFO_DATA, |a| {
                a.u32(IFLA_BR_STP_STATE, 0);
                a.put(IFLA_BR_MCAST_SNOOPING, &[0]);
            });
        });
    });
    // The kernel takes an alias only for a link that is there. In the same call: a bridge without it is nobody's, if
    // this process is killed in between.
    batch.add(SETLINK, ACK, &link_head(0, 0), format!("alias of bridge {name}"), |a| {
        a.text(IFLA_IFNAME, name);
        a.put(IFLA_IFALIAS, format!("{ALIAS}{subnet}").as_bytes());
    });
    host.route.send(&batch).map_err(|error| {
        if error.call() != Some(NEWLINK.1) {
            let _ = delete_link(&host.route, name);
        }
        error.lacking("bridge", &[Errno::OPNOTSUPP])
    })
}

/// The bridge of that name that somebody else made.
pub(crate) fn given(host: &Host, name: &str) -> Result<Bridge, Error> {
    let no = |reason| Error::NoBridge { name: name.to_owned(), reason };
    let found = link(&host.route, name)?.ok_or_else(|| no("there is no link of that name"))?;
    if found.kind != "bridge" {
        return Err(no("that link is no bridge"));
    }
    let place = Place::Given(found.index);
    host.locks.read(place)?;
    Ok(Bridge { name: name.to_owned(), index: found.index, is_own: false, place })
}
