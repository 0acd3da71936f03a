//! The same behaviour under all three ways of cloning.

use seclude::{CloneWay, Command, Mount, Namespace, Root, UserMap};
use seclude_tests::{busybox_root, call, filtered, has_time_with, said, shell};

const WAYS: [CloneWay; 3] = [CloneWay::Vm, CloneWay::Copy, CloneWay::Legacy];

#[test]
fn each_way_gives_the_same_sandbox() {
    let probe = "id -u; echo $$; grep -o lo: /proc/net/dev; grep -E '^(CapEff|CapBnd|NoNewPrivs|SigBlk|SigIgn)' /proc/self/status; \
                 touch /x 2>&1; ls /tmp; tr -s ' ' < /proc/self/uid_map | cut -d' ' -f2,4; ls -l /proc/self/fd | wc -l";
    let mut answers = Vec::new();
    for way in WAYS {
        let output = shell(probe).sandbox().share(Namespace::Cgroup).clone_way(way).output().expect("it runs");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(answer.starts_with("0\n2\nlo:\n"), "{way}: {answer}");
        assert!(answer.contains("SigIgn:\t0000000000000000"), "{way}: {answer}");
        assert!(
            answer.contains("CapEff:\t0000000000000000") && answer.contains("Read-only file system"),
            "{way}: {answer}"
        );
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[test]
fn the_report_names_the_way_and_whether_memory_was_shared() {
    for (way, name, shared) in
        [(CloneWay::Vm, "vm", true), (CloneWay::Copy, "copy", false), (CloneWay::Legacy, "legacy", true)]
    {
        let mut child = shell("exit 0").sandbox().clone_way(way).spawn().expect("it runs");
        assert_eq!((child.report().clone, child.report().shared_memory), (name, shared));
        assert!(child.wait().expect("it ends").success());
    }
}

#[test]
fn each_way_names_the_step_that_failed() {
    for way in WAYS {
        let missing = Command::new("/nowhere/command").sandbox().clone_way(way).spawn().expect_err("it is missing");
        assert_eq!((missing.step(), missing.errno_name(), missing.exit_code()), ("exec", Some("ENOENT"), 127), "{way}");
        let mut command = shell("exit 0");
        command.sandbox().mount(Mount::tmpfs("/usr/nowhere")).clone_way(way);
        let target = command.spawn().expect_err("the root is read-only");
        assert_eq!((target.step(), target.errno_name()), ("mount", Some("EROFS")), "{way}");
    }
}

#[test]
fn each_way_resets_signals_and_reports_their_deaths() {
    for way in WAYS {
        let mut child = Command::new("/bin/sleep").arg("1000").clone_way(way).spawn().expect("it runs");
        child.signal(15).expect("it is ours");
        assert_eq!(child.wait().expect("it ends").signal(), Some(15), "{way}");
    }
}

#[test]
fn each_way_runs_an_init_a_root_of_its_own_and_a_terminal() {
    let root = busybox_root("ways");
    for way in WAYS {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo $$; exit 5"]).sandbox().root(Root::directory(root.path()).read_only());
        command.init(true).clone_way(way);
        let output = command.output().expect("it runs");
        assert_eq!(output.exit.code(), Some(5), "{way}");
        assert_eq!(output.stdout, b"2\n", "{way}: the init is 1");

        let mut command = Command::new("/bin/sh");
        command.args(["-c", "tty; stty size"]).sandbox().root(Root::directory(root.path()).read_only());
        command.terminal(33, 77).clone_way(way).stdout(seclude::Stdio::piped());
        let output = command.spawn().expect("it runs").wait_with_output().expect("it ends");
        assert_eq!(said(&output), "/dev/pts/0\n33 77", "{way}");
    }
}

#[test]
fn each_way_can_set_the_clocks_of_a_time_namespace() {
    for way in WAYS.into_iter().filter(|way| has_time_with(*way)) {
        let mut command = shell("cut -d. -f1 /proc/uptime");
        command.unshare(Namespace::User).unshare(Namespace::Time).boottime_offset(1_000_000 * 1_000_000_000);
        let inside: u64 = said(&command.clone_way(way).output().expect("it runs")).parse().expect("a number");
        assert!(inside >= 1_000_000, "{way}: {inside}");
    }
    let outside: u64 = said(&shell("cut -d. -f1 /proc/uptime").output().expect("it runs")).parse().expect("a number");
    assert!(outside < 1_000_000);
}

#[test]
fn auto_copies_only_what_must_not_share_memory() {
    let way = |build: &dyn Fn(&mut Command)| {
        let mut command = Command::new("/bin/true");
        build(&mut command);
        command.plan().expect("it compiles").clone_way().0
    };
    assert_eq!(way(&|_| {}), CloneWay::Vm);
    assert_eq!(way(&|command| drop(command.sandbox().clone())), CloneWay::Vm);
    assert_eq!(way(&|command| drop(command.oom_score_adj(5).clone())), CloneWay::Copy);
    assert_eq!(way(&|command| drop(command.join(Namespace::Net, "/proc/self/ns/net").clone())), CloneWay::Copy);
    let subids = way(&|command| drop(command.unshare(Namespace::User).user_map(UserMap::SubIds).clone()));
    assert_eq!(subids, CloneWay::Vm);
}

#[test]
fn vm_is_refused_for_what_must_not_share_memory() {
    let mut command = Command::new("/bin/true");
    let refused = command.join(Namespace::Net, "/proc/self/ns/net").clone_way(CloneWay::Vm).spawn();
    let error = refused.expect_err("a joined process must not see our memory");
    assert_eq!(error.step(), "clone");
    assert!(error.to_string().contains("auto or copy"), "{error}");
}

#[test]
fn where_a_filter_blocks_clone3_auto_takes_clone_and_says_so() {
    for (errno, name) in [(1, "EPERM"), (38, "ENOSYS")] {
        let run = |arguments: &[&str]| {
            let mut command = filtered(&[(call::CLONE3, errno)], seclude_tests::seclude_bin());
            command.args(arguments).output().expect("python3 is there")
        };
        let output = run(&["run", "-v", "sh", "-c", "echo $$"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(seclude_tests::stdout_of(&output), "2");
        assert!(stderr.contains(&format!("clone legacy (clone3 answers {name} here)")), "{stderr}");
        let output = run(&["run", "--clone", "vm", "true"]);
        assert_eq!(output.status.code(), Some(125));
        assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("clone3 answers {name} here")));
    }
}
