//! The child's ops as they are put together, each with what an error would say it was about.

use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bumpalo::Bump;
use seclude_child::op::{Listens, Place};
use seclude_child::{Instruction, Op, Slot};
use seclude_request::Field;
use seclude_sys::Fd;
use seclude_sys::process::StringList;

use crate::config::mount::IdMapped;
use crate::error::{Error, Result};
use crate::late::{self, Launch};

/// The message names an op with 16 bits.
const MOST_OPS: usize = u16::MAX as usize;

/// The array of ops under construction. What steps do not own themselves lives in the arena.
pub(crate) struct Program<'a> {
    arena: &'a Bump,
    instructions: Vec<Instruction<'a>>,
    /// For each op: the index of its step, and what it is about.
    notes: Vec<(usize, &'a str)>,
    names: &'a [&'static str],
    numbers: Vec<u8>,
    step: usize,
    number: u8,
    about: &'a str,
    /// The child's end of the handshake.
    pub(crate) socket: Fd,
    /// What must stay open when all others are closed.
    pub(crate) kept: Vec<Fd>,
    /// Descriptors that are given to the launcher so far.
    given: i32,
    /// The one of the working directory.
    pub(crate) directory: Option<Fd>,
    /// The one of a proc file system of our own.
    pub(crate) proc: Option<Fd>,
    /// Those of filters, how each is installed, and whether it listens.
    pub(crate) filters: Vec<(Fd, u32, Listens)>,
    /// The one of a ruleset of landlock.
    pub(crate) ruleset: Option<Fd>,
    /// Those of proc file systems, to write attributes of its own.
    pub(crate) attributes: Vec<Fd>,
    /// The one of the socket that it waits on.
    pub(crate) listener: Option<Fd>,
    /// What the launcher is to hold as an init, and never the command.
    for_init: Vec<Fd>,
    /// The spawner's pidfd, with which the init ends.
    ends_with: Option<Fd>,
    /// The op that starts the launcher, which does all that come after it.
    launch: Option<Launch<'a>>,
    /// Mounts that are looked at once all are made.
    noted: Vec<Noted<'a>>,
    /// Trees that the parent copies, in the order in which the child takes them.
    trees: Vec<Wanted>,
    /// The late op to fail at, and how.
    #[cfg(feature = "fault")]
    pub(crate) fault: Option<(usize, crate::fault::Fault)>,
    wrong: Option<Error>,
}

/// A mount, and where it was asked for.
struct Noted<'a> {
    step: usize,
    target: PathBuf,
    /// Whether it has one spelling alone.
    is_plain: bool,
    place: Place<'a>,
    id: &'a AtomicU64,
}

/// A tree of the host that the parent copies for the child, [`Op::TakeTree`].
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// What is copied, opened in `prepare`.
    pub(crate) source: Option<Arc<OwnedFd>>,
    pub(crate) recursive: bool,
    /// Whether nothing may be shown if its ids cannot be mapped.
    pub(crate) strict: bool,
    /// Which ids were asked for, for this one.
    pub(crate) mapped: Option<IdMapped>,
    /// The user namespace whose map those are, if not the container's.
    pub(crate) namespace: Option<Arc<OwnedFd>>,
    /// Under the host's ids, which are nobody's inside.
    pub(crate) plain: bool,
    /// It stays a peer of what it is a copy of.
    pub(crate) peer: bool,
    /// The child wants the file itself, open for reading at this offset.
    pub(crate) open_at: Option<u64>,
    /// The source's path, for errors, and to find what is mounted below it.
    pub(crate) path: PathBuf,
    /// The index of the step that it is for.
    pub(crate) step: usize,
}

impl<'a> Program<'a> {
    pub(crate) fn new(arena: &'a Bump, names: &'a [&'static str], socket: Fd) -> Program<'a> {
        Program {
            arena,
            instructions: Vec::with_capacity(128),
            notes: Vec::with_capacity(128),
            names,
            numbers: numbers_of(names),
            step: 0,
            number: 0,
            about: "",
            socket,
            kept: Vec::new(),
            given: 0,
            directory: None,
            proc: None,
            filters: Vec::new(),
            ruleset: None,
            attributes: Vec::new(),
            listener: None,
            for_init: Vec::new(),
            ends_with: None,
            launch: None,
            noted: Vec::new(),
            trees: Vec::new(),
            #[cfg(feature = "fault")]
            fault: None,
            wrong: None,
        }
    }

    /// Says what of the request the step is there for whose ops were last made, should they be what is wrong.
    pub(crate) fn blame(&mut self, field: impl FnOnce() -> Option<Field>) {
        self.wrong = self.wrong.take().map(|wrong| if wrong.field().is_none() { wrong.or_at(field()) } else { wrong });
    }

    /// Starts the ops of step number `step`.
    pub(crate) fn begin(&mut self, step: usize) {
        self.step = step;
        self.number = self.numbers.get(step).copied().unwrap_or(u8::MAX);
        self.about = "";
    }

    /// A number under which the launcher is given a descriptor: above all that the child has open.
    pub(crate) fn number_for_launcher(&mut self) -> Fd {
        self.given += 1;
        let highest = self.kept.iter().map(|fd| fd.0).chain([2, self.socket.0]).max().unwrap_or(2);
        Fd(highest + self.given)
    }

    /// A lock that the init holds as long as it lives, and the command never has.
    pub(crate) fn hold_in_init(&mut self, lock: Fd) {
        self.push(Op::Keep { fd: lock });
        self.for_init.push(lock);
    }

    /// Has the init end with the process that this pidfd is of, whoever else has what it is told by.
    pub(crate) fn end_with(&mut self, spawner: Fd) {
        self.push(Op::Keep { fd: spawner });
        self.ends_with = Some(spawner);
    }

    /// Starts the launcher: what is pushed from here on, up to the exec, is done by it.
    pub(crate) fn launch(&mut self, launch: Launch<'a>) {
        let nothing = self.string_list([]);
        self.push(Op::Launch { image: launch.image, argv: nothing, envp: launch.envp });
        self.launch = Some(launch);
        for fd in std::mem::take(&mut self.for_init) {
            self.push(Op::NotForCommand { fd });
        }
        if let Some(spawner) = self.ends_with.take() {
            self.push(Op::EndWith { spawner });
        }
    }

    /// Has the parent copy a tree for the child, which takes it into this slot.
    pub(crate) fn take_tree(&mut self, into: Slot, wanted: Wanted) {
        let wanted_peer = wanted.peer;
        self.trees.push(Wanted { step: self.step, ..wanted });
        self.push(Op::TakeTree { into, peer: wanted_peer });
    }

    /// The place of the next op.
    pub(crate) fn next_op(&self) -> usize {
        self.instructions.len()
    }

    /// Says what the ops that follow are about.
    pub(crate) fn about(&mut self, about: &'a str) {
        self.about = about;
    }

    pub(crate) fn about_owned(&mut self, about: String) {
        self.about = self.arena.alloc_str(&about);
    }

    pub(crate) fn push(&mut self, op: Op<'a>) {
        self.instructions.push(Instruction { step: self.number, op });
        self.notes.push((self.step, self.about));
    }

    /// A C string of `text`; a NUL in it is the program's error.
    pub(crate) fn text(&mut self, text: impl AsRef<OsStr>) -> &'a CStr {
        let bytes = text.as_ref().as_bytes();
        let mut copy = bumpalo::collections::Vec::with_capacity_in(bytes.len() + 1, self.arena);
        copy.extend_from_slice(bytes);
        copy.push(0);
        match CStr::from_bytes_with_nul(copy.into_bump_slice()) {
            Ok(text) => text,
            Err(_) => {
                let name = self.names.get(self.step).copied().unwrap_or("plan");
                let shown = String::from_utf8_lossy(bytes);
                self.wrong.get_or_insert_with(|| Error::invalid(name, format!("{shown:?} has a NUL byte in it")));
                c""
            }
        }
    }

    /// A place inside a root: `path` without its leading slash, and its parts.
    pub(crate) fn place(&mut self, path: &Path) -> Place<'a> {
        if let Some(parts) = plain(path) {
            let name = parts.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            return Place { path: self.text(OsStr::from_bytes(parts)), name: self.text(OsStr::from_bytes(name)) };
        }
        let parts: Vec<&OsStr> = path
            .components()
            .filter_map(|component| match component {
                std::path::Component::Normal(part) => Some(part),
                _ => None,
            })
            .collect();
        let Some((name, leading)) = parts.split_last() else {
            return Place { path: c".", name: c"." };
        };
        let mut whole: std::path::PathBuf = leading.iter().collect();
        whole.push(name);
        Place { path: self.text(&whole), name: self.text(name) }
    }

    /// Remembers which mount was made there, to look at it again with [`Self::look_again`].
    pub(crate) fn note(&mut self, mount: Slot, target: &Path, place: Place<'a>) {
        let id: &'a AtomicU64 = self.arena.alloc(AtomicU64::new(0));
        self.push(Op::Note { mount, id });
        let is_plain = is_plain(target);
        self.noted.push(Noted { step: self.step, target: target.to_owned(), is_plain, place, id });
    }

    /// Looks whether each mount at `above` and below it lies where it was asked for: before one that lies over them by its
    /// caller's own order, and when all are made.
    pub(crate) fn look_again(&mut self, above: &Path) {
        let is_plain = is_plain(above);
        let is_covered = |it: &Noted<'a>| match is_plain && it.is_plain {
            true => is_at_or_below(&it.target, above),
            false => it.target.starts_with(above),
        };
        if !self.noted.iter().any(is_covered) {
            return;
        }
        let (step, about) = (self.step, self.about);
        let (covered, noted) = std::mem::take(&mut self.noted).into_iter().partition(is_covered);
        self.noted = noted;
        let covered: Vec<Noted<'a>> = covered;
        for noted in covered {
            self.begin(noted.step);
            self.about_owned(format!("look at {}", noted.target.display()));
            self.push(Op::LookAgain { place: noted.place, id: noted.id });
        }
        self.begin(step);
        self.about(about);
    }

    /// The strings as execve(2) takes them.
    pub(crate) fn string_list(&mut self, strings: impl IntoIterator<Item = &'a CStr>) -> StringList<'a> {
        let strings: Vec<&'a CStr> = strings.into_iter().collect();
        let room = self.arena.alloc_slice_fill_copy(strings.len() + 1, std::ptr::null());
        StringList::fill(&strings, room)
    }

    pub(crate) fn slice<T: Copy>(&mut self, items: &[T]) -> &'a [T] {
        self.arena.alloc_slice_copy(items)
    }

    /// The finished array.
    pub(crate) fn finish(mut self) -> Result<Finished<'a>> {
        if let Some(launch) = self.launch.take() {
            let place = self.instructions.iter().position(|instruction| matches!(instruction.op, Op::Launch { .. }));
            let place = place.unwrap_or_default();
            #[cfg(feature = "fault")]
            let fault = self.fault;
            #[cfg(not(feature = "fault"))]
            let fault = None;
            let words = late::words(&launch, self.socket, place, &self.instructions, fault)?;
            let words: Vec<&CStr> = words.iter().map(|word| self.text(OsStr::from_bytes(word))).collect();
            let argv = self.string_list(words);
            if let Some(instruction) = self.instructions.get_mut(place) {
                instruction.op = Op::Launch { image: launch.image, argv, envp: launch.envp };
            }
        }
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let count = self.instructions.len();
        if count > MOST_OPS {
            let action = format!("{count} operations; the handshake's messages can name {MOST_OPS}");
            return Err(Error::invalid("plan", action).at("mounts").hint("ask for fewer mounts"));
        }
        Ok(Finished { instructions: self.instructions, notes: self.notes, names: self.names, trees: self.trees })
    }
}

/// A path without its leading slash, if it is nothing but names between single slashes, as nearly all are: to take it apart and put
/// it together again costs more than what is done with it.
fn plain(path: &Path) -> Option<&[u8]> {
    let parts = path.as_os_str().as_bytes().strip_prefix(b"/")?;
    parts.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b"..")).then_some(parts)
}

/// Whether a path has no other spelling: nothing twice, no `.`, no end that says nothing.
fn is_plain(path: &Path) -> bool {
    path.as_os_str() == "/" || plain(path).is_some()
}

/// Of plain paths, by their bytes: each mount asks of each, and components take a hundred times as long.
fn is_at_or_below(path: &Path, above: &Path) -> bool {
    let (path, above) = (path.as_os_str().as_bytes(), above.as_os_str().as_bytes());
    above == b"/" || matches!(path.strip_prefix(above), Some([] | [b'/', ..]))
}

/// The number of each step. Those of the same name (mounts) share one: there are more mounts than numbers.
pub(crate) fn numbers_of(names: &[&'static str]) -> Vec<u8> {
    let mut seen: Vec<&str> = Vec::with_capacity(32);
    let number = |name: &&'static str| {
        let known = seen.iter().position(|seen| seen == name);
        known.unwrap_or_else(|| {
            seen.push(name);
            seen.len() - 1
        }) as u8
    };
    names.iter().map(number).collect()
}

/// A program that can run.
pub(crate) struct Finished<'a> {
    pub(crate) instructions: Vec<Instruction<'a>>,
    notes: Vec<(usize, &'a str)>,
    names: &'a [&'static str],
    pub(crate) trees: Vec<Wanted>,
}

impl Finished<'_> {
    /// The name of the step of op number `op`, and what the op is about.
    pub(crate) fn note(&self, op: usize) -> (&'static str, &str) {
        match self.notes.get(op) {
            Some((step, about)) => (self.names.get(*step).copied().unwrap_or("plan"), about),
            None => ("plan", ""),
        }
    }

    /// The index of its step.
    pub(crate) fn step_of(&self, op: usize) -> Option<usize> {
        self.notes.get(op).map(|(step, _)| *step)
    }

    /// The file system that op number `op` is a part of the making of.
    pub(crate) fn file_system(&self, op: usize) -> Option<&CStr> {
        // Of an overlay, layers are opened between its first op and its last.
        self.instructions.get(..=op)?.iter().rev().find_map(|instruction| match instruction.op {
            Op::FsOpen { kind, .. } => Some(kind),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_lie_below_each_other_as_their_components_do() {
        let all = ["/", "/a", "/a/b", "/ab", "/a/bc", "/a/b/c", "/b"];
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (Path::new(one), Path::new(other)))) {
            assert!(is_plain(one));
            assert_eq!(is_at_or_below(one, other), one.starts_with(other), "{one:?} below {other:?}");
        }
        for odd in ["a", "", "//a", "/a/", "/a//b", "/a/./b", "/a/..", "/."] {
            assert!(!is_plain(Path::new(odd)), "{odd}");
        }
    }
}
