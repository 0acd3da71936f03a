//! Hosts that say no: read-only cgroups, no delegation, processes in the wrong place.
//!
//! The first two run in a process of their own, which is this test binary again with one of the
//! ignored tests below.

mod common;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Parent, Payload};
use seclude_cgroup::{Cgroup, Controller, Error, Hierarchies, Limits};

const NOBODY: u32 = 65_534;
/// Names a cgroup of root's to the process that is nobody.
const CLOSED: &str = "SECLUDE_TEST_CLOSED";

fn only(test: &str) -> [&str; 4] {
    ["--exact", test, "--ignored", "--nocapture"]
}

fn ran(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

#[test]
fn without_delegation_it_is_an_error_that_says_so() {
    let Some(parent) = Parent::new("delegation") else { return };
    // So that what is above it is there, whichever tests run beside this one, and whoever has made what is above that.
    let closed = parent.make(&Limits::new(), &[]);
    let mut nobody = Command::new("/proc/self/exe");
    nobody.args(only("by_nobody")).uid(NOBODY).gid(NOBODY).env(CLOSED, &parent.path);
    let output = nobody.output().unwrap();
    closed.end();
    ran(&output);
    parent.done();
}

#[test]
#[ignore = "the test above runs it"]
fn by_nobody() {
    let hierarchies = Hierarchies::discover().unwrap();
    // What is root's is closed to others; where nothing is, nobody may make anything.
    let closed = std::env::var_os(CLOSED).map(PathBuf::from).unwrap().join("nobody");
    for (path, refused) in [(&*closed, "openat"), (Path::new("/seclude-nobody/nobody"), "mkdir")] {
        let probed = hierarchies.writable_parent(path, &[]).unwrap_err();
        let created = Cgroup::create(&hierarchies, path, &Limits::new(), &[]).unwrap_err();
        for error in [probed, created] {
            assert!(matches!(error, Error::NotDelegated { call, .. } if call == refused), "{error:?}");
            assert_eq!(error.errno(), Some(13));
            assert!(error.hint().unwrap().contains("systemd-run --user --scope -p Delegate=yes"));
        }
    }
}

#[test]
fn read_only_cgroups_are_an_error_that_says_so() {
    let Some(parent) = Parent::new("readonly") else { return };
    let Some(v2) = parent.hierarchies.v2() else { return println!("not run: no v2") };
    // In a mount namespace of its own, and nothing is made or removed there.
    let script = "mount -o bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", script, "sh"]).arg(v2.mount_point());
    command.arg(std::env::current_exe().unwrap()).args(only("on_read_only"));
    match command.output() {
        Ok(output) => ran(&output),
        Err(error) => println!("not run: unshare: {error}"),
    }
    parent.done();
}

#[test]
#[ignore = "the test above runs it"]
fn on_read_only() {
    let hierarchies = Hierarchies::discover().unwrap();
    assert!(hierarchies.v2().unwrap().is_read_only());
    let path = Path::new("/seclude-test/readonly");
    let probed = hierarchies.writable_parent(path, &[]).unwrap_err();
    let created = Cgroup::create(&hierarchies, path, &Limits::new(), &[]).unwrap_err();
    for error in [probed, created] {
        assert!(matches!(error, Error::ReadOnly { call: "mkdir", .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("Delegate=yes"));
    }
}

#[test]
fn a_parent_with_processes_cannot_hand_controllers_down() {
    let Some(parent) = Parent::new("internal") else { return };
    if !parent.is_v2(Controller::Memory) {
        return println!("not run: memory is not on v2");
    }
    let full = parent.make(&Limits::new(), &[]);
    let payload = Payload::inside(&full, "exec sleep 1000");
    // Up from where its processes are: a cgroup of ours has none itself.
    let own = full.directories().next().unwrap().1.join("cgroup.procs");
    std::fs::write(own, payload.id().to_string()).unwrap();
    let limits = Limits::new().memory_max(1 << 25);
    let error = Cgroup::create(&parent.hierarchies, full.path(), &limits, &[]).unwrap_err();
    assert!(matches!(error, Error::InternalProcesses { .. }), "{error}");
    assert!(error.hint().unwrap().contains("no internal processes rule"));
    let directory = full.directories().next().unwrap().1;
    let below = std::fs::read_dir(directory).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(below.count(), 1, "inside alone");
    full.end();
    parent.done();
}
