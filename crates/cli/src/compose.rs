//! From flags to a request, and from that to a command of the library.

use std::path::Path;

use clap::ArgMatches;
use seclude::request::{self as data, Request, Text};
use seclude::{Command, Extent, Field, Host, Namespace, Stdio};

use crate::args::{BaseFlags, ContainerFlags, ProcessFlags, RunFlags, Streams};
use crate::values::{EnvSpec, NamespaceList, UserSpec};
use crate::{Failure, kept, spec, words};

/// What is done with a command beside it, as far as that changes the container.
#[derive(Clone, Copy, Default)]
pub(crate) struct Beside<'a> {
    /// With counters in any case.
    pub(crate) watched: bool,
    /// Where it is told how it went: not by the command itself.
    pub(crate) report: Option<&'a Path>,
    /// The command where neither flags nor a file name one.
    pub(crate) stand_in: Option<&'a str>,
}

impl RunFlags {
    pub(crate) fn beside(&self) -> Beside<'_> {
        let report = self.report.as_deref().filter(|file| *file != Path::new("-"));
        Beside { watched: self.stats, report, stand_in: None }
    }
}

/// The command that the flags stand for; `order` tells in which order they were given.
pub(crate) fn compose(flags: &ContainerFlags, order: &ArgMatches, beside: &Beside<'_>) -> Result<Command, Failure> {
    flags.network.reads_stdin_once(flags.base.spec_file() == Some(Path::new("-")))?;
    let mut request = request(flags, order, beside.watched)?;
    if let Some(stand_in) = beside.stand_in.filter(|_| request.command.is_empty()) {
        request.command = vec![stand_in.into()];
    }
    let filter = request.seccomp.as_ref().and_then(|seccomp| seccomp.file.clone());
    let named = [flags.base.spec_file().filter(|file| *file != Path::new("-")), filter.as_ref().map(Text::as_path)];
    let named: Vec<&Path> =
        named.into_iter().flatten().chain(flags.network.named_files()).chain(beside.report).collect();
    let is_kept = kept::keep(&mut request, &named)?;
    let refused = |wrong| spec::refused(&wrong, flags.base.spec_file());
    let mut command = Command::from_request(&request).map_err(refused)?;
    // In every preset.
    command.hold_ways(is_kept);
    descriptors(&mut command, &flags.process)?;
    if let Some(streams) = flags.process.stdio {
        let stdio = || if streams == Streams::Pass { Stdio::pass() } else { Stdio::relay() };
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
    }
    command.keep_ignored_signals(ignored_by_the_caller());
    Ok(command)
}

/// What is not ignored by this program alone.
pub(crate) fn ignored_by_the_caller() -> u64 {
    const SIGPIPE: u64 = 1 << 12;
    if seclude::sigpipe_ignored_at_start() { u64::MAX } else { !SIGPIPE }
}

/// The request that the flags stand for, on top of the one that they begin from.
pub(crate) fn request(flags: &ContainerFlags, order: &ArgMatches, watched: bool) -> Result<Request, Failure> {
    if flags.base.spec.iter().filter(|file| !file.is_empty()).count() > 1 {
        return Err(Failure::new("--spec: one file can be begun from, and several are given"));
    }
    let mut request = flags.base.spec_file().map(spec::read).transpose()?.unwrap_or_default();
    base(&mut request, &flags.base);
    // Whether there are any is asked below.
    flags.landlock.compose(&mut request);
    namespaces(&mut request, flags)?;
    users(&mut request, flags)?;
    flags.files.compose(&mut request, order);
    flags.network.compose(&mut request)?;
    flags.limits.compose(&mut request, watched)?;
    process(&mut request, flags);
    Ok(request)
}

fn base(request: &mut Request, flags: &BaseFlags) {
    if !flags.command.is_empty() {
        request.command = flags.command.iter().map(Text::from).collect();
        request.arg0 = None;
    }
    if let Some(preset) = flags.preset() {
        request.preset = Some(preset);
    }
    for (emptied, empty) in [
        (flags.no_mounts, (|request| request.mounts.clear()) as fn(&mut Request)),
        (flags.no_env, |request| request.env.clear()),
        (flags.no_rlimits, |request| request.rlimits.clear()),
        (flags.no_limits, |request| request.limits = data::Limits::default()),
        (flags.no_prefer, |request| request.prefer.clear()),
        (flags.no_hosts, |request| request.hosts.clear()),
        (flags.no_publish, |request| request.network.iter_mut().for_each(|network| network.publish.clear())),
        (flags.no_capabilities, |request| {
            request.rights.capabilities = Some(Vec::new());
            request.rights.ambient.clear();
        }),
    ] {
        if emptied {
            empty(request);
        }
    }
}

fn is_bare(request: &Request) -> bool {
    request.preset == Some(data::Preset::Bare)
}

/// Where a request says what its namespace of this kind is.
pub(crate) fn namespace(request: &mut Request, kind: Namespace) -> &mut Option<data::Namespace> {
    let namespaces = &mut request.namespaces;
    match kind {
        Namespace::User => &mut namespaces.user,
        Namespace::Pid => &mut namespaces.pid,
        Namespace::Mount => &mut namespaces.mount,
        Namespace::Net => &mut namespaces.net,
        Namespace::Uts => &mut namespaces.uts,
        Namespace::Ipc => &mut namespaces.ipc,
        Namespace::Cgroup => &mut namespaces.cgroup,
        _ => &mut namespaces.time,
    }
}

fn namespaces(request: &mut Request, flags: &ContainerFlags) -> Result<(), Failure> {
    let asked = &flags.namespaces;
    let named = |lists: &[NamespaceList], kind| lists.iter().any(|list| list.0.contains(&kind));
    for kind in Namespace::ALL {
        let clock = [("--monotonic", asked.monotonic.is_some()), ("--boottime", asked.boottime.is_some())];
        let clock = clock.iter().find(|(_, given)| *given && kind == Namespace::Time).map(|(flag, _)| *flag);
        let joined = asked.join.iter().filter(|join| join.0 == kind).map(|_| "--join");
        let by_net =
            (kind == Namespace::Net && flags.network.decides()).then(|| flags.network.allows().unwrap_or("--net"));
        let ways = [
            named(&asked.share, kind).then_some("--share"),
            // A clock's offset is one of a new namespace.
            named(&asked.unshare, kind).then_some("--unshare").or(clock),
        ];
        let ways: Vec<&str> = ways.into_iter().flatten().chain(joined).chain(by_net).collect();
        if let [one, other, ..] = ways[..] {
            return Err(Failure::new(format!("{kind} namespace: asked for in two ways, by {one} and by {other}")));
        }
        if let Some(flag) = ways.first() {
            words::given_by(Field::of("namespaces").key(kind.name()), *flag);
        }
        if named(&asked.share, kind) {
            *namespace(request, kind) = Some(data::Namespace::Inherit);
        }
        if named(&asked.unshare, kind) || clock.is_some() {
            *namespace(request, kind) = Some(data::Namespace::New);
        }
    }
    for join in &asked.join {
        *namespace(request, join.0) = Some(data::Namespace::Join(Text::from(&join.1)));
    }
    if asked.nested {
        if is_bare(request) {
            return Err(Failure::new("--nested: with --preset bare the command may make namespaces in any case"));
        }
        request.nested = Some(true);
    }
    let offset = |given: Option<i128>| given.map(|nanoseconds| data::Duration { nanoseconds });
    request.time_offsets.monotonic = offset(asked.monotonic).or(request.time_offsets.monotonic);
    request.time_offsets.boottime = offset(asked.boottime).or(request.time_offsets.boottime);
    Ok(())
}

fn users(request: &mut Request, flags: &ContainerFlags) -> Result<(), Failure> {
    let (host, users) = (Host::current(), &flags.users);
    let makes_user = makes(request, Namespace::User);
    let bare = is_bare(request);
    let user = &mut request.user;
    if let Some(UserSpec { uid, gid }) = users.user {
        (user.uid, user.gid) = (Some(uid), Some(gid.unwrap_or(uid)));
    }
    let extents = |given: &[Extent], own: u32| -> Vec<data::Extent> {
        let extent = |one: &Extent| data::Extent { inside: one.inside, outside: one.outside, count: one.count };
        match given {
            // The other kind was given: the caller is root of this one.
            [] => vec![data::Extent { inside: 0, outside: own, count: 1 }],
            given => given.iter().map(extent).collect(),
        }
    };
    let mut map = |kind: data::Map| {
        (user.map, user.caller_uid, user.caller_gid) = (Some(kind), None, None);
        user.uid_map.clear();
        user.gid_map.clear();
    };
    let given = [
        (users.host_root, "--host-root"),
        (users.map_subids, "--map-subids"),
        (!users.uid_map.is_empty(), "--uid-map"),
        (!users.gid_map.is_empty(), "--gid-map"),
        (users.user.is_some(), "--user"),
    ];
    if let Some((_, flag)) = given.into_iter().find(|(given, _)| *given) {
        words::given_by(Field::of("user").key("map"), flag);
    }
    if users.host_root {
        map(data::Map::HostRoot);
    } else if users.map_subids {
        map(data::Map::SubIds);
    } else if !users.uid_map.is_empty() || !users.gid_map.is_empty() {
        map(data::Map::Extents);
        (user.uid_map, user.gid_map) = (extents(&users.uid_map, host.uid), extents(&users.gid_map, host.gid));
    } else if let Some(UserSpec { uid, gid }) = users.user
        && makes_user
        && user.map.is_none_or(|map| map == data::Map::CallerAs)
        && user.uid_map.is_empty()
    {
        // An ordinary user has one id to give away; root's containers have more, of which this is one.
        match (host.uid, bare) {
            (0, true) => user.map = Some(data::Map::Identity),
            (0, false) => {}
            _ => {
                user.map = Some(data::Map::CallerAs);
                (user.caller_uid, user.caller_gid) = (Some(uid), Some(gid.unwrap_or(uid)));
            }
        }
    }
    Ok(())
}

/// Whether the request comes to a new namespace of this kind.
fn makes(request: &mut Request, kind: Namespace) -> bool {
    let by_preset = !is_bare(request) && !request.no_namespaces && kind != Namespace::Time;
    namespace(request, kind).as_ref().map_or(by_preset, |namespace| *namespace == data::Namespace::New)
}

fn process(request: &mut Request, flags: &ContainerFlags) {
    let process = &flags.process;
    request.clear_env |= process.clear_env;
    request.env_all = process.env_all.then_some(true).or(request.env_all);
    for variable in &process.env {
        match variable {
            EnvSpec::Set(name, value) => drop(request.env.insert(name.clone(), Text::from(value))),
            EnvSpec::Callers(name) => request.inherit_env.push(Text::from(name)),
        }
    }
    let given = |text: Option<Text>, kept: &mut Option<Text>| *kept = text.or(kept.take());
    given(process.workdir.as_ref().map(Text::from), &mut request.workdir);
    given(process.hostname.as_ref().map(Text::from), &mut request.hostname);
    given(process.domainname.as_ref().map(Text::from), &mut request.domainname);
    flags.rights.compose(request);
    if flags.users.user.is_some_and(|user| user.uid != 0) {
        // Only ambient ones stay over the exec of somebody who is not root.
        request.rights.ambient = request.rights.capabilities.clone().unwrap_or_default();
    }
    for spec in &process.rlimit {
        request.rlimits.insert(spec.0.name().to_owned(), data::Rlimit { soft: spec.1, hard: spec.2 });
    }
    request.umask = process.umask.map(data::Mode).or(request.umask);
    request.oom_score_adj = process.oom_score_adj.or(request.oom_score_adj);
    if process.tty {
        let size = process.tty_size.map(|size| (size.rows, size.columns));
        let (rows, columns) = size.or_else(crate::terminal::size).unwrap_or((24, 80));
        request.terminal = Some(data::Terminal { rows, columns });
    }
    let deadline = process.timeout.map(|after| data::Duration { nanoseconds: after.as_nanos() as i128 });
    request.deadline = deadline.or(request.deadline);
    // The kernel drops the keyboard's signals for a first process that has no handler for them: Ctrl-C would do nothing.
    if process.init || (process.tty && !process.as_pid_1 && makes(request, Namespace::Pid)) {
        request.init = Some(true);
    }
    if process.as_pid_1 {
        request.init = Some(false);
    }
    if process.no_die_with_parent {
        words::given_by(Field::of("die_with_parent"), "--no-die-with-parent");
        request.die_with_parent = Some(false);
    }
    request.clone = process.clone.map_or(request.clone, |way| match way {
        seclude::CloneWay::Vm => data::Clone::Vm,
        seclude::CloneWay::Copy => data::Clone::Copy,
        seclude::CloneWay::Legacy => data::Clone::Legacy,
        _ => data::Clone::Auto,
    });
}

/// The caller's descriptors that were asked for.
fn descriptors(command: &mut Command, process: &ProcessFlags) -> Result<(), Failure> {
    let single = process.fd.iter().map(|spec| ("--fd", spec.from, spec.number));
    let several = (3..).take(process.preserve_fds.unwrap_or(0).into()).map(|number| ("--preserve-fds", number, number));
    let mut taken = Vec::new();
    for (flag, from, number) in single.chain(several) {
        if taken.iter().all(|known| *known < number) {
            words::given_by(Field::of("descriptors"), flag);
        }
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
