//! `linux.intelRdt`: a share of the processors' caches and memory bandwidth, by a directory of resctrl, Documentation/filesystems/resctrl.rst.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::spec::IntelRdt;

const FIELD: &str = "linux.intelRdt";
/// Directories of the file system's own.
const ITS_OWN: [&str; 5] = ["info", "mon_groups", "mon_data", ".", ".."];

/// What a container has of it, as it is written down before it is made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group {
    /// Its class of service.
    class: PathBuf,
    /// Whether that was not there before.
    made: bool,
    /// What counts it, in there.
    monitor: Option<PathBuf>,
}

impl Group {
    /// Looks what there is, and makes nothing.
    pub(crate) fn of(asked: &IntelRdt, id: &str) -> Result<Group> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| Failure::of("mountinfo", error))?;
        let mount = mount_point(&mounts).ok_or_else(|| {
            let why = "resctrl is not mounted here: mount -t resctrl resctrl /sys/fs/resctrl, where the processor and the kernel have it";
            Failure::at(FIELD, why)
        })?;
        Group::below(&mount, asked, id)
    }

    fn below(mount: &Path, asked: &IntelRdt, id: &str) -> Result<Group> {
        let at = |field: &str, why: String| Failure::at(format!("{FIELD}.{field}"), why);
        let named = asked.clos_id.as_str();
        if named != "/" && (named.contains('/') || ITS_OWN.contains(&named)) {
            return Err(at("closID", format!("{named:?} is no name of a class")));
        }
        let class = match named {
            "" => mount.join(id),
            "/" => mount.to_owned(),
            name => mount.join(name),
        };
        let is_there = class.is_dir();
        let wanted = asked.lines();
        match (named.is_empty(), is_there) {
            (true, true) => return Err(at("closID", format!("{} is there already", class.display()))),
            (false, false) if wanted.is_empty() => {
                return Err(at("closID", format!("there is no class {named:?}, and no schemata for a new one")));
            }
            (false, true) if !wanted.is_empty() => {
                let has = read(&class.join("schemata"))?;
                if let Some(other) = wanted.iter().find(|line| !has_line(&has, line)) {
                    return Err(at("closID", format!("the class {named:?} is there, and has not {other:?}")));
                }
            }
            _ => {}
        }
        let monitor = asked.enable_monitoring.then(|| class.join("mon_groups").join(id));
        Ok(Group { class, made: !is_there, monitor })
    }

    /// Makes it, with its shares, or nothing: whose a directory is that has come there since the look, nobody knows.
    pub(crate) fn make(&self, asked: &IntelRdt) -> Result<()> {
        if self.made {
            make_dir(&self.class)?;
        }
        let made = self.fill(asked);
        if made.is_err() && self.made {
            // It goes with what was made in it.
            let _ = fs::remove_dir(&self.class);
        }
        made
    }

    fn fill(&self, asked: &IntelRdt) -> Result<()> {
        if self.made {
            // One by one: the kernel says which it refuses.
            for line in asked.lines() {
                write(&self.class.join("schemata"), &line)?;
            }
        }
        self.monitor.as_ref().map_or(Ok(()), |monitor| make_dir(monitor))
    }

    /// Puts a process there, before it has started any.
    pub(crate) fn join(&self, pid: u32) -> Result<()> {
        write(&self.class.join("tasks"), &pid.to_string())?;
        self.monitor.as_ref().map_or(Ok(()), |monitor| write(&monitor.join("tasks"), &pid.to_string()))
    }

    /// Takes away what was made.
    pub(crate) fn remove(&self) -> Result<()> {
        let made = self.monitor.iter().chain(self.made.then_some(&self.class));
        for directory in made {
            match fs::remove_dir(directory) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(directory, error)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl IntelRdt {
    /// What is to stand in `schemata`, in the order in which it is written.
    fn lines(&self) -> Vec<String> {
        let is_bandwidth = |line: &&str| line.trim_start().starts_with("MB:");
        // Lines of bandwidth among those of caches are not meant where they have a field of their own.
        let caches = self.l3_cache_schema.lines().filter(|line| self.mem_bw_schema.is_empty() || !is_bandwidth(line));
        let others = self.schemata.iter().flat_map(|text| text.lines());
        let all = caches.chain(self.mem_bw_schema.lines()).chain(others);
        all.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

/// Whether a class has these values, of as many domains as are said: masks are hexadecimal, with or without leading zeros.
fn has_line(has: &str, wanted: &str) -> bool {
    let parts = |line: &str| -> Option<(String, Vec<(String, String)>)> {
        let (resource, domains) = line.trim().split_once(':')?;
        let of = |domain: &str| {
            let (number, value) = domain.split_once('=')?;
            let value = value.trim().trim_start_matches('0').to_ascii_lowercase();
            Some((number.trim().to_owned(), value))
        };
        Some((resource.trim().to_owned(), domains.split(';').map(of).collect::<Option<_>>()?))
    };
    let Some((resource, domains)) = parts(wanted) else { return false };
    let found = has.lines().filter_map(parts).find(|(other, _)| *other == resource);
    found.is_some_and(|(_, own)| domains.iter().all(|domain| own.contains(domain)))
}

fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        (after.split(' ').next() == Some("resctrl")).then(|| before.split(' ').nth(4).map(PathBuf::from))?
    })
}

fn failed(path: &Path, error: std::io::Error) -> Failure {
    Failure::of(path.display(), error).or_at(FIELD)
}

fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir(path).map_err(|error| failed(path, error))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| failed(path, error))
}

fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let opened = fs::OpenOptions::new().write(true).open(path);
    opened.and_then(|mut file| writeln!(file, "{text}")).map_err(|error| failed(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: serde_json::Value) -> IntelRdt {
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn classes_are_looked_for_and_compared_before_anything_is_made() {
        use serde_json::json;
        let mount = std::env::temp_dir().join(format!("seclude-resctrl-{}", std::process::id()));
        let class = mount.join("gold");
        fs::create_dir_all(class.join("mon_groups")).unwrap();
        fs::write(class.join("schemata"), "    L3:0=00f;1=fff\n    MB:0= 70;1=100\n").unwrap();
        fs::write(class.join("tasks"), "").unwrap();
        let of = |text| Group::below(&mount, &asked(text), "id");
        for good in [
            json!({ "closID": "gold" }),
            json!({ "closID": "gold", "l3CacheSchema": "L3:0=f" }),
            json!({ "closID": "gold", "schemata": ["L3:0=f;1=fff", "MB:1=100"] }),
        ] {
            let group = of(good).unwrap();
            assert!(!group.made);
            group.make(&IntelRdt::default()).unwrap();
            group.join(7).unwrap();
            assert_eq!(fs::read_to_string(class.join("tasks")).unwrap(), "7\n");
            group.remove().unwrap();
            assert!(class.is_dir(), "it is others'");
        }
        for wrong in [
            json!({ "closID": "silver" }),
            json!({ "closID": "gold", "l3CacheSchema": "L3:0=1" }),
            json!({ "closID": "gold", "schemata": "L2:0=f" }),
            json!({ "closID": ".." }),
            json!({ "closID": "a/b" }),
            json!({ "closID": "info" }),
        ] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
        let group = of(json!({ "enableMonitoring": true, "memBwSchema": "MB:0=50" })).unwrap();
        assert_eq!((group.made, &group.class), (true, &mount.join("id")));
        assert_eq!(group.monitor, Some(mount.join("id/mon_groups/id")));
        fs::remove_dir_all(&mount).unwrap();
    }

    #[test]
    fn lines_are_written_in_the_order_of_the_specification() {
        use serde_json::json;
        let all = asked(json!({ "l3CacheSchema": "L3:0=f\nMB:0=1", "memBwSchema": "MB:0=20", "schemata": ["L2:0=f"] }));
        assert_eq!(all.lines(), ["L3:0=f", "MB:0=20", "L2:0=f"]);
        assert_eq!(mount_point("1 2 0:3 / /sys/fs/resctrl rw - resctrl resctrl rw\n"), Some("/sys/fs/resctrl".into()));
        assert_eq!(mount_point("1 2 0:3 / /sys rw - sysfs sysfs rw\n"), None);
    }
}
