//! Any plan either runs and shows exactly the isolation that was asked for, or fails with an error that names a step.

mod probe;
mod request;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;
use seclude_tests::{Host, Scratch, busybox_root, comes_back, is_root};

const PLANS: u32 = 600;

/// What the places of a request are.
struct Places {
    root: Scratch,
    own: Scratch,
}

impl Places {
    fn new() -> Places {
        let places = Places { root: busybox_root("properties"), own: Scratch::new("properties") };
        for directory in ["media", "srv", "opt"] {
            places.root.directory(directory);
        }
        places.root.file("of-the-own-root", "");
        places.root.file("tmp/left", "");
        places.root.file("srv/left", "");
        places.own.file("content", "shown");
        for path in [places.root.path(), places.own.path()] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        places
    }

    /// What the plan before may have made.
    fn clean(&self) {
        let made: [PathBuf; 2] = [self.root.join("media"), self.own.path().to_owned()];
        for directory in made {
            for name in ["file", "link", "written"] {
                let _ = std::fs::remove_file(directory.join(name));
            }
            let _ = std::fs::remove_dir(directory.join("directory"));
        }
        for name in ["written", "etc/written"] {
            let _ = std::fs::remove_file(self.root.join(name));
        }
    }
}

/// A network and a /run that no one else has, where links may be made.
fn leave_the_host() {
    // Only what this thread starts is to be there; its descriptors and its directory stay as they are.
    #[allow(deprecated)]
    rustix::thread::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS).expect("root may");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("root may");
    mount("none", "/run", "tmpfs", MountFlags::empty(), None).expect("root may");
}

/// What networks leave.
fn links() -> String {
    let links = std::fs::read_to_string("/proc/thread-self/net/dev").expect("/proc is there");
    let names = links.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    // As a user it is the host's, where others work.
    let left = if is_root() && std::path::Path::new("/run/seclude").exists() { "/run/seclude" } else { "" };
    names.chain([left]).collect::<Vec<_>>().join(" ")
}

#[test]
fn any_plan_shows_what_was_asked_for_or_names_the_step_that_could_not() {
    let before = Host::look();
    if is_root() {
        leave_the_host();
    }
    let links_before = links();
    let places = Places::new();
    let (ran, refused) = (Cell::new(0), RefCell::new(BTreeMap::<String, usize>::new()));
    let plans = std::env::var("SECLUDE_TEST_PLANS").map_or(PLANS, |plans| plans.parse().expect("a number"));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: plans,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let done = runner.run(&request::request(), |request| {
        let mut command = probe::command(&request, &places);
        let plan = command.plan();
        places.clean();
        match command.output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let context = || format!("{}: {text}{}", output.exit, String::from_utf8_lossy(&output.stderr));
                prop_assert!(output.exit.success(), "{}", context());
                let said = text.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
                probe::check(&request, &said).inspect_err(|_| eprintln!("{}", context()))?;
                ran.set(ran.get() + 1);
            }
            Err(error) => {
                let line = error.to_string();
                prop_assert!(!error.step().is_empty() && line.starts_with(error.step()), "{line}");
                prop_assert!(line.lines().count() == 1 && error.left_behind().is_empty(), "{line}");
                let steps: Vec<&str> =
                    plan.map_or_else(|_| vec![error.step()], |plan| plan.actions().iter().map(|a| a.step).collect());
                prop_assert!(steps.contains(&error.step()), "{} is no step of {steps:?}", error.step());
                *refused.borrow_mut().entry(line).or_default() += 1;
            }
        }
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
    println!("{plans} plans: {} ran; refused: {:#?}", ran.get(), refused.borrow());
    assert!(ran.get() > plans / 5 && ran.get() < plans, "neither all nor nothing can be done");
    drop(places);
    assert_eq!(links(), links_before);
    comes_back(&before, "all plans", Host::look);
}
