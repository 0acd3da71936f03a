//! Session and terminal, setsid(2), pty(7).

use seclude_child::Op;
use seclude_sys::terminal::WindowSize;

use super::Step;
use crate::command::Command;
use crate::config::mount::MountKind;
use crate::error::Result;
use crate::plan::Describe;
use crate::program::Program;

const NAME: &str = "session";

struct Session {
    terminal: Option<(WindowSize, bool)>,
}

pub(super) fn compile(command: &Command) -> Result<Option<Box<dyn Step>>> {
    if !command.new_session && command.terminal.is_none() {
        return Ok(None);
    }
    let own = command.mounts.iter().any(|mount| matches!(mount.kind, MountKind::Dev | MountKind::Devpts));
    Ok(Some(Box::new(Session { terminal: command.terminal.map(|size| (size, own)) })))
}

impl Step for Session {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("a new one");
        program.push(Op::NewSession);
        if let Some((size, own)) = self.terminal {
            let whose = if own { "the container's" } else { "the host's" };
            program.about_owned(format!("terminal of {whose} devpts, {} rows, {} columns", size.rows, size.columns));
            program.push(Op::OpenTerminal { own, size });
        }
    }

    fn describe(&self, to: &mut Describe) {
        if self.terminal.is_some() {
            to.attend(NAME, "take the terminal's master".to_owned());
        }
    }
}
