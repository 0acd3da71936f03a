//! `seclude explain`: the plan, printed; or the request that the flags make.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use seclude::Command;

use crate::args::{ContainerFlags, ExplainFlags, RunFlags};
use crate::compose::compose;
use crate::{Failure, misread, run};

pub(crate) fn explain(
    flags: &ExplainFlags,
    container: &ContainerFlags,
    order: &ArgMatches,
) -> Result<ExitCode, Failure> {
    let run = RunFlags::from_arg_matches(order).map_err(misread)?;
    run::check(&run, container)?;
    let mut command = compose(container, order, &run.beside())?;
    if container.base.prints_spec() {
        return print_request(flags, &run, container, &command);
    }
    run::detach(&mut command, &run, container)?;
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

fn looks_like_a_request(program: &Path) -> bool {
    let has_its_name = program.extension().is_some_and(|extension| extension == "toml" || extension == "json");
    has_its_name && program.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o111 == 0)
}

fn print_request(
    flags: &ExplainFlags,
    run: &RunFlags,
    container: &ContainerFlags,
    command: &Command,
) -> Result<ExitCode, Failure> {
    let process = &container.process;
    for (flag, given) in [
        ("--detach", run.detach),
        ("--stdio", process.stdio.is_some()),
        ("--fd", !process.fd.is_empty()),
        ("--preserve-fds", process.preserve_fds.is_some()),
    ] {
        if given {
            return Err(Failure::new(format!(
                "{flag}: streams and descriptors are the caller's, and none of the request's: give it to `run --spec`"
            )));
        }
    }
    let named = container.base.preset().is_some();
    let request = if named { command.whole_request() } else { command.request() };
    let request = request.map_err(|wrong| Failure::new(wrong.to_string()))?;
    // Of the flags that read a file this one alone may have none, so the next word is the command's.
    if let Some(program) = request.command.first().filter(|program| looks_like_a_request(program.as_path())) {
        let program = program.as_path().display();
        return Err(Failure::new(format!(
            "--spec: {program} would be the command, and cannot be executed: to begin from that file, --spec={program}"
        )));
    }
    let text = match flags.json {
        true => request.to_json() + "\n",
        false => request.to_toml().map_err(|error| Failure::new(format!("as TOML: {error}; ask for --json")))?,
    };
    crate::print(text.as_bytes())
}
