//! What cannot be started is told in one line that names the step, with the right code, and leaves nothing.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use seclude::{
    Capabilities, Capability, CloneWay, Code, Command, Error, Feature, Mount, Namespace, Overlay, Remedy, Resource,
    Root, Side, UserMap,
};
use seclude_tests::{Host, OwnProcess, Scratch, busybox_root, has_overlays, helper, role, said, tell, told};

struct Case {
    command: Command,
    code: Code,
    step: &'static str,
    side: Side,
    /// What its line has to say.
    words: Vec<String>,
}

impl Case {
    fn new(command: &Command, code: Code, step: &'static str, side: Side, words: &[&str]) -> Case {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Case { command: command.clone(), code, step, side, words }
    }

    fn invalid(command: &Command, step: &'static str, words: &[&str]) -> Case {
        Case::new(command, Code::Invalid, step, Side::Plan, words)
    }

    fn spawn(&self) -> Result<Error, String> {
        match self.command.clone().spawn() {
            Err(error) => Ok(error),
            Ok(_) => Err(format!("it runs, but is wrong in {}: {:.200?}", self.step, self.command)),
        }
    }

    fn check(&self) -> Result<(), String> {
        let error = self.spawn()?;
        let line = error.to_string();
        let exit_code = match self.code {
            Code::NotFound => 127,
            Code::NotExecutable => 126,
            _ => 125,
        };
        let missing: Vec<_> = self.words.iter().filter(|word| !line.contains(*word)).collect();
        let source = std::error::Error::source(&error).is_some();
        let right = (error.code(), error.step(), error.side()) == (self.code, self.step, self.side)
            && error.exit_code() == exit_code
            && line.lines().count() == 1
            && line.len() < 700
            && line.starts_with(self.step)
            && missing.is_empty()
            && error.left_behind().is_empty()
            && error.field().is_some()
            && source == error.raw_os_error().is_some();
        if right { Ok(()) } else { Err(format!("{line:?}: {error:?}, without {missing:?}")) }
    }
}

/// A command with a user, mount and pid namespace.
fn contained(program: &str) -> Command {
    let mut command = Command::new(program);
    command.unshare(Namespace::User).unshare(Namespace::Mount).unshare(Namespace::Pid);
    command
}

/// What the cases need of the file system.
struct Place {
    root: Scratch,
}

impl Place {
    fn new() -> Place {
        let root = busybox_root("errors");
        root.file("plain", "text");
        root.executable("script", "#!/no/such/interpreter -x\n");
        root.executable("tail-less", "#!/opt/interpreter");
        root.executable("text", "no first line of a script\n");
        root.executable("nothing", "");
        root.executable("foreign", &program_for_another_machine());
        root.executable("of-foreign", "#!/foreign\n");
        root.executable("dir/name", "#!/bin/sh\nexit 6\n");
        root.file("closed/name", "");
        symlink("/nowhere", root.join("dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("dir", root.join("link-to-dir")).unwrap();
        let copied = std::process::Command::new("/bin/cp").args(["/bin/ls"]).arg(root.join("ls")).status().unwrap();
        assert!(copied.success());
        Place { root }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = contained(program);
        command.root(Root::directory(self.root.path()));
        command
    }

    /// The host's path of something in the root.
    fn outside(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }
}

/// A machine that this one is not.
const ANOTHER: &str = if cfg!(target_arch = "x86_64") { "aarch64" } else { "x86_64" };

/// The header of an ELF64 program that is no worse than others, elf(5), and nothing behind it.
fn program_for_another_machine() -> Vec<u8> {
    let machine: u16 = if ANOTHER == "aarch64" { 183 } else { 62 };
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    header.extend(machine.to_le_bytes());
    header.extend(1u32.to_le_bytes());
    // The entry, the program headers right behind this, no sections; sizes and numbers of them.
    for value in [0x40_0078u64, 64, 0] {
        header.extend(value.to_le_bytes());
    }
    header.extend(b"\0\0\0\0\x40\0\x38\0\x01\0\0\0\0\0\0\0");
    header
}

/// Commands that are there or not, and cannot be run: without a container, in a tree of their own, below an init, and
/// under each way of cloning.
fn of_exec(place: &Place) -> Vec<Case> {
    let ld = seclude_sys::arch::ELF_LOADER;
    let mut cases = Vec::new();
    for (program, code, words) in [
        ("/no/such/command", Code::NotFound, &["/no/such/command", "ENOENT", "no such command"][..]),
        ("/plain/command", Code::NotFound, &["ENOTDIR"]),
        ("/dangling", Code::NotFound, &["ENOENT"]),
        ("/plain", Code::NotExecutable, &["EACCES", "may not be executed"]),
        ("/dir", Code::NotExecutable, &["EACCES", "directory"]),
        ("/link-to-dir", Code::NotExecutable, &["EACCES", "it is a directory"]),
        ("/script", Code::NotFound, &["/script", "interpreter", "/no/such/interpreter"]),
        ("/tail-less", Code::NotFound, &["interpreter", "/opt/interpreter"]),
        ("/text", Code::NotExecutable, &["ENOEXEC"]),
        ("/nothing", Code::NotExecutable, &["ENOEXEC", "neither a program"]),
        ("/foreign", Code::NotExecutable, &["ENOEXEC", ANOTHER, std::env::consts::ARCH]),
        ("/of-foreign", Code::NotExecutable, &["ENOEXEC", "interpreter", std::env::consts::ARCH]),
        ("/loop", Code::Refused, &["ELOOP"]),
        ("/ls", Code::NotFound, &["/ls", "loader", ld]),
    ] {
        let case = |command: &Command| Case::new(command, code, "exec", Side::Child, words);
        for way in [CloneWay::Vm, CloneWay::Copy, CloneWay::Legacy] {
            cases.push(case(place.command(program).clone_way(way)));
        }
        cases.push(case(place.command(program).init(true)));
        // On the host the loader is there, and so is what these lead to.
        if !["/ls", "/no/such/command", "/dangling", "/of-foreign"].contains(&program) {
            let words: Vec<_> = words.iter().filter(|word| !word.starts_with(program)).copied().collect();
            let command = Command::new(place.outside(&program[1..]));
            cases.push(Case::new(&command, code, "exec", Side::Child, &words));
        }
    }
    let mut renamed = Command::new("/no/such/command");
    cases.push(Case::new(renamed.arg0("other"), Code::NotFound, "exec", Side::Child, &["/no/such/command"]));
    cases.push(Case::new(&Command::new("no-such-command"), Code::NotFound, "exec", Side::Child, &["no-such-command"]));
    for init in [false, true] {
        let mut in_path = place.command("name");
        in_path.env("PATH", "/missing:/closed:/plain:/bin").init(init);
        cases.push(Case::new(&in_path, Code::NotExecutable, "exec", Side::Child, &["EACCES"]));
        let mut noexec = place.command("/mnt/name");
        noexec.mount(Mount::bind(place.root.join("dir"), "/mnt").noexec()).init(init);
        cases.push(Case::new(&noexec, Code::NotExecutable, "exec", Side::Child, &["EACCES", "noexec"]));

        let mut one = place.command("/bin/true");
        one.env("LARGE", "x".repeat(200 << 10)).init(init);
        let mut all = place.command("/bin/true");
        all.args((0..100).map(|_| "x".repeat(100 << 10))).init(init);
        for command in [one, all] {
            cases.push(Case::new(&command, Code::Refused, "exec", Side::Child, &["E2BIG", "too large"]));
        }
    }
    cases
}

/// A NUL byte wherever a string goes to the kernel.
fn of_strings(_: &Place) -> Vec<Case> {
    let nul = "a\0b";
    let path = "/a\0b";
    let in_mount = |mount: Mount| contained("/bin/true").mount(mount).clone();
    let in_root = |root: Root| contained("/bin/true").root(root).clone();
    let cases = [
        (Command::new("/bin/\0true"), "exec"),
        (Command::new("\0"), "exec"),
        (Command::new("/bin/true").arg(nul).clone(), "exec"),
        (Command::new("/bin/true").arg0(nul).clone(), "exec"),
        (Command::new("/bin/true").env("KEY", nul).clone(), "exec"),
        (Command::new("/bin/true").env(nul, "value").clone(), "exec"),
        (contained("/bin/true").current_dir(path).clone(), "workdir"),
        (in_root(Root::directory(path)), "root"),
        (in_root(Root::overlay(Overlay::new([path, "/usr"]))), "root"),
        (in_root(Root::overlay(Overlay::new(["/usr"]).upper(path, "/tmp"))), "root"),
        (in_mount(Mount::bind(path, "/mnt")), "mount"),
        (in_mount(Mount::bind("/usr", path)), "mount"),
        (in_mount(Mount::tmpfs(path)), "mount"),
        (in_mount(Mount::tmpfs("/mnt/a\0b/c")), "mount"),
        (in_mount(Mount::file(path, "")), "mount"),
        (in_mount(Mount::symlink(nul, "/mnt/link")), "mount"),
        (in_mount(Mount::symlink("to", path)), "mount"),
        (in_mount(Mount::mask(path)), "mount"),
        (in_mount(Mount::overlay(Overlay::new([path]).ephemeral(), "/mnt")), "mount"),
    ];
    let mut cases: Vec<_> = cases.iter().map(|(command, step)| Case::invalid(command, step, &["NUL"])).collect();
    cases.push(Case::invalid(contained("/bin/true").unshare(Namespace::Uts).hostname(nul), "host name", &["NUL"]));
    cases.push(Case::invalid(&Command::new(""), "exec", &["no command"]));
    cases
}

/// Requests that contradict themselves: an error, never ignored.
fn of_contradictions(_: &Place) -> Vec<Case> {
    let user = |kinds: &[Namespace]| {
        let mut command = Command::new("/bin/true");
        command.unshare(Namespace::User);
        for kind in kinds {
            command.unshare(*kind);
        }
        command
    };
    let net_admin = Capabilities::NONE.with(Capability::NET_ADMIN);
    let long = "x".repeat(65);
    vec![
        Case::invalid(user(&[]).root(Root::host()), "root", &["new mount namespace"]),
        Case::invalid(user(&[]).mount(Mount::tmpfs("/mnt")), "mount", &["new mount namespace", "/mnt"]),
        Case::invalid(&user(&[Namespace::Pid]), "mount", &["pid namespace", "new mount namespace"]),
        Case::invalid(user(&[]).hostname("x"), "host name", &["new uts namespace"]),
        Case::invalid(user(&[]).domainname("x"), "host name", &["new uts namespace"]),
        Case::invalid(user(&[Namespace::Uts]).hostname(&long), "host name", &["65 bytes"]),
        Case::invalid(user(&[]).init(true), "exec", &["new pid namespace"]),
        Case::invalid(user(&[]).monotonic_offset(1), "time offsets", &["new time namespace"]),
        Case::invalid(user(&[]).boottime_offset(-1), "time offsets", &["new time namespace"]),
        Case::invalid(Command::new("/bin/true").user_map(UserMap::Identity), "user map", &["new user namespace"]),
        Case::invalid(user(&[]).uid(1), "user map", &["uid 1 is not mapped"]),
        Case::invalid(user(&[]).capabilities(Capabilities::NONE).ambient(net_admin), "rights", &["ambient"]),
        Case::invalid(user(&[]).rlimit(Resource::CPU, 2, 1), "rlimit", &["soft 2 is above hard 1"]),
        Case::invalid(user(&[]).oom_score_adj(2000), "oom score", &["2000"]),
        Case::invalid(user(&[Namespace::Mount]).mount(Mount::proc("/proc")), "mount", &["new pid namespace"]),
        Case::invalid(
            user(&[]).join(Namespace::User, "/proc/self/ns/user").user_map(UserMap::Identity),
            "join",
            &["id map already"],
        ),
        Case::invalid(
            user(&[]).join(Namespace::Time, "/proc/self/ns/time").monotonic_offset(1),
            "join",
            &["offsets already"],
        ),
        Case::invalid(user(&[]).clone_way(CloneWay::Vm).oom_score_adj(1), "clone", &["vm cannot be had"]),
    ]
}

/// Places that are not there, or not what they have to be.
fn of_places(place: &Place) -> Vec<Case> {
    let file = place.root.join("plain");
    let read_only = |mount: Mount| {
        place.command("/bin/true").root(Root::directory(place.root.path()).read_only()).mount(mount).clone()
    };
    let mut ten_thousand = place.command("/bin/true");
    for number in 0..10_000 {
        ten_thousand.mount(Mount::tmpfs(format!("/mnt/{number}")));
    }
    vec![
        Case::invalid(contained("/bin/true").root(Root::directory("relative")), "root", &["not an absolute path"]),
        Case::invalid(contained("/bin/true").mount(Mount::bind("relative", "/mnt")), "mount", &["absolute"]),
        Case::invalid(contained("/bin/true").mount(Mount::bind("/usr", "mnt")), "mount", &["absolute"]),
        Case::invalid(contained("/bin/true").mount(Mount::bind("/usr", "/mnt/../..")), "mount", &["`..`"]),
        Case::invalid(contained("/bin/true").current_dir("relative"), "workdir", &["absolute"]),
        Case::invalid(&ten_thousand, "mount", &["10000 mounts"]),
        Case::new(
            contained("/bin/true").root(Root::directory("/no/such/root")),
            Code::Refused,
            "root",
            Side::Parent,
            &["/no/such/root", "ENOENT"],
        ),
        Case::new(
            contained("/bin/true").root(Root::directory(&file)),
            Code::Refused,
            "root",
            Side::Parent,
            &["ENOTDIR", "is not a directory"],
        ),
        Case::new(
            contained("/bin/true").mount(Mount::bind("/no/such/source", "/mnt")),
            Code::Refused,
            "mount",
            Side::Parent,
            &["/no/such/source", "ENOENT", "does not exist"],
        ),
        Case::new(
            &read_only(Mount::tmpfs("/new")),
            Code::Refused,
            "mount",
            Side::Child,
            &["/new", "EROFS", "read-only"],
        ),
        Case::new(
            contained("/bin/true").current_dir("/no/such/directory"),
            Code::Refused,
            "workdir",
            Side::Child,
            &["/no/such/directory", "ENOENT"],
        ),
    ]
}

/// What fails once much has been made: the ledger and the kernel take all of it back.
fn of_late_failures(place: &Place) -> Vec<Case> {
    let mut cases = Vec::new();
    for init in [false, true] {
        for way in [CloneWay::Vm, CloneWay::Copy, CloneWay::Legacy] {
            let mut command = Command::new("/no/such/command");
            command.sandbox().current_dir("/").root(Root::overlay(Overlay::new([place.root.path()]).ephemeral()));
            command.mount(Mount::file("/etc/made", "x")).terminal(24, 80).hostname("late").clone_way(way);
            command.init(init).stdout(seclude::Stdio::piped()).deadline(Duration::from_secs(100));
            cases.push(Case::new(&command, Code::NotFound, "exec", Side::Child, &["/no/such/command"]));
        }
    }
    cases
}

type Group = fn(&Place) -> Vec<Case>;
const GROUPS: [Group; 5] = [of_exec, of_strings, of_contradictions, of_places, of_late_failures];

fn check(group: Group) {
    let place = Place::new();
    let wrong: Vec<_> = group(&place).iter().filter_map(|case| case.check().err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_that_cannot_be_run_is_told_apart_from_one_that_is_missing() {
    check(of_exec);
}

#[test]
fn a_string_with_a_nul_byte_is_refused_before_anything_is_made() {
    check(of_strings);
}

#[test]
fn what_contradicts_itself_is_an_error_and_never_ignored() {
    check(of_contradictions);
}

#[test]
fn a_place_that_is_missing_or_something_else_is_named() {
    check(of_places);
}

#[test]
fn a_failure_at_the_last_step_is_told_like_any_other() {
    if !has_overlays() {
        return;
    }
    check(of_late_failures);
}

#[test]
fn failures_leave_nothing_in_the_spawning_process_and_on_the_host() {
    let cases: usize = told(&helper("all").output().unwrap())[0].parse().unwrap();
    assert!(cases > 100, "{cases} were tried");
}

/// Every case in a process of its own, where no other test disturbs the view.
#[test]
fn helper_process() {
    if role().is_none() {
        return;
    }
    let place = Place::new();
    let cases: Vec<_> = GROUPS.iter().flat_map(|group| group(&place)).collect();
    let tree = place.root.listing();
    let (process, host) = (OwnProcess::look(), Host::look());
    assert_eq!(process.children, BTreeSet::new());
    for case in &cases {
        let error = case.spawn().unwrap();
        assert_eq!(OwnProcess::look(), process, "{error}");
        host.assert_back(&error.to_string());
    }
    assert_eq!(place.root.listing(), tree);
    tell(cases.len());
}

#[test]
fn an_error_is_an_io_error_where_one_is_wanted() {
    let error = Command::new("/no/such/command").spawn().unwrap_err();
    let io = std::io::Error::from(error);
    assert_eq!(io.kind(), std::io::ErrorKind::NotFound);
    assert!(io.to_string().contains("/no/such/command"), "{io}");
    let error = Command::new("/bin/true").init(true).spawn().unwrap_err();
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn an_error_has_the_path_that_was_refused_and_none_where_there_is_none() {
    let place = Place::new();
    let refused = |command: &mut Command| {
        let error = command.spawn().expect_err("it is wrong");
        error.path().map(|path| path.display().to_string())
    };
    assert_eq!(refused(&mut place.command("/no/such/command")).as_deref(), Some("/no/such/command"));
    assert_eq!(refused(place.command("/no/such/command").init(true)).as_deref(), Some("/no/such/command"));
    let bind = Mount::bind("/no/such/source", "/mnt");
    assert_eq!(refused(place.command("/bin/sh").mount(bind)).as_deref(), Some("/no/such/source"));
    assert_eq!(refused(place.command("/bin/sh").current_dir("/no/such/workdir")).as_deref(), Some("/no/such/workdir"));
    assert_eq!(refused(place.command("/bin/sh").mount(Mount::tmpfs("/plain/x"))).as_deref(), Some("/plain/x"));
    let mut closed = place.command("/bin/sh");
    place.root.directory("locked");
    std::fs::set_permissions(place.root.join("locked"), std::fs::Permissions::from_mode(0o000)).unwrap();
    closed.current_dir("/locked").capabilities(Capabilities::NONE);
    assert_eq!(refused(&mut closed).as_deref(), Some("/locked"));
    let lower = Root::overlay(Overlay::new(["/no/such/lower"]).ephemeral());
    assert_eq!(refused(place.command("/bin/sh").root(lower)).as_deref(), Some("/no/such/lower"));
    assert_eq!(refused(Command::new("/bin/sh").hostname("needs a namespace")), None);
}

/// Each half of a start says what of the request it is about, also where the words name something else.
#[test]
fn an_error_has_the_field_of_the_request_that_it_is_about() {
    let place = Place::new();
    let field = |command: &mut Command| {
        let error = command.spawn().expect_err("it is wrong");
        (error.field().map(|field| field.to_string()).unwrap_or_default(), error.contradicts())
    };
    let at = |field: &str| (field.to_owned(), false);
    let beside = |field: &str| (field.to_owned(), true);
    // What is compiled.
    assert_eq!(field(Command::new("/bin/sh").hostname("needs a namespace")), beside("hostname"));
    assert_eq!(field(Command::new("/bin/sh").init(true)), beside("init"));
    assert_eq!(field(Command::new("/bin/sh").prefer(Feature::Time)), beside("prefer[0]"));
    assert_eq!(field(Command::new("/bin/sh").oom_score_adj(1001)), at("oom_score_adj"));
    assert_eq!(field(Command::new("/bin/sh").rlimit(Resource::NOFILE, 2, 1)), at("rlimits.NOFILE"));
    assert_eq!(field(contained("/bin/sh").current_dir("relative")), at("workdir"));
    let mounts = |mount| {
        let mut command = contained("/bin/sh");
        command.mount(Mount::tmpfs("/mnt")).mount(mount);
        command
    };
    assert_eq!(field(&mut mounts(Mount::tmpfs("/a/../b"))), at("mounts[1].target"));
    assert_eq!(field(&mut mounts(Mount::bind("relative", "/mnt"))), at("mounts[1].source"));
    let twice = Overlay::new(["/usr", "/etc", "/usr"]);
    assert_eq!(field(&mut mounts(Mount::overlay(twice.clone(), "/mnt"))), at("mounts[1].lowers[2]"));
    assert_eq!(field(contained("/bin/sh").root(Root::overlay(twice))), at("root.lowers[2]"));
    assert_eq!(field(&mut mounts(Mount::file("/mnt/a\0b", ""))), at("mounts[1]"));
    // What the parent opens.
    assert_eq!(field(&mut mounts(Mount::bind("/no/such/source", "/mnt"))), at("mounts[1].source"));
    assert_eq!(field(contained("/bin/sh").root(Root::directory("/no/such/root"))), at("root"));
    assert_eq!(field(Command::new("/bin/sh").join(Namespace::Net, "/no/such/namespace")), at("namespaces.net"));
    // What the child does.
    let mut placed = place.command("/bin/sh");
    placed.root(Root::directory(place.root.path()).read_only()).mount(Mount::tmpfs("/mnt"));
    assert_eq!(field(placed.clone().mount(Mount::tmpfs("/new"))), at("mounts[1].target"));
    assert_eq!(field(placed.clone().current_dir("/no/such/workdir")), at("workdir"));
    assert_eq!(field(place.command("/no/such/command").uid(0)), at("command"));
}

#[test]
fn what_can_be_done_is_data_too() {
    let remedies = |command: &mut Command| command.spawn().expect_err("it is wrong").remedies().to_vec();
    let ids = Remedy::set("user.map", "sub-ids");
    let mut command = contained("/bin/sh");
    command.user_map(UserMap::CallerAsRoot).uid(5);
    assert_eq!(remedies(&mut command), [ids, Remedy::set("user.caller_uid", 5)]);
    let root = Mount::overlay(Overlay::new(["/", "/usr"]), "/mnt");
    assert!(remedies(contained("/bin/sh").mount(root)).contains(&Remedy::give("root.path")));
    let mut optional = contained("/bin/sh");
    optional.mount(Mount::mask("/no/such/file"));
    assert_eq!(remedies(&mut optional), [Remedy::set("mounts[0].if_present", true)]);
    let error = optional.spawn().expect_err("it is missing");
    let line = error.message_with(|remedy| remedy.field().map(ToString::to_string));
    assert!(line.ends_with("if it may be missing (mounts[0].if_present)"), "{line}");
}

#[test]
fn a_forbidden_candidate_of_path_does_not_hide_one_that_can_be_run() {
    let place = Place::new();
    for init in [false, true] {
        let mut command = place.command("name");
        command.env("PATH", "/missing:/closed:/plain:/dir").init(init);
        assert_eq!(command.status().unwrap().code(), Some(6));
    }
}

#[test]
fn a_directory_of_path_that_may_not_be_searched_hides_nothing() {
    let place = Place::new();
    let locked = place.root.directory("locked");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    for init in [false, true] {
        let mut command = place.command("missing");
        command.env("PATH", "/locked:/bin").init(init).capabilities(Capabilities::NONE);
        command.user_map(UserMap::CallerAs { uid: 5, gid: 5 });
        let error = command.spawn().unwrap_err();
        assert_eq!((error.code(), error.errno_name()), (Code::NotFound, Some("ENOENT")), "init {init}: {error}");
    }
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn three_hundred_mounts_are_no_problem() {
    let place = Place::new();
    let mut command = place.command("/bin/sh");
    command.args(["-c", "grep -c ' /mnt/' /proc/self/mountinfo"]).mount(Mount::tmpfs("/mnt"));
    for number in 0..300 {
        command.mount(Mount::tmpfs(format!("/mnt/{number}")));
    }
    assert_eq!(said(&command.output().unwrap()), "300");
}
