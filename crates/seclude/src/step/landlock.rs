//! Rules of landlock: which files, ports, sockets and processes the command may reach, whatever else confines it.
//!
//! The ruleset is made where the paths are the command's: by the child, once its tree stands; or by the parent, where that is the
//! host's own. It confines nobody until the launcher restricts itself with it, as the last thing before the filter: from then on
//! nothing can be mounted.

pub(super) mod asked;

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, fstat};
use seclude_child::entry::ruleset;
use seclude_child::{Op, Slot};
use seclude_request::{Field, Remedy};
use seclude_sys::landlock::{self, access};
use seclude_sys::{Errno, Fd};
use serde_json::json;

use super::host_files::{HostFiles, Opened};
use super::{Preparation, Step, own_directory};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::feature::Feature;
use crate::config::landlock::Landlock;
use crate::config::namespace::Namespace;
use crate::error::{Code, Error, Result};
use crate::host::Host;
use crate::isolation::Gap;
use crate::program::Program;
use crate::report::Preferred;

pub(super) const NAME: &str = "landlock";

pub(super) const READ: u64 = access::READ_FILE | access::READ_DIR;
/// No device nodes: nothing that is confined needs to make one, and whoever may make a whiteout hides files of an overlay.
pub(super) const WRITE: u64 = access::WRITE_FILE
    | access::REMOVE_DIR
    | access::REMOVE_FILE
    | access::MAKE_DIR
    | access::MAKE_REG
    | access::MAKE_SOCK
    | access::MAKE_FIFO
    | access::MAKE_SYM
    | access::REFER
    | access::TRUNCATE
    | access::RESOLVE_UNIX;
pub(super) const EXECUTE: u64 = access::EXECUTE;

/// The rights that the kernel takes for what is no directory.
const OF_A_FILE: u64 = access::EXECUTE
    | access::WRITE_FILE
    | access::READ_FILE
    | access::TRUNCATE
    | access::IOCTL_DEV
    | access::RESOLVE_UNIX;

/// For what is no directory: a device that is named itself has its ioctls, as it could not be used without.
fn of_a_file(access: u64) -> u64 {
    let device = if access & access::WRITE_FILE != 0 { access::IOCTL_DEV } else { 0 };
    access & OF_A_FILE | device
}

/// Rights of files, by the ABI that has them first.
const FILES: [(u32, u64); 5] = [
    (1, access::REFER - 1),
    (2, access::REFER),
    (3, access::TRUNCATE),
    (5, access::IOCTL_DEV),
    (9, access::RESOLVE_UNIX),
];
/// The same of ports to connect to, and to bind to.
const CONNECT: [(u32, u64); 2] = [(4, access::CONNECT_TCP), (10, access::CONNECT_SEND_UDP)];
const BIND: [(u32, u64); 2] = [(4, access::BIND_TCP), (10, access::BIND_UDP)];

fn of_abi(rows: &[(u32, u64)], abi: u32) -> u64 {
    rows.iter().filter(|(first, _)| *first <= abi).fold(0, |all, (_, rights)| all | rights)
}

/// What a part of the request takes: the first ABI that has all of it, the Linux that brought that, and what an older one leaves open.
struct Need {
    field: Field,
    abi: u32,
    linux: &'static str,
    open: &'static str,
}

/// What of files an older kernel leaves open though there are rules: cutting and devices.
const OPEN_FILES: [(u32, &str); 3] =
    [(1, "all files"), (3, "cutting files (Linux 6.2)"), (5, "ioctls on devices (Linux 6.10)")];

fn at(key: &str) -> Field {
    Field::of(NAME).key(key)
}

fn needs(command: &Config) -> Vec<Need> {
    let Landlock { ro, rw, exec, connect, bind, sockets, signals } = &command.landlock;
    let alone = command.no_namespaces;
    let or_alone = |given: bool, field: Field| if given { field } else { Field::of("no_namespaces") };
    let named = [("ro", ro), ("rw", rw), ("exec", exec)].into_iter().find(|(_, paths)| !paths.is_empty());
    let mut needs = Vec::new();
    let mut need = |wanted: bool, field: Field, abi: u32, linux: &'static str, open: &'static str| {
        if wanted {
            needs.push(Need { field, abi, linux, open });
        }
    };
    let files = named.map(|(key, _)| at(key).index(0));
    need(files.is_some() || alone, files.unwrap_or_else(|| Field::of("no_namespaces")), 5, "6.10", "files");
    let tcp = "TCP ports (Linux 6.7)";
    need(connect.is_some() || alone, or_alone(connect.is_some(), at("connect")), 4, "6.7", tcp);
    need(bind.is_some() && connect.is_none(), at("bind"), 4, "6.7", tcp);
    let scopes = "sockets with abstract names, and signals (Linux 6.12)";
    need(*sockets || *signals || alone, or_alone(*sockets || *signals, at("scopes").index(0)), 6, "6.12", scopes);
    needs
}

/// Where nothing is said of them.
const ALL_PORTS: Option<Vec<u16>> = None;

struct Rule {
    path: PathBuf,
    access: u64,
    field: Field,
}

struct Port {
    port: u16,
    access: u64,
    field: Field,
}

struct Rules {
    abi: u32,
    files: u64,
    net: u64,
    scopes: u64,
    paths: Vec<Rule>,
    ports: Vec<Port>,
    /// Where the caller could do without: what an older kernel leaves open.
    preferred: Option<Option<String>>,
    /// In the place of a tree of its own.
    host_files: Option<HostFiles>,
    gaps: Vec<Gap>,
    /// By the parent, in `prepare`.
    made: Option<OwnedFd>,
}

/// Whether the kernel takes it from this caller: who may gain privileges cannot be restricted by whoever has none.
fn is_privileged(command: &Config, host: &Host) -> bool {
    host.has(Capability::SYS_ADMIN)
        || command.namespaces.is_new(Namespace::User)
        || command.namespaces.is_joined(Namespace::User)
}

/// What is lost of what the request needs; an error, unless that is preferred.
fn lost(command: &Config, host: &Host) -> Result<Option<String>> {
    let abi = host.landlock;
    let lacking: Vec<Need> = needs(command).into_iter().filter(|need| need.abi > abi).collect();
    let Some(first) = lacking.first() else { return Ok(None) };
    let has = match host.landlock_refused {
        Some(errno) => format!("the kernel has none that could be used ({errno})"),
        None => format!("the kernel has ABI {abi}"),
    };
    if command.preferred.contains(&Feature::Landlock) {
        let of_files = OPEN_FILES.iter().filter(|(first, _)| *first > abi).map(|(_, open)| *open);
        let is_files = |need: &&Need| need.abi == 5;
        let mut open: Vec<&str> = Vec::new();
        if lacking.iter().any(|need| is_files(&need)) {
            open.extend(if abi == 0 { of_files.take(1).collect::<Vec<_>>() } else { of_files.collect() });
        }
        open.extend(lacking.iter().filter(|need| !is_files(need)).map(|need| need.open));
        return Ok(Some(format!("{has}, which leaves open: {}", open.join(", "))));
    }
    let most = lacking.iter().max_by_key(|need| need.abi).unwrap_or(first);
    let action = format!("it takes landlock's ABI {}, Linux {}; {has}", most.abi, most.linux);
    let hint = match host.landlock_refused {
        Some("EOPNOTSUPP") => {
            "it is off: add landlock to the list of the kernel's parameter lsm=, or do with as much of it as there is"
        }
        Some(_) => {
            "the kernel was built without (CONFIG_SECURITY_LANDLOCK), or a filter of system calls around the caller refuses it: do with as \
             much of it as there is"
        }
        None => "do with as much of it as there is",
    };
    let remedies = [Remedy::set("prefer", json!([NAME]))];
    let boot = Remedy::Host("boot with landlock in lsm=".to_owned());
    let boot = (host.landlock_refused == Some("EOPNOTSUPP")).then_some(boot);
    let hint = Hint::from(hint).with(remedies.into_iter().chain(boot));
    Err(Error::invalid(NAME, action).coded(Code::Refused).at_field(most.field.clone()).hint(hint))
}

fn rules(command: &Config, host: &Host, own: &own_directory::Made) -> Result<Rules> {
    let lost = lost(command, host)?;
    let (abi, alone) = (host.landlock, command.no_namespaces);
    let Landlock { ro, rw, exec, connect, bind, sockets, signals } = &command.landlock;
    let files = if command.landlock.has_paths() || alone { of_abi(&FILES, abi) } else { 0 };
    // Without a namespace of its own none can be reached but those that are named.
    let closed = if alone { Some(Vec::new()) } else { ALL_PORTS };
    let (connect, bind) = (connect.clone().or(closed.clone()), bind.clone().or(closed));
    let mut net = 0;
    let mut ports = Vec::new();
    for (asked, key, rows) in [(&connect, "connect", &CONNECT), (&bind, "bind", &BIND)] {
        let Some(asked) = asked else { continue };
        let access = of_abi(rows, abi);
        net |= access;
        let rule = |(index, port): (usize, &u16)| Port { port: *port, access, field: at(key).index(index) };
        ports.extend(asked.iter().enumerate().map(rule).filter(|rule| rule.access != 0));
    }
    if net & access::BIND_UDP != 0 && connect.as_ref().is_none_or(|ports| !ports.is_empty()) {
        // Whoever sends to a port has one of its own, which the kernel chooses.
        ports.push(Port { port: 0, access: access::BIND_UDP, field: at("connect") });
    }
    let scope = |wanted: bool, right: u64| if (wanted || alone) && abi >= 6 { right } else { 0 };
    let scopes = scope(*sockets, access::SCOPE_ABSTRACT_UNIX_SOCKET) | scope(*signals, access::SCOPE_SIGNAL);
    let mut paths = Vec::new();
    for (list, key, access) in [(ro, "ro", READ), (rw, "rw", READ | WRITE), (exec, "exec", READ | EXECUTE)] {
        for (index, path) in list.iter().enumerate() {
            let field = at(key).index(index);
            if !path.is_absolute() {
                let action = format!("{} is no absolute path inside the container", path.display());
                return Err(Error::invalid(NAME, action).at_field(field));
            }
            paths.push(Rule { path: path.clone(), access, field });
        }
    }
    Ok(Rules {
        abi,
        files,
        net,
        scopes,
        paths,
        ports,
        preferred: command.preferred.contains(&Feature::Landlock).then_some(lost),
        host_files: alone.then(|| HostFiles::of(command, host, own)),
        gaps: if alone { gaps(command, host) } else { Vec::new() },
        made: None,
    })
}

/// What the sandbox without namespaces leaves open on this host.
pub(crate) fn gaps(command: &Config, host: &Host) -> Vec<Gap> {
    let abi = host.landlock;
    let cgroup = command.cgroup.as_ref();
    let refused = super::filter::closed(command, host);
    let is_unbound = command.landlock.bind.as_ref().is_none_or(Vec::is_empty);
    let is_root = command.identity.uid.unwrap_or(host.uid) == 0;
    let all = [
        (abi < 5, Gap::Files),
        (true, Gap::Names),
        (!refused.metadata, Gap::Metadata),
        (!refused.watches, Gap::Watches),
        (true, Gap::Processes),
        (abi < 6, Gap::Signals),
        (cgroup.is_none(), Gap::Leftovers),
        (cgroup.is_none_or(|cgroup| cgroup.limits.pids_max.is_none()), Gap::ProcessCount),
        (true, Gap::Network),
        (abi < 4, Gap::Tcp),
        (abi >= 4 && !refused.listening && is_unbound, Gap::Listening),
        (abi < 10 && !refused.datagrams, Gap::Udp),
        (abi < 9 && !refused.unix, Gap::UnixSockets),
        (abi < 6 && !refused.unix, Gap::AbstractSockets),
        (true, Gap::Ipc),
        (is_root, Gap::Root),
    ];
    all.into_iter().filter(|(open, _)| *open).map(|(_, gap)| gap).collect()
}

/// The ruleset, for the launcher; behind everything that mounts.
pub(super) fn keep(command: &Config, host: &Host, own: &own_directory::Made) -> Result<Option<Box<dyn Step>>> {
    if !command.is_landlocked() {
        return Ok(None);
    }
    if !command.no_new_privileges && !is_privileged(command, host) {
        let action = "without no_new_privs, and without CAP_SYS_ADMIN, the kernel takes no rules of landlock";
        let hint = Hint::from("keep it").with([Remedy::set("rights.no_new_privileges", true)]);
        return Err(Error::invalid(NAME, action).at("rights.no_new_privileges").contradicting().hint(hint));
    }
    Ok(Some(Box::new(rules(command, host, own)?)))
}

impl Rules {
    /// Whether there is anything that this kernel can be asked for.
    fn is_empty(&self) -> bool {
        self.files == 0 && self.net == 0 && self.scopes == 0
    }

    fn field_of_port(&self, port: u16, access: u64) -> Option<Field> {
        self.ports.iter().find(|rule| (rule.port, rule.access) == (port, access)).map(|rule| rule.field.clone())
    }

    /// In the parent, of the host's files.
    fn make(&self, host_files: &HostFiles) -> Result<OwnedFd> {
        let failed = |call: &'static str, about: &Path, errno: Errno| {
            Error::parent(NAME, format!("{}", about.display()), errno).call(call).path_of(about)
        };
        let ruleset = ruleset(self.files, self.net, self.scopes)
            .map_err(|errno| Error::parent(NAME, "a ruleset", errno).call("landlock_create_ruleset"))?;
        let made = Fd(ruleset.as_raw_fd());
        let mut all = host_files.open()?;
        for rule in &self.paths {
            let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
            let leash = rustix::fs::ResolveFlags::NO_MAGICLINKS;
            let opened = rustix::fs::openat2(rustix::fs::CWD, &rule.path, flags, rustix::fs::Mode::empty(), leash);
            let file = opened.map_err(|errno| {
                failed("openat2", &rule.path, Errno(errno.raw_os_error() as u16))
                    .at_field(rule.field.clone())
                    .hint_if((errno == rustix::io::Errno::NOENT).then_some(crate::hint::NO_SUCH_PATH))
            })?;
            all.push(Opened { file, path: rule.path.clone(), access: rule.access, field: Some(rule.field.clone()) });
        }
        for Opened { file, path, access, field } in &all {
            let found = fstat(file).map_err(|errno| failed("fstat", path, Errno(errno.raw_os_error() as u16)))?;
            let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            let access = if is_directory { *access } else { of_a_file(*access) } & self.files;
            if access != 0 {
                landlock::allow_beneath(made, Fd(file.as_raw_fd()), access)
                    .map_err(|errno| failed("landlock_add_rule", path, errno).or_at(field.clone()))?;
            }
        }
        for Port { port, access, field } in &self.ports {
            landlock::allow_port(made, *port, *access).map_err(|errno| {
                Error::parent(NAME, format!("port {port}"), errno).call("landlock_add_rule").at_field(field.clone())
            })?;
        }
        Ok(ruleset)
    }

    fn describe_closed(&self) -> String {
        let words = [
            (self.files != 0, "files"),
            (self.net & access::CONNECT_TCP != 0, "TCP ports to connect to"),
            (self.net & access::BIND_TCP != 0, "TCP ports to bind to"),
            (self.net & access::CONNECT_SEND_UDP != 0, "UDP ports to send to"),
            (self.net & access::BIND_UDP != 0, "UDP ports to bind to"),
            (self.scopes & access::SCOPE_ABSTRACT_UNIX_SOCKET != 0, "sockets with abstract names of others"),
            (self.scopes & access::SCOPE_SIGNAL != 0, "signals to others"),
        ];
        let all: Vec<&str> = words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
        all.join(", ")
    }
}

impl Step for Rules {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of(if self.host_files.is_some() { "no_namespaces" } else { NAME }))
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        use std::os::unix::ffi::OsStrExt;
        match op {
            Op::AllowPath { path, below, .. } => {
                let is_it = |rule: &&Rule| {
                    rule.path.as_os_str().as_bytes() == path.to_bytes() && rule.access & self.files == *below
                };
                self.paths.iter().find(is_it).map(|rule| rule.field.clone())
            }
            Op::AllowPort { port, access } => self.field_of_port(*port, *access),
            _ => None,
        }
        .or_else(|| self.field())
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        preparation.report.landlock_abi = (!self.is_empty()).then_some(self.abi);
        preparation.report.not_isolated.clone_from(&self.gaps);
        if let Some(lost) = &self.preferred {
            let preferred =
                Preferred { feature: Feature::Landlock.name(), achieved: lost.is_none(), reason: lost.clone() };
            preparation.report.preferred.push(preferred);
        }
        if let Some(host_files) = self.host_files.as_ref().filter(|_| !self.is_empty()) {
            let made = self.make(host_files)?;
            let lifted = preparation.lifted(made);
            self.made = Some(lifted.map_err(|errno| Error::parent(NAME, "the ruleset", errno).call("fcntl"))?);
        }
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.made.iter().map(|made| Fd(made.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if self.is_empty() {
            return;
        }
        if self.host_files.is_some() {
            // Before `prepare` there is one that is not open.
            let fd = self.made.as_ref().map_or(Fd::NONE, |made| Fd(made.as_raw_fd()));
            program.about("the ruleset, of the host's own files");
            program.push(Op::Keep { fd });
            program.ruleset = Some(fd);
            return;
        }
        program.about_owned(format!("ABI {}: closes {}", self.abi, self.describe_closed()));
        program.push(Op::Ruleset { files: self.files, net: self.net, scopes: self.scopes });
        for Rule { path, access, field } in &self.paths {
            let below = access & self.files;
            program.about_owned(format!("{}, to {}", path.display(), purpose(field)));
            let path = program.text(path);
            program.push(Op::AllowPath { path, below, file: of_a_file(*access) & self.files });
        }
        for Port { port, access, field } in &self.ports {
            program.about_owned(format!("port {port}, to {}", purpose(field)));
            program.push(Op::AllowPort { port: *port, access: *access });
        }
        program.about("the ruleset");
        let at = program.number_for_launcher();
        program.push(Op::Hold { slot: Slot::RULESET, at });
        program.ruleset = Some(at);
    }

    fn describe(&self, to: &mut Describe) {
        if let Some(Some(lost)) = &self.preferred {
            to.prepare(NAME, format!("do with what there is: {lost}"));
        }
        if let Some(host_files) = &self.host_files {
            to.prepare(NAME, format!("a ruleset of ABI {} that closes {}", self.abi, self.describe_closed()));
            to.prepare(NAME, host_files.describe());
            for Rule { path, field, .. } in &self.paths {
                to.prepare(NAME, format!("open {}, to {}", path.display(), purpose(field)));
            }
            for Port { port, field, .. } in &self.ports {
                to.prepare(NAME, format!("open port {port}, to {}", purpose(field)));
            }
        }
        for gap in &self.gaps {
            to.prepare(NAME, format!("not isolated: {gap}"));
        }
    }
}

/// What a rule of this field is there for.
fn purpose(field: &Field) -> &'static str {
    match field.last() {
        Some("rw") => "read and write",
        Some("exec") => "read and execute",
        Some("connect") => "connect to",
        Some("bind") => "bind to",
        _ => "read",
    }
}

/// By the launcher: before the rights go if that takes rights, else once no new ones can be had.
struct Restrict {
    before_rights: bool,
}

pub(super) fn restrict(command: &Config, before_rights: bool) -> Option<Box<dyn Step>> {
    (command.is_landlocked() && command.no_new_privileges != before_rights)
        .then(|| Box::new(Restrict { before_rights }) as Box<dyn Step>)
}

impl Step for Restrict {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of(NAME))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let Some(ruleset) = program.ruleset else { return };
        program.about(if self.before_rights { "with CAP_SYS_ADMIN" } else { "with no_new_privs" });
        program.push(Op::Restrict { ruleset });
    }
}
