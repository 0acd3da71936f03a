//! A request, compiled: who does what, in which order, before anything is done.

use std::fmt::{self, Write as _};

use bumpalo::Bump;
use seclude_child::board::CLOCKS;
use seclude_child::entry::Request;
use seclude_child::wire::Call;
use seclude_request::Field;
use seclude_sys::{Errno, Fd};

use crate::action::{Action, Describe, Moment};
use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::clone::CloneWay;
use crate::config::namespace::Namespace;
use crate::config::network::Network;
use crate::config::rlimit::Resource;
use crate::config::root::Root;
use crate::error::{Code, Error, Result};
use crate::handled::{Bound, Handled};
use crate::hint::Failed;
use crate::host::Host;
use crate::one_line::OneLine;
use crate::ops;
use crate::program::{Finished, Program, numbers_of};
use crate::step::{self, ClonePlan, Step};

/// What will happen, as data. [`Plan::actions`] and `Display` show it; [`crate::Command::spawn`] runs it.
pub struct Plan {
    pub(crate) steps: Vec<Box<dyn Step>>,
    names: Vec<&'static str>,
    pub(crate) clone: ClonePlan,
    pub(crate) host: Host,
    pub(crate) command: Handled,
}

/// The first process of a pid namespace, whose end is that of all in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    /// The command: a signal that it has no handler for does nothing to it, but SIGKILL and SIGSTOP.
    Command,
    /// A tiny init, whose child the command is.
    Init,
}

impl Plan {
    /// For this host, as it is now.
    pub(crate) fn of(config: &Config) -> Result<Plan> {
        Plan::compiled(config, &Plan::host_for(config))
    }

    /// This host, looked at as far as a request asks something of it.
    pub(crate) fn host_for(config: &Config) -> Host {
        let mut host = Host::current();
        if config.cgroup.is_some() || config.joined_cgroup.is_some() {
            host = host.with_cgroups();
        }
        if config.namespaces.is_new(Namespace::Time) {
            host = host.with_time();
        }
        // Without a new one it is as who it is: whether that is root of more than itself counts as well.
        if (config.namespaces.is_new(Namespace::User) || config.is_sandboxed()) && host.has(Capability::SETUID) {
            host = host.with_ids();
        }
        if step::has_overlays(config) {
            host = host.with_overlays();
        }
        if step::root_is_all(&config.completed()) {
            host = host.with_tree_namespaces();
        }
        if matches!(config.network, Some(Network::Names(_))) {
            host = host.with_ipv6();
        }
        if config.is_landlocked() || (config.is_sandboxed() && !config.namespaces.is_new(Namespace::Net)) {
            host = host.with_landlock();
        }
        if config.is_sandboxed() || !config.shown.is_empty() {
            host = host.with_places();
        }
        host
    }

    /// The request with all that it comes to on this host: what steps are made of.
    pub(crate) fn completed(command: &Config, host: &Host) -> Config {
        let command =
            command.completed().with_cgroup_of_its_own(host).with_limits_of_its_own(host).with_names_of_its_own(host);
        command.with_tree(host).with_places_of_its_own(host)
    }

    pub(crate) fn compiled(command: &Config, host: &Host) -> Result<Plan> {
        let command = &Plan::completed(command, host);
        command.prefers_what_it_asks_for()?;
        command.has_no_namespace_if_none_may_be()?;
        let clone = ClonePlan::of(command, host)?;
        let steps = step::compile(command, host, &clone)?;
        let names = steps.iter().map(|step| step.name()).collect();
        let command = Handled {
            deadline: command.deadline,
            kill_on_drop: command.kill_on_drop,
            die_with_parent: command.die_with_parent,
            init: command.init,
            new_pid: command.namespaces.is_new(Namespace::Pid),
            new_mount: step::has_tree(command),
            curated: command.root.as_ref().is_some_and(Root::is_curated),
            user: match command.namespaces.is_joined(Namespace::User) {
                true => (u32::MAX, u32::MAX),
                false => (command.identity.uid.unwrap_or(host.uid), command.identity.gid.unwrap_or(host.gid)),
            },
            processes: bound_of_processes(command, host),
            landlocked: command.landlock.has_paths() || command.no_namespaces,
            inherits_directory: step::inherits_directory(command),
            joins_pid_early: step::enters_pid_namespace_early(command)
                || ((step::holds_user_namespace(command, host) || step::makes_namespaces_late(command))
                    && command.namespaces.is_new(Namespace::Pid)),
            joins_pid_late: step::enters_pid_namespace_late(command),
            holds: command.holds_user_namespace,
            waits: command.waits_on.is_some(),
            hides: step::is_hidden(command, host),
            changes_ids: step::leaves_caller_out(command, host),
            is_seen: command.namespaces.is_new(Namespace::User)
                && !step::is_hidden(command, host)
                && !host.writes_hidden_maps(),
            canceller: command.canceller.clone(),
            stuck: command.stuck,
            has_barrier: step::has_barrier(command),
            serves: command.when_listening.is_some(),
            attends_mounts: step::attends_mounts(command),
            own_directories: step::own_directories(command),
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
            program.blame(|| step.field());
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

    /// Who will be PID 1 of a new pid namespace; `None` if there is none.
    pub fn first(&self) -> Option<First> {
        match (self.command.new_pid, self.command.init) {
            (false, _) => None,
            (true, true) => Some(First::Init),
            (true, false) => Some(First::Command),
        }
    }

    /// How the process will be cloned, and why that way.
    pub fn clone_way(&self) -> (CloneWay, &str) {
        (self.clone.way, &self.clone.reason)
    }

    /// Every action in the order in which it will be taken.
    pub fn actions(&self) -> Vec<Action> {
        let mut parent = Describe::default();
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
        for (name, number) in self.names.iter().zip(numbers_of(&self.names)) {
            let number = usize::from(number);
            if number < CLOCKS && !times.iter().any(|(seen, _)| seen == name) {
                times.push((name, nanoseconds(number)));
            }
        }
        times
    }

    /// What of the request a step is there for.
    pub(crate) fn field_of(&self, step: usize) -> Option<Field> {
        self.steps.get(step)?.field()
    }

    /// The error for what the child reported.
    pub(crate) fn failure(&self, program: &Finished<'_>, op: u16, call: Call, errno: Errno, detail: &[u8]) -> Error {
        let (step, about) = program.note(usize::from(op));
        let code = code_of(call, errno);
        let file_system = program.file_system(usize::from(op));
        let blamed = program.step_of(usize::from(op)).and_then(|step| self.steps.get(step));
        let op = program.instructions.get(usize::from(op)).map(|instruction| &instruction.op);
        let field = match (blamed, op) {
            (Some(step), Some(op)) => step.field_of(op),
            _ => None,
        };
        let failed = Failed {
            op,
            about,
            field: field.as_ref(),
            file_system,
            detail,
            rooted: self.command.new_mount,
            curated: self.command.curated,
            landlocked: self.command.landlocked,
            inherits_directory: self.command.inherits_directory,
        };
        let hint = crate::hint::child(&failed, call, errno);
        let error = Error::child(code, step, about.to_owned(), call.name(), errno).hint_if(hint).or_at(field);
        match op.and_then(|op| ops::path(op, about)) {
            Some(path) => error.path_of(path),
            None => error,
        }
    }
}

/// Root of the host's has as many as it likes, setrlimit(2); whoever its ids are given to has not.
fn bound_of_processes(command: &Config, host: &Host) -> Bound {
    let is_own = command.namespaces.is_new(Namespace::User) || command.namespaces.is_joined(Namespace::User);
    let limit = command.rlimits.iter().find(|(resource, ..)| *resource == Resource::NPROC).map(|(_, soft, _)| *soft);
    if host.uid == 0 && !is_own { Bound::Not } else { Bound::By(limit) }
}

/// What kind of failure a child's is.
pub(crate) fn code_of(call: Call, errno: Errno) -> Code {
    match (call, errno) {
        (Call::Execve | Call::ExecInterpreter, Errno::ENOENT | Errno::ENOTDIR) => Code::NotFound,
        (Call::Execve | Call::ExecDirectory, Errno::EACCES | Errno::ENOEXEC) => Code::NotExecutable,
        (Call::Execve | Call::ExecDirectory | Call::ExecInterpreter, Errno::ELIBBAD | Errno::EINVAL) => {
            Code::NotExecutable
        }
        _ => Code::Refused,
    }
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
            write!(OneLine(f), "  {:<18} {}", action.step, action.action)?;
            if !action.about.is_empty() {
                write!(OneLine(f), "    # {}", action.about)?;
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
