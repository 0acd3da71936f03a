//! Every system call that `seclude run` makes fails once, by strace(1): either it was one that can be done without, and the
//! container is the same, or one line names it; and nothing is left. And each is once the one before which it is killed:
//! nothing is left after `seclude gc`. The child's own calls are not among them: it is no thread of the tracer's, and has
//! places of its own (faults.rs).

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{getpid, set_child_subreaper};
use seclude_tests::{Host, Scratch, comes_back, is_root, marked, one_in, root_only, seclude_bin};

const MARK: &str = "SECLUDE_TEST_MARK";

/// Each looks at all of the host before and after.
static ALONE: Mutex<()> = Mutex::new(());

/// Those without an answer of their own that anybody could use, and of the caller's memory and threads only; a lock, without
/// which nobody may remove what it protects, and what only an open file is asked.
const LEFT_OUT: [&str; 23] = [
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
    "uname",
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
    flags: &'a str,
    /// What the container says of itself.
    script: &'a str,
    log: PathBuf,
    mark: String,
}

impl Walk<'_> {
    fn new<'a>(around: &'a [&'a str], flags: &'a str, script: &'a str, scratch: &Scratch) -> Walk<'a> {
        let mark = format!("calls-{}-{}", std::process::id(), scratch.path().display());
        Walk { around, flags, script, log: scratch.join("log"), mark }
    }

    fn run(&self, strace: &[&str]) -> Output {
        let mut words = self.around.iter().chain(&["strace"]);
        let mut command = Command::new(words.next().expect("strace at least"));
        command
            .args(words)
            .arg("-o")
            .arg(&self.log)
            .args(strace)
            .arg(seclude_bin())
            .arg("run")
            .args(self.flags.split_ascii_whitespace());
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
            begun |= line.contains("(SIGPIPE, {") && name == "rt_sigaction";
        }
        (output, calls)
    }

    /// Has each fail; answers how many did.
    fn all_fail_once(&self, look: impl Fn() -> Host) -> usize {
        // A terminal says EIO to whoever reads it when nobody writes there any more.
        let how = |name: &str| if name == "read" { "error=ENOMEM" } else { "error=EIO" };
        self.each(how, look, |output, whole, context| {
            let said = String::from_utf8_lossy(&output.stderr);
            match output.status.code() {
                Some(0) => {
                    assert_eq!(output.stdout, whole.stdout, "{context}");
                    // Nobody's lock is worth no word; the next to come has it, or gc.
                    assert!(said.is_empty() || said == "lock\n", "{context}");
                    false
                }
                Some(125) => {
                    let lines: Vec<&str> = said.lines().collect();
                    // What could not be removed is told, and gc can.
                    let is_told = |line: &str| line.contains("left behind");
                    let good = match lines[..] {
                        [line] => line.starts_with("seclude: "),
                        [line, "left" | "lock"] => line.starts_with("seclude: ") && is_told(line),
                        _ => false,
                    };
                    assert!(good, "{context}");
                    let names = ["EIO", "Input/output error", "ENOMEM", "Cannot allocate memory"];
                    assert!(names.iter().any(|name| said.contains(name)), "{context}");
                    true
                }
                _ => panic!("{context}"),
            }
        })
    }

    /// Kills whoever is about to make it; answers how many were killed.
    fn all_are_the_last_once(&self, look: impl Fn() -> Host) -> usize {
        self.each(
            |_| "signal=KILL",
            look,
            |output, _, context| {
                // A wait may have been fewer calls than in the whole run.
                let killed = output.status.signal() == Some(9) || output.status.code() == Some(128 + 9);
                assert!(killed || output.status.success(), "{context}");
                assert!(!String::from_utf8_lossy(&output.stderr).contains("left"), "{context}");
                killed
            },
        )
    }

    /// Does that to each once, and sees to it that nothing is left; answers how many `had_effect`.
    fn each(
        &self,
        what: impl Fn(&str) -> &'static str,
        look: impl Fn() -> Host,
        had_effect: impl Fn(&Output, &Output, &str) -> bool,
    ) -> usize {
        set_child_subreaper(Some(getpid())).expect("we may");
        let before = look();
        let (whole, calls) = self.calls();
        comes_back(&before, "the whole run", &look);
        assert!(calls.len() > 30, "{} calls", calls.len());
        let mut effects = 0;
        for Call { name, number, line } in calls.iter().step_by(step()) {
            let what = what(name);
            let inject = format!("inject={name}:{what}:when={number}");
            let output = self.run(&["-e", &format!("trace={name}"), "-e", &inject]);
            let context = format!("{what}: {name} {number}, {line}: {output:?}");
            effects += usize::from(had_effect(&output, &whole, &context));
            let is_told = output.status.code() == Some(125);
            let left = || {
                // The parent of the cgroups is taken away by whoever is the last, if it can, and else by the next.
                if !is_told && is_root() {
                    seclude::gc::collect(None).expect("it looks");
                }
                while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
                (look(), marked(&format!("{MARK}={}", self.mark)))
            };
            comes_back(&(before.clone(), Vec::new()), &context, left);
        }
        set_child_subreaper(None).expect("we may");
        effects
    }
}

fn step() -> usize {
    one_in(12)
}

/// The host to oneself, where there is strace and it may trace.
fn with_strace() -> Option<MutexGuard<'static, ()>> {
    let may =
        Command::new("strace").args(["-o", "/dev/null", "/bin/true"]).status().is_ok_and(|status| status.success());
    if !may {
        println!("skipped: no strace");
    }
    may.then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// As much as root, or a user, can have without a network.
fn limited(scratch: &Scratch) -> Walk<'static> {
    let rootless = "--map-subids --init --hostname walk --rlimit NOFILE=64 --workdir /";
    let flags = "--init --hostname walk --rlimit NOFILE=64 --workdir / --memory 64M --pids 20";
    let script =
        "hostname; tr -s ' ' < /proc/self/uid_map | cut -d' ' -f2,4; id -u; echo $$; ulimit -n; touch /usr/x 2>&1
        cat /sys/fs/cgroup/memory/seclude/*/memory.limit_in_bytes /sys/fs/cgroup/pids/seclude/*/pids.max \
            /sys/fs/cgroup/seclude/*/memory.max 2> /dev/null; true";
    Walk::new(&[], if is_root() { flags } else { rootless }, script, scratch)
}

/// A terminal and a root, and the network of pasta where its device can be had.
fn interactive(scratch: &Scratch) -> Walk<'static> {
    let alone = "--root / --tty --overlay --timeout 600s --tmpfs /mnt --file /mnt/x=x --workdir /";
    let flags =
        "--root / --tty --overlay --timeout 600s --tmpfs /mnt --file /mnt/x=x --workdir / --net pasta --dns none";
    let script = "tty; ls /mnt; touch /usr/x; ip -o link | cut -d: -f2";
    let tun = std::fs::OpenOptions::new().write(true).open("/dev/net/tun").is_ok();
    Walk::new(&[], if tun && Path::new("/usr/bin/pasta").exists() { flags } else { alone }, script, scratch)
}

/// A network, on a host of its own that does as `host` says.
fn networked<'a>(around: &'a [&'a str], scratch: &Scratch) -> Walk<'a> {
    // What the sandbox looks for on the host has its walk in the first.
    let flags = "--root / --net veth --ip 10.83.7.9 --ip-forward --dns none -p 8080:80 --peers --hostname walk --rate 10M \
        --workdir /";
    let script = "hostname; ip -o address show dev eth0 | grep -o 'inet [^ ]*'; ip route | grep -o '^default'
        grep walk /etc/hosts";
    Walk::new(around, flags, script, scratch)
}

/// Makes a host, and a function that complains of what is left in it.
const HOST: &str = r#"mount -t tmpfs -o mode=755 none /run; ip link set lo up; echo 0 > /proc/sys/net/ipv4/ip_forward
    left() { ip -o link | grep -v ': lo:'; nft list ruleset; ls -d /run/seclude 2>/dev/null; grep -x 1 /proc/sys/net/ipv4/ip_forward; }
    code=0; "$@" || code=$?; "#;

#[test]
fn whatever_call_of_the_parent_fails_is_named_and_nothing_is_left() {
    let Some(_alone) = with_strace() else { return };
    let failed = limited(&Scratch::new("calls")).all_fail_once(Host::look);
    println!("{failed} faults");
    assert!(failed > (if is_root() { 100 } else { 15 }) / step(), "{failed}");
}

#[test]
fn whatever_call_of_the_parent_is_its_last_nothing_is_left_after_gc() {
    let Some(_alone) = with_strace() else { return };
    let killed = limited(&Scratch::new("last-calls")).all_are_the_last_once(Host::look);
    println!("{killed} kills");
    assert!(killed > (if is_root() { 130 } else { 30 }) / step(), "{killed}");
}

#[test]
fn whatever_call_of_a_terminal_and_pasta_fails_is_named_and_nothing_is_left() {
    let Some(_alone) = with_strace() else { return };
    let failed = interactive(&Scratch::new("tty-calls")).all_fail_once(Host::look);
    println!("{failed} faults");
    assert!(failed > 15 / step(), "{failed}");
}

#[test]
fn whatever_call_of_a_terminal_and_pasta_is_its_last_nothing_is_left() {
    let Some(_alone) = with_strace() else { return };
    let killed = interactive(&Scratch::new("last-tty-calls")).all_are_the_last_once(Host::look);
    println!("{killed} kills");
    assert!(killed > 30 / step(), "{killed}");
}

#[test]
fn whatever_call_of_a_network_fails_is_named_and_nothing_of_it_is_left() {
    root_only!();
    let Some(_alone) = with_strace() else { return };
    let host = HOST.to_owned()
        + r#"for try in $(seq 20); do [ -z "$(left)" ] && exit $code; sleep 0.05; done
        [ "$(left)" = /run/seclude ] && echo lock >&2 || echo left >&2; "$SECLUDE" gc > /dev/null; left >&2; exit $code"#;
    let around = ["unshare", "--net", "--mount", "sh", "-c", &host, "sh"];
    let failed = networked(&around, &Scratch::new("network-calls")).all_fail_once(Host::look);
    println!("{failed} faults");
    assert!(failed > 60 / step(), "{failed}");
}

#[test]
fn whatever_call_of_a_network_is_its_last_nothing_of_it_is_left_after_gc() {
    root_only!();
    let Some(_alone) = with_strace() else { return };
    // The container has its own time to end.
    let host = HOST.to_owned()
        + r#"for try in $(seq 100); do "$SECLUDE" gc > /dev/null; [ -z "$(left)" ] && exit $code; sleep 0.05; done
        echo left >&2; left >&2; exit $code"#;
    let around = ["unshare", "--net", "--mount", "sh", "-c", &host, "sh"];
    let killed = networked(&around, &Scratch::new("last-network-calls")).all_are_the_last_once(Host::look);
    println!("{killed} kills");
    assert!(killed > 130 / step(), "{killed}");
}
