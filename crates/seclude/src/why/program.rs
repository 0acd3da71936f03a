//! What a program of the host's needs that is executed with it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::node::Found;
use crate::foreign::{is_native, why_not_executable};
use crate::needed::{Needed, needed};

/// How many interpreters a script may have, one for the other: fs/exec.c.
pub(super) const MOST_INTERPRETERS: usize = 5;

pub(super) const INTERPRETER: &str = "interpreter";

/// As much as program headers and a path behind them take.
const BEGINNING: u64 = 64 << 10;

pub(super) enum Needs {
    Nothing,
    Program {
        path: PathBuf,
        what: &'static str,
    },
    /// The kernel takes it for no program.
    Broken(String),
    Unknown(String),
}

pub(super) fn needs(found: &Found) -> Needs {
    if !found.is_plain() {
        return Needs::Unknown("what it needs is not read from there".to_owned());
    }
    let beginning = match read(found) {
        Ok(beginning) => beginning,
        // It may be executed all the same.
        Err(error) => return Needs::Unknown(format!("what it needs cannot be read: {error}")),
    };
    match needed(&beginning) {
        // A relative one is resolved, an empty one is none.
        Some(Needed::Interpreter(name)) if name.is_empty() => Needs::Broken("its #! line names no interpreter".into()),
        Some(Needed::Interpreter(name)) => Needs::Program { path: name.into(), what: INTERPRETER },
        Some(Needed::Loader(name)) if is_native(&beginning) => Needs::Program { path: name.into(), what: "ELF loader" },
        None if is_native(&beginning) => Needs::Nothing,
        // Of 32 bits, or for another machine by an emulator.
        _ if has_more_formats() || beginning.starts_with(b"\x7fELF\x01") => {
            Needs::Unknown(format!("{}: whether this kernel executes it is not known", why_not_executable(&beginning)))
        }
        _ => Needs::Broken(why_not_executable(&beginning)),
    }
}

fn read(found: &Found) -> std::io::Result<Vec<u8>> {
    // It is a regular file, of which the descriptor is a path alone.
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(format!("/proc/self/fd/{}", found.fd.as_raw_fd()))?;
    let mut beginning = Vec::new();
    file.take(BEGINNING).read_to_end(&mut beginning)?;
    Ok(beginning)
}

/// Whether formats were registered with the kernel: binfmt_misc.
fn has_more_formats() -> bool {
    let entries = std::fs::read_dir("/proc/sys/fs/binfmt_misc");
    entries.is_ok_and(|entries| {
        entries.flatten().any(|entry| !matches!(entry.file_name().to_str(), Some("register" | "status")))
    })
}
