//! The flags of the container's network: their definitions, their values, and the request that they make.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use seclude::request::{self as data, Dns, HostEntry, Network, NetworkKind, Request, Sni, Text};
use seclude::{Field, Ipv6, Mac, Namespace, Publish, Rule, Subnet, Subnet6};

use crate::args::Heading;
use crate::values::{duration, within};
use crate::{Failure, compose, named_files, words};

type Parsed<T> = Result<T, String>;

/// Bytes of a file of names.
const MOST_RULES: u64 = 256 * 1024;

// How the container is connected. (A doc comment would become the task's.)
#[derive(Args, Default)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkFlags {
    /// none: only a loopback that is up (the default); host: the host's own; veth: a link to a bridge of the host, as
    /// root; pasta: through the program pasta, as anybody; join:PATH: an existing namespace
    #[arg(long, value_name = "none|host|veth|pasta|join:PATH")]
    net: Option<Net>,
    /// Reach this name on these TCP ports (443 without any), looked up on the host, and nothing else, whatever the command does:
    /// github.com, github.com:22,443, example.org:8000-8010, *.example.org for all names below it; udp/ before a port is UDP:
    /// ntp.example.org:udp/123. Addresses, and names that lead to private ones, are refused
    #[arg(long, value_name = "NAME[:PORTS]")]
    allow: Vec<Rule>,
    /// The same of all names in this file (- for stdin), one in a line as for --allow; what stands behind a # is for readers
    #[arg(long, value_name = "FILE")]
    allow_from: Vec<PathBuf>,
    /// The same, also where the name leads to a private address (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10,
    /// fc00::/7) that is not the host's own
    #[arg(long, value_name = "NAME[:PORTS]")]
    allow_private: Vec<Rule>,
    /// Reach this TCP port of the host's own 127.0.0.1, as host.internal:PORT
    #[arg(long, value_name = "PORT", value_parser = within::<u16>(1..=65_535))]
    allow_loopback: Vec<u16>,
    /// Reset connections to names that do not begin with TLS which asks for that name; off is the default (--allow)
    #[arg(long, value_name = "require|off")]
    sni: Option<SniFlag>,
    /// Say this besides where something is refused, such as whom to ask (--allow)
    #[arg(long, value_name = "TEXT")]
    refusal: Option<String>,
    /// Attach it to this bridge, which exists, instead of one that seclude makes (veth)
    #[arg(long, value_name = "NAME", conflicts_with = "point_to_point")]
    bridge: Option<String>,
    /// A link between host and container alone, without a bridge (veth)
    #[arg(long)]
    point_to_point: bool,
    /// The subnet of its address, such as 10.20.0.0/24; without it one that no route of the host leads to (veth)
    #[arg(long, value_name = "CIDR")]
    subnet: Option<Subnet>,
    /// Its address; without it a free one (veth)
    #[arg(long, value_name = "ADDR")]
    ip: Option<Ipv4Addr>,
    /// An IPv6 address as well: of this subnet, or auto (veth)
    #[arg(long, value_name = "CIDR|auto")]
    ip6: Option<Ip6>,
    /// Its hardware address (veth)
    #[arg(long, value_name = "MAC")]
    mac: Option<Mac>,
    /// The largest packet, in bytes (veth)
    #[arg(long, value_name = "BYTES", value_parser = within::<u32>(68..=65_535))]
    mtu: Option<u32>,
    /// Keep it from everything but the host, whose own services it reaches then (veth)
    #[arg(long)]
    no_nat: bool,
    /// Open the host's own services to it, and with NAT link-local addresses and those of a cloud's metadata; otherwise
    /// they refuse it (veth, pasta)
    #[arg(long)]
    host_access: bool,
    /// Switch net.ipv4.ip_forward on, if it is off, until the last container has ended (veth)
    #[arg(long)]
    ip_forward: bool,
    /// Let it and the other containers of its bridge that have this flag reach one another, also by --hostname (veth)
    #[arg(long)]
    peers: bool,
    /// Lead a port of the host, or a range, to the container; tcp unless /udp (veth, pasta; with --allow tcp alone)
    #[arg(short, long, value_name = "[IP:]HOST:CONT[/udp]")]
    publish: Vec<Ports>,
    /// Ask this name server, in /etc/resolv.conf; host: the host's (the default with veth and pasta), none: leave the file (the only one
    /// beside --allow)
    #[arg(long, value_name = "ADDR|host|none")]
    dns: Vec<DnsSpec>,
    /// A line of /etc/hosts; of a name that --allow has: the address that it leads to
    #[arg(long, value_name = "NAME:ADDR")]
    add_host: Vec<HostSpec>,
    /// At most so many bits a second in each direction, such as 10M (veth)
    #[arg(long, value_name = "BITS", value_parser = rate)]
    rate: Option<u64>,
    /// Delay every packet to it, such as 50ms (veth; needs the kernel's sch_netem)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    latency: Option<Duration>,
}

impl Heading for NetworkFlags {
    const FLAGS: &[&str] = &[
        "net",
        "allow",
        "allow_from",
        "allow_private",
        "allow_loopback",
        "sni",
        "refusal",
        "bridge",
        "point_to_point",
        "subnet",
        "ip",
        "ip6",
        "mac",
        "mtu",
        "no_nat",
        "host_access",
        "ip_forward",
        "peers",
        "publish",
        "dns",
        "add_host",
        "rate",
        "latency",
    ];
}

/// `--net`
#[derive(Clone)]
enum Net {
    None,
    Host,
    Veth,
    Pasta,
    Join(PathBuf),
}

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Net> {
        match (text, text.strip_prefix("join:")) {
            ("none", _) => Ok(Net::None),
            ("host", _) => Ok(Net::Host),
            ("veth", _) => Ok(Net::Veth),
            ("pasta", _) => Ok(Net::Pasta),
            (_, Some("")) => Err("join: of which namespace? give a path, such as join:/run/netns/NAME".into()),
            (_, Some(path)) => Ok(Net::Join(path.into())),
            _ => Err("it can be none, host, veth, pasta or join:PATH".into()),
        }
    }
}

/// `--sni`
#[derive(Clone, Copy)]
struct SniFlag(Sni);

impl FromStr for SniFlag {
    type Err = String;

    fn from_str(text: &str) -> Parsed<SniFlag> {
        match text {
            "off" => Ok(SniFlag(Sni::Off)),
            "require" => Ok(SniFlag(Sni::Require)),
            _ => Err("it can be require or off".into()),
        }
    }
}

#[derive(Clone)]
struct Ip6(Ipv6);

impl FromStr for Ip6 {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Ip6> {
        if text == "auto" {
            return Ok(Ip6(Ipv6::Auto));
        }
        text.parse::<Subnet6>().map(|subnet| Ip6(Ipv6::Subnet(subnet))).map_err(|error| error.to_string())
    }
}

#[derive(Clone)]
struct Ports(String);

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Ports> {
        Publish::parse(text).map(|_| Ports(text.to_owned())).map_err(|error| error.to_string())
    }
}

#[derive(Clone, PartialEq)]
enum DnsSpec {
    Host,
    None,
    Server(IpAddr),
}

impl FromStr for DnsSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<DnsSpec> {
        match text {
            "host" => Ok(DnsSpec::Host),
            "none" => Ok(DnsSpec::None),
            server => server.parse().map(DnsSpec::Server).map_err(|_| "it can be an address, host or none".into()),
        }
    }
}

#[derive(Clone)]
struct HostSpec(HostEntry);

impl FromStr for HostSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<HostSpec> {
        // An IPv6 address has colons of its own.
        let (name, address) = text.split_once(':').ok_or("it is NAME:ADDR, such as db:10.0.0.5")?;
        let address = address.parse().map_err(|_| format!("{address:?} is no address"))?;
        Ok(HostSpec(HostEntry { name: name.to_owned(), address }))
    }
}

/// Bits a second: units are powers of 1000 here, as everywhere with networks.
fn rate(text: &str) -> Parsed<u64> {
    let bits = text.strip_suffix("bit").unwrap_or(text);
    let (number, factor) = match bits.chars().last().map(|unit| unit.to_ascii_uppercase()) {
        Some('K') => (&bits[..bits.len() - 1], 1_000),
        Some('M') => (&bits[..bits.len() - 1], 1_000_000),
        Some('G') => (&bits[..bits.len() - 1], 1_000_000_000),
        _ => (bits, 1),
    };
    let number: u64 = number.parse().map_err(|_| "it is a number of bits a second, with K, M or G after it")?;
    number.checked_mul(factor).ok_or_else(|| "it is too large".into())
}

/// What `--allow-from` names: a rule in each line, as far as there is one before a `#`; each with that line.
fn rules_of(file: &Path) -> Result<Vec<(String, String)>, Failure> {
    let flag = format!("--allow-from {}", file.display());
    let failed = |why: &dyn std::fmt::Display| Failure::new(format!("{flag}: {why}"));
    let bytes = match is_stdin(file) {
        true => named_files::read_all(std::io::stdin().lock(), MOST_RULES),
        false => named_files::read(file, MOST_RULES),
    };
    let bytes = bytes.map_err(|error| failed(&error))?;
    let mut rules = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let failed = |why: &dyn std::fmt::Display| failed(&format_args!("line {}: {why}", number + 1));
        let line = std::str::from_utf8(line).map_err(|_| failed(&"it is not UTF-8"))?;
        let rule = line.split_once('#').map_or(line, |(rule, _)| rule).trim();
        if !rule.is_empty() {
            let rule: Rule = rule.parse().map_err(|error| failed(&format_args!("{rule:?}: {error}")))?;
            rules.push((rule.to_string(), format!("{flag}: line {}", number + 1)));
        }
    }
    Ok(rules)
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

impl NetworkFlags {
    /// Fails where stdin would be read for two things, of which the second would have nothing; `taken`: it is the spec.
    pub(crate) fn reads_stdin_once(&self, taken: bool) -> Result<(), Failure> {
        let count = self.allow_from.iter().filter(|file| is_stdin(file)).count();
        match (count, taken) {
            (0, _) | (1, false) => Ok(()),
            (_, true) => Err(Failure::new("--allow-from -: stdin is read once, and is the spec already (--spec -)")),
            _ => Err(Failure::new("--allow-from -: stdin is read once")),
        }
    }

    /// The files that say what is allowed.
    pub(crate) fn named_files(&self) -> impl Iterator<Item = &Path> {
        self.allow_from.iter().map(PathBuf::as_path).filter(|file| !is_stdin(file))
    }

    /// Whether the flags themselves decide about the network namespace.
    pub(crate) fn decides(&self) -> bool {
        self.net.is_some() || self.allows().is_some()
    }

    /// The first flag that allows a name.
    pub(crate) fn allows(&self) -> Option<&'static str> {
        let flags = [
            ("--allow", !self.allow.is_empty()),
            ("--allow-from", !self.allow_from.is_empty()),
            ("--allow-private", !self.allow_private.is_empty()),
            ("--allow-loopback", !self.allow_loopback.is_empty()),
        ];
        flags.iter().find(|(_, given)| *given).map(|(flag, _)| *flag)
    }

    pub(crate) fn compose(&self, request: &mut Request) -> Result<(), Failure> {
        let allows = self.allows();
        if let Some(flag) = allows {
            words::given_by(Field::of("network"), flag);
        }
        if let (Some(net), Some(flag)) = (&self.net, allows) {
            let why = match net {
                Net::None => "--net none is a loopback alone",
                Net::Host => "--net host is the host's own, with all that it reaches",
                Net::Veth | Net::Pasta => "--net veth and --net pasta reach addresses, and no name decides which",
                Net::Join(_) => "the one of --net join is there already",
            };
            return Err(Failure::new(format!("{flag}: it is a network of its own, of names; {why}")));
        }
        let own = compose::namespace(request, Namespace::Net);
        match &self.net {
            None if allows.is_none() => {}
            // The network says it.
            None => *own = None,
            Some(Net::Veth | Net::Pasta) => *own = None,
            Some(Net::None) => *own = Some(data::Namespace::New),
            Some(Net::Host) => *own = Some(data::Namespace::Inherit),
            Some(Net::Join(path)) => *own = Some(data::Namespace::Join(Text::from(path))),
        }
        match &self.net {
            None if allows.is_none() => {}
            None => self.begin(request, NetworkKind::Names),
            Some(Net::Veth) => self.begin(request, NetworkKind::Veth),
            Some(Net::Pasta) => self.begin(request, NetworkKind::Pasta),
            Some(_) => request.network = None,
        }
        let kind = request.network.as_ref().map(|network| network.kind);
        if kind != Some(NetworkKind::Veth) {
            self.only("veth", &self.of_veth())?;
        }
        if kind != Some(NetworkKind::Names) {
            let of_names = [("sni", self.sni.is_some()), ("refusal", self.refusal.is_some())];
            if let Some((flag, _)) = of_names.iter().find(|(_, given)| *given) {
                return Err(Failure::new(format!("--{flag}: it is about a network of names, which --allow makes")));
            }
        }
        let is_published = !self.publish.is_empty();
        let of_addresses = [("host-access", self.host_access)];
        match &mut request.network {
            Some(network) if network.kind == NetworkKind::Names => {
                self.only("veth or --net pasta", &of_addresses)?;
                network.publish.extend(self.publish.iter().map(|ports| ports.0.clone()));
                network.allow.extend(self.allow.iter().map(Rule::to_string));
                for file in &self.allow_from {
                    for (rule, line) in rules_of(file)? {
                        words::given_by(Field::of("network").key("allow").index(network.allow.len()), line);
                        network.allow.push(rule);
                    }
                }
                network.allow_private.extend(self.allow_private.iter().map(Rule::to_string));
                network.allow_loopback.extend(&self.allow_loopback);
                network.sni = self.sni.map_or(network.sni, |SniFlag(sni)| sni);
                network.refusal = self.refusal.clone().or(network.refusal.take());
            }
            Some(network) => self.connect(network),
            None if is_published => {
                return Err(Failure::new("--publish: it needs --net veth or --net pasta, or --allow"));
            }
            None => self.only("veth or --net pasta", &of_addresses)?,
        }
        self.names(request)
    }

    /// What a spec says of a network of the same kind stays.
    fn begin(&self, request: &mut Request, kind: NetworkKind) {
        let same = request.network.take().filter(|network| network.kind == kind);
        request.network = Some(same.unwrap_or_else(|| Network::new(kind)));
    }

    /// The flags that only a veth pair can have, and whether they were given.
    fn of_veth(&self) -> [(&'static str, bool); 12] {
        [
            ("bridge", self.bridge.is_some()),
            ("point-to-point", self.point_to_point),
            ("subnet", self.subnet.is_some()),
            ("ip", self.ip.is_some()),
            ("ip6", self.ip6.is_some()),
            ("mac", self.mac.is_some()),
            ("mtu", self.mtu.is_some()),
            ("no-nat", self.no_nat),
            ("ip-forward", self.ip_forward),
            ("peers", self.peers),
            ("rate", self.rate.is_some()),
            ("latency", self.latency.is_some()),
        ]
    }

    fn only(&self, net: &str, flags: &[(&str, bool)]) -> Result<(), Failure> {
        match flags.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Failure::new(format!("--{flag}: it needs --net {net}"))),
            None => Ok(()),
        }
    }

    fn connect(&self, network: &mut Network) {
        fn given<T>(place: &mut Option<T>, value: Option<T>) {
            *place = value.or(place.take());
        }
        if self.bridge.is_some() || self.point_to_point {
            (network.bridge, network.point_to_point) = (self.bridge.clone(), self.point_to_point);
        }
        given(&mut network.subnet, self.subnet.map(|subnet| subnet.to_string()));
        given(&mut network.address, self.ip);
        let ipv6 = self.ip6.as_ref().map(|Ip6(ipv6)| match ipv6 {
            Ipv6::Subnet(subnet) => subnet.to_string(),
            _ => "auto".to_owned(),
        });
        given(&mut network.ipv6, ipv6);
        given(&mut network.mac, self.mac.map(|mac| mac.to_string()));
        given(&mut network.mtu, self.mtu);
        given(&mut network.nat, self.no_nat.then_some(false));
        network.host_access |= self.host_access;
        network.ip_forward |= self.ip_forward;
        network.peers |= self.peers;
        network.publish.extend(self.publish.iter().map(|ports| ports.0.clone()));
        given(&mut network.rate, self.rate);
        given(&mut network.latency, self.latency.map(|after| data::Duration { nanoseconds: after.as_nanos() as i128 }));
    }

    fn names(&self, request: &mut Request) -> Result<(), Failure> {
        let servers: Vec<IpAddr> = self
            .dns
            .iter()
            .filter_map(|spec| match spec {
                DnsSpec::Server(server) => Some(*server),
                DnsSpec::Host | DnsSpec::None => None,
            })
            .collect();
        match self.dns.as_slice() {
            [] => {}
            [DnsSpec::Host] => request.dns = Some(Dns::Host),
            [DnsSpec::None] => request.dns = Some(Dns::Unchanged),
            all if all.len() == servers.len() => request.dns = Some(Dns::Servers(servers)),
            _ => return Err(Failure::new("--dns: host and none stand alone")),
        }
        if let Some(flag) = self.allows().filter(|_| !matches!(self.dns.as_slice(), [] | [DnsSpec::None])) {
            return Err(Failure::new(format!(
                "--dns: beside {flag} names are answered for by seclude itself, at every address, and no name server is ever asked: \
                 leave --dns out"
            )));
        }
        request.hosts.extend(self.add_host.iter().cloned().map(|entry| entry.0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_decimal() {
        assert_eq!(rate("10M"), Ok(10_000_000));
        assert_eq!(rate("10mbit"), Ok(10_000_000));
        assert_eq!(rate("9600"), Ok(9600));
        for bad in ["", "M", "1.5M", "-1", "99999999999G"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_entry_may_have_an_ipv6_address() {
        let HostSpec(entry) = "db:fd00::5".parse().unwrap();
        assert_eq!((entry.name.as_str(), entry.address), ("db", "fd00::5".parse().unwrap()));
        assert!("db".parse::<HostSpec>().is_err() && "db:x".parse::<HostSpec>().is_err());
    }
}
