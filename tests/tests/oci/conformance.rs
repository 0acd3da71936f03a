//! Sentences of the runtime specification with MUST that no other file here shows; docs/oci.md has the list.

use std::fs;

use seclude_tests::{Bundle, root_only, stdout_of};
use serde_json::{Value, json};

const FOREVER: &str = "while :; do sleep 0.1; done";

/// runtime.md, "State" and "Lifecycle".
#[test]
fn the_state_has_all_that_it_must_have_at_each_moment() {
    let mut bundle = Bundle::new("state");
    bundle.set("/annotations", json!({ "of.somebody": "" })).script(FOREVER).write();
    bundle.must(&["create", "one"]);
    let place = bundle.path().canonicalize().unwrap();
    for (command, status) in
        [(&["state", "one"][..], "created"), (&["start", "one"], "running"), (&["kill", "one", "9"], "stopped")]
    {
        bundle.must(command);
        bundle.becomes("one", status);
        let state = bundle.state("one");
        assert_eq!((&state["ociVersion"], &state["id"]), (&bundle.config["ociVersion"], &json!("one")));
        assert_eq!((&state["bundle"], &state["annotations"]), (&json!(place), &json!({ "of.somebody": "" })));
        assert_eq!(state["pid"].as_i64().unwrap() > 0, status != "stopped", "{state}");
    }
    bundle.must(&["delete", "one"]);
    assert!(bundle.refused(&["state", "one"]).contains("does not exist"));
    // What is deleted leaves its name to others.
    bundle.must(&["create", "one"]);
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

/// runtime.md, "Create": "Any changes made to the config.json file after this operation will not have any effect on the container".
#[test]
fn what_is_written_after_the_creation_has_no_effect() {
    let mut bundle = Bundle::new("changed");
    bundle.script("echo first > /tmp/said").write();
    bundle.must(&["create", "one"]);
    bundle.script("echo second > /tmp/said").set("/hooks", json!({ "poststart": [{ "path": "/bin/false" }] })).write();
    bundle.must(&["start", "one"]);
    bundle.becomes("one", "stopped");
    assert_eq!(fs::read_to_string(bundle.rootfs.join("tmp/said")).unwrap(), "first\n");
    fs::remove_file(bundle.join("config.json")).unwrap();
    bundle.must(&["delete", "one"]);
    bundle.nothing_is_left();
}

/// runtime.md, "Kill": "This operation MUST send the specified signal to the container process"; without one it is TERM.
#[test]
fn the_signal_that_is_said_arrives_whether_it_runs_or_waits() {
    let mut bundle = Bundle::new("signal");
    let traps = "for one in TERM HUP USR2; do trap \"echo $one > /tmp/got; exit\" $one; done";
    for (signal, expected) in [(&[][..], "TERM"), (&["HUP"], "HUP"), (&["SIGUSR2"], "USR2"), (&["12"], "USR2")] {
        bundle.script(&format!("{traps}; echo up > /tmp/got; {FOREVER}")).write();
        bundle.must(&["run", "--detach", "one"]);
        let got = bundle.rootfs.join("tmp/got");
        let began = std::time::Instant::now();
        while fs::read_to_string(&got).ok().as_deref() != Some("up\n") {
            assert!(began.elapsed() < seclude_tests::PATIENCE, "it is up");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        bundle.must(&[&["kill", "one"], signal].concat());
        bundle.becomes("one", "stopped");
        assert_eq!(fs::read_to_string(&got).unwrap().trim(), expected);
        bundle.must(&["delete", "one"]);
        fs::remove_file(got).unwrap();
    }
    bundle.must(&["create", "one"]);
    bundle.must(&["kill", "one", "KILL"]);
    bundle.becomes("one", "stopped");
    bundle.must(&["delete", "one"]);
    bundle.nothing_is_left();
}

/// config.md, "POSIX process": rlimits, oomScoreAdj, consoleSize; "Annotations"; config-linux.md, "Namespaces", "Devices".
#[test]
fn what_the_specification_calls_an_error_is_one() {
    let limit = json!({ "type": "RLIMIT_NOFILE", "soft": 50, "hard": 60 });
    let mut devices = vec![];
    if seclude_tests::is_root() {
        // What the image has there is another one.
        devices.push((
            "/linux/devices",
            json!([{ "path": "/other", "type": "c", "major": 1, "minor": 3 }]),
            "linux.devices[0]",
        ));
    }
    for (pointer, value, field) in [
        ("/process/rlimits", json!([limit, limit]), "process.rlimits[1]"),
        ("/annotations", json!({ "": "value" }), "annotations"),
        (
            "/linux/namespaces",
            json!([{ "type": "mount" }, { "type": "uts", "path": "relative" }]),
            "linux.namespaces[1].path",
        ),
        (
            "/linux/namespaces",
            json!([{ "type": "mount" }, { "type": "uts", "path": "/not/there" }]),
            "linux.namespaces",
        ),
        (
            "/linux/namespaces",
            json!([{ "type": "mount" }, { "type": "uts", "path": "/proc/self/ns/net" }]),
            "linux.namespaces",
        ),
        (
            "/linux/namespaces",
            json!([{ "type": "mount" }, { "type": "mount", "path": "/proc/self/ns/mnt" }]),
            "linux.namespaces[1]",
        ),
    ]
    .into_iter()
    .chain(devices)
    {
        let mut bundle = Bundle::new("mustfail");
        fs::write(bundle.rootfs.join("other"), "a file").unwrap();
        if pointer == "/linux/namespaces" {
            for maps in ["uidMappings", "gidMappings"] {
                bundle.config["linux"].as_object_mut().unwrap().remove(maps);
            }
        }
        bundle.set(pointer, value).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.starts_with(&format!("seclude-oci: error: {field}")), "{field}: {said}");
        bundle.nothing_is_left();
    }
}

/// config.md: "If oomScoreAdj is not set, the runtime MUST NOT change the value of oom_score_adj"; "Runtimes MUST ignore consoleSize if terminal
/// is false"; limits are those that are said, and no others.
#[test]
fn what_is_not_said_stays_as_it_was() {
    let mut bundle = Bundle::new("unsaid");
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    bundle.set("/process/consoleSize", json!({ "height": 10, "width": 10 }));
    assert_eq!(bundle.says("cat /proc/self/oom_score_adj"), own.trim());
    let limits =
        |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    let before = limits(&bundle.says("cat /proc/self/limits"));
    bundle.set("/process/rlimits", json!([{ "type": "RLIMIT_CORE", "soft": 7, "hard": 8 }]));
    let after = limits(&bundle.says("cat /proc/self/limits"));
    let differing: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(differing, ["Max core file size 7 8 bytes"]);
    bundle.nothing_is_left();
}

/// config.md, "Linux mount options": `ro` is the mount's alone, `rro` also what is mounted below it; config-linux.md, "Rootfs Mount Propagation".
#[test]
fn attributes_and_propagation_reach_as_far_as_is_said() {
    root_only!();
    let mut bundle = Bundle::new("reach");
    let script = "mkdir -p outer/inner && mount -t tmpfs none outer/inner && exec \"$OCI\" --root run run one";
    let run = |bundle: &Bundle| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]).current_dir(bundle.path());
        stdout_of(&command.env("OCI", seclude_tests::oci_bin()).output().unwrap())
    };
    let caps = ["CAP_DAC_OVERRIDE"];
    bundle.set("/process/capabilities", json!({ "bounding": caps, "effective": caps, "permitted": caps }));
    bundle.script("for at in /mnt /mnt/inner; do (: > $at/made) 2> /dev/null && echo written || echo refused; done");
    for (words, expected) in [
        (json!(["rbind"]), "written\nwritten"),
        (json!(["rbind", "ro"]), "refused\nwritten"),
        (json!(["rbind", "rro"]), "refused\nrefused"),
    ] {
        bundle.config["mounts"].as_array_mut().unwrap().truncate(3);
        bundle.mount(json!({ "destination": "/mnt", "type": "bind", "source": "outer", "options": words })).write();
        assert_eq!(run(&bundle), expected);
    }
    bundle.config["mounts"].as_array_mut().unwrap().truncate(3);
    for (word, expected) in [("private", ""), ("shared", "shared:"), ("unbindable", "unbindable"), ("slave", "")] {
        bundle.set("/linux/rootfsPropagation", json!(word));
        let said = bundle.says("grep ' / / ' /proc/self/mountinfo || grep ' / rw' /proc/self/mountinfo | head -n 1");
        assert!(!said.is_empty() && said.contains(expected), "{word}: {said}");
        assert_eq!(said.contains("shared:"), word == "shared", "{word}: {said}");
    }
    bundle.nothing_is_left();
}

/// config.md, "Extensibility" and "Annotations": what is not known is no error.
#[test]
fn what_nobody_knows_is_no_error() {
    let mut bundle = Bundle::new("unknown");
    let unknown: Value = json!({ "org.nobody": "x", "run.oci.unknown": "y" });
    bundle.set("/annotations", unknown).set("/unknown", json!({ "a": [1] })).script("echo ran");
    let output = bundle.run("one");
    assert!(output.status.success() && output.stdout == b"ran\n", "{output:?}");
    bundle.nothing_is_left();
}
