//! What can be done about an error.

use rustix::io::Errno;

use crate::{Controller, Error, Limit};

const DELEGATE: &str = "use a cgroup that is delegated to you: systemd-run --user --scope -p Delegate=yes COMMAND, or, where no systemd \
                        runs, one that root has made and given to you (chown), named as the parent";

impl Error {
    /// What the user can do, where the message does not say it already.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::BadParent { .. } => "give it from the top of the hierarchy, such as /seclude",
            Error::NoHierarchy => "mount one: mount -t cgroup2 none /sys/fs/cgroup",
            Error::NoController { path: Some(_), .. } => {
                "whoever owns the cgroup above must hand the controller down: write +NAME to its \
                 cgroup.subtree_control, or systemd-run --user --scope -p Delegate=yes COMMAND (for a user, systemd \
                 hands down memory and pids, and cpu, cpuset, io only if user@.service has Delegate= with them)"
            }
            Error::NoController { controller: Controller::Hugetlb, .. } => {
                "the kernel needs CONFIG_CGROUP_HUGETLB and a mounted hierarchy that has it"
            }
            Error::NoController { .. } => {
                "the kernel has it not, it is disabled at boot, or its hierarchy is not mounted"
            }
            Error::NotVisible { .. } => "give a parent cgroup below what the mount shows, such as the caller's own",
            Error::NotCgroup { .. } => "something else is mounted there now",
            Error::ReadOnly { .. } => {
                "the cgroups are mounted read-only, as in a container without --privileged: run the outer container \
                 with a writable cgroup mount, or ask for no limits; on a host, use a delegated cgroup: systemd-run \
                 --user --scope -p Delegate=yes COMMAND"
            }
            Error::NotDelegated { path, .. } if path.ends_with("cgroup.procs") => {
                "moving a process needs write access to cgroup.procs of the common ancestor of both cgroups; start \
                 from inside the delegated cgroup: systemd-run --user --scope -p Delegate=yes COMMAND"
            }
            Error::NotDelegated { .. } => DELEGATE,
            Error::Missing { path, .. } if path.starts_with("/proc") => "/proc has to be mounted where the caller runs",
            Error::Missing { .. } => "the cgroup was removed meanwhile, or the kernel does not have this file",
            Error::Exists { .. } => "it is somebody else's; try again",
            Error::InternalProcesses { .. } => {
                "move those processes to a cgroup below it, or give another parent (cgroups(7), the no internal \
                 processes rule)"
            }
            Error::Threaded { .. } => {
                "start from a cgroup that is not threaded (its cgroup.type is domain; cgroups(7), thread mode): \
                 systemd-run --user --scope -p Delegate=yes COMMAND"
            }
            Error::Refused { limit, source, .. } => return refused(*limit, Errno::from_io_error(source)),
            Error::Ignored { limit: Limit::CpusetCpus | Limit::CpusetMems, .. } => {
                "the parent cgroup does not have all of them"
            }
            Error::Survivors { .. } => "they are in uninterruptible sleep, or fork faster than they can be killed",
            Error::NotRemoved { source, .. } if Errno::from_io_error(source) == Some(Errno::BUSY) => {
                "processes are inside: kill them and wait until it is empty"
            }
            Error::Call { source, .. } if Errno::from_io_error(source) == Some(Errno::AGAIN) => {
                "cgroup.max.descendants or cgroup.max.depth of a cgroup above is reached"
            }
            Error::Call { call: "mkdir", source, .. } if Errno::from_io_error(source) == Some(Errno::NOMEM) => {
                "memory.max is too small for what the kernel itself needs in the cgroup"
            }
            Error::Call { path, source, .. }
                if path.ends_with("cgroup.subtree_control") && Errno::from_io_error(source) == Some(Errno::INVAL) =>
            {
                "the cpu controller cannot be handed down while there are realtime processes below (CONFIG_RT_GROUP_SCHED)"
            }
            Error::Call { source, .. } if Errno::from_io_error(source) == Some(Errno::NOTDIR) => {
                "a part of the parent's path is a file, not a cgroup"
            }
            Error::NotUndone { error, .. } => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn refused(limit: Limit, errno: Option<Errno>) -> Option<String> {
    let hint = match (limit, errno?) {
        (Limit::Devices, Errno::ROFS | Errno::ACCESS | Errno::PERM) => {
            "a cgroup may not be allowed what its parent is not; on v2 a device program needs CAP_BPF and CAP_NET_ADMIN \
             in the first user namespace"
        }
        (Limit::Devices, Errno::INVAL | Errno::NOSYS) => "the kernel needs CONFIG_CGROUP_BPF",
        (Limit::CpusetCpus | Limit::CpusetMems, Errno::ACCESS | Errno::INVAL) => {
            "the parent cgroup does not have all of them"
        }
        (_, Errno::ROFS | Errno::ACCESS | Errno::PERM) => DELEGATE,
        (Limit::IoMax, Errno::NODEV | Errno::NXIO) => "there is no such block device, or it is a partition",
        (Limit::CpuMax, Errno::INVAL) => "the parent cgroup has a lower cpu quota",
        (Limit::MemoryMax | Limit::MemorySwapMax, Errno::BUSY) => "more than that is in use",
        _ => return None,
    };
    Some(hint.to_owned())
}
