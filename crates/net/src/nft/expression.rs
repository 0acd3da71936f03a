//! The expressions of a rule, as `include/uapi/linux/netfilter/nf_tables.h` has them.
//!
//! A rule is a small program: expressions load a part of the packet into registers, and one that does not match ends
//! it. Registers are four bytes wide here (`NFT_REG32_00` and up), named by number; longer values take several.

use crate::message::{Attributes, encode};

/// The link's name takes four registers.
pub(crate) const NAME_WORDS: u32 = 4;

const PAYLOAD_LINK: u32 = 0;
const PAYLOAD_NETWORK: u32 = 1;
const PAYLOAD_TRANSPORT: u32 = 2;
const META_MARK: u32 = 3;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

/// A rule under construction. Loads go to the register after the last one that was loaded, and a lookup or comparison
/// takes all that were loaded since the one before.
pub(crate) struct Rule {
    expressions: Vec<u8>,
    loaded: u32,
}

impl Rule {
    pub(crate) fn new() -> Rule {
        Rule { expressions: Vec::new(), loaded: 0 }
    }

    /// The attribute list that `NFTA_RULE_EXPRESSIONS` holds.
    pub(crate) fn expressions(&self) -> &[u8] {
        &self.expressions
    }

    fn add(mut self, name: &str, attributes: impl FnOnce(&mut Attributes<'_>)) -> Rule {
        self.expressions.extend(encode(|a| {
            a.nest(1, |a| {
                a.text(1, name);
                a.nest(2, attributes);
            });
        }));
        self
    }

    fn next(&mut self, words: u32) -> u32 {
        let register = register(self.loaded);
        self.loaded += words;
        register
    }

    fn meta(mut self, key: u32, words: u32) -> Rule {
        let to = self.next(words);
        self.add("meta", |a| {
            a.be32(2, key);
            a.be32(1, to);
        })
    }

    fn payload(mut self, base: u32, offset: u32, length: u32) -> Rule {
        let to = self.next(length.div_ceil(4));
        self.add("payload", |a| {
            a.be32(1, to);
            a.be32(2, base);
            a.be32(3, offset);
            a.be32(4, length);
        })
    }

    /// The link it came in over; an empty name for what the host itself sends.
    pub(crate) fn iifname(self) -> Rule {
        self.meta(6, NAME_WORDS)
    }

    /// The link it goes out over.
    pub(crate) fn oifname(self) -> Rule {
        self.meta(7, NAME_WORDS)
    }

    /// Only what goes out over the loopback, which is the first link of every network namespace.
    pub(crate) fn over_loopback(self) -> Rule {
        self.meta(5, 1).equals(&1_u32.to_ne_bytes())
    }

    /// Only what came in over a link of this group.
    pub(crate) fn iifgroup(self, group: u32) -> Rule {
        self.meta(21, 1).equals(&group.to_ne_bytes())
    }

    /// Only what goes out over a link of this group.
    pub(crate) fn oifgroup(self, group: u32) -> Rule {
        self.meta(22, 1).equals(&group.to_ne_bytes())
    }

    /// Only of that EtherType, from here on.
    pub(crate) fn ether_type(self, number: u16) -> Rule {
        self.meta(1, 1).equals(&number.to_be_bytes())
    }

    /// Only where those bytes of the network header are not the value.
    pub(crate) fn network_differs(self, offset: u32, value: &[u8]) -> Rule {
        self.payload(PAYLOAD_NETWORK, offset, value.len() as u32).compare(NOT_EQUAL, value)
    }

    /// Only where they are.
    pub(crate) fn network_is(self, offset: u32, value: &[u8]) -> Rule {
        self.payload(PAYLOAD_NETWORK, offset, value.len() as u32).equals(value)
    }

    /// Only where that byte of the network header is one of these.
    pub(crate) fn network_between(self, offset: u32, least: u8, most: u8) -> Rule {
        let rule = self.payload(PAYLOAD_NETWORK, offset, 1).compare(AT_LEAST, &[least]);
        rule.payload(PAYLOAD_NETWORK, offset, 1).compare(AT_MOST, &[most])
    }

    /// Only where those two bytes of the network header, masked, are the value.
    pub(crate) fn network_bits(mut self, offset: u32, mask: u16, value: u16) -> Rule {
        let at = register(self.loaded);
        self = self.payload(PAYLOAD_NETWORK, offset, 2);
        let rule = self.add("bitwise", |a| {
            a.be32(1, at);
            a.be32(2, at);
            a.be32(3, 2);
            a.nest(4, |a| a.put(1, &mask.to_be_bytes()));
            a.nest(5, |a| a.put(1, &[0; 2]));
        });
        rule.equals(&value.to_be_bytes())
    }

    /// Only where those bytes of the Ethernet header are the value. What is at 12 is the tag's type where there is one,
    /// also if the kernel has taken it off by now.
    pub(crate) fn link_is(self, offset: u32, value: &[u8]) -> Rule {
        self.payload(PAYLOAD_LINK, offset, value.len() as u32).equals(value)
    }

    /// Only where they are not.
    pub(crate) fn link_differs(self, offset: u32, value: &[u8]) -> Rule {
        self.payload(PAYLOAD_LINK, offset, value.len() as u32).compare(NOT_EQUAL, value)
    }

    /// Only where those bytes of the transport header are the value: after [`Rule::protocol`]. Of a packet in pieces they may be in a later one,
    /// and then no rule matches: so nothing is dropped by what they are not, but all that did not match.
    pub(crate) fn transport_is(self, offset: u32, value: &[u8]) -> Rule {
        self.payload(PAYLOAD_TRANSPORT, offset, value.len() as u32).equals(value)
    }

    /// Only where that byte of the transport header is one of these: after [`Rule::protocol`].
    pub(crate) fn transport_between(self, offset: u32, least: u8, most: u8) -> Rule {
        let rule = self.payload(PAYLOAD_TRANSPORT, offset, 1).compare(AT_LEAST, &[least]);
        rule.payload(PAYLOAD_TRANSPORT, offset, 1).compare(AT_MOST, &[most])
    }

    /// Only that transport protocol, behind whatever extension headers.
    pub(crate) fn protocol(self, number: u8) -> Rule {
        self.l4proto().equals(&[number])
    }

    /// The transport protocol.
    pub(crate) fn l4proto(self) -> Rule {
        self.meta(16, 1)
    }

    /// Only IPv4 from here on.
    pub(crate) fn ipv4(self) -> Rule {
        self.meta(15, 1).equals(&[NFPROTO_IPV4])
    }

    /// Only IPv6 from here on.
    pub(crate) fn ipv6(self) -> Rule {
        self.meta(15, 1).equals(&[NFPROTO_IPV6])
    }

    /// The sender; after [`Rule::ipv4`].
    pub(crate) fn saddr(self) -> Rule {
        self.payload(PAYLOAD_NETWORK, 12, 4)
    }

    /// The destination; after [`Rule::ipv4`].
    pub(crate) fn daddr(self) -> Rule {
        self.payload(PAYLOAD_NETWORK, 16, 4)
    }

    /// The sender; after [`Rule::ipv6`].
    pub(crate) fn saddr6(self) -> Rule {
        self.payload(PAYLOAD_NETWORK, 8, 16)
    }

    /// The destination; after [`Rule::ipv6`].
    pub(crate) fn daddr6(self) -> Rule {
        self.payload(PAYLOAD_NETWORK, 24, 16)
    }

    /// Only from 127.0.0.0/8; after [`Rule::ipv4`].
    pub(crate) fn loopback_sender(self) -> Rule {
        self.payload(PAYLOAD_NETWORK, 12, 1).equals(&[127])
    }

    /// Only to 127.0.0.0/8; after [`Rule::ipv4`].
    pub(crate) fn loopback_destination(self) -> Rule {
        self.payload(PAYLOAD_NETWORK, 16, 1).equals(&[127])
    }

    /// The destination port of TCP or UDP.
    pub(crate) fn dport(self) -> Rule {
        self.payload(PAYLOAD_TRANSPORT, 2, 2)
    }

    /// Only what is for an address of the host itself.
    pub(crate) fn for_this_host(mut self) -> Rule {
        const RTN_LOCAL: u32 = 2;
        let to = self.next(1);
        self.add("fib", |a| {
            // NFT_FIB_F_DADDR, NFT_FIB_RESULT_ADDRTYPE
            a.be32(3, 2);
            a.be32(2, 3);
            a.be32(1, to);
        })
        .equals(&RTN_LOCAL.to_ne_bytes())
    }

    /// Only what belongs to a connection that is known, or is about one.
    pub(crate) fn established(self) -> Rule {
        self.ct_bits(0, 0b110)
    }

    /// Only what belongs to a connection whose destination was changed (`IPS_DST_NAT`).
    pub(crate) fn redirected(self) -> Rule {
        self.ct_bits(2, 1 << 5)
    }

    fn ct_bits(mut self, key: u32, bits: u32) -> Rule {
        let at = self.next(1);
        let rule = self.add("ct", |a| {
            a.be32(2, key);
            a.be32(1, at);
        });
        let rule = rule.add("bitwise", |a| {
            a.be32(1, at);
            a.be32(2, at);
            a.be32(3, 4);
            a.nest(4, |a| a.put(1, &bits.to_ne_bytes()));
            a.nest(5, |a| a.put(1, &[0; 4]));
        });
        rule.compare(NOT_EQUAL, &[0; 4])
    }

    fn equals(self, value: &[u8]) -> Rule {
        self.compare(EQUAL, value)
    }

    fn compare(mut self, operator: u32, value: &[u8]) -> Rule {
        self.loaded = 0;
        self.add("cmp", |a| {
            a.be32(1, register(0));
            a.be32(2, operator);
            a.nest(3, |a| a.put(1, value));
        })
    }

    /// Only if what was loaded is in the set.
    pub(crate) fn found_in(mut self, set: &str) -> Rule {
        self.loaded = 0;
        self.add("lookup", |a| {
            a.be32(2, register(0));
            a.text(1, set);
        })
    }

    /// Only if what was loaded is not in the set.
    pub(crate) fn missing_from(mut self, set: &str) -> Rule {
        self.loaded = 0;
        self.add("lookup", |a| {
            a.be32(2, register(0));
            a.text(1, set);
            a.be32(5, 1);
        })
    }

    /// The destination becomes what the map has for what was loaded: an IPv4 address and a port.
    pub(crate) fn redirect_by(mut self, map: &str) -> Rule {
        self.loaded = 0;
        let rule = self.add("lookup", |a| {
            a.be32(2, register(0));
            a.be32(3, register(0));
            a.text(1, map);
        });
        rule.add("nat", |a| {
            // NFT_NAT_DNAT, for IPv4, address from register 0, port from register 1.
            a.be32(1, 1);
            a.be32(2, u32::from(NFPROTO_IPV4));
            a.be32(3, register(0));
            a.be32(5, register(1));
        })
    }

    /// The sender becomes the address of the link that it leaves over.
    pub(crate) fn masquerade(self) -> Rule {
        self.add("masq", |_| {})
    }

    /// Only what is above so many bytes a second, with so many at once.
    pub(crate) fn above(self, bytes_per_second: u64, burst: u32) -> Rule {
        self.add("limit", |a| {
            a.put(1, &bytes_per_second.to_be_bytes());
            a.put(2, &1u64.to_be_bytes());
            a.be32(3, burst);
            // NFT_LIMIT_PKT_BYTES, NFT_LIMIT_F_INV
            a.be32(4, 1);
            a.be32(5, 1);
        })
    }

    pub(crate) fn drop(self) -> Rule {
        self.verdict(0, None)
    }

    /// It ends here, and whoever began the connection is told by a reset; after TCP's [`Rule::protocol`].
    pub(crate) fn reset(self) -> Rule {
        // NFT_REJECT_TCP_RST
        self.add("reject", |a| a.be32(1, 1))
    }

    /// It ends here, and the sender is told that it is not allowed.
    pub(crate) fn prohibit(self) -> Rule {
        self.add("reject", |a| {
            // NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED
            a.be32(1, 2);
            a.put(2, &[3]);
        })
    }

    /// Marks the packet, for the rest of its way through this host.
    pub(crate) fn mark(self, mark: u32) -> Rule {
        let rule = self.add("immediate", |a| {
            a.be32(1, register(0));
            a.nest(2, |a| a.put(1, &mark.to_ne_bytes()));
        });
        rule.add("meta", |a| {
            a.be32(2, META_MARK);
            a.be32(3, register(0));
        })
    }

    /// Only what is marked so.
    pub(crate) fn marked(self, mark: u32) -> Rule {
        self.meta(META_MARK, 1).equals(&mark.to_ne_bytes())
    }

    /// Nothing more of this chain: the chain's policy, which is to accept.
    pub(crate) fn leave(self) -> Rule {
        self.verdict(-5, None)
    }

    /// On with another chain, and not back.
    pub(crate) fn goto(self, chain: &str) -> Rule {
        self.verdict(-4, Some(chain))
    }

    fn verdict(self, code: i32, chain: Option<&str>) -> Rule {
        self.add("immediate", |a| {
            a.be32(1, 0);
            a.nest(2, |a| {
                a.nest(2, |a| {
                    a.put(1, &code.to_be_bytes());
                    if let Some(chain) = chain {
                        a.text(2, chain);
                    }
                });
            });
        })
    }
}

fn register(word: u32) -> u32 {
    const NFT_REG32_00: u32 = 8;
    NFT_REG32_00 + word
}
