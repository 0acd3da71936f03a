//! Out through NAT, in through published ports, and nowhere else. The internet is a namespace that plays the host to
//! the host: the host's uplink is itself a container's end.

mod common;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

use common::world::*;
use common::*;
use seclude_net::{Attach, Publish, Request, Veth};

#[test]
fn only_with_nat_the_outside_is_reached() {
    root_only!();
    let world = World::new();
    for attach in [Attach::Own, Attach::PointToPoint] {
        let (mut open, mut shut) = (with_nat(), alone());
        (open.attach, shut.attach) = (attach.clone(), attach);
        let (first, one) = world.container(&open, "one");
        let (second, two) = world.container(&shut, "two");
        // Under the host's address.
        assert_eq!(ask(&one, world.far, 7), format!("far {}", world.near));
        assert_eq!(ask(&two, world.far, 7), "");
        // Not by luck: the internet would know the way back.
        let (inner, near) = (second.address(), world.near);
        world.internet.run(move || add_route(inner, near));
        assert_eq!(ask(&two, world.far, 7), "");
        assert_eq!(ask(&world.internet, inner, 80), "", "the outside reaches a container");
        // It was the rule, nothing else.
        world.host.run(|| look("nft", &["flush", "chain", "inet", "seclude", "outward"]));
        assert_eq!(ask(&two, world.far, 7), format!("far {inner}"));
        drop((first, second));
    }
    let left = world.host.run(|| look("nft", &["list", "ruleset"]) + &ip_forward());
    assert_eq!(left, "0");
}

#[test]
fn containers_do_not_reach_one_another_unless_they_are_peers() {
    root_only!();
    let world = World::new();
    let (first, one) = world.container(&with_nat(), "one");
    let (second, two) = world.container(&with_nat(), "two");
    let mut other = with_nat();
    other.subnet = Some("10.70.0.0/24".parse().unwrap());
    let (third, three) = world.container(&other, "three");
    let mut peer = with_nat();
    peer.peers = true;
    let (fourth, four) = world.container(&peer, "four");
    let (fifth, five) = world.container(&peer, "five");
    // Routed through the host as well as directly.
    let hop = second.address();
    let via = first.gateway().unwrap();
    one.run(move || add_route(hop, via));
    for (from, to) in
        [(&one, &second), (&two, &first), (&one, &third), (&three, &first), (&four, &first), (&one, &fourth)]
    {
        assert_eq!(ask(from, to.address(), 80), "", "{}", to.address());
    }
    assert_eq!(ask(&four, fifth.address(), 80), format!("five {}", fourth.address()));
    assert_eq!(ask(&five, fourth.address(), 80), format!("four {}", fifth.address()));
    // The host reaches all.
    assert!(ask(&world.host, first.address(), 80).starts_with("one"));
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    root_only!();
    for (by_ip_rules, attach) in [("0", Attach::Own), ("1", Attach::Own), ("1", Attach::PointToPoint)] {
        let world = World::new();
        // With br_netfilter a packet whose destination is changed to one of the same bridge is not routed but bridged.
        let is_there =
            world.host.run(move || std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", by_ip_rules).is_ok());
        if !is_there && by_ip_rules == "1" {
            eprintln!("br_netfilter: not run: it is not loaded");
        }
        let mut request = publishing("8080:80");
        request.publish.extend(Publish::parse("8081:80/udp").unwrap());
        request.attach = attach.clone();
        let (veth, container) = world.container(&request, "one");
        let with = |mut request: Request, name| {
            request.attach = attach.clone();
            world.container(&request, name)
        };
        let (_second, two) = with(alone(), "two");
        let (third, three) = with(publishing("8090:80"), "three");
        let (_fourth, four) = with(with_nat(), "four");

        assert_eq!(ask(&world.internet, world.near, 8080), format!("one {}", world.far));
        assert_eq!(ask_udp(&world.internet, world.near, 8081), format!("one {}", world.far));
        let gateway = veth.gateway().unwrap();
        assert_eq!(ask(&world.host, Ipv4Addr::LOCALHOST, 8080), format!("one {gateway}"));
        assert_eq!(ask_udp(&world.host, Ipv4Addr::LOCALHOST, 8081), format!("one {gateway}"));
        assert!(ask(&world.host, world.near, 8080).starts_with("one"));
        for address in [gateway, world.near] {
            for (space, who) in
                [(&two, "another"), (&three, "one that publishes"), (&four, "one with NAT"), (&container, "itself")]
            {
                assert!(
                    ask(space, address, 8080).starts_with("one"),
                    "from {who} at {address}, {attach:?}, {by_ip_rules}"
                );
                assert!(
                    ask_udp(space, address, 8081).starts_with("one"),
                    "from {who} at {address}, {attach:?}, {by_ip_rules}"
                );
            }
        }
        assert_eq!(ask(&world.internet, world.near, 80), "", "not published");
        // Whoever asks for localhost comes to 127.0.0.1 at once.
        assert!(refuses(&world.host, (std::net::Ipv6Addr::LOCALHOST, 8080).into()));
        // But not by its own address.
        for (space, to) in
            [(&two, veth.address()), (&three, veth.address()), (&four, veth.address()), (&container, third.address())]
        {
            assert_eq!(ask(space, to, 80), "", "{attach:?}, {by_ip_rules}");
        }

        drop(veth);
        assert_eq!(ask(&world.internet, world.near, 8080), "");
        assert_eq!(ask(&world.host, Ipv4Addr::LOCALHOST, 8080), "");
    }
}

#[test]
fn a_port_of_one_address_is_not_one_of_others() {
    root_only!();
    let world = World::new();
    let (_veth, _container) = world.container(&publishing("127.0.0.1:8080:80"), "one");
    assert!(ask(&world.host, Ipv4Addr::LOCALHOST, 8080).starts_with("one"));
    assert_eq!(ask(&world.internet, world.near, 8080), "");
    assert_eq!(ask(&world.host, world.near, 8080), "");
}

#[test]
fn neighbours_do_not_reach_the_loopback_of_the_host() {
    root_only!();
    let world = World::new();
    let (veth, container) = world.container(&publishing("8080:80"), "one");
    let secret = world.host.run(|| UdpSocket::bind("127.0.0.1:5000").unwrap());
    secret.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let gateway = veth.gateway().unwrap();
    container.run(move || {
        // What leads to the loopback device comes first, so it is taken away.
        forget_local_route([127, 0, 0, 0], 8);
        forget_local_route([127, 0, 0, 1], 32);
        add_route(Ipv4Addr::LOCALHOST, gateway);
    });
    let arrives = || {
        let sent = container.run(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"?", "127.0.0.1:5000"));
        assert_eq!(sent.unwrap(), 1);
        secret.recv(&mut [0; 8]).is_ok()
    };
    assert!(!arrives());
    // It was the rule that kept it out.
    world.host.run(|| look("nft", &["flush", "chain", "inet", "seclude", "raw"]));
    assert!(arrives());
}

#[test]
fn a_port_is_published_once() {
    root_only!();
    let world = World::new();
    let first = world.prepare(&publishing("8080:80"));
    world.host.run(|| {
        let error = Veth::prepare(&publishing("127.0.0.1:8080:81")).unwrap_err();
        assert_eq!(error.to_string(), "port 127.0.0.1:8080/tcp of the host is taken");
        assert_eq!(error.errno(), Some(rustix::io::Errno::ADDRINUSE.raw_os_error()));
        Veth::prepare(&publishing("8080:80/udp")).unwrap();
        let _listener = TcpListener::bind("127.0.0.1:8090").unwrap();
        let error = Veth::prepare(&publishing("8089-8090:1-2")).unwrap_err();
        assert_eq!(error.to_string(), "port 0.0.0.0:8090/tcp of the host is taken");
        let error = Veth::prepare(&publishing("203.0.113.9:80:80")).unwrap_err();
        assert_eq!(error.call(), Some("bind"));
        assert_eq!(error.hint().unwrap(), "publish on an address that this host has (ip address), or on all");
    });
    drop(first);
    world.host.run(|| drop(Veth::prepare(&publishing("127.0.0.1:8080:81")).unwrap()));
}

#[test]
fn what_the_dead_published_is_replaced() {
    root_only!();
    let world = World::new();
    let (veth, container) = (world.prepare(&publishing("8080:80")), Space::container());
    join(&veth, &container);
    let old = veth.address();
    // As if its maker had been killed: the locks and the port are free, the rules are there.
    veth.leave();
    container.end();
    let link = format!("sc{:08x}", old.to_bits());
    assert!(world.host.run(move || eventually(|| !look("ip", &["-o", "link"]).contains(&link))));
    assert!(world.host.run(|| look("nft", &["list", "map", "inet", "seclude", "publish_any"])).contains("8080"));
    let (_veth, _container) = world.container(&publishing("8080:80"), "two");
    assert!(ask(&world.internet, world.near, 8080).starts_with("two"));
}

#[test]
fn forwarding_is_switched_on_only_if_asked_and_off_with_the_last() {
    root_only!();
    let host = Space::host();
    host.run(|| {
        let error = Veth::prepare(&Request::default()).unwrap_err();
        assert_eq!(error.to_string(), "/proc/sys/net/ipv4/ip_forward is 0: this host forwards no packets");
        assert!(error.hint().unwrap().contains("let it be switched on"));
        assert_eq!(leftovers(), "");
        let (one, two) = (Veth::prepare(&with_nat()).unwrap(), Veth::prepare(&Request::default()));
        assert_eq!(ip_forward(), "1");
        one.disconnect().unwrap();
        assert_eq!(ip_forward(), "1", "another one needs it");
        drop(two);
        assert_eq!(ip_forward(), "0");
        assert_eq!(leftovers(), "");
        set_ip_forward("1");
        drop(Veth::prepare(&with_nat()).unwrap());
        assert_eq!(ip_forward(), "1", "it was on before");
    });
}

#[test]
fn flushed_rules_are_made_again() {
    root_only!();
    let world = World::new();
    let veth = world.prepare(&with_nat());
    world.host.run(|| look("nft", &["flush", "ruleset"]));
    let container = Space::container();
    join(&veth, &container);
    assert_eq!(ask(&container, world.far, 7), format!("far {}", world.near));
    world.host.run(|| look("nft", &["flush", "ruleset"]));
    veth.disconnect().unwrap();
}

#[test]
fn nobody_goes_out_under_the_address_of_another() {
    root_only!();
    let world = World::new();
    for attach in [Attach::Own, Attach::PointToPoint] {
        let (mut open, mut shut) = (with_nat(), alone());
        (open.attach, shut.attach) = (attach.clone(), attach);
        let (first, _one) = world.container(&open, "one");
        let (second, two) = world.container(&shut, "two");
        let thief = first.address();
        let heard = world.internet.run(|| UdpSocket::bind("0.0.0.0:9000").unwrap());
        heard.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        let index = two.run(|| look("ip", &["-o", "link", "show", "eth0"]).split(':').next().unwrap().parse().unwrap());
        two.run(move || give_address(index, thief.octets(), 32));
        let far = world.far;
        let arrives = || {
            let sent = two.run(move || UdpSocket::bind((thief, 0)).unwrap().send_to(b"?", (far, 9000)));
            assert_eq!(sent.unwrap(), 1);
            heard.recv(&mut [0; 8]).is_ok()
        };
        assert!(!arrives());
        // It was the chain of its link that kept it in.
        let link = second.link().to_owned();
        world.host.run(move || look("nft", &["flush", "chain", "netdev", "seclude", &link]));
        assert!(arrives());
    }
}

#[test]
fn guests_of_a_given_bridge_are_apart_and_its_others_are_not_judged() {
    root_only!();
    let world = World::new();
    world.host.run(|| {
        give_address(make_link("br0", "bridge"), [10, 9, 0, 1], 24);
        set_ip_forward("1");
    });
    let mut request = alone();
    request.attach = Attach::Bridge("br0".to_owned());
    request.address = Some(Ipv4Addr::new(10, 9, 0, 10));
    let (shut, one) = world.container(&request, "one");
    let mut open = request.clone();
    open.nat = true;
    open.address = Some(Ipv4Addr::new(10, 9, 0, 11));
    let (second, two) = world.container(&open, "two");
    let via = Ipv4Addr::new(10, 9, 0, 1);
    assert_eq!(ask(&two, world.far, 7), format!("far {}", world.near));
    assert_eq!(ask(&one, world.far, 7), "");
    // Neither directly nor by way of the host.
    let (first_address, second_address) = (shut.address(), second.address());
    assert_eq!(ask(&one, second_address, 80), "");
    one.run(move || add_route(second_address, via));
    two.run(move || add_route(first_address, via));
    assert_eq!(ask(&one, second_address, 80), "");
    assert_eq!(ask(&two, first_address, 80), "");
    // From outside neither; but to what else is at the bridge, such as this one of somebody else's.
    let near = world.near;
    world.internet.run(move || {
        add_route(first_address, near);
        add_route(Ipv4Addr::new(10, 9, 0, 200), near);
    });
    assert_eq!(ask(&world.internet, first_address, 80), "");
    let mut foreign = request.clone();
    foreign.address = Some(Ipv4Addr::new(10, 9, 0, 200));
    let (third, three) = world.container(&foreign, "three");
    assert_eq!(ask(&world.internet, [10, 9, 0, 200], 80), "");
    assert_eq!(ask(&three, world.far, 7), "");
    world.host.run(|| {
        let element = "{ \"br0\" . 10.9.0.200 }";
        assert_eq!(look("nft", &["delete", "element", "inet", "seclude", "guest", element]), "");
    });
    assert_eq!(ask(&world.internet, [10, 9, 0, 200], 80), format!("three {}", world.far));
    assert_eq!(ask(&three, world.far, 7), format!("far {}", third.address()));
    // A published port is reached by the others, and by itself.
    let mut publishes = publishing("8080:80");
    publishes.attach = Attach::Bridge("br0".to_owned());
    let (fourth, four) = world.container(&publishes, "four");
    for by_ip_rules in ["0", "1"] {
        world.host.run(move || std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", by_ip_rules).is_ok());
        for (space, who) in [(&one, "one"), (&two, "two"), (&four, "itself")] {
            assert!(ask(space, via, 8080).starts_with("four"), "{who}, {by_ip_rules}");
        }
        assert_eq!(ask(&one, fourth.address(), 80), "", "{by_ip_rules}");
    }
    drop((shut, second, third, fourth));
    assert_eq!(world.host.run(|| look("nft", &["list", "ruleset"])), "");
}
