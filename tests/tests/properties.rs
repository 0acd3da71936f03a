//! Any plan either runs and shows exactly the isolation that was asked for, or fails with an error that names a step.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::subsequence;
use seclude::{Capabilities, CloneWay, Command, Limits, Mount, Namespace, Overlay, Resource, Root, UserMap};
use seclude_tests::{Scratch, busybox_root, is_root};

const PLANS: u32 = 600;
/// Seconds that no machine has been up for.
const OFFSET: u64 = 1_000_000_000;

/// What is asked for, as data.
#[derive(Clone, Debug)]
struct Request {
    unshared: Vec<Namespace>,
    tree: Tree,
    mounts: Vec<Wish>,
    uid: Option<u32>,
    identity: bool,
    hostname: bool,
    files: Option<u64>,
    umask: Option<u32>,
    no_capabilities: bool,
    gain_privileges: bool,
    session: bool,
    init: bool,
    way: CloneWay,
    descriptor: Option<i32>,
    terminal: bool,
    oom_score_adj: Option<i16>,
    boottime: bool,
    /// Whether it starts many processes, and how many it may.
    forks: Option<Option<u64>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tree {
    /// No word about it.
    Unsaid,
    Host,
    HostReadOnly,
    Own,
    OwnReadOnly,
    Ephemeral,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wish {
    Tmpfs,
    Proc,
    Bind,
    BindReadOnly,
    File,
    Mask,
}

impl Request {
    fn has_own_root(&self) -> bool {
        matches!(self.tree, Tree::Own | Tree::OwnReadOnly | Tree::Ephemeral)
    }
}

fn request() -> impl Strategy<Value = Request> {
    let kinds = subsequence(Namespace::ALL.to_vec(), 0..=Namespace::ALL.len());
    let tree = prop::sample::select(vec![
        Tree::Unsaid,
        Tree::Host,
        Tree::HostReadOnly,
        Tree::Own,
        Tree::OwnReadOnly,
        Tree::Ephemeral,
    ]);
    let wishes =
        subsequence(vec![Wish::Tmpfs, Wish::Proc, Wish::Bind, Wish::BindReadOnly, Wish::File, Wish::Mask], 0..=6);
    let ids = (prop::option::of(prop::sample::select(vec![0u32, 1000])), any::<bool>());
    let limits = (prop::option::of(16u64..200), prop::option::of(0u32..0o100));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let way = prop::sample::select(vec![CloneWay::Auto, CloneWay::Vm, CloneWay::Copy, CloneWay::Legacy]);
    let forks = prop::option::weighted(0.2, prop::option::of(6u64..12));
    let more = (
        prop::option::weighted(0.3, 3..10),
        prop::bool::weighted(0.15),
        prop::option::weighted(0.2, 500i16..=1000),
        prop::bool::weighted(0.2),
        forks,
    );
    let all = (kinds, tree, wishes, ids, limits, flags, way, more, prop::bool::weighted(0.8));
    all.prop_map(|(unshared, tree, mounts, ids, limits, flags, way, more, sensible)| {
        let (descriptor, terminal, oom_score_adj, boottime, forks) = more;
        let (hostname, no_capabilities, gain_privileges, session, init) = flags;
        let ((uid, identity), (files, umask)) = (ids, limits);
        let mut request = Request {
            unshared,
            tree,
            mounts,
            uid,
            identity,
            hostname,
            files,
            umask,
            no_capabilities,
            gain_privileges,
            session,
            init,
            way,
            descriptor,
            terminal,
            oom_score_adj,
            boottime,
            forks,
        };
        request.contain();
        if sensible {
            request.make_sense();
        }
        request
    })
}

impl Request {
    fn add(&mut self, kind: Namespace) {
        if !self.unshared.contains(&kind) {
            self.unshared.push(kind);
        }
    }

    /// Without a user namespace an ordinary user may do little, and root would do it to the host.
    fn contain(&mut self) {
        if !is_root() || !self.unshared.contains(&Namespace::Mount) {
            self.add(Namespace::User);
        }
    }

    /// Most plans are no contradictions.
    fn make_sense(&mut self) {
        self.add(Namespace::Mount);
        if self.init || self.mounts.contains(&Wish::Proc) {
            self.add(Namespace::Pid);
        }
        if self.hostname {
            self.add(Namespace::Uts);
        }
        if self.boottime {
            self.add(Namespace::Time);
        }
        self.identity &= self.unshared.contains(&Namespace::User);
        if !is_root() || !self.identity {
            self.uid = self.uid.filter(|uid| *uid == 0);
        }
    }
}

/// What the places of a request are.
struct Places {
    root: Scratch,
    own: Scratch,
}

/// Says `KEY VALUE` lines about everything that can be asked for; in a root with next to nothing in it.
const PROBE: &str = r#"
for kind in user pid mnt net uts ipc cgroup time; do echo "ns-$kind $(readlink /proc/self/ns/$kind)"; done
echo "uid $(id -u)"; echo "pid $$"; echo "host $(cat /proc/sys/kernel/hostname)"; echo "files $(ulimit -n)"; echo "umask $(umask)"
while read -r name value; do case $name in CapBnd:|NoNewPrivs:) echo "$name $value";; esac; done < /proc/self/status
read -r _ _ _ _ _ session tty _ < /proc/self/stat; echo "session $session"; echo "tty $tty"
test -e /of-the-own-root && echo "root own" || echo "root host"
( : > $PLACE/written ) && echo "write yes" || echo "write no"
test -e /mnt/content && echo "bind $(cat /mnt/content)"
for fd in 3 4 5 6 7 8 9; do
    case $fd in $FD) echo "fd $(cat <&$FD)";; *) if eval "(true <&$fd)" 2>&-; then echo "other-fd $fd"; fi;; esac; done
read -r adj < /proc/self/oom_score_adj; echo "adj $adj"; read -r up _ < /proc/uptime; echo "up ${up%.*}"
while read -r name _; do case $name in *:*) echo "link-${name%%:*} yes";; esac; done < /proc/net/dev
echo "tmpfs $(ls -A /tmp | wc -l)"; test -e /media/file && echo "file $(cat /media/file)"; echo "mask $(ls -A /srv | wc -l)"
if test -e /mnt/content; then ( : > /mnt/written ) && echo "bind-write yes" || echo "bind-write no"; fi
if test -n "$FORKS"; then ( eval "$FORKS"; echo "forks all" ); true; fi
"#;

fn command(request: &Request, places: &Places) -> Command {
    let mut command = Command::new("/bin/busybox");
    command.args(["sh", "-c", PROBE]).current_dir("/").clone_way(request.way);
    // Nothing of the host itself is written, also where its tree could be.
    command.env("PLACE", if request.has_own_root() { Path::new("") } else { places.own.path() });
    for kind in &request.unshared {
        command.unshare(*kind);
    }
    match request.tree {
        Tree::Unsaid => {}
        Tree::Host => drop(command.root(Root::host())),
        Tree::HostReadOnly => drop(command.root(Root::host().read_only())),
        Tree::Own => drop(command.root(Root::directory(places.root.path()))),
        Tree::OwnReadOnly => drop(command.root(Root::directory(places.root.path()).read_only())),
        Tree::Ephemeral => drop(command.root(Root::overlay(Overlay::new([places.root.path()]).ephemeral()))),
    }
    for wish in &request.mounts {
        command.mount(match wish {
            Wish::Tmpfs => Mount::tmpfs("/tmp"),
            Wish::Proc => Mount::proc("/proc"),
            Wish::Bind => Mount::bind(places.own.path(), "/mnt"),
            Wish::BindReadOnly => Mount::bind(places.own.path(), "/mnt").read_only(),
            Wish::File => Mount::file("/media/file", "text"),
            Wish::Mask => Mount::mask("/srv"),
        });
    }
    if let Some(uid) = request.uid {
        command.uid(uid);
    }
    if request.identity {
        command.user_map(UserMap::Identity);
    }
    if request.hostname {
        command.hostname("asked-for");
    }
    if let Some(files) = request.files {
        command.rlimit(Resource::NOFILE, files, files);
    }
    if let Some(umask) = request.umask {
        command.umask(umask);
    }
    if request.no_capabilities {
        command.capabilities(Capabilities::NONE);
    }
    if let Some(number) = request.descriptor {
        command
            .fd(std::fs::File::open(places.own.join("content")).expect("it was made"), number)
            .env("FD", number.to_string());
    }
    if request.terminal {
        command.terminal(24, 80);
    }
    if let Some(adj) = request.oom_score_adj {
        command.oom_score_adj(adj);
    }
    if request.boottime {
        command.boottime_offset(i128::from(OFFSET) * 1_000_000_000);
    }
    if let Some(limit) = request.forks {
        command.env("FORKS", ["sleep 0.3"; 20].join(" | "));
        if let Some(limit) = limit {
            command.limits(Limits::new().pids_max(limit));
        }
    }
    command.no_new_privileges(!request.gain_privileges).new_session(request.session).init(request.init);
    command
}

fn name_in_proc(kind: Namespace) -> String {
    if kind == Namespace::Mount { "mnt".to_owned() } else { kind.to_string() }
}

fn own_namespace(kind: Namespace) -> String {
    std::fs::read_link(format!("/proc/self/ns/{}", name_in_proc(kind))).expect("/proc").display().to_string()
}

/// What a run must have said; nothing where it was not asked for.
fn check(request: &Request, said: &BTreeMap<&str, &str>) -> Result<(), TestCaseError> {
    let has = |key: &str, expected: &str| {
        prop_assert_eq!(said.get(key).copied().unwrap_or_default(), expected, "{}", key);
        Ok(())
    };
    let asked = |kind: Namespace| request.unshared.contains(&kind);
    let own_root = request.has_own_root();
    for kind in Namespace::ALL {
        let key = format!("ns-{}", name_in_proc(kind));
        // A pid namespace of its own has a /proc of its own in any case; the host's tree has the host's otherwise.
        let Some(inside) = said.get(key.as_str()).filter(|link| !link.is_empty()) else {
            prop_assert!(own_root, "{} is not to be seen", key);
            continue;
        };
        prop_assert_eq!(*inside != own_namespace(kind).as_str(), asked(kind), "{}: {}", kind, inside);
    }
    if let Some(uid) = request.uid {
        has("uid", &uid.to_string())?;
    } else if asked(Namespace::User) && !request.identity {
        has("uid", "0")?;
    }
    if asked(Namespace::Pid) {
        has("pid", if request.init { "2" } else { "1" })?;
    }
    let proc = !own_root || asked(Namespace::Pid) || request.mounts.contains(&Wish::Proc);
    if proc {
        has("CapBnd:", if request.no_capabilities { "0000000000000000" } else { said["CapBnd:"] })?;
        has("NoNewPrivs:", if request.gain_privileges { "0" } else { "1" })?;
        prop_assert_eq!(said["host"] == "asked-for", request.hostname);
        if let Some(adj) = request.oom_score_adj {
            has("adj", &adj.to_string())?;
        }
        // Without a session of its own it has that which the tests have, if any.
        if request.terminal || request.session {
            prop_assert_eq!(said["tty"] != "0", request.terminal);
        }
        let up: u64 = said["up"].parse().expect("seconds");
        prop_assert_eq!(up > OFFSET, request.boottime, "up for {}", up);
        if asked(Namespace::Net) {
            let links: Vec<_> = said.keys().filter(|key| key.starts_with("link-")).collect();
            prop_assert_eq!(links, [&"link-lo"]);
        }
    }
    has("fd", if request.descriptor.is_some() { "shown" } else { "" })?;
    has("other-fd", "")?;
    match request.forks {
        Some(None) => has("forks", "all")?,
        _ => has("forks", "")?,
    }
    if let Some(files) = request.files {
        has("files", &files.to_string())?;
    }
    if let Some(umask) = request.umask {
        has("umask", &format!("{umask:04o}"))?;
    }
    has("root", if own_root { "own" } else { "host" })?;
    match request.tree {
        Tree::HostReadOnly | Tree::OwnReadOnly => has("write", "no")?,
        Tree::Own if request.uid.is_none() && !request.identity => has("write", "yes")?,
        Tree::Ephemeral if request.uid.is_none() && asked(Namespace::User) && !request.identity => has("write", "yes")?,
        _ => {}
    }
    let wished = |wish: Wish| request.mounts.contains(&wish);
    if wished(Wish::Tmpfs) {
        has("tmpfs", "0")?;
    }
    has("bind", if wished(Wish::Bind) || wished(Wish::BindReadOnly) { "shown" } else { "" })?;
    if wished(Wish::BindReadOnly) {
        // The later one lies over the other.
        has("bind-write", "no")?;
    }
    has("file", if wished(Wish::File) { "text" } else { "" })?;
    if wished(Wish::Mask) {
        has("mask", "0")?;
    } else if own_root {
        has("mask", "1")?;
    }
    Ok(())
}

#[test]
fn any_plan_shows_what_was_asked_for_or_names_the_step_that_could_not() {
    let places = Places { root: busybox_root("properties"), own: Scratch::new("properties") };
    for directory in ["tmp", "mnt", "media", "srv", "proc"] {
        places.root.directory(directory);
    }
    places.root.file("of-the-own-root", "");
    places.root.file("tmp/left", "");
    places.root.file("srv/left", "");
    places.own.file("content", "shown");
    for path in [places.root.path(), places.own.path()] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let (ran, refused) = (Cell::new(0), RefCell::new(BTreeMap::<String, usize>::new()));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: PLANS,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let done = runner.run(&request(), |request| {
        let mut command = command(&request, &places);
        let plan = command.plan();
        let _ = std::fs::remove_file(places.root.join("written"));
        let _ = std::fs::remove_file(places.own.join("written"));
        match command.output() {
            Ok(output) => {
                prop_assert!(output.exit.success(), "{}: {}", output.exit, String::from_utf8_lossy(&output.stderr));
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let said = text.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
                check(&request, &said)
                    .inspect_err(|_| eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
                ran.set(ran.get() + 1);
            }
            Err(error) => {
                let line = error.to_string();
                prop_assert!(!error.step().is_empty() && line.starts_with(error.step()), "{line}");
                prop_assert!(line.lines().count() == 1 && error.left_behind().is_empty(), "{line}");
                let steps: Vec<&str> =
                    plan.map_or_else(|_| vec![error.step()], |plan| plan.actions().iter().map(|a| a.step).collect());
                prop_assert!(steps.contains(&error.step()), "{} is no step of {steps:?}", error.step());
                *refused.borrow_mut().entry(line).or_default() += 1;
            }
        }
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
    println!("{} plans: {} ran; refused: {:#?}", PLANS, ran.get(), refused.borrow());
    assert!(ran.get() > PLANS / 5 && ran.get() < PLANS, "neither all nor nothing can be done");
}
