//! The program between set-up and the command: it does what is left in memory of its own, and becomes the command, or its
//! init.
//!
//! It is executed from a sealed memfd, so that the kernel walks no path while anything of ours is open, and so that the
//! /proc/self/exe by which an image might execute it again is no file of the host (CVE-2019-5736). Whatever walks a path of
//! the container's, or changes ids, happens in it: neither holds the caller's memory.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, write};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use seclude_child::Op;
use seclude_request::Field;
use seclude_sys::Fd;

use super::exec::{NAME, environment};
use super::{Preparation, Step, filter, join};
use crate::action::Describe;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::late::Launch as Start;
use crate::program::Program;

/// Whether the command is started by it. What has no container at all, and dies with its caller, is executed directly.
pub(crate) fn is_needed(command: &Config) -> bool {
    let identity = &command.identity;
    let changes_ids = identity.uid.is_some() || identity.gid.is_some() || identity.groups.is_some();
    let spaces = &command.namespaces;
    let contained = Namespace::ALL.into_iter().any(|kind| spaces.is_new(kind)) || spaces.joined().next().is_some();
    // Rules of landlock and a filter are the launcher's to install.
    let filtered = filter::is_filtered(command) || command.is_landlocked();
    contained
        || command.apparmor.is_some()
        || command.selinux.is_some()
        || command.waits_on.is_some()
        || changes_ids
        || !command.die_with_parent
        || command.holds_user_namespace
        || filtered
}

struct Launch {
    flags: String,
    signal_mask: u64,
    keep_ignored: u64,
    envp: Arc<[OsString]>,
    image: Option<OwnedFd>,
    /// The init ends with this process, whose pidfd it is given.
    watched: bool,
    spawner: Option<OwnedFd>,
}

pub(super) fn compile(command: &Config, envp: Arc<[OsString]>) -> Box<dyn Step> {
    let late = join::enters_pid_namespace_late(command);
    let mut flags = String::from("-");
    for (wanted, letter) in [
        (command.init && command.terminal.is_some(), 't'),
        // In a session that is not its own, a group of its own would be a background job: who reads the terminal is stopped.
        (command.init && command.terminal.is_none() && !command.new_session, 'j'),
        (!command.die_with_parent, 'd'),
        (!command.init, 'x'),
        (late, 'p'),
        (command.namespaces.joined().next().is_some(), 'o'),
        (command.holds_user_namespace, 'h'),
        (command.waits_on.is_some(), 'w'),
        (late && (command.new_session || command.terminal.is_some()), 's'),
        (late && command.terminal.is_some(), 'c'),
    ] {
        flags.extend(wanted.then_some(letter));
    }
    Box::new(Launch {
        flags,
        signal_mask: command.signal_mask,
        keep_ignored: command.keep_ignored,
        envp,
        image: None,
        watched: command.init && command.die_with_parent,
        spawner: None,
    })
}

impl Step for Launch {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        // It carries the command's arguments and environment.
        matches!(op, Op::Launch { .. }).then(|| Field::of("command"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let failed = |call| move |errno: Errno| Error::parent(NAME, "the init's image", errno).call(call);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let image = match memfd_create("seclude-init", flags | MemfdFlags::EXEC) {
            // Before Linux 6.3 every memfd may be executed, and the flag is unknown.
            Err(Errno::INVAL) => memfd_create("seclude-init", flags),
            made => made,
        };
        let image = image.map_err(failed("memfd_create"))?;
        let mut rest = seclude_init::IMAGE;
        while !rest.is_empty() {
            let written = write(&image, rest).map_err(failed("write"))?;
            rest = rest.get(written..).unwrap_or_default();
        }
        // Nobody who reaches it through /proc can change what runs (CVE-2019-5736).
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(&image, seals).map_err(failed("fcntl"))?;
        self.image = Some(preparation.lifted(image).map_err(failed("fcntl"))?);
        if self.watched {
            let own = pidfd_open(getpid(), PidfdFlags::empty()).map_err(failed("pidfd_open"))?;
            self.spawner = Some(preparation.lifted(own).map_err(failed("fcntl"))?);
        }
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.image.iter().chain(&self.spawner).map(|kept| Fd(kept.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("signals");
        // CLONE_CLEAR_SIGHAND leaves ignored signals ignored, clone(2).
        program.push(Op::DefaultSignals { kept: self.keep_ignored });
        if let Some(spawner) = &self.spawner {
            program.about("the spawner, with which the init ends");
            program.end_with(Fd(spawner.as_raw_fd()));
        }
        program.about("which does the rest");
        let envp = environment(program, &self.envp);
        let image = self.image.as_ref().map_or(Fd::NONE, |image| Fd(image.as_raw_fd()));
        program.launch(Start { image, flags: self.flags.clone(), signal_mask: self.signal_mask, envp });
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, "put the launcher, which becomes the init or the command, into a sealed memfd".to_owned());
    }
}
