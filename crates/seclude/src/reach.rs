//! What a container with a network of names reaches: the relay's sockets as they come, and what is told of it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use seclude_egress::{Allow, Seat, Tally, Why};
use seclude_request::Remedy;
use serde::Serialize;
use serde_json::{Value as Json, json};

/// The container's place with the relay, which the ledger gives up.
pub(crate) type Place = Arc<Mutex<Option<Seat>>>;

/// The relay, until it has all of the container's sockets.
#[derive(Debug)]
pub(crate) struct Reaching {
    pub(crate) place: Place,
    pub(crate) allow: Allow,
    pub(crate) ipv6: bool,
    /// How many there will be.
    pub(crate) expected: usize,
    /// Listeners outside, each with the port inside that it leads to.
    pub(crate) published: Vec<(u16, OwnedFd)>,
    pub(crate) sockets: Vec<OwnedFd>,
}

impl Reaching {
    /// One more; with the last one the relay begins.
    pub(crate) fn add(&mut self, socket: OwnedFd) -> io::Result<()> {
        self.sockets.push(socket);
        if self.sockets.len() < self.expected {
            return Ok(());
        }
        let sockets = std::mem::take(&mut self.sockets);
        match &mut *self.place.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(seat) => {
                let published = std::mem::take(&mut self.published);
                seat.begin(std::mem::take(&mut self.allow), self.ipv6, sockets, published)
            }
            None => Ok(()),
        }
    }
}

/// What a container with a network of names has reached, and what it was refused; it grows while that runs.
#[derive(Clone, Debug)]
pub struct Reach {
    pub(crate) tally: Arc<Tally>,
    /// What is said besides of all that is refused.
    pub(crate) refusal: Option<Arc<str>>,
}

/// Two are the same if they are of one container.
impl PartialEq for Reach {
    fn eq(&self, other: &Reach) -> bool {
        Arc::ptr_eq(&self.tally, &other.tally)
    }
}

impl Eq for Reach {}

/// What went through to a name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Reached {
    /// The name.
    pub name: String,
    /// Connections that came about.
    pub connections: u64,
    /// Connections that did not, for whatever reason.
    pub failed: u64,
    /// Bytes from the container.
    pub sent: u64,
    /// Bytes to it.
    pub received: u64,
}

/// A name that was not reached.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Unreached {
    /// The name, as it was asked for; or the address, if that was connected to.
    pub name: String,
    /// Why: `"not-allowed"`, `"port"` (it is allowed on others), `"number"` (it is an address, and no name), `"address"` (it leads to one that is no public address), `"unresolved"` (the host knows none), `"too-many"`
    /// connections, or names below a `*`, `"taken"` (the container itself has its port) `"sni"` (its connection does not ask for it by TLS) or `"unreachable"` (from the host
    /// none of its addresses could be connected to).
    pub why: &'static str,
    /// The address that it leads to, if that is why, and what that is, such as `"private"`.
    pub address: Option<(IpAddr, &'static str)>,
    /// The ports that were to be reached, as a rule has them, if it is known which.
    pub ports: Option<String>,
    /// The rules that the name has, if its port is why.
    pub rules: Option<String>,
    /// The name that TLS asked for in its place, if that is why and there was one.
    pub sni: Option<String>,
    /// What whoever reads of it is told besides: [`crate::Names::refusal`].
    pub refusal: Option<Arc<str>>,
    /// How often.
    pub times: u64,
    /// What would allow it; empty: nothing does.
    pub remedies: Vec<Remedy>,
}

impl Reach {
    /// The names that it has connected to, or tried to.
    pub fn reached(&self) -> Vec<Reached> {
        let counts = self.tally.counts().into_iter();
        let reached = counts.map(|(name, count)| Reached {
            name: name.to_string(),
            connections: count.connections,
            failed: count.failed,
            sent: count.sent,
            received: count.received,
        });
        reached.collect()
    }

    /// What it was refused, in the order in which that came first. At most 1,000 are kept, 16 of one name. What its own kernel refuses (other
    /// ports of names, and addresses) is among them unless [`Reach::is_deaf`]; what went by UDP is not.
    pub fn unreached(&self) -> Vec<Unreached> {
        let refusals = self.tally.refusals().into_iter();
        let unreached = refusals.map(|refusal| Unreached {
            remedies: match refusal.why {
                // Which port it would have connected to, nobody knows yet.
                Why::NotAllowed if refusal.name.parse::<seclude_egress::Name>().is_ok() => {
                    vec![Remedy::set("network.allow", json!([refusal.name]))]
                }
                Why::Address if refusal.address.is_some_and(|(_, special)| special.can_be_allowed()) => {
                    vec![Remedy::set("network.allow_private", json!([refusal.rule()]))]
                }
                Why::Port if refusal.name == seclude_egress::HOST => {
                    vec![Remedy::set("network.allow_loopback", json!(refusal.ports.iter().collect::<Vec<_>>()))]
                }
                Why::Port => vec![Remedy::set("network.allow", json!([refusal.rule()]))],
                Why::Sni => vec![Remedy::set("network.sni", "off")],
                _ => Vec::new(),
            },
            ports: Some(refusal.listed()).filter(|ports| !ports.is_empty()),
            rules: refusal.rules,
            name: refusal.name,
            why: refusal.why.name(),
            address: refusal.address.map(|(address, special)| (address, special.name())),
            sni: refusal.sni.map(|name| name.to_string()),
            refusal: self.refusal.clone(),
            times: refusal.times,
        });
        unreached.collect()
    }

    /// How many refusals there were besides.
    pub fn more(&self) -> u64 {
        self.tally.more()
    }

    /// Whether it is not told which ports and addresses its own kernel has refused, as nobody may watch that here (raw sockets).
    pub fn is_deaf(&self) -> bool {
        self.tally.is_deaf()
    }

    pub(crate) fn to_json(&self, say: &dyn Fn(&Remedy) -> Json) -> Json {
        let unreached = self.unreached();
        let unreached: Vec<Json> = unreached.iter().map(|one| one.to_json(say)).collect();
        json!({ "reached": self.reached(), "unreached": unreached, "more_unreached": self.more(), "deaf": self.is_deaf() })
    }
}

impl Unreached {
    /// `example.org: not allowed, 3 times`, and behind it what can be done in a door's own words.
    pub fn message_with(&self, say: impl Fn(&Remedy) -> Option<String>) -> String {
        let why = match (self.why, &self.address) {
            (_, Some((address, special))) => format!("it leads to {address}, which is {special}"),
            ("not-allowed", _) => "it is not allowed".to_owned(),
            ("port", _) => {
                let [ports, rules] = [&self.ports, &self.rules].map(|text| text.as_deref().unwrap_or_default());
                format!("port {ports} is not allowed, but {rules}")
            }
            ("number", _) => {
                let ports = self.ports.as_deref().unwrap_or_default();
                format!("it is an address (port {ports}), and what is reached are names")
            }
            ("unresolved", _) => "the host knows no address of it".to_owned(),
            ("taken", _) => "the container itself has taken its port".to_owned(),
            ("sni", _) => match &self.sni {
                Some(other) => format!("its connection asks for {other} by TLS"),
                None => "its connection does not begin with TLS that asks for it".to_owned(),
            },
            ("unreachable", _) => "the host itself could connect to none of its addresses".to_owned(),
            _ => "there are too many connections, or names".to_owned(),
        };
        let times = if self.times > 1 { format!(", {} times", self.times) } else { String::new() };
        let message = Remedy::behind(&format!("{}: {why}{times}", self.name), &self.remedies, say);
        match &self.refusal {
            Some(refusal) => format!("{message}: {refusal}"),
            None => message,
        }
    }

    fn to_json(&self, say: &dyn Fn(&Remedy) -> Json) -> Json {
        json!({
            "name": self.name,
            "why": self.why,
            "address": self.address.map(|(address, _)| address),
            "special": self.address.map(|(_, special)| special),
            "ports": self.ports,
            "rules": self.rules,
            "sni": self.sni,
            "refusal": self.refusal.as_deref(),
            "times": self.times,
            "remedies": self.remedies.iter().map(say).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message_with(|_| None))
    }
}
