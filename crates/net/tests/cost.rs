//! What it costs, by the median: `cargo test --release -p seclude-net --test cost -- --ignored --nocapture`.

mod common;

use std::time::{Duration, Instant};

use common::*;
use seclude_net::{Publish, Request, Veth};

const ROUNDS: usize = 200;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn measure(what: &str, request: &Request) -> Duration {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let container = Space::container();
        let start = Instant::now();
        let veth = Veth::prepare(request).unwrap();
        let prepared = Instant::now();
        veth.connect(container.pid()).unwrap();
        let connected = Instant::now();
        veth.disconnect().unwrap();
        times[0].push(prepared - start);
        times[1].push(connected - prepared);
        times[2].push(connected.elapsed());
    }
    let [prepare, connect, disconnect] = times.map(median);
    println!("{what}: prepare {prepare:?}, connect {connect:?}, disconnect {disconnect:?}");
    prepare + connect
}

#[test]
#[ignore = "a measurement"]
fn of_one_container() {
    root_only!();
    Space::host().run(|| {
        let mut plain = Request::default();
        plain.nat = false;
        let mut open = Request::default();
        open.ip_forward = true;
        open.publish = Publish::parse("8080:80").unwrap();
        measure("alone", &plain);
        measure("alone, NAT, a port", &open);
        let mut other = open.clone();
        other.publish.clear();
        let (_other, _space) = (Veth::prepare(&other).unwrap(), Space::container());
        let beside = measure("beside another", &plain);
        measure("beside another, NAT, a port", &open);
        assert!(beside < Duration::from_millis(50), "a container costs {beside:?}");
    });
}
