//! A name that no other cgroup below the same parent has.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use crate::{Error, read};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// `PID-START-N`: this process, when it started (clock ticks since boot) because a pid comes
/// again, and a count. Read anew each time, as a fork without exec keeps the memory but not the pid.
pub(crate) fn next() -> Result<PathBuf, Error> {
    let path = Path::new("/proc/self/stat");
    let stat = read::piece_of(path)?;
    let start = start_time(&stat).ok_or_else(|| Error::from_call("read", path, Errno::INVAL))?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Ok(PathBuf::from(format!("{}-{start}-{count}", std::process::id())))
}

/// The maker of a cgroup of this name: its pid and start time.
pub(crate) fn maker(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.split('-');
    let maker = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?.parse::<u64>().ok()?;
    parts.next().is_none().then_some(maker)
}

/// Whether that process runs, in the pid namespace of this one.
pub(crate) fn is_alive((pid, start): (u32, u64)) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| start_time(&stat) == Some(start))
}

/// Field 22 of `proc_pid_stat(5)`. The name in field 2 may have blanks and parentheses.
fn start_time(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 200";
        assert_eq!(start_time(stat), Some(98_765));
        assert_eq!(start_time("7 (x) S 1"), None);
    }

    #[test]
    fn a_name_tells_its_maker() {
        let name = next().unwrap();
        let maker = maker(name.to_str().unwrap()).unwrap();
        assert_eq!(maker.0, std::process::id());
        assert!(is_alive(maker));
        assert!(!is_alive((maker.0, maker.1 + 1)), "another process that had this pid");
        for foreign in ["", "system.slice", "1-2", "1-2-3-4", "a-1-2"] {
            assert_eq!(super::maker(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn names_differ() {
        assert_ne!(next().unwrap(), next().unwrap());
    }
}
