//! The interpreter: one loop, one match.

use core::ffi::CStr;
use core::net::SocketAddr;

use seclude_sys::signal::Disposition;
use seclude_sys::socket::option;
use seclude_sys::{Errno, Fd, clone, credentials, file, process, signal, socket};

use crate::board::BoardPointer;
use crate::op::{Instruction, Op, SLOTS, Slot};
use crate::wire::{Call, Message};
use crate::{entry, exec, landlock, mounts, rights, terminals};

/// Everything that the child is given.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// What to do, in this order; ends with an exec.
    pub program: &'a [Instruction<'a>],
    /// The child's end of the handshake.
    pub socket: Fd,
    /// For what eight bytes have no room for.
    pub board: BoardPointer,
    /// Whether to measure the time of each step.
    pub timed: bool,
    /// Where to fail.
    #[cfg(feature = "fault")]
    pub fault: Option<Fault>,
}

/// What happens instead of an op.
#[cfg(feature = "fault")]
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The op's number.
    pub op: usize,
    /// The answer that its call is to have; `None`: the parent is killed before the op.
    pub errno: Option<Errno>,
}

#[cfg(feature = "fault")]
fn strike(fault: Fault, socket: Fd) -> Done {
    match fault.errno {
        Some(errno) => Err(Failure(Call::Fault, errno)),
        None => {
            Message::KillParent.send(socket);
            // Until the parent is dead, and this process with it if it has come to say so. Before it has closed its copy
            // of the parent's end it cannot see that, and goes on after a while.
            let _ = socket::hangs_up_within(socket, 100);
            Ok(())
        }
    }
}

/// Why an op failed: the call and its answer.
#[derive(Clone, Copy)]
pub(crate) struct Failure(pub Call, pub Errno);

pub(crate) type Done<T = ()> = Result<T, Failure>;

/// Names the call in its error.
pub(crate) trait Named<T> {
    fn named(self, call: Call) -> Done<T>;
}

impl<T> Named<T> for seclude_sys::Result<T> {
    #[inline(always)]
    fn named(self, call: Call) -> Done<T> {
        match self {
            Ok(value) => Ok(value),
            Err(errno) => Err(Failure(call, errno)),
        }
    }
}

/// Which ops are passed by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipping {
    Nothing,
    /// All that is done to a place that may be missing, and is.
    Place,
    /// What makes an overlay that cannot be had.
    Overlay,
    /// A part of the host's tree that has gone.
    Part,
}

impl Skipping {
    #[inline(always)]
    fn after(self, op: &Op<'_>) -> Skipping {
        let ends = match self {
            Skipping::Nothing => true,
            Skipping::Place => matches!(op, Op::CheckReadOnly { .. } | Op::Mask { .. }),
            Skipping::Overlay => matches!(op, Op::FsMount { .. }),
            Skipping::Part => matches!(op, Op::EndPart),
        };
        if ends { Skipping::Nothing } else { self }
    }
}

/// How much of a part of the host's tree is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The ops are no part's.
    No,
    /// It may have gone.
    Asked(u16),
    /// It is open.
    Layer { lower: Slot, into: Slot, part: u16 },
}

/// What the child knows while it runs.
pub(crate) struct Machine<'a> {
    slots: [Fd; SLOTS],
    pub(crate) skipping: Skipping,
    pub(crate) part: Part,
    /// Whether any part of the host's tree has an overlay over it.
    pub(crate) has_layers: bool,
    /// The tree that was taken from the parent last.
    pub(crate) taken: Fd,
    /// Sockets that the parent has not been given yet, and how many.
    served: [Fd; socket::MOST_FDS],
    serves: usize,
    /// Whether the mount namespace is the caller's, with mounts in it that others see.
    pub(crate) in_place: bool,
    first_umask: Option<u32>,
    pub(crate) setup: &'a Setup<'a>,
}

impl Machine<'_> {
    #[inline(always)]
    pub(crate) fn get(&self, slot: Slot) -> Fd {
        self.slots[slot.0 as usize & (SLOTS - 1)]
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, slot: Slot, fd: Fd) {
        let old = core::mem::replace(&mut self.slots[slot.0 as usize & (SLOTS - 1)], fd);
        if old != Fd::NONE {
            let _ = file::close(old);
        }
    }

    /// The parent has it with the next ones.
    fn give(&mut self, parent: Fd, socket: Fd) -> Done {
        if let Some(place) = self.served.get_mut(self.serves) {
            *place = socket;
            self.serves += 1;
        }
        if self.serves < self.served.len() { Ok(()) } else { self.hand_over(parent) }
    }

    fn hand_over(&mut self, parent: Fd) -> Done {
        let served = self.served.get(..self.serves).unwrap_or_default();
        if served.is_empty() {
            return Ok(());
        }
        let sent = socket::send_with_fds(parent, &Message::Served.encode(), served).named(Call::Send);
        for socket in served {
            let _ = file::close(*socket);
        }
        self.serves = 0;
        sent.map(drop)
    }

    fn close_slots(&mut self) {
        for slot in &mut self.slots {
            if *slot != Fd::NONE {
                let _ = file::close(*slot);
                *slot = Fd::NONE;
            }
        }
    }

    /// That number is no slot's any more, and stays open.
    pub(crate) fn forget(&mut self, number: Fd) {
        for slot in &mut self.slots {
            if *slot == number {
                *slot = Fd::NONE;
            }
        }
    }

    /// That number is the command's or the launcher's from here on: what a slot has there, and may still need, moves above it.
    pub(crate) fn vacate(&mut self, number: Fd) -> Done {
        let mut moved = Fd::NONE;
        for slot in &mut self.slots {
            if *slot == number {
                if moved == Fd::NONE {
                    moved = file::duplicate_above(number, number.0 as u32 + 1).named(Call::Dup)?;
                }
                *slot = moved;
            }
        }
        if self.taken == number && moved != Fd::NONE {
            self.taken = moved;
        }
        Ok(())
    }
}

/// What a child exits with when it failed before its exec; the message, not this, says why.
pub(crate) const FAILED: i32 = 125;

/// Runs the program to its exec, or reports the op that failed and ends.
pub fn run(setup: &Setup<'_>) -> ! {
    let mut machine = Machine {
        slots: [Fd::NONE; SLOTS],
        skipping: Skipping::Nothing,
        part: Part::No,
        has_layers: false,
        taken: Fd::NONE,
        served: [Fd::NONE; socket::MOST_FDS],
        serves: 0,
        in_place: false,
        first_umask: None,
        setup,
    };
    let mut before = if setup.timed { process::monotonic_ns() } else { 0 };
    for (number, instruction) in setup.program.iter().enumerate() {
        #[cfg(feature = "fault")]
        let struck = match setup.fault {
            Some(fault) if fault.op == number => strike(fault, setup.socket),
            _ => Ok(()),
        };
        #[cfg(not(feature = "fault"))]
        let struck = Ok(());
        if let Err(Failure(call, errno)) = struck.and_then(|()| perform(&mut machine, &instruction.op)) {
            let op = number as u16;
            Message::Failed { step: instruction.step, op, call, errno }.send(setup.socket);
            break;
        }
        if setup.timed {
            let now = process::monotonic_ns();
            setup.board.add_time(instruction.step, now.wrapping_sub(before));
            before = now;
        }
    }
    process::exit(FAILED)
}

fn perform(machine: &mut Machine<'_>, op: &Op<'_>) -> Done {
    let socket = machine.setup.socket;
    if machine.skipping != Skipping::Nothing {
        let skipping = machine.skipping;
        machine.skipping = skipping.after(op);
        return if skipping == Skipping::Part { mounts::let_go(machine, op) } else { Ok(()) };
    }
    match *op {
        Op::DieWithParent => {
            process::set_parent_death_signal(SIGKILL).named(Call::Prctl)?;
            // The parent may have died before the line above: then nobody will send the signal.
            if socket::hung_up(socket) {
                process::exit(FAILED);
            }
            Ok(())
        }
        Op::OutliveParent => process::set_parent_death_signal(0).named(Call::Prctl),
        Op::Barrier => wait_for_go(socket),
        Op::Mounted => {
            Message::Mounted.send(socket);
            wait_for_go(socket)
        }
        Op::Offer { mount } => {
            socket::send_with_fd(socket, &Message::Offered.encode(), machine.get(mount)).named(Call::Send)?;
            wait_for_go(socket)
        }
        Op::Join { namespace, kind } => clone::setns(namespace, kind).named(Call::Setns),
        Op::Unshare { flags } => clone::unshare(flags).named(Call::Unshare),
        Op::EnterPidNamespace => entry::go_on_as_sibling(socket),
        Op::JoinCgroup { tasks } => file::write(tasks, b"0").map(drop).named(Call::Write),
        Op::CgroupNamespace => clone::unshare(clone::CLONE_NEWCGROUP).named(Call::Unshare),
        Op::TimeOffsets { text, separate } => set_time_offsets(text, separate),

        Op::Part { number } => {
            machine.part = Part::Asked(number);
            Ok(())
        }
        Op::Layer { lower, into, part } => {
            machine.part = Part::Layer { lower, into, part };
            Ok(())
        }
        Op::EndPart => {
            machine.part = Part::No;
            Ok(())
        }
        Op::CheckParts if machine.has_layers => Ok(()),
        Op::CheckParts => Err(Failure(Call::FsCreate, Errno::EINVAL)),

        Op::EnterTree { .. }
        | Op::MakePrivate
        | Op::OpenHost { .. }
        | Op::CloneTree { .. }
        | Op::CloneFrom { .. }
        | Op::FsOpen { .. }
        | Op::FsString { .. }
        | Op::FsFlag { .. }
        | Op::FsFd { .. }
        | Op::FsMount { .. }
        | Op::SetAttributes { .. }
        | Op::CheckReadOnly { .. }
        | Op::CheckDevice { .. }
        | Op::Resolve { .. }
        | Op::ResolveIfPresent { .. }
        | Op::HoldWay { .. }
        | Op::Attach { .. }
        | Op::Mask { .. }
        | Op::Note { .. }
        | Op::LookAgain { .. }
        | Op::Uncover { .. }
        | Op::MoveRoot { .. }
        | Op::RootInPlace { .. }
        | Op::Pivot
        | Op::ChangeRoot { .. }
        | Op::EnterRoot { .. }
        | Op::CheckRoot
        | Op::ChangeAttributes { .. }
        | Op::MakeDevice { .. }
        | Op::MakeDirectory { .. }
        | Op::MakeSymlink { .. }
        | Op::LinkToSlot { .. }
        | Op::OpenToRead { .. }
        | Op::Reopen { .. }
        | Op::TakeTree { .. }
        | Op::TakeCovers { .. }
        | Op::SameAs { .. }
        | Op::WriteFile { .. }
        | Op::ChangeMode { .. }
        | Op::GiveAway { .. }
        | Op::GoTo { .. } => mounts::perform(machine, op),

        Op::Ruleset { files, net, scopes } => landlock::create(machine, files, net, scopes),
        Op::AllowPath { path, below, file } => landlock::allow_path(machine, path, below, file),
        Op::AllowPort { port, access } => landlock::allow_port(machine, port, access),

        Op::Route { request } => socket::route_request(request).named(Call::Netlink),
        Op::Packets { batch } => socket::filter_request(batch).named(Call::Netlink),
        Op::SendLayers { directory } => {
            socket::send_with_fd(socket, &Message::Layers.encode(), machine.get(directory)).named(Call::Send)?;
            // What the command writes is not to be taken for set-up's own.
            wait_for_go(socket)
        }
        Op::Serve { ref address, stream } => machine.give(socket, serve(address, stream)?),
        Op::Spare { ipv6, count } => {
            for _ in 0..count {
                machine.give(socket, socket::internet(ipv6, true).named(Call::Socket)?)?;
            }
            Ok(())
        }
        Op::Watch { ipv6 } => machine.give(socket, watch(ipv6)?),
        Op::HandOver => machine.hand_over(socket),
        Op::Hostname { name } => process::set_hostname(name).named(Call::Sethostname),
        Op::Domainname { name } => process::set_domainname(name).named(Call::Setdomainname),

        Op::Rlimit { resource, soft, hard } => process::set_rlimit(resource, soft, hard).named(Call::Setrlimit),
        Op::Umask { mask } => {
            let before = process::umask(mask.or(machine.first_umask).unwrap_or(0o022));
            machine.first_umask.get_or_insert(before);
            Ok(())
        }
        Op::WriteProc { path, text } => write_proc(path, text),
        Op::WorkingDirectory { path } => mounts::open_working_directory(machine, path),
        Op::NewSession => process::setsid().named(Call::Setsid),
        Op::NewKeyring => match process::join_new_session_keyring() {
            // A kernel without keys has none to share.
            Err(Errno::ENOSYS) => Ok(()),
            // Below a filter that refuses keyctl(2), as engines have it, keys are out of reach for the command as well.
            Err(Errno::EPERM) if process::session_keyring() == Err(Errno::EPERM) => Ok(()),
            joined => joined.named(Call::Keyctl),
        },
        Op::Personality { persona } => process::set_personality(persona).named(Call::Personality),
        Op::Scheduler { ref attributes } => process::set_scheduler(attributes).named(Call::SchedSetattr),
        Op::IoPriority { value } => process::set_io_priority(value).named(Call::IoprioSet),
        Op::MemoryPolicy { mode, nodes } => process::set_memory_policy(mode, nodes).named(Call::SetMempolicy),
        Op::Affinity { processors } => process::set_affinity(processors).named(Call::SchedSetaffinity),
        Op::LowerPriority => lower_priority(),
        Op::WriteOwnProc { path, text } => write_to(machine.get(Slot::PROC), path, text),
        Op::OpenTerminal { own, joined, size, owner } => {
            let master = if joined { terminals::joined_master()? } else { terminals::new_master(machine, own)? };
            terminals::open_terminal(machine, master, size, owner)
        }
        Op::UseTerminal { stdio, controls } => terminals::use_terminal(machine, stdio, controls),
        Op::PlaceFd { from, to } if from == to => file::set_close_on_exec(to, false).named(Call::Dup),
        Op::PlaceFd { from, to } => {
            machine.vacate(to)?;
            file::duplicate_onto(from, to, false).named(Call::Dup)
        }
        Op::CloseRange { first, last } => file::close_range(first, last).named(Call::CloseRange),
        Op::Hold { slot, at } => {
            if machine.get(slot) == at {
                machine.forget(at);
                return file::set_close_on_exec(at, false).named(Call::Dup);
            }
            machine.vacate(at)?;
            file::duplicate_onto(machine.get(slot), at, false).named(Call::Dup)?;
            machine.set(slot, Fd::NONE);
            Ok(())
        }
        Op::TakeOver { fd, into } => {
            machine.set(into, fd);
            Ok(())
        }
        Op::Keep { fd } => file::set_close_on_exec(fd, false).named(Call::Dup),
        Op::CloseSlots => {
            machine.close_slots();
            Ok(())
        }

        Op::CarryCapabilities => rights::carry_capabilities(),
        Op::KeepCapabilities => credentials::keep_capabilities(true).named(Call::Prctl),
        Op::BoundingSet { keep } => rights::limit_bounding_set(keep),
        Op::Groups { groups } => credentials::set_groups(groups).named(Call::Setgroups),
        Op::Gid { gid } => credentials::set_gid(gid).named(Call::Setresgid),
        Op::Uid { uid } => credentials::set_uid(uid).named(Call::Setresuid),
        Op::Capabilities { sets } => credentials::set_capabilities(sets).named(Call::Capset),
        Op::Ambient { raise } => rights::set_ambient(raise),
        Op::NoNewPrivileges => process::set_no_new_privs().named(Call::Prctl),
        Op::DefaultSignals { kept } => default_signals(kept),
        Op::SignalMask { mask } => signal::set_mask(mask).map(drop).named(Call::Sigprocmask),
        Op::Exec { candidates, argv, envp } => Err(exec::search(machine.setup.board, candidates, argv, envp)),
        Op::Launch { image, argv, envp } => {
            file::set_close_on_exec(socket, false).named(Call::Dup)?;
            Err(Failure(Call::Launch, process::execve_fd(image, argv, envp)))
        }
        // They come behind a launch, which does not return.
        Op::EnterHeld { .. }
        | Op::Filter { .. }
        | Op::Restrict { .. }
        | Op::NotForCommand { .. }
        | Op::EndWith { .. }
        | Op::Wait { .. }
        | Op::ConfineOnExec { .. }
        | Op::CarryNoMore { .. }
        | Op::InnerNamespaces { .. } => Err(Failure(Call::Launch, Errno::ENOSYS)),
        Op::Rehearse { candidates } => Err(exec::rehearse(candidates)),
    }
}

const SIGKILL: u32 = 9;

fn wait_for_go(socket: Fd) -> Done {
    let mut go = [0u8; 1];
    match socket::receive(socket, &mut go).named(Call::Receive)? {
        0 => process::exit(FAILED),
        _ => Ok(()),
    }
}

/// Raising any of it takes rights, and a caller that is nice wants its command to be.
#[cold]
#[inline(never)]
fn lower_priority() -> Done {
    if process::nice().named(Call::Setpriority)? < 0 {
        process::set_nice(0).named(Call::Setpriority)?;
    }
    // Below a filter that refuses the questions there is no way to the others either.
    if process::is_scheduled_in_real_time().unwrap_or(false) {
        process::schedule_as_usual().named(Call::SchedSetattr)?;
    }
    if process::io_priority().is_ok_and(process::is_io_in_real_time) {
        process::set_io_priority(0).named(Call::IoprioSet)?;
    }
    Ok(())
}

/// Writes to a file of /proc after making sure that it is one: a mount over /proc must not swallow the write.
fn write_proc(path: &CStr, text: &[u8]) -> Done {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    let fd = file::open(Fd::CWD, path, file::O_WRONLY, 0, 0).named(Call::Openat2)?;
    let written = match seclude_sys::mount::filesystem_magic(fd).named(Call::Statfs) {
        Ok(PROC_SUPER_MAGIC) => file::write(fd, text).map(drop).named(Call::Write),
        Ok(_) => Err(Failure(Call::Statfs, Errno::ENODEV)),
        Err(failure) => Err(failure),
    };
    let _ = file::close(fd);
    written
}

/// Writes to a file below a proc file system of ours.
fn write_to(base: Fd, path: &CStr, text: &[u8]) -> Done {
    let leash = file::RESOLVE_BENEATH | file::RESOLVE_NO_SYMLINKS;
    let fd = file::open(base, path, file::O_WRONLY, 0, leash).named(Call::Openat2)?;
    let written = file::write(fd, text).map(drop).named(Call::Write);
    let _ = file::close(fd);
    written
}

/// The offsets of a time namespace can be set until the first process is in it, time_namespaces(7). With shared
/// memory that is our exec; a copied child would be in it from birth, so it makes the namespace here.
fn set_time_offsets(text: &[u8], separate: bool) -> Done {
    if separate {
        clone::unshare(clone::CLONE_NEWTIME).named(Call::Unshare)?;
    }
    if !text.is_empty() {
        write_proc(c"/proc/self/timens_offsets", text)?;
    }
    if separate {
        let path = c"/proc/self/ns/time_for_children";
        let namespace = file::open(Fd::CWD, path, file::O_RDONLY, 0, 0).named(Call::Openat2)?;
        let entered = clone::setns(namespace, clone::CLONE_NEWTIME).named(Call::Setns);
        let _ = file::close(namespace);
        entered?;
    }
    Ok(())
}

/// As many connections as the kernel lets wait, listen(2); each namespace has its own net.core.somaxconn, which is 4096.
const BACKLOG: u32 = 4096;

fn serve(address: &SocketAddr, stream: bool) -> Done<Fd> {
    let ipv6 = address.is_ipv6();
    let served = socket::internet(ipv6, stream).named(Call::Socket)?;
    let set = |(level, option)| socket::set_option(served, level, option, 1).named(Call::Setsockopt);
    let opened = (|| {
        if ipv6 {
            set(option::ONLY_V6)?;
            // Its slot is an address of no link.
            set(option::FREE_BIND6)?;
        }
        if !stream {
            set(if ipv6 { option::PACKET_INFO6 } else { option::PACKET_INFO })?;
        }
        socket::bind(served, address).named(Call::Bind)?;
        if stream {
            socket::listen(served, BACKLOG).named(Call::Listen)?;
        }
        Ok(served)
    })();
    if opened.is_err() {
        let _ = file::close(served);
    }
    opened
}

fn watch(ipv6: bool) -> Done<Fd> {
    // What is refused is refused without it, too: the parent sees by its type that nothing will be told.
    socket::segments(ipv6).or_else(|_| socket::internet(false, false)).named(Call::Socket)
}

fn default_signals(kept: u64) -> Done {
    for number in 1..=64 {
        // Few have another one, so asking is all that most cost. SIGKILL and SIGSTOP have no other.
        match signal::disposition(number).named(Call::Sigaction)? {
            Disposition::Default => {}
            Disposition::Ignored if kept & (1 << (number - 1)) != 0 => {}
            _ => signal::set_default(number).named(Call::Sigaction)?,
        }
    }
    Ok(())
}
