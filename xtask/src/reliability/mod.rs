//! `cargo xtask reliability`: everything that is to fail without a trace, and docs/reliability.md with what came of it.

mod hosts;
mod kernels;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::architecture::OWN;
use crate::binaries::{TestBinary, build_tests};
use crate::soak::{self, Soak};
use crate::vm::report::{self, Outcome};
use crate::workspace::{self, cargo, run as run_command};
use hosts::HOSTS;
use kernels::Seen;

/// Whose output has the numbers.
const COUNTED: [&str; 3] = ["faults", "network_faults", "system_calls"];
/// What is run besides, for what it shows by passing.
const SHOWN: [&str; 3] = ["exhaustion", "properties", "hazards"];

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
    let seen = kernels::seen()?;
    if options.kernels {
        return kernels::write_anew(&seen);
    }
    ensure!(rustix::process::geteuid().is_root(), "faults of cgroups and networks need root");
    run_command(cargo().args(["build", "--quiet", "--locked", "-p", "seclude-cli"]))?;
    let binaries = build_tests(OWN)?;
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
    let text = page(&said, &seen, &soak, options.kills)?;
    let file = workspace::root().join("docs/reliability.md");
    fs::write(&file, &text).with_context(|| file.display().to_string())?;
    print!("{text}");
    Ok(())
}

fn listen(binary: &TestBinary, kills: u32) -> Result<Said> {
    let mut command = Command::new(&binary.path);
    command.arg("--show-output").env("SECLUDE_TEST_KILLS", kills.to_string()).current_dir("/usr");
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

fn page(said: &BTreeMap<&str, Said>, seen: &[Seen], soak: &Soak, kills: u32) -> Result<String> {
    let count = |word: &str| -> usize {
        let all = COUNTED.iter().filter_map(|file| said.get(file)).flat_map(|said| &said.counted);
        all.filter(|(counted, _)| counted == word).map(|(_, number)| number).sum()
    };
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's release")?;
    let recognised = HOSTS.iter().filter(|host| host.tests.iter().any(|test| passed(test, said, seen).any())).count();
    let mut text = String::new();
    writeln!(text, "# Reliability\n\nWritten by `cargo xtask reliability`, Linux {}.\n", release.trim())?;
    writeln!(text, "| what | figure |\n|---|---|")?;
    writeln!(
        text,
        "| faults injected, in every step and in the system calls of the parent, each named and undone | {} |",
        count("faults")
    )?;
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
        writeln!(text, "| {} | {} | {} |", host.situation, how(host, said, seen), host.untested)?;
    }
    kernels::write(&mut text, seen)?;
    Ok(text)
}

/// Where a test passed. (Nothing is written where one failed.)
struct Passed<'a> {
    here: bool,
    kernels: BTreeSet<&'a str>,
}

impl Passed<'_> {
    fn any(&self) -> bool {
        self.here || !self.kernels.is_empty()
    }
}

fn passed<'a>(test: &str, said: &BTreeMap<&str, Said>, seen: &'a [Seen]) -> Passed<'a> {
    let (file, name) = test.split_once(' ').unwrap_or((test, ""));
    let has_passed = |tests: &BTreeMap<String, Outcome>| {
        let outcome = tests.iter().find(|(test, _)| *test == name || test.ends_with(&format!("::{name}")));
        outcome.is_some_and(|(_, outcome)| *outcome == Outcome::Pass)
    };
    let kernels = seen.iter().filter(|seen| seen.tests_of(file).any(has_passed));
    Passed {
        here: said.get(file).is_some_and(|said| has_passed(&said.tests)),
        kernels: kernels.map(|seen| seen.version.as_str()).collect(),
    }
}

/// How the tests of a host went, in few words.
fn how(host: &hosts::Host, said: &BTreeMap<&str, Said>, seen: &[Seen]) -> String {
    let all: Vec<Passed> = host.tests.iter().map(|test| passed(test, said, seen)).collect();
    let here = all.iter().filter(|passed| passed.here).count();
    let elsewhere: Vec<&Passed> = all.iter().filter(|passed| !passed.here && passed.any()).collect();
    let kernels: BTreeSet<&str> = elsewhere.iter().flat_map(|passed| &passed.kernels).copied().collect();
    let kernels: Vec<&str> = seen.iter().map(|seen| seen.version.as_str()).filter(|v| kernels.contains(v)).collect();
    let parts = [
        (here, "passed".to_owned()),
        (elsewhere.len(), format!("passed in a virtual machine ({})", kernels.join(", "))),
        (all.len() - here - elsewhere.len(), "skipped".to_owned()),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0).map(|(number, how)| format!("{number} {how}"));
    let how = parts.collect::<Vec<_>>().join(", ");
    if how.is_empty() { "none".to_owned() } else { how }
}
