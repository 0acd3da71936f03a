//! The second family.

mod common;

use std::net::{Ipv6Addr, UdpSocket};
use std::time::Duration;

use common::*;
use seclude_net::{Attach, Ipv6, Request, Veth};

fn with(ipv6: Ipv6) -> Request {
    let mut request = Request::default();
    request.nat = false;
    request.ipv6 = Some(ipv6);
    request
}

/// As `reaches`, for IPv6.
fn reaches6(address: Ipv6Addr) -> bool {
    let socket = UdpSocket::bind("[::]:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    if socket.connect((address, 9)).is_err() || socket.send(b"?").is_err() {
        return false;
    }
    matches!(socket.recv(&mut [0; 8]), Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[test]
fn an_address_goes_with_the_first() {
    root_only!();
    let host = Space::host();
    for attach in [Attach::Own, Attach::PointToPoint] {
        let container = Space::container();
        let mut request = with(Ipv6::Auto);
        request.attach = attach;
        let veth = host.run(move || Veth::prepare(&request).unwrap());
        join(&veth, &container);
        let (subnet, address, gateway) = (veth.subnet6().unwrap(), veth.address6().unwrap(), veth.gateway6().unwrap());
        assert!(subnet.contains(address) && subnet.gateway() == gateway);
        assert_eq!(address.to_bits() as u16, veth.address().to_bits() as u16);
        assert!(container.run(move || eventually(move || reaches6(gateway))));
        assert!(host.run(move || reaches6(address)));
        host.run(move || veth.disconnect().unwrap());
    }
    assert_eq!(host.run(leftovers), "");
}

#[test]
fn the_outside_is_reached_with_nat_only() {
    root_only!();
    let (internet, host) = (Space::host(), Space::host());
    let mut uplink = with(Ipv6::Subnet("2001:db8:1::/64".parse().unwrap()));
    uplink.subnet = Some("192.0.2.0/24".parse().unwrap());
    let uplink = internet.run(move || Veth::prepare(&uplink).unwrap());
    join(&uplink, &host);
    let far = uplink.gateway6().unwrap();
    assert!(host.run(move || eventually(move || reaches6(far))));
    let mut open = with(Ipv6::Auto);
    (open.nat, open.ip_forward) = (true, true);
    let shut = with(Ipv6::Auto);
    let (open, shut) = host.run(move || (Veth::prepare(&open).unwrap(), Veth::prepare(&shut).unwrap()));
    let (one, two) = (Space::container(), Space::container());
    join(&open, &one);
    join(&shut, &two);
    assert!(one.run(move || eventually(move || reaches6(far))));
    assert!(!two.run(move || reaches6(far)));
    let other = shut.address6().unwrap();
    assert!(!one.run(move || reaches6(other)));
    let forwarding = || std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/forwarding").unwrap().trim().to_owned();
    assert_eq!(host.run(forwarding), "1");
    host.run(move || drop((open, shut)));
    assert_eq!(host.run(forwarding), "0");
}

#[test]
fn says_that_it_is_disabled() {
    root_only!();
    Space::host().run(|| {
        std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        let error = Veth::prepare(&with(Ipv6::Auto)).unwrap_err();
        assert_eq!(error.call(), Some("RTM_NEWADDR"));
        assert!(error.hint().unwrap().contains("disable_ipv6"), "{:?}", error.hint());
        assert_eq!(leftovers(), "");
    });
}
