//! All that is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::rule::listed;
use crate::slots::{Slot, Slots};
use crate::{Name, Pattern, Ports, Rule};

/// How many listeners one namespace can have.
const MOST_LISTENERS: usize = 1024;
/// How many sockets wait for the names below a `*`, one for each port of each name.
pub const STOCK: usize = 128;
/// How many rules there can be, as each is compared with all others.
const MOST_RULES: usize = 1024;
/// Where names are asked for.
pub(crate) const DNS: u16 = 53;
/// Rules of one name that are told.
const MOST_SHOWN: usize = 4;
/// Overlaps that are told one by one.
const MOST_OVERLAPS: usize = 20;

/// The name of the host's own loopback.
pub const HOST: &str = "host.internal";

/// The names that are allowed, each with its ports and its slot.
#[derive(Clone, Default, Debug)]
pub struct Allow {
    /// As they were given; whether private addresses are meant.
    rules: Vec<(Rule, bool)>,
    exact: BTreeMap<Name, Open>,
    /// By what stands behind the `*`.
    below: BTreeMap<Name, Open>,
    /// Names that some of them lie below.
    parents: BTreeSet<String>,
    /// Of all exact names, in all.
    ports: usize,
    slots: Slots,
    /// Names whose addresses are said, so that nobody is asked for them.
    placed: BTreeMap<Name, Vec<IpAddr>>,
    requires_sni: bool,
    enters: bool,
}

/// What is open of names.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Open {
    streams: Access,
    datagrams: Access,
}

/// What is open by one protocol.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Access {
    ports: Ports,
    /// Those that may be at private addresses.
    private: Ports,
}

impl Open {
    fn with(&self, other: &Open) -> Open {
        Open { streams: self.streams.with(&other.streams), datagrams: self.datagrams.with(&other.datagrams) }
    }

    /// How many sockets of one family it takes.
    fn count(&self) -> usize {
        self.streams.ports.count() + self.datagrams.ports.count()
    }
}

impl Access {
    fn to(ports: &Ports, private: bool) -> Access {
        Access { ports: ports.clone(), private: if private { ports.clone() } else { Ports::default() } }
    }

    fn with(&self, other: &Access) -> Access {
        Access { ports: self.ports.with(&other.ports), private: self.private.with(&other.private) }
    }
}

/// Why rules cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AllowError {
    /// More ports of each name below one than there are sockets for all of them.
    #[error("each name below the `*` would take {0} sockets, and there are {STOCK} for all such names")]
    Stock(usize),
    /// UDP to names that nobody knows yet.
    #[error("UDP goes to names that are written out: what waits for names below a `*` are sockets of TCP")]
    DatagramsBelow,
    /// The name server is there.
    #[error("port 53 is where names are asked for inside: it leads to no other server")]
    Dns,
    /// The name of the host itself.
    #[error("{HOST} is the host's own loopback, which is opened by its ports")]
    Host,
    /// More sockets than there may be.
    #[error("all names and ports together take more than {MOST_LISTENERS} listeners")]
    TooMany,
    /// More rules than there may be.
    #[error("there can be {MOST_RULES} rules")]
    TooManyRules,
}

impl Allow {
    /// Nothing is allowed.
    pub fn nothing() -> Allow {
        Allow::default()
    }

    /// This as well, as far as the name leads to public addresses; of several rules for a name, the ports of all.
    pub fn add(&mut self, rule: &Rule) -> Result<(), AllowError> {
        self.grant(rule, false)
    }

    /// This as well, also where the name leads to private addresses (RFC 1918, 100.64.0.0/10, fc00::/7) that are not the host's own.
    pub fn add_private(&mut self, rule: &Rule) -> Result<(), AllowError> {
        self.grant(rule, true)
    }

    /// A port of the host's own 127.0.0.1, by the name [`HOST`].
    pub fn add_loopback(&mut self, port: u16) -> Result<(), AllowError> {
        if port == DNS {
            return Err(AllowError::Dns);
        }
        let host: Name = HOST.parse().map_err(|_| AllowError::Host)?;
        self.open_exact(&host, &Open { streams: Access::to(&Ports::one(port), false), datagrams: Access::default() })
    }

    /// An allowed name leads to this address, and no others but those that are said as well; it is judged as any other. `false`: the name is not
    /// allowed, or the host's own loopback.
    pub fn place(&mut self, name: &Name, address: IpAddr) -> bool {
        let open = self.open(name);
        let is_allowed = name.as_str() != HOST && open.count() > 0;
        if is_allowed {
            self.placed.entry(name.clone()).or_default().push(address);
        }
        is_allowed
    }

    /// Where a name leads by [`Allow::place`]; empty: wherever the host says.
    pub fn placed(&self, name: &Name) -> &[IpAddr] {
        self.placed.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// All such names.
    pub fn all_placed(&self) -> impl Iterator<Item = (&Name, &[IpAddr])> {
        self.placed.iter().map(|(name, addresses)| (name, addresses.as_slice()))
    }

    /// Whether a connection has to begin with TLS, and ask for the name that it is to.
    pub fn require_sni(&mut self, on: bool) {
        self.requires_sni = on;
    }

    /// The same.
    pub fn requires_sni(&self) -> bool {
        self.requires_sni
    }

    /// Whether connections from outside come in, at most [`STOCK`] at once.
    pub fn enter(&mut self, on: bool) {
        self.enters = on;
    }

    fn grant(&mut self, rule: &Rule, private: bool) -> Result<(), AllowError> {
        if rule.ports.contains(DNS) || rule.datagrams.contains(DNS) {
            return Err(AllowError::Dns);
        }
        if self.rules.len() == MOST_RULES {
            return Err(AllowError::TooManyRules);
        }
        let open = Open { streams: Access::to(&rule.ports, private), datagrams: Access::to(&rule.datagrams, private) };
        match &rule.pattern {
            Pattern::Exact(name) if name.as_str() == HOST => return Err(AllowError::Host),
            Pattern::Below(_) if rule.datagrams.count() > 0 => return Err(AllowError::DatagramsBelow),
            Pattern::Exact(name) => self.open_exact(name, &open)?,
            Pattern::Below(above) => self.open_below(above, &open)?,
        }
        self.rules.push((rule.clone(), private));
        Ok(())
    }

    fn open_exact(&mut self, name: &Name, open: &Open) -> Result<(), AllowError> {
        let own = self.exact.get(name).map_or_else(|| open.clone(), |own| own.with(open));
        let others = self.ports - self.exact.get(name).map_or(0, |_| self.open(name).count());
        let all = others + self.above(name).with(&own).count();
        // One of each family.
        if all * 2 > MOST_LISTENERS || self.slots.give(name).is_none() {
            return Err(AllowError::TooMany);
        }
        self.ports = all;
        self.exact.insert(name.clone(), own);
        self.parents.extend(name.parents().map(str::to_owned));
        Ok(())
    }

    fn open_below(&mut self, above: &Name, open: &Open) -> Result<(), AllowError> {
        let before = self.below.get(above).cloned();
        self.below.insert(above.clone(), before.as_ref().map_or_else(|| open.clone(), |own| own.with(open)));
        let each =
            |above: &Name| self.below.get(above).map_or_else(Open::default, Clone::clone).with(&self.above(above));
        let deepest = self.below.keys().filter(|other| *other == above || other.is_below(above));
        let most = deepest.map(|above| each(above).count()).max().unwrap_or_default();
        let all = self.exact.keys().map(|name| self.open(name).count()).sum();
        let refused = match () {
            () if most > STOCK => AllowError::Stock(most),
            () if all * 2 > MOST_LISTENERS => AllowError::TooMany,
            () => {
                self.ports = all;
                self.parents.extend(above.parents().chain([above.as_str()]).map(str::to_owned));
                return Ok(());
            }
        };
        match before {
            Some(before) => drop(self.below.insert(above.clone(), before)),
            None => drop(self.below.remove(above)),
        }
        Err(refused)
    }

    /// What rules with a `*` open of a name.
    fn above(&self, name: &Name) -> Open {
        // The host is nobody's name.
        let parents = name.parents().filter(|_| name.as_str() != HOST);
        parents.filter_map(|above| self.below.get(above)).fold(Open::default(), |all, open| all.with(open))
    }

    fn open(&self, name: &Name) -> Open {
        let above = self.above(name);
        self.exact.get(name).map_or_else(|| above.clone(), |own| above.with(own))
    }

    /// All ports of a name by TCP, or `None` if it is not allowed.
    pub fn ports_of(&self, name: &Name) -> Option<Ports> {
        Some(self.open(name).streams.ports).filter(|ports| ports.count() > 0)
    }

    /// All its ports by UDP.
    pub fn datagrams_of(&self, name: &Name) -> Ports {
        self.open(name).datagrams.ports
    }

    /// Whether any name has some.
    pub fn has_datagrams(&self) -> bool {
        self.exact.values().any(|open| open.datagrams.ports.count() > 0)
    }

    /// Whether this port of a name by TCP may be at a private address.
    pub fn is_private(&self, name: &Name, port: u16) -> bool {
        self.open(name).streams.private.contains(port)
    }

    /// The same by UDP.
    pub fn is_private_by_datagrams(&self, name: &Name, port: u16) -> bool {
        self.open(name).datagrams.private.contains(port)
    }

    /// Whether allowed names lie below it: then it is there, with nothing of its own.
    pub(crate) fn is_above(&self, name: &str) -> bool {
        self.parents.contains(name)
    }

    /// Whether it has a rule of its own, and with that its sockets before anybody asks for it.
    pub(crate) fn is_exact(&self, name: &str) -> bool {
        self.exact.contains_key(name)
    }

    /// The slot of a name below a `*`. It is no other's from here on.
    pub(crate) fn give_slot(&mut self, name: &Name) -> Option<Slot> {
        self.slots.give(name)
    }

    /// What is allowed, each in one line.
    pub fn lines(&self) -> Vec<String> {
        self.rules
            .iter()
            .map(shown)
            .chain(self.exact.get(HOST).map(|open| format!("{HOST}:{}", open.streams.ports)))
            .collect()
    }

    /// What comes of rules that are about the same names, each in one line.
    pub fn overlaps(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, one) in self.rules.iter().enumerate() {
            for other in self.rules.iter().skip(number + 1) {
                let (wide, narrow) = match () {
                    () if one.0.pattern.covers(&other.0.pattern) => (one, other),
                    () if other.0.pattern.covers(&one.0.pattern) => (other, one),
                    () => continue,
                };
                let ports = wide.0.ports.with(&narrow.0.ports);
                let datagrams = wide.0.datagrams.with(&narrow.0.datagrams);
                let adds = (&ports, &datagrams) != (&wide.0.ports, &wide.0.datagrams) || (narrow.1 && !wide.1);
                lines.push(if !adds {
                    format!("{} adds nothing to {}: the wider one holds", shown(narrow), shown(wide))
                } else {
                    let private: Vec<&Rule> = [wide, narrow].into_iter().filter(|it| it.1).map(|it| &it.0).collect();
                    let all =
                        |of: fn(&Rule) -> &Ports| private.iter().fold(Ports::default(), |all, rule| all.with(of(rule)));
                    let at_private = listed(&all(|rule| &rule.ports), &all(|rule| &rule.datagrams));
                    let has = listed(&ports, &datagrams);
                    let private = match () {
                        () if private.is_empty() => String::new(),
                        () if at_private == has => ", also at private addresses".to_owned(),
                        () => format!(", also at private addresses {at_private}"),
                    };
                    let (both, name) = (format!("{} beside {}", shown(narrow), shown(wide)), &narrow.0.pattern);
                    format!("{both}: {name} has ports {has}{private}")
                });
            }
        }
        let more = lines.len().saturating_sub(MOST_OVERLAPS);
        lines.truncate(MOST_OVERLAPS);
        lines.extend((more > 0).then(|| format!("{more} more overlaps of rules")));
        lines
    }

    /// Their slots.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Each exact name, and its ports by TCP and by UDP.
    pub(crate) fn opened(&self) -> impl Iterator<Item = (&Name, Slot, Ports, Ports)> {
        self.exact.keys().filter_map(|name| {
            let Open { streams, datagrams } = self.open(name);
            Some((name, self.slots.of(name.as_str())?, streams.ports, datagrams.ports))
        })
    }

    /// Whether there are names that are not known before they are asked for.
    pub(crate) fn has_names_below(&self) -> bool {
        !self.below.is_empty()
    }

    /// Whether connections from outside come in.
    pub(crate) fn enters(&self) -> bool {
        self.enters
    }

    /// The rules that a name has, joined.
    pub(crate) fn rules_of(&self, name: &Name) -> String {
        let rules = self.rules.iter().map(|(rule, _)| rule).filter(|rule| rule.pattern.is_of(name));
        let own = self.exact.get(HOST).filter(|_| name.as_str() == HOST);
        let own = own.map(|open| format!("{HOST}:{}", open.streams.ports));
        let mut lines: Vec<String> = rules.map(Rule::to_string).chain(own).collect();
        let more = lines.len().saturating_sub(MOST_SHOWN);
        lines.truncate(MOST_SHOWN);
        lines.extend((more > 0).then(|| format!("{more} more")));
        lines.join(" and ")
    }

    /// The name that lies at this address.
    pub fn at(&self, address: IpAddr) -> Option<&Name> {
        self.slots.name(Slot::of(address)?)
    }
}

fn shown((rule, private): &(Rule, bool)) -> String {
    let private = if *private { " (private addresses, too)" } else { "" };
    format!("{rule}{private}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn allow(rules: &[&str]) -> Result<Allow, AllowError> {
        let mut allow = Allow::nothing();
        rules.iter().try_for_each(|rule| allow.add(&rule.parse().unwrap()))?;
        Ok(allow)
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_port_by_udp_has_a_socket_of_its_own_and_is_none_of_tcp() {
        let mut allow = allow(&["a.org:443,udp/443", "b.org:udp/123"]).unwrap();
        let kinds: Vec<Kind> = allow.sockets(false).into_iter().skip(3).map(|wanted| wanted.kind).collect();
        let (a, b) = (name("a.org"), name("b.org"));
        let later = Kind::Later { name: a.clone(), port: 443, ipv6: false };
        assert_eq!(kinds, [Kind::Flows(a.clone(), 443), Kind::Flows(b.clone(), 123), later]);
        assert_eq!((allow.ports_of(&b), allow.datagrams_of(&b).to_string().as_str()), (None, "123"));
        allow.add_private(&"b.org:udp/5353".parse().unwrap()).unwrap();
        assert!(allow.is_private_by_datagrams(&b, 5353) && !allow.is_private_by_datagrams(&b, 123));
        assert!(!allow.is_private(&b, 5353) && allow.has_datagrams());
        assert_eq!(allow.add(&"*.c.org:udp/123".parse().unwrap()), Err(AllowError::DatagramsBelow));
        assert_eq!(allow.add(&"c.org:udp/53".parse().unwrap()), Err(AllowError::Dns));
        let said = self::allow(&["*.d.org:443", "a.d.org:udp/443"]).unwrap().overlaps();
        assert_eq!(said, ["a.d.org:udp/443 beside *.d.org:443: a.d.org has ports 443,udp/443"]);
    }

    #[test]
    fn nothing_allowed_still_has_its_name_server() {
        assert_eq!(Allow::nothing().sockets(true).len(), 6);
    }

    #[test]
    fn a_name_has_the_ports_of_all_rules_that_are_about_it() {
        let mut allow = allow(&["*.example.org:443", "*.b.example.org:80", "a.example.org:22"]).unwrap();
        allow.add_private(&"*.b.example.org:5432".parse().unwrap()).unwrap();
        let ports = |text: &str| allow.ports_of(&name(text)).map(|ports| ports.to_string());
        assert_eq!(ports("a.example.org").as_deref(), Some("22,443"));
        assert_eq!(ports("x.example.org").as_deref(), Some("443"));
        assert_eq!(ports("x.b.example.org").as_deref(), Some("80,443,5432"));
        assert_eq!(ports("example.org"), None, "a `*` is not the name itself");
        assert_eq!(ports("badexample.org"), None);
        assert!(allow.is_private(&name("x.b.example.org"), 5432));
        assert!(!allow.is_private(&name("x.b.example.org"), 443) && !allow.is_private(&name("a.example.org"), 5432));
        // The exact one has its own, the others have what is spare.
        assert_eq!(allow.sockets(false).len(), 3 + 2 + STOCK);
        assert_eq!(allow.overlaps().len(), 4);
    }

    #[test]
    fn overlaps_are_told_by_what_comes_of_them() {
        let said = |rules: &[&str]| allow(rules).unwrap().overlaps();
        assert_eq!(said(&["a.org", "b.org"]), Vec::<String>::new());
        assert_eq!(
            said(&["a.example.org", "*.example.org:80,443"]),
            ["a.example.org:443 adds nothing to *.example.org:80,443: the wider one holds"]
        );
        assert_eq!(
            said(&["*.example.org", "a.example.org:22"]),
            ["a.example.org:22 beside *.example.org:443: a.example.org has ports 22,443"]
        );
        let beside = |rule: &str| {
            let mut both = allow(&["*.a.org"]).unwrap();
            both.add_private(&rule.parse().unwrap()).unwrap();
            both.overlaps()
        };
        let private = "(private addresses, too) beside *.a.org:443: x.a.org has ports";
        assert_eq!(beside("x.a.org"), [format!("x.a.org:443 {private} 443, also at private addresses")]);
        assert_eq!(beside("x.a.org:22"), [format!("x.a.org:22 {private} 22,443, also at private addresses 22")]);
        let many: Vec<String> = (0..30).map(|port| format!("a.org:{}", port + 100)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(said(&many).len(), MOST_OVERLAPS + 1);
    }

    #[test]
    fn the_hosts_loopback_is_a_name_of_its_own() {
        let mut allow = allow(&["a.org"]).unwrap();
        assert_eq!(allow.ports_of(&name(HOST)), None);
        allow.add_loopback(5432).unwrap();
        allow.add_loopback(6379).unwrap();
        assert_eq!(allow.ports_of(&name(HOST)).map(|ports| ports.to_string()).as_deref(), Some("5432,6379"));
        assert_eq!(allow.sockets(false).len(), 3 + 1 + 2);
        assert_eq!(allow.add_loopback(53), Err(AllowError::Dns));
        assert_eq!(allow.add(&HOST.parse().unwrap()), Err(AllowError::Host));
        assert_eq!(allow.sockets(false).len(), 3 + 1 + 2, "what is refused leaves nothing");
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        assert_eq!(allow(&["a.org:50-60"]).unwrap_err(), AllowError::Dns);
        assert!(allow(&["a.org:1000-1511"]).is_ok());
        assert_eq!(allow(&["a.org:1000-1511", "b.org"]).unwrap_err(), AllowError::TooMany);
        assert!(allow(&["*.example.org:1000-1127"]).is_ok());
        assert_eq!(allow(&["*.example.org:1000-1128"]).unwrap_err(), AllowError::Stock(129));
        let many: Vec<String> = (0..=MOST_RULES).map(|number| format!("*.n{number}.example.org")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(allow(&many).unwrap_err(), AllowError::TooManyRules);
        assert!(allow(&many[1..]).is_ok());
        let both = allow(&["*.example.org:1000-1100", "*.a.example.org:2000-2100"]);
        assert_eq!(both.unwrap_err(), AllowError::Stock(202), "names below both have the ports of both");
        let other = allow(&["*.a.example.org:2000-2100", "*.example.org:1000-1100"]);
        assert_eq!(other.unwrap_err(), AllowError::Stock(202), "in whichever order");
        let mut some = allow(&["a.org:1000-1500"]).unwrap();
        assert_eq!(some.add(&"b.org:1-20".parse().unwrap()), Err(AllowError::TooMany));
        some.add(&"b.org:1-10".parse().unwrap()).unwrap();
        assert_eq!(
            some.ports_of(&name("b.org")).map(|ports| ports.count()),
            Some(10),
            "what is refused leaves nothing"
        );
    }
}
