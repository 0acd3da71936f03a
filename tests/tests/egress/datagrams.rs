//! UDP to a name.

use crate::world::lines;

/// A server that says who it is and what it was sent, at the public address and at a private one; and one on another port, that nothing allows.
const ECHO: &str = r#"cat > echo.py <<'END'
import select, socket
all = []
for place in (("93.184.216.34", 9123), ("93.184.216.34", 9124), ("10.9.9.9", 9123)):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(place); all.append(s)
print("serving", flush=True)
while True:
    for s in select.select(all, [], [])[0]:
        said, sender = s.recvfrom(65535)
        print(s.getsockname()[0], len(said), file=open("came", "a"))
        s.sendto(b"%s %d" % (s.getsockname()[0].encode(), len(said)), sender)
END
: > came; out python3 echo.py > echo.said & until_said serving echo.said
udp='import socket,sys
for place in sys.argv[1:]:
    host, port, length = place.rsplit(":", 2)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
    try:
        s.connect((host, int(port))); s.send(b"x" * int(length)); print(s.recv(100).decode())
    except socket.gaierror: print("no such name")
    except OSError as error: print(type(error).__name__)'
"#;

#[test]
fn datagrams_reach_the_name_and_port_that_are_allowed_and_no_other() {
    let said = lines(&format!(
        "{ECHO}{}",
        r#"python3 -c "$udp" 93.184.216.34:9123:7
        $S run --report report --allow one.test:udp/9123,443 -- python3 -c "$udp" one.test:9123:5 one.test:9123:0 one.test:9123:30000 \
            one.test:9124:5 93.184.216.34:9123:5 two.test:9123:5
        $S run --allow one.test:udp/9123 -- python3 -c "$ask" one.test:9123
        $S run --allow one.test:9123 -- python3 -c "$udp" one.test:9123:5
        python3 -c 'import json; r = json.load(open("report"))["reach"]["reached"][0]; print(r["connections"], r["failed"], r["sent"])'
        grep -c . came"#
    ));
    let refused = "ConnectionRefusedError";
    let came = ["93.184.216.34 5", "93.184.216.34 0", "93.184.216.34 30000"];
    let inside = [came[0], came[1], came[2], refused, refused, "no such name"];
    assert_eq!(said[0], "93.184.216.34 7", "it is there for whoever has a network: {said:?}");
    assert_eq!(said[1..7], inside);
    assert_eq!(said[7..], [refused, refused, "3 0 30005", "4"]);
}

#[test]
fn datagrams_to_a_name_that_leads_to_a_private_address_are_refused_unless_that_is_allowed() {
    let said = lines(&format!(
        "{ECHO}{}",
        r#"echo "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.connect(('private.test', 9123)); s.send(b'x')
try: print(s.recv(100).decode())
except TimeoutError: print('nothing')" > once.py
        $S run --report report --allow private.test:udp/9123 -- python3 - < once.py
        python3 -c 'import json; u = json.load(open("report"))["reach"]["unreached"][0]; print(u["why"], u["special"])'
        grep -c . came
        $S run --allow-private private.test:udp/9123 -- python3 - < once.py"#
    ));
    assert_eq!(said, ["nothing", "address private", "0", "10.9.9.9 1"]);
}
