//! `seclude-oci`: the command line of an OCI runtime, as container engines call it, over the library's public API.
//!
//! ```text
//! seclude-oci create --bundle DIR ID && seclude-oci start ID && seclude-oci delete --force ID
//! ```
#![forbid(unsafe_code)]

mod arguments;
mod bundle;
mod caller;
mod command;
mod convert;
mod copy_up;
mod device_rules;
mod failure;
mod family;
mod hooks;
mod inside;
mod interrupts;
mod log;
mod notify;
mod preserved;
mod resources;
mod signals;
mod sockets;
mod spec;
mod state;
mod time;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use failure::FAILED;
use log::Log;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            if !error.use_stderr() {
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            // Engines show one line.
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            eprintln!("seclude-oci: {}", line.strip_prefix("error: ").unwrap_or(line));
            return ExitCode::from(FAILED);
        }
    };
    // Before anything is opened, the log as well, in which it is told.
    let preserved = preserved::check(&arguments);
    let log = match Log::open(arguments.global.log.as_deref(), arguments.global.log_format) {
        Ok(log) => log,
        Err(failure) => {
            eprintln!("seclude-oci: {failure}");
            return ExitCode::from(FAILED);
        }
    };
    match preserved.and_then(|()| command::run(arguments, &log)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            log.error(&failure);
            ExitCode::from(FAILED)
        }
    }
}
