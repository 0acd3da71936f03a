//! Compiles `src/init` into `OUT_DIR/seclude-init`: cargo cannot make a dependency that is another program, built
//! without std and with flags of its own, so rustc is called as cargo would call it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, exit};

const SOURCE: &str = "src/init/main.rs";

/// Size before speed: the image is part of every program that uses the library.
const CODE: &[&str] = &[
    "panic=abort",
    "opt-level=s",
    "codegen-units=1",
    "debuginfo=0",
    "debug-assertions=off",
    "overflow-checks=off",
    "relocation-model=static",
    "force-unwind-tables=no",
    "strip=symbols",
];

/// No libc, no start files, nothing to resolve or to protect at run time: to a linker itself, and to a compiler that calls one.
const LINK: &[&str] = &["-nostdlib", "-static", "--build-id=none", "--no-eh-frame-hdr", "-znorelro", "-znoexecstack"];
const LINK_BY_COMPILER: &[&str] = &[
    "-nostartfiles",
    "-nostdlib",
    "-static",
    "-Wl,--build-id=none",
    "-Wl,--no-eh-frame-hdr",
    "-Wl,-z,norelro",
    "-Wl,-z,noexecstack",
];
/// Rust's own, which links for every architecture; the init needs nothing of a compiler's.
const OWN_LINKER: &str = "rust-lld";

fn main() {
    let arch = PathBuf::from(variable("DEP_SECLUDE_SYS_ARCH"));
    let out = PathBuf::from(variable("OUT_DIR"));
    let target = variable("TARGET");

    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/init");
    println!("cargo::rerun-if-changed={}", arch.display());
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");

    let architecture = PathBuf::from(variable("CARGO_CFG_TARGET_ARCH")).with_extension("rs");
    if variable("CARGO_CFG_TARGET_OS") != "linux" || !arch.join(&architecture).exists() {
        fail(&format!("the init knows Linux on the architectures of {}, not {}", arch.display(), target.display()));
    }

    // `include!` takes no file that begins with docs of its own, and `#[path]` takes no `env!`: a file between them.
    let bridge = format!("#[path = {:?}]\nmod this;\npub use this::*;\n", arch.join(&architecture));
    if let Err(error) = fs::write(out.join("arch.rs"), bridge) {
        fail(&format!("{} could not be written: {error}", out.join("arch.rs").display()));
    }

    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args([SOURCE, "--crate-name", "seclude_init", "--crate-type", "bin", "--edition", "2024"]);
    rustc.arg("--target").arg(&target).arg("-o").arg(out.join("seclude-init"));
    for option in CODE {
        rustc.args(["-C", option]);
    }
    // These targets bring start files of their own, and add them in spite of -nostartfiles.
    if variable("CARGO_CFG_TARGET_ENV") == "musl" {
        rustc.args(["-C", "link-self-contained=no"]);
    }
    let linker = linker();
    let is_compiler = linker.as_ref().is_none_or(|linker| !linker.to_string_lossy().ends_with("lld"));
    for option in if is_compiler { LINK_BY_COMPILER } else { LINK } {
        rustc.args(["-C", &format!("link-arg={option}")]);
    }
    if let Some(linker) = linker {
        let mut option = OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }

    match rustc.status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("rustc could not build {SOURCE} ({status}), its message is above: {rustc:?}")),
        Err(error) => fail(&format!("rustc could not be started ({error}): {rustc:?}")),
    }
}

/// The one that cargo is told to use, in its configuration or among the flags; for another architecture than this machine's
/// the compiler's default would be this machine's own.
fn linker() -> Option<OsString> {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut flags = flags.split('\x1f').filter_map(|flag| flag.trim_start_matches("-C").trim().strip_prefix("linker="));
    let told = flags.next_back().map(OsString::from).or_else(|| env::var_os("RUSTC_LINKER"));
    let architecture = |triple: OsString| triple.to_string_lossy().split('-').next().map(str::to_owned);
    let foreign = architecture(variable("TARGET")) != architecture(variable("HOST"));
    told.or_else(|| foreign.then(|| OWN_LINKER.into()))
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| fail(&format!("{name} is not set: this is to be run by cargo")))
}

fn fail(why: &str) -> ! {
    println!("cargo::error=seclude-init: {why}");
    exit(1);
}
