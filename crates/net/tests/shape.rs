//! Rate and latency.

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use common::*;
use seclude_net::{Request, Veth};

fn connected(host: &Space, container: &Space, rate: Option<u64>) -> Veth {
    let mut request = Request::default();
    request.nat = false;
    request.rate = rate;
    let veth = host.run(move || Veth::prepare(&request).unwrap());
    join(&veth, container);
    veth
}

/// How long it takes to send so many bytes from one to the other.
fn transfer(from: &Space, to: &Space, address: IpAddr, bytes: usize) -> Duration {
    let listener = to.run(move || TcpListener::bind(SocketAddr::new(address, 5001)).unwrap());
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let start = Instant::now();
        let mut count = 0;
        let mut buffer = vec![0; 64 << 10];
        while count < bytes {
            count += stream.read(&mut buffer).unwrap();
        }
        start.elapsed()
    });
    from.run(move || {
        let mut stream = TcpStream::connect((address, 5001)).unwrap();
        let block = vec![0; 64 << 10];
        let mut left = bytes;
        while left > 0 {
            let sent = stream.write(&block[..left.min(block.len())]).unwrap();
            left -= sent;
        }
    });
    receiver.join().unwrap()
}

#[test]
fn a_rate_holds_in_both_directions() {
    root_only!();
    const BYTES: usize = 1 << 20;
    let host = Space::host();
    let (slow_space, fast_space) = (Space::container(), Space::container());
    // A mebibyte at four megabits a second takes two seconds.
    let slow = connected(&host, &slow_space, Some(4_000_000));
    let fast = connected(&host, &fast_space, None);
    let (slow_address, fast_address) = (slow.address(), fast.address());
    let gateway = slow.gateway().unwrap();
    let least = Duration::from_millis(1500);
    let inward = transfer(&host, &slow_space, slow_address.into(), BYTES);
    assert!(inward > least, "to the container in {inward:?}");
    let outward = transfer(&slow_space, &host, gateway.into(), BYTES);
    // A second's worth may come at once from there.
    assert!(outward > Duration::from_millis(900), "from the container in {outward:?}");
    let free = transfer(&host, &fast_space, fast_address.into(), BYTES);
    assert!(free < Duration::from_millis(500), "without a rate in {free:?}");
    host.run(move || drop((slow, fast)));
    assert_eq!(host.run(leftovers), "");
}

#[test]
fn latency_is_added_or_the_module_is_named() {
    root_only!();
    let host = Space::host();
    let container = Space::container();
    let mut request = Request::default();
    request.nat = false;
    request.latency = Some(Duration::from_millis(100));
    request.rate = Some(100_000_000);
    let veth = host.run(move || Veth::prepare(&request).unwrap());
    match veth.connect(container.pid()) {
        Ok(()) => {
            inside(&veth, &container);
            let address = veth.address();
            let start = Instant::now();
            assert!(host.run(move || reaches(address)));
            assert!(start.elapsed() >= Duration::from_millis(100));
        }
        Err(error) => {
            assert!(error.to_string().ends_with("the kernel has no sch_netem"), "{error}");
            assert_eq!(error.hint().unwrap(), "load it (modprobe sch_netem), or ask for less");
            eprintln!("latency: not run: {error}");
        }
    }
    host.run(move || drop(veth));
    assert_eq!(host.run(leftovers), "");
}
