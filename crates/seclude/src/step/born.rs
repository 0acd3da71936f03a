//! What the caller does once the process has its namespaces, and nothing else yet.

use super::{Born, Step};
use crate::action::Describe;
use crate::config::Config;
use crate::config::born::WhenBorn;
use crate::error::{Error, Result};
use crate::ledger::Ledger;

const NAME: &str = "when born";

struct Attended(WhenBorn);

pub(super) fn compile(command: &Config) -> Option<Box<dyn Step>> {
    command.when_born.clone().map(|work| Box::new(Attended(work)) as Box<dyn Step>)
}

impl Step for Attended {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attend(&self, born: &Born, _: &mut Ledger) -> Result<()> {
        self.0.run(born.pid.unsigned_abs()).map_err(|error| Error::parent(NAME, "the caller's own work", error))
    }

    fn describe(&self, to: &mut Describe) {
        to.attend(NAME, "the caller's own work".to_owned());
    }
}
