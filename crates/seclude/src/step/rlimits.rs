//! Resource limits, setrlimit(2).

use seclude_child::Op;
use seclude_request::Field;

use super::Step;
use crate::config::Config;
use crate::config::rlimit::{Resource, UNLIMITED};
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "rlimit";

struct Rlimits(Vec<(Resource, u64, u64)>);

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    if command.rlimits.is_empty() {
        return Ok(None);
    }
    if let Some((resource, soft, hard)) = command.rlimits.iter().find(|(_, soft, hard)| soft > hard) {
        let action = format!("{resource}: soft {soft} is above hard {hard}");
        return Err(Error::invalid(NAME, action).at_field(Field::of("rlimits").key(resource.name())));
    }
    Ok(step(command, |resource| resource != Resource::CORE))
}

/// That of core dumps: before a filter, which may answer as if it were set. Set-up has none.
pub(super) fn of_cores(command: &Config) -> Option<Box<dyn Step>> {
    step(command, |resource| resource == Resource::CORE)
}

fn step(command: &Config, which: impl Fn(Resource) -> bool) -> Option<Box<dyn Step>> {
    let limits: Vec<_> = command.rlimits.iter().filter(|(resource, ..)| which(*resource)).copied().collect();
    (!limits.is_empty()).then(|| Box::new(Rlimits(limits)) as _)
}

impl Step for Rlimits {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("rlimits"))
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        let Op::Rlimit { resource: number, .. } = op else { return self.field() };
        let (resource, ..) = self.0.iter().find(|(resource, ..)| resource.number() == *number)?;
        Some(Field::of("rlimits").key(resource.name()))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let show = |value| if value == UNLIMITED { "unlimited".to_owned() } else { format!("{value}") };
        for (resource, soft, hard) in &self.0 {
            program.about_owned(format!("{resource} {}:{}", show(*soft), show(*hard)));
            program.push(Op::Rlimit { resource: resource.number(), soft: *soft, hard: *hard });
        }
    }
}
