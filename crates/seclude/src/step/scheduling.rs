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
/// As many processors, CONFIG_NR_CPUS.
const MOST_PROCESSORS: u32 = 8192;
/// As many nodes as a kernel can be built for, CONFIG_NODES_SHIFT.
const MOST_NODES: u32 = 1024;

struct Asked {
    scheduling: Scheduling,
    nodes: Vec<u64>,
    processors: Vec<u64>,
}

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let scheduling = command.scheduling.clone();
    if scheduling == Scheduling::default() {
        return Ok(None);
    }
    let bits = |numbers: &[u32], most: u32, what: &str, field: &'static str| {
        let mut bits = Vec::new();
        for number in numbers {
            if *number >= most {
                let action = format!("{what} {number}; there are {most} at most");
                return Err(Error::invalid(NAME, action).at(field));
            }
            let word = *number as usize / 64;
            bits.resize(bits.len().max(word + 1), 0u64);
            if let Some(word) = bits.get_mut(word) {
                *word |= 1 << (number % 64);
            }
        }
        Ok(bits)
    };
    let nodes = scheduling.memory.as_ref().map_or(&[][..], |memory| &memory.nodes);
    let nodes = bits(nodes, MOST_NODES, "node", "memory_policy")?;
    let processors = scheduling.processors.as_deref().unwrap_or_default();
    if scheduling.processors.is_some() && processors.is_empty() {
        return Err(Error::invalid(NAME, "no processor to run on").at("cpu_affinity"));
    }
    let processors = bits(processors, MOST_PROCESSORS, "processor", "cpu_affinity")?;
    Ok(Some(Box::new(Asked { scheduling, nodes, processors })))
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
            Op::Affinity { .. } => "cpu_affinity",
            _ => return None,
        }))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let Scheduling { personality, scheduler, io_priority, memory, processors } = &self.scheduling;
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
        if processors.is_some() {
            program.about("processors");
            program.push(Op::Affinity { processors: &self.processors });
        }
    }
}
