//! Whether a place of the network is reached, by TCP: what the plan says of it, and nobody is asked for the name.

use std::net::IpAddr;

use seclude_egress::addresses::{Special, special};
use seclude_egress::{Allow, HOST, Name};
use seclude_request::{Field, Remedy};
use serde_json::json;

use super::{Answer, Verdict};
use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::namespace::Namespace;
use crate::config::network::Network;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::step::allowed_with;

const NAME: &str = "why";

enum Place {
    Address(IpAddr),
    Name(Name),
    /// The container itself.
    Itself,
}

pub(super) fn answer(config: &Config, caller: &Host, host: &str, port: u16) -> Result<Answer> {
    if port == 0 {
        return Err(Error::invalid(NAME, "0 is no port: 1 to 65535"));
    }
    let place = place(config, host)?;
    if let Some(refused) = by_landlock(config, port) {
        return Ok(refused);
    }
    Ok(match (&config.network, &place) {
        (Some(Network::Names(names)), _) => of_names(&allowed_with(names, config)?, &place, port),
        (None, Place::Itself) if !config.namespaces.is_new(Namespace::Net) => of_the_hosts(config),
        (_, Place::Itself) => itself(),
        (Some(Network::Veth(_)), _) if caller.capabilities & Capability::NET_ADMIN.bit() == 0 => {
            let by = "a veth pair is made by who has CAP_NET_ADMIN over the host's network: the start fails";
            Answer::new(Verdict::Refused, by).at(Some(Field::of("network")))
        }
        (Some(Network::Veth(veth)), _) => of_host(&place, veth.request.host_access, veth.request.nat),
        (Some(Network::Pasta(pasta)), _) => of_host(&place, pasta.host_access, true),
        (None, _) if config.namespaces.is_new(Namespace::Net) => {
            let remedies = match &place {
                Place::Name(name) => vec![Remedy::set("network.allow", json!([format!("{name}:{port}")]))],
                _ => vec![Remedy::give("network")],
            };
            let field = Some(Field::of("network"));
            Answer::new(Verdict::Refused, "it has a loopback alone").at(field).with(remedies)
        }
        (None, _) => of_the_hosts(config),
    })
}

/// A network namespace that is there already.
fn of_the_hosts(config: &Config) -> Answer {
    if config.namespaces.is_joined(Namespace::Net) {
        let by = "its network namespace is one that is there already, and has what that has";
        return Answer::new(Verdict::CannotTell, by).at(Some(Field::of("namespaces").key("net")));
    }
    Answer::new(Verdict::Allowed, "its network is the host's own, with all that it reaches")
}

fn place(config: &Config, host: &str) -> Result<Place> {
    let of_address = |address: IpAddr| match special(address) {
        Some(Special::Loopback | Special::Unspecified) => Place::Itself,
        _ => Place::Address(address),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Ok(of_address(address));
    }
    let name = match host.parse::<Name>() {
        Ok(name) => name,
        Err(seclude_egress::NameError::Localhost) => return Ok(Place::Itself),
        Err(error) => return Err(Error::invalid(NAME, format!("{host:?}: {error}"))),
    };
    if let Some(Network::Names(names)) = &config.network
        && !allowed_with(names, config)?.placed(&name).is_empty()
    {
        return Ok(Place::Name(name));
    }
    // Programs look there before they ask anybody.
    let listed = config.host_entries.iter().find(|(_, listed)| listed.eq_ignore_ascii_case(name.as_str()));
    Ok(listed.map_or(Place::Name(name), |(address, _)| of_address(*address)))
}

fn itself() -> Answer {
    Answer::new(Verdict::CannotTell, "that is the container itself: it depends on who listens there")
}

fn by_landlock(config: &Config, port: u16) -> Option<Answer> {
    let closed = config.no_namespaces.then(Vec::new);
    let ports = config.landlock.connect.clone().or(closed)?;
    (!ports.contains(&port)).then(|| {
        Answer::new(Verdict::Refused, "a rule of landlock opens other ports alone")
            .at(Some(Field::of("landlock").key("connect")))
            .with([Remedy::set("landlock.connect", json!([port]))])
    })
}

fn of_names(allow: &Allow, place: &Place, port: u16) -> Answer {
    let field = |key: &str| Some(Field::of("network").key(key));
    let name = match place {
        Place::Itself => return itself(),
        Place::Name(name) => name,
        Place::Address(address) => match allow.at(*address) {
            // Its slot.
            Some(name) => name,
            None => {
                let by = "all addresses are the container's own there: what is reached is a name";
                return Answer::new(Verdict::Refused, by).at(field("allow"));
            }
        },
    };
    let is_host = name.as_str() == HOST;
    let key = if is_host { "allow_loopback" } else { "allow" };
    let Some(ports) = allow.ports_of(name).filter(|ports| ports.contains(port)) else {
        let by = match allow.ports_of(name) {
            Some(ports) => format!("it is allowed on other ports: {ports}"),
            None if is_host => "no port of the host's own loopback is open".to_owned(),
            None if allow.datagrams_of(name).count() > 0 => {
                format!("it is allowed by UDP alone, on {}, and a connection is TCP", allow.datagrams_of(name))
            }
            None => "the name is not allowed".to_owned(),
        };
        let remedy = match is_host {
            true => Remedy::set("network.allow_loopback", json!([port])),
            false => Remedy::set("network.allow", json!([format!("{name}:{port}")])),
        };
        // Where names are asked for leads nowhere else.
        let remedies = (port != 53).then_some(remedy);
        return Answer::new(Verdict::Refused, by).at(field(key)).with(remedies);
    };
    let private = allow.is_private(name, port);
    let is_closed = |address: &IpAddr| special(*address).filter(|special| !(private && special.can_be_allowed()));
    let placed = allow.placed(name);
    let closed: Vec<_> = placed.iter().filter_map(|address| Some((address, is_closed(address)?))).collect();
    if let Some((address, special)) = closed.first().filter(|_| closed.len() == placed.len()) {
        let can_be = closed.iter().any(|(_, special)| special.can_be_allowed());
        let remedies = can_be.then(|| Remedy::set("network.allow_private", json!([format!("{name}:{port}")])));
        let by = format!("it leads to {address}, which is {}", special.name());
        return Answer::new(Verdict::Refused, by).at(Some(Field::of("hosts"))).with(remedies);
    }
    let leads = match (is_host, allow.is_private(name, port)) {
        (true, _) => "it is 127.0.0.1 of the host",
        (_, true) => "it may lead to public and private addresses",
        (_, false) => "it may lead to public addresses alone",
    };
    let sni = if allow.requires_sni() && !is_host { ", by TLS that asks for it" } else { "" };
    Answer::new(Verdict::Allowed, format!("{name} is allowed on {ports}{sni}; {leads}")).at(field(key))
}

/// Of a veth pair or pasta, which reach what the host does.
fn of_host(place: &Place, host_access: bool, nat: bool) -> Answer {
    let open = [Remedy::set("network.host_access", true)];
    let field = Some(Field::of("network"));
    match place {
        _ if !nat => {
            let by = "it reaches the host and its peers alone, and which address is theirs is known once it runs";
            Answer::new(Verdict::CannotTell, by).at(Some(Field::of("network").key("nat")))
        }
        Place::Address(address) => match special(*address) {
            Some(Special::LinkLocal | Special::Metadata) if !host_access => {
                let by = "link-local addresses and those of a cloud's metadata are closed";
                Answer::new(Verdict::Refused, by).at(Some(Field::of("network").key("host_access"))).with(open)
            }
            None => Answer::new(Verdict::Allowed, "it reaches what the host reaches").at(field),
            Some(_) => {
                let by = "it reaches what the host reaches, and the host itself only if that is open";
                Answer::new(Verdict::CannotTell, by).at(field)
            }
        },
        Place::Name(_) | Place::Itself => {
            let by = "it reaches addresses, and which the name has is known once it is asked for";
            Answer::new(Verdict::CannotTell, by).at(field)
        }
    }
}
