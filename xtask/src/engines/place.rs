//! Where an engine runs: namespaces, a directory, an image and the wrapper of the runtime.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::image;

/// All of it goes when this does.
pub(super) struct Place {
    path: PathBuf,
    /// Who holds the namespaces.
    holder: Child,
    /// Of the host's before; `kube play` takes podman's own parent for its pods, which podman leaves there.
    had_podmans: bool,
}

impl Place {
    pub(super) fn new(runtime: &Path) -> Result<Place> {
        let path = std::env::temp_dir().join(format!("seclude-engines-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        let mut command = Command::new("unshare");
        let script = "ip link set lo up && mount -t tmpfs none /etc/cni/net.d 2>/dev/null; mount -t tmpfs none /var/lib/cni 2>/dev/null; echo ready; exec sleep 100000";
        command.args(["--net", "--mount", "--propagation", "private", "--kill-child", "sh", "-c", script]);
        let mut holder = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut ready = [0; 6];
        let stdout = holder.stdout.as_mut().context("a pipe")?;
        std::io::Read::read_exact(stdout, &mut ready)?;
        let place = Place { path, holder, had_podmans: !directories(PODMANS).is_empty() };
        place.make_wrapper(runtime)?;
        image::make(&place.path)?;
        Ok(place)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The runtime, which writes down that it was called.
    pub(super) fn wrapper(&self) -> PathBuf {
        self.path.join("runtime")
    }

    pub(super) fn make_wrapper(&self, runtime: &Path) -> Result<()> {
        let calls = self.path.join("calls");
        let text = format!("#!/bin/sh\necho \"$*\" >> {}\nexec {} \"$@\"\n", calls.display(), runtime.display());
        fs::write(self.wrapper(), text)?;
        fs::set_permissions(self.wrapper(), fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    pub(super) fn image(&self) -> PathBuf {
        self.path.join("image.tar")
    }

    /// Where it writes that down, whoever calls it.
    pub(super) fn open_calls(&self) -> Result<()> {
        let calls = self.path.join("calls");
        fs::write(&calls, "")?;
        Ok(fs::set_permissions(&calls, fs::Permissions::from_mode(0o666))?)
    }

    /// How often the runtime was called.
    pub(super) fn calls(&self) -> usize {
        fs::read_to_string(self.path.join("calls")).unwrap_or_default().lines().count()
    }

    /// A program in the namespaces.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        command.args(["--target", &holder, "--net", "--mount", "--", program]).current_dir(&self.path);
        command
    }

    /// A script in there: its exit code, and what it said.
    pub(super) fn shell(&self, script: &str, variables: &[(&str, String)]) -> Result<(i32, String)> {
        let mut command = self.command("timeout");
        command.args(["--kill-after=5", "60", "sh", "-c", script]).envs(variables.iter().cloned()).stdin(Stdio::null());
        let output = command.output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
    }

    /// The same where it must succeed.
    pub(super) fn must(&self, script: &str, variables: &[(&str, String)]) -> Result<String> {
        match self.shell(script, variables)? {
            (0, said) => Ok(said),
            (code, said) => bail!("{script}: {code}: {said}"),
        }
    }

    /// Whether this comes true soon.
    pub(super) fn soon(&self, script: &str, variables: &[(&str, String)]) -> Result<()> {
        for _ in 0..100 {
            if self.shell(script, variables)?.0 == 0 {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        ensure!(false, "{script} did not succeed in 20 s");
        Ok(())
    }
}

const PODMANS: &str = "libpod_parent";

/// The cgroups of this name, one a hierarchy. What engines make for their own processes stays below such a one.
fn directories(name: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = hierarchies.chain([root.to_owned()]).map(|hierarchy| hierarchy.join(name));
    all.filter(|directory| directory.is_dir()).collect()
}

fn remove_empty(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

impl Drop for Place {
    fn drop(&mut self) {
        // Storage drivers leave mounts in there, which go with the namespace.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        directories(super::CGROUP).iter().for_each(|directory| remove_empty(directory));
        if !self.had_podmans {
            directories(PODMANS).iter().for_each(|directory| remove_empty(directory));
        }
        // Where the runtime writes down the containers of an engine that names no place, podman: unless others have theirs there.
        let _ = fs::remove_dir("/run/seclude-oci");
        for _ in 0..20 {
            if fs::remove_dir_all(&self.path).is_ok() || !self.path.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        eprintln!("{} could not be removed", self.path.display());
    }
}
