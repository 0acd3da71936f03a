//! A request is compiled into a plan without doing anything, and the plan says what will be done.

use seclude::{
    Action, CloneWay, Command, First, Host, Moment, Mount, Namespace, Overlay, Pasta, Plan, Publish, Resource, Root,
    UserMap, Veth,
};

fn actions(build: impl FnOnce(&mut Command)) -> Vec<Action> {
    let mut command = Command::new("true");
    build(&mut command);
    command.plan().expect("it compiles").actions()
}

fn position(actions: &[Action], step: &str, word: &str) -> usize {
    let found = actions.iter().position(|action| action.step == step && action.action.contains(word));
    found.unwrap_or_else(|| panic!("no {step} action with {word:?}"))
}

fn last_position(actions: &[Action], step: &str, word: &str) -> usize {
    let found = actions.iter().rposition(|action| action.step == step && action.action.contains(word));
    found.unwrap_or_else(|| panic!("no {step} action with {word:?}"))
}

#[test]
fn it_knows_who_is_the_first_process() {
    let first = |build: fn(&mut Command) -> &mut Command| {
        let mut command = Command::new("true");
        build(&mut command);
        command.plan().expect("it compiles").first()
    };
    assert_eq!(first(|command| command), None);
    assert_eq!(first(Command::sandbox), Some(First::Init));
    assert_eq!(first(|command| command.sandbox().as_pid_1()), Some(First::Command));
    assert_eq!(first(|command| command.sandbox().share(Namespace::Pid)), None);
    assert_eq!(first(|command| command.unshare(Namespace::Mount).unshare(Namespace::Pid)), Some(First::Command));
    if Host::current().with_landlock().landlock >= 6 {
        assert_eq!(first(Command::no_namespaces), None);
    }
}

#[test]
fn the_sandbox_is_built_in_the_only_safe_order() {
    let actions = actions(|command| {
        command.sandbox().mount(Mount::bind("/usr", "/mnt")).rlimit(Resource::NOFILE, 64, 64).current_dir("/mnt");
    });
    let clone = actions.iter().position(|action| action.moment == Moment::Clone).expect("there is a clone");
    assert!(actions[..clone].iter().all(|action| action.moment == Moment::Prepare));
    assert!(actions.iter().skip(clone + 1).all(|action| action.moment != Moment::Prepare));

    let barrier = position(&actions, "barrier", "GO");
    let private = position(&actions, "root", "MS_PRIVATE");
    let proc = position(&actions, "mount", "fsopen(proc)");
    let pivot = position(&actions, "root", "pivot_root");
    let launch = position(&actions, "exec", "execveat(the launcher");
    let limit = position(&actions, "rlimit", "prlimit64");
    let rights = last_position(&actions, "rights", "capset");
    let filter = position(&actions, "filter", "SECCOMP_SET_MODE_FILTER");
    let directory = position(&actions, "workdir", "fchdir");
    let exec = last_position(&actions, "exec", "execve");
    let order = [clone, barrier, private, proc, pivot, launch, limit, rights, directory, filter, exec];
    assert!(order.is_sorted_by(|before, after| before < after), "{order:?}");
    assert_eq!(exec, actions.len() - 1, "nothing comes after the exec");
    assert_eq!(actions[clone + 1].moment, Moment::Attend, "the maps are written while the child waits");
}

#[test]
fn the_hosts_tree_is_left_for_a_copy_only_where_something_takes_from_it() {
    type Change = dyn Fn(&mut Command) -> &mut Command;
    let pivots = |build: &Change| {
        actions(|command| {
            // Under the caller's own ids: others are mapped in a copy, which only another process may make.
            command.preset(seclude::Preset::Host).user_map(UserMap::CallerAsRoot);
            build(command);
        })
        .iter()
        .any(|action| action.action.contains("pivot_root"))
    };
    let stays: [&Change; 4] = [
        &|command| command,
        &|command| command.root(Root::directory("/")),
        &|command| command.mount(Mount::tmpfs("/mnt")).mount(Mount::mask("/etc/shadow")),
        &|command| command.mount(Mount::directory("/tmp/made")).mount(Mount::symlink("made", "/tmp/link")),
    ];
    for (number, build) in stays.iter().enumerate() {
        assert!(!pivots(build), "request {number}");
    }
    let copied: [&Change; 8] = [
        &|command| command.mount(Mount::bind("/usr", "/mnt")),
        &|command| command.mount(Mount::file("/etc/motd", "x")),
        &|command| command.add_host("peer", [10, 0, 0, 1].into()),
        &|command| command.mount(Mount::tmpfs("/dev")),
        &|command| command.mount(Mount::tmpfs("/dev/shm")),
        &|command| command.mount(Mount::mask("/dev/zero")).mount(Mount::dev("/mnt")),
        &|command| command.mount(Mount::mask("/proc")),
        &|command| command.root(Root::directory("/usr")),
    ];
    let shared = actions(|command| drop(command.sandbox().share(Namespace::User).clone()));
    assert!(shared.iter().any(|action| action.action.contains("pivot_root")), "without a user namespace");
    for (number, build) in copied.iter().enumerate() {
        assert!(pivots(build), "request {number}");
    }
}

#[test]
fn a_mount_namespace_is_made_of_the_root_only_where_that_is_all_and_nothing_is_mounted_before() {
    type Change = dyn Fn(&mut Command) -> &mut Command;
    let compiled = |able: bool, build: &Change| {
        let mut command = Command::new("true");
        command.unshare(Namespace::Mount).unshare(Namespace::Pid).root(Root::directory("/usr"));
        // The one that a pid namespace brings has masks, which take from the host.
        command.mount(Mount::proc("/proc")).mount(Mount::tmpfs("/mnt"));
        build(&mut command);
        let mut host = Host::current();
        host.tree_namespaces = able;
        Plan::compile(&command, &host).expect("it compiles").actions()
    };
    let has = |actions: &[Action], word: &str| actions.iter().any(|action| action.action.contains(word));
    let alone: [&Change; 3] = [
        &|command| command,
        &|command| command.unshare(Namespace::Net).unshare(Namespace::Ipc).mount(Mount::sysfs("/sys")),
        &|command| command.root(Root::directory("/usr").read_only()).mount(Mount::read_only_path("/lib")),
    ];
    for (number, build) in alone.iter().enumerate() {
        let actions = compiled(true, build);
        assert!(!has(&actions, "pivot_root"), "request {number}");
        let first = actions.iter().find(|action| {
            ["open_tree", "mount", "fsopen"].iter().any(|word| action.action.contains(word))
                && action.moment == Moment::Child
        });
        assert!(first.expect("a mount").action.contains("as a mount namespace"), "request {number}: {first:?}");
        assert!(has(&compiled(false, build), "pivot_root"), "request {number}");
    }
    let more: [&Change; 9] = [
        &|command| command.mount(Mount::bind("/etc", "/opt")),
        &|command| command.mount(Mount::dev("/dev")),
        &|command| command.mount(Mount::mask("/lib")),
        &|command| command.mount(Mount::file("/made", "x")),
        &|command| command.mount(Mount::overlay(Overlay::new(["/usr"]).ephemeral(), "/lib")),
        &|command| command.terminal(24, 80),
        &|command| command.add_host("peer", [10, 0, 0, 1].into()),
        &|command| command.unshare(Namespace::User),
        &|command| command.root(Root::directory("/")),
    ];
    for (number, build) in more.iter().enumerate() {
        let actions = compiled(true, build);
        assert!(has(&actions, "pivot_root") && !has(&actions, "as a mount namespace"), "request {number}");
    }
}

#[test]
fn a_new_pid_namespace_brings_its_proc_visibly() {
    let with = actions(|command| {
        command.unshare(Namespace::User).unshare(Namespace::Pid).unshare(Namespace::Mount);
    });
    let added = position(&with, "mount", "fsopen(proc)");
    assert!(with[added].about.contains("added for the new pid namespace"), "{}", with[added].about);
    // Who says what /proc is gets that, and only that.
    let own = actions(|command| {
        command.unshare(Namespace::User).unshare(Namespace::Pid).unshare(Namespace::Mount);
        command.mount(Mount::proc("/proc").read_only());
    });
    assert_eq!(own.iter().filter(|action| action.action.contains("fsopen(proc)")).count(), 1);
    assert!(own.iter().all(|action| !action.about.contains("added")));
}

#[test]
fn nothing_is_on_unless_asked_for() {
    let bare = actions(|_| {});
    for word in ["mount", "fsopen", "capset", "setresuid", "rtnetlink", "pivot_root", "GO"] {
        assert!(bare.iter().all(|action| !action.action.contains(word)), "{word}");
    }
    assert!(bare.iter().any(|action| action.action.contains("new namespaces: none")));
}

#[test]
fn parts_of_the_preset_go_with_the_namespace_that_they_are_for() {
    let shared = actions(|command| {
        command.sandbox().share(Namespace::Mount).share(Namespace::Pid);
    });
    assert!(shared.iter().all(|action| !action.action.contains("fsopen")));
    let pid_shared = actions(|command| {
        command.sandbox().share(Namespace::Pid);
    });
    assert!(pid_shared.iter().all(|action| !action.action.contains("fsopen(proc)")));
    assert!(pid_shared.iter().any(|action| action.action.contains("fsopen(tmpfs)")));
    // What the caller asked for itself is not given up with them, but refused.
    let mut own = Command::new("true");
    own.sandbox().share(Namespace::Mount).share(Namespace::Pid).mount(Mount::tmpfs("/mnt"));
    assert!(own.plan().is_err());
}

#[test]
fn the_plan_follows_the_host_that_it_is_compiled_for() {
    let mut command = Command::new("true");
    command.sandbox();
    let mut old = Host::current();
    old.clone3_refused = Some("ENOSYS");
    let plan = Plan::compile(&command, &old).expect("it compiles");
    let (way, reason) = plan.clone_way();
    assert_eq!(way, CloneWay::Legacy);
    assert!(reason.contains("ENOSYS"), "{reason}");

    let mut new = Host::current();
    new.clone3_refused = None;
    let plan = Plan::compile(&command, &new).expect("it compiles");
    assert_eq!(plan.clone_way().0, CloneWay::Vm);

    command.clone_way(CloneWay::Vm);
    let refused = Plan::compile(&command, &old).expect_err("what was asked for cannot be had");
    assert_eq!(refused.step(), "clone");
}

#[test]
fn a_plan_is_data_that_a_program_can_read() {
    let actions = actions(|command| {
        command.sandbox();
    });
    let json = serde_json::to_value(&actions).expect("it is serialisable");
    assert_eq!(json.as_array().map(Vec::len), Some(actions.len()));
    assert_eq!(json[actions.len() - 1]["step"], "exec");
    assert_eq!(json[actions.len() - 1]["moment"], "child");
}

#[test]
fn a_mount_that_cannot_be_meant_is_named_by_its_place_among_the_callers() {
    let refused = |build: fn(&mut Command) -> &mut Command| {
        let mut command = Command::new("true");
        build(&mut command);
        command.plan().expect_err("it cannot be meant").mount()
    };
    assert_eq!(refused(|command| command.sandbox().mount(Mount::tmpfs("/mnt")).mount(Mount::tmpfs("/"))), Some(1));
    assert_eq!(refused(|command| command.unshare(Namespace::Mount).mount(Mount::mask("/a/../.."))), Some(0));
    assert_eq!(refused(|command| command.mount(Mount::tmpfs("/mnt"))), Some(0));
    assert_eq!(refused(|command| command.unshare(Namespace::Pid)), None);
}

#[test]
fn a_port_that_is_published_twice_is_an_error_of_the_plan() {
    let port = |text: &str| Publish::parse(text).expect("it is a port").remove(0);
    for (first, second) in [("8080:80", "8080:81"), ("127.0.0.1:53:53/udp", "53:53/udp")] {
        let mut veth = Command::new("true");
        veth.veth(Veth::new().publish(port(first)).publish(port(second)));
        let mut pasta = Command::new("true");
        pasta.unshare(Namespace::Mount).pasta(Pasta::new().publish(port(first)).publish(port(second)));
        for command in [veth, pasta] {
            let error = command.plan().expect_err("both want the same").to_string();
            assert!(error.contains("has it already"), "{error}");
        }
    }
}
