//! How a run ends: exit codes, signals, deadlines, parents that die, reports, and the streams meanwhile.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, Signal, kill_process};
use seclude_tests::{
    Background, PATIENCE, Scratch, busybox_root, ends_within, outside, pidfd, refusal, refused, seclude, seclude_bin,
    seclude_command, stdout_of,
};

const WAYS: [&str; 3] = ["vm", "copy", "legacy"];

/// A run that has said "ready".
fn ready(flags: &[&str], script: &str) -> Background {
    let arguments = [&["run"], flags, &["--", "/bin/sh", "-c", script]].concat();
    let mut running = Background::start(&arguments);
    assert_eq!(running.line(), "ready");
    running
}

/// A run with -v, and the pid of its first process as the host has it.
fn told(flags: &[&str], script: &str) -> (Background, u32) {
    let arguments = [&["run", "-v"], flags, &["--", "/bin/sh", "-c", script]].concat();
    let mut running = Background::of(seclude_command(&arguments).stderr(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(running.child().stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let pid = line.strip_prefix("seclude: pid ").and_then(|rest| rest.split(',').next()).expect("-v tells the pid");
    (running, pid.parse().unwrap())
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).expect("it runs");
}

#[test]
fn the_commands_own_exit_code_is_seclude_s() {
    for code in [0, 1, 42, 125, 126, 127, 200, 255] {
        for flags in [&[][..], &["--init"], &["--clone=legacy"]] {
            let arguments = [&["run"], flags, &["sh", "-c"]].concat();
            let output = seclude(&[&arguments[..], &[&format!("exit {code}")]].concat());
            assert_eq!(output.status.code(), Some(code), "{flags:?}");
            assert!(output.stderr.is_empty(), "seclude has nothing to add");
        }
    }
}

#[test]
fn a_command_that_a_signal_ends_is_128_and_its_number() {
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("USR2", 12)] {
        // With the init the command is not process one, which would be spared; without, its child ends.
        let kill = format!("sh -c 'kill -{signal} $$'");
        assert_eq!(
            seclude(&["run", "--init", "sh", "-c", &format!("kill -{signal} $$")]).status.code(),
            Some(128 + number)
        );
        assert_eq!(seclude(&["run", "sh", "-c", &kill]).status.code(), Some(128 + number));
    }
}

#[test]
fn what_cannot_run_is_127_or_126_and_a_failed_start_125() {
    let root = busybox_root("codes");
    root.file("bin/plain", "text");
    let base = root.path().to_str().unwrap();
    let run = |code, program| refused(code, &["run", "--root", base, program]);
    assert!(run(127, "no-such-command").contains("no such command"));
    assert!(run(127, "/no/such/command").contains("no such command"));
    assert!(run(126, "/bin/plain").contains("may not be executed"));
    assert!(run(126, "/bin").contains("directory"));
    assert!(refused(125, &["run", "--root", "/no/such/root", "true"]).contains("/no/such/root"));
    assert_eq!(stdout_of(&seclude(&["run", "--root", base, "echo", "runs"])), "runs");
}

#[test]
fn a_signal_that_the_command_handles_reaches_it() {
    for flags in [&[][..], &["--init"], &["--share=mount,pid"]] {
        for (signal, name) in [
            (Signal::TERM, "TERM"),
            (Signal::INT, "INT"),
            (Signal::HUP, "HUP"),
            (Signal::USR1, "USR1"),
            (Signal::USR2, "USR2"),
        ] {
            // A shell that is about to read looks for signals before, and not when one comes in between.
            let script = format!("trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.02; done");
            let running = ready(flags, &script);
            running.signal(signal);
            assert_eq!(running.end(), (Some(7), format!("got {name}")), "{flags:?}");
        }
    }
}

#[test]
fn a_signal_that_would_end_any_other_command_ends_one_that_is_process_one() {
    for flags in [&[][..], &["--init"], &["--share=mount,pid"]] {
        for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2), (Signal::HUP, 1), (Signal::USR1, 10)] {
            // No shell: it would catch SIGINT, and as process one not be ended by its own kill.
            let mut running = Background::start(&[&["run"], flags, &["--", "/bin/cat"]].concat());
            running.child().stdin.as_mut().unwrap().write_all(b"ready\n").unwrap();
            assert_eq!(running.line(), "ready");
            running.signal(signal);
            assert_eq!(running.end().0, Some(128 + number), "{flags:?}");
        }
    }
}

#[test]
fn a_signal_that_the_command_ignores_does_not_end_it() {
    for flags in [&[][..], &["--init"]] {
        let mut running = ready(flags, "trap '' TERM; echo ready; read line; echo $line");
        running.signal(Signal::TERM);
        running.child().stdin.as_mut().unwrap().write_all(b"still here\n").unwrap();
        assert_eq!(running.end(), (Some(0), "still here".into()), "{flags:?}");
    }
}

#[test]
fn a_deadline_kills_everything_and_is_told_in_one_line() {
    for flags in [&[][..], &["--init"]] {
        let script = "trap '' TERM; (trap '' TERM; exec sleep 1000) & exec sleep 1000";
        let arguments = [&["run", "--timeout", "100ms"], flags, &["sh", "-c", script]].concat();
        // The pipe ends when the last process that has it ends.
        let output = seclude(&arguments);
        assert!(refusal(137, &output).contains("--timeout"));
    }
    let output = seclude(&["run", "--timeout", "1h", "sh", "-c", "exit 3"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(3), 0), "one that has not passed changes nothing");
    let output = seclude(&["run", "--timeout", "1h", "--init", "sh", "-c", "kill -9 $$"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(137), 0), "another's SIGKILL is no deadline");
}

#[test]
fn a_container_dies_with_seclude_unless_told_otherwise() {
    for way in WAYS {
        for init in [&[][..], &["--init"]] {
            let clone = format!("--clone={way}");
            let flags = [&[clone.as_str()], init].concat();
            let (running, first) = told(&flags, "trap '' TERM HUP; sleep 1000 & wait");
            let container = pidfd(first);
            running.signal(Signal::KILL);
            assert!(ends_within(&container, PATIENCE), "{flags:?}");

            let (mut running, first) =
                told(&[&flags[..], &["--no-die-with-parent"]].concat(), "echo on; read x; exit 0");
            assert_eq!(running.line(), "on");
            let container = pidfd(first);
            let keyboard = running.child().stdin.take();
            running.signal(Signal::KILL);
            assert_eq!(running.wait(), None, "seclude itself was killed");
            assert!(!ends_within(&container, std::time::Duration::ZERO), "{flags:?}: it goes on");
            // It reads our pipe, so it ends when we close that; killed, should it not.
            drop(keyboard);
            let ended = ends_within(&container, PATIENCE);
            if !ended {
                kill(first);
            }
            assert!(ended);
        }
    }
}

#[test]
fn a_container_dies_with_a_seclude_that_its_caller_kills_before_it_says_a_word() {
    // Whenever the blow falls: during the set-up, at the exec, or later.
    let own = Scratch::new("early");
    let lock = own.file("lock", "");
    let bind = format!("{}:/mnt", own.path().display());
    for round in 0..40 {
        let mut command = seclude_command(&["run", "--bind", &bind, "flock", "/mnt/lock", "sleep", "1000"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        for _ in 0..round * 20_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // Whoever holds the lock still lives; this waits for it, and would hang.
    outside(&format!("flock -w 60 {} true", lock.display()));
}

#[test]
fn a_detached_command_goes_on_and_its_pid_is_told() {
    for init in [&[][..], &["--init"]] {
        let own = Scratch::new("detached");
        let fifo = own.join("fifo");
        outside(&format!("mkfifo {}", fifo.display()));
        let bind = format!("{}:/mnt", own.path().display());
        let script =
            "readlink /proc/$$/fd/0 > /mnt/stdin; exec > /dev/null 2>&1; read line < /mnt/fifo; echo $line > /mnt/said";
        let arguments = [&["run", "--detach", "--bind", &bind], init, &["sh", "-c", script]].concat();
        let pid: u32 = stdout_of(&seclude(&arguments)).parse().expect("a pid and nothing else");
        let container = pidfd(pid);
        assert!(!ends_within(&container, std::time::Duration::ZERO), "it runs though seclude has ended");
        std::fs::write(&fifo, "go on\n").unwrap();
        let ended = ends_within(&container, PATIENCE);
        if !ended {
            kill(pid);
        }
        assert!(ended);
        assert_eq!(std::fs::read_to_string(own.join("said")).unwrap(), "go on\n");
        assert_eq!(std::fs::read_to_string(own.join("stdin")).unwrap(), "/dev/null\n");
    }
}

#[test]
fn a_detached_command_whose_pid_cannot_be_told_is_not_left_running() {
    let mut command = seclude_command(&["run", "--detach", "sleep", "20"]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    // The end of this pipe comes when nobody has it any more.
    std::thread::spawn(move || {
        let mut said = String::new();
        let _ = stderr.read_to_string(&mut said);
        sender.send(said)
    });
    assert_eq!(child.wait().unwrap().code(), Some(125));
    let said = receiver.recv_timeout(std::time::Duration::from_secs(10)).expect("nothing is left running");
    assert!(said.starts_with("seclude: ") && said.lines().count() == 1, "{said}");
}

fn report(arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let own = Scratch::new("report");
    let file = own.join("report.json");
    let all = [&["run", "--report", file.to_str().unwrap()], arguments].concat();
    let code = seclude(&all).status.code();
    let text = std::fs::read_to_string(&file).unwrap();
    (code, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

#[test]
fn a_report_tells_how_the_command_ended_and_how_it_was_made() {
    let (code, json) = report(&["sh", "-c", "exit 9"]);
    assert_eq!(code, Some(9));
    assert_eq!((&json["cause"], &json["code"], &json["signal"]), (&"exited".into(), &9.into(), &().into()));
    assert_eq!(json["spawn"]["clone"], "vm");
    assert_eq!(json["spawn"]["shared_memory"], true);
    for key in ["prepare_us", "clone_us", "attend_us", "set_up_us"] {
        assert!(json["spawn"][key].as_f64().is_some_and(|time| time > 0.0), "{key}: {json}");
    }
    let steps = json["spawn"]["child"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["step"] == "mount" && step["us"].as_f64() > Some(0.0)), "{steps:?}");
    assert!(json["wall_us"].as_f64() > Some(0.0));

    let (_, json) = report(&["--clone", "copy", "true"]);
    assert_eq!((&json["spawn"]["clone"], &json["spawn"]["shared_memory"]), (&"copy".into(), &false.into()));
}

#[test]
fn a_report_tells_a_signal_from_a_deadline_and_both_from_no_start() {
    let (code, json) = report(&["--init", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(code, Some(143));
    assert_eq!((&json["cause"], &json["code"], &json["signal"]), (&"signaled".into(), &().into(), &15.into()));

    let (code, json) = report(&["--timeout", "50ms", "sleep", "1000"]);
    assert_eq!(code, Some(137));
    assert_eq!((&json["cause"], &json["signal"]), (&"deadline".into(), &9.into()));

    let (code, json) = report(&["/no/such/command"]);
    assert_eq!(code, Some(127));
    assert_eq!(json["cause"], "not-started");
    let error = &json["error"];
    assert_eq!(
        (&error["code"], &error["step"], &error["side"]),
        (&"not-found".into(), &"exec".into(), &"child".into())
    );
    assert_eq!((&error["errno"], &error["call"]), (&"ENOENT".into(), &"execve".into()));
    assert_eq!(error["left_behind"], serde_json::json!([]));

    let (code, json) = report(&["--workdir", "relative", "true"]);
    assert_eq!((code, &json["cause"]), (Some(125), &"not-started".into()));
    assert_eq!((&json["error"]["code"], &json["error"]["side"]), (&"invalid".into(), &"plan".into()));

    let own = Scratch::new("report-signal");
    let file = own.join("report.json");
    let running = ready(&["--report", file.to_str().unwrap()], "echo ready; exec sleep 1000");
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, Some(143));
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((&json["cause"], &json["signal"]), (&"signaled".into(), &15.into()), "{json}");
}

#[test]
fn a_report_is_written_to_nothing_that_has_another_name() {
    // A command that could write there may have left one, to change what the next report says.
    let own = Scratch::new("linked-report");
    let (report, other) = (own.file("report", "before"), own.join("other"));
    std::fs::hard_link(&report, &other).unwrap();
    let line = refused(125, &["run", "--report", report.to_str().unwrap(), "true"]);
    assert!(line.contains("other names"), "{line}");
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "before");
    std::fs::remove_file(&other).unwrap();
    assert!(seclude_command(&["run", "--report", report.to_str().unwrap(), "true"]).status().unwrap().success());
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_before_anything_runs() {
    let own = Scratch::new("no-report");
    let bind = format!("{}:/mnt", own.path().display());
    let line = refused(125, &["run", "--report", "/no/such/place/report", "--bind", &bind, "sh", "-c", "> /mnt/ran"]);
    assert!(line.contains("/no/such/place/report"));
    assert!(own.listing().is_empty());
}

#[test]
fn much_data_goes_through_both_ways() {
    let mut command = seclude_command(&["run", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let sent: Vec<u8> = (0..4_000_000u32).map(|number| (number * 7 % 251) as u8).collect();
    let copy = sent.clone();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&copy));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success() && output.stdout == sent);
}

#[test]
fn a_command_whose_reader_is_gone_ends_by_sigpipe() {
    for way in WAYS {
        for init in [&[][..], &["--init"]] {
            let arguments = [&["run", "--clone", way], init, &["sh", "-c", "yes; echo $? >&2"]].concat();
            let mut child = seclude_command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut some = [0; 1000];
            child.stdout.take().unwrap().read_exact(&mut some).unwrap();
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            child.wait().unwrap();
            assert_eq!(said, "141\n", "{way}: 128 + SIGPIPE, which must not be ignored");
        }
    }
}

#[test]
fn a_reader_that_does_not_read_holds_up_no_end() {
    // A pipe of one page: what does not fit in it is little, and the terminal or the relay's own pipe holds that for
    // certain. How much a full pipe of 16 pages holds depends on the sizes of the writes.
    let start = |flags: &[&str], script: &str| {
        let arguments = [&["run"], flags, &["--", "sh", "-c", script]].concat();
        let (reader, writer) = std::io::pipe().unwrap();
        fcntl_setpipe_size(&writer, 4096).unwrap();
        let mut command = seclude_command(&arguments);
        let child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
        (child, reader)
    };
    let more_than_it_holds = "head -c 6000 /dev/zero";
    let mut ways = vec![vec!["--stdio", "pipe"], vec!["-t"]];
    ways.push(vec!["--preset", "bare", "--stdio", "pipe"]);
    for way in &ways {
        // Killed at its deadline.
        let (mut late, _reader) = start(&[&way[..], &["--timeout", "1s"]].concat(), "exec yes");
        assert_eq!(status_of(&mut late), Some(137), "{way:?}");
        // At a deadline that passes after its end, which no success hides.
        let (mut late, _reader) = start(&[&way[..], &["--timeout", "3s"]].concat(), more_than_it_holds);
        assert_eq!(status_of(&mut late), Some(125), "{way:?}");
        // By a signal, while what it wrote before its end waits.
        let (mut ended, mut reader) = start(way, more_than_it_holds);
        let mut some = [0; 1];
        reader.read_exact(&mut some).unwrap();
        while !has_ended(ended.id()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(ended.try_wait().unwrap(), None, "{way:?}: a reader that comes later finds all of it");
        kill_process(Pid::from_child(&ended), Signal::TERM).unwrap();
        assert_eq!(status_of(&mut ended), Some(143), "{way:?}");
        // By one that comes after its end, before that is seen.
        let (mut ended, mut reader) = start(way, &format!("{more_than_it_holds}; sleep 0.3"));
        reader.read_exact(&mut some).unwrap();
        end_unseen(&ended);
        assert_eq!(status_of(&mut ended), Some(143), "{way:?}");
        // Who reads has all of it, and the status is the command's own.
        let (mut ended, mut reader) = start(way, &format!("{more_than_it_holds}; sleep 0.3; exit 7"));
        reader.read_exact(&mut some).unwrap();
        end_unseen(&ended);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!((rest.len(), status_of(&mut ended)), (5999, Some(7)), "{way:?}");
        // The contrast.
        let (mut read, mut reader) = start(way, more_than_it_holds);
        std::thread::sleep(Duration::from_millis(300));
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!((all.len(), read.wait().unwrap().code()), (6000, Some(0)), "{way:?}");
    }
}

/// A signal that comes when the command has ended, and seclude, which is stopped meanwhile, has not seen that.
fn end_unseen(child: &std::process::Child) {
    let seclude = Pid::from_child(child);
    kill_process(seclude, Signal::STOP).unwrap();
    while !has_ended(child.id()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(seclude, Signal::TERM).unwrap();
    kill_process(seclude, Signal::CONT).unwrap();
}

/// What it ends with, while nobody reads what it writes.
fn status_of(child: &mut std::process::Child) -> Option<i32> {
    assert!(ends_within(pidfd(child.id()), PATIENCE));
    child.wait().unwrap().code()
}

/// Whether what it has started has ended.
fn has_ended(pid: u32) -> bool {
    let all = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    all.split_whitespace().all(|child| {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
    })
}

#[test]
fn whoever_waits_for_nobody_is_not_asked_to_wait() {
    let own = Scratch::new("no-waiting");
    let spec = |text: &str| own.file("box.toml", text).to_str().unwrap().to_owned();
    for (text, key) in [("deadline = \"2s\"", "deadline"), ("[terminal]\nrows = 24\ncolumns = 80", "terminal")] {
        let file = spec(&format!("command = [\"true\"]\n{text}\n"));
        let line = refused(125, &["run", "--detach", "--spec", &file]);
        assert!(line.contains("--detach") && line.contains(&format!("--spec {file}: {key}")), "{line}");
        assert!(
            seclude_command(&["run", "--spec", &file]).output().unwrap().status.success(),
            "without it, it is kept"
        );
    }
}

#[test]
fn every_signal_that_its_caller_ignores_is_ignored_in_the_command_and_no_other() {
    let ignored = |caught: &str, flags: &str| {
        let bin = seclude_bin();
        let run = if flags == "none" { String::new() } else { format!("'{}' run {flags}", bin.display()) };
        // SIGKILL and SIGSTOP cannot be, and 32 and 33 are the C library's own.
        let said = outside(&format!(
            "for i in {caught}; do trap '' $i; done; {run} sed -n 's/^SigIgn:.//p' /proc/self/status"
        ));
        u64::from_str_radix(&said, 16).unwrap_or_else(|_| panic!("{said}")) & !(3 << 31)
    };
    let all = "$(seq 1 8) $(seq 10 18) $(seq 20 31) $(seq 34 64)";
    for caught in [all, "13", "1 2 3", ""] {
        let without = ignored(caught, "none");
        assert_eq!(without == 0, caught.is_empty(), "{without:x}");
        for flags in ["", "--as-pid-1", "--bare", "--clone copy"] {
            assert_eq!(ignored(caught, flags), without, "{caught:?} with {flags:?}");
        }
    }
}

#[test]
fn messages_that_nobody_reads_any_more_do_not_change_how_it_ends() {
    // The command waits until the reader is gone, so that what is said of its end cannot arrive.
    let (mut running, _) = told(&[], "read -r _; exit 7");
    drop(running.child().stderr.take());
    drop(running.child().stdin.take());
    assert_eq!(running.wait(), Some(7), "the command's status, and no loop");
}

#[test]
fn what_seclude_itself_prints_to_a_closed_pipe_or_a_full_disk_is_no_panic() {
    let bin = seclude_bin();
    for task in ["explain true", "explain --json true", "doctor", "doctor --json", "completions zsh", "man"] {
        let said = outside(&format!("{{ '{}' {task}; echo code $? >&2; }} 2>&1 >/dev/full", bin.display()));
        assert!(!said.contains("panicked"), "{task}: {said}");
        let lines: Vec<_> = said.lines().collect();
        let code = lines.last().unwrap();
        assert!(lines.len() <= 2 && (*code == "code 125" || *code == "code 1"), "{task}: one line and a code: {said}");
    }
    for task in ["explain true", "doctor", "man", "completions bash"] {
        let said = outside(&format!(
            "{{ sleep 0; '{}' {task}; }} 2>&1 >/dev/null | head -c 0; \
            {{ '{}' {task} 2>&3 | head -c 1 > /dev/null; }} 3>&1",
            bin.display(),
            bin.display()
        ));
        assert_eq!(said, "", "{task}: nobody listens any more, and that is all");
    }
}

#[test]
fn streams_that_are_closed_at_the_start_stay_empty_inside() {
    let bin = seclude_bin();
    // Nobody's set-up may take the numbers that are free: each is the null device or not there.
    for flags in ["", "--init", "--clone copy", "--clone legacy"] {
        for (closed, number) in [("<&-", 0), (">&-", 1), ("2>&-", 2)] {
            let own = Scratch::new("closed");
            let bind = format!("{}:/mnt", own.path().display());
            let look = "import os\n\
                seen = {fd: os.readlink('/proc/self/fd/' + fd) for fd in os.listdir('/proc/self/fd') \
                    if os.path.exists('/proc/self/fd/' + fd)}\n\
                open('/mnt/seen', 'w').write(''.join(f'{fd} {to}\\n' for fd, to in seen.items()))";
            outside(&format!(
                "cd /; exec '{}' run {flags} --bind {bind} /usr/bin/python3 -c \"{look}\" {closed} 9< /etc/passwd",
                bin.display()
            ));
            let seen = std::fs::read_to_string(own.join("seen")).unwrap();
            for line in seen.lines() {
                let (fd, target) = line.split_once(' ').unwrap();
                match fd.parse::<u32>().unwrap() {
                    fd if fd == number => assert_eq!(target, "/dev/null", "{flags} {closed}: {seen}"),
                    0..=2 => {
                        assert!(!target.contains("socket") && !target.contains("memfd"), "{flags} {closed}: {seen}")
                    }
                    fd => panic!("{fd} is open inside: {flags} {closed}: {seen}"),
                }
            }
            assert_eq!(seen.lines().count(), 3, "{flags} {closed}: {seen}");
        }
    }
    let open = outside("exec /usr/bin/python3 -c \"import os; print(os.readlink('/proc/self/fd/9'))\" 9< /etc/passwd");
    assert_eq!(open, "/etc/passwd", "without seclude the caller's descriptor is inherited");
}

#[test]
fn all_three_streams_may_be_closed() {
    let bin = seclude_bin();
    assert_eq!(outside(&format!("('{}' run sh -c 'exit 5' <&- >&- 2>&-); echo $?", bin.display())), "5");
    assert_eq!(outside(&format!("('{}' run --no-such <&- >&- 2>&-); echo $?", bin.display())), "125");
}

#[test]
fn a_report_that_could_not_be_written_does_not_hide_how_the_command_ended() {
    let line = refused(125, &["run", "--report", "/dev/full", "sh", "-c", "exit 3"]);
    assert!(
        line.contains("--report /dev/full: No space left") && line.ends_with("the command ended: exit status: 3"),
        "{line}"
    );
    let line = refused(125, &["run", "--report", "/dev/full", "/no/such"]);
    assert!(line.contains("--report /dev/full: No space left") && line.contains("ENOENT in execve"), "{line}");
}

#[test]
fn who_reads_no_messages_holds_up_neither_the_deadline_nor_a_signal() {
    // It fills what its messages go to as well.
    let fill = "import os, time\nos.set_blocking(2, False)\n\
        try:\n    while True: os.write(2, b'x' * 4096)\nexcept OSError: pass\nos.set_blocking(2, True)\ntime.sleep(60)";
    let mut ways = vec![vec!["--timeout", "1s"], vec!["--timeout", "1s", "--denials"]];
    if seclude_tests::is_root() {
        ways.push(vec!["--timeout", "2s", "--stats"]);
    }
    for way in ways {
        let arguments = [&["run"], &way[..], &["--", "python3", "-c", fill]].concat();
        let mut command = seclude_command(&arguments);
        let mut late = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let until = Instant::now() + PATIENCE;
        while rustix::io::ioctl_fionread(late.stderr.as_ref().unwrap()).unwrap() < 60_000 {
            assert!(Instant::now() < until, "{way:?}: it does not fill");
            std::thread::sleep(Duration::from_millis(10));
        }
        while !has_ended(late.id()) {
            assert!(Instant::now() < until, "{way:?}: the deadline is not kept");
            std::thread::sleep(Duration::from_millis(10));
        }
        // The last line is for whoever reads late, unless somebody has it end.
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(late.try_wait().unwrap(), None, "{way:?}");
        kill_process(Pid::from_child(&late), Signal::TERM).unwrap();
        assert_eq!(late.wait().unwrap().signal(), Some(15), "{way:?}");
    }
}
