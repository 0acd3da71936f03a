//! What the runs of `cargo xtask vm` have left: of each file of tests the last.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use crate::vm;
use crate::vm::report::{Outcome, Report, Totals};
use crate::workspace;

const HEADING: &str = "\n## Kernels\n";

type Tests = BTreeMap<String, Outcome>;

/// One line of kernels.
pub(super) struct Seen {
    pub(super) version: String,
    release: String,
    /// Whether the last machine was off by itself.
    done: bool,
    /// By the user, then by the binary.
    tests: BTreeMap<String, BTreeMap<String, Tests>>,
}

impl Seen {
    /// What each user saw of a file in tests/.
    pub(super) fn tests_of(&self, file: &str) -> impl Iterator<Item = &Tests> {
        let binary = format!("seclude-tests.{file}");
        self.tests.values().filter_map(move |binaries| binaries.get(&binary))
    }
}

/// All lines that were tried, from the oldest to the newest.
pub(super) fn seen() -> Result<Vec<Seen>> {
    let logs = workspace::target().join("vm/logs");
    let tried = vm::versions().filter(|version| logs.join(format!("{version}.report")).exists());
    tried
        .map(|version| {
            let file = logs.join(format!("{version}.report"));
            let earlier = fs::read(file.with_extension("earlier")).unwrap_or_default();
            let said = fs::read(&file).with_context(|| file.display().to_string())?;
            let earlier = Report::parse(&String::from_utf8_lossy(&earlier));
            let last = Report::parse(&String::from_utf8_lossy(&said));
            let mut tests = BTreeMap::<String, BTreeMap<String, Tests>>::new();
            // What a machine that was ended was at says nothing.
            for run in earlier.runs.into_iter().chain(last.runs).filter(|run| !run.was_cut_off()) {
                tests.entry(run.who).or_default().insert(run.binary, run.tests);
            }
            Ok(Seen { version: version.to_owned(), release: last.release, done: last.done, tests })
        })
        .collect()
}

/// The page's last part.
pub(super) fn write(text: &mut String, seen: &[Seen]) -> Result<()> {
    writeln!(text, "{HEADING}")?;
    if seen.is_empty() {
        // What other machines have found stays what is known.
        let page = fs::read_to_string(workspace::root().join("docs/reliability.md")).unwrap_or_default();
        match page.split_once(HEADING) {
            Some((_, known)) => write!(text, "{}", known.trim_start_matches('\n'))?,
            None => writeln!(text, "None has been tried: `cargo xtask vm --all`, and this again.")?,
        }
        return Ok(());
    }
    writeln!(
        text,
        "In virtual machines with cgroup v2 alone, each file of tests by its last run in `cargo xtask vm`.\n\n\
         | kernel | as | files | tests |\n|---|---|---|---|"
    )?;
    for one in seen {
        let end = if one.done { "" } else { " (not to the end)" };
        for (who, files) in &one.tests {
            let totals = Totals::of(files.values().flat_map(BTreeMap::values));
            writeln!(text, "| {} | {who} | {} | {totals}{end} |", one.release, files.len())?;
        }
    }
    Ok(())
}

/// Writes that part again, and leaves the rest of the page.
pub(super) fn write_anew(seen: &[Seen]) -> Result<()> {
    let file = workspace::root().join("docs/reliability.md");
    let page = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let (rest, _) = page.split_once(HEADING).context("the page has no kernels: write all of it")?;
    let mut text = rest.to_owned();
    write(&mut text, seen)?;
    fs::write(&file, &text).with_context(|| file.display().to_string())?;
    print!("{}", &text[rest.len()..]);
    Ok(())
}
