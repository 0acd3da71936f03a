//! The network of a container that is to reach more than itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Duration, Field, Wrong, is_default};

const MOST_REFUSAL: usize = 200;

/// How a container is connected; a new net namespace comes with it. Without one it has a loopback alone, or what
/// `namespaces.net` says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Network {
    /// What connects it.
    #[serde(rename = "type")]
    pub kind: NetworkKind,
    /// Of a veth: a bridge that somebody else made. Default: one of ours, `seclude0`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bridge: Option<String>,
    /// Of a veth: no bridge, a link between host and container alone. Default: false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub point_to_point: bool,
    /// Of a veth: the subnet of its address, such as `"10.20.0.0/24"`. Default: one that no route of the host leads to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub subnet: Option<String>,
    /// Of a veth: its address. Default: a free one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub address: Option<Ipv4Addr>,
    /// Of a veth: an IPv6 address as well, of this subnet, or `"auto"`. Default: none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ipv6: Option<String>,
    /// Of a veth: the hardware address of its end. Default: one that goes with its address.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mac: Option<String>,
    /// Of a veth: the MTU in bytes, 68 to 65535, with IPv6 at least 1280. Default: 1500.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mtu: Option<u32>,
    /// Of a veth: the name of its end inside. Default: `eth0`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interface: Option<String>,
    /// Of a veth: it reaches what the host reaches. Default: true.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nat: Option<bool>,
    /// Of a veth or pasta: it reaches the host's own services, link-local addresses and those of a cloud's metadata. Default: false, for
    /// which pasta needs the kernel's nf_tables.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host_access: bool,
    /// Of a veth: net.ipv4.ip_forward may be switched on until the last container has ended. Default: false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ip_forward: bool,
    /// Of a veth: it and the other containers of its bridge that have this reach one another. Default: false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub peers: bool,
    /// Ports of the host that lead to the container, such as `"8080:80"`, `"127.0.0.1:53:53/udp"` or a range `"8000-8010:8000-8010"`. With names
    /// TCP alone, to the container's 127.0.0.1, 128 connections at once: others wait until one ends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub publish: Vec<String>,
    /// Of names: what is reached, each a name and its TCP ports, such as `"github.com"` (port 443), `"github.com:22,443"`,
    /// `"example.org:8000-8010"` or `"*.example.org"`, the names below it; `udp/` before a port is UDP, `"ntp.example.org:udp/123"`. Everything else is
    /// refused at once. Default: nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow: Vec<String>,
    /// Of names: the same, where the name may lead to private addresses (RFC 1918, 100.64.0.0/10, fc00::/7), but not to the host's own. Default:
    /// nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_private: Vec<String>,
    /// Of names: TCP ports of the host's own 127.0.0.1, reached as `host.internal` with the same port. Default: none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_loopback: Vec<u16>,
    /// Of names: whether each connection has to begin with TLS that asks for its name (SNI). Default: `"off"`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sni: Sni,
    /// Of names: what is said besides of all that is refused, such as whom to ask; one line of at most 200 characters. Default: nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refusal: Option<String>,
    /// Of a veth: at most so many bits a second in each direction, 8000 or more. Default: no limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate: Option<u64>,
    /// Of a veth: added to every packet to the container, up to a minute. Needs the kernel's sch_netem. Default: none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub latency: Option<Duration>,
}

/// What connects a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NetworkKind {
    /// A veth pair, veth(4); needs CAP_NET_ADMIN.
    Veth,
    /// The program pasta, pasta(1), without privileges.
    Pasta,
    /// A relay that reaches names, and nothing else, without privileges: see `allow`.
    Names,
}

/// Whether a connection to a name has to begin with TLS that asks for that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sni {
    /// What is sent is nobody's business.
    #[default]
    Off,
    /// What is no TLS, or asks for another name, is reset. The host's own loopback is not looked at.
    Require,
}

impl Network {
    /// One of this kind, with nothing else said of it.
    pub fn new(kind: NetworkKind) -> Network {
        Network {
            kind,
            bridge: None,
            point_to_point: false,
            subnet: None,
            address: None,
            ipv6: None,
            mac: None,
            mtu: None,
            interface: None,
            nat: None,
            host_access: false,
            ip_forward: false,
            peers: false,
            publish: Vec::new(),
            allow: Vec::new(),
            allow_private: Vec::new(),
            allow_loopback: Vec::new(),
            sni: Sni::Off,
            refusal: None,
            rate: None,
            latency: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Wrong> {
        let at = |key: &str| Field::of("network").key(key);
        let of_names = [
            ("allow", !self.allow.is_empty()),
            ("allow_private", !self.allow_private.is_empty()),
            ("allow_loopback", !self.allow_loopback.is_empty()),
            ("sni", self.sni != Sni::Off),
            ("refusal", self.refusal.is_some()),
        ];
        if let Some((key, _)) = of_names.iter().find(|(_, given)| *given && self.kind != NetworkKind::Names) {
            let why = "it is of a network of names; what another one reaches, no name decides";
            return Err(Wrong::contradicts(at(key), why));
        }
        if let Some(place) = self.allow_loopback.iter().position(|port| *port == 0) {
            return Err(Wrong::range(at("allow_loopback").index(place), "it can be a port, 1 to 65535"));
        }
        // It ends up on somebody's terminal.
        let is_line =
            |text: &String| (1..=MOST_REFUSAL).contains(&text.chars().count()) && !text.contains(char::is_control);
        if !self.refusal.as_ref().is_none_or(is_line) {
            return Err(Wrong::range(
                at("refusal"),
                "it can be one line of 1 to 200 characters, none of them a control character",
            ));
        }
        let of_both = self.kind == NetworkKind::Pasta && self.host_access;
        let of_others = Network {
            publish: self.publish.clone(),
            allow: self.allow.clone(),
            allow_private: self.allow_private.clone(),
            allow_loopback: self.allow_loopback.clone(),
            sni: self.sni,
            refusal: self.refusal.clone(),
            host_access: of_both,
            ..Network::new(self.kind)
        };
        let of_veth = of_others != *self;
        if self.kind != NetworkKind::Veth && of_veth {
            let given = [
                ("bridge", self.bridge.is_some()),
                ("point_to_point", self.point_to_point),
                ("subnet", self.subnet.is_some()),
                ("address", self.address.is_some()),
                ("ipv6", self.ipv6.is_some()),
                ("mac", self.mac.is_some()),
                ("mtu", self.mtu.is_some()),
                ("interface", self.interface.is_some()),
                ("nat", self.nat.is_some()),
                ("host_access", self.host_access && !of_both),
                ("ip_forward", self.ip_forward),
                ("peers", self.peers),
                ("rate", self.rate.is_some()),
            ];
            let key = given.iter().find(|(_, given)| *given).map_or("latency", |(key, _)| key);
            let why = match self.kind {
                NetworkKind::Names => "it is of a veth pair; a network of names has those that it allows alone",
                _ => "it is of a veth pair; pasta has published ports and host access alone",
            };
            return Err(Wrong::contradicts(at(key), why));
        }
        if self.point_to_point && self.bridge.is_some() {
            return Err(Wrong::contradicts(at("point_to_point"), "network.bridge says a bridge"));
        }
        // IFNAMSIZ, and what the kernel takes for something else.
        let is_name = |name: &String| {
            (1..16).contains(&name.len()) && !name.contains(|c: char| c.is_whitespace() || "/:%".contains(c))
        };
        if !self.interface.as_ref().is_none_or(is_name) {
            let why = "it can be a name of 1 to 15 bytes without space, '/', ':' or '%'";
            return Err(Wrong::range(at("interface"), why));
        }
        if self.latency.is_some_and(|latency| latency.nanoseconds < 0) {
            return Err(Wrong::range(at("latency"), "it can be a length of time up to a minute"));
        }
        Ok(())
    }
}

/// Name servers in its /etc/resolv.conf: `"host"`, those of the host; `"unchanged"`, the root's file is left as it is; or a list of
/// addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Dns {
    /// The host's.
    Host,
    /// The root's file is left as it is.
    Unchanged,
    /// These.
    Servers(Vec<IpAddr>),
}

impl Serialize for Dns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Dns::Host => serializer.serialize_str("host"),
            Dns::Unchanged => serializer.serialize_str("unchanged"),
            Dns::Servers(servers) => servers.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Dns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Dns, D::Error> {
        struct DnsVisitor;
        impl<'de> Visitor<'de> for DnsVisitor {
            type Value = Dns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"host\", \"unchanged\" or a list of addresses")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Dns, E> {
                match word {
                    "host" => Ok(Dns::Host),
                    "unchanged" => Ok(Dns::Unchanged),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Dns, A::Error> {
                let mut servers = Vec::new();
                while let Some(server) = sequence.next_element()? {
                    servers.push(server);
                }
                Ok(Dns::Servers(servers))
            }
        }
        deserializer.deserialize_any(DnsVisitor)
    }
}

/// A line of its /etc/hosts, hosts(5).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostEntry {
    /// The name.
    pub name: String,
    /// Its address, IPv4 or IPv6.
    pub address: IpAddr,
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Dns {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dns".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let address = generator.subschema_for::<IpAddr>();
        schemars::json_schema!({
            "description": "\"host\", those of the host; \"unchanged\", the root's file is left as it is; or a list of addresses.",
            "anyOf": [
                { "type": "string", "enum": ["host", "unchanged"] },
                { "type": "array", "items": address }
            ]
        })
    }
}
