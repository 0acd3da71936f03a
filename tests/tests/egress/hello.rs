//! `--sni require`: a connection begins with TLS that asks for its name, or is reset.

use crate::world::lines;

/// What is said by whoever asks for a name by TLS, to a server that gives back what it is sent.
const SPEAK: &str = r#"speak='import socket, ssl, sys, time
def hello(name):
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    out = ssl.MemoryBIO(); it = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try: it.do_handshake()
    except ssl.SSLWantReadError: return out.read()
def records(hello, size):
    message, parts = hello[5:], b""
    for at in range(0, len(message), size): parts += hello[:3] + len(message[at:at + size]).to_bytes(2, "big") + message[at:at + size]
    return parts
def speak(pieces, place=("one.test", 443), ends=False, pause=0.05):
    try:
        with socket.create_connection(place, 60) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces: s.sendall(piece); time.sleep(pause)
            if ends: s.shutdown(socket.SHUT_WR)
            back, wanted = b"", b": " + b"".join(pieces)
            while not back.endswith(wanted):
                more = s.recv(65536)
                if not more: return "end"
                back += more
            return "through"
    except OSError as error: return type(error).__name__
'"#;

#[test]
fn only_tls_that_asks_for_the_name_goes_through() {
    let said = lines(&format!(
        r#"{SPEAK}
        speak="$speak"'
right, wrong, none = hello("one.test"), hello("evil.org"), hello(None)
print(speak([right]), speak([right[:3], right[3:90], right[90:]]), speak([hello("ONE.test")]))
print(speak([wrong]), speak([none]), speak([b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n"]), speak([b"SSH-2.0-x\r\n"]))
print(speak([b"CONNECT two.test:443 HTTP/1.1\r\n\r\n"]), speak([right[:90]], ends=True), speak([], ends=True))
print(speak([bytes([b]) for b in wrong[:90]]), speak([right + wrong]))'
        $S run --report report --sni require --allow one.test -- python3 -c "$speak"
        python3 -c 'import json
for it in json.load(open("report"))["reach"]["unreached"]: print(it["name"], it["why"], it["sni"])'
        $S run --allow one.test -- python3 -c "$speak" | sort -u"#
    ));
    let reset = "ConnectionResetError";
    assert_eq!(said[0], "through through through");
    assert_eq!(said[1], [reset; 4].join(" "));
    assert_eq!(said[2], [reset; 3].join(" "));
    // What comes behind the first words is between the two ends.
    assert_eq!(said[3], format!("{reset} through"));
    assert_eq!(said[4..6], ["one.test sni evil.org", "one.test sni None"]);
    assert!(said[6..].iter().all(|said| !said.contains(reset)), "without it, all go through: {said:?}");
}

#[test]
fn names_below_a_star_are_asked_for_each_by_itself_and_the_hosts_loopback_is_not_looked_at() {
    let said = lines(&format!(
        r#"{SPEAK}
        speak="$speak"'
a, b = ("a.zone.test", 443), ("b.zone.test", 443)
print(speak([hello("a.zone.test")], a), speak([hello("a.zone.test")], b), speak([hello("zone.test")], a))
print(speak([b"plain"], ("host.internal", 5432)))'
        $S run --sni require --allow '*.zone.test' --allow-loopback 5432 -- python3 -c "$speak""#
    ));
    assert_eq!(said, ["through ConnectionResetError ConnectionResetError", "through"]);
}

#[test]
fn the_first_words_are_read_in_whatever_pieces_they_come_and_not_for_ever() {
    let said = lines(&format!(
        r#"{SPEAK}
        speak="$speak"'
def bytewise(data, **more): return speak([bytes([b]) for b in data], pause=0.0005, **more)
right, wrong = hello("one.test"), hello("evil.org")
print(bytewise(right), bytewise(records(right, 1)), speak([records(right, 3)]), bytewise(records(right, 100), ends=True))
print(bytewise(wrong), bytewise(records(wrong, 1)), bytewise(records(right, 1)[:-1], ends=True))
# One that claims to be the longest, in records of a byte, and one that stops.
print(speak([records(right[:6] + bytes([0, 0x3f, 0xff]) + bytes(1 << 14), 1)]))
started = time.time(); print(speak([right[:100]]), 5 < time.time() - started < 15)'
        $S run --sni require --allow one.test -- python3 -c "$speak""#
    ));
    let reset = "ConnectionResetError";
    assert_eq!(said[0], ["through"; 4].join(" "));
    // What is sent on meanwhile may meet the reset.
    assert_eq!(said[1].replace("BrokenPipeError", reset), [reset; 3].join(" "));
    assert_eq!(said[2].replace("BrokenPipeError", reset), reset);
    assert_eq!(said[3], format!("{reset} True"));
}
