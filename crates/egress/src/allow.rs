//! All that is allowed, and the sockets that it takes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::slots::{self, Slots};
use crate::{Name, Pattern, Ports, Rule};

/// How many listeners one namespace can have.
const MOST_LISTENERS: usize = 1024;
/// Where names are asked for.
const DNS: u16 = 53;

/// The names that are allowed, each with its ports and its slot.
#[derive(Clone, Default, Debug)]
pub struct Allow {
    names: BTreeMap<Name, Ports>,
    slots: Slots,
}

/// Why rules cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AllowError {
    /// All names below one.
    #[error("a `*` is not possible yet: allow each name")]
    Wildcard,
    /// The name server is there.
    #[error("port 53 is where names are asked for inside: it leads to no other server")]
    Dns,
    /// More sockets than there may be.
    #[error("all names and ports together take more than {MOST_LISTENERS} listeners")]
    TooMany,
}

/// What a socket is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A name's port, by TCP.
    Name(Name, u16),
    /// Questions for names, by UDP.
    Datagrams,
    /// The same by TCP.
    Questions,
}

/// A socket of the namespace that the relay is to be given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Where it is bound.
    pub address: SocketAddr,
    /// What it is for.
    pub kind: Kind,
}

impl Allow {
    /// Nothing is allowed.
    pub fn nothing() -> Allow {
        Allow::default()
    }

    /// This as well; of two rules for a name, the ports of both.
    pub fn add(&mut self, rule: &Rule) -> Result<(), AllowError> {
        let Pattern::Exact(name) = &rule.pattern else { return Err(AllowError::Wildcard) };
        if rule.ports.contains(DNS) {
            return Err(AllowError::Dns);
        }
        let before = self.names.get(name);
        let ports = before.map_or_else(|| rule.ports.clone(), |ports| ports.with(&rule.ports));
        let of_others: usize =
            self.names.iter().filter(|(other, _)| *other != name).map(|(_, ports)| ports.count()).sum();
        // One of each family.
        if (of_others + ports.count()) * 2 > MOST_LISTENERS || self.slots.give(name).is_none() {
            return Err(AllowError::TooMany);
        }
        self.names.insert(name.clone(), ports);
        Ok(())
    }

    /// Each name with its ports.
    pub fn names(&self) -> impl Iterator<Item = (&Name, &Ports)> {
        self.names.iter()
    }

    /// Their slots.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The sockets, in the order in which the relay takes them; `ipv6`: whether the host has it.
    pub fn sockets(&self, ipv6: bool) -> Vec<Wanted> {
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let families = if ipv6 { 2 } else { 1 };
        let mut wanted = Vec::new();
        for address in any.into_iter().take(families) {
            for kind in [Kind::Datagrams, Kind::Questions] {
                wanted.push(Wanted { address: SocketAddr::new(address, DNS), kind });
            }
        }
        for (name, ports) in &self.names {
            let Some(slot) = self.slots.of(name.as_str()) else { continue };
            let addresses = [IpAddr::V4(slot.v4()), IpAddr::V6(slot.v6())];
            for port in ports.iter() {
                let each = addresses.iter().take(families).map(|address| SocketAddr::new(*address, port));
                wanted.extend(each.map(|address| Wanted { address, kind: Kind::Name(name.clone(), port) }));
            }
        }
        wanted
    }

    /// The name that lies at this address.
    pub fn at(&self, address: IpAddr) -> Option<&Name> {
        self.slots.name(slots::Slot::of(address)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(rules: &[&str]) -> Result<Allow, AllowError> {
        let mut allow = Allow::nothing();
        rules.iter().try_for_each(|rule| allow.add(&rule.parse().unwrap()))?;
        Ok(allow)
    }

    #[test]
    fn a_listener_is_bound_to_the_slot_alone() {
        let allow = allow(&["github.com:22,443", "GITHUB.com:443"]).unwrap();
        let sockets = allow.sockets(true);
        assert_eq!(sockets.len(), 4 + 4);
        for wanted in &sockets[4..] {
            assert!(!wanted.address.ip().is_unspecified());
            assert_eq!(allow.at(wanted.address.ip()).map(Name::as_str), Some("github.com"));
        }
        assert_eq!(allow.sockets(false).len(), 2 + 2);
    }

    #[test]
    fn nothing_allowed_still_has_its_name_server() {
        assert_eq!(Allow::nothing().sockets(true).len(), 4);
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        assert_eq!(allow(&["*.example.org"]).unwrap_err(), AllowError::Wildcard);
        assert_eq!(allow(&["a.org:50-60"]).unwrap_err(), AllowError::Dns);
        assert!(allow(&["a.org:1000-1511"]).is_ok());
        assert_eq!(allow(&["a.org:1000-1511", "b.org"]).unwrap_err(), AllowError::TooMany);
    }
}
