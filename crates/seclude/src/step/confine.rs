//! What a security module of the kernel confines the command by: AppArmor or SELinux, from its exec on.
//!
//! The launcher writes it, as the kernel takes it of a process itself alone, and of the memory that opened the file. It does so below the
//! host's own /proc, opened and looked at here: what lies on /proc inside may be anything (CVE-2019-16884).

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fstatfs, open};
use seclude_child::Op;
use seclude_child::op::Module;
use seclude_request::Field;
use seclude_sys::Fd;

use super::{Preparation, Step};
use crate::action::Describe;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "confine";

/// The host's /proc, for the launcher: one for each.
struct Keep {
    count: usize,
    opened: Vec<OwnedFd>,
}

struct Confine(Vec<(Module, String)>);

fn asked(command: &Config) -> Vec<(Module, String)> {
    let apparmor = command.apparmor.clone().map(|profile| (Module::AppArmor, profile));
    let selinux = command.selinux.clone().map(|label| (Module::SeLinux, label));
    apparmor.into_iter().chain(selinux).collect()
}

fn field(module: Module) -> Field {
    Field::of(match module {
        Module::AppArmor => "apparmor",
        Module::SeLinux => "selinux",
    })
}

pub(super) fn keep(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let asked = asked(command);
    if let Some((module, _)) = asked.iter().find(|(_, label)| label.is_empty() || label.len() > 4000) {
        return Err(
            Error::invalid(NAME, "a label is neither empty nor longer than 4000 bytes").at_field(field(*module))
        );
    }
    Ok((!asked.is_empty()).then(|| Box::new(Keep { count: asked.len(), opened: Vec::new() }) as Box<dyn Step>))
}

pub(super) fn apply(command: &Config) -> Option<Box<dyn Step>> {
    let asked = asked(command);
    (!asked.is_empty()).then(|| Box::new(Confine(asked)) as Box<dyn Step>)
}

impl Step for Keep {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let failed = |call| move |errno| Error::parent(NAME, "the host's /proc", errno).call(call).path_of("/proc");
        for _ in 0..self.count {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let opened = open("/proc", flags, Mode::empty()).map_err(failed("open"))?;
            if fstatfs(&opened).map_err(failed("fstatfs"))?.f_type != rustix::fs::PROC_SUPER_MAGIC {
                return Err(Error::invalid(NAME, "/proc is not a proc file system"));
            }
            self.opened.push(preparation.lifted(opened).map_err(failed("fcntl"))?);
        }
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.opened.iter().map(|opened| Fd(opened.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("the host's /proc, for the launcher");
        for number in 0..self.count {
            // Before `prepare` it has no number yet.
            let fd = self.opened.get(number).map_or(Fd::NONE, |opened| Fd(opened.as_raw_fd()));
            program.push(Op::Keep { fd });
            program.attributes.push(fd);
        }
    }
}

impl Step for Confine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        match op {
            Op::ConfineOnExec { module, .. } => Some(field(*module)),
            _ => None,
        }
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for (number, (module, label)) in self.0.iter().enumerate() {
            program.about(label);
            let proc = program.attributes.get(number).copied().unwrap_or(Fd::NONE);
            let label = program.text(label);
            program.push(Op::ConfineOnExec { proc, module: *module, label });
        }
    }

    fn describe(&self, to: &mut Describe) {
        for (_, label) in &self.0 {
            to.prepare(NAME, format!("open /proc, to confine the command by {label}"));
        }
    }
}
