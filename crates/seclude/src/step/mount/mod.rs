//! The container's tree beyond its root, in the caller's order, one file a kind.

mod bind;
mod dev;
mod device;
mod file;
mod filesystem;
mod hide;
mod kernel;
pub(super) mod overlay;
pub(super) mod own_namespaces;
mod set_id;
pub(super) mod tmpfs;
mod ways;

use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use seclude_child::op::{Create, Links, Want};
use seclude_child::{Op, Slot};
use seclude_request::{Field, Remedy};
use seclude_sys::Fd;
use seclude_sys::mount as sys;

use super::user::{self, Ids};
use super::{Born, Preparation, Step};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::mount::{Flags, Mount, MountKind, Stands};
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ledger::Ledger;
use crate::places::MOST_IN_MEMORY;
use crate::program::Program;

pub(super) use file::write_to_scratch;
pub(super) use kernel::make_proc;
pub(crate) use ways::{Held, strictly_held};

const NAME: &str = "mount";
/// The kernel's own limit for a namespace is 100,000 (fs.mount-max); a handshake message can name 65,535 ops, and a
/// mount takes up to a dozen.
const MOST: usize = 4096;

pub(super) fn compile(command: &Config, host: &Host) -> Result<Vec<Box<dyn Step>>> {
    let ids = user::ids_of_files(command, host);
    let spaces = &command.namespaces;
    let asked = command.mounts.iter().filter(|mount| is_callers(mount)).count();
    if asked > MOST {
        return Err(Error::invalid(NAME, format!("{asked} mounts; at most {MOST} can be had")).at("mounts"));
    }
    let mut steps: Vec<Box<dyn Step>> = Vec::new();
    if spaces.is_new(Namespace::Pid) && !crate::step::has_tree(command) {
        let action = "a new pid namespace needs a new mount namespace: /proc would show the host's processes";
        let hint = Hint::from("have one").with([Remedy::set("namespaces.mount", "new")]);
        return Err(Error::invalid(NAME, action).at("namespaces.mount").contradicting().hint(hint));
    }
    let places = places(command);
    one_at_a_place(command, &places)?;
    let mut ways = ways::compile(command, &places);
    steps.extend(ways.remove(&None));
    let take_mounts = have_others_inside(&command.mounts);
    for (index, (mount, asked)) in command.mounts.iter().zip(places).enumerate() {
        let takes_mounts = take_mounts.get(index).copied().unwrap_or(false);
        let step = compile_one(mount, command, host, ids, (asked, takes_mounts)).map_err(|error| match asked {
            Place::Callers(number) => asked.blamed(error).mount_of(number),
            Place::Shown(..) | Place::Preset | Place::PidNamespace => asked.blamed(error),
        })?;
        steps.push(Box::new(Asked { step, place: asked }));
        steps.extend(ways.remove(&Some(index)));
    }
    Ok(steps)
}

/// What has to be mounted while the process still is its caller to the kernel.
pub(super) fn compile_early(command: &Config) -> Vec<Box<dyn Step>> {
    let early = |(mount, place): (&Mount, Place)| -> Option<Box<dyn Step>> {
        let MountKind::Cgroup { read_only } = mount.kind else { return None };
        let slot = early_slot(command, mount)?;
        let step = Box::new(kernel::early_cgroup(&mount.target, read_only, slot));
        Some(Box::new(Asked { step, place }))
    };
    command.mounts.iter().zip(places(command)).filter_map(early).collect()
}

/// Where such a mount is kept until it is attached. Nobody needs as many as there are places; what is over is made when its turn comes.
fn early_slot(command: &Config, mount: &Mount) -> Option<Slot> {
    let cgroups = command.mounts.iter().filter(|mount| matches!(mount.kind, MountKind::Cgroup { .. }));
    cgroups.zip(Slot::CGROUPS).find_map(|(one, slot)| std::ptr::eq(one, mount).then_some(slot))
}

/// Of each, whether another lies below it: in order of their paths the first that does follows it.
fn have_others_inside(mounts: &[Mount]) -> Vec<bool> {
    let target = |index: &usize| mounts.get(*index).map(|mount| mount.target.as_path());
    let mut order: Vec<usize> = (0..mounts.len()).collect();
    order.sort_unstable_by(|one, other| target(one).cmp(&target(other)));
    let mut inside = vec![false; mounts.len()];
    // What follows those of the same path.
    let mut next: Option<&Path> = None;
    for alike in order.chunk_by(|one, other| target(one) == target(other)).rev() {
        let own = alike.first().and_then(target);
        let is_taken = own.zip(next).is_some_and(|(own, next)| next.starts_with(own));
        for index in alike {
            inside[*index] = is_taken;
        }
        next = own;
    }
    inside
}

/// What is shown of the host by its own path, and something else there: one of the two would be lost without a word.
fn one_at_a_place(command: &Config, places: &[Place]) -> Result<()> {
    if command.mounts.iter().all(|mount| mount.shown.is_none()) {
        return Ok(());
    }
    for (mount, place) in command.mounts.iter().zip(places) {
        // They change what is there, and give nothing.
        let changes =
            matches!(mount.kind, MountKind::Mask { .. } | MountKind::ReadOnlyPath { .. } | MountKind::Directory { .. });
        let is_written = |mount: &Mount| mount.shown.map(|(written, _)| written);
        let is_another = |other: &Mount| {
            other.shown.is_some() && other.target == mount.target && is_written(other) != is_written(mount)
        };
        let shown = command.mounts.iter().zip(places).find(|(other, _)| is_another(other));
        let Some((_, shown)) = shown.filter(|_| !changes && !mount.preset) else { continue };
        let (path, list) = (mount.target.display(), shown.field());
        let action = format!("{path} is in {} as well: name it in one of the two", list.first().unwrap_or_default());
        let error = Error::invalid(NAME, action).contradicting();
        return Err(match *place {
            Place::Callers(number) => place.blamed(error.at("target")).mount_of(number),
            _ => place.blamed(error),
        });
    }
    Ok(())
}

fn is_callers(mount: &Mount) -> bool {
    !mount.preset && mount.shown.is_none()
}

/// Where the request has each of them.
fn places(command: &Config) -> Vec<Place> {
    let mut callers = 0;
    let place = |mount: &Mount| {
        let asked = match (mount.preset, command.is_sandboxed()) {
            (false, _) => match mount.shown {
                Some((written, index)) => Place::Shown(written, index),
                None => Place::Callers(callers),
            },
            (true, true) => Place::Preset,
            (true, false) => Place::PidNamespace,
        };
        callers += usize::from(is_callers(mount));
        asked
    };
    command.mounts.iter().map(place).collect()
}

/// Whether the caller can come to files that the child cannot, once its user namespace is another: below a directory that is closed to the
/// ids of that, as a volume of Kubernetes is.
pub(super) fn reaches_further(command: &Config, host: &Host) -> bool {
    let spaces = &command.namespaces;
    let other = spaces.is_new(Namespace::User) || spaces.is_joined(Namespace::User);
    // What the parent copies it sends all at once, and nothing between that is waited for.
    let fills = command.mounts.iter().any(|mount| mount.fill.is_some());
    // The presets' own way of it is that of their ids.
    other && !command.is_sandboxed() && !fills && host.uid == 0 && host.gives_ids() && host.has(Capability::SYS_ADMIN)
}

/// Where the request has a mount.
#[derive(Clone, Copy)]
enum Place {
    /// The caller's own, of which it is this one.
    Callers(usize),
    /// One of what is seen by the host's own path, written or not.
    Shown(bool, usize),
    /// None of the caller's own, so that its parts are no fields of the request.
    Preset,
    /// The /proc that a new pid namespace brings.
    PidNamespace,
}

impl Place {
    fn field(self) -> Field {
        match self {
            Place::Callers(number) => Field::of("mounts").index(number),
            Place::Shown(written, index) => Field::of(if written { "rw" } else { "ro" }).index(index),
            Place::Preset => Field::of("preset"),
            Place::PidNamespace => Namespace::Pid.field(),
        }
    }

    /// The steps of the kinds have fields of the mount.
    fn blamed(self, error: Error) -> Error {
        match self {
            Place::Callers(_) => error.within(&self.field()),
            Place::Shown(..) | Place::Preset | Place::PidNamespace => error.at_field(self.field()),
        }
    }
}

/// A mount, with its place in the request.
struct Asked {
    step: Box<dyn Step>,
    place: Place,
}

impl Step for Asked {
    fn name(&self) -> &'static str {
        self.step.name()
    }

    fn field(&self) -> Option<Field> {
        Some(self.place.field())
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        let is_placed = matches!(
            op,
            Op::Resolve { base: Slot::ROOT, .. }
                | Op::ResolveIfPresent { base: Slot::ROOT, .. }
                | Op::Attach { onto: Slot::PLACE, .. }
                | Op::LookAgain { .. }
        );
        let part = match op {
            _ if !matches!(self.place, Place::Callers(_)) => None,
            _ if is_placed => Some("target"),
            Op::CloneTree { .. } | Op::SameAs { .. } | Op::TakeTree { .. } => Some("source"),
            _ => None,
        };
        let whole = self.place.field();
        Some(match part {
            Some(part) => whole.key(part),
            None => whole,
        })
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        self.step.prepare(preparation).map_err(|error| self.place.blamed(error))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        self.step.ops(program);
    }

    fn attend(&self, born: &Born, ledger: &mut Ledger) -> Result<()> {
        self.step.attend(born, ledger).map_err(|error| self.place.blamed(error))
    }

    fn fills(&self) -> bool {
        self.step.fills()
    }

    fn fill(&self, mount: OwnedFd) -> Result<()> {
        self.step.fill(mount).map_err(|error| self.place.blamed(error))
    }

    fn keeps(&self) -> Vec<Fd> {
        self.step.keeps()
    }

    fn birthplace(&self) -> Option<Fd> {
        self.step.birthplace()
    }

    fn describe(&self, to: &mut Describe) {
        self.step.describe(to);
    }
}

/// Whether it has a source in the host's tree, or devices.
pub(super) fn takes_from_the_host(mount: &Mount) -> bool {
    has_source(mount) || takes_devices(mount)
}

/// (The one of a file from bytes is a mount of set-up's own, which has to be left behind.)
fn has_source(mount: &Mount) -> bool {
    matches!(mount.kind, MountKind::Bind { .. } | MountKind::Overlay { .. } | MountKind::File { .. })
}

/// Whether it needs the host's devices.
pub(super) fn takes_devices(mount: &Mount) -> bool {
    matches!(mount.kind, MountKind::Dev | MountKind::Mask { .. })
}

/// Whether it takes nothing of the host's tree but devices, and leaves what others take: all of /dev, and what /proc tells.
pub(super) fn leaves_the_host_as_it_was(mount: &Mount) -> bool {
    let lies_over = |place: &str| Path::new(place).starts_with(&mount.target);
    let in_dev = mount.target.starts_with("/dev");
    match &mount.kind {
        _ if has_source(mount) => false,
        MountKind::Directory { .. } | MountKind::OwnDirectory { .. } | MountKind::Symlink { .. } => true,
        MountKind::Dev if mount.target == Path::new("/dev") => true,
        MountKind::Proc { .. } if mount.target == Path::new("/proc") => true,
        _ => !in_dev && !lies_over("/dev") && !lies_over("/proc"),
    }
}

fn compile_one(
    mount: &Mount,
    command: &Config,
    host: &Host,
    ids: Ids,
    (asked, takes_mounts): (Place, bool),
) -> Result<Box<dyn Step>> {
    let target = mount.target.as_path();
    check_target(target)?;
    own_namespaces::is_not_replaced(command, mount)?;
    let spaces = &command.namespaces;
    let new_user = spaces.is_new(Namespace::User);
    // The kernel mounts these for the owner of the namespace they show, and answers EPERM to others.
    let needs = |kind: Namespace| {
        if new_user && !spaces.is_new(kind) {
            let action = format!("{}: in a new user namespace it needs a new {kind} namespace", target.display());
            return Err(Error::invalid(NAME, action).contradicting());
        }
        Ok(())
    };
    Ok(match &mount.kind {
        MountKind::Bind { .. }
            if mount.id_mapped.as_ref().is_some_and(|mapped| mapped.maps.is_none())
                && !new_user
                && !spaces.is_joined(Namespace::User) =>
        {
            let action = format!("{}: without a new user namespace there are no other ids", target.display());
            return Err(Error::invalid(NAME, action).contradicting());
        }
        MountKind::Bind { source, recursive, flags } => {
            let is_refused = (mount.shown.is_some() || mount.stands.is_some()) && !command.whole_home;
            let closed = is_refused.then(|| host.places.clone());
            let as_named = mount.shown.is_some() || mount.stands.is_some();
            bind::compile(
                source,
                target,
                *recursive,
                *flags,
                bind::Circumstances {
                    ids,
                    takes_mounts,
                    closed,
                    as_named,
                    strict: as_named || (command.is_sandboxed() && !mount.preset),
                    is_here: mount.stands == Some(Stands::Here),
                    is_apart: own_namespaces::may_copy_set_id(command, host),
                    attributes: mount.attributes,
                    links: links(mount),
                    id_mapped: mount.id_mapped.clone(),
                    starter: command.starter,
                    // Without the mounts below, the kernel's own refusal keeps what they hide.
                    by_parent: *recursive && reaches_further(command, host) && !source.is_path(Path::new("/")),
                },
            )?
        }
        MountKind::Tmpfs { size, mode, flags } => tmpfs::compile(target, *size, *mode, *flags)?,
        MountKind::Overlay { overlay, read_only } => {
            overlay::compile(target, overlay, *read_only, overlay::Way::of(command, host))?
        }
        MountKind::Proc { read_only } => {
            needs(Namespace::Pid)?;
            let added = mount.preset && !command.is_sandboxed();
            kernel::proc(target, *read_only, if added { "proc on /proc, added for the new pid namespace" } else { "" })
        }
        MountKind::Sysfs { read_only } => {
            needs(Namespace::Net)?;
            kernel::sysfs(target, *read_only)
        }
        MountKind::Cgroup { read_only } => {
            cgroup_is_its_own(command, *read_only, asked)?;
            kernel::cgroup(target, *read_only, early_slot(command, mount))
        }
        MountKind::Mqueue => {
            needs(Namespace::Ipc)?;
            kernel::mqueue(target)
        }
        MountKind::Devpts => kernel::devpts(target),
        MountKind::Dev => {
            let bound = command.is_sandboxed().then(|| command.max_tmp.unwrap_or(MOST_IN_MEMORY));
            dev::compile(target, bound)
        }
        MountKind::File { content, mode, read_only } => file::file(target, content, *mode, *read_only)?,
        MountKind::Directory { mode } => file::directory(target, *mode, mount.preset, links(mount)),
        MountKind::OwnDirectory { mode, owner } => file::own_directory(target, *mode, *owner),
        MountKind::Symlink { to, keep } => file::symlink(target, to, *keep, mount.preset)?,
        MountKind::FileSystem { name, source, data } => {
            filesystem::compile(target, name, source.as_deref(), data, mount)?
        }
        MountKind::Device { device } => device::compile(target, *device, command)?,
        MountKind::Mask { if_present } => hide::mask(target, *if_present)?,
        MountKind::ReadOnlyPath { if_present, recursive } => {
            not_the_root(target)?;
            hide::read_only(target, *if_present, *recursive)
        }
    })
}

/// What becomes of symlinks in its target.
fn links(mount: &Mount) -> Links {
    if mount.links_made_good { Links::MadeGood } else { Links::Followed }
}

/// Without a cgroup of its own a container would see its caller's, and could write all that its user may.
fn cgroup_is_its_own(command: &Config, read_only: bool, asked: Place) -> Result<()> {
    let Some(cgroup) = &command.cgroup else {
        return Err(Error::invalid(NAME, "cgroup2: the container has no cgroup of its own").contradicting());
    };
    if !command.namespaces.is_new(Namespace::Cgroup) {
        return Err(Error::invalid(NAME, "cgroup2: it needs a new cgroup namespace").contradicting());
    }
    if !read_only && !cgroup.delegated {
        let action = "cgroup2: what is not delegated to the container can only be shown to it read-only";
        let read_only = Remedy::Set(asked.field().key("read_only"), Some(true.into()));
        let hint = Hint::from("show it read-only, or delegate it");
        let hint = hint.with([read_only, Remedy::set("cgroup.delegate", true)]);
        return Err(Error::invalid(NAME, action).contradicting().hint(hint));
    }
    Ok(())
}

fn check_target(target: &Path) -> Result<()> {
    let shown = target.display();
    if !target.is_absolute() {
        return Err(
            Error::invalid(NAME, format!("target {shown} is not an absolute path inside the container")).at("target")
        );
    }
    if target.components().any(|part| part == Component::ParentDir) {
        return Err(
            Error::invalid(NAME, format!("target {shown} has a `..` in it: it could leave the root")).at("target")
        );
    }
    Ok(())
}

/// Refuses a target that is the root itself: what is mounted on it would not be seen, or be all that is seen.
fn not_the_root(target: &Path) -> Result<()> {
    if target.components().any(|part| matches!(part, Component::Normal(_))) {
        return Ok(());
    }
    Err(Error::invalid(NAME, "target / is the root itself: say what the root is instead").at("target"))
}

/// Attaches the mount in [`Slot::TREE`] at `target`, made where it is missing.
pub(super) fn attach<'a>(program: &mut Program<'a>, target: &'a Path, want: Want, mode: u32, links: Links) {
    attach_slot(program, Slot::TREE, target, want, mode, links);
}

fn attach_slot<'a>(program: &mut Program<'a>, mount: Slot, target: &'a Path, want: Want, mode: u32, links: Links) {
    let place = program.place(target);
    program.look_again(target);
    let create = Some(Create { mode, told: true });
    program.push(Op::Resolve { base: Slot::ROOT, place, want, create, links, into: Slot::PLACE });
    program.push(Op::Attach { mount, onto: Slot::PLACE });
    program.note(mount, target, place);
}

impl Flags {
    fn attributes(self) -> u32 {
        let mut set = 0;
        for (on, bit) in [
            (self.read_only, sys::MOUNT_ATTR_RDONLY),
            (self.nosuid, sys::MOUNT_ATTR_NOSUID),
            (self.nodev, sys::MOUNT_ATTR_NODEV),
            (self.noexec, sys::MOUNT_ATTR_NOEXEC),
        ] {
            if on {
                set |= bit;
            }
        }
        set
    }

    fn describe(self) -> String {
        let mut words = String::new();
        for (on, word) in [
            (self.read_only, ", read-only"),
            (self.nosuid, ", nosuid"),
            (self.nodev, ", nodev"),
            (self.noexec, ", noexec"),
        ] {
            if on {
                words += word;
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_takes_others_that_lie_below_it_and_not_beside() {
        let of = |targets: &[&str]| {
            let mounts: Vec<Mount> = targets.iter().map(Mount::tmpfs).collect();
            have_others_inside(&mounts)
        };
        assert_eq!(of(&["/a", "/a/b", "/a-c", "/ab"]), [true, false, false, false]);
        assert_eq!(of(&["/a/b/c", "/a", "/a", "/"]), [false, true, true, true]);
        assert_eq!(of(&["/a//b", "/a/./b/c/", "/z"]), [true, false, false]);
        assert_eq!(of(&["/a", "/a/"]), [false, false], "one place");
        assert_eq!(of(&[]), [false; 0]);
    }
}
