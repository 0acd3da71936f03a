//! The `seclude` command as a test uses it: what a script says inside, how a refusal reads, a run in the background.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use crate::{PATIENCE, ends_within, pidfd, seclude_bin, stdout_of};

/// `seclude` with these arguments and an empty stdin; messages are in English.
pub fn seclude_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(seclude_bin());
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// What a shell script says in a container made with `flags`; it must succeed.
pub fn inside(flags: &[&str], script: &str) -> String {
    stdout_of(&try_inside(flags, script))
}

/// How a shell script ends in a container made with `flags`.
pub fn try_inside(flags: &[&str], script: &str) -> Output {
    let arguments = [&["run"], flags, &["--", "/bin/sh", "-c", script]].concat();
    seclude_command(&arguments).output().expect("the seclude command starts")
}

/// What the same script says on the host: the contrast.
pub fn outside(script: &str) -> String {
    stdout_of(&try_outside(script))
}

/// How the same script ends on the host.
pub fn try_outside(script: &str) -> Output {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).env("LC_ALL", "C").stdin(Stdio::null());
    command.output().expect("a shell starts")
}

/// What a Python program says in a container made with `flags`; it must succeed.
pub fn python(flags: &[&str], program: &str) -> String {
    let arguments = [&["run"], flags, &["--", "/usr/bin/python3", "-c", program]].concat();
    stdout_of(&seclude_command(&arguments).output().expect("the seclude command starts"))
}

/// The one line with which `seclude` refuses; it must end with `code`, and nothing may have run.
pub fn refused(code: i32, arguments: &[&str]) -> String {
    refusal(code, &seclude_command(arguments).output().expect("the seclude command starts"))
}

/// The same of a run that has ended.
pub fn refusal(code: i32, output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    assert_eq!(stdout, "", "nothing ran");
    let line = stderr.strip_suffix('\n').expect("a whole line");
    assert!(line.starts_with("seclude: ") && !line.contains('\n'), "one line from seclude: {stderr}");
    line.to_owned()
}

/// A run of `seclude` that goes on; killed if the test ends first.
pub struct Background {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Background {
    /// Starts `seclude` with these arguments; stdin and stdout are pipes, stderr is the test's.
    pub fn start(arguments: &[&str]) -> Background {
        Background::of(seclude_command(arguments).stderr(Stdio::inherit()))
    }

    /// Starts a command with stdin and stdout as pipes.
    pub fn of(command: &mut Command) -> Background {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Background { child, stdout }
    }

    /// The pid of `seclude`, not of what it runs.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The next line of its stdout.
    pub fn line(&mut self) -> String {
        if self.stdout.buffer().is_empty() {
            let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
            let ready = poll(&mut [PollFd::new(self.stdout.get_ref(), PollFlags::IN)], Some(&patience));
            assert_eq!(ready, Ok(1), "a line in time");
        }
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("its stdout can be read");
        line.trim_end().to_owned()
    }

    /// Whether it has not ended yet.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Sends `seclude` a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a pid");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end, though others may still have its stdout; answers its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        assert!(ends_within(pidfd(self.child.id()), PATIENCE), "it ends in time");
        self.child.wait().expect("it is our child").code()
    }

    /// Waits for its end; answers its exit code, and the rest of its stdout.
    pub fn end(mut self) -> (Option<i32>, String) {
        let code = self.wait();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("its stdout can be read");
        (code, rest.trim_end().to_owned())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A container that was left to itself: it ends with this, also where a test fails.
pub struct Detached(Pid);

impl Detached {
    /// Of `run --detach`, which says whose it is.
    pub fn of(command: &mut Command) -> Detached {
        let pid = stdout_of(&command.output().expect("the seclude command starts"));
        Detached(Pid::from_raw(pid.parse().expect("a process id")).expect("it is none of ours"))
    }

    /// Its first process.
    pub fn pid(&self) -> i32 {
        self.0.as_raw_nonzero().get()
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}
