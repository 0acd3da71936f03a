//! The real root: a Debian from the machine's own mirror, with what the tests run inside.

use std::collections::VecDeque;
use std::env;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use seclude::Namespace;

use super::{Place, ensure, open_to_all};
use crate::progress::Progress;
use crate::workspace;

const SUITE: &str = "bookworm";
const VARIANT: &str = "minbase";
const PACKAGES: [&str; 8] =
    ["python3", "gcc", "libc6-dev", "git", "redis-server", "redis-tools", "sqlite3", "ca-certificates"];
/// What has to be there at the end.
const PROGRAMS: [&str; 8] = ["apt-get", "dpkg", "python3", "gcc", "git", "redis-server", "redis-benchmark", "sqlite3"];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn make() -> Result<PathBuf> {
    let source = choose(&apt_sources()?, &codename())?;
    // Not the mirror: the same packages from elsewhere are no other root.
    let recipe = format!("1 {} {VARIANT} {}", source.suite, PACKAGES.join(","));
    ensure("debian", &recipe, |place, progress| build(place, progress, &source))
}

fn build(place: &Place, progress: &mut Progress, source: &Source) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("it needs root: debootstrap makes device nodes and files of other users");
    }
    let Some(debootstrap) = workspace::find("debootstrap") else {
        bail!("debootstrap is not installed: apt-get install debootstrap");
    };
    progress.show("debian: debootstrap starts");
    bootstrap(&debootstrap, place, progress, source)?;

    progress.show("debian: opening it to all users");
    // No service is ever started in it, whatever is installed later.
    let policy = place.new.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n").context("write policy-rc.d")?;
    fs::set_permissions(&policy, Permissions::from_mode(0o755))?;
    for lists in ["var/lib/apt/lists", "var/cache/apt"] {
        let lists = place.new.join(lists);
        fs::remove_dir_all(&lists).and_then(|()| fs::create_dir(&lists)).context("empty apt's caches")?;
    }
    open_to_all(&place.new)?;
    for program in PROGRAMS {
        if !place.new.join("usr/bin").join(program).exists() {
            bail!("it has no {program}");
        }
    }
    Ok(())
}

/// In mount and pid namespaces of its own: if it is interrupted, its mounts and processes are gone with it.
fn bootstrap(debootstrap: &Path, place: &Place, progress: &mut Progress, source: &Source) -> Result<()> {
    let (reader, writer) = pipe().context("pipe")?;
    let mut command = seclude::Command::new(debootstrap);
    command.arg(format!("--variant={VARIANT}")).arg(format!("--include={}", PACKAGES.join(",")));
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
            progress.update(&format!("debian: {what}"));
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

/// Where a distribution comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Source {
    site: String,
    suite: String,
}

/// The package sources that apt is configured with: site, suite and component.
fn apt_sources() -> Result<Vec<(Source, String)>> {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(SITE)\t$(RELEASE)\t$(COMPONENT)", "Created-By: Packages"]);
    let lines = workspace::read(&mut apt).context("the mirror is the one that apt uses here")?;
    Ok(parse(&lines))
}

fn parse(lines: &str) -> Vec<(Source, String)> {
    let fields = lines.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    fields
        .filter_map(|fields| match <[String; 3]>::try_from(fields) {
            Ok([site, suite, component]) => Some((Source { site, suite }, component)),
            Err(_) => None,
        })
        .collect()
}

/// This machine's release, os-release(5).
fn codename() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    value.unwrap_or_default().trim_matches('"').to_owned()
}

/// Our suite where apt has it, else the machine's own, by its name or as `stable`: from a site that debootstrap can
/// read.
fn choose(sources: &[(Source, String)], codename: &str) -> Result<Source> {
    let readable = |source: &Source| ["http:", "https:", "file:"].iter().any(|s| source.site.starts_with(s));
    let usable: Vec<&Source> = sources
        .iter()
        .filter(|(source, component)| component == "main" && readable(source))
        .map(|(source, _)| source)
        .collect();
    let of = |suite: &str| usable.iter().find(|source| source.suite == suite).copied();
    of(SUITE)
        .or_else(|| of(codename))
        .or_else(|| of("stable"))
        .cloned()
        .with_context(|| format!("apt has no source of {SUITE}, {codename} or stable here: see apt-get indextargets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(lines: &str, codename: &str) -> Option<String> {
        choose(&parse(lines), codename).ok().map(|source| format!("{} {}", source.site, source.suite))
    }

    #[test]
    fn our_suite_is_taken_from_its_whole_archive() {
        let lines =
            "http://a/tools\tcloud\tmain\nhttp://a/sec\tbookworm-security\tmain\nhttp://a/debian\tbookworm\tmain\n";
        assert_eq!(chosen(lines, "trixie").as_deref(), Some("http://a/debian bookworm"));
    }

    #[test]
    fn elsewhere_the_machines_own_suite_is_taken() {
        let lines = "http://a/tools\tcloud\tmain\nhttp://b/debian\ttrixie\tcontrib\nhttp://a/debian\ttrixie\tmain\n";
        assert_eq!(chosen(lines, "trixie").as_deref(), Some("http://a/debian trixie"));
        assert_eq!(chosen(lines, "noble"), None);
        assert_eq!(chosen("http://a/debian\tstable\tmain\n", "trixie").as_deref(), Some("http://a/debian stable"));
    }

    #[test]
    fn a_source_that_debootstrap_cannot_read_is_none() {
        assert_eq!(chosen("cdrom:[x]\tbookworm\tmain\n", "bookworm"), None);
        assert_eq!(chosen("", "bookworm"), None);
    }
}
