//! From a command to data.

use seclude_cgroup::{DeviceKind, DeviceRule, Limits};
use seclude_idmap::IdMap;
use seclude_net::{Attach, Ipv6};
use seclude_request::{self as data, Field, Request, Text, Wrong};
use seclude_sys::Errno;

use crate::command::Command;
use crate::config::capability::{Capabilities, Capability};
use crate::config::cgroup::{Cgroup, JoinedCgroup};
use crate::config::clone::CloneWay;
use crate::config::ids::UserMap;
use crate::config::landlock::Landlock;
use crate::config::mount::{Flags, Mount, MountKind, Source};
use crate::config::namespace::{Joined, Namespace, Origin};
use crate::config::network::{Dns, Names, Network, Pasta, Veth};
use crate::config::preset::Preset;
use crate::config::root::{Overlay, Root, RootKind, Upper};
use crate::config::seccomp::{From, Seccomp};

type Raised<T> = Result<T, Wrong>;

/// `whole`: with what the preset brings.
pub(super) fn request(command: &Command, whole: bool) -> Raised<Request> {
    let preset = command.config.preset;
    let mut begun = Command::new("");
    begun.preset(preset);
    if command.config.no_namespaces {
        begun.no_namespaces();
    }
    let mut usual = vec![begun];
    if whole {
        usual.push(Command::new(""));
    }
    // What is as it is in all of them needs no word.
    let usual = Usual(&usual);
    let mut request = Request::default();
    request.preset = Some(match preset {
        Preset::Sandbox => data::Preset::Sandbox,
        Preset::Host => data::Preset::Host,
        Preset::Bare => data::Preset::Bare,
    });
    request.command =
        [&command.config.program].into_iter().filter(|program| !program.is_empty()).map(Text::from).collect();
    request.command.extend(command.config.args.iter().map(Text::from));
    request.no_namespaces = command.config.no_namespaces;
    namespaces(&mut request, command, usual)?;
    user(&mut request, command, usual);
    // The preset's own goes with its mount namespace; one that is asked for needs one.
    let idle = command.config.root.as_ref().is_some_and(|root| root.preset)
        && !command.config.namespaces.is_new(Namespace::Mount);
    if !idle && usual.differs(|usual| command.config.root == usual.config.root) {
        request.root = command.config.root.as_ref().map(|asked| root(asked, preset)).transpose()?;
    }
    let own = command.config.mounts.iter().filter(|mount| whole || !mount.preset);
    request.mounts = own.enumerate().map(|(index, one)| mount(one, index)).collect::<Raised<_>>()?;
    request.network = command.config.network.as_ref().map(network);
    request.dns = command.config.dns.as_ref().map(|dns| match dns {
        Dns::Host => data::Dns::Host,
        Dns::Servers(servers) => data::Dns::Servers(servers.clone()),
        Dns::Unchanged => data::Dns::Unchanged,
    });
    let entry = |(address, name): &(_, String)| data::HostEntry { name: name.clone(), address: *address };
    request.hosts = command.config.host_entries.iter().map(entry).collect();
    match (&command.config.joined_cgroup, &command.config.cgroup) {
        (Some(joined), _) => {
            let field = Field::of("cgroup").key("join");
            let join = Some(match joined {
                JoinedCgroup::From(source) => path(source, &field)?,
                JoinedCgroup::Opened(_) => return Err(is_no_data(&field)),
            });
            let mut cgroup = data::Cgroup::default();
            cgroup.join = join;
            request.cgroup = Some(cgroup);
        }
        (None, Some(cgroup)) => {
            request.limits = limits(&cgroup.limits);
            let data = self::cgroup(cgroup);
            let implied = data == data::Cgroup::default() && request.limits != data::Limits::default();
            request.cgroup = (!implied).then_some(data);
        }
        (None, None) => {}
    }
    for shown in &command.config.shown {
        let list = if shown.written { &mut request.rw } else { &mut request.ro };
        list.push(Text::from(&shown.path));
    }
    request.whole_home = command.config.whole_home;
    request.max_tmp = command.config.max_tmp.map(data::Size);
    process(&mut request, command, usual)?;
    Ok(request)
}

/// What a command can begin from.
#[derive(Clone, Copy)]
struct Usual<'a>(&'a [Command]);

impl Usual<'_> {
    fn differs(self, same: impl FnMut(&Command) -> bool) -> bool {
        !self.0.iter().all(same)
    }
}

fn is_no_data(field: &Field) -> Wrong {
    Wrong::contradicts(field.clone(), "it was given as an open descriptor, for which no text stands")
}

fn path(source: &Source, field: &Field) -> Raised<Text> {
    match source {
        Source::Path(path) => Ok(Text::from(path)),
        Source::Fd(_) => Err(is_no_data(field)),
    }
}

fn namespaces(request: &mut Request, command: &Command, usual: Usual<'_>) -> Raised<()> {
    for kind in Namespace::ALL {
        let differs = usual.differs(|usual| {
            command.config.namespaces.is_new(kind) == usual.config.namespaces.is_new(kind)
                && command.config.namespaces.is_joined(kind) == usual.config.namespaces.is_joined(kind)
        });
        let origin = match command.config.namespaces.origin(kind) {
            // The network says it.
            Origin::New if kind == Namespace::Net && command.config.network.is_some() => continue,
            Origin::New | Origin::Inherited if !differs => continue,
            Origin::New => data::Namespace::New,
            Origin::Inherited => data::Namespace::Inherit,
            Origin::Joined(Joined::Path(path)) => data::Namespace::Join(Text::from(path)),
            Origin::Joined(Joined::Fd(_)) => return Err(is_no_data(&Field::of("namespaces").key(kind.name()))),
        };
        let asked = &mut request.namespaces;
        let place = match kind {
            Namespace::User => &mut asked.user,
            Namespace::Pid => &mut asked.pid,
            Namespace::Mount => &mut asked.mount,
            Namespace::Net => &mut asked.net,
            Namespace::Uts => &mut asked.uts,
            Namespace::Ipc => &mut asked.ipc,
            Namespace::Cgroup => &mut asked.cgroup,
            Namespace::Time => &mut asked.time,
        };
        *place = Some(origin);
    }
    let offset = |nanoseconds: i128| (nanoseconds != 0).then_some(data::Duration { nanoseconds });
    request.time_offsets.monotonic = offset(command.config.time_offsets.monotonic);
    request.time_offsets.boottime = offset(command.config.time_offsets.boottime);
    Ok(())
}

fn user(request: &mut Request, command: &Command, usual: Usual<'_>) {
    let user = &mut request.user;
    user.uid = command.config.identity.uid;
    user.gid = command.config.identity.gid;
    user.groups = command.config.identity.groups.clone();
    if !usual.differs(|usual| command.config.user_map == usual.config.user_map) {
        return;
    }
    let extents = |map: &IdMap| {
        let extent =
            |one: &seclude_idmap::Extent| data::Extent { inside: one.inside, outside: one.outside, count: one.count };
        map.extents().iter().map(extent).collect()
    };
    user.map = command.config.user_map.as_ref().map(|map| match map {
        UserMap::CallerAsRoot => data::Map::CallerAsRoot,
        UserMap::CallerAs { uid, gid } => {
            (user.caller_uid, user.caller_gid) = (Some(*uid), Some(*gid));
            data::Map::CallerAs
        }
        UserMap::Identity => data::Map::Identity,
        UserMap::Extents { uids, gids } => {
            (user.uid_map, user.gid_map) = (extents(uids), extents(gids));
            data::Map::Extents
        }
        UserMap::HostRoot => data::Map::HostRoot,
        UserMap::Sandbox => data::Map::Sandbox,
        UserMap::SubIds => data::Map::SubIds,
    });
}

/// What an overlay is made of, in the places of whatever has one.
type Layers = (Vec<Text>, Option<Text>, Option<Text>, bool);

fn layers(overlay: &Overlay) -> Layers {
    let lowers = overlay.lowers.iter().map(Text::from).collect();
    match &overlay.upper {
        Upper::None => (lowers, None, None, false),
        Upper::Ephemeral => (lowers, None, None, true),
        Upper::Directory { upper, work } => (lowers, Some(Text::from(upper)), Some(Text::from(work)), false),
    }
}

fn root(root: &Root, preset: Preset) -> Raised<data::Root> {
    let mut data = data::Root::default();
    match &root.kind {
        // Where nothing is said, it is the preset's own.
        RootKind::Host => data.path = (preset == Preset::Sandbox).then(|| Text::from("/")),
        RootKind::Sandbox => {}
        RootKind::Overlay(overlay) if overlay.curated => data.ephemeral = true,
        RootKind::Directory(source) => data.path = Some(path(source, &Field::of("root").key("path"))?),
        RootKind::Overlay(overlay) => (data.lowers, data.upper, data.work, data.ephemeral) = layers(overlay),
    }
    data.read_only = Some(root.read_only);
    Ok(data)
}

fn mount(mount: &Mount, index: usize) -> Raised<data::Mount> {
    use data::MountKind as Kind;
    let mut data = data::Mount::new(Kind::Mask, &mount.target);
    let on = |on: bool| on.then_some(true);
    let flagged = |data: &mut data::Mount, flags: &Flags, usual: Flags| {
        data.read_only = on(flags.read_only);
        data.nosuid = flags.nosuid && !usual.nosuid;
        data.nodev = flags.nodev && !usual.nodev;
        data.noexec = flags.noexec;
    };
    data.kind = match &mount.kind {
        MountKind::Bind { source, recursive, flags } => {
            data.source = Some(path(source, &Field::of("mounts").index(index).key("source"))?);
            data.recursive = (!recursive).then_some(false);
            flagged(&mut data, flags, Flags::default());
            Kind::Bind
        }
        MountKind::Tmpfs { size, mode, flags } => {
            data.size = size.map(data::Size);
            data.mode = (*mode != 0o1777).then_some(data::Mode(*mode));
            flagged(&mut data, flags, Flags { nosuid: true, nodev: true, ..Flags::default() });
            Kind::Tmpfs
        }
        MountKind::Overlay { overlay, read_only } => {
            (data.lowers, data.upper, data.work, data.ephemeral) = layers(overlay);
            data.read_only = on(*read_only);
            Kind::Overlay
        }
        MountKind::Proc { read_only } => {
            data.read_only = on(*read_only);
            Kind::Proc
        }
        MountKind::Sysfs { read_only } => {
            data.read_only = (!read_only).then_some(false);
            Kind::Sysfs
        }
        MountKind::Cgroup { read_only } => {
            data.read_only = on(*read_only);
            Kind::Cgroup
        }
        MountKind::Mqueue => Kind::Mqueue,
        MountKind::Devpts => Kind::Devpts,
        MountKind::Dev => Kind::Dev,
        MountKind::File { content, mode, read_only } => {
            data.content = Some(data::Content(content.to_vec()));
            data.mode = (*mode != 0o644).then_some(data::Mode(*mode));
            data.read_only = on(*read_only);
            Kind::File
        }
        MountKind::Directory { mode } | MountKind::OwnDirectory { mode, .. } => {
            data.mode = (*mode != 0o755).then_some(data::Mode(*mode));
            Kind::Directory
        }
        // What the kernel alone knows the options of, nodes, and what is read-only for itself alone: a request has its own names for the usual ones.
        MountKind::FileSystem { .. } | MountKind::Device { .. } | MountKind::ReadOnlyPath { recursive: false, .. } => {
            return Err(Wrong::contradicts(Field::of("mounts").index(index), "a request has no name for it"));
        }
        MountKind::Symlink { to, .. } => {
            data.to = Some(Text::from(to));
            Kind::Symlink
        }
        MountKind::Mask { if_present } => {
            data.if_present = *if_present;
            Kind::Mask
        }
        MountKind::ReadOnlyPath { if_present, .. } => {
            data.if_present = *if_present;
            Kind::ReadOnlyPath
        }
    };
    Ok(data)
}

fn network(network: &Network) -> data::Network {
    let ports = |ports: &[seclude_net::Publish]| ports.iter().map(ToString::to_string).collect();
    match network {
        Network::Pasta(Pasta { publish, host_access }) => {
            let mut data = data::Network::new(data::NetworkKind::Pasta);
            data.publish = ports(publish);
            data.host_access = *host_access;
            data
        }
        Network::Names(Names { rules, private, loopback, requires_sni, refusal, publish }) => {
            let mut data = data::Network::new(data::NetworkKind::Names);
            data.allow = rules.iter().map(ToString::to_string).collect();
            data.allow_private = private.iter().map(ToString::to_string).collect();
            data.allow_loopback.clone_from(loopback);
            data.sni = if *requires_sni { data::Sni::Require } else { data::Sni::Off };
            data.refusal.clone_from(refusal);
            data.publish = ports(publish);
            data
        }
        Network::Veth(Veth { request }) => {
            let usual = seclude_net::Request::default();
            let mut data = data::Network::new(data::NetworkKind::Veth);
            match &request.attach {
                Attach::Bridge(name) => data.bridge = Some(name.clone()),
                Attach::PointToPoint => data.point_to_point = true,
                _ => {}
            }
            data.subnet = request.subnet.map(|subnet| subnet.to_string());
            data.address = request.address;
            data.ipv6 = request.ipv6.map(|ipv6| match ipv6 {
                Ipv6::Subnet(subnet) => subnet.to_string(),
                _ => "auto".to_owned(),
            });
            data.mac = request.mac.map(|mac| mac.to_string());
            data.mtu = request.mtu;
            data.interface = (request.name != usual.name).then(|| request.name.clone());
            data.nat = (!request.nat).then_some(false);
            data.host_access = request.host_access;
            data.ip_forward = request.ip_forward;
            data.peers = request.peers;
            data.publish = ports(&request.publish);
            data.rate = request.rate;
            let length = |latency: std::time::Duration| data::Duration { nanoseconds: latency.as_nanos() as i128 };
            data.latency = request.latency.map(length);
            data
        }
    }
}

fn limits(limits: &Limits) -> data::Limits {
    let mut data = data::Limits::default();
    data.memory_max = limits.memory_max.map(data::Size);
    data.memory_high = limits.memory_high.map(data::Size);
    data.memory_low = limits.memory_low.map(data::Size);
    data.memory_swap_max = limits.memory_swap_max.map(data::Size);
    data.memory_oom_group = limits.memory_oom_group;
    data.cpu_max = limits.cpu_max;
    data.cpu_weight = limits.cpu_weight;
    data.cpuset_cpus = limits.cpuset_cpus.as_ref().map(ToString::to_string);
    data.cpuset_mems = limits.cpuset_mems.as_ref().map(ToString::to_string);
    data.pids_max = limits.pids_max;
    data.io_weight = limits.io_weight;
    data.io_max = limits
        .io_max
        .iter()
        .map(|io| data::IoMax {
            major: io.device.major,
            minor: io.device.minor,
            rbps: io.rbps.map(data::Size),
            wbps: io.wbps.map(data::Size),
            riops: io.riops,
            wiops: io.wiops,
        })
        .collect();
    let pages = limits.hugetlb.iter();
    data.hugetlb = pages
        .map(|pages| data::Hugetlb { page_size: data::Size(pages.page_size), max: data::Size(pages.max) })
        .collect();
    data.devices = limits.devices.as_ref().map(|devices| devices.iter().map(device).collect());
    data
}

fn device(rule: &DeviceRule) -> data::Device {
    let letters = [(rule.access.read, 'r'), (rule.access.write, 'w'), (rule.access.mknod, 'm')];
    let access: String = letters.into_iter().filter(|(on, _)| *on).map(|(_, letter)| letter).collect();
    data::Device {
        kind: match rule.kind {
            DeviceKind::Char => data::DeviceKind::Char,
            DeviceKind::Block => data::DeviceKind::Block,
        },
        major: rule.major,
        minor: rule.minor,
        access: (access != "rwm").then_some(access),
    }
}

fn cgroup(cgroup: &Cgroup) -> data::Cgroup {
    let mut data = data::Cgroup::default();
    data.parent = cgroup.parent.as_ref().map(Text::from);
    data.move_caller = cgroup.move_caller;
    data.count_all = cgroup.counted;
    data.delegate = cgroup.delegated;
    data.scope = cgroup.scope;
    data.everywhere = cgroup.everywhere;
    data
}

fn capabilities(set: Capabilities) -> Vec<String> {
    if set == Capabilities::ALL {
        return vec!["ALL".to_owned()];
    }
    let given = Capability::all().filter(|capability| set.bits() & capability.bit() != 0);
    given.map(|capability| capability.name().to_owned()).collect()
}

fn seccomp(seccomp: &Seccomp) -> data::Seccomp {
    let mut data = data::Seccomp::default();
    match &seccomp.from {
        From::Default => data.profile = Some(data::Profile::Default),
        From::Nothing => data.profile = Some(data::Profile::None),
        From::Oci(profile) => data.profile = Some(data::Profile::Oci(profile.clone())),
        From::File(path) => data.file = Some(Text::from(path)),
        From::Bpf(program) => data.bpf = Some(data::Content(program.clone())),
    }
    data.flags.clone_from(&seccomp.flags);
    data.allow.clone_from(&seccomp.allow);
    data.denials = (!seccomp.denials).then_some(false);
    let denied = |(name, errno): &(String, Option<i32>)| match errno {
        None => name.clone(),
        Some(number) => match u16::try_from(*number).ok().and_then(|number| Errno(number).name()) {
            Some(symbol) => format!("{name}={symbol}"),
            None => format!("{name}={number}"),
        },
    };
    data.deny = seccomp.deny.iter().map(denied).collect();
    data
}

fn landlock(landlock: &Landlock) -> data::Landlock {
    let mut data = data::Landlock::default();
    data.ro = landlock.ro.iter().map(Text::from).collect();
    data.rw = landlock.rw.iter().map(Text::from).collect();
    data.exec = landlock.exec.iter().map(Text::from).collect();
    data.connect.clone_from(&landlock.connect);
    data.bind.clone_from(&landlock.bind);
    data.scopes.extend(landlock.sockets.then_some(data::LandlockScope::AbstractUnixSocket));
    data.scopes.extend(landlock.signals.then_some(data::LandlockScope::Signal));
    data
}

fn process(request: &mut Request, command: &Command, usual: Usual<'_>) -> Raised<()> {
    request.arg0 = command.config.arg0.as_ref().map(Text::from);
    request.clear_env = command.config.clear_env;
    request.env_all = command.config.whole_env;
    request.inherit_env = command.config.kept_env.iter().map(Text::from).collect();
    for (name, value) in &command.config.env {
        let name_text = name.to_str().map(str::to_owned);
        // The last one said of a name holds.
        request.env_remove.retain(|removed| removed.as_os_str() != name);
        match (name_text, value) {
            (Some(name), Some(value)) => drop(request.env.insert(name, Text::from(value))),
            (None, Some(_)) => {
                let field = Field::of("env").key(name.to_string_lossy());
                return Err(Wrong::range(field, "a name that is no UTF-8 cannot be a key"));
            }
            (name_text, None) => {
                name_text.and_then(|name| request.env.remove(&name));
                request.env_remove.push(Text::from(name));
            }
        }
    }
    let stands = command.config.caller_dir.as_ref().map(|(named, _)| named);
    request.workdir = command.config.workdir.as_ref().or(stands).map(Text::from);
    request.hostname = command.config.hostname.as_ref().map(Text::from);
    request.domainname = command.config.domainname.as_ref().map(Text::from);
    request.umask = command.config.umask.map(data::Mode);
    request.oom_score_adj = command.config.oom_score_adj;
    if usual.differs(|usual| command.config.capabilities == usual.config.capabilities) {
        request.rights.capabilities = command.config.capabilities.map(capabilities);
    }
    request.rights.ambient = capabilities(command.config.ambient);
    for (resource, soft, hard) in &command.config.rlimits {
        request.rlimits.insert(resource.name().to_owned(), data::Rlimit { soft: *soft, hard: *hard });
    }
    if usual.differs(|usual| command.config.seccomp == usual.config.seccomp) {
        request.seccomp = Some(seccomp(&command.config.seccomp));
    }
    if command.config.landlock != Landlock::new() {
        request.landlock = Some(landlock(&command.config.landlock));
    }
    let switch = |of: fn(&Command) -> bool| usual.differs(|usual| of(usual) == of(command)).then(|| of(command));
    request.rights.no_new_privileges = switch(|command| command.config.no_new_privileges);
    // The preset's own goes with its pid namespace; one that is asked for needs one.
    let idle =
        command.config.init && !command.config.init_is_asked_for && !command.config.namespaces.is_new(Namespace::Pid);
    request.init = switch(|command| command.config.init).filter(|_| !idle);
    request.nested = switch(|command| command.config.nested);
    request.new_session = switch(|command| command.config.new_session);
    request.new_keyring = switch(|command| command.config.own_keyring);
    request.die_with_parent = switch(|command| command.config.die_with_parent);
    request.terminal = command.config.terminal.map(|size| data::Terminal { rows: size.rows, columns: size.columns });
    request.deadline = command.config.deadline.map(|after| data::Duration { nanoseconds: after.as_nanos() as i128 });
    request.prefer = command.config.preferred.iter().map(|feature| feature.name().to_owned()).collect();
    request.clone = match command.config.clone {
        CloneWay::Auto => data::Clone::Auto,
        CloneWay::Vm => data::Clone::Vm,
        CloneWay::Copy => data::Clone::Copy,
        CloneWay::Legacy => data::Clone::Legacy,
    };
    request.timed = command.config.timed;
    Ok(())
}
