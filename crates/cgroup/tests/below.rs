//! What a command that may write its cgroup makes below it goes along, whatever that is.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{LONG, Parent};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use seclude_cgroup::{Cgroup, Controller, Hierarchies, Limits};

const PARENT: &str = "SECLUDE_CGROUP_TEST_PARENT";
const LEVELS: usize = 1000;

/// The directories down to there, highest first.
fn levels(top: &Path) -> Vec<PathBuf> {
    (1..=LEVELS).map(|level| top.join("a/".repeat(level))).collect()
}

/// Makes them and removes all, if this is the process to do so.
#[test]
fn maker() {
    let Ok(parent) = std::env::var(PARENT) else { return };
    let hierarchies = Hierarchies::discover().unwrap();
    let freezer = hierarchies.v1().iter().any(|it| it.controllers().iter().any(|name| name == "freezer"));
    let extra = if freezer { vec![Controller::Freezer] } else { Vec::new() };
    let cgroup = Cgroup::create(&hierarchies, parent.as_ref(), &Limits::new(), &extra).unwrap();
    let tops: Vec<PathBuf> = cgroup.directories().map(|(_, path)| path.join("inside")).collect();
    for top in &tops {
        levels(top).iter().for_each(|path| std::fs::create_dir(path).unwrap());
    }
    let said = std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(128 << 10);
        let looked = || {
            (cgroup.processes().map_err(|error| error.to_string()), cgroup.remove().map_err(|error| error.to_string()))
        };
        small.spawn_scoped(scope, looked).unwrap().join().unwrap()
    });
    println!("said {said:?}");
}

#[test]
fn a_thousand_levels_are_gone_through_with_few_descriptors_and_a_small_stack() {
    let Some(parent) = Parent::new("deep") else { return };
    let mut maker = Command::new("prlimit");
    maker.arg("--nofile=64").arg(std::env::current_exe().unwrap()).args(["--exact", "maker", "--nocapture"]);
    let said = maker.env(PARENT, &parent.path).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let left = parent.left();
    // What was not removed is not left to others.
    for directory in &left {
        Command::new("find").arg(directory).args(["-depth", "-type", "d", "-delete"]).status().unwrap();
    }
    assert!(said.contains("said (Ok([]), Ok(()))") && left.is_empty(), "{said}");
    parent.done();
}

/// Does it as one to whom the modes of files are told apart, also where that is root.
fn without_override<T: Send>(what: impl FnOnce() -> T + Send) -> T {
    let one = || {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        set_capabilities(None, sets).unwrap();
        what()
    };
    std::thread::scope(|scope| scope.spawn(one).join().unwrap())
}

#[test]
fn those_that_their_owner_has_closed_to_itself_go_along() {
    let Some(parent) = Parent::new("closed") else { return };
    let cgroup = parent.make(&Limits::new(), &[]);
    let (_, top) = cgroup.directories().next().unwrap();
    let inside = top.join("inside");
    for path in ["s/a/b", "t/a", "u/a/b"] {
        std::fs::create_dir_all(inside.join(path)).unwrap();
    }
    let mode = |path: &str, mode| std::fs::set_permissions(inside.join(path), PermissionsExt::from_mode(mode)).unwrap();
    mode("s", 0);
    mode("t", 0o555);
    mode("u/a", 0o311);
    mode("u", 0o600);
    let payload = common::Payload::inside(&cgroup, "exec sleep 1000");
    std::fs::write(inside.join("t/a/cgroup.procs"), payload.id().to_string()).unwrap();
    mode("t/a/cgroup.procs", 0);
    mode("t/a", 0);
    let found = without_override(|| cgroup.processes());
    assert_eq!(found.unwrap(), [payload.id()]);
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(LONG).unwrap());
    without_override(|| cgroup.remove()).unwrap();
    assert!(!inside.exists());
    cgroup.end();
    parent.done();
}
