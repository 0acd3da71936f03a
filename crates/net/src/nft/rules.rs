//! What is in `inet seclude` whoever is inside: its sets, its chains and their rules.

use super::expression::Rule;
use super::neighbours::PUBLISHED;

const INET_HOOK_PREROUTING: u32 = 0;
const INET_HOOK_INPUT: u32 = 1;
const INET_HOOK_FORWARD: u32 = 2;
pub(crate) const INET_HOOK_OUTPUT: u32 = 3;
const INET_HOOK_POSTROUTING: u32 = 4;

/// Where packets come into a chain: type, hook, priority.
pub(crate) struct Hook(pub(crate) &'static str, pub(crate) u32, pub(crate) i32);

/// A chain of the table; without a hook others lead there.
pub(crate) struct Chain(pub(crate) &'static str, pub(crate) Option<Hook>);

pub(super) const CHAINS: [Chain; 10] = [
    Chain("raw", Some(Hook("filter", INET_HOOK_PREROUTING, -300))),
    Chain("published", None),
    Chain("prerouting", Some(Hook("nat", INET_HOOK_PREROUTING, -100))),
    Chain("output", Some(Hook("nat", INET_HOOK_OUTPUT, -100))),
    Chain("postrouting", Some(Hook("nat", INET_HOOK_POSTROUTING, 100))),
    Chain("refuse", None),
    Chain("host", None),
    Chain("input", Some(Hook("filter", INET_HOOK_INPUT, 0))),
    Chain("outward", None),
    Chain("forward", Some(Hook("filter", INET_HOOK_FORWARD, 0))),
];

/// The numbers by which nft(8) shows a type; the kernel does not look at them.
const IPV4: u32 = 7;
const IPV6: u32 = 8;
const PROTOCOL: u32 = 12;
const PORT: u32 = 13;
const NAME: u32 = 41;

/// A set, or a map to an IPv4 address and a port: its name and the types of its key.
pub(super) struct Set(pub(super) &'static str, pub(super) &'static [u32], pub(super) bool);

pub(super) const SETS: [Set; 15] = [
    // Links that only containers of ours are behind: our bridges, the ends of point-to-point links.
    Set("inside", &[NAME], false),
    // Links over which the host's 127.0.0.1 may reach published ports.
    Set("localnet", &[NAME], false),
    // Bridges that were given, twice: what goes on within them is not ours to judge.
    Set("given", &[NAME, NAME], false),
    // Containers at those bridges.
    Set("guest", &[NAME, IPV4], false),
    Set("guest6", &[NAME, IPV6], false),
    // Containers that reach one another: their bridge, twice, and their address.
    Set("peer", &[NAME, NAME, IPV4], false),
    Set("peer6", &[NAME, NAME, IPV6], false),
    // Containers that reach what the host reaches.
    Set("nat4", &[IPV4], false),
    Set("nat6", &[IPV6], false),
    // Containers that reach the host's own services.
    Set("host4", &[IPV4], false),
    Set("host6", &[IPV6], false),
    // Containers that reach what only the host is to reach besides: link-local addresses, a cloud's metadata.
    Set("local4", &[IPV4], false),
    Set("local6", &[IPV6], false),
    Set("publish", &[IPV4, PROTOCOL, PORT], true),
    Set("publish_any", &[PROTOCOL, PORT], true),
];

/// The sets with elements of single containers that are found by an IPv4 address or the link's name.
pub(crate) const CONTAINERS: [&str; 9] =
    ["inside", "localnet", "guest", "peer", "nat4", "host4", "local4", "publish", "publish_any"];

pub(super) const REDIRECTION: [u32; 2] = [IPV4, PORT];

/// How many bytes a value of that type takes in a key, where each begins at a multiple of four.
pub(super) fn size(kind: u32) -> u32 {
    match kind {
        NAME | IPV6 => 16,
        _ => 4,
    }
}

/// nft(8) packs the types of a concatenation, six bits each.
pub(super) fn packed(kinds: &[u32]) -> u32 {
    kinds.iter().fold(0, |packed, kind| packed << 6 | kind)
}

/// Where machines of a cloud are told who they are and what they may: link-local ones (nearly all), and those of Azure,
/// Alibaba and Oracle.
pub(crate) const METADATA: [&[u8]; 4] = [&[169, 254], &[168, 63, 129, 16], &[100, 100, 100, 200], &[192, 0, 0, 192]];
/// The same of IPv6: AWS, Google, Scaleway, Oracle. Link-local ones do not leave a link (`guard.rs`).
pub(crate) const METADATA6: [[u16; 8]; 4] = [
    [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
    [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254],
    [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42],
    [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe],
];

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Every rule with its chain, in order.
pub(super) fn all() -> Vec<(&'static str, Rule)> {
    [translation(), refusal(), to_the_host(), forwarding(), outward()].into_iter().flatten().collect()
}

fn translation() -> Vec<(&'static str, Rule)> {
    let rule = Rule::new;
    vec![
        // With route_localnet a neighbour could send to the host's 127.0.0.1, CVE-2020-8558.
        ("raw", rule().iifname().found_in("localnet").ipv4().loopback_destination().drop()),
        ("published", rule().ipv4().daddr().l4proto().dport().redirect_by("publish")),
        ("published", rule().ipv4().l4proto().dport().redirect_by("publish_any")),
        ("prerouting", rule().for_this_host().goto("published")),
        ("output", rule().for_this_host().goto("published")),
        // From a container over a published port to another of the same link: the answer has to come back this way.
        ("postrouting", rule().marked(PUBLISHED).masquerade()),
        ("postrouting", rule().iifname().oifname().found_in("given").leave()),
        ("postrouting", rule().oifname().found_in("localnet").ipv4().loopback_sender().masquerade()),
        ("postrouting", rule().ipv4().saddr().found_in("nat4").oifname().missing_from("inside").masquerade()),
        ("postrouting", rule().ipv6().saddr6().found_in("nat6").oifname().missing_from("inside").masquerade()),
    ]
}

/// A container is told at once, and does not wait.
fn refusal() -> Vec<(&'static str, Rule)> {
    let rule = Rule::new;
    vec![
        // With br_netfilter a reset goes out without having its addresses changed back, and is nobody's.
        ("refuse", rule().redirected().prohibit()),
        ("refuse", rule().protocol(TCP).reset()),
        ("refuse", rule().prohibit()),
    ]
}

/// What is for the host itself, on whichever of its addresses: what it is asked over one of its own connections, and from a
/// container that reaches its services everything.
fn to_the_host() -> Vec<(&'static str, Rule)> {
    let rule = Rule::new;
    let mut rules = vec![
        ("input", rule().established().leave()),
        ("input", rule().iifname().found_in("inside").goto("host")),
        ("input", rule().ipv4().iifname().saddr().found_in("guest").goto("host")),
        ("input", rule().ipv6().iifname().saddr6().found_in("guest6").goto("host")),
    ];
    rules.extend(but_metadata("host"));
    rules.extend([
        ("host", rule().ipv4().saddr().found_in("host4").leave()),
        ("host", rule().ipv6().saddr6().found_in("host6").leave()),
        // Who has which address of the link. The guard of the link has looked at it.
        ("host", rule().ipv6().protocol(ICMPV6).transport_between(0, 135, 136).leave()),
        ("host", rule().goto("refuse")),
    ]);
    rules
}

fn but_metadata(chain: &'static str) -> Vec<(&'static str, Rule)> {
    let from = || Rule::new().ipv4().saddr().missing_from("local4");
    let from6 = || Rule::new().ipv6().saddr6().missing_from("local6");
    let rules = METADATA.iter().map(|start| from().network_is(16, start).goto("refuse"));
    let bytes = |address: &[u16; 8]| address.iter().flat_map(|part| part.to_be_bytes()).collect::<Vec<u8>>();
    let rules6 = METADATA6.iter().map(|address| from6().network_is(24, &bytes(address)).goto("refuse"));
    rules.chain(rules6).map(|rule| (chain, rule)).collect()
}

fn forwarding() -> Vec<(&'static str, Rule)> {
    let rule = Rule::new;
    vec![
        // In both directions, so before all that is established.
        (
            "forward",
            rule().iifname().found_in("inside").oifname().found_in("inside").redirected().mark(PUBLISHED).leave(),
        ),
        ("forward", within_given().oifname().daddr().found_in("guest").redirected().mark(PUBLISHED).leave()),
        (
            "forward",
            within_given().iifname().saddr().found_in("guest").redirected().established().mark(PUBLISHED).leave(),
        ),
        ("forward", rule().established().leave()),
        // Over a published port. Others change destinations as well, but not to containers of ours.
        ("forward", rule().oifname().found_in("inside").redirected().leave()),
        ("forward", rule().ipv4().oifname().daddr().found_in("guest").redirected().leave()),
        ("forward", rule().iifname().found_in("inside").goto("outward")),
        ("forward", rule().ipv4().iifname().saddr().found_in("guest").goto("outward")),
        ("forward", rule().ipv6().iifname().saddr6().found_in("guest6").goto("outward")),
        ("forward", rule().oifname().found_in("inside").drop()),
        // With br_netfilter what goes on within a bridge comes by here as well.
        ("forward", rule().iifname().oifname().found_in("given").leave()),
        ("forward", rule().ipv4().oifname().daddr().found_in("guest").drop()),
        ("forward", rule().ipv6().oifname().daddr6().found_in("guest6").drop()),
    ]
}

fn outward() -> Vec<(&'static str, Rule)> {
    const DNS: [u8; 2] = 53u16.to_be_bytes();
    let rule = Rule::new;
    let mut rules = vec![
        ("outward", both_peers()),
        ("outward", both_peers6()),
        ("outward", rule().ipv4().oifname().daddr().found_in("guest").goto("refuse")),
        ("outward", rule().ipv6().oifname().daddr6().found_in("guest6").goto("refuse")),
        ("outward", rule().iifname().oifname().found_in("given").leave()),
        ("outward", rule().oifname().found_in("inside").goto("refuse")),
        // Where metadata are, some clouds have their name server as well, and the host's resolv.conf says so.
        ("outward", rule().ipv4().saddr().found_in("nat4").protocol(UDP).transport_is(2, &DNS).leave()),
        ("outward", rule().ipv4().saddr().found_in("nat4").protocol(TCP).transport_is(2, &DNS).leave()),
    ];
    rules.extend(but_metadata("outward"));
    rules.extend([
        ("outward", rule().ipv4().saddr().found_in("nat4").leave()),
        ("outward", rule().ipv6().saddr6().found_in("nat6").leave()),
        ("outward", rule().goto("refuse")),
    ]);
    rules
}

fn within_given() -> Rule {
    Rule::new().iifname().oifname().found_in("given").ipv4()
}

/// The key has the bridge twice, so that peers are of one bridge.
fn both_peers() -> Rule {
    let from = Rule::new().ipv4().iifname().oifname().saddr().found_in("peer");
    from.iifname().oifname().daddr().found_in("peer").leave()
}

fn both_peers6() -> Rule {
    let from = Rule::new().ipv6().iifname().oifname().saddr6().found_in("peer6");
    from.iifname().oifname().daddr6().found_in("peer6").leave()
}
