//! Rules of landlock, by contrast with the same command without them; and the sandbox that has nothing else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use seclude::{Command, Feature, Landlock};
use seclude_tests::{
    Background, Scratch, inside, is_root, python, refusal, refused, root_only, said, seclude, seclude_command,
    stdout_of, try_inside,
};

/// Returns from a test where the kernel has less of landlock than this, saying so.
macro_rules! needs_abi {
    ($abi:expr) => {
        let has = seclude::Host::current().with_landlock().landlock;
        if has < $abi {
            println!("skipped: landlock has ABI {has} here, and this needs {}", $abi);
            return;
        }
    };
}

/// What a program of the host needs, whatever else it may.
const PROGRAMS: [&str; 6] = ["--landlock-exec", "/usr", "--landlock-ro", "/etc", "--landlock-rw", "/dev/null"];

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ASCII letters")
}

#[test]
fn what_may_be_read_may_not_be_written_and_nothing_else_may_be_read() {
    needs_abi!(5);
    let look = "cat /tmp/in/file 2>&1; (echo new > /tmp/in/file) 2>/dev/null || echo closed; cat /tmp/out 2>/dev/null || echo hidden";
    let files = ["--file", "/tmp/in/file=text", "--file", "/tmp/out=text"];
    let with = |rules: &[&str]| inside(&[&files[..], &PROGRAMS, rules].concat(), look);
    assert_eq!(with(&["--landlock-ro", "/tmp/in"]), "textclosed\nhidden");
    assert_eq!(with(&["--landlock-rw", "/tmp/in", "--landlock-ro", "/tmp/out"]), "texttext");
    assert_eq!(inside(&files, look), "texttext", "the contrast");
}

#[test]
fn what_may_be_written_may_be_made_moved_cut_and_removed() {
    needs_abi!(5);
    let work = "cd /tmp && mkdir a b && echo text > a/one && mv a/one b/two && : > b/two && ln -s two b/link && ln b/two a/three && \
                rm -r a b && echo done";
    let with = |rules: &[&str]| try_inside(&[&PROGRAMS[..], rules].concat(), work);
    assert_eq!(stdout_of(&with(&["--landlock-rw", "/tmp"])), "done");
    assert!(!with(&["--landlock-ro", "/tmp"]).status.success());
    // From where it may be removed to where nothing may be made.
    let moved =
        "echo x > /tmp/in/x; mv /tmp/in/x /tmp/out/x 2>/dev/null || ln /tmp/in/x /tmp/out/x 2>/dev/null || echo stays";
    let places = ["--dir", "/tmp/in", "--dir", "/tmp/out"];
    let flags = [&places[..], &PROGRAMS, &["--landlock-rw", "/tmp/in", "--landlock-ro", "/tmp/out"]].concat();
    assert_eq!(inside(&flags, moved), "stays");
    assert_eq!(inside(&[&places[..], &PROGRAMS, &["--landlock-rw", "/tmp"]].concat(), moved), "", "the contrast");
}

#[test]
fn a_link_out_of_what_is_open_leads_nowhere_and_one_in_a_rule_is_followed() {
    needs_abi!(5);
    let files = ["--file", "/tmp/secret=text", "--dir", "/tmp/in", "--symlink", "/tmp/secret:/tmp/in/link"];
    let look = "cat /tmp/in/link 2>/dev/null || echo closed";
    assert_eq!(inside(&[&files[..], &PROGRAMS, &["--landlock-rw", "/tmp/in"]].concat(), look), "closed");
    assert_eq!(inside(&[&files[..], &PROGRAMS, &["--landlock-ro", "/tmp"]].concat(), look), "text");
    assert_eq!(inside(&[&files[..], &PROGRAMS, &["--landlock-ro", "/tmp/in/link"]].concat(), look), "text");
}

#[test]
fn nothing_is_executed_but_what_rules_say_and_that_is_told() {
    needs_abi!(5);
    let copy = "cp /usr/bin/true /tmp/copy && /tmp/copy && echo ran || echo refused";
    let with = |rules: &[&str]| {
        let output = try_inside(&[&PROGRAMS[..], rules].concat(), copy);
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(with(&["--landlock-rw", "/tmp"]), "refused\n");
    assert_eq!(with(&["--landlock-rw", "/tmp", "--landlock-exec", "/tmp"]), "ran\n");
    let line = refused(126, &["run", "--landlock-ro", "/", "--", "/usr/bin/true"]);
    assert!(line.contains("--landlock-exec /usr/bin") && line.contains("EACCES"), "{line}");
    // The ELF loader as well.
    let line = refused(126, &["run", "--landlock-ro", "/", "--landlock-exec", "/usr/bin", "--", "/usr/bin/true"]);
    assert!(line.contains("loader"), "{line}");
}

#[test]
fn a_device_has_its_ioctls_where_it_is_named_itself() {
    needs_abi!(5);
    let ask = "import fcntl, array\n\
        try: fcntl.ioctl(open('/dev/zero', 'rb+', 0), 0x80041272, array.array('i', [0]))\n\
        except OSError as error: print(error.errno)";
    let with = |rules: &[&str]| python(&[&PROGRAMS[..], rules].concat(), ask);
    assert_eq!(with(&["--landlock-rw", "/dev"]), "13");
    assert_eq!(with(&["--landlock-rw", "/dev/zero"]), "25", "no such request");
    assert_eq!(python(&[], ask), "25", "the contrast");
}

/// Tries to come to a port of 127.0.0.1, on which this listens itself if `bind` is it: error numbers of bind and connect.
fn tcp(bind: u16, connect: u16) -> String {
    format!(
        "import socket, errno\n\
         def tried(what, *given):\n    try: what(*given); return 0\n    except OSError as error: return error.errno\n\
         server = socket.socket()\nclient = socket.socket()\n\
         bound = tried(server.bind, ('127.0.0.1', {bind}))\n\
         if bound == 0: server.listen()\n\
         print(bound, tried(client.connect, ('127.0.0.1', {connect})))"
    )
}

#[test]
fn ports_are_closed_to_bind_to_and_to_connect_to() {
    needs_abi!(4);
    let of = |flags: &[&str], bind, connect| python(flags, &tcp(bind, connect));
    assert_eq!(of(&[], 8001, 8001), "0 0", "the contrast");
    assert_eq!(of(&["--landlock-connect", "8001"], 8001, 8001), "0 0");
    assert_eq!(of(&["--landlock-connect", "8002"], 8001, 8001), "0 13");
    assert_eq!(of(&["--landlock-bind", "8001", "--landlock-connect", "none"], 8001, 8001), "0 13");
    assert_eq!(of(&["--landlock-bind", "8002", "--landlock-bind", "0"], 8001, 8001), "13 111");
    assert_eq!(of(&["--landlock-bind", "none"], 8001, 8001), "13 111");
}

#[test]
fn rules_of_ports_are_not_gone_past_by_other_protocols_or_by_sending() {
    needs_abi!(4);
    let others = "import socket\n\
        def tried(what, *given):\n    try: what(*given); return 0\n    except OSError as error: return error.errno\n\
        server = socket.socket()\nserver.bind(('127.0.0.1', 8001))\nserver.listen()\n\
        sent = tried(socket.socket().sendto, b'x', 0x20000000, ('127.0.0.1', 8001))\n\
        def mptcp(): socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).connect(('127.0.0.1', 8001))\n\
        print(sent, tried(mptcp))";
    assert_eq!(python(&["--landlock-connect", "none"], others), "95 93");
    assert_eq!(python(&["--landlock-connect", "none", "--seccomp", "none"], others), "95 93");
    let without = python(&[], others);
    // A kernel may lack both.
    assert!(["0 0", "0 93", "0 92", "95 0"].contains(&without.as_str()), "the contrast: {without}");
}

#[test]
fn others_are_neither_signalled_nor_connected_to_where_a_scope_says_so() {
    needs_abi!(6);
    // The init is not among its own processes.
    let signal = "kill -0 1 2>/dev/null && echo reached || echo closed; sleep 9 & kill $! && echo own";
    assert_eq!(inside(&["--landlock-scope", "signal"], signal), "closed\nown");
    assert_eq!(inside(&[], signal), "reached\nown", "the contrast");
    let scratch = Scratch::new("abstract");
    let name = format!("seclude-{}", std::process::id());
    let listening = format!(
        "import socket, time\ns = socket.socket(socket.AF_UNIX)\ns.bind('\\0{name}')\ns.listen()\nprint('ready', flush=True)\ntime.sleep(60)"
    );
    let mut server = std::process::Command::new("/usr/bin/python3");
    let mut server = Background::of(server.args(["-c", &listening]).current_dir(scratch.path()));
    assert_eq!(server.line(), "ready");
    let connect = format!(
        "import socket\ntry: socket.socket(socket.AF_UNIX).connect('\\0{name}'); print('reached')\nexcept OSError as error: print(error.errno)"
    );
    let with = |flags: &[&str]| python(&[&["--share", "net"], flags].concat(), &connect);
    let other = |flags: &[&str]| with(&[&["--preset", "host"], flags].concat());
    assert_eq!(other(&["--landlock-scope", "abstract-unix-socket"]), "1");
    assert_eq!(other(&[]), "reached", "the contrast");
}

#[test]
fn what_cannot_be_meant_is_one_line_with_its_flag() {
    let own = Scratch::new("refused");
    for (flags, words) in [
        (&["--landlock-connect", "http"][..], "--landlock-connect"),
        (&["--landlock-bind", "70000"], "65535"),
        (&["--landlock-scope", "signals"], "abstract-unix-socket"),
        (&["--prefer", "landlock"], "not asked for"),
        (&["--no-namespaces", "--root", "/srv"], "mount namespace"),
        (&["--no-namespaces", "--tmpfs", "/mnt"], "mount namespace"),
        (&["--no-namespaces", "--net", "pasta"], "--net"),
        (&["--no-namespaces", "--hostname", "box"], "--hostname"),
        (&["--no-namespaces", "--uid-map", "0:0:1"], "user namespace"),
        (&["--no-namespaces", "--unshare", "net"], "--unshare: it is one"),
        (&["--no-namespaces", "--init"], "--init"),
        (&["--no-namespaces", "--as-pid-1"], "who is PID 1"),
        (&["--no-namespaces", "--nested"], "--nested"),
        (&["--no-namespaces", "--dns", "none"], "--dns"),
        (&["--no-namespaces", "--bare"], "--preset"),
        (&["--no-namespaces", "--preset", "host"], "--preset"),
        (&["--no-namespaces", "--max-tmp", "1M"], "--max-tmp"),
    ] {
        let mut command = seclude_command(&[&["run"], flags, &["true"]].concat());
        let line = refusal(125, &command.env("TMPDIR", own.path()).output().unwrap());
        assert!(line.contains(words), "{flags:?}: {line}");
    }
    assert_eq!(own.listing(), Vec::<PathBuf>::new(), "nothing is left");
}

#[test]
fn root_of_itself_alone_starts_where_the_hosts_root_is_nobody() {
    needs_abi!(5);
    // As toolboxes and `unshare -r` have it: /tmp is nobody's that has an id there, and no group can be given up.
    for (flags, uid) in [("-Ur", "0"), ("-U", "65534")] {
        let mut command = std::process::Command::new(if is_root() { "setpriv" } else { "unshare" });
        if is_root() {
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare"]);
        }
        command.arg(flags).arg(seclude_tests::seclude_bin()).args(["run", "--no-namespaces", "--", "id", "-u"]);
        command.env("HOME", "/nonexistent").env_remove("TMPDIR").current_dir("/usr");
        assert_eq!(stdout_of(&command.output().unwrap()), uid, "{flags}");
    }
    // Where others rename it is said who they are.
    let own = Scratch::new("renamed");
    fs::set_permissions(own.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let told = stdout_of(
        &seclude_command(&["run", "--no-namespaces", "sh", "-c", "echo $TMPDIR"])
            .env("TMPDIR", own.path())
            .output()
            .unwrap(),
    );
    assert!(told.starts_with("/tmp/seclude-"), "{told}");
}

#[test]
fn a_rule_of_what_is_not_there_fails_with_its_path_and_leaves_nothing() {
    needs_abi!(5);
    let own = Scratch::new("refused");
    for more in [&[][..], &["--no-namespaces"]] {
        let flags = [&["run", "--landlock-exec", "/usr", "--landlock-rw", "/no/such/place"], more, &["true"]].concat();
        let line = refusal(125, &seclude_command(&flags).env("TMPDIR", own.path()).output().unwrap());
        assert!(line.contains("/no/such/place") && line.contains("ENOENT"), "{line}");
    }
    let mut command = Command::new("/bin/true");
    command.sandbox().landlock(Landlock::new().exec("/usr").ro("/etc").ro("/no/such/place"));
    let error = command.spawn().unwrap_err();
    assert_eq!((error.step(), error.field().unwrap().to_string()), ("landlock", "landlock.ro[1]".into()));
    assert_eq!(error.path(), Some(Path::new("/no/such/place")));
    // Nor may a rule follow a link of /proc out of the container.
    let line = refused(125, &["run", "--landlock-exec", "/usr", "--landlock-ro", "/proc/self/root", "true"]);
    assert!(line.contains("ELOOP"), "{line}");
    assert_eq!(own.listing(), Vec::<PathBuf>::new(), "nothing is left");
}

#[test]
fn an_older_kernel_is_an_error_unless_that_is_preferred() {
    // What the plan says for other kernels; nothing is started.
    let plan = |abi: u32, refused: Option<&'static str>, build: &dyn Fn(&mut Command)| {
        let mut command = Command::new("/bin/true");
        command.sandbox();
        build(&mut command);
        let mut host = seclude::Host::current().with_places();
        (host.landlock, host.landlock_refused) = (abi, refused);
        seclude::Plan::compile(&command, &host)
    };
    let fails = |abi, refused, build: &dyn Fn(&mut Command)| plan(abi, refused, build).unwrap_err();
    let error = fails(0, Some("ENOSYS"), &|command| {
        command.landlock(Landlock::new().ro("/"));
    });
    assert_eq!((error.step(), error.code().name()), ("landlock", "refused"));
    assert!(error.to_string().contains("6.10") && error.to_string().contains("ENOSYS"), "{error}");
    let error = fails(4, None, &|command| {
        command.landlock(Landlock::new().exec("/"));
    });
    assert_eq!(error.field().unwrap().to_string(), "landlock.exec[0]");
    let error = fails(3, None, &|command| {
        command.landlock(Landlock::new().bind([80]));
    });
    assert!(error.field().unwrap().to_string() == "landlock.bind" && error.to_string().contains("6.7"), "{error}");
    let error = fails(5, None, &|command| {
        command.landlock(Landlock::new().scope_signals());
    });
    assert!(error.to_string().contains("6.12"), "{error}");
    let error = fails(5, None, &|command| {
        command.no_namespaces();
    });
    assert_eq!(error.field().unwrap().to_string(), "no_namespaces");
    let soft = plan(3, None, &|command| {
        command.landlock(Landlock::new().exec("/").connect([443])).prefer(Feature::Landlock);
    });
    let said = soft.unwrap().to_string();
    assert!(said.contains("ioctls on devices (Linux 6.10)") && said.contains("TCP ports (Linux 6.7)"), "{said}");
    assert!(!said.contains("cutting") && !said.contains("port 443"), "{said}");
    let none = plan(0, Some("EOPNOTSUPP"), &|command| {
        command.landlock(Landlock::new().exec("/")).prefer(Feature::Landlock);
    });
    let said = none.unwrap().to_string();
    assert!(said.contains("all files") && !said.contains("landlock_restrict_self"), "{said}");
}

#[test]
fn the_plan_and_the_report_say_what_holds() {
    needs_abi!(6);
    let plan = stdout_of(&seclude(&["explain", "--landlock-exec", "/usr", "--landlock-connect", "443", "true"]));
    for line in ["landlock_create_ruleset", "landlock_add_rule(ruleset, /usr)", "port 443", "landlock_restrict_self"] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    let (restrict, filter) = (plan.find("landlock_restrict_self"), plan.find("seccomp(SECCOMP_SET_MODE_FILTER"));
    assert!(restrict < filter, "{plan}");
    let plan = stdout_of(&seclude(&["explain", "--no-namespaces", "true"]));
    assert!(plan.contains("not isolated: network") && plan.contains("new namespaces: none"), "{plan}");
    let mut command = Command::new("/bin/true");
    command.no_namespaces();
    let mut child = command.spawn().unwrap();
    let gaps: Vec<&str> = child.report().not_isolated.iter().map(|gap| gap.name()).collect();
    assert!(gaps.contains(&"network") && gaps.contains(&"leftovers") && !gaps.contains(&"files"), "{gaps:?}");
    assert_eq!(child.report().landlock_abi, Some(seclude::Host::current().with_landlock().landlock));
    child.wait().unwrap();
    let doctor = stdout_of(&seclude(&["doctor"]));
    let row = |feature: &str| doctor.lines().find(|line| line.starts_with(feature)).unwrap_or_default().to_owned();
    assert!(row("landlock").contains("ABI "), "{doctor}");
    assert!(row("sandbox without namespaces").contains("not isolated are names, "), "{doctor}");
}

/// Without namespaces: a script by somebody with this home, who stands in this directory.
fn alone_in(directory: &Path, home: &Path, flags: &[&str], script: &str) -> Output {
    let arguments = [&["run", "--no-namespaces"], flags, &["--", "/bin/sh", "-c", script]].concat();
    seclude_command(&arguments).current_dir(directory).env("HOME", home).output().expect("the seclude command starts")
}

#[test]
fn without_namespaces_the_hosts_files_are_closed_but_for_its_programs() {
    needs_abi!(6);
    let own = Scratch::new("alone");
    own.file("home/.ssh/id", "key");
    own.file("home/project/data", "text");
    own.file("other/data", "text");
    let (home, project) = (own.join("home"), own.join("home/project"));
    let look = format!(
        "cat data; for f in {0}/.ssh/id {1} /etc/shadow /var/lib/dpkg/status /proc/1/cmdline /proc/self/environ; do \
         (cat $f) > /dev/null 2>&1 && echo $f; done; ls /home > /dev/null 2>&1 && echo homes; (: > made) 2> /dev/null || echo closed; \
         cat /etc/passwd > /dev/null && echo passwd",
        text(&home),
        text(&own.join("other/data")),
    );
    assert_eq!(stdout_of(&alone_in(&project, &home, &[], &look)), "textclosed\npasswd");
    assert!(!project.join("made").exists());
    let written = "echo new > made && cat made && mkdir d && mv made d/made && cat data";
    assert_eq!(stdout_of(&alone_in(&project, &home, &["--rw", "."], written)), "new\ntext");
    assert!(project.join("d/made").exists(), "it is the host's");
    let other = own.join("other");
    let flags = ["--ro", text(&other)];
    let read = format!("cat {0}/data; (: > {0}/data) 2> /dev/null || echo closed", text(&other));
    assert_eq!(stdout_of(&alone_in(&project, &home, &flags, &read)), "textclosed");
    // What is named is not taken for granted.
    let line = refusal(125, &alone_in(&project, &home, &["--ro", text(&home)], "true"));
    assert!(line.contains("--whole-home"), "{line}");
    symlink(&home, own.join("link")).unwrap();
    let line = refusal(125, &alone_in(&project, &own.join("elsewhere"), &["--rw", text(&own.join("link"))], "true"));
    assert!(line.contains("symlink"), "{line}");
    let line = refusal(125, &alone_in(&project, &home, &["--ro", "/no/such/place"], "true"));
    assert!(line.contains("/no/such/place"), "{line}");
}

#[test]
fn without_namespaces_it_has_an_empty_home_and_temporary_directory_that_go() {
    needs_abi!(6);
    let own = Scratch::new("alone-home");
    let temporary = own.directory("tmp");
    let home = own.directory("home");
    let run = |flags: &[&str], script: &str| {
        let arguments = [&["run", "--no-namespaces"], flags, &["--", "/bin/sh", "-c", script]].concat();
        let mut command = seclude_command(&arguments);
        command.current_dir(&home).env("HOME", &home).env("TMPDIR", &temporary);
        command.output().unwrap()
    };
    let use_it = "pwd; echo $HOME; echo $TMPDIR; ls -A ~ $TMPDIR | grep -v : | grep .; mkdir -p ~/a/b && echo x > ~/a/b/c && \
        cp /bin/true $TMPDIR/x && $TMPDIR/x && echo ran; (: > $TMPDIR/../../x) 2> /dev/null || echo closed";
    let output = run(&[], use_it);
    let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    let [place, shown, tmp, ran, closed] = &lines[..] else { panic!("{lines:?}") };
    assert!(place.starts_with(text(&temporary)) && place.ends_with("/home") && place == shown, "{lines:?}");
    assert!(tmp.ends_with("/tmp") && ran == "ran" && closed == "closed", "{lines:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains(text(&home)), "it is told that it is elsewhere");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "it goes");
    // Neither does one stay where the command cannot be started, or can outlive us.
    let line = refusal(
        127,
        &seclude_command(&["run", "--no-namespaces", "--", "/no/such/command"])
            .env("TMPDIR", &temporary)
            .output()
            .unwrap(),
    );
    assert!(line.contains("/no/such/command"), "{line}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    let said = stdout_of(&run(&["--no-die-with-parent", "--workdir", "/"], "echo $HOME $TMPDIR"));
    assert_eq!(said, "/nonexistent");
}

#[test]
fn what_a_killed_spawner_has_left_is_found_by_its_lock() {
    needs_abi!(6);
    let own = Scratch::new("alone-swept");
    let run = |arguments: &[&str]| {
        let mut command = seclude_command(arguments);
        command.env("TMPDIR", own.path());
        command
    };
    let mut killed =
        Background::of(&mut run(&["run", "--no-namespaces", "--", "/bin/sh", "-c", "echo up; exec sleep 60"]));
    assert_eq!(killed.line(), "up");
    // Each looks for what others have left.
    let start = || stdout_of(&run(&["run", "--no-namespaces", "true"]).output().unwrap());
    let entries = || fs::read_dir(own.path()).unwrap().count();
    assert_eq!(entries(), 1);
    start();
    assert_eq!(entries(), 1, "it is in use");
    killed.signal(rustix::process::Signal::KILL);
    killed.wait();
    // It is left alone while it could be that its maker has no lock on it yet.
    start();
    assert_eq!(entries(), 1);
    let left = fs::read_dir(own.path()).unwrap().next().unwrap().unwrap().path();
    let aged = std::process::Command::new("touch").args(["-d", "@1000000000"]).arg(&left).status().unwrap();
    assert!(aged.success());
    if is_root() {
        let removed = stdout_of(&run(&["gc"]).output().unwrap());
        assert!(removed.contains(text(&left)), "{removed}");
    } else {
        start();
    }
    assert_eq!(entries(), 0);
}

#[test]
fn where_another_may_rename_what_is_there_nothing_is_made_or_removed() {
    root_only!();
    needs_abi!(6);
    // A directory of temporary files that is another user's, who has given one of root's the name that ours have.
    let own = Scratch::new("alone-renamed");
    let roots = own.directory("seclude-0123456789abcdef");
    fs::write(roots.join("file"), "precious").unwrap();
    let aged = std::process::Command::new("touch").args(["-d", "@1000000000"]).arg(&roots).status().unwrap();
    assert!(aged.success());
    let run = |arguments: &[&str]| seclude_command(arguments).env("TMPDIR", own.path()).output().unwrap();
    for (owner, mode) in [(65534, 0o700), (65534, 0o1777), (0, 0o777)] {
        std::os::unix::fs::chown(own.path(), Some(owner), None).unwrap();
        fs::set_permissions(own.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(!stdout_of(&run(&["gc"])).contains("0123456789abcdef"), "{owner} {mode:o}");
        let home = stdout_of(&run(&["run", "--no-namespaces", "--", "/bin/sh", "-c", "echo $HOME"]));
        assert!(home.starts_with("/tmp/seclude-") && !home.starts_with(text(own.path())), "{owner} {mode:o}: {home}");
        assert!(roots.join("file").exists(), "{owner} {mode:o}");
    }
    // The contrast: in one of the caller's it would be ours.
    std::os::unix::fs::chown(own.path(), Some(0), None).unwrap();
    fs::set_permissions(own.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(stdout_of(&run(&["gc"])).contains("0123456789abcdef"));
    assert!(!roots.exists());
}

#[test]
fn without_namespaces_other_processes_of_the_user_are_out_of_reach() {
    needs_abi!(6);
    let mut other = std::process::Command::new("/bin/sleep");
    let mut other = other.arg("60").env("SECRET", "key").spawn().unwrap();
    let pid = other.id();
    let probe = format!(
        "import ctypes, os\n\
         def tried(what):\n    try: what(); return 0\n    except OSError as error: return error.errno\n\
         libc = ctypes.CDLL(None, use_errno=True)\n\
         ctypes.set_errno(0)\n\
         libc.ptrace(16, {pid}, 0, 0)\n\
         import resource\n\
         traced = ctypes.get_errno()\n\
         limited = tried(lambda: resource.prlimit({pid}, resource.RLIMIT_CPU, (60, 60)))\n\
         print(traced, tried(lambda: os.kill({pid}, 0)), tried(lambda: open('/proc/{pid}/environ').read()), limited)"
    );
    // Attaching is refused by the filter; by the domain alone where that is gone.
    assert_eq!(python(&["--no-namespaces"], &probe), "1 1 13 1");
    assert_eq!(python(&["--no-namespaces", "--seccomp", "none", "--ro", "/proc"], &probe), "1 1 13 1");
    let host = std::process::Command::new("/usr/bin/python3").args(["-c", &probe]).output().unwrap();
    assert_eq!(stdout_of(&host), "0 0 0 0", "the contrast");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn without_namespaces_there_is_no_network_but_what_is_named() {
    needs_abi!(6);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // As the user's bus or docker.sock.
    let own = Scratch::new("bus");
    let bus = own.join("bus");
    let _bus = std::os::unix::net::UnixListener::bind(&bus).unwrap();
    let bus = text(&bus);
    let probe = format!(
        "import socket\n\
         def tried(what):\n    try: what(); return 0\n    except OSError as error: return error.errno\n\
         tcp = lambda: socket.socket().connect(('127.0.0.1', {port}))\n\
         bind = lambda: socket.socket().bind(('127.0.0.1', 0))\n\
         udp = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))\n\
         unix = lambda: socket.socket(socket.AF_UNIX).connect('{bus}')\n\
         print(tried(tcp), tried(bind), tried(udp), tried(unix), tried(lambda: socket.socketpair()))"
    );
    let with = |flags: &[&str]| python(&[&["--no-namespaces"], flags].concat(), &probe);
    assert_eq!(with(&[]), "13 13 13 13 0");
    let connect = port.to_string();
    let named = with(&["--landlock-connect", &connect]);
    assert!(named.starts_with("0 13 0 "), "names are asked for by UDP: {named}");
    let allowed = with(&["--allow-syscall", "socket"]);
    assert!(allowed.starts_with("13 13 "), "rules of ports hold all the same: {allowed}");
}

#[test]
fn what_the_filter_refuses_in_the_place_of_landlock_is_listed_with_what_allows_it() {
    needs_abi!(6);
    let own = Scratch::new("alone-denials");
    let report = own.join("report").display().to_string();
    let denials = |family: &str| {
        let program = format!("import socket\ntry: socket.socket({family})\nexcept OSError: pass");
        python(&["--no-namespaces", "--report", &report], &program);
        let report = fs::read_to_string(&report).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["spawn"]["deaf"], serde_json::Value::Null);
        report["denials"].as_array().unwrap().clone()
    };
    if seclude::Host::current().with_landlock().landlock < 9 {
        let found = denials("socket.AF_UNIX");
        assert_eq!(
            found[0]["remedies"],
            serde_json::json!([{ "set": "seccomp.allow", "value": ["socket"] }]),
            "{found:?}"
        );
    }
    let found = denials("socket.AF_INET, socket.SOCK_STREAM, 262");
    assert_eq!((&found[0]["errno"], &found[0]["remedies"]), (&"EPROTONOSUPPORT".into(), &serde_json::json!([])));
    assert_eq!(denials("socket.AF_INET"), Vec::<serde_json::Value>::new());
}

#[test]
fn without_namespaces_nothing_is_told_of_what_is_done_in_closed_directories() {
    needs_abi!(6);
    let own = Scratch::new("alone-watch");
    own.file("secret/plan", "text");
    let secret = own.join("secret");
    let program = "import ctypes, os, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        fd = libc.inotify_init1(os.O_NONBLOCK)\nif fd < 0: sys.exit(print('no watches', ctypes.get_errno()))\n\
        print(libc.inotify_add_watch(fd, sys.argv[1].encode(), 0xfff) > 0)";
    let run = |flags: &[&str]| {
        let flags = [&["run"], flags, &["--", "python3", "-c", program, text(&secret)]].concat();
        stdout_of(&seclude_command(&flags).env("TMPDIR", own.path()).current_dir("/usr").output().unwrap())
    };
    assert_eq!(run(&["--no-namespaces"]), "no watches 1");
    assert_eq!(run(&["--no-namespaces", "--allow-syscall", "inotify_add_watch"]), "True", "as asked, and told:");
    let plan = |flags: &[&str]| stdout_of(&seclude(&[&["explain", "--no-namespaces"], flags, &["true"]].concat()));
    assert!(plan(&["--allow-syscall", "inotify_add_watch"]).contains("not isolated: watches"));
    assert!(!plan(&[]).contains("not isolated: watches"));
    // There it would be seen.
    assert_eq!(run(&["--ro", text(own.path())]), "True");
}

#[test]
fn inside_such_a_sandbox_another_one_says_what_it_lacks() {
    needs_abi!(6);
    let seclude = seclude_tests::seclude_bin();
    let own = Scratch::new("alone-twice");
    let flags = ["run", "--no-namespaces", "--ro", text(&seclude), "--", text(&seclude)];
    let flags = [&flags[..], &["run", "--no-namespaces", "true"]].concat();
    let output = seclude_command(&flags).env("TMPDIR", own.path()).current_dir("/usr").output().unwrap();
    let lines = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(lines.lines().next().unwrap_or_default().contains("as an outer sandbox has one"), "{lines}");
    assert_eq!((output.status.code(), own.listing()), (Some(125), Vec::new()));
}

#[test]
fn where_a_host_gives_no_namespaces_there_is_a_sandbox_without() {
    needs_abi!(6);
    let own = Scratch::new("alone-inside");
    let program = own.join("seclude");
    fs::copy(seclude_tests::seclude_bin(), &program).unwrap();
    // A sandbox of ours is such a host: its filter gives neither namespaces nor keyrings.
    let inner = |flags: &str| {
        format!(
            "{} run {flags} -- /bin/sh -c 'id -u; cat /proc/self/environ 2> /dev/null || echo closed'",
            text(&program)
        )
    };
    let outer = ["--ro", text(own.path())];
    assert_eq!(inside(&outer, &inner("--no-namespaces")), "0\nclosed");
    assert_eq!(try_inside(&outer, &inner("")).status.code(), Some(125), "the contrast");
}

#[test]
fn without_namespaces_nothing_can_be_gained() {
    needs_abi!(6);
    let status = "grep -E '^(CapEff|CapPrm|NoNewPrivs|Seccomp):' /proc/self/status";
    let flags = ["--no-namespaces", "--ro", "/proc"];
    assert_eq!(
        inside(&flags, status),
        "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2"
    );
    assert_eq!(
        inside(&flags, "ulimit -c; ls /proc/self/ns > /dev/null; unshare -U true 2>/dev/null || echo none"),
        "0\nnone"
    );
    // Its own namespaces are the caller's.
    let same = "readlink /proc/self/ns/pid /proc/self/ns/net /proc/self/ns/mnt /proc/self/ns/user";
    assert_eq!(inside(&["--no-namespaces"], same), seclude_tests::outside(same));
    if is_root() {
        let modes = "echo x > ~/x; chmod 777 ~/x 2> /dev/null || touch ~/x 2> /dev/null || echo kept";
        assert_eq!(inside(&["--no-namespaces", "--workdir", "/"], modes), "kept");
        let user = ["--no-namespaces", "--user", "65534:65534", "--workdir", "/"];
        assert_eq!(inside(&user, "id -u; echo x > ~/x && cat ~/x && chmod 700 ~/x && touch ~/x"), "65534\nx");
        // And that is what it says.
        let refused = seclude(&["run", "--no-namespaces", "--denials", "--", "sh", "-c", "echo > ~/x; chmod 777 ~/x"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("refused: fchmodat: EPERM") && said.contains("(--user UID[:GID])"), "{said}");
        let why = seclude(&["why", "--no-namespaces", "call", "chmod"]);
        assert!(String::from_utf8_lossy(&why.stdout).contains("here (--user UID[:GID])"), "{why:?}");
    }
}

#[test]
fn rules_come_on_top_of_the_sandbox_without_namespaces_and_of_no_preset() {
    needs_abi!(6);
    let own = Scratch::new("alone-rules");
    own.file("data", "text");
    let data = own.join("data");
    let script = format!("cat {} 2> /dev/null || echo closed", text(&data));
    let with = |flags: &[&str]| inside(&[&["--no-namespaces", "--workdir", "/"], flags].concat(), &script);
    assert_eq!(with(&[]), "closed");
    assert_eq!(with(&["--landlock-ro", text(&data)]), "text");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &script])
        .landlock(Landlock::new().exec("/usr").exec("/bin").exec("/lib64").exec("/lib").ro("/etc").rw("/dev/null"));
    assert_eq!(said(&command.output().unwrap()), "closed", "nothing but rules");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]);
    assert_eq!(said(&command.output().unwrap()), "text", "the contrast");
}
