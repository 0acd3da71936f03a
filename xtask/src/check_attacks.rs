//! docs/attacks.md names tests: each of them is there, and each test of an attack is named.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Whose tests are all attacks.
const ATTACKS: [&str; 2] = ["tests/tests/attacks.rs", "tests/tests/holes"];

pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let page = fs::read_to_string(root.join("docs/attacks.md")).context("docs/attacks.md")?;
    let named = named(&page);
    let mut wrong = Vec::new();
    for (file, test) in &named {
        if !tests_of(&root.join(file))?.contains(test) {
            wrong.push(format!("{file} has no test {test}"));
        }
    }
    let mut there = 0;
    for place in ATTACKS {
        for file in sources(&root.join(place))? {
            let short = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
            for test in tests_of(&file)? {
                there += 1;
                if test != "helper_process" && !named.contains(&(short.clone(), test.clone())) {
                    wrong.push(format!("{short}: {test} is not named"));
                }
            }
        }
    }
    if there < 20 {
        bail!("only {there} tests of attacks were found: they are looked for in the wrong places");
    }
    if !wrong.is_empty() {
        bail!("docs/attacks.md: {}", wrong.join("; "));
    }
    println!("{} tests are named, all of them are there", named.len());
    Ok(())
}

/// Every `file: test` in backquotes.
fn named(page: &str) -> BTreeSet<(String, String)> {
    let quoted = page.split('`').skip(1).step_by(2);
    let pairs = quoted.filter_map(|text| text.split_once(": "));
    pairs
        .filter(|(file, test)| file.ends_with(".rs") && !test.contains(' '))
        .map(|(file, test)| (file.to_owned(), test.to_owned()))
        .collect()
}

fn sources(place: &Path) -> Result<Vec<PathBuf>> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = fs::read_dir(place).with_context(|| place.display().to_string())?;
    let mut found: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found.sort();
    Ok(found)
}

/// The functions behind `#[test]`.
fn tests_of(file: &Path) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut found = BTreeSet::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| marked) {
            found.extend(rest.split('(').next().map(str::to_owned));
            marked = false;
        }
    }
    Ok(found)
}
