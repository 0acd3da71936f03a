//! The working directory.

use std::path::PathBuf;

use seclude_child::{Op, Slot};

use super::{Preparation, Step};
use crate::command::Command;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::plan::Describe;
use crate::program::Program;

const NAME: &str = "workdir";

struct WorkingDirectory {
    /// `None`: where the caller is, looked up in `prepare`.
    path: Option<PathBuf>,
}

pub(super) fn open(command: &Command) -> Result<Option<Box<dyn Step>>> {
    if let Some(path) = &command.workdir {
        if !path.is_absolute() {
            return Err(Error::invalid(NAME, format!("{path:?} is not an absolute path inside the container")));
        }
        return Ok(Some(Box::new(WorkingDirectory { path: Some(path.clone()) })));
    }
    let tree_of_its_own = command.root.as_ref().is_some_and(|root| !root.shows_the_host());
    Ok(if tree_of_its_own || command.namespaces.is_joined(Namespace::Mount) {
        Some(Box::new(WorkingDirectory { path: Some("/".into()) }))
    } else if command.namespaces.is_new(Namespace::Mount) {
        // By its path, anew: the directory that is inherited may be covered by a mount now.
        Some(Box::new(WorkingDirectory { path: None }))
    } else {
        None
    })
}

impl Step for WorkingDirectory {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, _: &mut Preparation<'_>) -> Result<()> {
        if self.path.is_none() {
            let here = std::env::current_dir().map_err(|error| {
                Error::parent(NAME, "the caller's own", error)
                    .call("getcwd")
                    .hint("the current directory is gone; name one inside the container")
            })?;
            self.path = Some(here);
        }
        Ok(())
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        match &self.path {
            Some(path) => {
                program.about_owned(path.display().to_string());
                let path = program.text(path);
                program.push(Op::WorkingDirectory { path });
            }
            None => {
                program.about("where the caller is");
                program.push(Op::WorkingDirectory { path: c"." });
            }
        }
    }

    fn describe(&self, to: &mut Describe) {
        if self.path.is_none() {
            to.prepare(NAME, "look up the caller's".to_owned());
        }
    }
}

/// Goes there with the command's own rights: it must not start where it may not be.
struct Enter;

pub(super) fn enter(opened: bool) -> Option<Box<dyn Step>> {
    if opened { Some(Box::new(Enter)) } else { None }
}

impl Step for Enter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("with the command's rights");
        program.push(Op::GoTo { directory: Slot::PLACE });
    }
}
