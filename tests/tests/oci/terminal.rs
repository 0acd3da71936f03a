use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use seclude_tests::{Bundle, PATIENCE, ends_within, pidfd};
use serde_json::json;

/// The descriptor that is sent over such a socket.
fn master_of(listener: &UnixListener) -> OwnedFd {
    let (socket, _) = listener.accept().unwrap();
    let mut bytes = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::empty()).unwrap();
    let mut sent = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    sent.next().expect("the master of a terminal")
}

/// What is written there up to its `end`, or until it is closed.
fn until(master: &mut File, end: &str) -> String {
    let mut text = String::new();
    let mut chunk = [0; 1024];
    // EIO is its end.
    while let Ok(read @ 1..) = master.read(&mut chunk) {
        text.push_str(&String::from_utf8_lossy(&chunk[..read]).replace('\r', ""));
        if text.ends_with(end) {
            break;
        }
    }
    text
}

/// All that is written there until it is closed.
fn all_of(master: OwnedFd) -> String {
    let (mut text, mut master) = (String::new(), File::from(master));
    loop {
        let more = until(&mut master, "\n");
        if more.is_empty() {
            return text;
        }
        text.push_str(&more);
    }
}

#[test]
fn a_terminal_is_handed_over_and_is_the_containers_own() {
    let mut bundle = Bundle::new("terminal");
    let path = bundle.join("console");
    let listener = UnixListener::bind(&path).unwrap();
    bundle.set("/process/terminal", json!(true)).set("/process/consoleSize", json!({ "height": 33, "width": 77 }));
    bundle.script("tty; stty size; test -c /dev/console && echo console; read line; echo \"got $line\"").write();
    bundle.must(&["create", "--console-socket", path.to_str().unwrap(), "one"]);
    let master = master_of(&listener);
    bundle.must(&["start", "one"]);
    let mut terminal = File::from(master);
    // What is typed is shown at once, so not before what the command says first.
    let said = until(&mut terminal, "console\n");
    assert_eq!(said, "/dev/pts/0\n33 77\nconsole\n");
    terminal.write_all(b"word\n").unwrap();
    assert_eq!(all_of(terminal.into()), "word\ngot word\n");
    bundle.becomes("one", "stopped");
    bundle.must(&["delete", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn a_shell_at_a_terminal_ends_with_its_input() {
    let mut bundle = Bundle::new("terminal-ends");
    // With lines that are edited by a shell which takes the terminal over once it has begun.
    bundle.set("/process/terminal", json!(true)).set("/process/args", json!(["sh", "-i"])).write();
    let mut run = bundle.command(&["run", "one"]);
    let mut run = run.stdout(std::process::Stdio::null()).spawn().unwrap();
    let ended = ends_within(pidfd(run.id()), PATIENCE);
    if !ended {
        bundle.must(&["delete", "--force", "one"]);
    }
    assert_eq!((ended, run.wait().unwrap().code()), (true, Some(0)));
    bundle.nothing_is_left();
}

#[test]
fn a_process_that_is_executed_in_it_has_a_terminal_that_controls_it() {
    let mut bundle = Bundle::new("exectty");
    bundle.script("while :; do sleep 0.1; done").write();
    bundle.must(&["run", "--detach", "one"]);
    let path = bundle.join("console");
    let listener = UnixListener::bind(&path).unwrap();
    let command = ["exec", "--tty", "--detach", "--console-socket", path.to_str().unwrap(), "one", "sh", "-c"];
    bundle.must(&[&command[..], &["tty; echo to the terminal > /dev/tty; sleep 0.2; echo lives"]].concat());
    let said = all_of(master_of(&listener));
    assert!(said.contains("/dev/pts/0\nto the terminal\nlives\n"), "{said}");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn a_pidfd_of_the_process_is_sent_to_whoever_wants_it() {
    let mut bundle = Bundle::new("pidfd");
    bundle.script("true").write();
    let path = bundle.join("pidfd");
    let listener = UnixListener::bind(&path).unwrap();
    bundle.must(&["create", "--pidfd-socket", path.to_str().unwrap(), "one"]);
    let pidfd = master_of(&listener);
    assert!(!seclude_tests::ends_within(pidfd.try_clone().unwrap(), std::time::Duration::ZERO), "it waits");
    bundle.must(&["start", "one"]);
    assert!(seclude_tests::ends_within(pidfd, seclude_tests::PATIENCE));
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn all_that_a_short_process_writes_to_its_terminal_is_shown_as_it_was_written() {
    let mut bundle = Bundle::new("terminal-short");
    bundle.set("/process/terminal", json!(true)).set("/process/args", json!(["echo", "hi"])).write();
    let shown: Vec<String> = (0..30)
        .map(|number| {
            let output = bundle.oci(&["run", &format!("c{number}")]);
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
        .collect();
    assert_eq!(shown, vec!["hi\n"; 30]);
    bundle.nothing_is_left();
}
