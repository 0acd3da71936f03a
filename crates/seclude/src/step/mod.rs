//! What a container can have, one file a thing.
//!
//! "Who runs this, and when?" is answered by the method's name: [`Step::prepare`] in the parent before the clone,
//! [`Step::attend`] in the parent while the child waits at its barrier, [`Step::ops`] in the child, as data.
//! A new step is a file here and a line in [`compile`].

mod barrier;
mod born;
mod cgroup;
mod clock;
mod clone;
mod confine;
mod descriptors;
mod egress;
mod exec;
mod existing_cgroup;
mod filter;
mod hold;
mod holder;
mod host_files;
mod hostname;
mod inherited_cgroups;
mod join;
mod landlock;
mod launch;
mod layered_host;
mod loopback;
mod low_ports;
mod mount;
mod mounted;
mod named;
mod names;
mod nesting;
mod net_devices;
mod oom;
pub(crate) mod own_directory;
mod own_files;
pub(crate) mod pasta;
mod published;
pub(crate) mod range;
mod reopen;
mod rights;
mod rlimits;
mod root;
mod scheduling;
mod session;
pub(crate) mod show;
mod streams;
mod sysctl;
mod ties;
mod user;
mod veth;
mod workdir;

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Stat, Statx, makedev};
use rustix::io::fcntl_dupfd_cloexec;
use seclude_child::Op;
use seclude_child::entry::{Memory, Newborn};
use seclude_request::Field;
use seclude_sys::Fd;

use crate::action::Describe;
use crate::config::Config;
use crate::config::mount::{Mount, MountKind};
use crate::config::namespace::Namespace;
use crate::config::network::Network;
use crate::config::root::RootKind;
use crate::ends::ParentEnds;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ledger::Ledger;
use crate::patience::Patience;
use crate::proc_pid;
use crate::program::Program;
use crate::report::Report;

pub(crate) use barrier::is_needed as has_barrier;
pub(crate) use cgroup::{default_parent, makes_namespace_late};
pub(crate) use clone::ClonePlan;
pub(crate) use descriptors::highest as highest_descriptor;
pub(crate) use egress::allowed_with;
use exec::Compiled;
pub(crate) use exec::where_it_may_be;
pub(crate) use filter::asked::{Asked, asked};
pub(crate) use holder::{is_hidden, is_needed as holds_user_namespace};
pub(crate) use join::{enters_pid_namespace_early, enters_pid_namespace_late, makes_namespaces_late};
pub(crate) use landlock::asked::{Granted, grants};
pub(crate) use landlock::gaps;
pub(crate) use mount::{Held, strictly_held};
pub(crate) use mounted::is_needed as attends_mounts;
pub(crate) use named::is_no_home;
pub(crate) use names::are_wanted as gives_names;
pub(crate) use nesting::has_inner;
pub(crate) use root::{has_tree, is_all as root_is_all, own_directories};
pub(crate) use user::{Ids, chosen_ids, ids_of_files, is_chosen, leaves_caller_out};
pub(crate) use veth::from_net;
pub(crate) use workdir::is_inherited as inherits_directory;

/// The new process as the parent sees it while it waits.
pub(crate) struct Born {
    pub(crate) pid: i32,
    pub(crate) pidfd: Fd,
}

impl Born {
    pub(crate) fn of(newborn: &Newborn) -> Born {
        Born { pid: newborn.pid, pidfd: Fd(newborn.pidfd.as_raw_fd()) }
    }

    /// Its pid in /proc, where that may be another.
    pub(crate) fn pid_in_proc(&self, step: &'static str) -> Result<i32> {
        proc_pid::pid_of(step, self.pidfd)
    }
}

/// What the parent knows while it prepares.
pub(crate) struct Preparation<'a> {
    pub(crate) host: &'a Host,
    /// For what may take long.
    pub(crate) patience: &'a Patience,
    pub(crate) ledger: &'a mut Ledger,
    /// The ends of pipes and the like that stay with the parent.
    pub(crate) ends: &'a mut ParentEnds,
    /// What is said of the spawn afterwards.
    pub(crate) report: &'a mut Report,
    /// Whom the container's root is outside, uid and gid: the caller, unless the id map says otherwise.
    pub(crate) container_root: &'a mut (u32, u32),
    /// The same of the command's own user.
    pub(crate) container_user: &'a mut (u32, u32),
}

impl Preparation<'_> {
    /// The lock that keeps others from removing what is mounted on in this directory of the host, for as long as the container
    /// lives: for [`Step::keeps`] and [`Program::hold_in_init`].
    pub(crate) fn share_mount_points(
        &mut self,
        directory: &OwnedFd,
        found: &Statx,
    ) -> rustix::io::Result<Option<Arc<OwnedFd>>> {
        let device = makedev(found.stx_dev_major, found.stx_dev_minor);
        self.ledger.mount_points.share(directory, device, self.ends.socket_above)
    }

    /// Whether this is a file of whoever the command is, or of the container's root.
    pub(crate) fn owns(&self, found: &Stat) -> bool {
        [self.container_user.0, self.container_root.0].contains(&found.st_uid)
    }

    /// The same open file under a number that the command will not have, for what the child, the launcher or the init still needs
    /// once the command's descriptors are in their places.
    pub(crate) fn lifted(&self, opened: OwnedFd) -> rustix::io::Result<OwnedFd> {
        match opened.as_raw_fd() > self.ends.socket_above {
            true => Ok(opened),
            false => fcntl_dupfd_cloexec(&opened, self.ends.socket_above + 1),
        }
    }
}

/// One thing that a container can have.
pub(crate) trait Step: Send + Sync {
    /// The name that errors and the printed plan give it.
    fn name(&self) -> &'static str;

    /// What of the request it is there for. An error of it that does not say more is about that.
    fn field(&self) -> Option<Field> {
        None
    }

    /// The same of one of its ops, where it has some for several fields.
    fn field_of(&self, _: &Op<'_>) -> Option<Field> {
        self.field()
    }

    /// Parent, before the clone: open, check, resolve.
    fn prepare(&mut self, _: &mut Preparation<'_>) -> Result<()> {
        Ok(())
    }

    /// Child, as data.
    fn ops<'a>(&'a self, _: &mut Program<'a>) {}

    /// Parent, while the child waits at its barrier.
    fn attend(&self, _: &Born, _: &mut Ledger) -> Result<()> {
        Ok(())
    }

    /// Whether the child offers a file system of it, to be filled before it is attached.
    fn fills(&self) -> bool {
        false
    }

    /// Parent: does it.
    fn fill(&self, _: OwnedFd) -> Result<()> {
        Ok(())
    }

    /// What part number `number` of the host's tree is.
    fn part(&self, _: u16) -> Option<&Path> {
        None
    }

    /// Whether it is handed the listener of the filter.
    fn serves(&self) -> bool {
        false
    }

    /// Parent: whoever answers what the filter asks is handed its listener.
    fn serve(&self, _: &Born, _: OwnedFd) -> Result<()> {
        Ok(())
    }

    /// Parent, while the child waits with its mounts made.
    fn attend_mounted(&self, _: &Born, _: &mut Ledger) -> Result<()> {
        Ok(())
    }

    /// Parent: code of the command's has run from here on, or may have.
    fn runs(&self) {}

    /// Descriptors of the parent that the child still needs when it closes all others.
    fn keeps(&self) -> Vec<seclude_sys::Fd> {
        Vec::new()
    }

    /// The v2 cgroup that the child is to be born in, once it is made.
    fn birthplace(&self) -> Option<seclude_sys::Fd> {
        None
    }

    /// What the parent does, for the printed plan; the child's part prints itself from the ops.
    fn describe(&self, _: &mut Describe) {}
}

/// Whether any layer of an overlay has to be given to the kernel.
pub(crate) fn has_overlays(command: &Config) -> bool {
    let mounted = |mount: &Mount| matches!(mount.kind, MountKind::Overlay { .. });
    let root = command.root.as_ref().is_some_and(|root| matches!(root.kind, RootKind::Overlay(_)));
    root || command.mounts.iter().any(mounted)
}

/// The steps of a request in the only order that there is.
pub(crate) fn compile(command: &Config, host: &Host, clone: &ClonePlan) -> Result<Vec<Box<dyn Step>>> {
    let mut steps: Vec<Box<dyn Step>> = Vec::new();
    let mut add = |step: Option<Box<dyn Step>>| steps.extend(step);
    // Of the host's own, in the place of what a tree of its own would have.
    let own = own_directory::Made::default();
    add(own_directory::compile(command, &own));
    // First of all: a parent that dies from here on takes the child along.
    add(ties::arm());
    // Before it waits for anything: others wait for it meanwhile.
    add(descriptors::close_others());
    let (maps, holder) = (nesting::Maps::default(), holder::Holder::default());
    // The parent writes the maps; whoever cannot, as its own memory is hidden, has had another process make the namespace.
    let map = user::map(command, host, &maps, &holder)?;
    let enter = holder::enter(command, host, &holder);
    let (early, late) = if enter.is_some() { (map, None) } else { (None, map) };
    add(early);
    add(enter);
    // Both write to files of /proc: to the caller's, before the tree is another one, or a container's that is joined, which may
    // have anything in their places (CVE-2025-52881).
    let join = join::compile(command)?;
    add(clock::compile(command, clone.memory == Memory::Copied)?);
    add(oom::compile(command)?);
    // Before the barrier, because joining a pid namespace may make another process, and that is the one to attend to.
    add(join);
    // The parent writes the maps and whatever else it owes; the child has no rights before that.
    add(late);
    // After the map, which says whose a delegated cgroup is.
    add(cgroup::compile(command, clone.into_cgroup)?);
    add(existing_cgroup::compile(command, clone.into_cgroup)?);
    add(inherited_cgroups::compile(command, host));
    // The last of what the parent does: there is nothing left that its caller could find undone.
    add(born::compile(command));
    add(barrier::compile(command));
    let (claimed, closing) = (veth::Claimed::default(), pasta::Closing::default());
    let connected = match &command.network {
        Some(_) if !command.namespaces.is_new(Namespace::Net) => {
            let action = "a network of its own needs a new net namespace";
            return Err(Error::invalid("network", action).at("network").contradicting());
        }
        Some(Network::Veth(veth)) => Some(veth::compile(&veth.request, claimed.clone())?),
        Some(Network::Pasta(pasta)) => Some(pasta::compile(pasta, command, &closing)?),
        Some(Network::Names(names)) => Some(egress::compile(names, command, host)?),
        None => None,
    };
    // Rooted where the process is by now.
    add(cgroup::namespace(command));
    for step in mount::compile_early(command) {
        add(Some(step));
    }
    // Root of the user namespace, if it was not born so: what set-up creates has to have an owner.
    add(user::become_root(command, host));
    // The host's /proc is there, and the child has all rights over its own namespace.
    let by_filter = nesting::ByFilter::default();
    add(nesting::compile(command, &by_filter)?);
    // Before the tree, in which files tell of the address.
    add(loopback::compile(command));
    add(connected);
    add(low_ports::compile(command));
    add(sysctl::compile(command)?);
    // From the host's tree, before anything lies over it.
    let anew = reopen::Anew::default();
    add(reopen::stdin(command, host, &anew));
    add(own_files::reopen(command, host, &anew));
    // The tree, in the caller's order, then its terminal while the host's /dev is there, then no way back.
    let tree = root::compile(command, host)?;
    let leave = root::leave(command, tree.as_ref());
    let mounted = mounted::compile(command, tree.as_ref().and_then(root::Tree::moves_to))?;
    add(tree.map(|root| Box::new(root) as Box<dyn Step>));
    for step in mount::compile(command, host)? {
        add(Some(step));
    }
    for step in names::compile(command, &claimed, &closing, user::ids_of_own_files(command, host))? {
        add(Some(step));
    }
    // Kept over every exec, and no right is needed for it later.
    add(scheduling::compile(command)?);
    add(session::compile(command)?);
    let (move_devices, configure_devices) = match net_devices::compile(command)? {
        Some([first, second]) => (Some(first), Some(second)),
        None => (None, None),
    };
    // Before the caller's own work, which may look at them.
    add(move_devices);
    add(mounted);
    add(configure_devices);
    add(leave);
    // Needs the UTS namespace and root in it.
    add(hostname::compile(command)?);
    // Overwrites numbers that set-up was using, so after everything that opens a descriptor but the next.
    add(descriptors::compile(command, anew.clone())?);
    // Opened here, where there is still a number to open it with, and entered below.
    let directory = workdir::open(command)?;
    let opened = directory.as_ref().and_then(workdir::WorkingDirectory::place);
    add(directory.map(|directory| Box::new(directory) as Box<dyn Step>));
    add(nesting::hold(command));
    // Where everything is mounted, and by whatever names the command sees it.
    add(landlock::keep(command, host, &own)?);
    add(filter::keep(command, host, &by_filter, &anew)?);
    add(hold::keep(command)?);
    add(confine::keep(command)?);
    let Compiled { launch, exec } = exec::compile(command)?;
    add(rights::carry(command, host));
    // From here on in memory of its own, if there is a container.
    add(launch);
    // Its maps take rights over the first one; the command's rights are those over the second.
    add(nesting::inner(command, &maps));
    add(rlimits::of_cores(command));
    // Before a filter, which may refuse it.
    add(landlock::restrict(command, true));
    add(filter::install(command, true));
    // While it still has the rights that a module may ask for.
    add(confine::apply(command));
    // A limit on file size or open files is for the command, not for set-up; raising one takes rights.
    add(rlimits::compile(command)?);
    // Rights go last: each step above may need them.
    add(rights::compile(command, host)?);
    add(workdir::enter(opened));
    add(landlock::restrict(command, false));
    // With all of its rights gone, and before a filter, which may refuse it.
    add(hold::wait(command));
    add(filter::install(command, false));
    add(Some(exec));
    Ok(steps)
}
