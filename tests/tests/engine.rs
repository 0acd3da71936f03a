//! Inside a container of an engine, where CI runners and development containers live: Podman's as it comes, with more
//! rights, and with the filter of Docker.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use seclude_tests::{Host, Scratch, debian_root, is_root, seclude_bin};
use serde_json::{Value, json};

/// Each looks whether it left the host as it was.
static ALONE: Mutex<()> = Mutex::new(());

/// Its state and its cgroups are this test's own and go with it: /run is only a copy, of which the engine alone knows.
const SCRIPT: &str = r#"
mount -t tmpfs none /run && mount -t tmpfs none /etc/cni/net.d 2>/dev/null
own=$1 name=$2; shift 2
podman --root "$own/root" --runroot "$own/run" --cgroup-manager cgroupfs --events-backend none --runtime runc \
    run --rm --network none --cgroup-parent "/$name" --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 "$@"
status=$?
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    if [ -d "$hierarchy/$name" ]; then find "$hierarchy/$name" -depth -type d -exec rmdir {} \; ; fi
done
exit $status
"#;

/// Podman's own profile, which lists what is allowed.
const PROFILE: &str = "/usr/share/containers/seccomp.json";

/// What that allows, and Docker's default profile to nobody, or only to whoever has CAP_SYS_ADMIN, by Docker's list of
/// significant system calls that it blocks.
const REFUSED_BY_DOCKER: [&str; 22] = [
    "add_key",
    "clone",
    "clone3",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "keyctl",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "umount",
    "umount2",
    "unshare",
];

/// Docker's default profile: everything else is EPERM, clone3(2) is as if it were not there, and clone(2) makes no
/// namespaces.
fn docker_profile() -> String {
    let text = std::fs::read_to_string(PROFILE).expect("Podman has it");
    let mut profile: Value = serde_json::from_str(&text).expect("JSON");
    profile["defaultErrnoRet"] = json!(1);
    profile["defaultErrno"] = json!("EPERM");
    let rules = profile["syscalls"].as_array_mut().expect("rules");
    for rule in rules.iter_mut().filter(|rule| rule["action"] == "SCMP_ACT_ALLOW") {
        let is_for_all = rule["includes"].as_object().is_none_or(|only_for| only_for.is_empty());
        let names = rule["names"].as_array_mut().expect("names");
        names.retain(|name| !is_for_all || !REFUSED_BY_DOCKER.iter().any(|refused| name == refused));
    }
    rules.retain(|rule| rule["names"].as_array().is_some_and(|names| !names.is_empty()));
    let namespaces = 0x7e02_0000_u32;
    rules.extend([
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}),
        json!({"names": ["clone"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": namespaces, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}),
    ]);
    profile.to_string()
}

/// How seclude ends with these arguments in a container that was started with these flags; `None` without an engine.
fn in_a_container(flags: &[&str], arguments: &[&str]) -> Option<Output> {
    let has =
        |program: &str| Path::new("/usr/bin").join(program).exists() || Path::new("/usr/sbin").join(program).exists();
    if !is_root() || !has("podman") || !has("runc") || !Path::new(PROFILE).exists() {
        eprintln!("skipped: it takes root, podman with its profile, and runc");
        return None;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::look();
    let own = Scratch::new("engine");
    let name = own.path().file_name().and_then(|name| name.to_str()).expect("UTF-8");
    let profile = own.file("docker.json", &docker_profile());
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", SCRIPT, "sh", own.path().to_str().expect("UTF-8"), name])
        .args(flags.iter().map(|flag| flag.replace("DOCKER", profile.to_str().expect("UTF-8"))))
        .args(["-v", &format!("{}:/seclude:ro", seclude_bin().display())])
        .args(["--rootfs", &format!("{}:O", debian_root().display()), "/seclude"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("unshare is there");
    drop(own);
    host.assert_back("engine");
    Some(output)
}

fn works(flags: &[&str], arguments: &[&str]) {
    let Some(output) = in_a_container(flags, arguments) else { return };
    assert!(output.status.success(), "{flags:?}: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "{flags:?}");
}

fn complains(flags: &[&str], arguments: &[&str], words: &[&str]) {
    let Some(output) = in_a_container(flags, arguments) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{flags:?}: {output:?}");
    for word in words {
        assert!(said.contains(word), "{flags:?}: no {word:?} in {said}");
    }
}

const RUN: [&str; 3] = ["run", "id", "-u"];

#[test]
fn the_masked_proc_of_an_engine_is_told_and_both_remedies_work() {
    complains(
        &[],
        &RUN,
        &["proc", "EPERM", "fsmount", "/proc/", "systempaths=unconfined", "--share pid", "--bind /proc"],
    );
    works(&["--security-opt", "unmask=ALL"], &RUN);
    works(&[], &["run", "--share", "pid", "--bind", "/proc", "id", "-u"]);
}

#[test]
fn a_privileged_container_takes_another_one_inside() {
    works(&["--privileged"], &RUN);
}

#[test]
fn the_filter_of_docker_is_told_with_what_to_give_the_outer_container() {
    let filter = ["--security-opt", "seccomp=DOCKER", "--security-opt", "unmask=ALL"];
    complains(&filter, &RUN, &["clone", "EPERM", "seccomp filter", "seccomp=unconfined"]);
    let Some(output) = in_a_container(&filter, &["doctor"]) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("as root: the sandbox does not work"), "{said}");
}
