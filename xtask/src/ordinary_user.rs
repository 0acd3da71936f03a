//! Tests as an ordinary user with subordinate ids, who needs to reach what is run, wherever the checkout lies.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::{read, run};

pub(crate) const USER: &str = "seclude-tester";
/// Where the subordinate ids of that user begin if it is made here; as many as useradd gives.
const SUBIDS: &str = "200000-265535";

/// The user, made if it is missing, and a directory of its own for as long as this lives.
pub(crate) struct OrdinaryUser {
    place: PathBuf,
}

impl OrdinaryUser {
    pub(crate) fn new() -> Result<OrdinaryUser> {
        ensure!(rustix::process::geteuid().is_root(), "it makes a user and changes to it: run it as root");
        make_user()?;
        let place = temporary("seclude-rootless");
        fs::create_dir(&place)?;
        let user = OrdinaryUser { place };
        open_to_all(&user.place)?;
        fs::create_dir(user.home())?;
        run(Command::new("chown").arg(USER).arg(user.home()))?;
        Ok(user)
    }

    /// A copy that the user may run.
    pub(crate) fn copy(&self, file: &Path) -> Result<PathBuf> {
        let Some(name) = file.file_name() else { bail!("{} has no name", file.display()) };
        let to = self.place.join(name);
        fs::copy(file, &to).with_context(|| format!("copy of {}", file.display()))?;
        open_to_all(&to)?;
        Ok(to)
    }

    /// A command that runs as the user, in `/`, with a login's environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--init-groups", "--"]).arg(program);
        command.env_clear().current_dir("/usr");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", self.home()).env("USER", USER);
        command
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.place.join("home")
    }
}

impl Drop for OrdinaryUser {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

fn make_user() -> Result<()> {
    if read(Command::new("id").args(["-u", USER])).is_err() {
        run(Command::new("useradd").args(["--system", "--no-create-home", "--user-group", USER]))?;
    }
    for (file, flag) in [("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")] {
        let text = fs::read_to_string(file).unwrap_or_default();
        if !text.lines().any(|line| line.starts_with(&format!("{USER}:"))) {
            run(Command::new("usermod").args([flag, SUBIDS, USER]))?;
        }
    }
    Ok(())
}

/// A directory of the checkout where the user can reach it: bound elsewhere if the checkout lies in a closed one.
pub(crate) struct Reachable {
    path: PathBuf,
    mounted: bool,
}

impl Reachable {
    /// `inside` is something below it that the user is to read.
    pub(crate) fn new(directory: PathBuf, inside: &str) -> Result<Reachable> {
        let mut look = Command::new("setpriv");
        look.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--", "test", "-r"]).arg(directory.join(inside));
        if look.status()?.success() {
            return Ok(Reachable { path: directory, mounted: false });
        }
        let point = temporary("seclude-reachable");
        fs::create_dir(&point)?;
        let reachable = Reachable { path: point, mounted: true };
        run(Command::new("mount").arg("--bind").arg(&directory).arg(&reachable.path))?;
        Ok(reachable)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Reachable {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.path).status();
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn temporary(name: &str) -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("{name}-{}-{number}", std::process::id()))
}

fn open_to_all(path: &Path) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}
