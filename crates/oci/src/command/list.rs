//! `list`: the containers of a root.

use super::{Context, look, write};
use crate::arguments::Listed;
use crate::failure::{Failure, Result};
use crate::log::one_line;
use crate::state::{State, is_there};

pub(super) fn run(context: &Context<'_>, quiet: bool, format: Listed) -> Result<()> {
    let mut states: Vec<State> = Vec::new();
    for id in context.store.ids()? {
        match look(context, &id) {
            Ok((_, Some(record), status)) => states.push(record.full_state(&id, status)),
            Err(failure) if is_there(&context.store, &id) => context.log.warn(&failure.to_string()),
            // It is gone by now, or not there yet.
            Ok((_, None, _)) | Err(_) => {}
        }
    }
    if quiet {
        return states.iter().try_for_each(|state| write(&format!("{}\n", state.id)));
    }
    if format == Listed::Json {
        let text = serde_json::to_string(&states).map_err(|error| Failure::new(error.to_string()))?;
        return write(&format!("{text}\n"));
    }
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    rows.extend(states.into_iter().map(|state| {
        let State { id, pid, status, bundle, created, owner, .. } = state;
        let bundle = one_line(&bundle.display().to_string());
        [id, pid.to_string(), status, bundle, created.unwrap_or_default(), owner.unwrap_or_default()]
    }));
    for row in &rows {
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0) + 3;
        let line: String = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
        write(&format!("{}\n", line.trim_end()))?;
    }
    Ok(())
}
