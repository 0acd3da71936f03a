//! Every system call that `seclude run` makes fails once, by strace(1): either it was one that can be done without, and the
//! container is the same, or one line names it; and nothing is left. The child's own calls are not among them: it is no
//! thread of the tracer's, and has places of its own (faults.rs).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{getpid, set_child_subreaper};
use seclude_tests::{Host, Scratch, comes_back, is_root, marked, root_only, seclude_bin};

const MARK: &str = "SECLUDE_TEST_MARK";

/// Each looks at all of the host before and after.
static ALONE: Mutex<()> = Mutex::new(());

/// Those without an answer of their own that anybody could use, and of the caller's memory and threads only; a lock, without
/// which nobody may remove what it protects, and what only an open file is asked.
const LEFT_OUT: [&str; 22] = [
    "brk",
    "close",
    "execve",
    "exit_group",
    "flock",
    "fstat",
    "futex",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getrandom",
    "gettid",
    "getuid",
    "madvise",
    "mprotect",
    "munmap",
    "newfstatat",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
];

/// What std looks for before it closes something, in a build with debug assertions; giving up a lock; a stack.
const LEFT_OUT_FLAGS: [&str; 3] = ["F_GETFD", "F_UNLCK", "MAP_STACK"];

/// One call of a run: the how manieth of its name.
struct Call {
    name: String,
    number: usize,
    line: String,
}

/// What is tried: the command behind strace, and how the host is looked at.
struct Walk<'a> {
    /// What strace is started by, if not by itself.
    around: &'a [&'a str],
    flags: &'a [&'a str],
    /// What the container says of itself.
    script: &'a str,
    log: PathBuf,
    mark: String,
}

impl Walk<'_> {
    fn new<'a>(around: &'a [&'a str], flags: &'a [&'a str], script: &'a str, scratch: &Scratch) -> Walk<'a> {
        let mark = format!("calls-{}-{}", std::process::id(), scratch.path().display());
        Walk { around, flags, script, log: scratch.join("log"), mark }
    }

    fn run(&self, strace: &[&str]) -> Output {
        let mut words = self.around.iter().chain(&["strace"]);
        let mut command = Command::new(words.next().expect("strace at least"));
        command.args(words).arg("-o").arg(&self.log).args(strace).arg(seclude_bin()).arg("run").args(self.flags);
        command.args(["/bin/sh", "-c", self.script]);
        command.current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C").env(MARK, &self.mark);
        command.env("SECLUDE", seclude_bin());
        command.output().expect("it starts")
    }

    /// What a run that nothing happens to says, and its calls from where Rust's own start has ended.
    fn calls(&self) -> (Output, Vec<Call>) {
        let output = self.run(&[]);
        assert!(output.status.success(), "{output:?}");
        let log = std::fs::read_to_string(&self.log).expect("strace writes it");
        let (mut numbers, mut calls, mut begun) = (BTreeMap::new(), Vec::new(), false);
        for line in log.lines() {
            let Some((name, _)) = line.split_once('(') else { continue };
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                continue;
            }
            let number: &mut usize = numbers.entry(name.to_owned()).or_default();
            *number += 1;
            let left_out = LEFT_OUT.contains(&name) || LEFT_OUT_FLAGS.iter().any(|flag| line.contains(flag));
            if begun && !left_out {
                calls.push(Call { name: name.to_owned(), number: *number, line: line.to_owned() });
            }
            begun |= line.contains("SIGPIPE") && name == "rt_sigaction";
        }
        (output, calls)
    }

    /// Has each fail; answers how many did.
    fn all_fail_once(&self, look: impl Fn() -> Host) -> usize {
        set_child_subreaper(Some(getpid())).expect("we may");
        let before = look();
        let (whole, calls) = self.calls();
        comes_back(&before, "the whole run", &look);
        assert!(calls.len() > 30, "{} calls", calls.len());
        let mut failed = 0;
        for Call { name, number, line } in &calls {
            let inject = format!("inject={name}:error=EIO:when={number}");
            let output = self.run(&["-e", &format!("trace={name}"), "-e", &inject]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let context = || format!("{name} {number}, {line}: {output:?}");
            match output.status.code() {
                Some(0) => {
                    assert_eq!(&output.stdout, &whole.stdout, "{}", context());
                    // Nobody's lock is worth no word; the next to come has it, or gc.
                    assert!(said.is_empty() || said == "lock\n", "{}", context());
                }
                Some(125) => {
                    let lines: Vec<&str> = said.lines().collect();
                    // What could not be removed is told, and gc can.
                    let is_told = |line: &str| line.contains("left behind");
                    let good = match lines[..] {
                        [line] => line.starts_with("seclude: "),
                        [line, "left"] => line.starts_with("seclude: ") && is_told(line),
                        _ => false,
                    };
                    assert!(good, "{}", context());
                    assert!(said.contains("EIO") || said.contains("Input/output error"), "{}", context());
                    failed += 1;
                }
                _ => panic!("{}", context()),
            }
            let left = || {
                // The parent of the cgroups is taken away by whoever is the last, if it can, and else by the next.
                if output.status.success() && is_root() {
                    seclude::gc::collect(None).expect("it looks");
                }
                while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
                (look(), marked(&format!("{MARK}={}", self.mark)))
            };
            comes_back(&(before.clone(), Vec::new()), &context(), left);
        }
        set_child_subreaper(None).expect("we may");
        failed
    }
}

/// Whether there is strace, and it may trace.
fn has_strace() -> bool {
    let may =
        Command::new("strace").args(["-o", "/dev/null", "/bin/true"]).status().is_ok_and(|status| status.success());
    if !may {
        println!("skipped: no strace");
    }
    may
}

#[test]
fn whatever_call_of_the_parent_fails_is_named_and_nothing_is_left() {
    if !has_strace() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch = Scratch::new("calls");
    let script = "hostname; cat /proc/self/uid_map; id -u; echo $$; ulimit -n; touch /usr/x 2>&1
        cat /sys/fs/cgroup/memory/seclude/*/memory.limit_in_bytes /sys/fs/cgroup/pids/seclude/*/pids.max \
            /sys/fs/cgroup/seclude/*/memory.max 2> /dev/null; true";
    let rootless = ["--init", "--hostname", "walk", "--rlimit", "NOFILE=64", "--workdir", "/"];
    let limited = [&rootless[..], &["--memory", "64M", "--pids", "20"]].concat();
    let flags: &[&str] = if is_root() { &limited } else { &rootless };
    let failed = Walk::new(&[], flags, script, &scratch).all_fail_once(Host::look);
    println!("{failed} faults");
    assert!(failed > if is_root() { 100 } else { 15 }, "{failed}");
}

#[test]
fn whatever_call_of_a_network_fails_is_named_and_nothing_of_it_is_left() {
    root_only!();
    if !has_strace() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch = Scratch::new("network-calls");
    // A host of its own, which complains of what is left in it.
    let host = r#"mount -t tmpfs -o mode=755 none /run; ip link set lo up; echo 0 > /proc/sys/net/ipv4/ip_forward
        left() { ip -o link | grep -v ': lo:'; nft list ruleset; ls -d /run/seclude 2>/dev/null; grep -x 1 /proc/sys/net/ipv4/ip_forward; }
        code=0; "$@" || code=$?
        for try in $(seq 20); do [ -z "$(left)" ] && exit $code; sleep 0.05; done
        [ "$(left)" = /run/seclude ] && echo lock >&2 || echo left >&2; "$SECLUDE" gc > /dev/null; left >&2; exit $code"#;
    let around = ["unshare", "--net", "--mount", "sh", "-c", host, "sh"];
    let flags =
        ["--net", "veth", "--ip", "10.83.7.9", "--ip-forward", "--dns", "none", "-p", "8080:80", "--workdir", "/"];
    let script = "hostname; ip -o address show dev eth0 | grep -o 'inet [^ ]*'; ip route | grep -o '^default'";
    let failed = Walk::new(&around, &flags, script, &scratch).all_fail_once(Host::look);
    println!("{failed} faults");
    assert!(failed > 60, "{failed}");
}
