//! Where the two sides meet.

use seclude_child::Op;

use super::Step;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::program::Program;

struct Barrier;

/// Whether the parent has anything to do between clone and exec; if not, the child need not wait to be woken.
pub(crate) fn is_needed(command: &Config) -> bool {
    command.cgroup.is_some()
        || command.joined_cgroup.is_some()
        || command.network.is_some()
        || command.when_born.is_some()
        || command.namespaces.is_new(Namespace::User)
        || command.namespaces.joined().next().is_some()
}

pub(super) fn compile(command: &Config) -> Option<Box<dyn Step>> {
    if is_needed(command) { Some(Box::new(Barrier)) } else { None }
}

impl Step for Barrier {
    fn name(&self) -> &'static str {
        "barrier"
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("until the parent has done its half");
        program.push(Op::Barrier);
    }
}
