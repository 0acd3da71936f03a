//! Whether the process outlives its parent.

use seclude_child::Op;

use super::Step;
use crate::command::Command;
use crate::program::Program;

/// From birth to exec the child dies with its parent, whatever was asked for afterwards.
struct Arm;

pub(super) fn arm() -> Option<Box<dyn Step>> {
    Some(Box::new(Arm))
}

impl Step for Arm {
    fn name(&self) -> &'static str {
        "die with parent"
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("until the exec");
        program.push(Op::DieWithParent);
    }
}

/// From its exec on.
struct Settle {
    die_with_parent: bool,
}

pub(super) fn settle(command: &Command) -> Option<Box<dyn Step>> {
    Some(Box::new(Settle { die_with_parent: command.die_with_parent }))
}

impl Step for Settle {
    fn name(&self) -> &'static str {
        "die with parent"
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("from the exec on");
        program.push(if self.die_with_parent { Op::DieWithParent } else { Op::OutliveParent });
    }
}
