use std::fs;
use std::io::BufRead;
use std::process::Stdio;

use seclude_tests::{Bundle, root_only};
use serde_json::json;

#[test]
fn a_created_container_waits_and_runs_when_it_is_started() {
    let mut bundle = Bundle::new("waits");
    let mark = bundle.rootfs.join("tmp/mark");
    bundle.script("echo ran > /tmp/mark; while :; do sleep 0.1; done").write();
    let pid_file = bundle.join("pid");
    bundle.must(&["create", "--pid-file", pid_file.to_str().unwrap(), "one"]);

    let state = bundle.state("one");
    assert_eq!(state["status"], "created");
    assert_eq!(state["pid"].to_string(), fs::read_to_string(&pid_file).unwrap());
    let program = fs::read_to_string(format!("/proc/{}/comm", state["pid"])).unwrap();
    assert!(!mark.exists(), "nothing of the command has run, but {program}");

    bundle.must(&["start", "one"]);
    assert_eq!(bundle.status("one"), "running");
    let began = std::time::Instant::now();
    while !mark.exists() {
        assert!(began.elapsed() < seclude_tests::PATIENCE, "it has begun");
    }
    bundle.must(&["kill", "one", "KILL"]);
    bundle.becomes("one", "stopped");
    bundle.must(&["delete", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn what_waits_is_small_and_has_one_descriptor_besides_the_commands_own() {
    let mut bundle = Bundle::new("small");
    bundle.script("true").write();
    bundle.must(&["create", "one"]);
    let pid = bundle.state("one")["pid"].to_string();
    // Its memory is nobody's to look at but root's.
    if seclude_tests::is_root() {
        let own = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert_eq!(own, 4, "stdin, stdout, stderr and the socket");
        let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = memory.lines().find(|line| line.starts_with("Pss:")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kib <= 64, "{line}");
    }
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn start_succeeds_where_the_command_runs_and_nowhere_else() {
    let mut bundle = Bundle::new("few");
    let mark = bundle.rootfs.join("tmp/mark");
    // Below what anything of ours could have as its number; and a tree of more mounts than there may be open files.
    for (limit, mounts) in [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (8, 0), (16, 0), (40, 0), (59, 0), (64, 1100)] {
        bundle.set("/process/args", json!(["touch", "/tmp/mark"]));
        bundle.set("/process/rlimits", json!([{ "type": "RLIMIT_NOFILE", "soft": limit, "hard": limit }]));
        let more = json!({ "type": "tmpfs", "source": "none", "options": ["size=4k"] });
        let given = bundle.config["mounts"].as_array().unwrap().clone();
        let many = (0..mounts).map(|number| {
            let mut one = more.clone();
            one["destination"] = json!(format!("/tmp/of/{number}"));
            one
        });
        bundle.set("/mounts", given.iter().cloned().chain(many).collect());
        let output = bundle.run("one");
        bundle.set("/mounts", given.into());
        let has_run = fs::remove_file(&mark).is_ok();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), has_run, "{limit}: {said}");
        // With fewer it could not be told by a descriptor, nor the command open its file.
        let tells = said.contains("EMFILE") || said.contains("Too many open files");
        assert!(if limit < 4 { tells } else { has_run }, "{limit}: {said}");
        bundle.nothing_is_left();
    }
}

#[test]
fn run_ends_with_the_commands_exit_code_and_leaves_nothing() {
    let mut bundle = Bundle::new("run");
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        // The first process of a pid namespace is killed by nobody inside.
        let script = if code == 137 { "sh -c 'kill -9 $$'; exit $?" } else { script };
        bundle.script(script);
        assert_eq!(bundle.run("one").status.code(), Some(code), "{script}");
        bundle.nothing_is_left();
    }
}

#[test]
fn signals_go_on_to_what_runs_in_the_foreground() {
    let mut bundle = Bundle::new("signals");
    bundle.script("trap 'echo got it; exit 4' USR1; echo up; while :; do sleep 0.05; done").write();
    let mut run = seclude_tests::Background::of(&mut bundle.command(&["run", "one"]));
    assert_eq!(run.line(), "up");
    run.signal(rustix::process::Signal::USR1);
    assert_eq!(run.line(), "got it");
    assert_eq!(run.end().0, Some(4));
    bundle.nothing_is_left();
}

#[test]
fn every_signal_that_is_not_the_runtimes_own_goes_on() {
    let mut bundle = Bundle::new("allsignals");
    // Its own: faults, KILL and STOP, its children's, the terminal's, URG; PIPE, which it ignores; and two that libc has.
    let own = [4, 5, 6, 7, 8, 9, 11, 13, 17, 19, 21, 22, 23, 31, 32, 33];
    let others: Vec<u32> = (1..=64).filter(|number| !own.contains(number)).collect();
    let traps: String = others.iter().map(|number| format!("trap 'echo {number}' {number}; ")).collect();
    bundle.script(&format!("{traps} trap 'echo no' URG; echo up; while :; do sleep 0.05; done")).write();
    let send = |pid: u32, signal: u32| {
        let sent = std::process::Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().unwrap();
        assert!(sent.success(), "{signal}");
    };
    let ways =
        [&["run", "one"][..], &["exec", "two", "sh", "-c", bundle.config["process"]["args"][2].as_str().unwrap()]];
    for way in ways {
        if way[0] == "exec" {
            bundle.must(&["run", "--detach", "two"]);
        }
        let mut run = seclude_tests::Background::of(&mut bundle.command(way));
        assert_eq!(run.line(), "up");
        // The contrast.
        send(run.child().id(), 23);
        for signal in &others {
            send(run.child().id(), *signal);
            assert_eq!(run.line(), signal.to_string(), "{way:?}");
        }
        if way[0] == "exec" {
            bundle.must(&["delete", "--force", "two"]);
        } else {
            bundle.must(&["kill", "one", "KILL"]);
        }
        assert_eq!(run.end().0, Some(137), "{way:?}");
    }
    bundle.nothing_is_left();
}

#[test]
fn a_command_that_is_not_there_is_an_error_of_its_creation() {
    let mut bundle = Bundle::new("nosuch");
    bundle.set("/process/args", json!(["nosuch"])).write();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.contains("process.args: ") && said.contains("no such file or directory"), "{said}");
    bundle.set("/process/args", json!(["/etc"])).write();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.contains("permission denied"), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn each_command_is_refused_where_the_container_is_not_what_it_needs() {
    let mut bundle = Bundle::new("order");
    bundle.script("while :; do sleep 0.1; done").write();
    for command in
        [&["start", "one"][..], &["state", "one"], &["kill", "one"], &["delete", "one"], &["exec", "one", "true"]]
    {
        let said = bundle.refused(command);
        assert!(said.ends_with("container does not exist: one"), "{said}");
    }
    bundle.must(&["delete", "--force", "one"]);
    bundle.must(&["create", "one"]);
    assert!(bundle.refused(&["create", "one"]).contains("already exists"));
    bundle.must(&["start", "one"]);
    assert!(bundle.refused(&["start", "one"]).contains("cannot start a container that is running"));
    assert!(bundle.refused(&["delete", "one"]).contains("not stopped"));
    assert!(bundle.refused(&["kill", "one", "NOTHING"]).contains("unknown signal"));
    bundle.must(&["kill", "one", "9"]);
    bundle.becomes("one", "stopped");
    assert!(bundle.refused(&["kill", "one", "9"]).contains("container not running"));
    assert!(bundle.refused(&["exec", "one", "true"]).contains("container not running"));
    assert!(bundle.refused(&["start", "one"]).contains("cannot start a container that is stopped"));
    bundle.must(&["delete", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn options_stand_before_or_behind_the_id() {
    let mut bundle = Bundle::new("options");
    bundle.script("while :; do sleep 0.1; done").write();
    let elsewhere = bundle.path().to_str().unwrap().to_owned();
    bundle.must(&["create", "one", "--bundle", &elsewhere]);
    bundle.must(&["start", "one"]);
    bundle.must(&["kill", "one", "--all", "KILL"]);
    bundle.must(&["delete", "one", "--force"]);
    let log = bundle.join("log");
    bundle.oci(&["state", "--log", log.to_str().unwrap(), "--log-format", "json", "one"]);
    let line: serde_json::Value = serde_json::from_str(fs::read_to_string(log).unwrap().trim_end()).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], "container does not exist: one");
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn exec_runs_in_the_container_with_its_rights_and_tells_its_exit_code() {
    let mut bundle = Bundle::new("exec");
    bundle.set("/hostname", json!("inner")).script("while :; do sleep 0.1; done").write();
    bundle.must(&["run", "--detach", "one"]);
    assert_eq!(bundle.must(&["exec", "one", "hostname"]), "inner");
    assert_eq!(bundle.must(&["exec", "one", "cat", "/proc/1/comm"]), "sh", "the container's own processes");
    assert_eq!(bundle.must(&["exec", "--env", "A=b", "--cwd", "/tmp", "one", "sh", "-c", "echo $A; pwd"]), "b\n/tmp");
    let status = bundle.must(&["exec", "one", "cat", "/proc/self/status"]);
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("CapEff:\t0000000000000000"), "{status}");
    assert_eq!(bundle.oci(&["exec", "one", "sh", "-c", "exit 5"]).status.code(), Some(5));
    let said = bundle.refused(&["exec", "one", "nosuch"]);
    assert!(said.contains("no such file or directory"), "{said}");

    let process = bundle.join("process.json");
    fs::write(&process, json!({ "args": ["pwd"], "cwd": "/tmp", "env": ["PATH=/bin"] }).to_string()).unwrap();
    assert_eq!(bundle.must(&["exec", "--process", process.to_str().unwrap(), "one"]), "/tmp");

    let pid_file = bundle.join("pid");
    let command =
        ["exec", "--detach", "--pid-file", pid_file.to_str().unwrap(), "one", "sh", "-c", "echo x > /tmp/done"];
    bundle.must(&command);
    assert!(fs::read_to_string(pid_file).unwrap().parse::<u32>().is_ok());
    let began = std::time::Instant::now();
    while !bundle.rootfs.join("tmp/done").exists() {
        assert!(began.elapsed() < seclude_tests::PATIENCE, "it runs on");
    }
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn its_processes_are_listed_held_still_counted_and_limited_anew() {
    root_only!();
    let mut bundle = Bundle::new("resources");
    bundle.set("/linux/resources", json!({ "pids": { "limit": 30 } }));
    bundle.script("while :; do sleep 0.1; done").write();
    bundle.must(&["run", "--detach", "one"]);
    let pids: Vec<u32> = serde_json::from_str(&bundle.must(&["ps", "--format", "json", "one"])).unwrap();
    assert!(pids.contains(&bundle.state("one")["pid"].to_string().parse().unwrap()), "{pids:?}");

    bundle.must(&["pause", "one"]);
    assert_eq!(bundle.status("one"), "paused");
    assert!(bundle.refused(&["exec", "one", "true"]).contains("paused"));
    bundle.must(&["resume", "one"]);
    assert_eq!(bundle.status("one"), "running");

    bundle.must(&["update", "--pids-limit", "20", "one"]);
    let limit = |bundle: &Bundle| {
        let found = bundle.cgroups().into_iter().map(|path| path.join("one/pids.max")).find(|path| path.exists());
        fs::read_to_string(found.unwrap()).unwrap()
    };
    assert_eq!(limit(&bundle), "20\n");
    let file = bundle.join("resources.json");
    fs::write(&file, r#"{"pids":{"limit":25}}"#).unwrap();
    bundle.must(&["update", "--resources", file.to_str().unwrap(), "one"]);
    assert_eq!(limit(&bundle), "25\n");
    let line: serde_json::Value = serde_json::from_str(&bundle.must(&["events", "--stats", "one"])).unwrap();
    assert!(line["data"]["pids"]["current"].as_u64().unwrap() >= 1, "{line}");

    bundle.must(&["pause", "one"]);
    bundle.must(&["delete", "--force", "one"]);
    bundle.must(&["create", "one"]);
    bundle.must(&["pause", "one"]);
    assert_eq!(bundle.status("one"), "paused");
    assert!(bundle.refused(&["start", "one"]).contains("cannot start a container that is paused"));
    bundle.must(&["resume", "one"]);
    assert_eq!(bundle.status("one"), "created");
    bundle.must(&["kill", "one", "0"]);
    bundle.must(&["start", "one"]);
    // Left behind by a `start` that was killed, the file says nothing.
    drop(std::os::unix::net::UnixListener::bind(bundle.root().join("one/start.sock")).unwrap());
    assert_eq!(bundle.status("one"), "running");
    assert!(bundle.refused(&["start", "one"]).contains("cannot start a container that is running"));
    bundle.must(&["events", "--stats", "--interval", "500ms", "one"]);
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn containers_are_listed() {
    let mut bundle = Bundle::new("list");
    bundle.script("true").write();
    assert_eq!(bundle.must(&["list", "--quiet"]), "");
    bundle.must(&["create", "b"]);
    assert_eq!(bundle.must(&["list", "-q"]), "b");
    let listed: serde_json::Value = serde_json::from_str(&bundle.must(&["list", "--format", "json"])).unwrap();
    assert_eq!(listed[0]["id"], "b");
    assert_eq!(listed[0]["status"], "created");
    assert!(bundle.must(&["list"]).lines().nth(1).unwrap().starts_with("b "));
    bundle.must(&["delete", "b"]);
    bundle.nothing_is_left();
}

#[test]
fn what_it_can_do_and_a_configuration_to_begin_with_are_told() {
    let mut bundle = Bundle::new("features");
    let features: serde_json::Value = serde_json::from_str(&bundle.must(&["features"])).unwrap();
    assert_eq!(features["linux"]["cgroup"]["systemd"], true);
    let place = bundle.join("new");
    fs::create_dir(&place).unwrap();
    bundle.must(&["spec", "--bundle", place.to_str().unwrap()]);
    bundle.config = serde_json::from_str(&fs::read_to_string(place.join("config.json")).unwrap()).unwrap();
    assert_eq!(bundle.config["linux"]["namespaces"][0]["type"], "pid");
    assert!(bundle.refused(&["spec", "--bundle", place.to_str().unwrap()]).contains("is there already"));
    let users = bundle.join("users");
    fs::create_dir(&users).unwrap();
    bundle.must(&["spec", "--rootless", "--bundle", users.to_str().unwrap()]);
    assert!(fs::read_to_string(users.join("config.json")).unwrap().contains("uidMappings"));
    for command in ["checkpoint", "restore"] {
        assert!(bundle.refused(&[command, "one"]).contains("does not do that"));
    }
}

#[test]
fn what_is_executed_runs_on_the_processors_that_are_said() {
    let mut bundle = Bundle::new("affinity");
    let allowed = |bundle: &Bundle| bundle.must(&["exec", "one", "grep", "Cpus_allowed_list", "/proc/self/status"]);
    bundle.script("while :; do sleep 0.1; done").write();
    bundle.must(&["run", "--detach", "one"]);
    let all = allowed(&bundle);
    bundle.must(&["delete", "--force", "one"]);
    let list = all.split_whitespace().last().unwrap().to_owned();
    let first = list.split([',', '-']).next().unwrap().to_owned();
    bundle.set("/process/execCPUAffinity", json!({ "initial": first, "final": first })).write();
    bundle.must(&["run", "--detach", "one"]);
    assert_eq!(allowed(&bundle), format!("Cpus_allowed_list:\t{first}"));
    assert_eq!(allowed(&bundle) == all, list == first, "the contrast, where there are others");
    // The process file's own counts, and the container's process has none of it.
    let pid = bundle.state("one")["pid"].to_string();
    assert!(fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains(&all));
    let process = bundle.join("process.json");
    let words = json!({ "args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "execCPUAffinity": { "final": "8000" } });
    fs::write(&process, words.to_string()).unwrap();
    let said = bundle.refused(&["exec", "--process", process.to_str().unwrap(), "one"]);
    assert!(said.contains("process.execCPUAffinity.final: "), "{said}");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn what_is_executed_in_a_paused_container_begins_when_that_goes_on() {
    root_only!();
    let mut bundle = Bundle::new("execpaused");
    bundle.script("while :; do sleep 0.1; done").write();
    bundle.must(&["run", "--detach", "one"]);
    bundle.must(&["pause", "one"]);
    let mark = bundle.rootfs.join("tmp/mark");
    let arguments = ["exec", "--ignore-paused", "one", "sh", "-c", "echo ran > /tmp/mark; exit 6"];
    let mut exec = seclude_tests::Background::of(&mut bundle.command(&arguments));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(exec.runs() && !mark.exists(), "it waits");
    assert_eq!(bundle.status("one"), "paused");
    assert!(bundle.refused(&["exec", "one", "true"]).contains("paused"), "the contrast");
    bundle.must(&["resume", "one"]);
    assert_eq!(exec.wait(), Some(6));
    assert_eq!(fs::read_to_string(&mark).unwrap(), "ran\n");
    // Given up before, it never begins.
    fs::remove_file(&mark).unwrap();
    bundle.must(&["pause", "one"]);
    let mut exec = seclude_tests::Background::of(&mut bundle.command(&arguments));
    seclude_tests::until_held(exec.child().id(), 15);
    std::thread::sleep(std::time::Duration::from_millis(500));
    exec.signal(rustix::process::Signal::TERM);
    assert_eq!(exec.wait(), Some(255));
    bundle.must(&["resume", "one"]);
    bundle.must(&["exec", "one", "true"]);
    assert!(!mark.exists());
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn a_lease_of_the_containers_list_of_users_holds_no_exec_up() {
    let mut bundle = Bundle::new("leased");
    let passwd = bundle.rootfs.join("etc/passwd");
    fs::create_dir_all(passwd.parent().unwrap()).unwrap();
    fs::write(&passwd, "root:x:0:0::/by-list:/bin/sh\n").unwrap();
    bundle.script("while :; do sleep 0.1; done").write();
    bundle.must(&["run", "--detach", "one"]);
    let home = || bundle.must(&["exec", "one", "sh", "-c", "echo $HOME"]);
    assert_eq!(home(), "/by-list");
    // F_SETLEASE, F_WRLCK, by its owner, as the container's root is: whoever opens it waits 45 s, and again.
    let hold = "import fcntl, os, signal, sys, time\nsignal.signal(signal.SIGIO, lambda *_: None)\n\
        f = os.open(sys.argv[1], 0)\nfcntl.fcntl(f, 1024, 1)\nprint('held', flush=True)\n\
        while True:\n    try: fcntl.fcntl(f, 1024, 1)\n    except OSError: pass\n    time.sleep(0.01)";
    let mut holder = std::process::Command::new("python3");
    let mut holder = holder.args(["-c", hold]).arg(&passwd).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let began = std::time::Instant::now();
    let while_held = bundle.oci(&["exec", "one", "sh", "-c", "echo $HOME"]);
    let took = began.elapsed();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!((line.trim(), seclude_tests::stdout_of(&while_held).as_str()), ("held", "/"));
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
    assert_eq!(home(), "/by-list");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn what_was_never_made_is_to_engines_what_does_not_exist() {
    let mut bundle = Bundle::new("nevermade");
    bundle.script("true").write();
    // As a creation leaves it that is killed at its very beginning.
    fs::create_dir_all(bundle.root().join("one")).unwrap();
    for command in
        [&["start", "one"][..], &["state", "one"], &["kill", "one"], &["exec", "one", "true"], &["update", "one"]]
    {
        let said = bundle.refused(command);
        assert!(said.contains("container does not exist: one"), "{said}");
    }
    bundle.must(&["delete", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn one_whose_state_cannot_be_read_is_told_and_can_be_deleted() {
    root_only!();
    for path in [true, false] {
        let mut bundle = Bundle::new("unread");
        if !path {
            bundle.set("/linux/cgroupsPath", json!(""));
        }
        bundle.script("while :; do sleep 0.1; done").write();
        bundle.must(&["run", "--detach", "one"]);
        let pid = bundle.state("one")["pid"].to_string();
        fs::write(bundle.root().join("one/state.json"), "{\"ociVersion\": \"1.").unwrap();
        let listed = bundle.oci(&["list"]);
        let told = String::from_utf8_lossy(&listed.stderr).into_owned();
        assert!(listed.status.success() && told.contains("one: state.json: "), "{told}");
        assert!(bundle.refused(&["delete", "one"]).contains("`delete --force` removes what can be found of it"));
        bundle.must(&["delete", "--force", "one"]);
        let began = std::time::Instant::now();
        while std::path::Path::new("/proc").join(&pid).exists() {
            assert!(began.elapsed() < seclude_tests::PATIENCE, "its processes go with its cgroup");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        bundle.nothing_is_left();
    }
}

#[test]
fn a_creation_for_which_there_are_too_few_descriptors_leaves_no_name_taken() {
    let mut bundle = Bundle::new("few");
    bundle.script("true").write();
    let (mut refused, mut made) = (0, 0);
    for most in 3..48 {
        let script = format!("ulimit -n {most}; exec \"$0\" --root \"$1\" create one");
        let mut create = std::process::Command::new("sh");
        create.args(["-c", &script]).arg(seclude_tests::oci_bin()).arg(bundle.root()).current_dir(bundle.path());
        let created = create.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        match created.success() {
            true => {
                bundle.must(&["delete", "--force", "one"]);
                made += 1;
            }
            false => refused += 1,
        }
        // What could not be undone, as that needs some as well, is a container that has come to nothing, and can be deleted.
        if bundle.root().join("one").exists() {
            assert_eq!(bundle.status("one"), "stopped", "with {most}");
            bundle.must(&["delete", "one"]);
        }
    }
    bundle.nothing_is_left();
    assert!(refused > 3 && made > 0, "{refused} {made}");
}

#[test]
fn what_is_no_container_is_not_listed() {
    let mut bundle = Bundle::new("listed");
    bundle.script("true").write();
    // A root that is not there has none, and is made by nobody who only asks.
    assert_eq!((bundle.must(&["list", "-q"]), bundle.must(&["list", "-f", "json"])), (String::new(), "[]".to_owned()));
    for command in [
        &["state", "one"][..],
        &["kill", "one"],
        &["start", "one"],
        &["delete", "one"],
        &["ps", "one"],
        &["events", "one"],
        &["exec", "one", "true"],
    ] {
        assert!(bundle.refused(command).ends_with("container does not exist: one"), "{command:?}");
    }
    bundle.must(&["delete", "--force", "one"]);
    assert!(!bundle.root().exists());
    bundle.must(&["create", "one"]);
    fs::write(bundle.root().join("file"), "").unwrap();
    fs::create_dir(bundle.root().join("half")).unwrap();
    std::os::unix::fs::symlink("one", bundle.root().join("link")).unwrap();
    assert_eq!(bundle.must(&["list", "-q"]), "one");
    let all: serde_json::Value = serde_json::from_str(&bundle.must(&["list", "-f", "json"])).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1);
    fs::remove_file(bundle.root().join("file")).unwrap();
    fs::remove_file(bundle.root().join("link")).unwrap();
    bundle.must(&["delete", "half"]);
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}
