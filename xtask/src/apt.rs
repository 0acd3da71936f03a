//! Where this machine's apt gets its packages: the one place that knows a mirror, so that the project names none.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// Where a distribution comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Source {
    pub(crate) site: String,
    pub(crate) suite: String,
}

/// The package sources that apt is configured with: site, suite and component.
pub(crate) fn sources() -> Result<Vec<(Source, String)>> {
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

/// Debian's keys, of its own package.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt with its own sources, lists and cache in a directory; how to reach the mirror (proxies, credentials) is configured as for
/// the machine's, and it checks the signatures as that does.
pub(crate) struct Private {
    pub(crate) directory: PathBuf,
}

impl Private {
    pub(crate) fn new(directory: PathBuf, architecture: &str, sources: &str) -> Result<Private> {
        ensure!(Path::new(KEYRING).exists(), "{KEYRING} is missing: apt-get install debian-archive-keyring");
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = directory.join(part);
            DirBuilder::new().recursive(true).mode(0o755).create(&part)?;
        }
        let shown = directory.display();
        write_changed(&directory.join("sources.list"), sources)?;
        let configuration = format!(
            "Dir::Etc::sourcelist \"{shown}/sources.list\";\n\
             Dir::Etc::sourceparts \"/dev/null\";\n\
             Dir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\n\
             Dir::State \"{shown}\";\n\
             Dir::State::status \"/dev/null\";\n\
             Dir::Cache \"{shown}/cache\";\n\
             APT::Architecture \"{architecture}\";\n\
             APT::Sandbox::User \"root\";\n\
             APT::Update::Error-Mode \"any\";\n\
             Acquire::AllowInsecureRepositories \"false\";\n\
             Acquire::Retries \"3\";\n\
             #clear APT::Update::Pre-Invoke;\n\
             #clear APT::Update::Post-Invoke;\n\
             #clear APT::Update::Post-Invoke-Success;\n"
        );
        write_changed(&directory.join("apt.conf"), &configuration)?;
        Ok(Private { directory })
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.directory.join("apt.conf")).env("LC_ALL", "C");
        command
    }

    pub(crate) fn update(&self) -> Result<()> {
        workspace::read(self.command("apt-get").args(["update", "--quiet"])).map(drop)
    }
}

fn write_changed(file: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

/// This machine's release, os-release(5).
pub(crate) fn codename() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    value.unwrap_or_default().trim_matches('"').to_owned()
}

/// The first of these suites that apt has the whole archive of, from a site that other programs than apt can read.
pub(crate) fn choose(sources: &[(Source, String)], suites: &[&str]) -> Result<Source> {
    let readable = |source: &Source| ["http:", "https:", "file:"].iter().any(|s| source.site.starts_with(s));
    let usable: Vec<&Source> = sources
        .iter()
        .filter(|(source, component)| component == "main" && readable(source))
        .map(|(source, _)| source)
        .collect();
    let found = suites.iter().find_map(|suite| usable.iter().find(|source| source.suite == *suite));
    found
        .map(|source| (*source).clone())
        .with_context(|| format!("apt has no source of {} here: see apt-get indextargets", suites.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(lines: &str, codename: &str) -> Option<String> {
        let source = choose(&parse(lines), &["bookworm", codename, "stable"]).ok()?;
        Some(format!("{} {}", source.site, source.suite))
    }

    #[test]
    fn the_first_suite_is_taken_from_its_whole_archive() {
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
    fn a_source_that_others_cannot_read_is_none() {
        assert_eq!(chosen("cdrom:[x]\tbookworm\tmain\n", "bookworm"), None);
        assert_eq!(chosen("", "bookworm"), None);
    }
}
