//! The command's open files: what it was given, and nothing else.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;

use rustix::io::{FdFlags, fcntl_setfd};
use seclude::{Code, Command, Namespace, Side, Stdio};
use seclude_tests::{Scratch, busybox, said, seclude_command, shell};

use super::contained;

/// The descriptors that a command finds open, but for the one that it lists them through: 3, as that is free.
fn open_in(command: &mut Command) -> Vec<u32> {
    let text = said(&command.output().unwrap());
    let mut numbers: Vec<u32> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.contains(&3), "{numbers:?}");
    numbers.retain(|number| *number != 3);
    numbers
}

fn list() -> Command {
    let mut command = Command::new(busybox());
    command.args(["ls", "/proc/self/fd"]);
    command
}

/// A descriptor that every child of this process would get.
fn leak() -> File {
    let file = File::open("/etc/passwd").unwrap();
    fcntl_setfd(&file, FdFlags::empty()).unwrap();
    file
}

#[test]
fn a_descriptor_that_the_caller_leaks_is_closed_in_the_command() {
    let leaked = leak();
    let plain = std::process::Command::new(busybox()).args(["ls", "/proc/self/fd"]).output().unwrap();
    let plain = String::from_utf8(plain.stdout).unwrap();
    assert!(plain.split_whitespace().any(|number| number == leaked.as_raw_fd().to_string()), "{plain}");
    assert_eq!(open_in(&mut list()), [0, 1, 2]);
    assert_eq!(open_in(list().sandbox().current_dir("/")), [0, 1, 2]);
    assert_eq!(open_in(list().unshare(Namespace::User).unshare(Namespace::Net)), [0, 1, 2]);
}

#[test]
fn the_command_has_the_descriptors_it_was_given_at_their_numbers_and_no_other() {
    let _leaked = leak();
    let scratch = Scratch::new("fds");
    let open = |name: &str| File::open(scratch.file(name, name)).unwrap();
    let mut command = list();
    command.fd(open("a"), 10).fd(open("b"), 500);
    assert_eq!(open_in(&mut command), [0, 1, 2, 10, 500]);
    let mut read = contained("cat /proc/self/fd/10 /proc/self/fd/11 /proc/self/fd/500");
    read.fd(open("a"), 11).fd(open("b"), 10).fd(open("c"), 500);
    assert_eq!(said(&read.output().unwrap()), "bac");
}

#[test]
fn descriptors_may_change_places() {
    let scratch = Scratch::new("swap");
    let open = |name: &str| File::open(scratch.file(name, name)).unwrap();
    let (first, second) = (open("first"), open("second"));
    let (at_first, at_second) = (first.as_raw_fd(), second.as_raw_fd());
    let mut command = Command::new("/bin/cat");
    command.args([format!("/proc/self/fd/{at_first}"), format!("/proc/self/fd/{at_second}")]);
    command.fd(first, at_second).fd(second, at_first);
    assert_eq!(said(&command.output().unwrap()), "secondfirst");
}

#[test]
fn every_low_number_can_be_asked_for_whatever_set_up_uses_itself() {
    let scratch = Scratch::new("many");
    let mut command = contained("for fd in /proc/$$/fd/*; do echo ${fd##*/}; done; cat /proc/self/fd/40");
    for number in 3..=60 {
        command.fd(File::open(scratch.file(format!("{number}"), &format!("{number}"))).unwrap(), number);
    }
    let said = said(&command.init(true).mount(seclude::Mount::dev("/dev")).output().unwrap());
    let mut lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.pop(), Some("40"));
    let mut numbers: Vec<i32> = lines.iter().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.retain(|number| *number <= 60);
    assert_eq!(numbers, (0..=60).collect::<Vec<_>>());
}

#[test]
fn numbers_of_stdio_and_numbers_given_twice_are_refused() {
    let many = seclude_command(&["run", "--fd", "0:99999999", "true"]).output().unwrap();
    let said = String::from_utf8_lossy(&many.stderr).into_owned();
    assert!(said.starts_with("seclude: --fd: descriptors: 99999999 is more than"), "{said}");
    for numbers in [[0, 10], [2, 10], [-1, 10], [10, 10], [10, 1 << 21]] {
        let mut command = Command::new("/bin/true");
        for number in numbers {
            command.fd(File::open("/dev/null").unwrap(), number);
        }
        let error = command.spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "descriptors", Side::Plan), "{error}");
    }
}

#[test]
fn stdio_goes_to_the_files_it_was_given() {
    let scratch = Scratch::new("stdio");
    let input = File::open(scratch.file("in", "from the file")).unwrap();
    let mut out = File::options().read(true).append(true).create(true).open(scratch.join("out")).unwrap();
    let mut command = shell("cat; echo to stderr >&2");
    command.stdin(input).stdout(out.try_clone().unwrap()).stderr(out.try_clone().unwrap());
    assert!(command.status().unwrap().success());
    let mut written = String::new();
    out.rewind().unwrap();
    out.read_to_string(&mut written).unwrap();
    assert_eq!(written, "from the fileto stderr\n");
}

#[test]
fn null_is_the_hosts_dev_null_also_in_a_root_without_one() {
    let root = seclude_tests::busybox_root("null");
    let mut command = contained("wc -c; stat -L -c %t:%T /proc/self/fd/0");
    command.root(seclude::Root::directory(root.path())).stdin(Stdio::null());
    assert_eq!(said(&command.output().unwrap()), "0\n1:3");
}

#[test]
fn the_callers_ends_of_pipes_are_closed_in_other_commands() {
    let mut holder = Command::new("/bin/cat");
    let mut held = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut other = Command::new("/bin/cat");
    let mut stays = other.stdin(Stdio::piped()).spawn().unwrap();
    held.stdin.take().unwrap().write_all(b"x").unwrap();
    // End of file only if no other process has the writing end.
    let mut read = Vec::new();
    held.stdout.take().unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, b"x");
    assert!(held.wait().unwrap().success());
    assert!(stays.wait().unwrap().success());
}
