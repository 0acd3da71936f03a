//! What may be done with a path inside, and by which part of the plan.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{CWD, FileType};
use seclude_request::{Field, Remedy};
use seclude_sys::landlock::access as rights;
use serde_json::json;

use super::node::{Found, Node, What};
use super::program::{self, Needs};
use super::rules::{Opens, Rules};
use super::subject::{EXECUTE, Known, READ, Subject, WRITE};
use super::tree::{Content, Layer, Tree};
use super::walk::{Halt, Pass, Walked};
use super::{Answer, Verdict};
use crate::config::Config;
use crate::config::root::Root;
use crate::error::Result;
use crate::host::Host;
use crate::places::{Places, SECRETS};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    Read,
    Write,
    Exec,
}

pub(super) struct Paths {
    tree: Tree,
    subject: Subject,
    rules: Option<Rules>,
    opens: Opens,
    host: Host,
    /// Whether of the host's tree the sandbox's part alone is there.
    curated: bool,
    /// Whether a list of devices holds, of which no file tells.
    lists_devices: bool,
}

/// What decides, where nothing refuses.
type Doubts = RefCell<Option<String>>;

fn refused(by: impl Into<String>) -> Answer {
    Answer::new(Verdict::Refused, by)
}

/// To show what the host has there.
fn showing(access: Access, path: &Path) -> Remedy {
    let field = if access == Access::Write { "rw" } else { "ro" };
    Remedy::set(field, json!([path.to_string_lossy()]))
}

impl Paths {
    /// # Errors
    /// What could not be asked; inside: why no path can be told of.
    pub(super) fn of(config: &Config, host: &Host) -> Result<Result<Paths, Answer>> {
        let opens = Opens::of(config, host)?;
        let cannot = |halt: Halt| {
            let (Halt::Refused(why) | Halt::Unknown(why)) = halt;
            Answer::new(Verdict::CannotTell, why)
        };
        let built = Tree::of(config, host).and_then(|tree| {
            let rules = Rules::of(config, host, &tree)?;
            Ok((tree, rules))
        });
        let limits = config.cgroup.as_ref().map(|cgroup| &cgroup.limits);
        Ok(built.map_err(cannot).map(|(tree, rules)| Paths {
            tree,
            rules,
            opens,
            subject: Subject::of(config, host),
            host: host.clone(),
            curated: config.root.as_ref().is_some_and(Root::is_curated),
            lists_devices: limits.is_some_and(|limits| limits.devices.is_some()),
        }))
    }

    pub(super) fn answer(&self, access: Access, path: &Path) -> Answer {
        self.answer_to(access, path, 0)
    }

    /// `deep`: of how many programs it is the interpreter.
    fn answer_to(&self, access: Access, path: &Path, deep: usize) -> Answer {
        let doubts = Doubts::default();
        let walked = self.tree.walk(path, |pass| self.passes(&pass, &doubts));
        let answer = match walked {
            Err(Halt::Refused(by)) => refused(by),
            Err(Halt::Unknown(why)) => Answer::new(Verdict::CannotTell, why),
            Ok(walked) => match self.come_to(access, path, &walked, &doubts) {
                answer if access == Access::Exec && answer.verdict == Verdict::Allowed => {
                    self.with_what_it_needs(answer, walked.last(), deep)
                }
                answer => answer,
            },
        };
        match (answer.verdict, doubts.into_inner().or_else(|| self.opens.doubt(access))) {
            (Verdict::Allowed, Some(why)) => Answer::new(Verdict::CannotTell, why),
            _ => answer,
        }
    }

    /// A program that may be executed: with what is executed for it.
    fn with_what_it_needs(&self, answer: Answer, node: &Node, deep: usize) -> Answer {
        let What::Host(found) = &node.what else { return answer };
        let (needed, what) = match program::needs(found) {
            Needs::Nothing => return answer,
            Needs::Broken(why) => return self.at(refused(why), node),
            Needs::Unknown(why) => return Answer::new(Verdict::CannotTell, why),
            Needs::Program { what: program::INTERPRETER, .. } if deep == program::MOST_INTERPRETERS => {
                return self.at(refused("an interpreter of an interpreter, and so on: too deep, execve(2)"), node);
            }
            Needs::Program { path, what } => (path, what),
        };
        if needed.is_relative() {
            let why = format!("its {what} is {needed:?}, which begins where the command is");
            return Answer::new(Verdict::CannotTell, why);
        }
        let its = self.answer_to(Access::Exec, &needed, deep + 1);
        match its.verdict {
            Verdict::Allowed => answer,
            _ => Answer { by: format!("its {what} {}: {}", needed.display(), its.by), ..its },
        }
    }

    fn passes(&self, pass: &Pass<'_>, doubts: &Doubts) -> Result<(), Halt> {
        let doubt = |why: String| {
            doubts.borrow_mut().get_or_insert(why);
        };
        match pass {
            Pass::Directory(directory) => match self.may(directory, EXECUTE) {
                Known::Yes => {}
                Known::No => {
                    let words = self.modes(directory);
                    return Err(Halt::Refused(format!("{} may not be passed{words}", directory.path.display())));
                }
                Known::Perhaps => doubt(format!("whether {} may be passed", directory.path.display())),
            },
            // sysctl(2) fs.protected_symlinks: in such a directory those of others are not followed.
            Pass::Link { directory, link } => {
                if let (What::Host(above), What::Link { owner: Some(owner), .. }) = (&directory.what, &link.what)
                    && above.modes.mode & 0o1002 == 0o1002
                    && above.modes.uid != *owner
                    && self.subject.owns(*owner, self.is_mapped(directory, above)) != Known::Yes
                {
                    doubt(format!("whether the symlink {} is followed, which is somebody's", link.path.display()));
                }
            }
        }
        Ok(())
    }

    fn come_to(&self, access: Access, path: &Path, walked: &Walked, doubts: &Doubts) -> Answer {
        let ends = path.as_os_str().as_encoded_bytes();
        let as_directory = ends.ends_with(b"/") || ends.ends_with(b"/.");
        let last = walked.last();
        match &walked.missing[..] {
            [] if as_directory && !last.is_directory() && !matches!(last.what, What::Unknown(_)) => {
                refused(format!("{} is no directory", last.path.display()))
            }
            [] => self.there(access, walked, doubts),
            [name] if access == Access::Write && name != ".." => {
                let made = self.make(walked, last.path.join(name));
                if as_directory && made.verdict == Verdict::Allowed { refused("no file has such a name") } else { made }
            }
            missing => self.absent(access, &missing.iter().fold(last.path.clone(), |path, name| path.join(name)), last),
        }
    }

    fn layer(&self, node: &Node) -> &Layer {
        &self.tree.layers[node.seen]
    }

    /// By which part of the plan it is as it is.
    fn words(&self, node: &Node) -> String {
        let closed = if node.read_only { ", read-only" } else { "" };
        format!("{}{closed}", self.layer(node).words)
    }

    fn at(&self, answer: Answer, node: &Node) -> Answer {
        let field = self.layer(node).field.clone();
        answer.at(field)
    }

    fn is_mapped(&self, node: &Node, found: &Found) -> Known {
        match &self.tree.layers[node.layer].content {
            Content::Host(view) => view.shown.is_mapped(found, &self.host),
            _ => Known::Perhaps,
        }
    }

    fn is_overlaid(&self, node: &Node) -> bool {
        matches!(&self.tree.layers[node.layer].content, Content::Host(view) if view.overlaid)
    }

    /// What modes let it do.
    fn may(&self, node: &Node, wanted: u32) -> Known {
        match &node.what {
            What::Host(found) => {
                let by_owner = self.subject.may(&found.modes, self.is_mapped(node, found), wanted);
                if !self.is_overlaid(node) || !found.modes.directory {
                    return by_owner;
                }
                // One with mounts below it is set-up's own (`step/layered_host.rs`).
                Known::agreed([by_owner, self.subject.may_made(found.modes.mode, true, wanted)])
            }
            What::Directory { mode } => self.subject.may_made(*mode, true, wanted),
            What::File { mode } => self.subject.may_made(*mode, false, wanted),
            What::Device => Known::of(wanted & EXECUTE == 0),
            // Whatever is found there.
            What::Kernel | What::Masked | What::Link { .. } | What::Unknown(_) => Known::Yes,
        }
    }

    /// Of a file of the host's: its mode and owner.
    fn modes(&self, node: &Node) -> String {
        match &node.what {
            What::Host(found) => found.modes.words(),
            What::Directory { mode } | What::File { mode } => format!(": mode {mode:o}"),
            _ => String::new(),
        }
    }

    fn there(&self, access: Access, walked: &Walked, doubts: &Doubts) -> Answer {
        let node = walked.last();
        let doubt = |why: String| {
            doubts.borrow_mut().get_or_insert(why);
        };
        let whole = || self.words(node);
        let answer = match &node.what {
            What::Masked => return self.at(self.masked(access, node), node),
            What::Kernel if access == Access::Write && node.read_only => {
                refused(format!("read-only: {}", self.layer(node).words))
            }
            // Whatever it is.
            What::Kernel if access == Access::Exec && node.noexec => {
                refused(format!("noexec: {}", self.layer(node).words))
            }
            What::Kernel => {
                Answer::new(Verdict::CannotTell, format!("{}: what it shows is known when it runs", whole()))
            }
            What::Unknown(why) => Answer::new(Verdict::CannotTell, why.clone()),
            What::Link { .. } => Answer::new(Verdict::CannotTell, "a symlink"),
            What::Device if access == Access::Exec => refused(format!("it is a device: {}", whole())),
            What::Device => Answer::new(Verdict::Allowed, whole()),
            What::Host(found) => match self.is_of_a_kind(access, node, found) {
                Err(by) => refused(by),
                Ok(why) => {
                    why.into_iter().for_each(doubt);
                    self.checked(access, node, found.kind)
                }
            },
            What::Directory { .. } => self.checked(access, node, FileType::Directory),
            What::File { .. } => self.checked(access, node, FileType::RegularFile),
        };
        let answer = self.at(answer, node);
        if answer.verdict == Verdict::Refused { answer } else { self.ruled(access, &walked.stack, &node.path, answer) }
    }

    /// What is neither a file nor a directory: why it cannot be opened, or what is not known of it.
    fn is_of_a_kind(&self, access: Access, node: &Node, found: &Found) -> Result<Option<String>, String> {
        let shown = node.path.display();
        let changes = access == Access::Write && !self.is_overlaid(node);
        match found.kind {
            FileType::RegularFile if changes && (found.immutable || found.append_only) => {
                Err(format!("{shown} may not be changed, chattr(1)"))
            }
            FileType::Directory if changes && found.immutable => Err(format!("{shown} may not be changed, chattr(1)")),
            FileType::Directory if access == Access::Exec => Err(format!("{shown} is a directory")),
            FileType::RegularFile | FileType::Directory => Ok(None),
            _ if access == Access::Exec => Err(format!("{shown} is no file")),
            FileType::CharacterDevice | FileType::BlockDevice if node.nodev => {
                Err(format!("devices do nothing there: {}", self.words(node)))
            }
            _ if found.is_harmless_device() && !self.lists_devices => Ok(None),
            FileType::CharacterDevice | FileType::BlockDevice => Ok(Some(format!("{shown} is a device"))),
            FileType::Socket => Err(format!("{shown} is a socket, which nothing opens")),
            _ => Ok(Some(format!("{shown} is a FIFO, and waits for its other end"))),
        }
    }

    /// What is there, by its flags and modes.
    fn checked(&self, access: Access, node: &Node, kind: FileType) -> Answer {
        let directory = kind == FileType::Directory;
        let is_file = directory || kind == FileType::RegularFile;
        let wanted = match access {
            Access::Read => READ,
            Access::Write if directory => WRITE | EXECUTE,
            Access::Write => WRITE,
            Access::Exec => EXECUTE,
        };
        let may = self.may(node, wanted);
        let shown = node.path.display();
        match access {
            Access::Exec if directory => return refused(format!("{shown} is a directory")),
            Access::Exec if node.noexec => return refused(format!("noexec: {}", self.words(node))),
            Access::Write if node.read_only && is_file => {
                let remedies = if may == Known::Yes { self.to_write(node) } else { Vec::new() };
                return refused(format!("read-only: {}", self.layer(node).words)).with(remedies);
            }
            _ => {}
        }
        match may {
            _ if access == Access::Write && self.is_overlaid(node) => {
                Answer::new(Verdict::CannotTell, format!("what is written goes to another place: {}", self.words(node)))
            }
            Known::No => refused(format!("{shown} does not let it{}", self.modes(node))),
            Known::Perhaps => Answer::new(Verdict::CannotTell, format!("whether {shown} lets it{}", self.modes(node))),
            Known::Yes => Answer::new(Verdict::Allowed, self.words(node)),
        }
    }

    /// A file by a name that is not there.
    fn make(&self, walked: &Walked, path: PathBuf) -> Answer {
        let directory = walked.last();
        if let What::Host(found) = &directory.what
            && found.immutable
            && !self.is_overlaid(directory)
        {
            return self.at(refused(format!("{} may not be changed, chattr(1)", directory.path.display())), directory);
        }
        let host_has_more = self.curated
            && directory.read_only
            && !matches!(directory.what, What::Host(_))
            && directory.path != Path::new("/")
            && self.is_on_the_host(&directory.path);
        if host_has_more {
            return self.not_shown(Access::Write, &directory.path).at(Some(Field::of("root")));
        }
        let answer = self.at(self.checked(Access::Write, directory, FileType::Directory), directory);
        if answer.verdict == Verdict::Refused {
            return answer;
        }
        self.ruled(Access::Write, &walked.stack, &path, answer)
    }

    /// What rules of landlock say, where nothing else refuses it.
    fn ruled(&self, access: Access, stack: &[Rc<Node>], path: &Path, answer: Answer) -> Answer {
        let Some(rules) = &self.rules else { return answer };
        let last = stack.last();
        let directory = last.is_some_and(|last| last.is_directory());
        let is_vague = last.is_some_and(|last| matches!(last.what, What::Kernel | What::Unknown(_)));
        let wanted: &[u64] = match access {
            // Whether it is a file or a directory is not known.
            Access::Read if is_vague => &[rights::READ_DIR, rights::READ_FILE],
            Access::Read if directory => &[rights::READ_DIR],
            Access::Read => &[rights::READ_FILE],
            Access::Write if directory => &[rights::MAKE_REG | rights::WRITE_FILE],
            Access::Write => &[rights::WRITE_FILE],
            // The kernel reads what it executes.
            Access::Exec => &[rights::EXECUTE | rights::READ_FILE],
        };
        let granted = match is_vague && rules.may_be_of_what_is_not_looked_into() {
            true => Known::Perhaps,
            false => Known::agreed(wanted.iter().map(|wanted| rules.grant(stack, *wanted))),
        };
        match (granted, answer.verdict) {
            (Known::No, _) => self.by_rules(access, path, rules),
            (_, Verdict::CannotTell) => answer,
            (Known::Yes, _) => Answer { by: format!("{}; a rule of landlock opens it", answer.by), ..answer },
            (Known::Perhaps, _) => Answer::new(Verdict::CannotTell, "whether a rule of landlock opens it"),
        }
    }

    fn by_rules(&self, access: Access, path: &Path, rules: &Rules) -> Answer {
        let kind = match access {
            Access::Read => "ro",
            Access::Write => "rw",
            Access::Exec => "exec",
        };
        let (field, by) = match rules.alone {
            true if access == Access::Write => ("rw".to_owned(), "no namespaces"),
            true => ("ro".to_owned(), "no namespaces"),
            false => (format!("landlock.{kind}"), "landlock"),
        };
        let whole = Field::of(if rules.alone { "no_namespaces" } else { "landlock" });
        let named = if path.exists() || !rules.alone { path } else { path.parent().unwrap_or(path) };
        refused(format!("{by}: no rule opens {} for that", path.display()))
            .at(Some(whole))
            .with([Remedy::set(&field, json!([named.to_string_lossy()]))])
    }

    fn masked(&self, access: Access, node: &Node) -> Answer {
        let layer = self.layer(node);
        let secret = layer.preset && SECRETS.iter().any(|secret| layer.at == Path::new(secret));
        let why = if secret { "it is one of the secrets that the sandbox hides" } else { layer.words.as_str() };
        if !secret {
            return refused(format!("masked: {why}"));
        }
        match self.closed_to_it(access, &layer.at) {
            Some(words) => refused(format!("masked: {why}; shown, it would not let it{words}")),
            None => refused(format!("masked: {why}")).with([showing(access, &layer.at)]),
        }
    }

    /// Of what the host has there: the modes which would refuse it, were it shown.
    fn closed_to_it(&self, access: Access, path: &Path) -> Option<String> {
        let Ok(found) = Found::open(CWD, path, path.to_owned()) else {
            return Some(", as it lies where the caller may not look".to_owned());
        };
        if found.kind == FileType::Symlink {
            return None;
        }
        let wanted = match access {
            Access::Read => READ,
            Access::Write if found.modes.directory => WRITE | EXECUTE,
            Access::Write => WRITE,
            Access::Exec => EXECUTE,
        };
        let may = self.subject.may(&found.modes, Known::Perhaps, wanted);
        (may == Known::No).then(|| found.modes.words())
    }

    /// What would let it write where only that it is read-only is in the way.
    fn to_write(&self, node: &Node) -> Vec<Remedy> {
        let layer = self.layer(node);
        let What::Host(_) = &node.what else { return Vec::new() };
        // All of where the caller is.
        let path = if layer.stands { &layer.at } else { &node.path };
        let homes = self.host.places.show_a_home_at(path).then(|| Remedy::set("whole_home", true));
        [showing(Access::Write, path)].into_iter().chain(homes).collect()
    }

    fn is_on_the_host(&self, path: &Path) -> bool {
        let mounts = &self.tree.mounts;
        !mounts.is_behind_a_server(path) && !mounts.is_remote(path) && path.symlink_metadata().is_ok()
    }

    /// What is not there.
    fn absent(&self, access: Access, path: &Path, last: &Node) -> Answer {
        let of_the_host = matches!(last.what, What::Host(_));
        if self.curated && !of_the_host && self.is_on_the_host(path) {
            return self.not_shown(access, path).at(Some(Field::of("root")));
        }
        refused(format!("there is no {} inside: {}", path.display(), self.words(last)))
    }

    fn not_shown(&self, access: Access, path: &Path) -> Answer {
        let places: &Places = &self.host.places;
        let shown = path.display();
        let by = match places.is_in_a_home(path) {
            true => format!("homes are not shown, and {shown} lies in one"),
            false => format!("{shown} of the host is not shown"),
        };
        if let Some(words) = self.closed_to_it(access, path) {
            return refused(format!("{by}; shown, it would not let it{words}"));
        }
        let homes = places.show_a_home_at(path).then(|| Remedy::set("whole_home", true));
        refused(by).with([showing(access, path)].into_iter().chain(homes))
    }
}
