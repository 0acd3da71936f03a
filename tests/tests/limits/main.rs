//! Limits that hold, and what is said of a container at its end. CPU time is in a binary of its own: it needs the
//! machine for itself.

mod bad_input;
mod devices;
mod existing;
mod memory;
mod pids;
mod placement;
mod report;
mod scope;
mod tree;

use std::process::Output;

use seclude_tests::role;

#[test]
fn helper_process() {
    match role().as_deref() {
        Some("spawner") => tree::spawn_and_wait_to_be_killed(),
        Some("in-scope") => scope::spawn_in_scope(),
        Some(role) => panic!("no role {role}"),
        None => {}
    }
}

/// What was written to stdout and stderr, to be shown where an assertion fails.
fn all(output: &Output) -> String {
    format!("{}: {}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
