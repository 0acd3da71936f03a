use std::time::{Duration, Instant};

use seclude_tests::Bundle;
use serde_json::json;

#[test]
fn what_a_container_costs_does_not_grow_with_those_that_are_there() {
    const MANY: usize = 48;
    let mut bundle = Bundle::new("many");
    bundle.script("while :; do sleep 1; done");
    let mut times = Vec::new();
    for number in 0..MANY {
        if let Some(path) = bundle.config["linux"]["cgroupsPath"].as_str() {
            let above = path.rsplit_once('/').unwrap().0.to_owned();
            bundle.set("/linux/cgroupsPath", json!(format!("{above}/{number}")));
        }
        bundle.write();
        let id = format!("c{number}");
        let began = Instant::now();
        bundle.must(&["create", &id]);
        bundle.must(&["start", &id]);
        bundle.must(&["state", &id]);
        times.push(began.elapsed());
    }
    assert_eq!(bundle.must(&["list", "--quiet"]).lines().count(), MANY);
    // The least of some is what it costs, and the rest what else the machine does.
    let least = |times: &[Duration]| times.iter().min().copied().unwrap();
    let (first, last) = (least(&times[..MANY / 3]), least(&times[MANY - MANY / 3..]));
    assert!(last < first * 2 + Duration::from_millis(20), "{first:?}, then {last:?}");
    for number in 0..MANY {
        bundle.must(&["delete", "--force", &format!("c{number}")]);
    }
    bundle.nothing_is_left();
}
