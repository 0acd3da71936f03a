//! Descriptors that a caller hands on, with `--preserve-fds` or as sd_listen_fds(3) has it: those that were open when this program began, and none of
//! its own.

use std::fs::read_to_string;

use rustix::fs::{FileType, OFlags, stat};
use seclude::Command;

use crate::arguments::{self, Arguments};
use crate::failure::{Failure, Result};

/// More than anybody hands on; limits on open files are lower mostly.
pub(crate) const MOST: i64 = 4096;

/// What a caller hands on.
#[derive(Default)]
pub(crate) struct Preserved {
    numbers: Vec<i32>,
    /// So many are sockets that somebody listens on, sd_listen_fds(3).
    listening: u16,
}

impl Preserved {
    /// Looks at the caller's, before anything of this program's is opened: a number that is open now is the caller's until the end, as nothing
    /// of the caller's is closed here. A number that is not open is none of the caller's: it hands on as many as it has.
    pub(crate) fn look(arguments: &Arguments) -> Result<Preserved> {
        let (count, listening) = match &arguments.command {
            arguments::Command::Create { new, .. } | arguments::Command::Run { new, .. } => {
                (new.preserve_fds, listening())
            }
            arguments::Command::Exec(exec) => (exec.preserve_fds, 0),
            _ => (0, 0),
        };
        let all = 3..3 + i32::from(listening) + i32::from(count);
        let mut numbers = Vec::new();
        for number in all {
            let open =
                is_open(number).map_err(|why| Failure::new(format!("--preserve-fds: descriptor {number}: {why}")))?;
            numbers.extend(open.then_some(number));
        }
        Ok(Preserved { numbers, listening })
    }

    /// Hands them on.
    pub(crate) fn give(&self, command: &mut Command) -> Result<()> {
        for &number in &self.numbers {
            let failed = |error| Failure::of(format_args!("--preserve-fds: descriptor {number}"), error);
            command.inherit_fd(number, number).map_err(failed)?;
        }
        if self.listening > 0 {
            // It is for the container's process, which has that pid there.
            command.env("LISTEN_PID", "1").env("LISTEN_FDS", self.listening.to_string());
            if let Some(names) = std::env::var_os("LISTEN_FDNAMES") {
                command.env("LISTEN_FDNAMES", names);
            }
        }
        Ok(())
    }
}

/// How many a service manager has given this process; those of another process are not for the container.
fn listening() -> u16 {
    let is_ours = std::env::var("LISTEN_PID").map_or(true, |pid| pid.parse() == Ok(std::process::id()));
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<u16>().ok());
    count.filter(|count| is_ours && i64::from(*count) <= MOST).unwrap_or(0)
}

/// A directory of the host's leads out of any root, and so does what was opened for its place alone.
fn is_open(number: i32) -> Result<bool, String> {
    let text = match read_to_string(format!("/proc/self/fdinfo/{number}")) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.to_string()),
    };
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    let flags = flags.ok_or_else(|| "the kernel does not say how it is open".to_owned())?;
    if OFlags::from_bits_retain(flags).contains(OFlags::PATH) {
        return Err("it is open with O_PATH, and would lead out of the container".to_owned());
    }
    let found = stat(format!("/proc/self/fd/{number}")).map_err(|errno| errno.to_string())?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => Err("it is a directory, and would lead out of the container".to_owned()),
        _ => Ok(true),
    }
}
