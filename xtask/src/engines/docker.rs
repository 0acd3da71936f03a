//! Docker Engine: a daemon of our own, with our runtime as its default.

use std::process::{Child, Stdio};

use anyhow::Result;
use serde_json::json;

use super::Engine;
use super::place::Place;

pub(super) struct Docker {
    name: String,
    words: String,
    daemon: Child,
}

pub(super) fn start(place: &Place) -> Result<Docker> {
    let path = place.path().display();
    let wrapper = place.wrapper().display().to_string();
    let settings = json!({
        "runtimes": { "seclude": { "path": wrapper }, "none": { "path": format!("{wrapper}-none") } },
        "default-runtime": "seclude",
        "default-ulimits": { "nofile": { "Name": "nofile", "Hard": 20000, "Soft": 20000 } },
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": format!("/{}", super::CGROUP),
    });
    std::fs::write(place.path().join("daemon.json"), settings.to_string())?;
    let log = std::fs::File::create(place.path().join("dockerd.log"))?;
    let words = format!("docker -H unix://{path}/sock");
    let mut command = place.command("dockerd");
    command.args([
        "--config-file".to_owned(),
        format!("{path}/daemon.json"),
        "--data-root".to_owned(),
        format!("{path}/data"),
        "--exec-root".to_owned(),
        format!("{path}/exec"),
        "-p".to_owned(),
        format!("{path}/pid"),
        "-H".to_owned(),
        format!("unix://{path}/sock"),
    ]);
    let daemon = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    let mut docker = Docker { name: String::new(), words, daemon };
    place.soon(&format!("{} version", docker.words), &[])?;
    let version = place.must(&format!("{} version --format '{{{{.Server.Version}}}}'", docker.words), &[])?;
    docker.name = format!("Docker {}", version.trim());
    place.must(&format!("{} import {} bb:1", docker.words, place.image().display()), &[])?;
    Ok(docker)
}

impl Drop for Docker {
    fn drop(&mut self) {
        // It ends its containers and its containerd on this one.
        let _ = std::process::Command::new("kill").arg(self.daemon.id().to_string()).status();
        let _ = self.daemon.wait();
    }
}

impl Engine for Docker {
    fn name(&self) -> &str {
        &self.name
    }

    fn words(&self) -> String {
        self.words.clone()
    }

    fn flags(&self) -> String {
        String::new()
    }

    fn without_runtime(&self) -> String {
        format!("{} run --runtime none", self.words)
    }
}
