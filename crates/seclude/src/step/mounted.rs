//! What the caller does once the mounts are made, and the host's tree is still there.

use std::path::{Path, PathBuf};

use seclude_child::Op;

use super::{Born, Step};
use crate::action::Describe;
use crate::config::Config;
use crate::config::born::WhenBorn;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::program::Program;

const NAME: &str = "when mounted";

struct Attended {
    work: Option<WhenBorn>,
    /// Where the container's root is to be found meanwhile.
    root: Option<PathBuf>,
}

/// Whether the parent has anything to do then.
pub(crate) fn is_needed(command: &Config) -> bool {
    command.when_mounted.is_some() || !command.net_devices.is_empty()
}

pub(super) fn compile(command: &Config, root: Option<&Path>) -> Result<Option<Box<dyn Step>>> {
    if !is_needed(command) {
        return Ok(None);
    }
    let work = command.when_mounted.clone();
    if !super::has_tree(command) {
        let why = "without a new mount namespace nothing is mounted";
        return Err(Error::invalid(NAME, why).at("namespaces.mount").contradicting());
    }
    Ok(Some(Box::new(Attended { work, root: root.map(Path::to_owned) })))
}

impl Step for Attended {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        // What the caller mounts over one of them is its own affair.
        program.look_again(Path::new("/"));
        if let Some(root) = self.root.as_ref().filter(|_| self.work.is_some()) {
            program.about("where it is found meanwhile");
            let onto = program.text(root);
            program.push(Op::MoveRoot { onto });
        }
        program.about("until the parent has done the caller's own work");
        program.push(Op::Mounted);
    }

    fn attend_mounted(&self, born: &Born, _: &mut Ledger) -> Result<()> {
        let failed = |error| Error::parent(NAME, "the caller's own work", error);
        self.work.as_ref().map_or(Ok(()), |work| work.run(born.pid.unsigned_abs())).map_err(failed)
    }

    fn describe(&self, to: &mut Describe) {
        if self.work.is_some() {
            to.attend(NAME, "the caller's own work, once the mounts are made".to_owned());
        }
    }
}
