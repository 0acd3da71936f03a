//! When it gets a processor, a disk, and memory of which node; kept over an exec, sched(7).

use seclude_child::Op;
use seclude_request::Field;
use seclude_sys::process::SchedulerAttributes;

use super::Step;
use crate::config::Config;
use crate::config::scheduling::Scheduling;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "scheduling";
/// As many nodes as a kernel can be built for, CONFIG_NODES_SHIFT.
const MOST_NODES: u32 = 1024;

struct Asked {
    scheduling: Scheduling,
    nodes: Vec<u64>,
}

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let scheduling = command.scheduling.clone();
    if scheduling == Scheduling::default() {
        return Ok(None);
    }
    let mut nodes = Vec::new();
    for node in scheduling.memory.iter().flat_map(|memory| &memory.nodes) {
        if *node >= MOST_NODES {
            return Err(
                Error::invalid(NAME, format!("node {node}; there are {MOST_NODES} at most")).at("memory_policy")
            );
        }
        let word = *node as usize / 64;
        nodes.resize(nodes.len().max(word + 1), 0u64);
        if let Some(bits) = nodes.get_mut(word) {
            *bits |= 1 << (node % 64);
        }
    }
    Ok(Some(Box::new(Asked { scheduling, nodes })))
}

impl Step for Asked {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        Some(Field::of(match op {
            Op::Personality { .. } => "personality",
            Op::Scheduler { .. } => "scheduler",
            Op::IoPriority { .. } => "io_priority",
            Op::MemoryPolicy { .. } => "memory_policy",
            _ => return None,
        }))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let Scheduling { personality, scheduler, io_priority, memory } = &self.scheduling;
        if let Some(persona) = *personality {
            program.about("personality");
            program.push(Op::Personality { persona });
        }
        if let Some(asked) = scheduler {
            program.about_owned(format!("policy {}", asked.policy));
            let attributes = SchedulerAttributes {
                size: 0,
                policy: asked.policy,
                flags: asked.flags,
                nice: asked.nice,
                priority: asked.priority,
                runtime: asked.runtime,
                deadline: asked.deadline,
                period: asked.period,
            };
            program.push(Op::Scheduler { attributes });
        }
        if let Some(value) = *io_priority {
            program.about("priority of block I/O");
            program.push(Op::IoPriority { value });
        }
        if let Some(memory) = memory {
            program.about("memory policy");
            program.push(Op::MemoryPolicy { mode: memory.mode, nodes: &self.nodes });
        }
    }
}
