//! Inside a container of an engine, where CI runners and development containers live: Podman's as it comes, with more
//! rights, and with the filter of Docker.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use seclude_tests::{Host, Scratch, debian_root, is_root, seclude_bin};

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

/// Calls that Docker's default profile allows only to whoever has CAP_SYS_ADMIN.
const REFUSED_BY_DOCKER: &str = r#""fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount",
    "open_tree", "setdomainname", "sethostname", "setns", "umount", "umount2", "unshare""#;

/// As much of that profile as matters here: clone(2) by its flags, clone3(2) as if it were not there.
fn docker_profile() -> String {
    let namespaces = [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000_u32];
    let clone = namespaces.map(|flag| {
        format!(
            r#"{{"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                "args": [{{"index": 0, "value": {flag}, "valueTwo": {flag}, "op": "SCMP_CMP_MASKED_EQ"}}]}}"#
        )
    });
    format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}},
            {{"names": [{REFUSED_BY_DOCKER}], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}}, {}]}}"#,
        clone.join(", ")
    )
}

/// How seclude ends with these arguments in a container that was started with these flags; `None` without an engine.
fn in_a_container(flags: &[&str], arguments: &[&str]) -> Option<Output> {
    let has =
        |program: &str| Path::new("/usr/bin").join(program).exists() || Path::new("/usr/sbin").join(program).exists();
    if !is_root() || !has("podman") || !has("runc") {
        eprintln!("skipped: it takes root, podman and runc");
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
    assert_eq!(Host::look(), host);
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
