//! `cargo xtask python`: the Python binding, built and tested as root and as an ordinary user, and by CPython's own tests;
//! measured; or packed to be installed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};

use crate::dist;
use crate::ordinary_user::{OrdinaryUser, Reachable, USER};
use crate::workspace::{self, cargo, find, read, run, target};

/// Below the workspace.
const PACKAGE: &str = "bindings/python";
const MODULE: &str = "python/seclude/_native.abi3.so";
/// The distribution's own, which an ordinary user can run as well.
const INTERPRETER: &str = "/usr/bin/python3";
/// CPython's, where they are installed, and what their processes are born in.
const FOREIGN_TESTS: [(&str, &str); 4] = [
    ("bare", "test.test_subprocess"),
    ("bare", "test.test_asyncio.test_subprocess"),
    ("sandbox", "test.test_subprocess"),
    ("sandbox", "test.test_asyncio.test_subprocess"),
];
/// Runs what it may need most: a command in the sandbox, one without, and the command of the wheel.
const FIRST_USE: &str = "import seclude, subprocess, sys, os\n\
                         for preset in ('sandbox', 'bare'): seclude.run(['true'], preset=preset, check=True)\n\
                         seclude.types.Container(hostname='box')\n\
                         command = os.path.join(os.path.dirname(sys.executable), 'seclude')\n\
                         subprocess.run([command, '--version'], check=True)";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The interpreter [default: /usr/bin/python3, else the first in PATH]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Measure instead, optimised, beside subprocess.run
    #[arg(long, conflicts_with = "wheel")]
    bench: bool,
    /// Make the wheel instead, with the command in it, below target/dist, and try it in an environment of its own; needs maturin
    #[arg(long)]
    wheel: bool,
}

pub(crate) fn run_task(options: &Options) -> Result<()> {
    let package = workspace::root().join(PACKAGE);
    let python = match &options.python {
        Some(python) => python.clone(),
        None if Path::new(INTERPRETER).exists() => INTERPRETER.into(),
        None => find("python3").context("there is no python3: install Python 3.9 or later")?,
    };
    if options.wheel {
        return wheel(&package, &python);
    }
    build(&package, options.bench)?;
    if options.bench {
        return run(interpreter(Command::new(&python), &package).arg(package.join("bench.py")));
    }
    test(&package, &python)
}

fn build(package: &Path, optimised: bool) -> Result<()> {
    // Not `dist`: there a panic would end the program that has loaded it.
    let profile = if optimised { "release" } else { "dev" };
    run(cargo().args(["build", "--quiet", "--locked", "--package", "seclude-python", "--profile", profile]))?;
    let directory = std::env::var_os("CARGO_TARGET_DIR").map_or_else(target, PathBuf::from);
    let built = directory.join(if optimised { "release" } else { "debug" }).join("libseclude_python.so");
    let module = package.join(MODULE);
    // Never written over: it may be loaded.
    let _ = fs::remove_file(&module);
    fs::copy(&built, &module).with_context(|| format!("copy of {}", built.display()))?;
    Ok(())
}

/// With the package to be found, and without leaving anything beside its sources.
fn interpreter(mut command: Command, package: &Path) -> Command {
    let paths = [package.join("python"), package.join("tests")].map(|path| path.display().to_string()).join(":");
    command.env("PYTHONPATH", paths).env("PYTHONDONTWRITEBYTECODE", "1").current_dir("/");
    command
}

fn own_tests(command: Command, package: &Path) -> Command {
    let mut tests = interpreter(command, package);
    // A handle that is dropped while its process runs is what some of them try.
    tests.args(["-X", "faulthandler", "-W", "ignore::ResourceWarning", "-m", "unittest", "discover", "-s"]);
    tests.arg(package.join("tests"));
    tests
}

fn test(package: &Path, python: &Path) -> Result<()> {
    let mut failed = BTreeSet::new();
    // They sleep most of the time, so they run beside ours.
    let foreign = Foreign::start(package, python)?;
    let is_root = rustix::process::geteuid().is_root();
    println!("\nas {}", if is_root { "root" } else { "this user" });
    if run(&mut own_tests(Command::new(python), package)).is_err() {
        failed.insert("the tests as this user".to_owned());
    }
    if is_root {
        println!("\nas {USER}");
        let user = OrdinaryUser::new()?;
        let checkout = Reachable::new(workspace::root(), PACKAGE)?;
        if run(&mut own_tests(user.command(python), &checkout.path().join(PACKAGE))).is_err() {
            failed.insert(format!("the tests as {USER}"));
        }
    }
    for test in foreign {
        let name = test.name.clone();
        if !test.finish()? {
            failed.insert(name);
        }
    }
    ensure!(failed.is_empty(), "these failed: {failed:?}");
    Ok(())
}

/// A module of CPython's tests that runs in the background.
struct Foreign {
    /// As it begins its summary.
    name: String,
    child: Child,
    said: PathBuf,
}

impl Foreign {
    fn start(package: &Path, python: &Path) -> Result<Vec<Foreign>> {
        let is_there = Command::new(python).args(["-c", "import test.test_subprocess"]).current_dir("/").output()?;
        if !is_there.status.success() {
            println!("CPython's own tests: not run: not installed (Debian: libpython3.11-testsuite, by the version)");
            return Ok(Vec::new());
        }
        let start = |(preset, module): (&str, &str)| {
            let name = format!("{module} ({preset})");
            let place = target().join("python").join(preset).join(module);
            fs::create_dir_all(&place)?;
            let said = place.join("said");
            let output = File::create(&said)?;
            let mut shim = interpreter(Command::new(python), package);
            shim.arg(package.join("cpython/shim.py")).args([preset, module]).current_dir(&place);
            let child = shim.stdout(output.try_clone()?).stderr(output).spawn()?;
            Ok(Foreign { name, child, said })
        };
        FOREIGN_TESTS.into_iter().map(start).collect()
    }

    fn finish(mut self) -> Result<bool> {
        let status = self.child.wait()?;
        let said = fs::read_to_string(&self.said)?;
        let summary =
            said.lines().skip_while(|line| !line.starts_with(&format!("{}: ", self.name))).collect::<Vec<_>>();
        println!("\n{}", summary.join("\n"));
        if !status.success() {
            println!("{}", self.said.display());
        }
        Ok(status.success())
    }
}

/// The wheel as pip installs it, tried in an environment that has nothing else.
fn wheel(package: &Path, python: &Path) -> Result<()> {
    let maturin = find("maturin").context("there is no maturin: install it")?;
    dist::make()?;
    let dist = target().join("dist");
    let scripts = package.join("seclude.data/scripts");
    fs::create_dir_all(&scripts)?;
    fs::copy(dist.join("seclude"), scripts.join("seclude"))?;
    let made = target().join("python/wheel");
    let _ = fs::remove_dir_all(&made);
    run(Command::new(maturin).args(["build", "--release", "--locked", "--out"]).arg(&made).current_dir(package))?;
    let wheel = fs::read_dir(&made)?.next().context("maturin has made nothing")??.path();
    let environment = target().join("python/environment");
    let _ = fs::remove_dir_all(&environment);
    run(Command::new(python).args(["-m", "venv"]).arg(&environment))?;
    let program = environment.join("bin/python");
    run(Command::new(&program).args(["-m", "pip", "install", "--quiet", "--no-index"]).arg(&wheel))?;
    read(Command::new(&program).args(["-c", FIRST_USE]).current_dir("/"))?;
    let kept = dist.join(wheel.file_name().unwrap_or_default());
    fs::copy(&wheel, &kept)?;
    println!("{}", kept.display());
    Ok(())
}
