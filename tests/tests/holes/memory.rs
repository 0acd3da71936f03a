//! 3, 4: nobody looks into a child that has the caller's memory who could not look into the caller.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use seclude_tests::{
    Background, Detached, Scratch, busybox_root, helper, inside, root_only, seclude_command, stdout_of, tell, told,
    try_inside,
};

use super::{opened, text};

/// Starts containers, one after the other, each with enough to do that it takes a while.
pub(super) fn spawns_all_the_time() {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < Duration::from_millis(1500) {
        let mut command = seclude::Command::new("/bin/true");
        command.sandbox();
        if let Some(way) = std::env::var("WAY").ok().and_then(|way| way.parse().ok()) {
            command.clone_way(way);
        }
        for number in 0..40 {
            command.mount(seclude::Mount::tmpfs(format!("/tmp/{number}")));
        }
        let exit = command.status().unwrap_or_else(|error| panic!("{error}"));
        assert!(exit.success());
        count += 1;
    }
    tell(count);
}

/// Looks, as nobody and without capabilities, for processes below `pid` that it can open the memory of and that are still
/// what the spawner is.
const PEEPER: &str = "import os, sys, time\nspawner = int(sys.argv[1])\nown = os.readlink\nseen = 0\nend = time.time() + 1.2\n\
    while time.time() < end:\n    for task in os.listdir(f'/proc/{spawner}/task'):\n        try:\n            \
    below = open(f'/proc/{spawner}/task/{task}/children').read().split()\n        except OSError:\n            continue\n        \
    for pid in below:\n            try:\n                fd = os.open(f'/proc/{pid}/mem', os.O_RDWR)\n                \
    if 'holes' in os.readlink(f'/proc/{pid}/exe'): seen += 1\n                os.close(fd)\n            \
    except OSError:\n                pass\nprint(seen)";

fn peeped(capabilities: &[&str], uid: &str, way: &str) -> (u32, u32) {
    let helper = helper("spawns");
    let program = helper.get_program().to_owned();
    let arguments: Vec<_> = helper.get_args().map(ToOwned::to_owned).collect();
    let as_user = ["--reuid", uid, "--regid", uid, "--clear-groups"];
    let mut spawner = Command::new("setpriv");
    spawner.args(as_user).args(capabilities).arg(program).args(arguments).env("WAY", way).env("RUST_BACKTRACE", "0");
    spawner.envs(helper.get_envs().filter_map(|(key, value)| Some((key, value?)))).stdin(Stdio::null());
    let spawner = spawner.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("setpriv is there");
    let peeper = Command::new("setpriv")
        .args(as_user)
        // Whoever is root there has the uid alone.
        .args(["--inh-caps=-all", "--bounding-set=-all", "/usr/bin/python3", "-c", PEEPER])
        .arg(spawner.id().to_string())
        .output()
        .expect("python3 is there");
    let spawned = told(&spawner.wait_with_output().unwrap())[0].parse().unwrap();
    (stdout_of(&peeper).trim().parse().unwrap(), spawned)
}

#[test]
fn a_callers_capabilities_are_not_to_be_had_from_its_child() {
    root_only!();
    let nobody = "65534";
    let capable = ["--inh-caps=+net_admin", "--ambient-caps=+net_admin"];
    for way in ["vm", "copy", "legacy"] {
        // A caller that has capabilities makes its user namespace elsewhere, and copies.
        let ways = if way == "vm" { "auto" } else { way };
        let (seen, spawned) = peeped(&capable, nobody, ways);
        assert!(spawned > 0 && seen == 0, "{way}: {seen} of {spawned}");
        // Root, seen by a uid 0 that has none.
        let (seen, spawned) = peeped(&[], "0", way);
        assert!(spawned > 0 && seen == 0, "root, {way}: {seen} of {spawned}");
    }
    // A caller that has none can be looked into itself: what is tried does find such children.
    let (seen, spawned) = peeped(&[], nobody, "vm");
    assert!(seen > 0, "{seen} of {spawned}");
}

#[test]
fn a_caller_without_capabilities_pays_no_call_and_stays_dumpable() {
    // Where an ordinary user comes to it, wherever the checkout is.
    let scratch = Scratch::new("dumpable");
    std::fs::copy(seclude_tests::seclude_bin(), scratch.join("seclude")).unwrap();
    let look = |capabilities: &[&str]| {
        let mut command = Command::new("setpriv");
        if rustix::process::geteuid().is_root() {
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        }
        command.args(capabilities).args(["strace", "-f", "-e", "trace=prctl"]);
        let output = command.arg(scratch.join("seclude")).args(["run", "true"]).current_dir("/").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.matches("PR_SET_DUMPABLE, SUID_DUMP_DISABLE").count()
    };
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is not here");
        return;
    }
    // The init's own.
    assert_eq!(look(&[]), 1);
    if rustix::process::geteuid().is_root() {
        assert!(look(&["--inh-caps=+net_admin", "--ambient-caps=+net_admin"]) > 1);
    }
}

#[test]
fn whoever_is_in_a_container_that_is_joined_learns_nothing_of_the_caller() {
    let root = busybox_root("joined");
    opened(&root);
    // With a capability that goes over the namespace which is joined, and, as the sandbox gives it, over one below.
    let all =
        ["--bare", "--unshare", "user,mount,pid,ipc,net,uts,cgroup", "--tmpfs", "/tmp", "--mount", "type=dev,dst=/dev"];
    for (more, sees) in [(&[][..], true), (&all[..], true), (&["--cap-add", "SYS_PTRACE"], false)] {
        // Looks at all that comes, and writes down what it could read.
        let watch = "while :; do for p in /proc/[0-9]*; do cat $p/environ 2>/dev/null | tr '\\0' '\\n' | grep ^SECRET=; \
            readlink $p/exe | grep -E 'seclude$'; done >> /tmp/seen; done";
        let flags = ["run", "--detach", "--root", text(root.path())];
        let script = format!("exec > /dev/null 2>&1; {watch}");
        let container = Detached::of(&mut seclude_command(&[&flags[..], more, &["sh", "-c", &script]].concat()));
        let pid = container.pid();
        let join: Vec<String> = ["user=user", "mount=mnt", "pid=pid", "ipc=ipc", "net=net", "uts=uts", "cgroup=cgroup"]
            .map(|kind| format!("--join={}", kind.replace('=', &format!("=/proc/{pid}/ns/"))))
            .into();
        let join: Vec<&str> = join.iter().map(String::as_str).collect();
        let run = |flags: &[&str]| {
            let flags = [&["run"], &join[..], flags, &["--", "/bin/sh", "-c", "sleep 0.05; cat /tmp/seen"]].concat();
            let output = seclude_command(&flags).env("SECRET", "of the caller").output().unwrap();
            stdout_of(&output)
        };
        for _ in 0..20 {
            assert_eq!(run(&["--clear-env"]), "", "{more:?}");
        }
        // The watcher does see what is there: an environment that is handed on. But not from a namespace below.
        let handed_on = (0..20).map(|_| run(&["--env", "SECRET"])).any(|seen| seen.contains("SECRET=of the caller"));
        assert_eq!(handed_on, sees, "{more:?}");
    }
}

/// Tries for a while to get at the memory and the descriptors of whatever comes into its container, and says how that went.
const WATCH: &str = "import os, time\nknown = set(os.listdir('/proc'))\nprint('up', flush=True)\n\
    def can(pid):\n    for look in (lambda: os.close(os.open(f'/proc/{pid}/mem', os.O_RDWR)), lambda: os.readlink(f'/proc/{pid}/fd/' + os.listdir(f'/proc/{pid}/fd')[0])):\n        \
    try:\n            look()\n            return True\n        except OSError:\n            pass\n    return False\n\
    while True:\n    for pid in [pid for pid in os.listdir('/proc') if pid.isdigit() and pid not in known]:\n        known.add(pid)\n        \
    until = time.time() + 0.3\n        reached = False\n        while time.time() < until: reached |= can(pid)\n        \
    print('open' if reached else 'closed', flush=True)\n";

/// Takes the socket of whatever comes into its container, with CAP_SYS_PTRACE, and says this in its place.
const SPEAK: &str = "import array, ctypes, os, socket, stat, sys, time\nsay = bytes.fromhex(sys.argv[1])\n\
    null = array.array('i', [os.open('/dev/null', os.O_RDWR)])\nlibc = ctypes.CDLL(None)\nknown = set(os.listdir('/proc'))\nprint('up', flush=True)\n\
    while True:\n    for pid in [pid for pid in os.listdir('/proc') if pid.isdigit() and pid not in known]:\n        \
    of = libc.syscall(434, int(pid), 0)\n        for number in range(3, 64):\n            fd = libc.syscall(438, of, number, 0)\n            \
    if fd < 0 or not stat.S_ISSOCK(os.fstat(fd).st_mode): continue\n            known.add(pid)\n            \
    socket.socket(fileno=fd).sendmsg([say], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, null)])\n            print('said', flush=True)\n";

/// The flags that join everything that a container has.
fn joining(pid: i32) -> Vec<String> {
    let kinds = ["user=user", "mount=mnt", "pid=pid", "ipc=ipc", "net=net", "uts=uts", "cgroup=cgroup"];
    kinds.map(|kind| format!("--join={}", kind.replace('=', &format!("=/proc/{pid}/ns/")))).into()
}

/// A container in which this program runs, and how to join it.
fn joined(flags: &[&str], program: &[&str]) -> (Background, Vec<String>) {
    let mut container =
        Background::of(&mut seclude_command(&[&["run"], flags, &["--", "python3", "-c"], program].concat()));
    assert_eq!(container.line(), "up");
    let spawner = container.pid();
    let below = std::fs::read_to_string(format!("/proc/{spawner}/task/{spawner}/children")).unwrap();
    let first: i32 = below.split_whitespace().next().unwrap().parse().unwrap();
    (container, joining(first))
}

#[test]
fn whoever_is_in_a_container_that_is_joined_reaches_nothing_of_what_comes_before_the_command_is() {
    let leased = super::starts::leased();
    let place = text(leased.file.parent().unwrap()).to_owned();
    let (mut container, join) = joined(&["--ro", &place], &[WATCH]);
    let start = |program: &[&str]| {
        let mut command = seclude_command(&["run"]);
        Background::of(command.args(&join).arg("--").args(program))
    };
    // The command itself is theirs, as they have the same user.
    let command = start(&["/bin/sleep", "60"]);
    assert_eq!(container.line(), "open");
    drop(command);
    // The lease has it wait in its exec.
    let before = start(&[text(&leased.file)]);
    assert_eq!(container.line(), "closed");
    drop((before, container));
}

#[test]
fn whoever_speaks_for_what_joins_its_container_ends_nobody_but_that() {
    let all =
        ["--bare", "--unshare", "user,mount,pid,ipc,net,uts,cgroup", "--tmpfs", "/tmp", "--mount", "type=dev,dst=/dev"];
    let leased = super::starts::leased();
    let place = text(leased.file.parent().unwrap()).to_owned();
    let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
    let number = victim.id().to_le_bytes().map(|byte| format!("{byte:02x}")).concat();
    // That it has become the victim; a terminal, a listener, something that a mount made.
    let others = ["fc", "f7", "f8"].map(|tag| format!("{tag}{}", "00".repeat(7)));
    for said in [format!("fa000000{number}")].into_iter().chain(others) {
        let bind = format!("{place}:{place}");
        let flags = [&all[..], &["--bind", &bind]].concat();
        let (mut container, join) = joined(&flags, &[SPEAK, &said]);
        let mut command = seclude_command(&["run", "--timeout", "30s"]);
        let output = command.args(&join).arg("--").arg(&leased.file).output().unwrap();
        assert_eq!(container.line(), "said", "{output:?}");
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(125), "{said}: {line}");
        assert!(line.contains("speaks for it"), "{said}: {line}");
        assert!(victim.try_wait().unwrap().is_none(), "{said}");
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[test]
fn a_join_writes_to_no_file_of_proc_that_the_container_has_chosen() {
    root_only!();
    // CVE-2025-52881: the container's /proc is a tmpfs, with another process's file in it, of a real proc.
    let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
    let file = format!("/proc/{}/oom_score_adj", victim.id());
    let before = std::fs::read_to_string(&file).unwrap();
    let bind = format!("{file}:/proc/self/oom_score_adj");
    let flags = ["run", "--bare", "--unshare", "mount", "--tmpfs", "/proc", "--bind", &bind, "--detach", "sh", "-c"];
    let flags = [&flags[..], &["exec > /dev/null 2>&1 sleep 60"]].concat();
    let container = Detached::of(seclude_command(&flags).stderr(Stdio::null()));
    let join = format!("mount=/proc/{}/ns/mnt", container.pid());
    let look = "cat /proc/self/oom_score_adj";
    let said = try_inside(&["--bare", "--join", &join, "--oom-score-adj", "777"], look);
    let after = std::fs::read_to_string(&file).unwrap();
    drop(container);
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(stdout_of(&said), before.trim(), "there the file is the other's");
    assert_eq!(after, before);
    assert_eq!(inside(&["--oom-score-adj", "777"], look), "777", "the caller's own");
}
