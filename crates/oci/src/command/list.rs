//! `list`: the containers of a root.

use serde_json::{Value as Json, json};

use super::{Context, look, write};
use crate::arguments::Listed;
use crate::failure::Result;

pub(super) fn run(context: &Context<'_>, quiet: bool, format: Listed) -> Result<()> {
    let ids = context.store.ids()?;
    if quiet {
        return ids.iter().try_for_each(|id| write(&format!("{id}\n")));
    }
    let mut states: Vec<Json> = Vec::new();
    for id in ids {
        // It may be gone by now, or not be there yet.
        if let Ok((_, Some(record), status)) = look(context, &id) {
            states.push(record.full_state(&id, status));
        }
    }
    if format == Listed::Json {
        return write(&format!("{}\n", json!(states)));
    }
    let text = |state: &Json, key: &str| state[key].as_str().map_or_else(|| state[key].to_string(), str::to_owned);
    let columns = ["id", "pid", "status", "bundle", "created", "owner"];
    let mut rows = vec![columns.map(str::to_uppercase)];
    rows.extend(states.iter().map(|state| columns.map(|column| text(state, column))));
    for row in &rows {
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0) + 3;
        let line: String = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
        write(&format!("{}\n", line.trim_end()))?;
    }
    Ok(())
}
