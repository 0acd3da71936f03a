//! Private addresses, the host's own loopback, and other spellings: by choice, and no further than that.

use crate::world::lines;

const ONE: &str = "443 at 93.184.216.34: hello";
const NO_NAME: &str = "no such name";
const REFUSED: &str = "ConnectionRefusedError";
const RESET: &str = "ConnectionResetError";

#[test]
fn a_name_leads_to_private_addresses_where_that_was_said_and_to_nothing_worse() {
    let said = lines(
        r#"ip address add 10.8.8.8/32 dev up0; echo 10.8.8.8 > now.moves
        $S run --report report --allow private.test:443 --allow-private private.test:80 --allow-private moves.test:80 \
            --allow-private loopback.test:80 --allow-private metadata.test:80 --allow-private own.test:80 --allow-private one.test \
            -- python3 -c "$ask" private.test:80 private.test:443 moves.test:80 loopback.test:80 metadata.test:80 own.test:80 one.test:443
        python3 -c 'import json
for it in json.load(open("report"))["reach"]["unreached"]: print(it["name"], it["special"], len(it["remedies"]))'
        $S run --allow-private '*.test:80' -- true 2>&1; echo $?
        $S run --allow-private '*.zone.test:80' -- python3 -c "$ask" a.zone.test:80"#,
    );
    assert_eq!(said[0], "80 at 10.9.9.9: hello");
    assert_eq!(said[1..6], [RESET, RESET, RESET, RESET, RESET], "{said:?}");
    assert_eq!(said[6], ONE);
    assert_eq!(
        said[7..12],
        [
            "private.test private 1",
            "moves.test host 0",
            "loopback.test loopback 0",
            "metadata.test metadata 0",
            "own.test host 0"
        ]
    );
    assert!(said[12].contains("nearly every name"), "{said:?}");
    assert_eq!(said[13..], ["125", "80 at 93.184.216.34: hello"]);
}

#[test]
fn the_hosts_loopback_is_reached_by_its_name_on_the_ports_that_were_said() {
    let said = lines(
        r#"$S run --report report --allow-loopback 5432 --allow loopback.test:5432 -- python3 -c "$ask" host.internal:5432 HOST.internal.:5432 \
            host.internal:80 127.0.0.1:5432 localhost:5432 loopback.test:5432 a.host.internal:5432
        python3 -c 'import json; print([(it["name"], it["connections"]) for it in json.load(open("report"))["reach"]["reached"]])'
        $S run --allow one.test -- python3 -c "$ask" host.internal:5432
        sort -u queries"#,
    );
    let own = "5432 at 127.0.0.1: hello";
    assert_eq!(said[..7], [own, own, REFUSED, REFUSED, REFUSED, RESET, NO_NAME]);
    assert_eq!(said[7], "[('host.internal', 2), ('loopback.test', 0)]");
    assert_eq!(said[8..], [NO_NAME, "loopback.test"], "nobody is asked for it");
}

#[test]
fn a_port_that_nobody_has_is_not_reached_by_way_of_itself() {
    // The kernel has this port alone for an end that names none, so it connects that to itself.
    let said = lines(
        r#"range=$(cat /proc/sys/net/ipv4/ip_local_port_range); echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range
        $S run --allow-loopback 40000 -- python3 -c "$ask" host.internal:40000
        echo 40002 40002 > /proc/sys/net/ipv4/ip_local_port_range
        python3 -c 'import socket; s = socket.create_connection(("127.0.0.1", 40002)); s.sendall(b"x"); print(s.recv(1))'
        echo $range > /proc/sys/net/ipv4/ip_local_port_range"#,
    );
    assert_eq!(said, [RESET, "b'x'"], "{said:?}");
}

#[test]
fn names_of_other_scripts_are_those_of_dns() {
    let said = lines(
        r#"$S run --allow münchen.test -- python3 -c "$ask" xn--mnchen-3ya.test:443 münchen.test:443
        # One that looks like it, with a Cyrillic letter.
        $S run --allow 'оne.test' -- python3 -c "$ask" one.test:443"#,
    );
    assert_eq!(said, [ONE, ONE, NO_NAME]);
}

#[test]
fn search_domains_are_the_hosts_or_told() {
    let said = lines(
        r#"echo 'search test' >> resolv.conf
        $S run --allow one -- python3 -c "$ask" one:443
        $S run --allow one.test --denials -- python3 -c "$ask" one:443 one.test:443 2>&1
        $S run --allow one.test -- cat /etc/resolv.conf
        : > queries; ask a.zone:443; $S run --allow a.zone --allow '*.one.zone' -- python3 -c "$ask" a.zone:443 b.one.zone:443
        sort -u queries | tr '\n' ' '"#,
    );
    assert_eq!(said[..2], [ONE, NO_NAME]);
    assert_eq!(said[2], ONE);
    assert!(said[3].starts_with("seclude: refused: one: it is not allowed"), "{said:?}");
    assert_eq!(said[4], "nameserver 198.18.0.1");
    // With the host's domain behind it a name that has a dot would be another one.
    assert_eq!(said[5..8], [ONE, RESET, RESET], "{said:?}");
    assert_eq!(said[8], "a.zone a.zone.test b.one.zone", "the one with test behind it is the host's own question");
}

#[test]
fn whoever_reads_of_a_refusal_is_told_what_the_caller_has_to_say_of_it() {
    let said = lines(
        r#"$S run --allow one.test --denials --refusal 'ask #network' --report report -- python3 -c "$ask" two.test:443 2>&1
        python3 -c 'import json; print([it["refusal"] for it in json.load(open("report"))["reach"]["unreached"]])'"#,
    );
    assert_eq!(
        said,
        [
            NO_NAME,
            "seclude: refused: two.test: it is not allowed, 2 times (--allow two.test): ask #network",
            "['ask #network']"
        ]
    );
}

#[test]
fn names_that_nobody_answers_for_hold_up_no_other() {
    let said = lines(
        r#"flags=; for n in $(seq 12); do flags="$flags --allow silent$n.test"; done
        $S run $flags --allow listed.test:80 --allow one.test -- python3 -c '
import socket, threading, time
def connects(place):
    started = time.time()
    with socket.create_connection(place, 60) as s:
        try: s.recv(1)
        except OSError: return None
    return time.time() - started
for n in range(1, 13): threading.Thread(target=connects, args=((f"silent{n}.test", 443),), daemon=True).start()
time.sleep(0.3)
print(connects(("listed.test", 80)) < 2, connects(("one.test", 443)) < 4)'"#,
    );
    assert_eq!(said, ["True True"]);
}
