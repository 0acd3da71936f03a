//! The commands, one file each.

mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod ps;
mod run;
mod spec;
mod start;
mod update;
mod wait;

use std::path::PathBuf;

use crate::arguments::{Arguments, CgroupManager, Command, Global, Rootless};
use crate::caller::is_root_of_the_host;
use crate::failure::{Failure, Result};
use crate::interrupts;
use crate::log::Log;
use crate::preserved::Preserved;
use crate::state::{Record, Status, Store};
use crate::systemd::Holder;

/// What every command has.
struct Context<'a> {
    store: Store,
    log: &'a Log,
    rootless: Rootless,
    /// Who makes the cgroups of containers.
    cgroups: CgroupManager,
    preserved: Preserved,
}

fn root(global: &Global) -> Result<PathBuf> {
    if let Some(root) = &global.root {
        return std::path::absolute(root)
            .map_err(|error| Failure::of(format_args!("--root {}", root.display()), error));
    }
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !is_root_of_the_host());
    Ok(own.map_or_else(|| PathBuf::from("/run/seclude-oci"), |run| PathBuf::from(run).join("seclude-oci")))
}

/// Answers the exit status.
pub(crate) fn run(arguments: Arguments, log: &Log, preserved: Preserved) -> Result<u8> {
    let global = &arguments.global;
    match &arguments.command {
        Command::Features => return features::run().map(|()| 0),
        Command::Spec { bundle } => {
            return spec::run(bundle.as_deref(), global.rootless == Rootless::True).map(|()| 0);
        }
        Command::HoldScope => return Holder::hold().map(|()| 0),
        Command::Checkpoint { .. } => return Err(Failure::new("checkpoint: this runtime does not do that")),
        Command::Restore { .. } => return Err(Failure::new("restore: this runtime does not do that")),
        _ => {}
    }
    if !seclude::proc_is_of_own_pid_namespace() {
        // A pid would be another process's there, and a state be written of that.
        return Err(Failure::new(
            "/proc is of another pid namespace than the caller, or is not mounted: mount one, as unshare --mount-proc does",
        ));
    }
    if let Command::Create { .. }
    | Command::Start { .. }
    | Command::Run { .. }
    | Command::Delete { .. }
    | Command::Exec(_) = &arguments.command
    {
        interrupts::hold()?;
    }
    let root = root(global)?;
    let context = Context {
        store: match &arguments.command {
            Command::Create { .. } | Command::Run { .. } => Store::make(&root)?,
            _ => Store::open(&root)?,
        },
        log,
        rootless: global.rootless,
        cgroups: if global.systemd_cgroup { CgroupManager::Systemd } else { global.cgroup_manager },
        preserved,
    };
    match arguments.command {
        Command::Create { new, id } => create::run(&context, &new, &id),
        Command::Start { id } => start::run(&context, &id),
        Command::Run { new, detach, keep, id } => return run::run(&context, &new, detach, keep, &id),
        Command::State { id } => state(&context, &id),
        Command::Kill { all, id, signal } => kill::run(&context, &id, &signal, all),
        Command::Delete { force, id } => delete::run(&context, &id, force),
        Command::List { quiet, format } => list::run(&context, quiet, format),
        Command::Ps { format, id, options } => ps::run(&context, &id, format, &options),
        Command::Exec(exec) => return exec::run(&context, &exec),
        Command::Pause { id } => update::pause(&context, &id),
        Command::Resume { id } => update::resume(&context, &id),
        Command::Update(update) => update::run(&context, &update),
        Command::Events { stats, interval, id } => events::run(&context, &id, stats, &interval),
        Command::Features
        | Command::HoldScope
        | Command::Spec { .. }
        | Command::Checkpoint { .. }
        | Command::Restore { .. } => Ok(()),
    }
    .map(|()| 0)
}

/// What was written down of a container, and how it is.
fn look(context: &Context<'_>, id: &str) -> Result<(crate::state::Entry, Option<Record>, Status)> {
    let entry = context.store.look(id)?;
    let record = entry.record()?;
    let status = match &record {
        Some(record) => record.status(&entry),
        None if entry.is_locked() => Status::Creating,
        None => Status::Stopped,
    };
    Ok((entry, record, status))
}

/// The same of one that was made.
fn look_at_made(context: &Context<'_>, id: &str) -> Result<(crate::state::Entry, Record, Status)> {
    let (entry, _, status) = look(context, id)?;
    let record = entry.made()?;
    Ok((entry, record, status))
}

fn state(context: &Context<'_>, id: &str) -> Result<()> {
    let (_, record, status) = look_at_made(context, id)?;
    print(&record.full_state(id, status))
}

/// JSON on stdout.
fn print(value: &impl serde::Serialize) -> Result<()> {
    use std::io::Write;
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
    writeln!(std::io::stdout(), "{text}").map_err(|error| Failure::of("stdout", error))
}

fn write(text: &str) -> Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::of("stdout", error))
}
