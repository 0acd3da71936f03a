//! What of a request the parent's script and the handle go by, once it is compiled.

use crate::error::Result;
use crate::fault::Place;
use crate::patience::{Canceller, Patience};

/// Whether RLIMIT_NPROC binds the command's user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bound {
    /// Root of the host's is not.
    Not,
    /// By what the request says, or by the caller's.
    By(Option<u64>),
}

/// What the handle needs to know of the request.
#[derive(Clone, Debug)]
pub(crate) struct Handled {
    pub(crate) deadline: Option<std::time::Duration>,
    pub(crate) kill_on_drop: bool,
    pub(crate) die_with_parent: bool,
    pub(crate) init: bool,
    pub(crate) new_pid: bool,
    pub(crate) new_mount: bool,
    /// Whether of the host's tree its programs alone are there.
    pub(crate) curated: bool,
    /// Whom the command is outside, uid and gid, until a map says otherwise; `u32::MAX` where only a namespace that it joins knows.
    pub(crate) user: (u32, u32),
    /// How many processes its user may have, where that is set and binds it: RLIMIT_NPROC.
    pub(crate) processes: Bound,
    /// Whether files have rules of landlock.
    pub(crate) landlocked: bool,
    /// Whether the working directory is the caller's, for want of another.
    pub(crate) inherits_directory: bool,
    /// Whether set-up itself goes on as another process.
    pub(crate) joins_pid_early: bool,
    /// Whether the launcher does, as its last act.
    pub(crate) joins_pid_late: bool,
    /// Whether it is no command, but a holder of a user namespace.
    pub(crate) holds: bool,
    /// Whether it waits before its exec for somebody else.
    pub(crate) waits: bool,
    /// Whether nobody may look into this process while the child has its memory, or a copy.
    pub(crate) hides: bool,
    /// Whether the child changes its ids before it leaves our memory, which hides that.
    pub(crate) changes_ids: bool,
    /// Whether the child's maps can only be written while nobody hides this process.
    pub(crate) is_seen: bool,
    pub(crate) canceller: Option<Canceller>,
    pub(crate) stuck: Option<fn() -> !>,
    pub(crate) has_barrier: bool,
    /// Whether there is a second one, behind the mounts.
    pub(crate) attends_mounts: bool,
    /// Directories of the container's own, where what is written to memory is counted at the end: those are not.
    pub(crate) own_directories: Vec<std::path::PathBuf>,
    /// Whether a step is handed the listener of a filter that asks.
    pub(crate) serves: bool,
    /// Whether undoing a start takes descriptors.
    pub(crate) reserves: bool,
    pub(crate) timed: bool,
    /// The highest number under which the command gets a descriptor.
    pub(crate) highest_descriptor: i32,
    pub(crate) program: String,
    #[cfg(feature = "fault")]
    pub(crate) fault: Option<(crate::fault::Place, crate::fault::Fault)>,
}

impl Handled {
    /// Of a start that begins now.
    pub(crate) fn patience(&self) -> Patience {
        let until = self.deadline.and_then(|after| std::time::Instant::now().checked_add(after));
        Patience { until, canceller: self.canceller.clone() }
    }

    /// Fails, or kills this process, if a test has asked for that here.
    pub(crate) fn strike(&self, place: Place, step: &'static str) -> Result<()> {
        #[cfg(feature = "fault")]
        crate::fault::strike(self.fault, place, step)?;
        let _ = (place, step);
        Ok(())
    }
}
