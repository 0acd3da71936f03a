//! The OCI runtime as a test uses it: a bundle, a root directory, and what engines would call.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::{Scratch, busybox_root, cgroup_mounts, is_root, stdout_of};

/// The runtime: `SECLUDE_OCI_BIN`, or the one beside the test's own build.
pub fn oci_bin() -> PathBuf {
    if let Some(path) = std::env::var_os("SECLUDE_OCI_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("a test knows its own path");
    let bin = own.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps").join("seclude-oci");
    assert!(bin.exists(), "{} is missing: cargo build -p seclude-oci", bin.display());
    bin
}

/// A bundle and a root directory of a test's own. Containers of it end with it.
pub struct Bundle {
    /// With busybox in it.
    pub rootfs: Scratch,
    place: Scratch,
    /// What is written as config.json.
    pub config: Value,
    cgroup: Option<PathBuf>,
}

impl Bundle {
    /// One that runs as root, or as an ordinary user, whoever runs the test.
    pub fn new(name: &str) -> Bundle {
        let rootfs = busybox_root(&format!("oci-{name}"));
        let place = Scratch::new(&format!("oci-{name}-bundle"));
        // Of its own, whatever others of this name there are at the same time.
        let own = place.path().file_name().expect("a name");
        let cgroup = is_root().then(|| Path::new("/seclude-test").join(own));
        let mut config = json!({
            "ociVersion": "1.2.1",
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "args": ["true"],
                "env": ["PATH=/bin"],
                "cwd": "/",
                "noNewPrivileges": true,
            },
            "root": { "path": rootfs.path() },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"] },
                { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
            ],
            "linux": { "namespaces": [
                { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" },
            ] },
        });
        match &cgroup {
            Some(path) => config["linux"]["cgroupsPath"] = json!(path.join("one")),
            None => {
                let namespaces = config["linux"]["namespaces"].as_array_mut().expect("a list");
                namespaces.push(json!({ "type": "user" }));
                let own = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
                config["linux"]["uidMappings"] = own(rustix::process::geteuid().as_raw());
                config["linux"]["gidMappings"] = own(rustix::process::getegid().as_raw());
            }
        }
        Bundle { rootfs, place, config, cgroup }
    }

    /// What a shell is to run.
    pub fn script(&mut self, script: &str) -> &mut Bundle {
        self.config["process"]["args"] = json!(["sh", "-c", script]);
        self
    }

    /// Where config.json is.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// A file of the test's own beside it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    /// The root directory of the runtime.
    pub fn root(&self) -> PathBuf {
        self.place.join("run")
    }

    /// Writes config.json.
    pub fn write(&self) {
        fs::write(self.place.join("config.json"), self.config.to_string()).expect("config.json is written");
    }

    /// The runtime with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(oci_bin());
        command.arg("--root").arg(self.root()).args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// How that ends. Whoever waits for the end of a pipe waits for all that have it, so it writes to files.
    pub fn oci(&self, arguments: &[&str]) -> Output {
        let unique = || {
            use std::sync::atomic::{AtomicU32, Ordering};
            static NEXT: AtomicU32 = AtomicU32::new(0);
            self.place.join(format!(".out-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
        };
        let (out, err) = (unique(), unique());
        let file = |path: &Path| fs::File::create(path).expect("a file in the scratch directory");
        let mut command = self.command(arguments);
        let status = command.stdout(file(&out)).stderr(file(&err)).status().expect("the runtime starts");
        Output { status, stdout: fs::read(&out).unwrap_or_default(), stderr: fs::read(&err).unwrap_or_default() }
    }

    /// The same where it must succeed: its stdout.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.oci(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The one line with which it refuses.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.oci(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?} is refused");
        let line = said.strip_suffix('\n').unwrap_or_else(|| panic!("{arguments:?}: a whole line: {said:?}"));
        assert!(line.starts_with("seclude-oci: error: ") && !line.contains('\n'), "{arguments:?}: one line: {said}");
        line.to_owned()
    }

    /// Writes config.json and runs it to its end.
    pub fn run(&self, id: &str) -> Output {
        self.write();
        self.oci(&["run", id])
    }

    /// What a script says in it; it must succeed.
    pub fn says(&mut self, script: &str) -> String {
        self.script(script);
        stdout_of(&self.run("says"))
    }

    /// The same with this changed in the configuration.
    pub fn says_with(&mut self, pointer: &str, value: Value, script: &str) -> String {
        self.set(pointer, value);
        self.says(script)
    }

    /// Sets a field by its path, such as `/process/cwd`; the last part may be new.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Bundle {
        let (above, name) = pointer.rsplit_once('/').expect("a path");
        let above = self.config.pointer_mut(above).unwrap_or_else(|| panic!("{above} is there"));
        above[name] = value;
        self
    }

    /// Adds a mount.
    pub fn mount(&mut self, mount: Value) -> &mut Bundle {
        self.config["mounts"].as_array_mut().expect("a list").push(mount);
        self
    }

    /// How it is.
    pub fn state(&self, id: &str) -> Value {
        serde_json::from_str(&self.must(&["state", id])).expect("JSON")
    }

    /// Its status.
    pub fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().expect("a text").to_owned()
    }

    /// Waits until it has this status.
    pub fn becomes(&self, id: &str, status: &str) {
        let began = std::time::Instant::now();
        while self.status(id) != status {
            assert!(began.elapsed() < crate::PATIENCE, "{id} becomes {status}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Directories of cgroups that are there.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let Some(path) = &self.cgroup else { return Vec::new() };
        let below = path.strip_prefix("/").expect("absolute");
        cgroup_mounts().into_iter().map(|point| point.join(below)).filter(|path| path.exists()).collect()
    }

    /// Ends the test: no container, no cgroup.
    pub fn nothing_is_left(&self) {
        let listed =
            fs::read_dir(self.root()).map(|entries| entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>());
        assert_eq!(listed.unwrap_or_default(), Vec::<PathBuf>::new(), "no container");
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new());
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.root()).into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            let _ = self.command(&["delete", "--force", &id]).stderr(Stdio::null()).status();
        }
    }
}
