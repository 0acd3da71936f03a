//! `seclude run`: the flags about the process.

use seclude_tests::{
    Scratch, busybox_root, inside, outside, refused, root_only, seclude, seclude_command, stdout_of, try_inside,
};

#[test]
fn nothing_after_the_commands_name_is_a_flag() {
    let words = ["--tty", "-v", "--", "--bind", "--no-such-flag", "--help", "-t"];
    let output = seclude(&[&["run", "echo"], &words[..]].concat());
    assert_eq!(stdout_of(&output), words.join(" "));
    assert!(output.stderr.is_empty(), "-v was not for us");
    let output = seclude(&[&["run", "--", "echo"], &words[..]].concat());
    assert_eq!(stdout_of(&output), words.join(" "), "also after a -- of our own");
    let output = seclude(&["run", "-v", "echo", "-v"]);
    assert!(!output.stderr.is_empty(), "before the name it is");
}

#[test]
fn the_value_of_a_variable_may_be_any_bytes() {
    use std::os::unix::ffi::OsStringExt;
    let given = std::ffi::OsString::from_vec(b"A=\xfe=1".into());
    let output = seclude_command(&["run", "--env"]).arg(given).args(["printenv", "A"]).output().unwrap();
    assert_eq!(output.stdout, b"\xfe=1\n");
}

#[test]
fn variables_are_added_to_the_callers_or_to_none() {
    let run = |flags: &[&str]| {
        let arguments = [&["run"], flags, &["/usr/bin/env"]].concat();
        let mut command = seclude_command(&arguments);
        command.env_clear().env("CALLERS", "own").env("PATH", "/usr/bin");
        let text = stdout_of(&command.output().unwrap());
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(run(&["--preset", "host"]), ["CALLERS=own", "PATH=/usr/bin"]);
    let changed = run(&["--preset", "host", "--env", "A=b=c", "--env", "CALLERS=changed"]);
    assert_eq!(changed, ["A=b=c", "CALLERS=changed", "PATH=/usr/bin"]);
    assert_eq!(run(&["--clear-env", "--env", "EMPTY="]), ["EMPTY="]);
    assert_eq!(run(&["--env", "A=b", "--clear-env"]), ["A=b"], "in whichever order");
}

#[test]
fn the_command_is_found_in_the_path_inside() {
    let root = busybox_root("path");
    root.directory("opt");
    std::fs::rename(root.join("bin/id"), root.join("opt/own-command")).unwrap();
    std::os::unix::fs::symlink("../bin/busybox", root.join("opt/id")).unwrap();
    let base = root.path().to_str().unwrap();
    let with = seclude(&["run", "--root", base, "--env", "PATH=/opt", "id", "-u"]);
    assert_eq!(stdout_of(&with), "0");
    refused(127, &["run", "--root", base, "--env", "PATH=/bin", "id", "-u"]);
    refused(127, &["run", "--env", "PATH=/opt", "no-such-command-of-the-host"]);
}

#[test]
fn the_working_directory_is_the_one_asked_for_or_the_callers() {
    assert_eq!(inside(&["--workdir", "/usr/lib"], "pwd -P"), "/usr/lib");
    let mut command = seclude_command(&["run", "/bin/pwd", "-P"]);
    assert_eq!(stdout_of(&command.current_dir("/etc").output().unwrap()), "/etc");
    let root = busybox_root("workdir");
    let base = root.path().to_str().unwrap();
    let mut command = seclude_command(&["run", "--root", base, "/bin/pwd", "-P"]);
    assert_eq!(stdout_of(&command.current_dir("/etc").output().unwrap()), "/", "another root, another tree");
    assert_eq!(inside(&["--tmpfs", "/mnt", "--dir", "/mnt/made", "--workdir", "/mnt/made"], "pwd -P"), "/mnt/made");
    assert!(refused(125, &["run", "--workdir", "/no/such/place", "true"]).contains("/no/such/place"));
    let hidden = root.directory("srv");
    let line = refused(125, &["run", "--workdir", hidden.to_str().unwrap(), "true"]);
    assert!(line.contains(&format!("--ro {}", hidden.display())), "{line}");
    assert!(refused(125, &["run", "--workdir", "relative", "true"]).contains("relative"));
}

#[test]
fn where_the_caller_is_is_shown_read_only_where_the_preset_would_cover_it() {
    // As a clone of a project below /tmp, with a space in its path.
    let own = Scratch::new("a project");
    own.file("sub/file", "shown");
    let here = own.join("sub");
    assert!(here.starts_with("/tmp"));
    let run = |flags: &[&str], script: &str| {
        let arguments = [&["run"], flags, &["sh", "-c", script]].concat();
        stdout_of(&seclude_command(&arguments).current_dir(&here).output().unwrap())
    };
    let all = format!("{}\nshown\nread-only\nno neighbour", here.display());
    let script = "pwd; cat file; echo; (echo x > new) 2> /dev/null || echo read-only; test -e ../other || echo no neighbour; echo > /tmp/own";
    let lines =
        |flags: &[&str]| run(flags, script).lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    own.file("other", "hidden");
    let overlay = seclude_tests::has_overlays().then_some(&["--overlay"][..]);
    for flags in [&[][..], &["--as-pid-1"]].into_iter().chain(overlay) {
        assert_eq!(lines(flags), all, "{flags:?}");
    }
    // What the caller says of it stands.
    assert_eq!(run(&["--workdir", "/"], "pwd; ls /tmp | wc -l"), "/\n0");
    assert_eq!(run(&["--bind", "/tmp"], "pwd; cat ../other"), format!("{}\nhidden", here.display()));
    let bind = here.display().to_string();
    for flags in [&["--workdir", &bind][..], &["--preset", "host", "--workdir", &bind]] {
        assert_eq!(run(flags, "pwd; cat file"), format!("{bind}\nshown"), "where it is by itself, in so many words");
    }
    assert_eq!(run(&["--bind", &bind], "echo written > new; cat new"), "written");
    // /tmp itself is the container's own.
    let arguments = ["run", "sh", "-c", "pwd; ls | wc -l"];
    let in_tmp = seclude_command(&arguments).current_dir("/tmp").env("HOME", "/home/elsewhere").output().unwrap();
    assert_eq!(stdout_of(&in_tmp), "/tmp\n0");
}

#[test]
fn the_host_name_inside_has_an_address() {
    let resolve = "python3 -c 'import socket; print(socket.gethostbyname(socket.gethostname()))'";
    assert_eq!(inside(&["--hostname", "named-inside"], resolve), "127.0.1.1");
    assert_eq!(inside(&["--hostname", "named-inside", "--as-pid-1"], "tail -1 /etc/hosts"), "127.0.1.1 named-inside");
    // Beside the host's network there are the host's names.
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap();
    let shared = inside(&["--hostname", "named-inside", "--share", "net"], "cat /etc/hosts");
    assert_eq!(shared, format!("{}\n127.0.1.1 named-inside", hosts.trim_end()));
    assert_eq!(inside(&[], "cat /etc/hosts"), hosts.trim_end(), "without a name it is as it is");
    // A root that has no such file, and takes none, does without.
    let root = busybox_root("nameless");
    let _ = std::fs::remove_file(root.join("etc/hosts"));
    let place = root.path().display().to_string();
    assert_eq!(inside(&["--root", &place, "--hostname", "x"], "hostname; test -e /etc/hosts || echo none"), "x\nnone");
}

#[test]
fn the_umask_is_the_one_asked_for_or_the_callers() {
    let made = "umask; > /tmp/x; stat -c %a /tmp/x";
    assert_eq!(inside(&["--umask", "077"], made), "0077\n600");
    assert_eq!(inside(&["--umask", "0"], made), "0000\n666");
    let bin = seclude_tests::seclude_bin();
    assert_eq!(outside(&format!("umask 027; '{}' run sh -c umask", bin.display())), "0027");
}

#[test]
fn limits_are_set_soft_and_hard() {
    let look = "ulimit -Sn; ulimit -Hn; ulimit -Sc";
    assert_eq!(inside(&["--rlimit", "NOFILE=123:456", "--rlimit", "core=0"], look), "123\n456\n0");
    assert_ne!(inside(&[], look), "123\n456\n0");
    let write = "head -c 3000 /dev/zero > /tmp/x; echo $?; stat -c %s /tmp/x";
    assert_eq!(inside(&["--rlimit", "FSIZE=1K"], write), "153\n1024", "SIGXFSZ at one KiB");
    assert_eq!(inside(&[], write), "0\n3000");
}

#[test]
fn capabilities_are_given_and_taken_by_name() {
    let sets = |flags: &[&str]| inside(flags, "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status | cut -f2 | sort -u");
    assert_eq!(sets(&[]), "0000000000000000");
    assert_eq!(sets(&["--cap-add", "NET_ADMIN"]), "0000000000001000");
    assert_eq!(sets(&["--cap-add", "CAP_CHOWN", "--cap-add", "net_admin"]), "0000000000001001");
    let all = u64::from_str_radix(&sets(&["--cap-add", "ALL"]), 16).unwrap();
    let less = u64::from_str_radix(&sets(&["--cap-add", "ALL", "--cap-drop", "SYS_ADMIN"]), 16).unwrap();
    assert_eq!(all & !less, 1 << 21, "{all:x} without SYS_ADMIN");
    // What the capability is for.
    let down = "busybox ip link set lo down && echo done";
    assert_eq!(inside(&["--cap-add", "NET_ADMIN"], down), "done");
    assert!(!try_inside(&[], down).status.success());
    // A user who is not root keeps them over the exec.
    let ambient = "grep -E 'Cap(Eff|Amb)' /proc/self/status | cut -f2 | sort -u";
    assert_eq!(inside(&["--user", "7", "--cap-add", "NET_ADMIN"], ambient), "0000000000001000");
    assert_eq!(inside(&["--user", "7"], ambient), "0000000000000000");
    assert!(refused(125, &["run", "--cap-add", "NO_SUCH", "true"]).contains("NO_SUCH"));
}

#[test]
fn the_init_is_process_one_and_reaps_what_the_command_leaves() {
    assert_eq!(inside(&["--init"], "echo $$ $PPID; head -c 12 /proc/1/cmdline"), "2 1\nseclude-init");
    assert_eq!(inside(&[], "echo $$ $PPID; head -c 12 /proc/1/cmdline"), "2 1\nseclude-init", "without a flag as well");
    assert_eq!(inside(&["--as-pid-1"], "echo $$; head -c 7 /proc/1/cmdline"), "1\n/bin/sh");
    // A child of a child that has ended: who is process one is its parent.
    let python = "import os, time\n\
        if os.fork() == 0:\n    os.fork() or os._exit(0)\n    os._exit(0)\n\
        os.waitpid(-1, 0)\n\
        def state(pid):\n    return open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0]\n\
        def others():\n    return [pid for pid in os.listdir('/proc') if pid.isdigit() and int(pid) not in (1, os.getpid())]\n\
        def zombies():\n    try:\n        return [pid for pid in others() if state(pid) == 'Z']\n    except OSError:\n        return []\n\
        WAIT\n\
        print(len(zombies()))";
    let left = python.replace("WAIT", "while not zombies(): time.sleep(0.001)");
    assert_eq!(
        seclude_tests::python(&["--as-pid-1"], &left),
        "1",
        "the command itself is process one, and does not wait"
    );
    let reaped = python.replace("WAIT", "while others(): time.sleep(0.001)");
    assert_eq!(seclude_tests::python(&["--init"], &reaped), "0");
}

#[test]
fn the_way_of_cloning_can_be_chosen_and_is_told() {
    for way in ["vm", "copy", "legacy", "auto"] {
        let output = seclude(&["run", "-v", "--clone", way, "id", "-u"]);
        assert_eq!(stdout_of(&output), "0");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let taken = if way == "auto" { "vm" } else { way };
        assert!(said.contains(&format!("clone {taken} (")), "{way}: {said}");
        assert!(said.contains("exit status: 0"), "-v says how it ended: {said}");
    }
    assert!(seclude(&["run", "true"]).stderr.is_empty(), "without -v nothing is said");
    assert!(refused(125, &["run", "--clone", "fork", "true"]).contains("fork"));
}

#[test]
fn the_oom_score_is_the_commands_alone() {
    let look = "cat /proc/self/oom_score_adj";
    assert_eq!(inside(&["--oom-score-adj", "321"], look), "321");
    assert_eq!(inside(&[], look), outside(look));
    let bin = seclude_tests::seclude_bin();
    // What runs the next command is not the worse for it.
    let both = format!("'{}' run --oom-score-adj 321 true; {look}", bin.display());
    assert_eq!(outside(&both), outside(look));
    refused(125, &["run", "--oom-score-adj", "5000", "true"]);
    let lowered: i32 = (outside(look).parse::<i32>().unwrap() - 5).max(-1000);
    // The kernel asks whoever lowers it for a right over the host.
    let may = outside(&format!("(echo {lowered} > /proc/self/oom_score_adj) 2> /dev/null && echo yes || echo no"));
    match may == "yes" {
        true => assert_eq!(inside(&["--oom-score-adj", &lowered.to_string()], look), lowered.to_string()),
        false => {
            let line = refused(125, &["run", "--oom-score-adj", &lowered.to_string(), "true"]);
            assert!(line.contains("CAP_SYS_RESOURCE over the host"), "{line}");
        }
    }
}

#[test]
fn the_streams_are_the_callers() {
    let mut command = seclude_command(&["run", "sh", "-c", "cat; echo error >&2"]);
    let own = Scratch::new("stdin");
    let file = own.file("input", "from a file");
    let output = command.stdin(std::fs::File::open(file).unwrap()).output().unwrap();
    assert_eq!(stdout_of(&output), "from a file");
    assert_eq!(output.stderr, b"error\n");
}

#[test]
fn the_groups_of_the_caller_do_not_come_along_to_another_user() {
    root_only!();
    let bin = seclude_tests::seclude_bin();
    let run = |flags: &str, program: &str| {
        outside(&format!("setpriv --groups 4242 '{}' run {flags} {program}", bin.display()))
    };
    assert_eq!(run("--user 1234", "id -G"), "1234");
    let kept = outside("setpriv --groups 4242 id -G");
    assert!(kept.contains("4242"), "{kept}");
}

#[test]
fn all_capabilities_are_dropped_before_any_is_added() {
    let look = "grep CapEff /proc/self/status | cut -f2";
    let net_raw = format!("{:016x}", 1 << 13);
    for flags in [["--cap-drop", "ALL", "--cap-add", "NET_RAW"], ["--cap-add", "NET_RAW", "--cap-drop", "ALL"]] {
        assert_eq!(inside(&flags, look), net_raw, "{flags:?}");
    }
    assert_eq!(inside(&["--cap-add", "ALL", "--cap-drop", "ALL"], look), format!("{:016x}", 0));
}
