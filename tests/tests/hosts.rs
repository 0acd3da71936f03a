//! What goes wrong on hosts, made for real where one can: a filter, a sysctl, a mount of an outer container. Each has an
//! error that names the step, the call and the remedy, and the same without the obstacle works.

use std::process::{Output, Stdio};

use seclude_tests::{
    Scratch, call, filtered, inside, is_root, root_only, seclude_bin, seclude_command, stdout_of, try_host, try_inside,
};

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

/// The one line of a seclude that could not start its command.
fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{said}");
    // What an outer one has refused it says as well.
    let own: Vec<&str> = said.lines().filter(|line| !line.starts_with("seclude: refused: ")).collect();
    assert_eq!(own.len(), 1, "{said}");
    own.concat().trim().to_owned()
}

/// What seclude complains of under a filter; without the filter it works.
fn under(refused: &[(u32, i32)], arguments: &[&str]) -> String {
    stdout_of(&seclude_command(arguments).output().expect("it starts"));
    complaint(&filtered(refused, seclude_bin()).args(arguments).output().expect("python3 is there"))
}

fn has(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
}

/// Flags for an outer container in which another seclude can run, as /tmp/seclude.
fn outer() -> [String; 3] {
    let bin = format!("--ro-bind={}:/tmp/seclude", seclude_bin().display());
    [bin, "--nested".to_owned(), "--cap-add=ALL".to_owned()]
}

/// How a script ends in such a container, made with these flags besides.
fn nested(flags: &[&str], script: &str) -> Output {
    let outer = outer();
    let all: Vec<&str> = outer.iter().map(String::as_str).chain(flags.iter().copied()).collect();
    try_inside(&all, script)
}

/// A /proc with anything masked in it has submounts, so a container inside keeps it.
const KEEPS_PROC: &str = "/tmp/seclude run --share pid --ro-bind /proc";

#[test]
fn a_filter_that_refuses_namespaces_is_named_and_clone3_alone_is_done_without() {
    let all = [(call::CLONE3, EPERM), (call::CLONE, EPERM), (call::UNSHARE, EPERM)];
    has(&under(&all, &["run", "true"]), &["clone", "EPERM", "seccomp filter", "seccomp=unconfined"]);
    // Pipes, as files that others may read would be relayed, by a thread.
    stdout_of(&filtered(&all[..1], seclude_bin()).args(["run", "true"]).output().expect("python3 is there"));
    // The C library makes no thread then: what a thread was to carry would be lost without a word.
    let relayed = filtered(&all[..1], seclude_bin()).args(["run", "--stdio", "pipe", "true"]).output();
    has(&complaint(&relayed.expect("python3 is there")), &["descriptors", "thread for descriptor 0", "clone"]);
}

#[test]
fn a_filter_that_refuses_mounts_is_named_with_the_call_that_it_refused() {
    for (number, name) in
        [(call::OPEN_TREE, "open_tree"), (call::FSOPEN, "fsopen"), (call::MOUNT_SETATTR, "mount_setattr")]
    {
        // Under other ids than the caller's it is the parent who copies the tree.
        let side = if is_root() && number == call::OPEN_TREE { "(parent)" } else { "(child)" };
        has(&under(&[(number, EPERM)], &["run", "true"]), &["EPERM", name, side, "seccomp filter"]);
        if is_root() {
            let run = ["run", "--host-root", "true"];
            has(&under(&[(number, EPERM)], &run), &["EPERM", name, "(child)", "seccomp filter"]);
        }
    }
    has(&under(&[(call::MOUNT, EACCES)], &["run", "true"]), &["EACCES", "mount", "(child)"]);
}

#[test]
fn the_restriction_of_user_namespaces_by_apparmor_is_told_with_a_ready_profile() {
    // The sysctl as it looks on such a host, and the refusals as the module gives them: it is on no kernel of ours.
    let knob = ["--tmpfs=/proc/sys/kernel:size=4K", "--file=/proc/sys/kernel/apparmor_restrict_unprivileged_userns=1"];
    let script = |number: u32| {
        let mut command = filtered(&[(number, EACCES)], "/tmp/seclude");
        command.args(["run", "--bare", "--unshare=user,mount", "--tmpfs=/mnt", "--bind=/usr:/opt", "true"]);
        let words: Vec<String> =
            command.get_args().map(|word| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"))).collect();
        format!("/usr/bin/python3 {}", words.join(" "))
    };
    // It is not for whoever has CAP_SYS_ADMIN.
    let [bin, nested, all] = outer();
    let restricted = [&bin, &nested, knob[0], knob[1]];
    for number in [call::FSOPEN, call::OPEN_TREE] {
        let line = complaint(&try_inside(&restricted, &script(number)));
        has(&line, &["EACCES", "profile seclude /tmp/seclude flags=(unconfined) { userns, }"]);
        for free in [&[bin.as_str(), &nested][..], &[&bin, &nested, &all, knob[0], knob[1]]] {
            let line = complaint(&try_inside(free, &script(number)));
            assert!(line.contains("seccomp filter") && !line.contains("AppArmor"), "{line}");
        }
    }
}

#[test]
fn a_sandboxs_root_without_the_capability_to_map_itself_is_told_which_it_is() {
    let [bin, nested, _] = outer();
    let bare = ["--bare", "--unshare=user,mount", "--tmpfs=/tmp", &bin];
    let line = complaint(&try_inside(&[&bare[..], &["--cap-drop=ALL"]].concat(), &format!("{KEEPS_PROC} true")));
    has(&line, &["user map", "EPERM", "CAP_SETFCAP", "--nested", "--cap-add SETFCAP"]);
    stdout_of(&try_inside(&[&bare[..], &["--cap-add=SETFCAP"]].concat(), &format!("{KEEPS_PROC} true")));
    stdout_of(&try_inside(&[&bin, &nested], &format!("{KEEPS_PROC} true")));
    // In a sandbox that is not to have any inside, its filter is what is in the way, and the limit behind that.
    has(
        &complaint(&try_inside(&[&bin], &format!("{KEEPS_PROC} true"))),
        &["EPERM", "seccomp filter", "outer one: --nested"],
    );
    let unfiltered = try_inside(&[&bin, "--seccomp=none"], &format!("{KEEPS_PROC} true"));
    has(&complaint(&unfiltered), &["ENOSPC", "user.max_user_namespaces=0"]);
}

#[test]
fn an_id_mapper_that_may_gain_no_privileges_is_told_apart_from_a_missing_range() {
    seclude_tests::ordinary_user_only!();
    let line =
        complaint(&filtered(&[], seclude_bin()).args(["run", "--map-subids", "true"]).output().expect("python3"));
    has(&line, &["user map", "newuidmap", "no_new_privs"]);
    stdout_of(&seclude_command(&["run", "--map-subids", "/bin/true"]).output().expect("it starts"));
}

#[test]
fn cgroups_that_are_read_only_are_an_error_only_if_a_limit_was_asked_for() {
    // The host's tree is read-only in the preset, the cgroup hierarchies in it too.
    let shares = ["--share=cgroup"];
    // A parent that nobody has made: one that is there is closed, which is told before.
    let limited = format!("{KEEPS_PROC} --cgroup /seclude-nobody --memory 64M true");
    let line = complaint(&nested(&shares, &limited));
    has(&line, if is_root() { &["cgroup", "EROFS", "read-only"] } else { &["cgroup", "delegated"] });
    stdout_of(&nested(&shares, &format!("{KEEPS_PROC} true")));
}

#[test]
fn a_proc_that_an_outer_container_has_masked_is_told_with_what_lies_over_it() {
    let line = complaint(&nested(&["--mask=/proc/uptime"], "/tmp/seclude run true"));
    has(&line, &["proc", "EPERM", "fsmount", "/proc/", "procMount: Unmasked", "hostUsers: false"]);
    stdout_of(&nested(&["--mask=/proc/uptime"], &format!("{KEEPS_PROC} true")));
    // One that is mounted whole somewhere is enough for the kernel.
    stdout_of(&nested(&["--mask=/proc/uptime", "--mount=type=proc,dst=/mnt"], "/tmp/seclude run true"));
}

#[test]
fn a_sys_that_an_outer_container_has_masked_is_kept() {
    let links = |flags: &[&str]| {
        stdout_of(&nested(flags, "/tmp/seclude run sh -c 'ls /sys/class/net; ls /sys/kernel | wc -l'"))
    };
    assert!(links(&[]).starts_with("lo\n"));
    // The kernel mounts no whole one beside it.
    assert_eq!(links(&["--mask=/sys/kernel"]), "lo\n0");
}

/// What seclude complains of in a mount namespace that a script has prepared.
fn where_mounts_are(prepare: &str) -> String {
    let mut command = std::process::Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-ec", &format!("{prepare}; cd /; exec \"$0\" run true")]).arg(seclude_bin());
    complaint(&command.env("LC_ALL", "C").stdin(Stdio::null()).output().expect("unshare is there"))
}

#[test]
fn what_the_host_itself_lacks_is_named_and_not_what_it_was_for() {
    // The same without anything prepared is every other test.
    has(
        &where_mounts_are("mount -t tmpfs none /dev; : > /dev/stdin"),
        &["open_tree", "ENOENT", "the host's /dev has no null"],
    );
    if is_root() {
        has(
            &where_mounts_are("mount -o remount,bind,ro /proc"),
            &["user map", "uid_map", "EROFS", "/proc is mounted read-only"],
        );
        // In a pid namespace there may be the outer one's below it.
        let none = "while umount -l /proc 2> /dev/null; do :; done";
        has(&where_mounts_are(none), &["/proc has to be mounted"]);
    }
}

#[test]
fn a_proc_that_hides_the_processes_of_others_is_no_obstacle() {
    root_only!();
    let script = "exec 9< \"$0\"; mount -t proc -o hidepid=invisible proc /proc; cd /
        exec setpriv --reuid 12345 --regid 12345 --clear-groups sh -c 'test -e /proc/1 || echo hidden
        /proc/self/fd/9 run --hostname inside hostname; /proc/self/fd/9 run --share pid,mount test -e /proc/1 || echo hidden'";
    let mut command = std::process::Command::new("unshare");
    let output = command.args(["--mount", "sh", "-ec", script]).arg(seclude_bin()).output().expect("unshare is there");
    assert_eq!(stdout_of(&output), "hidden\ninside\nhidden");
}

#[test]
fn a_caller_in_a_chroot_is_told_that_it_is_in_one() {
    root_only!();
    let own = Scratch::new("chroot");
    let script = "for file in $(ldd \"$1\" | grep -o '/[^ ]*'); do cp --parents -L $file \"$0\"; done
        mkdir \"$0/proc\"; mount -t proc proc \"$0/proc\"; cp \"$1\" \"$0/seclude\"
        exec chroot \"$0\" /seclude run --workdir / /seclude --version";
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(own.path()).arg(seclude_bin()).env("LC_ALL", "C");
    let line = complaint(&command.stdin(Stdio::null()).output().expect("unshare is there"));
    has(&line, &["clone", "EPERM", "the caller is in a chroot", "pivot_root"]);
}

#[test]
fn a_root_that_cannot_be_pivoted_is_told_to_be_a_ramfs() {
    let line = under(&[(call::PIVOT_ROOT, EINVAL)], &["run", "--bind", "/usr:/opt", "true"]);
    has(&line, &["pivot_root", "EINVAL", "initramfs", "switch_root"]);
    let found = filtered(&[(call::PIVOT_ROOT, EINVAL)], seclude_bin()).arg("doctor").output().expect("it starts");
    let row = String::from_utf8_lossy(&found.stdout)
        .lines()
        .find(|line| line.starts_with("root of its own"))
        .map(str::to_owned);
    has(&row.expect("a row"), &["does not", "pivot_root"]);
    // Where the host's tree is the container's, and nothing takes from it, there is nothing to pivot.
    let run = ["run", "--preset", "host", "true"];
    stdout_of(&filtered(&[(call::PIVOT_ROOT, EINVAL)], seclude_bin()).args(run).output().expect("it starts"));
}

#[test]
fn no_resource_limit_is_set_that_was_not_asked_for() {
    // Of what the sandbox bounds there is a test among the holes.
    let limits = "ulimit -v; ulimit -n; ulimit -f; ulimit -s";
    let outside = stdout_of(&std::process::Command::new("/bin/bash").args(["-c", limits]).output().expect("bash"));
    assert_eq!(inside(&[], &format!("exec bash -c '{limits}'")), outside);
    assert!(inside(&["--rlimit=AS=1G"], "exec bash -c 'ulimit -v'").ends_with("1048576"));
}

#[test]
fn the_doctor_says_of_a_confined_caller_what_is_refused_and_what_is_done_instead() {
    let examine = |refused: &[(u32, i32)]| {
        let output = filtered(refused, seclude_bin()).arg("doctor").output().expect("python3 is there");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = examine(&[(call::CLONE3, EPERM)]);
    assert_eq!(code, Some(0), "{said}");
    has(&said, &["works with  clone(2): clone3 answers EPERM here"]);
    let (code, said) = examine(&[(call::MOUNT_SETATTR, ENOSYS)]);
    assert_eq!(code, Some(0), "{said}");
    has(&said, &["read-only root", "works with  mount(2) for each mount"]);
    let (code, said) = examine(&[(call::CLONE3, EPERM), (call::CLONE, EPERM), (call::UNSHARE, EPERM)]);
    assert_eq!(code, Some(1), "{said}");
    has(&said, &["user namespace               does not", "seccomp filter", "the sandbox does not work"]);
    let who = if is_root() { "as an ordinary user: " } else { "as root: not tried" };
    has(&said, &[who]);
}

#[test]
fn what_is_preferred_is_left_out_where_the_host_refuses_it_and_what_is_required_is_an_error() {
    let scratch = Scratch::new("preferred");
    let file = scratch.join("report.json");
    let run = |flags: &[&str]| {
        let report = ["run", "--report", file.to_str().expect("UTF-8")];
        let mut command = seclude_command(&[&report, flags, &["/bin/sh", "-c", "ulimit -n"]].concat());
        command.output().expect("it starts")
    };
    let preferred = || -> serde_json::Value {
        let report = std::fs::read_to_string(&file).expect("a report");
        serde_json::from_str::<serde_json::Value>(&report).expect("JSON")["spawn"]["preferred"].take()
    };
    let plain = stdout_of(&run(&[]));
    // More than fs.nr_open, which nobody may have.
    let asked = ["--rlimit=NOFILE=4000000000", "--net=veth", "--bridge=no-such", "--unshare=time", "--boottime=1h"];
    has(&complaint(&run(&asked)), &["veth"]);
    has(&complaint(&run(&[&asked[..], &["--prefer=net"]].concat())), &["rlimit", "EPERM"]);
    let all = ["--prefer=net", "--prefer=rlimit", "--prefer=time"];
    assert_eq!(stdout_of(&run(&[&asked[1..], &all[..1], &["--rlimit=NOFILE=64"]].concat())), "64");
    assert_eq!(stdout_of(&run(&[&asked[..], &all[..]].concat())), plain, "as if neither had been asked for");
    let told = preferred();
    let achieved = |name: &str| {
        let found = told.as_array().and_then(|all| all.iter().find(|one| one["feature"] == name));
        found.unwrap_or_else(|| panic!("no {name} in {told}")).clone()
    };
    assert_eq!(achieved("time")["achieved"], true);
    for (name, reason) in [("net", "veth"), ("rlimit", "EPERM")] {
        assert_eq!(achieved(name)["achieved"], false);
        has(achieved(name)["reason"].as_str().expect("a reason"), &[reason]);
    }
    // What cannot be meant is no lack of the host.
    has(&complaint(&run(&["--prefer=net"])), &["net is preferred, but was not asked for"]);
    has(&complaint(&run(&["--rlimit=NOFILE=64:32", "--prefer=rlimit"])), &["rlimit"]);
}

/// How seclude ends without mount_setattr(2) in a mount namespace that a script has prepared, and with it. The script
/// gets a directory of its own as `$1`, and this as `$@` behind it.
fn with_and_without_setattr(script: &str, arguments: &[&str]) -> [Output; 2] {
    [&[][..], &[(call::MOUNT_SETATTR, ENOSYS)]].map(|refused| {
        let own = Scratch::new("setattr");
        filtered(refused, "/usr/bin/unshare")
            .args(["--mount", "sh", "-ec", &format!("own=$1; shift; {script}"), "sh"])
            .args([own.path(), seclude_bin().as_path()])
            .args(arguments.iter().map(|flag| flag.replace("OWN", own.path().to_str().expect("UTF-8"))))
            .output()
            .expect("python3 and unshare are there")
    })
}

#[test]
fn what_cannot_be_made_read_only_without_mount_setattr_is_an_error_and_never_writable() {
    root_only!();
    // Set-up, whose ids are 100000, cannot enter the directory; the command, whose id is 100001, can.
    let script = "mkdir -p $own/closed/mount; mount -t tmpfs -o mode=777 none $own/closed/mount; chmod 755 $own
        chown 100001:0 $own/closed; chmod 700 $own/closed; cp $1 $own/seclude; shift; cd /; $own/seclude \"$@\"";
    let ids = ["--uid-map=0:100000:10", "--gid-map=0:100000:10", "--user=1:1", "--workdir=/"];
    let run = |bind| [&["run"][..], &ids, &[bind, "touch", "/mnt/closed/mount/file"]].concat();
    let [with, without] = with_and_without_setattr(script, &run("--ro-bind=OWN:/mnt"));
    has(&complaint(&without), &["MS_REMOUNT", "EACCES", "5.12"]);
    if String::from_utf8_lossy(&with.stderr).contains("5.12") {
        println!("skipped: this kernel has no mount_setattr: the contrast");
        return;
    }
    assert!(String::from_utf8_lossy(&with.stderr).contains("Read-only file system"), "{with:?}");
    let [writable, _] = with_and_without_setattr(script, &run("--bind=OWN:/mnt"));
    assert!(writable.status.success(), "{writable:?}");
}

#[test]
fn a_file_system_of_fuse_that_does_not_answer_is_no_obstacle_to_a_read_only_root() {
    root_only!();
    if !std::path::Path::new("/dev/fuse").exists() {
        println!("skipped: no fuse");
        return;
    }
    // One that is another user's, and one whose daemon is gone; neither answers statx(2).
    for (owner, gone) in [(12_345, false), (0, true)] {
        let python = format!(
            "import ctypes, os, sys\n\
             fd = os.open('/dev/fuse', os.O_RDWR); own = sys.argv[1]; os.mkdir(own + '/fuse')\n\
             options = f'fd={{fd}},rootmode=40000,user_id={owner},group_id={owner}'.encode()\n\
             libc = ctypes.CDLL(None, use_errno=True)\n\
             assert libc.mount(b'none', (own + '/fuse').encode(), b'fuse', 0, options) == 0, ctypes.get_errno()\n\
             if {}: os.close(fd)\n\
             try: os.stat(own + '/fuse'); sys.exit('it answers')\n\
             except OSError: pass\n\
             sys.exit(os.waitstatus_to_exitcode(os.spawnv(os.P_WAIT, sys.argv[2], sys.argv[2:]) << 8))",
            if gone { "True" } else { "False" }
        );
        let script = format!("python3 -c \"$(cat <<'END'\n{python}\nEND\n)\" $own \"$@\"");
        for output in with_and_without_setattr(&script, &["run", "true"]) {
            assert!(output.status.success(), "gone: {gone}: {output:?}");
        }
    }
}

/// An /etc of its own, without these files.
const OWN_ETC: &str = r#"
E=$(mktemp -d) && cp -a /etc/. "$E" && rm -r "$E/passwd" "$E/group" && mount --bind "$E" /etc && rm -r "$E/subuid" "$E/subgid"
for flags in "" "--preset host" "--bare" "--no-namespaces" "--user 7" "--share user"; do
    $S run $flags -- sh -c 'id -u' || echo "$flags: $?"
done
mkdir /etc/passwd; $S run true; echo $?
umount /etc; rm -r "$E"
"#;

#[test]
fn a_host_without_a_list_of_users_is_one_all_the_same() {
    root_only!();
    let output = try_host(OWN_ETC);
    let without = if seclude_tests::has_landlock_scopes() { "0" } else { "--no-namespaces: 125" };
    assert_eq!(stdout_of(&output), format!("0\n0\n0\n{without}\n7\n0\n125"));
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<_> = said.lines().filter(|line| !line.contains("landlock's ABI")).collect();
    let said = said.join("\n");
    assert!(said.lines().count() == 1 && said.contains("what the host has at /etc/passwd: EISDIR"), "{said}");
}
