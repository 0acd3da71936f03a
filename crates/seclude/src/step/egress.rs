//! A network of names: every address is the container's own, and those of allowed names lead to the relay in this process.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::process::{Resource, getrlimit};
use seclude_child::Op;
use seclude_egress::{Allow, AllowError, Kind, Rule, STOCK, Seat, Wanted, slots};
use seclude_net::{Protocol, Publish};
use seclude_request::{Field, Remedy};

use super::{Preparation, Step, published};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::network::Names;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::program::Program;
use crate::reach::{Reach, Reaching};
use crate::report::Connection;

const NAME: &str = "egress";
/// Descriptors that a start has open at a time besides.
const BESIDES: u64 = 32;

struct Egress {
    allow: Allow,
    ipv6: bool,
    sockets: Vec<Wanted>,
    /// Requests of rtnetlink, and what each is about.
    routes: Vec<(&'static str, Vec<u8>)>,
    refusal: Option<Arc<str>>,
    publish: Vec<Publish>,
}

/// What is allowed, all together.
fn allowed(names: &Names) -> Result<Allow> {
    let mut allow = Allow::nothing();
    allow.require_sni(names.requires_sni);
    allow.enter(!names.publish.is_empty());
    type Add = fn(&mut Allow, &Rule) -> std::result::Result<(), AllowError>;
    for (key, rules, add) in
        [("allow", &names.rules, Allow::add as Add), ("allow_private", &names.private, Allow::add_private)]
    {
        for (index, rule) in rules.iter().enumerate() {
            add(&mut allow, rule).map_err(|error| refused(key, index, &rule.to_string(), &error))?;
        }
    }
    if allow.requires_sni() && allow.has_datagrams() {
        let action = "what goes by UDP does not begin with TLS that asks for its name";
        let hint = Hint::from("leave the ports of UDP out").with([Remedy::set("network.sni", "off")]);
        return Err(Error::invalid(NAME, action).at("network.sni").contradicting().hint(hint));
    }
    for (index, port) in names.loopback.iter().enumerate() {
        allow.add_loopback(*port).map_err(|error| refused("allow_loopback", index, &port.to_string(), &error))?;
    }
    Ok(allow)
}

/// The same, with where its names lead by the request's own lines for /etc/hosts.
pub(crate) fn allowed_with(names: &Names, command: &Config) -> Result<Allow> {
    let mut allow = allowed(names)?;
    for (address, name) in &command.host_entries {
        if let Ok(name) = name.parse() {
            allow.place(&name, *address);
        }
    }
    Ok(allow)
}

/// Whether a line for /etc/hosts says where the relay is to connect, and nothing inside.
pub(super) fn is_placed(allow: &Allow, name: &str) -> bool {
    name.parse().is_ok_and(|name| !allow.placed(&name).is_empty())
}

fn refused(key: &str, index: usize, what: &str, error: &AllowError) -> Error {
    let field = Field::of("network").key(key).index(index);
    let remedies = matches!(error, AllowError::Host).then(|| Remedy::give("network.allow_loopback"));
    let hint = Hint::from("name its ports").with(remedies.clone());
    let error = Error::invalid(NAME, format!("{what}: {error}")).at_field(field);
    if remedies.is_some() { error.hint(hint) } else { error }
}

pub(super) fn compile(names: &Names, command: &Config, host: &Host) -> Result<Box<dyn Step>> {
    if !command.die_with_parent {
        let action =
            "a network of names is relayed by a thread of its caller, and a container that outlives that would lose it";
        let error = Error::invalid(NAME, action).at("die_with_parent").contradicting();
        return Err(error.hint("let the container die with its parent, or give it another network"));
    }
    let allow = allowed_with(names, command)?;
    for (index, port) in names.publish.iter().enumerate() {
        let invalid = |why: String| {
            let field = Field::of("network").key("publish").index(index);
            Error::invalid(NAME, format!("published port {port}: {why}")).at_field(field)
        };
        if port.host_port == 0 || port.port == 0 {
            return Err(invalid("port 0 is none".to_owned()));
        }
        if port.port == 53 {
            return Err(invalid("port 53 inside is where its names are asked for".to_owned()));
        }
        if port.protocol != Protocol::Tcp {
            return Err(invalid("a network of names has TCP alone".to_owned()));
        }
        if let Some(other) = names.publish.iter().take(index).find(|other| port.clashes(other)) {
            return Err(invalid(format!("{other} has it already")));
        }
        if names.publish.len() > STOCK {
            return Err(invalid(format!("there can be {STOCK} of them")));
        }
    }
    let refusal = names.refusal.as_deref().map(Arc::from);
    let ipv6 = host.ipv6;
    let mut routes = Vec::new();
    for (about, address) in
        [("198.18.0.1 on lo", IpAddr::V4(slots::OWN)), ("64:ff9b:1::1 on lo", IpAddr::V6(slots::OWN6))]
    {
        if address.is_ipv4() || ipv6 {
            // Programs that ask for addresses of the families alone that they have one of (AI_ADDRCONFIG) do not count the loopback's.
            routes.push((about, own_address(address)));
            let about = if address.is_ipv4() { "all of IPv4 is its own" } else { "all of IPv6 is its own" };
            routes.push((about, own_everything(address.is_ipv6())));
        }
    }
    Ok(Box::new(Egress { sockets: allow.sockets(ipv6), allow, ipv6, routes, refusal, publish: names.publish.clone() }))
}

/// A message of rtnetlink(7) that makes something new and wants to be told of it, and its attributes.
fn message(kind: u16, body: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    const REQUEST_ACK_CREATE_EXCLUSIVE: u16 = 1 | 4 | 0x400 | 0x200;
    let mut bytes = vec![0; 16];
    bytes.extend(body);
    for (kind, value) in attributes {
        // Each is four bytes of head, and its values are whole words.
        bytes.extend((value.len() as u16 + 4).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(*value);
    }
    let length = bytes.len() as u32;
    // struct nlmsghdr: length, type, flags, sequence, port
    bytes.splice(
        0..8,
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &REQUEST_ACK_CREATE_EXCLUSIVE.to_ne_bytes()].concat(),
    );
    bytes
}

/// `lo` is always the first.
const LO: [u8; 4] = 1_u32.to_ne_bytes();

fn family(ipv6: bool) -> u8 {
    let family = if ipv6 { AddressFamily::INET6 } else { AddressFamily::INET };
    family.as_raw() as u8
}

/// RTM_NEWROUTE of a `local` route to all addresses: packets to them are this namespace's own, and whoever binds may bind to them.
fn own_everything(ipv6: bool) -> Vec<u8> {
    const RTM_NEWROUTE: u16 = 24;
    const RTA_OIF: u16 = 4;
    const RT_TABLE_LOCAL: u8 = 255;
    const RTPROT_STATIC: u8 = 4;
    const RT_SCOPE_HOST: u8 = 254;
    const RTN_LOCAL: u8 = 2;
    // struct rtmsg: family, lengths of destination and source, tos, table, protocol, scope, type, flags (4)
    let body = [family(ipv6), 0, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL, 0, 0, 0, 0];
    message(RTM_NEWROUTE, &body, &[(RTA_OIF, &LO)])
}

/// RTM_NEWADDR, of no more than this address.
fn own_address(address: IpAddr) -> Vec<u8> {
    const RTM_NEWADDR: u16 = 20;
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_F_NODAD: u8 = 2;
    let body = |length: u8, flags: u8| {
        // struct ifaddrmsg: family, prefix length, flags, scope, index (4)
        let mut body = vec![family(length == 128), length, flags, 0];
        body.extend(LO);
        body
    };
    match address {
        IpAddr::V4(address) => {
            let octets = address.octets();
            message(RTM_NEWADDR, &body(32, 0), &[(IFA_LOCAL, &octets), (IFA_ADDRESS, &octets)])
        }
        IpAddr::V6(address) => message(RTM_NEWADDR, &body(128, IFA_F_NODAD), &[(IFA_ADDRESS, &address.octets())]),
    }
}

impl Step for Egress {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("network"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        self.find_room()?;
        // One that is taken is known before anything is made.
        let mut published = Vec::new();
        for (index, port) in self.publish.iter().enumerate() {
            published.extend(published::listen(NAME, index, port)?.into_iter().map(|listener| (port.port, listener)));
        }
        let seat = Seat::take().map_err(|error| Error::parent(NAME, "a thread that relays", error))?;
        let reach = Reach { tally: seat.tally(), refusal: self.refusal.clone() };
        let place = Arc::new(Mutex::new(Some(seat)));
        let (given_up, left) = (place.clone(), place.clone());
        let taken = |place: &Mutex<Option<Seat>>| place.lock().unwrap_or_else(PoisonError::into_inner).take();
        preparation.ledger.push_leaving(
            "relay",
            move || {
                drop(taken(&given_up));
                Ok(())
            },
            // As long as this process is there, so is the container's network.
            move || taken(&left).into_iter().for_each(Seat::stay),
        );
        let (allow, expected) = (self.allow.clone(), self.sockets.len());
        preparation.ends.reaching =
            Some(Reaching { place, allow, ipv6: self.ipv6, expected, published, sockets: Vec::new() });
        preparation.ends.reach = Some(reach);
        preparation.report.network = Some(Connection::of_names());
        Ok(())
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for (about, request) in &self.routes {
            program.about(about);
            program.push(Op::Route { request });
        }
        for wanted in self.sockets.iter().filter(|wanted| wanted.kind.unbound().is_none()) {
            match &wanted.kind {
                Kind::Flows(name, port) => program.about_owned(format!("{name}, port {port} of UDP")),
                Kind::Refused { ipv6 } => {
                    program.about("what its own kernel refuses");
                    program.push(Op::Watch { ipv6: *ipv6 });
                    continue;
                }
                _ => program.about("questions for names"),
            }
            let stream = wanted.kind == Kind::Questions;
            program.push(Op::Serve { address: wanted.address, stream });
        }
        // The last ones, as the relay expects them.
        for ipv6 in [false, true] {
            let count = self.sockets.iter().filter(|wanted| wanted.kind.unbound() == Some(ipv6)).count() as u32;
            if count > 0 {
                program.about("sockets for names once they are asked for, and for connections from outside");
                program.push(Op::Spare { ipv6, count });
            }
        }
        program.about("sockets for its names");
        program.push(Op::HandOver);
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, "have a thread that answers for names and relays".to_owned());
        self.allow.overlaps().into_iter().for_each(|line| to.prepare(NAME, line));
        for (name, addresses) in self.allow.all_placed() {
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            to.prepare(NAME, format!("{name} leads to {}, and nobody is asked for it", addresses.join(", ")));
        }
        let names = self.allow.lines();
        let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
        let sni = if self.allow.requires_sni() { ", by TLS that asks for it" } else { "" };
        if !self.publish.is_empty() {
            let ports: Vec<String> = self.publish.iter().map(Publish::to_string).collect();
            to.prepare(NAME, format!("listen on the host for {}", ports.join(", ")));
        }
        to.attend(NAME, format!("take the container's sockets; it reaches {names}{sni}, and refuses the rest at once"));
    }
}

impl Egress {
    /// Fails where this process may not have as many descriptors as there will be sockets.
    fn find_room(&self) -> Result<()> {
        let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
        let count = |kind: Kind| self.sockets.iter().filter(|wanted| wanted.kind == kind).count();
        let (spare, inward) = (count(Kind::Spare), count(Kind::Inward));
        // One of IPv6 beside each.
        let bound = self.sockets.len() - spare - inward + 2 * self.publish.len();
        let open = crate::exhaustion::open_files(limit);
        let needed = open + (bound + spare + inward) as u64 + BESIDES;
        if needed <= limit {
            return Ok(());
        }
        let stocks = [(spare, "for names below a `*`"), (inward, "for connections from outside")];
        let stocks = stocks.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
        let action = format!("{bound} sockets{}", stocks.collect::<String>());
        let hint = format!(
            "with {open} that are open and {BESIDES} for the start that is {needed} descriptors, and this process may have {limit} \
             (RLIMIT_NOFILE): raise that (ulimit -n {needed}), or allow fewer names and ports"
        );
        Err(Error::parent(NAME, action, Errno::MFILE).hint(hint))
    }
}

/// What stands in the way of name servers of any kind beside names.
pub(super) fn answers_itself() -> Error {
    let action = "a network of names (`network`) answers questions for them itself, at every address: no name server would ever be asked";
    let hint = Hint::from("leave the name servers out").with([Remedy::set("dns", "unchanged")]);
    Error::invalid(NAME, action).at("dns").contradicting().hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_iproute2() {
        // ip -4 route add local 0.0.0.0/0 dev lo, strace of iproute2 6.15
        let route = own_everything(false);
        assert_eq!(route.len(), 36);
        assert_eq!(route[..8], [36, 0, 0, 0, 24, 0, 5, 6]);
        assert_eq!(route[16..], [2, 0, 0, 0, 255, 4, 254, 2, 0, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0, 0]);
        let address = own_address(slots::OWN.into());
        assert_eq!(address[16..], [2, 32, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 198, 18, 0, 1, 8, 0, 1, 0, 198, 18, 0, 1]);
        assert_eq!(own_address(slots::OWN6.into()).len(), 16 + 8 + 20);
    }
}
