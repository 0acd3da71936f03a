//! Which address a container gets. The link that is named after it is the lease, a lock holds it until there is one.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;
use crate::host::Host;
use crate::lock::Place;
use crate::network::Network;
use crate::occupied;
use crate::request::check_address;
use crate::route::{link, links};

/// After so many addresses in a row that are taken, all links are looked at once instead of one for each.
const PATIENCE: u32 = 8;

/// The host's end of the pair of whoever has that address.
pub(crate) fn link_name(address: Ipv4Addr) -> String {
    format!("sc{:08x}", address.to_bits())
}

/// The address after which a link is named, if it is one of ours.
pub(crate) fn address_of(link: &str) -> Option<Ipv4Addr> {
    let digits = link.strip_prefix("sc").filter(|digits| digits.len() == 8)?;
    // No sign, no capitals: only what `link_name` writes.
    let bits = u32::from_str_radix(digits, 16).ok()?;
    (link_name(bits.into()) == link).then(|| bits.into())
}

/// Takes the address that is asked for, or one that is free: its lock is then held.
pub(crate) fn take(host: &Host, network: &Network, wanted: Option<Ipv4Addr>) -> Result<Ipv4Addr, Error> {
    let (subnet, gateway) = (network.subnet, network.gateway);
    let others = match &network.bridge {
        Some(bridge) if !bridge.is_own => occupied::at(host, bridge)?,
        _ => HashSet::new(),
    };
    if let Some(address) = wanted {
        check_address(address, subnet, gateway)?;
        return match () {
            () if others.contains(&address) => Err(Error::AddressInUse { address, by: "somebody else at the bridge" }),
            () if try_take(host, address)? => Ok(address),
            () => Err(Error::AddressInUse { address, by: "another container" }),
        };
    }
    let start = rotation();
    let mut taken: Option<HashSet<String>> = None;
    for index in 0..subnet.hosts() {
        if index == PATIENCE {
            taken = Some(links(&host.route, None)?.into_iter().map(|link| link.name).collect());
        }
        let address = subnet.host(start.wrapping_add(index) % subnet.hosts());
        let known = taken.as_ref().is_some_and(|taken| taken.contains(&link_name(address)));
        if Some(address) != gateway && !known && !others.contains(&address) && try_take(host, address)? {
            return Ok(address);
        }
    }
    Err(Error::Exhausted { subnet })
}

fn try_take(host: &Host, address: Ipv4Addr) -> Result<bool, Error> {
    if !host.locks.try_write(Place::Address(address))? {
        return Ok(false);
    }
    // A container may live on without whoever made it, who had the lock.
    let is_free = link(&host.route, &link_name(address)).map(|link| link.is_none());
    if !matches!(is_free, Ok(true)) {
        host.locks.release(Place::Address(address))?;
    }
    is_free
}

/// Where to begin looking: another place for each process, and the next for each container, so that what was given back
/// just now is not given out again at once, and the search does not grow with what is taken.
fn rotation() -> u32 {
    static FIRST: AtomicU32 = AtomicU32::new(0);
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let chosen = RandomState::new().build_hasher().finish() as u32 >> 1 | 1;
    let first = match FIRST.compare_exchange(0, chosen, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => chosen,
        Err(known) => known,
    };
    first.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_others_are_no_leases() {
        assert_eq!(address_of("sc0a580002"), Some(Ipv4Addr::new(10, 88, 0, 2)));
        for name in ["sc0A580002", "sc+a580002", "sc0a58000", "sc0a5800022", "seclude0", "sc-0a580000-24"] {
            assert_eq!(address_of(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_says_the_address(bits: u32) {
            prop_assert_eq!(address_of(&link_name(bits.into())), Some(bits.into()));
        }
    }
}
