//! What is looked at on the host's end of each pair, before a bridge or the host's own IP sees it: a chain of the link's
//! name in `netdev seclude`.
//!
//! The rules of `inet seclude` know a container by its address. Whoever may configure the network inside could take
//! another's, so that what comes with any other address ends here.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::expression::Rule;

const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;

/// What may come from a container.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) address: Ipv4Addr,
    pub(crate) address6: Option<Ipv6Addr>,
    /// At most so many bytes a second, and so many at once.
    pub(crate) limit: Option<(u64, u32)>,
}

impl Guard {
    pub(super) fn rules(&self) -> Vec<Rule> {
        let address = self.address.octets();
        let sender = Rule::new().ether_type(ETH_P_IP).network_differs(12, &address);
        // The sender's protocol address, of Ethernet and IPv4.
        let arp = Rule::new().ether_type(ETH_P_ARP).network_differs(14, &address);
        let mut sender6 = Rule::new().ether_type(ETH_P_IPV6).network_bits_differ(8, 0xffc0, 0xfe80);
        // Whoever asks whether an address is taken has none yet.
        sender6 = sender6.network_differs(8, &[0; 16]);
        if let Some(address6) = self.address6 {
            sender6 = sender6.network_differs(8, &address6.octets());
        }
        // The kernel has taken one tag off by now. What is below a second one nobody here has looked at, but the host
        // might: it takes off those that name no VLAN.
        let tagged = [ETH_P_8021Q, ETH_P_8021AD].map(|kind| Rule::new().ether_type(kind));
        let limit = self.limit.map(|(rate, burst)| Rule::new().above(rate, burst));
        [sender, arp, sender6].into_iter().chain(tagged).chain(limit).map(Rule::drop).collect()
    }
}
