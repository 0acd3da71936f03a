//! Whether the caller may make cgroups somewhere, found out by making one.

use std::path::Path;

use crate::dir::Dir;
use crate::parent::{below, check, retrying};
use crate::{Controller, Error, Hierarchies, Hierarchy, name};

impl Hierarchies {
    /// Whether a cgroup can be made in `parent` (or where `parent` itself would have to be made), in
    /// each hierarchy that these controllers need; without controllers in v2, or in all of v1.
    ///
    /// It is tried: a directory is made and removed. What it does not tell is whether a
    /// process may be moved there, which needs write access to the common ancestor.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::NotDelegated`], [`Error::NotVisible`], [`Error::Missing`],
    /// [`Error::NoController`], [`Error::NoHierarchy`]; each has a [`hint`](Error::hint).
    pub fn writable_parent(&self, parent: &Path, controllers: &[Controller]) -> Result<(), Error> {
        check(parent)?;
        self.needed_for(controllers)?.into_iter().try_for_each(|hierarchy| retrying(|| try_one(hierarchy, parent)))
    }

    fn needed_for(&self, controllers: &[Controller]) -> Result<Vec<&Hierarchy>, Error> {
        let mut needed: Vec<&Hierarchy> = Vec::new();
        for &controller in controllers {
            let serving = self.controller(controller);
            let serving = serving.ok_or(Error::NoController { controller, limit: None, path: None })?;
            if !needed.contains(&serving) {
                needed.push(serving);
            }
        }
        if needed.is_empty() {
            match self.v2() {
                Some(v2) => needed.push(v2),
                None => needed.extend(self.v1()),
            }
        }
        if needed.is_empty() { Err(Error::NoHierarchy) } else { Ok(needed) }
    }
}

fn try_one(hierarchy: &Hierarchy, parent: &Path) -> Result<(), Error> {
    let mut dir = Dir::open_mount(hierarchy)?;
    for component in below(hierarchy, parent)?.components() {
        dir = match dir.open_child(component.as_ref()) {
            Err(error) if error.is_not_found() => break,
            other => other?,
        };
    }
    let name = name::next()?;
    if !dir.make_child(&name)? {
        return Err(Error::Exists { path: dir.path().join(name) });
    }
    dir.remove_child(&name).map_err(|errno| Error::from_call("rmdir", &dir.path().join(&name), errno))
}
