//! The holes that a review of seclude itself found, each with its kind: the attack, what it gets where it is held, and what it
//! gets where it is not. docs/attacks.md lists them.

mod exec;
mod inside;
mod memory;
mod own_mounts;
mod starts;
mod streams;
mod taken;
mod ways;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A directory that everybody may pass, as the ids of a container are nobody's on the host.
fn opened(scratch: &seclude_tests::Scratch) -> &Path {
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    scratch.path()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ASCII letters")
}

#[test]
fn helper_process() {
    if seclude_tests::role().as_deref() == Some("spawns") {
        memory::spawns_all_the_time();
    }
}
