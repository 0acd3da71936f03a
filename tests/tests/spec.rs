//! A request in a file is what its flags would be, flags go on top of it, and what is none starts nothing.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use seclude_tests::{Scratch, is_root, refused, seclude, seclude_command, stdout_of};

/// A directory with a request in it, and something that it shows.
fn prepared(toml: &str) -> Scratch {
    let own = Scratch::new("spec");
    fs::write(own.join("job.toml"), toml).unwrap();
    own.directory("data");
    fs::write(own.join("data/file"), "shown").unwrap();
    own
}

const JOB: &str = r#"
command = ["sh", "-c", "echo $A $B; cat /mnt/file; ls -d /srv/* 2>/dev/null; ulimit -n"]
env = { A = "one", B = "two" }
rlimits = { NOFILE = 99 }

[[mounts]]
type = "bind"
source = "data"
target = "/mnt"
read_only = true
"#;

#[test]
fn a_file_is_what_its_flags_are_and_its_paths_begin_where_it_lies() {
    let own = prepared(JOB);
    let file = own.join("job.toml").display().to_string();
    assert_eq!(stdout_of(&seclude(&["run", "--spec", &file])), "one two\nshown99");
    // And a command line becomes a file, and that the same again.
    let bind = format!("{}:/mnt", own.join("data").display());
    let flags =
        ["--ro-bind", &bind, "--env", "A=x y", "--rlimit", "NOFILE=99", "--", "sh", "-c", "echo $A; cat /mnt/file"];
    let by_flags = stdout_of(&seclude(&[&["run"], &flags[..]].concat()));
    assert_eq!(by_flags, "x y\nshown");
    for (name, more) in [("made.toml", &[][..]), ("made.json", &["--json"])] {
        let printed = seclude(&[&["explain", "--spec"], more, &flags[..]].concat());
        let made = own.join(name);
        fs::write(&made, &printed.stdout).unwrap();
        let made = made.display().to_string();
        assert_eq!(stdout_of(&seclude(&["run", "--spec", &made])), by_flags);
        let again = seclude(&[&["explain", "--spec", &format!("--spec={made}")], more].concat());
        assert_eq!(again.stdout, printed.stdout);
    }
}

#[test]
fn flags_win_over_a_file_and_add_to_its_lists() {
    let own = prepared(JOB);
    let file = own.join("job.toml").display().to_string();
    let run = |flags: &[&str]| stdout_of(&seclude(&[&["run", "--spec", &file], flags].concat()));
    assert_eq!(run(&["--env", "B=other", "--rlimit", "NOFILE=98"]), "one other\nshown98");
    assert_eq!(run(&["--dir", "/tmp/new", "--", "sh", "-c", "cat /mnt/file; ls -d /tmp/new"]), "shown/tmp/new");
    assert_eq!(
        run(&["--no-mounts", "--no-env", "--", "sh", "-c", "ls /mnt/file 2>/dev/null; echo ${A-unset}"]),
        "unset"
    );
    // The mount that is added lies over the one before it.
    assert_eq!(run(&["--tmpfs", "/mnt", "--", "ls", "-A", "/mnt"]), "");
}

#[test]
fn a_request_comes_on_stdin_too_in_either_form() {
    for text in ["command = [\"echo\", \"here\"]\n", "{\"command\": [\"echo\", \"here\"]}"] {
        let mut command = seclude_command(&["run", "--spec", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(stdout_of(&output), "here", "{text}");
    }
}

#[test]
fn a_preset_is_printed_as_a_request_that_is_that_preset() {
    let own = Scratch::new("preset");
    let printed = seclude(&["explain", "--spec", "--preset", "sandbox"]);
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(text.contains("/proc/kcore") && text.contains("[namespaces]"), "{text}");
    let file = own.join("sandbox.toml");
    fs::write(&file, &text).unwrap();
    let by_file = seclude(&["explain", &format!("--spec={}", file.display()), "id"]);
    assert_eq!(stdout_of(&by_file), stdout_of(&seclude(&["explain", "id"])));
}

#[test]
fn what_is_no_request_is_one_line_and_starts_nothing() {
    let own = Scratch::new("bad");
    let made = own.join("made");
    let touch = format!("touch {}", made.display());
    let whole = format!("command = [\"sh\", \"-c\", {touch:?}]\npreset = \"bare\"\n");
    for (name, content, expected) in [
        ("a.toml", format!("{whole}comand = 1"), "comand: there is no such key; the nearest is command"),
        (
            "b.toml",
            format!("{whole}[limits]\nmemory = 1"),
            "limits.memory: there is no such key; the nearest is memory_max",
        ),
        (
            "c.toml",
            format!("{whole}[limits]\nmemory_max = \"1 apple\""),
            "limits.memory_max: \"1 apple\" is not a size",
        ),
        ("d.json", "{\"command\": [true]}".into(), "command[0] is true; it can be a string"),
        ("e.json", "{".into(), "it is no JSON"),
        ("f.toml", "command = [".into(), "it is no TOML"),
        // By any other name it is what it looks like.
        ("g.txt", format!("{whole}x = 1"), "x: there is no such key"),
        ("j.txt", "{\"x\": 1}".into(), "x: there is no such key"),
        (
            "h.toml",
            format!("{whole}[[mounts]]\ntype = \"bind\"\ntarget = \"/mnt\""),
            "mounts[0].source: a bind needs it",
        ),
        ("i.json", format!("{{\"a\": {}}}", "[".repeat(5000)), "it is no JSON"),
    ] {
        let file = own.join(name);
        fs::write(&file, content).unwrap();
        let output = seclude(&["run", "--spec", &file.display().to_string()]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(125), 1), "{name}: {said}");
        assert!(said.contains(expected) && said.contains(name), "{name}: {said}");
    }
    fs::write(own.join("latin.toml"), b"arg0 = \"\xe9\"").unwrap();
    fs::File::create(own.join("large.json")).unwrap().set_len(100 << 20).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        own.join("fifo.toml"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for (name, expected) in [
        ("latin.toml", "it is no UTF-8, from byte 8 on"),
        ("large.json", "it has more than 4194304 bytes"),
        ("fifo.toml", "it is a FIFO"),
        (".", "it is a directory"),
        ("none.toml", "No such file"),
    ] {
        let output = seclude(&["run", "--spec", &own.join(name).display().to_string()]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(125), 1), "{name}: {said}");
        assert!(said.contains(expected), "{name}: {said}");
    }
    for flags in [&["--spec"][..], &["--no-mounts", "true"], &["--spec=", "true"]] {
        assert_eq!(seclude(&[&["run"], flags].concat()).status.code(), Some(125), "{flags:?}");
    }
    assert!(!made.exists());
    // And by contrast.
    let file = own.join("good.toml");
    fs::write(&file, whole).unwrap();
    assert!(seclude(&["run", "--spec", &file.display().to_string()]).status.success() && made.exists());
}

#[test]
fn bytes_that_are_no_text_have_a_form_in_a_file() {
    let own = Scratch::new("bytes");
    let file = own.join("job.json");
    fs::write(&file, r#"{"command": ["printf", "%s", {"hex": "61ff62"}]}"#).unwrap();
    assert_eq!(seclude(&["run", "--spec", &file.display().to_string()]).stdout, b"a\xffb");
    let target = if is_root() { "/mnt" } else { "/tmp" };
    let text = format!(
        r#"{{"command": ["cat", "{target}/f"], "mounts": [{{"type": "tmpfs", "target": "{target}"}},
        {{"type": "file", "target": "{target}/f", "content": {{"hex": "00ff"}}}}]}}"#
    );
    fs::write(&file, text).unwrap();
    assert_eq!(seclude(&["run", "--spec", &file.display().to_string()]).stdout, [0, 0xff]);
}

#[test]
fn rights_of_a_file_are_changed_by_flags_as_those_of_flags_are() {
    let own = Scratch::new("spec-rights");
    let file = own.join("job.toml").display().to_string();
    let look = ["sh", "-c", "id -u; grep CapAmb /proc/self/status | cut -f2"];
    let made = [&["explain", "--spec", "--user", "7", "--cap-add", "NET_ADMIN", "--"], &look[..]].concat();
    fs::write(&file, seclude(&made).stdout).unwrap();
    let said = |flags: &[&str]| stdout_of(&seclude(&[&["run", "--spec", &file], flags].concat()));
    // However it is spelled there.
    let spelled = fs::read_to_string(&file).unwrap().replace("\"NET_ADMIN\"", "\"cap_net_admin\"");
    fs::write(&file, spelled).unwrap();
    for (flags, ids, ambient) in [
        (&[][..], "7", "0000000000001000"),
        (&["--no-capabilities"], "7", "0000000000000000"),
        (&["--cap-drop", "NET_ADMIN"], "7", "0000000000000000"),
        (&["--cap-add", "NET_RAW"], "7", "0000000000003000"),
        (&["--user", "8"], "8", "0000000000001000"),
    ] {
        assert_eq!(said(flags), format!("{ids}\n{ambient}"), "{flags:?}");
    }
}

#[test]
fn a_file_behind_the_flag_that_prints_is_not_taken_for_the_command() {
    let scratch = Scratch::new("printed");
    let file = scratch.file("job.toml", "command = [\"true\"]\n");
    let file = file.to_str().unwrap();
    let line = refused(125, &["explain", "--spec", file, "--memory", "64M"]);
    assert!(line.contains(&format!("--spec={file}")), "{line}");
    let printed = stdout_of(&seclude_command(&["explain", &format!("--spec={file}"), "--spec"]).output().unwrap());
    assert!(printed.contains("\"true\""), "{printed}");
}
