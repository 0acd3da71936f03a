//! `cargo xtask dist`: the command as it is given out, below target/dist.
//!
//! Linked statically: a third of a short command's time would be the dynamic loader's. With musl: before main, glibc asks
//! the processor for its caches by CPUID, each a trip to the hypervisor in a virtual machine, half a millisecond in all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::architecture::{Architecture, OWN, add_target, rustc};
use crate::workspace::{cargo, read, run, target};

/// For this machine; answers the binary's path.
pub(crate) fn build() -> Result<PathBuf> {
    build_for(OWN, "seclude-cli", "seclude")
}

/// The OCI runtime in the same way: it runs on nodes that have other libraries than this machine.
pub(crate) fn build_runtime() -> Result<PathBuf> {
    build_for(OWN, "seclude-oci", "seclude-oci")
}

fn build_for(architecture: Architecture, package: &str, name: &str) -> Result<PathBuf> {
    let target_name = architecture.musl();
    add_target(target_name)?;
    let build = target().join("dist-build");
    // With --target the flags are for the program alone, not for build scripts and procedural macros.
    let mut release = cargo();
    release.args(["build", "--quiet", "--locked", "--profile", "dist", "--package", package]);
    release.args(["--target", target_name]).arg("--target-dir").arg(&build);
    release.env(
        "RUSTFLAGS",
        format!("-C target-feature=+crt-static -C relocation-model=static {}", linker(architecture)?),
    );
    run(&mut release)?;
    let dist = target().join("dist").join(if architecture.is_own() { "" } else { architecture.name() });
    fs::create_dir_all(&dist).with_context(|| format!("create {}", dist.display()))?;
    let program = dist.join(name);
    let built = build.join(target_name).join("dist").join(name);
    // Never written over: it may be running.
    let _ = fs::remove_file(&program);
    fs::copy(&built, &program).with_context(|| format!("copy of {}", built.display()))?;
    Ok(program)
}

/// LLVM's linker, whose layout has a short command touch fewer pages; rustup's own if there is one, or the system's. For another
/// architecture without this machine's compiler, which would call it as for this one: musl comes with all that it needs.
fn linker(architecture: Architecture) -> Result<String> {
    if !architecture.is_own() {
        return Ok("-C linker=rust-lld".to_owned());
    }
    let libraries = read(rustc().args(["--print", "target-libdir"]))?;
    let own = Path::new(libraries.trim()).with_file_name("bin").join("gcc-ld");
    let place = if own.join("ld.lld").exists() { format!("-C link-arg=-B{} ", own.display()) } else { String::new() };
    Ok(format!("{place}-C link-arg=-fuse-ld=lld"))
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// For this architecture; another one's binary goes below target/dist/ARCH, without pages, which are the same
    #[arg(long, value_enum, value_name = "ARCH", default_value_t = OWN)]
    arch: Architecture,
    /// The OCI runtime in place of the command: seclude-oci
    #[arg(long)]
    oci: bool,
}

pub(crate) fn run_task(options: &Options) -> Result<()> {
    if options.oci {
        println!("{}", build_for(options.arch, "seclude-oci", "seclude-oci")?.display());
        return Ok(());
    }
    if options.arch.is_own() {
        return make();
    }
    println!("{}", build_for(options.arch, "seclude-cli", "seclude")?.display());
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
