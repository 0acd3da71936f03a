//! `run`: create, start, and wait for the end.

use super::{Context, create, delete, start, wait};
use crate::arguments::New;
use crate::failure::{Failure, Result};

pub(super) fn run(context: &Context<'_>, new: &New, detach: bool, keep: bool, id: &str) -> Result<u8> {
    let signals = wait::Signals::hold()?;
    let created = create::create(context, new, id, !detach)?;
    let create::Created { entry, record, spec, terminal } = created;
    if let Some(terminal) = &terminal {
        wait::written_as_is(terminal);
    }
    if let Err(failure) = start::start(&entry, &record, &spec, true) {
        return Err(match delete::delete(context, entry, true) {
            Ok(()) => failure,
            Err(left) => failure.and(left),
        });
    }
    if detach {
        return Ok(0);
    }
    let process = record.process.ok_or_else(|| Failure::new("there is no process"))?;
    drop(entry);
    let code = match process.find() {
        Some(pidfd) => wait::for_child(process.pid, pidfd, terminal, &signals)?,
        // It has ended already, and waits for whoever asks.
        None => {
            terminal.as_ref().map_or(Ok(()), wait::show_the_rest)?;
            wait::for_ended(process.pid)?
        }
    };
    if !keep {
        // Somebody else may have deleted it.
        match context.store.lock(id) {
            Ok(entry) => delete::delete(context, entry, true)?,
            Err(_) if !crate::state::is_there(&context.store, id) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(code)
}
