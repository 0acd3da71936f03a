//! What keeps a container from the host whose packets come out of a process of the host's (pasta) and not out of a link: no rule of the
//! host's could tell the two apart, so they are in the container's own network namespace.
//!
//! They are no routes: a process that names the link (SO_BINDTODEVICE, for which it needs no capability since Linux 5.7) is sent past
//! those that lead nowhere, and pasta brings the host's own along, which may be more specific.

use std::net::IpAddr;

use crate::Error;
use crate::nft::{Chain, Hook, INET_HOOK_OUTPUT, METADATA, METADATA6, Rule, table_of};
use crate::route::{AF_INET, AF_INET6, addresses};
use crate::socket::Socket;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const DNS: [u8; 2] = 53_u16.to_be_bytes();
/// What a link itself needs: from router solicitation to neighbour advertisement, RFC 4861; and who listens to what, RFC 3810. By the first
/// frame pasta learns the hardware address, without which nobody is reached over a published port.
const OF_THE_LINK: [(u8, u8); 2] = [(133, 136), (143, 143)];

/// Where such a container is not to come: the addresses that the host has now, link-local ones, those of a cloud's metadata (but for name
/// servers there), and whatever many hear at once.
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

    /// A message to nfnetlink that a process of the container sends in its own network namespace, with one answer. Needs nf_tables with
    /// nft_ct and nft_reject_inet.
    pub fn filter(&self) -> Vec<u8> {
        let rule = Rule::new;
        let mut rules = vec![
            // Also what is for its own address, which pasta gives it of the host's.
            ("output", rule().over_loopback().leave()),
            // What somebody else has begun, by a published port.
            ("output", rule().established().leave()),
        ];
        rules.extend(
            OF_THE_LINK.map(|(least, most)| {
                ("output", rule().ipv6().protocol(ICMPV6).transport_between(0, least, most).leave())
            }),
        );
        let refused = |rule: Rule| ("output", rule.goto("refuse"));
        rules.extend(self.hosts.iter().map(|address| match address {
            IpAddr::V4(address) => refused(rule().ipv4().network_is(16, &address.octets())),
            IpAddr::V6(address) => refused(rule().ipv6().network_is(24, &address.octets())),
        }));
        // Where metadata are, some clouds have their name server as well, and the host's resolv.conf says so.
        rules.extend([UDP, TCP].map(|number| ("output", rule().protocol(number).transport_is(2, &DNS).leave())));
        rules.extend(METADATA.iter().map(|start| refused(rule().ipv4().network_is(16, start))));
        rules.extend(METADATA6.iter().map(|parts| {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_be_bytes()).collect();
            refused(rule().ipv6().network_is(24, &bytes))
        }));
        rules.extend([
            // fe80::/10, ff00::/8; 224.0.0.0/4, 255.255.255.255: the host itself may be who hears it.
            refused(rule().ipv6().network_bits(24, 0xffc0, 0xfe80)),
            refused(rule().ipv6().network_is(24, &[0xff])),
            refused(rule().ipv4().network_bits(16, 0xf000, 0xe000)),
            refused(rule().ipv4().network_is(16, &[255; 4])),
            ("refuse", rule().protocol(TCP).reset()),
            ("refuse", rule().prohibit()),
        ]);
        let chains = [Chain("refuse", None), Chain("output", Some(Hook("filter", INET_HOOK_OUTPUT, 0)))];
        table_of(&chains, &rules)
    }
}
