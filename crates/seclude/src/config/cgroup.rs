//! The control group of a container: where it is made, what it limits, what may be missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use seclude_cgroup::{Existing, Limits};

use super::mount::Source;

/// The control group that a container gets, cgroups(7): one of its own, gone at its end with all that is in it.
///
/// It is asked for by [`crate::Command::cgroup`], or by [`crate::Command::limits`] with the defaults of this.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cgroup {
    pub(crate) parent: Option<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) move_caller: bool,
    pub(crate) counted: bool,
    pub(crate) delegated: bool,
    pub(crate) scope: bool,
    pub(crate) everywhere: bool,
    /// Nobody asked for it. Without limits: where the caller may make none, nobody inside may write to any.
    pub(crate) implied: bool,
}

/// One that is there already.
#[derive(Clone, Debug)]
pub(crate) enum JoinedCgroup {
    From(Source),
    Opened(Arc<Existing>),
}

impl Cgroup {
    /// One without limits: for [`crate::Child::stats`], for the kill of a whole tree, for pause and resume.
    pub fn new() -> Cgroup {
        Cgroup::default()
    }

    /// The cgroup to make it in, absolute in the hierarchy (`/seclude`, not `/sys/fs/cgroup/seclude`), in all
    /// hierarchies the same. It is made if it is missing, and then goes with the last cgroup in it.
    ///
    /// A parent with a memory limit of its own that is all but used up is a danger to the caller: until its exec the child
    /// shares the caller's memory ([`crate::CloneWay::Vm`]), and the kernel's out-of-memory killer kills all that share it.
    ///
    /// Without it: `/seclude` for root. For an ordinary user the delegated cgroup that the caller is in (v2), or the
    /// one above where the caller is in a leaf of a delegated tree.
    #[must_use]
    pub fn parent(mut self, path: impl AsRef<Path>) -> Cgroup {
        self.parent = Some(path.as_ref().to_owned());
        self
    }

    /// What it limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Cgroup {
        self.limits = limits;
        self
    }

    /// Counts memory, CPU time, processes and block I/O also where they are not limited, as far as their controllers are
    /// there. Without limits it is so in any case.
    #[must_use]
    pub fn count_all(mut self, on: bool) -> Cgroup {
        self.counted = on;
        self
    }

    /// Lets the *calling process* be moved to a cgroup of its own below the parent, where v2's rule against processes
    /// in inner cgroups stands in the way of handing controllers down. It stays there. Off unless asked for.
    #[must_use]
    pub fn move_caller(mut self, allowed: bool) -> Cgroup {
        self.move_caller = allowed;
        self
    }

    /// Asks systemd over D-Bus for a delegated scope to make it in, as `systemd-run --scope -p Delegate=yes` does: the
    /// user's systemd, or the system's for root. v2. The child joins it while it waits at its barrier.
    ///
    /// Without systemd it is an error. What systemd hands down to users is its configuration's: by default memory and
    /// pids.
    #[cfg(feature = "systemd")]
    #[must_use]
    pub fn scope(mut self, on: bool) -> Cgroup {
        self.scope = on;
        self
    }

    /// In every hierarchy of the host that the caller may make one in, also where nothing is limited: then no process of the
    /// container is in a cgroup of the caller's. On v1 there may be a dozen; it costs some 30 microseconds each.
    ///
    /// The sandbox has it for root where the command could come to see a hierarchy: with nested namespaces, with the host's
    /// root, or with CAP_SYS_ADMIN.
    #[must_use]
    pub fn everywhere(mut self, on: bool) -> Cgroup {
        self.everywhere = on;
        self
    }

    /// Delegates a cgroup of its own below the limited one to the container's root (v2): with
    /// [`crate::Mount::cgroup`] the container can make cgroups in it, 1,000 at most and 32 deep, and cannot reach its own limits.
    #[must_use]
    pub fn delegate(mut self, on: bool) -> Cgroup {
        self.delegated = on;
        self
    }
}
