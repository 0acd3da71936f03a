//! An empty file system in memory, tmpfs(5).

use std::path::{Path, PathBuf};

use seclude_child::op::{Links, Want};
use seclude_child::{Op, Slot};

use super::{NAME, attach, not_the_root};
use crate::config::mount::Flags;
use crate::error::{Error, Result};
use crate::program::Program;
use crate::step::Step;

struct Tmpfs {
    target: PathBuf,
    size: Option<u64>,
    mode: u32,
    flags: Flags,
    about: String,
}

pub(super) fn compile(target: &Path, size: Option<u64>, mode: u32, flags: Flags) -> Result<Box<dyn Step>> {
    not_the_root(target)?;
    if size == Some(0) {
        let action = format!("tmpfs on {}: size 0; the kernel takes that as no limit", target.display());
        return Err(Error::invalid(NAME, action).at("size"));
    }
    if mode > 0o7777 {
        return Err(
            Error::invalid(NAME, format!("tmpfs on {}: mode {mode:o} is above 7777", target.display())).at("mode")
        );
    }
    let size_words = size.map_or(String::new(), |size| format!(", {size} bytes"));
    let about = format!("tmpfs on {}{size_words}, mode {mode:o}{}", target.display(), flags.describe());
    Ok(Box::new(Tmpfs { target: target.to_owned(), size, mode, flags, about }))
}

/// What takes no block takes an inode all the same, and a directory entry: memory of the kernel's that is never swapped.
const BYTES_OF_AN_INODE: u64 = 4096;
/// As many as a tree of empty files may have where next to no bytes are allowed.
const LEAST_INODES: u64 = 16 * 1024;

/// Bounds a tmpfs by this many bytes, and by what they are worth of inodes; size= and nr_inodes= of tmpfs(5).
pub(in crate::step) fn bound(program: &mut Program<'_>, fs: Slot, bytes: u64) {
    let value = program.text(bytes.to_string());
    program.push(Op::FsString { fs, key: c"size", value });
    let value = program.text((bytes / BYTES_OF_AN_INODE).max(LEAST_INODES).to_string());
    program.push(Op::FsString { fs, key: c"nr_inodes", value });
}

impl Step for Tmpfs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        program.push(Op::FsOpen { kind: c"tmpfs", into: Slot::TREE });
        if let Some(size) = self.size {
            bound(program, Slot::TREE, size);
        }
        let value = program.text(format!("{:o}", self.mode));
        program.push(Op::FsString { fs: Slot::TREE, key: c"mode", value });
        program.push(Op::FsMount { fs: Slot::TREE, attributes: self.flags.attributes() });
        attach(program, &self.target, Want::Directory, 0o755, Links::Followed);
    }
}
