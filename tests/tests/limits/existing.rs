//! A cgroup that is there before the container, and after it.

use std::fs;
use std::os::fd::AsRawFd;

use seclude::Command;
use seclude_tests::{ExistingCgroup, cgroup_mounts, make_cgroup, refused, root_only, said, seclude, shell, stdout_of};

const LOOK: [&str; 2] = ["cat", "/proc/self/cgroup"];

#[test]
fn a_command_starts_in_a_cgroup_that_exists_in_each_hierarchy_that_has_it_and_leaves_it() {
    root_only!();
    let theirs = ExistingCgroup::make("existing");
    let line = refused(125, &["run", "--clone", "vm", "--cgroup-join", &theirs.path, "true"]);
    assert!(line.contains("kills whoever shares"), "{line}");
    for way in ["auto", "copy", "legacy"] {
        let flags = ["run", "--share", "cgroup", "--clone", way, "--cgroup-join", &theirs.path];
        let shown = stdout_of(&seclude(&[&flags[..], &LOOK].concat()));
        assert_eq!(
            shown.lines().filter(|line| line.ends_with(&theirs.path)).count(),
            theirs.made.len(),
            "{way}: {shown}"
        );
    }
    let plain = stdout_of(&seclude(&[&["run", "--share", "cgroup"], &LOOK[..]].concat()));
    assert!(!plain.contains(&theirs.path), "{plain}");
    // Its namespace begins there.
    let shown = stdout_of(&seclude(&[&["run", "--cgroup-join", &theirs.path], &LOOK[..]].concat()));
    assert!(shown.lines().all(|line| line.ends_with(":/")), "{shown}");
    assert!(theirs.made.iter().all(|directory| directory.exists()), "it stays");
}

#[test]
fn by_a_descriptor_it_is_the_one_that_is_open() {
    root_only!();
    let theirs = ExistingCgroup::make("open");
    for directory in &theirs.made {
        let open = fs::File::open(directory).unwrap();
        let mut command = shell("cat /proc/self/cgroup");
        command.join_cgroup_fd(open).stdout(seclude::Stdio::piped());
        let shown = said(&command.output().unwrap());
        assert_eq!(
            shown.lines().filter(|line| line.ends_with(&theirs.path)).count(),
            1,
            "{}: {shown}",
            directory.display()
        );
    }
    let mut command = Command::new("true");
    command.join_cgroup_fd(fs::File::open("/").unwrap());
    let error = command.spawn().unwrap_err().to_string();
    assert!(error.contains("/ is not a cgroup directory"), "{error}");
}

#[test]
fn what_limits_it_there_limits_the_command() {
    root_only!();
    let theirs = ExistingCgroup::make("limited");
    let Some(pids) = theirs.with("pids.max") else { return };
    fs::write(pids.join("pids.max"), "3").unwrap();
    let many = "for n in 1 2 3 4 5; do sleep 1 & done; wait";
    let limited = seclude(&["run", "--cgroup-join", &theirs.path, "sh", "-c", many]);
    assert!(String::from_utf8_lossy(&limited.stderr).contains("ork"), "{limited:?}");
    assert!(seclude(&["run", "sh", "-c", many]).stderr.is_empty());
}

#[test]
fn one_that_is_none_or_in_which_nothing_could_run_is_one_clear_line() {
    root_only!();
    let theirs = ExistingCgroup::make("frozen");
    let line = |path: &str| refused(125, &["run", "--cgroup-join", path, "true"]);
    for (path, words) in [
        ("/seclude-test/no/such", "no hierarchy has it"),
        ("seclude-test", "an absolute path in the hierarchy"),
        ("/seclude-test/../x", "without `..`"),
        (&format!("{}/x", cgroup_mounts()[0].display()), "without the mount point"),
    ] {
        assert!(line(path).contains(words), "{path}: {}", line(path));
    }
    if let Some(v1) = theirs.with("freezer.state") {
        fs::write(v1.join("freezer.state"), "FROZEN").unwrap();
        assert!(line(&theirs.path).contains("it is frozen"), "{}", line(&theirs.path));
        fs::write(v1.join("freezer.state"), "THAWED").unwrap();
    }
    if let Some(v2) = theirs.with("cgroup.freeze") {
        fs::write(v2.join("cgroup.freeze"), "1").unwrap();
        assert!(line(&theirs.path).contains("it is frozen"), "{}", line(&theirs.path));
        // Nor can one of its own be made in it, which would be as frozen.
        let below = refused(125, &["run", "--cgroup", &theirs.path, "true"]);
        assert!(below.contains("it is frozen"), "{below}");
        fs::write(v2.join("cgroup.freeze"), "0").unwrap();
    }
    let both = refused(125, &["run", "--cgroup-join", &theirs.path, "--memory", "64M", "true"]);
    assert!(both.contains("a cgroup of its own") && both.contains("ask for one of them"), "{both}");
    let writable = refused(125, &["run", "--cgroup-join", &theirs.path, "--host-root", "true"]);
    assert!(writable.contains("it could be written"), "{writable}");
    let thawed = seclude(&["run", "--cgroup-join", &theirs.path, "true"]);
    assert!(thawed.status.success(), "and thawed it works: {thawed:?}");
    if let Some(point) = cgroup_mounts().into_iter().find(|point| point.ends_with("cpuset")) {
        let directory = point.join(&theirs.path[1..]);
        make_cgroup(&directory);
        let said = line(&theirs.path);
        let _ = fs::remove_dir(&directory);
        let _ = fs::remove_dir(directory.parent().unwrap());
        assert!(said.contains("cpuset.cpus or cpuset.mems is empty"), "{said}");
    }
}

#[test]
fn nobody_is_put_where_the_caller_may_not_put_anybody() {
    if seclude_tests::is_root() {
        return;
    }
    // The top of a hierarchy is root's.
    let line = refused(125, &["run", "--cgroup-join", "/", "true"]);
    assert!(line.contains("cgroup.procs") || line.contains("tasks") || line.contains("clone3"), "{line}");
    let open = fs::File::open(&cgroup_mounts()[0]).unwrap();
    assert!(open.as_raw_fd() > 2);
    let mut command = Command::new("true");
    command.join_cgroup_fd(open);
    assert!(command.spawn().is_err());
}

#[test]
fn a_users_command_that_could_mount_a_hierarchy_does_not_start_in_a_cgroup_that_is_the_users() {
    root_only!();
    let theirs = ExistingCgroup::make("delegated");
    for directory in &theirs.made {
        let own: Vec<_> = [directory.clone(), directory.join("cgroup.procs")].into();
        own.iter().for_each(|path| std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap());
        let run = |flags: &str| {
            let procs = directory.join("cgroup.procs").display().to_string();
            let seclude = seclude_tests::seclude_bin().display().to_string();
            let script = format!(
                "echo $$ > {procs}; cd /usr; exec setpriv --reuid 65534 --regid 65534 --clear-groups {seclude} run {flags} -- true"
            );
            std::process::Command::new("sh").args(["-c", &script]).env("HOME", "/nonexistent").output().unwrap()
        };
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let point = cgroup_mounts().into_iter().find(|point| directory.starts_with(point)).unwrap();
        let at = format!(" {} ", point.display());
        let bound = mounts.lines().any(|line| line.contains(&at) && line.contains("nsdelegate"));
        for flags in ["--nested", "--cap-add SYS_ADMIN"] {
            let output = run(flags);
            let line = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(
                output.status.code(),
                Some(if bound { 0 } else { 125 }),
                "{}, {flags}: {line}",
                directory.display()
            );
            assert!(bound || line.contains("is its to write"), "{line}");
        }
        assert!(run("").status.success(), "it could not mount one");
    }
}
