use std::fs;
use std::time::{Duration, Instant};

use seclude_tests::{Bundle, PATIENCE};
use serde_json::{Value, json};

/// One that writes a word and the state that it got.
fn noting(bundle: &Bundle, word: &str) -> Value {
    let file = bundle.join("notes");
    let script = format!("state=$(cat); echo \"{word} $state\" >> {}", file.display());
    json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] })
}

fn notes(bundle: &Bundle) -> Vec<(String, Value)> {
    let text = fs::read_to_string(bundle.join("notes")).unwrap_or_default();
    let read = |line: &str| {
        let (word, state) = line.split_once(' ').unwrap();
        (word.to_owned(), serde_json::from_str(state).unwrap())
    };
    text.lines().map(read).collect()
}

#[test]
fn hooks_of_all_moments_are_run_in_their_order_with_the_state() {
    let mut bundle = Bundle::new("hooks");
    let hook = |bundle: &Bundle, word: &str| json!([noting(bundle, word)]);
    // In the container's own tree, with its own shell.
    let inside =
        json!([{ "path": "/bin/busybox", "args": ["sh", "-c", "cat > /tmp/state; cat /proc/1/comm > /tmp/first"] }]);
    let mut hooks = json!({});
    for moment in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        hooks[moment] = hook(&bundle, moment);
    }
    hooks["startContainer"] = inside;
    bundle.set("/hooks", hooks).set("/annotations", json!({ "a": "b" }));
    bundle.script("echo ran > /tmp/ran; while :; do sleep 0.1; done").write();
    bundle.must(&["create", "one"]);
    let words = |bundle: &Bundle| notes(bundle).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
    assert_eq!(words(&bundle), ["prestart", "createRuntime", "createContainer"]);
    let (_, state) = &notes(&bundle)[1];
    assert_eq!(
        (&state["id"], &state["status"], &state["annotations"]["a"]),
        (&json!("one"), &json!("created"), &json!("b"))
    );
    assert!(state["pid"].as_i64().unwrap() > 0);
    assert!(!bundle.rootfs.join("tmp/state").exists());
    bundle.must(&["start", "one"]);
    let state: Value = serde_json::from_str(&fs::read_to_string(bundle.rootfs.join("tmp/state")).unwrap()).unwrap();
    assert_eq!(state["status"], "created");
    assert_eq!(fs::read_to_string(bundle.rootfs.join("tmp/first")).unwrap(), "seclude-init\n", "before the command");
    assert_eq!(words(&bundle).last().unwrap(), "poststart");
    assert_eq!(notes(&bundle).last().unwrap().1["status"], "running");
    bundle.must(&["delete", "--force", "one"]);
    assert_eq!(notes(&bundle).last().unwrap().1["status"], "stopped");
    assert_eq!(words(&bundle).last().unwrap(), "poststop");
    bundle.nothing_is_left();
}

#[test]
fn hooks_of_the_creation_find_the_mounts_and_the_hosts_tree_and_what_they_mount_is_the_containers_alone() {
    let mut bundle = Bundle::new("hookmounts");
    fs::create_dir_all(bundle.rootfs.join("mnt")).unwrap();
    let (root, notes) = (bundle.rootfs.path().display().to_string(), bundle.join("notes").display().to_string());
    let hook = |script: String| json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] }]);
    let sees = format!("cat > /dev/null; test -e {root}/proc/uptime && echo mounts >> {notes} || echo none >> {notes}");
    // In the container's namespaces, its mounts are below its root; what lies there by its path is the host's.
    let inside = format!(
        "{sees}; set -e; mount -t tmpfs hooked {root}/mnt; echo of the hook > {root}/mnt/file; readlink /proc/self/ns/mnt >> {notes}"
    );
    let hooks =
        json!({ "prestart": hook(sees.clone()), "createRuntime": hook(sees.clone()), "createContainer": hook(inside) });
    bundle.set("/hooks", hooks);
    bundle.script(
        "cat /mnt/file; readlink /proc/self/ns/mnt; grep -c hooked /proc/mounts; ls / | grep -c '^rootfs$'; true",
    );
    let said = seclude_tests::stdout_of(&bundle.run("one"));
    let noted = fs::read_to_string(&notes).unwrap();
    let lines: Vec<&str> = noted.lines().collect();
    assert_eq!(lines[..3], ["none", "none", "mounts"], "{noted}");
    let own = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();
    assert_ne!(lines[3], own);
    assert_eq!(said.lines().collect::<Vec<_>>(), ["of the hook", lines[3], "1", "0"]);
    assert!(!fs::read_to_string("/proc/self/mounts").unwrap().contains("hooked"), "not on the host");
    assert!(fs::read_dir(bundle.rootfs.join("mnt")).unwrap().next().is_none());
    bundle.nothing_is_left();
}

#[test]
fn a_hook_that_fails_ends_the_creation_and_those_behind_it_are_not_run() {
    for moment in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = Bundle::new("hookfails");
        let behind = noting(&bundle, "behind");
        let after = noting(&bundle, "poststop");
        bundle.set("/hooks", json!({ moment: [{ "path": "/bin/false" }, behind], "poststop": [after] })).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.contains(&format!("hooks.{moment}[0]: ")), "{said}");
        assert_eq!(notes(&bundle).into_iter().map(|(word, _)| word).collect::<Vec<_>>(), ["poststop"]);
        bundle.nothing_is_left();
    }
}

#[test]
fn what_a_hook_writes_is_told_where_it_fails_and_is_no_output_of_the_containers() {
    let says = |code: u32| format!("echo something; echo why >&2; exit {code}");
    let hook = |moment: &str, code: u32| match moment {
        "startContainer" => json!({ "path": "/bin/busybox", "args": ["sh", "-c", says(code)] }),
        _ => json!({ "path": "/bin/sh", "args": ["sh", "-c", says(code)] }),
    };
    const MOMENTS: [&str; 4] = ["prestart", "createRuntime", "createContainer", "startContainer"];
    for moment in MOMENTS {
        let mut bundle = Bundle::new("hooksays");
        bundle.set("/hooks", json!({ moment: [hook(moment, 3)] })).script("true").write();
        let said = bundle.refused(&["run", "one"]);
        assert!(said.contains(&format!("error: hooks.{moment}[0]: error running {moment} hook #0: /bin/")), "{said}");
        assert!(said.ends_with(", stdout: something, stderr: why"), "{said}");
        // What it leaves running has its streams, and holds nobody up.
        let much = json!({ "path": "/bin/sh", "args": ["sh", "-c", "seq 100000; sleep 2 & exit 1"] });
        if moment != "startContainer" {
            bundle.set("/hooks", json!({ moment: [much] })).write();
            let said = bundle.refused(&["run", "two"]);
            assert!(said.contains(", stdout: …") && said.ends_with(" 99999 100000"), "{said}");
            assert!(said.len() < 5000, "{}", said.len());
        }
        bundle.nothing_is_left();
    }
    // By whichever of its names it writes there.
    let mut bundle = Bundle::new("hookreopens");
    let writes =
        "echo one >&2; echo two >> /dev/stderr; echo three >&2; echo gone; echo left > /dev/stdout; echo last; exit 1";
    bundle.set("/hooks", json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", writes] }] })).write();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.ends_with(", stdout: left last, stderr: one two three"), "{said}");
    bundle.nothing_is_left();
    // And whoever goes on writing there fills no memory: there is no more of it.
    let mut bundle = Bundle::new("hookwrites");
    let place = bundle.join("told");
    let writes = format!("(sleep 0.3; echo more || echo refused > {}) & true", place.display());
    bundle.set("/hooks", json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", writes] }] }));
    assert!(bundle.run("one").status.success());
    let began = Instant::now();
    while fs::read_to_string(&place).unwrap_or_default() != "refused\n" {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    bundle.nothing_is_left();
    let mut bundle = Bundle::new("hookquiet");
    let all: serde_json::Map<String, Value> = MOMENTS
        .iter()
        .chain(&["poststart", "poststop"])
        .map(|moment| ((*moment).into(), json!([hook(moment, 0)])))
        .collect();
    bundle.set("/hooks", Value::Object(all)).script("echo its own");
    let output = bundle.run("one");
    assert!(output.status.success());
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"its own\n"[..], &b""[..]));
    bundle.nothing_is_left();
}

#[test]
fn a_hook_that_is_not_there_is_looked_for_where_it_says_alone() {
    let mut bundle = Bundle::new("hookmissing");
    bundle.set("/hooks", json!({ "createRuntime": [{ "path": "/nonexistent/hook" }] })).write();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.contains("exec /nonexistent/hook: no such file or directory: "), "{said}");
    assert!(!said.contains("$PATH"), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn a_hook_that_hangs_is_ended_by_its_time() {
    let mut bundle = Bundle::new("hookhangs");
    // More than a pipe takes, which it does not read.
    bundle.set("/annotations", json!({ "much": "x".repeat(1 << 20) }));
    bundle
        .set("/hooks", json!({ "createRuntime": [{ "path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1 }] }))
        .write();
    let began = Instant::now();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.contains("hooks.createRuntime[0]: ") && said.contains("did not end in 1 s"), "{said}");
    assert!(began.elapsed() < PATIENCE && began.elapsed() >= Duration::from_secs(1));
    bundle.nothing_is_left();
}

#[test]
fn what_a_hook_of_the_start_fails_for_does_not_run() {
    for moment in ["startContainer", "poststart"] {
        let mut bundle = Bundle::new("startfails");
        let hook = if moment == "startContainer" { "/bin/busybox" } else { "/bin/false" };
        bundle.set("/hooks", json!({ moment: [{ "path": hook, "args": ["false"] }] }));
        bundle.script("while :; do sleep 0.1; done").write();
        bundle.must(&["create", "one"]);
        let said = bundle.refused(&["start", "one"]);
        assert!(said.contains(&format!("hooks.{moment}[0]: ")), "{said}");
        assert_eq!(bundle.status("one"), "stopped");
        bundle.must(&["delete", "one"]);
        bundle.nothing_is_left();
    }
}

#[test]
fn a_hook_after_the_end_that_fails_is_told_and_nothing_is_left() {
    let mut bundle = Bundle::new("poststop");
    let behind = noting(&bundle, "behind");
    bundle.set("/hooks", json!({ "poststop": [{ "path": "/bin/false" }, behind] })).write();
    bundle.must(&["create", "one"]);
    let output = bundle.oci(&["delete", "--force", "one"]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("hooks.poststop[0]"));
    assert_eq!(notes(&bundle).len(), 1, "those behind it are run");
    bundle.nothing_is_left();
}

#[test]
fn a_hook_of_the_image_has_no_more_rights_than_its_process() {
    let mut bundle = Bundle::new("hookrights");
    let script =
        "cat /proc/self/status /proc/self/cgroup > /tmp/status; id -u > /tmp/id; mkdir /tmp/refused 2> /tmp/why";
    bundle.set(
        "/hooks",
        json!({ "startContainer": [
        { "path": "/bin/busybox", "args": ["sh", "-c", format!("{script}; true")], "env": ["PATH=/bin"] },
    ] }),
    );
    let refused = json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5 }]);
    bundle.set("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": refused }));
    bundle.script("true").write();
    bundle.must(&["create", "one"]);
    bundle.must(&["start", "one"]);
    let status = fs::read_to_string(bundle.rootfs.join("tmp/status")).unwrap();
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert_eq!(fs::read_to_string(bundle.rootfs.join("tmp/id")).unwrap(), "0\n");
    assert!(!bundle.rootfs.join("tmp/refused").exists(), "by the filter");
    if let Some(path) = bundle.config["linux"]["cgroupsPath"].as_str() {
        assert!(status.lines().any(|line| line.ends_with(path)), "{path}: {status}");
    }
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

/// One that does not end, with a process of its own that has left its parent and its session.
fn hanging(bundle: &Bundle) -> Value {
    let file = bundle.join("begun").display().to_string();
    let loops = format!("echo >> {file}; while :; do sleep 0.1; done");
    json!({ "path": "/bin/sh", "args": ["sh", "-c", format!("(setsid sh -c '{loops}' &); {loops}")], "env": ["PATH=/usr/bin:/bin"] })
}

/// Until both do.
fn hangs(bundle: &Bundle) {
    let began = Instant::now();
    while fs::read_to_string(bundle.join("begun")).unwrap_or_default().lines().count() < 2 {
        assert!(began.elapsed() < PATIENCE, "it begins");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Those that run, by their words: in the container they have other pids. They are killed, so that a test that fails leaves nothing.
fn still_run(bundle: &Bundle) -> usize {
    let file = bundle.join("begun").display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let words = |process: &std::path::PathBuf| fs::read(process.join("cmdline")).unwrap_or_default();
    let theirs: Vec<_> = processes.filter(|process| String::from_utf8_lossy(&words(process)).contains(&file)).collect();
    for process in &theirs {
        let _ = std::process::Command::new("kill").arg("-9").arg(process.file_name().unwrap()).status();
    }
    let _ = fs::remove_file(bundle.join("begun"));
    theirs.len()
}

#[test]
fn the_end_of_a_hooks_time_ends_all_of_it() {
    let mut bundle = Bundle::new("hookall");
    let mut hook = hanging(&bundle);
    hook["timeout"] = json!(1);
    for moment in ["prestart", "createContainer"] {
        bundle.set("/hooks", json!({ moment: [hook] })).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.contains(&format!("hooks.{moment}[0]: ")) && said.contains("did not end in 1 s"), "{said}");
        hangs(&bundle);
        assert_eq!(still_run(&bundle), 0, "{moment}");
        bundle.nothing_is_left();
    }
    // One that ends in time may leave something that runs on.
    let file = bundle.join("begun").display().to_string();
    let script = format!("(setsid sh -c 'echo >> {file}; while :; do sleep 0.1; done' &); echo >> {file}");
    let hook = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"], "timeout": i64::MAX }]);
    bundle.set("/hooks", json!({ "createRuntime": hook })).script("true");
    assert!(bundle.run("one").status.success());
    hangs(&bundle);
    // Two, where it is about to sleep.
    assert!(still_run(&bundle) > 0, "the contrast");
    bundle.nothing_is_left();
}

#[test]
fn delete_with_force_ends_what_a_hook_holds_up() {
    for moment in ["createRuntime", "poststart", "poststop"] {
        let mut bundle = Bundle::new("hookforce");
        bundle.set("/hooks", json!({ moment: [hanging(&bundle)] })).script("while :; do sleep 0.1; done").write();
        let held: &[&str] = match moment {
            "createRuntime" => &["create", "one"],
            "poststart" => &["start", "one"],
            _ => &["delete", "--force", "one"],
        };
        if moment != "createRuntime" {
            bundle.must(&["create", "one"]);
        }
        let mut held = bundle.command(held).stderr(std::process::Stdio::null()).spawn().unwrap();
        hangs(&bundle);
        assert!(bundle.root().join("one").exists() && held.try_wait().unwrap().is_none());
        let began = Instant::now();
        bundle.must(&["delete", "--force", "one"]);
        assert!(began.elapsed() < Duration::from_secs(9), "{moment}: {:?}", began.elapsed());
        assert_eq!(held.wait().unwrap().success(), moment == "poststop", "{moment}");
        assert_eq!(still_run(&bundle), 0);
        bundle.nothing_is_left();
    }
}

#[test]
fn one_who_takes_no_signal_is_killed_with_all_that_it_has_started() {
    let mut bundle = Bundle::new("hookstuck");
    bundle.set("/hooks", json!({ "createRuntime": [hanging(&bundle)] })).write();
    let mut held = bundle.command(&["create", "one"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    hangs(&bundle);
    // Whoever is stopped gives nothing up.
    let pid = rustix::process::Pid::from_raw(held.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    bundle.must(&["delete", "--force", "one"]);
    assert!(!held.wait().unwrap().success());
    assert_eq!(still_run(&bundle), 0);
    bundle.nothing_is_left();
}

#[test]
fn a_signal_ends_the_wait_for_a_hook_and_all_is_undone() {
    for command in [&["run", "one"][..], &["create", "one"]] {
        let mut bundle = Bundle::new("hooksignal");
        bundle.set("/hooks", json!({ "createRuntime": [hanging(&bundle)] })).script("true").write();
        let mut held = seclude_tests::Background::of(&mut bundle.command(command));
        hangs(&bundle);
        held.signal(rustix::process::Signal::TERM);
        assert_eq!(held.wait(), Some(1), "{command:?}");
        assert_eq!(still_run(&bundle), 0);
        bundle.nothing_is_left();
    }
}
