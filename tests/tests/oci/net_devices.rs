use std::process::{Command, Output};

use seclude_tests::{Bundle, oci_bin, root_only, stdout_of};
use serde_json::json;

/// In a network namespace of the test's own.
fn beside(bundle: &Bundle, script: &str) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script]).current_dir(bundle.path());
    command.env("OCI", oci_bin()).output().unwrap()
}

const PAIR: &str = "ip link add first type veth peer name second && ip link set first address 02:00:00:00:00:07 mtu 1400 \
    && ip addr add 10.9.8.7/24 dev first && ip -6 addr add fd00:7::7/64 dev first nodad && ip link set first up && ip link set second up";

#[test]
fn a_device_is_moved_with_its_addresses_and_has_another_name_inside() {
    root_only!();
    let mut bundle = Bundle::new("netdevices");
    bundle.set("/linux/netDevices", json!({ "first": { "name": "inside7" } }));
    bundle
        .script(
            "ip -o addr show dev inside7; ip link show dev inside7; ip link show dev first 2>/dev/null || echo gone",
        )
        .write();
    let said = stdout_of(&beside(
        &bundle,
        &format!("{PAIR} && \"$OCI\" --root run run one; ip link show first 2>/dev/null || echo moved"),
    ));
    for part in ["10.9.8.7/24", "fd00:7::7/64", "02:00:00:00:00:07", "mtu 1400", "gone", "moved"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains(",UP") || said.contains("<UP"), "{said}");
    // Its own name, and the first that is free.
    for (name, expected) in [(json!({}), "first"), (json!({ "name": "port%d" }), "port0")] {
        bundle
            .set("/linux/netDevices", json!({ "first": name }))
            .script(&format!("ip -o addr show dev {expected}"))
            .write();
        let said = stdout_of(&beside(&bundle, &format!("{PAIR} && \"$OCI\" --root run run one")));
        assert!(said.contains("10.9.8.7/24"), "{said}");
    }
    bundle.nothing_is_left();
}

#[test]
fn hooks_find_it_and_what_cannot_be_moved_is_an_error() {
    root_only!();
    let mut bundle = Bundle::new("netrefused");
    let note = bundle.join("note").display().to_string();
    let script = format!("cat > /dev/null; PATH=/usr/sbin:/usr/bin:/sbin:/bin; ip link show dev mine > {note}");
    bundle.set("/hooks", json!({ "createContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] }));
    bundle.set("/linux/netDevices", json!({ "first": { "name": "mine" } })).write();
    stdout_of(&beside(&bundle, &format!("{PAIR} && \"$OCI\" --root run run one")));
    assert!(std::fs::read_to_string(&note).unwrap().contains("mine"));

    let refused = |bundle: &mut Bundle, devices: serde_json::Value| {
        bundle.set("/linux/netDevices", devices).write();
        let output = beside(bundle, &format!("{PAIR} && \"$OCI\" --root run run one"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.starts_with("seclude-oci: error: linux.netDevices: "), "{said}");
        bundle.nothing_is_left();
        said
    };
    assert!(refused(&mut bundle, json!({ "third": {} })).contains("link third"));
    assert!(refused(&mut bundle, json!({ "first": { "name": "lo" } })).contains("as lo"), "there is one");
    assert!(refused(&mut bundle, json!({ "first": { "name": "a" }, "second": { "name": "a" } })).contains("before"));
    assert!(refused(&mut bundle, json!({ "first": { "name": "a%d%d" } })).contains("no other %"));
    assert!(refused(&mut bundle, json!({ "first": { "name": "a%x" } })).contains("no other %"));
    // It is where it is already.
    let own = json!([{ "type": "mount" }, { "type": "pid" }, { "type": "network", "path": "/proc/self/ns/net" }]);
    bundle.set("/linux/namespaces", own);
    assert!(refused(&mut bundle, json!({ "first": { "name": "mine" } })).contains("the caller's own"));
    bundle.set("/linux/namespaces", json!([{ "type": "mount" }, { "type": "pid" }]));
    assert!(refused(&mut bundle, json!({ "first": {} })).contains("network namespace"));
}

#[test]
fn a_creation_that_fails_later_gives_them_back_as_they_were() {
    root_only!();
    let mut bundle = Bundle::new("netback");
    bundle.set("/linux/netDevices", json!({ "first": { "name": "inside7" }, "second": { "name": "inside%d" } }));
    // They are moved by then.
    bundle.set("/hooks", json!({ "createContainer": [{ "path": "/bin/false" }] })).write();
    let look = "ip -o addr show dev first; ip link show dev first; ip link show dev second";
    let said = stdout_of(&beside(
        &bundle,
        &format!("{PAIR} && {{ \"$OCI\" --root run create one 2>/dev/null && echo created; {look}; }}"),
    ));
    for part in ["10.9.8.7/24", "fd00:7::7/64", "02:00:00:00:00:07", "mtu 1400", "second@", "first@"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!((said.matches(",UP").count(), said.contains("created")), (2, false), "{said}");
    bundle.nothing_is_left();
}
