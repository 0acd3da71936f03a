//! Looking at a container while it runs, and holding it still.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use seclude_cgroup::{Cgroup, Limit, Stats};
use seclude_request::Field;

use crate::error::{Error, Result};

const NAME: &str = "cgroup";
/// A process in uninterruptible sleep stops when that ends, and not before.
const PATIENCE: Duration = Duration::from_secs(10);

/// SIGKILL acts at once but for a process in uninterruptible sleep.
const LAST_MOMENTS: Duration = Duration::from_secs(10);

/// The cgroup of a running container: its counters, pause and resume. Also for another thread than the handle's.
#[derive(Clone, Debug)]
pub struct Meter(pub(crate) Arc<Cgroup>);

impl Meter {
    /// What the container uses now and has used so far.
    ///
    /// # Errors
    /// What reading the counters answers; ENOENT or ENODEV once the container has ended and its cgroup is removed.
    pub fn stats(&self) -> Result<Stats> {
        self.0.stats().map_err(|error| from_cgroup(NAME, error))
    }

    /// Stops every process of the container; returns when all have stopped.
    ///
    /// # Errors
    /// If one does not stop within 10 s (it is in uninterruptible sleep): then all go on again.
    pub fn pause(&self) -> Result<()> {
        match self.0.freeze(Some(PATIENCE)) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.resume()?;
                let action = format!("a process did not stop within {} s", PATIENCE.as_secs());
                Err(Error::parent(NAME, action, rustix::io::Errno::TIMEDOUT).hint("it waits for a disk or a network"))
            }
            Err(error) => Err(from_cgroup(NAME, error)),
        }
    }

    /// Lets them go on; nothing happens if they were not stopped.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn resume(&self) -> Result<()> {
        self.0.thaw().map_err(|error| from_cgroup(NAME, error))
    }

    /// Its path, the same in each hierarchy that it is in.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// `limits.memory_max` for `memory.max`.
pub(crate) fn field_of(limit: Limit) -> Field {
    let key = if limit == Limit::HugetlbMax { "hugetlb".to_owned() } else { limit.name().replace('.', "_") };
    Field::of("limits").key(key)
}

/// The error of the leaf crate as one of ours.
pub(crate) fn from_cgroup(step: &'static str, error: seclude_cgroup::Error) -> Error {
    if let seclude_cgroup::Error::NotUndone { error, undo } = error {
        let mut made = from_cgroup(step, *error);
        made.attach_undo(undo.to_string());
        return made;
    }
    let (hint, limit, path) = (error.hint(), error.limit(), error.path().map(Path::to_path_buf));
    let made = match (error.errno(), error.call()) {
        (Some(errno), Some(call)) => {
            let action = match (&error, error.path()) {
                (seclude_cgroup::Error::Refused { limit, value, path, .. }, _) => {
                    format!("{limit} {:?} into {}", value.trim(), path.display())
                }
                (seclude_cgroup::Error::NotRemoved { .. }, _) => error.to_string(),
                // The path alone would leave out what is wrong with it.
                (seclude_cgroup::Error::InternalProcesses { .. } | seclude_cgroup::Error::Exists { .. }, _) => {
                    error.to_string().trim_start_matches("cgroup ").to_owned()
                }
                (_, Some(path)) => path.display().to_string(),
                (_, None) => String::new(),
            };
            Error::parent(step, action, rustix::io::Errno::from_raw_os_error(errno)).call(call)
        }
        _ => Error::invalid(step, error.to_string()),
    };
    let made = made.hint_if(hint);
    let made = match path {
        Some(path) => made.path_of(path),
        None => made,
    };
    match limit {
        Some(limit) => made.limit_of(limit).at_field(field_of(limit)),
        None => made,
    }
}

/// Nobody is inside when this returns.
pub(crate) fn empty(cgroup: &Cgroup) -> Result<(), seclude_cgroup::Error> {
    if !cgroup.is_empty()? {
        cgroup.kill()?;
        cgroup.wait_empty(Some(LAST_MOMENTS))?;
    }
    Ok(())
}
