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

impl Step for Tmpfs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        program.push(Op::FsOpen { kind: c"tmpfs", into: Slot::TREE });
        if let Some(size) = self.size {
            let value = program.text(size.to_string());
            program.push(Op::FsString { fs: Slot::TREE, key: c"size", value });
        }
        let value = program.text(format!("{:o}", self.mode));
        program.push(Op::FsString { fs: Slot::TREE, key: c"mode", value });
        program.push(Op::FsMount { fs: Slot::TREE, attributes: self.flags.attributes() });
        attach(program, &self.target, Want::Directory, 0o755, Links::Followed);
    }
}
