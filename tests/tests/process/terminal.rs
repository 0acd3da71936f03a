//! A pseudoterminal as stdin, stdout and stderr.

use std::fs::File;
use std::io::{Read, Write};

use seclude::{Child, Command, Mount, Stdio};
use seclude_tests::said;

use super::contained;

/// All that comes out of a terminal until its last user has closed it. EIO says so; but to a read that began before,
/// it may come in front of the last words (n_tty_read), which are there for another one.
fn rest(terminal: &mut File) -> String {
    let mut all = Vec::new();
    let mut chunk = [0; 1024];
    for _ in 0..2 {
        while let Ok(read @ 1..) = terminal.read(&mut chunk) {
            all.extend_from_slice(&chunk[..read]);
        }
    }
    String::from_utf8(all).unwrap().replace("\r\n", "\n")
}

fn until(terminal: &mut File, word: &str) -> String {
    let mut all = String::new();
    let mut chunk = [0; 1024];
    while !all.contains(word) {
        let read = terminal.read(&mut chunk).unwrap_or_else(|error| panic!("{error} after {all:?}, without {word:?}"));
        all += std::str::from_utf8(&chunk[..read]).unwrap();
    }
    all
}

fn start(command: &mut Command) -> (Child, File) {
    let mut child = command.spawn().unwrap();
    let terminal = child.take_terminal().unwrap();
    assert!(child.take_terminal().is_none(), "there is one");
    (child, terminal)
}

const PROBE: &str = "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all three";

#[test]
fn a_terminal_of_the_containers_own_devpts_has_its_name_and_size_there() {
    let mut command = contained(PROBE);
    command.terminal(33, 101).mount(Mount::dev("/dev"));
    let (mut child, mut terminal) = start(&mut command);
    assert_eq!(rest(&mut terminal), "/dev/pts/0\n33 101\nall three\n");
    assert!(child.wait().unwrap().success());
    let without = contained("tty; test -t 0 || test -t 1 || test -t 2 || echo none").output().unwrap();
    assert_eq!(said(&without), "not a tty\nnone");
}

#[test]
fn a_terminal_of_the_hosts_devpts_works_where_the_container_has_the_hosts_tree() {
    let mut command = contained(PROBE);
    command.terminal(50, 132);
    let (mut child, mut terminal) = start(&mut command);
    let size = rustix::termios::tcgetwinsize(&terminal).unwrap();
    assert_eq!((size.ws_row, size.ws_col), (50, 132));
    let said = rest(&mut terminal);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{said}");
    assert_eq!(lines[1..], ["50 132", "all three"]);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_terminal_controls_the_session_so_that_its_keys_are_signals() {
    for init in [false, true] {
        // It ends when it is told that its last words were read: see `rest`.
        let mut command =
            contained("trap 'echo caught; read x; exit 5' INT; (: < /dev/tty) && echo ready; while :; do read x; done");
        command.terminal(24, 80).mount(Mount::dev("/dev")).init(init);
        let (mut child, mut terminal) = start(&mut command);
        until(&mut terminal, "ready");
        terminal.write_all(&[3]).unwrap();
        assert!(until(&mut terminal, "caught").contains("^C"));
        terminal.write_all(b"\n").unwrap();
        // Closed before its end, the terminal would hang up on it.
        assert_eq!(child.wait().unwrap().code(), Some(5), "init: {init}");
        drop(terminal);
    }
}

#[test]
fn what_is_given_otherwise_is_not_the_terminal() {
    let mut command =
        contained("test -t 0 && test -t 2 && ! test -t 1 && echo on the pipe && echo on the terminal >&2");
    command.terminal(24, 80).stdout(Stdio::piped()).mount(Mount::dev("/dev"));
    let (mut child, mut terminal) = start(&mut command);
    let mut piped = String::new();
    child.stdout.take().unwrap().read_to_string(&mut piped).unwrap();
    assert_eq!(piped, "on the pipe\n");
    assert_eq!(rest(&mut terminal), "on the terminal\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_session_of_its_own_without_a_terminal_has_no_dev_tty() {
    let mut command = contained("(: < /dev/tty) 2>&1 || true");
    let said = said(&command.new_session(true).output().unwrap());
    assert!(said.contains("No such device or address"), "{said}");
}

#[test]
fn closing_the_other_end_hangs_the_command_up() {
    let mut command = contained("echo ready; exec cat");
    command.terminal(24, 80).mount(Mount::dev("/dev")).init(true);
    let (mut child, mut terminal) = start(&mut command);
    until(&mut terminal, "ready");
    drop(terminal);
    let exit = child.wait().unwrap();
    assert!(exit.signal() == Some(1) || exit.code().is_some(), "SIGHUP, or the end of its input: {exit}");
}

#[test]
fn a_command_that_stops_over_and_over_holds_up_nobody() {
    // Each is told to a spawner that may not ask.
    let script = "i=0; while [ $i -lt 2000 ]; do kill -STOP $$; i=$((i+1)); done; exit 5";
    let waker = "while kill -CONT $PPID 2> /dev/null; do :; done";
    let mut command = contained(&format!("sh -c '{waker}' < /dev/null > /dev/null 2>&1 & {script}"));
    command.terminal(24, 80).mount(Mount::dev("/dev")).init(true);
    let (mut child, terminal) = start(&mut command);
    let exit = child.wait_timeout(seclude_tests::PATIENCE).unwrap();
    assert_eq!(exit.expect("it ends").code(), Some(5));
    drop(terminal);
}
