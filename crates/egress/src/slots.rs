//! The addresses of names: 198.19.0.0/16 of what is set aside for benchmarks (RFC 2544), and as many of what is set aside for local
//! translation (64:ff9b:1::/48, RFC 8215). None of them is anybody's outside.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Name;

/// The address of the namespace itself, and of the name server that its resolv.conf says.
pub const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The same of IPv6.
pub const OWN6: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 1);
/// How many names can have one.
pub const MOST: usize = 1 << 16;

/// The place of a name among all slots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Slot(u16);

impl Slot {
    /// Its address.
    pub fn v4(self) -> Ipv4Addr {
        let [high, low] = self.0.to_be_bytes();
        Ipv4Addr::new(198, 19, high, low)
    }

    /// The same of IPv6.
    pub fn v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 1, self.0)
    }

    /// Whose address this is.
    pub fn of(address: IpAddr) -> Option<Slot> {
        match address {
            IpAddr::V4(address) => match address.octets() {
                [198, 19, high, low] => Some(Slot(u16::from_be_bytes([high, low]))),
                _ => None,
            },
            IpAddr::V6(address) => match address.segments() {
                [0x64, 0xff9b, 1, 0, 0, 0, 1, slot] => Some(Slot(slot)),
                _ => None,
            },
        }
    }
}

/// Which name has which.
#[derive(Clone, Default, Debug)]
pub struct Slots {
    names: BTreeMap<Slot, Name>,
    slots: BTreeMap<Name, Slot>,
}

impl Slots {
    /// The slot of a name, which has one from here on: the same in every container that has the same names before it, and mostly
    /// in all, as it begins with a hash of the name. `None`: there are no more.
    pub fn give(&mut self, name: &Name) -> Option<Slot> {
        if let Some(slot) = self.slots.get(name) {
            return Some(*slot);
        }
        // FNV-1a: a program may write an address down, so it has to be the same in every version.
        let hash = name
            .as_str()
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let first = (hash >> 16) as u16 ^ hash as u16;
        let slot =
            (0..=u16::MAX).map(|step| Slot(first.wrapping_add(step))).find(|slot| !self.names.contains_key(slot))?;
        self.names.insert(slot, name.clone());
        self.slots.insert(name.clone(), slot);
        Some(slot)
    }

    /// The slot that a name has.
    pub fn of(&self, name: &str) -> Option<Slot> {
        self.slots.get(name).copied()
    }

    /// Whose it is.
    pub fn name(&self, slot: Slot) -> Option<&Name> {
        self.names.get(&slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_slot_that_no_other_has() {
        let mut slots = Slots::default();
        let name = |number: usize| format!("n{number}.example.org").parse::<Name>().unwrap();
        let given: Vec<Slot> = (0..MOST).map(|number| slots.give(&name(number)).unwrap()).collect();
        let mut once = given.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), MOST);
        assert_eq!(slots.give(&name(MOST)), None);
        assert_eq!(slots.give(&name(7)), Some(given[7]));
        assert_eq!(slots.name(given[7]), Some(&name(7)));
        assert_eq!(slots.of("n7.example.org"), Some(given[7]));
    }

    #[test]
    fn a_slot_is_the_same_wherever_it_is_asked_for() {
        let slot = Slots::default().give(&"github.com".parse().unwrap()).unwrap();
        assert_eq!(slot, Slots::default().give(&"github.com".parse().unwrap()).unwrap());
        assert_eq!(Slot::of(slot.v4().into()), Some(slot));
        assert_eq!(Slot::of(slot.v6().into()), Some(slot));
        assert_eq!(Slot::of(OWN.into()), None);
        assert_eq!(Slot::of(OWN6.into()), None);
    }
}
