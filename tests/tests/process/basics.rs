//! Arguments, environment, working directory, umask, session.

use std::fs;
use std::os::fd::AsRawFd;

use seclude::{Code, Command, Mount, Root, Side};
use seclude_tests::{Scratch, busybox_root, said, shell, status_field};

use super::{contained, field, status};

#[test]
fn the_command_gets_its_arguments_as_they_are() {
    let mut command = shell(r#"printf '<%s>' "$0" "$@""#);
    command.args(["zero", "a b", "", "$HOME", "--flag"]).arg("ä\n");
    assert_eq!(said(&command.output().unwrap()), "<zero><a b><><$HOME><--flag><ä\n>");
}

#[test]
fn the_command_sees_itself_under_another_name_if_it_is_given_one() {
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/cmdline");
    assert_eq!(command.output().unwrap().stdout, b"/bin/cat\0/proc/self/cmdline\0");
    assert_eq!(command.arg0("renamed").output().unwrap().stdout, b"renamed\0/proc/self/cmdline\0");
}

#[test]
fn another_environment_is_in_the_stead_of_the_callers_but_for_what_is_asked_for() {
    let callers =
        || [("KEPT", "kept"), ("OTHER", "other"), ("A", "theirs")].map(|(name, value)| (name.into(), value.into()));
    let own = || [("A".into(), "a".into()), ("B".into(), "b".into())];
    let said = |build: fn(&mut Command) -> &mut Command| {
        let mut command = Command::new("/usr/bin/env");
        build(&mut command).environment(own()).caller_env(callers());
        let mut lines: Vec<String> = said(&command.output().expect("it runs")).lines().map(str::to_owned).collect();
        lines.sort();
        lines.join(" ")
    };
    assert_eq!(said(|command| command), "A=a B=b");
    assert_eq!(said(|command| command.inherit_env("KEPT").inherit_env("A")), "A=a B=b KEPT=kept");
    assert_eq!(said(|command| command.env_all(true)), "A=a B=b KEPT=kept OTHER=other");
    assert_eq!(said(|command| command.env_all(true).env_clear()), "A=a B=b");
    assert_eq!(said(|command| command.env_all(true).env_remove("B").env("A", "set")), "A=set KEPT=kept OTHER=other");
}

#[test]
fn the_environment_is_the_callers_with_what_was_set_and_without_what_was_removed() {
    let list = |command: &mut Command| -> Vec<String> {
        said(&command.output().unwrap()).split('\0').filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/environ");
    let own: Vec<_> = std::env::vars().map(|(key, value)| format!("{key}={value}")).collect();
    let mut inherited = list(&mut command);
    assert_eq!(inherited.len(), own.len());
    inherited.retain(|entry| !own.contains(entry));
    assert!(inherited.is_empty(), "{inherited:?}");

    assert!(own.iter().any(|entry| entry.starts_with("PATH=")));
    command.env("ADDED", "one").env("ADDED", "a=b\nc").env_remove("PATH");
    let changed = list(&mut command);
    assert!(changed.contains(&"ADDED=a=b\nc".to_owned()));
    assert!(!changed.iter().any(|entry| entry.starts_with("PATH=")));

    command.env("FORGOTTEN", "x").env_clear().env("ONLY", "this");
    assert_eq!(list(&mut command), ["ONLY=this"]);
}

#[test]
fn what_cannot_name_a_variable_is_refused() {
    for key in ["", "A=B", "="] {
        let error = Command::new("/bin/true").env(key, "x").spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "exec", Side::Plan), "{error}");
    }
}

#[test]
fn a_name_without_a_slash_is_looked_for_in_the_containers_path_and_tree() {
    let root = busybox_root("path");
    root.executable("opt/only-inside", "#!/bin/sh\necho found\n");
    let mut command = Command::new("only-inside");
    for kind in [seclude::Namespace::User, seclude::Namespace::Mount] {
        command.unshare(kind);
    }
    command.env("PATH", "/nowhere:/bin:/opt");
    let error = command.output().unwrap_err();
    assert_eq!((error.code(), error.step()), (Code::NotFound, "exec"), "it is not in the host's tree: {error}");
    command.root(Root::directory(root.path()));
    assert_eq!(said(&command.output().unwrap()), "found");
    let error = command.env("PATH", "/bin").output().unwrap_err();
    assert_eq!((error.code(), error.step()), (Code::NotFound, "exec"), "{error}");
}

#[test]
fn the_working_directory_is_the_callers_in_the_hosts_tree_and_slash_in_another() {
    let here = std::env::current_dir().unwrap().display().to_string();
    assert_eq!(said(&shell("pwd -P").output().unwrap()), here);
    assert_eq!(said(&contained("pwd -P").output().unwrap()), here);
    let root = busybox_root("directory");
    let mut command = contained("pwd -P");
    assert_eq!(said(&command.root(Root::directory(root.path())).output().unwrap()), "/");
    assert_eq!(said(&command.current_dir("/usr").output().unwrap()), "/usr");
    assert_eq!(said(&shell("pwd -P").current_dir("/usr/share").output().unwrap()), "/usr/share");
}

#[test]
fn the_working_directory_is_looked_up_after_the_mounts() {
    let scratch = Scratch::new("workdir");
    scratch.file("file", "");
    let mut command = contained("pwd -P; ls");
    command.current_dir("/mnt").mount(Mount::bind(scratch.path(), "/mnt"));
    assert_eq!(said(&command.output().unwrap()), "/mnt\nfile");
}

#[test]
fn a_working_directory_that_is_missing_or_relative_is_an_error() {
    let error = contained("true").current_dir("/no/such").spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("workdir", Side::Child, Some("ENOENT")), "{error}");
    let error = contained("true").current_dir("/etc/passwd").spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("workdir", Side::Child, Some("ENOTDIR")), "{error}");
    let error = contained("true").current_dir("usr").spawn().unwrap_err();
    assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "workdir", Side::Plan), "{error}");
}

#[test]
fn the_working_directory_cannot_lead_out_through_a_descriptor() {
    // CVE-2024-21626: a directory of the host that is open in the spawner, reached by /proc/self/fd/N.
    let outside = fs::File::open("/usr").unwrap();
    let root = busybox_root("cwd-escape");
    let magic = ["cwd", "root"].map(|name| format!("/proc/self/{name}"));
    for path in (0..32.max(outside.as_raw_fd() + 1)).map(|number| format!("/proc/self/fd/{number}")).chain(magic) {
        let mut command = contained("pwd -P; ls");
        let error = command.root(Root::directory(root.path())).current_dir(&path).spawn().unwrap_err();
        assert_eq!((error.step(), error.side()), ("workdir", Side::Child), "{path}: {error}");
    }
}

#[test]
fn the_umask_is_the_callers_unless_said() {
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = status_field(&own, "Umask");
    assert_eq!(field(&mut status(), "Umask"), own);
    assert_eq!(field(status().umask(0o027), "Umask"), "0027");
    // Set-up has one of its own, which does not show.
    let mut mounting = contained("umask");
    mounting.mount(Mount::file("/etc/hostname", "x"));
    assert_eq!(said(&mounting.output().unwrap()), own);
    assert_eq!(said(&mounting.umask(0o077).output().unwrap()), "0077");
}

/// Session and group of a process, proc_pid_stat(5).
fn session_of(stat: &str) -> (u32, u32, u32) {
    let pid = stat.split(' ').next().unwrap().parse().unwrap();
    let rest: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (pid, rest[2].parse().unwrap(), rest[3].parse().unwrap())
}

#[test]
fn a_new_session_is_the_commands_own() {
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/stat");
    let (_, _, own) = session_of(&fs::read_to_string("/proc/self/stat").unwrap());
    let (pid, _, inherited) = session_of(&said(&command.output().unwrap()));
    assert_eq!(inherited, own);
    assert_ne!(inherited, pid);
    let (pid, group, session) = session_of(&said(&command.new_session(true).output().unwrap()));
    assert_eq!((group, session), (pid, pid));
}
