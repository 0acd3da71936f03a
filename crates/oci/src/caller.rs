//! Who calls: root of the host, or somebody who is root of a part of it at most.

use std::sync::OnceLock;

/// Whether this is root, and not by a user namespace, as engines of ordinary users make one for themselves.
pub(crate) fn is_root_of_the_host() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| rustix::process::geteuid().is_root() && is_first_user_namespace())
}

/// In the first one every id is itself. Where that cannot be read, whatever takes rights fails by itself.
fn is_first_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.is_empty() || map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}
