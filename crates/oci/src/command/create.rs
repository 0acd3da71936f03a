//! `create`: a container that is all there but its command, which waits for `start`.
//!
//! In an order in which whoever finds less than all of it knows what to remove: its directory is locked from the first moment, what is
//! going to be made is written down before it is, and what waits ends with this process until it is written down as well.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use seclude::Child;
use seclude::cgroup::Error::NoHierarchy;
use seclude::cgroup::{Cgroup, Devices, Hierarchies, Hierarchy, Named};

use super::{Context, delete};
use crate::arguments::{CgroupManager, New, Rootless};
use crate::bundle::{Bundle, write_whole};
use crate::caller::is_root_of_the_host;
use crate::convert::{
    Circumstances, Converted, Origins, cgroup_mount, convert, is_in_place, not_ambient, unknown_capabilities,
};
use crate::device_rules::allowed;
use crate::failure::{Failure, Result};
use crate::hooks::{self, Place};
use crate::inside::Inside;
use crate::intel_rdt::Group;
use crate::interrupts;
use crate::mounted;
use crate::notify::Notify;
use crate::processors;
use crate::resources;
use crate::sockets;
use crate::spec::{Hooks, Linux, Spec};
use crate::state::{CgroupIs, Entry, Identity, Record, SOCKET, Status};
use crate::systemd::{self, Holder, Unit};
use crate::time::rfc3339;

/// What was made, and is locked.
pub(super) struct Created {
    pub(super) entry: Entry,
    pub(super) record: Record,
    pub(super) spec: Spec,
    /// The master of its terminal, if it was not handed over.
    pub(super) terminal: Option<OwnedFd>,
}

pub(super) fn run(context: &Context<'_>, new: &New, id: &str) -> Result<()> {
    create(context, new, id, false).map(drop)
}

/// `keeps`: a terminal that nobody is sent is the caller's.
pub(super) fn create(context: &Context<'_>, new: &New, id: &str, keeps: bool) -> Result<Created> {
    crate::state::check_id(id)?;
    let Bundle { path: bundle, spec } = Bundle::read(&new.bundle, &new.config, context.log)?;
    let console = console(new, &spec, keeps)?;
    let pidfd_socket = new.pidfd_socket.as_ref().map(|path| sockets::of_caller("--pidfd-socket", path)).transpose()?;
    let empty = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&empty);
    let hierarchies = Hierarchies::discover()?;
    let scope = scope(id, linux, context)?;
    let cgroup = match &scope {
        Some(unit) => Some(unit.path()?),
        None => cgroup_path(id, linux, context)?,
    };
    linux.resources.as_ref().map_or(Ok(()), resources::check)?;
    if cgroup.is_none() {
        can_do_without(linux)?;
    }
    let circumstances = Circumstances {
        bundle: &bundle,
        hierarchies: &hierarchies,
        cgroup: cgroup.as_deref(),
        keyring: !new.no_new_keyring,
        pivots: !new.no_pivot,
    };
    let converted = convert(&spec, &circumstances)?;
    converted.notes.iter().for_each(|told| context.log.note(told));
    // Whatever contradicts itself is known before anything is made.
    converted.command.plan().map_err(|error| converted.origins.explain(error))?;
    if let Some(notify) = Notify::of(&spec)? {
        // Also where it is sent nothing before the start.
        notify.look()?;
    }
    let rules = device_rules(context, linux)?;
    for told in spec.process.iter().flat_map(|process| [unknown_capabilities(process), not_ambient(process)]).flatten()
    {
        context.log.warn(&told);
    }
    if let Some(file) = &new.pid_file {
        has_directory(file)?;
    }

    let rdt = linux.intel_rdt.as_ref().map(|asked| Group::of(asked, id)).transpose()?;

    let entry = context.store.create(id)?;
    let looked = || -> Result<_> {
        let rootfs_on = is_in_place(linux).then(|| mounted::mount_of(&converted.rootfs)).transpose()?;
        Ok((rootfs_on, entry.mark()?))
    };
    let (rootfs_on, cgroup_mark) = match looked() {
        Ok(looked) => looked,
        Err(failure) => {
            entry.abandon();
            return Err(failure);
        }
    };
    let mut record = Record {
        oci_version: spec.oci_version.clone(),
        bundle: bundle.clone(),
        rootfs: converted.rootfs.clone(),
        rootfs_on,
        process: None,
        cgroup: cgroup.clone(),
        scope,
        rdt,
        cgroup_is: CgroupIs::NotKnown,
        cgroup_in: Vec::new(),
        cgroup_dirs: Vec::new(),
        cgroup_mark,
        created: rfc3339(SystemTime::now()),
        owner: rustix::process::getuid().as_raw(),
        annotations: spec.annotations.clone(),
    };
    let making = Making {
        context,
        new,
        spec: &spec,
        linux,
        circumstances,
        rules,
        console: console.as_ref(),
        pidfd_socket: pidfd_socket.as_ref(),
    };
    let mut made = Made::default();
    match making.make(&entry, &mut record, converted, &mut made) {
        Ok(terminal) => Ok(Created { entry, record, spec, terminal }),
        Err(failure) => Err(undo(&entry, &record, &spec, made, failure).map_or_else(
            |failure| failure,
            |failure| match entry.remove() {
                Ok(()) => failure,
                Err(left) => failure.and(left),
            },
        )),
    }
}

/// What there is to be undone.
#[derive(Default)]
struct Made {
    cgroup: Option<Cgroup>,
    /// In its scope until a process of the container's is.
    holder: Option<Holder>,
    /// Whether hooks were run, which have something to undo themselves.
    hooked: Arc<Mutex<bool>>,
    pid_file: Option<PathBuf>,
}

/// What a create goes by.
struct Making<'a> {
    context: &'a Context<'a>,
    new: &'a New,
    spec: &'a Spec,
    linux: &'a Linux,
    circumstances: Circumstances<'a>,
    rules: Option<Devices>,
    console: Option<&'a OwnedFd>,
    pidfd_socket: Option<&'a OwnedFd>,
}

impl Making<'_> {
    fn make(
        &self,
        entry: &Entry,
        record: &mut Record,
        converted: Converted,
        made: &mut Made,
    ) -> Result<Option<OwnedFd>> {
        entry.write_config(self.spec)?;
        entry.write_record(record)?;
        let converted = self.enter(entry, record, converted, made)?;
        let mut command = converted.command;
        if let Some(cgroup) = &made.cgroup {
            // By what its limits were written with: one that somebody has removed in a hierarchy since is no cgroup without a limit.
            command.join_cgroup_opened(cgroup.existing()?);
        }
        self.context.preserved.give(&mut command)?;
        command.hold(sockets::listener(entry.dir(), SOCKET)?);
        command.die_with_parent(false);
        self.attend(&mut command, entry, record, made);
        if let (Some(group), Some(asked)) = (record.rdt.clone(), &self.linux.intel_rdt) {
            group.make(asked).inspect_err(|_| record.rdt = None)?;
            command.when_born(move |pid| group.join(pid).map_err(Failure::into_io));
        }
        if let Some(notify) = Notify::of(self.spec)? {
            let (record, id) = (record.clone(), entry.id.clone());
            command.when_listening(move |pid, listener| {
                let state = state_of(&record, &id, Status::Creating, pid);
                notify.send(&listener, pid, &state).map_err(Failure::into_io)
            });
        }
        if let Some(canceller) = interrupts::canceller()? {
            command.cancelled_by(&canceller);
        }
        processors::all();
        let spawned = command.spawn();
        let mut child = spawned
            .map_err(|error| interrupts::explain(error, |error| self.explain(error, &converted.origins, made)))?;
        let process = Identity::of(child.id() as i32)?;
        made.holder = None;
        let terminal = self.hand_over(&mut child)?;
        record.process = Some(process);
        if let Some(socket) = self.pidfd_socket {
            sockets::send(socket, child.pidfd(), "pidfd")?;
        }
        if let Some(file) = &self.new.pid_file {
            write_pid(file, child.id())?;
            made.pid_file = Some(file.clone());
        }
        entry.write_record(record)?;
        child.leave()?;
        Ok(terminal)
    }

    /// An end that its process could not tell of was the kernel's, where somebody in the new cgroup was killed for memory: what it is to be
    /// made with counts as well.
    fn explain(&self, error: seclude::Error, origins: &Origins, made: &Made) -> Failure {
        let killed =
            |cgroup: &Cgroup| cgroup.events().is_ok_and(|events| events.oom_kill.is_some_and(|killed| killed > 0));
        let is_end = error.step() == "child" && made.cgroup.as_ref().is_some_and(killed);
        match self.linux.resources.as_ref().filter(|_| is_end).and_then(resources::memory_limit) {
            Some((field, limit)) => Failure::at(field, format!("{limit} is too little for its start: {error}")),
            None => origins.explain(error),
        }
    }

    /// The hooks of its creation, while its process has its namespaces and its mounts, and the host's tree still.
    fn attend(&self, command: &mut seclude::Command, entry: &Entry, record: &Record, made: &Made) {
        let Some(hooks) = self.spec.hooks.clone() else { return };
        if hooks.prestart.is_empty() && hooks.create_runtime.is_empty() && hooks.create_container.is_empty() {
            return;
        }
        let (record, id, hooked) = (record.clone(), entry.id.clone(), made.hooked.clone());
        command.when_mounted(move |pid| {
            *hooked.lock().unwrap_or_else(PoisonError::into_inner) = true;
            created_hooks(&hooks, &record, &id, pid).map_err(Failure::into_io)
        });
    }

    /// Makes its cgroup; what is written down of it never says more than is known. A user to whom none is open goes without, and is then
    /// shown its caller's, as the configuration is looked at anew.
    fn enter(&self, entry: &Entry, record: &mut Record, converted: Converted, made: &mut Made) -> Result<Converted> {
        let Some(path) = record.cgroup.clone() else { return Ok(converted) };
        if let Some(unit) = &record.scope {
            let resources = self.linux.resources.as_ref();
            made.holder = Some(unit.start(&entry.id, resources, self.rules.as_ref(), &self.spec.annotations)?);
        }
        let holder = made.holder.as_ref().map(Holder::pid);
        let (hierarchies, mark) = (self.circumstances.hierarchies, &record.cgroup_mark);
        let Named { cgroup, made: is_own, marked } = match Cgroup::create_named_around(hierarchies, &path, mark, holder)
        {
            Ok(named) => named,
            Err(error)
                if holder.is_none()
                    && is_user(self.context)
                    && (error.is_no_access() || matches!(error, NoHierarchy)) =>
            {
                can_do_without(self.linux)?;
                self.context.log.warn(&format!("it has no cgroup: {}", Failure::from(error)));
                record.cgroup = None;
                entry.write_record(record)?;
                return convert(self.spec, &Circumstances { cgroup: None, ..self.circumstances });
            }
            Err(error) => return Err(error.into()),
        };
        // Systemd has made it for this one.
        record.cgroup_is = match (is_own || holder.is_some(), marked) {
            (true, true) => CgroupIs::OwnMarked,
            (true, false) => CgroupIs::Own,
            (false, _) => CgroupIs::Shared,
        };
        record.cgroup_in = cgroup.hierarchies().map(Hierarchy::name).collect();
        let dirs = cgroup.identities();
        let cgroup = made.cgroup.insert(cgroup);
        record.cgroup_dirs = dirs?;
        entry.write_record(record)?;
        // A user's is its own already, or nobody else's to give.
        let owner = cgroup_mount::owner(self.spec, hierarchies).filter(|_| !is_user(self.context));
        owner.map_or(Ok(()), |uid| cgroup.give_to(uid))?;
        self.limit(cgroup, record)?;
        Ok(converted)
    }

    fn limit(&self, cgroup: &Cgroup, record: &Record) -> Result<()> {
        const FIELD: &str = "linux.resources.devices";
        let is_said = self.linux.resources.as_ref().is_some_and(|limits| !limits.devices.is_empty());
        // What nobody has asked for changes nothing for others who are in a cgroup that was there.
        if let Some(rules) = self.rules.as_ref().filter(|_| is_said || record.owns_cgroup()) {
            match cgroup.set_devices(rules) {
                Err(error @ seclude::cgroup::Error::Unsupported { .. }) if !is_said => {
                    self.context.log.warn(&format!("{FIELD}: all devices are open, as {error}"));
                }
                set => set.map_err(|error| Failure::at(FIELD, error.to_string()))?,
            }
        }
        self.linux.resources.as_ref().map_or(Ok(()), |limits| resources::apply(cgroup, limits).map(drop))
    }

    fn hand_over(&self, child: &mut Child) -> Result<Option<OwnedFd>> {
        let Some(master) = child.take_terminal().map(OwnedFd::from) else { return Ok(None) };
        match self.console {
            Some(socket) => sockets::send(socket, master.as_fd(), "/dev/ptmx").map(|()| None),
            None => Ok(Some(master)),
        }
    }
}

/// With the pid of a process that is not written down yet.
fn state_of(record: &Record, id: &str, status: Status, pid: u32) -> serde_json::Value {
    let mut state = record.state(id, status);
    state["pid"] = pid.into();
    state
}

fn created_hooks(hooks: &Hooks, record: &Record, id: &str, pid: u32) -> Result<()> {
    // The environment is there, which is what the specification calls created, "Lifecycle", 2.
    let state = state_of(record, id, Status::Created, pid);
    let here = Place::InBundle(&record.bundle);
    hooks::run(&hooks.prestart, "prestart", &state, here)?;
    hooks::run(&hooks.create_runtime, "createRuntime", &state, here)?;
    if hooks.create_container.is_empty() {
        return Ok(());
    }
    let inside = Inside::of_child(pid)?;
    hooks::run(&hooks.create_container, "createContainer", &state, Place::Inside(&inside, &record.rootfs))
}

/// Of all that was made before; what cannot be undone stays, with its directory, for `delete --force`.
fn undo(entry: &Entry, record: &Record, spec: &Spec, made: Made, failure: Failure) -> Result<Failure> {
    if let Some(file) = made.pid_file {
        let _ = std::fs::remove_file(file);
    }
    match &made.cgroup {
        Some(cgroup) if record.owns_cgroup() => match delete::end(cgroup) {
            Ok(()) => {}
            Err(left) => return Err(failure.and(left)),
        },
        // What waited in it has ended.
        Some(cgroup) => cgroup.let_go(&record.cgroup_mark),
        None => {}
    }
    if let Some(Err(left)) = record.rdt.as_ref().map(Group::remove) {
        return Err(failure.and(left));
    }
    if let Some(Err(left)) = record.scope.as_ref().map(Unit::stop) {
        return Err(failure.and(left));
    }
    if let Err(left) = mounted::take_away(record) {
        return Err(failure.and(left));
    }
    let was_hooked = *made.hooked.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(hooks) = spec.hooks.as_ref().filter(|_| was_hooked) {
        let state = record.state(&entry.id, Status::Stopped);
        let others = hooks::run_each(&hooks.poststop, "poststop", &state, Place::Here);
        return Ok(others.into_iter().fold(failure, Failure::and));
    }
    Ok(failure)
}

fn console(new: &New, spec: &Spec, keeps: bool) -> Result<Option<OwnedFd>> {
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    match (&new.console_socket, terminal) {
        (Some(path), true) => sockets::of_caller("--console-socket", path).map(Some),
        (Some(_), false) => {
            Err(Failure::at("process.terminal", "a console socket, and no terminal that it would be sent"))
        }
        (None, true) if !keeps => {
            Err(Failure::at("process.terminal", "without a console socket nobody has its other end"))
        }
        (None, _) => Ok(None),
    }
}

/// The scope that its cgroup is to be, where systemd makes it.
pub(super) fn scope(id: &str, linux: &Linux, context: &Context<'_>) -> Result<Option<Unit>> {
    let asked = context.cgroups == CgroupManager::Systemd;
    asked.then(|| Unit::of(&linux.cgroups_path, id, is_user(context))).transpose()
}

/// Where its cgroup is to be; `None`: a user who names none has none.
pub(super) fn cgroup_path(id: &str, linux: &Linux, context: &Context<'_>) -> Result<Option<PathBuf>> {
    const FIELD: &str = "linux.cgroupsPath";
    let named = linux.cgroups_path.as_str();
    if context.cgroups == CgroupManager::Disabled {
        return Ok(None);
    }
    if named.is_empty() {
        let is_user = context.rootless == Rootless::True || !is_root_of_the_host();
        // Another root may have the same id.
        let of_root = Path::new("/seclude-oci").join(context.store.mark()?);
        return Ok((!is_user).then(|| of_root.join(id)));
    }
    let path = Path::new(named);
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(Failure::at(FIELD, format!("{named:?} has a `..` in it")));
    }
    if systemd::is_unit(path) {
        return Err(Failure::at(FIELD, format!("{named:?} is a scope of systemd's, and there is no --systemd-cgroup")));
    }
    Ok(Some(Path::new("/").join(path)))
}

/// What is given up by who has no cgroup must not be a limit that was asked for.
fn can_do_without(linux: &Linux) -> Result<()> {
    match linux.resources.as_ref().and_then(resources::first_asked) {
        None => Ok(()),
        Some(field) => Err(Failure::at(field, "the container has no cgroup of its own that it could be set in")),
    }
}

/// Who does without what the host's root alone can have.
fn is_user(context: &Context<'_>) -> bool {
    match context.rootless {
        Rootless::True => true,
        Rootless::False => false,
        Rootless::Auto => !is_root_of_the_host(),
    }
}

/// A user can set none, and has no more devices than the host lets it have.
fn device_rules(context: &Context<'_>, linux: &Linux) -> Result<Option<Devices>> {
    let rules = linux.resources.as_ref().map_or(&[][..], |limits| limits.devices.as_slice());
    let allowed = allowed(rules, &linux.devices)?;
    if !is_user(context) {
        return Ok(Some(allowed));
    }
    if !rules.is_empty() {
        context.log.warn("linux.resources.devices: a user can set none, and the host's permissions hold alone");
    }
    Ok(None)
}

fn has_directory(file: &Path) -> Result<()> {
    let above = file.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = above.metadata().map_err(|error| Failure::of(format_args!("--pid-file {}", file.display()), error))?;
    match found.is_dir() {
        true => Ok(()),
        false => Err(Failure::new(format!("--pid-file {}: {} is no directory", file.display(), above.display()))),
    }
}

/// As a whole: who waits for it reads it as soon as it is there.
pub(super) fn write_pid(file: &Path, pid: u32) -> Result<()> {
    let written = write_whole(file, pid.to_string().as_bytes(), 0o644);
    written.map_err(|error| Failure::of(format_args!("--pid-file {}", file.display()), error))
}

/// For the errors of what has no mounts of its own.
pub(super) fn without_mounts() -> Origins {
    Origins::default()
}
