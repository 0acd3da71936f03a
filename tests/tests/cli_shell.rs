//! What the user of a shell expects: descriptors by their numbers, ignored signals, pids in variables, readers that leave.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use seclude_tests::{Background, Scratch, ends_within, pidfd, seclude, seclude_bin, seclude_command, stdout_of};

/// What a script says in which `$S` is seclude.
fn bash(script: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", script]).env("S", seclude_bin()).stdin(Stdio::null());
    command.output().expect("bash is there")
}

#[test]
fn descriptors_are_given_by_their_numbers_and_no_others() {
    let said = |script: &str| stdout_of(&bash(script));
    assert_eq!(said("$S run --fd 63 -- cat <(echo substituted)"), "substituted");
    assert_eq!(said("$S run --fd 5:3 -- cat /dev/fd/3 5< <(echo another number)"), "another number");
    assert_eq!(
        said(
            "echo x > /dev/null; exec 3</dev/null 4</dev/null 5</dev/null
        $S run --preserve-fds 2 -- sh -c 'for n in 3 4 5; do test -e /dev/fd/$n && echo $n; done; true'"
        ),
        "3\n4"
    );
    // As make's job server: both ends of a pipe, by the numbers that MAKEFLAGS names.
    let place = Scratch::new("jobs");
    place.file(
        "Makefile",
        "all:\n\t+@$(S) run --fd 3 --fd 4 -- sh -c 'test -e /dev/fd/3 && test -e /dev/fd/4 && echo both'\n",
    );
    assert_eq!(said("exec 3< <(echo +) 4>/dev/null; $S run --fd 3 --fd 4 -- sh -c 'read x <&3; echo $x'"), "+");
    assert_eq!(said("$S run -- sh -c 'test -e /dev/fd/63 || echo none' 63</dev/null"), "none");
}

#[test]
fn who_misses_a_descriptor_that_was_not_given_is_told_of_it() {
    let told = |script: &str| {
        let output = bash(script);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let of_ours = said.lines().filter(|line| line.starts_with("seclude: ")).collect::<Vec<_>>().join("|");
        (output.status.success(), of_ours)
    };
    let line = "seclude: /dev/fd/63 is a descriptor of the caller's, which the command is not given (--fd 63)";
    assert_eq!(told("$S run -- cat <(echo x)"), (false, line.to_owned()));
    assert_eq!(told("$S run -- sh -c 'cat ${1#*=}' sh --file=<(echo x)"), (false, line.to_owned()));
    // Not of one that it has, that nobody has, or that was not missed.
    for quiet in ["$S run --fd 63 -- cat <(echo x) /none", "$S run -- cat /dev/fd/63", "$S run -- true <(echo x)"] {
        assert_eq!(told(quiet).1, "", "{quiet}");
    }
    assert_eq!(told("$S run --preserve-fds 1 -- cat /dev/fd/3 /none 3</dev/null").1, "");
}

#[test]
fn any_number_of_descriptors_leaves_set_up_its_own() {
    // What set-up has open for later lies among those of the caller, and each number of them moves it.
    for more in
        ["", "--cap-add SYS_PTRACE", "--cap-add SYS_ADMIN --nested", "--stdio pipe --cap-add SYS_PTRACE", "--bare"]
    {
        for count in 0..12 {
            let open: String = (3..3 + count).map(|number| format!("exec {number}</etc/hostname; ")).collect();
            let numbers: Vec<String> = (0..3 + count).map(|number| number.to_string()).collect();
            for (kept, last) in [(format!("--preserve-fds {count}"), 3 + count), ("--clear-env".into(), 3)] {
                let look = r#"for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do test -e /dev/fd/$n && echo $n; done; true"#;
                let said = stdout_of(&bash(&format!("{open} $S run {more} {kept} -- /bin/sh -c '{look}'")));
                assert_eq!(said, numbers[..last].join("\n"), "{more} {kept}, {count} open");
            }
        }
    }
}

#[test]
fn all_that_a_command_has_written_arrives_also_where_others_of_its_go_on() {
    let all = ["--preset bare", "--share pid", "--no-namespaces", ""];
    let has_scopes = seclude_tests::has_landlock_scopes();
    for flags in all.into_iter().filter(|flags| has_scopes || *flags != "--no-namespaces") {
        for _ in 0..10 {
            let run = format!("$S run {flags} --stdio pipe -- head -c 300000 /dev/zero | wc -c");
            assert_eq!(stdout_of(&bash(&run)), "300000", "{flags}");
        }
    }
    // Who keeps the pipe is not waited for.
    let mut command =
        seclude_command(&["run", "--preset", "bare", "--stdio", "pipe", "sh", "-c", "sleep 60 & echo $!"]);
    let mut running = Background::of(&mut command);
    let left = running.line();
    assert_eq!(running.wait(), Some(0));
    assert!(Command::new("kill").arg(left).status().unwrap().success());
}

#[test]
fn a_terminal_is_had_by_any_user_of_one_without_a_size_and_by_a_reader_that_is_slow() {
    let said = |script: &str| stdout_of(&bash(script)).replace('\r', "");
    let of_no_size = "import os, pty, subprocess, sys\nour, their = pty.openpty()\n\
        print(subprocess.run(sys.argv[1:], stdin=their, stdout=their, stderr=subprocess.STDOUT).returncode, os.read(our, 100))";
    let run = |script: &str| said(&format!("python3 -c '{of_no_size}' $S run -t -- sh -c '{script}'"));
    assert_eq!(run("stty size"), "0 b'24 80\\r\\n'");
    let slow = "import os, subprocess, sys, time\nr, w = os.pipe()\nos.set_blocking(w, False)\n\
        p = subprocess.Popen(sys.argv[1:], stdout=w)\nos.close(w)\ntime.sleep(0.3)\ncount = 0\n\
        while data := os.read(r, 65536): count += len(data)\nprint(count, p.wait())";
    assert_eq!(said(&format!("python3 -c '{slow}' $S run -t -- seq 30000")), "198894 0");
    if seclude_tests::is_root() {
        let script = "echo out > /dev/stdout; stat -c %u $(tty)";
        assert_eq!(said(&format!("$S run -t --user 1000 -- sh -c '{script}'")), "out\n1000");
    }
}

#[test]
fn descriptors_that_cannot_be_meant_are_one_line() {
    for (flags, words) in [
        ("--fd 3", "--fd: descriptor 3 is not open"),
        // A file of seclude's own is none of the caller's.
        ("--report /dev/null --fd 3", "--fd: descriptor 3 is not open"),
        ("--fd 7 --fd 7", "--fd: descriptor 7 inside is given twice"),
        ("--fd 7 --fd 8:7", "--fd: descriptor 7 inside is given twice"),
        ("--fd 7:1", "--fd: 1 is a standard stream"),
        ("--fd -1", "-1"),
        ("--fd 7:", "is not a descriptor's number"),
        ("--fd x", "is not a descriptor's number"),
        ("--preserve-fds 9", "--preserve-fds: descriptor 3 is not open"),
        ("--preserve-fds 70000", "70000"),
    ] {
        let output = bash(&format!("exec 7</dev/null 8</dev/null; $S run {flags} true"));
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), line.lines().count()), (Some(125), 1), "{flags}: {line}");
        assert!(line.contains(words), "{flags}: {line}");
    }
}

#[test]
fn what_is_ignored_stays_ignored() {
    // As those of whoever runs the tests may be.
    let mask = |script: &str| {
        let said = stdout_of(&bash(&format!("{script} grep SigIgn /proc/self/status")));
        // The C library takes signals 32 and 33 for itself, whatever was done with them, once there is a second thread.
        u64::from_str_radix(said.trim_start_matches("SigIgn:").trim(), 16).unwrap() & !(0b11 << 31)
    };
    for before in ["", "trap '' HUP INT QUIT;", "trap '' PIPE;"] {
        for flags in ["", "--as-pid-1", "--bare", "--clone=legacy"] {
            let inside = mask(&format!("{before} $S run {flags}"));
            assert_eq!(inside, mask(before), "{before} {flags}");
        }
    }
    assert_eq!(mask("trap '' HUP INT QUIT;") & 0b111, 0b111);
    // seclude itself does not end by it either, nor hands it on.
    let killed = |before: &str| {
        let script = "$S run sh -c 'sleep 1; exit 0' & p=$!; sleep 0.3; kill -TERM $p; wait $p; exit $?";
        bash(&format!("{before} {script}")).status.code()
    };
    assert_eq!(killed("trap '' TERM;"), Some(0));
    assert_eq!(killed(""), Some(143), "otherwise it is the command's end");
}

#[test]
fn the_pid_of_a_detached_command_can_be_read_at_once() {
    let output = bash("pid=$($S run --detach sleep 1000 2>&1); echo $pid; readlink /proc/$pid/fd/1 || true");
    let said = stdout_of(&output);
    let pid: u32 = said.lines().next().and_then(|line| line.parse().ok()).expect("a pid");
    let container = pidfd(pid);
    assert!(!ends_within(&container, std::time::Duration::ZERO), "the reader did not wait for its end");
    rustix::process::pidfd_send_signal(&container, rustix::process::Signal::KILL).unwrap();
    assert!(ends_within(&container, seclude_tests::PATIENCE));
    // Asked for, it has them.
    let all = stdout_of(&bash("$S run --detach --stdio pass echo said | cat"));
    assert!(all.contains("said"), "{all}");
}

#[test]
fn a_terminal_whose_reader_has_seen_enough_ends_as_a_pipe_would() {
    for (script, statuses) in [("yes | head -1", "141 0"), ("$S run -t yes | head -1", "141 0")] {
        let output = bash(&format!("{script}; echo ${{PIPESTATUS[@]}}"));
        let said = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        assert_eq!(said, format!("y\n{statuses}\n"), "{script}");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn an_input_that_has_hung_up_is_not_asked_over_and_over() {
    let place = Scratch::new("polls");
    let trace = place.join("trace");
    let traced = |input: &str| {
        let script = format!(
            "strace -qq -e trace=poll,ppoll -o {} $S run -t sh -c 'sleep 1; echo over' < {input}",
            trace.display()
        );
        assert!(stdout_of(&bash(&script)).contains("over"));
        std::fs::read_to_string(&trace).unwrap().lines().count()
    };
    for input in ["<(true)", "<(sleep 0.1)", "/dev/null", "<(printf 'x')"] {
        let polls = traced(input);
        assert!(polls < 100, "{polls} polls for {input}");
    }
}

/// Name and state of each process below this one, proc_pid_stat(5).
fn below(pid: u32) -> Vec<(String, char)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((front, back)) = stat.rsplit_once(") ") else { continue };
        let (number, name) = front.split_once(" (").unwrap();
        let mut fields = back.split(' ');
        let (state, parent) = (fields.next().unwrap(), fields.next().unwrap());
        if parent == pid.to_string() {
            all.push((name.to_owned(), state.chars().next().unwrap()));
            all.extend(below(number.parse().unwrap()));
        }
    }
    all
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = std::time::Instant::now() + seclude_tests::PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < until, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn is_stopped(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().rsplit_once(") ").unwrap().1.starts_with('T')
}

/// As a shell starts its jobs: in a group of its own.
fn job(arguments: &[&str]) -> Background {
    Background::of(seclude_command(arguments).process_group(0))
}

#[test]
fn a_stop_signal_stops_the_command_too_and_one_to_continue_continues_it() {
    for flags in [&[][..], &["--as-pid-1"], &["--bare"], &["--bare", "--unshare=user,pid,mount"]] {
        let script = "echo up; read never";
        let mut running = job(&[&["run"], flags, &["sh", "-c", script]].concat());
        assert_eq!(running.line(), "up");
        let pid = running.pid();
        running.signal(Signal::TSTP);
        let shells = || below(pid).into_iter().filter(|(name, _)| name == "sh").map(|(_, state)| state);
        wait_until("seclude has stopped", || is_stopped(pid));
        wait_until("and the command", || shells().eq(['T']));
        running.signal(Signal::CONT);
        wait_until("it goes on", || !is_stopped(pid) && !shells().eq(['T']));
        running.signal(Signal::TERM);
        assert!(running.wait().is_some_and(|code| code >= 128), "{flags:?}");
    }
}

#[test]
fn a_deadline_is_kept_while_seclude_is_stopped() {
    let place = Scratch::new("deadline");
    let report = place.join("report").display().to_string();
    let mut running = job(&["run", "--report", &report, "--timeout", "2s", "sh", "-c", "echo up; sleep 1000"]);
    assert_eq!(running.line(), "up");
    let pid = running.pid();
    running.signal(Signal::TSTP);
    wait_until("it has stopped", || is_stopped(pid));
    wait_until("the command is gone", || !below(pid).iter().any(|(name, state)| name == "sh" && *state != 'Z'));
    assert!(is_stopped(pid));
    running.signal(Signal::CONT);
    assert_eq!(running.wait(), Some(137));
    assert!(std::fs::read_to_string(report).unwrap().contains("\"cause\": \"deadline\""));
}

#[test]
fn where_nobody_could_continue_it_a_stop_signal_does_nothing() {
    // As what sshd or an init starts: the leader of a session.
    let mut command = Command::new("setsid");
    command.arg(seclude_bin()).args(["run", "sh", "-c", "echo up; read line; echo $line"]);
    let mut running = Background::of(&mut command);
    assert_eq!(running.line(), "up");
    running.signal(Signal::TSTP);
    std::io::Write::write_all(running.child().stdin.as_mut().unwrap(), b"goes on\n").unwrap();
    assert_eq!(running.line(), "goes on");
    assert_eq!(running.wait(), Some(0));
}

#[test]
fn flags_about_descriptors_are_in_the_help() {
    let help = stdout_of(&seclude(&["run", "--help"]));
    for flag in ["--fd <N[:M]>", "--preserve-fds <N>"] {
        assert!(help.contains(flag), "{flag}");
    }
}
