//! Where a container's end will be: on which bridge, in which subnets, behind which gateways.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bridge::{self, Bridge};
use crate::host::Host;
use crate::message::Batch;
use crate::request::{Attach, Ipv6, Request, check_fits};
use crate::route::{self, AF_INET, AF_INET6, addresses};
use crate::subnet::{Subnet, Subnet6};
use crate::{Error, Part, choose, switches};

#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) bridge: Option<Bridge>,
    pub(crate) subnet: Subnet,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) subnet6: Option<Subnet6>,
    pub(crate) gateway6: Option<Ipv6Addr>,
}

impl Network {
    /// Finds or makes it. `claim` gets the bridge as soon as its lock is held.
    pub(crate) fn of(host: &Host, request: &Request, claim: impl FnOnce(&Bridge)) -> Result<Network, Error> {
        let network = match &request.attach {
            Attach::Own => {
                let (bridge, subnet) = bridge::own(host, request.subnet)?;
                claim(&bridge);
                let subnet6 = subnet6(request, subnet)?;
                if let Some(subnet6) = subnet6 {
                    give_address6(host, &bridge, subnet6)?;
                }
                let gateway6 = subnet6.map(|subnet| subnet.gateway());
                Network { bridge: Some(bridge), subnet, gateway: Some(subnet.gateway()), subnet6, gateway6 }
            }
            Attach::Bridge(name) => {
                let bridge = bridge::given(host, name)?;
                claim(&bridge);
                of_given(host, request, bridge)?
            }
            Attach::PointToPoint => {
                let subnet = choose::subnet_of_links(&host.route, host.locks.namespace(), request.subnet)?;
                let subnet6 = subnet6(request, subnet)?;
                let gateway6 = subnet6.map(|subnet| subnet.gateway());
                Network { bridge: None, subnet, gateway: Some(subnet.gateway()), subnet6, gateway6 }
            }
        };
        network.check(request)?;
        Ok(network)
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let needing = match request {
            _ if self.gateway.is_some() => return Ok(()),
            request if request.nat => "NAT",
            request if !request.publish.is_empty() => "a published port",
            _ => return Ok(()),
        };
        let bridge = self.bridge.as_ref().map(|bridge| bridge.name.as_str()).unwrap_or_default();
        Err(Error::invalid(Part::Bridge, needing, format!("bridge {bridge} has no address in {}", self.subnet)))
    }
}

fn subnet6(request: &Request, subnet: Subnet) -> Result<Option<Subnet6>, Error> {
    let subnet6 = match request.ipv6 {
        None => return Ok(None),
        Some(Ipv6::Auto) => Subnet6::beside(&subnet),
        Some(Ipv6::Subnet(subnet6)) => subnet6,
    };
    check_fits(subnet, subnet6)?;
    Ok(Some(subnet6))
}

fn give_address6(host: &Host, bridge: &Bridge, subnet: Subnet6) -> Result<(), Error> {
    switches::quiet(host, &bridge.name, true)?;
    let mut batch = Batch::new();
    let about = format!("address {}/{} of bridge {}", subnet.gateway(), subnet.prefix(), bridge.name);
    route::add_address6(&mut batch, bridge.index, (subnet.gateway(), subnet.prefix(), route::Reach::Subnet), about);
    host.route.send(&batch)
}

/// The network that a given bridge is in: as asked, or that of its first address.
fn of_given(host: &Host, request: &Request, bridge: Bridge) -> Result<Network, Error> {
    let on_bridge = |family| -> Result<Vec<(IpAddr, u8)>, Error> {
        let all = addresses(&host.route, family)?.into_iter();
        Ok(all.filter(|a| a.index == bridge.index).map(|a| (a.address, a.prefix)).collect())
    };
    let own: Vec<(Ipv4Addr, u8)> = on_bridge(AF_INET)?
        .into_iter()
        .filter_map(|(address, prefix)| match address {
            IpAddr::V4(address) => Some((address, prefix)),
            IpAddr::V6(_) => None,
        })
        .collect();
    let subnet = match (request.subnet, own.first()) {
        (Some(subnet), _) => subnet,
        (None, Some((address, prefix))) => Subnet::new(Subnet::around(*address, *prefix).network(), *prefix)?,
        (None, None) => {
            let reason = "it has no IPv4 address, so a subnet has to be given";
            return Err(Error::NoBridge { name: bridge.name, reason });
        }
    };
    let gateway = own.iter().map(|(address, _)| *address).find(|address| subnet.contains(*address));
    let subnet6 = subnet6(request, subnet)?;
    let gateway6 = match subnet6 {
        None => None,
        Some(subnet6) => on_bridge(AF_INET6)?.into_iter().find_map(|(address, _)| match address {
            IpAddr::V6(address) if subnet6.contains(address) => Some(address),
            _ => None,
        }),
    };
    Ok(Network { bridge: Some(bridge), subnet, gateway, subnet6, gateway6 })
}
