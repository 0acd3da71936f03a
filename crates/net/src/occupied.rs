//! Addresses at a given bridge that somebody else has, as far as the host knows.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::Error;
use crate::bridge::Bridge;
use crate::host::Host;
use crate::route::{AF_INET, addresses, forwarded, neighbours};

/// The host's own on it, and those of whoever the host has spoken to and who is still behind one of its ports: the kernel
/// forgets what is behind a port with the port, but an address only some time later.
pub(crate) fn at(host: &Host, bridge: &Bridge) -> Result<HashSet<Ipv4Addr>, Error> {
    let own = addresses(&host.route, AF_INET)?.into_iter().filter(|own| own.index == bridge.index);
    let mut occupied: HashSet<Ipv4Addr> = own
        .filter_map(|own| match own.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
        .collect();
    let known = neighbours(&host.route, bridge.index)?;
    if !known.is_empty() {
        let there = forwarded(&host.route, bridge.index)?;
        occupied.extend(known.into_iter().filter(|(_, mac)| there.contains(mac)).map(|(address, _)| address));
    }
    Ok(occupied)
}
