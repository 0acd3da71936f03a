//! What a container is connected by, and which names it knows.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use seclude::{Dns, Ipv6, Mac, Namespace, Pasta, Protocol, Publish, Subnet, Subnet6, Veth};

use super::container::{Draft, said_twice};
use super::{At, Key, Off, Read, Shape, Wrong};
use crate::value::Value;

/// Options of a network as far as they are read.
#[derive(Default)]
pub(crate) struct Network {
    mode: Option<Mode>,
    join: Option<PathBuf>,
    veth: Veth,
    /// Which key has said what its link leads to.
    attached: Option<String>,
    /// The first key that only a veth pair can have.
    of_veth: Option<String>,
    ports: Vec<Publish>,
    published: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Loopback,
    Host,
    Veth,
    Pasta,
}

const MODES: &str = "\"loopback\", \"host\", \"veth\" or \"pasta\"";

fn mode(at: &At<'_>) -> Read<Mode> {
    match at.text()? {
        "loopback" | "none" => Ok(Mode::Loopback),
        "host" => Ok(Mode::Host),
        "veth" => Ok(Mode::Veth),
        "pasta" => Ok(Mode::Pasta),
        _ => Err(at.out_of_range(MODES)),
    }
}

pub(super) fn read(draft: &mut Draft, at: &At<'_>) -> Read<()> {
    if let Some(other) = draft.network.replace(at.path.clone()) {
        return Err(said_twice(at, &other));
    }
    draft.said.push(Namespace::Net);
    let mut network = Network::default();
    match at.value {
        Value::Bool(true) => network.mode = Some(Mode::Loopback),
        Value::Bool(false) => network.mode = Some(Mode::Host),
        Value::Text(_) => network.mode = Some(mode(at)?),
        Value::Object(_) => NETWORK.read(&mut network, at)?,
        _ => return Err(at.wrong_type(&format!("true, false, {MODES}, or an object"))),
    }
    network.apply(draft, at)
}

impl Network {
    fn veth(&mut self, at: &At<'_>, change: impl FnOnce(Veth) -> Veth) {
        self.of_veth.get_or_insert_with(|| at.path.clone());
        self.veth = change(std::mem::take(&mut self.veth));
    }

    fn attach(&mut self, at: &At<'_>) -> Read<()> {
        match self.attached.replace(at.path.clone()) {
            Some(other) => Err(said_twice(at, &other)),
            None => Ok(()),
        }
    }

    fn apply(self, draft: &mut Draft, at: &At<'_>) -> Read<()> {
        let command = &mut draft.command;
        let mode = match (self.mode, &self.join) {
            (None, Some(path)) => {
                command.join(Namespace::Net, path);
                None
            }
            (Some(_), Some(_)) => return Err(Wrong::Type(format!("{}: it can have mode or join, not both", at.path))),
            (None, None) => return Err(Wrong::Type(format!("{}: it needs a mode: {MODES}", at.path))),
            (mode, None) => mode,
        };
        match (&self.of_veth, &self.published, mode) {
            (_, _, Some(Mode::Veth)) | (None, _, Some(Mode::Pasta)) | (None, None, _) => {}
            (Some(key), _, _) => return Err(Wrong::Type(format!("{key}: it needs mode \"veth\""))),
            (None, Some(key), _) => return Err(Wrong::Type(format!("{key}: it needs mode \"veth\" or \"pasta\""))),
        }
        match mode {
            None => {}
            Some(Mode::Loopback) => drop(command.unshare(Namespace::Net)),
            Some(Mode::Host) => drop(command.share(Namespace::Net)),
            Some(Mode::Veth) => drop(command.veth(self.ports.into_iter().fold(self.veth, Veth::publish))),
            Some(Mode::Pasta) => drop(command.pasta(self.ports.into_iter().fold(Pasta::new(), Pasta::publish))),
        }
        if matches!(mode, Some(Mode::Veth | Mode::Pasta)) {
            // Its name servers are in a file of its own.
            draft.imply(Namespace::Mount);
        }
        Ok(())
    }
}

pub(crate) const NETWORK: Shape<Network> = Shape {
    name: "NetworkOptions",
    doc: "What the container is connected by.",
    keys: &[
        Key {
            names: &["mode", "type"],
            ts: "\"loopback\" | \"none\" | \"host\" | \"veth\" | \"pasta\"",
            doc:
                "`loopback` or `none`: its own interface that is up, and no other; `host`: the host's network; `veth`: a link to a
                  bridge of the host, as root; `pasta`: through the program pasta(1), as anybody.",
            off: Off::Told,
            read: |network, at| {
                network.mode = Some(mode(at)?);
                Ok(())
            },
        },
        Key {
            names: &["join"],
            ts: "string",
            doc: "The existing namespace to enter, such as /run/netns/NAME, instead of a mode.",
            off: Off::Absent,
            read: |network, at| {
                network.join = Some(at.host_path()?);
                Ok(())
            },
        },
        Key {
            names: &["bridge"],
            ts: "string",
            doc: "Attaches it to this bridge, which exists, instead of one that seclude makes (veth).",
            off: Off::Absent,
            read: |network, at| {
                let name = at.path_text()?;
                network.attach(at)?;
                network.veth(at, |veth| veth.bridge(name));
                Ok(())
            },
        },
        Key {
            names: &["pointToPoint"],
            ts: "boolean",
            doc: "A link between host and container alone, without a bridge (veth).",
            off: Off::Absent,
            read: |network, at| {
                at.flag()?;
                network.attach(at)?;
                network.veth(at, Veth::point_to_point);
                Ok(())
            },
        },
        Key {
            names: &["subnet"],
            ts: "string",
            doc: "The subnet of its address, such as 10.20.0.0/24 (veth). Default: one that no route of the host leads to.",
            off: Off::Absent,
            read: |network, at| {
                let subnet = at.parse::<Subnet>("a subnet, such as 10.20.0.0/24")?;
                network.veth(at, |veth| veth.subnet(subnet));
                Ok(())
            },
        },
        Key {
            names: &["ip", "address"],
            ts: "string",
            doc: "Its IPv4 address (veth). Default: a free one.",
            off: Off::Absent,
            read: |network, at| {
                let address = at.parse::<Ipv4Addr>("an IPv4 address")?;
                network.veth(at, |veth| veth.address(address));
                Ok(())
            },
        },
        Key {
            names: &["ip6", "ipv6"],
            ts: "string",
            doc: "An IPv6 address as well: of this subnet, or \"auto\" (veth).",
            off: Off::Absent,
            read: |network, at| {
                let ipv6 = match at.value {
                    Value::Text(text) if text == "auto" => Ipv6::Auto,
                    _ => Ipv6::Subnet(at.parse::<Subnet6>("\"auto\" or a subnet, such as fd00:1::/64")?),
                };
                network.veth(at, |veth| veth.ipv6(ipv6));
                Ok(())
            },
        },
        Key {
            names: &["mac"],
            ts: "string",
            doc: "Its hardware address (veth).",
            off: Off::Absent,
            read: |network, at| {
                let mac = at.parse::<Mac>("a hardware address")?;
                network.veth(at, |veth| veth.mac(mac));
                Ok(())
            },
        },
        Key {
            names: &["mtu"],
            ts: "number | bigint",
            doc: "The largest packet, bytes, 68 to 65535 (veth). Default: 1500.",
            off: Off::Absent,
            read: |network, at| {
                let bytes = at.integer(68, 65_535, "a number of bytes, 68 to 65535")?;
                network.veth(at, |veth| veth.mtu(bytes as u32));
                Ok(())
            },
        },
        Key {
            names: &["interface"],
            ts: "string",
            doc: "The name of its interface inside (veth). Default: eth0.",
            off: Off::Absent,
            read: |network, at| {
                let name = at.text()?;
                // IFNAMSIZ, and what the kernel takes for something else.
                if !(1..16).contains(&name.len()) || name.contains(|c: char| c.is_whitespace() || "/:%".contains(c)) {
                    return Err(at.out_of_range("a name of 1 to 15 bytes without space, '/', ':' or '%'"));
                }
                network.veth(at, |veth| veth.interface(name));
                Ok(())
            },
        },
        Key {
            names: &["nat"],
            ts: "boolean",
            doc: "Whether it reaches what the host reaches; `false`: the host alone, by rule (veth). Default: true.",
            off: Off::Told,
            read: |network, at| {
                let on = at.flag()?;
                network.veth(at, |veth| veth.nat(on));
                Ok(())
            },
        },
        Key {
            names: &["hostAccess"],
            ts: "boolean",
            doc: "Whether the host's own services are open to it, and with NAT link-local addresses and those of a cloud's
                  metadata; otherwise they refuse it (veth). Default: false, without NAT the host's own services are open.",
            off: Off::Told,
            read: |network, at| {
                let on = at.flag()?;
                network.veth(at, |veth| veth.host_access(on));
                Ok(())
            },
        },
        Key {
            names: &["ipForward"],
            ts: "boolean",
            doc: "Lets net.ipv4.ip_forward be switched on, if it is off, until the last container has ended (veth).
                  Default: false; then it is an error where it is off and needed.",
            off: Off::Told,
            read: |network, at| {
                let on = at.flag()?;
                network.veth(at, |veth| veth.ip_forward(on));
                Ok(())
            },
        },
        Key {
            names: &["peers"],
            ts: "boolean",
            doc:
                "Whether it and the other containers of its bridge that have this reach one another, also by their host
                  names (veth). Default: false.",
            off: Off::Told,
            read: |network, at| {
                let on = at.flag()?;
                network.veth(at, |veth| veth.peers(on));
                Ok(())
            },
        },
        Key {
            names: &["publish", "ports"],
            ts: "(string | number | bigint)[]",
            doc: "Ports of the host that lead to the container: \"8080:80\", \"127.0.0.1:5353:53/udp\", a range
                  \"8000-8010:8000-8010\", or a number for the same port on both sides (veth, pasta).",
            off: Off::Absent,
            read: |network, at| {
                network.published.get_or_insert_with(|| at.path.clone());
                for item in at.items("an array of ports")? {
                    network.ports.extend(read_ports(&item)?);
                }
                Ok(())
            },
        },
        Key {
            names: &["rate"],
            ts: "number | bigint",
            doc: "At most so many bits a second in each direction, 8000 or more (veth).",
            off: Off::Absent,
            read: |network, at| {
                const MOST: i128 = 100_000_000_000;
                let bits = at.integer(8_000, MOST, "a number of bits a second, 8000 to 100000000000")?;
                network.veth(at, |veth| veth.rate(bits as u64));
                Ok(())
            },
        },
        Key {
            names: &["latency"],
            ts: "number",
            doc: "Added to every packet to it, milliseconds, up to a minute (veth).",
            off: Off::Absent,
            read: |network, at| {
                let time = at.milliseconds()?;
                if time > Duration::from_secs(60) {
                    return Err(at.out_of_range("a number of milliseconds, up to 60000"));
                }
                network.veth(at, |veth| veth.latency(time));
                Ok(())
            },
        },
    ],
};

pub(super) fn read_ports(at: &At<'_>) -> Read<Vec<Publish>> {
    match at.value {
        Value::Text(text) => Publish::parse(text).map_err(|error| Wrong::Range(format!("{}: {error}", at.path))),
        Value::Number(_) | Value::Integer(_) => {
            let port = at.integer(1, 65_535, "a port, 1 to 65535")? as u16;
            Ok(vec![Publish { host: None, host_port: port, port, protocol: Protocol::Tcp }])
        }
        _ => Err(at.wrong_type("a string such as \"8080:80\", or a number")),
    }
}

pub(super) fn read_dns(draft: &mut Draft, at: &At<'_>) -> Read<()> {
    let dns = match at.value {
        Value::Bool(false) => Dns::Unchanged,
        Value::Text(text) if text == "host" => Dns::Host,
        Value::List(_) => {
            let servers = at.items("")?;
            if servers.is_empty() {
                return Err(at.out_of_range("an array of one address or more"));
            }
            Dns::Servers(servers.iter().map(|server| server.parse::<IpAddr>("an address")).collect::<Read<_>>()?)
        }
        _ => return Err(at.wrong_type("an array of addresses, \"host\" or false")),
    };
    if dns != Dns::Unchanged {
        draft.imply(Namespace::Mount);
    }
    draft.command.dns(dns);
    Ok(())
}

pub(super) fn read_hosts(draft: &mut Draft, at: &At<'_>) -> Read<()> {
    draft.imply(Namespace::Mount);
    for (name, at) in at.entries()? {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(Wrong::Range(format!("{}: it can be a name without blanks and '#'", at.path)));
        }
        draft.command.add_host(name, at.parse::<IpAddr>("an address")?);
    }
    Ok(())
}
