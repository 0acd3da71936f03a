//! The flags of landlock: what the command may reach of files, ports, sockets and processes; and the sandbox by that alone.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use seclude::request::{LandlockScope, Request, Text};

use crate::args::Heading;

// What landlock lets through. (A doc comment would become the task's.)
#[derive(Args, Default)]
#[command(next_help_heading = "Landlock")]
pub(crate) struct LandlockFlags {
    /// Close all files but those that flags of landlock name, and allow to read this file or what is below this directory (by its path
    /// inside); may be repeated
    #[arg(long, value_name = "PATH")]
    landlock_ro: Vec<PathBuf>,
    /// The same to read and write, and to make, move and remove what is below
    #[arg(long, value_name = "PATH")]
    landlock_rw: Vec<PathBuf>,
    /// The same to read and execute: the command itself needs one, and its interpreter and ELF loader
    #[arg(long, value_name = "PATH")]
    landlock_exec: Vec<PathBuf>,
    /// Allow to connect to this TCP port, and to no other that is not named; may be repeated
    #[arg(long, value_name = "PORT|none")]
    landlock_connect: Vec<PortSpec>,
    /// Allow to bind to this TCP port, and to no other that is not named; 0 is one that the kernel chooses
    #[arg(long, value_name = "PORT|none")]
    landlock_bind: Vec<PortSpec>,
    /// Keep it from others' sockets with abstract names (abstract-unix-socket), or from signalling others (signal); may be repeated
    #[arg(long, value_name = "SCOPE")]
    landlock_scope: Vec<ScopeSpec>,
    /// Make no namespace at all: the sandbox by landlock, the filter of system calls and limits alone, for hosts that give none. Less is
    /// isolated; `explain` and the report say what is not
    #[arg(long)]
    no_namespaces: bool,
}

impl Heading for LandlockFlags {
    const FLAGS: &[&str] = &[
        "landlock_ro",
        "landlock_rw",
        "landlock_exec",
        "landlock_connect",
        "landlock_bind",
        "landlock_scope",
        "no_namespaces",
    ];
}

impl LandlockFlags {
    /// Adds what these flags ask for.
    pub(crate) fn compose(&self, request: &mut Request) {
        request.no_namespaces |= self.no_namespaces;
        let paths = [&self.landlock_ro, &self.landlock_rw, &self.landlock_exec];
        let ports = [&self.landlock_connect, &self.landlock_bind];
        if paths.iter().all(|list| list.is_empty())
            && ports.iter().all(|list| list.is_empty())
            && self.landlock_scope.is_empty()
        {
            return;
        }
        let landlock = request.landlock.get_or_insert_default();
        for (list, given) in [&mut landlock.ro, &mut landlock.rw, &mut landlock.exec].into_iter().zip(paths) {
            // Relative ones begin where the caller is, which the sandbox shows by the same path.
            list.extend(
                given.iter().map(|path| Text::from(std::path::absolute(path).unwrap_or_else(|_| path.clone()))),
            );
        }
        for (list, given) in [&mut landlock.connect, &mut landlock.bind].into_iter().zip(ports) {
            if !given.is_empty() {
                list.get_or_insert_default().extend(given.iter().filter_map(|spec| spec.0));
            }
        }
        landlock.scopes.extend(self.landlock_scope.iter().map(|spec| spec.0));
    }
}

/// A port, or none.
#[derive(Clone, Copy)]
struct PortSpec(Option<u16>);

impl FromStr for PortSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<PortSpec, String> {
        match text.parse() {
            _ if text == "none" => Ok(PortSpec(None)),
            Ok(port) => Ok(PortSpec(Some(port))),
            Err(_) => Err(format!("{text:?} is not a port: a number from 0 to 65535, or none")),
        }
    }
}

#[derive(Clone, Copy)]
struct ScopeSpec(LandlockScope);

impl FromStr for ScopeSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<ScopeSpec, String> {
        match text {
            "abstract-unix-socket" => Ok(ScopeSpec(LandlockScope::AbstractUnixSocket)),
            "signal" => Ok(ScopeSpec(LandlockScope::Signal)),
            other => Err(format!("{other:?} is not a scope: abstract-unix-socket or signal")),
        }
    }
}
