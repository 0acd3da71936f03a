//! How a process ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde::Serialize;

/// How it ended, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Exit {
    status: ExitStatus,
    cause: Cause,
}

/// Why it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// It exited.
    Exited,
    /// A signal ended it.
    Signaled,
    /// Its deadline passed, and the handle killed it.
    Deadline,
    /// [`crate::Child::kill`] killed it.
    Killed,
}

impl Exit {
    pub(crate) fn new(raw: i32, stopped_by: Option<Cause>) -> Exit {
        let status = ExitStatus::from_raw(raw);
        let cause = match (status.signal(), stopped_by) {
            // Killed by us, unless it was faster.
            (Some(9), Some(cause)) => cause,
            (Some(_), _) => Cause::Signaled,
            (None, _) => Cause::Exited,
        };
        Exit { status, cause }
    }

    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Its exit code, if it exited.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it, if one did.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Why it ended.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// As std has it.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// What a shell would say: the exit code, or 128 + the signal.
    pub fn shell_code(&self) -> u8 {
        let code = self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0));
        code as u8
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Deadline => f.write_str("killed: its deadline passed"),
            Cause::Killed => f.write_str("killed by its owner"),
            _ => fmt::Display::fmt(&self.status, f),
        }
    }
}

/// What a command that was run to its end has left.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to stdout, if that was a pipe.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr, if that was a pipe.
    pub stderr: Vec<u8>,
}
