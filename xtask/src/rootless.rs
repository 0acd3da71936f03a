//! `cargo xtask rootless`: the tests again, as an ordinary user with subordinate ids.
//!
//! The user needs to reach what it runs, wherever the checkout lies: test binaries, the `seclude` command and the
//! Debian root are put where everybody may look.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::binaries::{build_tests, chosen};
use crate::workspace::{cargo, read, run, target};

const USER: &str = "seclude-tester";
/// Where the subordinate ids of that user begin if it is made here; as many as useradd gives.
const SUBIDS: &str = "200000-265535";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The tests of this file, such as limits or seclude-cgroup.limits; may be repeated
    #[arg(long, value_name = "NAME")]
    test: Vec<String>,
}

pub(crate) fn run_tests(options: &Options) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "it makes a user and changes to it: run it as root");
    make_user()?;
    run(cargo().args(["build", "--quiet", "--locked", "-p", "seclude-cli"]))?;
    let binaries = build_tests()?;
    let place = Place::new()?;
    let seclude = place.copy(&target().join("debug/seclude"))?;
    let debian = debian_root()?;
    let mut failed = BTreeSet::new();
    for binary in chosen(&binaries, &options.test)? {
        let name = binary.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("\nas {USER}: {name}");
        let copy = place.copy(&binary.path)?;
        let mut test = Command::new("setpriv");
        test.args(["--reuid", USER, "--regid", USER, "--init-groups", "--"]).arg(copy);
        test.env_clear().current_dir("/");
        test.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", place.home()).env("USER", USER);
        test.env("SECLUDE_BIN", &seclude).env("SECLUDE_DEBIAN_ROOT", debian.path());
        if run(&mut test).is_err() {
            failed.insert(name);
        }
    }
    ensure!(failed.is_empty(), "as an ordinary user these failed: {failed:?}");
    Ok(())
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

/// A directory that everybody may read, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Place> {
        let path = std::env::temp_dir().join(format!("seclude-rootless-{}", std::process::id()));
        fs::create_dir(&path)?;
        let place = Place(path);
        open_to_all(&place.0)?;
        fs::create_dir(place.home())?;
        run(Command::new("chown").arg(USER).arg(place.home()))?;
        Ok(place)
    }

    fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    fn copy(&self, file: &Path) -> Result<PathBuf> {
        let Some(name) = file.file_name() else { bail!("{} has no name", file.display()) };
        let to = self.0.join(name);
        fs::copy(file, &to).with_context(|| format!("copy of {}", file.display()))?;
        open_to_all(&to)?;
        Ok(to)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open_to_all(path: &Path) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// The Debian root, bound where an ordinary user can reach it if the checkout lies in a closed directory.
struct DebianRoot {
    path: PathBuf,
    mounted: bool,
}

fn debian_root() -> Result<DebianRoot> {
    let path = target().join("rootfs/debian");
    ensure!(path.join("usr/bin/dpkg").exists(), "{} is missing: cargo xtask rootfs", path.display());
    let mut reachable = Command::new("setpriv");
    reachable.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--", "test", "-r"]).arg(path.join("usr"));
    if reachable.status()?.success() {
        return Ok(DebianRoot { path, mounted: false });
    }
    let point = std::env::temp_dir().join(format!("seclude-rootless-root-{}", std::process::id()));
    fs::create_dir(&point)?;
    let root = DebianRoot { path: point, mounted: true };
    run(Command::new("mount").arg("--bind").arg(&path).arg(&root.path))?;
    Ok(root)
}

impl DebianRoot {
    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DebianRoot {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.path).status();
            let _ = fs::remove_dir(&self.path);
        }
    }
}
