//! A request, compiled: who does what, in which order, before anything is done.

use std::fmt;

use bumpalo::Bump;
use seclude_child::board::CLOCKS;
use seclude_child::entry::{Memory, Request};
use seclude_child::wire::Call;
use seclude_sys::clone::{CLONE_NEWCGROUP, CLONE_NEWNS, CLONE_NEWTIME};
use seclude_sys::{Errno, Fd};
use serde::Serialize;

use crate::command::Command;
use crate::config::clone::CloneWay;
use crate::config::namespace::Namespace;
use crate::error::{Code, Error, Result};
use crate::host::Host;
use crate::ops;
use crate::program::{Finished, Program, number_of};
use crate::spawn::{Canceller, Patience};
use crate::step::{self, Step};

/// What will happen, as data. [`Plan::actions`] and `Display` show it; [`crate::Command::spawn`] runs it.
pub struct Plan {
    pub(crate) steps: Vec<Box<dyn Step>>,
    names: Vec<&'static str>,
    pub(crate) clone: ClonePlan,
    pub(crate) host: Host,
    pub(crate) command: Handled,
}

/// What the handle needs to know of the request.
#[derive(Clone, Debug)]
pub(crate) struct Handled {
    pub(crate) deadline: Option<std::time::Duration>,
    pub(crate) kill_on_drop: bool,
    pub(crate) die_with_parent: bool,
    pub(crate) init: bool,
    pub(crate) new_pid: bool,
    pub(crate) new_mount: bool,
    /// Whether set-up itself goes on as another process.
    pub(crate) joins_pid_early: bool,
    /// Whether it is no command, but a holder of a user namespace.
    pub(crate) holds: bool,
    /// Whether nobody may look into this process while the child has its memory, or a copy.
    pub(crate) hides: bool,
    /// Whether the child changes its ids before it leaves our memory, which hides that.
    pub(crate) changes_ids: bool,
    /// Whether the child's maps can only be written while nobody hides this process.
    pub(crate) is_seen: bool,
    pub(crate) canceller: Option<Canceller>,
    pub(crate) stuck: Option<fn() -> !>,
    pub(crate) has_barrier: bool,
    /// Whether undoing a start takes descriptors.
    pub(crate) reserves: bool,
    pub(crate) timed: bool,
    /// The highest number under which the command gets a descriptor.
    pub(crate) highest_descriptor: i32,
    pub(crate) program: String,
    #[cfg(feature = "fault")]
    pub(crate) fault: Option<(crate::fault::Place, crate::fault::Fault)>,
}

impl Handled {
    /// Of a start that begins now.
    pub(crate) fn patience(&self) -> Patience {
        let until = self.deadline.map(|after| std::time::Instant::now() + after);
        Patience { until, canceller: self.canceller.clone() }
    }
}

/// How the process is made.
#[derive(Clone, Debug)]
pub(crate) struct ClonePlan {
    pub(crate) way: CloneWay,
    pub(crate) memory: Memory,
    pub(crate) reason: String,
    pub(crate) namespaces: u64,
    /// Whether the kernel can make the process in its cgroup.
    pub(crate) into_cgroup: bool,
    names: String,
}

/// When and where an action of the plan happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Moment {
    /// In the parent, before the clone.
    Prepare,
    /// The clone itself.
    Clone,
    /// In the parent, while the child waits at its barrier.
    Attend,
    /// In the child, between clone and exec.
    Child,
}

/// One line of the plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Action {
    /// When and where.
    pub moment: Moment,
    /// The step that it belongs to.
    pub step: &'static str,
    /// What is done.
    pub action: String,
    /// In the child: what the action is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
}

/// Collects what the parent does.
pub(crate) struct Describe {
    prepare: Vec<Action>,
    attend: Vec<Action>,
}

impl Describe {
    pub(crate) fn prepare(&mut self, step: &'static str, action: String) {
        self.prepare.push(Action { moment: Moment::Prepare, step, action, about: String::new() });
    }

    pub(crate) fn attend(&mut self, step: &'static str, action: String) {
        self.attend.push(Action { moment: Moment::Attend, step, action, about: String::new() });
    }
}

impl Plan {
    /// Compiles `command` for `host`, without a system call.
    ///
    /// # Errors
    /// What contradicts itself or is out of range.
    pub fn compile(command: &Command, host: &Host) -> Result<Plan> {
        let command = &command.completed().with_cgroup_of_its_own(host).with_places_of_its_own(host);
        crate::prefer::check(command)?;
        let clone = plan_clone(command, host)?;
        let steps = step::compile(command, host, &clone)?;
        let names = steps.iter().map(|step| step.name()).collect();
        let command = Handled {
            deadline: command.deadline,
            kill_on_drop: command.kill_on_drop,
            die_with_parent: command.die_with_parent,
            init: command.init,
            new_pid: command.namespaces.is_new(Namespace::Pid),
            new_mount: command.namespaces.is_new(Namespace::Mount),
            joins_pid_early: step::enters_pid_namespace_early(command)
                || (step::holds_user_namespace(command, host) && command.namespaces.is_new(Namespace::Pid)),
            holds: command.holds_user_namespace,
            hides: step::is_hidden(command, host),
            changes_ids: step::leaves_caller_out(command, host),
            is_seen: command.namespaces.is_new(Namespace::User)
                && !step::is_hidden(command, host)
                && !host.writes_hidden_maps(),
            canceller: command.canceller.clone(),
            stuck: command.stuck,
            has_barrier: step::has_barrier(command),
            reserves: command.cgroup.is_some() || command.network.is_some(),
            timed: command.timed,
            highest_descriptor: step::highest_descriptor(command),
            program: command.program.to_string_lossy().into_owned(),
            #[cfg(feature = "fault")]
            fault: command.fault,
        };
        let plan = Plan { steps, names, clone, host: host.clone(), command };
        // What only the ops can show (a NUL in a path, too many of them) is an error of the plan, not of its run.
        plan.program(&Bump::new(), Fd(3))?;
        Ok(plan)
    }

    /// The child's ops. Before `prepare` the descriptors in them are not open yet.
    pub(crate) fn program<'a>(&'a self, arena: &'a Bump, socket: Fd) -> Result<Finished<'a>> {
        let mut program = Program::new(arena, &self.names, socket);
        #[cfg(feature = "fault")]
        {
            program.fault = self.command.fault.and_then(|(place, fault)| match place {
                crate::fault::Place::Op(op) => Some((op, fault)),
                _ => None,
            });
        }
        program.kept = self.steps.iter().flat_map(|step| step.keeps()).collect();
        for (number, step) in self.steps.iter().enumerate() {
            program.begin(number);
            step.ops(&mut program);
        }
        program.finish()
    }

    pub(crate) fn request(&self) -> Request {
        Request {
            namespaces: self.clone.namespaces,
            memory: self.clone.memory,
            legacy: self.clone.way == CloneWay::Legacy,
            cgroup: self.steps.iter().find_map(|step| step.birthplace()),
            stuck: self.command.stuck,
        }
    }

    /// How the process will be cloned, and why that way.
    pub fn clone_way(&self) -> (CloneWay, &str) {
        (self.clone.way, &self.clone.reason)
    }

    /// Every action in the order in which it will be taken.
    pub fn actions(&self) -> Vec<Action> {
        let mut parent = Describe { prepare: Vec::new(), attend: Vec::new() };
        for step in &self.steps {
            step.describe(&mut parent);
        }
        let mut actions = parent.prepare;
        let names = if self.clone.names.is_empty() { "none" } else { &self.clone.names };
        actions.push(Action {
            moment: Moment::Clone,
            step: "clone",
            action: format!(
                "{} ({}); new namespaces: {names}{}",
                self.clone.way,
                self.clone.reason,
                if self.clone.into_cgroup { "; into its cgroup of v2, where there is one" } else { "" }
            ),
            about: String::new(),
        });
        actions.extend(parent.attend);
        let arena = Bump::new();
        if let Ok(program) = self.program(&arena, Fd(3)) {
            for (number, instruction) in program.instructions.iter().enumerate() {
                let (step, about) = program.note(number);
                let (moment, action) = (Moment::Child, ops::describe(&instruction.op));
                actions.push(Action { moment, step, action, about: about.to_owned() });
            }
        }
        actions
    }

    /// For tests: each place of the spawn, with its step.
    #[cfg(feature = "fault")]
    #[doc(hidden)]
    pub fn places(&self) -> Vec<(crate::fault::Place, &'static str)> {
        use crate::fault::Place;
        let steps = || self.names.iter().copied().enumerate();
        let mut places: Vec<_> = steps().map(|(number, step)| (Place::Prepared(number), step)).collect();
        places.extend(steps().map(|(number, step)| (Place::Attended(number), step)));
        let arena = Bump::new();
        if let Ok(program) = self.program(&arena, Fd(3)) {
            places.extend((0..program.instructions.len()).map(|op| (Place::Op(op), program.note(op).0)));
        }
        places
    }

    /// The child's time in each step, in the order of the steps.
    pub(crate) fn step_times(&self, nanoseconds: impl Fn(usize) -> u64) -> Vec<(&'static str, u64)> {
        let mut times: Vec<(&'static str, u64)> = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            let number = usize::from(number_of(&self.names, index));
            if number < CLOCKS && !times.iter().any(|(seen, _)| seen == name) {
                times.push((name, nanoseconds(number)));
            }
        }
        times
    }

    /// The error for what the child reported.
    pub(crate) fn failure(&self, program: &Finished<'_>, op: u16, call: Call, errno: Errno, detail: &[u8]) -> Error {
        let (step, about) = program.note(usize::from(op));
        let code = match (call, errno) {
            (Call::Execve | Call::ExecInterpreter, Errno::ENOENT | Errno::ENOTDIR) => Code::NotFound,
            (Call::Execve | Call::ExecDirectory, Errno::EACCES | Errno::ENOEXEC) => Code::NotExecutable,
            (Call::Execve | Call::ExecDirectory | Call::ExecInterpreter, Errno::ELIBBAD | Errno::EINVAL) => {
                Code::NotExecutable
            }
            _ => Code::Refused,
        };
        let op = program.instructions.get(usize::from(op)).map(|instruction| &instruction.op);
        let hint = crate::hint::child(about, op, call, errno, detail, self.command.new_mount);
        let error = Error::child(code, step, about.to_owned(), call.name(), errno).hint_if(hint);
        match op.and_then(|op| ops::path(op, about)) {
            Some(path) => error.path_of(path),
            None => error,
        }
    }
}

fn plan_clone(command: &Command, host: &Host) -> Result<ClonePlan> {
    const NAME: &str = "clone";
    let spaces = &command.namespaces;
    let joins = spaces.joined().next().is_some();
    let legacy =
        command.clone == CloneWay::Legacy || (command.clone == CloneWay::Auto && host.clone3_refused.is_some());
    let needs_copy = if joins {
        Some("it must not share memory with what runs in the joined namespaces")
    } else if command.oom_score_adj.is_some() {
        Some("with shared memory the kernel would change the caller's oom_score_adj too")
    } else if step::holds_user_namespace(command, host) {
        Some(
            "the caller has capabilities and is not root: its memory is hidden, and another process makes the user namespace",
        )
    } else if has_little_memory(command) {
        Some(
            "with so little memory set-up could run out of it, and the kernel kills whoever shares the victim's memory",
        )
    } else if command.joined_cgroup.is_some() {
        Some(
            "others can use up the memory of a cgroup that is theirs, and the kernel kills whoever shares the victim's",
        )
    } else if legacy && spaces.is_new(Namespace::Time) {
        Some("clone(2) has no flag for a time namespace, so the child makes it for itself")
    } else if spaces.is_new(Namespace::Time) && !host.exec_enters_time {
        Some("before Linux 6.3 who shares memory is in its time namespace from birth, too early for offsets")
    } else {
        None
    };
    let way = match (command.clone, host.clone3_refused, needs_copy) {
        _ if legacy => CloneWay::Legacy,
        (CloneWay::Auto, None, Some(_)) => CloneWay::Copy,
        (CloneWay::Auto, None, None) => CloneWay::Vm,
        (CloneWay::Vm, _, Some(reason)) => {
            return Err(Error::invalid(NAME, format!("vm cannot be had: {reason}")).hint("ask for auto or copy"));
        }
        (CloneWay::Vm | CloneWay::Copy, Some(errno), _) => {
            return Err(Error::invalid(NAME, format!("clone3 answers {errno} here")).hint("ask for auto or legacy"));
        }
        (way, _, _) => way,
    };
    let copying = way == CloneWay::Copy || needs_copy.is_some();
    let reason = match (command.clone, host.clone3_refused, needs_copy) {
        (CloneWay::Auto, Some(errno), None) => format!("clone3 answers {errno} here"),
        (CloneWay::Auto, Some(errno), Some(reason)) => format!("clone3 answers {errno} here; a copy: {reason}"),
        (CloneWay::Auto, None, Some(reason)) => reason.to_owned(),
        (CloneWay::Auto, None, None) => "the default".to_owned(),
        (_, _, Some(reason)) => format!("asked for; a copy: {reason}"),
        (_, _, None) => "asked for".to_owned(),
    };
    let mut namespaces = spaces.new_flags();
    if copying {
        // Made by the child itself: offsets cannot be set any more when a process was born in it.
        namespaces &= !u64::from(CLONE_NEWTIME);
    }
    if host.tree_namespaces && step::root_is_all(command) {
        namespaces &= !u64::from(CLONE_NEWNS);
    }
    if step::holds_user_namespace(command, host) {
        namespaces = 0;
    }
    if step::makes_namespace_late(command) {
        namespaces &= !u64::from(CLONE_NEWCGROUP);
    }
    let memory = if copying { Memory::Copied } else { Memory::Shared };
    let into_cgroup =
        (command.cgroup.is_some() || command.joined_cgroup.is_some()) && host.born_in_cgroup && way != CloneWay::Legacy;
    Ok(ClonePlan { way, memory, reason, namespaces, into_cgroup, names: spaces.new_names() })
}

/// Whether set-up could be killed for lack of memory in its own limit. The out-of-memory killer takes along every process
/// that shares the victim's memory: until its exec that is the caller (seen on Linux 6.12, v2).
fn has_little_memory(command: &Command) -> bool {
    /// Far above what set-up and exec charge to the container, which is the kernel's own memory for mounts and the like. On
    /// Linux 6.12 4 KiB were too little; where between the two it ends to be is not known.
    const AMPLE: u64 = 32 << 20;
    let limit = command.cgroup.as_ref().and_then(|cgroup| cgroup.limits.memory_max);
    let Some(limit) = limit.filter(|limit| *limit < 8 * AMPLE) else { return false };
    // Exec copies them to the new program's stack, on the container's account.
    // Not looked at for nothing: a host program in another language may be changing it.
    let inherited = (!command.clear_env).then(std::env::vars_os).into_iter().flatten();
    let inherited = inherited.map(|(key, value)| key.len() + value.len());
    let set = command.env.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, |value| value.len()));
    let strings: usize = command.args.iter().map(|arg| arg.len()).chain(inherited).chain(set).sum();
    limit < AMPLE + 4 * strings as u64 + 4096 * command.mounts.len() as u64
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for action in self.actions() {
            if last != Some(action.moment) {
                let title = match action.moment {
                    Moment::Prepare => "parent, before the clone",
                    Moment::Clone => "clone",
                    Moment::Attend => "parent, while the child waits",
                    Moment::Child => "child",
                };
                writeln!(f, "{title}")?;
                last = Some(action.moment);
            }
            write!(f, "  {:<18} {}", action.step, action.action)?;
            if !action.about.is_empty() {
                write!(f, "    # {}", action.about)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("clone", &self.clone).field("steps", &self.names).finish()
    }
}
