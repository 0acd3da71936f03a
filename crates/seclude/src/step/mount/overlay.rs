//! Several directories as one, overlayfs.
//!
//! The kernel splits its options at `:` and `,` and reads `\` as an escape, each version in its own way, and takes
//! at most 255 bytes. So it never sees the caller's paths: each layer is given to it by a descriptor, and before Linux 6.15 by a
//! short name of our own in a directory of the scratch tmpfs.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, StatVfsMountFlags, Statx, fstat, openat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;
use seclude_child::op::{Links, Place, Want};
use seclude_child::{Op, Slot};
use seclude_request::{Field, Remedy};
use seclude_sys::Fd;
use seclude_sys::mount::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};
use serde_json::json;

use super::{NAME, attach, not_the_root, set_id};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::config::root::{Overlay, Upper};
use crate::discarded::EPHEMERAL_UPPER;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ledger::Ledger;
use crate::places::{Identity, identity_of};
use crate::program::Program;
use crate::remove::{self, Known};
use crate::step::root::{absolute, scratch_entry};
use crate::step::show::{self, Show};
use crate::step::user::{self, Ids};
use crate::step::{Preparation, Step};

/// The kernel's own limit, OVL_MAX_STACK.
const MOST_LOWERS: usize = 500;
/// As many short names as fit into the 255 bytes.
const MOST_NAMES: usize = 100;
/// What the kernel makes in the work directory.
const KERNELS: &str = "work";
const DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// In memory it is in a directory of its own below the scratch tmpfs.
const UPPER: &str = EPHEMERAL_UPPER;
const WORK: &str = "-w";
/// The layer that is being given: not the slot of the overlay, nor of what is written.
const LOWER: Slot = Slot::TREE_ABOVE;

/// A directory that is to be written as an overlay of its own, below a root that is another one.
pub(in crate::step) fn overlay_of_its_own() -> Remedy {
    Remedy::set("mounts", json!([{ "type": "overlay" }]))
}

/// How an overlay is made here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) ids: Ids,
    /// The lowers are under the host's ids in any case.
    pub(crate) plain: bool,
    by_descriptor: bool,
    /// Without privileges over the host the kernel keeps its marks in user.* attributes. Linux 5.11.
    userxattr: bool,
    /// What is copied up belongs to the host's root, or to others than the caller, with the bits that it has below.
    closed: bool,
    /// What is written on the host is what it is named as.
    strict: bool,
    /// What is made there by the command is made by the host's root, devices too.
    devices: bool,
}

impl Way {
    pub(crate) fn of(command: &Config, host: &Host) -> Way {
        Way {
            ids: user::ids_of_files(command, host),
            plain: false,
            by_descriptor: host.overlays_by_descriptor,
            userxattr: command.namespaces.is_new(Namespace::User),
            closed: command.is_sandboxed() && host.uid == 0,
            strict: command.is_sandboxed(),
            devices: !command.namespaces.is_new(Namespace::User),
        }
    }

    fn most_lowers(self) -> usize {
        if self.by_descriptor { MOST_LOWERS } else { MOST_NAMES }
    }
}

pub(crate) struct OverlayMount {
    way: Way,
    lowers: Vec<Show>,
    upper: Upper,
    /// With an upper directory: that, the kernel's, and, where the parent makes copies, what both lie in.
    written: Option<Written>,
    about: String,
    /// Permissions of the topmost lower directory, which the merged one shall have.
    mode: u32,
    /// nosuid and noexec of the lowers' own mounts, which the kernel does not look at.
    attributes: u32,
}

struct Written {
    upper: Show,
    work: Show,
    above: Show,
    /// Of both, seen from what they lie in.
    inside: [PathBuf; 2],
}

impl OverlayMount {
    pub(crate) fn compile(step: &'static str, overlay: &Overlay, way: Way, target: &str) -> Result<Self> {
        let about = format!("{} on {target}", overlay.describe());
        let wrong = |why: String, field: Field| {
            Err::<Self, Error>(Error::invalid(step, format!("overlay on {target}: {why}")).at_field(field))
        };
        let lowers = || Field::of("lowers");
        let most = way.most_lowers();
        match overlay.lowers.len() {
            0 => return wrong("it has no lower directory".into(), lowers()),
            1 if overlay.upper == Upper::None => {
                return wrong("one lower directory and no upper is a read-only bind: ask for that".into(), lowers());
            }
            count if count > most => {
                return wrong(format!("{count} lower directories; at most {most} can be had"), lowers());
            }
            _ => {}
        }
        for (number, lower) in overlay.lowers.iter().enumerate() {
            let field = || lowers().index(number);
            absolute(step, lower).map_err(|error| error.at_field(field()))?;
            if lower == Path::new("/") {
                // In a user namespace the kernel answers EINVAL; elsewhere what is mounted below would be missing.
                // Ephemeral writes over the whole tree are made of many overlays: see layered_host.
                let why = "an overlay of / has none of the mounts below it in it, and users may not make one";
                return wrong(why.into(), field()).map_err(|error: Error| {
                    let hint = Hint::from("overlay the directories that are to be written, or give another root");
                    error.hint(hint.with([overlay_of_its_own(), Remedy::give("root.path")]))
                });
            }
            if overlay.lowers.iter().take(number).any(|before| before == lower) {
                return wrong(format!("{} is a lower directory twice", lower.display()), field());
            }
        }
        let mut written = None;
        if let Upper::Directory { upper, work } = &overlay.upper {
            absolute(step, upper).map_err(|error| error.at("upper"))?;
            absolute(step, work).map_err(|error| error.at("work"))?;
            if upper == work || upper.starts_with(work) || work.starts_with(upper) {
                let why = "upper and work directory must not be one or lie in each other";
                return wrong(why.into(), Field::of("work"));
            }
            let show = |path| Show::new(path, false, true, way.ids).only_as_named(way.strict);
            let (upper, work, above) = (show(upper), show(work), show(Path::new("/")));
            written = Some(Written { upper, work, above, inside: Default::default() });
        }
        let lowers = overlay
            .lowers
            .iter()
            .map(|lower| Show::new(lower, false, false, way.ids).plain(way.plain).only_as_named(way.strict))
            .collect();
        Ok(OverlayMount { way, lowers, upper: overlay.upper.clone(), written, about, mode: 0o755, attributes: 0 })
    }

    pub(crate) fn upper(&self) -> &Upper {
        &self.upper
    }

    pub(crate) fn prepare(&mut self, step: &'static str, preparation: &mut Preparation<'_>) -> Result<()> {
        let about = &self.about;
        let says = |path: &Path| format!("{about}: {}", path.display());
        // By another name, or a symlink, one is the same: the kernel says ELOOP of it, and not which.
        let mut layers: Vec<(Identity, PathBuf)> = Vec::new();
        let mut note = |found: &Statx, path: &Path| {
            let identity = identity_of(found);
            let same = layers.iter().find(|(known, _)| *known == identity).map(|(_, path)| path.clone());
            layers.push((identity, path.to_owned()));
            same.map_or(Ok(()), |same| {
                let why = match same == path {
                    true => format!("{} is a layer twice", path.display()),
                    false => format!("{} and {} are one directory, and a layer twice", same.display(), path.display()),
                };
                Err(Error::invalid(step, format!("{about}: {why}")))
            })
        };
        for (number, lower) in self.lowers.iter_mut().enumerate() {
            let at_it = |error: Error| error.at_field(Field::of("lowers").index(number));
            let found = show::directory(lower, step, says, preparation).map_err(at_it)?;
            note(&found, lower.path()).map_err(at_it)?;
            if number == 0 {
                self.mode = u32::from(found.stx_mode) & 0o7777;
            }
            if let Some(open) = lower.opened() {
                self.attributes |= kept_attributes(open)
                    .map_err(|errno| {
                        Error::parent(step, says(lower.path()), errno).call("fstatfs").path_of(lower.path()).hint(
                        "what its mount forbids (nosuid, noexec) cannot be learned, and would be lost in an overlay",
                    )
                    })
                    .map_err(at_it)?;
            }
        }
        for (number, lower) in self.lowers.iter().enumerate() {
            lower.look_where(step).map_err(|error| error.at_field(Field::of("lowers").index(number)))?;
        }
        let Some(written) = &mut self.written else { return Ok(()) };
        preparation.ledger.mount_points.overlay_stays = true;
        let upper = show::directory(&mut written.upper, step, says, preparation).map_err(|error| error.at("upper"))?;
        let work = show::directory(&mut written.work, step, says, preparation).map_err(|error| error.at("work"))?;
        note(&upper, written.upper.path()).map_err(|error| error.at("upper"))?;
        note(&work, written.work.path()).map_err(|error| error.at("work"))?;
        written.upper.look_where(step).map_err(|error| error.at("upper"))?;
        written.work.look_where(step).map_err(|error| error.at("work"))?;
        if (upper.stx_dev_major, upper.stx_dev_minor) != (work.stx_dev_major, work.stx_dev_minor) {
            let action = format!("{about}: upper and work directory are not on the same file system");
            return Err(Error::invalid(step, action).at("work").contradicting());
        }
        let opened = written.upper.opened().filter(|_| self.way.closed);
        if opened.is_some_and(|upper| set_id::others_come_to(upper, self.way.devices)) {
            for lower in &self.lowers {
                let Some(opened) = lower.opened() else { continue };
                let found = set_id::first_below(opened, self.way.devices, preparation.patience)?;
                let Some((found, what)) = found else { continue };
                let action = format!(
                    "{about}: others come to {}, where {}, {what}, would be copied with the rights that it gives, and with a content of the command's own",
                    written.upper.path().display(),
                    lower.path().join(found).components().collect::<PathBuf>().display(),
                );
                let hint = "take the directory that the upper one lies in from others (chmod go-x), or have it on a file system that is \
                            mounted nosuid and nodev";
                return Err(Error::invalid(step, action).at("upper").hint(hint));
            }
        }
        let Some(work) = written.work.opened().cloned() else { return Ok(()) };
        if written.above.is_childs() {
            removed_at_the_end(&work, written.work.path(), preparation.ledger);
            return Ok(());
        }
        written.find_above(preparation).map_err(|errno| {
            Error::parent(step, format!("{about}: what upper and work directory lie in"), errno).call("openat")
        })?;
        removed_at_the_end(&work, written.work.path(), preparation.ledger);
        Ok(())
    }

    pub(crate) fn keeps(&self) -> Vec<Fd> {
        let written = self.written.iter().flat_map(|written| [&written.upper, &written.work]);
        // They are looked at in the child also where it takes its copies from the parent.
        let written = written.filter_map(Show::opened).map(|open| Fd(open.as_raw_fd()));
        self.lowers.iter().flat_map(Show::keeps).chain(written).collect()
    }

    /// The ops that make the mount, detached, in `slot`.
    pub(crate) fn make<'a>(&'a self, program: &mut Program<'a>, slot: Slot, attributes: u32) {
        self.make_part(program, slot, attributes, None);
    }

    /// The same for a part of the host's tree with this number: in `slot` is its layer, read-only, if an overlay cannot have that.
    pub(crate) fn make_part<'a>(&'a self, program: &mut Program<'a>, slot: Slot, attributes: u32, part: Option<u16>) {
        program.about(&self.about);
        let named = !self.way.by_descriptor;
        // What is attached nowhere is gone with its last descriptor, before the kernel has its own copy of it.
        if named || self.upper == Upper::Ephemeral || self.way.ids == Ids::Containers {
            let directory = format!("overlay{}", program.next_op());
            let name = program.text(&directory);
            program.push(Op::MakeDirectory { base: Slot::SCRATCH, name, mode: 0o755 });
            let place = scratch_entry(program, &directory);
            open_made(program, Slot::SCRATCH, place, Slot::PLACE);
        }
        if named {
            self.name_layers(program, slot, part);
        } else {
            self.give_layers(program, slot, part);
        }
        if self.way.userxattr {
            program.push(Op::FsFlag { fs: slot, key: c"userxattr" });
        }
        program.push(Op::FsMount { fs: slot, attributes: attributes | self.attributes });
    }

    /// Each layer by what has it open.
    fn give_layers<'a>(&'a self, program: &mut Program<'a>, slot: Slot, part: Option<u16>) {
        program.push(Op::FsOpen { kind: c"overlay", into: slot });
        for (number, lower) in self.lowers.iter().enumerate() {
            if lower.is_childs() && part.is_none() {
                lower.open_in_child(program, LOWER);
            } else {
                copy_of_layer(lower, program, &number.to_string(), part);
            }
            may_be_no_layer(program, slot, part);
            program.push(Op::FsFd { fs: slot, key: c"lowerdir+", value: LOWER });
        }
        if self.open_written(program) {
            program.push(Op::FsFd { fs: slot, key: c"upperdir", value: Slot::UPPER });
            program.push(Op::FsFd { fs: slot, key: c"workdir", value: Slot::WORK });
        }
    }

    /// Before Linux 6.15: each layer by a short name in a directory of the scratch tmpfs.
    fn name_layers<'a>(&'a self, program: &mut Program<'a>, slot: Slot, part: Option<u16>) {
        let mut list = String::new();
        for (number, lower) in self.lowers.iter().enumerate() {
            let short = short_name(number);
            if number > 0 {
                list.push(':');
            }
            list += &short;
            copy_of_layer(lower, program, &short, part);
        }
        if self.open_written(program) && self.written.is_some() {
            for (name, to) in [(UPPER, Slot::UPPER), (WORK, Slot::WORK)] {
                let name = program.text(name);
                program.push(Op::LinkToSlot { base: Slot::PLACE, name, to });
            }
        }
        program.push(Op::GoTo { directory: Slot::PLACE });
        program.push(Op::FsOpen { kind: c"overlay", into: slot });
        let value = program.text(list);
        may_be_no_layer(program, slot, part);
        program.push(Op::FsString { fs: slot, key: c"lowerdir", value });
        if self.upper != Upper::None {
            for (key, name) in [(c"upperdir", UPPER), (c"workdir", WORK)] {
                let value = program.text(name);
                program.push(Op::FsString { fs: slot, key, value });
            }
        }
    }

    /// Upper and work directory, open in their slots; `false` if there are none.
    fn open_written<'a>(&'a self, program: &mut Program<'a>) -> bool {
        if self.upper == Upper::Ephemeral {
            for (name, mode, into) in [(UPPER, self.mode, Slot::UPPER), (WORK, 0o755, Slot::WORK)] {
                let place = scratch_entry(program, name);
                program.push(Op::MakeDirectory { base: Slot::PLACE, name: place.name, mode });
                open_made(program, Slot::PLACE, place, into);
            }
            return true;
        }
        let Some(Written { upper, work, above, inside }) = &self.written else { return false };
        if above.is_childs() {
            upper.open_in_child(program, Slot::UPPER);
            work.open_in_child(program, Slot::WORK);
            return true;
        }
        above.copy(program, Slot::TREE_ABOVE);
        attach_in_scratch(program, "-a", Slot::TREE_ABOVE);
        for (show, path, into) in [(upper, &inside[0], Slot::UPPER), (work, &inside[1], Slot::WORK)] {
            let place = program.place(path);
            open_made(program, Slot::TREE_ABOVE, place, into);
            show.check(program, into);
        }
        true
    }
}

impl Written {
    /// Upper and work directory have to be of one mount: the copy is of the directory that they both lie in.
    fn find_above(&mut self, preparation: &Preparation<'_>) -> std::result::Result<(), Errno> {
        let (Some(upper), Some(work)) = (self.upper.opened(), self.work.opened()) else { return Err(Errno::BADF) };
        let (upper_path, work_path) = (show::path_of(upper)?, show::path_of(work)?);
        let common: PathBuf =
            upper_path.components().zip(work_path.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
        let depth = upper_path.components().count() - common.components().count();
        let mut above = rustix::io::fcntl_dupfd_cloexec(&**upper, preparation.ends.socket_above + 1)?;
        for _ in 0..depth {
            above = openat(&above, c"..", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        }
        let inside = |path: &Path| path.strip_prefix(&common).map(Path::to_owned).map_err(|_| Errno::XDEV);
        self.inside = [inside(&upper_path)?, inside(&work_path)?];
        self.above.set_open(above, common, preparation)
    }
}

/// What the mount of a lower layer forbids its files, which stays forbidden in the overlay.
fn kept_attributes(open: &OwnedFd) -> rustix::io::Result<u32> {
    let found = rustix::fs::fstatvfs(open)?;
    let mut kept = 0;
    for (flag, attribute) in
        [(StatVfsMountFlags::NOSUID, MOUNT_ATTR_NOSUID), (StatVfsMountFlags::NOEXEC, MOUNT_ATTR_NOEXEC)]
    {
        if found.f_flag.contains(flag) {
            kept |= attribute;
        }
    }
    Ok(kept)
}

/// The kernel makes a directory `work` in the work directory, mode 000, and leaves it behind. By descriptor: by its path it
/// could be anybody's by then.
fn removed_at_the_end(work: &Arc<OwnedFd>, path: &Path, ledger: &mut Ledger) {
    if let Err(Errno::NOENT) = statat(work, KERNELS, AtFlags::SYMLINK_NOFOLLOW) {
        let (work, name) = (work.clone(), path.join(KERNELS).display().to_string());
        ledger.push(format!("directory {name}"), move || {
            let owners = [geteuid().as_raw(), fstat(&work)?.st_uid];
            remove::Directory { parent: &work, name: KERNELS, known: Known::OneOf(&owners) }.remove()
        });
    }
}

fn open_made<'a>(program: &mut Program<'a>, base: Slot, place: Place<'a>, into: Slot) {
    program.push(Op::Resolve { base, place, want: Want::Directory, create: None, links: Links::Refused, into });
}

/// In [`LOWER`], and attached, which it has to be to be a layer; a part of the host's tree read-only.
fn copy_of_layer<'a>(lower: &'a Show, program: &mut Program<'a>, name: &str, part: Option<u16>) {
    lower.copy(program, LOWER);
    attach_in_scratch(program, name, LOWER);
    if part.is_some() {
        program.push(Op::SetAttributes { mount: LOWER, set: MOUNT_ATTR_RDONLY, recursive: false });
    }
}

fn may_be_no_layer(program: &mut Program<'_>, into: Slot, part: Option<u16>) {
    if let Some(part) = part {
        program.push(Op::Layer { lower: LOWER, into, part });
    }
}

fn attach_in_scratch(program: &mut Program<'_>, name: &str, mount: Slot) {
    let place = scratch_entry(program, name);
    program.push(Op::MakeDirectory { base: Slot::PLACE, name: place.name, mode: 0o755 });
    open_made(program, Slot::PLACE, place, Slot::UPPER);
    program.push(Op::Attach { mount, onto: Slot::UPPER });
}

/// "a" to "9", then two letters.
fn short_name(number: usize) -> String {
    let digit = |number: usize| char::from(DIGITS[number % DIGITS.len()]);
    match number / DIGITS.len() {
        0 => digit(number).to_string(),
        more => format!("{}{}", digit(more - 1), digit(number)),
    }
}

struct Mounted {
    overlay: OverlayMount,
    target: PathBuf,
    read_only: bool,
}

pub(super) fn compile(target: &Path, overlay: &Overlay, read_only: bool, way: Way) -> Result<Box<dyn Step>> {
    not_the_root(target)?;
    let overlay = OverlayMount::compile(NAME, overlay, way, &target.display().to_string())?;
    Ok(Box::new(Mounted { overlay, target: target.to_owned(), read_only }))
}

impl Step for Mounted {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        self.overlay.prepare(NAME, preparation)
    }

    fn keeps(&self) -> Vec<Fd> {
        self.overlay.keeps()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let attributes = MOUNT_ATTR_NODEV | if self.read_only { MOUNT_ATTR_RDONLY } else { 0 };
        self.overlay.make(program, Slot::TREE, attributes);
        attach(program, &self.target, Want::Directory, 0o755, Links::Followed);
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, format!("open the directories of {}", self.overlay.about));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_all_lowers_are_different_and_fit_into_one_option() {
        let names: Vec<_> = (0..MOST_NAMES).map(short_name).collect();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), MOST_NAMES);
        assert!(names.join(":").len() <= 255);
    }
}
