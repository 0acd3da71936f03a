//! What a container would allow, and by which part of its plan: asked without starting anything.
//!
//! The answers come of what steps are made of (the request with all that it comes to on this host), and of a look at the host's files
//! where a path inside is a view of them. What the kernel alone can tell, or a race could change, is no answer: it says so.

mod calls;
mod connect;
mod node;
mod paths;
mod program;
mod rules;
mod subject;
mod tree;
mod walk;

use std::path::{Path, PathBuf};

use seclude_request::{Field, Remedy};

use crate::config::Config;
use crate::error::Result;
use crate::host::Host;
use crate::plan::Plan;
use crate::step;
use paths::Paths;

/// What might be done inside. A relative path begins where the caller is, as those of [`crate::Command::ro`] do.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Question {
    /// To open a file for reading, or to list a directory.
    Read(PathBuf),
    /// To open a file for writing; of a directory, to make a file in it, and of what is not there, to make a file by that name.
    Write(PathBuf),
    /// To execute a file, by its path or by its name in PATH, and with it the interpreter of a script and an ELF program's loader; libraries are not looked for.
    Exec(PathBuf),
    /// To make a system call, by its name: what the filter says. The kernel may refuse it nonetheless, for want of a capability or by what the
    /// arguments are.
    Call(String),
    /// To connect by TCP to a host, by name or address, and a port. Nobody is asked for the name, and nothing is sent: whether somebody answers
    /// is not known.
    Connect(String, u16),
}

/// The short of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// It works, as far as the plan and the host's files tell now: a disk can still be full.
    Allowed,
    /// It fails, or gives nothing, as what is masked: that opens, and is empty.
    Refused,
    /// Only the run can tell.
    CannotTell,
}

impl Verdict {
    /// The stable name: `"allowed"`, `"refused"`, `"cannot-tell"`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Allowed => "allowed",
            Verdict::Refused => "refused",
            Verdict::CannotTell => "cannot-tell",
        }
    }
}

/// What was asked, answered.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The short of it.
    pub verdict: Verdict,
    /// By which part of the plan, in one line; of what cannot be told, why.
    pub by: String,
    /// The part of the request that decides, if it is one.
    pub field: Option<Field>,
    /// What would allow what is refused, each by itself; empty: nothing does that is known.
    pub remedies: Vec<Remedy>,
}

impl Answer {
    fn new(verdict: Verdict, by: impl Into<String>) -> Answer {
        Answer { verdict, by: by.into(), field: None, remedies: Vec::new() }
    }

    fn at(mut self, field: Option<Field>) -> Answer {
        self.field = field;
        self
    }

    fn with(mut self, remedies: impl IntoIterator<Item = Remedy>) -> Answer {
        self.remedies.extend(remedies);
        self
    }

    /// `refused: read-only: the sandbox shows /usr of the host`, and behind it what can be done in a door's own words.
    pub fn message_with(&self, say: impl Fn(&Remedy) -> Option<String>) -> String {
        let verdict = match self.verdict {
            Verdict::CannotTell => "only the run can tell",
            verdict => verdict.name(),
        };
        format!("{verdict}: {}", Remedy::behind(&self.by, &self.remedies, say))
    }
}

/// A plan that can be asked: [`crate::Command::why`].
pub struct Why {
    config: Config,
    host: Host,
    paths: Result<Paths, Answer>,
}

impl std::fmt::Debug for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Why").finish_non_exhaustive()
    }
}

impl Why {
    pub(crate) fn of(config: &Config) -> Result<Why> {
        let host = Plan::host_for(config);
        // What contradicts itself is no container.
        Plan::compiled(config, &host)?;
        let config = Plan::completed(config, &host);
        let paths = Paths::of(&config, &host)?;
        Ok(Why { config, host, paths })
    }

    /// Of a program that is named without a directory: in the first of PATH that it can be executed from, as execvp(3) has it.
    fn named(&self, program: &Path) -> Result<Answer> {
        let paths = match &self.paths {
            Ok(paths) => paths,
            Err(answer) => return Ok(answer.clone()),
        };
        let candidates = step::where_it_may_be(program.as_os_str(), &self.config)?;
        let answers = candidates.iter().map(|candidate| paths.answer(paths::Access::Exec, Path::new(candidate)));
        let mut refused = Vec::new();
        for answer in answers {
            match answer.verdict {
                Verdict::Refused => refused.push(answer),
                _ => return Ok(answer),
            }
        }
        // What is on the host, and what would show it, is of more use than what is not there.
        let said = refused.iter().position(|answer| !answer.remedies.is_empty());
        Ok(match said.map(|at| refused.swap_remove(at)) {
            Some(answer) => answer,
            None => {
                let all = candidates.iter().filter_map(|candidate| Path::new(candidate).parent());
                let all: Vec<String> = all.map(|directory| directory.display().to_string()).collect();
                let by = format!("no directory of PATH has a program of that name inside: {}", all.join(":"));
                Answer::new(Verdict::Refused, by).at(Some(Field::of("env").key("PATH")))
            }
        })
    }

    /// Answers a question. It looks at the host's files as they are now.
    ///
    /// # Errors
    /// There is no such system call, no such port, or what is no name of a host; a profile in a file that is none.
    pub fn answer(&self, question: &Question) -> Result<Answer> {
        use paths::Access::{Exec, Read, Write};
        let (access, path) = match question {
            Question::Call(name) => return calls::answer(&self.config, &self.host, name),
            Question::Connect(host, port) => return connect::answer(&self.config, &self.host, host, *port),
            Question::Read(path) => (Read, path),
            Question::Write(path) => (Write, path),
            Question::Exec(path) if !path.as_os_str().as_encoded_bytes().contains(&b'/') => return self.named(path),
            Question::Exec(path) => (Exec, path),
        };
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Ok(match &self.paths {
            Ok(paths) => paths.answer(access, &whole),
            Err(answer) => answer.clone(),
        })
    }
}
