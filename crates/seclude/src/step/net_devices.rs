//! Devices of the caller's network namespace that the container is given.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::fs::{Mode, OFlags, fstat, open};
use rustix::io::Errno;
use seclude_child::Op;
use seclude_net::{Given, Inside};
use seclude_request::Field;

use super::{Born, Preparation, Step, from_net};
use crate::action::Describe;
use crate::config::Config;
use crate::config::namespace::{Namespace, Origin};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::program::Program;

const NAME: &str = "net devices";

/// What is still to be asked for inside, once they are there.
type Requests = Arc<OnceLock<Vec<Inside>>>;

/// The parent's half: late, as what was made goes with the namespace that it was given to.
struct Move {
    names: Vec<(String, String)>,
    found: Vec<Arc<Given>>,
    requests: Requests,
    /// Then what has their numbers may be the container's own, and stays.
    runs: Arc<AtomicBool>,
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
        // The kernel would say so once all else is made, dev_alloc_name().
        if inside.matches('%').count() > usize::from(inside.contains("%d")) {
            let why = format!("{name} as {inside}: a name has one %d for its number, and no other %");
            return Err(Error::invalid(NAME, why).at("net_devices"));
        }
    }
    let requests = Requests::default();
    let first = Move { names, found: Vec::new(), requests: requests.clone(), runs: Arc::default() };
    Ok(Some([Box::new(first), Box::new(Configure(requests))]))
}

fn field() -> Option<Field> {
    Some(Field::of("net_devices"))
}

/// The network namespace of the child, which is another than the caller's: to that a device would be moved without any effect.
fn network_of(born: &Born) -> Result<OwnedFd> {
    let failed = |call| move |errno: Errno| Error::parent(NAME, "its network namespace", errno).call(call);
    let look = |path: &str| -> Result<(OwnedFd, (u64, u64))> {
        let fd = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed("open"))?;
        let found = fstat(&fd).map_err(failed("fstat"))?;
        Ok((fd, (found.st_dev, found.st_ino)))
    };
    let (there, theirs) = look(&format!("/proc/{}/ns/net", born.pid_in_proc(NAME)?))?;
    let (_, own) = look("/proc/thread-self/ns/net")?;
    if theirs != own {
        return Ok(there);
    }
    let why = "the network namespace that is joined is the caller's own, where they are already";
    Err(Error::invalid(NAME, why).at("net_devices").contradicting())
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
            self.found.push(Arc::new(Given::find(name, inside).map_err(|error| from_net(NAME, error))?));
        }
        let _ = self.requests.set(self.found.iter().flat_map(|one| one.inside()).collect());
        Ok(())
    }

    fn attend_mounted(&self, born: &Born, ledger: &mut Ledger) -> Result<()> {
        let there = Arc::new(network_of(born)?);
        for one in &self.found {
            one.move_to(born.pid.unsigned_abs()).map_err(|error| from_net(NAME, error))?;
            let (undone, there, runs) = (one.clone(), there.clone(), self.runs.clone());
            ledger.push(format!("net device {}", one.name()), move || match runs.load(Ordering::Relaxed) {
                true => Ok(()),
                false => undone.take_back(&there).map_err(io::Error::other),
            });
        }
        Ok(())
    }

    fn runs(&self) {
        self.runs.store(true, Ordering::Relaxed);
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
