//! `cargo xtask node`: the JavaScript binding, built and tested in each runtime, as root and as an ordinary user;
//! measured; or packed to be installed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::ordinary_user::{OrdinaryUser, Reachable, USER};
use crate::workspace::{self, cargo, find, read, run, target};

/// Below the workspace.
const PACKAGE: &str = "bindings/node";
const ADDON: &str = "seclude.node";
/// Runs what it may need most: a command in the sandbox, and one without.
const FIRST_USE: &str = "for (const container of [true, undefined]) \
                         if (spawnSync(['/bin/true'], { container }).exitCode !== 0) process.exit(1);";

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// The machine's own Node.js
    Node,
    /// The oldest Node.js there is support for
    Node18,
    /// A newer Node.js
    Node22,
    /// Bun
    Bun,
}

impl Runtime {
    /// Its program; those that npm brings are not linked into `.bin`, as no script of theirs is run.
    fn program(self, package: &Path) -> Result<PathBuf> {
        match self {
            Runtime::Node => find("node").context("there is no node: install Node.js 18 or later"),
            Runtime::Node18 => Ok(package.join("node_modules/node18/bin/node")),
            Runtime::Node22 => Ok(package.join("node_modules/node22/bin/node")),
            Runtime::Bun => Ok(package.join("node_modules/@oven/bun-linux-x64/bin/bun")),
        }
    }

    fn tests(self, package: &Path) -> Result<Vec<OsString>> {
        if self == Runtime::Bun {
            return Ok(["test", "--timeout", "60000", "./test/"].map(OsString::from).to_vec());
        }
        // What `node --test` makes of a directory changes with its version.
        let mut files = Vec::new();
        for entry in fs::read_dir(package.join("test"))? {
            let name = entry?.file_name();
            if name.to_string_lossy().ends_with(".test.mjs") {
                files.push(Path::new("test").join(name).into_os_string());
            }
        }
        files.sort();
        ensure!(!files.is_empty(), "{} has no tests", package.display());
        files.splice(0..0, ["--test", "--test-reporter", "spec"].map(OsString::from));
        Ok(files)
    }

    fn bench(self, package: &Path) -> Result<Command> {
        let mut bench = Command::new(self.program(package)?);
        bench.arg("bench.mjs").current_dir(package);
        Ok(bench)
    }
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Test in this runtime; may be repeated [default: all]
    #[arg(long, value_enum, value_name = "NAME")]
    runtime: Vec<Runtime>,
    /// Measure instead, optimised, beside child_process.spawn
    #[arg(long, conflicts_with = "pack")]
    bench: bool,
    /// Make the npm package instead, optimised, below target/dist, and try it in a project of its own
    #[arg(long)]
    pack: bool,
}

pub(crate) fn run_task(options: &Options) -> Result<()> {
    let package = workspace::root().join(PACKAGE);
    fetch(&package)?;
    build(&package, options.bench || options.pack)?;
    let runtimes = if options.runtime.is_empty() { Runtime::value_variants() } else { &options.runtime };
    if options.pack {
        return pack(&package, runtimes);
    }
    if options.bench {
        return runtimes.iter().try_for_each(|runtime| run(&mut runtime.bench(&package)?));
    }
    test(&package, runtimes)
}

/// What the tests need, as package-lock.json has it. No package's script is run.
fn fetch(package: &Path) -> Result<()> {
    let npm = find("npm").context("there is no npm: install it")?;
    run(Command::new(npm).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(package))
}

fn build(package: &Path, optimised: bool) -> Result<()> {
    // Not `dist`: there a panic would end the program that has loaded it.
    let profile = if optimised { "release" } else { "dev" };
    run(cargo().args(["build", "--quiet", "--locked", "--package", "seclude-node", "--profile", profile]))?;
    let built = target().join(if optimised { "release" } else { "debug" }).join("libseclude_node.so");
    let addon = package.join(ADDON);
    // Never written over: it may be loaded.
    let _ = fs::remove_file(&addon);
    fs::copy(&built, &addon).with_context(|| format!("copy of {}", built.display()))?;
    Ok(())
}

fn test(package: &Path, runtimes: &[Runtime]) -> Result<()> {
    // Without it the tests in it are skipped, and say so.
    let debian = Some(target().join("rootfs/debian")).filter(|root| root.join("usr/bin/dpkg").exists());
    let mut failed = BTreeSet::new();
    let mut test_as =
        |who: &str, command: &dyn Fn(PathBuf) -> Command, package: &Path, debian: Option<&Path>| -> Result<()> {
            for runtime in runtimes {
                let name = runtime.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
                println!("\nas {who}: {name}");
                let mut tests = command(runtime.program(package)?);
                tests
                    .args(runtime.tests(package)?)
                    .current_dir(package)
                    .envs(debian.map(|root| ("SECLUDE_DEBIAN_ROOT", root)));
                if run(&mut tests).is_err() {
                    failed.insert(format!("{name} as {who}"));
                }
            }
            Ok(())
        };
    if rustix::process::geteuid().is_root() {
        test_as("root", &|program| Command::new(program), package, debian.as_deref())?;
        let user = OrdinaryUser::new()?;
        let checkout = Reachable::new(workspace::root(), PACKAGE)?;
        let debian = debian.map(|root| Reachable::new(root, "usr")).transpose()?;
        let debian = debian.as_ref().map(Reachable::path);
        test_as(USER, &|program| user.command(program), &checkout.path().join(PACKAGE), debian)?;
    } else {
        test_as("this user", &|program| Command::new(program), package, debian.as_deref())?;
    }
    ensure!(failed.is_empty(), "these failed: {failed:?}");
    Ok(())
}

/// The package as npm installs it, tried by import and by require in a project that has nothing else.
fn pack(package: &Path, runtimes: &[Runtime]) -> Result<()> {
    let npm = find("npm").context("there is no npm: install it")?;
    let dist = target().join("dist");
    fs::create_dir_all(&dist)?;
    let named =
        read(Command::new(&npm).args(["pack", "--silent", "--pack-destination"]).arg(&dist).current_dir(package))?;
    let Some(name) = named.lines().last() else { bail!("npm pack names no package") };
    let packed = dist.join(name.trim());

    let project = target().join("node-project");
    let _ = fs::remove_dir_all(&project);
    fs::create_dir_all(&project)?;
    fs::write(project.join("package.json"), "{ \"private\": true }\n")?;
    let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--offline", "--silent"];
    run(Command::new(&npm).args(install).arg(&packed).current_dir(&project))?;
    fs::write(project.join("import.mjs"), format!("import {{ spawnSync }} from 'seclude';\n{FIRST_USE}\n"))?;
    fs::write(project.join("require.cjs"), format!("const {{ spawnSync }} = require('seclude');\n{FIRST_USE}\n"))?;
    for runtime in runtimes {
        for script in ["import.mjs", "require.cjs"] {
            run(Command::new(runtime.program(package)?).arg(script).current_dir(&project))?;
        }
    }
    fs::remove_dir_all(&project)?;
    println!("{}", packed.display());
    Ok(())
}
