use std::fs;

use seclude_tests::{Bundle, outside, root_only, stdout_of};
use serde_json::{Value, json};

const ALL: [&str; 3] = ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"];

#[test]
fn names_words_and_places_are_those_of_the_configuration() {
    let mut bundle = Bundle::new("words");
    assert_eq!(bundle.says_with("/hostname", json!("inner"), "hostname"), "inner");
    assert_ne!(outside("hostname"), "inner");
    assert_eq!(bundle.says_with("/domainname", json!("domain"), "cat /proc/sys/kernel/domainname"), "domain");
    assert_eq!(bundle.says_with("/process/env", json!(["PATH=/bin", "A=b c"]), "echo $A $HOME"), "b c /");
    assert_eq!(bundle.says_with("/process/cwd", json!("/tmp"), "pwd"), "/tmp");
    assert_eq!(bundle.says_with("/process/cwd", json!("/made/for/it"), "pwd"), "/made/for/it");
    fs::write(bundle.rootfs.join("etc/passwd"), "a:x:0:0::/root:/bin/sh\n").unwrap();
    assert_eq!(bundle.says("echo $HOME"), "/root");
    assert_eq!(bundle.says_with("/process/env", json!(["PATH=/bin", "HOME=/there", "HOME="]), "echo $HOME"), "/root");
    bundle.nothing_is_left();
}

#[test]
fn the_process_has_its_ids_limits_and_rights_and_no_more() {
    let mut bundle = Bundle::new("rights");
    let status = |bundle: &mut Bundle| bundle.says("cat /proc/self/status; umask; ulimit -n");
    let plain = status(&mut bundle);
    assert!(plain.contains("CapBnd:\t0000000000000000") && plain.contains("CapEff:\t0000000000000000"), "{plain}");
    assert!(plain.contains("NoNewPrivs:\t1") && plain.contains("\n0022\n"), "{plain}");
    bundle.set("/process/noNewPrivileges", json!(false));
    bundle.set("/process/capabilities", json!({ "bounding": ALL, "effective": ALL[..2], "permitted": ALL }));
    bundle.set("/process/rlimits", json!([{ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 }]));
    bundle.set("/process/user/umask", json!(0o27));
    bundle.set("/process/oomScoreAdj", json!(555));
    let more = status(&mut bundle);
    // Its exec as uid 0 gives all of the bounding set.
    assert!(more.contains("CapBnd:\t0000000000002021") && more.contains("CapPrm:\t0000000000002021"), "{more}");
    assert!(more.contains("NoNewPrivs:\t0") && more.ends_with("0027\n100"), "{more}");
    assert_eq!(bundle.says("cat /proc/self/oom_score_adj"), "555");
    bundle.nothing_is_left();
}

#[test]
fn another_user_keeps_what_is_ambient_and_loses_the_rest() {
    root_only!();
    let mut bundle = Bundle::new("user");
    bundle.set("/process/user", json!({ "uid": 1234, "gid": 5678, "additionalGids": [99] }));
    let one = ["CAP_NET_RAW"];
    bundle.set("/process/capabilities", json!({ "bounding": ALL, "effective": ALL, "permitted": ALL }));
    let status = bundle.says("id -u; id -G; cat /proc/self/status");
    assert!(status.starts_with("1234\n5678 99\n") && status.contains("CapEff:\t0000000000000000"), "{status}");
    bundle.set(
        "/process/capabilities",
        json!({ "bounding": ALL, "effective": one, "permitted": one, "inheritable": one, "ambient": one }),
    );
    let status = bundle.says("cat /proc/self/status");
    assert!(status.contains("CapEff:\t0000000000002000") && status.contains("CapAmb:\t0000000000002000"), "{status}");
    // The kernel has none among the ambient ones that is not inheritable: that is told, and done without.
    bundle.set("/process/capabilities", json!({ "bounding": ALL, "effective": one, "permitted": one, "ambient": one }));
    let output = bundle.run("one");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("process.capabilities.ambient: can't raise ambient capability CAP_NET_RAW: "), "{said}");
    assert!(stdout_of(&output).contains("CapAmb:\t0000000000000000"));
    bundle.nothing_is_left();
}

#[test]
fn the_usual_devices_and_links_are_there_and_others_are_made() {
    root_only!();
    let mut bundle = Bundle::new("devices");
    bundle.set(
        "/linux/devices",
        json!([
            { "path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 5, "gid": 6 },
            { "path": "/dev/pipe", "type": "p", "fileMode": 0o600 },
        ]),
    );
    let listed = bundle.says("stat -c '%n %F %a %u %g %t %T' /dev/null /dev/tty /dev/mine /dev/pipe; for link in fd stdin ptmx; do readlink /dev/$link; done;");
    let expected = [
        "/dev/null character special file 666 0 0 1 3",
        "/dev/tty character special file 666 0 0 5 0",
        "/dev/mine character special file 640 5 6 1 3",
        "/dev/pipe fifo 600 0 0 0 0",
        "/proc/self/fd",
        "/proc/self/fd/0",
        "pts/ptmx",
    ];
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    bundle.nothing_is_left();
}

#[test]
fn rules_of_devices_hold() {
    root_only!();
    let mut bundle = Bundle::new("rules");
    let caps = ["CAP_MKNOD", "CAP_DAC_OVERRIDE"];
    bundle.set("/process/capabilities", json!({ "bounding": caps, "effective": caps, "permitted": caps }));
    let script = "mknod /tmp/node c 10 237 && { (: < /tmp/node) && echo open || echo refused; } 2>/dev/null; rm /tmp/node; echo x > /dev/null && echo null";
    bundle.set("/linux/resources", json!({ "devices": [{ "allow": true, "access": "rwm" }] }));
    assert_eq!(bundle.says(script), "open\nnull");
    bundle.set("/linux/resources", json!({ "devices": [{ "allow": false, "access": "rwm" }] }));
    assert_eq!(bundle.says(script), "refused\nnull");
    bundle.nothing_is_left();
}

#[test]
fn mounts_have_their_sources_options_and_order() {
    let mut bundle = Bundle::new("mounts");
    let outside = bundle.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "outside").unwrap();
    // Relative to the bundle.
    bundle.mount(json!({ "destination": "/mnt/rw", "type": "bind", "source": "outside", "options": ["rbind", "nosuid", "nodev"] }));
    bundle.mount(json!({ "destination": "/mnt/ro", "source": outside, "options": ["bind", "ro", "noexec"] }));
    bundle.mount(json!({ "destination": "/mnt/new", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noatime", "size=64k", "mode=700"] }));
    bundle.mount(json!({ "destination": "/mnt/new/file", "source": "outside/file", "options": ["bind"] }));
    let said = bundle.says(
        "echo new > /mnt/rw/made; cat /mnt/ro/made /mnt/new/file; echo x 2>/dev/null > /mnt/ro/x || echo read-only; grep ' /mnt/' /proc/mounts | cut -d' ' -f2,4 | sort; stat -c %a /mnt/new",
    );
    assert!(said.starts_with("new\noutsideread-only\n"), "{said}");
    let of = |target: &str| {
        said.lines().find(|line| line.starts_with(&format!("{target} "))).unwrap_or_else(|| panic!("{target}: {said}"))
    };
    assert!(of("/mnt/rw").contains("rw,nosuid,nodev"), "{said}");
    assert!(of("/mnt/ro").contains("ro,") && of("/mnt/ro").contains("noexec"), "{said}");
    assert!(of("/mnt/new").contains("noatime") && of("/mnt/new").contains("size=64k"), "{said}");
    assert!(said.ends_with("\n700"), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn mounts_come_from_the_host_and_go_there_as_it_was_said() {
    root_only!();
    let bundle = Bundle::new("propagation");
    // In a mount namespace of the test's own, in which a directory is shared.
    let script = r#"
        set -e
        mkdir -p shared/inner && mount -t tmpfs none shared && mount --make-shared shared && mkdir shared/inner shared/outer
        "$OCI" --root run run --detach one
        mount -t tmpfs from-host shared/inner
        "$OCI" --root run exec one sh -c 'for at in private slave shared; do grep -c " /mnt/$at/inner .*from-host\|^from-host /mnt/$at/inner" /proc/mounts; done || true'
        "$OCI" --root run exec one mount -t tmpfs from-container /mnt/shared/outer
        grep -c "^from-container .*/shared/outer" /proc/self/mounts
        "$OCI" --root run delete --force one
    "#;
    let mut bundle = bundle;
    let caps = ["CAP_SYS_ADMIN"];
    bundle.set("/process/capabilities", json!({ "bounding": caps, "effective": caps, "permitted": caps }));
    for kind in ["private", "slave", "shared"] {
        let target = format!("/mnt/{kind}");
        bundle.mount(json!({ "destination": target, "type": "bind", "source": "shared", "options": ["rbind", format!("r{kind}")] }));
    }
    bundle.script("while :; do sleep 0.1; done").write();
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).current_dir(bundle.path());
    let output = command.env("OCI", seclude_tests::oci_bin()).output().unwrap();
    assert_eq!(stdout_of(&output), "0\n1\n1\n1");
    bundle.nothing_is_left();

    // Of what is private nothing comes, and the mount is of that kind all the same.
    for (kind, has) in [("rshared", "shared:"), ("rslave", "")] {
        bundle.set("/mounts/3/options", json!(["rbind", kind])).script("grep ' /mnt/private ' /proc/self/mountinfo");
        std::fs::create_dir_all(bundle.join("shared")).unwrap();
        bundle.config["mounts"].as_array_mut().unwrap().truncate(4);
        bundle.write();
        let mut command = std::process::Command::new("unshare");
        let oci = seclude_tests::oci_bin().display().to_string();
        command.args(["--mount", "--propagation", "private", &oci, "--root", "run", "run", "one"]);
        let output = stdout_of(&command.current_dir(bundle.path()).output().unwrap());
        let tags = output.split(" - ").next().unwrap().split(' ').skip(6).collect::<Vec<_>>().join(" ");
        assert!(tags.starts_with(has) && tags.is_empty() == has.is_empty(), "{kind}: {output}");
    }
    bundle.nothing_is_left();
}

#[test]
fn a_tmpfs_can_begin_with_what_the_image_has_there() {
    let mut bundle = Bundle::new("copyup");
    fs::create_dir_all(bundle.rootfs.join("var/deep")).unwrap();
    fs::write(bundle.rootfs.join("var/deep/file"), "of the image").unwrap();
    std::os::unix::fs::symlink("/etc/shadow", bundle.rootfs.join("var/link")).unwrap();
    let mount =
        |options: Value| json!({ "destination": "/var", "type": "tmpfs", "source": "tmpfs", "options": options });
    bundle.mount(mount(json!(["nosuid", "tmpcopyup"])));
    let said =
        bundle.says("cat /var/deep/file; echo; readlink /var/link; echo changed > /var/deep/file; cat /var/deep/file");
    assert_eq!(said, "of the image\n/etc/shadow\nchanged");
    assert_eq!(fs::read_to_string(bundle.rootfs.join("var/deep/file")).unwrap(), "of the image");
    // Filled before anything leads to it, it may be read-only, and have others in it.
    bundle.set("/mounts/3/options", json!(["ro", "nosuid", "tmpcopyup"]));
    bundle.mount(json!({ "destination": "/var/deep", "type": "tmpfs", "source": "tmpfs" }));
    let said = bundle.says("readlink /var/link; ls /var/deep | wc -l; echo x 2>/dev/null > /var/x || echo read-only");
    assert_eq!(said, "/etc/shadow\n0\nread-only");
    bundle.nothing_is_left();
}

#[test]
fn a_tmpfs_of_a_container_with_ids_of_its_own_begins_with_its_files_and_no_others() {
    use std::os::unix::fs::{PermissionsExt, chown};
    root_only!();
    let mut bundle = Bundle::new("copyupids");
    let map = json!([{ "containerID": 0, "hostID": 700_000, "size": 1000 }]);
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    fs::set_permissions(bundle.rootfs.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let place = bundle.rootfs.join("var");
    fs::create_dir_all(place.join("deep")).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", place.join("link")).unwrap();
    for (name, owner, mode) in
        [("own", 700_000, 0o600), ("fifth", 700_005, 0o640), ("all", 0, 0o644), ("suid", 0, 0o4755)]
    {
        fs::write(place.join("deep").join(name), name).unwrap();
        chown(place.join("deep").join(name), Some(owner), Some(owner)).unwrap();
        fs::set_permissions(place.join("deep").join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    for (name, owner) in [("", 700_003), ("deep", 700_000)] {
        chown(place.join(name), Some(owner), Some(owner)).unwrap();
    }
    bundle.mount(json!({ "destination": "/var", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"] }));
    let script = "cd /var/deep; stat -c '%u %g %a' /var . own fifth; cat own all; echo; readlink ../link; echo x > made && cat made";
    assert_eq!(bundle.says(script), "3 3 755\n0 0 755\n0 0 600\n5 5 640\nownall\n/etc/shadow\nx");
    // What is nobody's there runs as nobody; of a kernel that takes no such owner it is root's, and is no other's to run as.
    let nobodys = ["65534 65534 644\n65534 65534 4755", "0 0 644\n0 0 755"];
    let is = bundle.says("cd /var/deep; stat -c '%u %g %a' all suid");
    assert!(nobodys.contains(&is.as_str()), "{is}");
    bundle.set("/mounts/3/options", json!(["tmpcopyup", "mode=700"]));
    assert_eq!(bundle.says("stat -c '%u %a' /var"), "0 700");
    // What the image's root may not read of the image it may not read of the copy, with all rights over what is its own.
    bundle.set("/mounts/3/options", json!(["tmpcopyup"]));
    let all = ["CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER"];
    bundle.set("/process/capabilities", json!({ "bounding": all, "effective": all, "permitted": all }));
    fs::set_permissions(place.join("deep/all"), PermissionsExt::from_mode(0o640)).unwrap();
    bundle.script("cat /var/deep/fifth; cat /var/deep/all").write();
    let output = bundle.oci(&["run", "one"]);
    let (stdout, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match nobodys[0] == is {
        true => assert!(stdout == "fifth" && said.contains("Permission denied"), "{stdout} {said}"),
        false => assert!(said.starts_with("seclude-oci: error: mounts[3]: ") && said.contains("tmpcopyup: "), "{said}"),
    }
    bundle.nothing_is_left();
}

#[test]
fn a_read_only_root_takes_targets_and_nothing_else() {
    let mut bundle = Bundle::new("readonly");
    bundle.set("/root/readonly", json!(true));
    bundle.mount(json!({ "destination": "/not/there/before", "type": "tmpfs", "source": "tmpfs" }));
    let said = bundle.says("echo x > /x; echo y > /not/there/before/y && cat /not/there/before/y");
    assert_eq!(said, "y");
    bundle.set("/root/readonly", json!(false));
    assert_eq!(bundle.says("echo x > /x && cat /x"), "x", "the contrast");
    bundle.nothing_is_left();
}

#[test]
fn directories_that_are_masked_have_one_empty_file_system_that_cannot_be_written() {
    let mut bundle = Bundle::new("one-mask");
    for name in ["a", "b", "c"] {
        std::fs::create_dir(bundle.rootfs.join(name)).unwrap();
    }
    bundle.set("/linux/maskedPaths", json!(["/a", "/b", "/c"]));
    let said = bundle.says("stat -c %d /a /b /c | sort -u | wc -l; touch /b/x 2>&1; stat -c %d / /a | sort -u | wc -l");
    assert_eq!(said, "1\ntouch: /b/x: Read-only file system\n2");
    bundle.nothing_is_left();
}

#[test]
fn paths_are_masked_and_made_read_only() {
    let mut bundle = Bundle::new("masked");
    fs::write(bundle.rootfs.join("etc/secret"), "secret").unwrap();
    fs::create_dir(bundle.rootfs.join("etc/more")).unwrap();
    fs::write(bundle.rootfs.join("etc/more/inner"), "inner").unwrap();
    let script = "cat /etc/secret; ls /etc/more | wc -l; echo x 2>/dev/null > /tmp/x && echo written || echo refused";
    assert_eq!(bundle.says(script), "secret1\nwritten");
    bundle.set("/linux/maskedPaths", json!(["/etc/secret", "/etc/more", "/not/there"]));
    bundle.set("/linux/readonlyPaths", json!(["/tmp", "/not/there/either"]));
    assert_eq!(bundle.says(script), "0\nrefused");
    bundle.nothing_is_left();
}

#[test]
fn system_calls_are_filtered_with_and_without_new_privileges() {
    let mut bundle = Bundle::new("seccomp");
    let script = "mkdir /tmp/d 2>&1; grep Seccomp: /proc/self/status";
    assert_eq!(bundle.says(script), "Seccomp:\t0");
    bundle.set(
        "/linux/seccomp",
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5 },
    ] }),
    );
    for no_new_privileges in [true, false] {
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges));
        let said = bundle.says(script);
        assert!(said.contains("Input/output error") && said.contains("Seccomp:\t2"), "{said}");
    }
    bundle.nothing_is_left();
}

#[test]
fn it_is_scheduled_and_looks_as_it_is_said() {
    let mut bundle = Bundle::new("scheduling");
    bundle.set("/process/scheduler", json!({ "policy": "SCHED_BATCH", "nice": 5 }));
    bundle.set("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 6 }));
    bundle.set("/linux/personality", json!({ "domain": "LINUX32" }));
    let said = bundle.says("cut -d' ' -f19,41 /proc/self/stat; ionice -p $$; uname -m");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "5 3", "nice, and SCHED_BATCH");
    assert!(lines[1].contains("best-effort: prio 6"), "{said}");
    assert_eq!(lines[2], "i686");
    bundle.nothing_is_left();
}

#[test]
fn parameters_of_its_own_namespaces_are_set_and_the_hosts_stay() {
    root_only!();
    let mut bundle = Bundle::new("sysctl");
    let before = outside("cat /proc/sys/net/ipv4/ip_forward");
    bundle.set(
        "/linux/sysctl",
        json!({ "net.ipv4.ip_forward": if before == "1" { "0" } else { "1" }, "kernel.shmmni": "77" }),
    );
    let said = bundle.says("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni");
    assert_eq!(said, format!("{}\n77", if before == "1" { "0" } else { "1" }));
    assert_eq!(outside("cat /proc/sys/net/ipv4/ip_forward"), before);
    bundle.nothing_is_left();
}

#[test]
fn nothing_is_changed_of_the_callers_own_namespaces_that_a_path_leads_to() {
    root_only!();
    let mut bundle = Bundle::new("ownpath");
    let look = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni; hostname";
    // Without the mend it is the test's own namespaces that are changed.
    let beside = |bundle: &Bundle| {
        let script = format!("({look}); \"$OCI\" --root run run one; ({look})");
        let mut command = std::process::Command::new("unshare");
        command.args(["--net", "--ipc", "--uts", "sh", "-c", &script]).current_dir(bundle.path());
        command.env("OCI", seclude_tests::oci_bin()).output().unwrap()
    };
    let namespaces = |own: &str| {
        let kinds = ["mount", "pid", "network", "ipc", "uts"].map(|kind| match kind {
            _ if kind == own => json!({ "type": kind, "path": format!("/proc/self/ns/{}", kind.get(..3).unwrap()) }),
            _ => json!({ "type": kind }),
        });
        json!(kinds)
    };
    bundle.script("true").set("/hostname", json!("inside"));
    bundle.set("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1", "kernel.shmmni": "77" }));
    for (own, field) in [("network", "linux.sysctl"), ("ipc", "linux.sysctl"), ("uts", "hostname")] {
        bundle.set("/linux/namespaces", namespaces(own)).write();
        let output = beside(&bundle);
        let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.get(..3), lines.get(3..), "{own}: {error}");
        assert!(error.contains(field) && error.contains("the caller's own"), "{own}: {error}");
        bundle.nothing_is_left();
    }
    bundle.set("/linux/namespaces", namespaces("none")).write();
    assert!(beside(&bundle).status.success(), "of new ones it is");
}

#[test]
fn namespaces_are_new_or_those_of_a_path_or_the_callers() {
    root_only!();
    let mut bundle = Bundle::new("namespaces");
    let own = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string();
    let script = "for kind in uts net pid; do readlink /proc/self/ns/$kind; done";
    let new = bundle.says(script);
    for kind in ["uts", "net", "pid"] {
        assert!(!new.contains(&own(kind)), "{new}");
    }
    bundle.set(
        "/linux/namespaces",
        json!([
            { "type": "mount" }, { "type": "ipc" }, { "type": "pid" }, { "type": "uts", "path": "/proc/self/ns/uts" },
        ]),
    );
    let said = bundle.says(script);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], [own("uts"), own("net")]);
    bundle.nothing_is_left();
}

#[test]
fn what_joins_a_pid_namespace_sees_that_one_alone_in_its_proc() {
    root_only!();
    let mut first = Bundle::new("pidfirst");
    first.script("while :; do sleep 0.1; done").write();
    first.must(&["run", "--detach", "one"]);
    let mut second = Bundle::new("pidsecond");
    let path = format!("/proc/{}/ns/pid", first.state("one")["pid"]);
    second.set("/linux/namespaces", json!([{ "type": "mount" }, { "type": "pid", "path": path }]));
    let seen = second.says("cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l");
    let (first_program, count) = seen.split_once('\n').unwrap();
    assert_eq!(first_program, "sh");
    assert!(count.parse::<u32>().unwrap() < 8, "{seen}");
    first.must(&["delete", "--force", "one"]);
    first.nothing_is_left();
    second.nothing_is_left();
}

#[test]
fn ids_are_mapped() {
    root_only!();
    let mut bundle = Bundle::new("mapped");
    let map = json!([{ "containerID": 0, "hostID": 700_000, "size": 1000 }]);
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    for directory in ["", "tmp"] {
        std::os::unix::fs::chown(bundle.rootfs.join(directory), Some(700_000), Some(700_000)).unwrap();
    }
    let parent = bundle.rootfs.path().to_owned();
    fs::set_permissions(parent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let said = bundle.says("id -u; cat /proc/self/uid_map; echo x > /tmp/made; echo y > /dev/null && echo null");
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["0", "0", "700000", "1000", "null"]);
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(bundle.rootfs.join("tmp/made")).unwrap());
    assert_eq!(owner, 700_000);
    bundle.nothing_is_left();
}

#[test]
fn a_mount_under_the_containers_ids_has_the_owners_of_the_host() {
    root_only!();
    if !seclude_tests::kernel_is_at_least((5, 12)) {
        println!("skipped: id-mapped mounts take Linux 5.12");
        return;
    }
    let mut bundle = Bundle::new("idmapped");
    let map = json!([{ "containerID": 0, "hostID": 700_000, "size": 1000 }]);
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map.clone());
    for directory in ["", "mnt"] {
        std::os::unix::fs::chown(bundle.rootfs.join(directory), Some(700_000), Some(700_000)).unwrap();
    }
    for place in [bundle.rootfs.path(), bundle.path()] {
        fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let data = bundle.join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("file"), "x").unwrap();
    let script = "stat -c '%u' /mnt/data/file; (echo y > /mnt/data/made) 2>/dev/null && echo written";
    bundle.mount(json!({ "destination": "/mnt/data", "type": "bind", "source": data, "options": ["rbind"] }));
    assert_eq!(bundle.says(&format!("{script}; true")), "65534", "nobody's");
    bundle.set("/mounts/3/options", json!(["rbind", "ridmap"]));
    assert_eq!(bundle.says(script), "0\nwritten");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(data.join("made")).unwrap());
    assert_eq!(owner, 0);
    bundle.set("/mounts/3/options", json!(["rbind"]));
    bundle.set("/mounts/3/uidMappings", map.clone()).set("/mounts/3/gidMappings", map);
    assert_eq!(bundle.says(script), "0\nwritten");
    bundle.set("/mounts/3/uidMappings", json!([{ "containerID": 0, "hostID": 700_005, "size": 1 }]));
    assert_eq!(bundle.says("stat -c '%u' /mnt/data/file"), "5", "a map of the mount's own");
    bundle.nothing_is_left();
}

#[test]
fn a_memory_limit_kills_what_goes_beyond_it() {
    root_only!();
    let mut bundle = Bundle::new("memory");
    let script = "dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null && echo fine || echo killed";
    assert_eq!(bundle.says(script), "fine");
    bundle.set("/linux/resources", json!({ "memory": { "limit": 32 << 20, "swap": 32 << 20 } }));
    assert_eq!(bundle.says(script), "killed");
    bundle.nothing_is_left();
}
