//! No user namespaces below the container's own, and, for a command with CAP_SYS_ADMIN or CAP_SYS_PTRACE, a second one that locks its
//! mounts and keeps it from the init.
//!
//! Whoever makes a user namespace has all capabilities in it, and with them most of what namespaces had of holes: the mount
//! calls, nf_tables, a cgroup hierarchy mounted anew (holes of the kernel: CVE-2022-0185, 2022-0492, 2023-32629). The limit
//! is the kernel's own, namespaces(7): it is counted at every level, and cannot be raised from below.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::fs::{StatVfsMountFlags, statvfs};
use seclude_child::op::Inner;
use seclude_child::{Op, Slot};
use seclude_idmap::IdMap;
use seclude_request::Field;
use seclude_sys::Fd;
use seclude_sys::clone::{CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWUTS};

use super::{Preparation, Step, mount};
use crate::action::Describe;
use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "nesting";

/// The maps of the container's user namespace, once they are decided.
pub(super) type Maps = Arc<OnceLock<(IdMap, IdMap)>>;

struct Own {
    last: bool,
    inner: bool,
    by_filter: ByFilter,
    /// Whether what is counted for the caller as well is lowered.
    lowers: bool,
    /// What it is to be, once the caller's is known.
    halves: Vec<(&'static CStr, String)>,
}

/// What the kernel counts for the owner of a user namespace as well, inotify(7): half of it stays for the caller's own programs.
const OF_WATCHES: [&CStr; 2] = [c"/proc/sys/user/max_inotify_instances", c"/proc/sys/user/max_inotify_watches"];

/// The same of the namespaces that may be made below the container's, namespaces(7).
const OF_NAMESPACES: [&CStr; 8] = [
    LIMIT,
    c"/proc/sys/user/max_cgroup_namespaces",
    c"/proc/sys/user/max_ipc_namespaces",
    c"/proc/sys/user/max_mnt_namespaces",
    c"/proc/sys/user/max_net_namespaces",
    c"/proc/sys/user/max_pid_namespaces",
    c"/proc/sys/user/max_time_namespaces",
    c"/proc/sys/user/max_uts_namespaces",
];

fn half(path: &CStr) -> Option<String> {
    let most: u64 = std::fs::read_to_string(path.to_str().ok()?).ok()?.trim().parse().ok()?;
    Some((most / 2).to_string())
}

const LIMIT: &CStr = c"/proc/sys/user/max_user_namespaces";

/// Whether the kernel's limit cannot be set here, so that a filter has to stand in: an outer container shows /proc/sys read-only.
#[derive(Clone, Default)]
pub(super) struct ByFilter(Arc<AtomicBool>);

impl ByFilter {
    pub(super) fn is_needed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether the command has to be in a namespace below the container's: it could undo what is mounted, or take from the init what
/// that holds, the lock on the container's ids among it (pidfd_getfd(2)).
pub(crate) fn has_inner(command: &Config) -> bool {
    let spaces = &command.namespaces;
    may_undo(command).is_some() && spaces.is_new(Namespace::User) && spaces.is_new(Namespace::Mount)
}

/// The capability by which it could.
fn may_undo(command: &Config) -> Option<Capability> {
    let has = |capability: &Capability| command.capabilities.is_none_or(|set| set.bits() & capability.bit() != 0);
    [Capability::SYS_ADMIN, Capability::SYS_PTRACE].into_iter().find(|one| command.is_sandboxed() && has(one))
}

/// Fails where it would have to be in a namespace below, and that cannot be made: in one that is joined, or beside the caller's mounts.
fn is_locked(command: &Config) -> Result<()> {
    let spaces = &command.namespaces;
    let (mounts, init) = (spaces.is_new(Namespace::Mount), command.init);
    let below_another = spaces.is_joined(Namespace::User) && (mounts || init);
    let beside = spaces.is_new(Namespace::User) && init && !mounts;
    let Some(capability) = may_undo(command).filter(|_| (below_another || beside) && !has_inner(command)) else {
        return Ok(());
    };
    let action = match below_another {
        true => format!(
            "{capability} in a user namespace that is joined: the command could undo what is mounted, and take from the init what that holds"
        ),
        false => {
            format!("{capability} without a mount namespace: the command could take from the init what that holds")
        }
    };
    Err(Error::invalid(NAME, action).at_field(Field::of("rights").key("capabilities")).contradicting())
}

pub(super) fn is_last(command: &Config) -> bool {
    command.is_sandboxed() && !command.nested && command.namespaces.is_new(Namespace::User)
}

/// Whether that limit lies where it is not written.
fn is_limit_closed() -> bool {
    statvfs(LIMIT).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether the filter has to stand in for it.
pub(super) fn needs_filter(command: &Config) -> bool {
    is_last(command) && !has_inner(command) && is_limit_closed()
}

/// While the host's /proc is there: the kernel mounts no other one where none is to be seen.
pub(super) fn compile(command: &Config, by_filter: &ByFilter) -> Result<Option<Box<dyn Step>>> {
    is_locked(command)?;
    let (last, inner) = (is_last(command), has_inner(command));
    let lowers = command.is_sandboxed() && command.namespaces.is_new(Namespace::User);
    let own = || Box::new(Own { last, inner, by_filter: by_filter.clone(), lowers, halves: Vec::new() }) as _;
    Ok((last || inner || lowers).then(own))
}

impl Step for Own {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("nested"))
    }

    fn prepare(&mut self, _: &mut Preparation<'_>) -> Result<()> {
        if self.lowers && !is_limit_closed() {
            let of_namespaces = OF_NAMESPACES.into_iter().filter(|_| !self.last);
            let counted = OF_WATCHES.into_iter().chain(of_namespaces);
            self.halves = counted.filter_map(|path| Some((path, half(path)?))).collect();
        }
        if self.last && !self.inner {
            self.by_filter.0.store(is_limit_closed(), Ordering::Relaxed);
        }
        Ok(())
    }

    fn describe(&self, to: &mut Describe) {
        if self.lowers {
            let what = if self.last { "" } else { ", and how many namespaces it may make" };
            let action = format!("see how many files the caller may watch{what}: the container may half of that");
            to.prepare(NAME, action);
        }
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if !self.halves.is_empty() {
            program.about("half of what the caller may have of watches, or of namespaces");
        }
        for (path, most) in &self.halves {
            program.push(Op::WriteProc { path, text: most.as_bytes() });
        }
        if self.inner {
            program.about("a proc file system for the second user namespace's maps");
            mount::make_proc(program, Slot::PROC);
            // The first one's limit is written once the second is there.
            return;
        }
        if self.last && !self.by_filter.is_needed() {
            program.about("no user namespaces below this one");
            program.push(Op::WriteProc { path: LIMIT, text: b"0" });
        }
    }
}

/// What the launcher needs for the second one.
struct Hold;

pub(super) fn hold(command: &Config) -> Option<Box<dyn Step>> {
    has_inner(command).then(|| Box::new(Hold) as Box<dyn Step>)
}

impl Step for Hold {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("nested"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("for the second user namespace's maps");
        let at = program.number_for_launcher();
        program.proc = Some(at);
        program.push(Op::Hold { slot: Slot::PROC, at });
    }
}

/// The command's own, made by the launcher.
struct Second {
    last: bool,
    net: bool,
    maps: Maps,
}

pub(super) fn inner(command: &Config, maps: &Maps) -> Option<Box<dyn Step>> {
    has_inner(command).then(|| {
        Box::new(Second {
            last: is_last(command),
            // Who is root there is to be root of its network, too; one that is connected stays as it is.
            net: command.network.is_none() && command.namespaces.is_new(Namespace::Net),
            maps: maps.clone(),
        }) as Box<dyn Step>
    })
}

impl Step for Second {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("nested"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("in which what was mounted is locked");
        let list = |map: &IdMap| map.extents().iter().map(|extent| (extent.inside, extent.count)).collect::<Vec<_>>();
        let maps = self.maps.get().map(|(uids, gids)| (list(uids), list(gids)));
        let (uids, gids) = maps.unwrap_or_default();
        let net = if self.net { CLONE_NEWNET } else { 0 };
        let inner = Inner {
            // The host name with them, so that it can be set.
            flags: u64::from(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | net),
            proc: program.proc.unwrap_or(Fd::NONE),
            last: self.last,
            loopback: self.net,
            uids: program.slice(&uids),
            gids: program.slice(&gids),
        };
        program.push(Op::InnerNamespaces { inner });
    }
}
