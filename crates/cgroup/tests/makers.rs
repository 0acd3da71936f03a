//! What a maker leaves that was killed, and what only its maker may remove.

mod common;

use std::process::Command;

use common::Parent;
use seclude_cgroup::{Cgroup, Hierarchies, Limits};

const PARENT: &str = "SECLUDE_CGROUP_TEST_PARENT";
const BELOW: &str = "SECLUDE_CGROUP_TEST_BELOW";

/// Makes a cgroup and ends without removing it, if this is the process to do so.
#[test]
fn maker() {
    let Ok(parent) = std::env::var(PARENT) else { return };
    let cgroup = Cgroup::create(&Hierarchies::discover().unwrap(), parent.as_ref(), &Limits::new(), &[]).unwrap();
    if std::env::var_os(BELOW).is_some() {
        for (_, directory) in cgroup.directories() {
            std::fs::create_dir_all(directory.join("inside/a/b")).unwrap();
        }
    }
    println!("made {}", cgroup.path().display());
    std::process::exit(0);
}

#[test]
fn a_sweep_takes_what_the_dead_have_left_and_nothing_of_the_living() {
    let Some(parent) = Parent::new("sweep") else { return };
    let living = parent.make(&Limits::new(), &[]);
    let this = std::env::current_exe().unwrap();
    let mut dead = Command::new(this);
    dead.args(["--exact", "maker", "--nocapture"]).env(PARENT, &parent.path);
    let said = String::from_utf8(dead.output().unwrap().stdout).unwrap();
    let left = said.lines().find_map(|line| line.split("made ").nth(1)).expect("a cgroup was made").to_owned();

    let swept = parent.hierarchies.sweep(&parent.path).unwrap();
    assert!(!swept.is_empty() && swept.iter().all(|path| path.display().to_string().ends_with(&left)), "{swept:?}");
    assert_eq!(parent.hierarchies.sweep(&parent.path).unwrap(), Vec::<std::path::PathBuf>::new());
    assert!(living.directories().all(|(_, path)| path.exists()));
    living.end();
    parent.done();
}

#[test]
fn it_takes_what_their_commands_have_made_below_along() {
    let Some(parent) = Parent::new("sweepbelow") else { return };
    let mut dead = Command::new(std::env::current_exe().unwrap());
    dead.args(["--exact", "maker", "--nocapture"]).env(PARENT, &parent.path).env(BELOW, "1");
    let said = String::from_utf8(dead.output().unwrap().stdout).unwrap();
    assert!(said.contains("made "), "{said}");
    let swept = parent.hierarchies.sweep(&parent.path).unwrap();
    for directory in parent.left() {
        std::process::Command::new("find").arg(directory).args(["-depth", "-type", "d", "-delete"]).status().unwrap();
    }
    assert!(!swept.is_empty());
    parent.done();
}

#[test]
fn a_parent_that_is_not_there_has_nothing_to_sweep() {
    let Some(parent) = Parent::new("nosweep") else { return };
    assert_eq!(parent.hierarchies.sweep(&parent.path).unwrap(), Vec::<std::path::PathBuf>::new());
    parent.done();
}

#[test]
fn the_limited_cgroup_itself_has_no_processes() {
    let Some(parent) = Parent::new("inside") else { return };
    let cgroup = parent.make(&Limits::new(), &[]);
    let payload = common::Payload::inside(&cgroup, "exec sleep 1000");
    for (_, directory) in cgroup.directories() {
        let procs = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
        assert_eq!(procs("cgroup.procs"), "", "what can be mounted from inside is not this");
        assert_eq!(procs("inside/cgroup.procs").trim(), payload.id().to_string());
    }
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(common::LONG).unwrap());
    cgroup.end();
    parent.done();
}
