//! What this kernel and this caller can do, found by calling; by reading a version only where no call tells.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{getegid, geteuid};
use seclude_sys::credentials::{CapabilitySets, capabilities, is_ambient};
use seclude_sys::{Errno, Fd, clone, landlock, mount};

use crate::config::capability::Capability;
use crate::places::{Places, is_in_a_secret};

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
    /// The capabilities that the caller could make effective, a bit for each.
    pub permitted: u64,
    /// The capabilities that an exec hands on together with those of the file.
    pub inheritable: u64,
    /// The capabilities that stay over an exec of whoever is not uid 0.
    pub ambient: u64,
    /// Why `clone3(2)` cannot be used here (ENOSYS or EPERM: old kernel or a seccomp filter), or `None`.
    pub clone3_refused: Option<&'static str>,
    /// Whether a process can be born in a cgroup of v2: `CLONE_INTO_CGROUP`, Linux 5.7. Looked at by
    /// [`Host::with_cgroups`] alone.
    pub born_in_cgroup: bool,
    /// Whether a process that shares memory enters its new time namespace when it execs (Linux 6.3), not at birth. Looked at
    /// by [`Host::with_time`] alone.
    pub exec_enters_time: bool,
    /// How many user ids there are in the caller's user namespace: 2^32 - 1 in the first one, often one in others. Looked at by
    /// [`Host::with_ids`] alone.
    pub ids: u64,
    /// Whether an overlay takes its layers by descriptor, also of what is mounted nowhere: Linux 6.15. Looked at by
    /// [`Host::with_overlays`] alone.
    pub overlays_by_descriptor: bool,
    /// Whether this caller can make a mount namespace of one tree and enter it: OPEN_TREE_NAMESPACE, Linux 7.0, with
    /// CAP_SYS_ADMIN and CAP_SYS_CHROOT in the first user namespace. Looked at by [`Host::with_tree_namespaces`] alone.
    pub tree_namespaces: bool,
    /// The ABI of landlock that the kernel has, from 1 up, or 0. Looked at by [`Host::with_landlock`] alone.
    pub landlock: u32,
    /// Why it has none: ENOSYS (not built, or closed by a filter) or EOPNOTSUPP (off at boot).
    pub landlock_refused: Option<&'static str>,
    /// Whether it has IPv6 at all. Looked at by [`Host::with_ipv6`] alone.
    pub ipv6: bool,
    /// The caller's working directory, if it has a path. Looked at by [`Host::with_places`] alone.
    pub directory: Option<PathBuf>,
    /// Whether a sysfs lies on /sys of which nothing is covered: beside one with masks, as engines put them, the kernel mounts no
    /// other. Looked at by [`Host::with_places`] alone.
    pub sysfs: bool,
    /// What of the host's files is the sandbox's affair. Looked at by [`Host::with_places`] alone.
    pub(crate) places: Places,
    /// Whether the kernel counts a user's processes in each user namespace apart: Linux 5.14. Looked at by [`Host::with_places`]
    /// alone.
    pub counts_by_namespace: bool,
    /// Whether this is the first user namespace, as far as its map tells, user_namespaces(7). Looked at by [`Host::with_places`] alone,
    /// for root.
    pub first_user_namespace: bool,
}

impl Host {
    /// This machine, looked at once, and this process as it is now: it may have changed its ids.
    pub fn current() -> Host {
        static CLONE3: Found = Found::new();
        let clone3_refused = match Errno(CLONE3.get_or_find(|| clone::clone3_refusal().0.into()) as u16) {
            Errno::EINVAL => None,
            errno => Some(errno.name().unwrap_or("an unknown error")),
        };
        let uid = geteuid().as_raw();
        // Root of whom that cannot be found out is not taken for somebody who has no ids to give: the container would get its
        // own. What it cannot do is an error when it is tried.
        let sets = capabilities().unwrap_or(match uid {
            0 => CapabilitySets { effective: !0, permitted: !0, inheritable: 0 },
            // Nor is anybody else taken for one who has nothing to hide.
            _ => CapabilitySets { effective: 0, permitted: !0, inheritable: 0 },
        });
        Host {
            uid,
            gid: getegid().as_raw(),
            capabilities: sets.effective,
            permitted: sets.permitted,
            inheritable: sets.inheritable,
            ambient: match sets.inheritable {
                0 => 0,
                some => (0..64).filter(|bit| some & 1 << bit != 0 && is_ambient(*bit)).map(|bit| 1 << bit).sum(),
            },
            clone3_refused,
            born_in_cgroup: false,
            exec_enters_time: false,
            tree_namespaces: false,
            landlock: 0,
            landlock_refused: None,
            ipv6: false,
            ids: u64::from(u32::MAX),
            overlays_by_descriptor: false,
            directory: None,
            places: Places::default(),
            sysfs: false,
            counts_by_namespace: false,
            first_user_namespace: false,
        }
    }

    /// The same, with what the sandbox shows of this machine and counts on it by its own choice.
    #[must_use]
    pub fn with_places(self) -> Host {
        let counts_by_namespace = Host::is_at_least((5, 14));
        let first_user_namespace = self.uid == 0 && Host::has_all_ids();
        let directory = std::env::current_dir().ok();
        let mut places = Places::look(self.uid);
        if let Some(directory) = &directory {
            let (shows, is_hidden) = places.seen_by_other_mounts(&places.mountinfo, directory);
            places.begins_in_a_home |= shows;
            let names = places.administrators_by_other_names(directory);
            places.begins_hidden = is_hidden || names.iter().any(|(_, name)| is_in_a_secret(name));
        }
        let sysfs = !places.mountinfo.is_empty() && has_whole_sysfs(&places.mountinfo);
        Host { directory, places, sysfs, counts_by_namespace, first_user_namespace, ..self }
    }

    /// The same, with what a request with a user namespace asks of it besides.
    #[must_use]
    pub fn with_ids(self) -> Host {
        // Where it cannot be read there is no reason to give a container the caller's own id: if there are no others, the map is
        // refused.
        let Ok(map) = std::fs::read_to_string("/proc/self/uid_map") else { return self };
        let counts = map.lines().filter_map(|line| line.split_ascii_whitespace().nth(2)?.parse::<u64>().ok());
        Host { ids: counts.sum(), ..self }
    }

    /// The same, with what a request with a network of names asks of it besides.
    #[must_use]
    pub fn with_ipv6(self) -> Host {
        // The kernel answers EAFNOSUPPORT where it was built without it, or it was switched off at boot.
        let socket = seclude_sys::socket::internet(true, false);
        Host { ipv6: socket.map(seclude_sys::file::close).is_ok(), ..self }
    }

    /// The same, with what a request with an overlay asks of it besides.
    #[must_use]
    pub fn with_overlays(self) -> Host {
        // An overlay of nothing cannot be tried, and one of something takes a mount namespace: so a version counts.
        Host { overlays_by_descriptor: Host::is_at_least((6, 15)), ..self }
    }

    /// Whether the caller is root of more than itself: it can give a container ids that nobody has.
    pub(crate) fn gives_ids(&self) -> bool {
        self.has(Capability::SETUID) && self.has(Capability::SETGID) && self.ids > 1
    }

    /// Whether the caller can write a map also while its memory is hidden: the files are root's then.
    pub(crate) fn writes_hidden_maps(&self) -> bool {
        self.uid == 0 || self.has(Capability::DAC_OVERRIDE)
    }

    /// The same, with what a request with a cgroup asks of it besides.
    #[must_use]
    pub fn with_cgroups(self) -> Host {
        static BORN_IN_CGROUP: Found = Found::new();
        let found = || self.clone3_refused.is_none() && clone::into_cgroup_refusal() == Errno::EBADF;
        Host { born_in_cgroup: BORN_IN_CGROUP.get_or_find(|| u64::from(found())) != 0, ..self }
    }

    /// The same, with what a request with a time namespace asks of it besides.
    ///
    /// Trying it takes privileges, and before Linux 6.3 it would change the clocks that the *caller* reads through its
    /// vDSO. So here a version counts; an older one costs a copy of the memory and nothing else.
    #[must_use]
    pub fn with_time(self) -> Host {
        Host { exec_enters_time: Host::is_at_least((6, 3)), ..self }
    }

    /// The same, with what a request with a root of its own asks of it besides.
    #[must_use]
    pub fn with_tree_namespaces(self) -> Host {
        static TREE_NAMESPACES: Found = Found::new();
        // A kernel that knows the flag comes to look at the descriptor, or to miss the capability. Where a filter refuses
        // mount_setattr, attributes are set by what /proc tells, and in such a namespace there may be none.
        let found = || {
            matches!(mount::tree_namespace(Fd::NONE), Err(Errno::EBADF | Errno::EPERM))
                && mount::set_attributes(Fd::NONE, 0, false) != Err(Errno::ENOSYS)
        };
        // Below another user namespace the kernel would mount no /proc or /sys in it.
        let may = self.has(Capability::SYS_ADMIN) && self.has(Capability::SYS_CHROOT) && Host::has_all_ids();
        Host { tree_namespaces: may && TREE_NAMESPACES.get_or_find(|| u64::from(found())) != 0, ..self }
    }

    /// The same, with what a request with rules of landlock asks of it besides.
    #[must_use]
    pub fn with_landlock(self) -> Host {
        match landlock::version() {
            Ok(landlock) => Host { landlock, landlock_refused: None, ..self },
            Err(errno) => {
                Host { landlock: 0, landlock_refused: Some(errno.name().unwrap_or("an unknown error")), ..self }
            }
        }
    }

    /// Whether this is the first user namespace, as far as its map tells, user_namespaces(7).
    pub(crate) fn has_all_ids() -> bool {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
    }

    /// The version of the kernel, such as 6.1, as far as it has two numbers.
    pub(crate) fn kernel() -> (u32, u32) {
        // It is asked once: no process outlives its kernel.
        static VERSION: Found = Found::new();
        let found = VERSION.get_or_find(|| {
            let (major, minor) = version(&rustix::system::uname().release().to_string_lossy());
            u64::from(major & 0x7fff_ffff) << 32 | u64::from(minor)
        });
        ((found >> 32) as u32, found as u32)
    }

    pub(crate) fn is_at_least(wanted: (u32, u32)) -> bool {
        Host::kernel() >= wanted
    }

    /// Whether the caller has `capability` (its number) in its own user namespace.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities & capability.bit() != 0
    }
}

/// What is asked of the kernel once a process, or by several threads at once.
///
/// (A `OnceLock` that a thread of another process was in, from which this one was forked, would be waited for without end.)
struct Found(AtomicU64);

impl Found {
    const UNKNOWN: u64 = u64::MAX;

    const fn new() -> Found {
        Found(AtomicU64::new(Found::UNKNOWN))
    }

    fn get_or_find(&self, find: impl FnOnce() -> u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            Found::UNKNOWN => {
                let found = find();
                self.0.store(found, Ordering::Relaxed);
                found
            }
            known => known,
        }
    }
}

/// Whether RLIMIT_NPROC binds the caller, setrlimit(2): not whoever has one of these in the first user namespace.
pub(crate) fn is_bound_by_nproc() -> bool {
    let host = Host::current();
    let privileged = host.has(Capability::SYS_RESOURCE) || host.has(Capability::SYS_ADMIN);
    !(privileged && Host::has_all_ids())
}

/// Whether a pidfd tells the exit status after somebody else has reaped the process: PIDFD_INFO_EXIT, Linux 6.15.
///
/// By the version: the request that would tell is answered, and ignored, by 6.13 and 6.14.
pub(crate) fn exit_survives_reaping() -> bool {
    Host::is_at_least((6, 15))
}

/// Of a release such as `6.1.0-56-cloud-amd64`.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The kernel's rule of `mount_too_revealing`: what lies on a directory that is always empty covers nothing.
fn has_whole_sysfs(mountinfo: &str) -> bool {
    const SYSFS_MAGIC: i64 = 0x6265_6572;
    const EMPTY: [&str; 11] = [
        "/sys/firmware/efi/efivars",
        "/sys/fs/bpf",
        "/sys/fs/cgroup",
        "/sys/fs/fuse/connections",
        "/sys/fs/pstore",
        "/sys/fs/resctrl",
        "/sys/fs/selinux",
        "/sys/kernel/config",
        "/sys/kernel/debug",
        "/sys/kernel/security",
        "/sys/kernel/tracing",
    ];
    let is_sysfs = rustix::fs::statfs("/sys").is_ok_and(|found| found.f_type == SYSFS_MAGIC);
    // (No name of these is one that would be escaped.)
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).filter(|point| point.starts_with("/sys/"));
    let covers_nothing = |point: &str| {
        EMPTY
            .iter()
            .any(|empty| point.strip_prefix(empty).is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'/', ..])))
    };
    is_sysfs && points.into_iter().all(covers_nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_compared_by_its_numbers() {
        for newer in ["6.3.0", "6.18.44-fc-v657", "7.0-rc1", "6.3"] {
            assert!(version(newer) >= (6, 3), "{newer}");
        }
        for older in ["6.1.0-56-cloud-amd64", "5.10.0", "6.2.16", "6-x", ""] {
            assert!(version(older) < (6, 3), "{older}");
        }
    }
}
