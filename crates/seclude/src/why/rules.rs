//! What holds for every path: rules of landlock, and whether the filter lets files be opened at all.

use std::path::PathBuf;
use std::rc::Rc;

use seclude_seccomp::{Action, Architecture};

use super::node::{Found, Node, What};
use super::paths::Access;
use super::subject::Known;
use super::tree::Tree;
use super::walk::Halt;
use crate::config::Config;
use crate::error::Result;
use crate::host::Host;
use crate::step::{Granted, asked, grants};

/// What a rule is of.
#[derive(PartialEq, Eq)]
enum Key {
    Host((u32, u32, u64)),
    Made(usize, PathBuf),
}

fn key(node: &Node) -> Key {
    match &node.what {
        What::Host(found) => Key::Host(found.identity),
        _ => Key::Made(node.layer, node.path.clone()),
    }
}

/// Rules of landlock about paths.
pub(super) struct Rules {
    handled: u64,
    opened: Vec<(Key, u64)>,
    /// Of places that cannot be told apart before.
    vague: bool,
    /// Whether they stand for namespaces.
    pub(super) alone: bool,
}

impl Rules {
    pub(super) fn of(config: &Config, host: &Host, tree: &Tree) -> std::result::Result<Option<Rules>, Halt> {
        let fails = |why: String| Halt::Unknown(format!("it would not start: {why}"));
        let grants = grants(config, host).map_err(|error| fails(error.to_string()))?;
        let Some(grants) = grants else { return Ok(None) };
        let mut rules = Rules { handled: grants.handled, opened: Vec::new(), vague: false, alone: grants.alone };
        for (granted, access) in grants.rules {
            let key = match granted {
                Granted::Opened(fd) => {
                    let found = Found::of(fd, PathBuf::new()).map_err(|errno| fails(errno.to_string()))?;
                    Some(Key::Host(found.identity))
                }
                Granted::Path(path) => {
                    let walked = tree.walk(&path, |_| Ok(()));
                    match walked {
                        Ok(walked) if !walked.missing.is_empty() => {
                            return Err(fails(format!("{} is not there", path.display())));
                        }
                        Ok(walked) => match &walked.last().what {
                            What::Kernel if tree.layers[walked.last().layer].at != walked.last().path => None,
                            What::Masked | What::Unknown(_) => None,
                            _ => Some(key(walked.last())),
                        },
                        Err(_) => None,
                    }
                }
            };
            match key {
                Some(key) => rules.opened.push((key, access)),
                None => rules.vague = true,
            }
        }
        Ok(Some(rules))
    }

    /// Whether what lies at the end of `stack` is opened for all of this, by rules of it and of what is above it.
    pub(super) fn grant(&self, stack: &[Rc<Node>], wanted: u64) -> Known {
        let keys: Vec<Key> = stack.iter().map(|node| key(node)).collect();
        let granted = self.opened.iter().filter(|(own, _)| keys.contains(own)).fold(0, |all, (_, access)| all | access);
        match wanted & self.handled & !granted {
            0 => Known::Yes,
            _ if self.vague => Known::Perhaps,
            _ => Known::No,
        }
    }

    pub(super) fn may_be_of_what_is_not_looked_into(&self) -> bool {
        self.vague || self.alone
    }
}

/// Whether files can be opened by the call that everybody uses.
pub(super) struct Opens {
    read: bool,
    write: bool,
}

impl Opens {
    pub(super) fn of(config: &Config, host: &Host) -> Result<Opens> {
        const O_WRONLY_CREAT: u64 = 0o101;
        let Some(asked) = asked(config, host)? else { return Ok(Opens { read: true, write: true }) };
        let kind = Architecture::NATIVE;
        let number = kind.number_of("openat").unwrap_or_default();
        let is_let = |flags: u64| {
            let arguments = [(-100_i64) as u64, 0, flags, 0o666, 0, 0];
            let by_profiles =
                asked.judges.iter().all(|judge| judge.profile.evaluate(kind, number, &arguments).allows());
            let by_program = asked.finished.as_ref().is_none_or(|program| {
                let answer = program.run(kind, number, &arguments).map(|(answer, _)| answer);
                [Action::Allow, Action::Log].iter().any(|action| answer == Some(action.number()))
            });
            by_profiles && by_program
        };
        Ok(Opens { read: is_let(0), write: is_let(O_WRONLY_CREAT) })
    }

    /// Why it is not known, where all else allows it.
    pub(super) fn doubt(&self, access: Access) -> Option<String> {
        let open = if access == Access::Write { self.write } else { self.read };
        (!open).then(|| "the filter of system calls refuses openat(2), by which files are opened".to_owned())
    }
}
