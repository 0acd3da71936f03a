//! The real roots, each a Debian from the machine's own mirror: what the tests run inside, and what they have as host
//! in a virtual machine.

use std::collections::VecDeque;
use std::env;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use seclude::Namespace;

use super::{Place, ensure, open_to_all};
use crate::apt::{self, Source};
use crate::architecture::{Architecture, OWN};
use crate::progress::Progress;
use crate::workspace;

const VARIANT: &str = "minbase";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A Debian to be made.
struct Recipe {
    name: &'static str,
    architecture: Architecture,
    /// The one it is if apt has it; else the machine's own.
    suite: Option<&'static str>,
    packages: &'static [&'static str],
    /// What has to be there at the end.
    programs: &'static [&'static str],
}

/// What the tests run inside.
const INSIDE: Recipe = Recipe {
    name: "debian",
    architecture: OWN,
    suite: Some("bookworm"),
    packages: &["python3", "gcc", "libc6-dev", "git", "redis-server", "redis-tools", "sqlite3", "ca-certificates"],
    programs: &["apt-get", "dpkg", "python3", "gcc", "git", "redis-server", "redis-benchmark", "sqlite3"],
};

pub(super) fn host_name(architecture: Architecture) -> &'static str {
    match architecture {
        _ if architecture.is_own() => "vm",
        Architecture::X86_64 => "vm-x86_64",
        Architecture::Aarch64 => "vm-aarch64",
    }
}

/// The host that tests have in a virtual machine. The machine's own release: what was built here finds its libraries.
const HOST: Recipe = Recipe {
    name: "vm",
    architecture: OWN,
    suite: None,
    packages: &[
        "apparmor",
        "busybox-static",
        "dbus-daemon",
        "iperf3",
        "iproute2",
        "libcap2-bin",
        "nftables",
        "passt",
        "procps",
        "python3",
        "python3-jsonschema",
        "strace",
        "stress-ng",
        "uidmap",
    ],
    programs: &["apparmor_parser", "busybox", "ip", "setpriv", "ps", "python3", "newuidmap"],
};

/// What the nodes of clusters are made of, and what Kubernetes is built in.
const NODE: Recipe = Recipe {
    name: "node",
    architecture: OWN,
    suite: Some("bookworm"),
    packages: &[
        "busybox-static",
        "ca-certificates",
        "conntrack",
        "containerd",
        "containernetworking-plugins",
        "docker.io",
        "etcd-server",
        "golang-go",
        "iproute2",
        "iptables",
        "jq",
        "make",
        "munge",
        "openssl",
        "procps",
        "rsync",
        "runc",
        "slurm-client",
        "slurmctld",
        "slurmd",
        "socat",
    ],
    programs: &[
        "containerd",
        "dockerd",
        "etcd",
        "go",
        "ip",
        "iptables",
        "munged",
        "rsync",
        "runc",
        "slurmd-wlm",
        "socat",
    ],
};

pub(super) fn make_node() -> Result<PathBuf> {
    make_by(&NODE)
}

pub(super) fn make() -> Result<PathBuf> {
    make_by(&INSIDE)
}

pub(super) fn make_host(architecture: Architecture) -> Result<PathBuf> {
    make_by(&Recipe { name: host_name(architecture), architecture, ..HOST })
}

fn make_by(recipe: &Recipe) -> Result<PathBuf> {
    let own = apt::codename();
    let suites: Vec<&str> = recipe.suite.into_iter().chain([own.as_str(), "stable"]).collect();
    let source = apt::choose(&apt::sources()?, &suites)?;
    // Not the mirror: the same packages from elsewhere are no other root.
    let stamp = format!("1 {} {VARIANT} {}", source.suite, recipe.packages.join(","));
    ensure(recipe.name, &stamp, |place, progress| build(recipe, place, progress, &source))
}

fn build(recipe: &Recipe, place: &Place, progress: &mut Progress, source: &Source) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("it needs root: debootstrap makes device nodes and files of other users");
    }
    let Some(debootstrap) = workspace::find("debootstrap") else {
        bail!("debootstrap is not installed: apt-get install debootstrap");
    };
    let name = recipe.name;
    progress.show(&format!("{name}: debootstrap starts"));
    bootstrap(&debootstrap, recipe, place, progress, source)?;

    if !recipe.architecture.is_own() {
        // Where debootstrap believes to be in a container it makes a link of it, which would lead to itself in a machine.
        let proc = place.new.join("proc");
        if proc.is_symlink() {
            fs::remove_file(&proc)?;
            fs::create_dir(&proc)?;
        }
        // What is missing is done where its programs run: there is nothing to open, and the packages are still needed.
        return Ok(());
    }
    progress.show(&format!("{name}: opening it to all users"));
    // No service is ever started in it, whatever is installed later.
    let policy = place.new.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n").context("write policy-rc.d")?;
    fs::set_permissions(&policy, Permissions::from_mode(0o755))?;
    for lists in ["var/lib/apt/lists", "var/cache/apt"] {
        let lists = place.new.join(lists);
        fs::remove_dir_all(&lists).and_then(|()| fs::create_dir(&lists)).context("empty apt's caches")?;
    }
    open_to_all(&place.new)?;
    for program in recipe.programs {
        if !["bin", "usr/bin", "usr/sbin"].iter().any(|directory| place.new.join(directory).join(program).exists()) {
            bail!("it has no {program}");
        }
    }
    Ok(())
}

/// In mount and pid namespaces of its own: if it is interrupted, its mounts and processes are gone with it.
fn bootstrap(
    debootstrap: &Path,
    recipe: &Recipe,
    place: &Place,
    progress: &mut Progress,
    source: &Source,
) -> Result<()> {
    let (reader, writer) = pipe().context("pipe")?;
    let mut command = seclude::Command::new(debootstrap);
    command.arg(format!("--variant={VARIANT}")).arg(format!("--include={}", recipe.packages.join(",")));
    if !recipe.architecture.is_own() {
        command.arg("--foreign").arg(format!("--arch={}", recipe.architecture.debian()));
    }
    command.args([source.suite.as_str()]).arg(&place.new).arg(&source.site);
    command.unshare(Namespace::Mount).unshare(Namespace::Pid).init(true).current_dir("/");
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C").env("HOME", "/root");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    for proxy in ["http_proxy", "https_proxy", "no_proxy"] {
        if let Some(value) = env::var_os(proxy) {
            command.env(proxy, value);
        }
    }
    let writer = OwnedFd::from(writer);
    command.stdin(seclude::Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // Its copies of the pipe's end would keep the pipe open.
    drop(command);

    let mut log = File::create(&place.log).with_context(|| format!("create {}", place.log.display()))?;
    let mut last = VecDeque::new();
    let mut output = BufReader::new(reader);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        log.write_all(&line)?;
        let said = String::from_utf8_lossy(&line).trim().to_owned();
        line.clear();
        if let Some(what) = said.strip_prefix("I: ") {
            progress.update(&format!("{}: {what}", recipe.name));
        }
        last.push_back(said);
        if last.len() > 10 {
            last.pop_front();
        }
    }
    let exit = child.wait()?;
    if !exit.success() {
        let said = last.into_iter().collect::<Vec<_>>().join("\n  ");
        bail!("debootstrap: {exit}; all it said is in {}, at the end:\n  {said}", place.log.display());
    }
    Ok(())
}
