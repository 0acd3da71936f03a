//! `cargo xtask rootless`: the tests again, as an ordinary user.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::architecture::OWN;
use crate::binaries::{build_tests, chosen};
use crate::ordinary_user::{OrdinaryUser, Reachable, USER};
use crate::workspace::{cargo, run, target};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The tests of this file, such as limits or seclude-cgroup.limits; may be repeated
    #[arg(long, value_name = "NAME")]
    test: Vec<String>,
}

pub(crate) fn run_tests(options: &Options) -> Result<()> {
    let user = OrdinaryUser::new()?;
    run(cargo().args(["build", "--quiet", "--locked", "-p", "seclude-cli", "-p", "seclude-oci"]))?;
    let binaries = build_tests(OWN)?;
    let seclude = user.copy(&target().join("debug/seclude"))?;
    let oci = user.copy(&target().join("debug/seclude-oci"))?;
    let debian = target().join("rootfs/debian");
    ensure!(debian.join("usr/bin/dpkg").exists(), "{} is missing: cargo xtask rootfs", debian.display());
    let debian = Reachable::new(debian, "usr")?;
    let mut failed = BTreeSet::new();
    for binary in chosen(&binaries, &options.test)? {
        let name = binary.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("\nas {USER}: {name}");
        let mut test = user.command(user.copy(&binary.path)?);
        test.env("SECLUDE_BIN", &seclude).env("SECLUDE_OCI_BIN", &oci).env("SECLUDE_DEBIAN_ROOT", debian.path());
        if run(&mut test).is_err() {
            failed.insert(name);
        }
    }
    ensure!(failed.is_empty(), "as an ordinary user these failed: {failed:?}");
    Ok(())
}
