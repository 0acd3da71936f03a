//! The child shares its caller's memory until its exec: a call into libc, the allocator or the panic machinery
//! would be a bug that no test is sure to meet. So its object may have no undefined symbol at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::architecture::{Architecture, OWN, add_target};
use crate::workspace;

/// What has to be there, so that the check cannot pass by looking at nothing.
const ENTRY: &str = "seclude_child::run::run";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// For this architecture
    #[arg(long, value_enum, value_name = "ARCH", default_value_t = OWN)]
    arch: Architecture,
}

pub(crate) fn check(options: &Options) -> Result<()> {
    let target = workspace::target().join("check-child");
    let architecture = options.arch;
    let deps = target.join(if architecture.is_own() { "" } else { architecture.musl() }).join("release").join("deps");
    // Cargo builds nothing if nothing changed, and an object of an earlier source would be left lying: begin anew.
    let mut clean = workspace::cargo();
    clean.args(["clean", "--quiet", "--release", "--package", "seclude-child", "--target-dir"]).arg(&target);
    if !architecture.is_own() {
        clean.args(["--target", architecture.musl()]);
    }
    workspace::run(&mut clean)?;
    for left in files(&deps, "seclude_child-")? {
        fs::remove_file(&left).with_context(|| format!("remove {}", left.display()))?;
    }
    let mut cargo = workspace::cargo();
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").args(["rustc", "--quiet", "--release", "--package", "seclude-child"]);
    if !architecture.is_own() {
        add_target(architecture.musl())?;
        cargo.args(["--target", architecture.musl()]);
    }
    cargo.arg("--target-dir").arg(&target).args(["--", "--emit=obj", "-Ccodegen-units=1"]);
    workspace::run(&mut cargo)?;

    let objects: Vec<PathBuf> =
        files(&deps, "seclude_child-")?.into_iter().filter(|file| file.extension().is_some_and(|e| e == "o")).collect();
    let [object] = objects.as_slice() else {
        bail!("{} objects of seclude-child in {}, not one", objects.len(), deps.display());
    };
    // It reads objects of every architecture.
    let symbols = |flag| workspace::read(Command::new("nm").args([flag, "--demangle"]).arg(object));
    let defined = symbols("--defined-only").context("nm is in the package binutils")?;
    if !defines(&defined, ENTRY) {
        bail!("{} does not define {ENTRY}: it is not the child's code", object.display());
    }
    let outside = symbols("--undefined-only")?;
    let undefined = undefined(&outside);
    if !undefined.is_empty() {
        bail!("the child calls what is not its own:\n  {}", undefined.join("\n  "));
    }
    println!("no undefined symbol in {} ({} defined)", object.display(), defined.lines().count());
    Ok(())
}

/// The files in a directory whose names begin so; none if there is no such directory.
fn files(directory: &Path, beginning: &str) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("read {}", directory.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(beginning) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Whether nm's lines (address, type, name) have this function; a legacy name ends with `::h` and a hash.
fn defines(lines: &str, function: &str) -> bool {
    lines
        .lines()
        .filter_map(|line| line.splitn(3, ' ').nth(2))
        .any(|name| name.strip_prefix(function).is_some_and(|rest| rest.is_empty() || rest.starts_with("::h")))
}

fn undefined(lines: &str) -> Vec<&str> {
    lines.lines().filter_map(|line| line.trim().split_once(' ')).map(|(_, name)| name.trim()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_is_found_by_its_whole_name_with_or_without_a_hash() {
        let line = |name: &str| format!("0000000000000000 T seclude_child::op::x\n0000000000000010 T {name}\n");
        assert!(defines(&line("seclude_child::run::run"), ENTRY));
        assert!(defines(&line("seclude_child::run::run::h0123456789abcdef"), ENTRY));
        assert!(!defines(&line("seclude_child::run::run_other"), ENTRY));
        assert!(!defines("", ENTRY));
    }

    #[test]
    fn undefined_symbols_are_listed_by_name() {
        assert_eq!(undefined("                 U memcpy\n                 w free\n"), ["memcpy", "free"]);
        assert!(undefined("").is_empty());
    }
}
