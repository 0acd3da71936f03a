//! A minimal /dev.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use seclude_child::op::{Create, Links, Place, Want};
use seclude_child::{Op, Slot};
use seclude_sys::mount::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};

use super::tmpfs::bound;
use super::{NAME, attach_slot, kernel};
use crate::program::Program;
use crate::step::Step;

/// A node of the host, and the number that it must have (Documentation/admin-guide/devices.txt).
const NODES: [(&CStr, u32, u32); 6] =
    [(c"null", 1, 3), (c"zero", 1, 5), (c"full", 1, 7), (c"random", 1, 8), (c"urandom", 1, 9), (c"tty", 5, 0)];

const LINKS: [(&CStr, &CStr); 5] = [
    (c"ptmx", c"pts/ptmx"),
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
];

struct Dev {
    target: PathBuf,
    /// The most bytes of its shared memory.
    bound: Option<u64>,
    about: String,
}

pub(super) fn compile(target: &Path, bound: Option<u64>) -> Box<dyn Step> {
    Box::new(Dev { target: target.to_owned(), bound, about: format!("devices on {}", target.display()) })
}

fn entry(name: &'static CStr) -> Place<'static> {
    Place { path: name, name }
}

impl Step for Dev {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        // For nodes and links, and no place to keep anything.
        let options: &[_] = &[(c"mode", Some(c"755")), (c"size", Some(c"1m")), (c"nr_inodes", Some(c"1k"))];
        // Not nodev: the nodes are mounts of their own, and in a user namespace tmpfs is nodev anyway.
        kernel::make(program, c"tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, Slot::DEV);
        // Not through a symlink: an image whose /dev is one would have the host's files created (CVE-2026-41579).
        attach_slot(program, Slot::DEV, &self.target, Want::Directory, 0o755, Links::Refused);

        for (name, major, minor) in NODES {
            program.about_owned(format!("device /dev/{} on {}", name.to_string_lossy(), self.target.display()));
            program.push(Op::CloneFrom { from: Slot::HOST_DEV, name, recursive: false, into: Slot::TREE });
            program.push(Op::CheckDevice { node: Slot::TREE, major, minor });
            inside(program, name, Want::File, 0o666);
            program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
            // The inode is the host's: its mode and owner are not the container's to change. Devices are written all the same.
            program.push(Op::SetAttributes { mount: Slot::TREE, set: MOUNT_ATTR_RDONLY, recursive: false });
        }
        program.about(&self.about);
        let attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
        kernel::make(program, c"devpts", kernel::DEVPTS, attributes, Slot::DEVPTS);
        inside(program, c"pts", Want::Directory, 0o755);
        program.push(Op::Attach { mount: Slot::DEVPTS, onto: Slot::PLACE });

        program.push(Op::FsOpen { kind: c"tmpfs", into: Slot::TREE });
        program.push(Op::FsString { fs: Slot::TREE, key: c"mode", value: c"1777" });
        if let Some(bytes) = self.bound {
            bound(program, Slot::TREE, bytes);
        }
        program.push(Op::FsMount { fs: Slot::TREE, attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV });
        inside(program, c"shm", Want::Directory, 0o1777);
        program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });

        for (name, target) in LINKS {
            program.push(Op::MakeSymlink { base: Slot::DEV, name, target, keep: false, told: None });
        }
    }
}

fn inside(program: &mut Program<'_>, name: &'static CStr, want: Want, mode: u32) {
    let (base, into) = (Slot::DEV, Slot::PLACE);
    program.push(Op::Resolve {
        base,
        place: entry(name),
        want,
        create: Some(Create { mode, told: false }),
        links: Links::Refused,
        into,
    });
}
