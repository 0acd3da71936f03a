//! One value for one file of a cgroup, as data; and writing it so that it holds.

use std::path::PathBuf;

use crate::dir::Dir;
use crate::{Error, Limit, List};

/// What to write for a limit, and how to see that it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) limit: Limit,
    pub(crate) file: String,
    pub(crate) value: String,
    pub(crate) check: Check,
    /// What it means when there is no such file.
    pub(crate) absent: Absent,
}

/// What must be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// What was written.
    Same,
    /// The number of bytes, rounded down to a multiple of this.
    Bytes(u64),
    /// The same CPUs or nodes in this file, which tells what is in effect.
    List(&'static str),
    /// In one line all the words that were written: the first is the key (a device) or `default`.
    Words,
    /// The number that was written, as the last word of the first line.
    Last,
    /// This file has a line with what was written.
    LineOf(&'static str),
    /// This file has no line with this text.
    NoLineOf(&'static str, &'static str),
}

/// What a missing file means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Absent {
    /// This host cannot do it, for this reason.
    Unsupported(&'static str),
    /// The next setting has the same meaning and may be there instead.
    Otherwise,
}

impl Setting {
    pub(crate) fn new(limit: Limit, file: impl Into<String>, value: impl ToString, check: Check) -> Setting {
        let absent = Absent::Unsupported("the kernel does not have this file");
        Setting { limit, file: file.into(), value: value.to_string(), check, absent }
    }

    /// With the reason why the file may be missing.
    pub(crate) fn absent(mut self, meaning: Absent) -> Setting {
        self.absent = meaning;
        self
    }
}

/// Writes them in order and reads each back.
pub(crate) fn apply(dir: &Dir, settings: &[Setting]) -> Result<(), Error> {
    let mut done_otherwise = false;
    for setting in settings {
        match write(dir, setting) {
            Ok(found) => {
                holds(setting, &found).then_some(()).ok_or_else(|| ignored(dir, setting, &found))?;
                done_otherwise = setting.absent == Absent::Otherwise;
            }
            Err(error) if error.is_not_found() && error.call() == Some("openat") => match setting.absent {
                Absent::Otherwise => {}
                Absent::Unsupported(_) if done_otherwise => done_otherwise = false,
                Absent::Unsupported(why) => {
                    let reason = format!("no {}: {why}", dir.path().join(&setting.file).display());
                    return Err(Error::unsupported(setting.limit.name(), reason));
                }
            },
            Err(error) => return Err(refused(dir, setting, error)),
        }
    }
    Ok(())
}

/// Writes it, and answers what the file has then that tells whether it holds.
fn write(dir: &Dir, setting: &Setting) -> Result<String, Error> {
    match told_by(setting) {
        file if file == setting.file => dir.exchange(file, &setting.value),
        file => dir.write(&setting.file, &setting.value).and_then(|()| dir.read(file)),
    }
}

fn told_by(setting: &Setting) -> &str {
    match setting.check {
        Check::List(file) | Check::LineOf(file) | Check::NoLineOf(file, _) => file,
        _ => setting.file.as_str(),
    }
}

fn refused(dir: &Dir, setting: &Setting, error: Error) -> Error {
    match error.errno() {
        Some(errno) => Error::Refused {
            limit: setting.limit,
            value: setting.value.clone(),
            path: dir.path().join(&setting.file),
            source: std::io::Error::from_raw_os_error(errno),
        },
        None => error,
    }
}

fn ignored(dir: &Dir, setting: &Setting, found: &str) -> Error {
    let path: PathBuf = dir.path().join(told_by(setting));
    Error::Ignored { limit: setting.limit, value: setting.value.clone(), path, found: found.trim().to_owned() }
}

fn holds(setting: &Setting, found: &str) -> bool {
    let wanted = setting.value.as_str();
    match setting.check {
        Check::Same => found.trim() == wanted,
        Check::Bytes(unit) => {
            let round = |text: &str| text.trim().parse::<u64>().ok().map(|bytes| bytes / unit * unit);
            round(found).is_some() && round(found) == round(wanted)
        }
        Check::List(_) => found.trim().parse::<List>().is_ok_and(|list| list.to_string() == wanted),
        Check::Words => {
            let key = wanted.split(' ').next();
            let line = found.lines().find(|line| line.split(' ').next() == key);
            line.is_some_and(|line| wanted.split(' ').all(|word| line.split(' ').any(|have| have == word)))
        }
        Check::Last => {
            let last = |text: &str| text.lines().next()?.split(' ').next_back()?.parse::<u64>().ok();
            last(found).is_some() && last(found) == last(wanted)
        }
        Check::LineOf(_) => found.lines().any(|line| line == wanted),
        Check::NoLineOf(_, unwanted) => found.lines().all(|line| line != unwanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    fn setting(file: &str, value: &str, check: Check) -> Setting {
        Setting::new(Limit::MemoryMax, file, value, check)
    }

    #[test]
    fn a_value_that_holds_is_what_the_kernel_may_make_of_it() {
        let good = [
            (setting("f", "100", Check::Same), "100\n"),
            (setting("f", "10000", Check::Bytes(4096)), "8192\n"),
            (setting("f", "0-1,2", Check::List("g")), "0-2\n"),
            (setting("f", "8:0 rbps=5 wiops=7", Check::Words), "8:16 rbps=1\n8:0 rbps=5 wbps=max riops=max wiops=7\n"),
            (setting("f", "8:0 1048576", Check::Words), "8:0 1048576\n"),
            (setting("f", "default 50", Check::Words), "default 50\n8:0 70\n"),
            (setting("f", "50", Check::Last), "default 50\n8:0 70\n"),
            (setting("f", "50", Check::Last), "50\n"),
            (setting("f", "c 1:3 rwm", Check::LineOf("g")), "c 1:5 rwm\nc 1:3 rwm\n"),
            (setting("f", "a", Check::NoLineOf("g", "a *:* rwm")), "\n"),
        ];
        for (setting, found) in good {
            let setting = match &setting.check {
                Check::List(_) => Setting { value: "0-2".into(), ..setting },
                _ => setting,
            };
            assert!(holds(&setting, found), "{setting:?} {found:?}");
        }
        let bad = [
            (setting("f", "100", Check::Same), "max\n"),
            (setting("f", "10000", Check::Bytes(4096)), "4096\n"),
            (setting("f", "10000", Check::Bytes(4096)), "max\n"),
            (setting("f", "max", Check::Bytes(4096)), "max\n"),
            (setting("f", "0-2", Check::List("g")), "0-1\n"),
            (setting("f", "0-2", Check::List("g")), "\n"),
            (setting("f", "8:0 rbps=5", Check::Words), "8:0 rbps=6 wbps=5\n"),
            (setting("f", "8:0 rbps=5", Check::Words), ""),
            (setting("f", "50", Check::Last), "default 100\n"),
            (setting("f", "c 1:3 rwm", Check::LineOf("g")), "c 1:3 r\n"),
            (setting("f", "a", Check::NoLineOf("g", "a *:* rwm")), "a *:* rwm\n"),
        ];
        for (setting, found) in bad {
            assert!(!holds(&setting, found), "{setting:?} {found:?}");
        }
    }

    #[test]
    fn values_are_written_and_read_back() {
        let tree = Tree::new(&[("memory.max", "max\n"), ("cpuset.cpus", "\n"), ("cpuset.cpus.effective", "0\n")]);
        let dir = tree.dir();
        apply(&dir, &[setting("memory.max", "8192", Check::Bytes(4096))]).unwrap();
        assert_eq!(tree.text("memory.max"), "8192");

        let error = apply(&dir, &[setting("cpuset.cpus", "0-1", Check::List("cpuset.cpus.effective"))]).unwrap_err();
        assert!(matches!(&error, Error::Ignored { found, .. } if found == "0"), "{error}");
    }

    #[test]
    fn a_missing_file_is_unsupported_unless_another_does_it() {
        let tree = Tree::new(&[("b", "")]);
        let dir = tree.dir();
        let a = setting("a", "5", Check::Same).absent(Absent::Otherwise);
        let b = setting("b", "5", Check::Same);
        let c = setting("c", "5", Check::Same).absent(Absent::Unsupported("not built in"));
        apply(&dir, &[a.clone(), b.clone()]).unwrap();
        apply(&dir, &[b.clone().absent(Absent::Otherwise), c.clone()]).unwrap();
        let error = apply(&dir, &[a, c.clone()]).unwrap_err();
        assert!(error.to_string().ends_with("c: not built in"), "{error}");
        assert!(matches!(apply(&dir, &[b, c]), Err(Error::Unsupported { .. })));
    }
}
