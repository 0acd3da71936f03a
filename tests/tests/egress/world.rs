//! A host with an outside in which names lead to servers of the tests.

use seclude_tests::host;

/// What each script begins with, after the host of `seclude_tests::host`:
///
/// * outside, at 93.184.216.34 and 2606:2800::34, a server on ports 443, 80 and 5432, which says who it is and gives back what it is sent;
///   the same at 10.9.9.9 and at 169.254.169.254
/// * a name server of the host's, outside, that knows names below `test` and all below `zone.test`, and notes what it is asked in `queries`; it says nothing of those
///   that begin with `silent`
/// * the same server on the host itself, at 127.0.0.1 and at 93.184.216.99
/// * `ask PLACE…`: run inside, what the server at each says, or why nothing does
const PRELUDE: &str = r#"
ulimit -n 16384
until_said() { for i in $(seq 400); do grep -q "$1" $2 && return; sleep 0.05; done; echo "$2 never said $1"; cat $2; exit 1; }
out() { nsenter --target $outside --net "$@"; }
for address in 93.184.216.34/32 93.184.216.53/32 10.9.9.9/32 169.254.169.254/32; do out ip address add $address dev eth0; done
ip address add 93.184.216.99/32 dev up0
ip -6 address add fd00:1::2/64 dev up0 nodad; out ip -6 address add fd00:1::1/64 dev eth0 nodad
out ip -6 address add 2606:2800::34/128 dev eth0 nodad; ip -6 route add default via fd00:1::1
cat > server.py <<'END'
import socket, sys, threading
def talk(c):
    try:
        c.sendall(b"%d at %s: " % (c.getsockname()[1], c.getsockname()[0].removeprefix("::ffff:").encode()))
        while data := c.recv(1 << 16): c.sendall(data)
        c.close()
    except OSError: pass
def serve(s):
    while True: threading.Thread(target=talk, args=(s.accept()[0],), daemon=True).start()
for port in (443, 80, 5432):
    s = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
    threading.Thread(target=serve, args=(s,)).start()
print("serving", flush=True)
END
cat > resolver.py <<'END'
import socket, sys
known = {b"one": "93.184.216.34", b"two": "93.184.216.34", b"loopback": "127.0.0.1", b"private": "10.9.9.9",
         b"metadata": "169.254.169.254", b"own": "93.184.216.99", b"dead": "93.184.216.77", b"xn--mnchen-3ya": "93.184.216.34"}
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("93.184.216.53", 53))
print("serving", flush=True)
while True:
    q, sender = s.recvfrom(4096)
    labels, at = [], 12
    while q[at]: labels.append(q[at + 1:at + 1 + q[at]]); at += 1 + q[at]
    name, kind, question = b".".join(labels).lower(), q[at + 2], q[12:at + 5]
    print(name.decode("latin-1"), file=open("queries", "a"))
    if name.startswith(b"silent"): continue
    address = known.get(labels[0].lower()) if labels[1:] == [b"test"] else None
    if labels[1:] == [b"zone", b"test"]: address = "93.184.216.34"
    try: address = open("now." + labels[0].decode()).read().strip() or address
    except OSError: pass
    answer = address and kind == 1
    s.sendto(q[:2] + (b"\x81\x80" if address else b"\x81\x83") + b"\0\1\0" + bytes([bool(answer)]) + b"\0\0\0\0" + question
        + (b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address) if answer else b""), sender)
END
: > queries
out python3 server.py > server.said & python3 server.py > own.said & out python3 resolver.py > resolver.said &
echo 'nameserver 93.184.216.53' > resolv.conf; echo 'hosts: files dns' > nsswitch.conf
printf '127.0.0.1 localhost\n93.184.216.34 listed.test\n2606:2800::34 six.test\n93.184.216.77 both.test\n2606:2800::34 both.test\n' > hosts
for file in resolv.conf nsswitch.conf hosts; do mount --bind $file /etc/$file; done
for file in server.said own.said resolver.said; do until_said serving $file; done
ask='import socket,sys
for place in sys.argv[1:]:
    host, port = place.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), 60) as s:
            s.sendall(b"hello"); s.shutdown(socket.SHUT_WR)
            print(b"".join(iter(lambda: s.recv(65536), b"")).decode())
    except socket.gaierror: print("no such name")
    # A reset that comes before what is sent, or before the end of that, has these names.
    except OSError as error: print("ConnectionResetError" if error.errno in (32, 107) else type(error).__name__)'
ask() { python3 -c "$ask" "$@" 2>&1; }
"#;

/// What a script says there.
pub(crate) fn world(script: &str) -> String {
    host(&format!("{PRELUDE}\n{script}"))
}

/// The same in lines.
pub(crate) fn lines(script: &str) -> Vec<String> {
    world(script).lines().map(str::to_owned).collect()
}
