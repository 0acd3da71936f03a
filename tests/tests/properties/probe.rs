//! The command of a request, which says what it sees, and what it has to see.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use seclude::{Capabilities, Command, Dns, Limits, Mount, Namespace, Overlay, Publish, Resource, Root, UserMap, Veth};

use crate::Places;
use crate::request::{Request, Tree, Wish};

/// Seconds that no machine has been up for.
const OFFSET: u64 = 1_000_000_000;

/// Says `KEY VALUE` lines about everything that can be asked for; in a root with next to nothing in it.
const PROBE: &str = r#"
for kind in user pid mnt net uts ipc cgroup time; do echo "ns-$kind $(readlink /proc/self/ns/$kind)"; done
echo "uid $(id -u)"; echo "gid $(id -g)"; echo "pid $$"; echo "host $(cat /proc/sys/kernel/hostname)"; echo "pwd $(pwd)"
echo "files $(ulimit -n)"; echo "umask $(umask)"
while read -r name value; do case $name in CapBnd:|NoNewPrivs:|SigBlk:) echo "$name $value";; esac; done < /proc/self/status
read -r _ _ _ _ _ session tty _ < /proc/self/stat; echo "session $session"; echo "tty $tty"
read -r adj < /proc/self/oom_score_adj; echo "adj $adj"; read -r up _ < /proc/uptime; echo "up ${up%.*}"
while read -r name _; do case $name in *:*) echo "link-${name%%:*} yes";; esac; done < /proc/net/dev
for fd in 3 4 5 6 7 8 9; do
    case $fd in $FD) echo "fd $(cat <&$FD)";; *) if eval "(true <&$fd)" 2>&-; then echo "other-fd $fd"; fi;; esac; done
test -e /of-the-own-root && echo "root own" || echo "root host"
( : > $PLACE/written ) && echo "write yes" || echo "write no"
test -e /of-the-own-root && { ( : > /etc/written ) && echo "etc yes" || echo "etc no"; }
test -e /mnt/content && echo "bind $(cat /mnt/content)"; test -e /opt/content && echo "overlay $(cat /opt/content)"
if test -e /mnt/content; then ( : > /mnt/written ) && echo "bind-write yes" || echo "bind-write no"; fi
test -e $MADE/file && echo "file $(cat $MADE/file)"; test -d $MADE/directory && echo "directory yes"
echo "link $(readlink $MADE/link)"; test -c /dev/null && test ! -e /dev/kmsg && echo "dev minimal"
echo "tmpfs $(ls -A /tmp | wc -l)"; echo "mask $(ls -A /srv | wc -l)"
if test -n "$FORKS"; then ( eval "$FORKS"; echo "forks all" ); true; fi
"#;

/// Where files and the like are made: nothing of the host itself is written, also where its tree could be.
fn made<'a>(request: &Request, places: &'a Places) -> &'a Path {
    if request.has_own_root() { Path::new("/media") } else { places.own.path() }
}

pub(crate) fn command(request: &Request, places: &Places) -> Command {
    let mut command = Command::new("/bin/busybox");
    command.args(["sh", "-c", PROBE]).clone_way(request.way);
    command.current_dir(if request.workdir { "/mnt" } else { "/" });
    command.env("PLACE", if request.has_own_root() { Path::new("") } else { places.own.path() });
    command.env("MADE", made(request, places));
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
        command.mount(mount(*wish, made(request, places).to_owned(), places));
    }
    ask_for_ids_and_limits(request, &mut command);
    if let Some(number) = request.descriptor {
        let content = std::fs::File::open(places.own.join("content")).expect("it was made");
        command.fd(content, number).env("FD", number.to_string());
    }
    if let Some(link) = request.veth {
        let mut veth = Veth::new().ip_forward(true);
        if link.point_to_point {
            veth = veth.point_to_point();
        }
        if link.rate {
            veth = veth.rate(10_000_000);
        }
        if link.publish {
            veth = veth.publish(Publish::parse("8080:80").expect("a port").remove(0));
        }
        command.veth(veth).dns(Dns::Unchanged);
    }
    let flags = request.flags;
    if flags.terminal {
        command.terminal(24, 80);
    }
    if flags.boottime {
        command.boottime_offset(i128::from(OFFSET) * 1_000_000_000);
    }
    if flags.hostname {
        command.hostname("asked-for");
    }
    if flags.no_capabilities {
        command.capabilities(Capabilities::NONE);
    }
    command.no_new_privileges(!flags.gain_privileges).new_session(flags.session).init(flags.init);
    command.signal_mask(request.signal_mask);
    command
}

fn mount(wish: Wish, made: PathBuf, places: &Places) -> Mount {
    match wish {
        Wish::Tmpfs => Mount::tmpfs("/tmp"),
        Wish::Proc => Mount::proc("/proc"),
        Wish::Dev => Mount::dev("/dev"),
        Wish::Bind => Mount::bind(places.own.path(), "/mnt"),
        Wish::BindReadOnly => Mount::bind(places.own.path(), "/mnt").read_only(),
        Wish::Overlay => Mount::overlay(Overlay::new([places.own.path()]).ephemeral(), "/opt"),
        Wish::File => Mount::file(made.join("file"), "text"),
        Wish::Directory => Mount::directory(made.join("directory")),
        Wish::Symlink => Mount::symlink("elsewhere", made.join("link")),
        Wish::Mask => Mount::mask("/srv"),
        Wish::ReadOnlyPath => Mount::read_only_path("/etc"),
    }
}

fn ask_for_ids_and_limits(request: &Request, command: &mut Command) {
    if let Some(uid) = request.ids.uid {
        command.uid(uid);
    }
    if let Some(gid) = request.ids.gid {
        command.gid(gid);
    }
    if request.ids.identity {
        command.user_map(UserMap::Identity);
    }
    if let Some(files) = request.limits.files {
        command.rlimit(Resource::NOFILE, files, files);
    }
    if let Some(umask) = request.limits.umask {
        command.umask(umask);
    }
    if let Some(adj) = request.limits.oom_score_adj {
        command.oom_score_adj(adj);
    }
    if let Some(limit) = request.limits.forks {
        command.env("FORKS", ["sleep 0.3"; 20].join(" | "));
        if let Some(limit) = limit {
            command.limits(Limits::new().pids_max(limit));
        }
    }
}

fn name_in_proc(kind: Namespace) -> String {
    if kind == Namespace::Mount { "mnt".to_owned() } else { kind.to_string() }
}

/// That of this thread, which has left the host's.
fn own_namespace(kind: Namespace) -> String {
    let link = std::fs::read_link(format!("/proc/thread-self/ns/{}", name_in_proc(kind)));
    link.expect("/proc is there").display().to_string()
}

/// What a run must have said; nothing where it was not asked for.
pub(crate) fn check(request: &Request, said: &BTreeMap<&str, &str>) -> Result<(), TestCaseError> {
    let has = |key: &str, expected: &str| {
        prop_assert_eq!(said.get(key).copied().unwrap_or_default(), expected, "{}", key);
        Ok(())
    };
    let own_root = request.has_own_root();
    for kind in Namespace::ALL {
        let key = format!("ns-{}", name_in_proc(kind));
        // A pid namespace of its own has a /proc of its own in any case; the host's tree has the host's otherwise.
        let Some(inside) = said.get(key.as_str()).filter(|link| !link.is_empty()) else {
            prop_assert!(own_root, "{} is not to be seen", key);
            continue;
        };
        prop_assert_eq!(*inside != own_namespace(kind).as_str(), request.unshares(kind), "{}: {}", kind, inside);
    }
    let root = (request.unshares(Namespace::User) && !request.ids.identity).then_some(0);
    for (key, id) in [("uid", request.ids.uid.or(root)), ("gid", request.ids.gid.or(root))] {
        if let Some(id) = id {
            has(key, &id.to_string())?;
        }
    }
    if request.unshares(Namespace::Pid) {
        has("pid", if request.flags.init { "2" } else { "1" })?;
    }
    if !own_root || request.unshares(Namespace::Pid) || request.mounts.contains(&Wish::Proc) {
        check_proc(request, said)?;
    }
    has("pwd", if request.workdir { "/mnt" } else { "/" })?;
    has("fd", if request.descriptor.is_some() { "shown" } else { "" })?;
    has("other-fd", "")?;
    has("forks", if request.limits.forks == Some(None) { "all" } else { "" })?;
    if let Some(files) = request.limits.files {
        has("files", &files.to_string())?;
    }
    if let Some(umask) = request.limits.umask {
        has("umask", &format!("{umask:04o}"))?;
    }
    check_tree(request, said)
}

/// What /proc tells.
fn check_proc(request: &Request, said: &BTreeMap<&str, &str>) -> Result<(), TestCaseError> {
    let flags = request.flags;
    if flags.no_capabilities {
        prop_assert_eq!(said["CapBnd:"], "0000000000000000");
    }
    prop_assert_eq!(said["NoNewPrivs:"], if flags.gain_privileges { "0" } else { "1" });
    prop_assert_eq!(said["SigBlk:"], format!("{:016x}", request.signal_mask));
    prop_assert_eq!(said["host"] == "asked-for", flags.hostname);
    if let Some(adj) = request.limits.oom_score_adj {
        prop_assert_eq!(said["adj"], adj.to_string());
    }
    // Without a session of its own it has the terminal that the tests have, if any.
    if flags.terminal || flags.session {
        prop_assert_eq!(said["tty"] != "0", flags.terminal, "tty {}", said["tty"]);
    }
    let up: u64 = said["up"].parse().expect("seconds");
    prop_assert_eq!(up > OFFSET, flags.boottime, "up for {}", up);
    if request.unshares(Namespace::Net) {
        let links: Vec<_> = said.keys().filter_map(|key| key.strip_prefix("link-")).collect();
        prop_assert_eq!(links, if request.veth.is_some() { vec!["eth0", "lo"] } else { vec!["lo"] });
    }
    Ok(())
}

/// What is mounted where.
fn check_tree(request: &Request, said: &BTreeMap<&str, &str>) -> Result<(), TestCaseError> {
    let has = |key: &str, expected: &str| {
        prop_assert_eq!(said.get(key).copied().unwrap_or_default(), expected, "{}", key);
        Ok(())
    };
    let own_root = request.has_own_root();
    let place = |wish: Wish| request.mounts.iter().position(|other| *other == wish);
    let wished = |wish: Wish| place(wish).is_some();
    let is_its_own = request.ids.uid.is_none() && !request.ids.identity;
    has("root", if own_root { "own" } else { "host" })?;
    match request.tree {
        // What is written to is not of that tree then.
        Tree::HostReadOnly if wished(Wish::Tmpfs) => {}
        Tree::HostReadOnly | Tree::OwnReadOnly => has("write", "no")?,
        Tree::Own if is_its_own => has("write", "yes")?,
        Tree::Ephemeral if is_its_own && request.unshares(Namespace::User) => has("write", "yes")?,
        _ => {}
    }
    if own_root && (wished(Wish::ReadOnlyPath) || request.tree == Tree::OwnReadOnly) {
        has("etc", "no")?;
    } else if request.tree == Tree::Own && is_its_own {
        has("etc", "yes")?;
    }
    // What is made in the host's tree is made below /tmp.
    let is_covered = |wish| !own_root && wished(Wish::Tmpfs) && place(wish) < place(Wish::Tmpfs);
    let is_made = |wish| wished(wish) && !is_covered(wish);
    if wished(Wish::Tmpfs) {
        let is_used = !own_root && [Wish::File, Wish::Directory, Wish::Symlink].into_iter().any(is_made);
        has("tmpfs", if is_used { "1" } else { "0" })?;
    } else if own_root {
        has("tmpfs", "1")?;
    }
    // The later one lies over the other.
    let bind = place(Wish::Bind).max(place(Wish::BindReadOnly));
    has("bind", if bind.is_some() { "shown" } else { "" })?;
    if bind.is_some() && bind == place(Wish::BindReadOnly) {
        has("bind-write", "no")?;
    }
    has("overlay", if wished(Wish::Overlay) { "shown" } else { "" })?;
    if wished(Wish::Dev) {
        has("dev", "minimal")?;
    } else if own_root {
        has("dev", "")?;
    }
    for (wish, key, expected) in
        [(Wish::File, "file", "text"), (Wish::Directory, "directory", "yes"), (Wish::Symlink, "link", "elsewhere")]
    {
        has(key, if is_made(wish) { expected } else { "" })?;
    }
    if wished(Wish::Mask) {
        has("mask", "0")?;
    } else if own_root {
        has("mask", "1")?;
    }
    Ok(())
}
