//! `seclude-oci`: the command line of an OCI runtime, as container engines call it, over the library's public API.
//!
//! ```text
//! seclude-oci create --bundle DIR ID && seclude-oci start ID && seclude-oci delete --force ID
//! ```
#![forbid(unsafe_code)]

mod arguments;
mod before;
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
mod intel_rdt;
mod interrupts;
mod log;
mod mounted;
mod notify;
mod preserved;
mod processors;
mod resources;
mod signals;
mod sockets;
mod spec;
mod state;
mod systemd;
mod time;
mod usage;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use failure::{FAILED, NOT_EXECUTED};
use log::Log;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            if !error.use_stderr() || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
                // Without any argument as well, as others have it.
                let _ = write!(std::io::stdout(), "{}", error.render());
                return ExitCode::SUCCESS;
            }
            // Engines show one line.
            let text = error.to_string();
            let said = text.lines().take_while(|line| !line.is_empty());
            let line = log::one_line(&said.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" "));
            eprintln!("seclude-oci: error: {}", line.strip_prefix("error: ").unwrap_or(&line));
            return ExitCode::from(FAILED);
        }
    };
    let executes = matches!(arguments.command, arguments::Command::Exec(_));
    // Before anything is opened, the log as well, in which it is told.
    let preserved = preserved::Preserved::look(&arguments);
    let log = match Log::open(arguments.global.log.as_deref(), arguments.global.log_format, arguments.global.debug) {
        Ok(log) => log,
        Err(failure) => {
            eprintln!("seclude-oci: error: {failure}");
            return ExitCode::from(FAILED);
        }
    };
    match preserved.and_then(|preserved| command::run(arguments, &log, preserved)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            log.error(&failure);
            ExitCode::from(if executes { NOT_EXECUTED } else { FAILED })
        }
    }
}
