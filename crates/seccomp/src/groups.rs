//! Groups of calls, by the names that systemd.exec(5) has for the like.

/// Other calls for mounts, and for roots.
pub(crate) const MOUNT: &[&str] = &[
    "chroot",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "open_tree_attr",
    "pivot_root",
    "umount2",
];

/// Making and entering namespaces; with clone3, whose flags no filter sees.
pub(crate) const NAMESPACES: &[&str] = &["clone", "clone3", "setns", "unshare"];

/// Looking into other processes, and changing them.
pub(crate) const DEBUG: &[&str] =
    &["kcmp", "perf_event_open", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"];

pub(crate) const KEYRING: &[&str] = &["add_key", "keyctl", "request_key"];
pub(crate) const IO_URING: &[&str] = &["io_uring_enter", "io_uring_register", "io_uring_setup"];
pub(crate) const MODULE: &[&str] = &["delete_module", "finit_module", "init_module"];
pub(crate) const CLOCK: &[&str] = &["clock_settime", "settimeofday"];
pub(crate) const REBOOT: &[&str] = &["kexec_file_load", "kexec_load", "reboot"];
pub(crate) const RAW_IO: &[&str] = &["ioperm", "iopl"];
pub(crate) const SWAP: &[&str] = &["swapoff", "swapon"];

/// A group's name, and its calls.
const GROUPS: [(&str, &[&str]); 10] = [
    ("@clock", CLOCK),
    ("@debug", DEBUG),
    ("@io-uring", IO_URING),
    ("@keyring", KEYRING),
    ("@module", MODULE),
    ("@mount", MOUNT),
    ("@namespaces", NAMESPACES),
    ("@raw-io", RAW_IO),
    ("@reboot", REBOOT),
    ("@swap", SWAP),
];

/// The calls of a group.
pub(crate) fn group(name: &str) -> Option<&'static [&'static str]> {
    GROUPS.iter().find(|(own, _)| *own == name).map(|(_, calls)| *calls)
}

/// The names of all groups.
pub(crate) fn names() -> String {
    GROUPS.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture;

    #[test]
    fn every_call_of_a_group_is_one() {
        for name in GROUPS.iter().flat_map(|(_, calls)| *calls) {
            assert!(Architecture::X86_64.number_of(name).is_some(), "{name}");
        }
    }
}
