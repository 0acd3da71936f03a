//! What this host can do, found by doing it.
//!
//! Each feature is tried in a throwaway process with everything that a real one goes through but the last step: it
//! asks for a command that does not exist, and succeeds if that is the first thing the kernel objects to.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use seclude_cgroup::{Access, Controller, DeviceKind, DeviceRule, Hierarchies, Limits, List, Version};
use seclude_request::Remedy;
use serde::Serialize;

use crate::command::Command;
use crate::config::cgroup::Cgroup;
use crate::config::clone::CloneWay;
use crate::config::ids::UserMap;
use crate::config::landlock::Landlock;
use crate::config::mount::Mount;
use crate::config::namespace::Namespace;
use crate::config::network::Names;
use crate::config::root::{Overlay, Root};
use crate::config::seccomp::Seccomp;
use crate::config::stdio::Stdio;
use crate::error::{Code, Error};
use crate::host::Host;
use crate::isolation::Gap;

/// Whether a feature works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It does.
    Works,
    /// It does, in another way than the newest kernels have; the evidence says which.
    WorksWith,
    /// It does not, for the reason in the evidence.
    DoesNot,
}

/// One line of the examination.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The feature, such as `"net namespace"`.
    pub feature: String,
    /// Whether it works.
    pub verdict: Verdict,
    /// What was tried and what the kernel answered.
    pub evidence: String,
    /// What would make it work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The same as data, where there are fields of a request for it.
    #[serde(skip)]
    pub remedies: Vec<Remedy>,
}

/// All findings.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Examination {
    /// In the order of a start: namespaces, ways of cloning, ids, mounts, cgroups, the whole sandbox last.
    pub findings: Vec<Finding>,
    /// Whether the caller is privileged, for the summary.
    pub root: bool,
}

const MEMORY_OVERLAY: &str = "overlay, writes in memory";
/// The feature that everything else stands on.
const PROCESS: &str = "a new process";
const LANDLOCK: &str = "landlock";
const NAMES: &str = "network of names";
/// What is left of the preset where a host gives no namespaces.
const NO_NAMESPACES: &str = "sandbox without namespaces";
/// The feature that stands for the preset as a whole.
const SANDBOX: &str = "sandbox";

impl Examination {
    /// Whether [`Command::sandbox`] works here.
    pub fn sandbox_works(&self) -> bool {
        self.findings.iter().any(|finding| finding.feature == SANDBOX && finding.verdict != Verdict::DoesNot)
    }

    /// One line for the caller's privilege level.
    pub fn summary(&self) -> String {
        let who = if self.root { "as root" } else { "as an ordinary user" };
        let missing: Vec<&str> = self
            .findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::DoesNot)
            .map(|finding| finding.feature.as_str())
            .collect();
        match (self.sandbox_works(), missing.is_empty()) {
            (true, true) => format!("{who}: everything works"),
            (true, false) => format!("{who}: the sandbox works; without: {}", missing.join(", ")),
            (false, _) => format!("{who}: the sandbox does not work; without: {}", missing.join(", ")),
        }
    }
}

/// No command of this name exists in any root.
const NOBODY: &str = "/.seclude-doctor/no-such-command";

/// Tries everything.
pub fn examine() -> Examination {
    let root = Host::current().uid == 0;
    let mut findings = Vec::new();
    let mut attempt = |feature: String, build: &dyn Fn(&mut Command)| {
        let mut command = Command::new(NOBODY);
        command.current_dir("/");
        build(&mut command);
        findings.push(finding(feature, command.spawn().err()));
    };

    attempt(PROCESS.into(), &|_| {});
    attempt("user namespace".into(), &|command| {
        command.unshare(Namespace::User);
    });
    for kind in Namespace::ALL.into_iter().filter(|kind| *kind != Namespace::User) {
        attempt(format!("{kind} namespace"), &move |command| {
            command.unshare(Namespace::User).unshare(kind);
            if kind == Namespace::Pid {
                command.unshare(Namespace::Mount);
            }
        });
    }
    for way in [CloneWay::Vm, CloneWay::Copy, CloneWay::Legacy] {
        attempt(format!("clone way {way}"), &move |command| {
            command.unshare(Namespace::User).clone_way(way);
        });
    }
    attempt("subordinate ids".into(), &|command| {
        command.unshare(Namespace::User).user_map(UserMap::SubIds);
    });
    let in_tree = |command: &mut Command| {
        command.unshare(Namespace::User).unshare(Namespace::Mount);
    };
    attempt("read-only root".into(), &|command| {
        in_tree(command);
        command.root(Root::host().read_only());
    });
    attempt("root of its own".into(), &|command| {
        in_tree(command);
        command.root(Root::directory("/usr").read_only()).mount(Mount::bind("/usr/bin", "/bin"));
    });
    attempt("fresh /proc".into(), &|command| {
        in_tree(command);
        command.unshare(Namespace::Pid).mount(Mount::proc("/proc"));
    });
    attempt("minimal /dev".into(), &|command| {
        in_tree(command);
        command.mount(Mount::dev("/dev"));
    });
    attempt("tmpfs".into(), &|command| {
        in_tree(command);
        command.mount(Mount::tmpfs("/tmp"));
    });
    attempt(MEMORY_OVERLAY.into(), &|command| {
        in_tree(command);
        command.mount(Mount::overlay(Overlay::new(["/usr"]).ephemeral(), "/usr"));
    });
    attempt("filter of system calls".into(), &|command| {
        command.unshare(Namespace::User).seccomp(Seccomp::standard());
    });
    attempt(LANDLOCK.into(), &|command| {
        let all = Landlock::new().ro("/").exec("/").connect([]).bind([]);
        command.landlock(all.scope_abstract_unix_sockets().scope_signals());
    });
    attempt(NO_NAMESPACES.into(), &|command| {
        command.no_namespaces();
    });
    attempt("terminal".into(), &|command| {
        in_tree(command);
        command.mount(Mount::dev("/dev")).terminal(24, 80);
    });
    let limited = |command: &mut Command, limits: Limits| {
        command.unshare(Namespace::User).limits(limits);
    };
    attempt("cgroup".into(), &|command| {
        command.unshare(Namespace::User).cgroup(Cgroup::new());
    });
    attempt("memory limit".into(), &|command| limited(command, Limits::new().memory_max(256 << 20)));
    attempt("swap limit".into(), &|command| {
        limited(command, Limits::new().memory_max(256 << 20).memory_swap_max(0));
    });
    attempt("cpu limit".into(), &|command| limited(command, Limits::new().cpu_max(0.5)));
    attempt("cpuset".into(), &|command| limited(command, Limits::new().cpuset_cpus(List::from(0))));
    attempt("pids limit".into(), &|command| limited(command, Limits::new().pids_max(64)));
    attempt("io weight".into(), &|command| limited(command, Limits::new().io_weight(100)));
    attempt("device rules".into(), &|command| {
        let all = [DeviceKind::Char, DeviceKind::Block];
        let rules = all.map(|kind| DeviceRule { kind, major: None, minor: None, access: Access::ALL });
        limited(command, Limits::new().devices(rules.to_vec()));
    });
    attempt("delegated cgroup".into(), &|command| {
        in_tree(command);
        command.unshare(Namespace::Cgroup).cgroup(Cgroup::new().delegate(true)).mount(Mount::cgroup("/sys/fs/cgroup"));
    });
    attempt(NAMES.into(), &|command| {
        in_tree(command);
        let all = "seclude.invalid:443".parse().map_or_else(|_| Names::new(), |rule| Names::new().allow(rule));
        command.names(all);
    });
    attempt(SANDBOX.into(), &|command| {
        command.sandbox();
    });
    let sandbox = findings.pop();
    other_ways(&mut findings);
    what_landlock_leaves(&mut findings);
    connect_by_name(&mut findings);
    findings.extend(network());
    findings.extend(sandbox);
    Examination { findings, root }
}

/// Whether tmpfs has extended attributes of users, by which an overlay in a user namespace notes that a directory hides the
/// one below it. A memfd is a file of it.
fn keeps_attributes() -> bool {
    let memfd = rustix::fs::memfd_create("seclude-doctor", rustix::fs::MemfdFlags::CLOEXEC);
    memfd.and_then(|file| rustix::fs::fsetxattr(&file, "user.seclude", b"y", rustix::fs::XattrFlags::empty())).is_ok()
}

/// Says of what works by older means than the newest that it does.
fn other_ways(findings: &mut [Finding]) {
    let hierarchies = Hierarchies::discover().ok();
    let on_v1 = |controller| {
        let hierarchy = hierarchies.as_ref()?.controller(controller)?;
        (hierarchy.version() == Version::V1).then(|| {
            format!("cgroup v1 at {}, joined while the child waits: slower", hierarchy.mount_point().display())
        })
    };
    let way = |feature: &str| match feature {
        PROCESS => Host::current().clone3_refused.map(|errno| format!("clone(2): clone3 answers {errno} here")),
        "memory limit" | "swap limit" => on_v1(Controller::Memory),
        "cpu limit" => on_v1(Controller::Cpu),
        "cpuset" => on_v1(Controller::Cpuset),
        "pids limit" => on_v1(Controller::Pids),
        "io weight" => on_v1(Controller::Io),
        "device rules" => on_v1(Controller::Devices),
        MEMORY_OVERLAY => (!keeps_attributes())
            .then(|| "before Linux 6.6: inside, a directory that was removed cannot be made again (EIO)".into()),
        "read-only root" => (seclude_sys::mount::set_attributes(seclude_sys::Fd::NONE, 0, false)
            == Err(seclude_sys::Errno::ENOSYS))
        .then(|| "mount(2) for each mount, as there is no mount_setattr (before Linux 5.12): slower".into()),
        "time namespace" => (!Host::current().with_time().exec_enters_time)
            .then(|| "a copy of the caller's memory (before Linux 6.3): slower".into()),
        _ => None,
    };
    for finding in findings.iter_mut().filter(|finding| finding.verdict == Verdict::Works) {
        if let Some(way) = way(&finding.feature) {
            finding.verdict = Verdict::WorksWith;
            finding.evidence = way;
        }
    }
}

/// Says what the kernel's rules are, and what no rule of them holds back.
fn what_landlock_leaves(findings: &mut [Finding]) {
    let host = Host::current().with_landlock();
    let mut command = Command::new(NOBODY);
    command.no_namespaces();
    let gaps: Vec<&str> = crate::step::gaps(&command.config, &host).into_iter().map(Gap::name).collect();
    let gaps = gaps.join(", ");
    for finding in findings.iter_mut().filter(|finding| finding.verdict == Verdict::Works) {
        match finding.feature.as_str() {
            LANDLOCK => finding.evidence = format!("ABI {}, tried", host.landlock),
            NO_NAMESPACES => {
                finding.verdict = Verdict::WorksWith;
                finding.evidence = format!("less: not isolated are {gaps}");
            }
            _ => {}
        }
    }
}

/// Has a program inside connect to a port of this process's by a name, and be answered.
fn connect_by_name(findings: &mut [Finding]) {
    let made = |finding: &&mut Finding| finding.feature == NAMES && finding.verdict == Verdict::Works;
    let Some(finding) = findings.iter_mut().find(made) else { return };
    // Where the sandbox shows programs.
    let places = ["/usr/bin/bash", "/bin/bash", "/run/current-system/sw/bin/bash"].map(Path::new);
    let Some(bash) = places.into_iter().find(|place| place.is_file()) else {
        finding.evidence = "made; a connection through it was not tried, as there is no bash to make one".into();
        return;
    };
    match answered_by_name(bash) {
        Ok(()) => finding.evidence = "a program inside was answered through it".into(),
        Err(why) => {
            finding.verdict = Verdict::DoesNot;
            finding.evidence = format!("made, but a program inside was not answered through it: {why}");
        }
    }
}

fn answered_by_name(bash: &Path) -> Result<(), String> {
    const LONGEST: Duration = Duration::from_secs(10);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let mut command = Command::new(bash);
    let script = format!("exec 3<> /dev/tcp/host.internal/{port} && read -r answer <&3 && test \"$answer\" = seclude");
    command.sandbox().current_dir("/").args(["-c", &script]).names(Names::new().allow_loopback(port));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).deadline(LONGEST);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut peers = Vec::new();
    loop {
        if let Ok((mut peer, _)) = listener.accept() {
            let _ = peer.write_all(b"seclude\n");
            peers.push(peer);
        }
        if let Some(exit) = child.try_wait().map_err(|error| error.to_string())? {
            return if exit.success() { Ok(()) } else { Err(exit.to_string()) };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Docker keeps DOCKER-USER for rules of the host's own.
const LET_THROUGH: &str = "if containers do not get out, let their bridge through; beside Docker: \
                           iptables -I DOCKER-USER -i seclude0 -j ACCEPT; iptables -I DOCKER-USER -o seclude0 -j ACCEPT";

/// What connects a container. The kernel's part is tried in a network namespace of its own, so that nothing is to be seen
/// on the host even for a moment.
fn network() -> Vec<Finding> {
    use seclude_net::probe;
    type Probe = fn() -> Result<(), seclude_net::Error>;
    let kernel: [(&str, Probe); 4] = [
        ("veth", probe::veth),
        ("bridge", probe::bridge),
        ("nf_tables NAT", probe::nf_tables),
        ("network locks", probe::locks),
    ];
    let found = |feature: &str, answer: Result<(), seclude_net::Error>| match answer {
        Ok(()) => works(feature, "tried"),
        Err(error) => finding(feature.into(), Some(crate::step::from_net("network", error))),
    };
    // Where clone3 answers EPERM the C library makes no thread either: only ENOSYS has it use clone(2).
    let tried = std::thread::Builder::new().spawn(move || {
        let made = seclude_sys::clone::unshare(seclude_sys::clone::CLONE_NEWNET);
        kernel.map(|(feature, probe)| match made {
            Ok(()) => found(feature, probe()),
            Err(errno) => {
                let hint = "it takes CAP_NET_ADMIN on the host, and CAP_SYS_ADMIN to be tried where nobody sees it; an \
                            ordinary user can have pasta";
                let error = Error::parent("network", feature, errno).call("unshare").hint(hint);
                finding(feature.into(), Some(error))
            }
        })
    });
    let tried = tried.and_then(|tried| tried.join().map_err(|_| std::io::Error::other("it ended early")));
    let mut findings = tried.map_or_else(
        |error| {
            let failed = |(feature, _): &(&str, Probe)| {
                let action = format!("thread to try {feature} in");
                let errno = std::io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(0));
                let exhausted = || crate::exhaustion::of(error.raw_os_error()?, None);
                let hint = crate::confinement::found().or_else(exhausted);
                let error = Error::parent("network", action, errno).call("clone3");
                finding((*feature).into(), Some(error.hint_if(hint)))
            };
            kernel.iter().map(failed).collect()
        },
        Vec::from,
    );
    findings.push(found("ip_forward", probe::ip_forward()));
    findings.push(match probe::dropping_forwarded() {
        Ok(Some(chain)) => Finding {
            feature: "forwarding".into(),
            verdict: Verdict::WorksWith,
            evidence: format!("{chain}, which drops what no rule of it lets through"),
            remedy: Some(LET_THROUGH.into()),
            remedies: Vec::new(),
        },
        Ok(None) => works("forwarding", "no other table of nf_tables drops what is forwarded"),
        Err(error) => found("forwarding", Err(error)),
    });
    let tun = found("tun", probe::tun());
    let has_tun = tun.verdict == Verdict::Works;
    findings.push(tun);
    findings.push(match crate::helper_programs::find("pasta") {
        Some(program) if has_tun => works("pasta", &program.display().to_string()),
        Some(program) => Finding {
            feature: "pasta".into(),
            verdict: Verdict::DoesNot,
            evidence: format!("{} is there, and needs tun", program.display()),
            remedy: None,
            remedies: Vec::new(),
        },
        None => Finding {
            feature: "pasta".into(),
            verdict: Verdict::DoesNot,
            evidence: "no program pasta in PATH".into(),
            remedy: Some("install the package passt".into()),
            remedies: vec![Remedy::Host("install the package passt".into())],
        },
    });
    findings
}

fn works(feature: &str, evidence: &str) -> Finding {
    let (feature, evidence) = (feature.into(), evidence.into());
    Finding { feature, verdict: Verdict::Works, evidence, remedy: None, remedies: Vec::new() }
}

fn finding(feature: String, answer: Option<Error>) -> Finding {
    match answer {
        Some(error) if error.code() == Code::NotFound => works(&feature, "tried"),
        Some(error) => {
            let remedy = error.advice().map(str::to_owned);
            let place = match (error.errno_name(), error.system_call()) {
                (Some(errno), Some(call)) => format!("{} {}: {errno} in {call}", error.step(), error.action()),
                (Some(errno), None) => format!("{} {}: {errno}", error.step(), error.action()),
                _ => format!("{}: {}", error.step(), error.action()),
            };
            let remedies = error.remedies().to_vec();
            Finding { feature, verdict: Verdict::DoesNot, evidence: place, remedy, remedies }
        }
        None => {
            let evidence = format!("{NOBODY} exists");
            Finding { feature, verdict: Verdict::DoesNot, evidence, remedy: None, remedies: Vec::new() }
        }
    }
}
