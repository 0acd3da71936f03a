//! The whole tree: killed, held still, gone at the end, whatever session or parent its processes have.

use std::time::{Duration, Instant};

use seclude::{Cause, Namespace, Tree};
use seclude_tests::{Background, Cgroups, PATIENCE, comes_back, helper, root_only, shell, stdout_of, tell, told_line};

/// A grandchild that has left its session and its parent, and says its pid.
const DAEMON: &str = "(setsid sh -c 'echo $$; exec >/dev/null 2>&1; exec sleep 1000' &) ; ";

fn daemon(output: &seclude::Output) -> u32 {
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("the daemon's pid")
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_daemon_that_it_leaves_ends_with_it_where_it_has_a_cgroup() {
    let Some(cgroups) = Cgroups::with("daemon", &["--pids", "10"]) else { return };
    let mut command = shell(&format!("{DAEMON} exec >/dev/null; sleep 0.2"));
    command.unshare(Namespace::User);
    let output = command.clone().cgroup(cgroups.cgroup()).output().unwrap();
    assert!(!is_alive(daemon(&output)));
    assert_eq!(output.exit.tree(), Tree::CgroupRemoved);
    // The same without a cgroup and without a pid namespace: nobody knows of it.
    let output = command.output().unwrap();
    let pid = daemon(&output);
    assert!(is_alive(pid));
    assert_eq!(output.exit.tree(), Tree::Unknown);
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    cgroups.done();
}

#[test]
fn a_deadline_and_a_kill_end_the_tree() {
    let Some(cgroups) = Cgroups::with("deadline", &["--pids", "10"]) else { return };
    let mut command = shell(&format!("{DAEMON} sleep 1000"));
    command.unshare(Namespace::User).cgroup(cgroups.cgroup()).deadline(Duration::from_secs(3));
    let output = command.output().unwrap();
    assert_eq!(output.exit.cause(), Cause::Deadline);
    assert!(!is_alive(daemon(&output)));
    cgroups.done();
}

#[test]
fn a_paused_container_does_nothing_until_it_is_resumed() {
    let Some(cgroups) = Cgroups::with("paused", &["--pids", "10"]) else { return };
    let mut command = shell("while :; do :; done");
    command.unshare(Namespace::User).cgroup(cgroups.cgroup());
    let mut child = command.spawn().unwrap();
    let meter = child.meter().unwrap();
    let used = || {
        let stats = meter.stats().unwrap();
        stats.cpu_user.unwrap() + stats.cpu_system.unwrap()
    };
    let goes_on = |from: Duration| {
        let started = Instant::now();
        while used() == from && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        used() > from
    };
    assert!(goes_on(used()));
    child.pause().unwrap();
    // What it has used until then may be counted a little later.
    let mut still = used();
    comes_back(&true, "it stands still", || {
        std::thread::sleep(Duration::from_millis(50));
        std::mem::replace(&mut still, used()) == still
    });
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(used(), still);
    child.resume().unwrap();
    assert!(goes_on(still));
    // A paused one can be killed.
    child.pause().unwrap();
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().cause(), Cause::Killed);
    assert!(meter.stats().is_err() || meter.stats().unwrap().cpu_user.is_none(), "its cgroup is gone");
    cgroups.done();
}

#[test]
fn without_a_cgroup_there_is_nothing_to_count_or_to_pause() {
    let mut command = shell("exec sleep 1000");
    command.unshare(Namespace::User);
    let mut child = command.spawn().unwrap();
    assert!(child.meter().is_none());
    for error in [child.stats().err(), child.pause().err(), child.resume().err()] {
        assert!(error.unwrap().to_string().contains("Command::cgroup"));
    }
    child.kill().unwrap();
    let exit = child.wait().unwrap();
    assert_eq!(exit.cause(), Cause::Killed);
    assert_eq!(exit.usage().memory_peak, None);
    assert_eq!(exit.usage().sources["cpu_user"], "waitid");
}

#[test]
fn a_running_container_is_counted() {
    let Some(cgroups) = Cgroups::with("counted", &["--stats"]) else { return };
    let mut command = shell("sleep 1000 & sleep 1000 & echo ready; wait");
    command.unshare(Namespace::User).cgroup(cgroups.cgroup()).stdout(seclude::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
    let stats = child.stats().unwrap();
    assert_eq!(stats.pids_current, Some(3), "{stats:?}");
    assert!(stats.memory_current.unwrap() > 0, "{stats:?}");
    assert!(stats.cpu_user.is_some() && stats.cpu_system.is_some(), "{stats:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    cgroups.done();
}

#[test]
fn the_command_says_a_line_a_second_of_what_is_used() {
    let Some(cgroups) = Cgroups::with("stats", &["--stats"]) else { return };
    let output = cgroups.run(&["--stats", "--cpus", "1", "sleep", "2.5"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.lines().count(), 2, "{said}");
    for line in said.lines() {
        assert!(line.starts_with("seclude: memory ") && line.contains("pids 2;"), "the init and sleep: {line}");
    }
    cgroups.done();
}

/// Starts a container, tells its cgroup, and waits to be killed.
pub(crate) fn spawn_and_wait_to_be_killed() {
    let parent = std::env::var("SECLUDE_TEST_PARENT").unwrap();
    let mut command = shell("exec sleep 1000");
    command.sandbox().cgroup(seclude::Cgroup::new().parent(parent));
    let child = command.spawn().unwrap();
    tell(child.report().cgroup.as_ref().unwrap().path.clone());
    loop {
        std::thread::park();
    }
}

#[test]
fn what_a_killed_spawner_leaves_goes_with_the_next_spawn_or_by_gc() {
    root_only!();
    let parent = format!("/seclude-test/killed-{}", std::process::id());
    let kill_one = || {
        let mut spawner = helper("spawner");
        spawner.env("SECLUDE_TEST_PARENT", &parent);
        let mut spawner = Background::of(&mut spawner);
        let path = loop {
            let line = spawner.line();
            assert!(!line.is_empty() || spawner.runs(), "the spawner has ended before it told");
            if let Some(path) = told_line(&line) {
                break path.to_owned();
            }
        };
        spawner.signal(rustix::process::Signal::KILL);
        spawner.wait();
        // Its container dies by itself; whoever is last in it leaves it empty.
        let left = left_of(&path);
        assert!(!left.is_empty(), "there is something to remove: {path}");
        let started = Instant::now();
        while left.iter().any(|path| is_populated(path)) && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        path
    };
    let path = kill_one();
    let said = stdout_of(&seclude_tests::seclude(&["gc", "--cgroup", &parent]));
    assert!(said.contains(&path), "{said}");
    assert!(left_of(&path).is_empty());

    let path = kill_one();
    let next = seclude_tests::seclude(&["run", "--cgroup", &parent, "true"]);
    assert!(next.status.success());
    assert!(left_of(&path).is_empty(), "the next spawn has removed it");

    // One that runs is not touched, by whomever it was started.
    let mut running = Background::start(&["run", "--cgroup", &parent, "sh", "-c", "echo ready; exec sleep 1000"]);
    assert_eq!(running.line(), "ready");
    assert_eq!(stdout_of(&seclude_tests::seclude(&["gc", "--cgroup", &parent])), "");
    running.signal(rustix::process::Signal::TERM);
    running.wait();
    assert!(left_of(&parent).is_empty(), "the parent goes with the last of them, whoever made it");
}

/// The directories of a cgroup, one a hierarchy.
fn left_of(path: &str) -> Vec<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    points.map(|point| std::path::PathBuf::from(format!("{point}{path}"))).filter(|path| path.exists()).collect()
}

fn is_populated(directory: &std::path::Path) -> bool {
    let inside = std::fs::read_to_string(directory.join("inside/cgroup.procs")).unwrap_or_default();
    !inside.trim().is_empty()
}
