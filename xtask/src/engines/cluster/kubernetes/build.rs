//! Kubernetes, of Debian's source package, built once below target/kubernetes.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::apt::{self, KEYRING, Private};
use crate::architecture::OWN;
use crate::progress::Progress;
use crate::workspace::{read, target};

pub(super) const PROGRAMS: [&str; 5] =
    ["kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];

/// The last release of Debian that has it.
const SUITE: &str = "bookworm";

/// Where they are: the ones that are there, or new ones; a quarter of an hour on two processors, and 5 GB meanwhile.
pub(super) fn programs(debian: &Path, progress: &mut Progress) -> Result<PathBuf> {
    let place = target().join("kubernetes");
    let programs = place.join("bin");
    if PROGRAMS.iter().all(|program| programs.join(program).exists()) {
        return Ok(programs);
    }
    let build = place.join("build");
    let _ = fs::remove_dir_all(&build);
    fs::create_dir_all(&build)?;
    progress.show("Kubernetes: apt gets its sources");
    get_sources(&build)?;
    make(debian, &build, &place.join("log"), progress)?;
    let new = build.join("bin");
    fs::create_dir(&new)?;
    for program in PROGRAMS {
        let built = build.join("src/_output/local/bin/linux").join(OWN.debian()).join(program);
        fs::rename(&built, new.join(program)).with_context(|| built.display().to_string())?;
    }
    let _ = fs::remove_dir_all(&programs);
    fs::rename(&new, &programs)?;
    progress.show("Kubernetes: its sources are removed");
    fs::remove_dir_all(&build)?;
    Ok(programs)
}

fn get_sources(build: &Path) -> Result<()> {
    let source = apt::choose(&apt::sources()?, &[SUITE, &apt::codename(), "stable"])?;
    let list = format!("deb-src [signed-by={KEYRING}] {} {SUITE} main\n", source.site);
    let apt = Private::new(build.join("apt"), OWN.debian(), &list)?;
    apt.update().with_context(|| format!("the sources of {SUITE} cannot be had"))?;
    let sources = build.join("sources");
    fs::create_dir(&sources)?;
    read(apt.command("apt-get").args(["source", "--quiet", "kubernetes"]).current_dir(&sources))?;
    let trees = fs::read_dir(&sources)?.flatten().map(|entry| entry.path());
    let tree = trees.into_iter().find(|path| path.is_dir()).context("the package has no tree")?;
    fs::rename(tree, build.join("src"))?;
    Ok(fs::remove_dir_all(&sources)?)
}

/// In mount and pid namespaces of its own: if this process ends, its mounts and processes do.
fn make(debian: &Path, build: &Path, log: &Path, progress: &mut Progress) -> Result<()> {
    let script = build.join("build.sh");
    fs::write(&script, include_str!("build.sh"))?;
    let (reader, writer) = pipe().context("pipe")?;
    let mut command = Command::new("setpriv");
    command.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "sh",
    ]);
    command.arg(&script).arg(build).arg(debian);
    let mut child = command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).spawn()?;
    // Its copies of the pipe's end would keep the pipe open.
    drop(command);
    let mut log_file = File::create(log).with_context(|| log.display().to_string())?;
    let (mut last, mut packages) = (VecDeque::new(), 0);
    for line in BufReader::new(reader).lines() {
        let line = line?;
        writeln!(log_file, "{line}")?;
        // The compiler names each package as it is done.
        if line.contains('/') && !line.contains(' ') {
            packages += 1;
            progress.update(&format!("Kubernetes: {packages} packages built, {line}"));
        }
        last.push_back(line);
        if last.len() > 10 {
            last.pop_front();
        }
    }
    if !child.wait()?.success() {
        let said = last.into_iter().collect::<Vec<_>>().join("\n  ");
        bail!("Kubernetes was not built; all that was said is in {}, at the end:\n  {said}", log.display());
    }
    Ok(())
}
