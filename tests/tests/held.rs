//! A command that waits before its exec for whoever lets it go.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use seclude::{Code, Command, Namespace, Seccomp, Stdio, release};
use seclude_tests::{PATIENCE, Scratch, ends_within, pidfd};

/// A socket to wait on, and where it is.
fn listener(place: &Scratch) -> (OwnedFd, PathBuf) {
    let path = place.join("start.sock");
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&socket, 4).unwrap();
    (socket, path)
}

fn name_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim_end().to_owned()
}

fn connection(path: &Path) -> OwnedFd {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    socket
}

fn waiting(place: &Scratch, program: &str) -> (Command, PathBuf) {
    let (socket, path) = listener(place);
    let mut command = Command::new(program);
    command.unshare(Namespace::User).unshare(Namespace::Mount).unshare(Namespace::Pid);
    command.hold(socket).die_with_parent(false);
    (command, path)
}

#[test]
fn nothing_of_it_runs_until_it_is_let_go() {
    let place = Scratch::new("held");
    let (mut command, path) = waiting(&place, "/bin/echo");
    let mut child = command.arg("ran").stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(name_of(child.id()), "seclude-init");
    assert_eq!(child.try_wait().unwrap(), None);
    let mut stdout = child.stdout.take().unwrap();
    let pid = child.id();
    child.leave().unwrap();

    // Who connects and goes has started nothing.
    drop(connection(&path));
    assert_eq!(name_of(pid), "seclude-init");

    release(connection(&path), Path::new("/bin/echo")).unwrap();
    let mut said = String::new();
    stdout.read_to_string(&mut said).unwrap();
    assert_eq!(said, "ran\n");
    let again = rustix::process::waitid(
        rustix::process::WaitId::Pid(rustix::process::Pid::from_raw(pid as i32).unwrap()),
        rustix::process::WaitIdOptions::EXITED,
    );
    assert_eq!(again.unwrap().unwrap().exit_status(), Some(0));
}

#[test]
fn it_ends_with_its_handle_until_it_is_left() {
    let place = Scratch::new("heldends");
    let (mut command, _) = waiting(&place, "/bin/echo");
    let child = command.spawn().unwrap();
    let process = pidfd(child.id());
    drop(child);
    assert!(ends_within(process, PATIENCE));
}

#[test]
fn a_command_that_is_not_there_is_an_error_of_the_start() {
    let place = Scratch::new("heldnone");
    let (mut command, _) = waiting(&place, "/no/such/command");
    assert_eq!(command.spawn().unwrap_err().code(), Code::NotFound);
}

#[test]
fn one_that_has_gone_meanwhile_is_an_error_of_whoever_lets_it_go() {
    let place = Scratch::new("heldgone");
    let program = place.executable("program", "#!/bin/sh\n");
    let (mut command, path) = waiting(&place, program.to_str().unwrap());
    let child = command.spawn().unwrap();
    let process = pidfd(child.id());
    child.leave().unwrap();
    fs::remove_file(&program).unwrap();
    let error = release(connection(&path), &program).unwrap_err();
    assert_eq!((error.code(), error.errno_name()), (Code::NotFound, Some("ENOENT")));
    assert!(ends_within(process, PATIENCE));
}

#[test]
fn what_cannot_wait_is_refused() {
    let place = Scratch::new("heldrefused");
    let (mut command, _) = waiting(&place, "/bin/true");
    let error = command.die_with_parent(true).spawn().unwrap_err();
    assert_eq!(error.field().unwrap().to_string(), "die_with_parent");
    let error = command.die_with_parent(false).init(true).spawn().unwrap_err();
    assert_eq!(error.field().unwrap().to_string(), "init");
    let running = Command::new("/bin/true").spawn().unwrap();
    assert!(running.leave().is_err(), "what does not wait cannot be left");
}

#[test]
fn a_rehearsal_waits_for_nobody() {
    let place = Scratch::new("heldrehearsal");
    let (command, _) = waiting(&place, "/bin/true");
    command.rehearse().unwrap();
}

#[test]
fn what_is_done_when_it_is_born_has_its_namespaces_and_can_end_the_start() {
    let mut command = Command::new("/bin/true");
    command.unshare(Namespace::User).unshare(Namespace::Uts);
    let place = Scratch::new("born");
    let note = place.join("note");
    let to = note.clone();
    command.when_born(move |pid| {
        let own = fs::read_link("/proc/self/ns/uts")?;
        let its = fs::read_link(format!("/proc/{pid}/ns/uts"))?;
        fs::write(&to, if own == its { "the same" } else { "its own" })
    });
    assert!(command.status().unwrap().success());
    assert_eq!(fs::read_to_string(&note).unwrap(), "its own");
    command.when_born(|_| Err(std::io::Error::other("not this one")));
    let error = command.spawn().unwrap_err();
    assert_eq!(error.step(), "when born");
    assert!(error.to_string().contains("not this one"), "{error}");
}

#[test]
fn what_is_done_once_it_is_mounted_finds_the_root_where_it_lies_and_can_end_the_start() {
    let root = seclude_tests::busybox_root("whenmounted");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "cat /mnt/file"]).unshare(Namespace::User).unshare(Namespace::Mount).unshare(Namespace::Pid);
    command.root(seclude::Root::directory(root.path())).mount(seclude::Mount::tmpfs("/mnt"));
    let lies = root.path().canonicalize().unwrap();
    command.when_mounted(move |pid| {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
        let is_there = |place: &std::path::Path| mounts.contains(&format!(" {} ", place.display()));
        if !is_there(&lies) || !is_there(&lies.join("mnt")) {
            return Err(std::io::Error::other(format!("{mounts}: it is not there")));
        }
        // By the same path in the container's own namespace.
        let own = format!("/proc/{pid}/root{}/mnt/file", lies.display());
        fs::write(own, "of the caller")
    });
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "of the caller", "{output:?}");
    command.when_mounted(|_| Err(std::io::Error::other("not this one")));
    let error = command.spawn().unwrap_err();
    assert_eq!(error.step(), "when mounted");
    let mut command = Command::new("/bin/true");
    let error = command.when_mounted(|_| Ok(())).spawn().unwrap_err();
    assert_eq!(error.field().unwrap().to_string(), "namespaces.mount");
}

#[test]
fn nothing_is_executed_before_whoever_answers_what_its_filter_asks_has_the_listener() {
    let asks = serde_json::json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }]);
    let profile = serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": asks });
    for (init, is_taken) in [(false, false), (true, false), (false, true), (true, true)] {
        let place = Scratch::new("asks");
        let mark = place.join("mark");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo ran > \"$0\""]).arg(&mark).unshare(Namespace::User);
        command.unshare(Namespace::Mount).unshare(Namespace::Pid).init(init).no_new_privileges(true);
        command.seccomp(Seccomp::oci(profile.clone()).denials(false));
        let (seen, before) = (mark.clone(), Duration::from_millis(50));
        command.when_listening(move |_, listener| {
            std::thread::sleep(before);
            assert!(!seen.exists(), "it runs");
            drop(listener);
            if is_taken { Ok(()) } else { Err(std::io::Error::other("nobody takes it")) }
        });
        match command.spawn() {
            Ok(mut child) => assert!(is_taken && child.wait().unwrap().success(), "init: {init}"),
            Err(error) => assert!(!is_taken && error.to_string().contains("nobody takes it"), "init: {init}: {error}"),
        }
        assert_eq!(mark.exists(), is_taken, "init: {init}");
    }
}
