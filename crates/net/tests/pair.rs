//! The pair, the bridge and the addresses: made, used, and gone.

mod common;

use common::*;
use seclude_net::{Request, Veth};

fn plain() -> Request {
    let mut request = Request::default();
    request.nat = false;
    request
}

#[test]
fn nothing_is_left_of_a_container_on_a_bridge_of_ours() {
    root_only!();
    let host = Space::host();
    let container = Space::container();
    let veth = host.run(|| Veth::prepare(&plain()).unwrap());
    join(&veth, &container);
    println!("{}", host.run(leftovers));
    println!("{}", container.run(|| look("ip", &["a"]) + &look("ip", &["r"])));
    veth.disconnect().unwrap();
    veth.disconnect().unwrap();
    assert_eq!(host.run(leftovers), "");
}
