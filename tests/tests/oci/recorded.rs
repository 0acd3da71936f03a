//! Configurations that engines wrote, with the paths of this test.

use std::fs;
use std::path::PathBuf;

use seclude_tests::{Bundle, root_only};
use serde_json::{Value, json};

/// Where the test runs, the sources need not be.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../oci/recorded/", $name)))),*];
    };
}

files!(
    "podman-config.json",
    "docker-config-555.json",
    "docker-config-703.json",
    "docker-config-757.json",
    "kubernetes-config.json",
    "kubernetes-pause-config.json",
    "podman-exec-process.json",
    "docker-exec-process.json",
    "kubernetes-exec-process.json",
);

fn recorded(name: &str) -> Value {
    let (_, text) = FILES.iter().find(|(own, _)| *own == name).unwrap();
    serde_json::from_str(text).unwrap()
}

/// Whatever it names of an engine's is a file of the test's; nothing else of it is changed but where its cgroup is and what it runs.
fn adapted(bundle: &Bundle, name: &str, script: &str) -> Value {
    let mut config = recorded(name);
    let place = |index: usize, target: &str| -> PathBuf {
        let path = bundle.join(&format!("source-{index}"));
        let is_directory = target == "/dev/shm";
        if is_directory {
            fs::create_dir_all(&path).unwrap();
        } else if target == "/sbin/docker-init" {
            // It executes what follows.
            fs::write(&path, "#!/bin/sh\nshift\nexec \"$@\"\n").unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        } else {
            fs::write(&path, format!("of {target}\n")).unwrap();
        }
        path
    };
    config["root"]["path"] = json!(bundle.rootfs.path());
    for (index, mount) in config["mounts"].as_array_mut().unwrap().iter_mut().enumerate() {
        if mount["type"] == "bind" {
            let target = mount["destination"].as_str().unwrap().to_owned();
            mount["source"] = json!(place(index, &target));
        }
    }
    config["linux"]["cgroupsPath"] = bundle.config["linux"]["cgroupsPath"].clone();
    for namespace in config["linux"]["namespaces"].as_array_mut().unwrap() {
        if let Some(path) = namespace.get_mut("path") {
            let kind = path.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let kind = if kind.starts_with("cni-") { "net".to_owned() } else { kind };
            *path = json!(format!("/proc/self/ns/{kind}"));
        }
    }
    // A parameter of a network that is the host's own here.
    let shares_net = config["linux"]["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .any(|n| n["type"] == "network" && !n["path"].is_null());
    if shares_net {
        config["linux"].as_object_mut().unwrap().remove("sysctl");
    }
    config["process"]["terminal"] = json!(false);
    let init = config["process"]["args"][0] == "/sbin/docker-init";
    let words = if init { vec!["/sbin/docker-init", "--", "sh", "-c", script] } else { vec!["/bin/sh", "-c", script] };
    config["process"]["args"] = json!(words);
    if config["process"]["env"].is_null() {
        config["process"]["env"] = json!(["PATH=/bin"]);
    }
    config
}

#[test]
fn every_recorded_configuration_runs_and_is_what_it_says() {
    root_only!();
    for (name, _) in FILES.iter().filter(|(name, _)| name.contains("config")) {
        let mut bundle = Bundle::new("recorded");
        let script =
            "while ! test -e /dev/shm/end; do sleep 0.05; done; grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status";
        bundle.config = adapted(&bundle, name, script);
        bundle.write();
        let output = bundle.oci(&["run", "--detach", "one"]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(bundle.status("one"), "running", "{name}");
        let process = if name.starts_with("podman") {
            "podman"
        } else if name.starts_with("docker") {
            "docker"
        } else {
            "kubernetes"
        };
        let mut process = recorded(&format!("{process}-exec-process.json"));
        process["args"] = json!(["/bin/sh", "-c", "id -u; cat /etc/hosts; hostname; grep -c . /proc/self/mountinfo"]);
        process["env"] = json!(["PATH=/bin"]);
        let file = bundle.join("process.json");
        fs::write(&file, process.to_string()).unwrap();
        let said = bundle.oci(&["exec", "--process", file.to_str().unwrap(), "one"]);
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(text.starts_with("0\n"), "{name}: {text}{}", String::from_utf8_lossy(&said.stderr));
        if let Some(host) = bundle.config["hostname"].as_str() {
            assert!(text.contains(host), "{name}: {text}");
        }
        bundle.must(&["delete", "--force", "one"]);
        bundle.nothing_is_left();
    }
}
