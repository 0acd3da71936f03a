//! `update`, `pause`, `resume`: what a running container may use.

use seclude::cgroup::Cgroup;

use super::{Context, look_at_made};
use crate::arguments::Update;
use crate::bundle::read_json_or_stdin;
use crate::failure::{Failure, Result};
use crate::resources;
use crate::spec::{Cpu, Memory, Pids, Resources};
use crate::state::Status;

fn cgroup_of(context: &Context<'_>, id: &str, wanted: &[Status]) -> Result<Cgroup> {
    let (_, record, status) = look_at_made(context, id)?;
    if !wanted.contains(&status) {
        return Err(Failure::new(format!("container {id} is {status}")));
    }
    let cgroup = record.open_cgroup()?;
    cgroup.ok_or_else(|| Failure::new(format!("container {id} has no cgroup of its own")))
}

pub(super) fn pause(context: &Context<'_>, id: &str) -> Result<()> {
    let cgroup = cgroup_of(context, id, &[Status::Running, Status::Created])?;
    match cgroup.freeze(Some(std::time::Duration::from_secs(10)))? {
        true => Ok(()),
        false => {
            cgroup.thaw()?;
            Err(Failure::new(format!("container {id}: not all of its processes have stopped, so all go on")))
        }
    }
}

pub(super) fn resume(context: &Context<'_>, id: &str) -> Result<()> {
    Ok(cgroup_of(context, id, &[Status::Paused])?.thaw()?)
}

pub(super) fn run(context: &Context<'_>, update: &Update) -> Result<()> {
    let entry = context.store.lock(&update.id)?;
    let record = entry.made()?;
    let status = record.status(&entry);
    if status == Status::Stopped {
        return Err(Failure::new(format!("container not running: {}", update.id)));
    }
    let cgroup = record.open_cgroup()?;
    let cgroup = cgroup.ok_or_else(|| Failure::new(format!("container {} has no cgroup of its own", update.id)))?;
    let asked = asked(context, update)?;
    if !asked.devices.is_empty() {
        // Engines send all of the resources with each change of one. On v2 another program would be added, of which all have to agree, and on
        // v1 there would be none for a moment.
        context.log.note("linux.resources.devices: passed over, as by others: an update changes no rules of devices");
    }
    let before = resources::apply(&cgroup, &asked)?;
    let Some(unit) = &record.scope else { return Ok(()) };
    // Systemd is told of nothing that the kernel refuses, and writes the files of some of it in its own way.
    if let Err(failure) = unit.update(&asked) {
        return Err(before.put_back(&cgroup).into_iter().fold(failure, Failure::and));
    }
    resources::apply(&cgroup, &asked).map(drop)
}

/// What is asked for, from a file and then by flags.
fn asked(context: &Context<'_>, update: &Update) -> Result<Resources> {
    let mut asked = match &update.resources {
        None => Resources::default(),
        Some(file) => {
            let (asked, unknown): (Resources, _) = read_json_or_stdin(file)?;
            for field in unknown {
                context.log.note(&format!("linux.resources.{field}: the runtime specification has no such field"));
            }
            asked
        }
    };
    if update.memory.or(update.memory_reservation).or(update.memory_swap).is_some() {
        let memory: &mut Memory = asked.memory.get_or_insert_default();
        memory.limit = update.memory.or(memory.limit);
        memory.reservation = update.memory_reservation.or(memory.reservation);
        memory.swap = update.memory_swap.or(memory.swap);
    }
    let cpu: &mut Cpu = asked.cpu.get_or_insert_default();
    cpu.period = update.cpu_period.or(cpu.period);
    cpu.quota = update.cpu_quota.or(cpu.quota);
    cpu.burst = update.cpu_burst.or(cpu.burst);
    cpu.shares = update.cpu_share.or(cpu.shares);
    cpu.realtime_period = update.cpu_rt_period.or(cpu.realtime_period);
    cpu.realtime_runtime = update.cpu_rt_runtime.or(cpu.realtime_runtime);
    cpu.idle = update.cpu_idle.or(cpu.idle);
    if let Some(cpus) = &update.cpuset_cpus {
        cpu.cpus.clone_from(cpus);
    }
    if let Some(mems) = &update.cpuset_mems {
        cpu.mems.clone_from(mems);
    }
    if let Some(limit) = update.pids_limit {
        asked.pids = Some(Pids { limit: Some(limit) });
    }
    if update.blkio_weight.is_some() {
        asked.block_io.get_or_insert_default().weight = update.blkio_weight;
    }
    Ok(asked)
}
