//! Names that are allowed, and all that is not.

use crate::world::lines;

const ONE: &str = "443 at 93.184.216.34: hello";
const NO_NAME: &str = "no such name";
const REFUSED: &str = "ConnectionRefusedError";
const RESET: &str = "ConnectionResetError";

#[test]
fn an_allowed_name_is_reached_and_nothing_else_is() {
    let places = "one.test:443 one.test:80 two.test:443 listed.test:443 93.184.216.34:443 127.0.0.1:443 10.9.9.9:443 \
                  169.254.169.254:80 198.51.100.2:443 2606:2800::34:443";
    let said = lines(&format!(
        r#"$S run --allow one.test -- python3 -c "$ask" {places}
        $S run -- python3 -c "$ask" {places}
        ask one.test:443 one.test:80 two.test:443 listed.test:443 93.184.216.34:443"#
    ));
    let (with, rest) = said.split_at(10);
    assert_eq!(with[0], ONE);
    assert_eq!(with[1], REFUSED, "another port");
    assert_eq!(with[2..4], [NO_NAME, NO_NAME], "other names, of the name server's and of the hosts file's");
    assert!(with[4..].iter().all(|said| said == REFUSED), "addresses, the name's own among them: {with:?}");
    let (without, outside) = rest.split_at(10);
    assert!(without.iter().all(|said| !said.contains("hello")), "{without:?}");
    assert!(outside.iter().all(|said| said.contains("hello")), "all of it is there: {outside:?}");
}

#[test]
fn a_name_has_all_ports_that_are_allowed_in_whatever_spelling() {
    let said = lines(
        r#"$S run --allow ONE.test.:443,5432 --allow one.test:80 -- python3 -c "$ask" one.test:443 one.test:5432 ONE.TEST:80 one.test.:80
        $S run --allow six.test --allow listed.test:80 --allow both.test -- python3 -c "$ask" six.test:443 listed.test:80 both.test:443"#,
    );
    assert_eq!(
        said[..4],
        [ONE, "5432 at 93.184.216.34: hello", "80 at 93.184.216.34: hello", "80 at 93.184.216.34: hello"]
    );
    assert_eq!(said[4], "443 at 2606:2800::34: hello", "a name of IPv6 alone");
    assert_eq!(said[5], "80 at 93.184.216.34: hello");
    assert_eq!(said[6], "443 at 2606:2800::34: hello", "one of its addresses does not answer");
}

#[test]
fn a_name_that_leads_to_what_is_not_public_is_refused() {
    let said = lines(
        r#"names="loopback private metadata own dead none"
        flags=; places=; for name in $names; do flags="$flags --allow $name.test:80"; places="$places $name.test:80"; done
        $S run --report report $flags -- python3 -c "$ask" $places
        python3 -c 'import json
for it in json.load(open("report"))["reach"]["unreached"]: print(it["name"], it["why"], it["special"], it["remedies"])'
        ask loopback.test:80 private.test:80 own.test:80"#,
    );
    assert!(said[..6].iter().all(|said| said == RESET), "{said:?}");
    assert_eq!(
        said[6..12],
        [
            "loopback.test address loopback []",
            "private.test address private [{'set': 'network.allow_private', 'value': ['private.test:80']}]",
            "metadata.test address metadata []",
            "own.test address host []",
            "dead.test unreachable None []",
            "none.test unresolved None []",
        ]
    );
    assert!(said[12..].iter().all(|said| said.contains("hello")), "they are there: {said:?}");
}

#[test]
fn a_name_leads_to_none_of_the_hosts_addresses_whatever_kind_it_is_of() {
    // The second of a link has the first as its source; a prefix can be local as a whole; the first of one is a router's, each.
    let said = lines(
        r#"ip address add 93.184.218.1/24 dev up0; ip address add 93.184.218.2/24 dev up0
        ip route add local 93.184.217.0/24 dev lo src 93.184.218.1; ip -6 route add local 2a00:1450:9::/64 dev lo
        ip -6 address add 2a00:1450:7::1/64 dev up0 nodad; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
        printf '2a00:1450:9::77 any.test\n2a00:1450:7:: router.test\n2a00:1450:7::1 own6.test\n' >> hosts
        ip -6 route get 2a00:1450:7:: | grep -o ^anycast
        for address in 93.184.218.1 93.184.218.2 93.184.218.255 93.184.217.9; do
            echo $address > now.moves; $S run --allow moves.test:80 -- python3 -c "$ask" moves.test:80; done
        $S run --allow any.test:80,udp/80 --allow router.test:udp/80 --allow own6.test:80 --report report -- python3 -c "$ask" any.test:80 own6.test:80
        ask 93.184.218.2:80 93.184.217.9:80 "2a00:1450:9::77:80"
        $S run --allow router.test:udp/80 --report report -- python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("router.test", 80)); s.send(b"x"); s.settimeout(2)
try: print(s.recv(9))
except OSError as error: print(type(error).__name__)'
        python3 -c 'import json; print([(it["name"], it["special"]) for it in json.load(open("report"))["reach"]["unreached"]])'"#,
    );
    assert_eq!(said[0], "anycast");
    assert!(said[1..7].iter().all(|said| said == RESET), "{said:?}");
    assert!(said[7..10].iter().all(|said| said.contains("hello")), "they are there: {said:?}");
    assert_eq!(said[11], "[('router.test', 'host')]", "{said:?}");
}

#[test]
fn a_name_is_looked_up_at_the_moment_of_connecting() {
    let said = lines(
        r#"mkfifo go; $S run --allow moves.test:80 --fd 3 -- sh -c '
            for i in 1 2 3; do read -r _ <&3; python3 -c "$1" moves.test:80; done' sh "$ask" 3< go > said &
        exec 4> go
        for address in 93.184.216.34 10.9.9.9 93.184.216.34; do
            echo $address > now.moves; echo >&4; lines=$((lines+1))
            for i in $(seq 400); do [ "$(wc -l < said)" = $lines ] && break; sleep 0.05; done
        done
        cat said"#,
    );
    assert_eq!(said, ["80 at 93.184.216.34: hello", RESET, "80 at 93.184.216.34: hello"]);
}

#[test]
fn a_name_that_is_not_allowed_never_leaves_the_machine() {
    let said = lines(
        r#"$S run --allow one.test -- python3 -c '
import socket
for name in ["x%d.secret.test" % n for n in range(200)] + ["two.test", "one.test.evil.test", "a.one.test", "test"]:
    for server in ("8.8.8.8", "198.18.0.1", "93.184.216.53"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect((server, 53))
        s.send(b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0\0\1\0\1")
        reply = s.recv(512)
        # Of what lies above an allowed name there is nothing, and no end of all below it.
        assert (reply[3] & 15, reply[7]) == (0 if name == "test" else 3, 0), name
s.connect(("8.8.8.8", 53)); s.send(b"\0\1\1\0\0\1\0\0\0\0\0\0\3OnE\4tEsT\0\0\1\0\1"); print(s.recv(512)[26:].hex())
s = socket.create_connection(("8.8.4.4", 53)); s.sendall(b"\0\x1a\0\1\1\0\0\1\0\0\0\0\0\0\3one\4test\0\0\1\0\1"); print(s.recv(512)[28:].hex())
try: print(socket.getaddrinfo("two.test", 443))
except socket.gaierror: print("no such name")
print(socket.gethostbyaddr(socket.gethostbyname("one.test"))[0])'
        wc -l < queries
        $S run --allow one.test -- python3 -c "$ask" one.test:443; sort -u queries"#,
    );
    assert!(said[0].starts_with("c00c0001000100") && said[0] == said[1], "{said:?}");
    assert_eq!(
        said[2..],
        [NO_NAME, "one.test", "0", ONE, "one.test"],
        "the host's name server was asked for what is allowed alone"
    );
}

#[test]
fn the_report_and_the_command_say_what_was_reached_and_what_was_not() {
    let said = lines(
        r#"$S run --report report --allow one.test -- python3 -c "$ask" one.test:443 one.test:443 two.test:443
        python3 -c 'import json
report = json.load(open("report")); print(report["spawn"]["network"]["by"], report["reach"])'
        $S run --allow one.test -- sh -c 'python3 -c "$1" two.test:443; exit 3' sh "$ask" 2>&1; echo $?
        $S run --allow one.test --denials -- python3 -c "$ask" two.test:443 2>&1"#,
    );
    assert_eq!(said[..3], [ONE, ONE, NO_NAME]);
    assert_eq!(
        said[3],
        "names {'deaf': False, 'more_unreached': 0, 'reached': [{'connections': 2, 'failed': 0, 'name': 'one.test', 'received': 54, 'sent': 10}], \
         'unreached': [{'address': None, 'name': 'two.test', 'ports': None, 'refusal': None, \
         'remedies': [{'set': 'network.allow', 'value': ['two.test']}], 'rules': None, 'sni': None, 'special': None, 'times': 2, 'why': 'not-allowed'}]}"
    );
    let refused = "seclude: refused: two.test: it is not allowed, 2 times (--allow two.test)";
    assert_eq!(said[4..], [NO_NAME, refused, "3", NO_NAME, refused]);
}
