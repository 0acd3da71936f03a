//! Who is killed first when memory runs out, proc(5) oom_score_adj.

use std::ffi::CStr;

use seclude_child::Op;

use super::Step;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "oom score";
pub(crate) const OOM_SCORE_ADJ: &CStr = c"/proc/self/oom_score_adj";

struct OomScore {
    text: String,
}

pub(super) fn compile(command: &Command) -> Result<Option<Box<dyn Step>>> {
    let Some(value) = command.oom_score_adj else { return Ok(None) };
    if !(-1000..=1000).contains(&value) {
        return Err(Error::invalid(NAME, format!("{value} is not in -1000 to 1000")));
    }
    Ok(Some(Box::new(OomScore { text: value.to_string() })))
}

impl Step for OomScore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about_owned(format!("adjustment {}", self.text));
        program.push(Op::WriteProc { path: OOM_SCORE_ADJ, text: self.text.as_bytes() });
    }
}
