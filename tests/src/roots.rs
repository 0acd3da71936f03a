//! Root file systems to run in.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::Scratch;

/// The host's static busybox (Debian's package busybox-static).
pub fn busybox() -> &'static Path {
    let path = Path::new("/bin/busybox");
    assert!(path.exists(), "/bin/busybox is missing: install busybox-static");
    path
}

/// A small root of the test's own: busybox, its applets, and empty directories to mount on.
pub fn busybox_root(name: &str) -> Scratch {
    let root = Scratch::new(name);
    for directory in ["bin", "proc", "dev", "sys", "tmp", "etc", "root", "mnt", "usr", "var"] {
        root.directory(directory);
    }
    let copy = root.join("bin/busybox");
    // By a process of its own: a descriptor of ours that can write it would be in every process that another test
    // starts meanwhile, and to run it would be ETXTBSY as long as one has it.
    let copied = std::process::Command::new("/bin/cp").arg(busybox()).arg(&copy).status().expect("cp starts");
    assert!(copied.success(), "a copy of busybox");
    let list = std::process::Command::new(busybox()).arg("--list").output().expect("busybox lists its applets");
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).expect("an applet");
    }
    root
}

/// The Debian root that `cargo xtask rootfs` makes: `SECLUDE_DEBIAN_ROOT`, or the workspace's.
pub fn debian_root() -> PathBuf {
    let path = std::env::var_os("SECLUDE_DEBIAN_ROOT")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/rootfs/debian"), PathBuf::from);
    let path = path.canonicalize().unwrap_or(path);
    assert!(path.join("usr/bin/dpkg").exists(), "{} is no Debian root: cargo xtask rootfs", path.display());
    path
}
