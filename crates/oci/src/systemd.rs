//! `--systemd-cgroup`: the container's cgroup is a scope of systemd's, which knows its limits as well, and sets none of them back.

mod properties;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use seclude::cgroup::Devices;
use seclude::{Property, Scope};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::interrupts;
use crate::spec::Resources;
use properties::{access, annotated, io_accounting, limits};

const FIELD: &str = "linux.cgroupsPath";
/// How long systemd has for its answer, as others have it.
const PATIENCE: Duration = Duration::from_secs(30);
/// What annotations of properties begin with.
const ANNOTATION: &str = "org.systemd.property.";

/// The scope of a container.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unit {
    pub(crate) name: String,
    slice: String,
    /// Of the user's own systemd.
    is_user: bool,
}

impl Unit {
    /// Of `slice:prefix:name`; where nothing is said, of the container's id.
    pub(crate) fn of(cgroups_path: &str, id: &str, is_user: bool) -> Result<Unit> {
        let usual = if is_user { "user.slice" } else { "system.slice" };
        let (slice, prefix, name) = match cgroups_path.split(':').collect::<Vec<_>>().as_slice() {
            [""] => (usual, "seclude", id),
            [slice, prefix, name] => (if slice.is_empty() { usual } else { *slice }, *prefix, *name),
            _ => {
                let why = format!("{cgroups_path:?} is no slice:prefix:name, as --systemd-cgroup has it");
                return Err(Failure::at(FIELD, why));
            }
        };
        let name = match (name.ends_with(".slice"), prefix.is_empty()) {
            (true, _) => return Err(Failure::at(FIELD, format!("{name:?} is a slice, and a container is a scope"))),
            (false, true) => format!("{name}.scope"),
            (false, false) => format!("{prefix}-{name}.scope"),
        };
        let is_wrong = |c: char| !(c.is_ascii_alphanumeric() || ":-_.\\@".contains(c));
        if name.len() > 255 || name == ".scope" || name.contains(is_wrong) {
            return Err(Failure::at(FIELD, format!("{name:?} is no name of a unit, systemd.unit(5)")));
        }
        below(slice)?;
        Ok(Unit { name, slice: slice.to_owned(), is_user })
    }

    /// Its cgroup.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let scope = self.scope();
        let above = ask(move || scope.above())?;
        Ok(above.join(below(&self.slice)?).join(&self.name))
    }

    fn scope(&self) -> Scope {
        let scope = Scope::new(&self.name, self.is_user);
        match self.is_user.then(host_uid).flatten() {
            Some(uid) => scope.bus_user(uid),
            None => scope,
        }
    }

    /// Has systemd make it, around a process that is there for that alone.
    pub(crate) fn start(
        &self,
        id: &str,
        resources: Option<&Resources>,
        devices: Option<&Devices>,
        annotations: &std::collections::BTreeMap<String, String>,
    ) -> Result<Holder> {
        let text = |text: &str| Property::Text(text.to_owned());
        let mut scope = self
            .scope()
            .property("Description", Property::Text(format!("seclude-oci container {id}")))
            .property("Slice", text(&self.slice))
            .property("Delegate", Property::Flag(true))
            .property("DefaultDependencies", Property::Flag(false))
            .property("CollectMode", text("inactive-or-failed"));
        for name in ["MemoryAccounting", "CPUAccounting", "TasksAccounting", io_accounting()?] {
            scope = scope.property(name, Property::Flag(true));
        }
        for (name, property) in limits(resources)?.into_iter().chain(devices.map(access).unwrap_or_default()) {
            scope = scope.property(name, property);
        }
        for (key, value) in annotations {
            if let Some(name) = key.strip_prefix(ANNOTATION) {
                let (name, property) = annotated(name, value).ok_or_else(|| {
                    Failure::at(
                        format!("annotations.{key}"),
                        format!("{value:?} is none of: true, a number, 'text', [\"texts\"]"),
                    )
                })?;
                scope = scope.property(name, property);
            }
        }
        let holder = Holder::start()?;
        let pid = holder.0.id();
        ask(move || scope.start(&[pid]))?;
        Ok(holder)
    }

    /// What `update` asks for: systemd is to know it too.
    pub(crate) fn update(&self, resources: &Resources) -> Result<()> {
        let limits = limits(Some(resources))?;
        if limits.is_empty() {
            return Ok(());
        }
        let scope = limits.into_iter().fold(self.scope(), |scope, (name, property)| scope.property(name, property));
        ask(move || scope.update())
    }

    /// Has systemd forget it.
    pub(crate) fn stop(&self) -> Result<()> {
        let scope = self.scope();
        ask(move || scope.stop())
    }
}

/// Where a slice is: each `-` in its name is a level, systemd.slice(5).
fn below(slice: &str) -> Result<PathBuf> {
    let wrong = || Failure::at(FIELD, format!("{slice:?} is no name of a slice, systemd.slice(5)"));
    if slice == "-.slice" {
        return Ok(PathBuf::new());
    }
    let name = slice.strip_suffix(".slice").filter(|name| !name.is_empty() && !name.contains('/')).ok_or_else(wrong)?;
    let mut path = PathBuf::new();
    let mut prefix = String::new();
    for part in name.split('-') {
        if part.is_empty() || part == ".." {
            return Err(wrong());
        }
        path.push(format!("{prefix}{part}.slice"));
        prefix = format!("{prefix}{part}-");
    }
    Ok(path)
}

/// Something that a scope can be made around, as one without a process is none: it ends with this, or with the one that has it.
pub(crate) struct Holder(Child);

impl Holder {
    fn start() -> Result<Holder> {
        let failed = |error| Failure::of("a process that holds the scope", error);
        let mut command = Command::new("/proc/self/exe");
        command.arg("hold-scope").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env_clear().spawn().map(Holder).map_err(failed)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// What it is: waits for the end of what has started it.
    pub(crate) fn hold() -> Result<()> {
        std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())
            .map(drop)
            .map_err(|error| Failure::of("stdin", error))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Systemd may not answer; a signal ends the wait as it ends the others.
fn ask<T: Send + 'static>(question: impl FnOnce() -> seclude::Result<T> + Send + 'static) -> Result<T> {
    let answer = interrupts::wait_for(PATIENCE, question)?;
    let late = || Failure::at(FIELD, format!("systemd has not answered for {} s", PATIENCE.as_secs()));
    answer.ok_or_else(late)?.map_err(|error| Failure::from(error).or_at(FIELD))
}

/// Under which id the bus knows the caller.
fn host_uid() -> Option<u32> {
    let own = rustix::process::geteuid().as_raw();
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    map.lines().find_map(|line| {
        let mut parts = line.split_ascii_whitespace().map(|part| part.parse::<u32>().ok());
        let (inside, outside, count) = (parts.next()??, parts.next()??, parts.next()??);
        let offset = own.checked_sub(inside).filter(|offset| *offset < count)?;
        outside.checked_add(offset)
    })
}

/// Whether a path is of this form, which without `--systemd-cgroup` is none.
pub(crate) fn is_unit(path: &Path) -> bool {
    path.to_str().is_some_and(|path| !path.contains('/') && path.split(':').count() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_its_name_and_slice_from_the_path() {
        for (path, name, slice) in [
            ("machine.slice:libpod:abc", "libpod-abc.scope", "machine.slice"),
            (":docker:abc", "docker-abc.scope", "system.slice"),
            ("a-b.slice::abc", "abc.scope", "a-b.slice"),
            ("", "seclude-id.scope", "system.slice"),
        ] {
            let unit = Unit::of(path, "id", false).unwrap();
            assert_eq!((unit.name.as_str(), unit.slice.as_str()), (name, slice));
        }
        for path in [
            "/a/b",
            "a:b",
            "a:b:c:d",
            "no-slice:b:c",
            "a--b.slice:b:c",
            "a.slice:b:c.slice",
            "a.slice:b:c/d",
            "../x.slice:b:c",
        ] {
            assert!(Unit::of(path, "id", false).is_err(), "{path}");
        }
        assert_eq!(below("a-b-c.slice").unwrap(), Path::new("a.slice/a-b.slice/a-b-c.slice"));
        assert_eq!(below("-.slice").unwrap(), Path::new(""));
    }
}
