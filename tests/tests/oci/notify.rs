use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use seclude_tests::Bundle;
use serde_json::{Value, json};

/// Takes one listener and what is told with it; nobody answers once that is closed, and whoever asks hears of no such call.
fn taken(listener: UnixListener) -> JoinHandle<Value> {
    taken_after(listener, Duration::ZERO)
}

/// The same by one that takes nothing before.
fn taken_after(listener: UnixListener, after: Duration) -> JoinHandle<Value> {
    spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        std::thread::sleep(after);
        let (mut text, mut sent): (Vec<u8>, Option<OwnedFd>) = (Vec::new(), None);
        loop {
            let mut bytes = [0; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let got = recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::empty()).unwrap();
            sent = sent.or(ancillary.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            }));
            if got.bytes == 0 {
                break;
            }
            text.extend_from_slice(&bytes[..got.bytes]);
        }
        let sent = sent.expect("a descriptor");
        let is = std::fs::read_link(format!("/proc/self/fd/{}", sent.as_raw_fd())).unwrap();
        assert!(is.to_string_lossy().contains("seccomp"), "{is:?}");
        serde_json::from_slice(&text).unwrap()
    })
}

fn asking(name: &str, no_new_privileges: bool) -> (Bundle, std::path::PathBuf) {
    let mut bundle = Bundle::new(name);
    let path = bundle.join("agent");
    let asks = json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }]);
    let profile = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": asks, "listenerPath": path, "listenerMetadata": "of the test" });
    bundle.set("/linux/seccomp", profile).set("/process/noNewPrivileges", json!(no_new_privileges));
    (bundle, path)
}

#[test]
fn whoever_answers_is_sent_the_listener_and_what_it_is_for() {
    for no_new_privileges in [true, false] {
        let (mut bundle, path) = asking("notify", no_new_privileges);
        bundle.set("/annotations", json!({ "a": "b" })).script("mkdir /tmp/asked 2>&1; true").write();
        let agent = taken(UnixListener::bind(&path).unwrap());
        let output = bundle.run("one");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Function not implemented"), "{said} {output:?}");
        let told = agent.join().unwrap();
        assert_eq!((&told["fds"], &told["metadata"]), (&json!(["seccompFd"]), &json!("of the test")));
        assert_eq!((&told["state"]["id"], &told["state"]["annotations"]["a"]), (&json!("one"), &json!("b")));
        assert_eq!(told["ociVersion"], bundle.config["ociVersion"]);
        assert_eq!(told["pid"], told["state"]["pid"]);
        // The contrast: nobody asks.
        bundle.set("/linux/seccomp/syscalls", json!([]));
        assert_eq!(bundle.says("mkdir /tmp/made && echo made"), "made");
        bundle.nothing_is_left();
    }
}

#[test]
fn what_is_executed_later_has_a_listener_of_its_own() {
    let (mut bundle, path) = asking("notifyexec", true);
    bundle.script("while :; do sleep 0.1; done").write();
    let agent = taken(UnixListener::bind(&path).unwrap());
    bundle.must(&["run", "--detach", "one"]);
    let first = agent.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    let agent = taken(UnixListener::bind(&path).unwrap());
    let said = bundle.must(&["exec", "one", "sh", "-c", "mkdir /tmp/asked 2>&1; true"]);
    assert!(said.contains("Function not implemented"), "{said}");
    let second = agent.join().unwrap();
    assert_eq!(first["state"]["pid"], second["state"]["pid"]);
    assert!(second["pid"] != first["pid"] && second["state"]["status"] == "running", "{second}");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn without_anybody_there_it_does_not_start() {
    for no_new_privileges in [true, false] {
        let (mut bundle, _) = asking("nobody", no_new_privileges);
        bundle.script("true").write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.contains("linux.seccomp.listenerPath"), "{said}");
        bundle.nothing_is_left();
    }
    // Nor where what hands the listener over would have to be answered first.
    let (mut bundle, path) = asking("self", true);
    let _agent = UnixListener::bind(&path).unwrap();
    for (action, call) in [("SCMP_ACT_NOTIFY", "sendmsg"), ("SCMP_ACT_NOTIFY", "read"), ("SCMP_ACT_ERRNO", "read")] {
        let asks = json!({ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" });
        bundle.set("/linux/seccomp/syscalls", json!([asks, { "names": [call], "action": action }])).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.starts_with("seclude-oci: error: linux.seccomp: ") && said.contains(call), "{said}");
        bundle.nothing_is_left();
    }
}

#[test]
fn nothing_of_a_program_runs_whose_listener_nobody_has_taken() {
    // Whether it runs was a matter of luck.
    for _ in 0..10 {
        let (mut bundle, path) = asking("untaken", true);
        bundle.script("echo ran > /mark").write();
        let agent = UnixListener::bind(&path).unwrap();
        bundle.must(&["create", "one"]);
        drop(agent);
        // What another test is forking at this moment may have a copy, which would still take it.
        std::fs::remove_file(&path).unwrap();
        let said = bundle.refused(&["start", "one"]);
        assert!(said.contains("linux.seccomp.listenerPath"), "{said}");
        bundle.becomes("one", "stopped");
        assert!(!bundle.rootfs.join("mark").exists(), "it ran");
        bundle.must(&["delete", "one"]);
        bundle.nothing_is_left();
    }
    let (mut bundle, path) = asking("untakenexec", true);
    bundle.script("while :; do sleep 0.1; done").write();
    let agent = taken(UnixListener::bind(&path).unwrap());
    bundle.must(&["run", "--detach", "one"]);
    agent.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    for _ in 0..10 {
        let said = bundle.refused(&["exec", "one", "sh", "-c", "echo ran > /mark"]);
        assert!(said.contains("linux.seccomp.listenerPath"), "{said}");
        assert!(!bundle.rootfs.join("mark").exists(), "it ran");
    }
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn a_listener_that_is_slow_is_waited_for() {
    for no_new_privileges in [true, false] {
        let (mut bundle, path) = asking("slow", no_new_privileges);
        // More than a socket takes at once.
        bundle.set("/annotations", json!({ "much": "x".repeat(1 << 20) })).script("true").write();
        let agent = taken_after(UnixListener::bind(&path).unwrap(), Duration::from_millis(500));
        seclude_tests::stdout_of(&bundle.run("one"));
        assert_eq!(agent.join().unwrap()["state"]["annotations"]["much"].as_str().unwrap().len(), 1 << 20);
        bundle.nothing_is_left();
    }
}

/// Takes connections, and answers nothing; says when it has one.
fn silent(path: &std::path::Path) -> std::sync::mpsc::Receiver<()> {
    let listener = UnixListener::bind(path).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    spawn(move || {
        let mut kept = Vec::new();
        for socket in listener.incoming() {
            let socket = socket.unwrap();
            let mut bytes = [0; 65536];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::empty()).unwrap();
            let sent = ancillary.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            });
            kept.push((socket, sent.expect("a descriptor")));
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Of the exec itself, so that it does not come about.
fn asks_of_execve(path: &std::path::Path) -> Value {
    let asks = json!([{ "names": ["execve"], "action": "SCMP_ACT_NOTIFY" }]);
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": asks, "listenerPath": path })
}

#[test]
fn a_signal_ends_the_wait_for_a_listener_that_answers_nothing() {
    for no_new_privileges in [true, false] {
        let (mut bundle, path) = asking("silent", no_new_privileges);
        bundle.set("/linux/seccomp", asks_of_execve(&path)).script("true").write();
        let agent = silent(&path);
        let mut run = seclude_tests::Background::of(&mut bundle.command(&["run", "one"]));
        agent.recv_timeout(seclude_tests::PATIENCE).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert!(run.runs(), "it waits");
        run.signal(rustix::process::Signal::TERM);
        assert_eq!(run.wait(), Some(1));
        bundle.nothing_is_left();
    }
}

#[test]
fn a_signal_ends_the_wait_of_an_exec_as_well() {
    let mut bundle = Bundle::new("silentexec");
    bundle.script("while :; do sleep 0.1; done").write();
    bundle.must(&["run", "--detach", "one"]);
    // The container itself has none, or it would not have begun.
    let (file, path) = (bundle.root().join("one/config.json"), bundle.join("agent"));
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["linux"]["seccomp"] = asks_of_execve(&path);
    std::fs::write(&file, config.to_string()).unwrap();
    let agent = silent(&path);
    let mut exec = seclude_tests::Background::of(&mut bundle.command(&["exec", "one", "true"]));
    agent.recv_timeout(seclude_tests::PATIENCE).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(exec.runs(), "it waits");
    exec.signal(rustix::process::Signal::INT);
    assert_eq!(exec.wait(), Some(255));
    assert_eq!(bundle.status("one"), "running");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}
