//! What one namespace has reached, and what it was refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::addresses::Special;
use crate::rule::listed;
use crate::{Name, Ports};

/// How many refusals are kept one by one.
const MOST: usize = 1000;
/// How many of one name, whose addresses, and what TLS asks for in its place, are whatever somebody says.
const MOST_OF_NAME: usize = 16;
/// How many ranges of ports are told of one refusal.
const MOST_RANGES: usize = 64;

/// What went through to a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Connections that came about.
    pub connections: u64,
    /// Those that did not, whatever the reason.
    pub failed: u64,
    /// Bytes from the namespace.
    pub sent: u64,
    /// Bytes to it.
    pub received: u64,
}

/// Why something was refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Why {
    /// The name is not allowed.
    NotAllowed,
    /// The name leads to an address that is no public one.
    Address,
    /// It is allowed on other ports.
    Port,
    /// It is an address that is no name's.
    Number,
    /// The host knows no address of it.
    Unresolved,
    /// There are too many connections, too few descriptors for one more, or too many names below a `*`.
    TooMany,
    /// Its port is somebody's inside already.
    Taken,
    /// What was sent is no TLS, or asks for another name.
    Sni,
    /// None of its addresses could be connected to, from the host.
    Unreachable,
}

impl Why {
    /// The stable name, such as `"not-allowed"`.
    pub fn name(self) -> &'static str {
        match self {
            Why::NotAllowed => "not-allowed",
            Why::Address => "address",
            Why::Port => "port",
            Why::Number => "number",
            Why::Unresolved => "unresolved",
            Why::TooMany => "too-many",
            Why::Taken => "taken",
            Why::Sni => "sni",
            Why::Unreachable => "unreachable",
        }
    }
}

/// Something that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The name, as it was asked for; or the address, if that was connected to.
    pub name: String,
    /// Why.
    pub why: Why,
    /// The address that it led to, if that is why, and what that is.
    pub address: Option<(IpAddr, Special)>,
    /// The ports that were to be reached there by TCP, if an address or a port is why.
    pub ports: Ports,
    /// Those by UDP.
    pub datagrams: Ports,
    /// The name that TLS asked for, if that is why; none: it was no TLS, or had none.
    pub sni: Option<Name>,
    /// The rules that it has, if a port is why.
    pub rules: Option<String>,
    /// How often.
    pub times: u64,
}

impl Refusal {
    fn of(name: &str, why: Why) -> Refusal {
        let (ports, datagrams) = Default::default();
        Refusal { name: name.to_owned(), why, address: None, ports, datagrams, sni: None, rules: None, times: 1 }
    }

    /// What would have been reached, as a rule has it.
    pub fn rule(&self) -> String {
        format!("{}:{}", self.name, self.listed())
    }

    /// The ports of both protocols.
    pub fn listed(&self) -> String {
        listed(&self.ports, &self.datagrams)
    }

    fn is_like(&self, other: &Refusal) -> bool {
        (&self.name, self.why, self.address, &self.sni) == (&other.name, other.why, other.address, &other.sni)
    }
}

/// What one namespace has reached and was refused, so far.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Page>);

#[derive(Debug, Default)]
struct Page {
    counts: BTreeMap<Name, Count>,
    refusals: Vec<Refusal>,
    more: u64,
    is_deaf: bool,
}

impl Page {
    /// Whether there is room for one more: no name and no kind of refusal takes all of it, and each kind leaves as much as it has itself.
    fn has_room(&self, refusal: &Refusal) -> bool {
        let of_name = self.refusals.iter().filter(|other| other.name == refusal.name).count();
        let alike = self.refusals.iter().filter(|other| other.why == refusal.why).count();
        of_name < MOST_OF_NAME && alike < MOST.saturating_sub(self.refusals.len())
    }
}

impl Tally {
    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each name that was tried, and what went through.
    pub fn counts(&self) -> Vec<(Name, Count)> {
        self.page().counts.iter().map(|(name, count)| (name.clone(), *count)).collect()
    }

    /// Whether nothing is heard of what the namespace's own kernel refuses, as there is no socket for that.
    pub fn is_deaf(&self) -> bool {
        self.page().is_deaf
    }

    pub(crate) fn deafen(&self) {
        self.page().is_deaf = true;
    }

    /// What was refused, in the order in which it came first; at most 1,000 are kept, 16 of one name, and of one kind no more than
    /// there is room left for others.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.page().refusals.clone()
    }

    /// How many refusals there were besides.
    pub fn more(&self) -> u64 {
        self.page().more
    }

    pub(crate) fn count(&self, name: &Name, change: impl FnOnce(&mut Count)) {
        let mut page = self.page();
        match page.counts.get_mut(name) {
            Some(count) => change(count),
            None => change(page.counts.entry(name.clone()).or_default()),
        }
    }

    pub(crate) fn refused(&self, name: &str, why: Why) {
        // That of the root is empty, which nobody could read.
        self.note(Refusal::of(if name.is_empty() { "." } else { name }, why));
    }

    /// `ports`: by TCP, and by UDP.
    pub(crate) fn refused_address(&self, name: &Name, address: (IpAddr, Special), ports: (Ports, Ports)) {
        let (ports, datagrams) = ports;
        self.note(Refusal { address: Some(address), ports, datagrams, ..Refusal::of(name.as_str(), Why::Address) });
    }

    pub(crate) fn refused_sni(&self, name: &Name, sni: Option<Name>) {
        self.note(Refusal { sni, ..Refusal::of(name.as_str(), Why::Sni) });
    }

    /// A port that it is not allowed on, where its rules are these.
    pub(crate) fn refused_port(&self, name: &Name, port: u16, rules: String) {
        let (ports, rules) = (Ports::one(port), Some(rules));
        self.note(Refusal { ports, rules, ..Refusal::of(name.as_str(), Why::Port) });
    }

    /// A place that is no name's.
    pub(crate) fn refused_number(&self, place: SocketAddr) {
        let refusal = Refusal::of(&place.ip().to_string(), Why::Number);
        self.note(Refusal { ports: Ports::one(place.port()), ..refusal });
    }

    fn note(&self, refusal: Refusal) {
        let mut page = self.page();
        let known = page.refusals.iter_mut().find(|it| it.is_like(&refusal));
        if let Some(known) = known {
            known.times += 1;
            for (ports, more) in [(&mut known.ports, refusal.ports), (&mut known.datagrams, refusal.datagrams)] {
                let both = ports.with(&more);
                if both.ranges() <= MOST_RANGES {
                    *ports = both;
                }
            }
        } else if page.has_room(&refusal) {
            page.refusals.push(refusal);
        } else {
            page.more += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn no_name_and_no_kind_of_refusal_keeps_others_out() {
        let tally = Tally::default();
        for number in 0..3000_u32 {
            let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            tally.refused_address(&name("one.test"), (address, Special::Private), Default::default());
            tally.refused_sni(&name("one.test"), Some(name(&format!("n{number}.test"))));
        }
        assert_eq!(tally.refusals().len(), MOST_OF_NAME);
        (0..3000).for_each(|number| tally.refused(&format!("n{number}.evil.org"), Why::NotAllowed));
        (0..3000_u32).for_each(|number| tally.refused_number(SocketAddr::new(number.to_be_bytes().into(), 80)));
        tally.refused("two.test", Why::Unresolved);
        tally.refused_port(&name("two.test"), 80, "two.test:443".to_owned());
        let (all, of) = (tally.refusals(), |why| tally.refusals().iter().filter(|it| it.why == why).count());
        assert!(all.len() < MOST && of(Why::NotAllowed) > 400 && of(Why::Number) > 200, "{}", all.len());
        assert_eq!((of(Why::Unresolved), of(Why::Port)), (1, 1));
        assert_eq!(all.iter().map(|it| it.times).sum::<u64>() + tally.more(), 12_002);
    }

    #[test]
    fn ports_of_one_name_are_one_refusal_however_many() {
        let tally = Tally::default();
        (1..=u16::MAX).step_by(2).for_each(|port| tally.refused_port(&name("one.test"), port, String::new()));
        let all = tally.refusals();
        assert_eq!((all.len(), all[0].times, all[0].ports.ranges()), (1, 32_768, MOST_RANGES));
        assert!(all[0].rule().starts_with("one.test:1,3,5,"));
    }
}
