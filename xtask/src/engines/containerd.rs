//! containerd, by ctr.

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::json;

use super::Engine;
use super::place::Place;
use crate::workspace::{read, run};

pub(super) struct Containerd {
    name: String,
    words: String,
    wrapper: String,
    daemon: Child,
}

pub(super) fn start(place: &Place) -> Result<Containerd> {
    let path = place.path().display();
    let config = format!(
        "version = 2\nroot = \"{path}/root\"\nstate = \"{path}/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{path}/sock\"\n"
    );
    fs::write(place.path().join("config.toml"), config)?;
    let log = fs::File::create(place.path().join("containerd.log"))?;
    let mut command = place.command("containerd");
    command.arg("--config").arg(place.path().join("config.toml"));
    let daemon = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    let words = format!("ctr -a {path}/sock");
    let wrapper = place.wrapper().display().to_string();
    let mut containerd = Containerd { name: String::new(), words, wrapper, daemon };
    place.soon(&format!("{} version", containerd.words), &[])?;
    let version = place.must("containerd --version", &[])?;
    containerd.name = format!("containerd {}", version.split(' ').nth(2).unwrap_or_default());
    make_archive(place)?;
    place.must(&format!("{} image import {path}/archive.tar", containerd.words), &[])?;
    Ok(containerd)
}

/// The image as `docker save` has it: there is no command that makes one of a tree.
fn make_archive(place: &Place) -> Result<()> {
    let layers = place.path().join("archive");
    fs::create_dir(&layers)?;
    fs::copy(place.image(), layers.join("layer.tar"))?;
    let sum = read(Command::new("sha256sum").arg(place.image()))?;
    let sum = sum.split(' ').next().context("a sum")?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{sum}")] },
    });
    fs::write(layers.join("config.json"), config.to_string())?;
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": ["docker.io/library/bb:1"], "Layers": ["layer.tar"] }]);
    fs::write(layers.join("manifest.json"), manifest.to_string())?;
    run(Command::new("tar").arg("-C").arg(&layers).arg("-cf").arg(place.path().join("archive.tar")).arg("."))
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let _ = self.daemon.wait();
    }
}

impl Engine for Containerd {
    fn name(&self) -> &str {
        &self.name
    }

    fn words(&self) -> String {
        self.words.clone()
    }

    fn flags(&self) -> String {
        format!(
            "--runc-binary {} --snapshotter native --cgroup /{}/one docker.io/library/bb:1",
            self.wrapper,
            super::CGROUP
        )
    }

    fn without_runtime(&self) -> String {
        format!("{} run --runc-binary {}-none", self.words, self.wrapper)
    }
}
