//! The child's ops as they are put together, each with what an error would say it was about.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bumpalo::Bump;
use seclude_child::op::{Component, Place};
use seclude_child::{Instruction, Op};
use seclude_sys::Fd;
use seclude_sys::process::StringList;

use crate::error::{Error, Result};

/// The message names an op with 16 bits.
const MOST_OPS: usize = u16::MAX as usize;

/// The array of ops under construction. What steps do not own themselves lives in the arena.
pub(crate) struct Program<'a> {
    arena: &'a Bump,
    instructions: Vec<Instruction<'a>>,
    /// For each op: the index of its step, and what it is about.
    notes: Vec<(usize, &'a str)>,
    names: &'a [&'static str],
    step: usize,
    number: u8,
    about: &'a str,
    /// The child's end of the handshake.
    pub(crate) socket: Fd,
    /// What must stay open when all others are closed.
    pub(crate) kept: Vec<Fd>,
    wrong: Option<Error>,
}

impl<'a> Program<'a> {
    pub(crate) fn new(arena: &'a Bump, names: &'a [&'static str], socket: Fd) -> Program<'a> {
        Program {
            arena,
            instructions: Vec::with_capacity(128),
            notes: Vec::with_capacity(128),
            names,
            step: 0,
            number: 0,
            about: "",
            socket,
            kept: Vec::new(),
            wrong: None,
        }
    }

    /// Starts the ops of step number `step`.
    pub(crate) fn begin(&mut self, step: usize) {
        self.step = step;
        self.number = number_of(self.names, step);
        self.about = "";
    }

    /// The step's number as messages and clocks have it: many mounts share one.
    pub(crate) fn step_number(&self) -> u8 {
        self.number
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
                let shown = String::from_utf8_lossy(bytes).replace('\0', "\\0");
                self.wrong.get_or_insert_with(|| Error::invalid(name, format!("{shown:?} has a NUL byte in it")));
                c""
            }
        }
    }

    /// A place inside a root: `path` without its leading slash, and its parts.
    pub(crate) fn place(&mut self, path: &Path) -> Place<'a> {
        let parts: Vec<&OsStr> = path
            .components()
            .filter_map(|component| match component {
                std::path::Component::Normal(part) => Some(part),
                _ => None,
            })
            .collect();
        let Some((name, leading)) = parts.split_last() else {
            return Place { path: c".", parents: &[], name: c"." };
        };
        let mut parents = bumpalo::collections::Vec::with_capacity_in(leading.len(), self.arena);
        let mut so_far = std::path::PathBuf::new();
        for part in leading {
            so_far.push(part);
            let path = self.text(&so_far);
            let name = self.text(part);
            parents.push(Component { path, name });
        }
        so_far.push(name);
        Place { path: self.text(&so_far), parents: parents.into_bump_slice(), name: self.text(name) }
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
    pub(crate) fn finish(self) -> Result<Finished<'a>> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let count = self.instructions.len();
        if count > MOST_OPS {
            let action = format!("{count} operations; the handshake's messages can name {MOST_OPS}");
            return Err(Error::invalid("plan", action).hint("ask for fewer mounts"));
        }
        Ok(Finished { instructions: self.instructions, notes: self.notes, names: self.names })
    }
}

/// Steps of the same name (mounts) share a number: there are more mounts than numbers.
pub(crate) fn number_of(names: &[&'static str], step: usize) -> u8 {
    let Some(name) = names.get(step) else { return u8::MAX };
    let mut seen: Vec<&str> = Vec::with_capacity(24);
    for other in names {
        if other == name {
            return seen.len() as u8;
        }
        if !seen.contains(other) {
            seen.push(other);
        }
    }
    u8::MAX
}

/// A program that can run.
pub(crate) struct Finished<'a> {
    pub(crate) instructions: Vec<Instruction<'a>>,
    notes: Vec<(usize, &'a str)>,
    names: &'a [&'static str],
}

impl Finished<'_> {
    /// The name of the step of op number `op`, and what the op is about.
    pub(crate) fn note(&self, op: usize) -> (&'static str, &str) {
        match self.notes.get(op) {
            Some((step, about)) => (self.names.get(*step).copied().unwrap_or("plan"), about),
            None => ("plan", ""),
        }
    }
}
