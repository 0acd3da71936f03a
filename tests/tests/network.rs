//! Networks of containers: veth pairs, NAT, published ports, peers, names, pasta, and nothing of it left.

use seclude_tests::{Scratch, busybox_root, host, refused, root_only, seclude_command, stdout_of};

/// A container that serves: its server has said so when the script goes on.
const SERVER: &str = r#"
server() { name=$1; shift; mkfifo $name.ready
    $S run --net veth --ip-forward --dns none "$@" -- python3 -c "$serve" 80 $name > $name.ready &
    eval "$name=$!"; read -r said < $name.ready; }
"#;

fn served(script: &str) -> String {
    host(&format!("{SERVER}\n{script}"))
}

#[test]
fn a_container_reaches_the_outside_through_nat_without_it_only_the_host_and_both_if_asked() {
    let said = host(
        r#"nsenter --target $outside --net python3 -c "$serve" 80 outside > outside.said &
        python3 -c "$serve" 81 host > host.said &
        until grep -q serving outside.said && grep -q serving host.said; do sleep 0.05; done
        probe='import sys,urllib.request as u
for place in sys.argv[1:]:
    try: print(u.urlopen("http://"+place, timeout=4).read().decode())
    except OSError as error: print("no")'
        for flags in "" --no-nat --host-access; do
            $S run --net veth --ip-forward --dns none $flags -- python3 -c "$probe" 198.51.100.1 198.51.100.2:81 2>&1
        done
        $S run -- python3 -c "$probe" 198.51.100.1
        gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "outside to 198.51.100.2", "under the host's address: {said}");
    assert_eq!(lines[1], "no", "the host itself is closed: {said}");
    assert_eq!(lines[2], "no", "without NAT the outside is not reached: {said}");
    assert!(lines[3].starts_with("host to 10."), "the host is: {said}");
    assert_eq!(lines[4], "outside to 198.51.100.2", "{said}");
    assert!(lines[5].starts_with("host to 10."), "both are: {said}");
    assert_eq!(lines[6..], ["no", "0"], "without a network nothing is, and nothing is left: {said}");
}

#[test]
fn a_published_port_leads_to_the_container_from_outside_and_from_the_hosts_loopback() {
    let said = served(
        r#"server one -p 8080:80
        for place in 127.0.0.1:8080 198.51.100.2:8080 127.0.0.1:8081; do fetch $place; done
        nsenter --target $outside --net sh -c "$(cat <<'END'
python3 -c 'import urllib.request as u; print(u.urlopen("http://198.51.100.2:8080", timeout=5).read().decode())'
END
)"
        $S run --net veth --ip-forward --dns none -p 8080:80 true; echo $?
        kill $one; wait $one; fetch 127.0.0.1:8080
        server two -p 127.0.0.1:8080:80
        for place in 127.0.0.1:8080 198.51.100.2:8080; do fetch $place; done
        kill $two; wait $two; gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("one to 10.") && lines[1].starts_with("one to "), "{said}");
    assert_eq!(lines[2], "no", "a port that is not published: {said}");
    assert_eq!(lines[3], "one to 198.51.100.1", "from outside: {said}");
    assert_eq!(lines[4], "125", "the port is taken: {said}");
    assert_eq!(lines[5], "no", "after the end: {said}");
    assert!(lines[6].starts_with("two to "), "{said}");
    assert_eq!(lines[7..], ["no", "0"], "published on the loopback alone: {said}");
}

#[test]
fn a_published_port_answers_on_the_loopback_of_ipv6_too_streams_and_datagrams() {
    let said = host(
        r#"cat > echo.py <<'END'
import socket, sys, threading
stream = socket.create_server(("0.0.0.0", 80))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); datagrams.bind(("0.0.0.0", 53))
def answer():
    while True:
        data, sender = datagrams.recvfrom(65536); datagrams.sendto(data[::-1], sender)
def serve(c):
    got = 0
    while data := c.recv(65536): got += len(data); c.sendall(data)
    c.sendall(b"%d" % got); c.close()
threading.Thread(target=answer, daemon=True).start(); print("up", flush=True)
while True: threading.Thread(target=serve, args=(stream.accept()[0],), daemon=True).start()
END
        cat > ask.py <<'END'
import socket, threading
def whole(address):
    c = socket.create_connection(address, timeout=10); sent = bytes(range(256)) * 16384; got = bytearray()
    def read():
        while data := c.recv(65536): got.extend(data)
    reader = threading.Thread(target=read); reader.start(); c.sendall(sent); c.shutdown(socket.SHUT_WR); reader.join()
    return bytes(got) == sent + b"%d" % len(sent)
print(*{whole((address, 8080)) for address in ["127.0.0.1", "::1"] * 3})
d = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(3)]
for n, one in enumerate(d): one.settimeout(5); one.sendto(b"ask%d" % n, ("::1", 5353))
print(*[one.recv(100).decode() for one in d])
END
        mkfifo ready
        $S run --net veth --ip-forward --dns none -p 8080:80 -p 5353:53/udp -p 127.0.0.1:8081:80 -- python3 -c "$(cat echo.py)" > ready & one=$!
        read -r up < ready
        python3 ask.py
        python3 -c 'import socket
try: socket.create_connection(("::1", 8081)); print("open")
except OSError as e: print(e.strerror)'
        python3 -c 'import socket
c = socket.create_connection(("::1", 8080)); c.sendall(b"x"); c.recv(1); print("open", flush=True); c.settimeout(10); print(c.recv(1))' > held & held=$!
        until grep -q open held 2>/dev/null; do sleep 0.05; done
        kill $one; wait $one; wait $held; cat held
        python3 -c 'import socket
try: socket.create_connection(("::1", 8080)); print("open")
except OSError as e: print(e.strerror)'
        python3 -c 'import socket,time
s = socket.create_server(("::1", 8080), family=socket.AF_INET6); print("up", flush=True); time.sleep(100)' > ready & taken=$!
        read -r up < ready
        $S run --net veth --ip-forward --dns none -p 8080:80 true 2>&1; echo $?
        kill $taken; gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["True", "0ksa 1ksa 2ksa"], "{said}");
    assert_eq!(lines[2], "Connection refused", "published on 127.0.0.1 alone: {said}");
    assert_eq!(lines[3..6], ["open", "b''", "Connection refused"], "connections end with the container: {said}");
    assert!(lines[6].contains("port 8080 of [::1]: EADDRINUSE in bind"), "{said}");
    assert_eq!(lines[7..], ["125", "0"], "{said}");
}

#[test]
fn peers_reach_one_another_by_name_and_others_do_not_at_all() {
    // With br_netfilter, where it is loaded, IP rules see what goes on within a bridge; without it they do not.
    for by_ip_rules in [1, 0] {
        let said = served(&format!(
            r#"echo {by_ip_rules} 2>&- > /proc/sys/net/bridge/bridge-nf-call-iptables
            server db --peers --hostname db -p 8080:80
            server lone --hostname lone -p 8081:80
            probe='import sys,urllib.request as u
try: print(u.urlopen("http://"+sys.argv[1], timeout=2).read().decode())
except OSError: print("no")'
            run="$S run --net veth --ip-forward --dns none"
            $run --peers --hostname app -- python3 -c "$probe" db
            db_address=$($run --peers --hostname app -- sh -c 'while read -r a n rest; do [ "$n" = db ] && echo $a; done < /etc/hosts')
            lone_address=$(ip -o link | sed -n 's/^[0-9]*: \(sc[0-9a-f]*\)@.*/\1/p' | python3 -c '
import ipaddress, sys
links = [ipaddress.ip_address(int(line[2:10], 16)) for line in sys.stdin]
print(*[a for a in links if str(a) != sys.argv[1]])' $db_address)
            $run --peers -- python3 -c "$probe" $db_address
            for way in "$db_address --hostname=x" "$lone_address --peers" "$lone_address --hostname=x"; do
                set -- $way
                $run $2 -- sh -c 'python3 -c "$0" $1; ip neigh show $1 | grep -c -e REACHABLE -e STALE -e DELAY' "$probe" $1
            done
            kill $db $lone; wait $db; wait $lone; gone"#
        ));
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("db to 10.") && lines[1].starts_with("db to 10."), "{by_ip_rules}: {said}");
        // Not even the other's hardware address is to be had.
        let neither = ["no", "0"];
        assert_eq!(lines[2..], [&neither[..], &neither, &neither, &["0"]].concat(), "{by_ip_rules}: {said}");
    }
}

#[test]
fn peers_have_their_names_with_shifted_ids_too() {
    root_only!();
    let said = host(
        r#"run="$S run --net veth --no-nat --dns none --peers"
        for ids in "" --map-subids; do
            $run --hostname one $ids -- sh -c 'grep -c one$ /etc/hosts; : > /etc/hosts' 2>&1 | cut -d: -f1
        done
        gone"#,
    );
    assert_eq!(said, "1\nsh\n1\nsh\n0", "named in a file that it cannot write: {said}");
}

#[test]
fn iperf_runs_between_two_containers() {
    let said = host(
        r#"run="$S run --net veth --no-nat --dns none --peers"
        mkfifo ready
        $run --hostname server -- iperf3 --server --one-off --forceflush > ready & server=$!
        while read -r line; do case $line in *listening*) break;; esac; done < ready
        $run -- iperf3 --client server --time 1 --json | grep -c '"sum_received":'
        wait $server; gone"#,
    );
    assert_eq!(said.trim(), "1\n0", "{said}");
}

#[test]
fn a_rate_holds_in_both_directions() {
    let said = host(
        r#"for flags in "" "--rate 8M"; do for direction in "" --reverse; do
            mkfifo ready
            iperf3 --server --one-off --forceflush > ready & server=$!
            while read -r line; do case $line in *listening*) break;; esac; done < ready
            $S run --net veth --no-nat --dns none $flags -- iperf3 --client 198.51.100.2 --time 2 $direction --json |
                python3 -c 'import json,sys; print(int(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"]))'
            wait $server; rm ready
        done; done"#,
    );
    let rates: Vec<u64> = said.lines().map(|line| line.parse().unwrap()).collect();
    assert!(rates[0] > 100_000_000 && rates[1] > 100_000_000, "free: {said}");
    // Up to a second's worth may come at once on the way out, so over two seconds it can be half as much again.
    assert!(rates[2] < 13_000_000 && rates[3] < 13_000_000, "limited to 8 Mbit/s: {said}");
}

#[test]
fn a_latency_is_added_to_what_comes_in() {
    // The time of a round trip, in milliseconds.
    let said = host(
        r#"probe='import socket,time
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect(("198.51.100.2",9)); s.settimeout(5)
def trip():
    start=time.monotonic(); s.send(b"?")
    try: s.recv(1)
    except ConnectionRefusedError: pass
    return time.monotonic()-start
trip(); print(int(1000*trip()))'
        for flag in --no-nat "--latency 200ms"; do
            $S run --net veth --no-nat --dns none ${flag#--no-nat} -- python3 -c "$probe" 2>&1
        done; gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].parse::<u32>().unwrap() < 150, "{said}");
    if lines[1].contains("sch_netem") {
        assert!(lines[1].contains("ENOENT in RTM_NEWQDISC") && lines[1].contains("modprobe sch_netem"), "{said}");
        println!("skipped: this kernel has no sch_netem");
    } else {
        assert!(lines[1].parse::<u32>().unwrap() >= 200, "{said}");
    }
    assert_eq!(lines[2..], ["0"], "{said}");
}

#[test]
fn the_address_and_the_names_are_those_that_were_asked_for() {
    let said = host(
        r#"$S run --net veth --no-nat --subnet 10.99.0.0/24 --ip 10.99.0.7 --mac 02:00:00:00:00:07 --mtu 1400 --ip6 fd99::/64 \
            --dns 192.0.2.53 --dns 192.0.2.54 --hostname box --add-host db:10.99.0.9 -- sh -c '
            ip -o address show eth0 | while read -r i n f a rest; do echo $a; done | grep -v ^fe80
            ip link show eth0 | grep -o -e "mtu [0-9]*" -e "02:00:00:00:00:07"
            ip route | grep -o "default via [0-9.]*"
            cat /etc/resolv.conf; grep -v localhost /etc/hosts; : > /etc/hosts' 2>&1
        $S run --net veth --no-nat --point-to-point --dns none -- sh -c 'ip route | wc -l; ip route | grep -o "scope link"'
        gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[..9],
        [
            "10.99.0.7/24",
            "fd99::7/64",
            "mtu 1400",
            "02:00:00:00:00:07",
            "default via 10.99.0.1",
            "nameserver 192.0.2.53",
            "nameserver 192.0.2.54",
            "10.99.0.7 box",
            "10.99.0.9 db"
        ],
        "{said}"
    );
    assert!(lines[9].contains("Read-only file system"), "{said}");
    assert_eq!(lines[10..], ["2", "scope link", "0"], "{said}");
}

#[test]
fn who_has_no_peers_fills_no_table_of_neighbours() {
    root_only!();
    // There is one for all network namespaces, neigh/default/gc_thresh3 of entries.
    let said = host(
        r#"send='import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setblocking(False)
for n in range(2, 250):
    try: s.sendto(b"x", ("10.83.77.%d" % n, 9))
    except OSError: pass'
        for flags in "" --peers; do
            $S run --net veth --no-nat --dns none $flags -- sh -c "python3 -c '$send'; ip -4 neigh show dev eth0 | wc -l"
        done; gone"#,
    );
    let lines: Vec<usize> = said.lines().map(|line| line.trim().parse().unwrap_or(99_999)).collect();
    assert!(lines[0] <= 2 && lines[1] > 100, "{said}");
    assert_eq!(lines[2..], [0], "{said}");
}

#[test]
fn a_name_server_on_the_hosts_loopback_is_left_out_and_said_so() {
    let said = host(
        r#"printf 'nameserver 127.0.0.53\nsearch example.org\n' > resolv.conf
        mount --bind resolv.conf /etc/resolv.conf
        $S run --net veth --no-nat -- true 2>&1
        mkdir -p /run/systemd/resolve; printf 'nameserver 192.0.2.1\nsearch example.com\n' > /run/systemd/resolve/resolv.conf
        $S run --net veth --no-nat --report report -- cat /etc/resolv.conf
        python3 -c 'import json; n=json.load(open("report"))["spawn"]["network"]; print(n["name_servers"], n["name_servers_left_out"])'
        $S run --net veth --no-nat --dns none -- cat /etc/resolv.conf
        gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].contains("127.0.0.53 is on its loopback")
            && lines[0].contains("or do without name servers (--dns ADDRESS, --dns none)"),
        "{said}"
    );
    assert_eq!(lines[1..3], ["nameserver 192.0.2.1", "search example.com"], "{said}");
    assert_eq!(lines[3], "['192.0.2.1'] ['127.0.0.53']", "{said}");
    assert_eq!(lines[4..], ["nameserver 127.0.0.53", "search example.org", "0"], "left as it is: {said}");
}

#[test]
fn the_hosts_own_files_of_names_may_be_in_any_encoding_and_an_unreadable_one_is_an_error() {
    let said = host(
        r#"printf '# of the caf\351\nnameserver 192.0.2.1\nsearch example.org\n' > resolv.conf
        printf '192.0.2.7 elsewhere # the caf\351' > hosts
        for file in resolv.conf hosts; do mount --bind $file /etc/$file; done
        $S run --net veth --no-nat -- cat /etc/resolv.conf
        shared="$S run --share net --add-host added:192.0.2.8"
        $shared -- cat /etc/hosts | tr '\351' e
        mkdir -p etc/hosts; cp /etc/passwd /etc/group etc; mount --bind etc /etc
        $shared -- cat /etc/hosts 2>&1
        umount /etc; gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["nameserver 192.0.2.1", "search example.org"], "{said}");
    assert_eq!(lines[2..4], ["192.0.2.7 elsewhere # the cafe", "192.0.2.8 added"], "byte for byte: {said}");
    assert!(lines[4].contains("/etc/hosts: EISDIR in read"), "{said}");
    assert_eq!(lines[5..], ["0"], "{said}");
}

#[test]
fn a_name_server_that_is_the_host_itself_is_left_out_unless_the_host_is_open() {
    let said = host(
        r#"printf 'nameserver 198.51.100.2\nnameserver 192.0.2.1\n' > resolv.conf
        mount --bind resolv.conf /etc/resolv.conf
        run="$S run --net veth --ip-forward"
        $run --report report -- cat /etc/resolv.conf
        python3 -c 'import json; print(json.load(open("report"))["spawn"]["network"]["name_servers_left_out"])'
        $run --host-access -- cat /etc/resolv.conf
        echo 'nameserver 198.51.100.2' > resolv.conf
        $run -- true 2>&1
        $run --host-access -- cat /etc/resolv.conf
        $run --dns 198.51.100.2 -- cat /etc/resolv.conf
        gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    let (host, other) = ("nameserver 198.51.100.2", "nameserver 192.0.2.1");
    assert_eq!(lines[..4], [other, "['198.51.100.2']", host, other], "{said}");
    assert!(
        lines[4].contains("the host's name server 198.51.100.2 is the host itself, whose own services are closed")
            && lines[4].contains("open the host's own services, ")
            && lines[4].contains("(--host-access, --dns ADDRESS, --dns none)"),
        "{said}"
    );
    assert_eq!(lines[5..], [host, host, "0"], "{said}");
}

#[test]
fn raw_frames_under_others_addresses_do_not_get_out() {
    root_only!();
    // Whom the host takes for the neighbour, whatever another with CAP_NET_RAW says; and where nobody looks at what that says.
    let said = served(
        r#"server victim -p 8080:80
        address=$(ip -o link | sed -n 's/^[0-9]*: sc\([0-9a-f]*\)@.*/\1/p' | python3 -c 'import ipaddress,sys; print(ipaddress.ip_address(int(sys.stdin.read(),16)))')
        spoof='import socket,sys
sys.stdin.readline(); own=bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":",""))
wire=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); wire.bind(("eth0",0))
wire.send(b"\xff"*6+own+b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x02"+own+socket.inet_aton(sys.argv[1])+bytes(6)+socket.inet_aton(sys.argv[2]))
print("sent")'
        gateway=$(ip -o -4 address show seclude0 | tr -s " " | cut -d" " -f4 | cut -d/ -f1)
        known() { ip neigh show $address dev seclude0 | grep -o '02:[0-9a-f:]*'; }
        for rules in kept flushed; do
            fetch $address:80 > /dev/null; before=$(known)
            # The kernel believes no other address of a neighbour within a second.
            (sleep 1.5; [ $rules = kept ] || nft flush table netdev seclude; echo) |
                $S run --net veth --ip-forward --dns none --cap-add NET_RAW -- python3 -c "$spoof" $address $gateway
            [ "$(known)" = "$before" ] && echo same || echo another
        done
        kill $victim; wait $victim; gone"#,
    );
    assert_eq!(said, "sent\nsame\nsent\nanother\n0", "{said}");
}

#[test]
fn errors_about_connections_of_the_hosts_are_not_believed() {
    root_only!();
    // In one piece, and in two of which the second has what the error is about. With the rules, and without those of what a container sends.
    let said = host(
        r#"errors='import socket,struct,sys,time
cut=int(sys.argv[1])
def sum(b):
    s=0
    for i in range(0,len(b),2): s+=b[i]<<8|b[i+1]
    s=(s>>16)+(s&0xffff); return ~(s+(s>>16))&0xffff
sys.stdin.readline()
ip=struct.pack("!BBHHHBBH4s4s",0x45,0,36,1,0,64,17,0,socket.inet_aton("198.51.100.2"),socket.inet_aton("198.51.100.9"))
ip=ip[:10]+struct.pack("!H",sum(ip))+ip[12:]+struct.pack("!HHHH",40000,53,16,0)+b"12345678"
wire=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW)
def send(data,number,field):
    # The rest of the header is filled in.
    head=struct.pack("!BBHHHBBH4s4s",0x45,0,0,number,field,64,1,0,bytes(4),socket.inet_aton("198.51.100.2"))
    wire.sendto(head+data,("198.51.100.2",0))
for i in range(10):
    error=struct.pack("!BBHI",3,3,0,0)+ip
    error=error[:2]+struct.pack("!H",sum(error))+error[4:]
    if cut: send(error[:cut],i+1,0x2000); send(error[cut:],i+1,cut//8)
    else: send(error,i+1,0)
    time.sleep(0.1)'
        asks='import socket
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("198.51.100.2",40000)); s.connect(("198.51.100.9",53)); s.settimeout(0.1); told=set()
for i in range(40):
    try: s.send(b"x"); s.recv(10)
    except TimeoutError: pass
    except OSError as error: told.add(error.errno)
print(sorted(told))'
        ip neigh replace 198.51.100.9 lladdr 02:00:00:00:00:09 dev up0 nud permanent
        for cut in 0 8 24; do for rules in kept flushed; do
            python3 -c "$asks" & asking=$!
            (sleep 1.5; [ $rules = kept ] || nft flush table netdev seclude; echo) |
                $S run --net veth --ip-forward --dns none --cap-add NET_RAW -- python3 -c "$errors" $cut
            wait $asking
        done; done
        gone"#,
    );
    assert_eq!(said, "[]\n[111]\n[]\n[111]\n[]\n[111]\n0", "{said}");
}

#[test]
fn a_read_only_root_without_a_place_for_name_servers_is_told_what_to_do() {
    let root = busybox_root("no-resolv-conf");
    let path = root.path().display();
    let said = host(&format!(
        r#"run() {{ $S run --root {path} --net veth --no-nat "$@" 2>&1 || true; }}
        run --dns 192.0.2.1 -- /bin/true
        run --dns none -- /bin/sh -c 'ls /etc; echo ran'
        : > {path}/etc/resolv.conf
        run --dns 192.0.2.1 -- /bin/cat /etc/resolv.conf
        gone"#
    ));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("EROFS") && lines[0].contains("--dns none"), "{said}");
    assert_eq!(lines[1..], ["ran", "nameserver 192.0.2.1", "0"], "{said}");
}

#[test]
fn what_cannot_be_meant_is_one_line_and_leaves_nothing() {
    for (flags, message) in [
        ("--net maybe", "it can be none, host, veth, pasta or join:PATH"),
        ("--net join:", "of which namespace?"),
        ("-p 8080:80", "--publish: it needs --net veth or --net pasta"),
        ("--subnet 10.0.0.0/24", "--subnet: it needs --net veth"),
        ("--net pasta --ip 10.0.0.2", "--ip: it needs --net veth"),
        ("--host-access", "--host-access: it needs --net veth"),
        ("--allow one.test --host-access", "--host-access: it needs --net veth or --net pasta"),
        (
            "--net pasta --cap-add NET_ADMIN",
            "whoever has CAP_NET_ADMIN in it could open the host's own services to itself",
        ),
        ("--net veth --share net", "net namespace: asked for in two ways"),
        ("--net veth -p 0:80", "port 0"),
        ("--net veth -p 70000:80", "70000"),
        ("--net veth -p 80-90:80", "80-90"),
        ("--net veth -p 80:80/sctp", "sctp"),
        ("--net veth --subnet 10.0.0.5/24", "10.0.0.0/24"),
        ("--net veth --subnet 10.0.0.0/33", "33"),
        ("--net veth --subnet 10.0.0.0/24 --ip 10.0.1.2", "address 10.0.1.2 is not in 10.0.0.0/24"),
        ("--net veth --subnet 10.0.0.0/24 --ip 10.0.0.1", "gateway"),
        ("--net veth --mac 01:00:00:00:00:00", "01:00:00:00:00:00"),
        ("--net veth --mtu 12", "12"),
        ("--net veth --rate 1", "rate"),
        ("--net veth --dns none --dns 192.0.2.1", "--dns: host and none stand alone"),
        ("--net veth --dns nowhere", "it can be an address, host or none"),
        ("--net pasta --detach", "it ends with its caller"),
        ("--add-host db", "NAME:ADDR"),
        ("--net veth --peers --point-to-point", "point-to-point"),
    ] {
        let arguments: Vec<&str> = ["run"].into_iter().chain(flags.split(' ')).chain(["true"]).collect();
        let said = refused(125, &arguments);
        assert!(said.contains(message), "{flags}: {said}");
    }
    for (setup, flags, message) in [
        ("", "--bridge nowhere", "bridge nowhere"),
        ("", "--bridge up0", "bridge up0"),
        ("", "--subnet 198.51.100.0/24", "subnet 198.51.100.0/24 collides with"),
        ("", "--peers", "(--ip-forward)"),
        (
            "python3 -c \"$serve\" 8080 x > said & until grep -q . said; do sleep 0.05; done",
            "--no-nat --ip-forward -p 8080:80",
            "0.0.0.0:8080/tcp of the host is taken",
        ),
        (
            "$S run --net veth --no-nat --dns none --subnet 10.5.0.0/30 -- sleep 60 & until ip link show sc0a050002 >&-; do sleep 0.05; done 2>&-",
            "--no-nat --subnet 10.5.0.0/30",
            "no address is free in 10.5.0.0/30",
        ),
        (
            "$S run --net veth --no-nat --dns none --subnet 10.5.0.0/24 --ip 10.5.0.9 -- sleep 60 & until ip link show sc0a050009 >&-; do sleep 0.05; done 2>&-",
            "--no-nat --subnet 10.5.0.0/24 --ip 10.5.0.9",
            "address 10.5.0.9 is in use by another container",
        ),
    ] {
        let said = host(&format!(
            "{setup}\nbefore=$(left); $S run --net veth --dns none {flags} true 2>&1\n[ \"$before\" = \"$(left)\" ] || left"
        ));
        assert!(said.contains(message) && said.trim_end().lines().count() == 1, "{flags}: {said}");
    }
}

#[test]
fn without_rights_over_the_host_a_veth_pair_is_an_error_that_names_the_way_out() {
    seclude_tests::ordinary_user_only!();
    let said = refused(125, &["run", "--net", "veth", "--dns", "none", "true"]);
    assert!(said.contains("EPERM") || said.contains("EACCES"), "{said}");
    assert!(said.contains("pasta"), "{said}");
}

#[test]
fn the_doctor_names_the_table_of_another_that_drops_what_is_forwarded() {
    let said = host(
        r#"nsenter --target $outside --net python3 -c "$serve" 80 outside > /dev/null &
        row() { $S doctor | grep '^forwarding'; }
        reach() { $S run --net veth --ip-forward --dns none -- python3 -c 'import urllib.request as u
try: print(u.urlopen("http://198.51.100.1", timeout=2).read().decode())
except OSError: print("no")'; }
        until [ "$(fetch 198.51.100.1)" != no ]; do sleep 0.05; done
        row; reach
        nft 'add table ip filter
            add chain ip filter DOCKER-USER
            add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }
            add rule ip filter FORWARD jump DOCKER-USER'
        row; reach
        nft 'add rule ip filter DOCKER-USER iifname seclude0 accept
            add rule ip filter DOCKER-USER oifname seclude0 accept'
        reach
        nft delete table ip filter; gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains(" works ") && lines[0].contains("no other table"), "{said}");
    assert_eq!(lines[1], "outside to 198.51.100.2", "{said}");
    assert!(lines[2].contains("works with") && lines[2].contains("chain FORWARD of table ip filter"), "{said}");
    assert_eq!(lines[3..], ["no", "outside to 198.51.100.2", "0"], "{said}");
}

#[test]
fn forwarding_is_switched_on_only_when_asked_for_and_off_with_the_last_container() {
    let said = host(
        r#"f=/proc/sys/net/ipv4/ip_forward
        run="$S run --net veth --dns none"
        mkfifo one two
        $run --ip-forward -- sh -c 'echo; exec sleep 60' > one & first=$!; read -r _ < one
        $run --ip-forward -- sh -c 'echo; exec sleep 60' > two & second=$!; read -r _ < two
        cat $f; kill $first; wait $first; cat $f; kill $second; wait $second; gone
        echo 1 > $f; $run -- true; cat $f"#,
    );
    assert_eq!(said, "1\n1\n0\n1", "on until the last has ended; what was on before stays on");
}

#[test]
fn many_at_once_on_one_bridge_have_each_an_address_and_leave_nothing() {
    // All stay until the last is there: what one has given back may be another's.
    let said = host(
        r#"mkfifo hold; exec 3<> hold
        for i in $(seq 100); do
            $S run --net veth --ip-forward --dns none -- \
                sh -c 'ip -o -4 address show eth0 | tr -s " " | cut -d" " -f4; read -r _ || true' < hold 3>&- &
            pids="${pids-} $!"
        done > addresses
        for i in $(seq 600); do [ $(wc -l < addresses) = 100 ] && break; sleep 0.1; done
        exec 3>&-
        for pid in $pids; do wait $pid || echo failed; done
        sort -u addresses | wc -l; gone"#,
    );
    assert_eq!(said.trim(), "100\n0", "{said}");
}

#[test]
fn what_a_killed_spawner_leaves_goes_with_the_next_start_or_with_gc() {
    for next in ["$S gc", "$S run --net veth --no-nat --dns none true"] {
        let said = served(&format!(
            r#"server one -p 8080:80 --peers --hostname one
            kill -9 $one; wait $one 2>/dev/null
            nft list ruleset | grep -c 8080
            for i in $(seq 100); do ip -o link | grep -q ': sc' || break; sleep 0.05; done
            {next} > /dev/null; gone"#
        ));
        assert_eq!(said.trim(), "1\n0", "{next}: {said}");
    }
}

#[test]
fn a_detached_container_stays_connected_until_it_ends() {
    let said = host(
        r#"pid=$($S run --net veth --ip-forward --dns none -p 8080:80 --detach -- sh -c "exec python3 -c \"\$0\" 80 detached > /dev/null" "$serve")
        for i in $(seq 100); do [ "$(fetch 127.0.0.1:8080)" = no ] || break; sleep 0.05; done
        fetch 127.0.0.1:8080; $S gc; fetch 127.0.0.1:8080
        kill -9 $pid
        for i in $(seq 100); do ip -o link | grep -q ': sc' || break; sleep 0.05; done
        $S gc > /dev/null; gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("detached to ") && lines[1].starts_with("detached to "), "{said}");
    assert_eq!(lines[2..], ["0"], "{said}");
}

#[test]
fn a_failed_start_gives_the_network_back() {
    let said = host(
        r#"$S run --net veth --ip-forward --dns none -p 8080:80 /no/such/command; echo $?
        $S run --net veth --ip-forward --dns none -p 8080:80 --bind /no/such/source /mnt true 2>/dev/null; echo $?
        gone"#,
    );
    assert_eq!(said, "127\n125\n0");
}

#[test]
fn what_a_detached_container_leaves_goes_with_any_start_after_its_end() {
    let said = host(
        r#"
        pid=$($S run --net veth --ip-forward --dns none --detach -- sleep 60)
        $S run true; ip -o link show seclude0 | wc -l; cat /proc/sys/net/ipv4/ip_forward
        kill -9 $pid; while kill -0 $pid 2> /dev/null && ! grep -q '^State:.Z' /proc/$pid/status; do sleep 0.02; done
        # Its link goes a moment after it.
        for i in $(seq 50); do $S run true; [ "$(left)" = 0 ] && break; sleep 0.05; done; left"#,
    );
    assert_eq!(said, "1\n1\n0");
}

#[test]
fn a_given_bridge_is_used_and_left_as_it_was() {
    let said = host(
        r#"ip link add br7 type bridge; ip address add 10.7.0.1/24 dev br7; ip link set br7 up
        ip -o -4 address show br7 > before
        $S run --net veth --no-nat --dns none --bridge br7 -- sh -c 'ip -o -4 address show eth0 | grep -o "10\.7\.0\.[0-9]*/24"; ip route | grep -o "default via 10.7.0.1"' | cut -d. -f1-3
        ip -o -4 address show br7 | cmp - before && nft list ruleset | wc -l"#,
    );
    assert_eq!(said, "10.7.0\ndefault via 10.7.0\n0");
}

#[test]
fn pasta_connects_without_privileges_and_ends_with_the_container() {
    root_only!();
    // The device may be closed to users; one that is open stands for it.
    let said = host(
        r#"nsenter --target $outside --net python3 -c "$serve" 80 outside > /dev/null &
        mkdir dev; mount -t tmpfs -o mode=755,dev none dev; mknod -m 666 dev/tun c 10 200; mount --bind dev/tun /dev/net/tun
        probe='import urllib.request as u
try: print(u.urlopen("http://198.51.100.1", timeout=3).read().decode())
except OSError: print("no")'
        mkdir -m 777 work; cd work
        user="setpriv --reuid 65534 --regid 65534 --clear-groups"
        $user $S run --net pasta --dns none -- python3 -c "$probe"
        $user $S run -- python3 -c "$probe"
        $S run --net pasta --dns none -- python3 -c "$probe"
        mkfifo -m 666 ready; $user $S run --net pasta --dns none -p 8080:8000 -- python3 -c "$serve" 8000 inside > ready & one=$!
        read -r _ < ready; ps -e -o args= | grep -c "[p]asta --quiet"; fetch 198.51.100.2:8080; fetch 198.51.100.2:8081
        kill $one; wait $one; ps -e -o args= | grep -c "[p]asta --quiet"
        $user $S run --rw . --net pasta --dns none -- sh -c "echo > ready; exec sleep 60" & two=$!
        read -r _ < ready; ps -e -o args= | grep -c "[p]asta --quiet"; kill -9 $two
        for i in $(seq 100); do ps -e -o args= | grep -q "[p]asta --quiet" || break; sleep 0.05; done
        ps -e -o args= | grep -c "[p]asta --quiet"
        python3 -c "$serve" 8080 host > taken & for i in $(seq 400); do grep -q serving taken && break; sleep 0.05; done
        $user $S run --net pasta --dns none -p 8080:8000 -- echo ran 2>&1; kill $!; gone"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "outside to 198.51.100.2", "{said}");
    assert_eq!(lines[1], "no", "without it: {said}");
    assert_eq!(lines[2], "outside to 198.51.100.2", "as root, too: {said}");
    assert_eq!(lines[3], "1", "it runs: {said}");
    assert!(lines[4].starts_with("inside to "), "{said}");
    assert_eq!(lines[5..7], ["no", "0"], "a port that is not published; it has ended with the container: {said}");
    assert_eq!(lines[7..9], ["1", "0"], "it ends with a caller that is killed: {said}");
    assert!(
        lines[9].contains("published port 0.0.0.0:8080:8000/tcp: EADDRINUSE"),
        "of IPv4 alone, as pasta has the other: {said}"
    );
    assert_eq!(lines[10..], ["0"], "nothing is left: {said}");
}

#[test]
fn pasta_leads_to_no_address_of_the_host_and_no_metadata_unless_that_is_asked_for() {
    root_only!();
    let said = host(
        r#"mkdir dev; mount -t tmpfs -o mode=755,dev none dev; mknod -m 666 dev/tun c 10 200; mount --bind dev/tun /dev/net/tun
        link=$(ip -o -4 route show default | grep -o "dev [^ ]*" | cut -d" " -f2)
        ip address add 192.0.2.9/32 dev lo; ip address add 2001:db8:9::1/128 dev lo nodad; ip address add 2001:db8:8::2/64 dev "$link" nodad
        ip -6 route add default via 2001:db8:8::1 dev "$link"
        nsenter --target $outside --net sh -c 'ip address add 169.254.169.254/32 dev lo; ip address add 100.100.100.200/32 dev lo'
        python3 -c "$serve" 80 host > host.said & nsenter --target $outside --net python3 -c "$serve" 80 outside > outside.said &
        six='import socket; s = socket.create_server(("::", 81), family=socket.AF_INET6); print("up", flush=True)
while True: s.accept()[0].sendall(b"six")'
        python3 -c "$six" > six.said &
        until grep -q serving outside.said && grep -q serving host.said && grep -q up six.said; do sleep 0.05; done
        for i in $(seq 100); do own=$(ip -6 address show dev "$link" scope link -tentative | grep -o 'fe80::[^/]*') && break; sleep 0.1; done
        # Of a cloud's hosts, more specific than anything that closes them all.
        ip route add 169.254.169.254/32 via 198.51.100.1
        python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("", 5353))
import struct; s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4s", socket.inet_aton("224.0.0.251"), socket.inet_aton("198.51.100.2")))
print("up", flush=True)
while True: print(s.recv(64).decode(), flush=True)' > heard & until grep -q up heard; do sleep 0.05; done
        probe='import os, socket, time
links = [b"", socket.if_indextoname(2).encode()]
for link in links:
  for address, port in [("198.51.100.1", 80), ("192.0.2.9", 80), ("169.254.169.254", 80), ("100.100.100.200", 80), ("2001:db8:9::1", 81), (os.environ["OWN"], 81)]:
    # It takes until its own link-local address is found to be of nobody else.
    for left in range(50, -1, -1):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET); s.settimeout(1)
        if link: s.setsockopt(socket.SOL_SOCKET, 25, link)
        try: s.connect((address, port, 0, 2 if address.startswith("fe80") else 0) if ":" in address else (address, port)); print("y", end=""); break
        except OSError as error:
            if not left or error.errno in [101, 111, 113]: print("n", end=""); break
            time.sleep(0.1)
  print(" ", end="")
m = socket.socket(type=socket.SOCK_DGRAM); m.setsockopt(0, socket.IP_MULTICAST_TTL, 4)
for _ in range(3):
    try: m.sendto(os.environ["MARK"].encode(), ("224.0.0.251", 5353))
    except OSError: pass
print()'
        mkdir -m 777 work; cd work; user="setpriv --reuid 65534 --regid 65534 --clear-groups"
        for who in "" "$user"; do for flag in "" --host-access; do
            $who $S run --net pasta --dns none --env OWN=$own --env MARK=closed$flag $flag -- python3 -c "$probe"; done; done
        sort -u ../heard | tr '\n' ' '; echo
        # A name server there is none.
        echo nameserver 192.0.2.9 > resolv; mount --bind resolv /etc/resolv.conf
        $S run --net pasta true 2>&1 | grep -o "192.0.2.9 is the host itself"
        $S run --net pasta --host-access true && echo open
        # Where some clouds have it, with their metadata.
        echo nameserver 169.254.169.254 > resolv
        nsenter --target $outside --net python3 -c 'import socket; s = socket.create_server(("169.254.169.254", 53)); print("up", flush=True)
while True: s.accept()[0].sendall(b"answer")' > dns & until grep -q up dns; do sleep 0.05; done
        $S run --net pasta -- python3 -c 'import socket; print(socket.create_connection(("169.254.169.254", 53), 5).recv(9))'
        # A port that is published answers the host itself, by each of its addresses.
        $S run --net pasta --dns none -p 8080:8000 -- python3 -c "$serve" 8000 inside > ready & one=$!
        until grep -q serving ready; do sleep 0.05; done; for at in 127.0.0.1 192.0.2.9; do fetch $at:8080 | cut -d" " -f1; done; kill $one"#,
    );
    let lines: Vec<&str> = said.lines().collect();
    let (closed, open) = ("ynnnnn ynnnnn ", "yyyyyy yyyyyy ");
    assert_eq!(lines[..4], [closed, open, closed, open], "{said}");
    assert!(!lines[4].contains("closed ") && lines[4].contains("up"), "what many hear: {said}");
    assert_eq!(lines[5..], ["192.0.2.9 is the host itself", "open", "b'answer'", "inside", "inside"], "{said}");
}

#[test]
fn a_host_without_pasta_or_tun_says_so() {
    let empty = Scratch::new("no-pasta");
    let mut command = seclude_command(&["run", "--net", "pasta", "--dns", "none", "true"]);
    let said = command.env("PATH", empty.path()).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let has_pasta =
        ["/usr/bin/pasta", "/usr/local/bin/pasta", "/bin/pasta"].iter().any(|p| std::path::Path::new(p).exists());
    if has_pasta {
        let said = host("mount --bind /dev/null /dev/net/tun; $S run --net pasta --dns none true 2>&1; true");
        assert!(said.contains("pasta: ") && said.contains("tun"), "{said}");
    } else {
        assert!(said.contains("program pasta: ENOENT") && said.contains("package passt"), "{said}");
    }
}

#[test]
fn explain_shows_who_makes_what() {
    let arguments = ["explain", "--net", "veth", "-p", "8080:80", "--dns", "192.0.2.1", "true"];
    let said = stdout_of(&seclude_command(&arguments).output().unwrap());
    for part in [
        "hold port 0.0.0.0:8080:80/tcp",
        "make the pair, eth0 in the child's network namespace",
        "masquerade, publish, the host's own services closed",
        "name servers 192.0.2.1",
        "resolv.conf on /etc/resolv.conf",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
