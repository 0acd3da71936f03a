//! Bytes, and how connections end.

use crate::world::lines;

#[test]
fn much_goes_both_ways_and_comes_as_it_was_sent() {
    let said = lines(
        r#"$S run --allow one.test -- python3 -c '
import socket, threading, hashlib
s = socket.create_connection(("one.test", 443))
piece = bytes(range(251)) * 4177
def send():
    for _ in range(64): s.sendall(piece)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = hashlib.sha256(); head = len("443 at 93.184.216.34: ")
while data := s.recv(1 << 20):
    got.update(data[head:]) if head < len(data) else None; head = max(0, head - len(data))
sent = hashlib.sha256()
for _ in range(64): sent.update(piece)
print(got.hexdigest() == sent.hexdigest())'"#,
    );
    assert_eq!(said, ["True"]);
}

#[test]
fn two_thousand_connections_at_once_are_one_thread() {
    let said = lines(
        r#"many='import socket
all = [socket.create_connection(("one.test", 443), 30) for _ in range(2000)]
for s in all: s.sendall(b"x")
print(sum(s.recv(64) != b"" for s in all), flush=True); input()'
        mkfifo go; $S run --allow one.test -- python3 -c "$many" < go > said 2>&1 & s=$!
        exec 3> go; until_said . said; cat said; ls /proc/$s/task | wc -l; echo >&3; wait $s; echo $?"#,
    );
    assert_eq!(said[0], "2000", "{said:?}");
    assert!(said[1].parse::<u32>().unwrap() <= 12, "threads: {said:?}");
    assert_eq!(said[2], "0");
}

#[test]
fn a_container_that_takes_all_descriptors_is_refused_more_and_told() {
    let said = lines(
        r#"ulimit -n 256; $S run --report report --allow one.test -- python3 -c '
import socket
all, refused = [], 0
for _ in range(200):
    # The reset may come before connect() returns.
    try: s = socket.create_connection(("one.test", 443), 30); s.recv(64)[0]; all.append(s)
    except (OSError, IndexError): refused += 1
print(refused > 0, len(all) > 20)
for s in all: s.close()
import time
for _ in range(100):
    try: s = socket.create_connection(("one.test", 443), 30); print(s.recv(64)[0] > 0); break
    except (OSError, IndexError): time.sleep(0.1)'
        python3 -c 'import json; print([it["why"] for it in json.load(open("report"))["reach"]["unreached"]])'"#,
    );
    assert_eq!(said, ["True True", "True", "['too-many']"]);
}

#[test]
fn the_command_line_has_as_many_open_files_as_it_may_and_its_command_those_of_the_caller() {
    let said = lines(
        r#"many='import socket, resource
all = [socket.create_connection(("one.test", 443), 30) for _ in range(150)]
for s in all: s.sendall(b"x")
print(sum(s.recv(64) != b"" for s in all), *resource.getrlimit(resource.RLIMIT_NOFILE))'
        ulimit -S -n 256; ulimit -H -n 4096; $S run --allow one.test -- python3 -c "$many"
        $S run --allow one.test --rlimit NOFILE=300:500 -- python3 -c "$many"
        $S run -- sh -c 'ulimit -S -n; ulimit -H -n'; ulimit -S -n"#,
    );
    assert_eq!(said, ["150 256 4096", "150 300 500", "256", "4096", "256"]);
}

#[test]
fn a_server_that_never_ends_a_connection_holds_none_that_the_program_has_closed() {
    let said = lines(
        r#"cat > mute.py <<'END'
import socket
s = socket.create_server(("93.184.216.34", 8443), backlog=4096); print("serving", flush=True)
all = []
while True: all.append(s.accept()[0])
END
        out python3 mute.py > mute.said & until_said serving mute.said
        ulimit -n 256; $S run --report report --allow one.test:443,8443 -- python3 -c '
import socket, time
def answers():
    for _ in range(50):
        try: s = socket.create_connection(("one.test", 443), 30); return s.recv(64)[0] > 0
        except (OSError, IndexError): time.sleep(0.1)
kept = socket.create_connection(("one.test", 443), 30); kept.recv(64)
for _ in range(300):
    s = socket.create_connection(("one.test", 8443), 30); s.sendall(b"x"); s.close()
    time.sleep(0.005)
print(answers())
kept.sendall(b"still"); print(kept.recv(64).decode())
# What the program has left to the kernel is asked for.
line = [line.split() for file in ("tcp", "tcp6") for line in open("/proc/net/" + file)]
print({it[5][:2] for it in line if it[1].endswith(":01BB") and it[3] == "01"})'
        python3 -c 'import json; print(json.load(open("report"))["reach"]["unreached"])'"#,
    );
    assert_eq!(said, ["True", "still", "{'02'}", "[]"]);
}

#[test]
fn connections_that_are_not_read_take_nothing_from_those_that_are() {
    // Of 256 descriptors there are fewer pipes than connections with something in them.
    let said = lines(
        r#"ulimit -n 256; $S run --allow one.test -- python3 -c '
import socket, threading
all = [socket.create_connection(("one.test", 443), 30) for _ in range(40)]
def send(s):
    s.sendall(b"x" * 3000000); s.shutdown(socket.SHUT_WR)
for s in all: threading.Thread(target=send, args=[s]).start()
import time; time.sleep(1)
def received(s):
    got = 0
    while data := s.recv(1 << 20): got += len(data) - data.count(b" ")
    return got
print({received(s) > 3000000 for s in all})'"#,
    );
    assert_eq!(said, ["{True}"]);
}

#[test]
fn what_is_sent_before_the_end_arrives_and_a_reset_is_one_outside() {
    let said = lines(
        r#"cat > end.py <<'END'
import socket
s = socket.create_server(("93.184.216.34", 8443)); print("serving", flush=True)
for _ in range(2):
    c = s.accept()[0]; got = 0
    try:
        while data := c.recv(1 << 16): got += len(data)
        print("end", got, flush=True)
    except ConnectionResetError: print("reset", flush=True)
END
        out python3 end.py > end.said & until_said serving end.said
        $S run --allow one.test:8443 -- python3 -c '
import socket; s = socket.create_connection(("one.test", 8443)); s.sendall(b"x" * 3000000)'
        $S run --allow one.test:8443 -- python3 -c '
import socket, struct; s = socket.create_connection(("one.test", 8443)); s.sendall(b"x")
import time; time.sleep(0.3); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()'
        for i in $(seq 100); do [ "$(wc -l < end.said)" = 3 ] && break; sleep 0.05; done; cat end.said"#,
    );
    assert_eq!(said, ["serving", "end 3000000", "reset"]);
}
