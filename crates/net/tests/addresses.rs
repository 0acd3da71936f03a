//! Who gets which address.

mod common;

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use common::*;
use seclude_net::{Attach, Error, Request, Veth};

fn within(subnet: &str) -> Request {
    let mut request = Request::default();
    request.nat = false;
    request.subnet = Some(subnet.parse().unwrap());
    request
}

#[test]
fn the_smallest_subnet_has_one_address() {
    root_only!();
    Space::host().run(|| {
        let veth = Veth::prepare(&within("10.5.0.0/30")).unwrap();
        assert_eq!(veth.address(), Ipv4Addr::new(10, 5, 0, 2));
        assert_eq!(veth.bridge(), Some("sc-0a050000-30"));
        let error = Veth::prepare(&within("10.5.0.0/30")).unwrap_err();
        assert_eq!(error.to_string(), "no address is free in 10.5.0.0/30");
        assert!(matches!(error, Error::Exhausted { .. }) && error.hint().is_some());
        drop(veth);
        assert_eq!(Veth::prepare(&within("10.5.0.0/30")).unwrap().address(), Ipv4Addr::new(10, 5, 0, 2));
        assert_eq!(leftovers(), "");
    });
}

#[test]
fn an_address_that_is_asked_for_is_given_once() {
    root_only!();
    Space::host().run(|| {
        let mut request = Request::default();
        request.nat = false;
        request.address = Some(Ipv4Addr::new(10, 83, 4, 5));
        let veth = Veth::prepare(&request).unwrap();
        assert_eq!((veth.address(), veth.link()), (Ipv4Addr::new(10, 83, 4, 5), "sc0a530405"));
        let refused = |address: [u8; 4]| {
            let mut request = request.clone();
            request.address = Some(address.into());
            Veth::prepare(&request).unwrap_err().to_string()
        };
        assert_eq!(refused([10, 83, 4, 5]), "address 10.83.4.5 is in use by another container");
        assert_eq!(refused([10, 83, 0, 1]), "address 10.83.0.1 is the gateway of 10.83.0.0/16");
        assert_eq!(refused([10, 83, 255, 255]), "address 10.83.255.255 is the broadcast address of 10.83.0.0/16");
        assert_eq!(refused([10, 84, 0, 1]), "address 10.84.0.1 is not in 10.83.0.0/16");
        // A link alone is a lease as well: its maker may be dead.
        make_link("sc0a530406", "veth");
        assert_eq!(refused([10, 83, 4, 6]), "address 10.83.4.6 is in use by another container");
    });
}

#[test]
fn what_somebody_else_at_a_given_bridge_has_is_not_given_out() {
    root_only!();
    let (host, stranger) = (Space::host(), Space::container());
    let pid = stranger.pid().to_string();
    host.run(move || {
        let bridge = make_link("br0", "bridge");
        give_address(bridge, [10, 9, 0, 1], 29);
        give_address(bridge, [10, 9, 0, 2], 29);
        look("ip", &["link", "add", "port0", "type", "veth", "peer", "name", "eth0", "netns", &pid]);
        look("ip", &["link", "set", "port0", "master", "br0", "up"]);
    });
    stranger.run(|| {
        look("ip", &["address", "add", "10.9.0.3/29", "dev", "eth0"]);
        look("ip", &["link", "set", "eth0", "up"]);
    });
    host.run(|| {
        assert!(eventually(|| reaches([10, 9, 0, 3].into())));
        let mut request = Request::default();
        request.nat = false;
        request.attach = Attach::Bridge("br0".to_owned());
        let all = || (0..).map_while(|_| Veth::prepare(&request).ok()).collect::<Vec<Veth>>();
        let addresses = |all: &[Veth]| all.iter().map(|veth| veth.address().octets()[3]).collect::<HashSet<u8>>();
        assert_eq!(addresses(&all()), HashSet::from([4, 5, 6]));
        for last in [2, 3] {
            let mut wanted = request.clone();
            wanted.address = Some(Ipv4Addr::new(10, 9, 0, last));
            let refused = Veth::prepare(&wanted).unwrap_err().to_string();
            assert_eq!(refused, format!("address 10.9.0.{last} is in use by somebody else at the bridge"));
        }
        look("ip", &["link", "delete", "port0"]);
        assert_eq!(addresses(&all()), HashSet::from([3, 4, 5, 6]));
    });
}

#[test]
fn all_of_a_subnet_is_given_out_and_each_address_once() {
    root_only!();
    Space::host().run(|| {
        let veths: Vec<Veth> = (0..13).map(|_| Veth::prepare(&within("10.5.0.0/28")).unwrap()).collect();
        let addresses: HashSet<Ipv4Addr> = veths.iter().map(Veth::address).collect();
        let expected: HashSet<Ipv4Addr> = (2..15).map(|last| Ipv4Addr::new(10, 5, 0, last)).collect();
        assert_eq!(addresses, expected);
        assert!(matches!(Veth::prepare(&within("10.5.0.0/28")), Err(Error::Exhausted { .. })));
    });
}

#[test]
fn many_threads_get_different_addresses_and_leave_nothing() {
    root_only!();
    let host = Arc::new(Space::host());
    host.run(|| {
        // The threads are made in the host, so that they are in its namespaces.
        let makers: Vec<_> = (0..30)
            .map(|_| {
                std::thread::spawn(|| {
                    let container = Space::container();
                    let mut all = Vec::new();
                    for _ in 0..5 {
                        let veth = Veth::prepare(&within("10.5.0.0/24")).unwrap();
                        veth.connect(container.pid()).unwrap();
                        all.push(veth.address());
                        veth.disconnect().unwrap();
                    }
                    let last = Veth::prepare(&within("10.5.0.0/24")).unwrap();
                    last.connect(container.pid()).unwrap();
                    (last, container)
                })
            })
            .collect();
        let living: Vec<(Veth, Space)> = makers.into_iter().map(|maker| maker.join().unwrap()).collect();
        let addresses: HashSet<Ipv4Addr> = living.iter().map(|(veth, _)| veth.address()).collect();
        assert_eq!(addresses.len(), 30);
        let leaving: Vec<_> = living
            .into_iter()
            .map(|(veth, _container)| std::thread::spawn(move || veth.disconnect().unwrap()))
            .collect();
        leaving.into_iter().for_each(|leaver| leaver.join().unwrap());
        assert_eq!(leftovers(), "");
    });
}

#[test]
fn two_hundred_in_a_row() {
    root_only!();
    Space::host().run(|| {
        let container = Space::container();
        for _ in 0..200 {
            let veth = Veth::prepare(&within("10.5.0.0/24")).unwrap();
            veth.connect(container.pid()).unwrap();
            veth.disconnect().unwrap();
        }
        assert_eq!(leftovers(), "");
    });
}
