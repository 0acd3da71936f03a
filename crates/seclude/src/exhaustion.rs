//! Which limit was hit, where the kernel says only that one was: EAGAIN, EFBIG, EMFILE, ENFILE, ENOMEM, ENOSPC.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use seclude_cgroup::{Controller, Hierarchies};

use crate::host::is_bound_by_nproc;

/// Calls that say ENOSPC where a file system is full.
const WRITING: [&str; 5] = ["mkdir", "mkdirat", "openat2", "symlinkat", "write"];

/// Descriptors that are counted one by one.
const MOST_COUNTED: u64 = 4096;

/// What an error number means that is about no call in particular; `call` is the one that answered it, if it is known.
pub(crate) fn of(errno: i32, call: Option<&str>) -> Option<String> {
    let errno = rustix::io::Errno::from_raw_os_error(errno);
    Some(match errno {
        rustix::io::Errno::MFILE => match getrlimit(Resource::Nofile).current {
            Some(limit) => format!("the caller may have {limit} open files, and has them: RLIMIT_NOFILE (ulimit -n)"),
            None => "the caller has as many open files as it may: fs.nr_open".into(),
        },
        rustix::io::Errno::NFILE => "the machine has as many open files as it may: sysctl fs.file-max".into(),
        rustix::io::Errno::FBIG => match getrlimit(Resource::Fsize).current {
            Some(limit) => format!("the caller may write files of {limit} bytes at most: RLIMIT_FSIZE (ulimit -f)"),
            None => "the file system has no files of that size".into(),
        },
        rustix::io::Errno::AGAIN => processes(),
        rustix::io::Errno::NOMEM => memory(),
        // Of namespaces and mounts it says that there are as many as may be.
        rustix::io::Errno::NOSPC if call.is_some_and(|call| WRITING.contains(&call)) => {
            "a file system that had to be written is full".into()
        }
        rustix::io::Errno::DQUOT if call == Some("keyctl") => {
            "the user has as many keys as it may, in all of its programs and containers: /proc/key-users, sysctl kernel.keys.maxkeys".into()
        }
        rustix::io::Errno::DQUOT => "the disk quota of the user is used up".into(),
        _ => return None,
    })
}

/// How many descriptors this process has; 0 where finding out would take the longer the more they are.
pub(crate) fn open_files(limit: u64) -> u64 {
    const DIRECTORY: &str = "/proc/self/fd";
    // Its size since Linux 6.2.
    match fs::metadata(DIRECTORY).map(|found| found.len()) {
        Ok(0) if limit <= MOST_COUNTED => fs::read_dir(DIRECTORY).map_or(0, |all| all.count() as u64),
        found => found.unwrap_or(0),
    }
}

/// No process could be made.
pub(crate) fn processes() -> String {
    let limit = getrlimit(Resource::Nproc).current.filter(|_| is_bound_by_nproc());
    no_more_processes(limit, "the user has as many processes as it may")
}

/// The same of what the container's user asked for: it may have `limit`, or as many as the caller.
pub(crate) fn processes_inside(limit: Option<u64>) -> String {
    let limit = limit.or_else(|| getrlimit(Resource::Nproc).current);
    no_more_processes(limit, "the command's user has as many processes as it may, of which an init and set-up are some")
}

fn no_more_processes(limit: Option<u64>, whose: &str) -> String {
    let full = |directory: &Path| {
        let number = |file: &str| fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok();
        let (max, current) = (number("pids.max")?, number("pids.current")?);
        (current + 1 >= max).then(|| format!("pids.max is {max}"))
    };
    if let Some((what, cgroup)) = of_own_cgroups(Controller::Pids, full) {
        return format!("the caller's cgroup {cgroup} has as many processes as it may: {what}");
    }
    match limit {
        Some(limit) => format!("{whose}: RLIMIT_NPROC is {limit} (ulimit -u)"),
        None => "there are as many processes as may be: pids.max of a cgroup that is not seen here, sysctl kernel.pid_max or \
                 kernel.threads-max"
            .into(),
    }
}

/// There was no memory for it.
pub(crate) fn memory() -> String {
    let strict = fs::read_to_string("/proc/sys/vm/overcommit_memory").is_ok_and(|mode| mode.trim() == "2");
    if strict {
        return "the machine promises no more memory than it has: sysctl vm.overcommit_memory is 2".into();
    }
    let limit = |directory: &Path| {
        let found = ["memory.max", "memory.limit_in_bytes"].into_iter().find_map(|file| {
            let bytes = fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok()?;
            Some((file, bytes))
        });
        // What v1 says where there is no limit.
        found.filter(|(_, bytes)| *bytes < 1 << 62).map(|(file, bytes)| format!("{file} is {bytes}"))
    };
    match (of_own_cgroups(Controller::Memory, limit), getrlimit(Resource::As).current) {
        (Some((what, cgroup)), _) => format!("the caller's cgroup {cgroup} has no more memory: {what}"),
        (None, Some(bytes)) => format!("the caller may have no more memory: RLIMIT_AS is {bytes} (ulimit -v)"),
        (None, None) => "the machine has no more memory for it".into(),
    }
}

/// What is found in the caller's cgroup or the nearest one above it, and its path.
fn of_own_cgroups<T>(controller: Controller, look: impl Fn(&Path) -> Option<T>) -> Option<(T, String)> {
    let hierarchies = Hierarchies::discover().ok()?;
    let hierarchy = hierarchies.controller(controller)?;
    hierarchy.own_path()?.ancestors().find_map(|path| {
        let found = look(&hierarchy.locate(path)?)?;
        Some((found, path.display().to_string()))
    })
}
