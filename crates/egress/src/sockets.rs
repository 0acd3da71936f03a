//! The sockets that what is allowed takes of a namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::allow::DNS;
use crate::{Allow, Name, STOCK};

/// What a socket is for.
///
/// A name's port is bound to no sooner than somebody asks for the name: bind(2) to all addresses, as servers do it, would fail for a port
/// that one slot has, whether that is ever connected to or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A name's port, by TCP: it listens.
    Name(Name, u16),
    /// Neither bound nor listening: the same, of one family, once the name is asked for.
    Later {
        /// The name.
        name: Name,
        /// The port.
        port: u16,
        /// Which family.
        ipv6: bool,
    },
    /// A name's port, by UDP.
    Flows(Name, u16),
    /// Questions for names, by UDP.
    Datagrams,
    /// The same by TCP.
    Questions,
    /// What sees the connections that the namespace's kernel refuses, of IPv6 or of IPv4; it is bound nowhere.
    Refused {
        /// Which of the two.
        ipv6: bool,
    },
    /// Neither bound nor listening: for a name below a `*`, once that is asked for. Of TCP and IPv4.
    Spare,
    /// The same, for connections from outside.
    Inward,
    /// None of the namespace's: a listener outside, whose connections go to this port of the namespace's 127.0.0.1.
    Published(u16),
}

/// A socket of the namespace that the relay is to be given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Where it is bound, if it is.
    pub address: SocketAddr,
    /// What it is for.
    pub kind: Kind,
}

impl Kind {
    /// Of which family it is made, if all that is made of it is a socket of TCP that is bound nowhere.
    pub fn unbound(&self) -> Option<bool> {
        match self {
            Kind::Later { ipv6, .. } => Some(*ipv6),
            Kind::Spare | Kind::Inward => Some(false),
            _ => None,
        }
    }
}

impl Allow {
    /// The sockets, in the order in which the relay takes them: the unbound ones come last, those of one family together; `ipv6`: whether
    /// the host has it.
    pub fn sockets(&self, ipv6: bool) -> Vec<Wanted> {
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let families = &any[..if ipv6 { 2 } else { 1 }];
        let mut wanted = Vec::new();
        for address in families {
            let kinds =
                [(Kind::Datagrams, DNS), (Kind::Questions, DNS), (Kind::Refused { ipv6: address.is_ipv6() }, 0)];
            wanted.extend(kinds.map(|(kind, port)| Wanted { address: SocketAddr::new(*address, port), kind }));
        }
        for (name, slot, _, datagrams) in self.opened() {
            for port in datagrams.iter() {
                let addresses = [IpAddr::V4(slot.v4()), IpAddr::V6(slot.v6())].into_iter().take(families.len());
                wanted.extend(addresses.map(|address| {
                    let kind = Kind::Flows(name.clone(), port);
                    Wanted { address: SocketAddr::new(address, port), kind }
                }));
            }
        }
        for address in families {
            let nowhere = |kind: Kind| Wanted { address: SocketAddr::new(*address, 0), kind };
            for (name, _, streams, _) in self.opened() {
                let later = |port| Kind::Later { name: name.clone(), port, ipv6: address.is_ipv6() };
                wanted.extend(streams.iter().map(later).map(nowhere));
            }
            for (kind, is_wanted) in [(Kind::Spare, self.has_names_below()), (Kind::Inward, self.enters())] {
                let count = if is_wanted && address.is_ipv4() { STOCK } else { 0 };
                wanted.extend((0..count).map(|_| nowhere(kind.clone())));
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_bound_nowhere_before_its_name_is_asked_for_and_those_of_a_family_are_together() {
        let mut allow = Allow::nothing();
        for rule in ["github.com:22,443", "GITHUB.com:443", "*.example.org:443", "a.org:udp/123"] {
            allow.add(&rule.parse().unwrap()).unwrap();
        }
        allow.enter(true);
        let sockets = allow.sockets(true);
        let unbound: Vec<Option<bool>> = sockets.iter().map(|wanted| wanted.kind.unbound()).collect();
        let expected = [vec![None; 6 + 2], vec![Some(false); 2 + 2 * STOCK], vec![Some(true); 2]].concat();
        assert_eq!(unbound, expected);
        let slot = |wanted: &Wanted| allow.at(wanted.address.ip()).map(|name| name.as_str().to_owned());
        assert_eq!(
            sockets[6..8].iter().map(slot).collect::<Vec<_>>(),
            [Some("a.org".to_owned()), Some("a.org".to_owned())]
        );
        assert!(
            sockets.iter().filter(|wanted| wanted.kind.unbound().is_some()).all(|wanted| wanted.address.port() == 0)
        );
        assert_eq!(allow.sockets(false).len(), 3 + 1 + 2 + 2 * STOCK);
    }
}
