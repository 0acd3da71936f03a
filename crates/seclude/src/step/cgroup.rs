//! The container's cgroup: made and limited before the process, which is born in it where the kernel can do that.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};

use seclude_cgroup::{Cgroup, Controller, Hierarchies, Limit, Limits, Reach, Version};
use seclude_child::Op;
use seclude_request::{Field, Remedy};
use seclude_sys::Fd;
use serde_json::json;

use super::{Born, Preparation, Step};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::cgroup::Cgroup as Request;
use crate::config::feature::Feature;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ledger::Ledger;
use crate::meter::{empty, field_of, from_cgroup};
use crate::program::Program;
use crate::report::Preferred;

const NAME: &str = "cgroup";
/// Where root's containers are, as Docker's are in /docker.
const ROOTS: &str = "/seclude";

/// What has counters that are worth a hierarchy of v1.
const COUNTED: [Controller; 5] =
    [Controller::Memory, Controller::Cpu, Controller::Cpuacct, Controller::Pids, Controller::Io];

struct Group {
    request: Request,
    preferred: Vec<Limit>,
    /// Whether the child is cloned into it.
    by_birth: bool,
    /// Shared with the parent's ends.
    made: Arc<OnceLock<Arc<Cgroup>>>,
    /// By which the child joins what is v1.
    entrances: Vec<(PathBuf, OwnedFd)>,
    /// Whether the command could mount what it is in.
    could_mount: bool,
}

pub(super) fn compile(command: &Config, by_birth: bool) -> Result<Option<Box<dyn Step>>> {
    let Some(request) = &command.cgroup else { return Ok(None) };
    let limits = command.preferred.iter().filter_map(|feature| match feature {
        Feature::Limit(limit) => Some(*limit),
        _ => None,
    });
    let preferred: Vec<Limit> = limits.collect();
    request.limits.validate().map_err(|error| from_cgroup(NAME, error.into()))?;
    if command.init && request.limits.pids_max.is_some_and(|most| most < 2) {
        let action = "the init is a process of the container too: it and the command are two";
        let error = Error::invalid(NAME, action).at_field(Field::of("limits").key("pids_max")).contradicting();
        let hint = Hint::from("allow two processes, or have no init");
        return Err(error.hint(hint.with([Remedy::set("init", false)])));
    }
    if request.scope && (request.parent.is_some() || request.move_caller || request.delegated || !preferred.is_empty())
    {
        let action = "a scope of systemd's is its own parent, is all required, and delegates nothing further";
        return Err(Error::invalid(NAME, action).at("cgroup.scope").contradicting());
    }
    if request.delegated && !command.namespaces.is_new(Namespace::Cgroup) {
        let action = "what is delegated needs a new cgroup namespace: its limits lie above";
        return Err(Error::invalid(NAME, action).at("cgroup.delegate").contradicting());
    }
    let by_birth = by_birth && !request.scope;
    Ok(Some(Box::new(Group {
        request: request.clone(),
        preferred,
        by_birth,
        made: Arc::default(),
        entrances: Vec::new(),
        could_mount: command.could_mount_cgroups(),
    })))
}

/// Where it is made unless the caller says otherwise; for an ordinary user the delegated tree that the caller is in.
pub(crate) fn default_parent(hierarchies: &Hierarchies, host: &Host) -> Result<PathBuf, seclude_cgroup::Error> {
    match host.uid {
        0 => Ok(PathBuf::from(ROOTS)),
        _ => hierarchies.delegated_to_caller(),
    }
}

impl Group {
    /// Fails where a limit would be the command's to lift: those of all other controllers lie above it, but the blkio of v1 holds for the
    /// processes of one cgroup alone, not for those of the cgroups below, blkio-controller.rst.
    fn look_for_what_could_be_lifted(&self, is_hosts_root: bool) -> Result<()> {
        let limits = &self.request.limits;
        let is_v1 = |hierarchies: Hierarchies| {
            hierarchies.controller(Controller::Io).is_some_and(|found| found.version() == Version::V1)
        };
        let limited = limits.controllers().contains(&Controller::Io);
        if !(limited && self.could_mount && is_hosts_root && Hierarchies::known().is_ok_and(is_v1)) {
            return Ok(());
        }
        let action =
            "limits of block devices are on cgroups v1 here, and the host's root could lift them with CAP_SYS_ADMIN";
        let error = Error::invalid(NAME, action).at("limits.io_max").contradicting();
        Err(error.hint("have ids of its own instead of the host's root, leave out the capability or the limit"))
    }

    /// Makes it with all limits, or without those that the caller can do without and the host does not have: they are
    /// added to `lost`. `None` if nothing remains that it would be for.
    fn make(&self, host: &Host, lost: &mut Vec<(Limit, String)>) -> Result<Option<Cgroup>, seclude_cgroup::Error> {
        let mut limits = self.request.limits.clone();
        let optional = |limits: &Limits| {
            let mut left = limits.limits().peekable();
            left.peek().is_some() && left.all(|limit| self.preferred.contains(&limit))
        };
        loop {
            let error = match self.create(host, &limits) {
                Ok(cgroup) => return Ok(Some(cgroup)),
                Err(error) => error,
            };
            match error.limit() {
                _ if !error.is_of_the_host() => return Err(error),
                Some(limit) if self.preferred.contains(&limit) => {
                    limits = limits.without(limit);
                    lost.push((limit, error.to_string()));
                    if limits.limits().next().is_none() {
                        return Ok(None);
                    }
                }
                None if optional(&limits) => {
                    lost.extend(limits.limits().map(|limit| (limit, error.to_string())));
                    return Ok(None);
                }
                _ => return Err(error),
            }
        }
    }

    fn create(&self, host: &Host, limits: &Limits) -> Result<Cgroup, seclude_cgroup::Error> {
        let known = Hierarchies::known()?;
        self.create_on(&known, host, limits).or_else(|error| match Hierarchies::discover() {
            Ok(now) if now != known => self.create_on(&now, host, limits),
            _ => Err(error),
        })
    }

    fn create_on(
        &self,
        hierarchies: &Hierarchies,
        host: &Host,
        limits: &Limits,
    ) -> Result<Cgroup, seclude_cgroup::Error> {
        let parent = match &self.request.parent {
            Some(parent) => parent.clone(),
            None => default_parent(hierarchies, host)?,
        };
        sweep_once(hierarchies, &parent);
        if self.request.move_caller {
            hierarchies.move_to_leaf(&parent, std::process::id())?;
        }
        self.create_in(hierarchies, &parent, limits)
    }

    fn create_in(
        &self,
        hierarchies: &Hierarchies,
        parent: &Path,
        limits: &Limits,
    ) -> Result<Cgroup, seclude_cgroup::Error> {
        // Without v2 the freezer is what holds the tree still while it is killed.
        let freezer = hierarchies.v2().is_none().then_some(Controller::Freezer);
        let mut extra: Vec<Controller> = freezer.into_iter().chain(self.counted(hierarchies)).collect();
        loop {
            let reach = if self.request.everywhere { Reach::Everywhere } else { Reach::Needed };
            match Cgroup::create_in(hierarchies, parent, limits, &extra, reach) {
                // Not handed down to where this is made: then it is not counted, which the counters say by themselves.
                Err(seclude_cgroup::Error::NoController { controller, limit: None, .. })
                    if extra.contains(&controller) && COUNTED.contains(&controller) =>
                {
                    extra.retain(|counted| *counted != controller);
                }
                other => return other,
            }
        }
    }

    /// Writes it down: for its undo, for the handle, for the steps to come.
    fn keep(&self, cgroup: Cgroup, ledger: &mut Ledger) -> Arc<Cgroup> {
        let cgroup = Arc::new(cgroup);
        let undone = cgroup.clone();
        ledger.push(format!("cgroup {}", cgroup.path().display()), move || end(&undone));
        self.made.get_or_init(|| cgroup).clone()
    }

    /// Has systemd make a scope around the waiting child, and moves it on to a cgroup of its own in there.
    #[cfg(feature = "systemd")]
    fn enter_scope(&self, born: &Born, ledger: &mut Ledger) -> Result<()> {
        let pid = born.pid.unsigned_abs();
        crate::scope::start(pid)?;
        let failed = |error| from_cgroup(NAME, error);
        let gone = || Error::parent(NAME, format!("scope of {pid}"), rustix::io::Errno::SRCH);
        let scope =
            seclude_cgroup::v2_path_of(born.pid_in_proc(NAME)?.unsigned_abs()).map_err(failed)?.ok_or_else(gone)?;
        let hierarchies = Hierarchies::discover().map_err(failed)?;
        // A scope with a process of its own could hand nothing down.
        let leaf = hierarchies.move_to_leaf(&scope, pid).map_err(failed)?;
        if let Some(leaf) = leaf.clone() {
            let hierarchies = hierarchies.clone();
            let undo = move || hierarchies.remove_leaf(&leaf).map_err(std::io::Error::other);
            ledger.push("leaf of the scope", undo);
        }
        let cgroup = self.create_in(&hierarchies, &scope, &self.request.limits).map_err(failed)?;
        self.keep(cgroup, ledger).join(pid).map_err(failed)?;
        leaf.map_or(Ok(()), |leaf| hierarchies.remove_leaf(&leaf)).map_err(failed)
    }

    #[cfg(not(feature = "systemd"))]
    fn enter_scope(&self, _: &Born, _: &mut Ledger) -> Result<()> {
        Err(Error::invalid(NAME, "this build cannot ask systemd for a scope").at("cgroup.scope"))
    }

    /// What is counted although it is not limited.
    fn counted(&self, hierarchies: &Hierarchies) -> Vec<Controller> {
        let wanted = self.request.counted || self.request.limits.limits().next().is_none();
        let all = COUNTED.into_iter().filter(|controller| wanted && hierarchies.controller(*controller).is_some());
        all.collect()
    }
}

/// Removes what spawners that were killed have left in `parent`: once a process, as it is nobody's urgent business.
fn sweep_once(hierarchies: &Hierarchies, parent: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    // Whoever has it just now may be a thread of the process that this one was forked from, and need not be waited for.
    let is_first = match SWEPT.try_lock() {
        Ok(mut swept) => swept.insert(parent.to_owned()),
        Err(TryLockError::Poisoned(swept)) => swept.into_inner().insert(parent.to_owned()),
        Err(TryLockError::WouldBlock) => false,
    };
    if is_first {
        // What cannot be swept is not in the way of this spawn; `seclude gc` tells about it.
        let _ = hierarchies.sweep(parent);
    }
}

/// Removes the cgroup, for which the kernel looks whether it is empty; if it is not, kills whatever is left inside first.
fn end(cgroup: &Cgroup) -> std::io::Result<()> {
    let removed = cgroup.remove().or_else(|_| empty(cgroup).and_then(|()| cgroup.remove()));
    removed.map_err(std::io::Error::other)
}

/// Of a cgroup that the sandbox has for its bound of processes, where the kernel counts them in no other way.
fn of_the_bound(error: Error) -> Error {
    let own = error.advice().map_or_else(String::new, |own| format!("{own}; "));
    let text = format!("{own}the sandbox bounds its processes, here by a cgroup alone, and can go without the bound");
    error.hint(Hint::from(text).with([Remedy::set("prefer", json!(["pids"]))]))
}

/// Of a cgroup that limits were asked for of, and that this host does not let the caller make.
fn of_the_host(error: Error, limits: &Limits) -> Error {
    let Some(first) = limits.limits().next() else { return error };
    let own = error.advice().map_or_else(String::new, |own| format!("{own}; "));
    let names: Vec<&str> = limits.limits().map(|limit| Feature::Limit(limit).name()).collect();
    let hint = Hint::from(format!("{own}or do without the limits where they cannot be had"));
    let remedies = error.remedies().to_vec();
    let hint = hint.with(remedies).with([Remedy::give("cgroup.parent"), Remedy::set("prefer", json!(names))]);
    error.at_field(field_of(first)).hint(hint)
}

impl Step for Group {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("cgroup"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        preparation.ends.cgroup = self.made.clone();
        if self.request.scope {
            return Ok(());
        }
        let outside = [preparation.container_root.0, preparation.container_user.0];
        self.look_for_what_could_be_lifted(outside.contains(&0))?;
        let failed = |error| from_cgroup(NAME, error);
        let mut lost = Vec::new();
        let mut without = None;
        let made = match self.make(preparation.host, &mut lost) {
            Err(error)
                if self.request.implied && self.request.limits.limits().next().is_none() && error.is_of_the_host() =>
            {
                without = Some(Preferred { feature: NAME, achieved: false, reason: Some(error.to_string()) });
                None
            }
            made => made.map_err(|error| {
                let (is_of_the_host, limit) = (error.is_of_the_host(), error.limit());
                match failed(error) {
                    error if self.request.implied => of_the_bound(error),
                    error if is_of_the_host && limit.is_none() => of_the_host(error, &self.request.limits),
                    error => error,
                }
            })?,
        };
        let preferred = self
            .preferred
            .iter()
            .map(|limit| {
                let reason = lost.iter().find(|(known, _)| known == limit).map(|(_, reason)| reason.clone());
                Preferred { feature: Feature::Limit(*limit).name(), achieved: reason.is_none(), reason }
            })
            .chain(without);
        preparation.report.preferred.extend(preferred);
        let Some(made) = made else { return Ok(()) };
        let cgroup = self.keep(made, preparation.ledger);
        if self.request.delegated {
            let (uid, gid) = *preparation.container_root;
            cgroup.delegate(uid, gid).map_err(failed)?;
        }
        self.by_birth &= cgroup.fd().is_some();
        for (path, entrance) in cgroup.own_entrances().map_err(failed)? {
            let lifted = preparation
                .lifted(entrance)
                .map_err(|errno| Error::parent(NAME, path.display().to_string(), errno).call("fcntl"))?;
            self.entrances.push((path, lifted));
        }
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.entrances.iter().map(|(_, entrance)| Fd(entrance.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for (path, entrance) in &self.entrances {
            program.about_owned(path.display().to_string());
            program.push(Op::JoinCgroup { tasks: Fd(entrance.as_raw_fd()) });
        }
    }

    fn birthplace(&self) -> Option<Fd> {
        let cgroup = self.made.get().filter(|_| self.by_birth)?;
        cgroup.fd().map(|fd| Fd(fd.as_raw_fd()))
    }

    fn attend(&self, born: &Born, ledger: &mut Ledger) -> Result<()> {
        let pid = born.pid.unsigned_abs();
        if self.request.scope {
            return self.enter_scope(born, ledger);
        }
        let Some(cgroup) = self.made.get() else { return Ok(()) };
        if self.by_birth {
            return Ok(());
        }
        cgroup.join_v2(pid).map_err(|error| from_cgroup(NAME, error))
    }

    fn describe(&self, to: &mut Describe) {
        let limits: Vec<&str> = self.request.limits.limits().map(Limit::name).collect();
        let limits = if limits.is_empty() { "no limits".to_owned() } else { limits.join(", ") };
        if self.request.scope {
            to.attend(
                NAME,
                format!("ask systemd for a delegated scope, make a cgroup in it, set and read back: {limits}"),
            );
            return to.attend(NAME, "join it, by cgroup.procs".to_owned());
        }
        let parent = match &self.request.parent {
            Some(parent) => parent.display().to_string(),
            None => format!("{ROOTS} (as root) or the caller's own delegated cgroup"),
        };
        to.prepare(NAME, format!("make a cgroup in {parent}, set and read back: {limits}"));
        if !self.by_birth {
            to.attend(NAME, "join what is v2, by cgroup.procs".to_owned());
        }
    }
}

/// The root of a new cgroup namespace is where its first process is, so it is made after that has moved.
struct OwnRoot;

pub(super) fn namespace(command: &Config) -> Option<Box<dyn Step>> {
    makes_namespace_late(command).then(|| Box::new(OwnRoot) as Box<dyn Step>)
}

/// Whether the cgroup namespace is not made by the clone: with CLONE_INTO_CGROUP the kernel would still root it at the
/// *caller's* cgroup, and the container would see itself at `/../…`.
pub(crate) fn makes_namespace_late(command: &Config) -> bool {
    (command.cgroup.is_some() || command.joined_cgroup.is_some()) && command.namespaces.is_new(Namespace::Cgroup)
}

impl Step for OwnRoot {
    fn name(&self) -> &'static str {
        "cgroup namespace"
    }

    fn field(&self) -> Option<Field> {
        Some(Namespace::Cgroup.field())
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("rooted at the container's cgroup");
        program.push(Op::CgroupNamespace);
    }
}
