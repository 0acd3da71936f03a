//! Who is killed first when memory runs out, proc(5) oom_score_adj.

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, write};
use seclude_child::Op;
use seclude_request::Field;

use super::{Born, Step};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::hint;
use crate::ledger::Ledger;
use crate::ops::OOM_SCORE_ADJ;
use crate::proc_pid;
use crate::program::Program;

const NAME: &str = "oom score";

struct OomScore {
    text: String,
    /// The kernel asks whoever lowers it for a right over the host, which nobody in a new user namespace has.
    by_parent: bool,
}

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let Some(value) = command.oom_score_adj else { return Ok(None) };
    if !(-1000..=1000).contains(&value) {
        return Err(Error::invalid(NAME, format!("{value} is not in -1000 to 1000")).at("oom_score_adj"));
    }
    let by_parent = command.namespaces.is_new(Namespace::User);
    Ok(Some(Box::new(OomScore { text: value.to_string(), by_parent })))
}

impl Step for OomScore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("oom_score_adj"))
    }

    fn attend(&self, born: &Born, _: &mut Ledger) -> Result<()> {
        if !self.by_parent {
            return Ok(());
        }
        let failed = |call, errno: Errno| {
            let advice = matches!(errno, Errno::ACCESS | Errno::PERM).then(|| Hint::from(hint::OOM_SCORE));
            Error::parent(NAME, format!("adjustment {}", self.text), errno).call(call).hint_if(advice)
        };
        let process = proc_pid::open(NAME, born.pid_in_proc(NAME)?)?;
        let file = openat(&process, "oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        let file = file.map_err(|errno| failed("open", errno))?;
        write(&file, self.text.as_bytes()).map_err(|errno| failed("write", errno))?;
        Ok(())
    }

    fn describe(&self, to: &mut Describe) {
        if self.by_parent {
            to.attend(NAME, format!("adjustment {}", self.text));
        }
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if self.by_parent {
            return;
        }
        program.about_owned(format!("adjustment {}", self.text));
        program.push(Op::WriteProc { path: OOM_SCORE_ADJ, text: self.text.as_bytes() });
    }
}
