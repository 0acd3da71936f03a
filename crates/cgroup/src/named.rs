//! Cgroups by a path that somebody else has chosen, and that outlive whoever made them: an engine's.
//!
//! Its processes are in it itself, in every hierarchy, as engines look for them there; and its files are written by their names, as an
//! engine says what is to be in them.

use std::path::{Component, Path};

use crate::cgroup::Place;
use crate::dir::Dir;
use crate::v1::inherit_cpuset;
use crate::{
    Access, Cgroup, Controller, DeviceKind, DeviceRule, Error, Hierarchies, Hierarchy, Limit, Version, bpf, freeze,
    mark, parent, v2,
};

/// One file of a cgroup, and what it is to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileValue {
    /// Where it is.
    pub of: HierarchyOf,
    /// Its name, such as `memory.max`.
    pub file: String,
    /// What is written.
    pub value: String,
}

/// A hierarchy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HierarchyOf {
    /// The one of v2.
    V2,
    /// The one of v1 that has the controller of this name, such as `memory`.
    V1(&'static str),
}

/// A cgroup that was made, or taken.
#[derive(Debug)]
pub struct Named {
    /// It.
    pub cgroup: Cgroup,
    /// Whether it was made, in every hierarchy that it is in, so that all that is in it from here on is the caller's.
    pub made: bool,
    /// Whether it has the caller's mark in every one, so that it can be known from another of its path.
    pub marked: bool,
}

impl Cgroup {
    /// Makes the cgroup of this path in every hierarchy that the caller may write, with what is missing above it, which goes with the
    /// last that is in there. `mark` is a word that nobody else has for another. One that is there is taken if no process is in it, it is
    /// not frozen, and nobody has marked it.
    ///
    /// # Errors
    /// Nothing that was made is left by any.
    pub fn create_named(hierarchies: &Hierarchies, path: &Path, mark: &str) -> Result<Named, Error> {
        parent::check(path)?;
        if !path.components().any(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::BadParent { path: path.to_owned(), reason: "it is the root of the hierarchy" });
        }
        let cgroup = Cgroup { path: path.to_owned(), places: Vec::new() };
        let mut named = Named { cgroup, made: true, marked: true };
        let mut refused = None;
        for hierarchy in hierarchies.all() {
            match parent::retrying(|| make(hierarchy, path, mark)) {
                Ok((dir, made, marked)) => {
                    named.made &= made;
                    named.marked &= marked;
                    named.cgroup.places.push(Place { hierarchy: hierarchy.clone(), dir, inside: None });
                }
                Err(error) if error.is_no_access() => refused = Some(error),
                Err(error) => {
                    named.cgroup.let_go(mark);
                    parent::release(hierarchy, path.parent().unwrap_or(Path::new("/")));
                    return Err(error);
                }
            }
        }
        match (named.cgroup.places.is_empty(), refused) {
            (true, Some(error)) => Err(error),
            (true, None) => Err(Error::NoHierarchy),
            (false, _) => Ok(named),
        }
    }

    /// Gives up one that may be others' as well: the mark goes, and it does if nothing is in it. One that has somebody else's mark is left
    /// as it is.
    pub fn let_go(&self, mark: &str) {
        for place in &self.places {
            if mark::has(&place.dir, mark) == Some(false) {
                continue;
            }
            mark::clear(&place.dir, mark);
            if let (Ok(above), Some(name)) = (place.dir.open_parent(), self.path.file_name()) {
                // EBUSY: others are in it, and it is theirs.
                let _ = above.remove_child(Path::new(name));
                let depth = self.path.parent().and_then(|parent| place.hierarchy.below_root(parent));
                parent::release_opened(above, depth.map_or(0, |path| path.components().count()));
            }
        }
    }

    /// The same with those left out that do not have this mark: they are others', which have come to have the path.
    #[must_use]
    pub fn only_marked(mut self, mark: &str) -> Option<Cgroup> {
        self.places.retain(|place| mark::has(&place.dir, mark) == Some(true));
        (!self.places.is_empty()).then_some(self)
    }

    /// The cgroup of this path in every hierarchy that has it; `None` if none has.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn open_named(hierarchies: &Hierarchies, path: &Path) -> Result<Option<Cgroup>, Error> {
        parent::check(path)?;
        let mut places = Vec::new();
        for hierarchy in hierarchies.all() {
            match parent::open_existing(hierarchy, path) {
                Ok(dir) => places.push(Place { hierarchy: hierarchy.clone(), dir, inside: None }),
                Err(error) if error.is_gone() || error.is_no_access() => {}
                Err(error) => return Err(error),
            }
        }
        Ok((!places.is_empty()).then(|| Cgroup { path: path.to_owned(), places }))
    }

    /// Removes what was made above such a cgroup and has nothing in it any more, in every hierarchy: of one that was never made in some of
    /// them, as its maker was killed.
    pub fn release_above(hierarchies: &Hierarchies, path: &Path) {
        if parent::check(path).is_err() {
            return;
        }
        for hierarchy in hierarchies.all() {
            parent::release(hierarchy, path.parent().unwrap_or(Path::new("/")));
        }
    }

    /// Writes a file, and looks whether it has taken what was written, where that is one number or word (of bytes the kernel keeps whole
    /// pages).
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no such file, or it has something else then.
    pub fn write(&self, entry: &FileValue) -> Result<(), Error> {
        let FileValue { of, file, value } = entry;
        if file.contains('/') || file.starts_with('.') || file.is_empty() {
            return Err(Error::unsupported(file.clone(), "it is no name of a file of a cgroup"));
        }
        let place = match of {
            HierarchyOf::V2 => self.v2(),
            HierarchyOf::V1(controller) => {
                self.v1().find(|place| place.hierarchy.controllers().iter().any(|c| c == controller))
            }
        };
        let Some(place) = place else {
            return Err(Error::unsupported(file.clone(), "the cgroup is in no hierarchy that has it"));
        };
        let written = place.dir.write(file, value);
        written.map_err(|error| match error.is_not_found() {
            true => Error::unsupported(file.clone(), format!("no {}", place.dir.path().join(file).display())),
            false => error,
        })?;
        if !place.dir.read_if_any(file).unwrap_or(None).is_none_or(|found| holds(value, &found)) {
            let found = place.dir.read(file)?;
            let reason = format!("{value} was written, and it has {} then", found.trim());
            return Err(Error::unsupported(file.clone(), reason));
        }
        Ok(())
    }

    /// The processes that are in it itself, and not below.
    ///
    /// # Errors
    /// As [`Cgroup::processes`].
    pub fn processes_of_its_own(&self) -> Result<Vec<u32>, Error> {
        let mut pids = std::collections::BTreeSet::new();
        for place in &self.places {
            match place.dir.read_list("cgroup.procs") {
                Ok(list) => {
                    pids.extend(list.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid != 0))
                }
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pids.into_iter().collect())
    }

    /// Whether it is in a hierarchy of v1 that has this controller.
    pub fn is_v1(&self, controller: Controller) -> bool {
        self.v1_of(controller).is_some()
    }

    /// Lets what is in it use these devices and no others; `None`: all.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn set_devices(&self, allowed: Option<&[DeviceRule]>) -> Result<(), Error> {
        match self.v1_of(Controller::Devices) {
            Some(place) => {
                let Some(allowed) = allowed else { return place.dir.write("devices.allow", "a") };
                place.dir.write("devices.deny", "a")?;
                allowed.iter().try_for_each(|rule| place.dir.write("devices.allow", &rule.to_string()))
            }
            None => match (self.v2(), allowed) {
                (_, None) => Ok(()),
                (Some(place), Some(allowed)) => bpf::allow_devices(&place.dir, allowed),
                (None, Some(_)) => Err(Error::unsupported("devices", "the cgroup is in no hierarchy that has it")),
            },
        }
    }

    /// Whether its processes are held still.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn is_frozen(&self) -> Result<bool, Error> {
        self.places.iter().try_fold(false, |frozen, place| Ok(frozen || freeze::is_frozen(&place.dir)?))
    }
}

/// What a rule of OCI's names, as v1 does.
impl DeviceRule {
    /// Everything of this kind.
    pub fn all_of(kind: DeviceKind, access: Access) -> DeviceRule {
        DeviceRule { kind, major: None, minor: None, access }
    }
}

/// Answers whether it was made, and whether it is marked.
fn make(hierarchy: &Hierarchy, path: &Path, mark: &str) -> Result<(Dir, bool, bool), Error> {
    let names: Vec<&Path> = parent::below(hierarchy, path)?.iter().map(Path::new).collect();
    let offered = |controller: &Controller| {
        controller.v2_name().is_some_and(|name| hierarchy.controllers().iter().any(|own| own == name))
    };
    let needed: Vec<_> = Controller::ALL.into_iter().filter(offered).map(|controller| (controller, None)).collect();
    let mut above = Dir::open_mount(hierarchy)?;
    let Some((last, names)) = names.split_last() else {
        return Err(Error::BadParent { path: path.to_owned(), reason: "it is the root of the hierarchy" });
    };
    for name in names {
        // Others look into it. What lies above is marked as made, and goes with the last in it.
        let (dir, _) = child(hierarchy, &above, name, 0o755 | parent::MADE, &needed)?;
        above = dir;
    }
    let (dir, made) = child(hierarchy, &above, last, 0o755, &needed)?;
    if let Err(error) = can_be_taken(&dir, path, made) {
        if made {
            let _ = above.remove_child(last);
        }
        return Err(error);
    }
    let marked = mark::claim(&dir, mark)?;
    if !made && !marked {
        let reason = "it is there already, and cannot be marked, so that two containers could have it";
        return Err(Error::CannotBeJoined { path: path.to_owned(), reason });
    }
    Ok((dir, made, marked))
}

fn child(
    hierarchy: &Hierarchy,
    above: &Dir,
    name: &Path,
    mode: u32,
    needed: &[(Controller, Option<Limit>)],
) -> Result<(Dir, bool), Error> {
    if hierarchy.version() == Version::V2 {
        v2::hand_down(above, needed)?;
    }
    let made = above.make_child_with(name, mode)?;
    let ready = above.open_child(name).and_then(|dir| match hierarchy.serves_v1_cpuset() {
        true => inherit_cpuset(above, &dir).map(|()| dir),
        false => Ok(dir),
    });
    if ready.is_err() && made {
        let _ = above.remove_child(name);
    }
    Ok((ready?, made))
}

fn can_be_taken(dir: &Dir, path: &Path, made: bool) -> Result<(), Error> {
    if !made && !dir.read_list("cgroup.procs")?.trim().is_empty() {
        let reason = "it is there already, and processes are in it";
        return Err(Error::CannotBeJoined { path: path.to_owned(), reason });
    }
    match freeze::is_frozen(dir)? {
        true => {
            let reason = "it is frozen: a process in it would never start";
            Err(Error::CannotBeJoined { path: path.to_owned(), reason })
        }
        false => Ok(()),
    }
}

fn holds(wanted: &str, found: &str) -> bool {
    const PAGE: u64 = 4096;
    let (wanted, found) = (wanted.trim(), found.trim());
    match (wanted.parse::<u64>(), found.parse::<u64>()) {
        _ if wanted == found => true,
        (Ok(wanted), Ok(found)) => wanted / PAGE * PAGE == found,
        // None, and the most that the kernel counts, in its words.
        _ if wanted == "-1" => true,
        _ => wanted.contains([' ', ',', '-', ':']),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_back_may_be_less_by_part_of_a_page_and_nothing_else() {
        assert!(holds("100", "100\n") && holds("10000", "8192\n") && holds("-1", "9223372036854771712\n"));
        assert!(!holds("100", "200\n") && !holds("100", "max\n") && !holds("max", "100\n"));
        assert!(holds("0-1", "0-1\n") && holds("100000 50000", "100000 50000\n"));
    }
}
