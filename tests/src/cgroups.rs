//! Cgroups for tests: where they may be made, and whether any are left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::cli::seclude_command;
use crate::{Host, is_root};

/// What a host may lack, as errors tell it.
const LACKS: [&str; 5] = [
    "is not possible here",
    " controller, which ",
    "no cgroup hierarchy is mounted",
    "use a cgroup that is delegated to you",
    "in the first user namespace",
];

/// Where a test's containers have their cgroups.
pub struct Cgroups {
    /// As `--cgroup` takes it; `None` is the default of an ordinary user: the delegated tree that the test runs in.
    parent: Option<PathBuf>,
}

impl Cgroups {
    /// `None`, with a note, where this user may make none, or they have not what `flags` ask for.
    pub fn with(test: &str, flags: &[&str]) -> Option<Cgroups> {
        let parent = is_root().then(|| PathBuf::from(format!("/seclude-test/{test}-{}", std::process::id())));
        let cgroups = Cgroups { parent };
        let output = cgroups.run(&[flags, &["true"]].concat());
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            // Anything else is wrong with seclude, and not with the host.
            assert!(LACKS.iter().any(|lack| said.contains(lack)), "{test}: {said}");
            eprintln!("skipped: {said}");
            return None;
        }
        Some(cgroups)
    }

    /// The flags that say where.
    pub fn flags(&self) -> Vec<String> {
        let parent = self.parent.iter().flat_map(|path| ["--cgroup".to_owned(), path.display().to_string()]);
        parent.collect()
    }

    /// The same for the library.
    pub fn cgroup(&self) -> seclude::Cgroup {
        match &self.parent {
            Some(parent) => seclude::Cgroup::new().parent(parent),
            None => seclude::Cgroup::new(),
        }
    }

    /// `seclude run` with these arguments behind the flags.
    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let flags = self.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        seclude_command(&[&["run"], flags.as_slice(), arguments].concat())
    }

    /// How such a run ends.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the seclude command starts")
    }

    /// How it ends, and its report.
    pub fn report(&self, arguments: &[&str]) -> (Output, serde_json::Value) {
        let own = crate::Scratch::new("cgroup-report");
        let file = own.join("report.json");
        let all = [&["--report", file.to_str().expect("UTF-8")], arguments].concat();
        let output = self.run(&all);
        let text = fs::read_to_string(&file).expect("a report");
        (output, serde_json::from_str(&text).expect("JSON"))
    }

    /// The parent's directories that are there, one a hierarchy; for an ordinary user nothing is told.
    pub fn directories(&self) -> Vec<PathBuf> {
        let Some(parent) = &self.parent else { return Vec::new() };
        let below = parent.strip_prefix("/").expect("an absolute path");
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
        let points = mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
        points.map(|point| Path::new(point).join(below)).filter(|path| path.exists()).collect()
    }

    /// Ends the test: nothing may be left.
    pub fn done(self) {
        assert_eq!(self.directories(), Vec::<PathBuf>::new());
        if self.parent.is_none() {
            let left = Host::look().cgroups;
            assert!(left.iter().all(|path| !path.contains(&format!("/{}-", std::process::id()))), "{left:?}");
        }
    }
}

/// Whether the host has this controller on v2.
pub fn on_v2(controller: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
    let point = mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
    let offered = point.and_then(|point| fs::read_to_string(Path::new(point).join("cgroup.controllers")).ok());
    offered.is_some_and(|offered| offered.split_whitespace().any(|word| word == controller))
}

/// With the parent that all tests' cgroups have, which goes with the last in it, whoever removes that: so it is made as seclude makes
/// parents.
pub fn make_cgroup(directory: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    let mut parent = fs::DirBuilder::new();
    parent.mode(0o1700);
    // It may go between the two.
    while !directory.is_dir() && fs::create_dir(directory).is_err() {
        match parent.create(directory.parent().unwrap()) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                panic!("{}: {error}", directory.display())
            }
            _ => {}
        }
    }
}

/// A cgroup in every hierarchy but those of v1's cpuset, which would have to be set up.
pub struct ExistingCgroup {
    /// As `--cgroup-join` takes it.
    pub path: String,
    /// Its directories.
    pub made: Vec<PathBuf>,
}

/// Where hierarchies are mounted.
pub fn cgroup_mounts() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let of_cgroups = mounts.lines().filter(|line| line.contains(" - cgroup"));
    of_cgroups.map(|line| PathBuf::from(line.split(' ').nth(4).unwrap())).collect()
}

impl ExistingCgroup {
    /// Below `/seclude-test`; it takes root.
    pub fn make(name: &str) -> ExistingCgroup {
        let path = format!("/seclude-test/{name}-{}", std::process::id());
        let mut made = Vec::new();
        for point in cgroup_mounts().into_iter().filter(|point| !point.ends_with("cpuset")) {
            let directory = point.join(&path[1..]);
            make_cgroup(&directory);
            made.push(directory);
        }
        ExistingCgroup { path, made }
    }

    /// The directory that has this file.
    pub fn with(&self, file: &str) -> Option<&Path> {
        self.made.iter().map(PathBuf::as_path).find(|directory| directory.join(file).exists())
    }
}

impl Drop for ExistingCgroup {
    fn drop(&mut self) {
        for directory in &self.made {
            let _ = fs::remove_dir(directory);
            let _ = fs::remove_dir(directory.parent().unwrap());
        }
    }
}
