//! The others, where they are installed, and the runtime of our own, which runs what two of them run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::bundle::Bundle;
use super::contestants::{Contestant, time_process};
use super::programs::Programs;
use crate::workspace;

pub(super) const BWRAP: &str = "bwrap";
/// Beside the sandbox as it is without a word.
pub(super) const BWRAP_LIKE_SANDBOX: &str = "bwrap, the sandbox's places";
pub(super) const RUNC: &str = "runc run";
pub(super) const CRUN: &str = "crun run";
/// Beside [`RUNC`] with the same cgroups, and beside [`CRUN`], which makes none.
pub(super) const OWN_RUNTIME: &str = "seclude-oci run";

/// One that was found, or why it is not measured.
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) contestant: Result<Contestant, String>,
}

pub(super) fn all(programs: &Programs) -> Result<Vec<Rival>> {
    let exit = programs.exit.as_os_str().to_owned();
    let unshare = [
        "--map-root-user",
        "--mount-proc",
        "--fork",
        "--user",
        "--pid",
        "--mount",
        "--net",
        "--uts",
        "--ipc",
        "--cgroup",
    ];
    let bwrap = ["--unshare-all", "--bind", "/", "/", "--proc", "/proc", "--tmpfs", "/tmp"];
    let fixed = |words: &[&str]| {
        let words: Vec<OsString> = words.iter().map(OsString::from).chain([exit.clone()]).collect();
        move || words.clone()
    };
    let like_sandbox: Vec<OsString> = places_of_the_sandbox()?.into_iter().chain([exit.clone()]).collect();
    let bundle = Bundle::make(programs)?;
    let own = programs.runtime.clone();
    Ok(vec![
        runs(OWN_RUNTIME, own, "makes cgroups", bundle.run(&[], "seclude-oci")),
        rival("unshare", "no root of its own, no /tmp, lo down", fixed(&unshare)),
        rival(BWRAP, "--unshare-all --bind / / --proc /proc --tmpfs /tmp", fixed(&bwrap)),
        rival(
            BWRAP_LIKE_SANDBOX,
            "/usr, /etc and the like, four tmpfs, /proc, /dev; no ids, cgroup or filter",
            move || like_sandbox.clone(),
        ),
        rival(
            CRUN,
            "a root of one file, tmpfs on /dev; no cgroups",
            bundle.run(&["--cgroup-manager=disabled"], "crun"),
        ),
        rival(RUNC, "a root of one file, tmpfs on /dev; makes cgroups", bundle.run(&[], "runc")),
    ])
}

/// What shows with bubblewrap what the sandbox shows.
fn places_of_the_sandbox() -> Result<Vec<OsString>> {
    let here = std::env::current_dir()?.into_os_string();
    let home = std::env::var_os("HOME").unwrap_or_else(|| "/home/user".into());
    let mut words: Vec<OsString> = vec!["--unshare-all".into(), "--die-with-parent".into()];
    let mut add = |parts: &[&OsStr]| words.extend(parts.iter().map(|part| (*part).to_owned()));
    for place in ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc", "/sys"].map(Path::new)
    {
        match std::fs::read_link(place) {
            Ok(to) => add(&[OsStr::new("--symlink"), to.as_os_str(), place.as_os_str()]),
            Err(_) if place.exists() => add(&[OsStr::new("--ro-bind"), place.as_os_str(), place.as_os_str()]),
            Err(_) => {}
        }
    }
    for place in ["/tmp", "/var/tmp", "/run", "/home"].map(OsStr::new).into_iter().chain([home.as_os_str()]) {
        add(&[OsStr::new("--tmpfs"), place]);
    }
    for parts in [["--proc", "/proc"], ["--dev", "/dev"], ["--tmpfs", "/dev/shm"]] {
        add(&parts.map(OsStr::new));
    }
    add(&[OsStr::new("--ro-bind"), &here, &here]);
    Ok(words)
}

/// `name` is the program's, and may say which of its commands is meant.
fn rival(name: &'static str, note: &str, args: impl Fn() -> Vec<OsString> + 'static) -> Rival {
    let program = name.split([' ', ',']).next().unwrap_or(name);
    let Some(program) = workspace::find(program) else {
        return Rival { name, contestant: Err("not installed".to_owned()) };
    };
    runs(name, program, note, args)
}

fn runs(name: &'static str, program: PathBuf, note: &str, args: impl Fn() -> Vec<OsString> + 'static) -> Rival {
    if let Some(why) = refusal(&program, &args()) {
        return Rival { name, contestant: Err(format!("does not run here: {why}")) };
    }
    let note = format!("{}: {note}", version(&program));
    let measure = Box::new(move || time_process(&program, &args()));
    Rival { name, contestant: Ok(Contestant { name, note, rival: true, measure }) }
}

/// Why it cannot do that here, if it cannot: the last line that it says.
fn refusal(program: &Path, args: &[OsString]) -> Option<String> {
    let output = match Command::new(program).args(args).output() {
        Ok(output) if output.status.success() => return None,
        Ok(output) => output,
        Err(error) => return Some(error.to_string()),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    Some(said.lines().last().map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
}

/// What is in the first line that it says of its version.
fn version(program: &Path) -> String {
    let said = workspace::read(Command::new(program).arg("--version")).unwrap_or_default();
    let line = said.lines().next().unwrap_or_default();
    let number = line.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    number.unwrap_or("unknown version").to_owned()
}
