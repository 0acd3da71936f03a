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
    /// The host's own.
    Own,
    /// Nobody's yet.
    Reserved,
}

impl Special {
    /// Whether a name may lead there if that was said of it: what is somebody's own network, and not this host.
    pub fn can_be_allowed(self) -> bool {
        matches!(self, Special::Private | Special::SharedByProvider)
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
                    "64:ff9b::a00:1",
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
