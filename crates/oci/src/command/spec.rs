//! `spec`: a config.json to begin with.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::bundle::write_whole;
use crate::failure::{Failure, Result};

pub(super) fn run(bundle: Option<&Path>, rootless: bool) -> Result<()> {
    let file = bundle.unwrap_or(Path::new(".")).join("config.json");
    if file.symlink_metadata().is_ok() {
        return Err(Failure::new(format!("{} is there already", file.display())));
    }
    let mut text =
        serde_json::to_string_pretty(&document(rootless)).map_err(|error| Failure::new(error.to_string()))?;
    text.push('\n');
    write_whole(&file, text.as_bytes(), 0o644).map_err(|error| Failure::of(file.display(), error))
}

fn document(rootless: bool) -> Json {
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    let strict = ["nosuid", "noexec", "nodev"];
    let mount = |destination: &str, kind: &str, source: &str, options: Json| json!({ "destination": destination, "type": kind, "source": source, "options": options });
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if !rootless {
        pts.push("gid=5");
    }
    let sys = match rootless {
        true => mount("/sys", "none", "/sys", json!(["rbind", "nosuid", "noexec", "nodev", "ro"])),
        false => mount("/sys", "sysfs", "sysfs", json!(["nosuid", "noexec", "nodev", "ro"])),
    };
    let mut mounts = vec![
        mount("/proc", "proc", "proc", json!(strict)),
        mount("/dev", "tmpfs", "tmpfs", json!(["nosuid", "strictatime", "mode=755", "size=65536k"])),
        mount("/dev/pts", "devpts", "devpts", json!(pts)),
        mount("/dev/shm", "tmpfs", "shm", json!(["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"])),
        mount("/dev/mqueue", "mqueue", "mqueue", json!(strict)),
        sys,
    ];
    let mut namespaces = vec!["pid", "ipc", "uts", "mount"];
    // As others have it: in hierarchies of v1 programs look for themselves by their whole path.
    if seclude::cgroup::Hierarchies::discover().is_ok_and(|hierarchies| hierarchies.v1().is_empty()) {
        namespaces.push("cgroup");
    }
    let mut linux = json!({
        "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
            "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/sys/devices/virtual/powercap", "/proc/scsi",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    });
    if rootless {
        namespaces.push("user");
        let map = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
        linux["uidMappings"] = map(rustix::process::geteuid().as_raw());
        linux["gidMappings"] = map(rustix::process::getegid().as_raw());
    } else {
        namespaces.push("network");
        linux["resources"] = json!({ "devices": [{ "allow": false, "access": "rwm" }] });
        mounts.push(mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            json!(["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ));
    }
    linux["namespaces"] = namespaces.iter().map(|kind| json!({ "type": kind })).collect();
    json!({
        "ociVersion": "1.3.0",
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "seclude",
        "mounts": mounts,
        "linux": linux,
    })
}
