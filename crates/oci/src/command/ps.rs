//! `ps`: who is in a container.

use serde_json::json;

use super::{Context, look_at_made, write};
use crate::arguments::Listed;
use crate::failure::{Failure, Result};

pub(super) fn run(context: &Context<'_>, id: &str, format: Listed, options: &[String]) -> Result<()> {
    let (_, record, _) = look_at_made(context, id)?;
    let pids = match record.open_cgroup()? {
        Some(cgroup) => record.processes(&cgroup)?,
        None => return Err(Failure::new(format!("container {id} has no cgroup that would say who is in it"))),
    };
    if format == Listed::Json {
        return write(&format!("{}\n", json!(pids)));
    }
    let usual = ["-ef".to_owned()];
    let options = if options.is_empty() { &usual } else { options };
    let output = std::process::Command::new("ps").args(options).output();
    let output = output.map_err(|error| Failure::of("ps", error))?;
    if !output.status.success() {
        return Err(Failure::new(format!("ps: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let Some(heading) = lines.next() else { return Ok(()) };
    let column = heading.split_ascii_whitespace().position(|word| word == "PID");
    let column = column.ok_or_else(|| Failure::new("ps: with these options it shows no PID"))?;
    write(&format!("{heading}\n"))?;
    for line in lines {
        let pid = line.split_ascii_whitespace().nth(column).and_then(|word| word.parse().ok());
        if pid.is_some_and(|pid: u32| pids.contains(&pid)) {
            write(&format!("{line}\n"))?;
        }
    }
    Ok(())
}
