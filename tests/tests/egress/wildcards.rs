//! `*.example.org`: names below it, each once it is asked for.

use crate::world::lines;

const ONE: &str = "443 at 93.184.216.34: hello";
const NO_NAME: &str = "no such name";
const REFUSED: &str = "ConnectionRefusedError";

#[test]
fn names_below_a_star_are_reached_and_it_is_not_itself() {
    let said = lines(
        r#"$S run --allow '*.zone.test' --allow '*.ZONE.test:5432' --allow c.zone.test:80 -- python3 -c "$ask" \
            a.zone.test:443 A.Zone.TEST.:5432 b.zone.test:443 c.zone.test:80 c.zone.test:443 a.zone.test:80 \
            zone.test:443 badzone.test:443 one.test:443 a.zone.test.evil.org:443
        sort -u queries"#,
    );
    assert_eq!(said[..5], [ONE, "5432 at 93.184.216.34: hello", ONE, "80 at 93.184.216.34: hello", ONE]);
    assert_eq!(said[5..10], [REFUSED, NO_NAME, NO_NAME, NO_NAME, NO_NAME]);
    assert_eq!(said[10..], ["a.zone.test", "b.zone.test", "c.zone.test"], "nobody is asked for the others");
}

#[test]
fn nothing_listens_for_a_name_before_it_is_asked_for() {
    let said = lines(
        r#"$S run --allow '*.zone.test:443,5432' -- python3 -c '
import socket
def listeners(): return sum(line.split()[3] == "0A" for file in ("tcp", "tcp6") for line in open("/proc/net/" + file).readlines()[1:])
before = listeners(); slots = {socket.gethostbyname(f"n{n}.zone.test") for n in range(20)}
again = {socket.gethostbyname(f"n{n}.zone.test") for n in range(20)}
print(len(slots), slots == again, listeners() - before)
high, low = socket.gethostbyname("n0.zone.test").split(".")[2:]
def tried(host):
    try: socket.create_connection((host, 443), 20).close(); return True
    except OSError: return False
near = {f"198.19.{(int(high) + n // 256) % 256}.{n % 256}" for n in range(2000)}
print({host for host in near if tried(host)} == near & slots)'"#,
    );
    assert_eq!(said, ["20 True 40", "True"]);
}

#[test]
fn a_stock_that_is_used_up_refuses_further_names_and_no_other() {
    let said = lines(
        r#"$S run --report report --allow '*.zone.test:443,5432' --allow one.test -- python3 -c '
import socket
def known(name):
    try: return socket.gethostbyname(name)
    except OSError: return None
names = [f"n{n}.zone.test" for n in range(200)]
slots = {name: known(name) for name in names}
had = [name for name in names if slots[name]]
print(len(had), had == names[:len(had)], len({slots[name] for name in had}))
def said(place):
    with socket.create_connection((place, 443), 20) as s: return s.recv(100).decode()
print(said(had[0]), said(had[-1]), said("one.test"), known("a.zone.test"))'
        python3 -c 'import json
print({(it["why"], it["times"] > 0) for it in json.load(open("report"))["reach"]["unreached"]})'"#,
    );
    assert_eq!(said[0], "64 True 64");
    assert_eq!(said[1], "443 at 93.184.216.34:  443 at 93.184.216.34:  443 at 93.184.216.34:  None");
    assert_eq!(said[2], "{('too-many', True)}");
}

#[test]
fn questions_of_other_kinds_and_the_same_one_again_take_nothing_of_the_stock() {
    let said = lines(
        r#"$S run --report report --allow '*.zone.test' --allow one.test -- python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.connect(("8.8.8.8", 53))
def ask(name, kind):
    s.send(b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0" + kind.to_bytes(2, "big") + b"\0\1")
    answer = s.recv(512); return answer[3] & 15, answer[7]
# AAAA, HTTPS, MX, TXT, PTR, any
print({ask(f"n{n}.zone.test", kind) for kind in (28, 65, 15, 16, 12, 255) for n in range(200)})
print({ask("same.zone.test", 1) for n in range(200)}, {ask("SAME.zone.test", 1) for n in range(200)})
print(sum(ask(f"n{n}.zone.test", 1) == (0, 1) for n in range(200)))
print({ask("one.test", kind) for kind in (1, 28)}, ask("one.test", 65))'
        python3 -c 'import json; print([it["name"] for it in json.load(open("report"))["reach"]["unreached"]][:1])'"#,
    );
    assert_eq!(said[..2], ["{(0, 0)}", "{(0, 1)} {(0, 1)}"]);
    assert_eq!(said[2], "127", "what is left of 128");
    assert_eq!(said[3..], ["{(0, 1)} (0, 0)", "['n127.zone.test']"]);
}

#[test]
fn what_is_asked_below_a_star_is_asked_of_nobody_until_it_is_connected_to() {
    let said = lines(
        r#"$S run --allow '*.zone.test' --allow two.test -- python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.connect(("8.8.8.8", 53))
codes = {}
def ask(labels):
    s.send(b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(l)]) + l for l in labels) + b"\0\0\1\0\1")
    code = s.recv(512)[3] & 15; codes[code] = codes.get(code, 0) + 1
import os
for n in range(1000):
    ask([os.urandom(16).hex().encode(), b"two", b"test"]); ask([os.urandom(16).hex().encode(), b"evil", b"org"])
    ask([os.urandom(30).hex().encode(), b"zone", b"test"])
# No host name has such labels: they are no name below it.
for label in (b"a\0b", b"a.b", b"a\r\nb", b"-a", b"a\xffb", b"*"): ask([label, b"zone", b"test"])
ask([b"a" * 63] * 3 + [b"b" * 63, b"zone", b"test"])
print(sorted(codes.items()))
'; wc -l < queries"#,
    );
    // Format errors are answered, too: RFC 1035 has no names that long.
    assert_eq!(said, ["[(0, 128), (1, 1), (3, 2878)]", "0"]);
}
