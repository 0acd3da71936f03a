//! `cargo xtask c`: the C binding, built, its header looked at, and tested with C and Go, as root and as an ordinary user; or
//! installed.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::binaries::test_binary;
use crate::ordinary_user::{OrdinaryUser, USER};
use crate::workspace::{self, cargo, find, read, run, target};

/// Below the workspace.
const PACKAGE: &str = "bindings/c";
const HEADER: &str = "include/seclude.h";
/// What programs that are linked with it look for; bindings/c/build.rs has it too.
const SONAME: &str = "libseclude.so.1";
/// The files of the source whose functions come first in the header.
const ORDER: [&str; 4] = ["version.rs", "spawn.rs", "child.rs", "examine.rs"];
const WARNINGS: [&str; 6] = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the header anew instead, from the source
    #[arg(long, conflicts_with = "prefix")]
    header: bool,
    /// Install header, libraries and pkg-config file, optimised, below this directory instead
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
}

pub(crate) fn run_task(options: &Options) -> Result<()> {
    let package = workspace::root().join(PACKAGE);
    if options.header {
        return Ok(fs::write(package.join(HEADER), header(&package)?)?);
    }
    ensure!(
        fs::read(package.join(HEADER)).unwrap_or_default() == header(&package)?,
        "{PACKAGE}/{HEADER} is not what the source says: cargo xtask c --header"
    );
    if let Some(prefix) = &options.prefix {
        fs::create_dir_all(prefix)?;
        return install(&package, &prefix.canonicalize()?, true);
    }
    // Not where the last one is: it may be loaded.
    let prefix = target().join("c");
    let _ = fs::remove_dir_all(&prefix);
    fs::create_dir_all(&prefix)?;
    install(&package, &prefix, false)?;
    test(&package, &prefix)
}

fn header(package: &Path) -> Result<Vec<u8>> {
    let config = cbindgen::Config::from_file(package.join("cbindgen.toml")).map_err(anyhow::Error::msg)?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(package.join("src"))? {
        files.push(entry?.path());
    }
    // All others would come once more, by its `mod`s.
    files.retain(|file| !file.ends_with("lib.rs"));
    // In the order in which they are read, which is not a directory's.
    files.sort_by_key(|file| {
        let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
        (ORDER.iter().position(|first| *first == name).unwrap_or(ORDER.len()), name.to_owned())
    });
    for file in files {
        builder = builder.with_src(file);
    }
    let mut text = Vec::new();
    builder.generate().context("the header")?.write(&mut text);
    Ok(text)
}

/// Under the names that C knows: what cargo builds must not be called like the Rust library.
fn install(package: &Path, prefix: &Path, optimised: bool) -> Result<()> {
    // Not `dist`: there a panic would end the program that has loaded it.
    let profile = if optimised { "release" } else { "dev" };
    run(cargo().args(["build", "--quiet", "--locked", "--package", "seclude-c", "--profile", profile]))?;
    let built = target().join(if optimised { "release" } else { "debug" });
    let (lib, include) = (prefix.join("lib"), prefix.join("include"));
    fs::create_dir_all(lib.join("pkgconfig"))?;
    fs::create_dir_all(&include)?;
    for (from, to) in [
        (built.join("libseclude_c.so"), lib.join(SONAME)),
        (built.join("libseclude_c.a"), lib.join("libseclude.a")),
        (package.join(HEADER), include.join("seclude.h")),
    ] {
        // Never written over: it may be loaded.
        let _ = fs::remove_file(&to);
        fs::copy(&from, &to).with_context(|| format!("copy of {}", from.display()))?;
    }
    let link = lib.join("libseclude.so");
    let _ = fs::remove_file(&link);
    symlink(SONAME, link)?;
    let Some(place) = prefix.to_str() else { bail!("{} is no UTF-8", prefix.display()) };
    let template = fs::read_to_string(package.join("seclude.pc.in"))?;
    let text = template.replace("@PREFIX@", place).replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    Ok(fs::write(lib.join("pkgconfig/seclude.pc"), text)?)
}

fn test(package: &Path, prefix: &Path) -> Result<()> {
    let programs = prefix.join("bin");
    fs::create_dir_all(&programs)?;
    // Against the shared library as a user has it, and against the static one.
    let dynamic = pkg_config(prefix, &["--cflags", "--libs"])?;
    let archive: Vec<OsString> = pkg_config(prefix, &["--cflags", "--libs", "--static"])?
        .into_iter()
        .map(|word| if word == "-lseclude" { "-l:libseclude.a".into() } else { word })
        .collect();
    let compiled = |source: &str, name: &str, flags: &[OsString]| -> Result<PathBuf> {
        let program = programs.join(name);
        let source = package.join("tests").join(source);
        run(Command::new("cc").args(WARNINGS).arg(source).args(flags).arg("-pthread").arg("-o").arg(&program))?;
        Ok(program)
    };
    let test = compiled("test.c", "test", &dynamic)?;
    let test_static = compiled("test.c", "test-static", &archive)?;
    let door = compiled("door.c", "door", &archive)?;
    let example = go(package, prefix, &programs)?;
    let doors = test_binary("seclude-tests", "doors")?;

    let mut failed = BTreeSet::new();
    let mut tried = |who: &str, what: &str, command: &mut Command| {
        println!("\nas {who}: {what}");
        if run(command).is_err() {
            failed.insert(format!("{what} as {who}"));
        }
    };
    if let Some(valgrind) = find("valgrind") {
        // It knows no clone3: what starts nothing, then.
        let flags = ["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"];
        let mut command = Command::new(valgrind);
        command.args(flags).arg(&test).arg("--start-nothing").env("LD_LIBRARY_PATH", prefix.join("lib"));
        tried("this user", "valgrind", &mut command);
    }
    let library = prefix.join("lib");
    let mut all = |who: &str, made: &dyn Fn(&Path) -> Result<Command>, library: &Path, door: &Path| -> Result<()> {
        tried(who, "the shared library", made(&test)?.env("LD_LIBRARY_PATH", library));
        tried(who, "the static library", &mut made(&test_static)?);
        tried(who, "the Go example", made(&example)?.env("LD_LIBRARY_PATH", library));
        // Through the library they are run by the tests of the workspace.
        let through_c = ["the_c_door_does_what_the_table_says", "--exact"];
        tried(who, "the cases of all doors", made(&doors)?.args(through_c).env("SECLUDE_C_DOOR", door));
        Ok(())
    };
    let here = |program: &Path| Ok(Command::new(program));
    if rustix::process::geteuid().is_root() {
        all("root", &here, &library, &door)?;
        let user = OrdinaryUser::new()?;
        let door = user.copy(&door)?;
        let loaded = user.copy(&library.join(SONAME))?;
        let library = loaded.parent().context("it lies in a directory")?;
        all(USER, &|program| Ok(user.command(user.copy(program)?)), library, &door)?;
    } else {
        all("this user", &here, &library, &door)?;
    }
    ensure!(failed.is_empty(), "these failed: {failed:?}");
    Ok(())
}

fn pkg_config(prefix: &Path, what: &[&str]) -> Result<Vec<OsString>> {
    let mut command = Command::new("pkg-config");
    let words = read(command.args(what).arg("seclude").env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")))?;
    Ok(words.split_whitespace().map(OsString::from).collect())
}

/// The example, which needs nothing but Go's own library.
fn go(package: &Path, prefix: &Path, programs: &Path) -> Result<PathBuf> {
    let go = find("go").context("there is no go: install golang-go")?;
    let program = programs.join("go-example");
    let mut command = Command::new(go);
    command.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(package.join("examples/go"));
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).env("CGO_ENABLED", "1");
    command.env("GOCACHE", target().join("go")).env("GOPROXY", "off").env("GOFLAGS", "").env("GOTOOLCHAIN", "local");
    run(&mut command)?;
    Ok(program)
}
