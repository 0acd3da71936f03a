//! What others' runtimes do, and suites and engines go by.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use seclude_tests::{Bundle, root_only, stdout_of};
use serde_json::json;

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_passed_over_is_said_in_the_log_and_not_where_the_container_writes() {
    let mut bundle = Bundle::new("notes");
    bundle.set("/unknown", json!("value")).script("echo out");
    let output = bundle.run("one");
    assert_eq!((stdout_of(&output), told(&output)), ("out".to_owned(), String::new()));
    let output = bundle.oci(&["--debug", "run", "one"]);
    assert!(told(&output).contains("unknown: the runtime specification has no such field"), "{}", told(&output));
    let log = bundle.join("log");
    bundle.must(&["--log", log.to_str().unwrap(), "run", "one"]);
    assert!(fs::read_to_string(log).unwrap().contains("unknown: the runtime specification has no such field"));
    bundle.nothing_is_left();
}

#[test]
fn a_capability_that_no_kernel_has_is_told_and_done_without() {
    let mut bundle = Bundle::new("unknown-capability");
    let names = json!(["CAP_KILL", "TEST_CAP"]);
    bundle.set("/process/capabilities", json!({ "bounding": names, "effective": names, "permitted": names }));
    bundle.script("grep CapBnd /proc/self/status");
    let output = bundle.run("one");
    assert_eq!(stdout_of(&output), "CapBnd:\t0000000000000020");
    assert!(told(&output).contains("ignoring unknown or unavailable capabilities: [TEST_CAP]"), "{}", told(&output));
    bundle.nothing_is_left();
}

#[test]
fn a_filter_older_than_the_calls_of_ours_lets_it_wait_and_run() {
    root_only!();
    let mut bundle = Bundle::new("old-filter");
    let refused = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["faccessat2", "openat2", "clone3", "close_range"], "action": "SCMP_ACT_ERRNO" },
    ] });
    bundle.set("/process/noNewPrivileges", json!(false));
    assert_eq!(bundle.says_with("/linux/seccomp", refused, "echo runs"), "runs");
    // What is not there is found all the same, by the older call.
    bundle.set("/process/args", json!(["not-there"])).write();
    assert!(bundle.refused(&["create", "one"]).contains("executable file not found in $PATH"));
    bundle.nothing_is_left();
}

#[test]
fn sockets_of_a_service_manager_are_handed_on() {
    let mut bundle = Bundle::new("listen-fds");
    fs::write(bundle.join("given"), "given").unwrap();
    bundle.script("echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; cat <&3").write();
    let run = |variables: &[(&str, &str)]| {
        let line =
            format!("exec {} --root {} run one 3<given", seclude_tests::oci_bin().display(), bundle.root().display());
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(bundle.path()).env_remove("LISTEN_PID").envs(variables.iter().copied());
        command.output().unwrap()
    };
    assert_eq!(stdout_of(&run(&[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "web")])), "1 1 web\ngiven");
    // Those of another process are not the container's.
    assert!(!stdout_of_any(&run(&[("LISTEN_FDS", "1"), ("LISTEN_PID", "1")])).contains("given"));
    bundle.nothing_is_left();
}

fn stdout_of_any(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn who_starts_it_on_some_processors_does_not_mean_it() {
    let all = seclude_tests::outside("grep Cpus_allowed_list /proc/self/status");
    let mut bundle = Bundle::new("processors");
    bundle.script("grep Cpus_allowed_list /proc/self/status; sleep 1000").write();
    let first = all.split_whitespace().last().unwrap().split([',', '-']).next().unwrap().to_owned();
    let root = bundle.root();
    let oci = |arguments: &[&str]| {
        let mut command = Command::new("taskset");
        command.args(["-c", &first]).arg(seclude_tests::oci_bin()).arg("--root").arg(&root).args(arguments);
        command.current_dir(bundle.path()).output().unwrap()
    };
    let out = fs::File::create(bundle.join("out")).unwrap();
    let mut command = Command::new("taskset");
    command.args(["-c", &first]).arg(seclude_tests::oci_bin()).arg("--root").arg(&root).args(["run", "-d", "one"]);
    assert!(command.current_dir(bundle.path()).stdout(out).status().unwrap().success());
    assert_eq!(stdout_of(&oci(&["exec", "one", "grep", "Cpus_allowed_list", "/proc/self/status"])), all);
    assert_eq!(fs::read_to_string(bundle.join("out")).unwrap().trim_end(), all);
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn a_hook_without_an_environment_has_that_of_who_is_there() {
    let mut bundle = Bundle::new("hook-environment");
    let path = bundle.join("said");
    let hook = |to: &str| json!([{ "path": "/bin/sh", "args": ["sh", "-c", format!("echo $MINE $HOME > {to}")] }]);
    bundle.set("/hooks", json!({ "createRuntime": hook(path.to_str().unwrap()), "startContainer": hook("/said") }));
    bundle.set("/process/env", json!(["PATH=/bin", "MINE=container"])).script("cat /said").write();
    let mut command = bundle.command(&["run", "one"]);
    let output = command.env("MINE", "runtime").env("HOME", "/there").output().unwrap();
    assert_eq!(stdout_of(&output), "container /");
    assert_eq!(fs::read_to_string(path).unwrap(), "runtime /there\n");
    bundle.nothing_is_left();
}

#[test]
fn a_link_of_the_image_takes_no_view_of_the_kernels() {
    let mut bundle = Bundle::new("proc-link");
    let _ = fs::remove_dir_all(bundle.rootfs.join("proc"));
    symlink("/elsewhere", bundle.rootfs.join("proc")).unwrap();
    fs::create_dir(bundle.rootfs.join("elsewhere")).unwrap();
    bundle.script("true").write();
    let said = bundle.refused(&["run", "one"]);
    assert!(
        said.contains("mounts[0].destination: ") && said.contains("must be mounted on ordinary directory"),
        "{said}"
    );
    bundle.nothing_is_left();
}

#[test]
fn a_tmpfs_has_the_mode_of_what_it_lies_on_and_a_read_only_dev_is_complete() {
    let mut bundle = Bundle::new("tmpfs-mode");
    fs::create_dir(bundle.rootfs.join("its")).unwrap();
    fs::set_permissions(bundle.rootfs.join("its"), std::os::unix::fs::PermissionsExt::from_mode(0o710)).unwrap();
    for (to, options) in [("/its", json!([])), ("other", json!([])), ("/said", json!(["mode=1500"]))] {
        bundle.mount(json!({ "destination": to, "type": "tmpfs", "source": "tmpfs", "options": options }));
    }
    assert_eq!(bundle.says("stat -c %a /its /other /said"), "710\n1777\n1500");
    bundle.config["mounts"][1]["options"] = json!(["nosuid", "mode=755", "size=64k", "ro"]);
    assert_eq!(
        bundle.says("test -c /dev/null && touch /dev/mine 2>&1; ls -d /dev/pts"),
        "touch: /dev/mine: Read-only file system\n/dev/pts"
    );
    // Where it has a console as well.
    bundle.set("/process/terminal", json!(true));
    assert_eq!(
        bundle.says("test -c /dev/console && touch /dev/mine 2>&1; true"),
        "touch: /dev/mine: Read-only file system"
    );
    bundle.set("/process/terminal", json!(false));
    // An option of a file system that a bind is none of is passed over, as mount(2) does.
    bundle
        .mount(json!({ "destination": "/bound", "type": "bind", "source": "/etc", "options": ["rbind", "mode=755"] }));
    bundle.script("true").write();
    let output = bundle.oci(&["--debug", "run", "one"]);
    assert!(told(&output).contains("mounts[6].options: \"mode\""), "{}", told(&output));
    bundle.nothing_is_left();
}

#[test]
fn an_exec_that_comes_to_nothing_has_a_status_of_its_own() {
    let mut bundle = Bundle::new("exec-status");
    bundle.script("sleep 1000").write();
    bundle.must(&["run", "-d", "one"]);
    let status = |arguments: &[&str]| bundle.oci(arguments).status.code();
    assert_eq!(status(&["exec", "one", "sh", "-c", "exit 1"]), Some(1));
    assert_eq!(status(&["exec", "one", "not-there"]), Some(255));
    assert_eq!(status(&["exec", "none", "true"]), Some(255));
    assert_eq!(status(&["kill", "none"]), Some(1));
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn lists_and_events_have_their_keys_in_the_order_of_others() {
    root_only!();
    let mut bundle = Bundle::new("order");
    bundle.script("sleep 1000").write();
    bundle.must(&["run", "-d", "one"]);
    let listed = bundle.must(&["list", "--format", "json"]);
    let places: Vec<_> =
        ["\"ociVersion\"", "\"id\"", "\"pid\"", "\"status\"", "\"bundle\"", "\"rootfs\"", "\"created\""]
            .map(|key| listed.find(key).unwrap_or_else(|| panic!("{key}: {listed}")))
            .into();
    assert!(listed.starts_with("[{\"ociVersion\":") && places.is_sorted(), "{listed}");
    assert!(bundle.must(&["events", "--stats", "one"]).starts_with(r#"{"type":"stats","id":"one","data":{"#));
    // A stream ends with what it is of, however far off its next look is.
    let mut stream = bundle.command(&["events", "--interval", "1000s", "one"]);
    let mut stream = stream.stdout(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    bundle.must(&["delete", "--force", "one"]);
    let began = std::time::Instant::now();
    while stream.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < seclude_tests::PATIENCE, "it ends");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(stream.wait().unwrap().success());
    bundle.nothing_is_left();
}

#[test]
fn hooks_of_the_creation_begin_in_the_bundle_and_in_the_root() {
    let mut bundle = Bundle::new("hook-directory");
    let said = bundle.join("said");
    let hook = |line: String| json!([{ "path": "/bin/sh", "args": ["sh", "-c", line], "env": ["PATH=/bin:/usr/bin"] }]);
    bundle.set(
        "/hooks",
        json!({
            "createRuntime": hook(format!("pwd > {}", said.display())),
            "createContainer": hook("touch ./made-here".to_owned()),
        }),
    );
    assert_eq!(bundle.says("ls /made-here"), "/made-here");
    assert_eq!(fs::read_to_string(said).unwrap().trim_end(), bundle.path().canonicalize().unwrap().to_str().unwrap());
    bundle.nothing_is_left();
}

#[test]
fn a_limit_of_memory_goes_with_that_of_swap_and_sizes_have_units() {
    root_only!();
    let mut bundle = Bundle::new("memory-units");
    bundle.set("/linux/resources", json!({ "memory": { "limit": 32 << 20, "swap": 32 << 20 } }));
    bundle.script("sleep 1000").write();
    bundle.must(&["run", "-d", "one"]);
    let limit = || {
        let read = |name: &str| {
            bundle.cgroups().iter().find_map(|above| fs::read_to_string(above.join("one").join(name)).ok())
        };
        read("memory.limit_in_bytes").or_else(|| read("memory.max")).unwrap().trim_end().to_owned()
    };
    assert_eq!(limit(), (32 << 20).to_string());
    bundle.must(&["update", "--memory", "16M", "one"]);
    assert_eq!(limit(), (16 << 20).to_string());
    bundle.must(&["update", "--memory", "-1", "one"]);
    assert!(["9223372036854771712", "max"].contains(&limit().as_str()), "{}", limit());
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn the_processors_that_an_exec_begins_on_are_told_to_who_debugs() {
    let mut bundle = Bundle::new("affinity-told");
    bundle.script("sleep 1000").write();
    bundle.must(&["run", "--detach", "one"]);
    let process = json!({ "cwd": "/", "args": ["true"], "env": ["PATH=/bin"], "execCPUAffinity": { "initial": "0" } });
    fs::write(bundle.join("process.json"), process.to_string()).unwrap();
    let exec = |flags: &[&str]| told(&bundle.oci(&[flags, &["exec", "--process", "process.json", "one"]].concat()));
    assert_eq!(exec(&["--debug"]), "seclude-oci: debug: affinity: 0x1\n");
    assert_eq!(exec(&[]), "");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn a_signal_that_ends_a_program_ends_what_waits_to_become_it() {
    let mut bundle = Bundle::new("signal-waits");
    bundle.script("true").write();
    for (signal, status) in [("TERM", "stopped"), ("HUP", "stopped"), ("WINCH", "created"), ("0", "created")] {
        bundle.must(&["create", "one"]);
        bundle.must(&["kill", "one", signal]);
        match status {
            "stopped" => bundle.becomes("one", status),
            _ => assert_eq!(bundle.status("one"), status, "{signal}"),
        }
        bundle.must(&["delete", "one"]);
    }
    bundle.nothing_is_left();
}

/// config.md, "Process": it "is REQUIRED when `start` is called", and not before.
#[test]
fn a_container_without_a_process_is_created_and_cannot_be_started() {
    let mut bundle = Bundle::new("no-process");
    bundle.config.as_object_mut().unwrap().remove("process");
    bundle.write();
    bundle.must(&["create", "one"]);
    assert_eq!(bundle.status("one"), "created");
    assert!(bundle.refused(&["start", "one"]).starts_with("seclude-oci: error: process: "));
    assert_eq!(bundle.status("one"), "created");
    bundle.must(&["delete", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn features_has_the_architectures_of_the_machine() {
    let bundle = Bundle::new("features");
    let features: serde_json::Value = serde_json::from_str(&bundle.must(&["features"])).unwrap();
    let expected = match std::env::consts::ARCH {
        "x86_64" => json!(["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"]),
        "aarch64" => json!(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
        other => panic!("{other}"),
    };
    assert_eq!(features["linux"]["seccomp"]["archs"], expected);
}

#[test]
fn a_process_begins_in_a_directory_that_it_could_not_enter_by_itself() {
    root_only!();
    let mut bundle = Bundle::new("closed-cwd");
    let closed = bundle.rootfs.join("closed");
    fs::create_dir(&closed).unwrap();
    std::os::unix::fs::chown(&closed, Some(1000), Some(1000)).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    bundle.set("/process/cwd", json!("/closed")).set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    bundle.script("sleep 1000").write();
    bundle.must(&["run", "--detach", "one"]);
    // Without any rights over others' files, as the container has none.
    assert_eq!(
        bundle.must(&["exec", "--user", "0", "one", "sh", "-c", "pwd; ls . 2>/dev/null || echo no"]),
        "/closed\nno"
    );
    bundle.must(&["delete", "--force", "one"]);
    bundle.set("/process/user", json!({ "uid": 1001, "gid": 1001 }));
    assert_eq!(bundle.says("pwd; cd /closed 2>/dev/null || echo no"), "/closed\nno");
    bundle.nothing_is_left();
}

#[test]
fn without_any_argument_it_says_what_it_can_do() {
    let bundle = Bundle::new("no-arguments");
    let output = std::process::Command::new(seclude_tests::oci_bin()).current_dir(bundle.path()).output().unwrap();
    let said = stdout_of(&output);
    for word in ["create", "start", "delete", "--root"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(output.stderr.is_empty());
}
