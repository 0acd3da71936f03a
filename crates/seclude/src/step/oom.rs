//! Who is killed first when memory runs out, proc(5) oom_score_adj.

use seclude_child::Op;
use seclude_request::Field;

use super::Step;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ops::OOM_SCORE_ADJ;
use crate::program::Program;

const NAME: &str = "oom score";
struct OomScore {
    text: String,
}

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let Some(value) = command.oom_score_adj else { return Ok(None) };
    if !(-1000..=1000).contains(&value) {
        return Err(Error::invalid(NAME, format!("{value} is not in -1000 to 1000")).at("oom_score_adj"));
    }
    Ok(Some(Box::new(OomScore { text: value.to_string() })))
}

impl Step for OomScore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("oom_score_adj"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about_owned(format!("adjustment {}", self.text));
        program.push(Op::WriteProc { path: OOM_SCORE_ADJ, text: self.text.as_bytes() });
    }
}
