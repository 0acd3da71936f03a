//! Routes that lead nowhere, for a container whose packets come out of a process of the host's (pasta) and not out of a link: no rule of
//! the host's could tell the two apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Error;
use crate::inside::{Inside, Requests};
use crate::nft::{METADATA, METADATA6};
use crate::route::{AF_INET, AF_INET6, add_unreachable, add_unreachable_rule, addresses};
use crate::socket::Socket;

/// Where such a container is not to come: the addresses that the host has now, link-local ones of IPv4, and those of a cloud's metadata.
#[derive(Clone, Debug)]
pub struct Closed {
    hosts: Vec<IpAddr>,
}

impl Closed {
    /// Those of this network namespace, which is the host here. Loopback addresses are the container's own, and not among them.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn of_host() -> Result<Closed, Error> {
        let socket = Socket::route()?;
        let mut hosts = Vec::new();
        for family in [AF_INET, AF_INET6] {
            hosts.extend(addresses(&socket, family)?.into_iter().map(|own| own.address));
        }
        hosts.retain(|address| !address.is_loopback());
        hosts.sort_unstable();
        hosts.dedup();
        Ok(Closed { hosts })
    }

    /// Whether it is one of the host's own.
    pub fn is_the_hosts(&self, address: IpAddr) -> bool {
        self.hosts.contains(&address)
    }

    /// Whether it is any of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let is_metadata = match address {
            IpAddr::V4(address) => METADATA.iter().any(|start| address.octets().starts_with(start)),
            IpAddr::V6(address) => METADATA6.contains(&address.segments()),
        };
        is_metadata || self.is_the_hosts(address)
    }

    /// The requests that a process of the container sends in its own network namespace. What a link there has as its own address is
    /// reached all the same.
    pub fn inside(&self, ipv6: bool) -> Vec<Inside> {
        let own = self.hosts.iter().map(|address| (*address, if address.is_ipv4() { 32 } else { 128 }));
        let mut requests = Requests::default();
        for (address, prefix) in own.chain(metadata()).filter(|(address, _)| ipv6 || address.is_ipv4()) {
            requests.add(format!("no route to {address}/{prefix}"), |batch, about| match address {
                IpAddr::V6(address) if address.is_unicast_link_local() => add_unreachable_rule(batch, address, about),
                address => add_unreachable(batch, address, prefix, about),
            });
        }
        requests.0
    }
}

fn metadata() -> Vec<(IpAddr, u8)> {
    let v4 = METADATA.iter().map(|start| {
        let mut octets = [0; 4];
        octets.iter_mut().zip(*start).for_each(|(octet, given)| *octet = *given);
        (Ipv4Addr::from(octets).into(), start.len() as u8 * 8)
    });
    v4.chain(METADATA6.iter().map(|parts| (Ipv6Addr::from(*parts).into(), 128))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_metadata_and_the_hosts_own_are_closed_and_others_are_not() {
        let closed = Closed { hosts: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()] };
        for address in ["192.0.2.1", "2001:db8::1", "169.254.169.254", "169.254.0.1", "168.63.129.16", "fd00:ec2::254"]
        {
            assert!(closed.contains(address.parse().unwrap()), "{address}");
        }
        for address in ["192.0.2.2", "2001:db8::2", "169.253.0.1", "168.63.129.17", "fd00:ec2::253", "127.0.0.1"] {
            assert!(!closed.contains(address.parse().unwrap()), "{address}");
        }
        assert_eq!(closed.inside(true).len(), 2 + METADATA.len() + METADATA6.len());
        // ip route add unreachable 192.0.2.1, strace of iproute2 6.1
        let requests = closed.inside(false);
        assert_eq!(requests.len(), 1 + METADATA.len());
        assert_eq!(requests[0].request[16..28], [2, 32, 0, 0, 254, 3, 0, 7, 0, 0, 0, 0]);
        assert_eq!(requests[0].request[28..], [8, 0, 1, 0, 192, 0, 2, 1]);
    }
}
