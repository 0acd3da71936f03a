//! What the filter of system calls has refused is listed: who asked for what, by which rule, and what would allow it. The answers are the
//! same as without a list.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command as Plain, Stdio as PlainStdio};

use seclude::{Command, DenialRule, Preset, Remedy, Seccomp, Stdio};
use seclude_tests::{Scratch, inside, python, refused, seclude, seclude_bin, seclude_command, stdout_of, try_inside};
use serde_json::Value;

/// The beginning of a program that makes system calls by number and says what they answer.
const CALLS: &str = "import ctypes, os, signal, threading\nlibc = ctypes.CDLL(None, use_errno=True)\n\
    def call(number, *given):\n    ctypes.set_errno(0)\n\
    \x20   answer = libc.syscall(number, *[ctypes.c_long(one) for one in given])\n\
    \x20   return ctypes.get_errno() if answer < 0 else 0\n";

const PTRACE: &str = "call(101, 0, 0, 0, 0)";

/// The report of a run of this program, which must succeed.
fn report_of(flags: &[&str], program: &str) -> Value {
    let scratch = Scratch::new("denials");
    let file = scratch.join("report");
    let program = format!("{CALLS}{program}");
    let arguments = [&["run", "--report", file.to_str().unwrap()], flags, &["--", "/usr/bin/python3", "-c", &program]];
    stdout_of(&seclude(&arguments.concat()));
    serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap()
}

fn denials(flags: &[&str], program: &str) -> Vec<Value> {
    report_of(flags, program)["denials"].as_array().unwrap().clone()
}

fn deaf(flags: &[&str]) -> Option<String> {
    let report = report_of(flags, PTRACE);
    assert!(report["denials"].as_array().unwrap().is_empty(), "{report}");
    report["spawn"]["deaf"].as_str().map(str::to_owned)
}

#[test]
fn who_asked_for_what_is_listed_with_the_rule_and_what_would_allow_it() {
    let found = denials(&[], &format!("[{PTRACE} for _ in range(3)]; call(41, 38, 5, 0)"));
    let [ptrace, socket] = found.as_slice() else { panic!("{found:?}") };
    for (denial, call, errno, rule, times) in
        [(ptrace, "ptrace", "EPERM", "not-allowed", 3), (socket, "socket", "EAFNOSUPPORT", "arguments", 1)]
    {
        assert_eq!(
            (&denial["call"], &denial["errno"], &denial["rule"], &denial["times"]),
            (&call.into(), &errno.into(), &rule.into(), &times.into())
        );
        assert_eq!((&denial["program"], &denial["pid"]), (&"python3".into(), &2.into()));
        assert_eq!(denial["remedies"], serde_json::json!([{ "set": "seccomp.allow", "value": [call] }]));
    }
    assert_eq!(socket["arguments"], serde_json::json!([{ "index": 0, "value": 38 }]));
    assert_eq!(ptrace["arguments"], serde_json::json!([]));
    // Of a protocol that is not there the same.
    let found = denials(&[], "call(41, 2, 1, 132)");
    assert_eq!((&found[0]["errno"], &found[0]["rule"]), (&"EPROTONOSUPPORT".into(), &"arguments".into()));
    assert_eq!(found[0]["remedies"], serde_json::json!([{ "set": "seccomp.allow", "value": ["socket"] }]));
    // What is allowed is not.
    assert_eq!(denials(&[], "call(39)"), Vec::<Value>::new());
    assert_eq!(denials(&["--allow-syscall", "ptrace"], PTRACE), Vec::<Value>::new());
    assert_eq!(denials(&["--seccomp", "none"], PTRACE), Vec::<Value>::new());
}

#[test]
fn what_it_says_would_allow_a_call_does() {
    for (call, flag) in [("call(272, 0x10000000)", "--nested"), ("call(250, 0, -3, 0)", "--allow-syscall=keyctl")] {
        assert_eq!(denials(&[], call).len(), 1, "{call}");
        assert_eq!(denials(&[flag], call), Vec::<Value>::new(), "{call}");
    }
    // A call that is allowed with other arguments.
    let namespaces = "call(56, 0x20000000 | 17, 0, 0, 0, 0)";
    let remedies = |call: &str| denials(&[], call)[0]["remedies"][0].clone();
    let administrator = serde_json::json!({ "set": "rights.capabilities", "value": ["SYS_ADMIN"] });
    assert_eq!(remedies(namespaces), administrator, "no user namespace is made, which would bring it");
    assert_eq!(remedies("call(272, 0x10000000)"), serde_json::json!({ "set": "nested", "value": true }));
    // Without the capability the kernel refuses it in any case, and in another user namespace than the host's with it as well.
    assert_eq!(remedies("call(164, 0, 0)"), Value::Null);
    assert_eq!(remedies("call(161, 0)"), serde_json::json!({ "set": "rights.capabilities", "value": ["SYS_CHROOT"] }));
    let refused_by_flag = denials(&["--deny-syscall", "mkdir=EACCES"], "call(83, 0, 0)");
    assert_eq!((&refused_by_flag[0]["rule"], &refused_by_flag[0]["errno"]), (&"refused".into(), &"EACCES".into()));
}

#[test]
fn no_start_is_held_up_by_what_its_command_is_refused() {
    // All of these set-up and the init make themselves, some of them with the filter in force.
    for call in
        ["close", "read", "fcntl", "poll", "ppoll", "sendmsg", "recvmsg", "prctl", "capset", "openat", "wait4", "clone"]
    {
        for way in ["--init", "--as-pid-1", "--no-denials"] {
            // PR_SET_PDEATHSIG is what it is tied to its spawner by, behind all that would undo that.
            if (call, way) == ("prctl", "--as-pid-1") {
                continue;
            }
            let output = seclude(&["run", "--timeout", "1m", way, "--deny-syscall", call, "/bin/busybox", "true"]);
            assert!(output.status.success(), "{call} {way}: {output:?}");
        }
    }
    let line = refused(125, &["run", "--deny-syscall", "rt_sigprocmask", "/bin/busybox", "true"]);
    assert!(
        line.contains("--deny-syscall: filter: it refuses rt_sigprocmask, by which the command itself is started"),
        "{line}"
    );
}

#[test]
fn the_answers_are_those_of_a_filter_without_a_list() {
    let program = format!(
        "{CALLS}for n in [16, 41, 53, 56, 83, 101, 135, 155, 165, 250, 272, 308, 321, 425, 435, 5000]:\n\
        \x20   for a in [(0, 0, 0), (38, 5, 0), (1 << 32 | 38, 0x5412, 0), (0x20000000, 0, 0)]:\n\
        \x20       if n != 56 or a[0] == 0x20000000: print(n, a, call(n, *a))"
    );
    let flags = ["--deny-syscall", "mkdir=EACCES"];
    let listed = python(&flags, &program);
    assert_eq!(listed, python(&[&flags[..], &["--no-denials"]].concat(), &program));
    assert!(listed.lines().count() > 50, "{listed}");
    assert!(listed.lines().any(|line| line.starts_with("83 ") && line.ends_with(" 13")), "{listed}");
}

#[test]
fn an_older_kernels_answer_is_no_refusal() {
    assert_eq!(denials(&[], "call(435, 0, 0), call(425, 1, 0), call(5000)"), Vec::<Value>::new());
    // Each thread asks for clone3 first.
    assert_eq!(denials(&[], "t = threading.Thread(target=print); t.start(); t.join()"), Vec::<Value>::new());
}

#[test]
fn threads_get_the_same_answer_and_a_signal_has_a_call_begin_again() {
    // Without SA_RESTART a signal that comes before the call was looked at ends it with EINTR, as one that waits.
    let program = format!(
        "{CALLS}signal.signal(signal.SIGALRM, lambda *_: None)\nsignal.siginterrupt(signal.SIGALRM, False)\nsignal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)\n\
         wrong = []\n\
         def many():\n    wrong.extend(e for e in (call(101, 0, 0, 0, 0) for _ in range(5000)) if e != 1)\n\
         threads = [threading.Thread(target=many) for _ in range(3)]\n[t.start() for t in threads]\nmany()\n[t.join() for t in threads]\n\
         signal.setitimer(signal.ITIMER_REAL, 0)\nprint(wrong)"
    );
    assert_eq!(python(&[], &program), "[]");
}

#[test]
fn the_list_has_an_end_and_the_rest_is_counted() {
    let report = report_of(&[], &format!("for n in range(3000): {PTRACE}, call(41, 100 + n, 1, 0)"));
    let listed: u64 = report["denials"].as_array().unwrap().iter().map(|one| one["times"].as_u64().unwrap()).sum();
    let more = report["more_denials"].as_u64().unwrap();
    assert_eq!(listed + more, 6000);
    assert!(more > 0 && (1..=1000).contains(&report["denials"].as_array().unwrap().len()), "{more}");
}

#[test]
fn whoever_asks_all_the_time_waits_for_its_turn_and_others_do_not() {
    let start = |program: &str| {
        let mut command = Command::new("/usr/bin/python3");
        command.sandbox().args(["-c", &format!("{CALLS}{program}")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
    };
    // Behind the first 100,000 it is 10,000 a second.
    let all = "wrong = 0\nfor _ in range(125000): wrong += libc.ptrace(0, 0, 0, 0) != -1\nprint(wrong)";
    let flood = start(all);
    let other = |number: u64| {
        let output = start(&format!("print({PTRACE})")).wait_with_output().unwrap();
        assert_eq!((output.stdout.as_slice(), output.exit.denials().list().len()), (&b"1\n"[..], 1), "{number}");
        flood.denials().list().iter().map(|denial| denial.times).sum::<u64>() + flood.denials().more()
    };
    let first = (0..).map(other).find(|asked| *asked >= 100_000).unwrap();
    assert!(first < 125_000, "it waits while others are answered");
    let output = flood.wait_with_output().unwrap();
    let denials = output.exit.denials();
    let listed: u64 = denials.list().iter().map(|denial| denial.times).sum();
    assert_eq!((output.stdout.as_slice(), listed + denials.more()), (&b"0\n"[..], 125_000));
}

#[test]
fn what_would_be_allowed_with_much_else_is_no_remedy() {
    // TIOCSTI, and ioctl as a whole.
    let found = denials(&[], "call(16, 0, 0x5412, 0)");
    assert_eq!((found.len(), &found[0]["call"], &found[0]["remedies"]), (1, &"ioctl".into(), &serde_json::json!([])));
}

#[test]
fn each_is_said_as_it_comes_while_the_command_runs() {
    let program = format!("{CALLS}{PTRACE}\ninput()");
    let mut running = seclude_command(&["run", "--denials", "--", "/usr/bin/python3", "-c", &program])
        .stdin(PlainStdio::piped())
        .stderr(PlainStdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(running.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "seclude: refused: ptrace: EPERM, by python3 (pid 2) (--allow-syscall ptrace)\n");
    assert!(running.try_wait().unwrap().is_none());
    running.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(running.wait().unwrap().success());
}

#[test]
fn a_command_that_fails_is_told_what_it_was_refused_and_one_that_does_not_is_not() {
    let said = |end: &str| {
        let output = seclude(&["run", "--", "/usr/bin/python3", "-c", &format!("{CALLS}{PTRACE}\n{end}")]);
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(said("os._exit(3)"), "seclude: refused: ptrace: EPERM, by python3 (pid 2) (--allow-syscall ptrace)\n");
    assert_eq!(said("os._exit(0)"), "");
    assert_eq!(String::from_utf8(try_inside(&[], "exit 3").stderr).unwrap(), "");
}

#[test]
fn the_name_of_a_process_does_nothing_to_a_terminal() {
    let program = format!("{CALLS}libc.prctl(15, b'\\x1b[2J\\rx', 0, 0, 0)\n{PTRACE}\nos._exit(1)");
    let output = seclude(&["run", "--", "/usr/bin/python3", "-c", &program]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(r"by \u{1b}[2J\rx (pid 2)"), "{said:?}");
    assert!(said.trim_end().chars().all(|c| !c.is_control()), "{said:?}");
}

#[test]
fn where_nobody_can_listen_the_filter_answers_and_says_why() {
    // The first filter has the one listener that there can be; in its own container there is one.
    let report = report_of(&[], PTRACE);
    assert_eq!((&report["spawn"]["deaf"], report["denials"].as_array().unwrap().len()), (&Value::Null, 1));
    assert_eq!(deaf(&["--no-denials"]).as_deref(), Some("it is not asked for"));
    let no_sendmsg = deaf(&["--deny-syscall", "sendmsg"]);
    assert!(no_sendmsg.is_some_and(|why| why.contains("sendmsg")));

    let bin = seclude_bin();
    let place = bin.parent().unwrap().to_str().unwrap();
    // What the outer filter allows and the inner one does not.
    let keyctl = "call(250, 0, -3, 0)";
    let inner = format!(
        "{} run --preset bare --seccomp default --denials -- /usr/bin/python3 -c '{CALLS}print({keyctl})'",
        bin.display()
    );
    // It may lie in a home.
    let flags = ["--nested", "--allow-syscall", "keyctl", "--whole-home", "--ro", place];
    let nested = try_inside(&flags, &inner);
    let said = String::from_utf8(nested.stderr.clone()).unwrap();
    assert_eq!(stdout_of(&nested), "1", "{said}");
    assert!(said.contains("has the one listener that there can be"), "{said}");
    // Contrast: the one outside leaves it to the one inside.
    let nested = try_inside(&[&flags[..], &["--no-denials"]].concat(), &inner);
    assert!(String::from_utf8_lossy(&nested.stderr).contains("refused: keyctl: EPERM"), "{nested:?}");
    assert_eq!(stdout_of(&nested), "1");
}

#[test]
fn a_limit_of_open_files_costs_the_list_and_not_the_filter() {
    let flags = ["--rlimit", "nofile=3"];
    let script = "import os; os.write(1, b'here')";
    let output =
        seclude(&[&["run", "-v", "--denials"], &flags[..], &["--", "/usr/bin/python3", "-S", "-c", script]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no number for its listener") || said.contains("cannot be listed"), "{said}");
}

#[test]
fn a_command_that_may_outlive_its_spawner_asks_nobody() {
    let mut command = Command::new("/bin/sh");
    command.sandbox();
    command.args(["-c", "sleep 0"]).die_with_parent(false);
    let mut child = command.spawn().unwrap();
    assert!(child.report().deaf.is_some());
    assert_eq!(child.denials().list(), Vec::new());
    child.wait().unwrap();
    assert!(inside(&[], "true").is_empty());
}

fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let named = |task: std::path::PathBuf| std::fs::read_to_string(task.join("comm")).unwrap_or_default();
    tasks.filter(|task| named(task.as_ref().unwrap().path()).trim() == "seclude-denials").count()
}

#[test]
fn the_library_has_them_while_it_runs_and_in_the_end_and_no_thread_stays() {
    let mut command = Command::new("/usr/bin/python3");
    command.sandbox();
    command.args(["-c", &format!("{CALLS}{PTRACE}\ninput()")]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let first = child.denials().after(0).unwrap();
    assert_eq!(
        (first.call.as_str(), first.errno, first.rule, first.pid),
        ("ptrace", 1, DenialRule::NotAllowed, Some(2))
    );
    assert_eq!(first.remedies, [Remedy::set("seccomp.allow", serde_json::json!(["ptrace"]))]);
    assert!(threads() >= 1);
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let exit = child.wait().unwrap();
    assert_eq!(exit.denials().list(), [first]);
    assert_eq!((exit.denials().more(), exit.denials().after(1)), (0, None));
    // Another test's may run meanwhile.
    assert!((0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        threads() == 0
    }));
}

#[test]
fn however_many_containers_there_are_one_thread_answers_them() {
    let start = || {
        let mut command = Command::new("/usr/bin/python3");
        command.sandbox().args(["-c", &format!("{CALLS}print({PTRACE}, flush=True)\ninput()")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut children: Vec<_> = (0..8).map(|_| start()).collect();
    for child in &mut children {
        assert_eq!(child.denials().after(0).map(|denial| denial.call).as_deref(), Some("ptrace"));
    }
    assert_eq!(threads(), 1);
    for mut child in children {
        drop(child.stdin.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (String::from_utf8(output.stdout).unwrap().as_str(), output.exit.denials().list().len()),
            ("1\n", 1)
        );
    }
}

#[test]
fn a_profile_of_ones_own_is_listed_too_and_a_finished_program_is_not() {
    let run = |seccomp: Seccomp| {
        let mut command = Command::new("/usr/bin/python3");
        command.preset(Preset::Bare).no_new_privileges(true).seccomp(seccomp);
        command.args(["-c", &format!("{CALLS}print({PTRACE}, call(83, 0, 0))")]);
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        let deaf = child.report().deaf.clone();
        let output = child.wait_with_output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.exit.denials().list(), deaf)
    };
    let (said, listed, deaf) = run(Seccomp::oci(serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["ptrace"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0 },
        { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30 } ] })));
    assert_eq!((said.as_str(), deaf), ("0 30\n", None));
    let found: Vec<_> = listed.iter().map(|one| (one.call.as_str(), one.errno, one.rule)).collect();
    assert_eq!(found, [("ptrace", 0, DenialRule::Refused), ("mkdir", 30, DenialRule::Refused)]);

    // BPF_RET: ALLOW. What it would refuse only it knows.
    let finished = Seccomp::bpf(0x7fff_0000_0000_0006_u64.to_ne_bytes());
    let (said, listed, deaf) = run(finished);
    assert_eq!((said.as_str(), listed.len()), ("0 14\n", 0));
    assert!(deaf.is_some_and(|why| why.contains("finished program")));
}

#[test]
fn what_no_profile_can_allow_is_told_without_a_remedy() {
    let scratch = Scratch::new("denials-set-id");
    let file = scratch.join("file");
    std::fs::write(&file, "").unwrap();
    let path = file.to_str().unwrap();
    let place = scratch.path().to_str().unwrap();
    let program =
        format!("print(call(90, ctypes.cast(ctypes.c_char_p({path:?}.encode()), ctypes.c_void_p).value, 0o4755))");
    let found = denials(&["--rw", place], &program);
    assert_eq!((&found[0]["call"], &found[0]["rule"]), (&"chmod".into(), &"always".into()));
    assert_eq!(found[0]["remedies"], serde_json::json!([]));
    assert_eq!(found[0]["arguments"], serde_json::json!([{ "index": 1, "value": 0o4755 }]));
    // Without a view of the host it may.
    assert_eq!(
        denials(&[], "os.close(os.open('/tmp/x', os.O_CREAT)); os.chmod('/tmp/x', 0o4755)"),
        Vec::<Value>::new()
    );
}

#[test]
fn the_command_has_nothing_of_the_listener() {
    let links = inside(&[], "readlink /proc/self/fd/* /proc/1/fd/* 2>/dev/null; true");
    assert!(!links.contains("seccomp"), "{links}");
    // Nor can it look into the init's, which has none.
    assert!(links.lines().all(|link| !link.contains("socket:")), "{links}");
}

#[test]
fn it_is_no_flag_of_a_command_that_is_left_alone() {
    let said = refused(125, &["run", "--detach", "--denials", "--", "true"]);
    assert!(said.contains("--denials") && said.contains("--detach"), "{said}");
}

#[test]
fn a_spawner_that_is_killed_leaves_nobody_who_waits_for_an_answer() {
    let scratch = Scratch::new("denials-killed");
    let program = format!("{CALLS}print('on', flush=True)\nwhile True: {PTRACE}");
    let mut running = Plain::new(seclude_bin())
        .args(["run", "--", "/usr/bin/python3", "-c", &program])
        .stdin(PlainStdio::null())
        .stdout(PlainStdio::piped())
        .current_dir(scratch.path())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(running.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "on\n");
    running.kill().unwrap();
    running.wait().unwrap();
    // The end of its output is the end of the command.
    assert_eq!(said.read_line(&mut line).unwrap(), 0);
}

#[test]
fn each_remedy_that_is_told_is_one() {
    let packets = "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)";
    for (command, remedies) in [
        (&["chroot", "/", "true"][..], &["--cap-add SYS_CHROOT"][..]),
        (&["mount", "-t", "tmpfs", "x", "/mnt"], &["--cap-add SYS_ADMIN"]),
        (&["hostname", "other"], &["--cap-add SYS_ADMIN"]),
        (&["unshare", "-m", "true"], &["--cap-add SYS_ADMIN"]),
        (&["unshare", "-U", "true"], &["--nested"]),
        (&["python3", "-c", packets], &["--cap-add NET_RAW"]),
    ] {
        let refused = seclude(&[&["run", "--"], command].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{command:?}");
        let line = said.lines().find(|line| line.contains("refused: ")).expect(&said);
        let told: Vec<&str> = line.rsplit_once(" (").unwrap().1.trim_end_matches(')').split(", ").collect();
        assert_eq!(told, remedies, "{line}");
        for remedy in told {
            let flags: Vec<&str> = remedy.split(' ').collect();
            let again = seclude(&[&["run"], &flags[..], &["--"], command].concat());
            assert!(again.status.success(), "{remedy} {command:?}: {}", String::from_utf8_lossy(&again.stderr));
        }
    }
    // What the caller has refused itself nothing else allows.
    let own = seclude(&["run", "--deny-syscall", "uname", "uname"]);
    let said = String::from_utf8_lossy(&own.stderr).into_owned();
    assert!(said.lines().any(|line| line.contains("refused: uname: EPERM") && !line.contains("--")), "{said}");
}

#[test]
fn a_user_namespace_is_refused_by_its_own_name_whatever_the_filter_is() {
    for flags in [&[][..], &["--seccomp", "none"], &["--allow-syscall", "unshare"], &["--cap-add", "SYS_ADMIN"]] {
        let refused = seclude(&[&["run", "--denials"], flags, &["--", "unshare", "-U", "true"]].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("Operation not permitted"), "{flags:?}: {said}");
        assert!(
            said.lines().any(|line| line.contains("refused: unshare") && line.contains("(--nested)")),
            "{flags:?}: {said}"
        );
        let again = seclude(&[&["run", "--nested"], flags, &["--", "unshare", "-U", "true"]].concat());
        assert!(again.status.success(), "{flags:?}: {again:?}");
    }
    // Other namespaces are none of its business.
    let own = seclude(&["run", "--cap-add", "SYS_ADMIN", "--", "unshare", "-m", "true"]);
    assert!(own.status.success(), "{own:?}");
}
