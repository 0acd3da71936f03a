//! Elements: what a container is in the sets and maps of the table.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Publish;
use crate::message::Attributes;

/// An element of a set, or of a map with what it leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Element {
    pub(crate) set: &'static str,
    pub(crate) key: Vec<u8>,
    pub(crate) data: Option<Vec<u8>>,
}

impl Element {
    /// What `NFTA_SET_ELEM_LIST_ELEMENTS` holds.
    pub(super) fn encode(&self, a: &mut Attributes<'_>) {
        a.nest(1, |a| {
            a.nest(1, |a| a.put(1, &self.key));
            if let Some(data) = &self.data {
                a.nest(2, |a| a.put(1, data));
            }
        });
    }
}

/// The elements by the set that they are in; what each set means is in `rules.rs`.
pub(crate) mod sets {
    use super::*;

    fn name(link: &str) -> [u8; 16] {
        let mut padded = [0; 16];
        for (place, byte) in padded.iter_mut().take(15).zip(link.bytes()) {
            *place = byte;
        }
        padded
    }

    fn element(set: &'static str, parts: &[&[u8]]) -> Element {
        Element { set, key: parts.concat(), data: None }
    }

    pub(crate) fn inside(link: &str) -> Element {
        element("inside", &[&name(link)])
    }

    pub(crate) fn localnet(link: &str) -> Element {
        element("localnet", &[&name(link)])
    }

    pub(crate) fn given(link: &str) -> Element {
        element("given", &[&name(link), &name(link)])
    }

    pub(crate) fn guest(link: &str, address: Ipv4Addr) -> Element {
        element("guest", &[&name(link), &address.octets()])
    }

    pub(crate) fn guest6(link: &str, address: Ipv6Addr) -> Element {
        element("guest6", &[&name(link), &address.octets()])
    }

    pub(crate) fn peer(link: &str, address: Ipv4Addr) -> Element {
        element("peer", &[&name(link), &name(link), &address.octets()])
    }

    pub(crate) fn peer6(link: &str, address: Ipv6Addr) -> Element {
        element("peer6", &[&name(link), &name(link), &address.octets()])
    }

    pub(crate) fn nat4(address: Ipv4Addr) -> Element {
        element("nat4", &[&address.octets()])
    }

    pub(crate) fn nat6(address: Ipv6Addr) -> Element {
        element("nat6", &[&address.octets()])
    }

    pub(crate) fn host4(address: Ipv4Addr) -> Element {
        element("host4", &[&address.octets()])
    }

    pub(crate) fn host6(address: Ipv6Addr) -> Element {
        element("host6", &[&address.octets()])
    }

    pub(crate) fn local4(address: Ipv4Addr) -> Element {
        element("local4", &[&address.octets()])
    }

    pub(crate) fn local6(address: Ipv6Addr) -> Element {
        element("local6", &[&address.octets()])
    }

    pub(crate) fn publish(publish: &Publish, to: Ipv4Addr) -> Element {
        let protocol = [publish.protocol.number(), 0, 0, 0];
        let port = padded(publish.host_port);
        let data = Some([to.octets(), padded(publish.port)].concat());
        match publish.host {
            Some(host) => Element { set: "publish", key: [host.octets(), protocol, port].concat(), data },
            None => Element { set: "publish_any", key: [protocol, port].concat(), data },
        }
    }

    fn padded(port: u16) -> [u8; 4] {
        let [high, low] = port.to_be_bytes();
        [high, low, 0, 0]
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::Protocol;

        #[test]
        fn keys_are_what_nft_writes() {
            let one = Publish::parse("10.0.0.1:80:8080").unwrap()[0];
            let element = publish(&one, Ipv4Addr::new(10, 1, 0, 2));
            assert_eq!(element.key, [10, 0, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0]);
            assert_eq!(element.data, Some(vec![10, 1, 0, 2, 0x1f, 0x90, 0, 0]));
            let any = publish(&Publish { host: None, protocol: Protocol::Udp, ..one }, Ipv4Addr::new(10, 1, 0, 2));
            assert_eq!((any.set, any.key), ("publish_any", vec![17, 0, 0, 0, 0, 80, 0, 0]));
            assert_eq!(inside("br0").key, *b"br0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        }
    }
}
