//! Cgroups by a path that somebody else has chosen, and that outlive whoever made them: an engine's.
//!
//! Its processes are in it itself, in every hierarchy, as engines look for them there; and its files are written by their names, as an
//! engine says what is to be in them.

use std::path::{Component, Path};

use rustix::fs::fstat;

use crate::cgroup::Place;
use crate::dir::Dir;
use crate::v1::inherit_cpuset;
use crate::{
    Access, Cgroup, Controller, DeviceKind, DeviceRule, Error, Existing, Hierarchies, Hierarchy, Limit, Version, bpf,
    freeze, mark, parent, v2,
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

/// Which devices may be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Devices {
    /// These and no others.
    These(Vec<DeviceRule>),
    /// All but these: what is denied in part of what a process asks for is denied.
    AllBut(Vec<DeviceRule>),
}

impl Cgroup {
    /// Makes the cgroup of this path in every hierarchy that the caller may write, with what is missing above it, which goes with the
    /// last that is in there. `mark` is a word that nobody else has for another. One that is there is taken if no process is in it, it is
    /// not frozen, and nobody has marked it.
    ///
    /// # Errors
    /// Nothing that was made is left by any.
    pub fn create_named(hierarchies: &Hierarchies, path: &Path, mark: &str) -> Result<Named, Error> {
        Cgroup::create_named_around(hierarchies, path, mark, None)
    }

    /// The same of one that another has made around this process, which is in it in some hierarchies: a scope of systemd's.
    ///
    /// # Errors
    /// As [`Cgroup::create_named`].
    pub fn create_named_around(
        hierarchies: &Hierarchies,
        path: &Path,
        mark: &str,
        holder: Option<u32>,
    ) -> Result<Named, Error> {
        parent::check(path)?;
        if !path.components().any(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::BadParent { path: path.to_owned(), reason: "it is the root of the hierarchy" });
        }
        let cgroup = Cgroup { path: path.to_owned(), places: Vec::new() };
        let mut named = Named { cgroup, made: true, marked: true };
        let mut refused = None;
        for hierarchy in hierarchies.all() {
            match parent::retrying(|| make(hierarchy, path, mark, holder)) {
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

    /// Whether it has any mark, in one hierarchy at least.
    pub fn has_a_mark(&self) -> bool {
        self.places.iter().any(|place| mark::has(&place.dir, "").is_some())
    }

    /// Which directory it is in each hierarchy: the hierarchy's name, the device and the inode. Nothing inside can change any of that, as it
    /// can a mark, and no other directory comes to have it: the kernel counts on, in 64 bits.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub fn identities(&self) -> Result<Vec<(String, u64, u64)>, Error> {
        self.places.iter().map(identity).collect()
    }

    /// The same with those left out that are others', which have come to have the path.
    #[must_use]
    pub fn only_of(mut self, identities: &[(String, u64, u64)]) -> Option<Cgroup> {
        self.places.retain(|place| identity(place).is_ok_and(|own| identities.contains(&own)));
        (!self.places.is_empty()).then_some(self)
    }

    /// The cgroup of this path in every hierarchy that has it; `None` if none has. Hierarchies that are not the caller's are passed over, but
    /// for those of these names.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn open_named(hierarchies: &Hierarchies, path: &Path, all_of: &[String]) -> Result<Option<Cgroup>, Error> {
        parent::check(path)?;
        let mut places = Vec::new();
        for hierarchy in hierarchies.all() {
            match parent::open_closed(hierarchy, path) {
                Ok(dir) => places.push(Place { hierarchy: hierarchy.clone(), dir, inside: None }),
                Err(error) if error.is_gone() => {}
                Err(error) if error.is_no_access() && !all_of.contains(&hierarchy.name()) => {}
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

    fn place_of(&self, of: HierarchyOf) -> Option<&Place> {
        match of {
            HierarchyOf::V2 => self.v2(),
            HierarchyOf::V1(controller) => {
                self.v1().find(|place| place.hierarchy.controllers().iter().any(|own| own == controller))
            }
        }
    }

    /// Whether it is in such a hierarchy.
    pub fn is_in(&self, of: HierarchyOf) -> bool {
        self.place_of(of).is_some()
    }

    /// Whether it has this file.
    pub fn has_file(&self, of: HierarchyOf, file: &str) -> bool {
        self.place_of(of).is_some_and(|place| place.dir.has(file))
    }

    /// What a file of it says, whole; `None` if there is none, or it cannot be read.
    pub fn read(&self, of: HierarchyOf, file: &str) -> Option<String> {
        self.place_of(of)?.dir.read(file).ok()
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
        let Some(place) = self.place_of(*of) else {
            return Err(Error::unsupported(file.clone(), "the cgroup is in no hierarchy that has it"));
        };
        let written = place.dir.write(file, value);
        written.map_err(|error| match error.is_not_found() {
            true => Error::unsupported(file.clone(), format!("no {}", place.dir.path().join(file).display())),
            false => error,
        })?;
        let unit = page_of(file);
        if !place.dir.read_if_any(file).unwrap_or(None).is_none_or(|found| holds(value, &found, unit)) {
            let found = place.dir.read(file)?;
            let reason = format!("{value} was written, and it has {} then", found.trim());
            return Err(Error::unsupported(file.clone(), reason));
        }
        Ok(())
    }

    /// The one below it that this path leads to, by descriptor, in every hierarchy that is one of `which`; elsewhere it stays.
    ///
    /// # Errors
    /// [`Error::CannotBeJoined`] if a hierarchy has none there, or the path leads up, or no hierarchy is meant.
    pub fn below(mut self, path: &Path, which: impl Fn(&Hierarchy) -> bool) -> Result<Cgroup, Error> {
        let cannot = |reason| Error::CannotBeJoined { path: path.to_owned(), reason };
        let mut names = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => names.push(Path::new(name)),
                Component::CurDir | Component::RootDir => {}
                _ => return Err(cannot("it leads up")),
            }
        }
        let mut is_meant = false;
        for place in self.places.iter_mut().filter(|place| which(&place.hierarchy)) {
            is_meant = true;
            for name in &names {
                place.dir = place.dir.open_child(name).map_err(|error| match error.is_gone() {
                    true => cannot("there is none of this name below the container's"),
                    false => error,
                })?;
            }
        }
        match is_meant {
            true => Ok(self),
            false => Err(cannot("the cgroup is in no such hierarchy")),
        }
    }

    /// The hierarchies that it is in.
    pub fn hierarchies(&self) -> impl Iterator<Item = &Hierarchy> {
        self.places.iter().map(|place| &place.hierarchy)
    }

    /// The same to be joined, by its own descriptors: what has its path by now is not looked at.
    ///
    /// # Errors
    /// As [`Existing::find`]; [`Error::CannotBeJoined`] also if it was removed from one of its hierarchies.
    pub fn existing(&self) -> Result<Existing, Error> {
        Existing::of_places(self.path.clone(), self.again()?, false)
    }

    /// The same of one that may be frozen: what joins it begins once it is thawed.
    ///
    /// # Errors
    /// As [`Cgroup::existing`].
    pub fn existing_or_frozen(&self) -> Result<Existing, Error> {
        Existing::of_places(self.path.clone(), self.again()?, true)
    }

    fn again(&self) -> Result<Vec<(Version, Dir)>, Error> {
        self.places.iter().map(|place| Ok((place.hierarchy.version(), place.dir.again()?))).collect()
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

    /// Lets what is in it use these devices.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn set_devices(&self, devices: &Devices) -> Result<(), Error> {
        let Some(place) = self.v1_of(Controller::Devices) else {
            return match (self.v2(), devices) {
                (Some(place), Devices::These(allowed)) => bpf::allow_devices(&place.dir, allowed),
                // By a program all the same: it may take the place of one that allowed less.
                (Some(place), Devices::AllBut(denied)) => bpf::deny_devices(&place.dir, denied),
                (None, Devices::AllBut(denied)) if denied.is_empty() => Ok(()),
                (None, _) => Err(Error::unsupported("devices", "the cgroup is in no hierarchy that has it")),
            };
        };
        let (first, then, rules) = match devices {
            Devices::These(allowed) => ("devices.deny", "devices.allow", allowed),
            Devices::AllBut(denied) => ("devices.allow", "devices.deny", denied),
        };
        // What is said before this holds no longer.
        place.dir.write(first, "a")?;
        rules.iter().try_for_each(|rule| place.dir.write(then, &rule.to_string()))
    }

    /// Gives it to a user, who can then make others below it and move what is in them; the limits stay whose they were, cgroups(7) "Delegation".
    /// For hierarchies of v2.
    ///
    /// # Errors
    /// What chown(2) answers.
    pub fn give_to(&self, uid: u32) -> Result<(), Error> {
        let listed = std::fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap_or_default();
        // Linux 4.15 tells which they are.
        let files = if listed.is_empty() { "cgroup.procs\ncgroup.threads\ncgroup.subtree_control" } else { &listed };
        self.places.iter().filter(|place| place.dir.is_v2()).try_for_each(|place| place.dir.give_to(uid, files.lines()))
    }

    /// Whether its processes are held still.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn is_frozen(&self) -> Result<bool, Error> {
        // In the other hierarchies of v1 there is nothing that could be asked.
        let can_be = self.places.iter().filter(|place| freeze::can_freeze(&place.hierarchy));
        can_be.map(|place| freeze::is_frozen(&place.dir)).try_fold(false, |frozen, is| Ok(frozen || is?))
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
fn make(hierarchy: &Hierarchy, path: &Path, mark: &str, holder: Option<u32>) -> Result<(Dir, bool, bool), Error> {
    // What is above one of systemd's is systemd's as well, and handed down by that: a user may not even write there.
    if holder.is_some() {
        match parent::open_existing(hierarchy, path) {
            Ok(dir) => {
                can_be_taken(hierarchy, &dir, path, false, holder)?;
                let marked = mark::claim(&dir, mark)?;
                return Ok((dir, false, marked));
            }
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
        }
    }
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
    if let Err(error) = can_be_taken(hierarchy, &dir, path, made, holder) {
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
        // Nobody here knows them, and whoever asks for a limit of them is told if they are not there.
        for other in ["rdma", "misc"] {
            if hierarchy.controllers().iter().any(|own| own == other) {
                let _ = above.write("cgroup.subtree_control", &format!("+{other}"));
            }
        }
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

fn can_be_taken(hierarchy: &Hierarchy, dir: &Dir, path: &Path, made: bool, holder: Option<u32>) -> Result<(), Error> {
    let is_others = |pid: &str| holder.is_none() || pid.parse().ok() != holder;
    if !made && dir.read_list("cgroup.procs")?.split_ascii_whitespace().any(is_others) {
        let reason = "the container's cgroup is not empty: it is there already, and processes are in it";
        return Err(Error::CannotBeJoined { path: path.to_owned(), reason });
    }
    match freeze::can_freeze(hierarchy) && freeze::is_frozen(dir)? {
        true => {
            let reason = "the container's cgroup unexpectedly frozen: a process in it would never start";
            Err(Error::CannotBeJoined { path: path.to_owned(), reason })
        }
        false => Ok(()),
    }
}

/// Bytes of which the kernel keeps whole ones alone: pages, and of huge pages those of the file's size, such as `hugetlb.2MB.max`. What is no
/// number of bytes is kept as it is: `memory.oom_control` has 1 or 0.
fn page_of(file: &str) -> u64 {
    const PAGE: u64 = 4096;
    let of_bytes = ["_in_bytes", ".min", ".low", ".high", ".max"].iter().any(|end| file.ends_with(end));
    if !(file.starts_with("hugetlb.") || file.starts_with("memory.") && of_bytes) {
        return 1;
    }
    let size = file.strip_prefix("hugetlb.").and_then(|rest| rest.split('.').next());
    size.and_then(|size| number(size.strip_suffix('B')?)).filter(|size| *size > PAGE).unwrap_or(PAGE)
}

/// As the kernel reads one, with K, M, G, T, P or E behind it, memparse().
fn number(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_shl(shift)
}

/// Whether what is read back is what was written. Some files have it in a line of several, in front of other numbers or behind a name:
/// `cpu.max` has "max 100000", `io.weight` "default 200", `memory.oom_control` "oom_kill_disable 1".
fn holds(wanted: &str, found: &str, unit: u64) -> bool {
    let in_line = |line: &str| {
        let named = ["default ", "oom_kill_disable "].iter().find_map(|name| line.strip_prefix(name));
        let (first, rest) = named.unwrap_or(line).split_once(' ').unwrap_or((named.unwrap_or(line), ""));
        // Words behind it say something else of it: a cpuset.cpus.partition that came to nothing is "root invalid".
        is_value(wanted.trim(), first, unit)
            && rest.split(' ').all(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
    };
    is_value(wanted, found, unit) || found.lines().any(in_line)
}

fn is_value(wanted: &str, found: &str, unit: u64) -> bool {
    let (wanted, found) = (wanted.trim(), found.trim());
    match (number(wanted), number(found)) {
        _ if wanted == found => true,
        (Some(wanted), Some(found)) => wanted == found || wanted / unit * unit == found,
        // cpu.uclamp.min has "50.00".
        _ if is_same_fraction(wanted, found) => true,
        // None, and the most that the kernel counts, in its words.
        _ if wanted == "-1" => true,
        _ => wanted.contains([' ', ',', '-', ':', '\n']),
    }
}

fn is_same_fraction(one: &str, other: &str) -> bool {
    let number =
        |text: &str| text.parse::<f64>().ok().filter(|_| text.bytes().all(|c| c.is_ascii_digit() || c == b'.'));
    number(one).zip(number(other)).is_some_and(|(one, other)| one == other)
}

fn identity(place: &Place) -> Result<(String, u64, u64), Error> {
    let found = fstat(place.dir.fd()).map_err(|errno| Error::from_call("fstat", place.dir.path(), errno))?;
    Ok((place.hierarchy.name(), found.st_dev, found.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_back_may_have_a_name_before_it_and_numbers_behind_it() {
        let same = |wanted, found| holds(wanted, found, page_of("memory.oom_control"));
        assert!(same("1", "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n"));
        assert!(!same("1", "oom_kill_disable 0\nunder_oom 1\noom_kill 1\n"));
        assert!(same("max", "max 100000\n") && same("50000", "50000 100000\n"));
        assert!(!same("max", "50000 100000\n") && !same("100000", "max 100000\n"));
        assert!(same("200", "default 200\n") && same("200", "default 200\n8:0 50\n") && same("20", "20\n8:0 50\n"));
        assert!(!same("50", "default 200\n8:0 50\n"));
        assert!(same("50", "50.00\n") && same("12.5", "12.50\n") && !same("50", "50.50\n"));
        assert!(!holds("5", "0\n", page_of("pids.max")) && holds("5", "0\n", page_of("memory.swap.max")));
        assert!(same("root", "root\n") && !same("root", "root invalid (no cpus)\n") && !same("root", "member\n"));
    }

    #[test]
    fn what_is_read_back_may_be_less_by_part_of_a_page_and_nothing_else() {
        let same = |wanted, found| holds(wanted, found, page_of("memory.max"));
        assert!(same("100", "100\n") && same("10000", "8192\n") && same("-1", "9223372036854771712\n"));
        assert!(!same("100", "200\n") && !same("100", "max\n") && !same("max", "100\n"));
        assert!(same("0-1", "0-1\n") && same("100000 50000", "100000 50000\n"));
        assert!(same("1G", "1073741824\n") && same("64k", "65536\n") && !same("1G", "1000000000\n"));
        let of_huge = page_of("hugetlb.2MB.max");
        assert!(of_huge == 2 << 20 && page_of("hugetlb.1GB.limit_in_bytes") == 1 << 30 && page_of("hugetlb.x") == 4096);
        assert!(holds("3000000", "2097152\n", of_huge) && !holds("3000000", "2998272\n", of_huge));
    }
}
