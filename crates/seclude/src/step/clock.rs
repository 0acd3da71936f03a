//! Offsets of a time namespace, time_namespaces(7).

use seclude_child::Op;
use seclude_request::{Field, Remedy};

use super::Step;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "time offsets";

struct Clock {
    text: String,
    separate: bool,
    /// Whether any offset was asked for.
    given: bool,
}

pub(super) fn compile(command: &Config, copying: bool) -> Result<Option<Box<dyn Step>>> {
    let offsets = command.time_offsets;
    let any = offsets != Default::default();
    if any && !command.namespaces.is_new(Namespace::Time) {
        let error = Error::invalid(NAME, "they need a new time namespace").at("time_offsets").contradicting();
        return Err(error.hint(Hint::from("ask for one").with([Remedy::set("namespaces.time", "new")])));
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
    Ok(Some(Box::new(Clock { text, separate, given: any })))
}

impl Step for Clock {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(if self.given { Field::of("time_offsets") } else { Namespace::Time.field() })
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about_owned(self.text.trim_end().replace('\n', ", "));
        program.push(Op::TimeOffsets { text: self.text.as_bytes(), separate: self.separate });
    }
}
