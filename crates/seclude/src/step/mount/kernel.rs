//! File systems that are views of the kernel: proc, sysfs, cgroup2, mqueue, devpts.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use seclude_child::op::{Links, Want};
use seclude_child::{Op, Slot};
use seclude_sys::mount::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};

use super::{NAME, attach_slot};
use crate::program::Program;
use crate::step::Step;

struct View {
    kind: &'static CStr,
    options: &'static [(&'static CStr, Option<&'static CStr>)],
    attributes: u32,
    slot: Slot,
    /// It is in its slot by then.
    is_made: bool,
    target: PathBuf,
    about: String,
}

fn view(kind: &'static CStr, target: &Path, attributes: u32) -> View {
    let about = format!("{} on {}", kind.to_string_lossy(), target.display());
    View { kind, options: &[], attributes, slot: Slot::TREE, is_made: false, target: target.to_owned(), about }
}

const STRICT: u32 = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

fn maybe_read_only(read_only: bool) -> u32 {
    if read_only { STRICT | MOUNT_ATTR_RDONLY } else { STRICT }
}

pub(super) fn proc(target: &Path, read_only: bool, about: &str) -> Box<dyn Step> {
    let mut proc = view(c"proc", target, maybe_read_only(read_only));
    if !about.is_empty() {
        proc.about = about.to_owned();
    }
    Box::new(proc)
}

/// Read-only unless said: through it root changes the power state, processors and disks of the host.
pub(super) fn sysfs(target: &Path, read_only: bool) -> Box<dyn Step> {
    Box::new(view(c"sysfs", target, maybe_read_only(read_only)))
}

/// With the slot that [`EarlyCgroup`] has made it in, if it has.
pub(super) fn cgroup(target: &Path, read_only: bool, made: Option<Slot>) -> Box<dyn Step> {
    let cgroup = view(c"cgroup2", target, maybe_read_only(read_only));
    Box::new(View { slot: made.unwrap_or(cgroup.slot), is_made: made.is_some(), ..cgroup })
}

/// A mount of the container's cgroup, while the process still is its caller to the kernel: such as 6.1 and 6.12 come to the root of
/// the cgroup namespace with the rights of whoever mounts, and the directories above are closed to all but the caller.
pub(super) struct EarlyCgroup {
    attributes: u32,
    slot: Slot,
    about: String,
}

pub(super) fn early_cgroup(target: &Path, read_only: bool, slot: Slot) -> EarlyCgroup {
    let View { attributes, about, .. } = view(c"cgroup2", target, maybe_read_only(read_only));
    EarlyCgroup { attributes, slot, about }
}

impl Step for EarlyCgroup {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        make(program, c"cgroup2", &[], self.attributes, self.slot);
    }
}

pub(super) fn mqueue(target: &Path) -> Box<dyn Step> {
    Box::new(view(c"mqueue", target, STRICT))
}

/// What every devpts of a container is mounted with: a ptmx that anybody inside may open. All containers of a machine share what
/// kernel.pty.max leaves over its reserve, 3,072 if nothing else is set.
pub(super) const DEVPTS: &[(&CStr, Option<&CStr>)] =
    &[(c"newinstance", None), (c"ptmxmode", Some(c"0666")), (c"mode", Some(c"0620")), (c"max", Some(c"256"))];

pub(super) fn devpts(target: &Path) -> Box<dyn Step> {
    let attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    Box::new(View { options: DEVPTS, slot: Slot::DEVPTS, ..view(c"devpts", target, attributes) })
}

/// The ops that make such a mount, detached, in `slot`.
pub(super) fn make<'a>(
    program: &mut Program<'a>,
    kind: &'static CStr,
    options: &'static [(&'static CStr, Option<&'static CStr>)],
    attributes: u32,
    slot: Slot,
) {
    program.push(Op::FsOpen { kind, into: slot });
    for (key, value) in options {
        program.push(match value {
            Some(value) => Op::FsString { fs: slot, key, value },
            None => Op::FsFlag { fs: slot, key },
        });
    }
    program.push(Op::FsMount { fs: slot, attributes });
}

/// One that nothing leads to.
pub(in crate::step) fn make_proc(program: &mut Program<'_>, slot: Slot) {
    make(program, c"proc", &[], STRICT, slot);
}

impl Step for View {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        if !self.is_made {
            make(program, self.kind, self.options, self.attributes, self.slot);
        }
        // Not through a symlink: an image whose /proc leads elsewhere would have checks look at the wrong file
        // (CVE-2019-19921, CVE-2023-27561).
        attach_slot(program, self.slot, &self.target, Want::Directory, 0o755, Links::Refused);
    }
}
