//! Session and terminal, setsid(2), pty(7).

use seclude_child::Op;
use seclude_request::Field;
use seclude_sys::terminal::WindowSize;

use super::Step;
use crate::action::Describe;
use crate::config::Config;
use crate::config::mount::MountKind;
use crate::error::Result;
use crate::program::Program;

const NAME: &str = "session";

struct Session {
    new: bool,
    terminal: Option<(WindowSize, bool)>,
    /// Of the terminal: whoever the command runs as.
    owner: Option<u32>,
    keyring: bool,
    /// As a new login has them.
    plain: bool,
}

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let new = command.new_session || command.terminal.is_some();
    if !new && !command.own_keyring && !command.is_sandboxed() {
        return Ok(None);
    }
    let own = command.mounts.iter().any(|mount| matches!(mount.kind, MountKind::Dev | MountKind::Devpts));
    let terminal = command.terminal.map(|size| (size, own));
    let owner = command.identity.uid.filter(|uid| *uid != 0);
    Ok(Some(Box::new(Session { new, terminal, owner, keyring: command.own_keyring, plain: command.is_sandboxed() })))
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
        if self.new {
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
        if let Some((size, own)) = self.terminal {
            let whose = if own { "the container's" } else { "the host's" };
            program.about_owned(format!("terminal of {whose} devpts, {} rows, {} columns", size.rows, size.columns));
            program.push(Op::OpenTerminal { own, size, owner: self.owner });
        }
    }

    fn describe(&self, to: &mut Describe) {
        if self.terminal.is_some() {
            to.attend(NAME, "take the terminal's master".to_owned());
        }
    }
}
