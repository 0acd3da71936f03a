//! What the container's own kernel refuses: other ports of names that are allowed, and addresses.

use crate::world::lines;

const REFUSED: &str = "ConnectionRefusedError";
const TOLD: &str = r#"python3 -c 'import json
reach = json.load(open("report"))["reach"]
for it in reach["unreached"]: print(it["name"], it["why"], it["ports"], it["rules"], [remedy["value"] for remedy in it["remedies"]], it["times"])
print(reach["deaf"])'"#;

#[test]
fn another_port_of_an_allowed_name_is_told_with_its_rule_and_the_flag() {
    let said = lines(&format!(
        r#"$S run --report report --denials --allow one.test --allow '*.zone.test:443' --allow a.zone.test:80 --allow-loopback 443 -- python3 -c "$ask" \
            one.test:80 one.test:443 one.test:5432 a.zone.test:5432 host.internal:80 one.test:80 2>&1
        {TOLD}"#
    ));
    let refusals = [
        "one.test port 80,5432 one.test:443 [['one.test:80,5432']] 6",
        "a.zone.test port 5432 *.zone.test:443 and a.zone.test:80 [['a.zone.test:5432']] 2",
        "host.internal port 80 host.internal:443 [[80]] 2",
    ];
    assert_eq!(said[..6], [REFUSED, "443 at 93.184.216.34: hello", REFUSED, REFUSED, REFUSED, REFUSED]);
    // Each by both families.
    assert_eq!(
        said[6..9],
        [
            "seclude: refused: one.test: port 80,5432 is not allowed, but one.test:443, 6 times (--allow one.test:80,5432)",
            "seclude: refused: a.zone.test: port 5432 is not allowed, but *.zone.test:443 and a.zone.test:80, 2 times (--allow a.zone.test:5432)",
            "seclude: refused: host.internal: port 80 is not allowed, but host.internal:443, 2 times (--allow-loopback 80)",
        ]
    );
    assert_eq!(said[9..12], refusals);
    assert_eq!(said[12], "False");
}

#[test]
fn an_address_is_told_as_one_and_what_is_the_containers_own_is_not() {
    let mut said = lines(&format!(
        r#"$S run --report report --allow one.test -- python3 -c "$ask" \
            93.184.216.34:443 2606:2800::34:80 169.254.169.254:80 10.9.9.9:80 ::ffff:1.2.3.4:80 127.0.0.1:80 ::1:80 198.18.0.1:80 localhost:81 one.test:443
        {TOLD}"#
    ));
    assert!(said[..9].iter().all(|said| said == REFUSED), "{said:?}");
    // Those of each family have their own order.
    said[10..].sort();
    assert_eq!(
        said[10..],
        [
            "1.2.3.4 number 80 None [] 1",
            "10.9.9.9 number 80 None [] 1",
            "169.254.169.254 number 80 None [] 1",
            "2606:2800::34 number 80 None [] 1",
            "93.184.216.34 number 443 None [] 1",
            "False"
        ]
    );
}

#[test]
fn whoever_scans_fills_no_ledger_for_others() {
    let said = lines(
        r#"$S run --report report --allow one.test -- python3 -c '
import socket
def tried(place):
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    with socket.socket(family) as s:
        try: s.connect(place)
        except OSError as error: return type(error).__name__
slot = socket.gethostbyname("one.test")
for port in range(1, 3001): tried((slot, port))
for n in range(3000): tried((f"11.0.{n // 256}.{n % 256}", 80))
try: socket.gethostbyname("two.test")
except OSError: print("no such name")
print(tried((slot, 443)))'
        python3 -c 'import json
reach = json.load(open("report"))["reach"]; all = reach["unreached"]
print({it["name"] for it in all if it["why"] != "number"}, 300 < len(all) < 1000)'"#,
    );
    assert_eq!(said[..2], ["no such name", "None"]);
    assert!(said[2] == "{'one.test', 'two.test'} True" || said[2] == "{'two.test', 'one.test'} True", "{said:?}");
}
