//! Clusters of three nodes on this machine: what calls the runtime past one machine, and what came of it in docs/cluster.md.

mod case;
mod kubernetes;
mod nodes;
mod slurm;
mod swarm;

use anyhow::{Result, bail, ensure};

use super::{Went, given_runtime, last};
use crate::progress::Progress;
use crate::workspace::target;
use case::{Calls, Case, Prepare};
use nodes::{NODES, Nodes};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    Slurm,
    Swarm,
    Kubernetes,
}

impl Which {
    pub(super) fn name(self) -> &'static str {
        match self {
            Which::Slurm => "slurm",
            Which::Swarm => "swarm",
            Which::Kubernetes => "kubernetes",
        }
    }
}

/// What runs on the nodes.
trait Cluster {
    /// What is there before any node starts.
    fn prepare(&self, nodes: &Nodes) -> Result<()>;
    /// What a node runs, after its start; the first comes first.
    fn start(&self, nodes: &Nodes, number: u32) -> Result<()>;
    /// When all have started: its name and version.
    fn ready(&self, nodes: &Nodes) -> Result<String>;
    fn cases(&self) -> Vec<&'static Case>;
    /// Ends and starts again what runs the containers of a node, under them.
    fn restart(&self, _nodes: &Nodes, _number: u32) -> Result<()> {
        bail!("it has no such case")
    }
}

pub(super) fn run(which: Which) -> Result<Vec<Went>> {
    let progress = &mut Progress::new();
    let cluster: Box<dyn Cluster> = match which {
        Which::Slurm => Box::new(slurm::Slurm),
        Which::Swarm => Box::new(swarm::Swarm),
        Which::Kubernetes => Box::new(kubernetes::Kubernetes::new(progress)?),
    };
    let debian = crate::rootfs::node()?;
    progress.show("the runtime is built as it is given out");
    let runtime = match given_runtime() {
        Some(given) => given,
        None => crate::dist::build_runtime()?,
    };
    progress.show("three nodes start");
    let nodes = Nodes::start(&debian, &runtime)?;
    let went = run_on(cluster.as_ref(), &nodes, progress);
    nodes.keep_logs(&target().join("engines").join(which.name()))?;
    went
}

fn run_on(cluster: &dyn Cluster, nodes: &Nodes, progress: &mut Progress) -> Result<Vec<Went>> {
    cluster.prepare(nodes)?;
    for number in NODES {
        progress.show(&format!("node {number} starts"));
        cluster.start(nodes, number)?;
    }
    let engine = cluster.ready(nodes)?;
    let mut all = Vec::new();
    for case in cluster.cases() {
        progress.show(&format!("{engine}: {}", case.name));
        let (wrong, said) = try_case(cluster, nodes, case)?;
        let figure = said.trim().lines().last().filter(|_| case.measures).map(str::to_owned);
        println!("{engine}: {}: {}", case.name, wrong.as_ref().or(figure.as_ref()).map_or("well", String::as_str));
        all.push(Went { engine: engine.clone(), case: case.name, wrong, figure });
    }
    ensure!(nodes.calls("create") + nodes.calls("run") > 0, "{engine} never called the runtime");
    Ok(all)
}

/// What is wrong, if anything is, and what was said.
fn try_case(cluster: &dyn Cluster, nodes: &Nodes, case: &Case) -> Result<(Option<String>, String)> {
    let word = if let Calls::With(word) = case.calls { word } else { "" };
    let before = nodes.calls(word);
    match case.prepare {
        None => {}
        Some(Prepare::Kill(number)) => nodes.kill_node(number)?,
        Some(Prepare::Cut(number)) => nodes.connect_node(number, false)?,
        Some(Prepare::Connect(number)) => nodes.connect_node(number, true)?,
        Some(Prepare::Restart(number)) => cluster.restart(nodes, number)?,
        Some(Prepare::Start(number)) => {
            nodes.start_node(number)?;
            cluster.start(nodes, number)?;
        }
    }
    let (mut code, mut said) = (0, String::new());
    for number in NODES.into_iter().take(if case.everywhere { NODES.len() } else { 1 }) {
        let (own_code, own_said) = nodes.shell(number, case.seconds, case.script)?;
        said.push_str(&own_said);
        code = own_code;
        if code != case.code {
            break;
        }
    }
    let called = nodes.calls(word) - before;
    let wrong = match case.calls {
        _ if code != case.code => Some(format!("exit code {code}: {}", last(&said))),
        _ if !said.contains(case.says) => Some(format!("{:?} is not in {:?}", case.says, last(&said))),
        Calls::With(_) if called == 0 => Some(format!("the runtime was not told to {word}")),
        Calls::Never if called > 0 => Some("the runtime was called".to_owned()),
        _ => None,
    };
    Ok((wrong, said))
}
