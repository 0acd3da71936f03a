//! From data to a command: texts become addresses, names become sets.

use std::str::FromStr;
use std::time::Duration;

use seclude_cgroup::{Access, DeviceKind, DeviceNumber, DeviceRule, HugetlbLimit, IoLimit, Limit, Limits, List};
use seclude_egress::Rule;
use seclude_idmap::{Extent, IdMap};
use seclude_net::{Ipv6, Publish};
use seclude_request::{self as data, Field, Request, Wrong};
use seclude_sys::Errno;

use crate::command::Command;
use crate::config::capability::{Capabilities, Capability};
use crate::config::cgroup::Cgroup;
use crate::config::clone::CloneWay;
use crate::config::feature::Feature;
use crate::config::ids::UserMap;
use crate::config::landlock::Landlock;
use crate::config::mount::Mount;
use crate::config::namespace::Namespace;
use crate::config::network::{Dns, Names, Pasta, Veth};
use crate::config::preset::Preset;
use crate::config::rlimit::Resource;
use crate::config::root::{Overlay, Root};
use crate::config::seccomp::Seccomp;

type Lowered<T> = Result<T, Wrong>;

pub(super) fn command(request: &Request) -> Lowered<Command> {
    let mut words = request.command.iter();
    let mut command = Command::new(words.next().map(data::Text::as_os_str).unwrap_or_default());
    command.args(words.map(data::Text::as_os_str));
    command.preset(match request.preset {
        Some(data::Preset::Bare) => Preset::Bare,
        Some(data::Preset::Host) => Preset::Host,
        _ => Preset::Sandbox,
    });
    if request.no_namespaces {
        command.no_namespaces();
    }
    let presets = command.config.mounts.clone();
    namespaces(&mut command, request);
    user(&mut command, &request.user)?;
    if let Some(root) = &request.root {
        command.root(self::root(root, command.config.preset));
    }
    let mounts = request.mounts.iter().map(mount).collect::<Vec<_>>();
    let own = Mount::without_presets(&presets, mounts);
    command.config.mounts.extend(own);
    if let Some(network) = &request.network {
        connect(&mut command, network)?;
        // It is said by the network, unless something else is.
        if request.namespaces.net.is_some() {
            namespaces(&mut command, request);
        }
    }
    for (paths, written) in [(&request.ro, false), (&request.rw, true)] {
        for path in paths {
            command.show(path.as_path(), written);
        }
    }
    command.whole_home(request.whole_home);
    if let Some(size) = request.max_tmp {
        command.max_tmp(size.0);
    }
    names(&mut command, request);
    limit(&mut command, request)?;
    process(&mut command, request)?;
    Ok(command)
}

fn namespaces(command: &mut Command, request: &Request) {
    let asked = &request.namespaces;
    for (kind, origin) in [
        (Namespace::User, &asked.user),
        (Namespace::Pid, &asked.pid),
        (Namespace::Mount, &asked.mount),
        (Namespace::Net, &asked.net),
        (Namespace::Uts, &asked.uts),
        (Namespace::Ipc, &asked.ipc),
        (Namespace::Cgroup, &asked.cgroup),
        (Namespace::Time, &asked.time),
    ] {
        match origin {
            Some(data::Namespace::New) => drop(command.unshare(kind)),
            Some(data::Namespace::Inherit) => drop(command.share(kind)),
            Some(data::Namespace::Join(path)) => drop(command.join(kind, path.as_path())),
            None => {}
        }
    }
    if let Some(offset) = request.time_offsets.monotonic {
        command.monotonic_offset(offset.nanoseconds);
    }
    if let Some(offset) = request.time_offsets.boottime {
        command.boottime_offset(offset.nanoseconds);
    }
}

fn user(command: &mut Command, user: &data::User) -> Lowered<()> {
    let at = |key: &str| Field::of("user").key(key);
    let extents = |key: &str, extents: &[data::Extent]| {
        let extents = extents.iter().map(|extent| {
            let data::Extent { inside, outside, count } = *extent;
            Extent { inside, outside, count }
        });
        IdMap::new(extents.collect()).map_err(|error| Wrong::range(at(key), error.to_string()))
    };
    let map = match user.map {
        None if user.uid_map.is_empty() && user.gid_map.is_empty() => None,
        None | Some(data::Map::Extents) => Some(UserMap::Extents {
            uids: extents("uid_map", &user.uid_map)?,
            gids: extents("gid_map", &user.gid_map)?,
        }),
        Some(data::Map::CallerAsRoot) => Some(UserMap::CallerAsRoot),
        Some(data::Map::CallerAs) => Some(UserMap::CallerAs {
            uid: user.caller_uid.unwrap_or_default(),
            gid: user.caller_gid.unwrap_or_default(),
        }),
        Some(data::Map::Identity) => Some(UserMap::Identity),
        Some(data::Map::SubIds) => Some(UserMap::SubIds),
        Some(data::Map::HostRoot) => Some(UserMap::HostRoot),
        Some(data::Map::Sandbox) => Some(UserMap::Sandbox),
        Some(_) => return Err(Wrong::range(at("map"), "this build does not know it")),
    };
    if let Some(map) = map {
        command.user_map(map);
    }
    if let Some(uid) = user.uid {
        command.uid(uid);
    }
    if let Some(gid) = user.gid {
        command.gid(gid);
    }
    if let Some(groups) = &user.groups {
        command.groups(groups.clone());
    }
    Ok(())
}

fn overlay(lowers: &[data::Text], upper: Option<&data::Text>, work: Option<&data::Text>, ephemeral: bool) -> Overlay {
    let overlay = Overlay::new(lowers.iter().map(data::Text::as_path));
    match (upper, work) {
        (Some(upper), Some(work)) => overlay.upper(upper.as_path(), work.as_path()),
        _ if ephemeral => overlay.ephemeral(),
        _ => overlay,
    }
}

fn root(root: &data::Root, preset: Preset) -> Root {
    let layered = !root.lowers.is_empty() || root.upper.is_some() || root.ephemeral;
    let host = data::Text::from("/");
    let made = match (&root.path, layered) {
        (path, true) => {
            let one = [path.clone().unwrap_or(host)];
            let lowers = if root.lowers.is_empty() { &one[..] } else { &root.lowers[..] };
            let curated = preset == Preset::Sandbox && root.path.is_none() && root.lowers.is_empty();
            let overlay = overlay(lowers, root.upper.as_ref(), root.work.as_ref(), root.ephemeral);
            Root::overlay(Overlay { curated, ..overlay })
        }
        (Some(path), false) => Root::directory(path.as_path()),
        (None, false) if preset == Preset::Sandbox => Root::sandbox(),
        (None, false) => Root::host(),
    };
    let written = root.upper.is_some() || root.ephemeral;
    match root.read_only.unwrap_or(preset != Preset::Bare && !written) {
        true => made.read_only(),
        false => made,
    }
}

fn mount(asked: &data::Mount) -> Mount {
    use data::MountKind as Kind;
    let target = asked.target.as_path();
    let text = |text: &Option<data::Text>| text.clone().unwrap_or_default();
    let mut mount = match asked.kind {
        Kind::Bind => Mount::bind(text(&asked.source).as_path(), target),
        Kind::Tmpfs => Mount::tmpfs(target),
        Kind::Overlay => {
            let (upper, work) = (asked.upper.as_ref(), asked.work.as_ref());
            Mount::overlay(overlay(&asked.lowers, upper, work, asked.ephemeral), target)
        }
        Kind::Proc => Mount::proc(target),
        Kind::Sysfs if asked.read_only == Some(false) => Mount::sysfs(target).writable(),
        Kind::Sysfs => Mount::sysfs(target),
        Kind::Cgroup => Mount::cgroup(target),
        Kind::Mqueue => Mount::mqueue(target),
        Kind::Devpts => Mount::devpts(target),
        Kind::Dev => Mount::dev(target),
        Kind::File => Mount::file(target, asked.content.clone().unwrap_or_default().0),
        Kind::Directory => Mount::directory(target),
        Kind::Symlink => Mount::symlink(text(&asked.to).as_path(), target),
        Kind::ReadOnlyPath => Mount::read_only_path(target),
        // What hides most, should another kind be known to the request and not here: a test has them all.
        _ => Mount::mask(target),
    };
    if let Some(size) = asked.size {
        mount = mount.size(size.0);
    }
    if let Some(mode) = asked.mode {
        mount = mount.mode(mode.0);
    }
    type Switch = fn(Mount) -> Mount;
    let switches: [(bool, Switch); 6] = [
        (asked.recursive == Some(false), Mount::not_recursive),
        (asked.read_only == Some(true), Mount::read_only),
        (asked.nosuid, Mount::nosuid),
        (asked.nodev, Mount::nodev),
        (asked.noexec, Mount::noexec),
        (asked.if_present, Mount::if_present),
    ];
    switches.into_iter().filter(|(on, _)| *on).fold(mount, |mount, (_, switch)| switch(mount))
}

fn parsed<T: FromStr>(field: Field, text: &str) -> Lowered<T>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Wrong::range(field, error.to_string()))
}

fn connect(command: &mut Command, network: &data::Network) -> Lowered<()> {
    let at = |key: &str| Field::of("network").key(key);
    let mut ports = Vec::new();
    for (index, text) in network.publish.iter().enumerate() {
        let more = Publish::parse(text).map_err(|error| Wrong::range(at("publish").index(index), error.to_string()))?;
        ports.extend(more);
    }
    if network.kind == data::NetworkKind::Names {
        let rules = |key: &str, texts: &[String]| -> Lowered<Vec<Rule>> {
            let rule = |(index, text): (usize, &String)| {
                let wrong = |error| Wrong::range(at(key).index(index), format!("{text:?}: {error}"));
                text.parse::<Rule>().map_err(wrong)
            };
            texts.iter().enumerate().map(rule).collect()
        };
        let names = Names {
            rules: rules("allow", &network.allow)?,
            private: rules("allow_private", &network.allow_private)?,
            loopback: network.allow_loopback.clone(),
            requires_sni: network.sni == data::Sni::Require,
            refusal: network.refusal.clone(),
            publish: ports,
        };
        command.names(names);
        return Ok(());
    }
    if network.kind == data::NetworkKind::Pasta {
        let pasta = Pasta::new().host_access(network.host_access);
        command.pasta(ports.into_iter().fold(pasta, Pasta::publish));
        return Ok(());
    }
    let mut veth = Veth::new().nat(network.nat.unwrap_or(true)).host_access(network.host_access);
    veth = veth.ip_forward(network.ip_forward).peers(network.peers);
    if let Some(bridge) = &network.bridge {
        veth = veth.bridge(bridge);
    }
    if network.point_to_point {
        veth = veth.point_to_point();
    }
    if let Some(subnet) = &network.subnet {
        veth = veth.subnet(parsed(at("subnet"), subnet)?);
    }
    if let Some(address) = network.address {
        veth = veth.address(address);
    }
    veth = match network.ipv6.as_deref() {
        None => veth,
        Some("auto") => veth.ipv6(Ipv6::Auto),
        Some(subnet) => veth.ipv6(Ipv6::Subnet(parsed(at("ipv6"), subnet)?)),
    };
    if let Some(mac) = &network.mac {
        veth = veth.mac(parsed(at("mac"), mac)?);
    }
    if let Some(bytes) = network.mtu {
        veth = veth.mtu(bytes);
    }
    if let Some(name) = &network.interface {
        veth = veth.interface(name);
    }
    if let Some(rate) = network.rate {
        veth = veth.rate(rate);
    }
    if let Some(latency) = network.latency {
        veth = veth.latency(length(at("latency"), latency)?);
    }
    command.veth(ports.into_iter().fold(veth, Veth::publish));
    Ok(())
}

fn length(field: Field, length: data::Duration) -> Lowered<Duration> {
    let nanoseconds =
        u64::try_from(length.nanoseconds).map_err(|_| Wrong::range(field, "it is too long, or less than nothing"))?;
    Ok(Duration::from_nanos(nanoseconds))
}

fn names(command: &mut Command, request: &Request) {
    match &request.dns {
        Some(data::Dns::Host) => drop(command.dns(Dns::Host)),
        Some(data::Dns::Servers(servers)) => drop(command.dns(Dns::Servers(servers.clone()))),
        Some(_) => drop(command.dns(Dns::Unchanged)),
        None => {}
    }
    for entry in &request.hosts {
        command.add_host(&entry.name, entry.address);
    }
}

fn limit(command: &mut Command, request: &Request) -> Lowered<()> {
    let limits = limits(&request.limits)?;
    let asked = request.cgroup.clone().unwrap_or_default();
    if let Some(path) = &asked.join {
        command.join_cgroup(path.as_path());
        return Ok(());
    }
    if request.cgroup.is_none() && limits == Limits::new() {
        return Ok(());
    }
    let mut cgroup = Cgroup::new().limits(limits).move_caller(asked.move_caller).count_all(asked.count_all);
    cgroup = cgroup.delegate(asked.delegate).everywhere(asked.everywhere);
    if let Some(parent) = &asked.parent {
        cgroup = cgroup.parent(parent.as_path());
    }
    if asked.scope {
        #[cfg(feature = "systemd")]
        {
            cgroup = cgroup.scope(true);
        }
        #[cfg(not(feature = "systemd"))]
        return Err(Wrong::range(Field::of("cgroup").key("scope"), "this build cannot ask systemd for a scope"));
    }
    command.cgroup(cgroup);
    Ok(())
}

fn limits(asked: &data::Limits) -> Lowered<Limits> {
    let at = |key: &str| Field::of("limits").key(key);
    let bytes = |size: Option<data::Size>| size.map(|size| size.0);
    let list = |key: &str, text: &Option<String>| text.as_ref().map(|text| parsed::<List>(at(key), text)).transpose();
    let mut limits = Limits::new();
    limits.memory_max = bytes(asked.memory_max);
    limits.memory_high = bytes(asked.memory_high);
    limits.memory_low = bytes(asked.memory_low);
    limits.memory_swap_max = bytes(asked.memory_swap_max);
    limits.memory_oom_group = asked.memory_oom_group;
    limits.cpu_max = asked.cpu_max;
    limits.cpu_weight = asked.cpu_weight;
    limits.cpuset_cpus = list("cpuset_cpus", &asked.cpuset_cpus)?;
    limits.cpuset_mems = list("cpuset_mems", &asked.cpuset_mems)?;
    limits.pids_max = asked.pids_max;
    limits.io_weight = asked.io_weight;
    limits.io_max = asked
        .io_max
        .iter()
        .map(|io| IoLimit {
            device: DeviceNumber { major: io.major, minor: io.minor },
            rbps: bytes(io.rbps),
            wbps: bytes(io.wbps),
            riops: io.riops,
            wiops: io.wiops,
        })
        .collect();
    limits.hugetlb =
        asked.hugetlb.iter().map(|pages| HugetlbLimit { page_size: pages.page_size.0, max: pages.max.0 }).collect();
    limits.devices = asked.devices.as_ref().map(|devices| devices.iter().map(device).collect());
    limits.validate().map_err(|error| Wrong::range(at(key_of(error.limit)), error.to_string()))?;
    Ok(limits)
}

/// The key of `limits` that is this one.
pub(crate) fn key_of(limit: Limit) -> &'static str {
    match limit {
        Limit::MemoryMax => "memory_max",
        Limit::MemoryHigh => "memory_high",
        Limit::MemoryLow => "memory_low",
        Limit::MemorySwapMax => "memory_swap_max",
        Limit::MemoryOomGroup => "memory_oom_group",
        Limit::CpuMax => "cpu_max",
        Limit::CpuWeight => "cpu_weight",
        Limit::CpusetCpus => "cpuset_cpus",
        Limit::CpusetMems => "cpuset_mems",
        Limit::PidsMax => "pids_max",
        Limit::IoMax => "io_max",
        Limit::IoWeight => "io_weight",
        Limit::HugetlbMax => "hugetlb",
        _ => "devices",
    }
}

fn device(device: &data::Device) -> DeviceRule {
    let letters = device.access.as_deref().unwrap_or("rwm");
    let has = |letter| letters.contains(letter);
    DeviceRule {
        kind: match device.kind {
            data::DeviceKind::Char => DeviceKind::Char,
            data::DeviceKind::Block => DeviceKind::Block,
        },
        major: device.major,
        minor: device.minor,
        access: Access { read: has('r'), write: has('w'), mknod: has('m') },
    }
}

fn capabilities(field: &Field, names: &[String]) -> Lowered<Capabilities> {
    let mut set = Capabilities::NONE;
    for (index, name) in names.iter().enumerate() {
        set = match name.as_str() {
            "ALL" => Capabilities::ALL,
            name => set.with(parsed::<Capability>(field.clone().index(index), name)?),
        };
    }
    Ok(set)
}

/// What is asked for of the filter, in the place of `usual` or on top of it.
fn seccomp(asked: &data::Seccomp, usual: &Seccomp) -> Lowered<Seccomp> {
    let mut seccomp = match (&asked.profile, &asked.file, &asked.bpf) {
        (Some(data::Profile::Default), ..) => Seccomp::standard(),
        (Some(data::Profile::Oci(profile)), ..) => Seccomp::oci(profile.clone()),
        (Some(_), ..) => Seccomp::none(),
        (_, Some(file), _) => Seccomp::file(file.as_path()),
        (_, _, Some(program)) => Seccomp::bpf(program.0.clone()),
        (None, None, None) => usual.clone(),
    };
    seccomp.denials = asked.denials.unwrap_or(seccomp.denials);
    for name in &asked.flags {
        seccomp = seccomp.flag(name);
    }
    for name in &asked.allow {
        seccomp = seccomp.allow(name);
    }
    for (index, text) in asked.deny.iter().enumerate() {
        let (name, errno) = text.split_once('=').map_or((text.as_str(), None), |(name, errno)| (name, Some(errno)));
        let errno = errno.map(|errno| {
            let field = Field::of("seccomp").key("deny").index(index);
            let number = Errno::from_name(errno).map(|errno| errno.0).or_else(|| errno.parse().ok());
            // The kernel takes the rest for 4095.
            let number = number.filter(|number| (1..=4095).contains(number));
            number
                .map(i32::from)
                .ok_or_else(|| Wrong::range(field, format!("{errno:?} is no error number, such as EACCES")))
        });
        seccomp = seccomp.deny_with(name, errno.transpose()?);
    }
    Ok(seccomp)
}

fn landlock(asked: &data::Landlock) -> Lowered<Landlock> {
    let mut landlock = Landlock::new();
    landlock = asked.ro.iter().fold(landlock, |landlock, path| landlock.ro(path.as_path()));
    landlock = asked.rw.iter().fold(landlock, |landlock, path| landlock.rw(path.as_path()));
    landlock = asked.exec.iter().fold(landlock, |landlock, path| landlock.exec(path.as_path()));
    if let Some(ports) = &asked.connect {
        landlock = landlock.connect(ports.iter().copied());
    }
    if let Some(ports) = &asked.bind {
        landlock = landlock.bind(ports.iter().copied());
    }
    for (index, scope) in asked.scopes.iter().enumerate() {
        landlock = match scope {
            data::LandlockScope::AbstractUnixSocket => landlock.scope_abstract_unix_sockets(),
            data::LandlockScope::Signal => landlock.scope_signals(),
            _ => {
                let field = Field::of("landlock").key("scopes").index(index);
                return Err(Wrong::range(field, "this build does not know it"));
            }
        };
    }
    Ok(landlock)
}

fn process(command: &mut Command, request: &Request) -> Lowered<()> {
    if request.clear_env {
        command.env_clear();
    }
    if let Some(all) = request.env_all {
        command.env_all(all);
    }
    for name in &request.inherit_env {
        command.inherit_env(name.as_os_str());
    }
    for name in &request.env_remove {
        command.env_remove(name.as_os_str());
    }
    for (name, value) in &request.env {
        command.env(name, value.as_os_str());
    }
    if let Some(name) = &request.arg0 {
        command.arg0(name.as_os_str());
    }
    if let Some(directory) = &request.workdir {
        command.current_dir(directory.as_path());
    }
    if let Some(name) = &request.hostname {
        command.hostname(name.as_os_str());
    }
    if let Some(name) = &request.domainname {
        command.domainname(name.as_os_str());
    }
    if let Some(mask) = request.umask {
        command.umask(mask.0);
    }
    if let Some(value) = request.oom_score_adj {
        command.oom_score_adj(value);
    }
    let rights = Field::of("rights");
    if let Some(names) = &request.rights.capabilities {
        command.capabilities(capabilities(&rights.clone().key("capabilities"), names)?);
    }
    command.ambient(capabilities(&rights.key("ambient"), &request.rights.ambient)?);
    if let Some(asked) = &request.seccomp {
        let seccomp = seccomp(asked, &command.config.seccomp)?;
        command.seccomp(seccomp);
    }
    if let Some(asked) = &request.landlock {
        command.landlock(landlock(asked)?);
    }
    for (name, limit) in &request.rlimits {
        let resource: Resource = parsed(Field::of("rlimits").key(name.as_str()), name)?;
        command.rlimit(resource, limit.soft, limit.hard);
    }
    type Switch = fn(&mut Command, bool) -> &mut Command;
    let switches: [(Option<bool>, Switch); 6] = [
        (request.rights.no_new_privileges, Command::no_new_privileges),
        (request.init, Command::init),
        (request.nested, Command::nested),
        (request.new_session, Command::new_session),
        (request.new_keyring, Command::new_keyring),
        (request.die_with_parent, Command::die_with_parent),
    ];
    for (asked, switch) in switches {
        if let Some(on) = asked {
            switch(command, on);
        }
    }
    if let Some(terminal) = request.terminal {
        command.terminal(terminal.rows, terminal.columns);
    }
    if let Some(after) = request.deadline {
        command.deadline(length(Field::of("deadline"), after)?);
    }
    for (index, name) in request.prefer.iter().enumerate() {
        command.prefer(parsed::<Feature>(Field::of("prefer").index(index), name)?);
    }
    command.clone_way(match request.clone {
        data::Clone::Vm => CloneWay::Vm,
        data::Clone::Copy => CloneWay::Copy,
        data::Clone::Legacy => CloneWay::Legacy,
        _ => CloneWay::Auto,
    });
    command.timed(request.timed);
    Ok(())
}
