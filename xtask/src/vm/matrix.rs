//! Which test went how on which kernel, as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use super::report::{Outcome, Report, Totals};

/// One kernel, and what was seen on it.
pub(crate) struct Tried {
    pub(crate) version: &'static str,
    pub(crate) release: String,
    pub(crate) report: Report,
    /// What went wrong with the machine itself.
    pub(crate) trouble: Option<String>,
    pub(crate) took: Duration,
}

#[derive(Default)]
pub(crate) struct Matrix(Vec<Tried>);

/// A test for one user is none for the other: no news on any kernel.
const MEANT_FOR_OTHERS: [&str; 2] = ["needs root", "needs an ordinary user"];

/// Kernel and user.
type Column = (usize, String);

impl Matrix {
    pub(crate) fn add(&mut self, tried: Tried) {
        self.0.push(tried);
    }

    pub(crate) fn is_good(&self) -> bool {
        let good = |tried: &Tried| {
            tried.trouble.is_none() && !tried.report.runs.is_empty() && tried.report.totals().failed == 0
        };
        self.0.iter().all(good)
    }

    /// The tests that did not pass everywhere, or all; then why, and totals.
    pub(crate) fn show(&self, all: bool) -> String {
        let (columns, rows) = self.cells();
        let news = |outcome: &&Outcome| match outcome {
            Outcome::Pass => false,
            Outcome::Skipped(reason) => !MEANT_FOR_OTHERS.contains(&reason.as_str()),
            Outcome::Fail(_) => true,
        };
        let shown: Vec<_> = rows.iter().filter(|(_, cells)| all || cells.values().any(&news)).collect();
        let mut text = String::new();
        let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(4);
        if !shown.is_empty() {
            let heads: Vec<String> = columns.iter().map(|(kernel, who)| self.head(*kernel, who)).collect();
            line(&mut text, width, "test", heads.iter().map(String::as_str));
            for (name, cells) in &shown {
                line(&mut text, width, name, columns.iter().map(|column| cells.get(column).map_or("", |c| word(c))));
            }
            text.push('\n');
        }
        self.reasons(&mut text, &shown, news);
        self.totals(&mut text, &columns);
        text
    }

    /// All columns, and for each test its cells.
    fn cells(&self) -> (BTreeSet<Column>, BTreeMap<String, BTreeMap<Column, &Outcome>>) {
        let (mut columns, mut rows) = (BTreeSet::new(), BTreeMap::<String, BTreeMap<Column, &Outcome>>::new());
        for (kernel, tried) in self.0.iter().enumerate() {
            for run in &tried.report.runs {
                let column = (kernel, run.who.clone());
                columns.insert(column.clone());
                for (test, outcome) in &run.tests {
                    let name = if test.is_empty() { run.binary.clone() } else { format!("{} {test}", run.binary) };
                    rows.entry(name).or_default().insert(column.clone(), outcome);
                }
            }
        }
        (columns, rows)
    }

    fn head(&self, kernel: usize, who: &str) -> String {
        format!("{} {who}", self.0[kernel].version)
    }

    /// The same reason is told once for all columns that have it.
    fn reasons(
        &self,
        text: &mut String,
        rows: &[(&String, &BTreeMap<Column, &Outcome>)],
        news: impl Fn(&&Outcome) -> bool,
    ) {
        for (name, cells) in rows {
            let mut reasons = BTreeMap::<(&str, &str), Vec<String>>::new();
            for ((kernel, who), outcome) in cells.iter().filter(|(_, outcome)| news(outcome)) {
                if let Outcome::Skipped(reason) | Outcome::Fail(reason) = outcome {
                    reasons.entry((word(outcome), reason)).or_default().push(self.head(*kernel, who));
                }
            }
            for ((word, reason), heads) in reasons {
                let _ = writeln!(text, "{word}: {name} ({}): {reason}", heads.join(", "));
            }
        }
    }

    fn totals(&self, text: &mut String, columns: &BTreeSet<Column>) {
        for (kernel, tried) in self.0.iter().enumerate() {
            let _ = writeln!(text, "\n{} ({} s)", tried.release, tried.took.as_secs());
            for (_, who) in columns.iter().filter(|(of, _)| *of == kernel) {
                let runs = tried.report.runs.iter().filter(|run| run.who == *who);
                let _ = writeln!(text, "  {who}: {}", Totals::of(runs.flat_map(|run| run.tests.values())));
            }
            if let Some(trouble) = &tried.trouble {
                let _ = writeln!(text, "  FAIL: {trouble}");
            }
        }
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Skipped(_) => "skipped",
        Outcome::Fail(_) => "FAIL",
    }
}

fn line<'a>(text: &mut String, width: usize, name: &str, cells: impl Iterator<Item = &'a str>) {
    let cells: String = cells.map(|cell| format!("  {cell:<9}")).collect();
    let _ = writeln!(text, "{}", format!("{name:<width$}{cells}").trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(said: &str) -> Tried {
        let report = Report::parse(&format!("\n%% begin root a.b\n{said}\ntest result: x\n%% end 0 1\n%% done\n"));
        Tried { version: "5.10", release: "5.10.1".to_owned(), report, trouble: None, took: Duration::from_secs(7) }
    }

    #[test]
    fn only_what_did_not_pass_is_listed_with_its_reason() {
        let mut matrix = Matrix::default();
        matrix.add(tried("test one ... ok\ntest two ... ok\nsuccesses:\n---- two stdout ----\nskipped: no disk\n"));
        assert!(matrix.is_good());
        let shown = matrix.show(false);
        assert!(shown.starts_with("test     5.10 root\na.b two  skipped\n\nskipped: a.b two (5.10 root): no disk\n"));
        assert!(shown.ends_with("\n5.10.1 (7 s)\n  root: 1 passed, 1 skipped, 0 FAILED\n"), "{shown}");
        assert!(matrix.show(true).contains("a.b one  pass\n"));
    }

    #[test]
    fn a_machine_that_died_is_not_good() {
        let mut matrix = Matrix::default();
        matrix.add(Tried { trouble: Some("it died".to_owned()), ..tried("test one ... ok") });
        assert!(!matrix.is_good());
        assert!(matrix.show(false).contains("FAIL: it died"));
    }
}
