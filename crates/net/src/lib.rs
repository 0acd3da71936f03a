//! A network for a container: a veth pair, the container's end of which is made in its network namespace; a bridge or
//! none; an address; NAT; published ports; a rate; names of peers. No program is run: everything is rtnetlink and
//! nf_tables.
//!
//! ```no_run
//! use seclude_net::{Request, Veth};
//!
//! # fn send_inside(request: &[u8]) {}
//! # fn main() -> Result<(), seclude_net::Error> {
//! let mut request = Request::default();
//! request.ip_forward = true;
//! let veth = Veth::prepare(&request)?;
//! // Clone a process with CLONE_NEWNET; while it waits:
//! # let pid = 1;
//! veth.connect(pid)?;
//! for inside in veth.inside() {
//!     send_inside(&inside.request); // by the process, in its own network namespace
//! }
//! // When it has ended:
//! veth.disconnect()?;
//! # Ok(()) }
//! ```
//!
//! Everything happens in the network namespace of the calling thread, which is "the host" here, and needs
//! CAP_NET_ADMIN there and write access to `/run/seclude`. What is made is found again by its name, by whoever wants to
//! clean up: a link `scHHHHHHHH` that has the container's address in its name, a bridge `seclude0` or
//! `sc-HHHHHHHH-PREFIX`, the nf_tables tables `inet seclude`, `bridge seclude` and `netdev seclude`, `/run/seclude/net.lock` and
//! `/run/seclude/net`.
//!
//! What holds, whoever is root inside, also with CAP_NET_RAW:
//!
//! * A frame leaves a container's link under its own hardware address and its own addresses, in Ethernet, IP, ARP and
//!   neighbour discovery, or not at all. Nobody inside is a router, a DHCP server or in a VLAN; IPv6 is there only with
//!   [`ipv6`](Request::ipv6), and then link-local addresses are for finding one another alone.
//! * The host's IP learns nothing from links of ours: no redirects, no advertisements; without IPv6 it is switched off there.
//! * The host itself is closed on all of its addresses, and so are link-local addresses and those of a cloud's metadata (but
//!   for name servers there), unless [`host_access`](Request::host_access) is asked for. Without [`nat`](Request::nat)
//!   nothing but the host is reached, whose own services are open then. What the host begins is answered.
//! * Containers reach one another only as [`peers`](Request::peers) of one bridge, or over published ports.
//! * From outside nothing but published ports is reached; from the host every container. Ports are published over IPv4:
//!   rules cannot lead the host's `[::1]` elsewhere, as an answer to ::1 from another link is not routed. Who makes the container
//!   may carry what comes there to 127.0.0.1, as `seclude` does.
//! * A container is told at once, by a reset or an ICMP error, that it may not; what it forges is dropped without a word.
//! * Nothing in /run that anybody else could lock is waited for for longer than ten seconds ([`Error::Held`]).
//!
//! Rules of others, such as a policy to drop what is forwarded, hold as well. Rules that somebody else flushes are gone for
//! the containers that run; what the switches of links and of bridges' ports keep out stays out.
//!
//! A container's end of life is the end of its network namespace: the kernel removes the link then, also if the process
//! that made it was killed. [`sweep`] removes the rest.
#![forbid(unsafe_code)]

mod bridge;
mod choose;
mod claims;
mod closed;
mod connect;
mod error;
mod forward;
mod given;
mod hint;
mod host;
mod hosts;
mod inside;
mod lease;
mod lock;
mod mac;
mod message;
mod network;
mod nft;
mod occupied;
mod part;
mod ports;
mod private;
pub mod probe;
mod publish;
mod request;
mod route;
mod shape;
mod socket;
mod subnet;
mod sweep;
mod switches;
mod veth;
mod wait;

pub use closed::Closed;
pub use error::Error;
pub use given::Given;
pub use inside::Inside;
pub use mac::{Mac, MacError};
pub use part::Part;
pub use publish::{Protocol, Publish, PublishError};
pub use request::{Attach, Ipv6, Request};
pub use subnet::{Subnet, Subnet6, SubnetError};
pub use sweep::{sweep, sweep_if_left};
pub use veth::{HostsFile, Veth};

#[cfg(test)]
mod tests {
    #[test]
    fn a_veth_goes_from_thread_to_thread() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<super::Veth>();
        is_shared::<super::Error>();
    }
}
