//! Whether the process outlives its parent.

use seclude_child::Op;
use seclude_request::Field;

use super::Step;
use crate::program::Program;

/// From birth to exec the child dies with its parent, whatever was asked for afterwards. From then on the launcher sees to
/// it, and whoever is executed without one dies with its parent as well.
struct Arm;

pub(super) fn arm() -> Option<Box<dyn Step>> {
    Some(Box::new(Arm))
}

impl Step for Arm {
    fn name(&self) -> &'static str {
        "die with parent"
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("die_with_parent"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("until the exec");
        program.push(Op::DieWithParent);
    }
}

/// After a change of ids, which clears the death signal.
pub(super) fn arm_again(program: &mut Program<'_>) {
    program.about("still, after the change of ids");
    program.push(Op::DieWithParent);
}
