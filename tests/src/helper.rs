//! The test binary as a program of its own: a spawner to be killed, or a probe inside a container.
//!
//! A test file that uses it has `#[test] fn helper_process()` that does what [`role`] says, and returns at once
//! where there is none.

use std::process::Output as ProcessOutput;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const ROLE: &str = "SECLUDE_TEST_ROLE";
const ARGUMENTS: [&str; 4] = ["helper_process", "--exact", "--nocapture", "--test-threads=1"];
/// What tells a helper's lines from the test harness's.
const MARK: &str = "helper: ";

/// Longer than anything takes: a test that is wrong fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// This test binary, to play `role` in a process of its own.
pub fn helper(role: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().expect("a test knows its own path"));
    command.args(ARGUMENTS).env(ROLE, role).stdin(std::process::Stdio::null());
    command
}

/// This test binary, to play `role` in a container that has the host's tree.
pub fn helper_inside(role: &str) -> seclude::Command {
    let mut command = seclude::Command::new(std::env::current_exe().expect("a test knows its own path"));
    command.args(ARGUMENTS).env(ROLE, role);
    command
}

/// What this process is to play, if it is a helper.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Says a line to the test that started this helper.
pub fn tell(line: impl std::fmt::Display) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    // With a newline in front: the harness has begun a line of its own.
    writeln!(stdout, "\n{MARK}{line}").and_then(|()| stdout.flush()).expect("the test listens");
}

/// What a line of a helper's output says, if it is one of [`tell`].
pub fn told_line(line: &str) -> Option<&str> {
    line.strip_prefix(MARK)
}

/// What a helper told; it must have succeeded.
pub fn told(output: &ProcessOutput) -> Vec<String> {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {stdout}{stderr}", output.status);
    stdout.lines().filter_map(told_line).map(str::to_owned).collect()
}

/// What a helper inside a container told; it must have succeeded.
pub fn told_inside(output: &seclude::Output) -> Vec<String> {
    let said = crate::said(output);
    said.lines().filter_map(told_line).map(str::to_owned).collect()
}

/// A pidfd of a process that is no child of ours, to wait for its end.
pub fn pidfd(pid: u32) -> OwnedFd {
    let pid = Pid::from_raw(pid as i32).expect("a pid");
    pidfd_open(pid, PidfdFlags::empty()).expect("the process is there")
}

/// Whether the process of a pidfd ends within this time.
pub fn ends_within(pidfd: impl AsFd, time: Duration) -> bool {
    let timeout = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
    loop {
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return ready.expect("a pidfd can be polled") > 0,
        }
    }
}

/// A field of /proc/PID/status, such as `"CapEff"`, without the blanks around it.
pub fn status_field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status:?}")).trim()
}

/// Waits until a process holds a signal: before that it ends by it, as anybody does.
pub fn until_held(pid: u32, signal: i32) {
    let started = std::time::Instant::now();
    loop {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
        let blocked = u64::from_str_radix(status_field(&status, "SigBlk"), 16).expect("a mask");
        if blocked & 1 << (signal - 1) != 0 {
            return;
        }
        assert!(started.elapsed() < crate::PATIENCE, "it holds signals");
        std::thread::sleep(Duration::from_millis(5));
    }
}
