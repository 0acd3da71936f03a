//! The image that containers are of: one busybox, as a tree, as its tar, and as `docker save` has images.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::workspace::{read, run};

/// `tree` and `image.tar` in a directory.
pub(super) fn make(directory: &Path) -> Result<()> {
    let tree = directory.join("tree");
    for name in ["bin", "etc", "tmp", "root"] {
        fs::create_dir_all(tree.join(name))?;
    }
    fs::copy("/bin/busybox", tree.join("bin/busybox")).context("/bin/busybox: install busybox-static")?;
    for applet in read(Command::new("/bin/busybox").arg("--list"))?.lines().filter(|name| *name != "busybox") {
        symlink("busybox", tree.join("bin").join(applet))?;
    }
    fs::write(tree.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n")?;
    fs::write(tree.join("etc/group"), "root:x:0:\n")?;
    run(Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(directory.join("image.tar")).arg("."))
}

/// An image of a tree as `docker save` has it, by this name and with this command: there is no tool that makes one of a tree for containerd.
pub(super) fn archive(tree: &Path, name: &str, command: &[&str], file: &Path) -> Result<()> {
    let layers = file.with_extension("layers");
    fs::create_dir(&layers)?;
    let layer = layers.join("layer.tar");
    run(Command::new("tar").arg("-C").arg(tree).arg("-cf").arg(&layer).arg("."))?;
    let sum = read(Command::new("sha256sum").arg(&layer))?;
    let sum = sum.split(' ').next().context("a sum")?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Env": ["PATH=/bin"], "Entrypoint": command },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{sum}")] },
    });
    fs::write(layers.join("config.json"), config.to_string())?;
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
    fs::write(layers.join("manifest.json"), manifest.to_string())?;
    run(Command::new("tar").arg("-C").arg(&layers).arg("-cf").arg(file).arg("."))?;
    Ok(fs::remove_dir_all(&layers)?)
}
