//! `cargo xtask engines`: container engines with our runtime below them, and what came of it in docs/oci.md.
//!
//! Each runs in a network and a mount namespace of its own, with its storage in a directory of its own, so that nothing of the host's is
//! changed; what it has left there is removed with them. A wrapper writes down each call of the runtime.

mod cases;
mod cluster;
mod containerd;
mod docker;
mod image;
mod page;
mod place;
mod podman;

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::workspace::{cargo, run, target};
use place::Place;

/// Where the cgroups of all are.
const CGROUP: &str = "seclude-test-engines";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which; all that are installed without any
    #[arg(value_enum)]
    engines: Vec<Which>,
    /// Podman, Docker and containerd, and write the table of docs/oci.md
    #[arg(long, conflicts_with = "engines")]
    all: bool,
    /// Of clusters: write their tables in docs/cluster.md
    #[arg(long, requires = "engines")]
    record: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Which {
    Podman,
    /// As an ordinary user
    PodmanRootless,
    Docker,
    Containerd,
    Slurm,
    Swarm,
    Kubernetes,
}

impl Which {
    /// Those of one machine.
    const ALL: [Which; 4] = [Which::Podman, Which::PodmanRootless, Which::Docker, Which::Containerd];

    fn program(self) -> &'static str {
        match self {
            Which::Podman | Which::PodmanRootless => "podman",
            Which::Docker => "dockerd",
            Which::Containerd => "containerd",
            // They bring their own Debian.
            Which::Slurm | Which::Swarm | Which::Kubernetes => "debootstrap",
        }
    }

    fn cluster(self) -> Option<cluster::Which> {
        match self {
            Which::Podman | Which::PodmanRootless | Which::Docker | Which::Containerd => None,
            Which::Slurm => Some(cluster::Which::Slurm),
            Which::Swarm => Some(cluster::Which::Swarm),
            Which::Kubernetes => Some(cluster::Which::Kubernetes),
        }
    }
}

/// How a case went.
struct Went {
    engine: String,
    case: &'static str,
    /// Why not.
    wrong: Option<String>,
    /// What it measured.
    figure: Option<String>,
}

/// An engine that runs.
trait Engine {
    /// Its name and version.
    fn name(&self) -> &str;
    /// What stands before its own words in a shell.
    fn words(&self) -> String;
    /// Flags of `run` that say where the cgroup is.
    fn flags(&self) -> String;
    /// The same with a runtime that is not there, up to `run`.
    fn without_runtime(&self) -> String;
    /// Whose it is, by number.
    fn user(&self) -> String {
        "0".to_owned()
    }
}

pub(crate) fn run_engines(options: &Options) -> Result<()> {
    ensure!(rustix_is_root(), "engines are started by root");
    let chosen = if options.engines.is_empty() || options.all { Which::ALL.to_vec() } else { options.engines.clone() };
    let mut all = Vec::new();
    for which in chosen {
        if crate::workspace::find(which.program()).is_none() {
            ensure!(options.engines.is_empty() && !options.all, "{} is not installed", which.program());
            println!("{}: not installed", which.program());
            continue;
        }
        if let Some(cluster) = which.cluster() {
            let went = cluster::run(cluster)?;
            if options.record {
                page::write("docs/cluster.md", &format!("cargo xtask engines {} --record", cluster.name()), &went)?;
            }
            all.extend(went);
            continue;
        }
        let place = Place::new(&runtime()?)?;
        let engine: Box<dyn Engine> = match which {
            Which::Podman => Box::new(podman::start(&place)?),
            Which::PodmanRootless => Box::new(podman::start_rootless(&place)?),
            Which::Docker => Box::new(docker::start(&place)?),
            Which::Containerd => Box::new(containerd::start(&place)?),
            Which::Slurm | Which::Swarm | Which::Kubernetes => bail!("it is a cluster"),
        };
        all.extend(try_all(which, engine.as_ref(), &place)?);
    }
    if options.all {
        page::write("docs/oci.md", "cargo xtask engines --all", &all)?;
    }
    let wrong: Vec<String> = all
        .iter()
        .filter_map(|went| Some(format!("{}, {}: {}", went.engine, went.case, went.wrong.as_ref()?)))
        .collect();
    ensure!(wrong.is_empty(), "{} of {} went wrong:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    println!("{} cases, all well", all.len());
    Ok(())
}

/// One that is tried in place of what is built here.
fn given_runtime() -> Option<PathBuf> {
    std::env::var_os("SECLUDE_OCI_BIN").map(PathBuf::from)
}

fn runtime() -> Result<PathBuf> {
    if let Some(given) = given_runtime() {
        return Ok(given);
    }
    run(cargo().args(["build", "--quiet", "--locked", "-p", "seclude-oci"]))?;
    Ok(target().join("debug/seclude-oci"))
}

fn rustix_is_root() -> bool {
    crate::workspace::read(std::process::Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn try_all(which: Which, engine: &dyn Engine, place: &Place) -> Result<Vec<Went>> {
    let mut all = Vec::new();
    for case in cases::CASES.iter().filter(|case| case.is_for(which)) {
        if let Some(missing) = case.needs.filter(|program| crate::workspace::find(program).is_none()) {
            println!("{}: {}: not tried: {missing} is not installed", engine.name(), case.name);
            continue;
        }
        let before = place.calls();
        let variables = [
            ("E", engine.words()),
            ("N", engine.without_runtime()),
            ("C", engine.flags()),
            ("D", place.path().display().to_string()),
            ("U", engine.user()),
        ];
        let wrong = match place.shell(case.script, &variables)? {
            (code, said) if code != case.code => Some(format!("exit code {code}: {}", last(&said))),
            (_, said) if !said.contains(case.says) => Some(format!("{:?} is not in {:?}", case.says, last(&said))),
            _ if case.calls && place.calls() == before => Some("the runtime was not called".to_owned()),
            _ if !case.calls && place.calls() != before => Some("the runtime was called".to_owned()),
            _ => None,
        };
        println!("{}: {}: {}", engine.name(), case.name, wrong.as_deref().unwrap_or("well"));
        all.push(Went { engine: engine.name().to_owned(), case: case.name, wrong, figure: None });
    }
    if place.calls() == 0 {
        bail!("{} never called the runtime", engine.name());
    }
    // What a case that failed has left runs in the place that is about to go.
    let _ = place.shell("for one in $($E ps -aq 2>/dev/null); do $E rm -f $one; done", &[("E", engine.words())]);
    Ok(all)
}

fn last(said: &str) -> String {
    let words: String = said.trim().chars().rev().take(300).collect();
    words.chars().rev().collect::<String>().replace('\n', "; ")
}
