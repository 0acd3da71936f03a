//! What the measuring program starts of itself: callers with much memory, and the one with many threads.

use std::hint::black_box;
use std::io::{Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use crate::own_process::State;

use super::contestants::{lean, leanest, time_library};
use super::names::{self, Asked};
use super::programs::First;
use super::{limits, network, roots};

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Spawn once for each byte on stdin, from a process that has touched so many bytes
    Library { first: First, program: PathBuf, touched: usize },
    /// Spawn from many threads, and look at what is left
    Throughput { program: PathBuf, threads: usize, spawns: usize },
    /// Spawn with limits and without
    Limits { program: PathBuf, runs: usize },
    /// Spawn with a directory as root, among few mounts and many; in a mount namespace of its own
    Roots { program: PathBuf, runs: usize },
    /// Spawn with veth pairs; in a network namespace of its own
    Network { program: PathBuf, runs: usize },
    /// Connect to a server of the bench, and tell how fast that is
    Ask { asked: Asked, place: String },
}

pub(crate) fn run(task: &Task) -> Result<()> {
    match task {
        Task::Library { first, program, touched } => answer(*first, program, *touched),
        Task::Throughput { program, threads, spawns } => {
            let found = throughput(program, *threads, *spawns)?;
            println!("{}", serde_json::to_string(&found)?);
            Ok(())
        }
        Task::Limits { program, runs } => {
            println!("{}", serde_json::to_string(&limits::measure(program, *runs)?)?);
            Ok(())
        }
        Task::Roots { program, runs } => {
            println!("{}", serde_json::to_string(&roots::measure(program, *runs)?)?);
            Ok(())
        }
        Task::Ask { asked, place } => {
            println!("{}", names::ask(*asked, place)?);
            Ok(())
        }
        Task::Network { program, runs } => {
            println!("{}", serde_json::to_string(&network::in_namespace(program, *runs)?)?);
            Ok(())
        }
    }
}

fn answer(first: First, program: &Path, touched: usize) -> Result<()> {
    // Not zero: memory that is only promised would cost nothing.
    let memory = black_box(vec![1u8; touched]);
    let mut request = [0];
    while stdin().read(&mut request)? == 1 {
        let line = match time_library(|| leanest(program, first)) {
            Ok(time) => format!("{}\n", time.as_nanos()),
            Err(error) => format!("error {error:#}\n"),
        };
        stdout().write_all(line.as_bytes())?;
        stdout().flush()?;
    }
    drop(black_box(memory));
    Ok(())
}

/// What many spawns from many threads of one process cost, and what they left.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Throughput {
    pub(super) threads: usize,
    pub(super) spawns: usize,
    pub(super) errors: usize,
    pub(super) first_error: Option<String>,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
    pub(super) before: State,
    pub(super) after: State,
}

fn throughput(program: &Path, threads: usize, spawns: usize) -> Result<Throughput> {
    // What the first time maps for good (the threads' heaps) is not a leak of the later ones.
    spawn_from_threads(program, threads, 50);
    let before = State::settled_alone()?;
    let (seconds, failures) = spawn_from_threads(program, threads, spawns);
    let after = State::settled(|now| !now.leaked_since(&before))?;
    Ok(Throughput {
        threads,
        spawns: threads * spawns,
        errors: failures.len(),
        first_error: failures.into_iter().next(),
        seconds,
        per_second: (threads * spawns) as f64 / seconds,
        before,
        after,
    })
}

fn spawn_from_threads(program: &Path, threads: usize, spawns: usize) -> (f64, Vec<String>) {
    let failures = Mutex::new(Vec::new());
    let barrier = Barrier::new(threads + 1);
    let mut start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..spawns {
                    if let Err(error) = time_library(|| lean(program)) {
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{error:#}"));
                    }
                }
            });
        }
        barrier.wait();
        start = Instant::now();
    });
    (start.elapsed().as_secs_f64(), failures.into_inner().unwrap_or_else(PoisonError::into_inner))
}
