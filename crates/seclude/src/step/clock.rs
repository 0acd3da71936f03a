//! Offsets of a time namespace, time_namespaces(7).

use seclude_child::Op;

use super::Step;
use crate::command::Command;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "time offsets";

struct Clock {
    text: String,
    separate: bool,
}

pub(super) fn compile(command: &Command, copying: bool) -> Result<Option<Box<dyn Step>>> {
    let offsets = command.time_offsets;
    let any = offsets != Default::default();
    if any && !command.namespaces.is_new(Namespace::Time) {
        return Err(Error::invalid(NAME, "they need a new time namespace"));
    }
    // A copied child would be in the namespace from birth, when it is too late to set offsets.
    let separate = copying && command.namespaces.is_new(Namespace::Time);
    if !any && !separate {
        return Ok(None);
    }
    let mut text = String::new();
    for (clock, nanoseconds) in [("monotonic", offsets.monotonic), ("boottime", offsets.boottime)] {
        if nanoseconds != 0 {
            let seconds = nanoseconds.div_euclid(1_000_000_000);
            text += &format!("{clock} {seconds} {}\n", nanoseconds.rem_euclid(1_000_000_000));
        }
    }
    Ok(Some(Box::new(Clock { text, separate })))
}

impl Step for Clock {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about_owned(self.text.trim_end().replace('\n', ", "));
        program.push(Op::TimeOffsets { text: self.text.as_bytes(), separate: self.separate });
    }
}
