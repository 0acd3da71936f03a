//! What the tests of seclude share: small roots, contrast, snapshots of what could leak.
#![forbid(unsafe_code)]

mod bus;
mod cgroups;
mod cli;
mod doors;
mod filter;
mod helper;
mod network;
mod oci;
mod places;
mod roots;
mod scratch;
mod snapshot;

use std::path::PathBuf;
use std::process::Output as ProcessOutput;

use seclude::{CloneWay, Command, Mount, Namespace, Overlay};

pub use bus::Bus;
pub use cgroups::{Cgroups, ExistingCgroup, cgroup_mounts, make_cgroup, on_v2};
pub use cli::{
    Background, Detached, inside, outside, python, refusal, refused, seclude_command, try_inside, try_outside,
};
pub use doors::{Case, Outcome, by_command, by_library, by_program, cases, door_files};
pub use filter::{call, filtered, run_again_without_mount_setattr};
pub use helper::{
    PATIENCE, ends_within, helper, helper_inside, pidfd, role, status_field, tell, told, told_inside, told_line,
    until_held,
};
pub use network::{host, try_host};
pub use oci::{Bundle, oci_bin};
pub use places::{PASSED_BY, comes_back, kill_whenever, marked, one_in, place};
pub use roots::{busybox, busybox_root, debian_root};
pub use scratch::Scratch;
pub use snapshot::{Host, OwnProcess};

/// Whether the tests run as root; they are run as an ordinary user too.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns from a test that means nothing without root, saying so.
#[macro_export]
macro_rules! root_only {
    () => {
        if !$crate::is_root() {
            eprintln!("skipped: needs root");
            return;
        }
    };
}

/// Returns from a test that means nothing for root, saying so.
#[macro_export]
macro_rules! ordinary_user_only {
    () => {
        if $crate::is_root() {
            eprintln!("skipped: needs an ordinary user");
            return;
        }
    };
}

/// The `seclude` command: `SECLUDE_BIN`, or the one beside the test's own build.
pub fn seclude_bin() -> PathBuf {
    if let Some(path) = std::env::var_os("SECLUDE_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("a test knows its own path");
    let bin = own.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps").join("seclude");
    assert!(bin.exists(), "{} is missing: cargo build -p seclude-cli", bin.display());
    bin
}

/// Runs `seclude` with these arguments and an empty stdin.
pub fn seclude(arguments: &[&str]) -> ProcessOutput {
    std::process::Command::new(seclude_bin())
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the seclude command starts")
}

/// What a command wrote to stdout, without the last newline; it must have succeeded.
pub fn stdout_of(output: &ProcessOutput) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// What a contained command wrote to stdout, without the last newline; it must have succeeded.
pub fn said(output: &seclude::Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.exit.success(), "{}: {stderr}", output.exit);
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A shell script to run in a container.
pub fn shell(script: &str) -> seclude::Command {
    let mut command = seclude::Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

/// Whether this kernel has what is asked for: a time namespace cannot be had with shared memory before Linux 6.3.
pub fn has_time_with(way: CloneWay) -> bool {
    let plan = Command::new("/bin/true").unshare(Namespace::Time).clone_way(way).plan();
    if let Err(error) = &plan {
        assert!(error.to_string().contains("before Linux 6.3"), "{error}");
        println!("skipped: {error}");
    }
    plan.is_ok()
}

/// Whether overlays can be mounted in a user namespace: before Linux 5.11 they cannot.
pub fn has_overlays() -> bool {
    let mut command = Command::new("/bin/true");
    command.unshare(Namespace::User).unshare(Namespace::Mount);
    command.mount(Mount::overlay(Overlay::new(["/usr/share", "/usr/lib"]), "/mnt"));
    let lack =
        command.spawn().and_then(|mut child| child.wait()).err().filter(|error| error.to_string().contains("5.11"));
    if let Some(error) = &lack {
        println!("skipped: {error}");
    }
    lack.is_none()
}

/// Whether the kernel has what `--no-namespaces` takes: landlock, with the scopes of Linux 6.12.
pub fn has_landlock_scopes() -> bool {
    let output = seclude(&["run", "--no-namespaces", "true"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let lacks = !output.status.success() && said.contains("landlock's ABI");
    if lacks {
        println!("skipped: {}", said.trim());
    }
    !lacks
}

/// Whether the kernel is of this version, or a newer one.
pub fn kernel_is_at_least(wanted: (u32, u32)) -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0u32));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= wanted
}

/// What `--rw` takes besides: before Linux 5.12 a root caller's container cannot be shown files under its own ids, to write them.
pub fn to_write() -> &'static [&'static str] {
    if is_root() && !kernel_is_at_least((5, 12)) { &["--host-root"] } else { &[] }
}
