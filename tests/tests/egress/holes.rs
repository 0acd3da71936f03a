//! What a workload may try: it gets nowhere.

use crate::world::lines;

#[test]
fn no_spelling_of_an_address_leads_anywhere() {
    let said = lines(
        r#"places=; for host in 93.184.216.34 1572395042 0x5db8d822 0135.0270.0330.042 93.12113954 ::ffff:93.184.216.34 \
            64:ff9b::5db8:d822 2002:5db8:d822::1 2606:2800::34 169.254.169.254 ::ffff:a9fe:a9fe 127.1 0 0.0.0.0 :: localhost \
            10.9.9.9 198.51.100.2 93.184.216.99; do places="$places $host:80"; done
        $S run --allow one.test:443 -- python3 -c "$ask" $places; echo $places | wc -w"#,
    );
    assert_eq!(said.last().map(String::as_str), Some("19"));
    assert_eq!(said.len(), 20);
    let answered = ["ConnectionRefusedError", "no such name"];
    assert!(said[..19].iter().all(|said| answered.contains(&said.as_str())), "{said:?}");
}

#[test]
fn a_slot_leads_to_its_name_alone_whoever_knows_it() {
    let said = lines(
        r#"$S run --allow one.test --allow two.test:5432 -- python3 -c '
import socket
one, two = socket.gethostbyname("one.test"), socket.gethostbyname("two.test")
import errno
def tried(host, port):
    try:
        with socket.create_connection((host, port), 20) as s: return s.recv(100).decode()
    except OSError as error: return errno.errorcode[error.errno]
print([tried(*at) for at in ((one, 443), (one, 5432), (two, 443), (two, 5432))])
high, low = map(int, one.split(".")[2:])
near = [f"198.19.{high}.{(low + n) % 256}" for n in range(1, 256)]
print(sum(tried(host, port) != "ECONNREFUSED" for host in near for port in (443, 5432) if host != two))'"#,
    );
    assert_eq!(said[0], "['443 at 93.184.216.34: ', 'ECONNREFUSED', 'ECONNREFUSED', '5432 at 93.184.216.34: ']");
    assert_eq!(said[1], "0");
}

#[test]
fn whoever_binds_or_routes_inside_harms_nobody_but_itself() {
    let said = lines(
        r#"$S run --allow one.test:443,5432 -- python3 -c '
import socket, subprocess
slot = socket.gethostbyname("one.test")
def bound(host, port, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try: s.bind((host, port)); s.listen() if kind == socket.SOCK_STREAM else None; return "bound"
    except OSError as error: return type(error).__name__ + " " + str(error.errno)
print([bound("0.0.0.0", 5432), bound(slot, 5432), bound("0.0.0.0", 53, socket.SOCK_DGRAM), bound(slot, 443)])
for words in (["route", "del", "local", "default", "dev", "lo", "table", "local"], ["addr", "add", "10.0.0.1/8", "dev", "lo"], ["link", "set", "lo", "down"]):
    print(subprocess.run(["ip", *words], capture_output=True, text=True).stderr.strip().splitlines()[-1].replace("RTNETLINK answers: ", ""))
for family, kind, protocol in ((socket.AF_PACKET, socket.SOCK_RAW, 3), (socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_VSOCK, socket.SOCK_STREAM, 0)):
    try: s = socket.socket(family, kind, protocol); s.settimeout(2); s.connect((2, 80)) if family == socket.AF_VSOCK else 0; print("had")
    except OSError as error: print("no")
s = socket.create_connection(("one.test", 5432)); print(s.recv(100).decode())
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(2); u.connect((slot, 443)); u.send(b"quic")
try: u.recv(10)
except OSError as error: print(type(error).__name__)'"#,
    );
    // EADDRINUSE, or, below 1024 without a capability, EACCES.
    assert_eq!(said[0], "['OSError 98', 'OSError 98', 'PermissionError 13', 'PermissionError 13']", "{said:?}");
    assert!(said[1..4].iter().all(|said| said.contains("not permitted")), "{said:?}");
    assert_eq!(said[4..], ["no", "no", "no", "5432 at 93.184.216.34: ", "ConnectionRefusedError"]);
}

#[test]
fn whoever_ends_the_listeners_of_its_own_names_takes_no_time_of_the_relays() {
    let said = lines(
        r#"destroy='import socket, struct, sys, time
name = socket.gethostbyname("one.test")
slot = socket.inet_aton(name) + bytes(12)
diag = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)
# SOCK_DESTROY with NLM_F_REQUEST and NLM_F_ACK of one listener, whatever its cookie is.
asked = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << 10)
asked += struct.pack("!HH", 5432, 0) + slot + bytes(16) + struct.pack("=III", 0, 2**32 - 1, 2**32 - 1)
diag.send(struct.pack("=IHHII", 16 + len(asked), 21, 5, 1, 0) + asked)
print("destroyed", struct.unpack("=i", diag.recv(4096)[16:20])[0], flush=True)
time.sleep(3)
for port in (5432, 443):
    try: s = socket.create_connection((name, port), 5); print("reached", flush=True)
    except OSError as error: print(type(error).__name__, flush=True)'
        $S run --allow one.test:443,5432 --cap-add NET_ADMIN -- python3 -c "$destroy" > said & s=$!
        until_said destroyed said
        ticks() { cut -d')' -f2 /proc/$s/stat | awk '{ print $12 + $13 }'; }
        before=$(ticks); sleep 2; after=$(ticks)
        wait $s; cat said; echo $((after - before))"#,
    );
    if said[0] == "destroyed -95" || said[0] == "destroyed -2" {
        return eprintln!("skipped: this kernel has no SOCK_DESTROY (CONFIG_INET_DIAG_DESTROY)");
    }
    assert_eq!(said[..3], ["destroyed 0", "ConnectionRefusedError", "reached"], "{said:?}");
    let ticks: u32 = said[3].parse().unwrap();
    // Of two hundred.
    assert!(ticks < 30, "{said:?}");
}

#[test]
fn a_spawner_that_is_killed_takes_the_network_along() {
    let said = lines(
        r#"inside='import socket, time
s = socket.create_connection(("one.test", 443)); s.recv(100); print("connected", flush=True)
while True:
    try: print("end" if s.recv(10) == b"" else "data", flush=True)
    except OSError as error: print(type(error).__name__, flush=True)
    try: socket.create_connection(("one.test", 443), 5); print("reached", flush=True)
    except OSError as error: print(type(error).__name__, flush=True)
    break
time.sleep(30)'
        # It outlives its spawner by what that could not prevent: as PID 1, and told so late.
        $S run --as-pid-1 --allow one.test -- python3 -c "$inside" > said & s=$!
        until_said connected said; kill -9 $s; sleep 1; sed 1d said | grep -c -e reached -e data
        ss -Htn state established '( dport = :443 )' | wc -l"#,
    );
    assert_eq!(said[0], "0", "nothing is reached: {said:?}");
    assert_eq!(said[1..], ["0"], "nor is anything still connected: {said:?}");
}

#[test]
fn nothing_allowed_lets_nothing_through() {
    let said = lines(
        r#"printf 'network = { type = "names" }\ncommand = ["true"]\n' > spec.toml
        $S run --spec spec.toml -- python3 -c "$ask" one.test:443 93.184.216.34:443 localhost:443"#,
    );
    assert_eq!(said, ["no such name", "ConnectionRefusedError", "ConnectionRefusedError"]);
}
