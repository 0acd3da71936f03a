//! Real programs, unchanged, in the sandbox: what they do in a directory that is shown to be written, and that they do not do it
//! elsewhere.

use std::path::Path;
use std::process::Output;

use seclude_tests::{Scratch, outside, seclude_command, stdout_of, to_write, try_outside};

/// Whether the host has it where the sandbox shows it.
fn is_there(program: &str) -> bool {
    let found = try_outside(&format!("command -v {program}"));
    String::from_utf8_lossy(&found.stdout).starts_with("/usr/")
}

fn run(directory: &Path, flags: &[&str], script: &str) -> Output {
    let arguments = [&["run"], flags, &["--", "/bin/sh", "-c", script]].concat();
    seclude_command(&arguments).current_dir(directory).output().expect("the seclude command starts")
}

/// What the script says where it may write, and that it fails where it may not.
fn writes(program: &str, script: &str) -> Option<String> {
    if !is_there(program) {
        eprintln!("left out: the host has no {program}");
        return None;
    }
    let scratch = Scratch::new("program");
    scratch.file("main.c", "#include <stdio.h>\nint main(void) { puts(\"compiled\"); return 0; }\n");
    scratch.file("Makefile", "all: a b\na b:\n\tcp main.c $@\n");
    let closed = run(scratch.path(), &[], script);
    assert!(!closed.status.success(), "{program}, where nothing may be written: {closed:?}");
    let before = scratch.listing();
    let open = stdout_of(&run(scratch.path(), &[&["--rw", "."], to_write()].concat(), script));
    assert_ne!(scratch.listing(), before, "{program}: what it made is the caller's");
    Some(open)
}

#[test]
fn git_makes_a_repository_and_commits() {
    let script = "set -e; git init -q r; cd r; echo text > file; git add file; \
        git -c user.name=n -c user.email=e@example.com commit -q -m first; git log --format=%s; git status --short";
    assert!(writes("git", script).is_none_or(|said| said == "first"));
}

#[test]
fn a_compiler_makes_a_program_that_runs() {
    assert!(writes("gcc", "gcc main.c -o program && ./program").is_none_or(|said| said == "compiled"));
}

#[test]
fn make_runs_its_jobs() {
    assert!(writes("make", "make -s -j2 && ls a b").is_none_or(|said| said == "a\nb"));
}

#[test]
fn python_makes_an_environment() {
    let script = "set -e; /usr/bin/python3 -m venv --without-pip v; v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'";
    assert!(writes("/usr/bin/python3", script).is_none_or(|said| said == "True"));
}

#[test]
fn sqlite_writes_a_database() {
    let script = "sqlite3 db 'create table t(a); insert into t values (1), (2); select sum(a) from t'";
    assert!(writes("sqlite3", script).is_none_or(|said| said == "3"));
}

#[test]
fn keys_are_made_in_the_home_that_is_new() {
    for (program, script) in [
        ("ssh-keygen", "ssh-keygen -q -t ed25519 -N '' -f ~/key && ls ~"),
        ("gpg", "gpg --batch --quiet --quick-gen-key --passphrase '' a@example.com 2> /dev/null && ls -d ~/.gnupg"),
    ] {
        if is_there(program) {
            let said = stdout_of(&run(Path::new("/usr"), &[], script));
            assert!(said.contains("key") || said.contains("gnupg"), "{said}");
        }
    }
    assert_eq!(outside("ls ~/key 2> /dev/null; true"), "", "and nowhere else");
}

#[test]
fn languages_run() {
    for (program, script, said) in [
        ("perl", "perl -e 'print 6 * 7'", "42"),
        ("node", "node -p '6 * 7'", "42"),
        ("java", "java -version 2>&1 | grep -c version", "1"),
        ("bash", "bash -c 'echo $((6 * 7))'", "42"),
    ] {
        if is_there(program) {
            assert_eq!(stdout_of(&run(Path::new("/usr"), &[], script)), said, "{program}");
        }
    }
}
