//! The test binaries of the workspace, for who runs them elsewhere than cargo does.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::architecture::{Architecture, OWN};
use crate::workspace::{cargo, read, root};

pub(crate) struct TestBinary {
    pub(crate) package: String,
    /// The library's, or the test file's.
    pub(crate) target: String,
    pub(crate) path: PathBuf,
}

impl TestBinary {
    /// What a test binary is called in the machine, and in the plan.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.package, self.target)
    }
}

/// Every one of them, built; xtask's own and doc tests mean nothing elsewhere.
pub(crate) fn build_tests(architecture: Architecture) -> Result<Vec<TestBinary>> {
    build(architecture, &ALL)
}

/// Of these names, as [`chosen`] takes them, those alone where all are files of the package of tests: the others take long to link.
pub(crate) fn build_some(architecture: Architecture, names: &[String]) -> Result<Vec<TestBinary>> {
    let files = root().join("tests/tests");
    let is_file =
        |name: &String| files.join(format!("{name}.rs")).exists() || files.join(name).join("main.rs").exists();
    if names.is_empty() || !names.iter().all(is_file) {
        return build_tests(architecture);
    }
    let names = names.iter().flat_map(|name| ["--test", name]);
    build(architecture, &ALL.into_iter().chain(names).collect::<Vec<_>>())
}

/// One choice of packages for all, so that features are the same and nothing is built twice.
const ALL: [&str; 4] = ["--workspace", "--exclude", "xtask", "--all-features"];

/// The one of a test file, built.
pub(crate) fn test_binary(package: &str, test: &str) -> Result<PathBuf> {
    let binaries = build(OWN, &["--package", package, "--test", test])?;
    let binary = binaries.into_iter().find(|binary| binary.target == test);
    Ok(binary.with_context(|| format!("cargo names no test binary {test}"))?.path)
}

fn build(architecture: Architecture, which: &[&str]) -> Result<Vec<TestBinary>> {
    let flags = ["--locked", "--no-run", "--message-format", "json"];
    let mut cargo = cargo();
    cargo.args(["test", "--quiet"]).args(which).args(flags);
    architecture.build_with_glibc(&mut cargo)?;
    let json = read(&mut cargo)?;
    let mut binaries = Vec::new();
    for line in json.lines() {
        let message: Value = serde_json::from_str(line).context("cargo's message")?;
        if let Some(path) = message["executable"].as_str()
            && message["profile"]["test"] == true
        {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let package = package_name(&text(&message["package_id"]));
            binaries.push(TestBinary { package, target: text(&message["target"]["name"]), path: path.into() });
        }
    }
    ensure!(!binaries.is_empty(), "cargo names no test binary");
    Ok(binaries)
}

/// From `path+file:///home/me/crates/cgroup#seclude-cgroup@0.1.0`; where the directory has the package's name too, only
/// the version stands behind the `#`.
fn package_name(id: &str) -> String {
    let (path, fragment) = id.rsplit_once('#').unwrap_or(("", id));
    let name = match fragment.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next().unwrap_or_default(),
    };
    name.to_owned()
}

/// Those of these names, all without any; a name is the test file's, with the package's in front of it or without.
pub(crate) fn chosen<'a>(binaries: &'a [TestBinary], names: &[String]) -> Result<Vec<&'a TestBinary>> {
    let is = |binary: &TestBinary, name: &String| binary.target == *name || binary.name() == *name;
    if let Some(name) = names.iter().find(|name| !binaries.iter().any(|binary| is(binary, name))) {
        bail!("there are no tests {name}");
    }
    let asked = |binary: &&TestBinary| names.is_empty() || names.iter().any(|name| is(binary, name));
    Ok(binaries.iter().filter(asked).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_behind_the_hash_or_by_its_directory() {
        assert_eq!(package_name("path+file:///w/crates/cgroup#seclude-cgroup@0.1.0"), "seclude-cgroup");
        assert_eq!(package_name("path+file:///w/crates/seclude#0.1.0"), "seclude");
    }
}
