//! `seclude explain`: the plan, printed; or the request that the flags make.

use std::process::ExitCode;

use clap::ArgMatches;
use seclude::Command;

use crate::Failure;
use crate::args::{ContainerFlags, ExplainFlags};
use crate::compose::compose;

pub(crate) fn explain(
    flags: &ExplainFlags,
    container: &ContainerFlags,
    order: &ArgMatches,
) -> Result<ExitCode, Failure> {
    let command = compose(container, order, false)?;
    if container.base.prints_spec() {
        return print_request(flags, container, &command);
    }
    let plan = command.plan()?;
    let text = if flags.json {
        let (way, reason) = plan.clone_way();
        let whole = serde_json::json!({ "clone": way.name(), "reason": reason, "actions": plan.actions() });
        format!("{whole:#}\n")
    } else {
        plan.to_string()
    };
    crate::print(text.as_bytes())
}

fn print_request(flags: &ExplainFlags, container: &ContainerFlags, command: &Command) -> Result<ExitCode, Failure> {
    let named = container.base.preset().is_some();
    let request = if named { command.whole_request() } else { command.request() };
    let request = request.map_err(|wrong| Failure::new(wrong.to_string()))?;
    let text = match flags.json {
        true => request.to_json() + "\n",
        false => request.to_toml().map_err(|error| Failure::new(format!("as TOML: {error}; ask for --json")))?,
    };
    crate::print(text.as_bytes())
}
