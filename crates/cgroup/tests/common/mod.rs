//! Cgroups and children for a test, gone when it ends, however it ends.
#![allow(dead_code, unreachable_pub)] // Each test file uses its part.

use std::io::Write;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use seclude_cgroup::{Cgroup, Controller, Error, Hierarchies, Limits, Version};

pub const LONG: Option<Duration> = Some(Duration::from_secs(20));

/// A parent cgroup of the test's own below /seclude-test, the only place tests may use.
pub struct Parent {
    pub hierarchies: Hierarchies,
    pub path: PathBuf,
}

impl Parent {
    /// `None`, with a note, where cgroups cannot be made.
    pub fn new(test: &str) -> Option<Parent> {
        Parent::on(test, Hierarchies::discover().unwrap())
    }

    pub fn on(test: &str, hierarchies: Hierarchies) -> Option<Parent> {
        let path = PathBuf::from(format!("/seclude-test/{test}-{}", std::process::id()));
        if let Err(error) = hierarchies.writable_parent(&path, &[]) {
            println!("{test}: not run: {error}");
            return None;
        }
        Some(Parent { hierarchies, path })
    }

    /// The same, without v2.
    pub fn v1_only(test: &str, controllers: &[Controller]) -> Option<Parent> {
        let hierarchies = Parent::without(" - cgroup2 ");
        if controllers.iter().any(|&controller| hierarchies.controller(controller).is_none()) {
            println!("{test}: not run: no such v1 controllers here");
            return None;
        }
        Parent::on(test, hierarchies)
    }

    /// The same, without v1.
    pub fn v2_only(test: &str) -> Option<Parent> {
        let hierarchies = Parent::without(" - cgroup ");
        if hierarchies.v2().is_none() {
            println!("{test}: not run: no v2 here");
            return None;
        }
        Parent::on(test, hierarchies)
    }

    /// The hierarchies without the mounts of one kind.
    fn without(kind: &str) -> Hierarchies {
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let mountinfo: Vec<&str> = mountinfo.lines().filter(|line| !line.contains(kind)).collect();
        Hierarchies::parse(&mountinfo.join("\n"), &own)
    }

    /// Whether the host has it; a note if not.
    pub fn has(&self, controllers: &[Controller]) -> bool {
        let missing = controllers.iter().find(|&&c| self.hierarchies.controller(c).is_none());
        if let Some(missing) = missing {
            println!("{}: not run: no {missing} controller", self.path.display());
        }
        missing.is_none()
    }

    pub fn is_v2(&self, controller: Controller) -> bool {
        self.hierarchies.controller(controller).is_some_and(|hierarchy| hierarchy.version() == Version::V2)
    }

    pub fn try_make(&self, limits: &Limits, extra: &[Controller]) -> Result<Scratch, Error> {
        Cgroup::create(&self.hierarchies, &self.path, limits, extra).map(Scratch)
    }

    pub fn make(&self, limits: &Limits, extra: &[Controller]) -> Scratch {
        self.try_make(limits, extra).unwrap_or_else(|error| panic!("{error} ({:?})", error.hint()))
    }

    /// The parent's directories that exist.
    pub fn left(&self) -> Vec<PathBuf> {
        let all = self.hierarchies.v1().iter().chain(self.hierarchies.v2());
        all.filter_map(|hierarchy| hierarchy.locate(&self.path)).filter(|path| path.exists()).collect()
    }

    /// Ends the test: nothing may be left.
    pub fn done(self) {
        assert_eq!(self.left(), Vec::<PathBuf>::new());
    }
}

/// A cgroup that is killed, emptied and removed even if the test fails.
pub struct Scratch(Cgroup);

impl Scratch {
    /// Kills, waits and removes; each must succeed.
    pub fn end(self) {
        self.0.kill().unwrap();
        assert!(self.0.wait_empty(LONG).unwrap());
        self.0.remove().unwrap();
    }

    pub fn file(&self, name: &str) -> PathBuf {
        let found = self.0.directories().map(|(_, dir)| dir.join(name)).find(|path| path.exists());
        found.unwrap_or_else(|| panic!("no {name}"))
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap().trim().to_owned()
    }
}

impl Deref for Scratch {
    type Target = Cgroup;

    fn deref(&self) -> &Cgroup {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait_empty(LONG);
        let _ = self.0.remove();
    }
}

/// A shell that waits for [`Payload::go`] before it does anything.
pub struct Payload(Child);

impl Payload {
    pub fn new(script: &str) -> Payload {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("read go\n{script}")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Payload(command.spawn().unwrap())
    }

    /// One that was put into the cgroup and started.
    pub fn inside(cgroup: &Cgroup, script: &str) -> Payload {
        let mut payload = Payload::new(script);
        cgroup.join(payload.id()).unwrap();
        payload.go();
        payload
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    /// One line of its output.
    pub fn line(&mut self) -> String {
        use std::io::Read;
        let mut line = Vec::new();
        let mut byte = [0];
        while self.0.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// User and system time of a process, in clock ticks.
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

pub fn status_field(pid: u32, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().trim().to_owned()
}

/// A running process; neither gone nor a zombie.
pub fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists() && !status_field(pid, "State").starts_with('Z')
}
