//! The filter of system calls that the preset brings along: for what no namespace, mount or capability can hold back.
//!
//! A file with a set-user-ID bit that the command makes through a writable view of the host works on the host as well; so with
//! such a view, and only then, the bits cannot be given. An open file is such a view, however it was opened: fchmod(2) asks for no
//! right to write.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use seclude_child::Op;
use seclude_seccomp::Refused;
use seclude_sys::Fd;

use super::nesting::ByFilter;
use super::streams::{Anew, View};
use super::{Preparation, Step, descriptors, user};
use crate::command::Command;
use crate::config::capability::Capability;
use crate::config::mount::MountKind;
use crate::config::namespace::Namespace;
use crate::config::root::{RootKind, Upper};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::plan::Describe;
use crate::program::Program;

const NAME: &str = "filter";

/// Whether a part of its tree is such a view.
fn writes_to_the_host(command: &Command) -> bool {
    let root = match &command.root {
        None => true,
        Some(root) => match &root.kind {
            RootKind::Host | RootKind::Directory(_) => !root.read_only,
            RootKind::Overlay(overlay) => matches!(overlay.upper, Upper::Directory { .. }),
        },
    };
    let mounted = command.mounts.iter().any(|mount| match &mount.kind {
        MountKind::Bind { flags, .. } => !flags.read_only,
        MountKind::Overlay { overlay, read_only } => matches!(overlay.upper, Upper::Directory { .. }) && !read_only,
        _ => false,
    });
    root || mounted
}

/// What it refuses: with a view of the host that it could leave such files in.
fn refused(command: &Command, view: View) -> Refused {
    let set_id = command.sandboxed && view != View::Nothing;
    let creation = command.sandboxed && view == View::Places;
    let may = |capability: Capability| command.capabilities.is_none_or(|set| set.bits() & capability.bit() != 0);
    // A container's root gives a file capabilities that are root's where ids are mapped; the kernel wants CAP_SETFCAP for it.
    let attributes = set_id && (may(Capability::SETFCAP) || command.nested);
    // In a user namespace that is not the container's own, the kernel's limit is not for us to set.
    let user_namespaces = command.sandboxed && !command.nested && !command.namespaces.is_new(Namespace::User);
    Refused { set_id, creation, attributes, user_namespaces }
}

struct Filter {
    refused: Refused,
    /// The same, should the command be handed a file, or a directory.
    with: [Refused; 2],
    handed: descriptors::Handed,
    nesting: ByFilter,
    /// By descriptor, as the launcher reads it.
    program: Option<OwnedFd>,
}

/// The file, in the parent, and the right to read it, for the launcher.
pub(super) fn keep(command: &Command, host: &Host, nesting: &ByFilter, anew: &Anew) -> Option<Box<dyn Step>> {
    if !command.sandboxed {
        return None;
    }
    let view = if writes_to_the_host(command) { View::Places } else { View::Nothing };
    // An open file is not id-mapped: its owner is none of ids that nobody has, and nobody else changes its mode.
    let with = |handed: View| refused(command, if user::is_chosen(command, host) { view } else { view.max(handed) });
    Some(Box::new(Filter {
        refused: refused(command, view),
        with: [with(View::Files), with(View::Places)],
        handed: descriptors::Handed::of(command, anew),
        nesting: nesting.clone(),
        program: None,
    }))
}

impl Step for Filter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let [with_files, with_places] = self.with;
        self.refused = match self.handed.view() {
            View::Nothing => self.refused,
            View::Files => with_files,
            View::Places => with_places,
        };
        self.refused.user_namespaces |= self.nesting.is_needed();
        if self.refused.is_empty() {
            return Ok(());
        }
        let failed =
            |call: &'static str| move |error: std::io::Error| Error::parent(NAME, "of system calls", error).call(call);
        let file = memfd_create("seclude-filter", MemfdFlags::CLOEXEC).map_err(|e| failed("memfd_create")(e.into()))?;
        let mut file = File::from(file);
        let bytes: Vec<u8> = self.refused.program().iter().flat_map(|instruction| instruction.to_ne_bytes()).collect();
        file.write_all(&bytes).map_err(failed("write"))?;
        self.program = Some(preparation.lifted(file.into()).map_err(|e| failed("fcntl")(e.into()))?);
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.program.iter().map(|program| Fd(program.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if self.refused.is_empty() {
            return;
        }
        let fd = self.program.as_ref().map_or(Fd::NONE, |program| Fd(program.as_raw_fd()));
        program.about_owned(describe(self.refused));
        program.push(Op::Keep { fd });
        program.filter = Some(fd);
    }

    fn describe(&self, to: &mut Describe) {
        if !self.refused.is_empty() {
            to.prepare(NAME, format!("assemble it: {}", describe(self.refused)));
        }
        let [with_files, _] = self.with;
        if with_files != self.refused {
            to.prepare(NAME, format!("with a file among its descriptors: {}", describe(with_files)));
        }
    }
}

fn describe(refused: Refused) -> String {
    let words = [
        (
            refused.set_id,
            "no set-user-ID and set-group-ID bits, as the command has files of the host that it could give them",
        ),
        (refused.attributes, "no extended attributes, as it can give files capabilities there"),
        (refused.user_namespaces, "no user namespaces, as the kernel's own limit cannot be set for it"),
    ];
    let all: Vec<&str> = words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
    all.join("; ")
}

/// By the launcher: before the rights go if that takes rights, else once no new ones can be had.
struct Install {
    before_rights: bool,
}

pub(super) fn install(command: &Command, before_rights: bool) -> Option<Box<dyn Step>> {
    (command.sandboxed && command.no_new_privileges != before_rights).then(|| Box::new(Install { before_rights }) as _)
}

impl Step for Install {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if let Some(file) = program.filter {
            program.about(if self.before_rights { "with CAP_SYS_ADMIN" } else { "with no_new_privs" });
            program.push(Op::Filter { file });
        }
    }
}
