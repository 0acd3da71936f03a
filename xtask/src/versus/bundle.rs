//! What crun and runc need: a directory with a root and a config.json, a name for each container, and no cgroup left.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result};
use serde_json::json;

use super::programs::Programs;

/// Below it in every hierarchy runc makes its cgroups; removed afterwards if nobody else uses it.
const CGROUPS: &str = "seclude-test";

#[derive(Clone)]
pub(super) struct Bundle {
    directory: PathBuf,
    containers: Rc<Cell<u64>>,
    _cleanup: Rc<Cleanup>,
}

impl Bundle {
    pub(super) fn make(programs: &Programs) -> Result<Bundle> {
        let directory = programs.directory.join("bundle");
        let root = directory.join("rootfs");
        for place in ["proc", "dev", "tmp"] {
            fs::create_dir_all(root.join(place)).context("make the bundle's root")?;
        }
        fs::copy(&programs.exit, root.join("exit")).context("fill the bundle's root")?;
        let own = format!("versus-{}", std::process::id());
        let config = serde_json::to_vec_pretty(&config(&format!("/{CGROUPS}/{own}")))?;
        fs::write(directory.join("config.json"), config).context("write the bundle's config.json")?;
        Ok(Bundle { directory, containers: Rc::default(), _cleanup: Rc::new(Cleanup { own }) })
    }

    /// The arguments for a run of a new container.
    pub(super) fn run(&self, flags: &[&str], runtime: &str) -> impl Fn() -> Vec<OsString> + use<> {
        let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
        let state = self.directory.join(format!("{runtime}-state"));
        let bundle = self.clone();
        move || {
            let mut words: Vec<OsString> = vec!["--root".into(), state.clone().into()];
            words.extend(flags.iter().cloned());
            words.push("run".into());
            words.extend(bundle.next());
            words
        }
    }

    /// A method, so that who calls it has all of the bundle, also what cleans up.
    fn next(&self) -> [OsString; 3] {
        let number = self.containers.replace(self.containers.get() + 1);
        let name = format!("seclude-versus-{}-{number}", std::process::id());
        ["--bundle".into(), self.directory.clone().into(), name.into()]
    }
}

/// The same seven namespaces and mounts; a tmpfs on /dev, because both put device nodes there.
fn config(cgroups: &str) -> serde_json::Value {
    let kinds = ["user", "pid", "mount", "network", "uts", "ipc", "cgroup"];
    let namespaces: Vec<_> = kinds.iter().map(|kind| json!({ "type": kind })).collect();
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["/exit"],
            "env": ["PATH=/"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": false },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"] },
        ],
        "linux": {
            "namespaces": namespaces,
            "uidMappings": [{ "containerID": 0, "hostID": user, "size": 1 }],
            "gidMappings": [{ "containerID": 0, "hostID": group, "size": 1 }],
            "cgroupsPath": cgroups,
        },
    })
}

/// Removes the cgroups that were made, in every hierarchy; rmdir(2) leaves alone what somebody is in.
struct Cleanup {
    own: String,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for hierarchy in hierarchies(&mounts) {
            let above = Path::new(hierarchy).join(CGROUPS);
            let _ = fs::remove_dir(above.join(&self.own));
            let _ = fs::remove_dir(above);
        }
    }
}

/// Where cgroup hierarchies are mounted, proc_pid_mountinfo(5).
fn hierarchies(mountinfo: &str) -> impl Iterator<Item = &str> {
    mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let kind = after.split(' ').next()?;
        matches!(kind, "cgroup" | "cgroup2").then(|| before.split(' ').nth(4))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let text = "22 1 0:20 / /proc rw - proc proc rw\n30 25 0:26 / /cg/unified rw shared:4 - cgroup2 cgroup2 rw\n\
                    31 25 0:27 / /cg/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(hierarchies(text).collect::<Vec<_>>(), ["/cg/unified", "/cg/memory"]);
    }
}
