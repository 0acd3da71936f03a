//! A file or directory of the host, seen inside.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags, statx};
use seclude_child::op::{Links, Want};
use seclude_child::{Op, Slot};
use seclude_sys::Fd;

use super::{NAME, attach, not_the_root};
use crate::config::mount::{Flags, Source};
use crate::error::{Error, Result};
use crate::plan::Describe;
use crate::program::Program;
use crate::step::root::absolute;
use crate::step::show::Show;
use crate::step::user::Ids;
use crate::step::{Preparation, Step};

struct Bind {
    show: Show,
    target: PathBuf,
    recursive: bool,
    /// Whether the source is the caller's `/`.
    of_root: bool,
    flags: Flags,
    about: String,
}

pub(super) fn compile(
    source: &Source,
    target: &Path,
    recursive: bool,
    flags: Flags,
    ids: Ids,
    takes_mounts: bool,
) -> Result<Box<dyn Step>> {
    if let Source::Path(source) = source {
        absolute(NAME, source)?;
    }
    not_the_root(target)?;
    let show = Show::of(source.clone(), recursive, !flags.read_only, ids).takes_mounts(takes_mounts);
    let about = format!("bind {} on {}{}", show.path().display(), target.display(), flags.describe());
    let of_root = show.path() == Path::new("/");
    Ok(Box::new(Bind { show, target: target.to_owned(), recursive, of_root, flags, about }))
}

impl Step for Bind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let file = |found: &Statx| (found.stx_dev_major, found.stx_dev_minor, found.stx_ino);
        match self.show.open(preparation) {
            Ok(found) => {
                // By another name, such as /proc/1/root.
                let root = statx(CWD, c"/", AtFlags::empty(), StatxFlags::TYPE | StatxFlags::INO)
                    .map_err(|errno| Error::parent(NAME, &self.about, errno).call("statx").path_of("/"))?;
                self.of_root |= file(&root) == file(&found);
                // A device is written all the same, but its inode, which is the host's, is not changed.
                let kind = FileType::from_raw_mode(found.stx_mode.into());
                if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
                    self.flags.read_only = true;
                    self.show.is_not_written();
                }
                Ok(())
            }
            Err(errno) => {
                let hint = (errno == rustix::io::Errno::NOENT).then(|| "the source does not exist".to_owned());
                Err(Error::parent(NAME, &self.about, errno).call("openat").path_of(self.show.path()).hint_if(hint))
            }
        }
    }

    fn keeps(&self) -> Vec<Fd> {
        self.show.keeps().collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        self.show.copy(program, Slot::TREE);
        attach(program, &self.target, Want::Like(Slot::TREE), 0o755, Links::Followed);
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
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, self.show.describe());
    }
}
