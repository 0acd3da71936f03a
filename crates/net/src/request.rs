//! What a container's network is to be.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{Error, Mac, Part, Publish, Subnet, Subnet6};

/// What the host's end of the pair is attached to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Attach {
    /// A bridge of ours, made with the first container and removed with the last: `seclude0`, or one for each subnet
    /// that is asked for.
    #[default]
    Own,
    /// A bridge that somebody else made. It is neither given addresses nor removed.
    Bridge(String),
    /// No bridge: a link between host and container alone.
    PointToPoint,
}

/// Which IPv6 network the container is in as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Ipv6 {
    /// A unique local /64 that goes with the IPv4 subnet ([`Subnet6::beside`]).
    Auto,
    /// This one.
    Subnet(Subnet6),
}

/// Each takes a descriptor, and all have to fit into one netlink message.
const MOST_PORTS: usize = 1024;

/// What to make; start from [`Request::default`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Default: [`Attach::Own`].
    pub attach: Attach,
    /// Default: that of `seclude0` or of the given bridge.
    pub subnet: Option<Subnet>,
    /// Default: one that is free.
    pub address: Option<Ipv4Addr>,
    /// Default: none.
    pub ipv6: Option<Ipv6>,
    /// The container's hardware address. Default: one that goes with its IPv4 address.
    pub mac: Option<Mac>,
    /// The MTU of both ends, in bytes, 68 to 65535, with IPv6 at least 1280. Default: the kernel's, 1500.
    pub mtu: Option<u32>,
    /// The interface's name inside. Default: `eth0`.
    pub name: String,
    /// Whether the container reaches what the host reaches, under the host's address. Without it a rule keeps it from
    /// everything but the host itself, whose own services it reaches then. Default: yes.
    pub nat: bool,
    /// Whether the container reaches the host's own services, on whichever address of the host; and with
    /// [`Request::nat`] link-local addresses (169.254.0.0/16) and those of a cloud's metadata, of which it reaches name
    /// servers alone otherwise. What is refused, is refused at once. Default: no.
    pub host_access: bool,
    /// Whether forwarding may be switched on if NAT or published ports need it; it is switched off again with the last
    /// container. Default: no, its absence is [`Error::NoForwarding`].
    pub ip_forward: bool,
    /// Whether it and the other containers of the bridge with `peers` reach one another. Default: no.
    pub peers: bool,
    /// Ports of the host that lead to the container, at most 1024, over IPv4: from outside, from the host itself, also from its
    /// 127.0.0.1, from other containers and from itself by any address of the host. Default: none.
    pub publish: Vec<Publish>,
    /// At most so many bits a second, in each direction; 8000 to 100 thousand million. What is above waits on the way to the container, and
    /// is dropped on the way from it, where up to a second's worth may come at once. Default: no limit.
    pub rate: Option<u64>,
    /// Added to every packet to the container, up to a minute. Default: none.
    pub latency: Option<Duration>,
}

impl Default for Request {
    fn default() -> Request {
        Request {
            attach: Attach::Own,
            subnet: None,
            address: None,
            ipv6: None,
            mac: None,
            mtu: None,
            name: "eth0".to_owned(),
            nat: true,
            host_access: false,
            ip_forward: false,
            peers: false,
            publish: Vec::new(),
            rate: None,
            latency: None,
        }
    }
}

impl Request {
    /// Whether it can be meant at all; makes no system call.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Outside`], [`Error::Reserved`].
    pub fn validate(&self) -> Result<(), Error> {
        check_name(Part::Interface, "interface", &self.name)?;
        if self.name == "lo" {
            return Err(Error::invalid(Part::Interface, "interface lo", "the container has one already"));
        }
        if let Attach::Bridge(name) = &self.attach {
            check_name(Part::Bridge, "bridge", name)?;
        }
        self.check_addresses()?;
        let least = if self.ipv6.is_some() { 1280 } else { 68 };
        if let Some(mtu) = self.mtu.filter(|mtu| !(least..=65535).contains(mtu)) {
            return Err(Error::invalid(Part::Mtu, format!("MTU {mtu}"), format!("it can be {least} to 65535")));
        }
        const RATES: RangeInclusive<u64> = 8_000..=100_000_000_000;
        if let Some(rate) = self.rate.filter(|rate| !RATES.contains(rate)) {
            let reason = format!("it can be {} to {} bits a second", RATES.start(), RATES.end());
            return Err(Error::invalid(Part::Rate, format!("rate {rate}"), reason));
        }
        if self.latency.is_some_and(|latency| latency.is_zero() || latency > Duration::from_secs(60)) {
            return Err(Error::invalid(Part::Latency, "latency", "it can be up to a minute, and not 0"));
        }
        if self.peers && self.attach == Attach::PointToPoint {
            return Err(Error::clash(Part::Peers, "peers", "a point-to-point link has none"));
        }
        self.check_publish()
    }

    fn check_addresses(&self) -> Result<(), Error> {
        if let (Some(subnet), Some(address)) = (self.subnet, self.address) {
            // A given bridge may have any address of it.
            let gateway = (!matches!(self.attach, Attach::Bridge(_))).then(|| subnet.gateway());
            check_address(address, subnet, gateway)?;
        }
        if let (Some(subnet), Some(Ipv6::Subnet(subnet6))) = (self.subnet, self.ipv6) {
            check_fits(subnet, subnet6)?;
        }
        Ok(())
    }

    fn check_publish(&self) -> Result<(), Error> {
        if self.publish.len() > MOST_PORTS {
            let reason = format!("at most {MOST_PORTS} can be");
            return Err(Error::invalid(Part::Publish(None), format!("{} published ports", self.publish.len()), reason));
        }
        for (index, publish) in self.publish.iter().enumerate() {
            let part = Part::Publish(Some(index));
            if publish.host_port == 0 || publish.port == 0 {
                return Err(Error::invalid(part, format!("published port {publish}"), "port 0 is none"));
            }
            if let Some(IpAddr::V4(host)) = publish.host.map(IpAddr::from)
                && (host.is_multicast() || host.is_broadcast() || host.is_unspecified())
            {
                return Err(Error::invalid(
                    part,
                    format!("published port {publish}"),
                    format!("no host can have {host}"),
                ));
            }
            if let Some(other) = self.publish.iter().take(index).find(|other| publish.clashes(other)) {
                return Err(Error::clash(part, format!("published port {publish}"), format!("{other} has it already")));
            }
        }
        Ok(())
    }

    /// Whether the host's own services are open to it: they are all that there is without NAT.
    pub(crate) fn reaches_host(&self) -> bool {
        self.host_access || !self.nat
    }

    /// Whether the host has to forward packets for it.
    pub(crate) fn needs_forwarding(&self) -> bool {
        self.nat || !self.publish.is_empty()
    }
}

/// The same rules as the kernel's `dev_valid_name`, and `%`, which it would fill in.
fn check_name(part: Part, what: &str, name: &str) -> Result<(), Error> {
    let bad = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || matches!(byte, b'/' | b':' | b'%');
    let reason = match name {
        "" => "it has no name",
        "." | ".." => "that is no name",
        long if long.len() > 15 => "a name has at most 15 bytes",
        other if other.bytes().any(bad) => "a name has no space, '/', ':' or '%'",
        _ => return Ok(()),
    };
    Err(Error::invalid(part, format!("{what} {name:?}"), reason))
}

/// Whether a container of that subnet can have the address.
pub(crate) fn check_address(address: Ipv4Addr, subnet: Subnet, gateway: Option<Ipv4Addr>) -> Result<(), Error> {
    let what = match address {
        _ if !subnet.contains(address) => return Err(Error::Outside { address, subnet }),
        _ if address == subnet.network() => "the network address",
        _ if address == subnet.broadcast() => "the broadcast address",
        _ if Some(address) == gateway => "the gateway",
        _ => return Ok(()),
    };
    Err(Error::Reserved { address, subnet, what })
}

/// Whether each host of the IPv4 subnet has a place in the IPv6 one.
pub(crate) fn check_fits(subnet: Subnet, subnet6: Subnet6) -> Result<(), Error> {
    match subnet6.host(subnet.host_part(subnet.broadcast())) {
        Some(_) => Ok(()),
        None => Err(Error::invalid(
            Part::Ipv6,
            format!("IPv6 subnet {subnet6}"),
            format!("it has fewer addresses than {subnet}, with which it goes"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Request)) -> String {
        let mut request = Request::default();
        change(&mut request);
        request.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_default_can_be_meant() {
        Request::default().validate().unwrap();
    }

    #[test]
    fn says_what_cannot_be_meant() {
        let subnet: Subnet = "10.1.0.0/24".parse().unwrap();
        let at = |address: [u8; 4]| {
            move |request: &mut Request| {
                request.subnet = Some(subnet);
                request.address = Some(address.into());
            }
        };
        assert_eq!(refused(at([10, 2, 0, 1])), "address 10.2.0.1 is not in 10.1.0.0/24");
        assert_eq!(refused(at([10, 1, 0, 0])), "address 10.1.0.0 is the network address of 10.1.0.0/24");
        assert_eq!(refused(at([10, 1, 0, 1])), "address 10.1.0.1 is the gateway of 10.1.0.0/24");
        assert_eq!(refused(at([10, 1, 0, 255])), "address 10.1.0.255 is the broadcast address of 10.1.0.0/24");
        assert_eq!(refused(|r| r.mtu = Some(67)), "MTU 67: it can be 68 to 65535");
        let with_ipv6 = |r: &mut Request| (r.mtu, r.ipv6) = (Some(1000), Some(Ipv6::Auto));
        assert_eq!(refused(with_ipv6), "MTU 1000: it can be 1280 to 65535");
        assert_eq!(refused(|r| r.rate = Some(7999)), "rate 7999: it can be 8000 to 100000000000 bits a second");
        let latency = "latency: it can be up to a minute, and not 0";
        assert_eq!(refused(|r| r.latency = Some(Duration::ZERO)), latency);
        assert_eq!(refused(|r| r.latency = Some(Duration::from_secs(61))), latency);
        let peers = |r: &mut Request| (r.peers, r.attach) = (true, Attach::PointToPoint);
        assert_eq!(refused(peers), "peers: a point-to-point link has none");
        assert_eq!(refused(|r| r.name = "lo".into()), "interface lo: the container has one already");
        assert_eq!(
            refused(|r| r.name = "0123456789abcdef".into()).split(": ").last(),
            Some("a name has at most 15 bytes")
        );
        let spaced = "bridge \"a b\": a name has no space, '/', ':' or '%'";
        assert_eq!(refused(|r| r.attach = Attach::Bridge("a b".into())), spaced);
        let small = |r: &mut Request| {
            r.subnet = Some("10.0.0.0/8".parse().unwrap());
            r.ipv6 = Some(Ipv6::Subnet("fd00::/112".parse().unwrap()));
        };
        assert_eq!(
            refused(small),
            "IPv6 subnet fd00::/112: it has fewer addresses than 10.0.0.0/8, with which it goes"
        );
    }

    #[test]
    fn one_port_is_published_once() {
        let twice = |r: &mut Request| {
            r.publish = ["80:1", "127.0.0.1:80:2"].iter().flat_map(|text| Publish::parse(text).unwrap()).collect();
        };
        assert_eq!(refused(twice), "published port 127.0.0.1:80:2/tcp: 0.0.0.0:80:1/tcp has it already");
    }
}
