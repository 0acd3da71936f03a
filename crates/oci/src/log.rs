//! The log that engines read: a line of JSON each, of which they show the last; and stderr.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::SystemTime;

use seclude::OneLine;
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::time::rfc3339;

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Where they go.
pub(crate) struct Log {
    file: Option<RefCell<File>>,
    format: Format,
    debug: bool,
}

impl Log {
    /// `None`: stderr.
    pub(crate) fn open(path: Option<&Path>, format: Format, debug: bool) -> Result<Log> {
        let open = |path: &Path| {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.map_err(|error| Failure::of(format_args!("--log {}", path.display()), error))
        };
        Ok(Log { file: path.map(open).transpose()?.map(RefCell::new), format, debug })
    }

    /// What is passed over, as the specification has it: where a log is asked for, or somebody looks. A container without a terminal has the
    /// same stderr, on which its own words are waited for.
    pub(crate) fn note(&self, message: &str) {
        if self.file.is_some() || self.debug || std::io::stderr().is_terminal() {
            self.warn(message);
        }
    }

    /// How something was done, where `--debug` asks for it.
    pub(crate) fn debug(&self, message: &str) {
        if self.debug {
            self.write("debug", message);
        }
    }

    pub(crate) fn warn(&self, message: &str) {
        self.write("warning", message);
    }

    /// What ends the command: on stderr as well, where people look.
    pub(crate) fn error(&self, failure: &Failure) {
        let message = failure.to_string();
        self.write("error", &message);
        if self.file.is_some() {
            let _ = writeln!(std::io::stderr(), "seclude-oci: error: {message}");
        }
    }

    fn write(&self, level: &str, message: &str) {
        let time = rfc3339(SystemTime::now());
        let message = &one_line(message);
        let line = match (self.format, &self.file) {
            (Format::Json, _) => json!({ "level": level, "msg": message, "time": time }).to_string(),
            (Format::Text, Some(_)) => format!("time=\"{time}\" level={level} msg={message:?}"),
            // With its level: others' suites look for that word, and so do people.
            (Format::Text, None) => format!("seclude-oci: {level}: {message}"),
        };
        // A log that cannot be written is no reason to fail: the exit status says it.
        let _ = match &self.file {
            Some(file) => writeln!(file.borrow_mut(), "{line}"),
            None => writeln!(std::io::stderr(), "{line}"),
        };
    }
}

/// As it leads no terminal astray: what is passed over is told by names that somebody else has chosen.
pub(crate) fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    let _ = std::fmt::Write::write_str(&mut OneLine(&mut line), message);
    line
}
