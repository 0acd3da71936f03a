//! What one namespace has reached, and what it was refused.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::addresses::Special;
use crate::rule::listed;
use crate::{Name, Ports};

/// How many refusals are kept one by one.
const MOST: usize = 1000;

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
    /// The name, as it was asked for.
    pub name: String,
    /// Why.
    pub why: Why,
    /// The address that it led to, if that is why, and what that is.
    pub address: Option<(IpAddr, Special)>,
    /// The ports that were to be reached there by TCP, if an address is why.
    pub ports: Ports,
    /// Those by UDP.
    pub datagrams: Ports,
    /// The name that TLS asked for, if that is why; none: it was no TLS, or had none.
    pub sni: Option<Name>,
    /// How often.
    pub times: u64,
}

impl Refusal {
    fn of(name: &str, why: Why) -> Refusal {
        let (ports, datagrams) = Default::default();
        Refusal { name: name.to_owned(), why, address: None, ports, datagrams, sni: None, times: 1 }
    }

    /// What would have been reached, as a rule has it.
    pub fn rule(&self) -> String {
        format!("{}:{}", self.name, listed(&self.ports, &self.datagrams))
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
}

impl Tally {
    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each name that was tried, and what went through.
    pub fn counts(&self) -> Vec<(Name, Count)> {
        self.page().counts.iter().map(|(name, count)| (name.clone(), *count)).collect()
    }

    /// What was refused, in the order in which it came first; at most 1,000 are kept.
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

    fn note(&self, refusal: Refusal) {
        let mut page = self.page();
        let known = page.refusals.iter_mut().find(|it| it.is_like(&refusal));
        if let Some(known) = known {
            known.times += 1;
            known.ports = known.ports.with(&refusal.ports);
            known.datagrams = known.datagrams.with(&refusal.datagrams);
        } else if page.refusals.len() < MOST {
            page.refusals.push(refusal);
        } else {
            page.more += 1;
        }
    }
}
