//! Which addresses a name may lead to: those that anybody on the Internet could be asked to connect to, and no others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Special {
    /// 0.0.0.0/8 and ::.
    Unspecified,
    /// 127.0.0.0/8 and ::1.
    Loopback,
    /// Of a network of somebody's own: RFC 1918, fc00::/7, fec0::/10.
    Private,
    /// Between a provider and its customers, 100.64.0.0/10.
    SharedByProvider,
    /// 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// What tells a cloud's machines who they are.
    Metadata,
    /// To many.
    Multicast,
    /// For measurements, which is also where slots are.
    Benchmark,
    /// For examples in texts.
    Documentation,
    /// An IPv4 address inside an IPv6 address, or one that is translated to one: what it leads to is not seen.
    Translated,
    /// A public IPv4 address behind a translator of this network, as name servers of networks without IPv4 have it (RFC 6052, RFC 6147).
    Nat64,
    /// The host's own.
    Own,
    /// Nobody's yet.
    Reserved,
}

impl Special {
    /// Whether a name may lead there if that was said of it: what is somebody's own network, or lies behind its translator, and not this host.
    pub fn can_be_allowed(self) -> bool {
        matches!(self, Special::Private | Special::SharedByProvider | Special::Nat64)
    }

    /// The stable name, such as `"link-local"`.
    pub fn name(self) -> &'static str {
        match self {
            Special::Unspecified => "unspecified",
            Special::Loopback => "loopback",
            Special::Private => "private",
            Special::SharedByProvider => "shared-by-provider",
            Special::LinkLocal => "link-local",
            Special::Metadata => "metadata",
            Special::Multicast => "multicast",
            Special::Benchmark => "benchmark",
            Special::Documentation => "documentation",
            Special::Translated => "translated",
            Special::Nat64 => "nat64",
            Special::Own => "host",
            Special::Reserved => "reserved",
        }
    }
}

/// Why an address is no public one, or `None` if it is: by the registries of special addresses, RFC 6890.
pub fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => special4(address),
        IpAddr::V6(address) => special6(address),
    }
}

/// The IPv4 address that a translator connects to, by the prefix that is everybody's.
pub(crate) fn behind_translator(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

fn special4(address: Ipv4Addr) -> Option<Special> {
    Some(match address.octets() {
        [0, ..] => Special::Unspecified,
        [127, ..] => Special::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Special::Private,
        // Alibaba's, then Azure's and Oracle's.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Special::Metadata,
        [100, 64..=127, ..] => Special::SharedByProvider,
        [169, 254, 169, 253 | 254] | [169, 254, 170, 2] => Special::Metadata,
        [169, 254, ..] => Special::LinkLocal,
        [198, 18 | 19, ..] => Special::Benchmark,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Special::Documentation,
        // 6to4's relays.
        [192, 88, 99, _] => Special::Translated,
        [192, 0, 0, _] => Special::Reserved,
        [224..=239, ..] => Special::Multicast,
        [240..=255, ..] => Special::Reserved,
        _ => return None,
    })
}

fn special6(address: Ipv6Addr) -> Option<Special> {
    if let Some(behind) = behind_translator(address.into()) {
        return Some(special4(behind).unwrap_or(Special::Nat64));
    }
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Special::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Special::Loopback,
        // Mapped, compatible, translated: RFC 4291, 2765, 6052, 8215.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, ..] => Special::Translated,
        // Teredo, and 6to4.
        [0x2001, 0, ..] | [0x2002, ..] => Special::Translated,
        [0x2001, 2, 0, ..] => Special::Benchmark,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Special::Documentation,
        [0x2001, 1..=0x1ff, ..] => Special::Reserved,
        // Of those that have them in unique local addresses, and a name server beside them.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23 | 0x253] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            Special::Metadata
        }
        [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] | [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe] => Special::Metadata,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Special::Private,
        [0xfe80..=0xfebf, ..] => Special::LinkLocal,
        [0xff00..=0xffff, ..] => Special::Multicast,
        [0x2000..=0x3fff, ..] => return None,
        _ => Special::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_nothing_special() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "2001:200::1",
            "2620:fe::fe",
            "3fff:1000::1",
        ] {
            assert_eq!(special(text.parse().unwrap()), None, "{text}");
        }
    }

    /// The first and the last address of each block of the two registries of IANA (special-purpose addresses, IPv4 and IPv6), and of multicast, with what it
    /// is; behind them the neighbours that are none of its.
    #[test]
    fn each_block_of_the_registries_is_special_from_its_first_address_to_its_last() {
        use Special::*;
        for (block, what, beside) in [
            ("0.0.0.0-0.255.255.255", Unspecified, "1.0.0.0"),
            ("10.0.0.0-10.255.255.255", Private, "9.255.255.255 11.0.0.0"),
            ("100.64.0.0-100.127.255.255", SharedByProvider, "100.63.255.255 100.128.0.0"),
            ("127.0.0.0-127.255.255.255", Loopback, "126.255.255.255 128.0.0.0"),
            ("169.254.0.0-169.254.255.255", LinkLocal, "169.253.255.255 169.255.0.0"),
            ("172.16.0.0-172.31.255.255", Private, "172.15.255.255 172.32.0.0"),
            ("192.0.0.0-192.0.0.255", Reserved, "191.255.255.255 192.0.1.0"),
            ("192.0.2.0-192.0.2.255", Documentation, "192.0.1.255 192.0.3.0"),
            ("192.88.99.0-192.88.99.255", Translated, "192.88.98.255 192.88.100.0"),
            ("192.168.0.0-192.168.255.255", Private, "192.167.255.255 192.169.0.0"),
            ("198.18.0.0-198.19.255.255", Benchmark, "198.17.255.255 198.20.0.0"),
            ("198.51.100.0-198.51.100.255", Documentation, "198.51.99.255 198.51.101.0"),
            ("203.0.113.0-203.0.113.255", Documentation, "203.0.112.255 203.0.114.0"),
            ("224.0.0.0-239.255.255.255", Multicast, "223.255.255.255"),
            ("240.0.0.0-255.255.255.255", Reserved, ""),
            ("::-::", Unspecified, ""),
            ("::1-::1", Loopback, ""),
            ("::2-::ffff:ffff", Translated, ""),
            ("::ffff:0.0.0.0-::ffff:255.255.255.255", Translated, ""),
            ("::ffff:0:0.0.0.0-::ffff:0:255.255.255.255", Translated, ""),
            ("64:ff9b::1.0.0.0-64:ff9b::223.255.255.255", Nat64, ""),
            ("64:ff9b::1:0:0-64:ff9b::ffff:ffff:ffff", Translated, ""),
            ("64:ff9b:1::-64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Translated, ""),
            ("100::-100::ffff:ffff:ffff:ffff", Reserved, ""),
            ("100:0:0:1::-100:0:0:1:ffff:ffff:ffff:ffff", Reserved, ""),
            ("2001::-2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Translated, "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:1::-2001:1:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, ""),
            ("2001:2::-2001:2:0:ffff:ffff:ffff:ffff:ffff", Benchmark, ""),
            ("2001:3::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, "2001:200::"),
            ("2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Documentation, "2001:db7:ffff:: 2001:db9::"),
            ("2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Translated, "2003::"),
            ("3fff::-3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Documentation, "3ffe:ffff:: 3fff:1000::"),
            ("4000::-fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("5f00::-5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, ""),
            ("fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private, ""),
            ("fe00::-fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, ""),
            ("fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal, ""),
            ("fec0::-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private, ""),
            ("ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast, ""),
        ] {
            let of = |text: &str| special(text.parse().unwrap());
            let (first, last) = block.split_once('-').unwrap();
            assert_eq!((of(first), of(last)), (Some(what), Some(what)), "{block}");
            beside.split_whitespace().for_each(|other| assert_eq!(of(other), None, "{other} beside {block}"));
        }
    }

    #[test]
    fn what_lies_behind_a_translator_is_what_it_is_by_itself_or_behind_one() {
        for (text, what) in [
            ("64:ff9b::8.8.8.8", Special::Nat64),
            ("64:ff9b::10.0.0.1", Special::Private),
            ("64:ff9b::100.64.0.1", Special::SharedByProvider),
            ("64:ff9b::127.0.0.1", Special::Loopback),
            ("64:ff9b::169.254.169.254", Special::Metadata),
            ("64:ff9b::198.18.0.1", Special::Benchmark),
            ("64:ff9b::224.0.0.1", Special::Multicast),
            ("64:ff9b::", Special::Unspecified),
        ] {
            assert_eq!(special(text.parse().unwrap()), Some(what), "{text}");
        }
        assert_eq!(behind_translator("64:ff9b::8.8.8.8".parse().unwrap()), Some([8, 8, 8, 8].into()));
        // Where in the address it stands is not said there.
        assert_eq!(behind_translator("64:ff9b:1::8.8.8.8".parse().unwrap()), None);
        for what in [Special::Translated, Special::Loopback, Special::LinkLocal, Special::Metadata, Special::Benchmark]
        {
            assert!(!what.can_be_allowed());
        }
        assert!(Special::Nat64.can_be_allowed() && Special::Private.can_be_allowed());
    }

    #[test]
    fn all_others_are_told_by_what_they_are() {
        for (special, texts) in [
            (Special::Unspecified, &["0.0.0.0", "0.1.2.3", "::"][..]),
            (Special::Loopback, &["127.0.0.1", "127.255.255.254", "::1"]),
            (
                Special::Private,
                &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12::1", "fec0::1"],
            ),
            (Special::SharedByProvider, &["100.64.0.1", "100.127.255.255"]),
            (Special::LinkLocal, &["169.254.0.1", "fe80::1", "febf::1"]),
            (
                Special::Metadata,
                &[
                    "169.254.169.254",
                    "169.254.170.2",
                    "100.100.100.200",
                    "168.63.129.16",
                    "192.0.0.192",
                    "fd00:ec2::254",
                    "fd20:ce::254",
                    "fd00:42::42",
                    "fd00:c1::a9fe:a9fe",
                ],
            ),
            (Special::Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1"]),
            (Special::Benchmark, &["198.18.0.1", "198.19.255.255", "2001:2::1"]),
            (Special::Documentation, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"]),
            (
                Special::Translated,
                &[
                    "::ffff:10.0.0.1",
                    "::ffff:8.8.8.8",
                    "::127.0.0.1",
                    "64:ff9b:1::1",
                    "2002:a00:1::1",
                    "2001::1",
                    "::ffff:0:7f00:1",
                    "192.88.99.1",
                ],
            ),
            (
                Special::Reserved,
                &["240.0.0.1", "255.255.255.255", "192.0.0.1", "100::1", "4000::1", "5f00::1", "2001:10::1"],
            ),
        ] {
            for text in texts {
                assert_eq!(super::special(text.parse().unwrap()), Some(special), "{text}");
            }
        }
    }
}
