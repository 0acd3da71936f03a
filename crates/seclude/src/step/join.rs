//! Entering existing namespaces, setns(2).

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fstat, open, stat};
use rustix::io::fcntl_dupfd_cloexec;
use seclude_child::Op;
use seclude_request::Field;
use seclude_sys::Fd;
use seclude_sys::clone::{CLONE_NEWCGROUP, CLONE_NEWPID, CLONE_NEWTIME};

use super::{Preparation, Step, cgroup, sysctl, ties};
use crate::action::Describe;
use crate::config::Config;
use crate::config::mount::MountKind;
use crate::config::namespace::{Joined, Namespace};
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "join";

struct Join {
    namespaces: Vec<(Namespace, Joined)>,
    /// What is changed of them, by which fields: of the caller's own that would be the host.
    changed: Vec<(Namespace, Field)>,
    open: Vec<OwnedFd>,
    early: bool,
    /// Those that are made once the user namespace is entered, as they are to be its.
    made: u32,
    root: Option<Arc<OwnedFd>>,
}

/// Namespaces that are new are those of the user namespace that they are made in: where that one is joined, the child makes them there, as a
/// mount in one of its caller's would take rights over that. It is the fifth exception to "no unshare".
pub(crate) fn makes_namespaces_late(command: &Config) -> bool {
    command.namespaces.is_joined(Namespace::User)
}

fn made_late(command: &Config) -> u32 {
    if !makes_namespaces_late(command) {
        return 0;
    }
    let late = if cgroup::makes_namespace_late(command) { CLONE_NEWCGROUP } else { 0 };
    // Its offsets are set first, and then it is entered: that step makes it.
    command.namespaces.new_flags() as u32 & !(CLONE_NEWTIME | late)
}

/// Whether set-up itself has to be in the pid namespace that is joined: a /proc is of the namespace of who mounts it. The
/// process in it then has a copy of the caller's memory, which it hides from all who are in there but those that have
/// CAP_SYS_PTRACE over the caller.
pub(crate) fn enters_pid_namespace_early(command: &Config) -> bool {
    let shows = |kind: &MountKind| match kind {
        MountKind::Proc { .. } => true,
        MountKind::FileSystem { name, .. } => name == "proc",
        _ => false,
    };
    command.namespaces.is_joined(Namespace::Pid) && command.mounts.iter().any(|mount| shows(&mount.kind))
}

/// Whether the launcher enters it, as its last act: nobody in there ever sees the caller's memory, nor rights that the
/// command does not have (CVE-2016-9962).
pub(crate) fn enters_pid_namespace_late(command: &Config) -> bool {
    command.namespaces.is_joined(Namespace::Pid) && !enters_pid_namespace_early(command)
}

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let namespaces: Vec<_> = command.namespaces.joined().map(|(kind, joined)| (kind, joined.clone())).collect();
    let root = command.entered_root.clone();
    let has_own = command.root.is_some() || !command.mounts.is_empty() || command.namespaces.is_new(Namespace::Mount);
    if root.is_some() && has_own {
        let why = "a root that is there is entered, and none is made, nor mounts";
        return Err(Error::invalid(NAME, why).at("root").contradicting());
    }
    if namespaces.is_empty() && root.is_none() {
        return Ok(None);
    }
    if command.namespaces.is_joined(Namespace::User) && command.user_map.is_some() {
        return Err(Error::invalid(NAME, "a user namespace that is joined has its id map already")
            .at("namespaces.user")
            .contradicting());
    }
    if command.namespaces.is_joined(Namespace::Time) && command.time_offsets != Default::default() {
        return Err(Error::invalid(NAME, "a time namespace that is joined has its offsets already")
            .at("namespaces.time")
            .contradicting());
    }
    let early = enters_pid_namespace_early(command);
    let made = made_late(command);
    let changed = changed(command).filter(|(kind, _)| command.namespaces.is_joined(*kind)).collect();
    Ok(Some(Box::new(Join { namespaces, changed, open: Vec::new(), early, made, root })))
}

fn changed(command: &Config) -> impl Iterator<Item = (Namespace, Field)> {
    let named = [(&command.hostname, "hostname"), (&command.domainname, "domainname")];
    let named =
        named.into_iter().filter(|(name, _)| name.is_some()).map(|(_, field)| (Namespace::Uts, Field::of(field)));
    let mounts = (!command.mounts.is_empty()).then(|| (Namespace::Mount, Field::of("mounts")));
    named.chain(mounts).chain(sysctl::changed(command))
}

/// Whether it is the one that this thread is in.
fn is_own(kind: Namespace, namespace: &OwnedFd) -> rustix::io::Result<bool> {
    let own = stat(format!("/proc/thread-self/ns/{}", kind.proc_name()))?;
    let joined = fstat(namespace)?;
    Ok((own.st_dev, own.st_ino) == (joined.st_dev, joined.st_ino))
}

impl Step for Join {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("namespaces"))
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        match op {
            Op::Join { kind, .. } => Namespace::ALL.into_iter().find(|own| own.flag() == *kind).map(Namespace::field),
            Op::EnterPidNamespace => Some(Namespace::Pid.field()),
            _ => self.field(),
        }
    }

    fn prepare(&mut self, _: &mut Preparation<'_>) -> Result<()> {
        for (kind, joined) in &self.namespaces {
            let failed = |call| {
                move |errno| {
                    let action = format!("{kind} namespace of {}", joined.describe());
                    let error = Error::parent(NAME, action, errno).call(call).at_field(kind.field());
                    match joined {
                        Joined::Path(path) => error.path_of(&**path).hint_if(crate::hint::namespace_file(errno)),
                        Joined::Fd(_) => error,
                    }
                }
            };
            let fd = match joined {
                // A copy that is close-on-exec, whatever the caller's is.
                Joined::Fd(fd) => fcntl_dupfd_cloexec(fd, 3).map_err(failed("fcntl"))?,
                Joined::Path(path) => open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
                    .map_err(failed("open"))?,
            };
            if let Some((_, field)) = self.changed.iter().find(|(changed, _)| changed == kind)
                && is_own(*kind, &fd).map_err(failed("stat"))?
            {
                let action =
                    format!("the {kind} namespace that is joined is the caller's own, of which nothing is changed");
                return Err(Error::invalid(NAME, action).at_field(field.clone()).contradicting());
            }
            self.open.push(fd);
        }
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.open.iter().map(AsRawFd::as_raw_fd).chain(self.root.iter().map(|root| root.as_raw_fd())).map(Fd).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for (index, (kind, joined)) in self.namespaces.iter().enumerate() {
            program.about_owned(format!("{kind} namespace of {}", joined.describe()));
            let namespace = self.open.get(index).map_or(Fd::NONE, |fd| Fd(fd.as_raw_fd()));
            program.push(Op::Join { namespace, kind: kind.flag() });
            if *kind == Namespace::Pid && self.early {
                program.push(Op::EnterPidNamespace);
            }
        }
        if self.made != 0 {
            program.about("the others, in the user namespace that was joined");
            program.push(Op::Unshare { flags: self.made });
        }
        if self.made & CLONE_NEWPID != 0 {
            program.push(Op::EnterPidNamespace);
            ties::arm_again(program);
        }
        if let Some(root) = &self.root {
            program.about("the root that is there");
            program.push(Op::EnterRoot { directory: Fd(root.as_raw_fd()) });
        }
    }

    fn describe(&self, to: &mut Describe) {
        for (kind, joined) in &self.namespaces {
            to.prepare(NAME, format!("open {kind} namespace {}", joined.describe()));
        }
    }
}
