//! podman, as root with the cgroups that it makes itself, and as an ordinary user with none.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use super::Engine;
use super::place::Place;
use crate::ordinary_user::{OrdinaryUser, USER};
use crate::workspace::{find, read, run};

/// Who may not raise limits, as root in a container, has none for podman's own.
const CONF: &str = "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=20000:20000\"]\n[engine]\nevents_logger = \"file\"\n";

pub(super) struct Podman {
    name: String,
    words: String,
    wrapper: String,
    flags: String,
    rootless: Option<Rootless>,
}

/// What an ordinary user needs.
struct Rootless {
    _user: OrdinaryUser,
    number: String,
    /// Its XDG_RUNTIME_DIR.
    runtime: PathBuf,
}

pub(super) fn start(place: &Place) -> Result<Podman> {
    let path = place.path().display();
    let words = format!(
        "env CONTAINERS_CONF={path}/containers.conf podman --root {path}/root --runroot {path}/runroot --tmpdir {path}/tmp --cgroup-manager=cgroupfs"
    );
    of(place, words, format!("--cgroup-parent /{}", super::CGROUP), None)
}

pub(super) fn start_rootless(place: &Place) -> Result<Podman> {
    ensure!(find("slirp4netns").is_some(), "podman of an ordinary user needs slirp4netns");
    let user = OrdinaryUser::new()?;
    // Where the user comes to it.
    place.make_wrapper(&user.copy(&super::runtime()?)?)?;
    place.open_calls()?;
    let runtime = place.path().join("run-of-user");
    fs::create_dir(&runtime)?;
    run(Command::new("chown").arg(USER).arg(&runtime))?;
    // Of the host it may be root's alone.
    place.must("mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200", &[])?;
    let path = place.path().display();
    let (home, own) = (user.home().display().to_string(), runtime.display().to_string());
    let words = format!(
        "setpriv --reuid {USER} --regid {USER} --init-groups env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME={home} XDG_RUNTIME_DIR={own} CONTAINERS_CONF={path}/containers.conf podman --cgroup-manager=cgroupfs --storage-driver=vfs"
    );
    let number = read(Command::new("id").args(["-u", USER]))?.trim().to_owned();
    of(place, words, String::new(), Some(Rootless { _user: user, number, runtime }))
}

fn of(place: &Place, words: String, flags: String, rootless: Option<Rootless>) -> Result<Podman> {
    fs::write(place.path().join("containers.conf"), CONF)?;
    let wrapper = place.wrapper().display().to_string();
    let version = place.must("podman --version", &[])?;
    let who = if rootless.is_some() { ", rootless" } else { "" };
    let name = version.trim().replace(" version", "") + who;
    let podman = Podman { name, words, wrapper, flags, rootless };
    place.must(&format!("{} import {} docker.io/library/bb:1", podman.words(), place.image().display()), &[])?;
    Ok(podman)
}

impl Drop for Rootless {
    fn drop(&mut self) {
        // Who holds the user's namespaces from one command to the next.
        let pause = fs::read_to_string(self.runtime.join("libpod/tmp/pause.pid")).unwrap_or_default();
        if !pause.trim().is_empty() {
            let _ = Command::new("kill").args(["-KILL", pause.trim()]).status();
        }
    }
}

impl Engine for Podman {
    fn name(&self) -> &str {
        &self.name
    }

    fn words(&self) -> String {
        format!("{} --runtime {}", self.words, self.wrapper)
    }

    fn flags(&self) -> String {
        self.flags.clone()
    }

    fn without_runtime(&self) -> String {
        format!("{} --runtime {}-none run", self.words, self.wrapper)
    }

    fn user(&self) -> String {
        self.rootless.as_ref().map_or_else(|| "0".to_owned(), |rootless| rootless.number.clone())
    }
}
