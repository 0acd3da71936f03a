//! The last barrier: all is done but the exec, which somebody else asks for, unix(7).
//!
//! Behind the rights, so that what waits has no more than the command; before a filter that is installed last, which may refuse
//! it to wait.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use seclude_child::Op;
use seclude_sys::Fd;

use super::{Preparation, Step};
use crate::action::Describe;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "hold";

/// Has the launcher inherit the socket: before anything else of it is started.
struct Keep {
    given: Arc<OwnedFd>,
    listener: Option<OwnedFd>,
}

struct Wait;

pub(super) fn keep(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let Some(given) = command.waits_on.clone() else { return Ok(None) };
    if command.die_with_parent {
        let action = "what waits for somebody else goes on without its caller";
        return Err(Error::invalid(NAME, action).at("die_with_parent").contradicting());
    }
    if command.init {
        let action = "an init has started its command, and so nothing of it can wait";
        return Err(Error::invalid(NAME, action).at("init").contradicting());
    }
    Ok(Some(Box::new(Keep { given, listener: None })))
}

pub(super) fn wait(command: &Config) -> Option<Box<dyn Step>> {
    command.waits_on.as_ref().map(|_| Box::new(Wait) as Box<dyn Step>)
}

impl Step for Keep {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let failed = |errno| Error::parent(NAME, "the socket that it waits on", errno).call("fcntl");
        let copy = rustix::io::fcntl_dupfd_cloexec(&self.given, 3).map_err(failed)?;
        self.listener = Some(preparation.lifted(copy).map_err(failed)?);
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.listener.iter().map(|listener| Fd(listener.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("the socket that it waits on");
        // Before `prepare` it has no number yet.
        let fd = self.listener.as_ref().map_or(Fd::NONE, |listener| Fd(listener.as_raw_fd()));
        program.listener = Some(fd);
        program.push(Op::Keep { fd });
    }
}

impl Step for Wait {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("until somebody lets it go");
        program.push(Op::Wait { listener: program.listener.unwrap_or(Fd::NONE) });
    }

    fn describe(&self, to: &mut Describe) {
        to.attend(NAME, "hear that it waits; let it go on once the caller has left it".to_owned());
    }
}
