//! What bites a process that shares its memory with a child under construction, and that it does not bite here.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child as HelperChild, Command as Process, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use seclude::{CloneWay, Command, Namespace, UserMap};
use seclude_sys::process::dumpable;
use seclude_tests::{comes_back, is_root, ordinary_user_only, said, shell};

/// Runs the part of `helper_process` that has this name, in a process of its own.
fn helper(part: &str) -> HelperChild {
    Process::new(std::env::current_exe().expect("a test knows its own path"))
        .args(["helper_process", "--exact", "--nocapture", "--test-threads=1"])
        .env("SECLUDE_TEST_PART", part)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the test itself can be started")
}

/// The number that a helper printed behind `pid `.
fn pid_of(helper: &mut HelperChild) -> i32 {
    let stdout = helper.stdout.as_mut().expect("it is a pipe");
    for line in BufReader::new(stdout).lines() {
        let line = line.expect("a helper writes text");
        if let Some((_, number)) = line.split_once("pid ") {
            return number.trim().parse().expect("a helper prints a pid");
        }
    }
    panic!("the helper printed no pid");
}

/// Whether the process ends within ten seconds; one that is gone has ended.
fn ends(pid: i32) -> bool {
    let Some(Ok(pidfd)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return true };
    let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience)) == Ok(1)
}

/// Not a test by itself: what the tests below have another process do.
#[test]
fn helper_process() {
    let Ok(part) = std::env::var("SECLUDE_TEST_PART") else { return };
    let mut command = shell("exec sleep 1000");
    command.stdin(seclude::Stdio::null());
    match part.as_str() {
        "container" => {
            let child = command.sandbox().spawn().expect("a container");
            println!("pid {}", child.id());
            let _ = std::io::stdin().read(&mut [0]);
            std::mem::forget(child);
        }
        "survivor" => {
            let child = command.sandbox().die_with_parent(false).spawn().expect("a container");
            println!("pid {}", child.id());
            let _ = std::io::stdin().read(&mut [0]);
            std::mem::forget(child);
        }
        "with init" => {
            let child = command.sandbox().init(true).spawn().expect("a container");
            println!("pid {}", child.id());
            let _ = std::io::stdin().read(&mut [0]);
            std::mem::forget(child);
        }
        "endless spawns" => {
            println!("pid {}", std::process::id());
            loop {
                let mut command = Command::new("/bin/sleep");
                // Ended with its handle; who survived would be seen.
                let _ = command.arg("1000").sandbox().hostname("seclude-hazard").spawn();
            }
        }
        "caller's state" => {
            let before = seclude_tests::OwnProcess::look();
            let mut changed = Command::new("/bin/true");
            changed.sandbox().user_map(UserMap::SubIds).uid(1).gid(1).umask(0o777).current_dir("/");
            // A file that others may read would be relayed, by a thread that ends when it ends.
            changed.stdout(seclude::Stdio::null()).stderr(seclude::Stdio::null());
            assert!(changed.status().expect("it runs").success());
            let mut eager = Command::new("/bin/true");
            assert!(eager.unshare(Namespace::User).oom_score_adj(700).status().expect("it runs").success());
            let null = seclude::Stdio::null;
            let missing = Command::new("/nowhere/command").sandbox().stdout(null()).stderr(null()).spawn();
            assert!(missing.is_err());
            let after = seclude_tests::OwnProcess::look();
            assert_eq!(before, after);
            println!("pid 0");
        }
        "busy" => {
            spawn_while_others_are_busy();
            println!("pid 0");
        }
        other => panic!("no part is called {other}"),
    }
}

/// Sixteen threads that spawn, beside some that fork and exec, change the directory, and open and close descriptors.
fn spawn_while_others_are_busy() {
    const DIRECTORIES: [&str; 2] = ["/usr", "/etc"];
    let look = || {
        let output = shell("pwd; cd /proc/self/fd; echo *").sandbox().output().expect("a container");
        let said = said(&output);
        let (directory, descriptors) = said.split_once('\n').expect("two lines");
        (directory.to_owned(), descriptors.to_owned())
    };
    let set = |directory: &str| std::env::set_current_dir(directory).expect("it is there");
    set(DIRECTORIES[0]);
    let (_, quiet) = look();
    let stop = AtomicBool::new(false);
    let goes_on = || !stop.load(Ordering::Relaxed);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            while goes_on() {
                assert!(Process::new("/bin/true").status().expect("std still spawns").success());
            }
        });
        scope.spawn(|| {
            while goes_on() {
                DIRECTORIES.iter().for_each(|directory| set(directory));
            }
        });
        scope.spawn(|| {
            while goes_on() {
                let files: Vec<_> = (0..32).map(|_| std::fs::File::open("/dev/null").expect("it is there")).collect();
                drop(files);
            }
        });
        let spawners: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let (directory, descriptors) = look();
                        assert!(DIRECTORIES.contains(&directory.as_str()), "{directory}");
                        assert_eq!(descriptors, quiet, "as where nobody else is busy");
                    }
                })
            })
            .collect();
        let ended: Vec<_> = spawners.into_iter().map(|spawner| spawner.join().is_ok()).collect();
        stop.store(true, Ordering::Relaxed);
        ended
    });
    assert_eq!(ended, [true; 16]);
}

#[test]
fn sixteen_threads_spawn_while_others_fork_exec_change_directory_and_close_descriptors() {
    let mut helper = helper("busy");
    assert_eq!(pid_of(&mut helper), 0);
    assert!(helper.wait().expect("it ends").success());
}

/// As it was to begin with; it is hidden only as long as anything is being spawned, here by other tests.
#[track_caller]
fn is_dumpable_again() {
    comes_back(&Ok(1), "dumpable", dumpable);
}

#[test]
fn a_change_of_ids_in_the_child_leaves_the_parent_dumpable() {
    is_dumpable_again();
    let mut command = shell("id -u; cat /proc/self/status");
    if is_root() {
        command.uid(65533).gid(65533);
    } else {
        command.unshare(Namespace::User).user_map(UserMap::SubIds).uid(1).gid(1);
    }
    let output = command.output().expect("it runs");
    let wanted = if is_root() { "65533" } else { "1" };
    assert_eq!(said(&output).lines().next(), Some(wanted), "the ids really changed");
    is_dumpable_again();
    let report = command.stdout(seclude::Stdio::null()).spawn().expect("it runs");
    assert!(report.report().shared_memory, "a copy would have proven nothing");
}

#[test]
fn sixteen_threads_that_change_ids_at_once_all_succeed() {
    let failures = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let failures = &failures;
            scope.spawn(move || {
                for round in 0..20 {
                    let mut command = shell("id -u");
                    command.unshare(Namespace::User);
                    if is_root() {
                        command.user_map(UserMap::Identity);
                    } else {
                        command.user_map(UserMap::SubIds);
                    }
                    // Every other one changes its ids; the rest write maps meanwhile.
                    let uid = if (thread + round) % 2 == 0 { 1 } else { 0 };
                    command.uid(uid).gid(uid);
                    match command.output() {
                        Ok(output) if output.stdout == format!("{uid}\n").as_bytes() => {}
                        other => {
                            eprintln!("thread {thread}, round {round}: {other:?}");
                            failures.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(failures.load(Ordering::Relaxed), 0);
    is_dumpable_again();
}

#[test]
fn who_joins_and_who_makes_a_user_namespace_meanwhile_do_not_hinder_each_other() {
    let mut joined = shell("exec sleep 1000");
    let mut joined =
        joined.unshare(Namespace::User).unshare(Namespace::Uts).hostname("joined").spawn().expect("it runs");
    let link = |kind: &str| format!("/proc/{}/ns/{kind}", joined.id());
    let failures = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (failures, link) = (&failures, &link);
            scope.spawn(move || {
                for round in 0..25 {
                    let mut command = shell("uname -n; id -u");
                    let name = if thread % 2 == 0 {
                        command.join(Namespace::User, link("user")).join(Namespace::Uts, link("uts"));
                        "joined"
                    } else {
                        command.unshare(Namespace::User).unshare(Namespace::Uts).hostname("made");
                        "made"
                    };
                    match command.output() {
                        Ok(output) if output.stdout == format!("{name}\n0\n").as_bytes() => {}
                        other => {
                            eprintln!("thread {thread}, round {round}: {other:?}");
                            failures.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    joined.kill().expect("it is ours");
    joined.wait().expect("it ends");
    assert_eq!(failures.load(Ordering::Relaxed), 0);
    is_dumpable_again();
}

#[test]
fn nothing_of_the_caller_changes_by_spawning() {
    let mut helper = helper("caller's state");
    assert_eq!(pid_of(&mut helper), 0);
    assert!(helper.wait().expect("it ends").success());
}

#[test]
fn the_callers_oom_score_stays_its_own() {
    let own = || std::fs::read_to_string("/proc/self/oom_score_adj").expect("/proc is there").trim().to_owned();
    let before = own();
    let mut command = shell("cat /proc/self/oom_score_adj");
    let output = command.unshare(Namespace::User).oom_score_adj(321).output().expect("it runs");
    assert_eq!(said(&output), "321");
    assert_eq!(own(), before);
}

#[test]
fn a_thread_that_ends_does_not_take_its_container_along() {
    let mut child = std::thread::spawn(|| {
        let mut command = shell("read line; echo $line");
        command.sandbox().stdin(seclude::Stdio::piped()).stdout(seclude::Stdio::piped());
        command.spawn().expect("a container")
    })
    .join()
    .expect("the thread ends well");
    // Its spawner is gone; it still answers.
    use std::io::Write;
    child.stdin.take().expect("a pipe").write_all(b"alive\n").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(said(&output), "alive");
}

#[test]
fn a_thread_that_answers_for_its_end_takes_its_container_along() {
    let mut child = std::thread::spawn(|| {
        let mut command = shell("read line; echo $line");
        command.sandbox().as_pid_1().stdin(seclude::Stdio::piped());
        command.spawn_on_this_thread().expect("a container")
    })
    .join()
    .expect("the thread ends well");
    let stdin = child.stdin.take();
    let exit = child.wait_timeout(Duration::from_secs(10)).expect("its status").expect("it died with the thread");
    assert_eq!(exit.signal(), Some(9));
    drop(stdin);
    // An init answers to the process.
    let mut child = std::thread::spawn(|| {
        let mut command = shell("read line; echo $line");
        command.sandbox().stdin(seclude::Stdio::piped()).stdout(seclude::Stdio::piped());
        command.spawn_on_this_thread().expect("a container")
    })
    .join()
    .expect("the thread ends well");
    use std::io::Write;
    child.stdin.take().expect("a pipe").write_all(b"alive\n").expect("it reads");
    assert_eq!(said(&child.wait_with_output().expect("it ends")), "alive");
}

#[test]
fn a_container_dies_with_the_process_that_spawned_it_and_lives_on_only_if_asked_to() {
    for part in ["container", "with init"] {
        let mut helper = helper(part);
        let pid = pid_of(&mut helper);
        helper.kill().expect("it is ours");
        helper.wait().expect("it ends");
        assert!(ends(pid), "{part}");
    }
    let mut survivor = helper("survivor");
    let pid = pid_of(&mut survivor);
    survivor.kill().expect("it is ours");
    survivor.wait().expect("it ends");
    let raw = Pid::from_raw(pid).expect("a pid");
    assert!(rustix::process::test_kill_process(raw).is_ok(), "it was asked to go on");
    kill_process(raw, Signal::KILL).expect("it is ours");
    assert!(ends(pid));
}

#[test]
fn a_spawner_that_is_killed_during_set_up_leaves_no_process() {
    let named_so = || -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir("/proc").expect("/proc is there").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let text = String::from_utf8_lossy(&environ);
            if text.contains("SECLUDE_TEST_PART=endless spawns") {
                found.insert(pid);
            }
        }
        found
    };
    for round in 0..40u64 {
        let mut helper = helper("endless spawns");
        pid_of(&mut helper);
        // Not a wait for anything: the moment of the kill is what varies.
        std::thread::sleep(Duration::from_micros(round * 137 % 3000));
        helper.kill().expect("it is ours");
        helper.wait().expect("it ends");
        for pid in named_so() {
            assert!(ends(pid), "round {round}: process {pid} outlived its spawner");
        }
    }
}

#[test]
fn other_threads_may_fork_and_exec_meanwhile() {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let status = Process::new("/bin/true").status().expect("std still spawns");
                    assert!(status.success());
                }
            });
        }
        for _ in 0..100 {
            let output = shell("echo ok").sandbox().output().expect("a container");
            assert_eq!(said(&output), "ok");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn the_callers_errors_are_its_own() {
    // errno lives in the TLS that the child shares with the caller's thread until its exec.
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let missing = std::fs::File::open("/nowhere/at/all").expect_err("it is missing");
                assert_eq!(missing.raw_os_error(), Some(2));
            }
        });
        for _ in 0..100 {
            let error = Command::new("/nowhere/command").sandbox().spawn().expect_err("it is missing");
            assert_eq!(error.raw_os_error(), Some(2));
            let directory = std::fs::read("/").expect_err("it is a directory");
            assert_eq!(directory.raw_os_error(), Some(21));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_caller_with_much_memory_shares_it_and_a_copy_is_only_made_on_demand() {
    let mut ballast = vec![0u8; 512 << 20];
    for page in ballast.chunks_mut(4096) {
        page[0] = 1;
    }
    let child = Command::new("/bin/true").sandbox().spawn().expect("a container");
    assert_eq!((child.report().clone, child.report().shared_memory), ("vm", true));
    let child = Command::new("/bin/true").sandbox().clone_way(CloneWay::Copy).spawn().expect("a container");
    assert_eq!((child.report().clone, child.report().shared_memory), ("copy", false));
    assert_eq!(ballast.iter().step_by(4096).map(|byte| usize::from(*byte)).sum::<usize>(), ballast.len() / 4096);
}

#[test]
fn an_ordinary_users_maps_can_be_written_right_after_a_change_of_ids() {
    ordinary_user_only!();
    for _ in 0..20 {
        let mut changing = shell("id -u");
        changing.unshare(Namespace::User).user_map(UserMap::SubIds).uid(7).gid(7);
        assert_eq!(said(&changing.output().expect("it runs")), "7");
        let mut mapping = shell("id -u");
        assert_eq!(said(&mapping.unshare(Namespace::User).output().expect("its map is written")), "0");
    }
}
