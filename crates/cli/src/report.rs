//! `--report FILE`: how it ended, as JSON.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use seclude::{Error, Exit, Field, Remedy, Report};
use serde_json::{Value, json};

use crate::run::Stop;
use crate::words::say;

/// How long a FIFO may be full: a command that still has it open could keep it so for ever.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// What there is to report.
pub(crate) enum Ending<'a> {
    /// The command ran.
    Exit { exit: &'a Exit, made: &'a Report, wall: Duration },
    /// It did not.
    NotStarted(&'a Stop),
}

pub(crate) fn write(mut file: File, ending: &Ending<'_>) -> io::Result<()> {
    let value = match ending {
        Ending::Exit { exit, made, wall } => exit.to_json(*made, *wall, &|remedy| remedy.to_json(&Field::to_string)),
        Ending::NotStarted(Stop::Library(error)) => json!({ "cause": "not-started", "error": describe(error) }),
        Ending::NotStarted(Stop::Flags(failure)) => json!({
            "cause": if failure.code > 128 { "signaled" } else { "not-started" },
            "signal": failure.code.checked_sub(128),
            "error": { "message": failure.message },
        }),
    };
    let text = format!("{value:#}\n");
    let mut left = text.as_bytes();
    while !left.is_empty() {
        match file.write(left) {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A FIFO that is full.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if poll(&mut [PollFd::new(&file, PollFlags::OUT)], Some(&PATIENCE)) == Ok(0) {
                    return Err(io::Error::other("nobody reads it"));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(crate) fn describe(error: &Error) -> Value {
    json!({
        "code": error.code().name(),
        "step": error.step(),
        "side": error.side().name(),
        "action": error.action(),
        "call": error.system_call(),
        "errno": error.errno_name(),
        "field": error.field().map(Field::to_string),
        "hint": error.advice().map(|hint| Remedy::behind(hint, error.remedies(), say)),
        "remedies": error.remedies().iter().map(|remedy| remedy.to_json(&Field::to_string)).collect::<Vec<_>>(),
        "limit": error.limit().map(seclude::Limit::name),
        "left_behind": error.left_behind(),
        "message": error.message_with(say),
    })
}
