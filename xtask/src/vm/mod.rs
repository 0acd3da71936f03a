//! `cargo xtask vm`: the tests on other kernels than this machine's, as root and as an ordinary user, with cgroups of
//! version 2 alone. Debian's kernels boot under QEMU in software, as many at once as there are processors; each says how
//! every test went.

mod cost;
mod disks;
mod initramfs;
mod kernels;
mod machine;
mod matrix;
pub(crate) mod report;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::builder::PossibleValuesParser;
use rustix::fs::{FlockOperation, flock};

use crate::architecture::{Architecture, OWN};
use crate::binaries::{TestBinary, build_some, chosen};
use crate::progress::Progress;
use crate::workspace::{find, target};
use disks::Work;
use kernels::{Kernel, LINES, Line};
use machine::{End, Machine};
use matrix::{Matrix, Tried};
use report::Report;

/// What a run needs, and the packages of Debian that have it.
const PROGRAMS: [(&str, &str); 6] = [
    ("debootstrap", "debootstrap"),
    ("mke2fs", "e2fsprogs"),
    ("depmod", "kmod"),
    ("busybox", "busybox-static"),
    ("xz", "xz-utils"),
    ("dpkg-deb", "dpkg"),
];

/// They need the Debian root of `cargo xtask rootfs`: a gigabyte more, for programs that ask little of a kernel.
const LEFT_OUT: [&str; 1] = ["seclude-tests.real"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Machines of this architecture
    #[arg(long, value_enum, value_name = "ARCH", default_value_t = OWN)]
    arch: Architecture,
    /// On every line of kernels, not just the oldest and the newest
    #[arg(long, conflicts_with = "kernel")]
    all: bool,
    /// On this line of kernels; may be repeated
    #[arg(long, value_name = "LINE", value_parser = PossibleValuesParser::new(versions()))]
    kernel: Vec<String>,
    /// The tests of this file, such as limits or seclude-cgroup.limits; may be repeated
    #[arg(long, value_name = "NAME")]
    test: Vec<String>,
    /// As this user only
    #[arg(long = "as", value_name = "WHO", value_parser = WHO)]
    who: Option<String>,
    /// A minute limit for each machine; all tests of both users take about half an hour
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    machine_limit: u64,
    /// A minute limit for each test file
    #[arg(long, value_name = "MINUTES", default_value_t = 10)]
    test_limit: u64,
    /// How many machines run at once, each with a processor and 2 GiB [default: as many as there are processors]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// How many processors each machine has, each on a thread of its own
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    processors: u8,
    /// List all tests, also those that passed everywhere
    #[arg(long)]
    verbose: bool,
    /// No tests, but what limits cost on cgroups of version 2, and a directory as root, so many times; emulated, so only the
    /// proportions mean anything
    #[arg(long, value_name = "RUNS", conflicts_with_all = ["test", "shell", "who"])]
    cost: Option<usize>,
    /// No tests but a shell, on the one kernel that is named
    #[arg(long)]
    shell: bool,
    /// No tests, but all that has to be fetched for them: the kernels, and a Debian to run in
    #[arg(long, conflicts_with_all = ["test", "shell", "who", "cost"])]
    prepare: bool,
    /// Only tests with this in their name
    filter: Option<String>,
}

const WHO: [&str; 2] = ["root", "user"];

/// The lines of kernels, from the oldest to the newest.
pub(crate) fn versions() -> impl Iterator<Item = &'static str> {
    LINES.iter().map(|line| line.version)
}

/// Where all of it is kept: this machine's own, and beside it those of others.
fn directory(architecture: Architecture) -> PathBuf {
    let vm = target().join("vm");
    if architecture.is_own() { vm } else { vm.join(architecture.name()) }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .chain([&options.arch.qemu()])
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    ensure!(missing.is_empty(), "not installed: apt-get install {}", missing.join(" "));
    ensure!(rustix::process::geteuid().is_root(), "it makes a Debian with files of other users: run it as root");
    fs::create_dir_all(directory(options.arch).join("logs"))?;

    let mut progress = Progress::new();
    let _lock = lock(options.arch, &mut progress)?;
    if let Some(runs) = options.cost {
        return cost::measure(options, runs, &mut progress);
    }
    if options.prepare {
        let kernels = get_kernels(options, &mut progress)?;
        return disks::root(options.arch, &kernels, &mut progress).map(drop);
    }
    progress.show("building the tests");
    let binaries = build_some(options.arch, &options.test)?;
    let mut binaries = chosen(&binaries, &options.test)?;
    binaries.retain(|binary| !LEFT_OUT.contains(&binary.name().as_str()));
    let kernels = get_kernels(options, &mut progress)?;
    let root = disks::root(options.arch, &kernels, &mut progress)?;
    let plan = plan(options, &binaries);
    progress.show("making the image of the tests");
    let runs = plan.lines().count();
    let work = disks::work(&Work {
        architecture: options.arch,
        binaries: &binaries,
        plan,
        shell: options.shell,
        others: &[],
    })?;

    let mut machines = Vec::new();
    for (line, kernel) in &kernels {
        let initramfs = initramfs::make(kernel, &directory(options.arch))?;
        machines.push((line, machine(line, kernel, initramfs, &root, &work)));
    }
    for (_, machine) in &mut machines {
        machine.processors = options.processors;
    }
    if options.shell {
        drop(progress);
        let [(_, machine)] = machines.as_mut_slice() else { bail!("a shell is on one kernel: name it") };
        // Not among those of tests.
        machine.report.set_extension("shell");
        return machine.shell();
    }
    let watch = Watch { progress: Mutex::new((progress, BTreeMap::new())), runs };
    let matrix = try_all(options, &machines, &watch)?;
    drop(watch);
    print!("{}", matrix.show(options.verbose));
    println!("what the machines said: {}", directory(options.arch).join("logs").display());
    ensure!(matrix.is_good(), "not all passed");
    Ok(())
}

/// Held as long as it is open: two of us would write into the same images and logs.
fn lock(architecture: Architecture, progress: &mut Progress) -> Result<File> {
    let lock = File::create(directory(architecture).join("lock")).context("create the lock")?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        progress.show("another cargo xtask vm is at work: waiting for its end");
        flock(&lock, FlockOperation::LockExclusive).context("flock")?;
    }
    Ok(lock)
}

/// Each machine on a thread that is free, in the order of their kernels.
fn try_all(options: &Options, machines: &[(&Line, Machine)], watch: &Watch) -> Result<Matrix> {
    let jobs = match options.jobs {
        Some(jobs) => usize::from(jobs),
        None => thread::available_parallelism().context("the number of processors")?.get(),
    };
    let next = Mutex::new(machines.iter().enumerate());
    let tried = Mutex::new(BTreeMap::new());
    let work = || -> Result<()> {
        loop {
            let taken = held(&next).next();
            let Some((index, (line, machine))) = taken else { return Ok(()) };
            let one = try_one(options, line, machine, watch)?;
            held(&tried).insert(index, one);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.min(machines.len())).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    let mut matrix = Matrix::default();
    for one in tried.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
        matrix.add(one);
    }
    Ok(matrix)
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far the machines are, in one line.
struct Watch {
    progress: Mutex<(Progress, BTreeMap<&'static str, String>)>,
    /// How many each has to do.
    runs: usize,
}

impl Watch {
    fn update(&self, version: &'static str, how: String) {
        let (progress, running) = &mut *held(&self.progress);
        running.insert(version, how);
        let all: Vec<String> = running.iter().map(|(version, how)| format!("{version}: {how}")).collect();
        progress.update(&all.join(" | "));
    }

    fn end(&self, version: &'static str, how: &str) {
        let (progress, running) = &mut *held(&self.progress);
        running.remove(version);
        progress.show(&format!("{version}: {how}"));
    }
}

fn machine<'a>(line: &Line, kernel: &'a Kernel, initramfs: PathBuf, root: &'a Path, work: &'a Path) -> Machine<'a> {
    let logs = directory(kernel.architecture).join("logs");
    let log = |kind: &str| logs.join(format!("{}.{kind}", line.version));
    Machine {
        kernel,
        initramfs,
        root,
        work,
        console: log("console"),
        report: log("report"),
        keeps: false,
        processors: 1,
    }
}

fn try_one(options: &Options, line: &Line, machine: &Machine, watch: &Watch) -> Result<Tried> {
    let started = Instant::now();
    keep(&machine.report)?;
    watch.update(line.version, format!("boots {}", machine.kernel.release));
    let limit = Duration::from_secs(60 * options.machine_limit);
    let end = machine.run(limit, |said| {
        let begun: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix(report::BEGIN)).collect();
        let last = begun.last().map_or("boots".to_owned(), |last| last.replace("seclude-tests.", ""));
        let seconds = started.elapsed().as_secs();
        watch.update(line.version, format!("{} of {}, {last}, {seconds} s", begun.len(), watch.runs));
    })?;
    let said = fs::read(&machine.report).with_context(|| format!("read {}", machine.report.display()))?;
    let report = Report::parse(&String::from_utf8_lossy(&said));
    let trouble = match end {
        End::TooLate => Some(format!("the machine was not off after {} minutes", options.machine_limit)),
        End::Off if report.done => None,
        End::Off | End::Died => Some(format!("the machine died: see {}", machine.console.display())),
    };
    let took = started.elapsed();
    watch.end(line.version, &format!("{} after {} s", report.totals(), took.as_secs()));
    Ok(Tried { version: line.version, release: machine.kernel.release.clone(), report, trouble, took })
}

/// Puts what the last run said behind what those before it said: the next may be of a few tests only.
fn keep(report: &Path) -> Result<()> {
    if let Ok(said) = fs::read(report) {
        let earlier = report.with_extension("earlier");
        let mut file = fs::File::options().create(true).append(true).open(&earlier).context("keep the last report")?;
        file.write_all(&said)?;
        fs::remove_file(report)?;
    }
    Ok(())
}

/// A line for each run: who, the binary, its seconds, and arguments.
fn plan(options: &Options, binaries: &[&TestBinary]) -> String {
    let mut plan = String::new();
    for who in WHO.iter().filter(|who| options.who.as_ref().is_none_or(|only| only == *who)) {
        for binary in binaries {
            let filter = options.filter.as_deref().unwrap_or_default();
            plan.push_str(&format!("{who} {} {} {filter}\n", binary.name(), 60 * options.test_limit));
        }
    }
    plan
}

/// The kernels that are asked for; else the oldest, and the newest that the mirror has.
fn get_kernels(options: &Options, progress: &mut Progress) -> Result<Vec<(Line, Kernel)>> {
    if options.all || !options.kernel.is_empty() {
        let lines = LINES.into_iter().filter(|line| options.all || options.kernel.iter().any(|v| v == line.version));
        return lines.map(|line| Ok((line, kernels::get(line, options.arch, progress)?))).collect();
    }
    let [oldest, newer @ ..] = LINES;
    let mut kernels = vec![(oldest, kernels::get(oldest, options.arch, progress)?)];
    for line in newer.into_iter().rev() {
        match kernels::get(line, options.arch, progress) {
            Ok(kernel) => {
                kernels.push((line, kernel));
                break;
            }
            Err(error) => progress.show(&format!("{}: not to be had: {error:#}", line.version)),
        }
    }
    Ok(kernels)
}
