//! Descriptors that a caller hands on with `--preserve-fds`: those that were open when this program began, and none of its own.

use std::fs::read_to_string;

use rustix::fs::{FileType, OFlags, stat};
use seclude::Command;

use crate::arguments::{self, Arguments};
use crate::failure::{Failure, Result};

/// More than anybody hands on; limits on open files are lower mostly.
pub(crate) const MOST: i64 = 4096;

/// Looks at the caller's, before anything of this program's is opened: a number that is open now is the caller's until the end, as nothing
/// of the caller's is closed here.
pub(crate) fn check(arguments: &Arguments) -> Result<()> {
    let count = match &arguments.command {
        arguments::Command::Create { new, .. } | arguments::Command::Run { new, .. } => new.preserve_fds,
        arguments::Command::Exec(exec) => exec.preserve_fds,
        _ => 0,
    };
    for number in numbers(count) {
        one(number).map_err(|why| Failure::new(format!("--preserve-fds: descriptor {number}: {why}")))?;
    }
    Ok(())
}

/// Hands them on.
pub(crate) fn give(command: &mut Command, count: u16) -> Result<()> {
    for number in numbers(count) {
        let failed = |error| Failure::of(format_args!("--preserve-fds: descriptor {number}"), error);
        command.inherit_fd(number, number).map_err(failed)?;
    }
    Ok(())
}

fn numbers(count: u16) -> std::ops::Range<i32> {
    3..3 + i32::from(count)
}

/// A directory of the host's leads out of any root, and so does what was opened for its place alone.
fn one(number: i32) -> Result<(), String> {
    let text = read_to_string(format!("/proc/self/fdinfo/{number}")).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "it is not open".to_owned(),
        _ => error.to_string(),
    })?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    let flags = flags.ok_or_else(|| "the kernel does not say how it is open".to_owned())?;
    if OFlags::from_bits_retain(flags).contains(OFlags::PATH) {
        return Err("it is open with O_PATH, and would lead out of the container".to_owned());
    }
    let found = stat(format!("/proc/self/fd/{number}")).map_err(|errno| errno.to_string())?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => Err("it is a directory, and would lead out of the container".to_owned()),
        _ => Ok(()),
    }
}
