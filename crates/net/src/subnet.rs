//! Subnets in CIDR notation, and the arithmetic on them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// Why a text is not a subnet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubnetError {
    /// There is no `/`, or what is around it is no address and number.
    #[error("{text:?} is not a subnet such as {example}")]
    Syntax {
        /// What was given.
        text: String,
        /// How it should look.
        example: &'static str,
    },
    /// The prefix length is not one that a container network can have.
    #[error("{text} has a prefix of {prefix}, it can be {least} to {most}")]
    Prefix {
        /// What was given.
        text: String,
        /// Its prefix length.
        prefix: u8,
        /// The shortest that is possible.
        least: u8,
        /// The longest that is possible.
        most: u8,
    },
    /// The address is not the first of its network.
    #[error("{text} has host bits, did you mean {meant}?")]
    HostBits {
        /// What was given.
        text: String,
        /// The network that it is in.
        meant: String,
    },
    /// Addresses of that network cannot be given to a container.
    #[error("{text} is {why}, which no container can have")]
    Special {
        /// What was given.
        text: String,
        /// What that network is for.
        why: &'static str,
    },
}

/// An IPv4 network of 8 to 30 bits of prefix, such as `10.83.0.0/16`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Subnet {
    network: u32,
    prefix: u8,
}

impl Subnet {
    /// # Errors
    /// The prefix is outside 8 to 30, the address has host bits, or is a loopback or multicast one.
    pub fn new(network: Ipv4Addr, prefix: u8) -> Result<Subnet, SubnetError> {
        let text = || format!("{network}/{prefix}");
        if !(8..=30).contains(&prefix) {
            return Err(SubnetError::Prefix { text: text(), prefix, least: 8, most: 30 });
        }
        let subnet = Subnet::around(network, prefix);
        if subnet.network() != network {
            return Err(SubnetError::HostBits { text: text(), meant: subnet.to_string() });
        }
        let special = |why| Err(SubnetError::Special { text: text(), why });
        match network.octets()[0] {
            0 => special("\"this network\""),
            127 => special("the loopback network"),
            224..=239 => special("for multicast"),
            240..=255 => special("reserved"),
            _ => Ok(subnet),
        }
    }

    /// The subnet of that prefix (at most 32) which the address is in.
    pub(crate) fn around(address: Ipv4Addr, prefix: u8) -> Subnet {
        Subnet { network: address.to_bits() & mask(prefix), prefix }
    }

    /// The first address, which names the network.
    pub fn network(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network)
    }

    /// How many bits the network has.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The first address a host can have; a bridge of ours has it.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.saturating_add(1))
    }

    /// The last address, which all hosts hear.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network | !mask(self.prefix))
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.network
    }

    /// Whether the two have addresses in common: then one contains the other.
    pub fn overlaps(&self, other: &Subnet) -> bool {
        let common = mask(self.prefix.min(other.prefix));
        self.network & common == other.network & common
    }

    /// How many addresses a host can have: without the network's and the broadcast address.
    pub(crate) fn hosts(&self) -> u32 {
        (!mask(self.prefix)).saturating_sub(1)
    }

    /// The `index`th of them, going round at the end.
    pub(crate) fn host(&self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network + 1 + index % self.hosts().max(1))
    }

    /// The part of an address that says which host it is.
    pub(crate) fn host_part(&self, address: Ipv4Addr) -> u32 {
        address.to_bits() & !mask(self.prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Subnet, SubnetError> {
        let (address, prefix) = split(text, "10.83.0.0/16")?;
        Subnet::new(address, prefix)
    }
}

/// An IPv6 network of 48 to 112 bits of prefix, such as `fd00:1:2:3::/64`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Subnet6 {
    network: u128,
    prefix: u8,
}

impl Subnet6 {
    /// # Errors
    /// The prefix is outside 48 to 112, the address has host bits, or is no unicast one of more than one link.
    pub fn new(network: Ipv6Addr, prefix: u8) -> Result<Subnet6, SubnetError> {
        let text = || format!("{network}/{prefix}");
        if !(48..=112).contains(&prefix) {
            return Err(SubnetError::Prefix { text: text(), prefix, least: 48, most: 112 });
        }
        let subnet = Subnet6 { network: network.to_bits() & mask6(prefix), prefix };
        if subnet.network() != network {
            return Err(SubnetError::HostBits { text: text(), meant: subnet.to_string() });
        }
        let special = |why| Err(SubnetError::Special { text: text(), why });
        match network.segments()[0] {
            0 => special("for loopback and mapped addresses"),
            first if first & 0xff00 == 0xff00 => special("for multicast"),
            first if first & 0xffc0 == 0xfe80 => special("for link-local addresses"),
            _ => Ok(subnet),
        }
    }

    /// The unique local /64 (RFC 4193) that goes with an IPv4 subnet: always the same one.
    pub fn beside(subnet: &Subnet) -> Subnet6 {
        // fd, then "sec" as the first half of the global id, then the network.
        let start = 0xfd73_6563_u128 << 96;
        Subnet6 { network: start | u128::from(subnet.network) << 64, prefix: 64 }
    }

    /// The first address, which names the network.
    pub fn network(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.network)
    }

    /// How many bits the network has.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The address after the network's own; a bridge of ours has it.
    pub fn gateway(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.network | 1)
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: Ipv6Addr) -> bool {
        address.to_bits() & mask6(self.prefix) == self.network
    }

    /// The address of the host with that number; `None` if the number does not fit.
    pub(crate) fn host(&self, number: u32) -> Option<Ipv6Addr> {
        let number = u128::from(number);
        (number & mask6(self.prefix) == 0).then(|| Ipv6Addr::from_bits(self.network | number))
    }
}

fn mask6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

impl fmt::Display for Subnet6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix)
    }
}

impl FromStr for Subnet6 {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Subnet6, SubnetError> {
        let (address, prefix) = split(text, "fd00:1:2:3::/64")?;
        Subnet6::new(address, prefix)
    }
}

fn split<A: FromStr>(text: &str, example: &'static str) -> Result<(A, u8), SubnetError> {
    let wrong = || SubnetError::Syntax { text: text.to_owned(), example };
    let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
    if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = prefix.parse::<u16>().map_err(|_| wrong())?;
    // What does not fit a byte is out of every range, too.
    Ok((address.parse().map_err(|_| wrong())?, u8::try_from(number).unwrap_or(u8::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn says_what_is_wrong_with_a_subnet() {
        for (text, said) in [
            ("10.0.0.5/24", "10.0.0.5/24 has host bits, did you mean 10.0.0.0/24?"),
            ("10.0.0.0", "\"10.0.0.0\" is not a subnet such as 10.83.0.0/16"),
            ("10.0.0/24", "\"10.0.0/24\" is not a subnet such as 10.83.0.0/16"),
            ("10.0.0.0/+9", "\"10.0.0.0/+9\" is not a subnet such as 10.83.0.0/16"),
            ("10.0.0.0/31", "10.0.0.0/31 has a prefix of 31, it can be 8 to 30"),
            ("127.0.0.0/8", "127.0.0.0/8 is the loopback network, which no container can have"),
            ("224.0.0.0/8", "224.0.0.0/8 is for multicast, which no container can have"),
        ] {
            assert_eq!(text.parse::<Subnet>().unwrap_err().to_string(), said);
        }
        let said = "fd00::1/64".parse::<Subnet6>().unwrap_err().to_string();
        assert_eq!(said, "fd00::1/64 has host bits, did you mean fd00::/64?");
        assert!("fe80::/64".parse::<Subnet6>().is_err());
        assert!("fd00::/113".parse::<Subnet6>().is_err());
    }

    #[test]
    fn the_smallest_has_two_hosts() {
        let subnet: Subnet = "10.1.2.4/30".parse().unwrap();
        assert_eq!(subnet.hosts(), 2);
        assert_eq!(subnet.gateway().to_string(), "10.1.2.5");
        assert_eq!(subnet.host(1).to_string(), "10.1.2.6");
        assert_eq!(subnet.host(2).to_string(), "10.1.2.5");
        assert_eq!(subnet.broadcast().to_string(), "10.1.2.7");
    }

    #[test]
    fn ipv6_goes_along() {
        let subnet: Subnet = "10.83.0.0/16".parse().unwrap();
        let beside = Subnet6::beside(&subnet);
        assert_eq!(beside.to_string(), "fd73:6563:a53::/64");
        assert_eq!(beside.host(0x0105).map(|a| a.to_string()).as_deref(), Some("fd73:6563:a53::105"));
        assert_eq!("fd00::/112".parse::<Subnet6>().unwrap().host(0x10000), None);
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = text.parse::<Subnet>();
            let _ = text.parse::<Subnet6>();
        }

        #[test]
        fn reads_what_it_writes(bits: u32, prefix in 8u8..=30) {
            let subnet = Subnet::around(Ipv4Addr::from_bits(bits), prefix);
            if let Ok(read) = subnet.to_string().parse::<Subnet>() {
                prop_assert_eq!(read, subnet);
            } else {
                prop_assert!(matches!(subnet.network().octets()[0], 0 | 127 | 224..));
            }
        }

        #[test]
        fn overlap_is_a_common_address(a: u32, p in 8u8..=30, b: u32, q in 8u8..=32) {
            let (one, two) = (Subnet::around(a.into(), p), Subnet::around(b.into(), q));
            let common = one.contains(two.network()) || two.contains(one.network());
            prop_assert_eq!(one.overlaps(&two), common);
        }

        #[test]
        fn every_host_is_inside(bits: u32, prefix in 8u8..=30, index: u32) {
            let subnet = Subnet::around(bits.into(), prefix);
            let host = subnet.host(index);
            prop_assert!(subnet.contains(host) && host != subnet.network() && host != subnet.broadcast());
        }
    }
}
