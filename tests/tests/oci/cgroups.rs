use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use seclude_tests::{Bundle, cgroup_mounts, root_only, stdout_of};
use serde_json::json;

const FOREVER: &str = "while :; do sleep 0.1; done";

/// One whose container is to be in a cgroup of its own test's, or in that of another.
fn bundle(name: &str, other: Option<&Bundle>) -> Bundle {
    let mut bundle = Bundle::new(name);
    if let Some(other) = other {
        bundle.set("/linux/cgroupsPath", other.config["linux"]["cgroupsPath"].clone());
    }
    bundle.script(FOREVER).write();
    bundle
}

/// The directories of a bundle's cgroup, whether they are there or not.
fn places(bundle: &Bundle) -> Vec<PathBuf> {
    let path = bundle.config["linux"]["cgroupsPath"].as_str().unwrap().trim_start_matches('/').to_owned();
    // A new one for sets of processors takes nobody before it has some.
    let points = cgroup_mounts().into_iter().filter(|point| !point.ends_with("cpuset"));
    points.map(|point| point.join(&path)).collect()
}

/// They go with what was made above them, as long as nothing else is in there.
fn removed(places: &[PathBuf]) {
    for place in places {
        let _ = place.ancestors().take(3).try_for_each(fs::remove_dir);
    }
}

/// A process that is in those.
fn in_there(directories: &[PathBuf]) -> Child {
    let mut command = Command::new("sleep");
    let child = command.arg("1000").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for directory in directories {
        fs::write(directory.join("cgroup.procs"), child.id().to_string()).unwrap();
    }
    child
}

#[test]
fn a_cgroup_that_another_container_is_in_is_refused_and_stays_the_others() {
    root_only!();
    let first = bundle("taken", None);
    let second = bundle("takes", Some(&first));
    first.must(&["run", "--detach", "one"]);
    let said = second.refused(&["create", "one"]);
    assert!(said.starts_with("seclude-oci: error: linux.cgroupsPath: "), "{said}");
    assert_eq!(first.status("one"), "running");
    // Whoever comes to nothing at any moment leaves nothing that would end the other.
    for step in 0..25 {
        let mut create = second.command(&["create", "one"]);
        let mut create = create.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(step * 400));
        let _ = create.kill();
        create.wait().unwrap();
        second.must(&["delete", "--force", "one"]);
        assert_eq!(first.status("one"), "running", "{step}");
    }
    // The waiting one's as well, and an empty one that it has marked.
    first.must(&["delete", "--force", "one"]);
    first.must(&["create", "one"]);
    assert!(second.refused(&["create", "one"]).contains("linux.cgroupsPath"));
    first.must(&["kill", "one", "KILL"]);
    first.becomes("one", "stopped");
    assert!(second.refused(&["create", "one"]).contains("it is another container's"));
    first.must(&["delete", "one"]);
    second.must(&["create", "one"]);
    second.must(&["delete", "--force", "one"]);
    first.nothing_is_left();
    second.nothing_is_left();
}

#[test]
fn what_others_have_in_or_below_a_cgroup_outlives_the_container() {
    root_only!();
    let bundle = bundle("shared", None);
    let places = places(&bundle);
    let below: Vec<PathBuf> = places.iter().map(|place| place.join("below")).collect();
    below.iter().for_each(|place| fs::create_dir_all(place).unwrap());
    let mut other = in_there(&below);
    for _ in 0..2 {
        bundle.must(&["run", "--detach", "one"]);
        bundle.must(&["exec", "--detach", "one", "sleep", "1000"]);
        let mut late = in_there(&places);
        bundle.must(&["delete", "--force", "one"]);
        assert!(other.try_wait().unwrap().is_none() && late.try_wait().unwrap().is_none(), "they run on");
        late.kill().unwrap();
        late.wait().unwrap();
    }
    other.kill().unwrap();
    other.wait().unwrap();
    below.iter().for_each(|place| fs::remove_dir(place).unwrap());
    removed(&places);
    bundle.nothing_is_left();
}

#[test]
fn one_that_came_to_have_the_path_later_is_not_taken_for_the_containers() {
    root_only!();
    let bundle = bundle("later", None);
    bundle.must(&["run", "--detach", "one"]);
    bundle.must(&["kill", "one", "KILL"]);
    bundle.becomes("one", "stopped");
    let places = places(&bundle);
    for place in &places {
        fs::remove_dir(place).unwrap();
        fs::create_dir(place).unwrap();
    }
    let mut other = in_there(&places);
    bundle.must(&["delete", "one"]);
    assert!(other.try_wait().unwrap().is_none(), "it runs on");
    other.kill().unwrap();
    other.wait().unwrap();
    removed(&places);
    bundle.nothing_is_left();
}

#[test]
fn a_container_that_takes_the_mark_of_its_cgroup_away_is_known_by_the_directory() {
    root_only!();
    let bundle = bundle("markless", None);
    bundle.must(&["run", "--detach", "one"]);
    let places: Vec<PathBuf> = places(&bundle).into_iter().filter(|place| place.exists()).collect();
    // As its root does where that is a user of the host: it is the owner of what it may write.
    let unmark = "import os, sys\nfor place in sys.argv[1:]:\n    for name in os.listxattr(place): os.removexattr(place, name); print(name)";
    let words = [&["-c", unmark][..], &places.iter().map(|place| place.to_str().unwrap()).collect::<Vec<_>>()].concat();
    let said = stdout_of(&Command::new("python3").args(words).output().unwrap());
    assert_eq!(said.lines().count(), places.len(), "{said}");
    bundle.must(&["exec", "--detach", "one", "sleep", "1000"]);
    bundle.must(&["pause", "one"]);
    assert_eq!(bundle.status("one"), "paused");
    bundle.must(&["resume", "one"]);
    bundle.must(&["delete", "--force", "one"]);
    let left: Vec<&PathBuf> = places.iter().filter(|place| place.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
    bundle.nothing_is_left();
}

#[test]
fn what_is_to_be_limited_needs_a_cgroup_and_devices_are_done_without_by_a_user() {
    root_only!();
    let mut bundle = bundle("without", None);
    bundle.set("/linux/cgroupsPath", json!(""));
    for (limits, field) in [
        (json!({ "pids": { "limit": 5 } }), "pids.limit"),
        (json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 0 }] }), "hugepageLimits"),
        (json!({ "memory": { "swappiness": 0 } }), "memory.swappiness"),
        (json!({ "unified": { "pids.max": "5" } }), "unified.pids.max"),
    ] {
        bundle.set("/linux/resources", limits).write();
        let said = bundle.refused(&["--rootless", "true", "create", "one"]);
        assert!(said.starts_with(&format!("seclude-oci: error: linux.resources.{field}: ")), "{said}");
    }
    let nothing = json!({ "pids": { "limit": 0 }, "memory": {}, "devices": [{ "allow": false, "access": "rwm" }] });
    bundle.set("/linux/resources", nothing).script("true").write();
    let output = bundle.oci(&["--rootless", "true", "run", "one"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("linux.resources.devices: "), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn whoever_may_make_none_is_shown_its_callers_read_only_or_nothing() {
    root_only!();
    let mut bundle = bundle("goeswithout", None);
    let run = |bundle: &Bundle| {
        // Cgroups that can only be read, in a mount namespace of the test's own.
        let mounts: Vec<String> = cgroup_mounts().iter().map(|point| point.display().to_string()).collect();
        let script = format!(
            "for point in {}; do mount -o remount,bind,ro $point || exit; done; exec \"$OCI\" --root run --rootless true run one",
            mounts.join(" ")
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).current_dir(bundle.path());
        command.env("OCI", seclude_tests::oci_bin()).output().unwrap()
    };
    bundle.script("mkdir /sys/fs/cgroup/*/made 2> /dev/null || echo read-only");
    bundle.mount(json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup" })).write();
    let refused = run(&bundle);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("mounts[3].options: "), "{said}");
    bundle.set("/mounts/3/options", json!(["ro"])).write();
    assert_eq!(stdout_of(&run(&bundle)), "read-only");
    bundle.set("/linux/resources", json!({ "pids": { "limit": 5 } })).write();
    let refused = run(&bundle);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("linux.resources.pids.limit: "), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn a_process_can_be_executed_in_a_cgroup_below_the_containers() {
    root_only!();
    let bundle = bundle("execbelow", None);
    bundle.must(&["run", "--detach", "one"]);
    let places = places(&bundle);
    let below: Vec<PathBuf> = places.iter().map(|place| place.join("below")).collect();
    below.iter().for_each(|place| fs::create_dir(place).unwrap());
    let is_in = |flags: &[&str]| {
        let arguments = [&["exec"], flags, &["one", "cat", "/proc/self/cgroup"]].concat();
        bundle.must(&arguments).lines().filter(|line| line.ends_with("/one/below")).count()
    };
    assert_eq!(is_in(&[]), 0);
    let has_v1 = places.iter().any(|place| place.join("tasks").exists());
    match has_v1 {
        true => assert_eq!(is_in(&["--cgroup", "pids:below"]), 1),
        false => assert_eq!(is_in(&["--cgroup", "below"]), 1),
    }
    let flag = if has_v1 { "pids:" } else { "" };
    for path in ["not-there", "../..", "below/../.."] {
        let said = bundle.refused(&["exec", "--cgroup", &format!("{flag}{path}"), "one", "true"]);
        assert!(said.contains("--cgroup"), "{said}");
    }
    assert!(bundle.refused(&["exec", "--cgroup", "nothing:below", "one", "true"]).contains("no such hierarchy"));
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn all_devices_but_some_can_be_used() {
    root_only!();
    let mut bundle = bundle("allbut", None);
    let caps = ["CAP_MKNOD", "CAP_DAC_OVERRIDE"];
    bundle.set("/process/capabilities", json!({ "bounding": caps, "effective": caps, "permitted": caps }));
    let script = "mknod /tmp/node c 10 237; for way in '<' '>'; do (eval \": $way /tmp/node\") 2>/dev/null && echo open || echo refused; done; rm /tmp/node; echo x > /dev/null && echo null";
    let rules = |denied: &str| json!({ "devices": [{ "allow": true, "access": "rwm" }, { "allow": false, "type": "c", "major": 10, "minor": 237, "access": denied }] });
    assert_eq!(
        bundle
            .says_with("/linux/resources", rules("m"), script.strip_prefix("mknod /tmp/node c 10 237; ").unwrap())
            .lines()
            .last(),
        Some("null")
    );
    assert_eq!(bundle.says_with("/linux/resources", rules("w"), script), "open\nrefused\nnull");
    assert_eq!(bundle.says_with("/linux/resources", rules("rw"), script), "refused\nrefused\nnull");
    bundle.set("/linux/resources", json!({ "devices": [{ "allow": true, "access": "rwm" }] }));
    assert_eq!(bundle.says(script), "open\nopen\nnull");
    bundle.nothing_is_left();
}

#[test]
fn limits_that_are_refused_are_named_with_their_values() {
    root_only!();
    let mut bundle = bundle("named", None);
    for (limits, words) in [
        (
            json!({ "hugepageLimits": [{ "pageSize": "3MB", "limit": 7 }] }),
            ["linux.resources.hugepageLimits[0]: ", "\"7\" to hugetlb.3MB."],
        ),
        (json!({ "cpu": { "cpus": "900-901" } }), ["linux.resources.cpu.cpus: ", "\"900-901\" to cpuset.cpus"]),
        (
            json!({ "unified": { "memory.high": "lots" } }),
            ["linux.resources.unified.memory.high: ", "\"lots\" to memory.high"],
        ),
        (
            json!({ "rdma": { "mlx5_9": { "hcaHandles": 3 } } }),
            ["linux.resources.rdma.mlx5_9: ", "mlx5_9 hca_handle=3"],
        ),
    ] {
        bundle.set("/linux/resources", limits).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        bundle.nothing_is_left();
    }
}

#[test]
fn classes_and_priorities_of_packets_are_set_where_v1_has_them() {
    root_only!();
    let mut bundle = bundle("packets", None);
    let network = json!({ "network": { "classID": 1_048_577, "priorities": [{ "name": "lo", "priority": 5 }] } });
    bundle.set("/linux/resources", network).write();
    let find = |file: &str| {
        let places = places(&bundle);
        places.into_iter().map(|place| place.join(file)).find(|file| file.exists())
    };
    let has = |name: &str| cgroup_mounts().iter().any(|point| point.to_string_lossy().contains(name));
    if !has("net_cls") || !has("net_prio") {
        let said = bundle.refused(&["create", "one"]);
        assert!(said.starts_with("seclude-oci: error: linux.resources.network."), "{said}");
        bundle.nothing_is_left();
        return;
    }
    bundle.must(&["create", "one"]);
    assert_eq!(fs::read_to_string(find("net_cls.classid").unwrap()).unwrap(), "1048577\n");
    assert!(fs::read_to_string(find("net_prio.ifpriomap").unwrap()).unwrap().contains("lo 5\n"));
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

/// Its directory in the hierarchy of v1 that counts processes; on v2 alone there is one hierarchy, which goes as a whole.
fn in_one_of_many(bundle: &Bundle) -> Option<PathBuf> {
    places(bundle).into_iter().find(|place| place.to_string_lossy().contains("/pids/"))
}

#[test]
fn a_cgroup_that_goes_in_one_hierarchy_before_it_is_joined_is_an_error() {
    root_only!();
    let mut bundle = bundle("vanishes", None);
    bundle.set("/linux/resources", json!({ "pids": { "limit": 77 } })).write();
    let Some(pids) = in_one_of_many(&bundle) else { return };
    let mut vanished = 0;
    for _ in 0..30 {
        let told = bundle.join("told");
        let mut create = bundle.command(&["create", "one"]);
        let mut create = create.stdout(Stdio::null()).stderr(fs::File::create(&told).unwrap()).spawn().unwrap();
        let has_limit = || fs::read_to_string(pids.join("pids.max")).is_ok_and(|limit| limit == "77\n");
        let gone = loop {
            // Nobody removes one that somebody is in.
            if has_limit() && fs::remove_dir(&pids).is_ok() {
                break true;
            }
            if create.try_wait().unwrap().is_some() {
                break false;
            }
        };
        let status = create.wait().unwrap();
        let said = fs::read_to_string(&told).unwrap();
        assert_eq!(status.success(), !gone, "with its limits, or not at all: {said}");
        if gone {
            assert!(said.contains("linux.cgroupsPath: ") || said.contains("linux.resources.pids.limit: "), "{said}");
            assert!(said.contains("/pids/") || said.contains("pids.max"), "{said}");
            vanished += 1;
        } else {
            bundle.must(&["delete", "--force", "one"]);
        }
        bundle.nothing_is_left();
    }
    assert!(vanished > 0, "it went at least once in that moment");
}

#[test]
fn nothing_is_executed_without_a_limit_that_the_container_had() {
    root_only!();
    let mut bundle = bundle("halfgone", None);
    let hook = json!([{ "path": "/bin/busybox", "args": ["true"] }]);
    bundle.set("/hooks", json!({ "startContainer": hook }));
    bundle.set("/linux/resources", json!({ "pids": { "limit": 77 } })).write();
    let Some(pids) = in_one_of_many(&bundle) else { return };
    bundle.must(&["create", "one"]);
    bundle.must(&["exec", "one", "true"]);
    // Somebody moves it out, and removes what it was in.
    let pid = bundle.state("one")["pid"].to_string();
    let above = pids.ancestors().nth(3).unwrap();
    fs::write(above.join("cgroup.procs"), &pid).unwrap();
    let began = std::time::Instant::now();
    // What was executed there may have left it a moment ago.
    while let Err(error) = fs::remove_dir(&pids) {
        assert!(began.elapsed() < seclude_tests::PATIENCE, "{error}");
    }
    let said = bundle.refused(&["exec", "one", "true"]);
    assert!(
        said.starts_with("seclude-oci: error: linux.cgroupsPath: ") && said.contains("hierarchy of pids"),
        "{said}"
    );
    // Nor the image's hook as it starts.
    let said = bundle.refused(&["start", "one"]);
    assert!(said.contains("linux.cgroupsPath: ") && said.contains("hierarchy of pids"), "{said}");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn no_limit_moves_a_process_of_the_host_into_the_containers_cgroup() {
    root_only!();
    let mut bundle = bundle("moves", None);
    let mut other = Command::new("sleep").arg("1000").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = other.id().to_string();
    let its_cgroups = || fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let before = its_cgroups();
    let asks = [
        ("cgroup.procs", pid.as_str()),
        ("cgroup.threads", &pid),
        ("../cgroup.procs", &pid),
        ("cgroup.kill", "1"),
        ("..", "1"),
    ];
    for (file, value) in asks {
        bundle.set("/linux/resources", json!({ "unified": { file: value } })).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.starts_with(&format!("seclude-oci: error: linux.resources.unified.{file}: ")), "{said}");
        bundle.nothing_is_left();
    }
    // Nor later, when it has a cgroup.
    bundle.set("/linux/resources", json!({})).write();
    bundle.must(&["run", "--detach", "one"]);
    let update = bundle.join("update.json");
    for (file, value) in asks {
        fs::write(&update, json!({ "unified": { file: value } }).to_string()).unwrap();
        let said = bundle.refused(&["update", "-r", update.to_str().unwrap(), "one"]);
        assert!(said.starts_with(&format!("seclude-oci: error: linux.resources.unified.{file}: ")), "{said}");
    }
    assert_eq!(bundle.status("one"), "running");
    bundle.must(&["delete", "--force", "one"]);
    assert_eq!(its_cgroups(), before);
    assert!(other.try_wait().unwrap().is_none(), "it runs on");
    other.kill().unwrap();
    other.wait().unwrap();
    bundle.nothing_is_left();
}

#[test]
fn how_deep_and_how_many_cgroups_are_below_can_be_limited() {
    root_only!();
    let mut bundle = bundle("depth", None);
    let limits = json!({ "unified": { "cgroup.max.depth": "3", "cgroup.max.descendants": "7" } });
    bundle.set("/linux/resources", limits).write();
    bundle.must(&["run", "--detach", "one"]);
    let has = |file: &str| places(&bundle).iter().find_map(|place| fs::read_to_string(place.join(file)).ok()).unwrap();
    assert_eq!((has("cgroup.max.depth"), has("cgroup.max.descendants")), ("3\n".to_owned(), "7\n".to_owned()));
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn limits_that_the_kernel_tells_in_other_words_are_set() {
    root_only!();
    let bundle = bundle("words", None);
    let has_v1 = cgroup_mounts().iter().any(|point| point.ends_with("memory"));
    // What is in its own words there, and what was asked for.
    let (limits, file, words) = match has_v1 {
        true => (json!({ "memory": { "disableOOMKiller": true } }), "memory.oom_control", "oom_kill_disable 1\n"),
        false => (json!({ "unified": { "cpu.max": "max" } }), "cpu.max", "max 100000\n"),
    };
    let has = || places(&bundle).iter().find_map(|place| fs::read_to_string(place.join(file)).ok()).unwrap();
    for limits in [limits, json!({})] {
        let asked = limits != json!({});
        let mut config = bundle.config.clone();
        config["linux"]["resources"] = limits;
        fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        bundle.must(&["run", "--detach", "one"]);
        assert_eq!(has().contains(words), asked || !has_v1, "{}", has());
        bundle.must(&["delete", "--force", "one"]);
    }
    bundle.nothing_is_left();
}

#[test]
fn a_limit_of_memory_that_its_start_does_not_fit_in_is_named() {
    root_only!();
    let mut bundle = bundle("little", None);
    for limit in [4096, 65_536] {
        bundle.set("/linux/resources", json!({ "memory": { "limit": limit } })).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.starts_with(&format!("seclude-oci: error: linux.resources.memory.limit: {limit} ")), "{said}");
        bundle.nothing_is_left();
    }
    // What it fits in is no reason for anything else.
    bundle.set("/linux/resources", json!({ "memory": { "limit": 64 << 20 } })).set("/process/args", json!(["nosuch"]));
    bundle.write();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.starts_with("seclude-oci: error: process.args: "), "{said}");
    bundle.nothing_is_left();
}
