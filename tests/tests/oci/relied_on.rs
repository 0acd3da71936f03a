//! What engines send without meaning it, and what they rely on where a file leaves it open: as runc has it.

use std::fs;
use std::os::unix::fs::MetadataExt;

use seclude_tests::{Bundle, root_only, stdout_of};
use serde_json::json;

#[test]
fn an_update_with_all_of_the_resources_leaves_the_devices_as_they_are() {
    root_only!();
    let mut bundle = Bundle::new("update-devices");
    let rules = json!([{ "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 10, "minor": 237, "access": "rwm" }]);
    bundle.set("/linux/resources", json!({ "devices": rules, "pids": { "limit": 30 } }));
    // A device that cannot be opened for a moment would be seen.
    bundle.script("while :; do echo x > /dev/null || echo refused >> /tmp/said; done").write();
    bundle.must(&["run", "--detach", "one"]);
    let listed = || {
        let read = |above: &std::path::PathBuf| fs::read_to_string(above.join("one/devices.list")).ok();
        bundle.cgroups().iter().find_map(read)
    };
    let before = listed();
    let file = bundle.join("resources.json");
    let all = json!({ "devices": [{ "allow": true, "access": "rwm" }], "pids": { "limit": 20 } });
    fs::write(&file, all.to_string()).unwrap();
    for _ in 0..70 {
        bundle.must(&["update", "--resources", file.to_str().unwrap(), "one"]);
    }
    assert_eq!(listed(), before);
    let limit = bundle.cgroups().iter().find_map(|above| fs::read_to_string(above.join("one/pids.max")).ok());
    assert_eq!(limit.as_deref(), Some("20\n"), "the rest is done");
    bundle.must(&["delete", "--force", "one"]);
    assert!(!bundle.rootfs.join("tmp/said").exists());
    bundle.nothing_is_left();
}

#[test]
fn nothing_is_made_or_changed_in_a_dev_of_the_hosts() {
    root_only!();
    let mut bundle = Bundle::new("bound-dev");
    // A /dev as the host's, which is not to be tried on.
    let dev = bundle.join("dev");
    fs::create_dir(&dev).unwrap();
    let device = json!({ "type": "c", "major": 1, "minor": 3 });
    let make = |name: &str| {
        let made = std::process::Command::new("mknod").arg(dev.join(name)).args(["c", "1", "3"]).status().unwrap();
        assert!(made.success());
        std::os::unix::fs::chown(dev.join(name), Some(7), Some(7)).unwrap();
    };
    make("there");
    make("null");
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    let named = |name: &str| {
        let mut named = device.clone();
        (named["path"], named["uid"], named["gid"]) = (json!(format!("/dev/{name}")), json!(5), json!(5));
        named
    };
    bundle.set("/linux/devices", json!([named("there"), named("missing")]));
    for how in ["rw", "ro"] {
        let mut mounts = bundle.config["mounts"].clone();
        mounts
            .as_array_mut()
            .unwrap()
            .push(json!({ "destination": "/dev", "type": "bind", "source": dev, "options": ["rbind", how] }));
        let said = bundle.says_with("/mounts", mounts, "ls /dev");
        assert_eq!(said, "null\nthere", "{how}");
        let found = fs::metadata(dev.join("there")).unwrap();
        assert_eq!((found.uid(), found.gid()), (7, 7), "{how}");
        bundle.config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/dev");
    }
    // Where it is the container's own it is made, and whose it is said to be.
    bundle.mount(json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] }));
    assert_eq!(bundle.says("stat -c %u:%g /dev/there /dev/missing"), "5:5\n5:5");
    bundle.nothing_is_left();
}

#[test]
fn what_a_file_leaves_out_of_a_processs_confinement_is_the_containers() {
    let mut bundle = Bundle::new("left-out");
    bundle.set("/process/rlimits", json!([{ "type": "RLIMIT_NOFILE", "soft": 77, "hard": 77 }]));
    let caps = json!({ "bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"] });
    bundle.set("/process/capabilities", caps);
    bundle.set("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 6 }));
    bundle.script("sleep 1000").write();
    bundle.must(&["run", "--detach", "one"]);
    let file = bundle.join("process.json");
    let say = |more: serde_json::Value| {
        let look = "ulimit -n; grep CapEff /proc/self/status | cut -f2; ionice -p $$";
        let mut process = json!({ "args": ["sh", "-c", look], "cwd": "/", "env": ["PATH=/bin"] });
        process.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fs::write(&file, process.to_string()).unwrap();
        bundle.must(&["exec", "--process", file.to_str().unwrap(), "one"])
    };
    assert_eq!(say(json!({})), "77\n0000000000000001\nbest-effort: prio 6");
    let own = json!({ "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 66, "hard": 66 }], "capabilities": {} });
    assert_eq!(say(own), "66\n0000000000000000\nbest-effort: prio 6");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

/// config.md, "Extensibility".
#[test]
fn a_field_of_the_filter_that_no_version_has_is_passed_over_and_told() {
    let mut bundle = Bundle::new("unknown-filter");
    bundle.set(
        "/linux/seccomp",
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "future": 1, "syscalls": [
            { "names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "other": { "x": 1 } },
        ] }),
    );
    bundle.script("touch /tmp/x; chmod 700 /tmp/x 2> /dev/null || echo refused").write();
    let output = bundle.oci(&["--debug", "run", "one"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stdout_of(&output), "refused", "{told}");
    for field in ["linux.seccomp.future", "linux.seccomp.syscalls[0].other"] {
        assert!(told.contains(field), "{told}");
    }
    bundle.nothing_is_left();
}

#[test]
fn what_outlives_the_first_process_is_killed_with_it_and_after_it() {
    root_only!();
    let mut bundle = Bundle::new("kill-all");
    let processes = |bundle: &Bundle| {
        let read = |above: &std::path::PathBuf| fs::read_to_string(above.join("one/cgroup.procs")).ok();
        bundle.cgroups().iter().find_map(read).unwrap_or_default().lines().count()
    };
    let namespaces = bundle.config["linux"]["namespaces"].clone();
    let shared: Vec<_> = namespaces.as_array().unwrap().iter().filter(|one| one["type"] != "pid").cloned().collect();
    bundle.set("/linux/namespaces", json!(shared));
    for script in ["sleep 1000 & wait", "sleep 1000 &"] {
        bundle.script(script).write();
        bundle.must(&["run", "--detach", "one"]);
        let has_ended = !script.contains("wait");
        if has_ended {
            bundle.becomes("one", "stopped");
        }
        assert!(processes(&bundle) > 0);
        bundle.must(&["kill", "one", "KILL"]);
        let began = std::time::Instant::now();
        while processes(&bundle) > 0 {
            assert!(began.elapsed() < seclude_tests::PATIENCE, "{script}");
        }
        bundle.becomes("one", "stopped");
        assert!(bundle.refused(&["kill", "one", "KILL"]).contains("container not running"));
        bundle.must(&["delete", "one"]);
        bundle.nothing_is_left();
    }
}

#[test]
fn a_limit_that_would_kill_is_refused_where_that_is_asked_for() {
    root_only!();
    let mut bundle = Bundle::new("check-before");
    bundle.script("head -c 30000000 /dev/zero > /tmp/held; echo held; sleep 1000");
    bundle.mount(json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" }));
    bundle.set("/linux/resources", json!({ "memory": { "limit": 200 << 20 } })).write();
    let mut run = seclude_tests::Background::of(&mut bundle.command(&["run", "one"]));
    assert_eq!(run.line(), "held");
    let file = bundle.join("resources.json");
    let less = json!({ "memory": { "limit": 8 << 20, "checkBeforeUpdate": true } });
    fs::write(&file, less.to_string()).unwrap();
    // Of v1 the kernel says so itself.
    let said = bundle.refused(&["update", "--resources", file.to_str().unwrap(), "one"]);
    assert!(said.contains("linux.resources.memory.limit"), "{said}");
    assert_eq!(bundle.status("one"), "running");
    bundle.must(&["delete", "--force", "one"]);
    drop(run);
    bundle.nothing_is_left();
}

#[test]
fn a_signal_that_the_caller_ignores_is_not_handed_on() {
    for ignored in [true, false] {
        let mut bundle = Bundle::new("nohup");
        bundle.script("trap 'echo hup' HUP; trap 'echo end; exit' TERM; echo up; while :; do sleep 0.05; done").write();
        // nohup(1) has it so.
        let trap = if ignored { "trap '' HUP" } else { ":" };
        let called = bundle.command(&["run", "one"]);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("{trap}; exec \"$@\""), "sh"]).arg(called.get_program()).args(called.get_args());
        command.current_dir(bundle.path());
        let mut run = seclude_tests::Background::of(&mut command);
        assert_eq!(run.line(), "up");
        run.signal(rustix::process::Signal::HUP);
        if !ignored {
            assert_eq!(run.line(), "hup");
        }
        run.signal(rustix::process::Signal::TERM);
        assert_eq!(run.line(), "end", "ignored: {ignored}");
        run.end();
        bundle.nothing_is_left();
    }
}

#[test]
fn events_tell_the_limits_and_who_was_killed_for_memory() {
    root_only!();
    let mut bundle = Bundle::new("events");
    bundle
        .set("/linux/resources", json!({ "memory": { "limit": 32 << 20, "swap": 32 << 20 }, "pids": { "limit": 44 } }));
    let more = "dd if=/dev/zero of=/dev/null bs=100M count=1 2> /dev/null";
    let writes = "dd if=/dev/zero of=/written bs=64k count=4 conv=fsync 2> /dev/null";
    bundle.script(&format!("{writes}; trap '{more}' USR1; echo up; while :; do sleep 0.05; done")).write();
    let mut run = seclude_tests::Background::of(&mut bundle.command(&["run", "one"]));
    assert_eq!(run.line(), "up");
    let once: serde_json::Value = serde_json::from_str(&bundle.must(&["events", "--stats", "one"])).unwrap();
    let data = &once["data"];
    assert_eq!(data["memory"]["usage"]["limit"], 32 << 20);
    assert_eq!(data["pids"]["limit"], 44);
    assert!(data["memory"]["raw"].as_object().unwrap().len() > 3 && data["cpu"]["usage"]["total"].as_u64() > Some(0));
    // What cgroups v1 count besides, as runc tells it.
    let hierarchies = seclude::cgroup::Hierarchies::discover().unwrap();
    let is_v1 = |name: &str| hierarchies.v1().iter().any(|one| one.controllers().iter().any(|own| own == name));
    if is_v1("memory") {
        for (key, limit) in [("swap", json!(32 << 20)), ("kernel", data["memory"]["kernel"]["limit"].clone())] {
            let of = &data["memory"][key];
            assert_eq!(of["limit"], limit, "{key}: {data}");
            assert!(of["max"].as_u64() >= of["usage"].as_u64() && of["max"].as_u64() > Some(0), "{key}: {data}");
        }
        assert_eq!(data["memory"]["kernelTCP"]["usage"], 0);
    }
    if is_v1("cpuacct") {
        let each = data["cpu"]["usage"]["percpu"].as_array().expect("a list");
        assert!(each.iter().filter_map(serde_json::Value::as_u64).sum::<u64>() > 0, "{data}");
        let by_mode = ["percpu_user", "percpu_kernel"].map(|key| data["cpu"]["usage"][key].as_array().map(Vec::len));
        assert_eq!(by_mode, [Some(each.len()); 2]);
    }
    if is_v1("cpuset") {
        let own = data["cpuset"]["cpus"].as_array().expect("a list");
        let all = std::thread::available_parallelism().unwrap().get();
        assert!(own.len() >= all && own.iter().all(serde_json::Value::is_u64), "{data}");
    }
    if is_v1("blkio") && rustix::fs::major(bundle.rootfs.path().metadata().unwrap().dev()) != 0 {
        let entries = data["blkio"]["ioServiceBytesRecursive"].as_array().expect("a list");
        let written = entries.iter().filter(|entry| entry["op"] == "Write").filter_map(|entry| entry["value"].as_u64());
        assert!(written.sum::<u64>() >= 256 << 10, "{data}");
    }
    let mut stream = seclude_tests::Background::of(&mut bundle.command(&["events", "--interval", "100ms", "one"]));
    assert!(stream.line().contains("\"stats\""));
    run.signal(rustix::process::Signal::USR1);
    let began = std::time::Instant::now();
    while stream.line() != r#"{"type":"oom","id":"one"}"# {
        assert!(began.elapsed() < seclude_tests::PATIENCE);
    }
    bundle.must(&["delete", "--force", "one"]);
    drop((run, stream));
    bundle.nothing_is_left();
}

#[test]
fn a_cgroup_that_is_shown_to_be_written_is_its_users() {
    root_only!();
    let mut bundle = Bundle::new("given");
    let Some(v2) = bundle.cgroups().into_iter().find(|above| above.join("cgroup.controllers").exists()) else { return };
    if !seclude::cgroup::Hierarchies::discover().unwrap().v1().is_empty() {
        return;
    }
    let maps = json!([{ "containerID": 0, "hostID": 100_000, "size": 1000 }]);
    bundle.set("/linux/uidMappings", maps.clone()).set("/linux/gidMappings", maps);
    for kind in ["user", "cgroup"] {
        bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": kind }));
    }
    bundle.script("mkdir /sys/fs/cgroup/inside && rmdir /sys/fs/cgroup/inside && echo made; sleep 1000").write();
    for (options, owner) in [(json!(["rw"]), 100_000), (json!(["ro"]), 0)] {
        bundle.config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "cgroup");
        bundle.mount(json!({ "destination": "/sys", "type": "tmpfs", "source": "tmpfs" }));
        bundle.mount(
            json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options }),
        );
        bundle.write();
        bundle.must(&["run", "--detach", "one"]);
        let of = |name: &str| fs::metadata(v2.join("one").join(name)).unwrap().uid();
        assert_eq!((of("."), of("cgroup.procs"), of("memory.max")), (owner, owner, 0), "{options}");
        bundle.must(&["delete", "--force", "one"]);
        bundle.nothing_is_left();
    }
}

#[test]
fn an_update_that_fails_changes_nothing() {
    root_only!();
    let mut bundle = Bundle::new("wholeupdate");
    let limits = json!({ "memory": { "limit": 33_554_432 }, "pids": { "limit": 20 }, "cpu": { "shares": 512 } });
    bundle.set("/linux/resources", limits).script("while :; do sleep 0.1; done").write();
    bundle.must(&["run", "--detach", "one"]);
    let files = || {
        let read = |directory: std::path::PathBuf, file: &str| fs::read_to_string(directory.join(file)).ok();
        let names = ["memory.limit_in_bytes", "memory.max", "pids.max", "cpu.shares", "cpu.weight"];
        let all = bundle.cgroups().into_iter().flat_map(|at| names.map(|name| read(at.join("one"), name)));
        all.flatten().collect::<Vec<_>>()
    };
    let before = files();
    assert!(before.len() >= 3, "{before:?}");
    // No machine has that processor.
    let asked = ["--memory", "64M", "--cpu-share", "2000", "--pids-limit", "30", "--cpuset-cpus", "99999"];
    let said = bundle.refused(&[&["update"], &asked[..], &["one"]].concat());
    assert!(said.contains("linux.resources.cpu.cpus"), "{said}");
    assert_eq!(files(), before);
    bundle.must(&[&["update"], &asked[..6], &["one"]].concat());
    assert!(files().iter().zip(&before).filter(|(now, before)| now != before).count() >= 3, "{before:?}");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}
