//! The parent's half: prepare, clone, attend, GO, and either a running child or an error and a clean host.

mod hidden;
mod keeper;
mod trees;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use bumpalo::Bump;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use seclude_child::board::Board;
use seclude_child::entry::{Memory, Newborn, birth};
use seclude_child::run::Setup;
use seclude_child::wire::{Call, Message};
use seclude_request::{Field, Remedy};
use seclude_sys::{Errno, Fd, process, signal};

use crate::advice::Hint;
use crate::channel::{self, Channel, Event};
use crate::child::{Child, Running, Ties};
use crate::config::clone::CloneWay;
use crate::discarded::Layers;
use crate::ends::ParentEnds;
use crate::error::{Error, Result, Side};
use crate::fault::Place;
use crate::handled::Bound;
use crate::ledger::Ledger;
use crate::listeners::Listening;
use crate::patience::Patience;
use crate::plan::Plan;
use crate::program::Wanted;
use crate::reach::Reaching;
use crate::report::{Placement, Report, StepTime};
use crate::step::{Born, Preparation};

use hidden::{Hidden, Seen};

/// Runs a plan.
pub(crate) fn spawn(plan: Plan) -> Result<Child> {
    // The kernel sends the death signal when the *thread* ends that cloned. An init watches its socket instead.
    let dies_with_thread = plan.command.die_with_parent && !plan.command.init;
    let may_be_left = plan.command.stuck.is_none() && !plan.command.patience().is_endless();
    if dies_with_thread && !keeper::on_main_thread() || may_be_left {
        keeper::spawn(plan, dies_with_thread)
    } else {
        spawn_here(plan)
    }
}

/// The same, for a thread that does not end before the process, nor has to return before a start that cannot be ended.
pub(crate) fn spawn_here(mut plan: Plan) -> Result<Child> {
    let patience = plan.command.patience();
    let _held = signal::FileSizeSignal::hold();
    // Before anything is undone: which limit it was is found by looking at what is in use.
    let processes = plan.command.processes;
    let explained = move |error: Error| {
        let unexplained = error.raw_os_error().filter(|_| error.advice().is_none());
        let exhausted = unexplained.and_then(|errno| match processes {
            // (openat2(2) says it of renames.)
            Bound::By(most)
                if error.side() == Side::Child
                    && errno == rustix::io::Errno::AGAIN.raw_os_error()
                    && error.system_call() != Some("openat2") =>
            {
                Some(crate::exhaustion::processes_inside(most))
            }
            _ => crate::exhaustion::of(errno, error.system_call()),
        });
        error.hint_if(exhausted)
    };
    let reserved = |errno| explained(Error::parent("clone", "descriptors to undo it with", errno));
    let mut ledger = match plan.command.reserves {
        true => Ledger::with_reserve().map_err(reserved)?,
        false => Ledger::default(),
    };
    crate::made_record::sweep_once();
    ledger.mount_points.held_by_init = plan.command.init;
    ledger.mount_points.recorded = plan.command.init || plan.command.die_with_parent;
    match start(&mut plan, &mut ledger, &patience) {
        Ok(running) => {
            ledger.give_reserve_back();
            if !plan.command.waits {
                plan.steps.iter().for_each(|step| step.runs());
            }
            Ok(Child::new(running, ledger, &plan.command))
        }
        Err(error) => {
            let mut error = explained(error);
            ledger.unwind(&mut error);
            Err(error)
        }
    }
}

/// Why the attendance ended without a running command.
enum Stopped {
    /// The child said so; its detail is on the board or came with the message.
    Failed { op: u16, call: Call, errno: Errno, detail: Vec<u8> },
    /// It ended without a word, by a signal or otherwise.
    Ended(Option<i32>),
    /// The parent's half failed.
    Parent(Error),
}

impl Stopped {
    fn from_child((op, call, errno): (u16, Call, Errno)) -> Stopped {
        Stopped::Failed { op, call, errno, detail: Vec::new() }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        Stopped::Parent(error)
    }
}

/// What came over the socket on the way to the exec.
#[derive(Default)]
struct Arrived {
    terminal: Option<OwnedFd>,
    /// What it writes to, where that is memory.
    layers: Option<Layers>,
    /// The thread that answers what the filter asks.
    listening: Option<Listening>,
    /// Why there is none.
    deaf: Option<String>,
    /// As long as the child has our memory.
    hidden: Option<Hidden>,
    /// Until the child's maps are written.
    seen: Option<Seen>,
    attended: Option<Instant>,
}

fn start(plan: &mut Plan, ledger: &mut Ledger, patience: &Patience) -> Result<Running> {
    let started = Instant::now();
    if signal::children_are_forgotten() && !plan.command.init && !crate::host::exit_survives_reaping() {
        return Err(Error::invalid("clone", "the caller ignores SIGCHLD: the kernel would throw the exit code away")
            .hint(
                Hint::from("give SIGCHLD its default action, or ask for an init, or use Linux 6.15")
                    .with([Remedy::set("init", true)]),
            ));
    }
    let mut report = Report::new(plan.clone.way.name(), plan.clone.memory, &plan.clone.reason);
    may_have(plan.command.highest_descriptor)?;
    let mut ends = ParentEnds { socket_above: plan.command.highest_descriptor, ..ParentEnds::default() };
    let host = plan.host.clone();
    let mut container_root = (host.uid, host.gid);
    let mut container_user = plan.command.user;
    for (number, step) in plan.steps.iter_mut().enumerate() {
        let before = Instant::now();
        let prepared = step.prepare(&mut Preparation {
            host: &host,
            patience,
            ledger,
            ends: &mut ends,
            report: &mut report,
            container_root: &mut container_root,
            container_user: &mut container_user,
        });
        prepared.map_err(|error| error.or_at(step.field()))?;
        report.prepare.add(step.name(), before.elapsed());
        plan.command.strike(Place::Prepared(number), step.name()).map_err(|error| error.or_at(step.field()))?;
    }
    let (ours, theirs) = channel::pair(ends.socket_above, plan.command.joins_pid_early || plan.command.joins_pid_late)?;
    let board =
        Board::new(plan.clone.memory).map_err(|errno| Error::parent("clone", "shared page", errno).call("mmap"))?;
    let arena = Bump::new();
    let program = plan.program(&arena, Fd(theirs.as_raw_fd()))?;
    let setup = Setup {
        program: &program.instructions,
        socket: Fd(theirs.as_raw_fd()),
        board: board.pointer(),
        timed: plan.command.timed,
        #[cfg(feature = "fault")]
        fault: plan.command.fault.and_then(|(place, fault)| match place {
            Place::Op(op) => Some(seclude_child::run::Fault { op, errno: fault.errno() }),
            _ => None,
        }),
    };
    report.prepared = started.elapsed();

    let mut arrived = Arrived::default();
    let mut listening = ends.listening.take();
    let mut reaching = ends.reaching.take();
    if plan.command.hides && !Seen::is_here() {
        arrived.hidden = Some(Hidden::begin()?);
    } else if plan.command.is_seen {
        arrived.seen = Some(Seen::begin());
    }
    let mut cloned = None;
    let born = birth(&plan.request(), &setup, |newborn| {
        cloned = Some(Instant::now());
        drop(theirs);
        if plan.clone.memory == Memory::Copied {
            // The copy stays hidden.
            arrived.hidden = None;
        }
        let mut attendance = Attendance {
            plan,
            trees: &program.trees,
            channel: &ours,
            patience,
            listening: &mut listening,
            reach: &mut reaching,
        };
        attendance.attend(newborn, ledger, &mut report, &mut arrived)
    });
    let running = Instant::now();
    drop(arrived.hidden.take());
    if born.as_ref().is_ok_and(|born| born.is_err())
        && let Some(listening) = arrived.listening.take()
    {
        // The child, which was the only one, has been waited for.
        listening.ended();
    }
    report.deaf = report.deaf.or(arrived.deaf.take());
    if born.as_ref().is_ok_and(|born| born.is_err()) {
        // Nobody's any more; and what was made is known by descriptors, which these may have taken the last of.
        drop(reaching.take());
        ours.made().into_iter().for_each(|made| ledger.mount_points.note(made));
    }
    if let Some(cloned) = cloned {
        report.cloned = cloned.duration_since(started).saturating_sub(report.prepared);
        let attended = arrived.attended.unwrap_or(running);
        report.attended = attended.duration_since(cloned);
        report.set_up = running.duration_since(attended);
    }
    let born = born.map_err(|errno| {
        let action = format!("{} of {}", plan.clone.way, plan.command.program);
        let call = if plan.clone.way == CloneWay::Legacy { "clone" } else { "clone3" };
        let of_its_cgroup = plan.request().cgroup.and_then(|_| crate::hint::birth_in_cgroup(errno));
        let field = match &of_its_cgroup {
            Some(_) => plan.steps.iter().find(|step| step.birthplace().is_some()).and_then(|step| step.field()),
            None => (plan.clone.namespaces != 0).then(|| Field::of("namespaces")),
        };
        let hint = of_its_cgroup.or_else(|| crate::hint::clone(errno, plan.clone.namespaces, &host));
        Error::parent("clone", action, errno).call(call).hint_if(hint).or_at(field)
    })?;
    match born {
        Ok(((), newborn)) => {
            if plan.command.timed {
                let times = plan.step_times(|number| board.nanoseconds(number));
                report.child =
                    times.into_iter().map(|(step, ns)| StepTime { step, microseconds: ns as f64 / 1e3 }).collect();
            }
            let by_birth = plan.request().cgroup.is_some();
            if let Some(cgroup) = ends.cgroup.get() {
                report.cgroup = Some(Placement::of(cgroup, by_birth));
            }
            let channel = (plan.command.init || plan.command.holds || plan.command.waits).then_some(ours);
            let ties = Ties {
                process: std::process::id(),
                terminal: arrived.terminal,
                channel,
                ended: None,
                keeper: None,
                relays: Vec::new(),
                listening: arrived.listening,
                reach: ends.reach.take(),
                layers: arrived.layers,
            };
            Ok(Running { newborn, ends, ties, report, started })
        }
        Err(Stopped::Parent(error)) => Err(error),
        Err(Stopped::Ended(signal)) => Err(ended_early(signal, &ends)),
        Err(Stopped::Failed { op, call, errno, detail }) => {
            let detail = if detail.is_empty() { board.detail() } else { &detail };
            Err(plan.failure(&program, op, call, errno, detail))
        }
    }
}

/// Fails where the limit of open files leaves no number above the highest that the command is given: what set-up has lies there.
fn may_have(highest: i32) -> Result<()> {
    const NAME: &str = "descriptors";
    const RLIMIT_NOFILE: u32 = 7;
    if highest <= 2 {
        return Ok(());
    }
    let (limit, _) = process::rlimit(RLIMIT_NOFILE)
        .map_err(|errno| Error::parent(NAME, "the limit of open files", errno).call("prlimit64"))?;
    if u64::try_from(highest).is_ok_and(|highest| highest + 1 < limit) {
        return Ok(());
    }
    let action = format!(
        "{highest} inside: set-up has its own descriptors above it, and this process may have none from {limit} on"
    );
    let error = Error::invalid(NAME, action).at(NAME);
    Err(error.hint("choose a lower number, or raise the limit of open files (ulimit -n)"))
}

/// From the clone to the exec, on the parent's side.
struct Attendance<'a> {
    plan: &'a Plan,
    trees: &'a [Wanted],
    channel: &'a Channel,
    patience: &'a Patience,
    /// Until the listener comes.
    listening: &'a mut Option<Listening>,
    /// Until all sockets have come.
    reach: &'a mut Option<Reaching>,
}

impl Attendance<'_> {
    fn attend(
        &mut self,
        newborn: &mut Newborn,
        ledger: &mut Ledger,
        report: &mut Report,
        arrived: &mut Arrived,
    ) -> Result<(), Stopped> {
        let Attendance { plan, channel, patience, .. } = *self;
        if plan.command.joins_pid_early {
            match channel.receive(patience, Some(newborn.pid))? {
                Event::Moved(pid) => follow(newborn, pid)?,
                other => return Err(unexpected(other, newborn, channel)),
            }
        }
        let born = Born::of(newborn);
        for (number, step) in plan.steps.iter().enumerate() {
            let before = Instant::now();
            // What cannot be done to a child that has failed is not the reason: that is what the child said, or its end.
            step.attend(&born, ledger).map_err(|error| match channel.said_already() {
                Some(said) => Stopped::from_child(said),
                None => death_of(newborn).map_or(Stopped::Parent(error.or_at(step.field())), Stopped::Ended),
            })?;
            report.attend.add(step.name(), before.elapsed());
            plan.command.strike(Place::Attended(number), step.name()).map_err(|error| error.or_at(step.field()))?;
        }
        arrived.attended = Some(Instant::now());
        arrived.seen = None;
        if plan.command.is_seen && plan.command.changes_ids && plan.clone.memory == Memory::Shared {
            // The kernel hides it then, and leaves it so.
            arrived.hidden = Some(Hidden::begin()?);
        }
        if plan.command.has_barrier {
            channel.go()?;
        }
        if !self.trees.is_empty() {
            let sent = trees::send(self.trees, |step| plan.field_of(step), &born, channel, patience);
            report.plain = sent.map_err(|error| match channel.said_already() {
                Some(said) => Stopped::from_child(said),
                None => Stopped::Parent(error),
            })?;
        }
        self.until_it_runs(newborn, ledger, report, arrived)
    }

    fn until_it_runs(
        &mut self,
        newborn: &mut Newborn,
        ledger: &mut Ledger,
        report: &mut Report,
        arrived: &mut Arrived,
    ) -> Result<(), Stopped> {
        let Attendance { plan, channel, patience, .. } = *self;
        // Once it is among others, one that has CAP_SYS_PTRACE there may speak for it.
        let mut is_among_others = false;
        let mut is_mounted = false;
        let mut listener = None;
        let mut to_fill = plan.steps.iter().filter(|step| step.fills());
        loop {
            // In there it can be seen, and spoken for, before this is known.
            let alone = (plan.command.joins_pid_late && !is_among_others).then_some(newborn.pid);
            match channel.receive(patience, alone)? {
                #[cfg(feature = "fault")]
                Event::Message(Message::KillParent) => crate::fault::die(),
                Event::Moved(pid) if plan.command.joins_pid_late && !is_among_others => {
                    follow(newborn, pid)?;
                    is_among_others = true;
                    // Who answers is to look at the process that asks.
                    if let Some(listener) = listener.take() {
                        self.serve(newborn, listener)?;
                    }
                }
                other @ (Event::Terminal(_)
                | Event::Layers(_)
                | Event::Listener(_)
                | Event::Made(_)
                | Event::Served(_))
                    if is_among_others =>
                {
                    return Err(unexpected(other, newborn, channel));
                }
                Event::Terminal(master) => arrived.terminal = Some(master),
                Event::Message(message @ (Message::Unlayered(number) | Message::LeftOut(number)))
                    if !is_among_others =>
                {
                    let part = plan.steps.iter().find_map(|step| step.part(number)).map(Path::to_owned);
                    let gone = matches!(message, Message::LeftOut(_));
                    if gone { &mut report.left_out } else { &mut report.read_only }.extend(part);
                }
                Event::Layers(directory) => {
                    arrived.layers = Some(match arrived.layers.take() {
                        None => Layers::new(directory),
                        Some(layers) => layers.below(directory, &plan.command.own_directories),
                    });
                    channel.go()?;
                }
                Event::Served(sockets) => {
                    if let Some(reach) = self.reach {
                        let failed = |error| Error::parent("egress", "begin to relay", error).at("network");
                        sockets.into_iter().try_for_each(|socket| reach.add(socket)).map_err(failed)?;
                    }
                }
                Event::Listener(Ok(handed)) if plan.command.serves && self.listening.is_none() => {
                    match plan.command.joins_pid_late {
                        true => listener = Some(handed),
                        false => self.serve(newborn, handed)?,
                    }
                }
                Event::Listener(Ok(listener)) => {
                    // What comes before the exec may already ask.
                    if let Some(mut listening) = self.listening.take() {
                        let failed = |error| Error::parent("filter", "listen", error).call("epoll_ctl");
                        listening.begin(listener).map_err(failed)?;
                        arrived.listening = Some(listening);
                    }
                }
                Event::Listener(Err(errno)) => {
                    *self.listening = None;
                    arrived.deaf = Some(crate::hint::no_listener(errno));
                }
                Event::Made(made) => ledger.mount_points.note(made),
                // In the order of the mounts.
                Event::Offered(mount) if !is_among_others && !is_mounted => {
                    let Some(step) = to_fill.next() else {
                        return Err(unexpected(Event::Offered(mount), newborn, channel));
                    };
                    step.fill(mount).map_err(|error| error.or_at(step.field()))?;
                    channel.go()?;
                }
                // Once: a second one is somebody else's.
                Event::Message(Message::Mounted) if plan.command.attends_mounts && !is_mounted => {
                    is_mounted = true;
                    let born = Born::of(newborn);
                    for step in &plan.steps {
                        step.attend_mounted(&born, ledger).map_err(|error| error.or_at(step.field()))?;
                    }
                    channel.go()?;
                }
                Event::Message(Message::Running) if plan.command.init || plan.command.holds || plan.command.waits => {
                    return Ok(());
                }
                Event::End if !plan.command.init && !plan.command.waits && has_executed(newborn) => return Ok(()),
                other => return Err(unexpected(other, newborn, channel)),
            }
        }
    }
}

impl Attendance<'_> {
    /// And lets it go on, as it executes nothing before.
    fn serve(&self, newborn: &Newborn, listener: OwnedFd) -> Result<()> {
        let born = Born::of(newborn);
        let Some(step) = self.plan.steps.iter().find(|step| step.serves()) else { return Ok(()) };
        step.serve(&born, listener).map_err(|error| error.or_at(step.field()))?;
        self.channel.go()
    }
}

/// The process went on as `pid`, a sibling inside the pid namespace; the one before it has ended.
fn follow(newborn: &mut Newborn, pid: i32) -> Result<()> {
    let failed = |errno| Error::parent("join", format!("pidfd of {pid}"), errno).call("pidfd_open");
    let raw = Pid::from_raw(pid).ok_or_else(|| failed(rustix::io::Errno::SRCH))?;
    let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(failed)?;
    // A sibling of the one before is our child.
    waitid(WaitId::PidFd(pidfd.as_fd()), quietly(true)).map_err(failed)?;
    let before = std::mem::replace(newborn, Newborn { pid, pidfd });
    signal::reap(Fd(before.pidfd.as_raw_fd()));
    Ok(())
}

fn unexpected(event: Event, newborn: &Newborn, channel: &Channel) -> Stopped {
    match event {
        Event::Message(Message::Failed { op, call, errno, .. }) => {
            // An init has no board: what it read of the command's file comes as a second record.
            let begins = call == Call::ExecInterpreter || (call, errno) == (Call::Execve, Errno::ENOEXEC);
            let detail = if begins { channel.rest() } else { Vec::new() };
            Stopped::Failed { op, call, errno, detail }
        }
        Event::End => {
            // Its files are closed a moment before its end shows.
            let moment = Timespec { tv_sec: 1, tv_nsec: 0 };
            let _ = poll(&mut [PollFd::new(&newborn.pidfd, PollFlags::IN)], Some(&moment));
            Stopped::Ended(death_of(newborn).flatten())
        }
        Event::Moved(_) | Event::Terminal(_) | Event::Listener(_) | Event::Made(_) => {
            let action = "a process of the namespaces that it has joined speaks for it";
            Stopped::Parent(Error::invalid("join", action).hint("join none of code that has CAP_SYS_PTRACE there"))
        }
        other => Stopped::Parent(Error::invalid("child", format!("it said {other:?} out of turn"))),
    }
}

/// Whether the child has ended, and the signal that did it, if one did.
fn death_of(newborn: &Newborn) -> Option<Option<i32>> {
    let status = waitid(WaitId::PidFd(newborn.pidfd.as_fd()), quietly(true)).ok().flatten()?;
    Some(status.terminating_signal())
}

/// The child ended before its exec and could not say why: somebody killed it.
fn ended_early(signal: Option<i32>, ends: &ParentEnds) -> Error {
    let how = signal.map_or("something that it could not report".to_owned(), |signal| format!("signal {signal}"));
    let out_of_memory = ends.cgroup.get().and_then(|cgroup| cgroup.events().ok()?.oom_kill).unwrap_or(0) > 0;
    Error::invalid("child", format!("it was ended before its exec by {how}")).hint(match out_of_memory {
        true => "its memory limit is too small for its start",
        false => "out of memory, a limit of the caller's cgroup, or somebody's kill",
    })
}

fn quietly(any: bool) -> WaitIdOptions {
    let all = if any { WaitIdOptions::from_bits_retain(signal::WALL) } else { WaitIdOptions::empty() };
    WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT | all
}

/// Whether the end of file means exec: a child that was killed before closes its socket too.
///
/// Only an exec gives a child its exit signal (SIGCHLD) back, and without one only `__WALL` finds it.
fn has_executed(newborn: &Newborn) -> bool {
    let find = |any| waitid(WaitId::PidFd(newborn.pidfd.as_fd()), quietly(any));
    match find(false) {
        // Where SIGCHLD is ignored, one that has ended after its exec is nobody's child any more.
        Err(rustix::io::Errno::CHILD) => signal::children_are_forgotten() && find(true).is_err(),
        _ => true,
    }
}
