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
fn pip_installs_a_wheel_and_npm_a_package() {
    // Neither asks anybody: what they install lies in the directory, made by the same script.
    let wheel = r#"set -e; /usr/bin/python3 -m venv v
        /usr/bin/python3 -c '
import zipfile
z = zipfile.ZipFile("hello-1-py3-none-any.whl", "w")
z.writestr("hello.py", "print(6 * 7)")
z.writestr("hello-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1\n")
z.writestr("hello-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
z.writestr("hello-1.dist-info/RECORD", "")'
        v/bin/pip install -q --no-index --disable-pip-version-check ./hello-1-py3-none-any.whl; v/bin/python -m hello"#;
    // Debian's python3 has venv's pip in a package of its own.
    if try_outside("/usr/bin/python3 -c 'import ensurepip'").status.success() {
        assert!(writes("/usr/bin/python3", wheel).is_none_or(|said| said == "42"));
    }
    let package = r#"set -e; mkdir dep; echo '{"name":"dep","version":"1.0.0"}' > dep/package.json; echo 'module.exports = 42' > dep/index.js
        (cd dep && npm pack --silent > /dev/null); echo '{"name":"a","version":"1.0.0","dependencies":{"dep":"file:dep/dep-1.0.0.tgz"}}' > package.json
        npm install --package-lock-only --offline --silent --no-audit; npm ci --offline --silent --no-audit; node -p 'require("dep")'"#;
    assert!(writes("npm", package).is_none_or(|said| said == "42"));
}

#[test]
fn cargo_builds_a_crate_with_what_it_is_shown_of_the_home() {
    let script = "set -e; mkdir -p src; echo 'fn main() { println!(\"{}\", 6 * 7) }' > src/main.rs; \
        printf '[package]\\nname = \"small\"\\nedition = \"2021\"\\n' > Cargo.toml; \
        PATH=$PATH:~/.cargo/bin cargo build -q --offline; target/debug/small";
    let Some(home) = std::env::var_os("HOME").map(std::path::PathBuf::from) else { return };
    if !home.join(".cargo/bin/cargo").exists() || !home.join(".rustup").exists() {
        eprintln!("left out: the home has no cargo");
        return;
    }
    let scratch = Scratch::new("program");
    let all = [&["--rw", "."], to_write(), &["--ro", "~/.cargo", "--ro", "~/.rustup"]].concat();
    let all: Vec<String> = all.iter().map(|flag| flag.replace('~', &home.to_string_lossy())).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let hidden = run(scratch.path(), &all[..all.len() - 4], script);
    assert!(!hidden.status.success(), "{hidden:?}");
    assert_eq!(stdout_of(&run(scratch.path(), &all, script)), "42");
}

#[test]
fn a_server_is_asked_by_its_client() {
    let script = "redis-server --port 6399 --dir /tmp --save '' --daemonize yes > /dev/null; \
        for i in $(seq 100); do redis-cli -p 6399 ping 2> /dev/null | grep -q PONG && break; sleep 0.05; done; \
        redis-cli -p 6399 set key value; redis-cli -p 6399 get key";
    if is_there("redis-server") {
        assert_eq!(stdout_of(&run(Path::new("/usr"), &[], script)), "OK\nvalue");
    }
}

#[test]
fn pictures_are_made() {
    let script = "convert -size 20x10 xc:red out.png && identify -format '%wx%h' out.png";
    assert!(writes("convert", script).is_none_or(|said| said == "20x10"));
}

#[test]
fn a_browser_prints_the_page_that_its_script_made() {
    let script = "echo '<p id=x><script>x.textContent = \"made \" + 6 * 7</script>' > /tmp/page.html; \
        chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --user-data-dir=/tmp/user --dump-dom file:///tmp/page.html 2> /dev/null";
    if is_there("chromium") {
        let said = stdout_of(&run(Path::new("/usr"), &[], script));
        assert!(said.contains(">made 42"), "{said}");
    }
}

#[test]
fn memory_is_checked_and_what_traces_others_works_where_it_is_allowed_to() {
    if is_there("valgrind") {
        stdout_of(&run(Path::new("/usr"), &[], "valgrind -q --error-exitcode=3 /bin/true"));
    }
    for (program, script) in [
        ("strace", "strace -o /tmp/calls /bin/true && grep -c '^exit_group(0)' /tmp/calls"),
        ("gdb", "gdb -q -batch -ex run /bin/true 2> /dev/null | grep -c 'exited normally'"),
    ] {
        if !is_there(program) {
            continue;
        }
        let refused = run(Path::new("/usr"), &[], script);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && told.contains("--allow-syscall ptrace"), "{program}: {refused:?}");
        assert_eq!(stdout_of(&run(Path::new("/usr"), &["--allow-syscall", "ptrace"], script)), "1", "{program}");
    }
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
