//! What this runtime does not do: by name, so that nobody believes it was done.

use crate::failure::{Failure, Result};
use crate::spec::{Process, Spec};

pub(super) fn check(spec: &Spec) -> Result<()> {
    let elsewhere = [
        ("solaris", spec.solaris.is_some()),
        ("windows", spec.windows.is_some()),
        ("vm", spec.vm.is_some()),
        ("zos", spec.zos.is_some()),
        ("freebsd", spec.freebsd.is_some()),
    ];
    for (field, is_there) in elsewhere {
        if is_there {
            return Err(Failure::at(field, "this runtime is for containers of Linux's own"));
        }
    }
    if spec.annotations.contains_key("") {
        return Err(Failure::at("annotations", "one without a name"));
    }
    spec.process.as_ref().map_or(Ok(()), process)
}

/// The same of a process, which `exec` has alone.
pub(super) fn process(process: &Process) -> Result<()> {
    refuse(&[("process.commandLine", process.command_line.is_some())])
}

fn refuse(fields: &[(&str, bool)]) -> Result<()> {
    match fields.iter().find(|(_, is_there)| *is_there) {
        Some((field, _)) => Err(Failure::at(*field, "this runtime does not do that")),
        None => Ok(()),
    }
}
