//! The architectures that the library knows, and what building and running for each of them takes here.

use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::workspace::{find, read, run};

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Architecture {
    #[value(name = "x86_64")]
    X86_64,
    Aarch64,
}

use Architecture::{Aarch64, X86_64};

#[cfg(target_arch = "x86_64")]
pub(crate) const OWN: Architecture = X86_64;
#[cfg(target_arch = "aarch64")]
pub(crate) const OWN: Architecture = Aarch64;

impl Architecture {
    pub(crate) fn is_own(self) -> bool {
        self == OWN
    }

    /// As Rust and uname(2) have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            X86_64 => "x86_64",
            Aarch64 => "aarch64",
        }
    }

    /// As Debian has it.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            X86_64 => "amd64",
            Aarch64 => "arm64",
        }
    }

    pub(crate) fn musl(self) -> &'static str {
        match self {
            X86_64 => "x86_64-unknown-linux-musl",
            Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    pub(crate) fn gnu(self) -> &'static str {
        match self {
            X86_64 => "x86_64-unknown-linux-gnu",
            Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The emulator of a machine, and the package of Debian that has it.
    pub(crate) fn qemu(self) -> (&'static str, &'static str) {
        match self {
            X86_64 => ("qemu-system-x86_64", "qemu-system-x86"),
            Aarch64 => ("qemu-system-aarch64", "qemu-system-arm"),
        }
    }

    /// A program of binutils that reads its files.
    pub(crate) fn binutil(self, program: &str) -> Result<Command> {
        let package = format!("binutils-{}-linux-gnu", self.name().replace('_', "-"));
        let (name, package) = match self.is_own() {
            true => (program.to_owned(), "binutils".to_owned()),
            false => (format!("{}-linux-gnu-{program}", self.name()), package),
        };
        match find(&name) {
            Some(program) => Ok(Command::new(program)),
            None => bail!("{name} is not installed: apt-get install {package}"),
        }
    }

    /// Has cargo build with glibc for it; for this machine it does that without being told.
    pub(crate) fn build_with_glibc(self, cargo: &mut Command) -> Result<()> {
        if self.is_own() {
            return Ok(());
        }
        add_target(self.gnu())?;
        let linker = format!("{}-linux-gnu-gcc", self.name());
        if find(&linker).is_none() {
            let name = self.name().replace('_', "-");
            bail!("{linker} is not installed: apt-get install gcc-{name}-linux-gnu libc6-dev-{}-cross", self.debian());
        }
        let variable = self.gnu().to_uppercase().replace('-', "_");
        cargo.args(["--target", self.gnu()]).env(format!("CARGO_TARGET_{variable}_LINKER"), linker);
        Ok(())
    }
}

pub(crate) fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// Has the standard library for the target, from rustup if need be.
pub(crate) fn add_target(target: &str) -> Result<()> {
    let library = read(rustc().args(["--print", "target-libdir", "--target", target]))?;
    if std::path::Path::new(library.trim()).exists() {
        return Ok(());
    }
    let added = run(Command::new("rustup").args(["target", "add", target]));
    if added.is_err() {
        bail!("this Rust has no standard library for {target}; with rustup: rustup target add {target}");
    }
    Ok(())
}
