//! Making, joining, freezing, killing, waiting and removing, on whatever the host has.

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{LONG, Parent, Payload, cpu_ticks, is_alive};
use seclude_cgroup::{Cgroup, Controller, Error, Limits};

/// A tree whose leaves leave the session and the parent: prints their pids, then `ready`.
pub const TREE: &str = "
for i in 1 2 3; do
    (setsid sh -c 'echo $$; setsid sleep 1000 & exec sleep 1000' &)
done
echo $$
sleep 1000 & exec sleep 1000";

/// The pids of the tree, once all of it is there: the shell and its child, three daemons and theirs.
fn tree(cgroup: &Cgroup) -> Vec<u32> {
    let started = Instant::now();
    loop {
        let pids = cgroup.processes().unwrap();
        let asleep =
            |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "sleep");
        if pids.len() == 8 && pids.iter().all(asleep) {
            return pids;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{pids:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill_ends_a_tree(parent: Parent, extra: &[Controller]) {
    let cgroup = parent.make(&Limits::new(), extra);
    let _payload = Payload::inside(&cgroup, TREE);
    let pids = tree(&cgroup);
    assert!(pids.iter().all(|&pid| is_alive(pid)));
    assert!(!cgroup.wait_empty(Some(Duration::ZERO)).unwrap());
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(LONG).unwrap());
    assert!(cgroup.is_empty().unwrap());
    assert!(pids.iter().all(|&pid| !is_alive(pid)));
    cgroup.end();
    parent.done();
}

#[test]
fn kill_ends_a_tree_with_daemons() {
    if let Some(parent) = Parent::new("kill") {
        kill_ends_a_tree(parent, &[]);
    }
}

#[test]
fn kill_ends_a_tree_by_the_v1_freezer() {
    if let Some(parent) = Parent::v1_only("killfreezer", &[Controller::Freezer]) {
        kill_ends_a_tree(parent, &[Controller::Freezer]);
    }
}

#[test]
fn kill_ends_a_tree_on_v1_without_a_freezer() {
    if let Some(parent) = Parent::v1_only("killv1", &[Controller::Pids]) {
        kill_ends_a_tree(parent, &[Controller::Pids]);
    }
}

/// What forks all the time, with a limit so that it cannot take the machine along.
const BOMB: &str = "b() { b | b & b; }; b";

fn kill_ends_a_fork_bomb(parent: Parent, extra: &[Controller]) {
    if !parent.has(&[Controller::Pids]) {
        return;
    }
    let cgroup = parent.make(&Limits::new().pids_max(100), extra);
    let _payload = Payload::inside(&cgroup, BOMB);
    let started = Instant::now();
    while cgroup.events().unwrap().pids_max == Some(0) {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(LONG).unwrap());
    cgroup.end();
    parent.done();
}

#[test]
fn kill_ends_a_fork_bomb_here() {
    if let Some(parent) = Parent::new("bomb") {
        kill_ends_a_fork_bomb(parent, &[]);
    }
}

#[test]
fn kill_ends_a_fork_bomb_by_the_v1_freezer() {
    if let Some(parent) = Parent::v1_only("bombfreezer", &[Controller::Freezer, Controller::Pids]) {
        kill_ends_a_fork_bomb(parent, &[Controller::Freezer]);
    }
}

fn freeze_stops_and_thaw_goes_on(parent: Parent, extra: &[Controller]) {
    let cgroup = parent.make(&Limits::new(), extra);
    let payload = Payload::inside(&cgroup, "while :; do :; done");
    let progress = || {
        let before = cpu_ticks(payload.id());
        std::thread::sleep(Duration::from_millis(300));
        cpu_ticks(payload.id()) - before
    };
    assert!(progress() > 0);
    assert!(cgroup.freeze(LONG).unwrap());
    assert_eq!(progress(), 0);
    assert!(is_alive(payload.id()));
    cgroup.thaw().unwrap();
    assert!(progress() > 0);
    cgroup.thaw().unwrap();

    // Killed while frozen, it dies too.
    assert!(cgroup.freeze(LONG).unwrap());
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(LONG).unwrap());
    cgroup.end();
    parent.done();
}

#[test]
fn a_frozen_process_makes_no_progress() {
    if let Some(parent) = Parent::new("freeze") {
        freeze_stops_and_thaw_goes_on(parent, &[Controller::Freezer]);
    }
}

#[test]
fn a_process_frozen_by_v1_makes_no_progress() {
    if let Some(parent) = Parent::v1_only("freezev1", &[Controller::Freezer]) {
        freeze_stops_and_thaw_goes_on(parent, &[Controller::Freezer]);
    }
}

#[test]
fn without_a_freezer_freezing_is_an_error() {
    let Some(parent) = Parent::v1_only("nofreezer", &[Controller::Pids]) else { return };
    let cgroup = parent.make(&Limits::new().pids_max(5), &[]);
    assert!(matches!(cgroup.freeze(None), Err(Error::Unsupported { .. })));
    assert!(cgroup.fd().is_none() && cgroup.has_v1());
    cgroup.end();
    parent.done();
}

fn waiting_ends_with_the_last_process(parent: Parent, extra: &[Controller]) {
    let cgroup = parent.make(&Limits::new(), extra);
    assert!(cgroup.wait_empty(None).unwrap(), "nobody was in it yet");
    let mut payload = Payload::inside(&cgroup, "sleep 0.2 & sleep 0.4 & exec sleep 0.3");
    let started = Instant::now();
    assert!(!cgroup.wait_empty(Some(Duration::from_millis(50))).unwrap());
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert!(cgroup.wait_empty(LONG).unwrap());
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    // Its first process is a zombie now, which does not count.
    assert_eq!(cgroup.processes().unwrap(), []);
    cgroup.remove().unwrap();
    payload.wait();
    cgroup.end();
    parent.done();
}

#[test]
fn waiting_is_by_events_here() {
    if let Some(parent) = Parent::new("wait") {
        waiting_ends_with_the_last_process(parent, &[]);
    }
}

#[test]
fn waiting_is_by_pidfds_on_v1() {
    if let Some(parent) = Parent::v1_only("waitv1", &[Controller::Pids]) {
        waiting_ends_with_the_last_process(parent, &[Controller::Pids]);
    }
}

#[test]
fn what_is_inside_keeps_it_and_cgroups_made_below_go_along() {
    let Some(parent) = Parent::new("remove") else { return };
    let cgroup = parent.make(&Limits::new(), &[]);
    for (_, directory) in cgroup.directories() {
        std::fs::create_dir_all(directory.join("a/b/c")).unwrap();
        std::fs::create_dir(directory.join("d")).unwrap();
    }
    let payload = Payload::inside(&cgroup, "exec sleep 1000");
    let below = cgroup.directories().next().unwrap().1.join("a/b/cgroup.procs");
    std::fs::write(below, payload.id().to_string()).unwrap();
    assert_eq!(cgroup.processes().unwrap(), [payload.id()]);
    match cgroup.remove() {
        Err(error @ Error::NotRemoved { .. }) => {
            assert!(error.hint().unwrap().contains("processes are inside"), "{error}");
            let Error::NotRemoved { left, .. } = error else { unreachable!() };
            // In the hierarchy it was moved in: b, a and the cgroup. In others at most the cgroup.
            assert!(left[0].ends_with("a/b") && left[1].ends_with("a"), "{left:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(is_alive(payload.id()));
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(LONG).unwrap());
    cgroup.remove().unwrap();
    cgroup.remove().unwrap();
    assert!(cgroup.is_empty().unwrap() && cgroup.wait_empty(None).unwrap());
    cgroup.end();
    parent.done();
}

#[test]
fn cgroups_made_at_once_have_their_own_names_and_leave_no_parent() {
    let Some(parent) = Parent::new("threads") else { return };
    let paths: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let one = |_| {
                        let cgroup = parent.make(&Limits::new(), &[]);
                        let path = cgroup.path().to_path_buf();
                        cgroup.end();
                        path
                    };
                    (0..25).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), 200);
    assert!(paths.iter().all(|path| path.starts_with(&parent.path)));
    parent.done();
}

#[test]
fn two_hundred_at_once_are_all_there_and_then_none() {
    let Some(parent) = Parent::new("many") else { return };
    let cgroups: Vec<_> = (0..200).map(|_| parent.make(&Limits::new(), &[])).collect();
    for (_, directory) in cgroups[0].directories() {
        let siblings = std::fs::read_dir(directory.parent().unwrap()).unwrap();
        assert_eq!(siblings.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count(), 200);
    }
    cgroups.into_iter().for_each(common::Scratch::end);
    parent.done();
}

#[test]
fn a_process_that_is_not_there_cannot_join() {
    let Some(parent) = Parent::new("join") else { return };
    let cgroup = parent.make(&Limits::new(), &[]);
    let mut payload = Payload::new("true");
    payload.go();
    payload.wait();
    for pid in [payload.id(), 0, u32::MAX] {
        assert!(cgroup.join(pid).is_err(), "{pid}");
    }
    assert!(cgroup.is_empty().unwrap());
    cgroup.end();
    parent.done();
}

#[test]
fn a_parent_that_cannot_be_is_an_error_with_a_hint() {
    let Some(parent) = Parent::new("parents") else { return };
    let make = |path: &str| Cgroup::create(&parent.hierarchies, Path::new(path), &Limits::new(), &[]);
    assert!(matches!(make("seclude-test"), Err(Error::BadParent { .. })));
    assert!(matches!(make("/seclude-test/../x"), Err(Error::BadParent { .. })));
    let probe = |path: &str| parent.hierarchies.writable_parent(Path::new(path), &[]);
    assert!(matches!(probe("x"), Err(Error::BadParent { .. })));
    assert!(probe("/seclude-test/not/there").is_ok());
    parent.done();
}

#[test]
fn pressure_and_cpu_time_are_told_without_a_controller() {
    let Some(parent) = Parent::new("stats") else { return };
    if parent.hierarchies.v2().is_none() {
        return println!("not run: no v2");
    }
    let cgroup = parent.make(&Limits::new(), &[]);
    assert!(cgroup.fd().is_some());
    Payload::inside(&cgroup, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done").wait();
    let stats = cgroup.stats().unwrap();
    assert!(stats.cpu_user.unwrap() > Duration::from_millis(10), "{stats:?}");
    let psi = std::fs::read_to_string(cgroup.file("cpu.pressure")).is_ok();
    assert_eq!(stats.pressure.cpu.is_some(), psi, "{stats:?}");
    for source in &stats.sources {
        assert!(source.file.exists(), "{source:?}");
    }
    cgroup.end();
    parent.done();
}
