//! The kernels: Debian's, for clouds, got with a private configuration of apt from the mirror that apt has here, and
//! unpacked below target/vm. Nothing is installed; apt checks the signatures as it always does.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::directory;
use crate::apt::{self, KEYRING, Private, Source};
use crate::architecture::Architecture;
use crate::progress::Progress;
use crate::workspace::{read, run};

/// A line of kernels, and the release of Debian that has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    pub(crate) version: &'static str,
    suite: &'static str,
}

/// From the oldest that is supported to the newest.
pub(crate) const LINES: [Line; 5] = [
    Line { version: "5.10", suite: "bullseye-security" },
    Line { version: "6.1", suite: "bookworm-security" },
    Line { version: "6.12", suite: "trixie" },
    Line { version: "6.18", suite: "trixie-backports" },
    Line { version: "7.3", suite: "trixie-backports" },
];

/// How old apt's lists may be before they are asked for again.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// One that is there to be booted.
pub(crate) struct Kernel {
    pub(crate) architecture: Architecture,
    /// As `uname -r` says it.
    pub(crate) release: String,
    pub(crate) image: PathBuf,
    /// What holds lib/modules/RELEASE.
    pub(crate) base: PathBuf,
}

impl Kernel {
    pub(crate) fn modules(&self) -> PathBuf {
        self.base.join("lib/modules").join(&self.release)
    }
}

/// The newest kernel of a line: the one that is there, or a new one.
pub(crate) fn get(line: Line, architecture: Architecture, progress: &mut Progress) -> Result<Kernel> {
    let apt = Apt::of(line.suite, architecture)?;
    if !apt.is_fresh() {
        progress.show(&format!("{}: apt asks for the packages of {}", line.version, line.suite));
        apt.update()?;
    }
    let image = apt.newest(line.version)?;
    let place = directory(architecture).join("kernels").join(format!("{}_{}", image.name, image.version));
    if !place.is_dir() {
        progress.show(&format!("{}: apt gets {} {}", line.version, image.name, image.version));
        unpack(&apt, &image, &place)?;
    }
    find(&place, architecture, image.release())
}

/// The static busybox of another architecture, from this machine's own release.
pub(crate) fn busybox(architecture: Architecture) -> Result<PathBuf> {
    const PACKAGE: &str = "busybox-static";
    let place = directory(architecture).join(PACKAGE);
    let program = ["bin", "usr/bin"].map(|bin| place.join(bin).join("busybox")).into_iter().find(|file| file.exists());
    if let Some(program) = program {
        return Ok(program);
    }
    let apt = Apt::of(apt::codename().leak(), architecture)?;
    if !apt.is_fresh() {
        apt.update()?;
    }
    let _ = fs::remove_dir_all(&place);
    extract(&apt, &[PACKAGE.to_owned()], &place)?;
    let program = ["bin", "usr/bin"].map(|bin| place.join(bin).join("busybox")).into_iter().find(|file| file.exists());
    program.with_context(|| format!("{} has no busybox", place.display()))
}

/// A package as `apt-cache show` has it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Package {
    name: String,
    version: String,
    depends: String,
}

impl Package {
    /// `7.3.4+deb13-cloud-amd64` of `linux-image-7.3.4+deb13-cloud-amd64`.
    fn release(&self) -> &str {
        self.name.strip_prefix("linux-image-").unwrap_or(&self.name)
    }

    /// The other packages of the same kernel that it needs: newer kernels are split.
    fn parts(&self) -> Vec<&str> {
        let first_words = self.depends.split(',').filter_map(|one| one.split_whitespace().next());
        first_words.filter(|name| name.ends_with(&format!("-{}", self.release()))).collect()
    }
}

fn parse(stanzas: &str) -> Vec<Package> {
    let stanzas = stanzas.split("\n\n").map(|stanza| {
        let field = |name: &str| {
            stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default().to_owned()
        };
        Package { name: field("Package"), version: field("Version"), depends: field("Depends") }
    });
    stanzas.filter(|package| !package.name.is_empty()).collect()
}

/// Debian's packages of one suite.
struct Apt {
    suite: &'static str,
    architecture: Architecture,
    private: Private,
}

impl Apt {
    fn of(suite: &'static str, architecture: Architecture) -> Result<Apt> {
        let directory = directory(architecture).join("apt").join(suite);
        let debian = architecture.debian();
        let site = site(suite)?;
        let sources = format!("deb [signed-by={KEYRING} arch={debian} target=Packages] {site} {suite} main\n");
        let private = Private::new(directory, debian, &sources)?;
        Ok(Apt { suite, architecture, private })
    }

    fn command(&self, program: &str) -> Command {
        self.private.command(program)
    }

    fn stamp(&self) -> PathBuf {
        self.private.directory.join("updated")
    }

    /// Whether the lists were got lately from what is configured now.
    fn is_fresh(&self) -> bool {
        let modified = |path: PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified());
        let (Ok(updated), Ok(sources)) =
            (modified(self.stamp()), modified(self.private.directory.join("sources.list")))
        else {
            return false;
        };
        sources <= updated && updated.elapsed().is_ok_and(|age| age < FRESH)
    }

    fn update(&self) -> Result<()> {
        self.private.update().with_context(|| format!("the packages of {} cannot be had", self.suite))?;
        Ok(fs::write(self.stamp(), "")?)
    }

    fn has(&self, package: &str) -> bool {
        read(self.command("apt-cache").args(["show", package])).is_ok_and(|shown| !shown.trim().is_empty())
    }

    /// The newest image of a line of kernels: a name for each build, of which old ones stay in the archive.
    fn newest(&self, version: &str) -> Result<Package> {
        let names = read(self.command("apt-cache").args(["pkgnames", &format!("linux-image-{version}.")]))?;
        let end = format!("-cloud-{}", self.architecture.debian());
        let names: Vec<&str> = names.lines().filter(|name| name.ends_with(&end)).collect();
        ensure!(!names.is_empty(), "{} has no linux-image-{version}.*{end}", self.suite);
        let shown = read(self.command("apt-cache").args(["show", "--no-all-versions"]).args(&names))?;
        let newest = parse(&shown).into_iter().max_by(|a, b| compare(&a.version, &b.version));
        newest.with_context(|| format!("apt-cache show says nothing about {names:?}"))
    }
}

/// As dpkg compares: no other order of Debian's versions is the right one.
fn compare(a: &str, b: &str) -> Ordering {
    let is = |relation| {
        let status = Command::new("dpkg").args(["--compare-versions", a, relation, b]).status();
        status.is_ok_and(|status| status.success())
    };
    match (is("lt"), is("gt")) {
        (true, _) => Ordering::Less,
        (_, true) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

/// Security updates have an archive of their own.
fn site(suite: &str) -> Result<String> {
    let sources = apt::sources()?;
    if suite.ends_with("-security") {
        let main = sources.iter().filter(|(_, component)| component == "main");
        let mut security = main.map(|(source, _)| source).filter(|source| source.suite.ends_with("-security"));
        let Source { site, .. } = security.next().context("apt has no source of security updates here")?;
        return Ok(site.clone());
    }
    Ok(apt::choose(&sources, &[&apt::codename(), "bookworm", "trixie", "stable"])?.site)
}

/// Gets the image and its parts, and unpacks them in one tree.
fn unpack(apt: &Apt, image: &Package, place: &Path) -> Result<()> {
    let tree = place.with_file_name(".tree");
    let _ = fs::remove_dir_all(&tree);
    // Of a kernel that has a successor some have left the archive: whether one is missed is seen below.
    let parts = image.parts().into_iter().filter(|part| apt.has(part)).map(str::to_owned);
    let packages: Vec<String> = [format!("{}={}", image.name, image.version)].into_iter().chain(parts).collect();
    extract(apt, &packages, &tree)?;
    let kernel = find(&tree, apt.architecture, image.release())?;
    // The packages leave it to their installation.
    run(Command::new("depmod").arg("-b").arg(&kernel.base).arg(&kernel.release))?;
    Ok(fs::rename(&tree, place)?)
}

/// Gets these packages, and unpacks them at a place that is not there yet.
fn extract(apt: &Apt, packages: &[String], place: &Path) -> Result<()> {
    let new = place.with_file_name(".new");
    let _ = fs::remove_dir_all(&new);
    let (debs, tree) = (new.join("debs"), new.join("tree"));
    fs::create_dir_all(&debs)?;
    fs::create_dir_all(&tree)?;
    read(apt.command("apt-get").args(["download", "--quiet"]).args(packages).current_dir(&debs))?;
    for deb in fs::read_dir(&debs)? {
        run(Command::new("dpkg-deb").arg("--extract").arg(deb?.path()).arg(&tree))?;
    }
    fs::rename(&tree, place)?;
    Ok(fs::remove_dir_all(&new)?)
}

/// Where a tree has the kernel: split packages have all of it below /usr/lib/modules.
fn find(tree: &Path, architecture: Architecture, release: &str) -> Result<Kernel> {
    let bases = [tree.to_owned(), tree.join("usr")];
    let base = bases.into_iter().find(|base| base.join("lib/modules").join(release).is_dir());
    let base = base.with_context(|| format!("{} has no modules of {release}", tree.display()))?;
    let images = [tree.join(format!("boot/vmlinuz-{release}")), base.join("lib/modules").join(release).join("vmlinuz")];
    let image = images.into_iter().find(|image| image.is_file());
    let image = image.with_context(|| format!("{} has no vmlinuz of {release}", tree.display()))?;
    Ok(Kernel { architecture, release: release.to_owned(), image, base })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_kernel_names_its_parts() {
        let packages = parse(
            "Package: linux-image-7.3.4-cloud-amd64\nVersion: 7.3.4-1\nDepends: kmod, linux-binary-7.3.4-cloud-amd64 \
             (= 7.3.4-1), a | linux-modules-9-cloud-amd64\n\nPackage: linux-image-7.2-cloud-amd64\nVersion: 7.2-1\n",
        );
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[0].release(), "7.3.4-cloud-amd64");
        assert_eq!(packages[0].parts(), ["linux-binary-7.3.4-cloud-amd64"]);
        assert_eq!(packages[1].parts(), Vec::<&str>::new());
    }
}
