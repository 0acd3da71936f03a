use std::fs;
use std::os::unix::net::UnixListener;

use seclude_tests::{Bundle, is_root, root_only};
use serde_json::{Value, json};

/// The one line with which a configuration with this changed is refused; nothing may be left.
fn refused_with(name: &str, pointer: &str, value: Value) -> String {
    let mut bundle = Bundle::new(name);
    bundle.set(pointer, value).write();
    let said = bundle.refused(&["create", "one"]);
    bundle.nothing_is_left();
    said
}

#[test]
fn what_is_not_done_is_refused_by_its_name() {
    for (pointer, value, field) in [
        ("/linux/intelRdt", json!({ "closID": "a" }), "linux.intelRdt"),
        ("/linux/netDevices", json!({ "eth9": {} }), "linux.netDevices"),
        ("/process/execCPUAffinity", json!({ "initial": "x" }), "process.execCPUAffinity.initial"),
        ("/process/execCPUAffinity", json!({ "final": "3-1" }), "process.execCPUAffinity.final"),
        ("/windows", json!({ "layerFolders": [] , "a": 1}), "windows"),
        ("/vm", json!({ "kernel": { "path": "/a" } }), "vm"),
        (
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "a" }),
            "linux.seccomp.listenerMetadata",
        ),
        (
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "a" }),
            "linux.seccomp.listenerPath",
        ),
        (
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }] }),
            "linux.seccomp",
        ),
    ] {
        let said = refused_with("undone", pointer, value);
        assert!(said.starts_with(&format!("seclude-oci: error: {field}: ")), "{said}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_by_its_name() {
    for (pointer, value, field) in [
        ("/ociVersion", json!("2.0.0"), "ociVersion"),
        ("/ociVersion", json!("new"), "ociVersion"),
        ("/ociVersion", json!(""), "ociVersion"),
        ("/root/path", json!("not-there"), "root.path"),
        ("/root/path", json!("config.json"), "root.path"),
        ("/process/args", json!([]), "process.args"),
        ("/process/cwd", json!("here"), "process.cwd"),
        ("/process/env", json!(["NOTHING"]), "process.env[0]"),
        ("/process/env", json!(["A=a", "B=b\0c"]), "process.env: "),
        ("/process/args", json!(["true", "a\0b"]), "process.args: "),
        ("/process/rlimits", json!([{ "type": "RLIMIT_A", "soft": 1, "hard": 1 }]), "process.rlimits[0].type"),
        ("/linux/personality", json!({ "domain": "BSD" }), "linux.personality.domain"),
        ("/linux/memoryPolicy", json!({ "mode": "MPOL_BIND", "nodes": "3-1" }), "linux.memoryPolicy.nodes"),
        ("/linux/memoryPolicy", json!({ "mode": "MPOL_BIND", "nodes": "1000" }), "linux.memoryPolicy"),
        ("/process/scheduler", json!({ "policy": "SCHED_MINE" }), "process.scheduler.policy"),
        ("/process/scheduler", json!({ "policy": "SCHED_FIFO", "priority": 1000 }), "process.scheduler"),
        ("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 9 }), "process.ioPriority.priority"),
        ("/process/oomScoreAdj", json!(2000), "process.oomScoreAdj"),
        ("/linux/namespaces", json!([{ "type": "user" }]), "linux.namespaces"),
        ("/linux/sysctl", json!({ "kernel.hostname": "other" }), "linux.sysctl.kernel.hostname"),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "mount" }]), "linux.namespaces[1]"),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "net" }]), "linux.namespaces[1].type: "),
        ("/process/user/uid", json!("root"), "process.user.uid: "),
        ("/linux/resources", json!({ "pids": { "limit": "many" } }), "linux.resources.pids.limit: "),
        ("/linux/rootfsPropagation", json!("most"), "linux.rootfsPropagation"),
        ("/linux/sysctl", json!({ "kernel.panic": "1" }), "linux.sysctl"),
        ("/linux/devices", json!([{ "path": "/dev/x", "type": "z", "major": 1, "minor": 3 }]), "linux.devices[0]"),
        ("/mounts", json!([{ "type": "tmpfs" }]), "mounts[0].destination"),
        ("/mounts", json!([{ "destination": "/../../etc", "type": "tmpfs" }]), "mounts[0]"),
        ("/mounts", json!([{ "destination": "/mnt", "type": "bind", "source": "not-there" }]), "mounts[0]"),
        ("/mounts", json!([{ "destination": "/mnt", "type": "nonesuch", "source": "a" }]), "mounts[0]"),
        ("/mounts", json!([{ "destination": "/mnt", "type": "tmpfs", "options": ["nonsense"] }]), "mounts[0]"),
        (
            "/mounts",
            json!([{ "destination": "/mnt", "source": "/", "options": ["bind", "nonsense"] }]),
            "mounts[0].options",
        ),
        ("/mounts", json!([{ "destination": "/", "type": "tmpfs" }]), "mounts[0]"),
        ("/hooks", json!({ "createRuntime": [{ "path": "relative" }] }), "hooks.createRuntime[0].path: "),
        // Of moments that may never come, or come late, as well.
        ("/hooks", json!({ "poststop": [{ "path": "/bin/true" }, { "path": "" }] }), "hooks.poststop[1].path: "),
        ("/hooks", json!({ "poststart": [{ "path": "/bin/true", "timeout": 0 }] }), "hooks.poststart[0].timeout: "),
        (
            "/hooks",
            json!({ "startContainer": [{ "path": "/a", "env": ["A=b", "C"] }] }),
            "hooks.startContainer[0].env[1]: ",
        ),
        ("/hooks", json!({ "createRuntime": [{ "path": "/bin/false" }] }), ""),
    ] {
        let said = refused_with("meant", pointer, value.clone());
        assert!(said.starts_with(&format!("seclude-oci: error: {field}")), "{pointer} {value}: {said}");
    }
}

#[test]
fn a_profile_or_label_of_a_module_that_is_not_there_is_refused() {
    let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    for (field, module) in [("apparmorProfile", "apparmor"), ("selinuxLabel", "selinux")] {
        if modules.contains(module) {
            continue;
        }
        let said = refused_with("module", &format!("/process/{field}"), json!("a-profile"));
        assert!(said.starts_with(&format!("seclude-oci: error: process.{field}: ")), "{said}");
    }
}

#[test]
fn a_bundle_that_is_none_is_refused() {
    let bundle = Bundle::new("none");
    assert!(bundle.refused(&["create", "one"]).contains("No such file or directory"));
    fs::write(bundle.join("config.json"), "{").unwrap();
    assert!(bundle.refused(&["create", "one"]).contains("config.json"));
    fs::write(bundle.join("config.json"), " ".repeat(50 << 20)).unwrap();
    assert!(bundle.refused(&["create", "one"]).contains("more than"));
    fs::remove_file(bundle.join("config.json")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(bundle.join("config.json")).status().unwrap();
    assert!(made.success());
    bundle.refused(&["create", "one"]);
    assert!(bundle.refused(&["create", "--bundle", "/not/there", "one"]).contains("/not/there"));
    bundle.nothing_is_left();
}

#[test]
fn fields_that_nobody_knows_are_told_and_passed_over() {
    let mut bundle = Bundle::new("unknown");
    bundle.set("/somethingNew", json!({ "a": 1 })).set("/linux/newer", json!("b")).script("echo ran");
    bundle.write();
    let output = bundle.oci(&["--debug", "run", "one"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("linux.newer: ") && said.contains("somethingNew: "), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ran\n");
    bundle.nothing_is_left();
}

#[test]
fn an_id_that_leads_elsewhere_or_is_too_long_is_refused() {
    let bundle = Bundle::new("ids");
    bundle.write();
    let long = "x".repeat(2000);
    for id in ["a/b", "..", ".", "", "a b", "../../etc", &long] {
        for command in ["create", "start", "state", "delete", "kill", "pause"] {
            let said = bundle.refused(&[command, id]);
            assert!(said.len() < 300 && said.contains("container id"), "{command} {id}: {said}");
        }
    }
    bundle.nothing_is_left();
}

#[test]
fn a_cgroup_that_leads_elsewhere_is_refused() {
    root_only!();
    for path in ["/../outside", "a/../../b", "/a/.."] {
        let said = refused_with("cgroup", "/linux/cgroupsPath", json!(path));
        assert!(said.starts_with("seclude-oci: error: linux.cgroupsPath: "), "{said}");
    }
    let said = refused_with("cgroup", "/linux/cgroupsPath", json!("system.slice:a:b"));
    assert!(said.contains("--systemd-cgroup"), "{said}");
}

#[test]
fn a_symlink_of_the_image_leads_no_mount_out_of_it() {
    let mut bundle = Bundle::new("symlink");
    let outside = bundle.join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, bundle.rootfs.join("leads")).unwrap();
    bundle.mount(json!({ "destination": "/leads/made", "type": "tmpfs", "source": "tmpfs" }));
    bundle.set("/process/cwd", json!("/leads/deeper")).script("pwd").write();
    bundle.oci(&["run", "one"]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing is made outside");
    bundle.nothing_is_left();
}

#[test]
fn a_pid_file_or_console_that_nobody_has_is_refused_before_anything_is_made() {
    let mut bundle = Bundle::new("files");
    bundle.write();
    assert!(bundle.refused(&["create", "--pid-file", "/not/there/pid", "one"]).contains("--pid-file"));
    assert!(bundle.refused(&["create", "--console-socket", "/not/there", "one"]).contains("process.terminal"));
    bundle.set("/process/terminal", json!(true)).write();
    assert!(bundle.refused(&["create", "one"]).contains("process.terminal"));
    assert!(bundle.refused(&["create", "--console-socket", "/not/there/s", "one"]).contains("--console-socket"));
    let path = bundle.join("console");
    drop(UnixListener::bind(&path).unwrap());
    let said = bundle.refused(&["create", "--console-socket", path.to_str().unwrap(), "one"]);
    assert!(said.contains("Connection refused"), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn a_root_that_cannot_be_had_is_refused() {
    let bundle = Bundle::new("root");
    bundle.write();
    let file = bundle.join("file");
    fs::write(&file, "").unwrap();
    let said = bundle.refused(&["--root", file.join("below").to_str().unwrap(), "create", "one"]);
    assert!(said.contains("--root"), "{said}");
}

#[test]
fn a_list_is_not_taken_for_an_object() {
    let mut bundle = Bundle::new("lists");
    bundle.script("sleep 100");
    let good = bundle.config.clone();
    let rootfs = bundle.rootfs.path().to_str().unwrap().to_owned();
    let allow = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [["mkdir"]] });
    for (pointer, value, field) in [
        ("/process/user", json!([0, 0]), "process.user: "),
        ("/root", json!([rootfs, true]), "root: "),
        ("/linux/resources", json!([[], [64_000_000]]), "linux.resources: "),
        ("/linux/resources", json!({ "memory": [64_000_000] }), "linux.resources.memory: "),
        ("/mounts", json!([["/mnt", "tmpfs"]]), "mounts[0]: "),
        ("/linux/seccomp", json!(["SCMP_ACT_ALLOW"]), "linux.seccomp: "),
        ("/linux/seccomp", allow, "linux.seccomp: "),
    ] {
        bundle.config = good.clone();
        bundle.set(pointer, value).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.starts_with(&format!("seclude-oci: error: {field}")), "{pointer}: {said}");
    }
    fs::write(bundle.join("config.json"), "[]").unwrap();
    assert!(bundle.refused(&["create", "one"]).contains("config.json: invalid type: sequence"));
    // Nor by the files of other commands.
    bundle.config = good;
    bundle.write();
    bundle.must(&["run", "--detach", "one"]);
    let file = bundle.join("file.json");
    let path = file.to_str().unwrap();
    let process = |user: Value| json!({ "user": user, "args": ["true"], "env": ["PATH=/bin"], "cwd": "/" }).to_string();
    fs::write(&file, process(json!([0, 0]))).unwrap();
    let said = bundle.refused(&["exec", "--process", path, "one"]);
    assert!(said.contains("user: invalid type: sequence"), "{said}");
    fs::write(&file, process(json!({ "uid": 0, "gid": 0 }))).unwrap();
    bundle.must(&["exec", "--process", path, "one"]);
    // (A user's container has no cgroup to be changed.)
    for text in ["[]", r#"{"memory":[64000000]}"#].into_iter().filter(|_| is_root()) {
        fs::write(&file, text).unwrap();
        let said = bundle.refused(&["update", "-r", path, "one"]);
        assert!(said.contains("invalid type: sequence"), "{said}");
    }
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn what_a_configuration_says_to_a_terminal_is_shown_and_not_said() {
    let mut bundle = Bundle::new("escapes");
    let bad = "\u{1b}[31mno\u{7}\u{9b}\u{202e}\r\nseclude-oci: error: forged";
    let good = bundle.config.clone();
    let leads_astray = |said: &str| said.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
    let log = bundle.join("log");
    let cases = [
        ("/root/path", json!(bad)),
        ("/process/cwd", json!(bad)),
        ("/process/args", json!([bad])),
        ("/linux/sysctl", json!({ bad: "1" })),
        ("/linux/resources", json!({ "unified": { format!("cgroup.{bad}"): "1" } })),
        ("/mounts", json!([{ "destination": bad, "type": bad, "source": bad, "options": [bad] }])),
    ];
    for (pointer, value) in cases {
        bundle.config = good.clone();
        bundle.set(pointer, value).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.contains(r"\u{1b}[31mno\u{7}\u{9b}\u{202e}"), "{pointer}: {said:?}");
        assert!(!leads_astray(&said), "{pointer}: {said:?}");
        let said = bundle.refused(&["--log", log.to_str().unwrap(), "--log-format", "json", "create", "one"]);
        assert!(!leads_astray(&said) && !leads_astray(&fs::read_to_string(&log).unwrap()), "{pointer}: {said:?}");
    }
    // Nor by what is told and passed over, or a word of the command line.
    bundle.config = good;
    bundle.set("/linux/new", json!({ "a": { bad: 1 } })).set(&format!("/{}", bad.replace('/', "")), json!(1)).write();
    let told = bundle.oci(&["--debug", "run", "one"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        told.contains(r"\u{1b}[31mno") && !leads_astray(&told) && !told.contains("\nseclude-oci: error"),
        "{told:?}"
    );
    for arguments in [&["kill", "one", bad][..], &["state", bad], &["create", &format!("--{bad}"), "one"], &[bad]] {
        let said = bundle.refused(arguments);
        assert!(!leads_astray(&said), "{arguments:?}: {said:?}");
    }
    bundle.nothing_is_left();
}

#[test]
fn what_is_effective_and_not_permitted_is_refused_before_anything_is_made() {
    let mut bundle = Bundle::new("effective");
    let mark = bundle.join("mark");
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", format!("touch {}", mark.display())] });
    bundle.set("/hooks", json!({ "createRuntime": [hook] })).script("true");
    let sets = |effective: &[&str], permitted: &[&str]| json!({ "bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": effective, "permitted": permitted });
    bundle.set("/process/capabilities", sets(&["CAP_KILL", "CAP_CHOWN"], &["CAP_CHOWN"])).write();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.starts_with("seclude-oci: error: process.capabilities.effective: CAP_KILL "), "{said}");
    assert!(!mark.exists());
    // What no kernel has is told and passed over, and less may be effective than is permitted.
    bundle.set("/process/capabilities", sets(&["CAP_CHOWN", "CAP_NONE"], &["CAP_KILL", "CAP_CHOWN"])).write();
    bundle.must(&["run", "one"]);
    assert!(mark.exists());
    bundle.script("sleep 100").write();
    bundle.must(&["run", "--detach", "one"]);
    let file = bundle.join("process.json");
    let process = json!({ "args": ["true"], "cwd": "/", "user": {}, "capabilities": sets(&["CAP_KILL"], &[]) });
    fs::write(&file, process.to_string()).unwrap();
    let said = bundle.refused(&["exec", "--process", file.to_str().unwrap(), "one"]);
    assert!(said.starts_with("seclude-oci: error: process.capabilities.effective: CAP_KILL "), "{said}");
    bundle.must(&["exec", "--cap", "CAP_KILL", "one", "true"]);
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}
