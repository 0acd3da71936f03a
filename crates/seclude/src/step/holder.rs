//! A user namespace that another process has made, for a caller that can write no map while its memory is hidden.
//!
//! A caller with capabilities hides its memory from before the clone on (`spawn/hidden.rs`). The files of a process that is
//! hidden are root's, its maps among them, so that a caller which is neither root nor has CAP_DAC_OVERRIDE could not write
//! those of its own child. For it a process that has nothing of the caller's memory makes the user namespace, and shows it
//! to everybody; the child enters it, and makes the others there. It is the fourth exception to "no unshare".

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, open};
use seclude_child::Op;
use seclude_request::Field;
use seclude_sys::Fd;
use seclude_sys::clone::{CLONE_NEWCGROUP, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER};

use super::{Preparation, Step, cgroup, ties};
use crate::action::Describe;
use crate::child::Child;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::config::start::Starter;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::proc_pid;
use crate::program::Program;

const NAME: &str = "user namespace";

/// Whether nobody may look into this process while the child has its memory, or a copy.
pub(crate) fn is_hidden(command: &Config, host: &Host) -> bool {
    host.permitted != 0 || command.namespaces.joined().next().is_some()
}

/// Whether the user namespace is made by another process.
pub(crate) fn is_needed(command: &Config, host: &Host) -> bool {
    command.namespaces.is_new(Namespace::User) && is_hidden(command, host) && !host.writes_hidden_maps()
}

/// The process, from its start until the child has entered its namespace.
pub(super) type Holder = Arc<Mutex<Option<Child>>>;

struct Enter {
    holder: Holder,
    flags: u32,
    pid: bool,
    namespace: Option<OwnedFd>,
}

pub(super) fn enter(command: &Config, host: &Host, holder: &Holder) -> Option<Box<dyn Step>> {
    if !is_needed(command, host) {
        return None;
    }
    let late = if cgroup::makes_namespace_late(command) { CLONE_NEWCGROUP } else { 0 };
    // Its offsets are set first, and then it is entered: that step makes it.
    let others = CLONE_NEWUSER | CLONE_NEWTIME | late;
    let flags = command.namespaces.new_flags() as u32 & !others;
    let pid = flags & CLONE_NEWPID != 0;
    Some(Box::new(Enter { holder: holder.clone(), flags, pid, namespace: None }))
}

/// Starts it; it has its namespace when this returns. Its pid as /proc has it.
pub(super) fn start(holder: &Holder, starter: Starter) -> Result<i32> {
    let mut command = Config::new("-".into(), starter);
    command.holds_user_namespace = true;
    // That start has a request of its own.
    let child = command.start().map_err(|error| error.at("namespaces.user"))?;
    let pid = proc_pid::pid_of(NAME, Fd(child.pidfd().as_raw_fd()))?;
    *holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    Ok(pid)
}

impl Step for Enter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("namespaces").key("user"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(holder) = &*holder else { return Ok(()) };
        let path = format!("/proc/{}/ns/user", proc_pid::pid_of(NAME, Fd(holder.pidfd().as_raw_fd()))?);
        let failed = |call: &'static str| {
            let path = path.clone();
            move |errno| Error::parent(NAME, path.clone(), errno).call(call).path_of(path)
        };
        let opened = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed("open"))?;
        self.namespace = Some(preparation.lifted(opened).map_err(failed("fcntl"))?);
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.namespace.iter().map(|namespace| Fd(namespace.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("made by a process that has nothing of the caller's memory");
        let namespace = self.keeps().first().copied().unwrap_or(Fd::NONE);
        program.push(Op::Join { namespace, kind: CLONE_NEWUSER });
        if self.flags != 0 {
            program.about("the others, in it");
            program.push(Op::Unshare { flags: self.flags });
        }
        if self.pid {
            program.push(Op::EnterPidNamespace);
            ties::arm_again(program);
        }
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, "have another process make it, and open it".to_owned());
    }
}
