//! The init: process 1 that reaps, forwards signals and ends with the command.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use seclude::{Cause, Child, Code, Command, Side, Stdio};
use seclude_tests::{PATIENCE, ends_within, pidfd, said, shell};

use super::contained;

const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;

fn below_init(script: &str) -> Command {
    let mut command = contained(script);
    command.init(true);
    command
}

#[test]
fn the_command_is_not_process_1_but_its_child() {
    let script =
        "echo $$; cat /proc/1/comm; grep PPid /proc/self/status; for fd in /proc/$$/fd/*; do echo ${fd##*/}; done";
    let plain = said(&contained(script).output().unwrap());
    assert_eq!(plain.lines().take(2).collect::<Vec<_>>(), ["1", "sh"]);
    let said = said(&below_init(script).output().unwrap());
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "2");
    assert_ne!(lines[1], "sh");
    assert_eq!(lines[2], "PPid:\t2", "of grep");
    assert_eq!(lines[3..], ["0", "1", "2", "3"], "stdio, and the directory that is being listed");
}

#[test]
fn the_init_ends_as_its_command_did() {
    for code in [0, 1, 42, 255] {
        let exit = below_init(&format!("exit {code}")).status().unwrap();
        assert_eq!((exit.code(), exit.cause()), (Some(code), Cause::Exited));
    }
    for signal in [9, 15, 6, 1] {
        let exit = below_init(&format!("ulimit -c 0; kill -{signal} $$")).status().unwrap();
        assert_eq!((exit.signal(), exit.code(), exit.cause()), (Some(signal), None, Cause::Signaled));
        assert_eq!(i32::from(exit.shell_code()), 128 + signal);
    }
}

/// Has the init make a system call of ours, as whoever had taken it over could; answers what was said of that.
fn made_to_call(pid: u32, number: u32, first: u32) -> String {
    // It waits in one: its next instruction is behind that.
    let set = [("rax", number.to_string()), ("orig_rax", "-1".into()), ("rdi", first.to_string()), ("rsi", "0".into())];
    let mut gdb = std::process::Command::new("gdb");
    gdb.args(["-q", "-batch", "-p", &pid.to_string()]);
    for (register, value) in set {
        gdb.args(["-ex", &format!("set ${register}={value}")]);
    }
    gdb.args(["-ex", "set $rip=$rip-2", "-ex", "stepi", "-ex", "print $rax"]);
    String::from_utf8_lossy(&gdb.output().unwrap().stdout).into_owned()
}

#[test]
fn whoever_takes_over_the_init_can_ask_the_kernel_for_next_to_nothing() {
    const KILL: u32 = 62;
    const GETPID: u32 = 39;
    seclude_tests::root_only!();
    if !std::path::Path::new("/usr/bin/gdb").exists() {
        return eprintln!("left out: the host has no gdb");
    }
    let mut child = below_init("read never").stdin(Stdio::piped()).spawn().unwrap();
    // Signal 0 to itself, as PID 1, is among what it needs.
    let said = made_to_call(child.id(), KILL, 1);
    assert!(said.contains("$1 = 0"), "{said}");
    assert!(child.try_wait().unwrap().is_none());
    let said = made_to_call(child.id(), GETPID, 0);
    assert!(said.contains("SIGSYS"), "{said}");
    assert_eq!(child.wait().unwrap().signal(), Some(31), "and with it the container ends");
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

#[test]
fn an_orphan_is_reaped_by_the_init_and_stays_a_zombie_without_one() {
    for init in [false, true] {
        let mut command =
            contained("exec 3<&0; sh -c 'cat <&3 & echo orphaned'; exec 3<&-; exec sleep 1000 < /dev/null");
        let mut child = command.init(init).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "orphaned\n");
        let orphan = descendant(child.id(), b"cat\0");
        // Not before the shell is gone, which would reap it.
        descendant(child.id(), b"sleep\0");
        let end = pidfd(orphan);
        drop(child.stdin.take());
        assert!(ends_within(&end, PATIENCE), "its input has ended");
        if init {
            let started = Instant::now();
            while state(orphan).is_some() && started.elapsed() < PATIENCE {
                std::thread::yield_now();
            }
            assert_eq!(state(orphan), None, "reaped");
        } else {
            assert_eq!(state(orphan), Some('Z'), "nobody waits for it");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(state(orphan), None, "it goes with its namespace");
    }
}

/// The process below `pid` whose command line begins with these bytes.
fn descendant(pid: u32, begins: &[u8]) -> u32 {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let mut below = vec![pid];
        while let Some(pid) = below.pop() {
            if fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(begins)) {
                return pid;
            }
            let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            below.extend(list.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
        }
    }
    panic!("no {begins:?} below {pid}");
}

#[test]
fn a_signal_to_the_init_goes_to_the_command() {
    let mut command = below_init("trap 'echo got it; exit 7' TERM; echo ready; while :; do read line; done");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let stdin = child.stdin.take();
    child.signal(15).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "got it\n");
    assert_eq!(child.wait().unwrap().code(), Some(7));
    drop(stdin);
}

#[test]
fn a_command_without_a_handler_ends_by_a_signal_below_an_init_and_not_as_process_1() {
    for init in [false, true] {
        let mut command = Command::new("/bin/cat");
        for kind in [seclude::Namespace::User, seclude::Namespace::Mount, seclude::Namespace::Pid] {
            command.unshare(kind);
        }
        let mut child = command.init(init).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.signal(15).unwrap();
        if init {
            let stdin = child.stdin.take();
            assert_eq!(child.wait().unwrap().signal(), Some(15));
            drop(stdin);
        } else {
            child.stdin.as_mut().unwrap().write_all(b"still here\n").unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "still here\n");
            assert!(child.wait().unwrap().success());
        }
    }
}

fn comes_to_be(pid: u32, stopped: bool) -> bool {
    let started = Instant::now();
    while (state(pid) == Some('T')) != stopped {
        if started.elapsed() > PATIENCE {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn sigstop_by_the_handle_stops_the_command_and_not_its_init() {
    let ways: [fn(&Child, i32) -> std::io::Result<()>; 3] =
        [Child::signal, Child::signal_group, |child, signal| child.signaller().send(signal)];
    for send in ways {
        let mut child = below_init("exec cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let command = descendant(child.id(), b"cat\0");
        send(&child, SIGSTOP).unwrap();
        assert!(comes_to_be(command, true));
        assert_ne!(state(child.id()), Some('T'), "the init goes on");
        send(&child, SIGCONT).unwrap();
        assert!(comes_to_be(command, false));
        // The last of them counts, however soon it comes.
        for _ in 0..100 {
            send(&child, SIGSTOP).unwrap();
            send(&child, SIGCONT).unwrap();
        }
        child.stdin.as_mut().unwrap().write_all(b"goes on\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "goes on\n");
        // What comes meanwhile waits for it, as with any process that is stopped.
        send(&child, SIGSTOP).unwrap();
        assert!(comes_to_be(command, true));
        send(&child, 15).unwrap();
        assert_eq!(child.wait_timeout(Duration::from_millis(50)).unwrap(), None);
        send(&child, SIGCONT).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(15));
    }
    // Contrast: without an init it is the process itself.
    let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
    child.signal(SIGSTOP).unwrap();
    assert!(comes_to_be(child.id(), true));
    child.kill().unwrap();
}

#[test]
fn what_the_command_leaves_running_ends_with_it() {
    let mut command = below_init("sleep 1000 & echo started; read line; exit 3");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let left = pidfd(descendant(child.id(), b"sleep\0"));
    assert!(!ends_within(&left, Duration::ZERO));
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(ends_within(&left, PATIENCE));
}

#[test]
fn an_init_without_a_pid_namespace_is_refused() {
    let error = shell("true").init(true).spawn().unwrap_err();
    assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "exec", Side::Plan), "{error}");
}

#[test]
fn two_hundred_orphans_leave_no_zombie() {
    let script = "i=0; while [ $i -lt 200 ]; do (true &); i=$((i+1)); done
        while cat /proc/[0-9]*/stat 2>/dev/null | grep -q ') Z '; do :; done; echo none";
    assert_eq!(said(&below_init(script).output().unwrap()), "none");
}

#[test]
fn nobody_gets_children_of_whoever_started_the_command() {
    // CLONE_PARENT: below an init they are that one's, who reaps them; otherwise they would be zombies of this process, or outlive the command.
    let script = "import ctypes, os\nclone = ctypes.CDLL(None, use_errno=True).syscall\n\
                  made = clone(56 if os.uname().machine == 'x86_64' else 220, 0x8000 | 17, 0, 0, 0, 0)\n\
                  if made == 0: os._exit(0)\nprint('made' if made > 0 else ctypes.get_errno(), os.system('true'))";
    for (flags, said) in [
        (&[][..], "made 0"),
        (&["--share", "pid"], "1 0"),
        (&["--no-namespaces"], "1 0"),
        (&["--share", "pid", "--seccomp", "none"], "made 0"),
    ] {
        if flags.contains(&"--no-namespaces") && !seclude_tests::has_landlock_scopes() {
            continue;
        }
        let arguments = [&["run"], flags, &["/usr/bin/python3", "-c", script]].concat();
        let output = seclude_tests::seclude_command(&arguments).current_dir("/usr").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), said, "{flags:?}: {output:?}");
    }
}
