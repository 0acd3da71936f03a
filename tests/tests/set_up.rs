//! The time between clone and exec, looked at from newuidmap's place: a spawn as an ordinary user waits for it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use seclude::{CloneWay, Code, Command, Namespace, Side, UserMap};
use seclude_tests::{
    OwnProcess, PATIENCE, Scratch, ends_within, helper, ordinary_user_only, pidfd, role, said, shell, status_field,
    tell, told,
};

/// A spawner whose `newuidmap` is the test's.
#[test]
fn helper_process() {
    let Some(role) = role() else { return };
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/uid_map").unshare(Namespace::User).user_map(UserMap::SubIds);
    let before = OwnProcess::look();
    let spawned = match role.as_str() {
        "beside" => std::thread::scope(|scope| {
            let waiting = scope.spawn(|| command.output());
            let mut line = String::new();
            // The other spawn waits for its map from here on.
            File::open(std::env::var_os("MAPPING").unwrap()).unwrap().read_to_string(&mut line).unwrap();
            tell(said(&shell("echo not held up").unshare(Namespace::User).output().unwrap()));
            let go = Path::new(&std::env::var_os("MAPPING").unwrap()).with_file_name("go");
            File::options().write(true).open(go).unwrap().write_all(b"go\n").unwrap();
            waiting.join().unwrap()
        }),
        _ => command.output(),
    };
    match spawned {
        Ok(output) => tell(format_args!("{} extents", said(&output).lines().count())),
        Err(error) => {
            tell(error.code().name());
            tell(format_args!("{:?} {}", error.side(), error.step()));
            tell(&error);
        }
    }
    assert_eq!(OwnProcess::look(), before);
}

/// A directory with a newuidmap of our own, and the spawner that is told of it.
fn with_newuidmap(script: &str, part: &str) -> (Scratch, std::process::Command) {
    let place = Scratch::new("newuidmap");
    let path = place.path().display();
    let made = std::process::Command::new("mkfifo").args([place.join("pid"), place.join("go")]).status().unwrap();
    assert!(made.success());
    place.executable("newuidmap", &format!("#!/bin/sh\ncd {path}\n{script}\n"));
    let mut spawner = helper(part);
    spawner.env("SECLUDE_FAULT_HELPERS", place.path()).env("MAPPING", place.join("pid"));
    (place, spawner)
}

const REAL: &str = "exec /usr/bin/newuidmap \"$@\"";

#[test]
fn a_child_that_is_set_up_takes_no_signal_and_has_none_of_the_callers_handlers() {
    ordinary_user_only!();
    let (place, mut spawner) = with_newuidmap(&format!("cat /proc/$1/status > child; {REAL}"), "plain");
    let told = told(&spawner.output().unwrap());
    assert_eq!(told, ["2 extents"]);
    let bits = |status: &str, name| u64::from_str_radix(status_field(status, name), 16).unwrap();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    assert_ne!(bits(&own, "SigCgt"), 0, "the caller has handlers: Rust's own");
    let child = fs::read_to_string(place.join("child")).unwrap();
    assert_eq!(bits(&child, "SigCgt"), 0);
    let (kill, stop) = (1 << 8, 1 << 18);
    assert_eq!(bits(&child, "SigBlk"), !(kill | stop), "all that can be blocked");
}

#[test]
fn a_spawner_that_is_killed_while_its_child_is_set_up_takes_the_child_along() {
    ordinary_user_only!();
    let (place, mut spawner) = with_newuidmap("echo $1 > pid; read go < go; kill -9 $PPID", "plain");
    let mut spawner = spawner.stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut pid = String::new();
    File::open(place.join("pid")).unwrap().read_to_string(&mut pid).unwrap();
    let child = pidfd(pid.trim().parse().unwrap());
    assert!(!ends_within(&child, std::time::Duration::ZERO), "it waits for its map");
    File::options().write(true).open(place.join("go")).unwrap().write_all(b"go\n").unwrap();
    assert!(ends_within(&child, PATIENCE));
    assert!(!spawner.wait().unwrap().success());
}

#[test]
fn a_helper_that_fails_is_named_with_its_own_words_and_nothing_is_left() {
    ordinary_user_only!();
    let (_place, mut spawner) = with_newuidmap("echo no map today >&2; exit 1", "plain");
    let told = told(&spawner.output().unwrap());
    assert_eq!(told[..2], ["refused", "Parent user map"]);
    assert!(told[2].contains("newuidmap: no map today"), "{}", told[2]);
}

#[test]
fn a_helper_that_says_it_succeeded_is_not_believed_without_a_map() {
    ordinary_user_only!();
    let (_place, mut spawner) = with_newuidmap("exit 0", "plain");
    let told = told(&spawner.output().unwrap());
    assert_eq!(told[..2], ["refused", "Parent user map"], "{told:?}");
}

#[test]
fn a_host_without_the_helper_says_what_to_install() {
    ordinary_user_only!();
    let (_place, mut spawner) = with_newuidmap("exit 1", "plain");
    let told = told(&spawner.env("SECLUDE_FAULT_HELPERS", "/nowhere").output().unwrap());
    assert!(told[2].contains("newuidmap is not installed"), "{told:?}");
    assert!(told[2].contains("uidmap"), "{told:?}");
    let own = Command::new("/bin/true").unshare(Namespace::User).status().unwrap();
    assert!(own.success(), "which mapping the caller alone does not need");
}

#[test]
fn a_spawn_that_waits_for_its_map_does_not_hold_up_another() {
    ordinary_user_only!();
    let (_place, mut spawner) = with_newuidmap(&format!("echo $1 > pid; read go < go; {REAL}"), "beside");
    assert_eq!(told(&spawner.output().unwrap()), ["not held up", "2 extents"]);
}

#[test]
fn a_copy_that_is_made_while_another_spawn_changes_ids_gets_its_map() {
    ordinary_user_only!();
    // The change makes the shared memory non-dumpable for a moment; a copy of that moment would stay so, and its map
    // would belong to root.
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut changing = Command::new("/bin/true");
                    changing.unshare(Namespace::User).user_map(UserMap::SubIds).uid(1).gid(1);
                    assert!(changing.status().unwrap().success());
                }
            });
        }
        let copies: Vec<_> = (0..300)
            .map(|_| {
                let mut copy = Command::new("/bin/true");
                copy.unshare(Namespace::User).clone_way(CloneWay::Copy).status()
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        for copy in copies {
            assert!(copy.unwrap().success());
        }
    });
}

#[test]
fn a_map_for_ids_that_are_not_ours_never_comes_to_the_helper() {
    ordinary_user_only!();
    let extents = seclude::IdMap::new(vec![seclude::Extent { inside: 0, outside: 1, count: 2 }]).unwrap();
    let mut command = Command::new("/bin/true");
    command.unshare(Namespace::User).user_map(UserMap::Extents { uids: extents.clone(), gids: extents });
    let error = command.spawn().unwrap_err();
    assert_eq!((error.code(), error.side(), error.step()), (Code::Invalid, Side::Plan, "user map"), "{error}");
}

#[test]
fn an_id_mapper_that_gains_no_privileges_is_told_of() {
    ordinary_user_only!();
    let (place, mut spawner) = with_newuidmap("", "plain");
    for helper in ["newuidmap", "newgidmap"] {
        // A copy is nobody's setuid program.
        fs::remove_file(place.join(helper)).ok();
        fs::copy(format!("/usr/bin/{helper}"), place.join(helper)).expect("package uidmap");
    }
    let told = told(&spawner.output().unwrap());
    assert!(told[2].contains("neither setuid root nor has it file capabilities"), "{told:?}");
}

#[test]
fn no_helper_is_taken_from_where_another_than_root_could_have_left_it() {
    ordinary_user_only!();
    // As node_modules/.bin, which code that ran inside before may have written, wherever the caller stands.
    for stands in [Some(""), Some("elsewhere"), None] {
        let place = Scratch::new("planted");
        std::fs::create_dir(place.join("elsewhere")).unwrap();
        let bin = place.directory("bin");
        place.executable("bin/newuidmap", &format!("#!/bin/sh\n: > {}/ran\n{REAL}\n", place.path().display()));
        let stands = stands.map_or("/usr".into(), |stands| place.join(stands));
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let found = std::process::Command::new("sh").args(["-c", "command -v newuidmap"]).env("PATH", &path).output();
        assert!(found.unwrap().stdout.starts_with(bin.as_os_str().as_encoded_bytes()), "a shell takes it");
        let mut command =
            seclude_tests::seclude_command(&["run", "--bare", "--unshare", "user", "--map-subids", "true"]);
        let output = command.current_dir(&stands).env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(!place.join("ran").exists(), "{stands:?}");
    }
}
