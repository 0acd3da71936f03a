//! The directories on the way to what is held back of something that the command may write to.
//!
//! The kernel keeps what is mounted on from being renamed and removed, and nothing above it: moved away with its directory, it would leave
//! its path to whatever the command puts there, for the host and for the next run to find. So each directory in between is a mount too, of
//! itself. A symlink among them could be given another end, and is an error.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use seclude_child::op::{Create, Links, Want};
use seclude_child::{Op, Slot};
use seclude_request::Field;

use super::{NAME, Place};
use crate::config::Config;
use crate::config::attributes::Propagation;
use crate::config::mount::{Mount, MountKind};
use crate::config::preset::Preset;
use crate::config::root::{RootKind, Upper};
use crate::program::Program;
use crate::step::Step;

/// What lies at a path, and by whose wish.
struct Ways {
    /// What the command may write to, from the root on.
    written: PathBuf,
    /// Below that, the outermost first.
    directories: BTreeMap<PathBuf, How>,
    /// What is held back itself, likewise below that, and where the request says so.
    ends: BTreeMap<PathBuf, (How, Field)>,
    about: String,
}

#[derive(Clone, Copy, Default)]
struct How {
    /// Where it is missing.
    made: bool,
    /// A symlink is an error.
    strict: bool,
}

/// What is held back of something that the command may write to.
pub(crate) struct Held<'a> {
    /// Which mount of the list that is; the root without one.
    pub(crate) above: Option<usize>,
    /// Its path.
    pub(crate) written: &'a Path,
    /// Which mount of the list holds it back.
    by: usize,
    /// Where, below that path.
    pub(crate) below: &'a Path,
    made: bool,
}

/// All of it, with what the mounts that it lies in lie in.
pub(crate) fn held(command: &Config) -> Vec<Held<'_>> {
    let is_wanted = command.holds_ways || command.preset != Preset::Bare;
    if !is_wanted || !root_is_written(command) && !command.mounts.iter().any(is_written) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (by, mount) in command.mounts.iter().enumerate() {
        let Some(optional) = holds_back(mount) else { continue };
        // Up to the root: what lies in another mount is put aside with that.
        let (mut inner, mut made) = (by, !optional);
        loop {
            let above = nearest_above(command, inner);
            let written = match above.and_then(|above| command.mounts.get(above)) {
                None if root_is_written(command) => Some(Path::new("/")),
                Some(above) if is_written(above) => Some(above.target.as_path()),
                _ => None,
            };
            let target = command.mounts.get(inner).map(|inner| inner.target.as_path());
            if let Some((written, below)) = written.and_then(|it| Some((it, target?.strip_prefix(it).ok()?))) {
                all.push(Held { above, written, by, below, made });
            }
            let Some(above) = above else { break };
            (inner, made) = (above, true);
        }
    }
    all
}

/// Whether a symlink on the way is an error: what the preset hides may be behind one of the administrator's.
fn is_strict(command: &Config, mount: &Mount) -> bool {
    !(mount.preset && command.is_sandboxed())
}

/// Those on whose way nobody may have put a symlink.
pub(crate) fn strictly_held(command: &Config) -> Vec<Held<'_>> {
    let mut all = held(command);
    all.retain(|held| command.mounts.get(held.by).is_some_and(|mount| is_strict(command, mount)));
    all
}

/// By the mount of the list that is written to, or by the root: to be held before anything is mounted there.
pub(super) fn compile(command: &Config, places: &[Place]) -> BTreeMap<Option<usize>, Box<dyn Step>> {
    let mut all: BTreeMap<Option<usize>, Ways> = BTreeMap::new();
    for Held { above, written, by, below, made } in held(command) {
        let (Some(mount), Some(place)) = (command.mounts.get(by), places.get(by)) else { continue };
        let how = How { made, strict: is_strict(command, mount) };
        all.entry(above).or_insert_with(|| Ways::below(written)).hold(below, how, place);
    }
    all.into_iter().map(|(above, ways)| (above, Box::new(ways) as Box<dyn Step>)).collect()
}

impl Ways {
    fn below(written: &Path) -> Ways {
        let about = format!("directories on the way to what is held back in {}", written.display());
        Ways { written: written.to_owned(), directories: BTreeMap::new(), ends: BTreeMap::new(), about }
    }

    fn hold(&mut self, end: &Path, how: How, place: &Place) {
        let known = self.ends.entry(end.to_owned()).or_insert_with(|| (how, place.field()));
        if how.strict && !known.0.strict {
            *known = (how, place.field());
        }
        for way in end.ancestors().skip(1).filter(|way| *way != Path::new("")) {
            let known = self.directories.entry(way.to_owned()).or_default();
            *known = How { made: known.made || how.made, strict: known.strict || how.strict };
        }
    }
}

/// The last mount before this one that it lies in.
fn nearest_above(command: &Config, index: usize) -> Option<usize> {
    let (before, target) = (command.mounts.get(..index)?, &command.mounts.get(index)?.target);
    before.iter().rposition(|other| is_a_mount(other) && other.target != *target && target.starts_with(&other.target))
}

fn is_a_mount(mount: &Mount) -> bool {
    !matches!(mount.kind, MountKind::Directory { .. } | MountKind::Symlink { .. } | MountKind::Device { .. })
}

/// Whether what is written there is the host's.
fn is_written(mount: &Mount) -> bool {
    match &mount.kind {
        // What is mounted where mounts are seen elsewhere would be there as well.
        MountKind::Bind { .. } if mount.attributes.propagation.is_some_and(Propagation::is_of_others) => false,
        MountKind::Bind { flags, .. } => !flags.read_only,
        MountKind::Overlay { overlay, read_only } => matches!(overlay.upper, Upper::Directory { .. }) && !read_only,
        _ => false,
    }
}

fn root_is_written(command: &Config) -> bool {
    command.root.as_ref().is_some_and(|root| match &root.kind {
        RootKind::Host | RootKind::Directory(_) => !root.read_only,
        RootKind::Overlay(overlay) => matches!(overlay.upper, Upper::Directory { .. }) && !root.read_only,
        RootKind::Sandbox => false,
    })
}

/// Whether it keeps the command from what is there; `Some(true)`: if anything is.
fn holds_back(mount: &Mount) -> Option<bool> {
    match &mount.kind {
        MountKind::Bind { flags, .. } => flags.read_only.then_some(false),
        MountKind::File { .. } => Some(false),
        MountKind::Mask { if_present } | MountKind::ReadOnlyPath { if_present, .. } => Some(*if_present),
        _ => None,
    }
}

impl Step for Ways {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        let way = match op {
            Op::HoldWay { below, .. } => Path::new(OsStr::from_bytes(below.to_bytes())),
            // Made on the way to the first.
            _ => Path::new(""),
        };
        self.ends.iter().find(|(end, _)| end.starts_with(way)).map(|(_, (_, field))| field.clone())
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        let written = program.place(&self.written);
        let mut directories = self.directories.iter().peekable();
        while let Some((way, How { made, .. })) = directories.next() {
            // Those above it are made with it.
            let has_more = directories.peek().is_some_and(|(next, how)| how.made && next.starts_with(way));
            if *made && !has_more {
                let place = program.place(&self.written.join(way));
                let (create, links) = (Some(Create { mode: 0o755, told: true }), Links::Followed);
                let (base, want, into) = (Slot::ROOT, Want::Directory, Slot::PLACE);
                program.push(Op::Resolve { base, place, want, create, links, into });
            }
        }
        for (way, How { strict, .. }) in &self.directories {
            let below = program.text(way);
            program.push(Op::HoldWay { written, below, mount: true, strict: *strict });
        }
        for (end, (How { strict, .. }, _)) in self.ends.iter().filter(|(_, (how, _))| how.strict) {
            let below = program.text(end);
            program.push(Op::HoldWay { written, below, mount: false, strict: *strict });
        }
    }
}
