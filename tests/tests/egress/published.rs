//! `-p` beside names: connections from outside, by the same relay the other way round.

use crate::world::lines;

/// A server inside, at its loopback, that says whom it sees and gives back what it is sent.
const INSIDE: &str = r#"inside='import socket, threading
def talk(c):
    try:
        c.sendall(b"inside sees %s: " % c.getpeername()[0].encode())
        while data := c.recv(1 << 16): c.sendall(data)
        c.close()
    except OSError: pass
s = socket.create_server(("127.0.0.1", 80), backlog=1024); print("serving", flush=True)
while True: threading.Thread(target=talk, args=(s.accept()[0],), daemon=True).start()'
begin() { $S run "$@" -- python3 -c "$inside" > inside.said & s=$!; until_said serving inside.said; }
finish() { kill $s; wait $s; }"#;

#[test]
fn a_published_port_leads_to_the_containers_loopback_beside_its_names() {
    let said = lines(&format!(
        r#"{INSIDE}
        begin --allow one.test -p 8080:80 -p 127.0.0.1:8081:80 -p 8082:81
        ask 127.0.0.1:8080 127.0.0.1:8081 127.0.0.1:8082
        python3 -c 'import socket
for port in 8080, 8081:
    try: s = socket.create_connection(("::1", port), 20); s.sendall(b"6"); print(s.makefile("rb").read(len("inside sees 127.0.0.1: 6")).decode())
    except OSError as error: print(type(error).__name__)'
        $S run --allow one.test -p 8080:80 -- true 2>&1; echo $?
        sleep 60 | python3 -c 'import socket; s = socket.create_server(("::1", 8083), family=socket.AF_INET6); print("up", flush=True); input()' > held &
        until_said up held; $S run --allow one.test -p 8083:80 -- true 2>&1
        ss -Hltn | grep -c ':808[012] '; finish
        ss -Hltn | grep -c ':808[012] '; ask 127.0.0.1:8080
        $S run --allow one.test -p 8080:80 -- python3 -c "$ask" one.test:443 127.0.0.1:8080"#
    ));
    let inside = "inside sees 127.0.0.1: hello";
    assert_eq!(said[..3], [inside, inside, "ConnectionResetError"], "nobody listens at 81: {said:?}");
    assert_eq!(
        said[3..5],
        ["inside sees 127.0.0.1: 6", "ConnectionRefusedError"],
        "one was for an address of IPv4: {said:?}"
    );
    assert!(said[5].contains("8080:80/tcp: EADDRINUSE") && !said[5].contains("8081"), "{said:?}");
    assert!(said[7].contains("8083:80/tcp: EADDRINUSE"), "somebody has it for IPv6 alone: {said:?}");
    assert_eq!(
        [&said[6..7], &said[8..11]].concat(),
        ["125", "5", "0", "ConnectionRefusedError"],
        "it goes with the container: {said:?}"
    );
    assert_eq!(said[11..], ["443 at 93.184.216.34: hello", "ConnectionRefusedError"]);
}

#[test]
fn sockets_of_connections_that_have_ended_are_taken_again() {
    let said = lines(&format!(
        r#"{INSIDE}
        begin --allow-loopback 9 -p 8080:80 --report report
        python3 -c '
import socket, struct
def connect(): return socket.create_connection(("127.0.0.1", 8080), 20)
head = len(b"inside sees 127.0.0.1: ")
def asked(s, end):
    s.sendall(b"hello"); got = b""
    while len(got) < head + 5: got += s.recv(100)
    if end == "reset": s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()
    else:
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b""; s.close()
    return got[head:]
print({{asked(connect(), end) for n in range(200) for end in ("end", "reset")}})
def greeted(s, wait):
    s.settimeout(wait)
    try: return s.recv(100) != b""
    except TimeoutError: return False
    finally: s.settimeout(20)
all = [connect() for n in range(128)]
print(sum(greeted(s, 20) for s in all))
late = [connect() for n in range(3)]
print([greeted(s, 0.5) for s in late])
all[0].close(); print(greeted(late[0], 20), greeted(late[1], 0.5))
for s in all: s.close()
print([greeted(s, 20) for s in late[1:]])
for s in late: s.sendall(b"hello"); print(s.recv(5))'
        finish
        python3 -c 'import json; print([(it["name"], it["why"]) for it in json.load(open("report"))["reach"]["unreached"]])'"#
    ));
    assert_eq!(said[..5], ["{b'hello'}", "128", "[False, False, False]", "True False", "[True, True]"]);
    assert_eq!(said[5..], ["b'hello'", "b'hello'", "b'hello'", "[]"], "nobody was refused");
}

#[test]
fn peers_that_say_nothing_are_asked_within_a_minute_whether_they_are_there() {
    // The timers of the kernel: left alone it would ask after two hours.
    let said = lines(&format!(
        r#"{INSIDE}
        begin --allow one.test -p 8080:80
        python3 -c 'import socket, time
s = socket.create_connection(("127.0.0.1", 8080), 20); s.recv(100); print("there", flush=True); time.sleep(60)' > in.said & until_said there in.said
        mkfifo go; $S run --allow one.test -- python3 -c '
import socket; s = socket.create_connection(("one.test", 443), 20); s.recv(100); print("there", flush=True); input()' < go > out.said &
        exec 3> go; until_said there out.said
        ss -Htno state established sport = :8080; echo; ss -Htno state established dst 93.184.216.34; echo >&3; finish || true"#
    ));
    let timer = |lines: &[String]| {
        let timers = lines.iter().filter_map(|line| line.split_once("timer:(keepalive,")?.1.split_once("sec,"));
        timers.map(|(seconds, _)| seconds.parse::<u32>().unwrap()).collect::<Vec<_>>()
    };
    let (inward, outward) = said.split_at(said.iter().position(String::is_empty).unwrap());
    for timers in [timer(inward), timer(outward)] {
        assert!(timers.len() == 1 && timers[0] <= 60, "{said:?}");
    }
}

#[test]
fn all_that_is_sent_arrives_also_where_it_is_read_slowly() {
    let said = lines(
        r#"inside='import socket, time
s = socket.create_server(("127.0.0.1", 8000)); print("serving", flush=True)
for _ in range(2):
    c = s.accept()[0]; c.shutdown(socket.SHUT_WR); time.sleep(1); got = 0
    try:
        while data := c.recv(1 << 16): got += len(data)
    except OSError as error: got = type(error).__name__
    print(got, flush=True)'
        $S run --allow one.test -p 8080:8000 -- python3 -c "$inside" > said & s=$!; until_said serving said
        python3 -c '
import socket
for _ in range(2):
    s = socket.create_connection(("127.0.0.1", 8080), 20); assert s.recv(1) == b""
    s.sendall(b"x" * 3000000); s.close()'
        wait $s; cat said"#,
    );
    assert_eq!(said, ["serving", "3000000", "3000000"]);
}
