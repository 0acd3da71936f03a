//! Which key it is about that a request cannot be meant: the library compiles it into a plan before anything is done, and
//! says which step of that it is.

use seclude::Error;

use super::container::CONTAINER;
use super::fs::{ENTRY, OPTIONS};
use super::limit::CGROUP;
use super::namespace::NAMESPACES;
use super::network::{NETWORK, read_ports};
use super::{At, Wrong};
use crate::value::Value;
use crate::words::with_keys;

/// What the plan of a request is refused with, with the path of the key; `container` is what was given as that.
pub(crate) fn wrong(container: &At<'_>, error: &Error) -> Wrong {
    let (path, contradicts) = place(container, error);
    let mut message = format!("{path}: {}", error.action());
    if let Some(hint) = error.advice() {
        message.push_str(": ");
        message.push_str(&with_keys(hint));
    }
    if contradicts { Wrong::Type(message) } else { Wrong::Range(message) }
}

/// The path, and whether it is another key that stands in its way: a value that is well by itself is of the wrong kind there.
fn place(at: &At<'_>, error: &Error) -> (String, bool) {
    let said = error.action();
    let key = |name| CONTAINER.path(at, name);
    match error.step() {
        "workdir" => ("cwd".into(), false),
        "exec" if said.starts_with("an init") => (key("init"), true),
        "exec" => ("cmd".into(), false),
        "descriptors" => ("stdio".into(), false),
        "prefer" => (preferred(at, said), true),
        "clone" => (key("clone"), said.starts_with("vm cannot be had")),
        "root" => (key("root"), said.starts_with("it needs")),
        "mount" | "plan" => mount(at, error),
        "user map" if said.starts_with("the caller is not root") => (key("hostRoot"), false),
        "user map" if said.starts_with("nested user namespaces") => (key("nested"), true),
        "user map" if said.starts_with("uid") => (key("uid"), true),
        "user map" if said.starts_with("gid") => (key("gid"), true),
        "user map" | "user namespace" => (namespace(at, "user"), true),
        "nesting" => (key("nested"), true),
        "join" if said.starts_with("a time") => (namespace(at, "time"), true),
        "join" => (namespace(at, "user"), true),
        "time offsets" => (namespace(at, "time"), true),
        "cgroup" if CONTAINER.find(at, "joinCgroup").is_some() => (key("joinCgroup"), true),
        "cgroup" => (
            CONTAINER.find(at, "cgroup").map_or_else(|| key("cgroup"), |cgroup| CGROUP.path(&cgroup, "delegate")),
            true,
        ),
        "network" | "veth" | "pasta" => network(at, said),
        "names" if said.starts_with("host entry") || CONTAINER.find(at, "dns").is_none() => (key("hosts"), false),
        "names" => (key("dns"), said.contains("need")),
        "host name" if CONTAINER.find(at, "hostname").is_none() => (key("domainname"), said.starts_with("it needs")),
        "host name" => (key("hostname"), said.starts_with("it needs")),
        "deadline" => (key("deadline"), false),
        "rlimit" => (key("rlimits"), false),
        "rights" => (key("ambientCapabilities"), true),
        "oom score" => (key("oomScoreAdj"), false),
        _ => (at.path.clone(), false),
    }
}

fn namespace(at: &At<'_>, kind: &str) -> String {
    let namespaces = CONTAINER.find(at, "namespace");
    namespaces.map_or_else(|| CONTAINER.path(at, "namespace"), |namespaces| NAMESPACES.path(&namespaces, kind))
}

/// `said` begins with the name that is not asked for.
fn preferred(at: &At<'_>, said: &str) -> String {
    let path = CONTAINER.path(at, "prefer");
    let items = CONTAINER.find(at, "prefer").and_then(|prefer| prefer.items("").ok()).unwrap_or_default();
    let name = said.split(' ').next();
    let item = items.into_iter().find(|item| item.text().ok() == name);
    item.map_or(path, |item| item.path)
}

fn mount(at: &At<'_>, error: &Error) -> (String, bool) {
    let said = error.action();
    if said.starts_with("a new pid namespace") {
        return (namespace(at, "mount"), true);
    }
    let path = CONTAINER.path(at, "fs");
    let items = CONTAINER.find(at, "fs").and_then(|entries| entries.items("").ok()).unwrap_or_default();
    let Some(entry) = error.mount().and_then(|number| items.into_iter().nth(number)) else { return (path, false) };
    // Whatever is wrong with an entry for want of something is in the keys beside it.
    let contradicts = said.contains("needs a new") || said.starts_with("cgroup2");
    if said.starts_with("target") {
        return (ENTRY.path(&entry, "to"), contradicts);
    }
    if said.starts_with("overlay") {
        let options = ENTRY.find(&entry, "options").and_then(|options| OPTIONS.find(&options, "overlayfs"));
        return (options.map_or(entry.path, |options| options.path), contradicts);
    }
    (entry.path, contradicts)
}

/// The first word says what of the network it is.
fn network(at: &At<'_>, said: &str) -> (String, bool) {
    let inside = CONTAINER.find(at, "namespace").and_then(|namespaces| NAMESPACES.find(&namespaces, "network"));
    let Some(network) = CONTAINER.find(at, "network").or(inside) else { return (CONTAINER.path(at, "network"), true) };
    if !matches!(network.value, Value::Object(_)) {
        return (network.path, true);
    }
    let key = |name| NETWORK.path(&network, name);
    match said.split([' ', ':']).next() {
        Some("interface") => (key("interface"), false),
        Some("bridge") => (key("bridge"), false),
        Some("address") => (key("ip"), false),
        Some("IPv6") => (key("ip6"), false),
        Some("MTU") => (key("mtu"), false),
        Some("rate") => (key("rate"), false),
        Some("latency") => (key("latency"), false),
        Some("peers") => (key("peers"), true),
        Some("published") => published(&network, said),
        _ if said.ends_with("can be") => (key("publish"), false),
        _ => (network.path, true),
    }
}

fn published(network: &At<'_>, said: &str) -> (String, bool) {
    let clash = said.ends_with("has it already");
    let items = NETWORK.find(network, "publish").and_then(|ports| ports.items("").ok()).unwrap_or_default();
    let is_it = |item: &&At<'_>| {
        let ports = read_ports(item).unwrap_or_default();
        ports.iter().any(|port| said.starts_with(&format!("published port {port}:")))
    };
    let mut found = items.iter().filter(is_it);
    // Of two that are the same it is the second that comes too late.
    let (first, second) = (found.next(), found.next().filter(|_| clash));
    let item = second.or(first);
    (item.map_or_else(|| NETWORK.path(network, "publish"), |item| item.path.clone()), clash)
}
