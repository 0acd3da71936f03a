//! `cargo xtask dist`: the command as it is given out, below target/dist.
//!
//! Linked statically: a third of a short command's time would be the dynamic loader's. With musl: before main, glibc asks
//! the processor for its caches by CPUID, each a trip to the hypervisor in a virtual machine, half a millisecond in all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{cargo, read, run, target};

const TARGET: &str = "x86_64-unknown-linux-musl";

/// Builds the binary; answers its path.
pub(crate) fn build() -> Result<PathBuf> {
    add_target()?;
    let build = target().join("dist-build");
    // With --target the flags are for the program alone, not for build scripts and procedural macros.
    let mut release = cargo();
    release.args(["build", "--quiet", "--locked", "--profile", "dist", "--package", "seclude-cli", "--target", TARGET]);
    release.arg("--target-dir").arg(&build);
    release.env("RUSTFLAGS", format!("-C target-feature=+crt-static -C relocation-model=static {}", linker()?));
    run(&mut release)?;
    let dist = target().join("dist");
    fs::create_dir_all(&dist).with_context(|| format!("create {}", dist.display()))?;
    let program = dist.join("seclude");
    let built = build.join(TARGET).join("dist/seclude");
    // Never written over: it may be running.
    let _ = fs::remove_file(&program);
    fs::copy(&built, &program).with_context(|| format!("copy of {}", built.display()))?;
    Ok(program)
}

/// LLVM's linker, whose layout has a short command touch fewer pages; rustup's own if there is one, or the system's.
fn linker() -> Result<String> {
    let libraries = read(rustc().args(["--print", "target-libdir"]))?;
    let own = Path::new(libraries.trim()).with_file_name("bin").join("gcc-ld");
    let place = if own.join("ld.lld").exists() { format!("-C link-arg=-B{} ", own.display()) } else { String::new() };
    Ok(format!("{place}-C link-arg=-fuse-ld=lld"))
}

fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// Has the standard library for the target, from rustup if need be.
fn add_target() -> Result<()> {
    let library = read(rustc().args(["--print", "target-libdir", "--target", TARGET]))?;
    if Path::new(library.trim()).exists() {
        return Ok(());
    }
    let added = run(Command::new("rustup").args(["target", "add", TARGET]));
    if added.is_err() {
        bail!("this Rust has no standard library for {TARGET}; with rustup: rustup target add {TARGET}");
    }
    Ok(())
}

/// The binary with its manual page and completions.
pub(crate) fn make() -> Result<()> {
    let program = build()?;
    let dist = target().join("dist");
    let say = |arguments: &[&str]| read(Command::new(&program).args(arguments));
    fs::write(dist.join("seclude.1"), say(&["man"])?)?;
    for (shell, file) in [("bash", "seclude.bash"), ("zsh", "_seclude"), ("fish", "seclude.fish")] {
        fs::write(dist.join(file), say(&["completions", shell])?)?;
    }
    println!("{}", program.display());
    Ok(())
}
