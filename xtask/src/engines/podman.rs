//! podman, as root, with the cgroups that it makes itself.

use anyhow::Result;

use super::Engine;
use super::place::Place;

pub(super) struct Podman {
    name: String,
    words: String,
    wrapper: String,
}

pub(super) fn start(place: &Place) -> Result<Podman> {
    let path = place.path().display();
    let conf = place.path().join("containers.conf");
    // A root that may not raise limits, as in a container, has none for podman's own.
    let text = "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=20000:20000\"]\n[engine]\nevents_logger = \"file\"\n";
    std::fs::write(&conf, text)?;
    let words = format!(
        "env CONTAINERS_CONF={} podman --root {path}/root --runroot {path}/runroot --tmpdir {path}/tmp --cgroup-manager=cgroupfs",
        conf.display()
    );
    let wrapper = place.wrapper().display().to_string();
    let version = place.must("podman --version", &[])?;
    let podman = Podman { name: version.trim().replace(" version", ""), words, wrapper };
    place.must(&format!("{} import {} docker.io/library/bb:1", podman.words(), place.image().display()), &[])?;
    Ok(podman)
}

impl Engine for Podman {
    fn name(&self) -> &str {
        &self.name
    }

    fn words(&self) -> String {
        format!("{} --runtime {}", self.words, self.wrapper)
    }

    fn flags(&self) -> String {
        format!("--cgroup-parent /{}", super::CGROUP)
    }

    fn without_runtime(&self) -> String {
        format!("{} --runtime {}-none run", self.words, self.wrapper)
    }
}
