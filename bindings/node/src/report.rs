//! What is known of an end, of a failure and of a running container, as JSON.

use std::time::Duration;

use rustix::io::Errno;
use seclude::{Error, Limit, Psi, Remedy, Stats};
use serde_json::{Value as Json, json};

use crate::options::Names;

/// What `lib/failure.js` makes an Error of, with the keys as the caller has them.
pub(crate) fn failure(error: &Error, names: &Names) -> Json {
    let say = |remedy: &Remedy| names.say(remedy);
    json!({
        "message": error.message_with(say),
        "kind": error.code().name(),
        "code": error.errno_name(),
        // As the runtimes have it.
        "errno": error.raw_os_error().map(|errno| -errno),
        "syscall": error.system_call(),
        "step": error.step(),
        "side": error.side().name(),
        "action": error.action(),
        "path": error.path().map(|path| path.to_string_lossy()),
        "field": names.of(error).map(|field| field.to_string()),
        "hint": error.advice().map(|hint| Remedy::behind(hint, error.remedies(), say)),
        "remedies": error.remedies().iter().map(|remedy| names.as_json(remedy)).collect::<Vec<_>>(),
        "limit": error.limit().map(Limit::name),
        "leftBehind": error.left_behind(),
    })
}

/// A failure of the binding's own part.
pub(crate) fn of_io(step: &str, action: &str, error: &std::io::Error) -> Json {
    match Errno::from_io_error(error) {
        Some(errno) => of_errno(step, action, errno),
        None => {
            json!({ "message": format!("{step} {action}: {error}"), "kind": "refused", "step": step, "side": "parent",
                        "action": action, "remedies": [], "leftBehind": [] })
        }
    }
}

/// A file that could not be opened for one of the command's descriptors.
pub(crate) fn of_file(step: &str, path: &str, error: &std::io::Error) -> Json {
    let mut failure = of_io(step, &format!("open {path}"), error);
    failure["path"] = path.into();
    failure["syscall"] = "open".into();
    failure
}

pub(crate) fn of_errno(step: &str, action: &str, errno: Errno) -> Json {
    let name = match errno {
        Errno::PIPE => Some("EPIPE"),
        Errno::SRCH => Some("ESRCH"),
        Errno::AGAIN => Some("EAGAIN"),
        Errno::MFILE => Some("EMFILE"),
        Errno::NFILE => Some("ENFILE"),
        Errno::NOMEM => Some("ENOMEM"),
        Errno::ACCESS => Some("EACCES"),
        Errno::PERM => Some("EPERM"),
        Errno::IO => Some("EIO"),
        Errno::NOENT => Some("ENOENT"),
        Errno::NOTDIR => Some("ENOTDIR"),
        Errno::ISDIR => Some("EISDIR"),
        Errno::LOOP => Some("ELOOP"),
        Errno::NAMETOOLONG => Some("ENAMETOOLONG"),
        Errno::ROFS => Some("EROFS"),
        Errno::NOSPC => Some("ENOSPC"),
        Errno::DQUOT => Some("EDQUOT"),
        Errno::NXIO => Some("ENXIO"),
        Errno::NODEV => Some("ENODEV"),
        Errno::TXTBSY => Some("ETXTBSY"),
        Errno::BUSY => Some("EBUSY"),
        _ => None,
    };
    json!({
        "message": format!("{step} {action}: {} (parent)", name.map_or_else(|| errno.to_string(), str::to_owned)),
        "kind": "refused",
        "code": name,
        "errno": -errno.raw_os_error(),
        "step": step,
        "side": "parent",
        "action": action,
        "remedies": [], "leftBehind": [],
    })
}

/// A start that was ended before the command ran; as the library has it.
pub(crate) fn given_up(left_behind: &[&str]) -> Json {
    let action = "the start was given up";
    json!({ "message": format!("cancel: {action}"), "kind": "cancelled", "step": "cancel", "side": "plan", "action": action,
            "remedies": [], "leftBehind": left_behind })
}

pub(crate) fn invalid(step: &str, action: &str) -> Json {
    json!({ "message": format!("{step}: {action}"), "kind": "invalid", "step": step, "side": "plan", "action": action,
            "remedies": [], "leftBehind": [] })
}

/// Times in microseconds, sizes in bytes; `null` is not counted here.
pub(crate) fn stats(stats: &Stats) -> Json {
    let us = |time: Option<Duration>| time.map(|time| time.as_micros() as u64);
    let psi = |psi: Option<Psi>| {
        psi.map(|psi| {
            json!({
                "some": { "avg10": psi.some.avg10, "totalUs": psi.some.total.as_micros() as u64 },
                "full": psi.full.map(|full| json!({ "avg10": full.avg10, "totalUs": full.total.as_micros() as u64 })),
            })
        })
    };
    json!({
        "memoryBytes": stats.memory_current,
        "memoryPeakBytes": stats.memory_peak,
        "cpuUserUs": us(stats.cpu_user),
        "cpuSystemUs": us(stats.cpu_system),
        "cpuThrottledUs": us(stats.cpu_throttled),
        "periodsThrottled": stats.nr_throttled,
        "pids": stats.pids_current,
        "pidsPeak": stats.pids_peak,
        "ioReadBytes": stats.io_read_bytes,
        "ioWriteBytes": stats.io_write_bytes,
        "pressure": {
            "cpu": psi(stats.pressure.cpu),
            "memory": psi(stats.pressure.memory),
            "io": psi(stats.pressure.io),
        },
    })
}
