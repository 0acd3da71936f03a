//! A cgroup that is there already, and that the child starts in.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use seclude_cgroup::{Existing, Hierarchies};
use seclude_child::Op;
use seclude_request::Field;
use seclude_sys::Fd;

use super::{Born, Preparation, Step};
use crate::action::Describe;
use crate::config::Config;
use crate::config::cgroup::JoinedCgroup;
use crate::config::mount::Source;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::meter::from_cgroup;
use crate::program::Program;
use crate::report::Placement;

const NAME: &str = "cgroup";

struct Joined {
    from: JoinedCgroup,
    /// Whether the child is cloned into it.
    by_birth: bool,
    found: Option<Arc<Existing>>,
    /// By which the child joins what is v1.
    entrances: Vec<(PathBuf, OwnedFd)>,
}

pub(super) fn compile(command: &Config, by_birth: bool) -> Result<Option<Box<dyn Step>>> {
    let Some(from) = &command.joined_cgroup else { return Ok(None) };
    match &command.cgroup {
        // In a hierarchy that it can mount, the cgroup that it is in is its user's to write.
        own if command.could_see_cgroups() && own.as_ref().is_none_or(|own| own.implied) => Err(Error::invalid(
            NAME,
            "one that exists cannot be joined with the host's root, nested namespaces or CAP_SYS_ADMIN inside: it could be written",
        )
        .at("cgroup.join")
        .contradicting()
        .hint("give it a cgroup of its own in there")),
        None => Ok(Some(Box::new(Joined { from: from.clone(), by_birth, found: None, entrances: Vec::new() }))),
        Some(_) => {
            let action = "a cgroup of its own, with limits and the like, and one that exists already";
            let error = Error::invalid(NAME, action).at("cgroup.join").contradicting();
            Err(error.hint("ask for one of them; a cgroup of its own can be made in the other"))
        }
    }
}

impl Step for Joined {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("cgroup").key("join"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let failed = |error| from_cgroup(NAME, error);
        let found = match &self.from {
            JoinedCgroup::From(Source::Path(path)) => {
                Hierarchies::discover().and_then(|hierarchies| Existing::find(&hierarchies, path)).map(Arc::new)
            }
            JoinedCgroup::From(Source::Fd(directory)) => Existing::open(directory.as_fd()).map(Arc::new),
            JoinedCgroup::Opened(found) => Ok(found.clone()),
        };
        let found = found.map_err(failed)?;
        self.by_birth &= found.fd().is_some();
        for (path, entrance) in found.own_entrances().map_err(failed)? {
            let lifted = preparation
                .lifted(entrance)
                .map_err(|errno| Error::parent(NAME, path.display().to_string(), errno).call("fcntl"))?;
            self.entrances.push((path, lifted));
        }
        preparation.report.cgroup = Some(Placement::in_existing(&found, self.by_birth));
        self.found = Some(found);
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.entrances.iter().map(|(_, entrance)| Fd(entrance.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for (path, entrance) in &self.entrances {
            program.about_owned(path.display().to_string());
            program.push(Op::JoinCgroup { tasks: Fd(entrance.as_raw_fd()) });
        }
    }

    fn birthplace(&self) -> Option<Fd> {
        let found = self.found.as_ref().filter(|_| self.by_birth)?;
        found.fd().map(|fd| Fd(fd.as_raw_fd()))
    }

    fn attend(&self, born: &Born, _: &mut Ledger) -> Result<()> {
        match &self.found {
            Some(found) if !self.by_birth => {
                found.join_v2(born.pid.unsigned_abs()).map_err(|error| from_cgroup(NAME, error))
            }
            _ => Ok(()),
        }
    }

    fn describe(&self, to: &mut Describe) {
        let what = match &self.from {
            JoinedCgroup::From(Source::Path(path)) => path.display().to_string(),
            JoinedCgroup::From(Source::Fd(_)) => "that is given open".to_owned(),
            JoinedCgroup::Opened(found) => format!("{}, which is open", found.path().display()),
        };
        to.prepare(NAME, format!("look for the cgroup {what}"));
        if !self.by_birth {
            to.attend(NAME, "join what is v2, by cgroup.procs".to_owned());
        }
    }
}
