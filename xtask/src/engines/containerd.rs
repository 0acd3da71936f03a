//! containerd, by ctr.

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::Result;

use super::Engine;
use super::image;
use super::place::Place;

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
    image::archive(&place.path().join("tree"), "docker.io/library/bb:1", &[], &place.path().join("archive.tar"))?;
    place.must(&format!("{} image import {path}/archive.tar", containerd.words), &[])?;
    Ok(containerd)
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
