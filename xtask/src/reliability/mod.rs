//! `cargo xtask reliability`: everything that is to fail without a trace, and docs/reliability.md with what came of it.

mod hosts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::binaries::{TestBinary, build_tests};
use crate::soak::{self, Soak};
use crate::vm::report::{self, Outcome, Report, Totals};
use crate::workspace::{self, cargo, run as run_command};
use hosts::HOSTS;

/// Whose output has the numbers.
const COUNTED: [&str; 2] = ["faults", "network_faults"];
/// What is run besides, for what it shows by passing.
const SHOWN: [&str; 3] = ["exhaustion", "properties", "hazards"];

const KERNELS: &str = "\n## Kernels\n";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many spawners are killed at a random moment, with a network and without
    #[arg(long, default_value_t = 2000)]
    kills: u32,
    /// How many containers one process starts
    #[arg(long, default_value_t = 20_000)]
    soak: usize,
    /// Write the table of kernels only, by what `cargo xtask vm` has found since
    #[arg(long)]
    kernels: bool,
}

/// What a file of tests said.
struct Said {
    tests: BTreeMap<String, Outcome>,
    /// The lines `NUMBER WORD` of its tests.
    counted: Vec<(String, usize)>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.kernels {
        return write_kernels();
    }
    ensure!(rustix::process::geteuid().is_root(), "faults of cgroups and networks need root");
    run_command(cargo().args(["build", "--quiet", "--locked", "-p", "seclude-cli"]))?;
    let binaries = build_tests()?;
    let wanted: BTreeSet<&str> = HOSTS
        .iter()
        .flat_map(|host| host.tests)
        .filter_map(|test| Some(test.split_once(' ')?.0))
        .chain(COUNTED)
        .chain(SHOWN)
        .collect();
    let mut said = BTreeMap::new();
    for file in wanted {
        eprintln!("tests of {file}");
        // The crates that can be used alone have some of these names too.
        let ours = binaries.iter().find(|binary| binary.name() == format!("seclude-tests.{file}"));
        let binary = ours.or_else(|| binaries.iter().find(|binary| binary.target == file));
        let binary = binary.with_context(|| format!("there are no tests {file}"))?;
        said.insert(file, listen(binary, options.kills)?);
    }
    let soak = soak::measure(options.soak)?;
    let all = said.iter().flat_map(|(file, said)| said.tests.iter().map(move |(test, outcome)| (file, test, outcome)));
    let failed: Vec<String> = all
        .filter_map(|(file, test, outcome)| match outcome {
            Outcome::Fail(reason) => Some(format!("{file} {test}: {reason}")),
            _ => None,
        })
        .collect();
    ensure!(failed.is_empty() && soak.leaks.is_empty(), "failed: {failed:?}; leaks: {:?}", soak.leaks);
    // Only what holds is written down.
    let text = page(&said, &soak, options.kills)?;
    let file = workspace::root().join("docs/reliability.md");
    fs::write(&file, &text).with_context(|| file.display().to_string())?;
    print!("{text}");
    Ok(())
}

fn listen(binary: &TestBinary, kills: u32) -> Result<Said> {
    let mut command = Command::new(&binary.path);
    command.arg("--show-output").env("SECLUDE_TEST_KILLS", kills.to_string()).current_dir("/");
    let output = command.output().with_context(|| binary.path.display().to_string())?;
    let code = output.status.code().unwrap_or(-1);
    let text = format!("{}\n{}{code} 0\n", String::from_utf8_lossy(&output.stdout), report::END);
    let tests = report::tests(&text);
    ensure!(!tests.is_empty(), "{} lists no test: {text}", binary.name());
    let counted = text.lines().filter_map(|line| {
        let (number, word) = line.split_once(' ')?;
        Some((word.to_owned(), number.parse().ok()?))
    });
    Ok(Said { tests, counted: counted.collect() })
}

fn page(said: &BTreeMap<&str, Said>, soak: &Soak, kills: u32) -> Result<String> {
    let count = |word: &str| -> usize {
        let all = COUNTED.iter().filter_map(|file| said.get(file)).flat_map(|said| &said.counted);
        all.filter(|(counted, _)| counted == word).map(|(_, number)| number).sum()
    };
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's release")?;
    let recognised = HOSTS.iter().filter(|host| passed(host, said) > 0).count();
    let mut text = String::new();
    writeln!(text, "# Reliability\n\nWritten by `cargo xtask reliability`, Linux {}.\n", release.trim())?;
    writeln!(text, "| what | figure |\n|---|---|")?;
    writeln!(text, "| faults injected, each named by its step and undone | {} |", count("faults"))?;
    writeln!(
        text,
        "| spawners killed at every place and at {kills} random moments, with a network and without | {} |",
        count("kills")
    )?;
    writeln!(text, "| containers started by one process | {} in {:.0} s |", soak.spawns, soak.seconds)?;
    let leaks = if soak.leaks.is_empty() { "0".to_owned() } else { soak.leaks.join(", ") };
    writeln!(
        text,
        "| leaks found (processes, descriptors, threads, mounts, cgroups, links, rules, memory) | {leaks} |"
    )?;
    writeln!(text, "| kinds of troubled hosts recognised | {recognised} of {} |", HOSTS.len())?;
    writeln!(text, "\n## One process, {} containers\n\n```\n{soak}```", soak.spawns)?;
    writeln!(text, "\n## Hosts\n\n| situation | tests | not tested |\n|---|---|---|")?;
    for host in &HOSTS {
        let tests = match (host.tests.len(), passed(host, said)) {
            (0, _) => "none".to_owned(),
            (_, 0) => "skipped here".to_owned(),
            (all, passed) if passed < all => format!("{passed} passed, {} skipped here", all - passed),
            (all, _) => format!("{all} passed"),
        };
        writeln!(text, "| {} | {tests} | {} |", host.situation, host.untested)?;
    }
    kernels(&mut text)?;
    Ok(text)
}

/// How many of its tests passed; none if one is not there. (Nothing is written where one failed.)
fn passed(host: &hosts::Host, said: &BTreeMap<&str, Said>) -> usize {
    let each = |test: &&str| {
        let (file, name) = test.split_once(' ')?;
        let tests = &said.get(file)?.tests;
        tests.iter().find(|(test, _)| *test == name || test.ends_with(&format!("::{name}"))).map(|(_, outcome)| outcome)
    };
    let good: Vec<bool> = host.tests.iter().map(|test| matches!(each(test), Some(Outcome::Pass))).collect();
    let skipped = host.tests.iter().all(|test| matches!(each(test), Some(Outcome::Pass | Outcome::Skipped(_))));
    if skipped { good.iter().filter(|good| **good).count() } else { 0 }
}

/// What the runs of `cargo xtask vm` have left: of each file of tests the last.
fn kernels(text: &mut String) -> Result<()> {
    writeln!(text, "{KERNELS}")?;
    let logs = fs::read_dir(workspace::target().join("vm/logs")).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        logs.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "report")).collect();
    files.sort();
    if files.is_empty() {
        writeln!(text, "None has been tried here: `cargo xtask vm --all`, and this again.")?;
        return Ok(());
    }
    writeln!(
        text,
        "In virtual machines with cgroup v2 alone, each file of tests by its last run in `cargo xtask vm`.\n\n\
         | kernel | as | files | tests |\n|---|---|---|---|"
    )?;
    for file in files {
        let earlier = fs::read(file.with_extension("earlier")).unwrap_or_default();
        let said = fs::read(&file).with_context(|| file.display().to_string())?;
        let earlier = Report::parse(&String::from_utf8_lossy(&earlier));
        let mut report = Report::parse(&String::from_utf8_lossy(&said));
        // Of a machine that was not off by itself the last file has not ended.
        let end = if report.done { "" } else { " (not to the end)" };
        report.runs.truncate(report.runs.len() - usize::from(!report.done && !report.runs.is_empty()));
        let version = file.file_stem().unwrap_or_default().to_string_lossy();
        let mut last: BTreeMap<&str, BTreeMap<&str, &BTreeMap<String, Outcome>>> = BTreeMap::new();
        for run in earlier.runs.iter().chain(&report.runs) {
            last.entry(&run.who).or_default().insert(&run.binary, &run.tests);
        }
        for (who, files) in last {
            let totals = Totals::of(files.values().flat_map(|tests| tests.values()));
            writeln!(text, "| {version} | {who} | {} | {totals}{end} |", files.len())?;
        }
    }
    Ok(())
}

/// Writes the page's last part again, by what `cargo xtask vm` has left since.
fn write_kernels() -> Result<()> {
    let file = workspace::root().join("docs/reliability.md");
    let page = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let (rest, _) = page.split_once(KERNELS).context("the page has no kernels: write all of it")?;
    let mut text = rest.to_owned();
    kernels(&mut text)?;
    fs::write(&file, &text).with_context(|| file.display().to_string())?;
    print!("{}", &text[rest.len()..]);
    Ok(())
}
