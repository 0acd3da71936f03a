//! Devices of the caller's network namespace that the container is given.

use std::sync::{Arc, OnceLock};

use seclude_child::Op;
use seclude_net::{Given, Inside};
use seclude_request::Field;

use super::{Born, Preparation, Step, from_net};
use crate::action::Describe;
use crate::config::Config;
use crate::config::namespace::{Namespace, Origin};
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "net devices";

/// What is still to be asked for inside, once they are there.
type Requests = Arc<OnceLock<Vec<Inside>>>;

/// The parent's half: late, as what was made goes with the namespace that it was given to.
struct Move {
    names: Vec<(String, String)>,
    found: Vec<Given>,
    requests: Requests,
}

/// The child's.
struct Configure(Requests);

pub(super) fn compile(command: &Config) -> Result<Option<[Box<dyn Step>; 2]>> {
    let names = command.net_devices.clone();
    if names.is_empty() {
        return Ok(None);
    }
    if matches!(command.namespaces.origin(Namespace::Net), Origin::Inherited) {
        let why = "without a network namespace but the caller's there is nowhere to move them to";
        return Err(Error::invalid(NAME, why).at("net_devices").contradicting());
    }
    for (index, (name, inside)) in names.iter().enumerate() {
        let others = names.iter().take(index);
        if others.clone().any(|(other, _)| other == name) || others.clone().any(|(_, other)| other == inside) {
            return Err(Error::invalid(NAME, format!("{name} as {inside}: there is one of this name before"))
                .at("net_devices")
                .contradicting());
        }
    }
    let requests = Requests::default();
    let first = Move { names, found: Vec::new(), requests: requests.clone() };
    Ok(Some([Box::new(first), Box::new(Configure(requests))]))
}

fn field() -> Option<Field> {
    Some(Field::of("net_devices"))
}

impl Step for Move {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        field()
    }

    fn prepare(&mut self, _: &mut Preparation<'_>) -> Result<()> {
        for (name, inside) in &self.names {
            self.found.push(Given::find(name, inside).map_err(|error| from_net(NAME, error))?);
        }
        let _ = self.requests.set(self.found.iter().flat_map(Given::inside).collect());
        Ok(())
    }

    fn attend_mounted(&self, born: &Born) -> Result<()> {
        self.found
            .iter()
            .try_for_each(|one| one.move_to(born.pid.unsigned_abs()))
            .map_err(|error| from_net(NAME, error))
    }

    fn describe(&self, to: &mut Describe) {
        for (name, inside) in &self.names {
            to.prepare(NAME, format!("look for {name}, and for its addresses"));
            to.attend(NAME, format!("move {name} as {inside}, once the mounts are made"));
        }
    }
}

impl Step for Configure {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        field()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for Inside { about, request, .. } in self.0.get().into_iter().flatten() {
            program.about(about);
            program.push(Op::Route { request });
        }
    }
}
