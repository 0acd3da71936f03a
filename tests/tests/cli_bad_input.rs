//! Bad input: one line that names the flag or the step, exit code 125, 126 or 127, and nothing made or left.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use seclude_tests::{
    Host, Scratch, busybox_root, has_overlays, inside, outside, refusal, refused, seclude_bin, seclude_command,
    stdout_of, try_inside,
};

/// Arguments after `run`, the exit code, and what the line has to mention.
type Case<'a> = (&'a [&'a str], i32, &'a str);

/// Checks each case, and that the host and the directory are as they were; all that is wrong is told at once.
fn check(cases: &[Case<'_>], scratch: Option<&Scratch>) {
    let listing = || scratch.map(Scratch::listing);
    let mut wrong = String::new();
    for (arguments, code, word) in cases {
        let before = (Host::look(), listing());
        let output = seclude_command(&[&["run"], *arguments].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let one_line = said.starts_with("seclude: ") && said.ends_with('\n') && said.lines().count() == 1;
        let names_it = said.to_lowercase().contains(&word.to_lowercase());
        let status = output.status.code();
        if status != Some(*code) || !one_line || !names_it || !output.stdout.is_empty() {
            wrong += &format!("{arguments:.150?}: {status:?}, {said:?}; wanted {code} and {word:?}\n");
        }
        assert_eq!(listing(), before.1, "{arguments:?} left something");
        before.0.assert_back(&format!("{arguments:?}"));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_target_that_each_process_finds_elsewhere_is_refused() {
    let lead =
        ["--mask=/proc/self/environ", "--mask=/proc/mounts", "--ro-path=/proc/thread-self/comm", "--file=/etc/mtab=x"];
    for flag in lead {
        let line = refused(125, &["run", flag, "true"]);
        assert!(line.contains("leads into a procfs"), "{flag}: {line}");
    }
    // What is the same for all can be covered.
    let said = inside(&["--mask", "/proc/1/environ", "--mask", "/proc/version"], "cat /proc/version | wc -c");
    assert_eq!(said, "0");
}

#[test]
fn files_that_a_flag_names_are_waited_for_by_nobody_and_come_by_no_symlink() {
    let own = Scratch::new("named");
    own.file("secret", "kept");
    symlink("secret", own.join("link")).unwrap();
    assert!(Command::new("mkfifo").arg(own.join("fifo")).status().unwrap().success());
    let run = |flags: &[&str]| {
        let flags = [&["run"], flags, &["--", "cat", "/tmp/x"]].concat();
        seclude_command(&flags).current_dir(own.path()).output().unwrap()
    };
    for (flags, words) in [
        (["--file", "/tmp/x=@fifo"], "it is a FIFO"),
        (["--file", "/tmp/x=@/dev/zero"], "it is no file"),
        (["--file", "/tmp/x=@."], "it is a directory"),
        (["--file", "/tmp/x=@link"], "link is a symlink"),
        (["--report", "link"], "link is a symlink"),
        (["--report", "fifo"], "nobody reads it"),
        (["--report", "."], "directory"),
    ] {
        let line = refusal(125, &run(&flags));
        assert!(line.contains(words), "{flags:?}: {line}");
    }
    assert_eq!(std::fs::read_to_string(own.join("secret")).unwrap(), "kept");
    assert_eq!(stdout_of(&run(&["--file", "/tmp/x=@secret"])), "kept");
    // The system's own links are none of theirs, and a pipe of a shell is waited for.
    assert!(run(&["--file", "/tmp/x=@/dev/../etc/hostname", "--report", "/dev/stderr"]).status.success());
    let piped = format!("{} run --file /tmp/x=@<(sleep 0.1; echo piped) -- cat /tmp/x", seclude_bin().display());
    assert_eq!(stdout_of(&Command::new("bash").args(["-c", &piped]).output().unwrap()), "piped");
}

#[test]
fn flags_that_do_not_exist_or_lack_their_value() {
    check(
        &[
            (&["--banana", "true"], 125, "--banana"),
            (&["--bind"], 125, "--bind"),
            (&["--timeout", "soon", "true"], 125, "--timeout"),
            (&["--timeout", "0", "true"], 125, "--timeout"),
            (&["--timeout", "10w", "true"], 125, "10w"),
            (&["--umask", "999", "true"], 125, "--umask"),
            (&["--rlimit", "NOFILE", "true"], 125, "--rlimit"),
            (&["--rlimit", "BANANAS=1", "true"], 125, "BANANAS"),
            (&["--rlimit", "NOFILE=10:5", "true"], 125, "NOFILE"),
            (&["--cap-add", "CAP_BANANA", "true"], 125, "CAP_BANANA"),
            (&["--clone", "fork", "true"], 125, "fork"),
            (&["--oom-score-adj", "2000", "true"], 125, "oom"),
            (&["--env", "=value", "true"], 125, "--env"),
            (&["--env", "", "true"], 125, "--env"),
            (&["--no-new-privs=maybe", "true"], 125, "--no-new-privs"),
            (&["--tmpfs", "/mnt:size=big", "true"], 125, "size"),
            (&["--tmpfs", "/mnt:size=0", "true"], 125, "size"),
            (&["--tmpfs", "/mnt:colour=red", "true"], 125, "colour"),
            (&["--mount", "type=banana,dst=/mnt", "true"], 125, "banana"),
            (&["--mount", "dst=/mnt", "true"], 125, "type="),
            (&["--mount", "type=tmpfs", "true"], 125, "dst"),
            (&["--mount", "type=tmpfs,dst=/mnt,dst=/srv", "true"], 125, "dst"),
            (&["--file", "/mnt", "true"], 125, "--file"),
            (&["--symlink", "target", "true"], 125, "--symlink"),
            (&["--tty-size", "24x80", "true"], 125, "--tty"),
            (&["--tty", "--tty-size", "24", "true"], 125, "--tty-size"),
            (&["--hostname", &"x".repeat(65), "true"], 125, "host name"),
            (&["--hostname", "", "true"], 125, "--hostname: host name: \"\" is no host name"),
            (&["--hostname", "a b", "true"], 125, "is no host name"),
            (&["--hostname", "a\n127.0.0.1 b", "true"], 125, "is no host name"),
        ],
        None,
    );
}

#[test]
fn no_command() {
    check(
        &[(&[], 125, "COMMAND"), (&["--"], 125, "COMMAND"), (&[""], 125, "command"), (&["--", ""], 125, "command")],
        None,
    );
    assert!(refused(125, &["walk", "true"]).contains("walk"));
}

#[test]
fn namespaces_that_do_not_exist() {
    let scratch = Scratch::new("fifo");
    // Nobody ever writes to it: whoever opened it like a file would wait for ever.
    let fifo = scratch.join("fifo");
    outside(&format!("mkfifo {}", fifo.display()));
    let fifo = format!("net={}", fifo.display());
    check(
        &[
            (&["--unshare", "banana", "true"], 125, "banana"),
            (&["--share", "net,banana", "true"], 125, "banana"),
            (&["--share", "", "true"], 125, "--share"),
            (&["--join", "banana=/proc/self/ns/net", "true"], 125, "banana"),
            (&["--join", "net", "true"], 125, "--join"),
            (&["--join", "net=/no/such/namespace", "true"], 125, "/no/such/namespace"),
            (&["--join", "net=/etc/hostname", "true"], 125, "join"),
            (&["--join", "net=/proc/self/ns/uts", "true"], 125, "join"),
            (&["--join", &fifo, "true"], 125, "join"),
        ],
        Some(&scratch),
    );
}

#[test]
fn roots_that_are_relative_missing_or_files() {
    check(
        &[
            (&["--root", "", "true"], 125, "root"),
            (&["--root", "/no/such/root", "true"], 125, "/no/such/root"),
            (&["--root", "/etc/hostname", "true"], 125, "directory"),
        ],
        None,
    );
}

#[test]
fn sources_and_targets_that_are_missing_or_lead_out_of_the_root() {
    let root = busybox_root("targets");
    let host = Scratch::new("outside");
    for (link, to) in [("abs", "/etc"), ("up", "../../../../../../etc"), ("dangling", "/no/such")] {
        symlink(to, root.join(link)).unwrap();
    }
    symlink(host.path(), root.join("out")).unwrap();
    let base = root.path().to_str().unwrap();
    let at = |flags: &[&str], code, word: &str| -> (Vec<String>, i32, String) {
        let all = [&["--root", base, "--writable"], flags, &["true"]].concat();
        (all.into_iter().map(str::to_owned).collect(), code, word.to_owned())
    };
    let cases = [
        at(&["--bind", "/no/such/source:/mnt"], 125, "/no/such/source"),
        at(&["--ro-bind", "/no/such/source:/mnt"], 125, "/no/such/source"),
        at(&["--file", "/tmp/x=@/no/such/source"], 125, "/no/such/source"),
        at(&["--file", "/tmp/x=@/tmp"], 125, "/tmp"),
        at(&["--bind", ":/mnt"], 125, "--bind"),
        at(&["--tmpfs", ""], 125, "--tmpfs: "),
        at(&["--tmpfs", "/mnt/../../x"], 125, ".."),
        at(&["--dir", "/../x"], 125, ".."),
        at(&["--tmpfs", "/"], 125, "root itself"),
        at(&["--bind", "/etc:/"], 125, "root itself"),
        at(&["--tmpfs", "/dangling"], 125, "leads to what is not there"),
        at(&["--tmpfs", "/out/x"], 125, "leads to what is not there"),
        at(&["--dir", "/out/x"], 125, "leads to what is not there"),
        at(&["--file", "/out/x=text"], 125, "leads to what is not there"),
        at(&["--symlink", "target:/out/x"], 125, "leads to what is not there"),
        at(&["--mask", "/out"], 125, "name where it leads"),
        at(&["--bind", "/etc:/out/x"], 125, "leads to what is not there"),
        at(&["--mask", "/no/such/place"], 125, "/no/such/place"),
        at(&["--ro-path", "/no/such/place"], 125, "/no/such/place"),
        at(&["--bind", "/etc:/bin/busybox"], 125, "/bin/busybox"),
        at(&["--symlink", "target:/bin"], 125, "/bin"),
        at(&["--workdir", "/no/such/place"], 125, "/no/such/place"),
        at(&["--workdir", "/bin/busybox"], 125, "/bin/busybox"),
    ];
    for (arguments, code, word) in &cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        check(&[(&arguments, *code, word)], Some(&root));
    }
    assert!(host.listing().is_empty(), "nothing was made where the links lead");
    let missing = ["--root", base, "--tmpfs", "/not-there", "true"];
    check(&[(&missing, 125, "read-only")], Some(&root));
}

#[test]
fn overlays_that_cannot_be() {
    let scratch = Scratch::new("overlays");
    for name in ["a", "upper", "work", "upper/inner"] {
        scratch.directory(name);
    }
    scratch.file("file", "");
    std::os::unix::fs::symlink("a", scratch.join("link")).unwrap();
    let base = scratch.path().to_str().unwrap();
    let root = busybox_root("overlays");
    let base_root = root.path().to_str().unwrap();
    let overlay = |spec: &str| format!("--overlay-mount={}", spec.replace('@', base));
    let cases = [
        ("to=/mnt", "lower"),
        ("lower=@/a,to=/mnt", "one lower"),
        ("lower=@/a,lower=@/a", "to="),
        ("lower=@/a,lower=@/missing,to=/mnt", "missing"),
        ("lower=@/a,lower=@/file,to=/mnt", "file"),
        ("lower=@/a,upper=@/upper,to=/mnt", "work"),
        ("lower=@/a,upper=@/upper,work=@/upper,to=/mnt", "upper and work"),
        ("lower=@/a,upper=@/upper,work=@/upper/inner,to=/mnt", "upper and work"),
        ("lower=@/a,upper=@/upper,work=/dev/shm,to=/mnt", "same file system"),
        ("lower=@/a,ephemeral,upper=@/upper,work=@/work,to=/mnt", "ephemeral"),
        ("lower=@/a,lower=@/upper,to=/", "root itself"),
        ("lower=@/a,lower=@/upper/../a,to=/mnt", "are one directory, and a layer twice"),
        ("lower=@/link,lower=@/upper,lower=@/a,to=/mnt", "are one directory, and a layer twice"),
        ("lower=@/a,upper=@/a,work=@/work,to=/mnt", "/a is a layer twice"),
        ("lower=@/a,upper=@/upper,work=@/link,to=/mnt", "are one directory, and a layer twice"),
        ("lower=@/upper/inner,lower=@/upper,to=/mnt", "a layer lies in another one"),
    ];
    for (spec, word) in cases {
        let flag = overlay(spec);
        check(&[(&[&flag, "true"], 125, word)], Some(&scratch));
    }
    let (upper, work) = (format!("{base}/upper"), format!("{base}/work"));
    check(
        &[
            (&["--root", base_root, "--upper", &upper, "true"], 125, "--work"),
            (&["--root", base_root, "--work", &work, "true"], 125, "--upper"),
            (&["--root", base_root, "--upper", "/no/such/upper", "--work", &work, "true"], 125, "/no/such/upper"),
        ],
        Some(&scratch),
    );
}

#[test]
fn an_upper_directory_that_is_on_an_overlay_itself() {
    if !has_overlays() {
        return;
    }
    let scratch = Scratch::new("on-overlay");
    for name in ["lower/upper", "lower/work", "more"] {
        scratch.directory(name);
    }
    let base = scratch.path().to_str().unwrap();
    // A container whose /mnt is an overlay, and seclude in it.
    let outer = format!("--overlay-mount=lower={base}/lower,ephemeral,to=/mnt");
    let bin = format!("--ro-bind={}:/tmp/seclude", seclude_bin().display());
    let flags = [
        "--nested",
        outer.as_str(),
        &bin,
        "--dir=/tmp/lower",
        "--tmpfs=/tmp/disk",
        "--dir=/tmp/disk/upper",
        "--dir=/tmp/disk/work",
    ];
    let run = |upper: &str, work: &str| {
        format!(
            "exec /tmp/seclude run --share pid --workdir / --overlay-mount lower=/tmp/lower,upper={upper},work={work},to=/srv echo ran"
        )
    };
    let output = try_inside(&flags, &run("/mnt/upper", "/mnt/work"));
    let line = refusal(125, &output);
    assert!(line.contains("overlay") && line.contains("tmpfs"), "{line}");
    assert_eq!(inside(&flags, &run("/tmp/disk/upper", "/tmp/disk/work")), "ran", "the same with an upper on a tmpfs");
}

#[test]
fn id_maps_that_overlap_leave_out_or_are_not_ours() {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let (own, own_gid) = (format!("0:{uid}:1"), format!("0:{gid}:1"));
    let mut cases: Vec<Case<'_>> = vec![
        (&["--uid-map", "0:0:10", "--uid-map", "5:100:10", "true"], 125, "--uid-map"),
        (&["--uid-map", "0:100:10", "--uid-map", "100:105:10", "true"], 125, "--uid-map"),
        (&["--gid-map", "0:0:10", "--gid-map", "9:100:1", "true"], 125, "--gid-map"),
        (&["--uid-map", "0:0", "true"], 125, "--uid-map"),
        (&["--uid-map", "0:0:0", "true"], 125, "--uid-map"),
        (&["--uid-map", "0:4294967295:2", "true"], 125, "--uid-map"),
        (&["--uid-map", "-1:0:1", "true"], 125, "-1"),
        (&["--uid-map", "a:b:c", "true"], 125, "--uid-map"),
        (&["--map-subids", "--uid-map", "0:0:1", "true"], 125, "--map-subids"),
    ];
    let unmapped = ["--uid-map", &own, "--gid-map", &own_gid, "--user", "5", "true"];
    cases.push((&unmapped, 125, "uid 5 is not mapped"));
    let group = ["--uid-map", &own, "--gid-map", &own_gid, "--user", "0:5", "true"];
    cases.push((&group, 125, "gid 5 is not mapped"));
    if !seclude_tests::is_root() {
        cases.push((&["--uid-map", "0:1:1", "true"], 125, "not in a range"));
        cases.push((&["--uid-map", "0:0:65536", "true"], 125, "not in a range"));
        cases.push((&["--gid-map", "0:4000000000:1", "true"], 125, "not in a range"));
    }
    check(&cases, None);
}

#[test]
fn users_that_are_no_numbers() {
    // crun's CVE-2026-30892: an odd word that is taken for user 0.
    for word in
        ["", " 0", "0 ", "+0", "0x0", "-1", "4294967295", "4294967296", "0:", ":0", ":", "0:0:0", "root", "0:-1", "１"]
    {
        let flag = format!("--user={word}");
        check(&[(&[&flag, "id"], 125, "--user")], None);
    }
}

/// A root with things that look like commands.
fn root_of_commands() -> (Scratch, String) {
    let root = busybox_root("commands");
    root.file("bin/plain", "#!/bin/sh\necho ran\n");
    let executables = [
        ("bin/script", "#!/no/such/interpreter --flag\n"),
        ("bin/nothing", "neither ELF nor script"),
        ("bin/empty", ""),
        ("bin/works", "#!/bin/sh\necho ran\n"),
    ];
    for (name, text) in executables {
        let path = root.file(name, text);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    // The host's loader is not in this root.
    fs::copy("/bin/true", root.join("bin/dynamic")).unwrap();
    symlink("/no/such/target", root.join("bin/dangling")).unwrap();
    let base = root.path().to_str().unwrap().to_owned();
    (root, base)
}

#[test]
fn commands_that_are_missing_or_cannot_be_executed() {
    let (root, base) = root_of_commands();
    let cases: [(&str, i32, &str); 10] = [
        ("no-such-command", 127, "no such command"),
        ("/bin/no-such-command", 127, "no such command"),
        ("/bin/busybox/x", 127, "not a directory"),
        ("/bin/dangling", 127, "no such command"),
        ("/bin/script", 127, "/no/such/interpreter"),
        ("/bin/dynamic", 127, seclude_sys::arch::ELF_LOADER),
        ("/bin/plain", 126, "mode"),
        ("plain", 126, "mode"),
        ("/bin", 126, "directory"),
        ("/bin/nothing", 126, "#!"),
    ];
    for (program, code, word) in cases {
        for more in [&[][..], &["--init"], &["--clone=copy"], &["--clone=legacy"]] {
            let arguments = [&["--root", &base], more, &[program]].concat();
            check(&[(&arguments, code, word)], Some(&root));
        }
    }
    // Where a name was looked for is told, and of a path there is nothing of that.
    let searched = refused(127, &["run", "--root", &base, "--env", "PATH=/no/such:/bin", "no-such-command"]);
    assert!(searched.contains("in its PATH /no/such:/bin"), "{searched}");
    let empty = refused(127, &["run", "--root", &base, "--env", "PATH=", "sh"]);
    assert!(empty.contains("its PATH is empty"), "{empty}");
    assert!(!refused(127, &["run", "--root", &base, "/no/such/command"]).contains("PATH"));
    check(&[(&["--root", &base, "/bin/empty"], 126, "exec")], Some(&root));
    assert_eq!(inside(&["--root", &base], "/bin/works"), "ran");
}

#[test]
fn an_environment_that_is_too_large() {
    let variables: Vec<String> = (0..6).map(|number| format!("--env=V{number}={}", "x".repeat(100_000))).collect();
    let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
    for init in [&[][..], &["--init"]] {
        let flags = [&variables[..], init, &["--rlimit", "STACK=1M"]].concat();
        let line = refused(125, &[&["run"], &flags[..], &["true"]].concat());
        assert!(line.contains("environment") && line.contains("too large"), "{line}");
    }
    assert_eq!(inside(&variables, "echo ${#V5}"), "100000", "with the usual stack they fit");
}

#[test]
fn ten_thousand_mounts() {
    let many: Vec<String> = (0..10_000).map(|number| format!("--tmpfs=/tmp/{number}")).collect();
    let mut arguments: Vec<&str> = many.iter().map(String::as_str).collect();
    arguments.push("true");
    check(&[(&arguments, 125, "mounts")], None);
    let some = [&arguments[..500], &["--"]].concat();
    assert_eq!(inside(&some[..500], "ls /tmp | wc -l"), "500");
}

#[test]
fn options_that_contradict_each_other() {
    let root = busybox_root("contradictions");
    let base = root.path().to_str().unwrap();
    let layer = Scratch::new("contradictions");
    let dirs: Vec<PathBuf> = ["upper", "work"].map(|name| layer.directory(name)).into();
    let (upper, work) = (dirs[0].to_str().unwrap(), dirs[1].to_str().unwrap());
    check(
        &[
            (&["--root", base, "--share", "mount,pid", "true"], 125, "mount namespace"),
            (&["--read-only", "--share", "mount,pid", "true"], 125, "mount namespace"),
            (&["--writable", "--share", "mount,pid", "true"], 125, "mount namespace"),
            (&["--tmpfs", "/mnt", "--share", "mount,pid", "true"], 125, "mount namespace"),
            (&["--share", "mount", "true"], 125, "pid namespace"),
            (&["--init", "--share", "pid", "true"], 125, "pid namespace"),
            (&["--mount", "type=proc,dst=/proc", "--share", "pid", "true"], 125, "pid namespace"),
            (&["--mount", "type=sysfs,dst=/mnt", "--share", "net", "true"], 125, "net namespace"),
            (&["--mount", "type=mqueue,dst=/mnt", "--share", "ipc", "true"], 125, "ipc namespace"),
            (&["--hostname", "x", "--share", "uts", "true"], 125, "uts namespace"),
            (&["--domainname", "x", "--share", "uts", "true"], 125, "uts namespace"),
            (&["--uid-map", "0:0:1", "--share", "user", "true"], 125, "user namespace"),
            (&["--map-subids", "--share", "user", "true"], 125, "user namespace"),
            (&["--share", "net", "--unshare", "net", "true"], 125, "net"),
            (&["--share", "net", "--join", "net=/proc/self/ns/net", "true"], 125, "net"),
            (&["--unshare", "net", "--join", "net=/proc/self/ns/net", "true"], 125, "net"),
            (&["--share", "time", "--monotonic", "1h", "true"], 125, "time"),
            (&["--root", base, "--overlay", "--writable", "true"], 125, "--writable"),
            (&["--root", base, "--read-only", "--writable", "true"], 125, "--writable"),
            (&["--root", base, "--overlay", "--upper", upper, "--work", work, "true"], 125, "--upper"),
            (&["--root", base, "--upper", upper, "--work", work, "--writable", "true"], 125, "--writable"),
            (&["--detach", "--timeout", "1s", "true"], 125, "--timeout"),
            (&["--detach", "--tty", "true"], 125, "--tty"),
            (&["--detach", "--report", "/tmp/x", "true"], 125, "--report"),
            (&["--clone", "vm", "--oom-score-adj", "5", "true"], 125, "vm"),
            (&["--timeout", "1s", "--timeout", "2s", "true"], 125, "--timeout"),
            (&["--root", base, "--root", "/", "true"], 125, "--root"),
        ],
        Some(&layer),
    );
}

#[test]
fn a_name_that_is_too_long_and_a_circle_of_symlinks_are_told_as_what_they_are() {
    let own = Scratch::new("circle");
    let circle = own.join("a");
    symlink("b", &circle).unwrap();
    symlink("a", own.join("b")).unwrap();
    let (circle, long) = (circle.to_str().unwrap(), format!("/tmp/{}", "x".repeat(300)));
    for (flags, why) in [
        (["--root", &long], "a name can have 255 bytes"),
        (["--workdir", &long], "a name can have 255 bytes"),
        (["--bind", &format!("/etc:{long}")], "a name can have 255 bytes"),
        (["--root", circle], "lead round in a circle"),
        (["--bind", &format!("{circle}:/mnt")], "lead round in a circle"),
    ] {
        let line = refused(125, &["run", flags[0], flags[1], "true"]);
        assert!(line.contains(why), "{flags:?}: {line}");
    }
}

#[test]
fn flags_that_contradict_each_other_are_named_as_they_were_given() {
    check(
        &[
            (&["--no-namespaces", "--tmpfs", "/x", "true"], 125, "--tmpfs: it needs a mount namespace"),
            (&["--no-namespaces", "--mask", "/x", "true"], 125, "--mask: it needs"),
            (&["--no-namespaces", "--file", "/x=y", "true"], 125, "--file: it needs"),
            (&["--no-namespaces", "--net", "none", "true"], 125, "--net: "),
            (&["--no-namespaces", "--allow", "a:1", "true"], 125, "--allow: "),
            (&["--no-namespaces", "--root", "/", "true"], 125, "--root: "),
            (&["--no-namespaces", "--overlay", "true"], 125, "--overlay: "),
            (&["--no-namespaces", "--map-subids", "true"], 125, "--map-subids: "),
            (&["--allow", "a:1", "--detach", "true"], 125, "'--detach' cannot be used with '--allow': names"),
            (&["--detach", "-v", "true"], 125, "'--detach' cannot be used with '--verbose'"),
            (&["--denials", "--no-denials", "true"], 125, "'--denials' cannot be used with '--no-denials'"),
            (&["--pids", "1", "true"], 125, "--pids: cgroup: the init is a process of the container too"),
            (&["--pids", "1", "true"], 125, "or have no init (--as-pid-1)"),
            (&["--bind", "/etc:/usr/mnt:ro", "true"], 125, "read-only is --ro-bind SRC:DST"),
            (&["--bind", "/etc:/usr/mnt", "true"], 125, "if it is the root's (--overlay)"),
            (&["--timeout", "1w", "true"], 125, "a number with us, ms, s, m, h or d"),
            (&["--umask", "7777", "true"], 125, "--umask: "),
            (&["--oom-score-adj", "1001", "true"], 125, "--oom-score-adj: "),
            (&["--seccomp", "/nonexistent", "true"], 125, "--seccomp: "),
            (&["--user", "4000000000", "--map-subids", "true"], 125, "--user: "),
        ],
        None,
    );
}

#[test]
fn a_cgroup_to_be_swept_has_an_absolute_path() {
    let line = seclude_tests::refused(125, &["gc", "--cgroup", "builds"]);
    assert!(line.contains("--cgroup") || line.contains("builds: not the absolute path of a cgroup"), "{line}");
    assert!(seclude_tests::seclude(&["gc", "--cgroup", "/seclude-test/none"]).status.success(), "none there is none");
}

/// What is said where a shell has made ready for it; `$1` is the command.
fn by_shell(directory: &Path, commands: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", commands, "sh"]).arg(seclude_bin()).current_dir(directory);
    refusal(125, &shell.output().expect("it starts"))
}

#[test]
fn a_directory_that_the_caller_cannot_come_back_to_is_told_with_what_to_do() {
    let own = Scratch::new("here");
    let begun = |commands: &str| by_shell(own.path(), &format!("{commands}; exec \"$1\" run true"));
    let gone = begun("mkdir gone; cd gone; rmdir ../gone");
    assert!(gone.contains("is gone: name a working directory (--workdir DIR)"), "{gone}");
    // 20 times 255 bytes.
    let long = format!("n={}", "d".repeat(255));
    let long = begun(&format!("{long}; for i in 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0; do mkdir $n; cd -P $n; done"));
    // It is the C library that gives up, or the kernel: musl's getcwd(3) has no longer ones.
    assert!(long.contains("longer") && long.contains("(--workdir DIR)"), "{long}");
    if !seclude_tests::is_root() {
        let closed = begun("mkdir -p closed/in; cd closed/in; chmod 0 ..");
        assert!(closed.contains("cannot be reached by its path") && closed.contains("(--workdir DIR)"), "{closed}");
        Command::new("chmod").arg("700").arg(own.join("closed")).status().expect("it starts");
    }
}

#[test]
fn where_no_processes_are_left_the_limit_that_says_so_is_named() {
    let line = by_shell(Path::new("/usr"), "exec prlimit --nproc=1 -- \"$1\" run true");
    assert!(line.contains("RLIMIT_NPROC is 1 (ulimit -u)"), "{line}");
}

#[test]
fn a_deadline_that_has_passed_is_told_by_what_has_set_it() {
    let own = Scratch::new("deadline");
    let spec = own.file("job.toml", "deadline = \"1100ms\"\n");
    let spec = spec.to_str().unwrap();
    for (flags, said) in [
        (&["--timeout", "1s"][..], "killed: --timeout has passed".to_owned()),
        (&["--spec", spec], format!("killed: --spec {spec}: deadline has passed")),
        (&["--spec", spec, "--timeout", "900ms"], "killed: --timeout has passed".to_owned()),
    ] {
        let output = seclude_command(&[&["run"], flags, &["sleep", "9"]].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(137));
        assert!(String::from_utf8_lossy(&output.stderr).contains(&said), "{said}: {output:?}");
    }
}

#[test]
fn limits_that_a_user_may_not_have_are_named_with_what_to_do() {
    let limits = ["--memory", "64M", "--pids", "7", "true"];
    let preferred = ["run", "--prefer", "memory", "--prefer", "pids"];
    assert!(seclude_tests::seclude(&[&preferred[..], &limits].concat()).status.success());
    let output = seclude_tests::seclude(&[&["run"], &limits[..]].concat());
    if output.status.success() {
        println!("skipped: as root, or where a cgroup is delegated, there is one");
        return;
    }
    let line = refusal(125, &output);
    assert!(line.contains("seclude: --memory: cgroup"), "{line}");
    assert!(line.contains("(--cgroup PATH, --prefer memory --prefer pids)"), "{line}");
}

#[test]
fn a_negative_number_is_a_value_that_its_flag_refuses() {
    for flag in ["--fd", "--timeout", "--max-tmp", "--umask", "--memory", "--pids", "--preserve-fds"] {
        let line = refused(125, &["run", flag, "-1", "true"]);
        assert!(line.contains(&format!("invalid value '-1' for '{flag} ")), "{line}");
    }
    assert!(refused(125, &["run", "--ro", "--rw", "/srv", "true"]).contains("--ro"), "a flag is none");
}

#[test]
fn what_is_no_text_is_told_with_its_flag() {
    use std::os::unix::ffi::OsStrExt;
    let bytes = std::ffi::OsStr::from_bytes(b"a\xff");
    let output = seclude_command(&["run", "--rlimit"]).arg(bytes).arg("true").output().unwrap();
    assert!(refusal(125, &output).contains("--rlimit: \"a"));
}

#[test]
fn what_other_programs_call_otherwise_is_told_by_its_name_here() {
    for (given, here) in
        [("--chdir", "--workdir DIR"), ("--setenv", "--env NAME=VALUE"), ("--unshare-all", "the sandbox")]
    {
        let line = refused(125, &["run", given, "x", "true"]);
        assert!(line.contains(&format!("{given}: no flag of seclude: here it is {here}")), "{line}");
    }
    let line = refused(125, &["run", "--workdri", "/", "true"]);
    assert!(line.contains("a similar argument exists: '--workdir'") && !line.contains("tip: to pass"), "{line}");
    let line = refused(125, &["run", "--no-such-flag", "true"]);
    assert!(line.contains("--no-such-flag") && !line.contains("tip: to pass"), "{line}");
}

#[test]
fn a_number_that_is_none_is_told_what_is_wanted() {
    for (flag, bounds) in [("--pids", "1 to 4194304"), ("--mtu", "68 to 65535"), ("--oom-score-adj", "-1000 to 1000")] {
        for given in ["x", "", "99999999999999999999", "1.5"] {
            let line = refused(125, &["run", flag, given, "true"]);
            assert!(line.contains(&format!("a whole number from {bounds} is wanted")), "{flag} {given}: {line}");
        }
    }
}

#[test]
fn nothing_that_is_said_turns_the_line_around() {
    for flags in [&["--preset", "\u{202e}sandbox"][..], &["--spec", "/\u{2066}x.toml"], &["--ro", "/\u{202e}"]] {
        let line = refused(125, &[&["run"], flags, &["true"]].concat());
        assert!(line.contains("\\u{20"), "{line}");
    }
}

#[test]
fn what_a_spec_says_is_told_by_its_key_and_what_a_flag_says_by_that() {
    let own = Scratch::new("spec-keys");
    let spec = own.file("job.toml", "workdir = \"rel\"\nrw = [\"missing\"]\n");
    let spec = spec.to_str().unwrap();
    for (flags, place) in [
        (&[][..], format!("--spec {spec}: workdir: ")),
        (&["--workdir", "/"], format!("--spec {spec}: rw[0]: ")),
        (&["--workdir", "/", "--rw", "/srv"], format!("--spec {spec}: rw[0]: ")),
        (&["--workdir", "also-relative"], "--workdir: ".into()),
    ] {
        let line = refused(125, &[&["run", "--spec", spec], flags, &["true"]].concat());
        assert!(line.contains(&format!("seclude: {place}")), "{place}: {line}");
    }
    for flag in ["--ro", "--rw", "--bind", "--root"] {
        let line = refused(125, &["run", flag, "/no/such/path", "true"]);
        assert!(line.contains(&format!("seclude: {flag}: ")), "{line}");
    }
}

#[test]
fn without_a_task_there_is_the_help_as_it_is_read() {
    let output = seclude_command(&[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stdout.is_empty() && said.contains("\nUsage: seclude <COMMAND>\n"), "{said}");
}

#[test]
fn a_script_with_carriage_returns_is_told_so() {
    let own = Scratch::new("crlf");
    let script = own.executable("script", "#!/bin/sh\r\necho hi\r\n");
    let flags = ["run", "--ro", own.path().to_str().unwrap(), script.to_str().unwrap()];
    let line = refused(127, &flags);
    assert!(line.contains("carriage return") && line.contains(r"/bin/sh\r"), "{line}");
}

#[test]
fn a_value_that_is_there_and_empty_is_told_as_that() {
    for flag in ["--ro", "--root", "--upper"] {
        let line = refused(125, &["run", flag, "", "true"]);
        assert!(line.contains(flag) && line.contains("its value is empty"), "{line}");
    }
    assert!(refused(125, &["run", "--ro"]).contains("value is required"), "and one that is missing as that");
}
