//! Session and terminal, setsid(2), pty(7).

use std::path::Path;

use seclude_child::op::{Create, Links, Want};
use seclude_child::{Op, Slot};
use seclude_request::Field;
use seclude_sys::terminal::WindowSize;

use super::{Step, join};
use crate::action::Describe;
use crate::config::Config;
use crate::config::mount::{Mount, MountKind};
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "session";

struct Session {
    new: bool,
    terminal: Option<(WindowSize, Whose)>,
    console: bool,
    /// Of the terminal: whoever the command runs as.
    owner: Option<u32>,
    keyring: bool,
    /// The launcher makes it, once it has gone on as another process: the end of one that leads a session takes its terminal away.
    late: bool,
    /// As a new login has them.
    plain: bool,
}

/// Whose pseudoterminals there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Mounted by set-up.
    Own,
    /// Of the mount namespace that is joined.
    Joined,
    Host,
}

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let new = command.new_session || command.terminal.is_some();
    if !new && !command.own_keyring && !command.is_sandboxed() {
        return Ok(None);
    }
    let is_own = |mount: &Mount| match &mount.kind {
        MountKind::Dev | MountKind::Devpts => true,
        MountKind::FileSystem { name, .. } => name == "devpts",
        _ => false,
    };
    let enters = command.namespaces.is_joined(Namespace::Mount) || command.entered_root.is_some();
    let whose = match enters && !super::has_tree(command) {
        true => Whose::Joined,
        false if command.mounts.iter().any(is_own) => Whose::Own,
        false => Whose::Host,
    };
    let terminal = command.terminal.map(|size| (size, whose));
    let console = command.console && terminal.is_some();
    if console && !super::has_tree(command) {
        let action = "a console needs a new mount namespace: it would be the host's own";
        return Err(Error::invalid(NAME, action).at("terminal").contradicting());
    }
    let owner = command.identity.uid.filter(|uid| *uid != 0);
    Ok(Some(Box::new(Session {
        new,
        terminal,
        console,
        owner,
        keyring: command.own_keyring,
        late: join::enters_pid_namespace_late(command),
        plain: command.is_sandboxed(),
    })))
}

impl Step for Session {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        Some(Field::of(match op {
            Op::OpenTerminal { .. } => "terminal",
            Op::NewKeyring => "new_keyring",
            Op::NewSession => "new_session",
            _ => return None,
        }))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if self.new && !self.late {
            program.about("a new one");
            program.push(Op::NewSession);
        }
        if self.keyring {
            program.about("a session keyring of its own");
            program.push(Op::NewKeyring);
        }
        if self.plain {
            program.about("not what the caller has");
            // PER_LINUX: no READ_IMPLIES_EXEC, no ADDR_NO_RANDOMIZE, no other system's calls, personality(2).
            program.push(Op::Personality { persona: 0 });
            program.push(Op::LowerPriority);
        }
        if let Some((size, whose)) = self.terminal {
            let words = match whose {
                Whose::Own => "the container's",
                Whose::Joined => "the joined container's",
                Whose::Host => "the host's",
            };
            program.about_owned(format!("terminal of {words} devpts, {} rows, {} columns", size.rows, size.columns));
            let (own, joined) = (whose == Whose::Own, whose == Whose::Joined);
            program.push(Op::OpenTerminal { own, joined, size, owner: self.owner });
        }
        if self.console {
            program.about("it as /dev/console");
            let place = program.place(Path::new("/dev/console"));
            program.push(Op::CloneFrom { from: Slot::TERMINAL, name: c"", recursive: false, into: Slot::TREE });
            program.push(Op::Resolve {
                base: Slot::ROOT,
                place,
                want: Want::File,
                create: Some(Create { mode: 0o666, told: true }),
                // Not through a symlink, as any node in there.
                links: Links::Refused,
                into: Slot::PLACE,
            });
            program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
        }
    }

    fn describe(&self, to: &mut Describe) {
        if self.terminal.is_some() {
            to.attend(NAME, "take the terminal's master".to_owned());
        }
    }
}
