//! The program `pasta`, started while the child waits, with the child's network namespace to serve.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustix::fs::{Mode, OFlags, open};
use seclude_child::Op;
use seclude_net::{Closed, Protocol, Publish};
use seclude_request::{Field, Remedy};

use super::veth::from_net;
use super::{Born, Preparation, Step, nesting, published};
use crate::action::Describe;
use crate::advice::Hint;
use crate::child::Child;
use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::namespace::Namespace;
use crate::config::network::Pasta;
use crate::config::start::Starter;
use crate::config::stdio::Stdio;
use crate::error::{Error, Result};
use crate::helper_programs;
use crate::ledger::Ledger;
use crate::program::Program;
use crate::report::Connection;

const NAME: &str = "pasta";

/// Where the container does not come, once that is known: the name server may be there.
pub(super) type Closing = Arc<OnceLock<Closed>>;

struct Relayed {
    publish: Vec<Publish>,
    /// Filled in `prepare`, unless all is open.
    closing: Option<Closing>,
    /// A transaction of nf_tables.
    filter: Vec<u8>,
    found: Option<PathBuf>,
    /// Whether the child's memory is hidden, and with it what /proc has of it.
    hidden: bool,
    new_user: bool,
    starter: Starter,
}

pub(super) fn compile(pasta: &Pasta, command: &Config, closing: &Closing) -> Result<Box<dyn Step>> {
    if !command.die_with_parent {
        let action = "it ends with its caller, so a container that outlives that would lose its network";
        let error = Error::invalid(NAME, action).at("network").contradicting();
        return Err(error.hint("a veth pair stays, or let the container die with its parent"));
    }
    for (index, port) in pasta.publish.iter().enumerate() {
        let field = || Field::of("network").key("publish").index(index);
        if port.host_port == 0 || port.port == 0 {
            return Err(Error::invalid(NAME, format!("published port {port}: port 0 is none")).at_field(field()));
        }
        if let Some(other) = pasta.publish.iter().take(index).find(|other| port.clashes(other)) {
            let error = Error::invalid(NAME, format!("published port {port}: {other} has it already"));
            return Err(error.at_field(field()).contradicting());
        }
    }
    // In a second user namespace it would be no right over this network. With NET_RAW frames are written that no rule sees.
    let undoing = [(Capability::NET_ADMIN, "CAP_NET_ADMIN"), (Capability::NET_RAW, "CAP_NET_RAW")];
    let has = |one: Capability| command.capabilities.is_none_or(|set| set.bits() & one.bit() != 0);
    if let Some((_, name)) = undoing.iter().find(|(one, _)| has(*one))
        && !pasta.host_access
        && !nesting::has_inner(command)
    {
        let action = format!("whoever has {name} in it could open the host's own services to itself");
        let error = Error::invalid(NAME, action).at("network.host_access").contradicting();
        let hint = Hint::from("open them, or leave the capability out");
        return Err(error.hint(hint.with([Remedy::set("network.host_access", true)])));
    }
    Ok(Box::new(Relayed {
        publish: pasta.publish.clone(),
        closing: (!pasta.host_access).then(|| closing.clone()),
        filter: Vec::new(),
        found: None,
        hidden: false,
        new_user: command.namespaces.is_new(Namespace::User),
        starter: command.starter,
    }))
}

impl Step for Relayed {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("network"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let missing = || {
            Error::parent(NAME, "program pasta", rustix::io::Errno::NOENT).hint(
                Hint::from("it is in the package passt; privileged callers can have a veth pair instead")
                    .with([Remedy::Host("install the package passt".into())]),
            )
        };
        self.found = Some(helper_programs::find("pasta").ok_or_else(missing)?);
        // Of a port that somebody has for one kind of addresses it takes the other, without a word.
        for (index, port) in self.publish.iter().enumerate() {
            drop(published::listen(NAME, index, port)?);
        }
        // Of a namespace that is not new there is no user namespace to enter; then it is told the process all the same.
        self.hidden = self.new_user && preparation.host.permitted != 0;
        preparation.report.network = Some(Connection::of_pasta());
        if let Some(closing) = &self.closing {
            let closed = Closed::of_host().map_err(|error| from_net(NAME, error))?;
            self.filter = closed.filter();
            let _ = closing.set(closed);
        }
        Ok(())
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if self.closing.is_some() {
            program.about("the host's own services closed");
            program.push(Op::Packets { batch: &self.filter });
        }
    }

    fn attend(&self, child: &Born, ledger: &mut Ledger) -> Result<()> {
        let Some(program) = &self.found else { return Ok(()) };
        // As a command of ours it dies with its caller, whatever becomes of that.
        let mut command = Config::new(program.into(), self.starter);
        command.add_args(["--quiet", "--foreground", "--stderr", "--config-net"]);
        // Once it is ready it writes its pid there.
        command.add_args(["--pid", "/dev/stdout"]);
        for (flag, protocol) in [("--tcp-ports", Protocol::Tcp), ("--udp-ports", Protocol::Udp)] {
            command.add_args([flag, &ports(&self.publish, protocol)]);
        }
        if rustix::process::geteuid().is_root() {
            // As nobody, which it would become, it could not enter namespaces of root's.
            command.add_args(["--runas", "0:0"]);
        }
        // The other way round the host's loopback would be open to the container.
        command.add_args(["--tcp-ns", "none", "--udp-ns", "none", "--no-map-gw"]);
        let pid = child.pid_in_proc(NAME)?;
        if self.hidden {
            // It gives up CAP_SYS_PTRACE before it looks at the namespaces of a child that nobody else may look at.
            for (number, flag, kind) in [(3, "--userns", "user"), (4, "--netns", "net")] {
                let path = format!("/proc/{pid}/ns/{kind}");
                let opened = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(|errno| Error::parent(NAME, &path, errno).call("open").path_of(&path))?;
                command.fds.push((Arc::new(opened), number));
                command.add_args([flag, &format!("/proc/self/fd/{number}")]);
            }
        } else {
            command.add_args([pid.to_string()]);
        }
        command.stdin = Some(Stdio::null());
        command.stdout = Some(Stdio::piped());
        command.stderr = Some(Stdio::piped());
        // That start has a request of its own.
        let mut pasta = command.start().map_err(|error| error.at("network"))?;
        if is_ready(&mut pasta) {
            ledger.push("pasta", move || end(pasta));
            return Ok(());
        }
        let mut said = String::new();
        if let Some(stderr) = pasta.stderr.take() {
            // It has ended, or is to be.
            let _ = pasta.kill();
            let _ = stderr.take(4096).read_to_string(&mut said);
        }
        let _ = pasta.wait();
        let line = said.lines().rev().find(|line| !line.contains("syslog") && !line.trim().is_empty());
        let why = line.unwrap_or("it ended without a word").trim().to_owned();
        let tun = why.contains("tun").then(|| "it needs read and write access to /dev/net/tun".to_owned());
        Err(Error::parent(NAME, format!("{}: {why}", program.display()), rustix::io::Errno::IO).hint_if(tun))
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, "find the program pasta".to_owned());
        let ports: Vec<String> = self.publish.iter().map(Publish::to_string).collect();
        let ports = if ports.is_empty() { "no ports".to_owned() } else { ports.join(", ") };
        let host = if self.closing.is_some() { "closed" } else { "open" };
        let what =
            format!("start pasta for the child's network namespace, {ports} published, the host's own services {host}");
        to.attend(NAME, what);
    }
}

/// Waits until it has written its pid, or has ended.
fn is_ready(pasta: &mut Child) -> bool {
    let Some(stdout) = pasta.stdout.take() else { return false };
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).is_ok_and(|length| length > 0)
}

fn end(mut pasta: Child) -> std::io::Result<()> {
    pasta.kill().map_err(std::io::Error::other)?;
    pasta.wait().map(drop).map_err(std::io::Error::other)
}

/// `none`, or a list of `ADDRESS/PORT:PORT` as pasta(1) has it.
fn ports(publish: &[Publish], protocol: Protocol) -> String {
    let specs: Vec<String> = publish
        .iter()
        .filter(|port| port.protocol == protocol)
        .map(|port| {
            let host = port.host.map_or_else(String::new, |host| format!("{host}/"));
            format!("{host}{}:{}", port.host_port, port.port)
        })
        .collect();
    if specs.is_empty() { "none".to_owned() } else { specs.join(",") }
}
