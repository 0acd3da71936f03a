//! `/etc/resolv.conf` and `/etc/hosts`: whom the container asks for names, and whom it need not ask about.

use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use seclude_child::op::{Links, Want};
use seclude_child::{Op, Slot};
use seclude_egress::slots;
use seclude_request::{Field, Remedy};
use seclude_sys::Fd;
use seclude_sys::mount::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};

use super::egress;
use super::pasta::Closing;
use super::show::Show;
use super::user::Ids;
use super::veth::{Claimed, from_net};
use super::{Preparation, Step, mount};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::mount::{MountKind, Source};
use crate::config::namespace::Namespace;
use crate::config::network::{Dns, Network};
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "names";
const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// What systemd-resolved itself asks, where the host's resolv.conf names its stub on the loopback.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

pub(super) fn compile(command: &Config, claimed: &Claimed, closing: &Closing, ids: Ids) -> Result<Vec<Box<dyn Step>>> {
    let connected = command.network.is_some();
    let dns = dns(command);
    let peers = has_peers(command);
    let mut steps: Vec<Box<dyn Step>> = Vec::new();
    if are_wanted(command) && !command.namespaces.is_new(Namespace::Mount) {
        let error = Error::invalid(NAME, "name servers and host entries need a new mount namespace");
        return Err(if dns != Dns::Unchanged { error.at("dns").contradicting() } else { error.at("hosts") });
    }
    if has_names(command) && matches!(command.dns, Some(Dns::Host | Dns::Servers(_))) {
        return Err(egress::answers_itself());
    }
    if command.dns.as_ref().is_some_and(|dns| *dns != Dns::Unchanged) && is_own(command, RESOLV_CONF) {
        return Err(has_its_own(RESOLV_CONF)
            .at("dns")
            .hint(Hint::from("name the servers there, or leave that mount out")));
    }
    if (has_peers(command) || !command.host_entries.is_empty()) && is_own(command, HOSTS) {
        let field = if command.host_entries.is_empty() { "network.peers" } else { "hosts" };
        return Err(has_its_own(HOSTS).at(field).hint(Hint::from("write the entries there, or leave that mount out")));
    }
    if dns != Dns::Unchanged {
        if let Dns::Servers(servers) = &dns
            && servers.is_empty()
        {
            return Err(Error::invalid(NAME, "no name server was given").at("dns"));
        }
        steps.push(Box::new(Resolver {
            dns,
            connected,
            claimed: claimed.clone(),
            closing: closing.clone(),
            content: Vec::new(),
        }));
    }
    if wants_hosts(command) {
        let host_name = match &command.hostname {
            None => None,
            Some(name) => match name.to_str() {
                Some(name) => Some(name.to_owned()),
                None => {
                    let action = "a host name that is not UTF-8 cannot be in /etc/hosts";
                    return Err(Error::invalid(NAME, action).at("hostname"));
                }
            },
        };
        for (number, (_, name)) in command.host_entries.iter().enumerate() {
            if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
                let field = Field::of("hosts").index(number).key("name");
                return Err(Error::invalid(NAME, format!("host entry {name:?}: that is no host name")).at_field(field));
            }
        }
        let (mut entries, claimed) = (command.host_entries.clone(), claimed.clone());
        if let Some(Network::Names(names)) = &command.network {
            // A line here would lead past the relay, which is where they lead.
            let allow = egress::allowed_with(names, command)?;
            entries.retain(|(_, name)| !egress::is_placed(&allow, name));
        }
        let of_the_host = !command.namespaces.is_new(Namespace::Net);
        let if_present = !asks_for_hosts(command);
        steps.push(Box::new(Hosts {
            host_name,
            entries,
            peers,
            claimed,
            ids,
            of_the_host,
            if_present,
            content: Content::None,
        }));
    }
    Ok(steps)
}

fn dns(command: &Config) -> Dns {
    let connected = command.network.is_some() && command.namespaces.is_new(Namespace::Mount);
    command.dns.clone().unwrap_or(match connected {
        true if is_own(command, RESOLV_CONF) => Dns::Unchanged,
        // It answers at every address, and an address of its own looks like one.
        true if has_names(command) => Dns::Servers(vec![slots::OWN.into()]),
        true => Dns::Host,
        false => Dns::Unchanged,
    })
}

/// Whether the caller has a mount of its own there: what was not asked for by name stays away from it.
fn is_own(command: &Config, path: &str) -> bool {
    let gives = |kind: &MountKind| !matches!(kind, MountKind::ReadOnlyPath { .. } | MountKind::Directory { .. });
    command.mounts.iter().any(|mount| !mount.preset && mount.target() == Path::new(path) && gives(&mount.kind))
}

fn has_its_own(path: &str) -> Error {
    Error::invalid(NAME, format!("{path} is a mount of its own, whose content stays")).contradicting()
}

fn has_names(command: &Config) -> bool {
    matches!(&command.network, Some(Network::Names(_)))
}

fn has_peers(command: &Config) -> bool {
    matches!(&command.network, Some(Network::Veth(veth)) if veth.request.peers)
}

fn wants_hosts(command: &Config) -> bool {
    let named = command.is_sandboxed() && command.hostname.is_some() && command.namespaces.is_new(Namespace::Mount);
    // The host's has addresses, which lead nowhere there, also for names that are allowed.
    let named = named || has_names(command) && command.namespaces.is_new(Namespace::Mount);
    (asks_for_hosts(command) || named) && !is_own(command, HOSTS)
}

/// Otherwise it is for the host name or a network of names alone, and a root without such a file goes without.
fn asks_for_hosts(command: &Config) -> bool {
    let named = command.network.is_some() && command.hostname.is_some() && command.namespaces.is_new(Namespace::Mount);
    has_peers(command) || named || !command.host_entries.is_empty()
}

/// Whether any of the two files is given.
pub(crate) fn are_wanted(command: &Config) -> bool {
    dns(command) != Dns::Unchanged || wants_hosts(command)
}

struct Resolver {
    dns: Dns,
    /// Whether the host's loopback is somebody else's inside.
    connected: bool,
    /// Which may keep it from the host's own services.
    claimed: Claimed,
    closing: Closing,
    content: Vec<u8>,
}

impl Step for Resolver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("dns"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let (servers, rest, replaced) = match &self.dns {
            Dns::Servers(servers) => (servers.clone(), Vec::new(), Vec::new()),
            _ => of_the_host(self.connected, self.closed()?)?,
        };
        let mut text = Vec::new();
        for server in &servers {
            let _ = writeln!(text, "nameserver {server}");
        }
        text.extend(rest);
        self.content = text;
        if let Some(connection) = &mut preparation.report.network {
            connection.name_servers = servers;
            connection.name_servers_left_out = replaced;
        }
        Ok(())
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("resolv.conf on /etc/resolv.conf");
        file(program, &self.content, Path::new(RESOLV_CONF));
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(
            NAME,
            match &self.dns {
                Dns::Servers(servers) => {
                    let servers: Vec<String> = servers.iter().map(IpAddr::to_string).collect();
                    format!("name servers {}", servers.join(", "))
                }
                _ => format!("read the host's {RESOLV_CONF}"),
            },
        );
    }
}

impl Resolver {
    /// Whether a server is the host itself, where nothing of the host's answers to the container.
    fn closed(&self) -> Result<impl Fn(IpAddr) -> bool> {
        let closed = self.claimed.get().map(|veth| veth.closed_addresses()).transpose();
        let hosts = closed.map_err(|error| from_net(NAME, error))?.unwrap_or_default();
        let unreached = self.closing.get().cloned();
        Ok(move |server| {
            hosts.contains(&server) || unreached.as_ref().is_some_and(|closed| closed.is_the_hosts(server))
        })
    }
}

/// What else than the host's servers there can be.
fn other_servers() -> [Remedy; 2] {
    [Remedy::give("dns"), Remedy::set("dns", "unchanged")]
}

/// The host's name servers, its other options, and the servers that were left out because they are on its loopback, or are
/// the host itself where that is closed.
fn of_the_host(connected: bool, is_closed: impl Fn(IpAddr) -> bool) -> Result<(Vec<IpAddr>, Vec<u8>, Vec<IpAddr>)> {
    let read = |path: &str| {
        let text = std::fs::read(path);
        let hint = || Hint::from("name the servers").with([Remedy::give("dns")]);
        text.map_err(|error| Error::parent(NAME, path, error).call("read").path_of(path).hint(hint()))
    };
    let (all, rest) = parse(&read(RESOLV_CONF)?);
    if !connected {
        return Ok((all, rest, Vec::new()));
    }
    let is_none = |server: &IpAddr| server.is_loopback() || is_closed(*server);
    let (left_out, servers): (Vec<IpAddr>, Vec<IpAddr>) = all.into_iter().partition(is_none);
    if !servers.is_empty() {
        return Ok((servers, rest, left_out));
    }
    let (behind, rest) = std::fs::read(RESOLVED).map(|text| parse(&text)).unwrap_or_default();
    let servers: Vec<IpAddr> = behind.into_iter().filter(|server| !is_none(server)).collect();
    if servers.is_empty() {
        let action = match left_out.first() {
            Some(server) if is_closed(*server) => {
                let action =
                    format!("the host's name server {server} is the host itself, whose own services are closed");
                let hint = Hint::from("open the host's own services, name the servers, or do without name servers");
                let open = Remedy::set("network.host_access", true);
                return Err(Error::invalid(NAME, action).at("dns").hint(hint.with([open]).with(other_servers())));
            }
            Some(server) => format!("the host's name server {server} is on its loopback, where the container is not"),
            None => format!("the host's {RESOLV_CONF} names no server"),
        };
        let hint = Hint::from("name the servers, or do without name servers");
        return Err(Error::invalid(NAME, action).at("dns").hint(hint.with(other_servers())));
    }
    Ok((servers, rest, left_out))
}

/// The servers of a resolv.conf(5), whose comments may be in any encoding, and its other lines. A server with a zone (`fe80::1%eth0`) is of
/// the host's links.
fn parse(text: &[u8]) -> (Vec<IpAddr>, Vec<u8>) {
    let (mut servers, mut rest) = (Vec::new(), Vec::new());
    let address = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<IpAddr>().ok();
    for line in text.split(|byte| *byte == b'\n') {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        match words.next() {
            Some(b"nameserver") => servers.extend(words.next().and_then(address)),
            Some(b"search" | b"domain" | b"options" | b"sortlist") => {
                rest.extend_from_slice(line.trim_ascii());
                rest.push(b'\n');
            }
            _ => {}
        }
    }
    (servers, rest)
}

enum Content {
    None,
    /// Told of peers that come and go by their makers, so it is a file of the host.
    Shared(Show),
    Own(Vec<u8>),
}

struct Hosts {
    host_name: Option<String>,
    entries: Vec<(IpAddr, String)>,
    peers: bool,
    claimed: Claimed,
    ids: Ids,
    /// Whether its network is the host's, and so are the names in it.
    of_the_host: bool,
    /// Whether the tree need not have the file.
    if_present: bool,
    content: Content,
}

impl Step for Hosts {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(match (self.entries.is_empty(), self.peers, &self.host_name) {
            (false, ..) => Field::of("hosts"),
            (true, true, _) => Field::of("network").key("peers"),
            (true, false, Some(_)) => Field::of("hostname"),
            (true, false, None) => Field::of("network"),
        })
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let veth = self.claimed.get();
        self.content = match veth {
            Some(veth) if self.peers => {
                let hosts = veth.hosts(self.host_name.as_deref(), &self.entries);
                let file = hosts.map_err(|error| from_net(NAME, error))?.file;
                let mut show = Show::of(Source::Fd(Arc::new(file)), false, false, self.ids);
                show.open(preparation).map_err(|errno| {
                    Error::parent(NAME, show.path().display().to_string(), errno).call("openat").path_of(show.path())
                })?;
                Content::Shared(show)
            }
            _ => {
                let mut text = if self.of_the_host { hosts_of_the_host()? } else { LOCALHOST.to_vec() };
                if let Some(name) = &self.host_name {
                    let own = veth.map_or(IpAddr::from([127, 0, 1, 1]), |veth| veth.address().into());
                    let _ = writeln!(text, "{own} {name}");
                }
                for (address, name) in &self.entries {
                    let _ = writeln!(text, "{address} {name}");
                }
                Content::Own(text)
            }
        };
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        match &self.content {
            Content::Shared(show) => show.keeps().collect(),
            Content::None | Content::Own(_) => Vec::new(),
        }
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("hosts on /etc/hosts");
        match &self.content {
            Content::Shared(show) => {
                show.copy(program, Slot::TREE);
                mount_file(program, Path::new(HOSTS));
            }
            Content::Own(text) if self.if_present => {
                mount::write_to_scratch(program, text, 0o644);
                let (base, place, into) = (Slot::ROOT, program.place(Path::new(HOSTS)), Slot::PLACE);
                program.push(Op::ResolveIfPresent { base, place, into });
                program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
                program.push(Op::SetAttributes { mount: Slot::TREE, set: ATTRIBUTES, recursive: false });
                program.push(Op::CheckReadOnly { mount: Slot::TREE });
            }
            Content::Own(text) => file(program, text, Path::new(HOSTS)),
            Content::None => file(program, &[], Path::new(HOSTS)),
        }
    }

    fn describe(&self, to: &mut Describe) {
        let peers = if self.peers { ", kept up to date as peers come and go" } else { "" };
        to.prepare(NAME, format!("write {HOSTS} with {} entries{peers}", self.entries.len()));
    }
}

const LOCALHOST: &[u8] = b"127.0.0.1 localhost\n::1 localhost\n";

/// Its bytes as they are, up to the end of a line.
fn hosts_of_the_host() -> Result<Vec<u8>> {
    let mut text = match std::fs::read(HOSTS) {
        Err(error) if error.kind() == ErrorKind::NotFound => LOCALHOST.to_vec(),
        // In their stead others would be reached, or nobody.
        read => read.map_err(|error| Error::parent(NAME, HOSTS, error).call("read").path_of(HOSTS))?,
    };
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    Ok(text)
}

fn file<'a>(program: &mut Program<'a>, bytes: &'a [u8], target: &'a Path) {
    mount::write_to_scratch(program, bytes, 0o644);
    mount_file(program, target);
}

const ATTRIBUTES: u32 = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY;

fn mount_file<'a>(program: &mut Program<'a>, target: &'a Path) {
    // A distribution's own may be a symlink to what is made at its boot.
    mount::attach(program, target, Want::File, 0o644, Links::MadeGood);
    program.push(Op::SetAttributes { mount: Slot::TREE, set: ATTRIBUTES, recursive: false });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_options_of_a_resolv_conf_are_told_apart() {
        let text = b"# of the caf\xe9\nnameserver 127.0.0.53\nnameserver 192.0.2.1 \nnameserver fe80::1%eth0\n\
                    search example.org  \noptions edns0\nnonsense\n";
        let (servers, rest) = parse(text);
        assert_eq!(servers, [IpAddr::from([127, 0, 0, 53]), IpAddr::from([192, 0, 2, 1])]);
        assert_eq!(rest, b"search example.org\noptions edns0\n");
    }
}
