//! `seclude run`: what is isolated without a flag, and the flags about namespaces and users.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use seclude_tests::{
    Background, Host, Scratch, inside, is_root, outside, python, refused, root_only, seclude_bin, seclude_command,
    stdout_of, try_inside, try_outside,
};

const KINDS: [&str; 8] = ["user", "pid", "mnt", "net", "uts", "ipc", "cgroup", "time"];

fn own_link(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string()
}

fn link_inside(flags: &[&str], kind: &str) -> String {
    inside(flags, &format!("readlink /proc/self/ns/{kind}"))
}

fn own_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

#[test]
fn without_flags_the_command_is_root_and_the_first_process_but_the_init() {
    assert_eq!(inside(&[], "id -u; id -g; echo $$ $PPID; cat /proc/1/comm"), "0\n0\n2 1\nseclude-init");
    assert_eq!(inside(&["--as-pid-1"], "id -u; id -g; echo $$ $PPID; cat /proc/1/comm"), "0\n0\n1 0\nsh");
    let host = outside("id -u; echo $$");
    assert!(host.starts_with(&own_ids().0.to_string()) && !host.ends_with("\n1"), "{host}");
}

#[test]
fn without_flags_every_namespace_but_time_is_new() {
    for kind in KINDS {
        assert_eq!(link_inside(&[], kind) == own_link(kind), kind == "time", "{kind}");
    }
}

#[test]
fn without_flags_there_is_a_loopback_interface_alone_and_it_is_up() {
    let names = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '";
    assert_eq!(inside(&[], names), "lo");
    assert_eq!(inside(&["--share", "net"], names), outside(names), "the host's, when shared");
    let connect = "import socket\n\
        server = socket.create_server(('127.0.0.1', 0))\n\
        print(socket.create_connection(server.getsockname(), 5).getpeername()[0])";
    assert_eq!(python(&[], connect), "127.0.0.1");
    let down = try_outside(&format!("unshare --map-root-user --net /usr/bin/python3 -c \"{connect}\""));
    let said = String::from_utf8_lossy(&down.stderr);
    assert!(said.contains("Network is unreachable"), "what a new network has that nobody set up: {said}");
}

#[test]
fn without_flags_the_root_and_all_below_it_are_read_only() {
    for place in ["/x", "/usr/x", "/etc/x", "/var/x"] {
        let output = try_inside(&[], &format!("> {place}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("Read-only file system"), "{place}: {said}");
    }
    let writable = Scratch::new("writable");
    let flag = format!("{}:/mnt", writable.path().display());
    inside(&["--bind", &flag], "> /mnt/x");
    assert!(writable.join("x").exists(), "what is not the root can be written by the same command");
}

#[test]
fn without_flags_tmp_is_empty_writable_and_the_hosts_is_as_it_was() {
    let own = Scratch::new("seen");
    assert_eq!(inside(&[], "ls -A /tmp; echo text > /tmp/seclude-inside; cat /tmp/*"), "text");
    assert!(!std::path::Path::new("/tmp/seclude-inside").exists());
    let shown = inside(&["--bind", "/tmp"], "ls -A /tmp");
    let name = own.path().file_name().unwrap().to_string_lossy().into_owned();
    assert!(shown.lines().any(|line| line == name), "the host's own, when bound: {shown}");
}

#[test]
fn without_flags_dev_is_minimal_and_works() {
    let expected = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(inside(&[], "echo $(ls /dev)"), expected);
    assert_ne!(inside(&["--ro-bind", "/dev"], "echo $(ls /dev)"), expected, "the host has more");
    let numbers = "for f in null zero full random urandom tty; do stat -c %t:%T /dev/$f; done";
    assert_eq!(inside(&[], numbers), "1:3\n1:5\n1:7\n1:8\n1:9\n5:0");
    let works = "echo x > /dev/null; head -c 4 /dev/zero | od -An -tx1; head -c 8 /dev/urandom | wc -c; \
        echo y > /dev/full || echo full; echo z > /dev/shm/z; cat /dev/shm/z; echo w > /dev/stdout";
    assert_eq!(inside(&[], works), " 00 00 00 00\n8\nfull\nz\nw");
}

#[test]
fn without_flags_there_are_no_capabilities_and_no_new_privileges() {
    let sets = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | sort -u";
    assert_eq!(inside(&[], sets), "0000000000000000");
    assert_ne!(inside(&["--cap-add", "ALL"], sets), "0000000000000000");
    let flag = "grep NoNewPrivs /proc/self/status | cut -f2";
    assert_eq!(inside(&[], flag), "1");
    assert_eq!(inside(&["--no-new-privs=false"], flag), "0");
}

#[test]
fn without_flags_the_command_leads_a_session_of_its_own() {
    // A session that was begun outside is 0 inside.
    let look = "set -- $(cat /proc/$$/stat); echo $6";
    assert_eq!(inside(&[], look), "1", "the init leads it");
    assert_eq!(inside(&["--as-pid-1"], look), "1", "the command itself leads it");
    let own = outside(look);
    assert_eq!(outside(&format!("{look} < /dev/null")), own, "without seclude a program is in its caller's");
    assert_ne!(own, outside("echo $$"));
}

#[test]
fn a_shared_namespace_is_the_callers_own() {
    let mut lists = vec!["net", "uts", "ipc", "cgroup", "pid", "mount,pid", "net,uts,ipc"];
    if is_root() {
        // Without a user namespace only root may make the others.
        lists.push("user");
    }
    for list in lists {
        for name in list.split(',') {
            let kind = if name == "mount" { "mnt" } else { name };
            assert_eq!(link_inside(&["--share", list], kind), own_link(kind), "--share {list}");
            assert_ne!(link_inside(&[], kind), own_link(kind), "{kind} without the flag");
        }
    }
    let everything = "user,pid,mount,net,uts,ipc,cgroup";
    if is_root() {
        for kind in KINDS {
            assert_eq!(link_inside(&["--share", everything], kind), own_link(kind), "everything is shared");
        }
    } else {
        // The bounding set belongs to who is root of the user namespace.
        let flags = ["run", "--share", everything, "--prefer", "pids", "true"];
        assert!(refused(125, &flags).contains("capabilities"));
    }
}

#[test]
fn a_namespace_that_is_asked_for_is_new() {
    assert_eq!(link_inside(&[], "time"), own_link("time"));
    assert_ne!(link_inside(&["--unshare", "time"], "time"), own_link("time"));
    assert_ne!(link_inside(&["--unshare", "time,net", "--unshare", "uts"], "uts"), own_link("uts"));
}

#[test]
fn a_host_name_is_the_containers_alone() {
    let before = rustix::system::uname().nodename().to_owned();
    let names = "uname -n; cat /proc/sys/kernel/domainname";
    assert_eq!(inside(&["--hostname", "box", "--domainname", "yard"], names), "box\nyard");
    assert_eq!(inside(&[], "uname -n"), before.to_string_lossy());
    assert_eq!(inside(&["--cap-add", "SYS_ADMIN"], "hostname changed; uname -n"), "changed");
    assert_eq!(rustix::system::uname().nodename(), &*before, "the host keeps its name");
}

#[test]
fn clocks_can_run_ahead_or_behind() {
    let read = "import time; print(int(time.clock_gettime(time.CLOCK_BOOTTIME)), int(time.monotonic()))";
    let parse = |text: String| -> (i64, i64) {
        let (boot, monotonic) = text.split_once(' ').unwrap();
        (boot.parse().unwrap(), monotonic.parse().unwrap())
    };
    let hour = 3600;
    let here = parse(python(&[], read));
    let ahead = parse(python(&["--boottime", "1000h", "--monotonic", "2000h"], read));
    assert!(ahead.0 - here.0 >= 1000 * hour && ahead.1 - here.1 >= 2000 * hour, "{here:?} {ahead:?}");
    let alone = parse(python(&["--boottime", "1000h"], read));
    assert!(alone.0 - here.0 >= 1000 * hour && alone.1 - here.1 < 1000 * hour, "one without the other: {alone:?}");
    let behind = python(&["--boottime", "-5s"], "print(open('/proc/self/timens_offsets').read())");
    assert_eq!(behind.split_whitespace().collect::<Vec<_>>(), ["monotonic", "0", "0", "boottime", "-5", "0"]);
}

/// A container that waits, and its first process as the host sees it.
fn waiting(flags: &[&str]) -> (Background, PathBuf) {
    let mut command = seclude_command(&[&["run", "-v"], flags, &["--", "/bin/sh", "-c", "cat; exit 0"]].concat());
    let mut running = Background::of(command.stderr(Stdio::piped()));
    let mut stderr = std::io::BufReader::new(running.child().stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
    let pid = line.strip_prefix("seclude: pid ").and_then(|rest| rest.split(',').next()).expect("-v tells the pid");
    let process = PathBuf::from(format!("/proc/{pid}"));
    // Later messages have to go somewhere.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    (running, process)
}

#[test]
fn the_namespaces_of_a_running_container_can_be_joined() {
    let (mut running, process) = waiting(&["--hostname", "joined", "--tmpfs", "/tmp/of-the-first"]);
    let join = |kind: &str, proc: &str| format!("--join={kind}={}/ns/{proc}", process.display());
    let some = [join("user", "user"), join("uts", "uts"), "--share=pid,mount,net,ipc,cgroup".into()];
    let some: Vec<&str> = some.iter().map(String::as_str).collect();
    assert_eq!(inside(&some, "uname -n"), "joined");
    assert_ne!(inside(&[], "uname -n"), "joined");
    // New ones beside it are made once it has been entered, of an ordinary user as well.
    assert_eq!(inside(&some[..2], "uname -n"), "joined");

    let kinds = [
        ("user", "user"),
        ("mount", "mnt"),
        ("pid", "pid"),
        ("net", "net"),
        ("uts", "uts"),
        ("ipc", "ipc"),
        ("cgroup", "cgroup"),
    ];
    let all: Vec<String> = kinds.iter().map(|(kind, proc)| join(kind, proc)).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for (_, kind) in kinds {
        let theirs = std::fs::read_link(process.join("ns").join(kind)).unwrap();
        assert_eq!(link_inside(&all, kind), theirs.display().to_string(), "{kind}");
    }
    assert_eq!(inside(&all, "[ -d /tmp/of-the-first ] && [ $$ != 1 ] && kill -0 1 && echo together"), "together");
    running.child().stdin.take();
    assert_eq!(running.end().0, Some(0), "who joined left it in peace");
}

#[test]
fn given_ids_are_mapped_and_no_others() {
    let (uid, gid) = own_ids();
    let maps = "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '; id -u; id -g";
    let (uids, gids) = (format!("5:{uid}:1"), format!("6:{gid}:1"));
    let said = inside(&["--uid-map", &uids, "--gid-map", &gids, "--user", "5:6"], maps);
    assert_eq!(said, format!(" 5 {uid} 1\n 6 {gid} 1\n5\n6"));
    let callers = format!(" 0 {uid} 1\n 0 {gid} 1\n0\n0");
    let without = inside(&[], maps);
    if is_root() {
        let start: u32 = without.split(' ').nth(2).and_then(|word| word.parse().ok()).expect("an extent");
        assert!(start > 65535, "no id of the host's: {without}");
        assert_eq!(without, format!(" 0 {start} 65536\n 0 {start} 65536\n0\n0"), "without the flags");
        assert_eq!(inside(&["--host-root"], maps), callers);
    } else {
        assert_eq!(without, callers, "without the flags");
    }
    // The other kind has the caller as root.
    assert_eq!(inside(&["--uid-map", &format!("0:{uid}:1")], maps), format!(" 0 {uid} 1\n 0 {gid} 1\n0\n0"));
}

#[test]
fn several_extents_are_mapped_where_the_caller_may() {
    let (uid, gid) = own_ids();
    let Some(start) = subordinate("/etc/subuid").filter(|start| Some(*start) == subordinate("/etc/subgid")) else {
        eprintln!("skipped: this user has no range in /etc/subuid and /etc/subgid");
        return;
    };
    let first = (format!("0:{uid}:1"), format!("0:{gid}:1"));
    let second = format!("1:{start}:10");
    let flags = ["--uid-map", &first.0, "--uid-map", &second, "--gid-map", &first.1, "--gid-map", &second];
    let maps = "cat /proc/self/uid_map | tr -s ' '; > /tmp/x && chown 3:4 /tmp/x && stat -c %u:%g /tmp/x";
    let with_chown = [&flags[..], &["--cap-add", "CHOWN"]].concat();
    assert_eq!(inside(&with_chown, maps), format!(" 0 {uid} 1\n 1 {start} 10\n3:4"));
    let one = if is_root() { &["--host-root"][..] } else { &[] };
    let alone = try_inside(&[&["--cap-add", "CHOWN"], one].concat(), "> /tmp/x && chown 3:4 /tmp/x");
    assert!(!alone.status.success(), "with one id there is nobody to give the file to");
}

/// The start of a range that the caller may map: root any, a user its own.
fn subordinate(file: &str) -> Option<u32> {
    if is_root() {
        return Some(300_000);
    }
    let name = outside("id -un");
    let text = std::fs::read_to_string(file).ok()?;
    let range = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")))?;
    range.split(':').next()?.parse().ok()
}

#[test]
fn subordinate_ids_are_mapped_when_asked_for() {
    if !is_root() && subordinate("/etc/subuid").is_none() {
        eprintln!("skipped: this user has no range in /etc/subuid");
        return;
    }
    let flags = ["--map-subids", "--user", "1000", "--env", "WHO=me"];
    let map = inside(&flags, "cat /proc/self/uid_map | tr -s ' '; id -u");
    let (lines, id) = map.rsplit_once('\n').unwrap();
    assert_eq!(id, "1000");
    let first: Vec<u64> = lines.split_whitespace().take(3).map(|word| word.parse().unwrap()).collect();
    if is_root() {
        assert_eq!((first[0], first[2]), (0, 65536), "{lines}");
        let taken = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
        for range in taken.lines() {
            let numbers: Vec<u64> = range.split(':').skip(1).map(|word| word.parse().unwrap()).collect();
            let apart = first[1] >= numbers[0] + numbers[1] || first[1] + first[2] <= numbers[0];
            assert!(apart && first[1] >= 65536, "{lines} is {range}");
        }
    } else {
        assert_eq!(first, [0, u64::from(own_ids().0), 1], "{lines}");
        assert!(lines.lines().nth(1).is_some_and(|line| line.trim_start().starts_with("1 ")), "{lines}");
    }
    refused(125, &["run", "--user", "1000", "--uid-map", "0:0:1", "true"]);
}

#[test]
fn the_command_runs_as_the_user_that_was_named() {
    assert_eq!(inside(&["--user", "1234:4321"], "id -u; id -g; id -G"), "1234\n4321\n4321");
    assert_eq!(inside(&["--user", "1234"], "id -u; id -g"), "1234\n1234");
    assert_eq!(inside(&[], "id -u; id -g"), "0\n0");
    if is_root() {
        let file = Scratch::new("secret");
        let secret = file.file("secret", "text");
        std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let bind = format!("{}:/mnt", file.path().display());
        assert_eq!(inside(&["--bind", &bind], "cat /mnt/secret"), "text");
        let other = try_inside(&["--bind", &bind, "--user", "1234"], "cat /mnt/secret");
        let said = String::from_utf8_lossy(&other.stderr);
        assert!(said.contains("Permission denied"), "root's files are not that user's: {said}");
    }
}

#[test]
fn root_can_run_a_command_in_its_own_user_namespace_without_its_rights() {
    root_only!();
    let look = "readlink /proc/self/ns/user; id -u; grep CapEff /proc/self/status | cut -f2";
    let own = own_link("user");
    assert_eq!(inside(&["--share", "user", "--user", "4321"], look), format!("{own}\n4321\n0000000000000000"));
    assert_ne!(inside(&[], "readlink /proc/self/ns/user"), own);
}

#[test]
fn a_run_leaves_the_host_as_it_was() {
    let before = Host::look();
    let mut command = seclude_command(&["run", "--unshare", "time", "--tmpfs", "/tmp/x", "--init", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through").unwrap();
    assert_eq!(stdout_of(&child.wait_with_output().unwrap()), "through");
    before.assert_back("a run");
}

/// In a pid namespace of its own, below a /proc that is of another one.
fn below_a_foreign_proc(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new("unshare");
    command.args(if is_root() { &["-p", "-f"][..] } else { &["-U", "-r", "-p", "-f"] }).arg(seclude_bin());
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).output().unwrap()
}

#[test]
fn where_proc_is_of_a_pid_namespace_above_the_child_is_found_there_by_its_descriptor() {
    let look = ["run", "--ro", "/usr/share", "sh", "-c", "cat /proc/self/uid_map | tr -s ' '"];
    assert_eq!(stdout_of(&below_a_foreign_proc(&look)).lines().count(), 1);
    assert_eq!(stdout_of(&below_a_foreign_proc(&["run", "id", "-u"])), "0");
    // Refused calls are of nobody then, and not of whoever has that pid above.
    let denied = below_a_foreign_proc(&["run", "--denials", "--deny-syscall", "uname", "uname"]);
    let said = String::from_utf8_lossy(&denied.stderr);
    assert!(said.contains("uname: EPERM") && !said.contains(", by "), "{said}");
}

#[test]
fn where_proc_is_of_a_pid_namespace_that_the_caller_is_not_in_that_is_said() {
    root_only!();
    let mut command = Command::new("unshare");
    command.args(["-p", "-f", "-m", "--mount-proc", "sh", "-c", "echo; exec sleep 60"]);
    let mut other = command.stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let mounts = format!("--mount=/proc/{}/ns/mnt", other.id());
    let mut command = Command::new("nsenter");
    let output = command.args([&mounts, "--"]).arg(seclude_bin()).args(["run", "id"]).env("LC_ALL", "C").output();
    let children = format!("/proc/{0}/task/{0}/children", other.id());
    for child in std::fs::read_to_string(children).unwrap().split_whitespace() {
        let child = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
    }
    other.wait().unwrap();
    let line = seclude_tests::refusal(125, &output.unwrap());
    assert!(line.contains("/proc is of another pid namespace") && line.contains("--mount-proc"), "{line}");
}
