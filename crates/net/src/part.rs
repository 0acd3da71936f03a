//! Which part of a request an error is about.

use crate::Error;

/// A part of a [`Request`](crate::Request).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Part {
    /// The interface's name inside.
    Interface,
    /// The bridge to attach to.
    Bridge,
    /// The subnet.
    Subnet,
    /// The container's address.
    Address,
    /// The IPv6 subnet.
    Ipv6,
    /// The MTU.
    Mtu,
    /// The rate.
    Rate,
    /// The latency.
    Latency,
    /// Whether other containers are reached.
    Peers,
    /// The published ports, or the one at this place among them.
    Publish(Option<usize>),
    /// Whether forwarding may be switched on.
    IpForward,
}

impl Error {
    /// The part of the request that it is about, if it is about one.
    pub fn part(&self) -> Option<Part> {
        Some(match self {
            Error::Invalid { part, .. } | Error::Clash { part, .. } => return *part,
            Error::NoBridge { .. } => Part::Bridge,
            Error::Collides { .. } | Error::NoSubnet { .. } | Error::Exhausted { .. } => Part::Subnet,
            Error::Outside { .. } | Error::Reserved { .. } | Error::AddressInUse { .. } => Part::Address,
            Error::PortTaken { .. } | Error::Publish(_) => Part::Publish(None),
            Error::NoForwarding { .. } => Part::IpForward,
            _ => return None,
        })
    }
}
