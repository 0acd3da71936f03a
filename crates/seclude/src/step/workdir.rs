//! The working directory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;
use seclude_child::{Op, Slot};
use seclude_request::{Field, Remedy};

use super::{Preparation, Step, launch};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "workdir";

/// Said of the default.
const INHERITED: &str = "where the caller is";

/// Empty for where the caller is, until that is looked up in `prepare`.
pub(super) type Directory = Arc<OnceLock<PathBuf>>;

pub(super) struct WorkingDirectory {
    path: Directory,
    inherited: bool,
    launched: bool,
    /// Whether set-up goes there, with its own rights.
    by_set_up: bool,
    /// Where the caller is, if it is not there.
    moved_from: Option<PathBuf>,
}

impl WorkingDirectory {
    fn at(path: &Path, launched: bool) -> WorkingDirectory {
        let path = Arc::new(path.to_owned().into());
        WorkingDirectory { path, inherited: false, launched, by_set_up: false, moved_from: None }
    }

    /// Where it is, for the step that goes there.
    pub(super) fn place(&self) -> Option<Directory> {
        (!self.by_set_up).then(|| self.path.clone())
    }
}

/// Whether it is where the caller is, by its path.
pub(crate) fn is_inherited(command: &Config) -> bool {
    let tree_of_its_own = command.root.as_ref().is_some_and(|root| !root.shows_the_host());
    command.workdir.is_none() && !tree_of_its_own && command.namespaces.is_new(Namespace::Mount)
}

pub(super) fn open(command: &Config) -> Result<Option<WorkingDirectory>> {
    let launched = launch::is_needed(command);
    if let Some(path) = &command.workdir {
        if !path.is_absolute() {
            return Err(
                Error::invalid(NAME, format!("{path:?} is not an absolute path inside the container")).at("workdir")
            );
        }
        let moved_from = command.moved_from.clone();
        let by_set_up = command.enters_by_set_up;
        return Ok(Some(WorkingDirectory { moved_from, by_set_up, ..WorkingDirectory::at(path, launched) }));
    }
    let tree_of_its_own = command.root.as_ref().is_some_and(|root| !root.shows_the_host());
    let enters = command.namespaces.is_joined(Namespace::Mount) || command.entered_root.is_some();
    Ok(if tree_of_its_own || enters {
        Some(WorkingDirectory::at(Path::new("/"), launched))
    } else if is_inherited(command) {
        // By its path, anew: the directory that is inherited may be covered by a mount now.
        Some(WorkingDirectory { path: Arc::default(), inherited: true, launched, by_set_up: false, moved_from: None })
    } else {
        None
    })
}

impl Step for WorkingDirectory {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("workdir"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        preparation.report.moved_from.clone_from(&self.moved_from);
        preparation.report.moved_to = self.moved_from.as_ref().and_then(|_| self.path.get().cloned());
        if self.inherited {
            let here = std::env::current_dir().map_err(|error| {
                let why = match Errno::from_io_error(&error) {
                    Some(Errno::NOENT) => "the current directory is gone: name a working directory",
                    Some(Errno::NAMETOOLONG | Errno::RANGE) => {
                        "its path is longer than the kernel takes (PATH_MAX, 4096 bytes): name a working directory"
                    }
                    Some(Errno::ACCESS) => "a directory above it may not be searched: name a working directory",
                    _ => "name a working directory",
                };
                let hint = Hint::from(why).with([Remedy::give("workdir")]);
                Error::parent(NAME, "the caller's own", error).call("getcwd").hint(hint)
            })?;
            let _ = self.path.set(here);
        }
        Ok(())
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        match self.path.get() {
            Some(path) => {
                let inherited = if self.inherited { format!(", {INHERITED}") } else { String::new() };
                program.about_owned(format!("{}{inherited}", path.display()));
                let path = program.text(path);
                program.push(Op::WorkingDirectory { path });
            }
            None => {
                program.about(INHERITED);
                program.push(Op::WorkingDirectory { path: c"." });
            }
        }
        if self.by_set_up {
            program.push(Op::GoTo { directory: Slot::PLACE });
        } else if self.launched {
            let at = program.number_for_launcher();
            program.directory = Some(at);
            program.push(Op::Hold { slot: Slot::PLACE, at });
        }
    }

    fn describe(&self, to: &mut Describe) {
        if self.inherited {
            to.prepare(NAME, "look up the caller's".to_owned());
        }
    }
}

/// Goes there with the command's own rights: it must not start where it may not be.
struct Enter {
    path: Directory,
}

pub(super) fn enter(opened: Option<Directory>) -> Option<Box<dyn Step>> {
    opened.map(|path| Box::new(Enter { path }) as Box<dyn Step>)
}

impl Step for Enter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("workdir"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        match self.path.get() {
            Some(path) => program.about_owned(path.display().to_string()),
            None => program.about(INHERITED),
        }
        program.push(match program.directory {
            Some(directory) => Op::EnterHeld { directory },
            None => Op::GoTo { directory: Slot::PLACE },
        });
    }
}
