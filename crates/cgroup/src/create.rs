//! Making a cgroup: first what goes where, as data, then the directories, then the limits.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::cgroup::Place;
use crate::setting::{self, Setting};
use crate::{Cgroup, Controller, Error, Hierarchies, Hierarchy, Limit, Limits, Version};
use crate::{bpf, name, parent, v1, v2};

/// In which hierarchies a cgroup is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Where it has something to limit or to count, and on v2.
    Needed,
    /// In all of them, as far as the caller may: its processes are then in nobody else's cgroup of any.
    Everywhere,
}

/// What one hierarchy has to do with it.
struct Share<'a> {
    hierarchy: &'a Hierarchy,
    /// The controllers, with the limit to name if one is missing.
    needed: Vec<(Controller, Option<Limit>)>,
    settings: Vec<Setting>,
}

impl Cgroup {
    /// Makes a new cgroup in `parent` and sets the limits.
    ///
    /// `parent` is absolute in the hierarchy, such as `/seclude`, and the same in all of them. It
    /// is made if it is missing, and then goes with the last of the cgroups that are made in it.
    ///
    /// The cgroup is made in each hierarchy that the limits and `extra` need (`extra`: for
    /// counters or [`Controller::Freezer`] without a limit), and in v2 wherever it is mounted,
    /// for what it can do without controllers: `CLONE_INTO_CGROUP`, kill, freeze, events,
    /// pressure. If v2 is not accessible and no controller needs it, it is left out, and
    /// [`Cgroup::fd`] is `None`.
    ///
    /// On v2 the controllers are handed down from the top to `parent` where they are not yet, and
    /// remain so.
    ///
    /// # Errors
    /// Nothing is left behind by any. A limit that cannot be set is one, and so is a limit that
    /// the kernel takes and then does not have: each is read back.
    pub fn create(
        hierarchies: &Hierarchies,
        parent: &Path,
        limits: &Limits,
        extra: &[Controller],
    ) -> Result<Cgroup, Error> {
        Cgroup::create_in(hierarchies, parent, limits, extra, Reach::Needed)
    }

    /// The same in more hierarchies than that needs.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn create_in(
        hierarchies: &Hierarchies,
        parent: &Path,
        limits: &Limits,
        extra: &[Controller],
        reach: Reach,
    ) -> Result<Cgroup, Error> {
        limits.validate()?;
        limits.validate_online()?;
        parent::check(parent)?;
        let shares = shares(hierarchies, limits, extra, reach)?;
        let name = name::next()?;
        let reserve = reserve()?;
        let mut cgroup = Cgroup { path: parent.join(&name), places: Vec::with_capacity(shares.len()) };
        match cgroup.make(parent, &name, shares, limits) {
            Ok(()) => Ok(cgroup),
            Err(error) => {
                drop(reserve);
                let undone = cgroup.remove();
                // The one that failed is in no place yet, but its parent may be there.
                for hierarchy in hierarchies.v2().into_iter().chain(hierarchies.v1()) {
                    parent::release(hierarchy, parent);
                }
                Err(match undone {
                    Ok(()) => error,
                    Err(undo) => Error::NotUndone { error: Box::new(error), undo: Box::new(undo) },
                })
            }
        }
    }

    fn make(&mut self, parent: &Path, name: &Path, shares: Vec<Share<'_>>, limits: &Limits) -> Result<(), Error> {
        let program = shares.iter().all(|share| share.needed.iter().all(|(needed, _)| *needed != Controller::Devices));
        let alone = shares.len() == 1;
        let mut settings = Vec::with_capacity(shares.len());
        for share in shares {
            let dir = match parent::make(share.hierarchy, parent, name, &share.needed) {
                Err(error) if share.needed.is_empty() && !alone && error.is_no_access() => {
                    parent::release(share.hierarchy, parent);
                    continue;
                }
                other => other?,
            };
            self.places.push(Place { hierarchy: share.hierarchy.clone(), dir, inside: None });
            settings.push(share.settings);
        }
        for (place, settings) in self.places.iter_mut().zip(&settings) {
            setting::apply(&place.dir, settings)?;
            if let Some(allowed) = limits.devices.as_ref().filter(|_| place.version() == Version::V2 && program) {
                bpf::allow_devices(&place.dir, allowed)?;
            }
            parent::is_running(&place.dir, parent)?;
            place.make_inside()?;
        }
        Ok(())
    }
}

/// As many descriptors as removing has open at a time: held meanwhile, so that what was made is undone also where it
/// fails because they run out.
fn reserve() -> Result<[OwnedFd; 3], Error> {
    let failed = |errno: Errno| Error::Call { call: "openat", path: "/".into(), source: errno.into() };
    let open = || openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed);
    Ok([open()?, open()?, open()?])
}

fn shares<'a>(
    hierarchies: &'a Hierarchies,
    limits: &Limits,
    extra: &[Controller],
    reach: Reach,
) -> Result<Vec<Share<'a>>, Error> {
    let mut needed: Vec<(Controller, Option<Limit>)> = Vec::new();
    let limited = limits.set().map(|(limit, controller)| (controller, Some(limit)));
    for (controller, limit) in limited.chain(extra.iter().map(|&controller| (controller, None))) {
        if needed.iter().all(|(known, _)| *known != controller) {
            needed.push((controller, limit));
        }
    }
    if needed.is_empty() && hierarchies.v2().is_none() {
        needed.push((Controller::Freezer, None));
    }
    let mut shares: Vec<Share<'a>> = Vec::new();
    shares.extend(hierarchies.v2().map(|hierarchy| Share { hierarchy, needed: Vec::new(), settings: Vec::new() }));
    for (controller, limit) in needed {
        if controller == Controller::Devices
            && hierarchies.controller(controller).is_none()
            && hierarchies.v2().is_some()
        {
            // A program, attached when the cgroup is there: see `bpf`.
            continue;
        }
        let hierarchy = serving(hierarchies, controller, limit)?;
        let settings = match hierarchy.version() {
            Version::V2 => v2::settings(controller, limits),
            Version::V1 => v1::settings(controller, limits)?,
        };
        match shares.iter_mut().find(|share| share.hierarchy == hierarchy) {
            Some(share) => {
                share.needed.push((controller, limit));
                share.settings.extend(settings);
            }
            None => shares.push(Share { hierarchy, needed: vec![(controller, limit)], settings }),
        }
    }
    if reach == Reach::Everywhere {
        for hierarchy in hierarchies.v1() {
            if shares.iter().all(|share| share.hierarchy != hierarchy) {
                shares.push(Share { hierarchy, needed: Vec::new(), settings: Vec::new() });
            }
        }
    }
    Ok(shares)
}

fn serving(hierarchies: &Hierarchies, controller: Controller, limit: Option<Limit>) -> Result<&Hierarchy, Error> {
    if let Some(hierarchy) = hierarchies.controller(controller) {
        return Ok(hierarchy);
    }
    if hierarchies.v2().is_none() && hierarchies.v1().is_empty() {
        return Err(Error::NoHierarchy);
    }
    Err(Error::NoController { controller, limit, path: None })
}
