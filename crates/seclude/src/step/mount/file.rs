//! Things that are made, not mounted: a file from bytes, a directory, a symlink.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use seclude_child::op::{Create, Links, Want};
use seclude_child::{Op, Slot};
use seclude_sys::mount::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};

use super::{NAME, attach, not_the_root};
use crate::error::{Error, Result};
use crate::program::Program;
use crate::step::Step;

/// Written to the scratch tmpfs and bound from there: it needs no write to the root but for a missing target.
struct File {
    target: PathBuf,
    content: Arc<[u8]>,
    mode: u32,
    read_only: bool,
    about: String,
}

pub(super) fn file(target: &Path, content: &Arc<[u8]>, mode: u32, read_only: bool) -> Result<Box<dyn Step>> {
    not_the_root(target)?;
    if mode > 0o7777 {
        return Err(Error::invalid(NAME, format!("file {}: mode {mode:o} is above 7777", target.display())).at("mode"));
    }
    let about = format!("file {} of {} bytes, mode {mode:o}", target.display(), content.len());
    Ok(Box::new(File { target: target.to_owned(), content: content.clone(), mode, read_only, about }))
}

impl Step for File {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        write_to_scratch(program, &self.content, self.mode);
        let set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | if self.read_only { MOUNT_ATTR_RDONLY } else { 0 };
        attach(program, &self.target, Want::File, 0o644, Links::Followed);
        program.push(Op::SetAttributes { mount: Slot::TREE, set, recursive: false });
    }
}

/// A file with these bytes as a mount, in [`Slot::TREE`].
pub(in crate::step) fn write_to_scratch<'a>(program: &mut Program<'a>, bytes: &'a [u8], mode: u32) {
    let name = program.text(format!("file{}", program.next_op()));
    program.push(Op::WriteFile { base: Slot::SCRATCH, name, bytes, mode });
    program.push(Op::CloneFrom { from: Slot::SCRATCH, name, recursive: false, into: Slot::TREE });
}

struct Directory {
    target: PathBuf,
    mode: u32,
    /// It was asked for, and may lie on the host.
    told: bool,
    /// It stays writable where the root that it lies in is closed.
    own: bool,
    /// Who gets it, with or without a group.
    owner: Option<(u32, Option<u32>)>,
    links: Links,
    about: String,
}

/// `preset`: it lies in what is the container's own in any case.
pub(super) fn directory(target: &Path, mode: u32, preset: bool, links: Links) -> Box<dyn Step> {
    let about = format!("directory {}, mode {mode:o}", target.display());
    Box::new(Directory { target: target.to_owned(), mode, told: !preset, own: false, owner: None, links, about })
}

pub(super) fn own_directory(target: &Path, mode: u32, owner: Option<(u32, Option<u32>)>) -> Box<dyn Step> {
    let whose = owner.map_or_else(String::new, |(uid, _)| format!(", of user {uid}"));
    let about = format!("empty directory {}, mode {mode:o}{whose}", target.display());
    let (target, links) = (target.to_owned(), Links::Followed);
    Box::new(Directory { target, mode, told: false, own: true, owner, links, about })
}

impl Step for Directory {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        let place = program.place(&self.target);
        let (base, want, into) = (Slot::ROOT, Want::Directory, Slot::PLACE);
        program.push(Op::Resolve {
            base,
            place,
            want,
            create: Some(Create { mode: self.mode, told: self.told }),
            links: self.links,
            into,
        });
        if let Some((uid, gid)) = self.owner {
            // (-1: as it is.)
            program.push(Op::GiveAway { directory: Slot::PLACE, uid, gid: gid.unwrap_or(u32::MAX) });
        }
        if self.own {
            // A mount of its own, which is not the one that is closed.
            program.push(Op::CloneFrom { from: Slot::PLACE, name: c"", recursive: false, into: Slot::TREE });
            program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
        }
    }
}

struct Symlink {
    parent: PathBuf,
    name: std::ffi::OsString,
    to: PathBuf,
    /// What is there already stays.
    keep: bool,
    /// What the parent is told of it, as it may lie on the host.
    told: Option<PathBuf>,
    about: String,
}

pub(super) fn symlink(link: &Path, to: &Path, keep: bool, preset: bool) -> Result<Box<dyn Step>> {
    not_the_root(link)?;
    let about = format!("symlink {} to {}", link.display(), to.display());
    let (Some(parent), Some(name)) = (link.parent(), link.file_name()) else {
        return Err(Error::invalid(NAME, format!("{about}: the link has no name")).at("target"));
    };
    if to.as_os_str().is_empty() {
        return Err(Error::invalid(NAME, format!("{about}: it leads to nothing")).at("to"));
    }
    let told = (!preset).then(|| link.to_owned());
    Ok(Box::new(Symlink { parent: parent.to_owned(), name: name.to_owned(), to: to.to_owned(), keep, told, about }))
}

impl Step for Symlink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        let place = program.place(&self.parent);
        let (base, want, into) = (Slot::ROOT, Want::Directory, Slot::PLACE);
        program.push(Op::Resolve {
            base,
            place,
            want,
            create: Some(Create { mode: 0o755, told: self.told.is_some() }),
            links: Links::Followed,
            into,
        });
        let name = program.text(&self.name);
        let target = program.text(&self.to);
        // By descriptor: a path with a symlink in it cannot lead the creation elsewhere.
        let told = self.told.as_ref().map(|told| program.place(told).path);
        program.push(Op::MakeSymlink { base: Slot::PLACE, name, target, keep: self.keep, told });
    }
}
