//! Servers of the command's own at ports that allowed names have too.

use crate::world::lines;

const SERVE: &str = r#"serve='
import socket, threading
def serve(listener):
    def own():
        while True:
            c = listener.accept()[0]; c.sendall(b"own: "); c.close()
    threading.Thread(target=own, daemon=True).start()
def said(place):
    with socket.create_connection(place, 20) as s:
        if place[0].endswith(".test"): s.sendall(b"hello"); s.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()
def fails(make):
    try: make(); return None
    except OSError as error: return error.errno == 98
'"#;

#[test]
fn a_server_that_has_all_addresses_at_a_port_keeps_no_name_from_it() {
    let said = lines(&format!(
        r#"{SERVE}
        for flags in "--allow one.test:5432" "--allow *.zone.test:5432"; do for reuse in 0 1; do
        name=one.test; case $flags in *zone*) name=a.zone.test;; esac
        $S run --report report $flags -- python3 -c "$serve
own = socket.socket(); own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, $reuse); own.bind(('', 5432)); own.listen(); serve(own)
print(said(('$name', 5432)), said(('127.0.0.1', 5432)), said(('93.184.216.34', 5432)))
print([said(('$name', 5432)) for n in range(50)] == ['5432 at 93.184.216.34: hello'] * 50)"
        python3 -c 'import json; print(json.load(open("report"))["reach"]["unreached"])'
        done; done"#
    ));
    for said in said.chunks(3) {
        // Every address that is no name's is the container's.
        assert_eq!(said, ["5432 at 93.184.216.34: hello own:  own: ", "True", "[]"]);
    }
    assert_eq!(said.len(), 4 * 3);
}

#[test]
fn a_server_of_both_families_keeps_no_name_from_its_port_either() {
    let said = lines(&format!(
        r#"{SERVE}
        $S run --allow one.test:5432 -- python3 -c "$serve
serve(socket.create_server(('', 5432), family=socket.AF_INET6, dualstack_ipv6=True))
six = [it[4][:2] for it in socket.getaddrinfo('one.test', 5432, socket.AF_INET6, socket.SOCK_STREAM)][0]
print(said(('one.test', 5432)), said(('::1', 5432)), said(('127.0.0.1', 5432)))
with socket.create_connection(six, 20) as s: print(s.recv(100))""#
    ));
    assert_eq!(said, ["5432 at 93.184.216.34: hello own:  own: ", "b'5432 at 93.184.216.34: '"]);
}

#[test]
fn once_a_name_is_asked_for_its_ports_are_its_own_and_one_address_of_a_port_is_free() {
    let said = lines(&format!(
        r#"{SERVE}
        $S run --allow one.test:5432 -- python3 -c "$serve
print(fails(lambda: socket.create_server(('0.0.0.0', 5432)).close()))
# A question for anything else is no use that is made of it.
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('8.8.8.8', 53))
s.send(bytes([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3]) + b'one' + bytes([4]) + b'test' + bytes([0, 0, 65, 0, 1])); s.recv(512)
print(fails(lambda: socket.create_server(('0.0.0.0', 5432)).close()))
socket.gethostbyname('one.test')
print(fails(lambda: socket.create_server(('0.0.0.0', 5432)).close()), fails(lambda: socket.create_server(('127.0.0.1', 5432)).close()))""#
    ));
    assert_eq!(said, ["None", "None", "True None"]);
}

#[test]
fn whoever_has_a_names_address_from_an_earlier_start_reaches_it_the_next_time() {
    let said = lines(
        r#"
        place=$($S run --allow one.test:5432 -- python3 -c "import socket
print(socket.getaddrinfo('one.test', 5432, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])")
        $S run --report report --allow one.test:5432,80 --allow two.test -- python3 -c "import socket, time
def said():
    with socket.create_connection(('$place', 5432), 20) as s:
        s.sendall(b'hello'); s.shutdown(socket.SHUT_WR)
        return b''.join(iter(lambda: s.recv(65536), b'')).decode()
refused = 0
while True:
    try: print(said(), refused > 0); break
    except ConnectionRefusedError: refused += 1; time.sleep(0.01)
    if refused == 1000: print('never'); break"
        python3 -c 'import json; print(json.load(open("report"))["reach"]["unreached"])'"#,
    );
    assert_eq!(said, ["5432 at 93.184.216.34: hello True", "[]"]);
}
