//! A file or directory of the host, seen inside.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};
use seclude_child::op::Want;
use seclude_child::{Op, Slot};

use super::{NAME, attach, not_the_root};
use crate::config::mount::Flags;
use crate::error::{Error, Result};
use crate::plan::Describe;
use crate::program::Program;
use crate::step::root::absolute;
use crate::step::{Preparation, Step};

struct Bind {
    source: PathBuf,
    target: PathBuf,
    recursive: bool,
    /// Whether the source is the caller's `/`.
    of_root: bool,
    flags: Flags,
    about: String,
}

pub(super) fn compile(source: &Path, target: &Path, recursive: bool, flags: Flags) -> Result<Box<dyn Step>> {
    absolute(NAME, source)?;
    not_the_root(target)?;
    let about = format!("bind {} on {}{}", source.display(), target.display(), flags.describe());
    let of_root = source == Path::new("/");
    Ok(Box::new(Bind { source: source.to_owned(), target: target.to_owned(), recursive, of_root, flags, about }))
}

impl Step for Bind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, _: &mut Preparation<'_>) -> Result<()> {
        // Looked at early for an early error: the child opens it in its own mount namespace.
        let look = |path: &Path| statx(CWD, path, AtFlags::empty(), StatxFlags::TYPE | StatxFlags::INO);
        let file = |found: &Statx| (found.stx_dev_major, found.stx_dev_minor, found.stx_ino);
        match look(&self.source) {
            Ok(found) => {
                // By another name, such as /proc/1/root.
                self.of_root |= look(Path::new("/")).is_ok_and(|root| file(&root) == file(&found));
                Ok(())
            }
            Err(errno) => {
                let hint = (errno == rustix::io::Errno::NOENT).then(|| "the source does not exist".to_owned());
                Err(Error::parent(NAME, &self.about, errno).call("statx").path_of(&self.source).hint_if(hint))
            }
        }
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        let source = program.text(&self.source);
        program.push(Op::CloneTree { source, recursive: self.recursive, into: Slot::TREE });
        attach(program, &self.target, Want::Like(Slot::TREE), 0o755, true);
        if self.of_root && self.recursive {
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
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, format!("look at {}", self.source.display()));
    }
}
