//! The host's own services, link-local addresses and a cloud's metadata: closed, unless they are asked for.

mod common;

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use common::world::*;
use common::*;
use seclude_net::{Attach, Ipv6, Request};

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn attached(mut request: Request, attach: &Attach) -> Request {
    request.attach = attach.clone();
    request
}

/// A bridge of somebody else's with a network of its own.
fn given(host: &Space) -> Attach {
    host.run(|| {
        give_address(make_link("br0", "bridge"), [10, 9, 0, 1], 24);
        set_ip_forward("1");
    });
    Attach::Bridge("br0".to_owned())
}

fn open() -> Request {
    let mut request = with_nat();
    request.host_access = true;
    request
}

#[test]
fn the_hosts_own_services_are_closed_on_all_of_its_addresses_unless_they_are_asked_for() {
    root_only!();
    let world = World::new();
    world.host.run(|| {
        make_link("other0", "bridge");
        also_has("other0", "10.77.0.1/24");
        serve(at("0.0.0.0", 80), "host");
    });
    for attach in [Attach::Own, Attach::PointToPoint, given(&world.host)] {
        let (veth, one) = world.container(&attached(with_nat(), &attach), "one");
        let gateway = veth.gateway().unwrap();
        let addresses = [gateway, world.near, [10, 77, 0, 1].into()];
        for address in addresses {
            assert!(refuses(&one, (address, 80).into()), "{attach:?}: {address}");
            assert_eq!(ask_udp(&one, address, 80), "", "{attach:?}: {address}");
        }
        assert!(!one.run(move || reaches(gateway)), "it does not tell what listens either");
        // What the host itself begins is answered, and the outside is there.
        assert!(ask(&world.host, veth.address(), 80).starts_with("one"));
        assert_eq!(ask_udp(&world.host, veth.address(), 80), format!("one {gateway}"));
        assert_eq!(ask(&one, world.far, 7), format!("far {}", world.near));

        for request in [open(), alone()] {
            let (veth, two) = world.container(&attached(request, &attach), "two");
            for address in addresses {
                assert_eq!(ask(&two, address, 80), format!("host {}", veth.address()), "{attach:?}: {address}");
                assert_eq!(ask_udp(&two, address, 80), format!("host {}", veth.address()), "{attach:?}: {address}");
            }
        }
        // It was the rule that kept it out.
        world.host.run(|| look("nft", &["flush", "chain", "inet", "seclude", "host"]));
        assert!(ask(&one, gateway, 80).starts_with("host"));
        drop((veth, one));
        assert_eq!(world.host.run(|| look("nft", &["list", "ruleset"])), "");
    }
}

#[test]
fn so_are_they_over_ipv6() {
    root_only!();
    let world = World::new();
    world.host.run(|| {
        make_link("other0", "bridge");
        also_has("other0", "2001:db8:7::1/64");
        serve(at("::", 80), "host");
    });
    for attach in [Attach::Own, Attach::PointToPoint] {
        let with_ipv6 = |mut request: Request| {
            request.ipv6 = Some(Ipv6::Auto);
            attached(request, &attach)
        };
        let (veth, one) = world.container(&with_ipv6(with_nat()), "one");
        let addresses = [veth.gateway6().unwrap().to_string(), "2001:db8:7::1".to_owned()];
        for address in &addresses {
            assert!(refuses(&one, at(address, 80)), "{attach:?}: {address}");
        }
        // By the link-local address nobody is reached, and it is not even said so.
        let link = veth.bridge().unwrap_or(veth.link()).to_owned();
        let local = world.host.run(move || {
            let find = || {
                let said = look("ip", &["-o", "-6", "address", "show", "dev", &link, "scope", "link"]);
                said.split_whitespace()
                    .find(|word| word.starts_with("fe80"))
                    .map(|word| word.split('/').next().unwrap().to_owned())
            };
            assert!(eventually(|| find().is_some()), "{link} has no link-local address");
            find().unwrap()
        });
        let local = std::net::SocketAddrV6::new(local.parse().unwrap(), 80, 0, 0);
        let by_link_local = |space: &Space| {
            let has_one = || !look("ip", &["-6", "address", "show", "eth0"]).contains("tentative");
            assert!(space.run(move || eventually(has_one)));
            let mut local = local;
            local.set_scope_id(
                space.run(|| look("ip", &["-o", "link", "show", "eth0"]).split(':').next().unwrap().parse().unwrap()),
            );
            hear(space, local.into())
        };
        assert_eq!(by_link_local(&one), "");
        // The host reaches it all the same.
        let own: IpAddr = veth.address6().unwrap().into();
        one.run(|| serve(at("::", 81), "one"));
        assert!(hear(&world.host, SocketAddr::new(own, 81)).starts_with("one"));
        for request in [open(), alone()] {
            let (veth, two) = world.container(&with_ipv6(request), "two");
            for address in &addresses {
                assert_eq!(hear(&two, at(address, 80)), format!("host {}", veth.address6().unwrap()), "{address}");
            }
            assert_eq!(by_link_local(&two), "");
        }
        // An IPv4-only container has no other way either.
        let (veth, three) = world.container(&attached(with_nat(), &attach), "three");
        assert_eq!(by_link_local(&three), "");
        let link = veth.link().to_owned();
        world.host.run(move || {
            look("nft", &["flush", "chain", "netdev", "seclude", &link]);
            look("nft", &["flush", "chain", "inet", "seclude", "host"]);
        });
        let is_open = || by_link_local(&three).starts_with("host fe80");
        match attach {
            Attach::PointToPoint => assert!(!is_open(), "IPv6 is off on its link"),
            _ => assert!((0..5).any(|_| is_open()), "it was the rules"),
        }
    }
}

#[test]
fn what_all_hear_the_host_does_not() {
    root_only!();
    let world = World::new();
    let (closed, one) = world.container(&with_nat(), "one");
    let (_open, two) = world.container(&open(), "two");
    let everybody = closed.subnet().broadcast();
    let heard = world.host.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:5353").unwrap();
        socket.join_multicast_v4(&[224, 0, 0, 251].into(), &closed_gateway()).unwrap();
        socket
    });
    heard.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    for to in [everybody, [255, 255, 255, 255].into(), [224, 0, 0, 251].into()] {
        for (space, arrives) in [(&one, false), (&two, true)] {
            space.run(move || {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                socket.set_broadcast(true).unwrap();
                socket.send_to(b"?", (to, 5353)).unwrap();
            });
            assert_eq!(heard.recv(&mut [0; 8]).is_ok(), arrives, "{to}");
        }
    }
}

/// The bridge's address, by which a group is joined on it.
fn closed_gateway() -> std::net::Ipv4Addr {
    let said = look("ip", &["-o", "-4", "address", "show", "seclude0"]);
    said.split_whitespace().nth(3).unwrap().split('/').next().unwrap().parse().unwrap()
}

#[test]
fn a_clouds_metadata_are_closed_unless_they_are_asked_for_but_for_its_name_server() {
    root_only!();
    const PLACES: [&str; 6] =
        ["169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "203.0.113.1"];
    let world = World::new();
    world.internet.run(|| {
        make_link("cloud0", "bridge");
        for place in PLACES {
            also_has("cloud0", &format!("{place}/32"));
            // Each for itself: it answers under the address that it was asked at.
            serve(at(place, 53), "names");
            serve(at(place, 70), "far");
        }
    });
    let far = world.far;
    world.host.run(move || PLACES.iter().for_each(|place| add_route(place.parse().unwrap(), far)));
    for attach in [Attach::Own, Attach::PointToPoint, given(&world.host)] {
        let (_veth, one) = world.container(&attached(with_nat(), &attach), "one");
        let (_open, two) = world.container(&attached(open(), &attach), "two");
        let (_alone, three) = world.container(&attached(alone(), &attach), "three");
        for place in PLACES {
            let is_ordinary = place.starts_with("203.");
            assert_eq!(refuses(&one, at(place, 70)), !is_ordinary, "{attach:?}: {place}");
            assert_eq!(hear(&two, at(place, 70)), format!("far {}", world.near), "{attach:?}: {place}");
            assert!(refuses(&three, at(place, 70)), "{attach:?}, without NAT: {place}");
            assert_eq!(hear(&one, at(place, 53)), format!("names {}", world.near), "{attach:?}: {place}");
            let place: std::net::Ipv4Addr = place.parse().unwrap();
            assert_eq!(ask_udp(&one, place, 70).is_empty(), !is_ordinary, "{attach:?}: {place}");
            assert_eq!(ask_udp(&one, place, 53), format!("names {}", world.near), "{attach:?}: {place}");
        }
    }
}

#[test]
fn nor_are_they_where_the_host_itself_has_them() {
    root_only!();
    let world = World::new();
    world.host.run(|| {
        also_has("lo", "169.254.169.254/32");
        serve(at("169.254.169.254", 80), "metadata");
    });
    let (_veth, one) = world.container(&with_nat(), "one");
    let (_alone, two) = world.container(&alone(), "two");
    let mut asked = alone();
    asked.host_access = true;
    let (_asked, three) = world.container(&asked, "three");
    assert!(refuses(&one, at("169.254.169.254", 80)));
    assert!(refuses(&two, at("169.254.169.254", 80)), "without NAT the host is open, but not this");
    assert!(hear(&three, at("169.254.169.254", 80)).starts_with("metadata"));
}

#[test]
fn nor_are_those_of_ipv6() {
    root_only!();
    const PLACES: [&str; 4] = ["fd00:ec2::254", "fd20:ce::254", "fd00:42::42", "2001:db8:9::1"];
    let (internet, host) = (Space::host(), Space::host());
    let mut uplink = alone();
    uplink.ipv6 = Some(Ipv6::Subnet("2001:db8:1::/64".parse().unwrap()));
    uplink.subnet = Some("192.0.2.0/24".parse().unwrap());
    let uplink = internet.run(move || seclude_net::Veth::prepare(&uplink).unwrap());
    join(&uplink, &host);
    internet.run(|| {
        make_link("cloud0", "bridge");
        PLACES.iter().for_each(|place| also_has("cloud0", &format!("{place}/128")));
        serve(at("::", 7), "far");
        look("nft", &["flush", "chain", "inet", "seclude", "input"]);
    });
    let (far, near) = (uplink.gateway6().unwrap().to_string(), uplink.address6().unwrap());
    host.run(move || PLACES.iter().for_each(|place| assert_eq!(look("ip", &["route", "add", place, "via", &far]), "")));
    let with_ipv6 = |mut request: Request| {
        (request.ipv6, request.ip_forward) = (Some(Ipv6::Auto), true);
        host.run(move || seclude_net::Veth::prepare(&request).unwrap())
    };
    let (closed, opened) = (with_ipv6(with_nat()), with_ipv6(open()));
    let (one, two) = (Space::container(), Space::container());
    join(&closed, &one);
    join(&opened, &two);
    for place in PLACES {
        let is_ordinary = place.starts_with("2001");
        assert!(eventually(|| hear(&two, at(place, 7)) == format!("far {near}")), "{place}");
        assert_eq!(refuses(&one, at(place, 7)), !is_ordinary, "{place}");
    }
}

#[test]
fn what_others_lead_elsewhere_is_no_way_out_without_nat() {
    root_only!();
    let world = World::new();
    let far = world.far;
    world.host.run(move || {
        look("nft", &["add table ip other; add chain ip other away { type nat hook prerouting priority -100; }"]);
        let rule = format!("add rule ip other away tcp dport 8000 dnat to {far}:7");
        assert_eq!(look("nft", &[&rule]), "");
        set_ip_forward("1");
    });
    let (_veth, one) = world.container(&with_nat(), "one");
    let (alone, two) = world.container(&alone(), "two");
    let near = world.near;
    assert!(ask(&one, near, 8000).starts_with("far"));
    let inner = alone.address();
    world.internet.run(move || add_route(inner, near));
    let refused = two.run(move || {
        let try_once = || {
            let start = Instant::now();
            let failed = TcpStream::connect_timeout(&(near, 8000).into(), Duration::from_secs(3)).is_err();
            (failed, start.elapsed())
        };
        // A packet that is lost without an answer takes all three seconds each time.
        (0..3).map(|_| try_once()).take_while(|(failed, _)| *failed).any(|(_, took)| took < Duration::from_secs(2))
    });
    assert!(refused);
}
