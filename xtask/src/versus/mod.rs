//! `cargo xtask versus`: what a spawn costs beside others, all in one run.

mod bundle;
mod calls;
mod contestants;
mod filter;
pub(crate) mod helper;
pub(crate) mod limits;
pub(crate) mod names;
mod network;
mod ours;
mod outcome;
pub(crate) mod programs;
mod rivals;
pub(crate) mod roots;
mod rounds;
mod statistics;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::helper::Throughput;
use self::outcome::{Host, Outcome};
use self::programs::Programs;
use crate::progress::Progress;
use crate::workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// How often each is measured
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only what has this in its name; `throughput` is the one with many threads, `network` the one with veth pairs,
    /// `filter` what system calls cost
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The networks alone: veth pairs, and names beside pasta
    #[arg(long, conflicts_with = "only")]
    network: bool,
}

const THREADS: usize = 16;
const SPAWNS: usize = 500;

pub(crate) fn run(options: &Options) -> Result<()> {
    leave_cargos_libraries()?;
    let host = Host::current();
    let only = options.network.then_some("network").or(options.only.as_deref());
    let asked_for = |name: &str| only.is_none_or(|only| name.contains(only));
    let mut progress = Progress::new();
    progress.show("building");
    let programs = programs::build()?;
    let floor_check = calls::compare(&programs);

    progress.show("starting the callers with much memory");
    let (mut contestants, mut absentees) = ours::all(&programs, asked_for)?;
    for rival in rivals::all(&programs)?.into_iter().filter(|rival| asked_for(rival.name)) {
        match rival.contestant {
            Ok(contestant) => contestants.push(contestant),
            Err(why) => absentees.push(rounds::absent(rival.name, why)),
        }
    }
    let many = asked_for("throughput");
    let connected = asked_for("network");
    let filtered = asked_for("filter");
    if contestants.is_empty() && absentees.is_empty() && !many && !connected && !filtered {
        bail!("nothing has {:?} in its name", only.unwrap_or_default());
    }
    let mut rows = rounds::measure(contestants, options.runs, &mut progress)?;
    rows.extend(absentees);
    rounds::compare_with_floor(&mut rows);
    let throughput = if many { Some(throughput(&programs, &mut progress)?) } else { None };
    let network = if connected {
        progress.show(
            "networks: a thousand containers, six times two seconds of iperf3, and five times three ways to a server",
        );
        Some(network::measure(&programs, options.runs)?)
    } else {
        None
    };
    let filter = if filtered {
        progress.show("what system calls cost");
        Some(filter::measure(&programs)?)
    } else {
        None
    };
    drop(progress);

    let binary_bytes = fs::metadata(&programs.seclude).context("the size of the binary")?.len();
    let wanted = outcome::wanted(&rows, throughput.as_ref(), network.as_ref(), filter.as_ref(), binary_bytes);
    let outcome = Outcome {
        host,
        rows,
        throughput,
        network: network.and_then(Result::ok),
        filter,
        binary_bytes,
        floor_check,
        wanted,
    };
    print!("{outcome}");
    let file = workspace::target().join("versus.json");
    let json = serde_json::to_string_pretty(&outcome)?;
    fs::write(&file, json + "\n").with_context(|| format!("write {}", file.display()))?;
    println!("\n{}", file.display());
    match &outcome.throughput {
        Some(many) if !many.is_clean() => bail!("errors or leaks with many threads: {many}"),
        _ => Ok(()),
    }
}

/// Cargo has its programs look for libraries in its own directories first, which would slow down everybody here who
/// is linked dynamically: begins anew without them.
fn leave_cargos_libraries() -> Result<()> {
    const VARIABLE: &str = "LD_LIBRARY_PATH";
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(());
    }
    let own = std::env::current_exe().context("the path of this program")?;
    let error = Command::new(own).args(std::env::args_os().skip(1)).env_remove(VARIABLE).exec();
    Err(error).context("start anew")
}

fn throughput(programs: &Programs, progress: &mut Progress) -> Result<Throughput> {
    progress.show(&format!("{THREADS} threads, {SPAWNS} spawns each"));
    let mut helper = Command::new(&programs.own);
    helper.args(["versus-helper", "throughput"]).arg(&programs.exit).args([THREADS, SPAWNS].map(|n| n.to_string()));
    let found = workspace::read(&mut helper)?;
    serde_json::from_str(&found).with_context(|| format!("what the throughput helper says: {found:?}"))
}
