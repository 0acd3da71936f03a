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
//! What holds, whoever is root inside: nothing comes out of a container's link under any other address than its own;
//! without [`nat`](Request::nat) nothing but the host itself is reached; containers reach one another only as
//! [`peers`](Request::peers) of one bridge, or over published ports; from outside nothing but published ports is
//! reached. The host itself, on any of its addresses, is reached by every container, as far as its own rules allow it.
//! Rules of others, such as a policy to drop what is forwarded, hold as well.
//!
//! A container's end of life is the end of its network namespace: the kernel removes the link then, also if the process
//! that made it was killed. [`sweep`] removes the rest.
#![forbid(unsafe_code)]

mod bridge;
mod choose;
mod claims;
mod connect;
mod error;
mod forward;
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

pub use error::Error;
pub use inside::Inside;
pub use mac::{Mac, MacError};
pub use publish::{Protocol, Publish, PublishError};
pub use request::{Attach, Ipv6, Request};
pub use subnet::{Subnet, Subnet6, SubnetError};
pub use sweep::sweep;
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
