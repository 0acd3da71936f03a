//! `seclude gc`: what it removed, a line each.

use std::process::ExitCode;

use crate::Failure;
use crate::args::GcFlags;

pub(crate) fn gc(flags: &GcFlags) -> Result<ExitCode, Failure> {
    let removed = seclude::gc::collect(flags.cgroup.as_deref())?;
    let lines: String = removed.iter().map(|what| format!("removed {what}\n")).collect();
    crate::print(lines.as_bytes())
}
