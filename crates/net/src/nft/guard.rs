//! What is looked at on the host's end of each pair, before a bridge or the host's own IP sees it: a chain of the link's
//! name in `netdev seclude`.
//!
//! The rules of `inet seclude` know a container by its address. Whoever may configure the network inside, or send raw
//! frames (CAP_NET_RAW), could take another's, or play the router: so that a frame passes with the container's own
//! addresses in all of its headers, or not at all. It is a list of what passes: what nobody has thought of ends here.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::expression::Rule;
use crate::Mac;

const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ESP: u8 = 50;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;

/// What may come from a container.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) mac: Mac,
    pub(crate) address: Ipv4Addr,
    pub(crate) address6: Option<Ipv6Addr>,
    /// At most so many bytes a second, and so many at once.
    pub(crate) limit: Option<(u64, u32)>,
}

impl Guard {
    pub(super) fn rules(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        // First, so that it is true of all that is sent.
        rules.extend(self.limit.map(|(rate, burst)| Rule::new().above(rate, burst).drop()));
        rules.extend(self.frames());
        rules.extend(self.ipv4());
        rules.extend(self.arp());
        if let Some(address) = self.address6 {
            rules.extend(self.ipv6(address));
        }
        rules
    }

    fn frames(&self) -> [Rule; 3] {
        // Neither tagged ones, which would be in a VLAN of the bridge's or the host's, nor other protocols.
        let mut others = Rule::new();
        let known = [Some(ETH_P_IP), Some(ETH_P_ARP), self.address6.map(|_| ETH_P_IPV6)];
        for kind in known.into_iter().flatten() {
            others = others.link_differs(12, &kind.to_be_bytes());
        }
        [
            Rule::new().link_differs(6, &self.mac.bytes()).drop(),
            // Those of IEEE 802.1D: a bridge does not forward them but gives them to the host's IP as if they had come over
            // the port (br_handle_frame(), RX_HANDLER_PASS), where no rule knows them by the bridge.
            Rule::new().link_is(0, &[0x01, 0x80, 0xc2, 0, 0]).drop(),
            others.drop(),
        ]
    }

    fn ipv4(&self) -> Vec<Rule> {
        const REDIRECT: u8 = 5;
        const DHCP_SERVER: u16 = 67;
        /// Where the destination is of the packet that an error is about.
        const ABOUT: u32 = 24;
        /// Of the field with the flags: where in the packet it is, and whether more comes.
        const FRAGMENTED: u16 = 0x3fff;
        const OFFSET: u16 = 0x1fff;
        let ip = || Rule::new().ether_type(ETH_P_IP);
        let icmp = || ip().protocol(ICMP);
        // Its type is in the first piece of a packet, however small that is. Before Linux 5.18 the rest is looked at as if it began there.
        let icmp_begins = || ip().network_bits(6, OFFSET, 0).protocol(ICMP);
        let mut rules = vec![
            ip().network_differs(12, &self.address.octets()).drop(),
            icmp_begins().transport_is(0, &[REDIRECT]).drop(),
            ip().protocol(UDP).transport_is(0, &DHCP_SERVER.to_be_bytes()).drop(),
        ];
        // To connection tracking an error is of the connection that it is about, whoever says so: those of the host's own would end by it, or
        // have their packets made small (path MTU). It can only tell of what came to it; and has to say so in one piece, as the host's
        // connection tracking puts together what this cannot: a rule whose bytes are in a later piece does not match.
        for (least, most) in [(3, 4), (11, 12)] {
            let whole = icmp().network_bits(6, FRAGMENTED, 0).transport_between(0, least, most);
            rules.push(whole.transport_is(ABOUT, &self.address.octets()).leave());
            rules.push(icmp_begins().transport_between(0, least, most).drop());
        }
        rules
    }

    fn arp(&self) -> [Rule; 3] {
        let arp = || Rule::new().ether_type(ETH_P_ARP);
        [
            // Of Ethernet and IPv4: only then the senders are where the next two look.
            arp().network_differs(0, &[0, 1, 8, 0, 6, 4]).drop(),
            arp().network_differs(8, &self.mac.bytes()).drop(),
            arp().network_differs(14, &self.address.octets()).drop(),
        ]
    }

    /// Of neighbour discovery it may ask for others, and answer for itself. Routers are of no interest on either side.
    fn ipv6(&self, address: Ipv6Addr) -> Vec<Rule> {
        const DHCP_SERVER: u16 = 547;
        const LISTENER_REPORT: (u8, u8) = (131, 132);
        const LISTENER_REPORT_V2: (u8, u8) = (143, 143);
        const DISCOVERY: (u8, u8) = (133, 137);
        const SOLICITATION: u8 = 135;
        const ADVERTISEMENT: u8 = 136;
        let ip = || Rule::new().ether_type(ETH_P_IPV6);
        let link_local = self.mac.link_local().octets();
        let own = [address.octets(), link_local];
        // Nothing in front of it, and nothing behind but one option, or none.
        let discovery = |kind: u8, length: u16| {
            ip().network_is(4, &length.to_be_bytes()).network_is(6, &[ICMPV6]).protocol(ICMPV6).transport_is(0, &[kind])
        };
        let option = |kind: u8| [&[kind, 1], &self.mac.bytes()[..]].concat();
        let mut rules = vec![
            own.iter().fold(ip(), |rule, own| rule.network_differs(8, own)).drop(),
            discovery(SOLICITATION, 32).transport_is(24, &option(1)).leave(),
        ];
        for own in own {
            rules.push(discovery(ADVERTISEMENT, 24).transport_is(8, &own).leave());
            rules.push(discovery(ADVERTISEMENT, 32).transport_is(8, &own).transport_is(24, &option(2)).leave());
        }
        rules.push(ip().protocol(ICMPV6).transport_between(0, DISCOVERY.0, DISCOVERY.1).drop());
        // Bridges of others may want to hear who listens to which group: behind a router alert, and nothing else.
        for (least, most) in [LISTENER_REPORT, LISTENER_REPORT_V2] {
            let report = ip().network_is(6, &[HOP_BY_HOP]).network_is(40, &[ICMPV6, 0]);
            rules.push(report.protocol(ICMPV6).transport_between(0, least, most).leave());
        }
        rules.push(ip().network_is(8, &link_local).drop());
        rules.push(ip().network_bits(24, 0xffc0, 0xfe80).drop());
        rules.push(ip().protocol(UDP).transport_is(0, &DHCP_SERVER.to_be_bytes()).drop());
        // As with IPv4: of what comes in pieces the type is behind the fragment header.
        for own in own {
            let whole = ip().network_is(6, &[ICMPV6]).protocol(ICMPV6).transport_between(0, 1, 4);
            rules.push(whole.transport_is(32, &own).leave());
        }
        rules.push(ip().network_is(6, &[ICMPV6]).protocol(ICMPV6).transport_between(0, 1, 4).drop());
        let first_piece = ip().network_is(6, &[FRAGMENT]).network_is(40, &[ICMPV6]).network_bits(42, 0xfff8, 0);
        rules.push(first_piece.network_between(48, 1, 4).drop());
        // Whatever else is in front of a packet could reach into the padding of a first fragment, so that the kernel here
        // would look there for what comes with the second. Of later fragments the first is looked at.
        for protocol in [TCP, UDP, ICMPV6, SCTP, ESP] {
            rules.push(ip().network_is(6, &[protocol]).leave());
            rules.push(ip().network_is(6, &[FRAGMENT]).network_is(40, &[protocol]).leave());
        }
        rules.push(ip().drop());
        rules
    }
}
