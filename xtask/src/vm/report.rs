//! What a machine says of its tests: for each run a line that begins it, the test harness's own output, and a line that
//! ends it.

use std::collections::BTreeMap;

pub(crate) const BEGIN: &str = "%% begin ";
/// And behind it the exit code and the seconds.
pub(crate) const END: &str = "%% end ";
const DONE: &str = "%% done";
/// And behind it the kernel's release and the seconds since it started.
const BOOTED: &str = "%% booted ";
/// What a test says that found it had nothing to do.
const SKIPPED: [&str; 2] = ["skipped:", "not run:"];
const PANICKED: &str = " panicked at ";
/// The exit code of timeout(1), and of what it had to kill.
const TOO_LATE: [i32; 2] = [124, 137];
/// Of a test harness that ran, and saw tests fail.
const FAILED: i32 = 101;

/// What went wrong with a run whose machine was not there to its end.
const CUT_OFF: &str = "it did not end";

/// How a test went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Pass,
    Skipped(String),
    Fail(String),
}

/// The tests of one binary, tried by one user.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub(crate) who: String,
    pub(crate) binary: String,
    /// By name. The run itself is one, without a name, if it went wrong.
    pub(crate) tests: BTreeMap<String, Outcome>,
}

impl Run {
    pub(crate) fn was_cut_off(&self) -> bool {
        self.tests.get("").is_some_and(|outcome| *outcome == Outcome::Fail(CUT_OFF.to_owned()))
    }
}

#[derive(Default)]
pub(crate) struct Report {
    /// The kernel, as `uname -r` says it; empty if it did not get so far.
    pub(crate) release: String,
    pub(crate) runs: Vec<Run>,
    /// Whether it came to the end of its plan.
    pub(crate) done: bool,
}

impl Report {
    pub(crate) fn parse(text: &str) -> Report {
        let booted = text.lines().find_map(|line| line.strip_prefix(BOOTED)?.split(' ').next());
        let done = text.lines().any(|line| line == DONE);
        let mut report = Report { release: booted.unwrap_or_default().to_owned(), runs: Vec::new(), done };
        // The first part is before any run.
        for part in text.split(&format!("\n{BEGIN}")).skip(1) {
            let (head, said) = part.split_once('\n').unwrap_or((part, ""));
            let (who, binary) = head.split_once(' ').unwrap_or((head, ""));
            report.runs.push(Run { who: who.to_owned(), binary: binary.to_owned(), tests: tests(said) });
        }
        report
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals::of(self.runs.iter().flat_map(|run| run.tests.values()))
    }
}

#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Totals {
    passed: usize,
    skipped: usize,
    pub(crate) failed: usize,
}

impl Totals {
    pub(crate) fn of<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Totals {
        let mut totals = Totals::default();
        for outcome in outcomes {
            match outcome {
                Outcome::Pass => totals.passed += 1,
                Outcome::Skipped(_) => totals.skipped += 1,
                Outcome::Fail(_) => totals.failed += 1,
            }
        }
        totals
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} passed, {} skipped, {} FAILED", self.passed, self.skipped, self.failed)
    }
}

/// What the output of a test binary with `--show-output` says.
pub(crate) fn tests(said: &str) -> BTreeMap<String, Outcome> {
    let shown = shown(said);
    let trouble = trouble(said);
    let mut tests = BTreeMap::new();
    for line in said.lines() {
        // Tests that write around the harness may have begun the line.
        let Some((before, result)) = line.split_once(" ... ") else { continue };
        let Some((_, name)) = before.rsplit_once("test ") else { continue };
        let name = name.trim_end_matches(" - should panic").to_owned();
        let lines = shown.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        let outcome = match result {
            // What tests have shown is told at the end: without it none is known to have had anything to do.
            "ok" if trouble.is_some() => continue,
            "ok" => skipped(lines).map_or(Outcome::Pass, Outcome::Skipped),
            "FAILED" => Outcome::Fail(complaint(lines)),
            ignored if ignored.starts_with("ignored") => Outcome::Skipped(ignored.to_owned()),
            _ => continue,
        };
        tests.insert(name, outcome);
    }
    if let Some(trouble) = trouble {
        tests.insert(String::new(), Outcome::Fail(trouble));
    }
    tests
}

/// What went wrong with the run itself.
fn trouble(said: &str) -> Option<String> {
    let Some(end) = said.lines().rev().find_map(|line| line.strip_prefix(END)) else {
        return Some(CUT_OFF.to_owned());
    };
    let (code, seconds) = end.split_once(' ').unwrap_or((end, "?"));
    match code.parse() {
        Ok(0 | FAILED) if said.lines().any(|line| line.starts_with("test result: ")) => None,
        Ok(code) if TOO_LATE.contains(&code) => Some(format!("it was killed after {seconds} s")),
        _ => {
            let last = said.lines().rfind(|line| !line.trim().is_empty() && !line.starts_with("%%"));
            Some(format!("it ended with {code}: {}", last.unwrap_or_default()))
        }
    }
}

/// What each test has shown: `---- NAME stdout ----` and its lines.
fn shown(said: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut shown = BTreeMap::<&str, Vec<&str>>::new();
    let mut current = None;
    for line in said.lines() {
        if let Some(name) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----")) {
            current = Some(name.trim_end_matches(" - should panic"));
        } else if ["successes:", "failures:"].contains(&line) {
            current = None;
        } else if let Some(name) = current {
            shown.entry(name).or_default().push(line);
        }
    }
    shown
}

fn skipped(lines: &[&str]) -> Option<String> {
    lines.iter().find_map(|line| {
        let reason = SKIPPED.iter().find_map(|mark| line.strip_prefix(mark));
        let reason = reason.or_else(|| line.split_once(": not run:").map(|(_, reason)| reason));
        reason.map(|reason| reason.trim().to_owned())
    })
}

/// What a test that failed has said last: its panic, and where that was.
fn complaint(lines: &[&str]) -> String {
    let start = lines.iter().rposition(|line| line.contains(PANICKED)).unwrap_or(0);
    let lines = lines[start..].iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    // Without the thread, whose number is another on each machine.
    let lines = lines.map(|line| line.split_once(PANICKED).map_or(line, |(_, place)| place));
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with("note: run with `RUST_BACKTRACE")).collect();
    lines.join(" ").chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "%% booted 6.12.0 2.41\n\n%% begin root a.limits\n\nrunning 4 tests\ntest one ... ok\n\
        something of a child'stest two ... ok\ntest three ... FAILED\ntest four ... ignored, test one runs it\n\nsuccesses:\n\n\
        ---- two stdout ----\nskipped: no disk\n\nsuccesses:\n    one\n    two\n\nfailures:\n\n---- three stdout ----\n\n\
        thread 'three' (7) panicked at tests/limits.rs:5:9:\nit is too much\nnote: run with `RUST_BACKTRACE=1` …\n\n\n\
        failures:\n    three\n\ntest result: FAILED. 2 passed\n\n%% stderr\n\n%% end 101 3\n%% begin user a.b\n\n\
        running 2 tests\ntest x ... ok\n\n%% stderr\n\n%% end 124 300\n";

    #[test]
    fn what_a_test_showed_tells_how_it_went() {
        let report = Report::parse(SAID);
        assert!(!report.done);
        assert_eq!(report.release, "6.12.0");
        let [first, second] = report.runs.as_slice() else { panic!("two runs") };
        assert_eq!((first.who.as_str(), first.binary.as_str()), ("root", "a.limits"));
        assert_eq!(first.tests["one"], Outcome::Pass);
        assert_eq!(first.tests["two"], Outcome::Skipped("no disk".to_owned()));
        let complaint = "tests/limits.rs:5:9: it is too much";
        assert_eq!(first.tests["three"], Outcome::Fail(complaint.to_owned()));
        assert_eq!(first.tests.len(), 4);
        let killed = ("".to_owned(), Outcome::Fail("it was killed after 300 s".to_owned()));
        assert_eq!(second.tests, BTreeMap::from([killed]), "x may have been skipped");
        assert_eq!(report.totals(), Totals { passed: 1, skipped: 2, failed: 2 });
    }

    #[test]
    fn a_run_that_was_cut_off_failed() {
        let report = Report::parse("%% booted\n%% begin root a.b\nrunning 1 test\n");
        assert_eq!(report.runs[0].tests[""], Outcome::Fail("it did not end".to_owned()));
        assert!(report.runs[0].was_cut_off());
        assert!(!Report::parse(SAID).runs.iter().any(Run::was_cut_off));
        assert_eq!(skipped(&["kill: not run: no v2 here"]).as_deref(), Some("no v2 here"));
    }
}
