//! Where the cgroup is, how the process comes there, and what it sees and can reach of it.

use seclude_tests::{Cgroups, on_v2, outside, root_only, shell};

use crate::all;

#[test]
fn the_process_is_in_its_cgroup_whatever_way_it_was_cloned() {
    let Some(cgroups) = Cgroups::with("ways", &["--pids", "50"]) else { return };
    for way in ["vm", "copy", "legacy"] {
        let show =
            ["--share", "cgroup", "--pids", "50", "--clone", way, "grep", "seclude\\|inside", "/proc/self/cgroup"];
        let (output, report) = cgroups.report(&show);
        let path = report["spawn"]["cgroup"]["path"].as_str().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("{path}/inside")), "{way}: {said}");
        let entered = report["spawn"]["cgroup"]["entered"].as_str().unwrap();
        match (way, on_v2("pids")) {
            ("legacy", _) => assert_eq!(entered, "joined"),
            // Before Linux 5.7 nobody is born in a cgroup.
            (_, true) => assert!(["born", "joined"].contains(&entered), "{entered}"),
            (_, false) => assert!(["born-and-joined", "joined"].contains(&entered), "{entered}"),
        }
    }
    cgroups.done();
}

#[test]
fn a_cgroup_namespace_of_its_own_shows_the_container_its_own_root() {
    let Some(cgroups) = Cgroups::with("namespace", &["--pids", "50"]) else { return };
    let show = ["--pids", "50", "grep", ":pids:\\|^0::", "/proc/self/cgroup"];
    let own = cgroups.run(&show);
    for line in String::from_utf8_lossy(&own.stdout).lines() {
        assert!(line.ends_with(":/"), "{line}");
    }
    let shared = cgroups.run(&[&["--share", "cgroup"], &show[..]].concat());
    assert!(String::from_utf8_lossy(&shared.stdout).contains("/inside"), "{}", all(&shared));
    cgroups.done();
}

#[test]
fn two_hundred_at_once_have_a_cgroup_each_and_then_none_is_left() {
    let Some(cgroups) = Cgroups::with("many", &["--pids", "10"]) else { return };
    // Each takes several descriptors of this process.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).unwrap();
    let limits = seclude::Limits::new().pids_max(10);
    let mut command = shell("exec sleep 1000");
    command.sandbox().cgroup(cgroups.cgroup().limits(limits));
    let mut running: Vec<seclude::Child> = (0..200).map(|_| command.spawn().unwrap()).collect();
    let paths: std::collections::BTreeSet<String> =
        running.iter().map(|child| child.report().cgroup.as_ref().unwrap().path.clone()).collect();
    assert_eq!(paths.len(), 200);
    for directory in cgroups.directories() {
        let there = std::fs::read_dir(&directory).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
        assert_eq!(there, 200, "{}", directory.display());
    }
    for child in &mut running {
        child.kill().unwrap();
        let exit = child.wait().unwrap();
        assert_eq!((exit.cause(), exit.tree()), (seclude::Cause::Killed, seclude::Tree::CgroupRemoved));
    }
    cgroups.done();
}

#[test]
fn a_container_that_does_not_start_leaves_no_cgroup() {
    let Some(cgroups) = Cgroups::with("unstarted", &["--pids", "10"]) else { return };
    for (code, arguments) in [
        (127, &["/no/such/command"][..]),
        (125, &["--bind", "/no/such/source:/mnt", "true"]),
        (125, &["--workdir", "/no/such/directory", "true"]),
        (126, &["/etc/passwd"]),
    ] {
        let output = cgroups.run(&[&["--pids", "10", "--memory", "64M"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{}", all(&output));
        assert!(cgroups.directories().is_empty(), "{arguments:?}");
    }
    cgroups.done();
}

#[test]
fn the_mount_of_its_cgroup_is_read_only_unless_it_may_make_cgroups() {
    let Some(cgroups) = Cgroups::with("mounted", &["--cgroup-mount"]) else { return };
    let make =
        "mkdir /sys/fs/cgroup/own 2>&1 && echo $$ > /sys/fs/cgroup/own/cgroup.procs && grep ^0 /proc/self/cgroup";
    let said = |flags: &[&str]| {
        let output = cgroups.run(&[flags, &["sh", "-c", make]].concat());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert!(said(&["--cgroup-mount"]).contains("Read-only file system"));
    assert_eq!(said(&["--cgroup-mount=rw"]), "0::/own");
    if seclude_tests::is_root() {
        assert_eq!(said(&["--cgroup-mount=rw", "--map-subids"]), "0::/own", "delegated to whoever is root inside");
    }
    cgroups.done();
}

#[test]
fn who_may_make_cgroups_makes_a_thousand_thirty_deep_and_they_go_with_it() {
    let Some(cgroups) = Cgroups::with("bounded", &["--cgroup-mount=rw"]) else { return };
    let make = r#"
import os
def most(make):
    made = 0
    try:
        while made < 1500:
            make(made); made += 1
    except OSError: pass
    return made
os.chdir("/sys/fs/cgroup")
def deeper(_): os.mkdir("a"); os.chdir("a")
deep = most(deeper)
os.chdir("/sys/fs/cgroup")
print(deep, most(lambda number: os.mkdir(f"w{number}")))
os.chmod("/sys/fs/cgroup/a/a", 0)
os.chmod("/sys/fs/cgroup", 0o500)"#;
    let output = cgroups.run(&["--cgroup-mount=rw", "python3", "-c", make]);
    // Of both `inside` is one, as whoever has mounted it sees the rest.
    assert_eq!(seclude_tests::stdout_of(&output), "31 968");
    cgroups.done();
}

#[test]
fn root_inside_cannot_lift_its_limits() {
    root_only!();
    let Some(cgroups) = Cgroups::with("lifted", &["--pids", "20"]) else { return };
    // All that it can mount shows the cgroup below the one with the limits. What it writes there holds nothing up.
    let lift = "
        for kind in 'cgroup2 none' 'cgroup -o pids none'; do
            mkdir -p /tmp/c && mount -t $kind /tmp/c 2>/dev/null || continue
            [ -e /tmp/c/pids.max ] && echo max > /tmp/c/pids.max && cat /tmp/c/pids.max
            umount /tmp/c
        done
        python3 -c 'import os, signal
made = 0
try:
    while made < 100:
        os.fork() or signal.pause()
        made += 1
except OSError: pass
print(\"lifted\" if made == 100 else \"held\")'";
    let output = cgroups.run(&["--cap-add", "ALL", "--pids", "20", "sh", "-c", lift]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("held\n"), "{}", all(&output));
    let free = cgroups.run(&["--cap-add", "ALL", "--pids", "1000", "sh", "-c", lift]);
    assert!(String::from_utf8_lossy(&free.stdout).ends_with("lifted\n"), "{}", all(&free));
    cgroups.done();
}

#[test]
fn a_limit_that_the_hosts_root_could_lift_inside_is_refused() {
    root_only!();
    let Some(disk) = std::fs::read_dir("/sys/block").unwrap().flatten().map(|entry| entry.path()).find(|path| {
        // A loop device without a file has no throttle to set.
        std::fs::read_to_string(path.join("size")).is_ok_and(|size| size.trim() != "0")
    }) else {
        return;
    };
    let disk = std::fs::read_to_string(disk.join("dev")).unwrap();
    let limit = format!("{}:rbps=1G", disk.trim());
    let Some(cgroups) = Cgroups::with("block", &["--io-max", &limit]) else { return };
    // However it is said.
    for ids in [&["--host-root"][..], &["--uid-map", "0:0:1", "--gid-map", "0:0:1"]] {
        let own = |flags: &[&str]| cgroups.run(&[&["--io-max", &limit], ids, flags, &["true"]].concat());
        assert!(own(&[]).status.success(), "{}", all(&own(&[])));
        let said = own(&["--cap-add", "SYS_ADMIN"]);
        if on_v2("io") {
            assert!(said.status.success(), "{}", all(&said));
        } else {
            assert_eq!(said.status.code(), Some(125), "{}", all(&said));
            assert!(all(&said).contains("could lift them with CAP_SYS_ADMIN"), "{}", all(&said));
        }
    }
    // Whose files they are not cannot write them.
    let said = cgroups.run(&["--io-max", &limit, "--cap-add", "SYS_ADMIN", "true"]);
    assert!(said.status.success(), "{}", all(&said));
    cgroups.done();
}

#[test]
fn the_hosts_cgroups_cannot_be_written_from_inside() {
    // CVE-2023-25809
    let Some(cgroups) = Cgroups::with("above", &["--pids", "20"]) else { return };
    let script =
        "find /sys/fs/cgroup -name cgroup.procs | while read f; do echo $$ > $f && echo written $f; done; true";
    let output = cgroups.run(&["--pids", "20", "sh", "-c", script]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(outside("find /sys/fs/cgroup -name cgroup.procs | head -1").ends_with("cgroup.procs"));
    cgroups.done();
}

#[test]
fn a_caller_in_an_inner_cgroup_is_moved_only_if_it_says_so() {
    root_only!();
    if !on_v2("memory") {
        return eprintln!("skipped: only v2 has the rule");
    }
    let parent = format!("/seclude-test/inner-{}", std::process::id());
    // A cgroup with the caller alone in it, which has to be gone before it can be removed.
    let script = |flags: &str| {
        let directory = format!("/sys/fs/cgroup{parent}");
        let seclude = seclude_tests::seclude_bin();
        outside(&format!(
            "mkdir -p {directory}; echo +memory > /sys/fs/cgroup/cgroup.subtree_control; \
             echo +memory > /sys/fs/cgroup/seclude-test/cgroup.subtree_control; \
             sh -c 'echo $$ > {directory}/cgroup.procs; exec {} run --cgroup {parent} --memory 64M {flags} echo ran' 2>&1; \
             find {directory} -mindepth 1 -type d -exec rmdir {{}} +; rmdir {directory}; rmdir /sys/fs/cgroup/seclude-test \
             2>/dev/null; true",
            seclude.display()
        ))
    };
    let refused = script("");
    assert!(refused.contains("has processes of its own") && refused.contains("move those processes"), "{refused}");
    assert_eq!(script("--cgroup-move-self"), "ran");
}

#[test]
fn a_parent_that_is_still_to_be_made_has_no_caller_to_move() {
    let Some(cgroups) = Cgroups::with("unmade", &["--pids", "20"]) else { return };
    let output = cgroups.run(&["--cgroup-move-self", "--pids", "20", "echo", "ran"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ran\n", "{}", all(&output));
    cgroups.done();
}
