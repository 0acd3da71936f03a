//! `seclude explain`: the plan, printed.

use std::process::ExitCode;

use clap::ArgMatches;

use crate::Failure;
use crate::args::{ContainerFlags, ExplainFlags};
use crate::compose::compose;

pub(crate) fn explain(
    flags: &ExplainFlags,
    container: &ContainerFlags,
    order: &ArgMatches,
) -> Result<ExitCode, Failure> {
    let plan = compose(container, order, false)?.plan()?;
    let text = if flags.json {
        let (way, reason) = plan.clone_way();
        let whole = serde_json::json!({ "clone": way.name(), "reason": reason, "actions": plan.actions() });
        format!("{whole:#}\n")
    } else {
        plan.to_string()
    };
    crate::print(text.as_bytes())
}
