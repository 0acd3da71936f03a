//! What system calls cost in a sandbox: with its filter and whoever answers it, with the filter alone, and without one.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;

use super::programs::Programs;
use crate::workspace;

/// As many runs of each, in turns.
const ROUNDS: usize = 5;

/// Medians, in nanoseconds.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Calls {
    pub(super) allowed_ns: f64,
    pub(super) refused_ns: f64,
}

#[derive(Serialize)]
pub(super) struct Filter {
    /// Refusals are listed.
    pub(super) listened_to: Calls,
    /// They are not: the filter itself answers.
    pub(super) alone: Calls,
    /// The kernel refuses what is refused.
    pub(super) without: Calls,
}

pub(super) fn measure(programs: &Programs) -> Result<Filter> {
    let ways: [&[&str]; 3] = [&[], &["--no-denials"], &["--seccomp", "none"]];
    let mut found: [Vec<Calls>; 3] = Default::default();
    for round in 0..ROUNDS {
        for place in 0..ways.len() {
            // Each comes first once.
            let way = (place + round) % ways.len();
            found[way].push(run(programs, ways[way])?);
        }
    }
    let [listened_to, alone, without] = found.map(|calls| Calls {
        allowed_ns: middle(calls.iter().map(|calls| calls.allowed_ns)),
        refused_ns: middle(calls.iter().map(|calls| calls.refused_ns)),
    });
    Ok(Filter { listened_to, alone, without })
}

fn run(programs: &Programs, flags: &[&str]) -> Result<Calls> {
    let mut command = Command::new(&programs.seclude);
    command.arg("run").args(flags).arg("--ro").arg(&programs.directory).arg("--").arg(&programs.calls);
    let said = workspace::read(&mut command)?;
    let numbers: Option<Vec<f64>> = said.split_whitespace().map(|word| word.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[allowed_ns, refused_ns]) => Ok(Calls { allowed_ns, refused_ns }),
        _ => None.with_context(|| format!("what the calls' program says: {said:?}")),
    }
}

fn middle(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
