//! The pair and what it is attached to: made, used, and gone.

mod common;

use common::*;
use seclude_net::{Attach, Request, Veth};

fn plain() -> Request {
    let mut request = Request::default();
    request.nat = false;
    request
}

fn prepare(host: &Space, request: Request) -> Veth {
    host.run(move || Veth::prepare(&request).unwrap())
}

#[test]
fn a_bridge_of_ours_comes_and_goes() {
    root_only!();
    let host = Space::host();
    let (one, two) = (Space::container(), Space::container());
    let first = prepare(&host, plain());
    let second = prepare(&host, plain());
    assert_eq!((first.bridge(), second.bridge()), (Some("seclude0"), Some("seclude0")));
    assert_eq!(first.subnet().to_string(), "10.83.0.0/16");
    assert_ne!(first.address(), second.address());
    join(&first, &one);
    join(&second, &two);
    let gateway = first.gateway().unwrap();
    one.run(move || assert!(reaches(gateway)));
    let (address, mac) = (first.address(), first.mac());
    let seen = one.run(|| look("ip", &["address", "show", "eth0"]));
    assert!(seen.contains(&format!("inet {address}/16")) && seen.contains(&mac.to_string()), "{seen}");

    first.disconnect().unwrap();
    first.disconnect().unwrap();
    assert!(host.run(|| look("ip", &["link", "show", "seclude0"])).contains("state UP"));
    two.run(move || assert!(reaches(gateway)));
    second.disconnect().unwrap();
    assert_eq!(host.run(leftovers), "");
}

#[test]
fn a_link_outlives_the_container_until_it_is_dropped() {
    root_only!();
    let host = Space::host();
    let container = Space::container();
    let veth = prepare(&host, plain());
    join(&veth, &container);
    let link = veth.link().to_owned();
    container.end();
    // The kernel would take it apart with the namespace, which must not happen while it is being removed.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(host.run(move || look("ip", &["-o", "link"]).contains(&link)));
    drop(veth);
    assert_eq!(host.run(leftovers), "");
}

#[test]
fn a_point_to_point_link_has_no_bridge() {
    root_only!();
    let host = Space::host();
    let (one, two) = (Space::container(), Space::container());
    let mut request = plain();
    request.attach = Attach::PointToPoint;
    request.name = "net0".to_owned();
    request.mtu = Some(1400);
    let (first, second) = (prepare(&host, request.clone()), prepare(&host, request));
    assert_eq!(first.bridge(), None);
    join(&first, &one);
    join(&second, &two);
    let (gateway, other) = (first.gateway().unwrap(), second.address());
    host.run(|| set_ip_forward("1"));
    one.run(move || {
        assert!(reaches(gateway));
        assert!(!reaches(other), "two that are alone reach one another");
        let seen = look("ip", &["address", "show", "net0"]);
        assert!(seen.contains("mtu 1400") && seen.contains("/32"), "{seen}");
    });
    assert_eq!(host.run(|| look("ip", &["-o", "link"])).matches("mtu 1400").count(), 2);
    drop((first, second));
    assert_eq!(host.run(leftovers), "");
}

#[test]
fn a_given_bridge_is_left_as_it_was() {
    root_only!();
    let host = Space::host();
    let container = Space::container();
    let seen = || {
        look("ip", &["-4", "-o", "address", "show", "br0"])
            + &look("ip", &["link", "show", "br0"]).lines().skip(1).collect::<String>()
    };
    let before = host.run(move || {
        let index = make_link("br0", "bridge");
        // A bridge without an address of its own has that of a port, so it would change with any.
        assert_eq!(send(&message(16, 5, &[0, index, 0, 0], &[(1, &[2, 0, 0, 0, 0, 9])])), 0);
        give_address(index, [10, 9, 0, 254], 24);
        seen()
    });
    let mut request = plain();
    request.attach = Attach::Bridge("br0".to_owned());
    (request.nat, request.host_access) = (true, true);
    request.ip_forward = true;
    request.publish = seclude_net::Publish::parse("8080:80").unwrap();
    let veth = prepare(&host, request);
    assert_eq!(veth.subnet().to_string(), "10.9.0.0/24");
    assert_eq!(veth.gateway(), Some([10, 9, 0, 254].into()));
    join(&veth, &container);
    container.run(|| assert!(reaches([10, 9, 0, 254].into())));
    assert_eq!(host.run(|| route_localnet("br0")), "1");
    veth.disconnect().unwrap();
    let after = host.run(move || {
        assert_eq!(route_localnet("br0"), "0");
        assert_eq!(look("nft", &["list", "ruleset"]), "");
        seen()
    });
    assert_eq!(after, before);
}

#[test]
fn a_switch_that_was_on_stays_on() {
    root_only!();
    let host = Space::host();
    host.run(|| {
        give_address(make_link("br0", "bridge"), [10, 9, 0, 254], 24);
        std::fs::write("/proc/sys/net/ipv4/conf/br0/route_localnet", "1").unwrap();
        let mut request = plain();
        request.attach = Attach::Bridge("br0".to_owned());
        request.ip_forward = true;
        request.publish = seclude_net::Publish::parse("8080:80").unwrap();
        let (veth, container) = (Veth::prepare(&request).unwrap(), Space::container());
        join(&veth, &container);
        let other = Veth::prepare(&plain()).unwrap();
        veth.disconnect().unwrap();
        assert_eq!(route_localnet("br0"), "1");
        let rules = look("nft", &["list", "ruleset"]);
        assert!(!rules.contains("br0") && !rules.contains("was-off-br0"), "{rules}");
        drop(other);
    });
}

#[test]
fn says_what_is_wrong_with_a_bridge() {
    root_only!();
    let host = Space::host();
    host.run(|| {
        make_link("dummy0", "veth");
        make_link("br0", "bridge");
        give_address(make_link("br1", "bridge"), [10, 9, 0, 254], 24);
        make_link("seclude0", "bridge");
        let refused = |change: &dyn Fn(&mut Request)| {
            let mut request = plain();
            change(&mut request);
            Veth::prepare(&request).unwrap_err().to_string()
        };
        let at = |name: &'static str| move |r: &mut Request| r.attach = Attach::Bridge(name.to_owned());
        assert_eq!(refused(&at("nix")), "bridge nix: there is no link of that name");
        assert_eq!(refused(&at("dummy0")), "bridge dummy0: that link is no bridge");
        assert_eq!(refused(&at("br0")), "bridge br0: it has no IPv4 address, so a subnet has to be given");
        let with_nat = |r: &mut Request| {
            at("br0")(r);
            (r.nat, r.subnet) = (true, Some("10.7.0.0/24".parse().unwrap()));
        };
        assert_eq!(refused(&with_nat), "NAT: bridge br0 has no address in 10.7.0.0/24");
        assert_eq!(refused(&|_| {}), "link seclude0 was not made by seclude");
        let collides = |r: &mut Request| r.subnet = Some("10.9.0.0/25".parse().unwrap());
        assert_eq!(refused(&collides), "subnet 10.9.0.0/25 collides with the route 10.9.0.0/24 over br1");
        let hint = Veth::prepare(&plain()).unwrap_err().hint().unwrap();
        assert_eq!(hint, "remove it (ip link delete seclude0), or ask for another subnet");
        assert!(!std::path::Path::new("/run/seclude").exists());
        assert_eq!(look("nft", &["list", "ruleset"]), "");
    });
}

#[test]
fn a_subnet_that_is_taken_is_passed_over() {
    root_only!();
    let host = Space::host();
    host.run(|| give_address(make_link("dummy0", "veth"), [10, 83, 7, 1], 24));
    let veth = prepare(&host, plain());
    assert_eq!(veth.subnet().to_string(), "10.119.0.0/16");
    let mut request = plain();
    request.attach = Attach::PointToPoint;
    let other = prepare(&host, request);
    assert_eq!(other.subnet().to_string(), "10.167.0.0/16");
}

#[test]
fn without_a_process_nothing_is_connected() {
    root_only!();
    let host = Space::host();
    let veth = prepare(&host, plain());
    let error = veth.connect(u32::MAX >> 1).unwrap_err();
    assert_eq!(error.call(), Some("RTM_NEWLINK"));
    assert_eq!(host.run(leftovers), "");
    let said = veth.connect(1).unwrap_err().to_string();
    assert_eq!(said, format!("link {}: it is disconnected", veth.link()));
}
