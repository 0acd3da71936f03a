//! What a container with CAP_NET_RAW sends: frames under its own addresses pass, and nothing else does.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::*;
use seclude_net::{Attach, Ipv6, Request, Veth};

const FRAMES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/frames.py");
const HONEST: [&str; 13] = [
    "udp",
    "arp request",
    "arp reply",
    "error about its own",
    "error6 about its own",
    "later fragment",
    "udp6",
    "solicitation",
    "solicitation of the link",
    "advertisement",
    "bare advertisement",
    "advertisement of the link",
    "listener report",
];
const HONEST_IPV4: usize = 4;

fn request(with_ipv6: bool) -> Request {
    let mut request = Request::default();
    (request.nat, request.peers) = (false, true);
    request.ipv6 = with_ipv6.then_some(Ipv6::Auto);
    request
}

/// A container and who else is there, as the script wants to know them.
struct Sender<'a> {
    space: &'a Space,
    addresses: Vec<String>,
}

impl Sender<'_> {
    fn new<'a>(space: &'a Space, own: &Veth, other: &Veth) -> Sender<'a> {
        let address6 = |veth: &Veth| veth.address6().map_or("fd00::7".to_owned(), |address| address.to_string());
        let one = |veth: &Veth| [veth.mac().to_string(), veth.address().to_string(), address6(veth)];
        let gateway6 = own.gateway6().map_or("fd00::1".to_owned(), |address| address.to_string());
        let gateways = [own.gateway().unwrap().to_string(), gateway6];
        Sender { space, addresses: [&one(own)[..], &one(other), &gateways].concat() }
    }

    /// Sends these, or all; answers the names of all.
    fn send(&self, names: &[&str]) -> Vec<String> {
        self.script("send", names)
    }

    /// Sends each of these in two fragments, of every split; answers their names with where they were cut.
    fn send_in_pieces(&self, names: &[&str]) -> Vec<String> {
        self.script("pieces", names)
    }

    fn script(&self, what: &str, names: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = [FRAMES, what].iter().chain(names).map(|name| (*name).to_owned()).collect();
        arguments.push("--".to_owned());
        arguments.extend(self.addresses.clone());
        let said = self.space.run(move || look("python3", &arguments.iter().map(String::as_str).collect::<Vec<_>>()));
        assert!(!said.contains("Error"), "{said}");
        said.lines().map(str::to_owned).collect()
    }
}

/// Listens to what comes in over a link.
struct Listener {
    program: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Listener {
    fn new(space: &Space, link: &'static str) -> Listener {
        let mut program = space.run(move || {
            let mut command = Command::new("python3");
            command.args([FRAMES, "hear", link]).stdin(Stdio::piped()).stdout(Stdio::piped());
            command.spawn().unwrap()
        });
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        Listener { program, lines }
    }

    /// What was heard up to that one.
    fn until(&mut self, last: &str) -> BTreeSet<String> {
        (&mut self.lines).map(Result::unwrap).take_while(|name| name != last).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        let _ = self.program.wait();
    }
}

/// What others hear of all the frames there are.
fn heard(sender: &Sender<'_>, listener: &mut Listener) -> (BTreeSet<String>, BTreeSet<String>) {
    let all = sender.send(&[]).into_iter().collect();
    sender.send(&["last"]);
    (all, listener.until("last"))
}

fn flush(host: &Space, veth: &Veth) {
    let link = veth.link().to_owned();
    assert_eq!(host.run(move || look("nft", &["flush", "chain", "netdev", "seclude", &link])), "");
}

#[test]
fn a_container_sends_under_its_own_addresses_and_nothing_else() {
    root_only!();
    for with_ipv6 in [true, false] {
        let host = Space::host();
        host.run(|| {
            // With br_netfilter what is behind the end of a packet is cut off, and the names are there.
            for family in ["ip", "ip6"] {
                let _ = std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}tables"), "0");
            }
        });
        let (one, two) = (Space::container(), Space::container());
        let pair = move || (Veth::prepare(&request(with_ipv6)).unwrap(), Veth::prepare(&request(with_ipv6)).unwrap());
        let (first, second) = host.run(pair);
        join(&first, &one);
        join(&second, &two);
        let sender = Sender::new(&one, &first, &second);
        let mut neighbour = Listener::new(&two, "eth0");
        let mut bridge = Listener::new(&host, "seclude0");

        let (all, at_neighbour) = heard(&sender, &mut neighbour);
        let allowed = if with_ipv6 { &HONEST[..] } else { &HONEST[..HONEST_IPV4] };
        let allowed: BTreeSet<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(at_neighbour, allowed, "IPv6: {with_ipv6}");
        assert_eq!(bridge.until("last"), allowed, "at the host, IPv6: {with_ipv6}");
        assert!(all.len() > 40 && all.is_superset(&allowed));

        // It was the chain of its link that kept them in: without it each arrives, but what a bridge keeps to itself.
        flush(&host, &first);
        let (_, at_neighbour) = heard(&sender, &mut neighbour);
        let kept: Vec<&String> = all.difference(&at_neighbour).collect();
        assert_eq!(kept, ["to a bridge's own address"]);
    }
}

#[test]
fn what_does_not_pass_whole_does_not_pass_in_two_pieces() {
    root_only!();
    let host = Space::host();
    host.run(|| {
        for family in ["ip", "ip6"] {
            let _ = std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}tables"), "0");
        }
    });
    let (one, two) = (Space::container(), Space::container());
    let (first, second) = host.run(|| (Veth::prepare(&request(true)).unwrap(), Veth::prepare(&request(true)).unwrap()));
    join(&first, &one);
    join(&second, &two);
    let sender = Sender::new(&one, &first, &second);
    let mut neighbour = Listener::new(&two, "eth0");

    let (all, at_neighbour) = heard(&sender, &mut neighbour);
    let dropped: Vec<&str> = all.difference(&at_neighbour).map(String::as_str).collect();
    // Of which pairs both arrive: that is what whoever receives them puts together.
    let mut passing = || -> (Vec<String>, Vec<String>) {
        let sent = sender.send_in_pieces(&dropped);
        sender.send(&["last"]);
        let heard = neighbour.until("last");
        sent.into_iter()
            .partition(|name| ["first", "rest"].iter().all(|which| heard.contains(&format!("{name} {which}"))))
    };
    let (passed, kept) = passing();
    assert_eq!(passed, Vec::<String>::new());
    assert!(kept.len() > 80, "{kept:?}");

    flush(&host, &first);
    let (_, kept) = passing();
    assert!(kept.iter().all(|name| name.starts_with("to a bridge's own address")), "{kept:?}");
}

#[test]
fn a_frame_to_a_bridges_own_address_is_no_way_around_the_rules() {
    root_only!();
    let host = Space::host();
    let (one, two) = (Space::container(), Space::container());
    let (first, second) =
        host.run(|| (Veth::prepare(&request(false)).unwrap(), Veth::prepare(&request(false)).unwrap()));
    join(&first, &one);
    join(&second, &two);
    let sender = Sender::new(&one, &first, &second);
    let gateway = first.gateway().unwrap();
    let socket = host.run(move || UdpSocket::bind((gateway, 5000)).unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let arrives = || {
        sender.send(&["to a bridge's own address"]);
        socket.recv(&mut [0; 8]).is_ok()
    };
    assert!(!arrives());
    flush(&host, &first);
    assert!(arrives());
}

#[test]
fn nobody_inside_is_a_router_to_the_host() {
    root_only!();
    const ATTACKS: [&str; 6] = [
        "router advertisement",
        "router advertisement, other address",
        "router advertisement behind options",
        "redirect",
        "advertisement, gateway",
        "icmp redirect",
    ];
    for (with_ipv6, attach) in
        [(false, Attach::Own), (true, Attach::Own), (false, Attach::PointToPoint), (true, Attach::PointToPoint)]
    {
        let host = Space::host();
        host.run(|| {
            // As most hosts have it that are no routers.
            for file in ["default/accept_ra", "all/accept_ra"] {
                std::fs::write(format!("/proc/sys/net/ipv6/conf/{file}"), "1").unwrap();
            }
        });
        let mut wanted = request(with_ipv6);
        wanted.peers = false;
        wanted.attach = attach.clone();
        let (one, two) = (Space::container(), Space::container());
        let (first, second) = host.run(move || (Veth::prepare(&wanted).unwrap(), Veth::prepare(&wanted).unwrap()));
        join(&first, &one);
        join(&second, &two);
        let sender = Sender::new(&one, &first, &second);
        let link = first.bridge().unwrap_or(first.link()).to_owned();
        let learned = || {
            std::thread::sleep(Duration::from_millis(100));
            host.run(|| {
                look("ip", &["-6", "route", "show", "default"]) + &look("ip", &["-6", "route", "show", "proto", "ra"])
            })
        };
        sender.send(&ATTACKS);
        assert_eq!(learned(), "", "{attach:?}, IPv6: {with_ipv6}");
        // Neither do the switches let it in, where somebody has flushed the rules.
        flush(&host, &first);
        sender.send(&ATTACKS);
        assert_eq!(learned(), "", "{attach:?}, IPv6: {with_ipv6}, no rules");
        // Without either, and without what closes the host, it does.
        host.run(move || {
            look("nft", &["flush", "chain", "inet", "seclude", "host"]);
            for (name, value) in [("disable_ipv6", "0"), ("accept_ra", "2"), ("accept_ra_defrtr", "1")] {
                std::fs::write(format!("/proc/sys/net/ipv6/conf/{link}/{name}"), value).unwrap();
            }
        });
        let is_learned = || {
            sender.send(&ATTACKS[..1]);
            learned().contains("default via fe80::")
        };
        assert!(
            (0..40).any(|_| is_learned()),
            "{attach:?}, IPv6: {with_ipv6}: the attack works where nothing stops it"
        );
    }
}
