//! `seclude why`: what is answered about a container that is not there, against what one finds that is.

mod pool;
mod random;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use seclude::{Command, Mount, Question, Seccomp, Verdict};
use seclude_tests::{Host, Scratch, comes_back, inside, is_root, refused, seclude, seclude_command, try_inside};
use serde_json::Value;

/// What is said, and with which status.
fn why(words: &[&str]) -> (String, i32) {
    let output = seclude(&[&["why"], words].concat());
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(complaints, "", "{words:?}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    (said.trim_end().to_owned(), output.status.code().expect("it ends by itself"))
}

#[track_caller]
fn answers(words: &[&str], status: i32, parts: &[&str]) {
    let (said, code) = why(words);
    assert_eq!(code, status, "{words:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ASCII letters")
}

#[test]
fn the_sandbox_says_which_part_of_it_allows_or_refuses_a_path() {
    answers(&["read", "/etc/passwd"], 0, &["read /etc/passwd: allowed: the sandbox shows /etc of the host, read-only"]);
    answers(&["exec", "/usr/bin/tac"], 0, &["allowed: the sandbox shows /usr"]);
    answers(&["exec", "/usr/bin"], 1, &["is a directory"]);
    // What would be no more than a refusal by its modes is not advised.
    let shown = if is_root() { "(--ro /etc/shadow)" } else { "shown, it would not let it: mode 640" };
    answers(&["read", "/etc/shadow"], 1, &["refused: masked:", shown]);
    answers(&["write", "/usr/bin/x"], 1, &["refused: read-only: the sandbox shows /usr"]);
    answers(&["write", "/tmp/x"], 0, &["/tmp is memory of its own"]);
    answers(&["write", "/x"], 1, &["read-only"]);
    answers(&["read", "/var/lib"], 1, &["/var/lib of the host is not shown (--ro /var/lib)"]);
    answers(&["read", "/etc/nonexistent"], 1, &["there is no /etc/nonexistent inside"]);
    answers(&["write", "/proc/sys/kernel/hostname"], 1, &["read-only"]);
    answers(&["read", "/proc/kcore"], 1, &["masked"]);
    answers(&["read", "/proc/cpuinfo"], 2, &["only the run can tell: /proc is a view of the kernel's"]);
    answers(&["write", "/dev/null"], 0, &[]);
    answers(&["exec", "/dev/null"], 1, &[]);
}

#[test]
fn what_a_remedy_says_allows_it() {
    let roots = [("read", "/etc/shadow"), ("write", "/srv/x"), ("write", "/var/x")];
    for (kind, path) in is_root().then_some(roots).into_iter().flatten().chain([("read", "/var/lib")]) {
        let json = seclude(&["why", "--json", kind, path]);
        let answer: Value = serde_json::from_slice(&json.stdout).expect("JSON");
        assert_eq!((answer["verdict"].as_str(), json.status.code()), (Some("refused"), Some(1)), "{answer}");
        let remedy = &answer["remedies"][0];
        let flag = format!("--{}", remedy["set"].as_str().expect("a field"));
        let (after, _) = why(&[&flag, remedy["value"][0].as_str().expect("a path"), kind, path]);
        // What is shown then is the host's, and its modes are as they are for the user.
        assert!(after.contains("is shown") || (!is_root() && after.contains("does not let it")), "{after}");
    }
    answers(&["call", "ptrace"], 1, &["refused: EPERM: it is not in the default profile (--allow-syscall ptrace)"]);
    answers(&["--allow-syscall", "ptrace", "call", "ptrace"], 0, &["allowed"]);
}

#[test]
fn a_network_that_the_caller_may_not_make_leads_nowhere() {
    let (code, words) = if is_root() { (2, "only the run can tell") } else { (1, "refused: a veth pair is made by") };
    answers(&["--net", "veth", "connect", "example.org:443"], code, &[words]);
}

#[test]
fn where_the_caller_is_nothing_is_written_but_by_name() {
    let place = Scratch::new("why-here");
    place.file("file", "text");
    let here = |words: &[&str]| {
        let words = [&["why"], words].concat();
        let output = seclude_command(&words).current_dir(place.path()).output().expect("it starts");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    };
    for path in [".", "file", "./new"] {
        let (said, code) = here(&["write", path]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("read-only") && said.contains("as the caller is there (--rw .)"), "{said}");
        assert_eq!(here(&["--rw", ".", "write", path]).1, Some(0), "{path}");
    }
    assert_eq!(here(&["read", "file"]).1, Some(0));
    fs::set_permissions(place.join("file"), Permissions::from_mode(0o444)).expect("it is ours");
    let (said, code) = here(&["--rw", ".", "write", "file"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("mode 444"), "{said}");
}

#[test]
fn a_home_is_not_shown_and_that_is_said() {
    let home = Scratch::new("why-home");
    home.file(".ssh/id", "secret");
    let ask = |words: &[&str]| {
        let words = [&["why"], words].concat();
        let output = seclude_command(&words).env("HOME", home.path()).current_dir("/usr").output().expect("it starts");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    };
    let key = home.join(".ssh/id");
    let (said, code) = ask(&["read", text(&key)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("homes are not shown") && said.contains(&format!("(--ro {})", text(&key))), "{said}");
    let (said, code) = ask(&["--ro", text(&home.join(".ssh")), "read", text(&key)]);
    assert_eq!(code, Some(0), "{said}");
    // Whole it is shown to nobody who does not say so: that run would fail.
    let (said, code) = ask(&["--ro", text(home.path()), "read", text(&key)]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("it would not start") && said.contains("would show a home"), "{said}");
    let (said, code) = ask(&["--whole-home", "--ro", text(home.path()), "read", text(&key)]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_program_is_asked_about_with_what_is_executed_for_it() {
    let place = Scratch::new("why-needed");
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("it is ours");
    let own = text(place.path()).to_owned();
    place.executable("whole", "#!/bin/sh\necho ran\n");
    place.executable("missing", "#!/opt/no/such/node\necho ran\n");
    place.executable("second", &format!("#!{own}/missing\n"));
    place.executable("loop", &format!("#!{own}/loop\n"));
    place.executable("carriage", "#!/bin/sh\r\n");
    place.executable("plain", "echo ran\n");
    place.executable("empty", "");
    let program = fs::read("/usr/bin/tac").expect("it is readable");
    let cut = place.executable("foreign", "");
    // Its e_machine, elf(5): sparc.
    fs::write(cut, [&program[..18], &[2, 0], &program[20..]].concat()).expect("it is ours");
    fs::copy("/usr/bin/tac", place.join("tac")).expect("it is ours");
    let closed = format!("--mask={own}/closed");
    place.executable("closed", "#!/bin/sh\n");
    place.executable("by-closed", &format!("#!{own}/closed\n"));
    let formats = fs::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|all| all.count() > 2);
    for (name, wanted, parts) in [
        ("whole", 0, &[][..]),
        ("missing", 1, &["its interpreter /opt/no/such/node: there is no /opt/no/such/node inside"]),
        ("second", 1, &["its interpreter /opt/no/such/node: there is no"]),
        ("loop", 1, &["too deep"]),
        ("carriage", 1, &["its interpreter"]),
        ("plain", 1, &["neither a program for this machine nor a script"]),
        ("empty", 1, &["neither a program"]),
        ("foreign", 1, &["a program for sparc"]),
        ("by-closed", 1, &["its interpreter", "masked"]),
        ("tac", 0, &[]),
    ] {
        let path = format!("{own}/{name}");
        let flags = ["--ro", own.as_str(), closed.as_str()];
        if formats && ["foreign", "plain", "empty"].contains(&name) {
            println!("skipped: {name}: this machine has formats of its own, binfmt_misc");
            continue;
        }
        answers(&[&flags[..], &["exec", &path]].concat(), wanted, parts);
        let ran = seclude(&[&["run"], &flags[..], &["--", &path, "/etc/passwd"]].concat());
        assert_eq!(ran.status.success(), wanted == 0, "the run says the same of {name}: {ran:?}");
    }
    // A name is looked for in the command's PATH, and nowhere else.
    answers(&["exec", "tac"], 0, &[]);
    answers(&["--env", "PATH=/nope:/none", "exec", "tac"], 1, &["no directory of PATH", "/nope:/none"]);
    assert_eq!(
        seclude(&["run", "--env", "PATH=/nope", "tac", "/etc/passwd"]).status.code(),
        Some(127),
        "the run agrees"
    );
    let here = seclude_command(&["why", "exec", "whole"]).current_dir(place.path()).output().expect("it starts");
    assert_eq!(here.status.code(), Some(1), "{here:?}");
    // Below a root of its own that has no loader, with the modes that make a run possible there.
    let root = Scratch::new("why-loader");
    fs::set_permissions(root.path(), Permissions::from_mode(0o755)).expect("it is ours");
    root.directory("proc");
    fs::copy("/usr/bin/tac", root.join("tac")).expect("it is ours");
    answers(&["--overlay", "--root", text(root.path()), "exec", "/tac"], 1, &["its ELF loader", "there is no"]);
}

#[test]
fn what_is_mounted_decides_by_its_order_its_flags_and_its_symlinks() {
    let place = Scratch::new("why-mounts");
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("it is ours");
    place.executable("run", "#!/bin/sh\necho ran\n");
    symlink("/etc/shadow", place.join("link")).expect("a symlink");
    let own = text(place.path());
    let bind = format!("{own}:/mnt/own");
    answers(&["--bind", &bind, "exec", "/mnt/own/run"], 0, &["is bound on /mnt/own"]);
    answers(&["--bind", &bind, "read", "/mnt/own/link"], 1, &["masked"]);
    let noexec = format!("type=bind,src={own},dst=/mnt/own,noexec");
    answers(&["--mount", &noexec, "exec", "/mnt/own/run"], 1, &["noexec: "]);
    assert_eq!(try_inside(&["--mount", &noexec], "/mnt/own/run").status.code(), Some(126), "the run says the same");
    assert_eq!(inside(&["--bind", &bind], "/mnt/own/run"), "ran", "the contrast");
    // The one that comes last is seen.
    answers(&["--bind", &bind, "--tmpfs", "/mnt/own", "exec", "/mnt/own/run"], 1, &["there is no /mnt/own/run inside"]);
    answers(&["--tmpfs", "/mnt/own", "--bind", &bind, "exec", "/mnt/own/run"], 0, &[]);
    answers(&["--bind", &bind, "--mask", "/mnt/own/run", "exec", "/mnt/own/run"], 1, &["masked"]);
    answers(
        &["--file", "/tmp/f=text", "--ro-path", "/tmp", "write", "/tmp/f"],
        1,
        &["read-only: /tmp is made read-only"],
    );
    answers(&["--file", "/tmp/f=text", "read", "/tmp/f"], 0, &[]);
    answers(&["--file", "/tmp/f=text", "exec", "/tmp/f"], 1, &["mode 644"]);
    // What would not start allows nothing, and refuses nothing.
    answers(&["--bind", "/nonexistent:/mnt/own", "read", "/etc/passwd"], 2, &["it would not start"]);
    let behind = ["--bind", &bind, "--mask", "/mnt/own/link"];
    answers(
        &[&behind[..], &["read", "/etc/passwd"]].concat(),
        2,
        &["it would not start: a symlink is on the way to link"],
    );
    assert_eq!(try_inside(&behind, "true").status.code(), Some(125), "the run says the same");
}

#[test]
fn rules_of_landlock_are_asked_last_and_are_all_that_there_is_without_namespaces() {
    if seclude::Host::current().with_landlock().landlock < 6 {
        println!("skipped: landlock has less than ABI 6 here");
        return;
    }
    let rules = ["--landlock-exec", "/usr", "--landlock-ro", "/etc/passwd"];
    let with = |question: [&str; 2], status, parts: &[&str]| answers(&[&rules[..], &question].concat(), status, parts);
    with(["exec", "/usr/bin/tac"], 0, &["a rule of landlock opens it"]);
    with(["read", "/etc/passwd"], 0, &[]);
    with(["read", "/etc/hostname"], 1, &["landlock: no rule opens /etc/hostname", "(--landlock-ro /etc/hostname)"]);
    with(["exec", "/etc/passwd"], 1, &[]);
    with(["write", "/tmp/x"], 1, &["(--landlock-rw /tmp"]);
    answers(&["--no-namespaces", "read", "/etc/passwd"], 0, &["the host's own tree; a rule of landlock opens it"]);
    answers(&["--no-namespaces", "read", "/etc/shadow"], 1, &[]);
    answers(&["--no-namespaces", "read", "/var/lib"], 1, &["no namespaces: no rule opens /var/lib", "(--ro /var/lib)"]);
    answers(&["--no-namespaces", "write", "/tmp/x"], 1, &["(--rw /tmp)"]);
}

#[test]
fn presets_and_roots_have_answers_of_their_own() {
    answers(&["--preset", "host", "read", "/var/lib"], 0, &["the host's tree, read-only"]);
    answers(&["--preset", "host", "write", "/usr"], 1, &["read-only: the host's tree"]);
    answers(&["--preset", "host", "write", "/tmp/x"], 0, &["memory of its own"]);
    let modes = if is_root() { 0 } else { 1 };
    answers(&["--bare", "write", "/usr/x"], modes, &[]);
    answers(&["--bare", "read", "/etc/shadow"], modes, &[]);
    let root = Scratch::new("why-root");
    fs::set_permissions(root.path(), Permissions::from_mode(0o755)).expect("it is ours");
    root.file("etc/passwd", "of the root");
    for directory in ["proc", "dev", "tmp"] {
        root.directory(directory);
    }
    let own = text(root.path());
    answers(&["--root", own, "read", "/etc/passwd"], 0, &[&format!("{own}, which is the root, read-only")]);
    answers(&["--root", own, "read", "/usr"], 1, &["there is no /usr inside"]);
    answers(&["--root", own, "write", "/etc/passwd"], 1, &["read-only"]);
    answers(&["--root", own, "--writable", "write", "/etc/passwd"], 0, &["which is the root"]);
    answers(&["--root", own, "--overlay", "write", "/etc/passwd"], 2, &["what is written goes to another place"]);
}

#[test]
fn a_file_that_names_no_command_answers_as_its_flags_would() {
    let own = Scratch::new("why-spec");
    let spec = own.file("box.toml", "rw = [\".\"]\n");
    let place = own.join("file");
    let (said, status) = why(&["--spec", text(&spec), "write", text(&place)]);
    assert_eq!(status, 0, "{said}");
    let (said, status) = why(&["write", text(&place)]);
    assert_ne!(status, 0, "{said}");
}

#[test]
fn of_a_call_it_is_said_what_the_filter_does() {
    answers(
        &["call", "read"],
        0,
        &["allowed: the default profile lets it through; the kernel may refuse it nonetheless"],
    );
    answers(&["call", "socket"], 2, &["it depends on its arguments", "EAFNOSUPPORT if argument 0"]);
    answers(&["call", "unshare"], 1, &["EPERM", "--nested"]);
    answers(&["call", "clone3"], 1, &["ENOSYS"]);
    answers(&["call", "chroot"], 1, &["(--cap-add SYS_CHROOT)"]);
    answers(&["call", "init_module"], 1, &["EPERM: it is not in the default profile"]);
    answers(&["--cap-add", "SYS_MODULE", "call", "init_module"], 0, &["the kernel may refuse it nonetheless"]);
    answers(&["call", "socketcall"], 1, &[&format!("{} has no such call", std::env::consts::ARCH)]);
    answers(&["--deny-syscall", "mkdir=EACCES", "call", "mkdir"], 1, &["EACCES: the default profile; refuse mkdir"]);
    answers(&["--bare", "call", "ptrace"], 0, &["there is no filter of system calls"]);
    answers(&["--seccomp", "none", "call", "ptrace"], 0, &[]);
}

#[test]
fn a_finished_program_is_asked_where_it_looks_at_the_number_alone() {
    let step =
        |code: u16, so: u8, not: u8, value: u32| [&code.to_ne_bytes()[..], &[so, not], &value.to_ne_bytes()].concat();
    let (load, equal, answer) = (0x20, 0x15, 0x06);
    let of = |looks_at: u32| {
        let number = 83; // mkdir
        [
            step(load, 0, 0, looks_at),
            step(equal, 0, 1, number),
            step(answer, 0, 0, 0x5_0001),
            step(answer, 0, 0, 0x7fff_0000),
        ]
        .concat()
    };
    let ask = |looks_at: u32, name: &str| {
        let mut command = Command::new("true");
        command.sandbox().seccomp(Seccomp::bpf(of(looks_at)));
        let why = command.why().expect("a plan");
        why.answer(&Question::Call(name.into())).expect("an answer").verdict
    };
    assert_eq!([ask(0, "mkdir"), ask(0, "rmdir")], [Verdict::Refused, Verdict::Allowed]);
    assert_eq!(ask(16, "mkdir"), Verdict::CannotTell);
}

#[test]
fn of_a_place_of_the_network_it_is_said_which_rule_lets_it_through() {
    answers(&["connect", "github.com:443"], 1, &["refused: it has a loopback alone (--allow github.com:443)"]);
    answers(&["connect", "localhost:80"], 2, &["the container itself"]);
    let by_udp = ["--allow", "ntp.example.net:udp/123", "connect", "ntp.example.net:123"];
    answers(&by_udp, 1, &["it is allowed by UDP alone, on 123, and a connection is TCP (--allow ntp.example.net:123)"]);
    let names =
        ["--allow", "*.example.org:80,443", "--allow-private", "a.example.org:5432", "--allow-loopback", "6379"];
    let ask =
        |about: &str, status: i32, part: &str| answers(&[&names[..], &["connect", about]].concat(), status, &[part]);
    ask(
        "a.example.org:443",
        0,
        "allowed: a.example.org is allowed on 80,443,5432; it may lead to public addresses alone",
    );
    ask("A.Example.org.:5432", 0, "it may lead to public and private addresses");
    ask("b.example.org:5432", 1, "it is allowed on other ports: 80,443 (--allow b.example.org:5432)");
    ask("example.org:443", 1, "refused: the name is not allowed (--allow example.org:443)");
    ask("host.internal:6379", 0, "it is 127.0.0.1 of the host");
    ask("host.internal:6380", 1, "other ports: 6379");
    ask("93.184.216.34:443", 1, "all addresses are the container's own there");
    ask("[2606:2800::34]:443", 1, "all addresses are the container's own there");
    ask("127.0.0.1:443", 2, "the container itself");
    ask("8.8.8.8:53", 1, "refused");
    answers(&["--sni", "require", "--allow", "a.org", "connect", "a.org:443"], 0, &["by TLS that asks for it"]);
    answers(
        &["--allow", "a.org", "--add-host", "a.org:10.0.0.1", "connect", "a.org:443"],
        1,
        &["10.0.0.1, which is private"],
    );
    answers(&["--net", "host", "connect", "github.com:443"], 0, &["the host's own"]);
    answers(&["--net", "pasta", "connect", "169.254.169.254:80"], 1, &["(--host-access)"]);
    answers(&["--net", "pasta", "connect", "1.1.1.1:443"], 0, &["what the host reaches"]);
    answers(&["--net", "pasta", "connect", "github.com:443"], 2, &["only the run can tell"]);
    if seclude::Host::current().with_landlock().landlock >= 6 {
        answers(&["--no-namespaces", "connect", "github.com:443"], 1, &["landlock", "(--landlock-connect"]);
    }
    for about in
        ["github.com", "github.com:0", "github.com:70000", "::1:80", "1.2.3:80", "https://a.org:443", "a..org:443"]
    {
        refused(125, &["why", "connect", about]);
    }
}

#[test]
fn what_is_no_question_is_one_line() {
    let line = refused(125, &["why", "call", "ptrac"]);
    assert!(line.contains("no system call \"ptrac\"; the nearest is ptrace"), "{line}");
    for words in [&["why", "see", "/etc"][..], &["why", "read"], &["why", "read", "/etc", "/usr"], &["why"]] {
        refused(125, words);
    }
    refused(125, &["why", "--ro", "/etc", "--rw", "/etc", "read", "/etc"]);
}

#[test]
fn nothing_is_made_for_an_answer() {
    let before = Host::look();
    let place = Scratch::new("why-nothing");
    let listing = place.listing();
    let mut command = Command::new("true");
    command.sandbox().mount(Mount::bind(place.path(), "/mnt/own")).mount(Mount::file("/mnt/own/file", "text"));
    let why = command.why().expect("a plan");
    let answer = why.answer(&Question::Write("/mnt/own/file".into())).expect("an answer");
    assert_eq!(answer.verdict, Verdict::Allowed, "{answer:?}");
    assert_eq!(place.listing(), listing);
    comes_back(&before, "an answer", Host::look);
}

#[test]
fn a_program_is_looked_for_and_nothing_is_no_question() {
    assert_eq!(why(&["exec", "ls"]).1, 0);
    assert_eq!(why(&["exec", "nothing-has-this-name"]).1, 1);
    for kind in ["read", "write", "exec", "call"] {
        assert!(refused(125, &["why", kind, ""]).contains(&format!("{kind}: of what?")));
    }
}
