//! How a container ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use seclude_request::Remedy;
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::denials::Denials;
use crate::discarded::Discarded;
use crate::reach::Reach;
use crate::usage::{Tree, Usage};

/// How it ended, why, and what it has used.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Exit {
    status: ExitStatus,
    cause: Cause,
    account: Arc<Account>,
}

/// What is known at the end beyond the status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    pub(crate) denials: Denials,
    pub(crate) reach: Option<Reach>,
    pub(crate) discarded: Option<Discarded>,
    pub(crate) usage: Usage,
    pub(crate) tree: Tree,
    pub(crate) run: Duration,
    pub(crate) clean_up: Duration,
    pub(crate) left_behind: Vec<String>,
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
    /// It failed, and the kernel had killed a process of its cgroup for lack of memory.
    OutOfMemory,
    /// It failed, and the kernel had refused it a process because of its cgroup's limit.
    PidsLimit,
}

impl Cause {
    /// The stable name, such as `"out-of-memory"`.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Exited => "exited",
            Cause::Signaled => "signaled",
            Cause::Deadline => "deadline",
            Cause::Killed => "killed",
            Cause::OutOfMemory => "out-of-memory",
            Cause::PidsLimit => "pids-limit",
        }
    }
}

impl Exit {
    pub(crate) fn new(raw: i32, stopped_by: Option<Cause>, account: Account) -> Exit {
        let status = ExitStatus::from_raw(raw);
        let hit = |count: Option<u64>| count.is_some_and(|count| count > 0);
        let cause = match (status.signal(), stopped_by) {
            // Killed by us, unless it was faster.
            (Some(9), Some(cause)) => cause,
            _ if status.success() => Cause::Exited,
            // A shell says 137 of a command that was killed, a compiler driver 1: what failed below it is the cause.
            _ if hit(account.usage.oom_kills) => Cause::OutOfMemory,
            _ if hit(account.usage.pids_refused) => Cause::PidsLimit,
            (Some(_), _) => Cause::Signaled,
            (None, _) => Cause::Exited,
        };
        Exit { status, cause, account: Arc::new(account) }
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

    /// What it has used.
    pub fn usage(&self) -> &Usage {
        &self.account.usage
    }

    /// What proves that nothing of it runs any more.
    pub fn tree(&self) -> Tree {
        self.account.tree
    }

    /// From its exec until the handle saw its end.
    pub fn run_time(&self) -> Duration {
        self.account.run
    }

    /// From then until everything that was there for it was gone.
    pub fn clean_up_time(&self) -> Duration {
        self.account.clean_up
    }

    /// What stays on the host of what was made for it, and why: mount points that are not empty any more, or that another
    /// container may have mounts on. Those that are removed are not listed.
    pub fn left_behind(&self) -> &[String] {
        &self.account.left_behind
    }

    /// What its filter of system calls has refused. It grows where processes of it may go on: without a pid namespace of its own.
    pub fn denials(&self) -> Denials {
        self.account.denials.clone()
    }

    /// What it has reached, and what it was refused, if it had a network of names.
    pub fn reach(&self) -> Option<&Reach> {
        self.account.reach.as_ref()
    }

    /// What it has written to layers that are kept in memory ([`crate::Overlay::ephemeral`]), and that went with it. `None` without any.
    pub fn discarded(&self) -> Option<Discarded> {
        self.account.discarded
    }

    /// All of it, as docs/report.schema.json has it: `made` is how it was made, `wall` the time from the call to here, and
    /// `say` what each remedy is there: [`Remedy::to_json`].
    pub fn to_json(&self, made: &impl Serialize, wall: Duration, say: &dyn Fn(&Remedy) -> Json) -> Json {
        let microseconds = |time: Duration| time.as_nanos() as f64 / 1e3;
        json!({
            "cause": self.cause,
            "code": self.code(),
            "signal": self.signal(),
            "wall_us": microseconds(wall),
            "run_us": microseconds(self.account.run),
            "clean_up_us": microseconds(self.account.clean_up),
            "usage": self.account.usage,
            "tree": { "empty": self.account.tree.is_empty(), "proof": self.account.tree },
            "left_behind": self.account.left_behind,
            "denials": self.account.denials.to_json(say),
            "more_denials": self.account.denials.more(),
            "reach": self.account.reach.as_ref().map(|reach| reach.to_json(say)),
            "discarded": self.account.discarded,
            "spawn": made,
        })
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
            Cause::OutOfMemory => write!(f, "out of memory: its memory limit was reached ({})", self.status),
            Cause::PidsLimit => write!(f, "its limit of processes was reached ({})", self.status),
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
