//! From flags to a request of the library.

use std::path::Path;

use clap::ArgMatches;
use seclude::{
    Capabilities, CloneWay, Command, Extent, Host, IdMap, Mount, Namespace, Overlay, Preset, Root, Stdio, UserMap,
};

use crate::Failure;
use crate::args::{ContainerFlags, FileFlags, Heading, ProcessFlags, Streams, is_defined};
use crate::values::{CapabilityName, NamespaceList, UserSpec};

/// The request that the flags stand for; `order` tells in which order they were given.
pub(crate) fn compose(flags: &ContainerFlags, order: &ArgMatches, watched: bool) -> Result<Command, Failure> {
    let (program, arguments) = flags.base.command.split_first().ok_or_else(|| Failure::new("no command was given"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    command.preset(flags.base.preset());
    namespaces(&mut command, flags)?;
    users(&mut command, flags)?;
    root(&mut command, &flags.files);
    for mount in in_order(&flags.files, order) {
        command.mount(mount);
    }
    flags.network.compose(&mut command)?;
    flags.limits.compose(&mut command, watched)?;
    process(&mut command, flags)?;
    Ok(command)
}

fn namespaces(command: &mut Command, flags: &ContainerFlags) -> Result<(), Failure> {
    let asked = &flags.namespaces;
    let named = |lists: &[NamespaceList], kind| lists.iter().any(|list| list.0.contains(&kind));
    for kind in Namespace::ALL {
        let clock = kind == Namespace::Time && (asked.monotonic.is_some() || asked.boottime.is_some());
        let joined = asked.join.iter().filter(|join| join.0 == kind).count();
        let by_net = kind == Namespace::Net && flags.network.decides();
        let ways = [named(&asked.share, kind), named(&asked.unshare, kind) || clock, joined > 0, by_net];
        if joined > 1 || ways.into_iter().filter(|way| *way).count() > 1 {
            let message = format!("{kind} namespace: asked for in two ways, of --share, --unshare, --join and --net");
            return Err(Failure::new(message));
        }
    }
    for list in &asked.share {
        for kind in &list.0 {
            command.share(*kind);
        }
    }
    for list in &asked.unshare {
        for kind in &list.0 {
            command.unshare(*kind);
        }
    }
    for join in &asked.join {
        command.join(join.0, &join.1);
    }
    if asked.nested {
        if flags.base.preset() == Preset::Bare {
            return Err(Failure::new("--nested: with --preset bare the command may make namespaces in any case"));
        }
        command.nested(true);
    }
    if asked.monotonic.is_some() || asked.boottime.is_some() {
        command.unshare(Namespace::Time);
        command.monotonic_offset(asked.monotonic.unwrap_or(0)).boottime_offset(asked.boottime.unwrap_or(0));
    }
    Ok(())
}

fn users(command: &mut Command, flags: &ContainerFlags) -> Result<(), Failure> {
    let (host, users) = (Host::current(), &flags.users);
    if let Some(UserSpec { uid, gid }) = users.user {
        command.uid(uid).gid(gid.unwrap_or(uid));
    }
    if users.host_root {
        command.host_root();
    } else if users.map_subids {
        command.user_map(UserMap::SubIds);
    } else if !users.uid_map.is_empty() || !users.gid_map.is_empty() {
        let map = |flag: &str, extents: &[Extent], own: u32| {
            let map = match extents {
                // The other kind was given: the caller is root of this one.
                [] => IdMap::single(0, own),
                extents => IdMap::new(extents.to_vec()),
            };
            map.map_err(|error| Failure::new(format!("{flag}: {error}")))
        };
        let uids = map("--uid-map", &users.uid_map, host.uid)?;
        let gids = map("--gid-map", &users.gid_map, host.gid)?;
        command.user_map(UserMap::Extents { uids, gids });
    } else if let Some(UserSpec { uid, gid }) = users.user
        && makes(flags, Namespace::User)
    {
        // An ordinary user has one id to give away; root's containers have more, of which this is one.
        let gid = gid.unwrap_or(uid);
        match (host.uid, flags.base.preset()) {
            (0, Preset::Bare) => command.user_map(UserMap::Identity),
            (0, _) => command,
            _ => command.user_map(UserMap::CallerAs { uid, gid }),
        };
    }
    Ok(())
}

/// Whether the flags come to a new namespace of this kind.
fn makes(flags: &ContainerFlags, kind: Namespace) -> bool {
    let asked = &flags.namespaces;
    let named = |lists: &[NamespaceList]| lists.iter().any(|list| list.0.contains(&kind));
    let joined = asked.join.iter().any(|join| join.0 == kind);
    !joined && (named(&asked.unshare) || !(flags.base.preset() == Preset::Bare || named(&asked.share)))
}

fn root(command: &mut Command, flags: &FileFlags) {
    let directory = flags.root.as_deref();
    let below = || [directory.unwrap_or(Path::new("/"))];
    let (root, layered) = match (&flags.upper, &flags.work, flags.overlay) {
        (Some(upper), Some(work), _) => {
            (Root::overlay(Overlay::new(below()).upper(absolute(upper), absolute(work))), true)
        }
        (_, _, true) => (Root::overlay(Overlay::new(below()).ephemeral()), true),
        _ => (directory.map_or_else(Root::host, Root::directory), false),
    };
    let writable = flags.writable || (layered && !flags.read_only);
    if !layered && directory.is_none() && !flags.writable && !flags.read_only {
        // As the preset has it.
        return;
    }
    command.root(if writable { root } else { root.read_only() });
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The mounts of all flags in the order of the command line.
fn in_order(flags: &FileFlags, order: &ArgMatches) -> Vec<Mount> {
    if !is_defined(order, FileFlags::FLAGS) {
        return Vec::new();
    }
    let mut found: Vec<(usize, Mount)> = Vec::new();
    let mut add = |id: &str, mounts: Vec<Mount>| {
        found.extend(order.indices_of(id).into_iter().flatten().zip(mounts));
    };
    add("bind", flags.bind.iter().map(|spec| Mount::bind(&spec.source, &spec.target)).collect());
    add("ro_bind", flags.ro_bind.iter().map(|spec| Mount::bind(&spec.source, &spec.target).read_only()).collect());
    add("tmpfs", flags.tmpfs.iter().map(|spec| spec.0.clone()).collect());
    add("overlay_mount", flags.overlay_mount.iter().map(|spec| spec.0.clone()).collect());
    add("mount", flags.mount.iter().map(|spec| spec.0.clone()).collect());
    add("file", flags.file.iter().map(|spec| spec.0.clone()).collect());
    add("dir", flags.dir.iter().map(Mount::directory).collect());
    add("symlink", flags.symlink.iter().map(|spec| spec.0.clone()).collect());
    add("mask", flags.mask.iter().map(Mount::mask).collect());
    add("ro_path", flags.ro_path.iter().map(Mount::read_only_path).collect());
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, mount)| mount).collect()
}

fn process(command: &mut Command, flags: &ContainerFlags) -> Result<(), Failure> {
    let process = &flags.process;
    if process.clear_env {
        command.env_clear();
    }
    for spec in &process.env {
        command.env(&spec.0, &spec.1);
    }
    if let Some(directory) = &process.workdir {
        command.current_dir(directory);
    }
    if let Some(name) = &process.hostname {
        command.hostname(name);
    }
    if let Some(name) = &process.domainname {
        command.domainname(name);
    }
    let apply = |set: Capabilities, names: &[CapabilityName], add: bool| {
        names.iter().fold(set, |set, name| match (name, add) {
            (CapabilityName::All, true) => Capabilities::ALL,
            (CapabilityName::All, false) => Capabilities::NONE,
            (CapabilityName::One(one), true) => set.with(*one),
            (CapabilityName::One(one), false) => set.without(*one),
        })
    };
    let capabilities = apply(apply(Capabilities::NONE, &process.cap_add, true), &process.cap_drop, false);
    if flags.base.preset() != Preset::Bare || !process.cap_add.is_empty() || !process.cap_drop.is_empty() {
        command.capabilities(capabilities);
    }
    if flags.users.user.is_some_and(|user| user.uid != 0) {
        // Only ambient ones stay over the exec of somebody who is not root.
        command.ambient(capabilities);
    }
    for spec in &process.rlimit {
        command.rlimit(spec.0, spec.1, spec.2);
    }
    if let Some(mask) = process.umask {
        command.umask(mask);
    }
    if let Some(value) = process.oom_score_adj {
        command.oom_score_adj(value);
    }
    if process.tty {
        let size = process.tty_size.map(|size| (size.rows, size.columns));
        let (rows, columns) = size.or_else(crate::terminal::size).unwrap_or((24, 80));
        command.terminal(rows, columns);
    }
    if let Some(after) = process.timeout {
        command.deadline(after);
    }
    // The kernel drops the keyboard's signals for a first process that has no handler for them: Ctrl-C would do nothing.
    if process.init || (process.tty && makes(flags, Namespace::Pid)) {
        command.init(true);
    }
    descriptors(command, process)?;
    if let Some(streams) = process.stdio {
        let stdio = || if streams == Streams::Pass { Stdio::pass() } else { Stdio::relay() };
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
    }
    if process.as_pid_1 {
        command.as_pid_1();
    }
    command.keep_ignored_signals(true);
    command.no_new_privileges(process.no_new_privs.unwrap_or(true));
    command.die_with_parent(!process.no_die_with_parent);
    command.clone_way(process.clone.unwrap_or(CloneWay::Auto));
    Ok(())
}

/// The caller's descriptors that were asked for.
fn descriptors(command: &mut Command, process: &ProcessFlags) -> Result<(), Failure> {
    let single = process.fd.iter().map(|spec| ("--fd", spec.from, spec.number));
    let several = (3..).take(process.preserve_fds.unwrap_or(0).into()).map(|number| ("--preserve-fds", number, number));
    let mut taken = Vec::new();
    for (flag, from, number) in single.chain(several) {
        if taken.contains(&number) {
            return Err(Failure::new(format!("{flag}: descriptor {number} inside is given twice")));
        }
        taken.push(number);
        if number < 3 {
            return Err(Failure::new(format!("{flag}: {number} is a standard stream: redirect it")));
        }
        let inherited = is_callers(from).then(|| command.inherit_fd(from, number).map(drop));
        match inherited {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(Failure::new(format!("{flag}: descriptor {from}: {error}"))),
            None => return Err(Failure::new(format!("{flag}: descriptor {from} is not open"))),
        }
    }
    Ok(())
}

/// Whether a descriptor was open when seclude was executed: its own are close-on-exec.
fn is_callers(number: i32) -> bool {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    match std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")) {
        Ok(text) => {
            let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
            flags.is_some_and(|flags| flags & CLOSE_ON_EXEC == 0)
        }
        Err(_) => false,
    }
}
