//! Processes in /proc, which may be of another pid namespace than this process: there a pid of ours is nobody's, or somebody else's.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fstatfs};
use rustix::io::Errno;
use seclude_request::Remedy;
use seclude_sys::Fd;

use crate::advice::Hint;
use crate::error::{Error, Result};

const REMEDY: &str = "mount a /proc of the caller's pid namespace, such as unshare --mount-proc does";

/// The pid that /proc has for the process of a pidfd: a number of its own where that is mounted for a pid namespace above.
pub(crate) fn pid_of(step: &'static str, pidfd: Fd) -> Result<i32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.0);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let hint = (Errno::from_io_error(&error) == Some(Errno::NOENT)).then(absent);
        Error::parent(step, "find the process in /proc", error).call("open").path_of(&path).hint_if(hint)
    })?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")).and_then(|pid| pid.trim().parse().ok());
    // 0: it has none there; -1: it has ended, and been waited for.
    pid.filter(|pid| *pid > 0).ok_or_else(|| {
        Error::invalid(step, "the process has no pid in /proc, which is of another pid namespace").hint(another())
    })
}

/// The process's directory in /proc, made sure to be one: the write must not land in a file that imitates it.
pub(crate) fn open(step: &'static str, pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}");
    let failed = |errno| {
        Error::parent(step, format!("open {path}"), errno)
            .call("open")
            .path_of(&path)
            .hint_if((errno == Errno::NOENT).then(absent))
    };
    let process =
        rustix::fs::open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let kind = fstatfs(&process).map_err(failed)?.f_type;
    if kind != rustix::fs::PROC_SUPER_MAGIC {
        return Err(Error::invalid(step, format!("{path} is not on a proc file system")));
    }
    Ok(process)
}

/// Why /proc has nothing of this process.
pub(crate) fn absent() -> Hint {
    // Each procfs has this one, which leads nowhere for who has no pid there.
    if Path::new("/proc/self").is_symlink() {
        another()
    } else {
        "/proc has to be mounted where the caller runs".into()
    }
}

fn another() -> Hint {
    Hint::from(format!("/proc is of another pid namespace than the caller: {REMEDY}"))
        .with([Remedy::Host(REMEDY.to_owned())])
}

/// Whether the pids of /proc are this process's own. Where they are not, `/proc/PID` is of another process.
#[must_use]
pub fn proc_is_of_own_pid_namespace() -> bool {
    // A process that is in a namespace below that of /proc has one pid for each.
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        // Without pid namespaces (Linux without CONFIG_PID_NS) there is no such line.
        pids.is_none_or(|pids| pids.split_ascii_whitespace().count() == 1)
    })
}
