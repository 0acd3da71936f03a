//! What the container's first process asks for in its own network namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::message::Batch;
use crate::network::Network;
use crate::route::{Reach, add_address6, add_route, address_in, set_up};

/// A netlink request that the child sends in its own network namespace, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inside {
    /// What it does, such as `address 10.83.0.2/16 on eth0`.
    pub about: String,
    /// One rtnetlink message with `NLM_F_ACK`.
    pub request: Vec<u8>,
}

/// The index of the interface inside. It is chosen here, so that the requests can be made before the interface is.
///
/// The kernel compares it with the links of the host as well, which it numbers from 1 up: it has to be one that no
/// host reaches. With the address in it, a container inside a container gets another one, too.
pub(crate) fn index(address: Ipv4Addr) -> u32 {
    const HIGH: u32 = 1 << 30;
    HIGH | (address.to_bits() & (HIGH - 1))
}

/// All of the requests. With a bridge the address has the subnet's prefix; without one it is alone. Who reaches nobody of the subnet
/// but the gateway has no route to it either: the kernel has one table of neighbours for all namespaces, and whoever spoke to each
/// address of a large subnet would fill that.
pub(crate) fn requests(
    name: &str,
    network: &Network,
    with_others: bool,
    address: Ipv4Addr,
    address6: Option<Ipv6Addr>,
) -> Vec<Inside> {
    let index = index(address);
    let is_shared = network.bridge.is_some();
    let reach = if with_others { Reach::Subnet } else { Reach::Nothing };
    let mut requests = Requests(Vec::new());
    let prefix = if is_shared { network.subnet.prefix() } else { 32 };
    requests.add(format!("address {address}/{prefix} on {name}"), |batch, about| {
        address_in(batch, index, (address, prefix, reach), None, about);
    });
    if let (Some(address6), Some(subnet6)) = (address6, network.subnet6) {
        let prefix = if is_shared { subnet6.prefix() } else { 128 };
        requests.add(format!("address {address6}/{prefix} on {name}"), |batch, about| {
            add_address6(batch, index, (address6, prefix, reach), about);
        });
    }
    requests.add(format!("{name} up"), |batch, about| set_up(batch, index, about));
    let gateways = [network.gateway.map(IpAddr::from), network.gateway6.map(IpAddr::from)];
    for gateway in gateways.into_iter().flatten() {
        if !is_shared || !with_others {
            requests.add(format!("route to {gateway}"), |batch, about| {
                add_route(batch, index, Some(gateway), None, about);
            });
        }
        requests.add(format!("default route via {gateway}"), |batch, about| {
            add_route(batch, index, None, Some(gateway), about);
        });
    }
    requests.0
}

struct Requests(Vec<Inside>);

impl Requests {
    fn add(&mut self, about: String, make: impl FnOnce(&mut Batch, String)) {
        let mut batch = Batch::new();
        make(&mut batch, about.clone());
        self.0.push(Inside { about, request: batch.bytes().to_vec() });
    }
}
