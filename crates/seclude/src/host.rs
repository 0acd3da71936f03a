//! What this kernel and this caller can do, found by calling, not by reading a version.

use std::sync::OnceLock;

use rustix::process::{getegid, geteuid};
use seclude_sys::credentials::capabilities;
use seclude_sys::{Errno, clone};

use crate::config::capability::Capability;

/// What a plan has to know of the machine before it is compiled.
///
/// Compiling makes no system call: it takes this as an argument, so that a plan can also be compiled, printed
/// and tested for another host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Host {
    /// The caller's effective user id.
    pub uid: u32,
    /// The caller's effective group id.
    pub gid: u32,
    /// The caller's effective capabilities, a bit for each, capabilities(7).
    pub capabilities: u64,
    /// Why `clone3(2)` cannot be used here (ENOSYS or EPERM: old kernel or a seccomp filter), or `None`.
    pub clone3_refused: Option<&'static str>,
    /// Whether a process can be born in a cgroup of v2: `CLONE_INTO_CGROUP`, Linux 5.7. Looked at by
    /// [`Host::with_cgroups`] alone.
    pub born_in_cgroup: bool,
}

impl Host {
    /// This machine, looked at once, and this process as it is now: it may have changed its ids.
    pub fn current() -> Host {
        static CLONE3: OnceLock<Option<&'static str>> = OnceLock::new();
        let clone3_refused = *CLONE3.get_or_init(|| match clone::clone3_refusal() {
            Errno::EINVAL => None,
            errno => Some(errno.name().unwrap_or("an unknown error")),
        });
        Host {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            capabilities: capabilities().map_or(0, |sets| sets.effective),
            clone3_refused,
            born_in_cgroup: false,
        }
    }

    /// The same, with what a request with a cgroup asks of it besides.
    pub fn with_cgroups() -> Host {
        static BORN_IN_CGROUP: OnceLock<bool> = OnceLock::new();
        let host = Host::current();
        let found = || host.clone3_refused.is_none() && clone::into_cgroup_refusal() == Errno::EBADF;
        Host { born_in_cgroup: *BORN_IN_CGROUP.get_or_init(found), ..host }
    }

    /// Whether the caller has `capability` (its number) in its own user namespace.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities & capability.bit() != 0
    }
}
