//! A host for tests of networks: a shell script in network, mount and (for an ordinary user) user namespaces of its own, so
//! that the machine's own network is never touched and nothing can be left on it.

use std::process::{Command, Output, Stdio};

use rustix::process::geteuid;

use crate::{seclude_bin, stdout_of};

/// The beginning of each script: a fake uplink `up0`, behind it a fake outside at 198.51.100.1 that knows no route to any
/// container, `$S` the command, and functions to look.
///
/// * `fetch HOST:PORT`: what an HTTP server says, or `no`
/// * `serve DIRECTORY PORT`: one, in the background
/// * `left`: what is on the host that was not there before
const PRELUDE: &str = r#"
set -u
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs -o mode=755 none /mnt && mkdir /mnt/www && cd /mnt
echo 0 > /proc/sys/net/ipv4/ip_forward
ip link set lo up
mkfifo ready; unshare --net sh -c 'echo > ready; exec sleep 600' & outside=$!; read -r _ < ready; rm ready
ip link add up0 type veth peer name eth0 netns $outside
ip address add 198.51.100.2/24 dev up0; ip link set up0 up
nsenter --target $outside --net sh -c 'ip link set lo up; ip address add 198.51.100.1/24 dev eth0; ip link set eth0 up'
ip route add default via 198.51.100.1
fetch() { timeout 10 python3 -c 'import sys,urllib.request as u
try: print(u.urlopen("http://"+sys.argv[1], timeout=2).read().decode().strip())
except OSError: print("no")' "$1"; }
serve='import sys,http.server as h
class S(h.BaseHTTPRequestHandler):
    def do_GET(s): s.send_response(200); s.end_headers(); s.wfile.write((sys.argv[2]+" to "+s.client_address[0]).encode())
    def log_message(*_): pass
server=h.HTTPServer(("",int(sys.argv[1])),S); print("serving",flush=True); server.serve_forever()'
left() { ip -o link | grep -v -e ': lo:' -e ': up0' ; nft list ruleset; ls -d /run/seclude 2>/dev/null; cat /proc/sys/net/ipv4/ip_forward; }
gone() { for i in $(seq 100); do [ "$(left)" = 0 ] && break; sleep 0.05; done; left; }
"#;

/// What a script says as a host of its own. Its stderr is the test's.
pub fn host(script: &str) -> String {
    stdout_of(&try_host(script))
}

/// How it ends.
pub fn try_host(script: &str) -> Output {
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    // What it has started ends with it.
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["sh", "-c", &format!("S={}\n{PRELUDE}\n{script}", seclude_bin().display())]);
    command.env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().expect("unshare starts");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output
}
