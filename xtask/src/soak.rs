//! `cargo xtask soak`: thousands of spawns from one process, of every kind, and what has grown by them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;
use seclude::{Cgroup, Code, Command, Dns, Limits, Mount, Namespace, Overlay, Root, Stdio, UserMap, Veth};
use serde::{Deserialize, Serialize};

use crate::own_process::State;
use crate::progress::Progress;
use crate::versus::programs;
use crate::workspace;

/// Looks this often at what there is, the first time after the first part.
const LOOKS: usize = 5;
/// Where the containers have their cgroups; below it nobody else has any.
const PARENT: &str = "/seclude-soak";
/// Resident memory that the allocator may take for good between the first look and the last.
const GROWTH_KIB: u64 = 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many containers
    #[arg(long, default_value_t = 20_000)]
    runs: usize,
}

/// One look.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Look {
    spawns: usize,
    own: State,
    /// Of the whole machine: what the kernel keeps for namespaces, mounts and cgroups.
    slab_kib: u64,
    unreclaimable_kib: u64,
    /// Directories below the parent, in all hierarchies.
    cgroups: usize,
    /// Lines of /proc/self/mountinfo.
    mounts: usize,
    /// Network devices.
    links: usize,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Soak {
    pub(crate) spawns: usize,
    pub(crate) seconds: f64,
    /// How many of each kind.
    pub(crate) kinds: BTreeMap<String, usize>,
    looks: Vec<Look>,
    /// What grew that may not.
    pub(crate) leaks: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let soak = measure(options.runs)?;
    print!("{soak}");
    let file = workspace::target().join("soak.json");
    fs::write(&file, serde_json::to_string_pretty(&soak)? + "\n").with_context(|| file.display().to_string())?;
    ensure!(soak.leaks.is_empty(), "it leaks: {}", soak.leaks.join(", "));
    Ok(())
}

pub(crate) fn measure(runs: usize) -> Result<Soak> {
    ensure!(runs >= LOOKS * KINDS.len(), "too few to see anything grow: at least {}", LOOKS * KINDS.len());
    let program = programs::exit(&workspace::target().join("soak"))?;
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        leave_the_host()?;
    }
    let kinds: Vec<&Kind> = KINDS.iter().filter(|kind| is_root || !kind.needs_root).collect();
    let mut progress = Progress::new();
    let (mut looks, mut count) = (Vec::new(), BTreeMap::new());
    let start = Instant::now();
    for number in 1..=runs {
        let kind = kinds[number % kinds.len()];
        once(kind, &program).with_context(|| format!("container {number}: {}", kind.name))?;
        *count.entry(kind.name.to_owned()).or_default() += 1;
        let rate = number as f64 / start.elapsed().as_secs_f64();
        let left = (runs - number) as f64 / rate;
        progress.update(&format!("{number} of {runs} containers, {rate:.0} a second, {left:.0} s left"));
        if number % (runs / LOOKS) == 0 {
            looks.push(Look::now(number)?);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let leaks = leaks(&looks);
    Ok(Soak { spawns: runs, seconds, kinds: count, looks, leaks })
}

/// A network and a /run that nobody else has: no bridge is made on the host.
fn leave_the_host() -> Result<()> {
    // It is this process's only thread, which shares its descriptors with none.
    #[allow(deprecated)]
    rustix::thread::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS).context("unshare")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).context("make / private")?;
    mount("none", "/run", "tmpfs", MountFlags::empty(), None).context("mount a tmpfs on /run")
}

/// A way of using the library.
struct Kind {
    name: &'static str,
    needs_root: bool,
    /// By another thread than the main one, which takes a keeper.
    by_thread: bool,
    /// Of a command that is not there.
    fails: bool,
    build: fn(&Path) -> Command,
}

const KINDS: [Kind; 11] = [
    Kind { name: "sandbox", needs_root: false, by_thread: false, fails: false, build: sandbox },
    Kind { name: "sandbox, by a thread", needs_root: false, by_thread: true, fails: false, build: sandbox },
    Kind { name: "init and pipes", needs_root: false, by_thread: false, fails: false, build: with_init },
    Kind { name: "overlay root", needs_root: false, by_thread: false, fails: false, build: overlay },
    Kind { name: "copied memory", needs_root: false, by_thread: false, fails: false, build: copied },
    Kind { name: "no such command", needs_root: false, by_thread: false, fails: true, build: sandbox },
    Kind { name: "terminal", needs_root: false, by_thread: false, fails: false, build: with_terminal },
    Kind { name: "limits", needs_root: true, by_thread: false, fails: false, build: limited },
    Kind { name: "limits, no such command", needs_root: true, by_thread: false, fails: true, build: limited },
    Kind { name: "veth", needs_root: true, by_thread: false, fails: false, build: networked },
    Kind { name: "veth, no such command", needs_root: true, by_thread: false, fails: true, build: networked },
];

fn sandbox(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.sandbox().current_dir("/");
    // One that is missing has nothing to be shown.
    if program.exists() {
        command.mount(Mount::bind(program, program).read_only());
    }
    command
}

fn with_init(program: &Path) -> Command {
    let mut command = sandbox(program);
    command.init(true).hostname("soak").stdout(Stdio::piped()).mount(Mount::file("/tmp/file", "text"));
    command
}

fn overlay(_: &Path) -> Command {
    let mut command = Command::new("/bin/true");
    command.unshare(Namespace::User).unshare(Namespace::Mount).current_dir("/");
    command.root(Root::overlay(Overlay::new(["/usr"]).ephemeral())).mount(Mount::symlink(".", "/usr"));
    for link in ["lib", "lib64"] {
        command.mount(Mount::bind(format!("/{link}"), format!("/{link}")).read_only());
    }
    command
}

fn copied(program: &Path) -> Command {
    let mut command = sandbox(program);
    command.oom_score_adj(500);
    command
}

fn with_terminal(program: &Path) -> Command {
    let mut command = sandbox(program);
    command.terminal(24, 80);
    command
}

fn networked(program: &Path) -> Command {
    let mut command = sandbox(program);
    command.veth(Veth::new().ip_forward(true).peers(true)).dns(Dns::Unchanged);
    command
}

fn limited(program: &Path) -> Command {
    let mut command = sandbox(program);
    command.cgroup(Cgroup::new().parent(PARENT).limits(Limits::new().memory_max(64 << 20).pids_max(16)));
    command.user_map(UserMap::Identity);
    command
}

fn once(kind: &Kind, program: &Path) -> Result<()> {
    let missing = Path::new("/no/such/command");
    let mut command = (kind.build)(if kind.fails { missing } else { program });
    let done = if kind.by_thread {
        std::thread::scope(|scope| scope.spawn(|| command.output()).join()).map_err(|_| anyhow::anyhow!("a panic"))?
    } else {
        command.output()
    };
    match done {
        Ok(output) if output.exit.success() && !kind.fails => Ok(()),
        Ok(output) => bail!("it ended with {}: {}", output.exit, String::from_utf8_lossy(&output.stderr)),
        Err(error) if kind.fails && error.code() == Code::NotFound && error.left_behind().is_empty() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Look {
    fn now(spawns: usize) -> Result<Look> {
        let memory = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
        let kib = |key: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(key)).with_context(|| key.to_owned())?;
            line.trim().trim_end_matches(" kB").parse::<u64>().context("a number of /proc/meminfo")
        };
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
        let hierarchies = mounts.lines().filter(|line| line.contains(" - cgroup"));
        let points = hierarchies.filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
        let cgroups = points.map(|point| directories(&point.join(PARENT.trim_start_matches('/')))).sum();
        Ok(Look {
            spawns,
            own: State::settled_alone()?,
            slab_kib: kib("Slab:")?,
            unreclaimable_kib: kib("SUnreclaim:")?,
            cgroups,
            mounts: mounts.lines().count(),
            links: fs::read_to_string("/proc/thread-self/net/dev")
                .context("/proc/thread-self/net/dev")?
                .lines()
                .count(),
        })
    }
}

fn directories(at: &Path) -> usize {
    let Ok(entries) = fs::read_dir(at) else { return 0 };
    1 + entries
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|e| directories(&e.path()))
        .sum::<usize>()
}

fn leaks(looks: &[Look]) -> Vec<String> {
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else { return Vec::new() };
    let mut leaks = Vec::new();
    for (what, before, after, more) in [
        ("descriptors", first.own.descriptors, last.own.descriptors, 0),
        ("threads", first.own.threads, last.own.threads, 0),
        ("children", first.own.children, last.own.children, 0),
        ("cgroups", 0, last.cgroups, 0),
        ("mounts", first.mounts, last.mounts, 0),
        ("links", first.links, last.links, 0),
        ("KiB of resident memory", first.own.rss_kib as usize, last.own.rss_kib as usize, GROWTH_KIB as usize),
    ] {
        if after > before + more {
            leaks.push(format!("{what}: {before} -> {after}"));
        }
    }
    leaks
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(f, "{} containers in {:.0} s from one process: {}", self.spawns, self.seconds, kinds.join("; "))?;
        let columns = [
            "spawns",
            "rss KiB",
            "fds",
            "threads",
            "children",
            "mounts",
            "links",
            "cgroups",
            "slab KiB",
            "unreclaimable",
        ];
        for column in columns {
            write!(f, "{column:>14}")?;
        }
        writeln!(f)?;
        for look in &self.looks {
            let own = &look.own;
            for value in [look.spawns as u64, own.rss_kib] {
                write!(f, "{value:>14}")?;
            }
            for value in [own.descriptors, own.threads, own.children, look.mounts, look.links, look.cgroups] {
                write!(f, "{value:>14}")?;
            }
            writeln!(f, "{:>14}{:>14}", look.slab_kib, look.unreclaimable_kib)?;
        }
        writeln!(f, "leaks: {}", if self.leaks.is_empty() { "none".to_owned() } else { self.leaks.join(", ") })
    }
}
