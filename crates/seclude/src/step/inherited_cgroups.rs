//! The cgroups that a command starts in for want of its own: an ordinary user's may be the user's to write, as they were delegated.
//!
//! Whoever can mount a hierarchy inside finds the caller's cgroup as its root then, and could freeze or end all that is in it. A root
//! caller's container has a cgroup of its own in each hierarchy instead (`sandbox.rs`); a user's can have one only where it may.

use std::path::Path;

use rustix::fs::{Access, access, stat};
use rustix::io::Errno;
use seclude_cgroup::{Hierarchies, Hierarchy, Version};
use seclude_request::Field;

use super::{Preparation, Step};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::meter::from_cgroup;

const NAME: &str = "cgroup";

struct Inherited {
    /// Whether the container has one of its own on v2, and in each hierarchy of v1.
    own: bool,
    everywhere: bool,
}

pub(super) fn compile(command: &Config, host: &Host) -> Option<Box<dyn Step>> {
    let own = command.cgroup.as_ref();
    (host.uid != 0 && command.could_see_cgroups()).then(|| {
        Box::new(Inherited { own: own.is_some(), everywhere: own.is_some_and(|own| own.everywhere) }) as Box<dyn Step>
    })
}

impl Inherited {
    /// Whether what the command would find in this hierarchy is the caller's, to write.
    fn is_open(&self, hierarchy: &Hierarchy) -> bool {
        let (own, bound) = match hierarchy.version() {
            Version::V2 => (self.own, hierarchy.is_delegation_boundary()),
            Version::V1 => (self.everywhere, false),
        };
        let place = hierarchy.own_path().and_then(|path| hierarchy.locate(path));
        // A read-only mount of the host's says nothing of one that is mounted inside: access(2) answers EROFS for it. Nor does a
        // directory above that closes the way: inside, the cgroup is the root.
        let may_write = |file: &Path| match stat(file) {
            Ok(_) => access(file, Access::WRITE_OK) != Err(Errno::ACCESS),
            Err(errno) => errno != Errno::NOENT,
        };
        !own && !bound && place.is_some_and(|place| may_write(&place.join("cgroup.procs")))
    }
}

impl Step for Inherited {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("cgroup"))
    }

    fn prepare(&mut self, _: &mut Preparation<'_>) -> Result<()> {
        let hierarchies = Hierarchies::discover().map_err(|error| from_cgroup(NAME, error))?;
        let mut all = hierarchies.v2().into_iter().chain(hierarchies.v1());
        let Some(open) = all.find(|hierarchy| self.is_open(hierarchy)) else { return Ok(()) };
        let action = format!(
            "the caller's own below {} is its to write, and with nested namespaces or CAP_SYS_ADMIN the command could write it as well",
            open.mount_point().display()
        );
        Err(Error::invalid(NAME, action).contradicting().hint(match open.version() {
            Version::V2 => "give it a cgroup of its own in there",
            Version::V1 => "give it a cgroup of its own in each hierarchy",
        }))
    }
}
