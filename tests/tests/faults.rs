//! Every place of a spawn fails once, and the spawner is killed at every place once: the error names the step, and the
//! host is as it was.
//!
//! One test at a time: each looks at all of the process and of the host before and after.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};
use seclude::fault::{Fault, Place};
use seclude::{
    Attributes, Capabilities, Cgroup, Command, Exit, Landlock, Limits, Mount, Namespace, Overlay, Resource, Root, Side,
    Stdio, UserMap,
};
use seclude_tests::{
    Cgroups, ExistingCgroup, Host, OwnProcess, PASSED_BY, Scratch, busybox_root, comes_back, has_overlays, helper,
    is_root, kill_whenever, marked, place, role,
};

/// Looks at the process and the host would see each other's spawns.
static ALONE: Mutex<()> = Mutex::new(());

/// A request with all that there is.
struct Everything {
    root: Scratch,
    own: Scratch,
    cgroups: Option<Cgroups>,
    /// For a variant that starts in one that is there.
    existing: Option<ExistingCgroup>,
    overlays: bool,
}

/// An overlay where those can be had.
fn root(directory: &str, overlays: bool) -> Root {
    if overlays { Root::overlay(Overlay::new([directory]).ephemeral()) } else { Root::directory(directory) }
}

impl Everything {
    fn new() -> Everything {
        let own = Scratch::new("everything");
        own.directory("shown");
        own.directory("written");
        own.file("file", "content");
        let root = busybox_root("everything-root");
        // Also for those whom a map has made of its user.
        for path in [root.path(), own.path()] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let cgroups = Cgroups::with("everything", &["--pids", "20"]);
        let existing = (is_root() && cgroups.is_some()).then(|| ExistingCgroup::make("everything-existing"));
        Everything { root, own, cgroups, existing, overlays: has_overlays() }
    }

    /// Whether what had to be made for a mount is gone.
    fn has_no_mount_points(&self) -> bool {
        std::fs::read_dir(self.own.join("written")).unwrap().next().is_none()
    }

    fn command(&self, variant: Variant) -> Command {
        let mut command = Command::new("/bin/true");
        for kind in Namespace::ALL {
            command.unshare(kind);
        }
        if variant == Variant::Ranges {
            command.user_map(UserMap::SubIds);
        }
        command.root(root(&self.root.path().display().to_string(), self.overlays));
        for mount in [
            Mount::proc("/proc"),
            Mount::dev("/dev"),
            Mount::tmpfs("/tmp").size(1 << 20),
            // The root may belong to somebody who is nobody in the map.
            Mount::tmpfs("/mnt"),
            Mount::mqueue("/mnt/mqueue"),
            Mount::sysfs("/sys").read_only(),
            Mount::bind(self.own.join("shown"), "/mnt/shown"),
            Mount::bind(self.own.join("file"), "/mnt/file").read_only(),
            Mount::bind(self.own.join("written"), "/mnt/written"),
            Mount::tmpfs("/mnt/written/missing/place"),
            Mount::file("/mnt/made", "text"),
            Mount::directory("/mnt/directory"),
            Mount::symlink("made", "/mnt/link"),
            Mount::symlink("made", "/mnt/link").unless_present(),
            Mount::file_system("tmpfs", "/mnt/named")
                .data("size", Some("64k"))
                .attributes(attributes(&["noatime", "private"])),
            Mount::bind(self.own.join("shown"), "/mnt/again").attributes(attributes(&["ro", "rnosuid", "rprivate"])),
            Mount::fifo("/mnt/pipe").owner(0, 0),
            Mount::mask("/usr"),
            Mount::read_only_path("/etc"),
        ] {
            command.mount(mount);
        }
        command.hostname("everything").domainname("all").boottime_offset(60_000_000_000);
        command.sysctl("net.ipv4.ip_unprivileged_port_start", "80").when_born(|_| Ok(())).when_mounted(|_| Ok(()));
        command.personality(0).io_priority(2, 5).console(true);
        command.umask(0o077).rlimit(Resource::NOFILE, 64, 64).capabilities(Capabilities::NONE);
        command.current_dir("/mnt").terminal(24, 80).stdout(Stdio::piped()).env_clear().env("A", "b");
        command.fd(std::fs::File::open("/dev/null").unwrap(), 9);
        match variant {
            Variant::Init if has_landlock() => {
                let rules = Landlock::new().exec("/").rw("/mnt").scope_signals().scope_abstract_unix_sockets();
                command.init(true).landlock(rules)
            }
            Variant::Init => command.init(true),
            Variant::Legacy => command.clone_way(seclude::CloneWay::Legacy),
            Variant::Plain | Variant::Ranges => command.new_session(true),
        };
        if let Some(existing) = self.existing.as_ref().filter(|_| variant == Variant::Ranges) {
            command.join_cgroup(&existing.path);
        } else if let Some(cgroups) = &self.cgroups {
            let limits = Limits::new().pids_max(20);
            command.cgroup(cgroups.cgroup().limits(limits));
        }
        command
    }
}

fn attributes(words: &[&str]) -> Attributes {
    let mut attributes = Attributes::new();
    words.iter().for_each(|word| assert!(attributes.add(word), "{word}"));
    attributes
}

/// All of it: files, ports, scopes.
fn has_landlock() -> bool {
    seclude::Host::current().with_landlock().landlock >= 6
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Variant {
    Plain,
    Init,
    Legacy,
    Ranges,
}

const VARIANTS: [Variant; 4] = [Variant::Plain, Variant::Init, Variant::Legacy, Variant::Ranges];

fn may(variant: Variant) -> bool {
    // An ordinary user's ranges need newuidmap, and its helper processes are not what is tested here.
    variant != Variant::Ranges || is_root()
}

/// Which namespaces there are, as far as this user sees them, and which locks.
fn namespaces() -> BTreeSet<String> {
    let locks = std::fs::read_dir("/run/seclude").into_iter().flatten().flatten();
    let mut found: BTreeSet<String> = locks.map(|lock| lock.path().display().to_string()).collect();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        for entry in std::fs::read_dir(process.path().join("ns")).into_iter().flatten().flatten() {
            found.extend(std::fs::read_link(entry.path()).map(|link| link.display().to_string()));
        }
    }
    found
}

/// All that could be left of a spawn.
fn look() -> (OwnProcess, Host, BTreeSet<String>) {
    (OwnProcess::look(), Host::look(), namespaces())
}

/// What is left over once everything has had its time: others' processes come and go, and with them their namespaces.
fn has_settled(before: &(OwnProcess, Host, BTreeSet<String>)) -> bool {
    let started = Instant::now();
    loop {
        let now = look();
        if now.0 == before.0 && now.1.is_back_at(&before.1) && now.2.is_subset(&before.2) {
            return true;
        }
        if started.elapsed() > Duration::from_secs(5) {
            eprintln!("before {before:?}\nafter {now:?}");
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_spawn_with_everything_runs() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let everything = Everything::new();
    for variant in VARIANTS.into_iter().filter(|variant| may(*variant)) {
        let before = look();
        let mut child = everything.command(variant).spawn().unwrap_or_else(|error| panic!("{variant:?}: {error}"));
        drop(child.take_terminal());
        assert!(child.wait().is_ok_and(|exit: Exit| exit.code() == Some(0) || exit.signal() == Some(1)), "{variant:?}");
        drop(child);
        assert!(has_settled(&before), "{variant:?}");
        assert!(everything.has_no_mount_points(), "{variant:?}");
    }
}

#[test]
fn whatever_fails_is_named_and_nothing_is_left() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let everything = Everything::new();
    // EPERM, EIO, EINVAL, ENOSPC
    let errors = [1, 5, 22, 28];
    let mut injected = 0;
    for variant in VARIANTS.into_iter().filter(|variant| may(*variant)) {
        let mut named: [Vec<&str>; 2] = Default::default();
        for number in 0.. {
            let (place, side) = place(&everything.command(variant), number);
            let errno = errors[number % errors.len()];
            let before = look();
            let mut command = everything.command(variant);
            let error = match command.fault(place, Fault::Fail(errno)).spawn() {
                Err(error) => error,
                Ok(mut child) if matches!(place, Place::Op(_)) => {
                    drop(child.take_terminal());
                    child.wait().unwrap();
                    break;
                }
                Ok(_) => panic!("{variant:?} {place:?} was passed by"),
            };
            assert_eq!(error.raw_os_error(), Some(errno), "{variant:?} {place:?}: {error}");
            assert_eq!(error.side(), side, "{error}");
            assert!(error.left_behind().is_empty(), "{error}");
            drop(command);
            assert!(has_settled(&before), "{variant:?} {place:?}: {error}");
            assert!(everything.has_no_mount_points(), "{variant:?} {place:?}: {error}");
            named[usize::from(side == Side::Child)].push(error.step());
            injected += 1;
        }
        // Each step in its order. (How often the others are closed depends on what is open then.)
        let mut planned: [Vec<&str>; 2] = Default::default();
        for (place, step) in everything.command(variant).plan().unwrap().places() {
            planned[usize::from(matches!(place, Place::Op(_)))].push(step);
        }
        // Which hierarchies of v1 there are to be joined by the child itself is not known before they are looked for.
        named[1].retain(|step| *step != "cgroup");
        for steps in named.iter_mut().chain(&mut planned) {
            steps.dedup();
        }
        assert_eq!(named, planned, "{variant:?}");
        let launcher = named[1].iter().position(|step| *step == "exec").expect("it is started");
        let mut by_launcher = vec!["exec", "rlimit", "rights", "workdir", "exec"];
        if variant == Variant::Init && has_landlock() {
            by_launcher.insert(4, "landlock");
        }
        assert_eq!(named[1][launcher..], by_launcher, "{variant:?}: by the launcher");
    }
    println!("{injected} faults");
    assert!(injected > 300, "{injected}");
    drop(everything.existing);
    if let Some(cgroups) = everything.cgroups {
        cgroups.done();
    }
}

#[test]
fn without_namespaces_whatever_fails_is_named_and_nothing_is_left() {
    if !has_landlock() {
        println!("skipped: the kernel has no landlock of ABI 6");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let own = Scratch::new("alone-faults");
    let request = || {
        let mut command = Command::new("/bin/true");
        command.no_namespaces().rw(own.path()).landlock(Landlock::new().ro("/usr").connect([443])).env("A", "b");
        command
    };
    let errors = [1, 5, 22, 28];
    for number in 0.. {
        let (place, side) = place(&request(), number);
        let errno = errors[number % errors.len()];
        let before = look();
        let error = match request().fault(place, Fault::Fail(errno)).spawn() {
            Err(error) => error,
            Ok(mut child) if matches!(place, Place::Op(_)) => {
                child.wait().unwrap();
                assert!(number > 30, "{number}");
                break;
            }
            Ok(_) => panic!("{place:?} was passed by"),
        };
        assert_eq!((error.raw_os_error(), error.side()), (Some(errno), side), "{place:?}: {error}");
        assert!(error.left_behind().is_empty() && has_settled(&before), "{place:?}: {error}");
    }
}

const MARK: &str = "SECLUDE_TEST_MARK";

#[test]
fn helper_process() {
    let Some(role) = role() else { return };
    let (variant, number) = role.split_once(' ').expect("VARIANT NUMBER");
    let variant = VARIANTS.into_iter().find(|known| format!("{known:?}") == variant).unwrap();
    let directory = |name: &str| std::env::var(name).unwrap();
    // What is made here is the test's, which removes it: a killed process cannot.
    let mut command = shared_command(&directory("ROOT"), &directory("OWN"), variant);
    let (place, _) = place(&command, number.parse().unwrap());
    match command.fault(place, Fault::Kill).spawn() {
        Ok(mut child) => {
            drop(child.take_terminal());
            child.kill().unwrap();
            child.wait().unwrap();
            std::process::exit(PASSED_BY);
        }
        Err(error) => panic!("{error}"),
    }
}

/// The same request in a process that owns none of it, for a command that would be seen if it survived.
fn shared_command(directory: &str, own: &str, variant: Variant) -> Command {
    let mut command = Command::new("/bin/sleep");
    command.arg("1000");
    for kind in Namespace::ALL {
        command.unshare(kind);
    }
    if variant == Variant::Ranges {
        command.user_map(UserMap::SubIds);
    }
    command.root(root(directory, std::env::var_os("NO_OVERLAYS").is_none()));
    command.mount(Mount::proc("/proc")).mount(Mount::dev("/dev"));
    command.mount(Mount::tmpfs("/mnt")).mount(Mount::bind(own, "/mnt/shown"));
    command.mount(Mount::mask("/usr")).hostname("killed").terminal(24, 80).capabilities(Capabilities::NONE);
    if variant == Variant::Init {
        command.init(true);
    }
    if let Ok(parent) = std::env::var("PARENT") {
        command.cgroup(Cgroup::new().parent(parent).limits(Limits::new().pids_max(20)));
    }
    command
}

/// What the kernel does not take away itself.
fn collect(everything: &Everything, parent: &str) {
    if is_root() {
        seclude::gc::collect(everything.cgroups.is_some().then(|| parent.as_ref())).unwrap();
    }
}

/// What of the host is not as before: mounts, links, files, and cgroups and namespaces that were not there.
fn left_of(before: &(Host, BTreeSet<String>)) -> Option<(Host, BTreeSet<String>)> {
    let (mut now, left) = (Host::look(), namespaces());
    // One that went meanwhile was an earlier run's.
    let gone = now.cgroups.is_subset(&before.0.cgroups) && left.is_subset(&before.1);
    let cgroups = std::mem::replace(&mut now.cgroups, before.0.cgroups.clone());
    let same = gone && now == before.0;
    (!same).then_some((Host { cgroups, ..now }, left))
}

#[test]
fn spawners_killed_at_any_moment_leave_no_process_and_nothing_that_gc_does_not_find() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let everything = Everything::new();
    let parent = format!("/seclude-test/whenever-{}", std::process::id());
    let mark = format!("{MARK}={}", std::process::id());
    set_child_subreaper(Some(getpid())).unwrap();
    let before = (Host::look(), namespaces());
    let ends = Cell::new(false);
    let spawner = || {
        // Every other one goes on until it is killed.
        ends.set(!ends.get());
        let root = if everything.overlays { "--overlay" } else { "--writable" };
        let mut spawner = seclude_tests::seclude_command(&["run", root, "--init", "--hostname", "whenever"]);
        spawner.env(MARK, std::process::id().to_string()).arg("--root").arg(everything.root.path());
        if is_root() && everything.cgroups.is_some() {
            spawner.args(["--cgroup", &parent, "--pids", "20"]);
        }
        spawner.args(["--bind", &format!("{}:/mnt", everything.own.path().display()), "/bin/sleep"]);
        spawner.arg(if ends.get() { "0.01" } else { "1000" });
        spawner
    };
    let kills = kill_whenever(spawner, Duration::from_millis(40));
    let left = || {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        let left = marked(&mark);
        collect(&everything, &parent);
        (left, left_of(&before))
    };
    comes_back(&(Vec::new(), None), "killed whenever", left);
    set_child_subreaper(None).unwrap();
    println!("{kills} kills");
}

#[test]
fn whenever_the_spawner_is_killed_nothing_survives_it() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let everything = Everything::new();
    let parent = format!("/seclude-test/killed-{}", std::process::id());
    // What is orphaned comes to us: the machine's init takes its time.
    set_child_subreaper(Some(getpid())).unwrap();
    let reap = || while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {};
    let mut kills = 0;
    for variant in VARIANTS.into_iter().filter(|variant| may(*variant)) {
        for number in 0.. {
            let before = (Host::look(), namespaces());
            let mark = format!("{}-{variant:?}-{number}", std::process::id());
            let mut spawner = helper(&format!("{variant:?} {number}"));
            spawner.env("ROOT", everything.root.path()).env("OWN", everything.own.path()).env(MARK, &mark);
            if is_root() && everything.cgroups.is_some() {
                spawner.env("PARENT", &parent);
            }
            if !everything.overlays {
                spawner.env("NO_OVERLAYS", "");
            }
            // Nothing of it may hold a pipe: whoever waits for its end would wait for what it left.
            let null = std::process::Stdio::null;
            let ended = spawner.stdout(null()).stderr(null()).status().unwrap();
            if ended.code() == Some(PASSED_BY) {
                break;
            }
            assert_eq!(ended.signal(), Some(9), "{variant:?} {number}");
            let left = || {
                reap();
                let left = marked(&format!("{MARK}={mark}"));
                collect(&everything, &parent);
                (left, left_of(&before))
            };
            comes_back(&(Vec::new(), None), &format!("{variant:?} {number}"), left);
            kills += 1;
        }
    }
    set_child_subreaper(None).unwrap();
    println!("{kills} kills");
    assert!(kills > 100, "{kills}");
}
