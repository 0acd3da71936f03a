//! The id maps of a new user namespace: written by the parent, never by the process that they are for.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open, openat};
use seclude_child::Op;
use seclude_idmap::{
    Extent, FileError, IdMap, PASSWD_FILE, Range, SUBGID_FILE, SUBUID_FILE, first_uncovered, read_ranges_for,
    read_user_name, rootless_map,
};
use seclude_request::{Field, Remedy};
use seclude_sys::Fd;

use super::holder::{self, Holder};
use super::nesting::Maps;
use super::range::{self, Lease, own_map};
use super::{Born, Preparation, Step, ties};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::ids::UserMap;
use crate::config::namespace::Namespace;
use crate::config::start::Starter;
use crate::error::{Error, Result};
use crate::helper_programs;
use crate::host::Host;
use crate::ledger::Ledger;
use crate::proc_pid;
use crate::program::Program;

pub(super) const NAME: &str = "user map";
/// Ids of a range that is chosen for a privileged caller: what a distribution's users and services need.
const CHOSEN: u32 = 65536;
/// Further ones for containers that make namespaces of their own, and want ids that nobody has there: seven of them.
const CHOSEN_NESTED: u32 = 8 * CHOSEN;

/// Under whose ids the host's files are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ids {
    /// The host's: the container's are the caller's, or were chosen by it.
    Callers,
    /// Those of the container, which nobody has on the host.
    Containers,
}

/// Whether the container's ids are a range that is chosen for it.
pub(crate) fn is_chosen(command: &Config, host: &Host) -> bool {
    let asked = matches!(command.user_map, Some(UserMap::SubIds | UserMap::Sandbox));
    asked && command.namespaces.is_new(Namespace::User) && host.gives_ids()
}

/// How many ids such a range has.
pub(crate) fn chosen_ids(command: &Config) -> u32 {
    if command.is_sandboxed() && command.nested { CHOSEN_NESTED } else { CHOSEN }
}

/// What is shown of the host has the owners that it has there, also for a container whose ids nobody has.
pub(crate) fn ids_of_files(command: &Config, host: &Host) -> Ids {
    // Copying a mount takes CAP_SYS_ADMIN over its namespace.
    match is_chosen(command, host) && host.has(Capability::SYS_ADMIN) {
        true => Ids::Containers,
        false => Ids::Callers,
    }
}

/// The same for files of our own, which nobody but root can reach by their path.
pub(crate) fn ids_of_own_files(command: &Config, host: &Host) -> Ids {
    let new_user = command.namespaces.is_new(Namespace::User);
    match new_user && host.gives_ids() && host.has(Capability::SYS_ADMIN) {
        true => Ids::Containers,
        false => Ids::Callers,
    }
}

struct Map {
    choice: UserMap,
    nested: bool,
    init: bool,
    new_pid: bool,
    /// How many ids a range has that is chosen.
    count: u32,
    maps: Maps,
    /// The command's ids inside, where they are not root's.
    user: (Option<u32>, Option<u32>),
    /// Whether the ids are a range that is chosen in `prepare`.
    chosen: bool,
    /// Whose maps they are, if not the child's.
    holder: Option<Holder>,
    starter: Starter,
    /// What was decided in `prepare`.
    decided: Option<Decided>,
}

struct Decided {
    uids: IdMap,
    gids: IdMap,
    writer: Writer,
    /// The lock on a range that was chosen.
    range: Option<Arc<Lease>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Privileged: this process writes both files.
    Direct,
    /// Unprivileged, its own id only: the kernel wants setgroups denied before it takes the gid map.
    DirectDenyingSetgroups,
    /// Unprivileged, with ranges: newuidmap(1) and newgidmap(1).
    Helpers,
}

pub(super) fn map(command: &Config, host: &Host, maps: &Maps, holder: &Holder) -> Result<Option<Box<dyn Step>>> {
    if !command.namespaces.is_new(Namespace::User) {
        // Whoever has its uid writes what belongs to root in /proc/sys, without any capability.
        if command.is_sandboxed() && command.nested && command.identity.uid.unwrap_or(host.uid) == 0 {
            return Err(nested_with("the host's root, in a user namespace that is not the container's own"));
        }
        return match command.user_map {
            Some(UserMap::Sandbox) => Ok(None),
            Some(_) if !command.namespaces.is_joined(Namespace::User) => {
                Err(Error::invalid(NAME, "it needs a new user namespace").at("user.map").contradicting())
            }
            _ => Ok(None),
        };
    }
    let choice = command.user_map.clone().unwrap_or_default();
    if choice == UserMap::HostRoot {
        if host.uid != 0 {
            let action = "the caller is not root, and has no root of the host to give";
            return Err(Error::invalid(NAME, action).at("user.map"));
        }
        if command.is_sandboxed() && command.nested {
            return Err(nested_with("the host's root in them"));
        }
    }
    let inside = |map: &IdMap, id: Option<u32>, kind: &str| match id {
        Some(id) if map.outside_of(id).is_none() => {
            let action = format!("{kind} {id} is not mapped: the command could not have it");
            Err(Error::invalid(NAME, action).at_field(Field::of("user").key(kind)).contradicting())
        }
        _ => Ok(()),
    };
    let (uid, gid) = (command.identity.uid, command.identity.gid);
    match &choice {
        UserMap::Extents { uids, gids } => {
            inside(uids, uid, "uid")?;
            inside(gids, gid, "gid")?;
        }
        UserMap::Sandbox if host.gives_ids() => {}
        UserMap::CallerAsRoot | UserMap::HostRoot | UserMap::CallerAs { .. } | UserMap::Sandbox => {
            let (only_uid, only_gid) = match choice {
                UserMap::CallerAs { uid, gid } => (uid, gid),
                _ => (0, 0),
            };
            for (kind, id, only) in [("uid", uid, only_uid), ("gid", gid, only_gid)] {
                if let Some(id) = id.filter(|id| *id != only) {
                    let action = format!("{kind} {id} is not mapped: only {only} is");
                    let error = Error::invalid(NAME, action).at_field(Field::of("user").key(kind)).contradicting();
                    let to_it = Remedy::Set(Field::of("user").key(format!("caller_{kind}")), Some(id.into()));
                    let hint = Hint::from("map the subordinate ids, or map the caller to that id");
                    return Err(error.hint(hint.with([Remedy::set("user.map", "sub-ids"), to_it])));
                }
            }
        }
        UserMap::Identity | UserMap::SubIds => {}
    }
    Ok(Some(Box::new(Map {
        choice,
        nested: command.is_sandboxed() && command.nested,
        count: chosen_ids(command),
        maps: maps.clone(),
        user: (uid, gid),
        chosen: is_chosen(command, host),
        init: command.init,
        new_pid: command.namespaces.is_new(Namespace::Pid),
        holder: holder::is_needed(command, host).then(|| holder.clone()),
        starter: command.starter,
        decided: None,
    })))
}

fn nested_with(root: &str) -> Error {
    let action = format!("nested user namespaces, and {root}");
    Error::invalid(NAME, action).at("nested").contradicting().hint("ask for one of them")
}

/// Whether the caller's own ids are not in the map: then the child has to become somebody who is.
pub(crate) fn leaves_caller_out(command: &Config, host: &Host) -> bool {
    if !command.namespaces.is_new(Namespace::User) {
        return false;
    }
    match &command.user_map {
        Some(UserMap::Extents { uids, gids }) => {
            uids.inside_of(host.uid).is_none() || gids.inside_of(host.gid).is_none()
        }
        Some(UserMap::SubIds | UserMap::Sandbox) => host.gives_ids(),
        _ => false,
    }
}

impl Decided {
    /// By the pid that /proc has.
    fn write(&self, pid: i32, starter: Starter) -> Result<()> {
        let Decided { uids, gids, writer, .. } = self;
        match writer {
            Writer::Helpers => {
                run_helper("newuidmap", pid, uids, starter)?;
                run_helper("newgidmap", pid, gids, starter)?;
            }
            Writer::Direct | Writer::DirectDenyingSetgroups => {
                let process = proc_pid::open(NAME, pid)?;
                if *writer == Writer::DirectDenyingSetgroups {
                    write_once(&process, "setgroups", "deny")?;
                }
                write_once(&process, "uid_map", &uids.to_kernel_text())?;
                write_once(&process, "gid_map", &gids.to_kernel_text())?;
            }
        }
        Ok(())
    }
}

impl Map {
    fn decide(&self, preparation: &Preparation<'_>) -> Result<Decided> {
        let host = preparation.host;
        let privileged = host.gives_ids();
        let own = |uid, gid| -> Result<(IdMap, IdMap)> {
            let invalid = |error| Error::invalid(NAME, format!("{error}"));
            Ok((IdMap::single(uid, host.uid).map_err(invalid)?, IdMap::single(gid, host.gid).map_err(invalid)?))
        };
        let mut range = None;
        let (uids, gids) = match &self.choice {
            UserMap::CallerAsRoot | UserMap::HostRoot => own(0, 0)?,
            UserMap::Sandbox if !privileged => own(0, 0)?,
            UserMap::CallerAs { uid, gid } => own(*uid, *gid)?,
            UserMap::Identity if privileged => (identity_of("uid_map")?, identity_of("gid_map")?),
            UserMap::Identity => own(host.uid, host.gid)?,
            UserMap::Extents { uids, gids } => (uids.clone(), gids.clone()),
            UserMap::SubIds | UserMap::Sandbox if privileged => {
                let lease = Lease::of_unused(self.count, self.init, self.new_pid, preparation)?;
                let ids = lease.range();
                range = Some(Arc::new(lease));
                let map = IdMap::new(vec![Extent { inside: 0, outside: ids.start, count: ids.count }])
                    .map_err(|error| Error::invalid(NAME, error.to_string()))?;
                (map.clone(), map)
            }
            UserMap::SubIds | UserMap::Sandbox => {
                let found = |id, file| {
                    let ranges = ranges(file, host.uid)?;
                    rootless_map(id, &ranges).ok_or_else(|| no_ranges(file, host.uid))
                };
                (found(host.uid, SUBUID_FILE)?, found(host.gid, SUBGID_FILE)?)
            }
        };
        for (map, id, key) in [(&uids, self.user.0, "uid"), (&gids, self.user.1, "gid")] {
            if let Some(id) = id.filter(|id| map.outside_of(*id).is_none()) {
                let action = format!("{key} {id} is not mapped: the command could not have it");
                return Err(Error::invalid(NAME, action).at_field(Field::of("user").key(key)).contradicting());
            }
        }
        if self.nested && privileged && range.is_none() && (uids.inside_of(0).is_some() || gids.inside_of(0).is_some())
        {
            return Err(nested_with("ids of the host's root in them"));
        }
        let writer = Writer::of(&uids, &gids, host)?;
        Ok(Decided { uids, gids, writer, range })
    }
}

impl Writer {
    /// Who may write these.
    fn of(uids: &IdMap, gids: &IdMap, host: &Host) -> Result<Writer> {
        if host.gives_ids() {
            return Ok(Writer::Direct);
        }
        let own_only = |map: &IdMap, id| map.is_single() && map.inside_of(id).is_some();
        if own_only(uids, host.uid) && own_only(gids, host.gid) {
            return Ok(Writer::DirectDenyingSetgroups);
        }
        for (map, file, id) in [(uids, SUBUID_FILE, host.uid), (gids, SUBGID_FILE, host.gid)] {
            if let Some(extent) = first_uncovered(&ranges(file, host.uid)?, id, map) {
                return Err(not_ours(file, extent, host.uid));
            }
        }
        Ok(Writer::Helpers)
    }
}

/// A user namespace with these maps that nobody is in once this returns; the same for the same maps.
pub(crate) fn namespace_of_maps(
    uids: &IdMap,
    gids: &IdMap,
    starter: Starter,
    preparation: &mut Preparation<'_>,
) -> Result<Arc<OwnedFd>> {
    let is_it = |(own_uids, own_gids, _): &&(IdMap, IdMap, _)| own_uids == uids && own_gids == gids;
    if let Some((_, _, made)) = preparation.ends.id_maps.iter().find(is_it) {
        return Ok(made.clone());
    }
    let holder = Holder::default();
    let (uids, gids) = (uids.clone(), gids.clone());
    let writer = Writer::of(&uids, &gids, preparation.host)?;
    let pid = holder::start(&holder, starter)?;
    let decided = Decided { uids, gids, writer, range: None };
    decided.write(pid, starter)?;
    let path = format!("/proc/{pid}/ns/user");
    let failed = |errno| Error::parent(NAME, "the user namespace of a mount's ids", errno).call("open").path_of(&path);
    let namespace = Arc::new(open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?);
    preparation.ends.id_maps.push((decided.uids, decided.gids, namespace.clone()));
    Ok(namespace)
}

/// Each id that exists in our own namespace, to itself.
fn identity_of(file: &str) -> Result<IdMap> {
    let ours = own_map(file)?;
    let same = ours.extents().iter().map(|extent| Extent { outside: extent.inside, ..*extent });
    IdMap::new(same.collect()).map_err(|error| Error::invalid(NAME, error.to_string()))
}

fn ranges(file: &str, uid: u32) -> Result<Vec<Range>> {
    // Without the name, ranges would be missed, and newuidmap(1) does nothing for somebody it cannot find.
    let name = if_there(read_user_name(uid, PASSWD_FILE), PASSWD_FILE)?;
    if_there(read_ranges_for(file, name.as_deref(), uid), file)
}

fn if_there<T: Default>(found: std::result::Result<T, FileError>, file: &str) -> Result<T> {
    match found {
        Ok(found) => Ok(found),
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(Error::parent(NAME, format!("read {file}"), error.source).path_of(file)),
    }
}

fn no_ranges(file: &str, uid: u32) -> Error {
    let name = read_user_name(uid, PASSWD_FILE).ok().flatten().unwrap_or_else(|| "USER".to_owned());
    let free = range::unused(u64::from(uid), CHOSEN)
        .ok()
        .map_or_else(|| "FIRST-LAST".to_owned(), |free| format!("{}-{}", free.start, free.start + (CHOSEN - 1)));
    Error::invalid(NAME, format!("uid {uid} has no range in {file}")).hint({
        let usermod = format!("usermod --add-subuids {free} --add-subgids {free} {name}");
        Hint::from(format!("as root: {usermod}; or map only the caller"))
            .with([Remedy::Host(usermod), Remedy::set("user.map", "caller-as-root")])
    })
}

fn not_ours(file: &str, extent: Extent, uid: u32) -> Error {
    Error::invalid(NAME, format!("{extent} is not in a range of uid {uid} in {file}")).hint(
        Hint::from("ask for ids of your own ranges, or map the subordinate ids")
            .with([Remedy::set("user.map", "sub-ids")]),
    )
}

impl Step for Map {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("user").key("map"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let decided = self.decide(preparation)?;
        if let (Some(uid), Some(gid)) = (decided.uids.outside_of(0), decided.gids.outside_of(0)) {
            *preparation.container_root = (uid, gid);
        }
        let inside = (self.user.0.unwrap_or(0), self.user.1.unwrap_or(0));
        *preparation.container_user = *preparation.container_root;
        if let (Some(uid), Some(gid)) = (decided.uids.outside_of(inside.0), decided.gids.outside_of(inside.1)) {
            *preparation.container_user = (uid, gid);
        }
        let _ = self.maps.set((decided.uids.clone(), decided.gids.clone()));
        if let Some(range) = &decided.range {
            range.kept_until_the_end(preparation.ledger);
        }
        if let Some(holder) = &self.holder {
            decided.write(holder::start(holder, self.starter)?, self.starter)?;
        }
        self.decided = Some(decided);
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        let range = self.decided.as_ref().and_then(|decided| decided.range.as_ref());
        range.iter().flat_map(|range| range.descriptors()).map(|held| Fd(held.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let kept = self.keeps();
        // Before `prepare` it has no number yet.
        let planned = (self.chosen && self.decided.is_none()).then_some(Fd::NONE);
        for fd in kept.into_iter().chain(planned) {
            program.about("the lock on its ids, which the init holds as long as it lives");
            program.hold_in_init(fd);
        }
    }

    fn attend(&self, born: &Born, _: &mut Ledger) -> Result<()> {
        match &self.decided {
            Some(decided) if self.holder.is_none() => decided.write(born.pid_in_proc(NAME)?, self.starter),
            _ => Ok(()),
        }
    }

    fn describe(&self, to: &mut Describe) {
        let what = match &self.choice {
            UserMap::CallerAsRoot | UserMap::HostRoot => "0 to the caller".to_owned(),
            UserMap::CallerAs { uid, gid } => format!("uid {uid}, gid {gid} to the caller"),
            UserMap::Identity => "each id to itself".to_owned(),
            UserMap::SubIds => "0 and up to subordinate ids".to_owned(),
            UserMap::Sandbox => "as root 0 to 65535 to ids that nobody has, else 0 to the caller".to_owned(),
            UserMap::Extents { uids, gids } => {
                let show = |map: &IdMap| map.extents().iter().map(Extent::to_string).collect::<Vec<_>>().join(" ");
                format!("uids {}, gids {}", show(uids), show(gids))
            }
        };
        to.prepare(NAME, "look up the ids, decide who writes them".to_owned());
        to.attend(NAME, format!("write setgroups, uid_map, gid_map: {what}"));
    }
}

fn write_once(process: &OwnedFd, file: &str, text: &str) -> Result<()> {
    let failed = |call, errno| {
        Error::parent(NAME, format!("write {file}"), errno).call(call).hint_if(crate::hint::user_map(file, errno))
    };
    let fd = openat(process, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|e| failed("open", e))?;
    // The kernel takes a map in one write only.
    rustix::io::write(&fd, text.as_bytes()).map_err(|e| failed("write", e))?;
    Ok(())
}

/// Runs newuidmap or newgidmap, and believes the kernel's file, not the exit code.
fn run_helper(helper: &'static str, pid: i32, map: &IdMap, starter: Starter) -> Result<()> {
    let missing = || {
        Error::invalid(NAME, format!("{helper} is not installed")).hint(
            Hint::from("it is in Debian's package uidmap, Fedora's shadow-utils; or map only the caller").with([
                Remedy::Host("install the package uidmap, or shadow-utils".into()),
                Remedy::set("user.map", "caller-as-root"),
            ]),
        )
    };
    let program = helper_programs::find(helper).ok_or_else(missing)?;
    let mut command = Config::new(program.clone().into(), starter);
    command.args = [pid.to_string()].into_iter().chain(map.to_helper_args()).map(std::ffi::OsString::from).collect();
    command.no_new_privileges = false;
    let failed = |why: String| Error::parent(NAME, format!("{helper}: {why}"), io::Error::other("no map was written"));
    // That start has a request of its own.
    let output = command.output().map_err(|error| error.at("user.map"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = if said.trim().is_empty() { output.exit.to_string() } else { said.trim().replace('\n', "; ") };
    let path = format!("/proc/{pid}/{}", if helper == "newuidmap" { "uid_map" } else { "gid_map" });
    let written = std::fs::read_to_string(&path)
        .map_err(|error| Error::parent(NAME, format!("read {path}"), error).call("read").path_of(&path))?;
    match IdMap::parse_kernel_text(&written) {
        Ok(found) if found.same_as(map) => Ok(()),
        _ => Err(failed(said).hint(
            powerless(&program)
                .unwrap_or("the range must be the caller's in /etc/subuid and /etc/subgid, and be mapped outside"),
        )),
    }
}

/// Why such a helper would have no right to write a map, if that can be seen.
fn powerless(program: &Path) -> Option<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.strip_prefix("NoNewPrivs:").is_some_and(|value| value.trim() == "1")) {
        return Some(
            "the caller has no_new_privs, so no program that it starts gains privileges: start it from where that is \
             not set, or map only the caller",
        );
    }
    let setuid = std::fs::metadata(program).is_ok_and(|file| file.mode() & 0o6000 != 0);
    let capable = rustix::fs::getxattr(program, "security.capability", &mut [0; 64][..]).is_ok();
    (!setuid && !capable).then_some(
        "the helper is neither setuid root nor has it file capabilities: chmod u+s, or setcap cap_setuid+ep (newgidmap: \
         cap_setgid+ep)",
    )
}

/// The child becomes root of its user namespace where it was born as nobody there.
struct BecomeRoot {
    uid: u32,
    gid: u32,
}

pub(super) fn become_root(command: &Config, host: &Host) -> Option<Box<dyn Step>> {
    // Whoever is root outside is to be root in a container that is joined as well, and is nobody there.
    let joins = command.namespaces.is_joined(Namespace::User) && host.gives_ids();
    if !leaves_caller_out(command, host) && !joins {
        return None;
    }
    let first = |map: &IdMap| match map.outside_of(0) {
        Some(_) => 0,
        None => map.extents().first().map_or(0, |extent| extent.inside),
    };
    let (uid, gid) = match &command.user_map {
        Some(UserMap::Extents { uids, gids }) => (first(uids), first(gids)),
        _ => (0, 0),
    };
    Some(Box::new(BecomeRoot { uid, gid }))
}

impl Step for BecomeRoot {
    fn name(&self) -> &'static str {
        "root of the user namespace"
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("namespaces").key("user"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("for set-up");
        program.push(Op::Groups { groups: &[] });
        program.push(Op::Gid { gid: self.gid });
        program.push(Op::Uid { uid: self.uid });
        ties::arm_again(program);
    }
}
