//! `cargo xtask dist`: the command as it is given out, below target/dist.
//!
//! Linked statically: a third of a short command's time would be the dynamic loader's.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace::{cargo, read, run, target};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the binary; answers its path.
pub(crate) fn build() -> Result<PathBuf> {
    let build = target().join("dist-build");
    // With --target the flags are for the program alone, not for build scripts and procedural macros.
    let mut release = cargo();
    release.args(["build", "--quiet", "--locked", "--profile", "dist", "--package", "seclude-cli", "--target", TARGET]);
    release.arg("--target-dir").arg(&build);
    release.env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static");
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

/// The binary with its manual page and completions.
pub(crate) fn make() -> Result<()> {
    let program = build()?;
    let dist = target().join("dist");
    let say = |arguments: &[&str]| read(std::process::Command::new(&program).args(arguments));
    fs::write(dist.join("seclude.1"), say(&["man"])?)?;
    for (shell, file) in [("bash", "seclude.bash"), ("zsh", "_seclude"), ("fish", "seclude.fish")] {
        fs::write(dist.join(file), say(&["completions", shell])?)?;
    }
    println!("{}", program.display());
    Ok(())
}
