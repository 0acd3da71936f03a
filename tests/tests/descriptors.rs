//! The command's open files: the ones that it was given, under the numbers that were asked for, and no other.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;

use seclude::{Command, Mount, Namespace};
use seclude_tests::{Scratch, helper, role};

/// What is behind each number from 3 on.
const SHOW: &str = r#"for fd in 3 4 5 6 7 8 9; do test -e /proc/self/fd/$fd && echo "$fd $(cat <&$fd)"; done; true"#;

fn command() -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SHOW]).current_dir("/").unshare(Namespace::User);
    command
}

/// Runs it, and takes its answer apart.
fn shown(command: &mut Command, context: &str) -> BTreeMap<i32, String> {
    let output = command.output().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(output.exit.success(), "{context}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(number, content)| (number.parse().expect("a number"), content.to_owned())).collect()
}

/// Some number is that which a mount or the working directory had while the tree was made.
#[test]
fn a_descriptor_arrives_whatever_was_done_under_its_number_before() {
    let own = Scratch::new("descriptors");
    let content = own.file("content", "given");
    for number in 3..10 {
        for mounts in 0..4 {
            for init in [false, true] {
                let mut command = command();
                command.unshare(Namespace::Mount).unshare(Namespace::Pid).init(init);
                if mounts > 0 {
                    command.mount(Mount::tmpfs("/mnt"));
                }
                for mount in 0..mounts {
                    command.mount(Mount::bind(own.path(), format!("/mnt/{mount}")).read_only());
                }
                command.fd(File::open(&content).expect("it was made"), number);
                let context = format!("{number}, {mounts} mounts, init {init}");
                assert_eq!(shown(&mut command, &context), [(number, "given".to_owned())].into(), "{context}");
            }
        }
    }
}

#[test]
fn several_change_places_without_overwriting_one_another() {
    let own = Scratch::new("descriptors-places");
    let mut command = command();
    let files = ["a", "b", "c"].map(|name| File::open(own.file(name, name)).expect("it was made"));
    for (file, number) in files.into_iter().zip([5, 3, 4]) {
        command.fd(file, number);
    }
    let expected = [(3, "b"), (4, "c"), (5, "a")].map(|(number, name)| (number, name.to_owned()));
    assert_eq!(shown(&mut command, "three"), expected.into());
}

#[test]
fn none_of_the_callers_others_arrives_even_if_it_is_not_close_on_exec() {
    let own = Scratch::new("descriptors-others");
    let file = File::open(own.file("content", "kept")).expect("it was made");
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("a flag");
    let script = format!("cat /proc/self/fd/{}", file.as_raw_fd());
    let plain = std::process::Command::new("/bin/sh").args(["-c", &script]).output().expect("sh");
    assert_eq!(String::from_utf8_lossy(&plain.stdout), "kept", "{plain:?}");
    let mut contained = Command::new("/bin/sh");
    contained.args(["-c", &script]).current_dir("/").unshare(Namespace::User);
    let output = contained.output().unwrap_or_else(|error| panic!("{error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && said.contains("No such file"), "{said}");
}

/// Group, session, terminal and foreground group of a shell that leads its group, proc_pid_stat(5).
const GROUPS: &str = "read -r _ _ _ _ group session tty foreground _ < /proc/self/stat
    echo $((tty != 0)) $((group == foreground))";

#[test]
fn a_terminal_need_not_be_stdin_stdout_or_stderr_to_be_that_of_the_session() {
    for (init, with, expected) in [(false, true, "1 1\n"), (true, true, "1 1\n"), (false, false, "0 0\n")] {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GROUPS]).current_dir("/").unshare(Namespace::User).unshare(Namespace::Pid);
        command.unshare(Namespace::Mount).init(init);
        // Without one it has no session that could have the caller's.
        if with {
            command.terminal(24, 80)
        } else {
            command.new_session(true)
        };
        let output = command.output().unwrap_or_else(|error| panic!("init {init}: {error}"));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "init {init}: {output:?}");
    }
}

/// A spawner without stdin, stdout and stderr: set-up then has their numbers. It can only answer by how it ends.
#[test]
fn helper_process() {
    if role().is_none() {
        return;
    }
    seclude_sys::file::close_range(0, 2).expect("they were open");
    for mounts in 0..4 {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "[ -t 0 ] && [ -t 1 ] && [ -t 2 ]"]).current_dir("/");
        command.unshare(Namespace::User).unshare(Namespace::Mount).unshare(Namespace::Pid).terminal(24, 80);
        for _ in 0..mounts {
            command.mount(Mount::tmpfs("/mnt"));
        }
        assert!(command.status().is_ok_and(|exit| exit.success()));
    }
}

#[test]
fn a_terminal_is_all_three_also_of_a_spawner_that_has_none_of_them() {
    let status = helper("closed").stdout(std::process::Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{status}");
}
