//! 6, 14: what holds a start up, and what is done by a path that is somebody else's by then.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use seclude::{Canceller, Code};
use seclude_tests::{Background, Scratch, has_overlays, refusal, seclude_command, until_held};

use super::opened;

/// Holds a lease on a file until its standard input ends: whoever executes it waits, up to fs.lease-break-time (45 s).
const LEASE: &str = "import fcntl, os, signal, sys\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\n\
    fd = os.open(sys.argv[1], os.O_RDWR)\nfcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
    print('held', flush=True)\nsys.stdin.read()";

pub(super) struct Leased {
    holder: Background,
    pub(super) file: std::path::PathBuf,
    _scratch: Scratch,
}

pub(super) fn leased() -> Leased {
    let scratch = Scratch::new("leased");
    opened(&scratch);
    let file = scratch.executable("program", "#!/bin/sh\nexit 0\n");
    let mut holder = Background::of(Command::new("python3").args(["-c", LEASE]).arg(&file));
    assert_eq!(holder.line(), "held");
    Leased { holder, file, _scratch: scratch }
}

fn sandbox(leased: &Leased) -> seclude::Command {
    let mut command = seclude::Command::new("/mnt/program");
    command.sandbox().mount(seclude::Mount::bind(leased.file.parent().unwrap(), "/mnt").read_only());
    command
}

#[test]
fn a_deadline_holds_from_the_first_moment_on() {
    let leased = leased();
    for first in [false, true] {
        let started = Instant::now();
        let mut command = sandbox(&leased);
        if first {
            command.as_pid_1();
        }
        let error = command.deadline(Duration::from_millis(300)).spawn().expect_err("nobody answers");
        assert_eq!(error.code(), Code::Deadline, "{error}");
        assert!(error.left_behind().is_empty(), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20), "long before the lease is broken");
    }
    drop(leased);
}

#[test]
fn a_start_without_a_deadline_ends_by_its_canceller_and_holds_nobody_else_up() {
    let leased = leased();
    let canceller = Canceller::new().unwrap();
    let mut command = sandbox(&leased);
    command.cancelled_by(&canceller);
    let stuck = std::thread::spawn(move || command.spawn().map(drop));
    // Others that change ids and write maps go on meanwhile.
    for _ in 0..5 {
        let mut other = seclude::Command::new("/bin/true");
        assert!(other.sandbox().status().unwrap().success());
    }
    assert!(!stuck.is_finished());
    canceller.cancel();
    let error = stuck.join().unwrap().expect_err("it was given up");
    assert_eq!(error.code(), Code::Cancelled, "{error}");
    let error = sandbox(&leased).cancelled_by(&canceller).spawn().expect_err("it is for good");
    assert_eq!(error.code(), Code::Cancelled);
    drop(leased);
}

#[test]
fn the_command_can_be_ended_while_it_starts() {
    let leased = leased();
    let bind = format!("{}:/mnt", leased.file.parent().unwrap().display());
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let mut run = seclude_command(&["run", "--ro-bind", &bind, "/mnt/program"]);
        let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Before it holds signals they end it as they end anybody.
        until_held(child.id(), number);
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let started = Instant::now();
        let status = child.wait().unwrap();
        assert!(started.elapsed() < Duration::from_secs(20));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(128 + number), "{said}");
        assert!(said.contains(&format!("ended by signal {number} before the command ran")), "{said}");
    }
    // Without the lease it runs.
    drop(leased.holder);
    assert!(seclude_command(&["run", "--ro-bind", &bind, "/mnt/program"]).status().unwrap().success());
    let late = refusal(125, &seclude_command(&["run", "--timeout", "0.000001", "true"]).output().unwrap());
    assert!(late.contains("deadline") || late.contains("--timeout"), "{late}");
}

#[test]
fn a_container_ends_with_its_spawner_whoever_has_a_copy_of_what_it_is_told_by() {
    use rustix::fs::FileType;
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
    let lasts = |flags: &[&str]| {
        let arguments = [&["run"], flags, &["--", "/bin/sh", "-c", "echo runs; exec sleep 20"]].concat();
        let mut command = seclude_tests::seclude_command(&arguments);
        let mut child = command.current_dir("/usr").stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        assert_eq!(line, "runs\n");
        // Whoever was forked from the spawner meanwhile has one of each.
        let spawner = Pid::from_child(&child);
        let pidfd = pidfd_open(spawner, PidfdFlags::empty()).unwrap();
        let all = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        let numbers = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok());
        let copies = numbers.filter_map(|number| pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()).ok());
        let is_socket = |fd: &std::os::fd::OwnedFd| {
            FileType::from_raw_mode(rustix::fs::fstat(fd).unwrap().st_mode) == FileType::Socket
        };
        let copies: Vec<_> = copies.filter(is_socket).collect();
        assert!(!copies.is_empty());
        kill_process(spawner, Signal::KILL).unwrap();
        child.wait().unwrap();
        // The end of what it writes to tells of its end.
        let mut polled = [rustix::event::PollFd::new(said.get_ref(), rustix::event::PollFlags::IN)];
        let second = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
        rustix::event::poll(&mut polled, Some(&second)).unwrap()
    };
    assert_eq!(lasts(&[]), 1, "its output is closed");
    assert_eq!(lasts(&["--preset", "host"]), 1);
}

#[test]
fn what_is_removed_at_the_end_is_what_was_made_and_nothing_that_lies_there_by_then() {
    if !has_overlays() {
        return;
    }
    let (own, victim) = (Scratch::new("layers"), Scratch::new("victim"));
    opened(&own);
    for directory in ["lower", "upper", "work"] {
        own.directory(directory);
    }
    // As root's layers have to be: see `what_is_copied_up_with_its_bits_is_where_nobody_starts_it`.
    fs::set_permissions(own.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    victim.file("work/precious/file", "of the host");
    let before = victim.listing();
    let mount = format!("lower={0}/lower,upper={0}/upper,work={0}/work,to=/mnt", own.path().display());
    let mut run = Background::start(&["run", "--overlay-mount", &mount, "sh", "-c", "echo runs; read x"]);
    assert_eq!(run.line(), "runs");
    fs::rename(own.join("work"), own.join("moved")).unwrap();
    symlink(victim.path(), own.join("work")).unwrap();
    drop(run.child().stdin.take());
    run.wait();
    assert_eq!(victim.listing(), before, "not followed");
    assert!(!own.join("moved/work").exists(), "what the kernel made is gone, wherever it is");
}
