//! A file or directory of the host, seen inside.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags, statx};
use seclude_child::op::{Links, Want};
use seclude_child::{Op, Slot};
use seclude_request::Remedy;
use seclude_sys::Fd;

use super::{NAME, attach, filesystem, not_the_root, own_namespaces};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::attributes::{Attributes, Propagation};
use crate::config::mount::{Flags, IdMapped, Source};
use crate::config::start::Starter;
use crate::error::{Error, Result};
use crate::mounts::{Mounts, Shared};
use crate::places::{Places, identity, identity_of};
use crate::program::Program;
use crate::step::root::absolute;
use crate::step::show::Show;
use crate::step::user::Ids;
use crate::step::{Preparation, Step, named};

struct Bind {
    show: Show,
    target: PathBuf,
    recursive: bool,
    /// Whether the source is the caller's `/`.
    of_root: bool,
    flags: Flags,
    /// Where the homes are that it may neither be nor have below it.
    closed: Option<Places>,
    as_named: bool,
    is_here: bool,
    is_apart: bool,
    attributes: Attributes,
    links: Links,
    about: String,
}

/// What is not said of the mount itself.
pub(super) struct Circumstances {
    pub(super) ids: Ids,
    pub(super) takes_mounts: bool,
    /// Where the homes are that it may neither be nor have below it.
    pub(super) closed: Option<Places>,
    /// It is shown by the host's own path.
    pub(super) as_named: bool,
    /// It has to be what lies there by that name, and not where a symlink leads.
    pub(super) strict: bool,
    /// It has to be what the caller stands in.
    pub(super) is_here: bool,
    /// If it is written, others may not come to it.
    pub(super) is_apart: bool,
    /// On top of the flags.
    pub(super) attributes: Attributes,
    /// What becomes of symlinks in its target.
    pub(super) links: Links,
    /// Under other ids in any case.
    pub(super) id_mapped: Option<IdMapped>,
    /// What makes the namespace of a map.
    pub(super) starter: Starter,
    /// Who copies it is the parent.
    pub(super) by_parent: bool,
}

pub(super) fn compile(
    source: &Source,
    target: &Path,
    recursive: bool,
    flags: Flags,
    Circumstances {
        ids,
        takes_mounts,
        closed,
        as_named,
        strict,
        is_here,
        is_apart,
        attributes,
        links,
        id_mapped,
        starter,
        by_parent,
    }: Circumstances,
) -> Result<Box<dyn Step>> {
    if let Source::Path(source) = source {
        absolute(NAME, source).map_err(|error| error.at("source"))?;
    }
    not_the_root(target)?;
    let show = Show::of(source.clone(), recursive, !flags.read_only, ids)
        .takes_mounts(takes_mounts)
        .plain(flags.for_strangers)
        .mapped(id_mapped, starter)
        .made_by_parent(by_parent)
        .only_as_named(strict)
        .peer(attributes.propagation.is_some_and(Propagation::is_of_others));
    let about = format!("bind {} on {}{}", show.path().display(), target.display(), flags.describe());
    let of_root = show.path() == Path::new("/");
    Ok(Box::new(Bind {
        show,
        target: target.to_owned(),
        recursive,
        of_root,
        flags,
        closed,
        as_named,
        is_here,
        is_apart: is_apart && !flags.read_only,
        attributes,
        links,
        about,
    }))
}

impl Bind {
    /// Why the caller's directory, which is shown as nobody has said another, cannot be had.
    fn cannot_be_here(&self, errno: rustix::io::Errno) -> Option<Hint> {
        let why = match errno {
            rustix::io::Errno::ACCESS => "cannot be reached by its path",
            rustix::io::Errno::NAMETOOLONG => "has a longer path than the 4095 bytes that the kernel takes at once",
            _ => return None,
        };
        let hint = Hint::from(format!("the caller's directory {why}: name a working directory"));
        self.is_here.then(|| hint.with([Remedy::give("workdir")]))
    }

    /// Whether the kernel can do what is asked of it: where the source's own mount is private, it would be a word and nothing else.
    fn is_seen_elsewhere(&self, found: &Statx) -> Result<()> {
        let Some(how) = self.attributes.propagation.filter(|how| how.is_of_others()) else { return Ok(()) };
        let is_shared = Mounts::propagation_of(NAME, found.stx_mnt_id)?;
        match (is_shared, how.is_shared()) {
            (Shared::Both, _) | (Shared::Received, false) => Ok(()),
            _ if self.attributes.alone => Ok(()),
            _ => {
                let path = self.show.path();
                let action =
                    format!("{}: the mount that it lies on is private, so nothing comes or goes", path.display());
                Err(Error::invalid(NAME, action)
                    .at("source")
                    .contradicting()
                    .hint("mount --make-shared it on the host"))
            }
        }
    }
}

impl Step for Bind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        match self.show.open(preparation) {
            Ok(found) => {
                self.show.make_maps(preparation)?;
                // By another name, such as /proc/1/root.
                let root = statx(CWD, c"/", AtFlags::empty(), StatxFlags::TYPE | StatxFlags::INO)
                    .map_err(|errno| Error::parent(NAME, &self.about, errno).call("statx").path_of("/"))?;
                self.of_root |= identity_of(&root) == identity_of(&found);
                let failed = |cause: std::io::Error| {
                    let errno = rustix::io::Errno::from_io_error(&cause);
                    let error = Error::parent(NAME, &self.about, cause).call("statx").path_of(self.show.path());
                    error.hint_if(errno.and_then(|errno| self.cannot_be_here(errno)))
                };
                if let Some(places) = &self.closed {
                    let opened = self.show.opened().map(|opened| &**opened);
                    named::is_no_home(NAME, self.show.path(), opened, &found, places)?;
                }
                self.show.look_where(NAME).map_err(|error| error.at("source"))?;
                if self.is_here && identity(Path::new(".")).map_err(failed)? != identity_of(&found) {
                    let error = Error::parent(NAME, &self.about, rustix::io::Errno::STALE).path_of(self.show.path());
                    return Err(error.hint("the caller's directory has another name by now"));
                }
                if self.is_apart {
                    own_namespaces::is_apart(NAME, self.show.path(), self.show.opened(), &found)
                        .map_err(|error| error.at("source"))?;
                }
                self.is_seen_elsewhere(&found)?;
                // A device is written all the same, but its inode, which is the host's, is not changed.
                let kind = FileType::from_raw_mode(found.stx_mode.into());
                if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
                    self.flags.read_only = true;
                    self.flags.nodev &= !self.as_named;
                    self.show.is_not_written();
                }
                Ok(())
            }
            Err(errno) => {
                let no_source = || (errno == rustix::io::Errno::NOENT).then(|| Hint::from("the source does not exist"));
                let hint = self.cannot_be_here(errno).or_else(no_source);
                let error = Error::parent(NAME, &self.about, errno).call("openat").path_of(self.show.path());
                Err(error.at("source").hint_if(hint))
            }
        }
    }

    fn keeps(&self) -> Vec<Fd> {
        self.show.keeps().collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        self.show.copy(program, Slot::TREE);
        attach(program, &self.target, Want::Like(Slot::TREE), 0o755, self.links);
        self.show.covers(program, Slot::TREE);
        if self.of_root && self.recursive && self.show.is_childs() {
            let place = program.place(&self.target);
            program.push(Op::Uncover { mount: Slot::TREE, place });
        }
        let set = self.flags.attributes();
        if set != 0 {
            // Only adds: what the source's mount has locked (nosuid, nodev, noexec) stays.
            program.push(Op::SetAttributes { mount: Slot::TREE, set, recursive: self.recursive });
        }
        if self.flags.read_only {
            program.push(Op::CheckReadOnly { mount: Slot::TREE });
        }
        filesystem::change(program, &self.attributes, Slot::TREE);
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, self.show.describe());
    }
}
