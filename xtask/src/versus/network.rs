//! What a network costs: measured in a network namespace of its own, so that the machine's network is left alone.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use seclude::{Dns, Publish, Veth};
use serde::{Deserialize, Serialize};

use super::contestants::lean;
use super::names::{self, OfNames};
use super::programs::Programs;
use super::statistics::Statistics;
use crate::workspace::{find, read, run};

/// Microseconds, and bits a second.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Network {
    /// Spawn until it runs, with a network namespace that has only `lo`.
    pub(super) without_us: f64,
    /// The same with a veth pair at a bridge that has a container already, NAT and a published port.
    pub(super) with_us: f64,
    /// The same where it is the only container, so bridge and rules are made and removed each time.
    pub(super) alone_us: f64,
    /// From the command's end until nothing of it is left.
    pub(super) end_us: f64,
    /// The first fifty of a thousand in sequence, and the last fifty.
    pub(super) first_us: f64,
    pub(super) last_us: f64,
    /// From a container to the host, and the same through a veth pair that `ip` has made; `None` without iperf3.
    pub(super) throughput: Option<Throughput>,
    pub(super) names: OfNames,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Throughput {
    pub(super) ours: f64,
    pub(super) by_hand: f64,
}

/// Why it cannot be measured, or what was.
pub(super) fn measure(programs: &Programs, runs: u32) -> Result<Result<Network, String>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Err("needs root".into()));
    }
    let mut helper = Command::new("unshare");
    helper.args(["--net", "--mount", "--"]).arg(&programs.own).args(["versus-helper", "network"]);
    let found = read(helper.arg(&programs.exit).arg(runs.to_string()))?;
    Ok(Ok(serde_json::from_str(&found).with_context(|| format!("what the network helper says: {found:?}"))?))
}

/// In the namespace.
pub(super) fn in_namespace(program: &Path, runs: usize) -> Result<Network> {
    // What is leased is leased here, and not where the machine's own containers are.
    run(Command::new("mount").args(["-t", "tmpfs", "none", "/run"]))?;
    run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    let plain = || lean(program);
    let connected = || {
        let mut command = lean(program);
        command.veth(veth()).dns(Dns::Unchanged);
        command
    };
    let times = |found: &[Duration]| Statistics::of(found).map(|statistics| statistics.p50).context("no times");

    let mut alone = Vec::new();
    for _ in 0..runs.div_ceil(4) {
        alone.push(once(connected())?.0);
    }
    let mut company = seclude::Command::new("sleep");
    company.arg("600").unshare(seclude::Namespace::User).veth(Veth::new().ip_forward(true)).dns(Dns::Unchanged);
    let mut company = company.spawn()?;
    let (mut without, mut with, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        without.push(once(plain())?.0);
        let (start, end) = once(connected())?;
        with.push(start);
        ends.push(end);
    }
    let mut sequence = Vec::new();
    for _ in 0..1000 {
        sequence.push(once(connected())?.0);
    }
    let (first, last) = (sequence.get(..50).unwrap_or_default(), sequence.get(950..).unwrap_or_default());
    let throughput = if find("iperf3").is_some() { Some(throughput()?) } else { None };
    company.kill()?;
    company.wait()?;
    let names = names::measure(program, runs)?;
    Ok(Network {
        without_us: times(&without)?,
        with_us: times(&with)?,
        alone_us: times(&alone)?,
        end_us: times(&ends)?,
        first_us: times(first)?,
        last_us: times(last)?,
        throughput,
        names,
    })
}

fn veth() -> Veth {
    let port = Publish::parse("8080:80").ok().and_then(|mut ports| ports.pop());
    port.into_iter().fold(Veth::new().ip_forward(true), Veth::publish)
}

/// The time until it runs, and from its end until it is cleaned up after.
pub(super) fn once(mut command: seclude::Command) -> Result<(Duration, Duration)> {
    let start = Instant::now();
    let mut child = command.spawn()?;
    let running = start.elapsed();
    let waiting = Instant::now();
    let exit = child.wait()?;
    let ended = waiting.elapsed();
    ensure!(exit.success(), "the command ended with {exit}");
    Ok((running, ended))
}

fn throughput() -> Result<Throughput> {
    const ROUNDS: usize = 3;
    // By hand: a namespace, a pair, an address at each end.
    let mut holder = Killed(Command::new("unshare").args(["--net", "sleep", "600"]).spawn().context("unshare")?);
    let own = fs::read_link("/proc/self/ns/net").context("own namespace")?;
    let pid = holder.0.id().to_string();
    let started = Instant::now();
    while fs::read_link(format!("/proc/{pid}/ns/net")).context("its namespace")? == own {
        ensure!(started.elapsed() < Duration::from_secs(10), "unshare makes no namespace");
        std::thread::sleep(Duration::from_millis(5));
    }
    let ip = |words: &str| run(Command::new("ip").args(words.split(' ')));
    let inside =
        |words: &str| run(Command::new("nsenter").args(["--target", &pid, "--net", "ip"]).args(words.split(' ')));
    ip(&format!("link add hand0 type veth peer name eth0 netns {pid}"))?;
    ip("address add 192.0.2.1/24 dev hand0")?;
    ip("link set hand0 up")?;
    inside("address add 192.0.2.2/24 dev eth0")?;
    inside("link set eth0 up")?;
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_hand.push(iperf(|client| {
            let mut command = Command::new("nsenter");
            command.args(["--target", &pid, "--net", "iperf3"]).args(client).args(["--client", "192.0.2.1"]);
            read(&mut command)
        })?);
        ours.push(iperf(|client| {
            let mut command = seclude::Command::new("iperf3");
            command.args(client).args(["--client", "192.0.2.1"]);
            let to_the_host = Veth::new().ip_forward(true).host_access(true);
            command.unshare(seclude::Namespace::User).veth(to_the_host).dns(Dns::Unchanged);
            let output = command.output()?;
            ensure!(output.exit.success(), "iperf3: {}", String::from_utf8_lossy(&output.stdout));
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        })?);
    }
    let _ = holder.0.kill();
    let median = |mut found: Vec<f64>| {
        found.sort_by(f64::total_cmp);
        found.get(found.len() / 2).copied().unwrap_or_default()
    };
    Ok(Throughput { ours: median(ours), by_hand: median(by_hand) })
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bits a second that a client sends for two seconds to a server here.
fn iperf(client: impl FnOnce(&[&str]) -> Result<String>) -> Result<f64> {
    use std::io::{BufRead, BufReader};
    let mut server = Command::new("iperf3");
    server.args(["--server", "--one-off", "--forceflush"]).stdout(Stdio::piped());
    let mut server = Killed(server.spawn().context("iperf3")?);
    let Some(said) = server.0.stdout.take() else { bail!("a server without a pipe") };
    let mut lines = BufReader::new(said).lines();
    while let Some(line) = lines.next().transpose()? {
        if line.contains("listening") {
            break;
        }
    }
    let said: serde_json::Value = serde_json::from_str(&client(&["--time", "2", "--json"])?)?;
    let rate = said.pointer("/end/sum_received/bits_per_second").and_then(serde_json::Value::as_f64);
    rate.with_context(|| format!("iperf3 says {said}"))
}
