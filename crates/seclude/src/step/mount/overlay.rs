//! Several directories as one, overlayfs.
//!
//! The kernel splits its options at `:` and `,` and reads `\` as an escape, each version in its own way, and takes
//! at most 255 bytes. So it never sees the caller's paths: in a directory of the scratch tmpfs there is a symlink
//! to each, with a short name of our own, and the options name these, relative to that working directory.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, rmdir, statx};
use rustix::io::Errno;
use seclude_child::op::Want;
use seclude_child::{Op, Slot};
use seclude_sys::mount::{MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY};

use super::{NAME, attach, not_the_root};
use crate::config::root::{Overlay, Upper};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::plan::Describe;
use crate::program::Program;
use crate::step::root::{absolute, scratch_entry};
use crate::step::{Preparation, Step};

/// As many short names as fit into the 255 bytes.
const MOST_LOWERS: usize = 100;
const DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const UPPER: &str = "-u";
const WORK: &str = "-w";

pub(crate) struct OverlayMount {
    overlay: Overlay,
    userxattr: bool,
    about: String,
    /// Permissions of the topmost lower directory, which the merged one shall have.
    mode: u32,
}

impl OverlayMount {
    pub(crate) fn compile(step: &'static str, overlay: &Overlay, new_user: bool, target: &str) -> Result<Self> {
        let about = format!("{} on {target}", overlay.describe());
        let wrong = |why: String| Err::<Self, Error>(Error::invalid(step, format!("overlay on {target}: {why}")));
        match overlay.lowers.len() {
            0 => return wrong("it has no lower directory".into()),
            1 if overlay.upper == Upper::None => {
                return wrong("one lower directory and no upper is a read-only bind: ask for that".into());
            }
            count if count > MOST_LOWERS => {
                return wrong(format!("{count} lower directories; at most {MOST_LOWERS} can be had"));
            }
            _ => {}
        }
        for lower in &overlay.lowers {
            absolute(step, lower)?;
            if lower == Path::new("/") {
                // In a user namespace the kernel answers EINVAL; elsewhere what is mounted below would be missing.
                // Ephemeral writes over the whole tree are made of many overlays: see layered_host.
                let why = "an overlay of / has none of the mounts below it in it, and users may not make one";
                return wrong(why.into()).map_err(|error: Error| {
                    error.hint("overlay the directories that are to be written, or give another root")
                });
            }
        }
        if let Upper::Directory { upper, work } = &overlay.upper {
            absolute(step, upper)?;
            absolute(step, work)?;
            if upper == work || upper.starts_with(work) || work.starts_with(upper) {
                return wrong("upper and work directory must not be one or lie in each other".into());
            }
        }
        Ok(OverlayMount { overlay: overlay.clone(), userxattr: new_user, about, mode: 0o755 })
    }

    pub(crate) fn upper(&self) -> &Upper {
        &self.overlay.upper
    }

    pub(crate) fn prepare(&mut self, step: &'static str, ledger: &mut Ledger) -> Result<()> {
        let mut directories: Vec<&PathBuf> = self.overlay.lowers.iter().collect();
        if let Upper::Directory { upper, work } = &self.overlay.upper {
            directories.extend([upper, work]);
        }
        for (index, directory) in directories.into_iter().enumerate() {
            let failed = |errno| {
                let action = format!("{}: {}", self.about, directory.display());
                Error::parent(step, action, errno)
                    .call("statx")
                    .path_of(directory)
                    .hint_if(crate::hint::directory(errno))
            };
            let found = statx(CWD, directory, AtFlags::empty(), StatxFlags::TYPE | StatxFlags::MODE).map_err(failed)?;
            if FileType::from_raw_mode(found.stx_mode.into()) != FileType::Directory {
                return Err(failed(Errno::NOTDIR));
            }
            if index == 0 {
                self.mode = u32::from(found.stx_mode) & 0o7777;
            }
        }
        if let Upper::Directory { upper, work } = &self.overlay.upper {
            let device = |path: &Path| {
                let found = statx(CWD, path, AtFlags::empty(), StatxFlags::TYPE);
                found.map(|found| (found.stx_dev_major, found.stx_dev_minor)).ok()
            };
            if device(upper) != device(work) {
                let action = format!("{}: upper and work directory are not on the same file system", self.about);
                return Err(Error::invalid(step, action));
            }
            // The kernel makes it, mode 000, and leaves it behind.
            let made = work.join("work");
            if let Err(Errno::NOENT) = statx(CWD, &made, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE) {
                ledger.push(format!("directory {}", made.display()), move || match rmdir(&made) {
                    Ok(()) | Err(Errno::NOENT) => Ok(()),
                    // What was deleted inside has left a whiteout there for the next time.
                    Err(Errno::NOTEMPTY | Errno::EXIST) => {
                        if !made.symlink_metadata()?.is_dir() {
                            return Err(std::io::ErrorKind::NotADirectory.into());
                        }
                        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o700))?;
                        std::fs::remove_dir_all(&made)
                    }
                    Err(errno) => Err(errno.into()),
                });
            }
        }
        Ok(())
    }

    /// The ops that make the mount, detached, in `slot`.
    pub(crate) fn make<'a>(&'a self, program: &mut Program<'a>, slot: Slot, attributes: u32) {
        program.about(&self.about);
        let directory = format!("overlay{}", program.next_op());
        let name = program.text(&directory);
        let place = scratch_entry(program, &directory);
        program.push(Op::MakeDirectory { base: Slot::SCRATCH, name, mode: 0o755 });
        program.push(Op::Resolve {
            base: Slot::SCRATCH,
            place,
            want: Want::Directory,
            create: None,
            symlinks: false,
            into: Slot::PLACE,
        });
        let mut list = String::new();
        for (number, lower) in self.overlay.lowers.iter().enumerate() {
            let short = short_name(number);
            if number > 0 {
                list.push(':');
            }
            list += &short;
            link(program, &short, lower);
        }
        match &self.overlay.upper {
            Upper::None => {}
            Upper::Ephemeral => {
                for (name, mode) in [(UPPER, self.mode), (WORK, 0o755)] {
                    let name = program.text(name);
                    program.push(Op::MakeDirectory { base: Slot::PLACE, name, mode });
                }
            }
            Upper::Directory { upper, work } => {
                link(program, UPPER, upper);
                link(program, WORK, work);
            }
        }
        program.push(Op::GoTo { directory: Slot::PLACE });
        program.push(Op::FsOpen { kind: c"overlay", into: slot });
        let value = program.text(list);
        program.push(Op::FsString { fs: slot, key: c"lowerdir", value });
        if self.overlay.upper != Upper::None {
            for (key, name) in [(c"upperdir", UPPER), (c"workdir", WORK)] {
                let value = program.text(name);
                program.push(Op::FsString { fs: slot, key, value });
            }
        }
        if self.userxattr {
            // Without privileges over the host the kernel keeps its marks in user.* attributes. Linux 5.11.
            program.push(Op::FsFlag { fs: slot, key: c"userxattr" });
        }
        program.push(Op::FsMount { fs: slot, attributes });
    }
}

fn link<'a>(program: &mut Program<'a>, name: &str, to: &Path) {
    let name = program.text(name);
    let target = program.text(to);
    program.push(Op::MakeSymlink { base: Slot::PLACE, name, target });
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

pub(super) fn compile(target: &Path, overlay: &Overlay, read_only: bool, new_user: bool) -> Result<Box<dyn Step>> {
    not_the_root(target)?;
    let overlay = OverlayMount::compile(NAME, overlay, new_user, &target.display().to_string())?;
    Ok(Box::new(Mounted { overlay, target: target.to_owned(), read_only }))
}

impl Step for Mounted {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        self.overlay.prepare(NAME, preparation.ledger)
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let attributes = MOUNT_ATTR_NODEV | if self.read_only { MOUNT_ATTR_RDONLY } else { 0 };
        self.overlay.make(program, Slot::TREE, attributes);
        attach(program, &self.target, Want::Directory, 0o755, true);
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, format!("look at the directories of {}", self.overlay.about));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_all_lowers_are_different_and_fit_into_one_option() {
        let names: Vec<_> = (0..MOST_LOWERS).map(short_name).collect();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), MOST_LOWERS);
        assert!(names.join(":").len() <= 255);
    }
}
