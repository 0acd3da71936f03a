//! The command itself.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use seclude_child::Op;
use seclude_request::Field;
use seclude_sys::clone::CLONE_NEWUSER;
use seclude_sys::process::StringList;

use super::{Step, launch};
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::program::Program;

pub(super) const NAME: &str = "exec";
/// Where a name without a slash is looked for if the command has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Exec {
    program: OsString,
    candidates: Vec<OsString>,
    argv: Vec<OsString>,
    envp: Arc<[OsString]>,
    signal_mask: u64,
    keep_ignored: u64,
    launched: bool,
    rehearsal: bool,
    holds_user_namespace: bool,
}

/// Both halves: the start of the launcher, if there is one, and what is executed in the end.
pub(super) struct Compiled {
    pub(super) launch: Option<Box<dyn Step>>,
    pub(super) exec: Box<dyn Step>,
}

pub(super) fn compile(command: &Config) -> Result<Compiled> {
    if command.program.is_empty() {
        return Err(Error::invalid(NAME, "no command was given").at("command"));
    }
    if command.init && !command.namespaces.is_new(Namespace::Pid) {
        let action = "an init needs a new pid namespace: it has to be its first process";
        return Err(Error::invalid(NAME, action).at("init").contradicting());
    }
    let env = variables(command)?;
    let candidates = candidates(&command.program, &env);
    let envp: Arc<[OsString]> = env
        .into_iter()
        .map(|(mut entry, value)| {
            entry.reserve_exact(1 + value.len());
            entry.push("=");
            entry.push(value);
            entry
        })
        .collect();
    let mut argv = vec![command.arg0.clone().unwrap_or_else(|| command.program.clone())];
    argv.extend(command.args.iter().cloned());
    let launched = launch::is_needed(command);
    Ok(Compiled {
        launch: launched.then(|| launch::compile(command, envp.clone())),
        exec: Box::new(Exec {
            program: command.program.clone(),
            candidates,
            argv,
            envp,
            signal_mask: command.signal_mask,
            keep_ignored: command.keep_ignored,
            launched,
            rehearsal: command.rehearsal,
            holds_user_namespace: command.holds_user_namespace,
        }),
    })
}

fn variables(command: &Config) -> Result<Vec<(OsString, OsString)>> {
    let mut env = command.inherited_env();
    for (key, value) in &command.env {
        if key.is_empty() || key.as_bytes().contains(&b'=') {
            return Err(Error::invalid(NAME, format!("{key:?} cannot name an environment variable")).at("env"));
        }
        if value.as_ref().is_some_and(|value| value.as_bytes().contains(&0)) {
            let action = format!("the value of {key:?} has a NUL byte in it");
            return Err(Error::invalid(NAME, action).at_field(Field::of("env").key(key.to_string_lossy())));
        }
        env.retain(|(other, _)| other != key);
        env.extend(value.clone().map(|value| (key.clone(), value)));
    }
    Ok(env)
}

/// Where a program of that name is looked for inside.
pub(crate) fn where_it_may_be(program: &OsStr, command: &Config) -> Result<Vec<OsString>> {
    Ok(candidates(program, &variables(command)?))
}

/// Where the command may be: itself if it has a slash, else in each directory of PATH, as execvp(3).
fn candidates(program: &OsStr, env: &[(OsString, OsString)]) -> Vec<OsString> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.to_owned()];
    }
    let path = env.iter().find(|(key, _)| key == "PATH").map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value);
    // POSIX takes an empty entry for the working directory, which is often somebody else's.
    let directories = path.as_bytes().split(|byte| *byte == b':').filter(|directory| !directory.is_empty());
    directories
        .map(|directory| {
            let mut candidate = OsStr::from_bytes(directory).to_owned();
            candidate.push("/");
            candidate.push(program);
            candidate
        })
        .collect()
}

impl Step for Exec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("command"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let mut candidates = Vec::with_capacity(self.candidates.len());
        for candidate in &self.candidates {
            candidates.push(program.text(candidate));
        }
        let candidates = program.slice(&candidates);
        let name = self.program.to_string_lossy().into_owned();
        if !self.launched {
            program.about("signals");
            // CLONE_CLEAR_SIGHAND leaves ignored signals ignored, clone(2).
            program.push(Op::DefaultSignals { kept: self.keep_ignored });
            program.push(Op::SignalMask { mask: self.signal_mask });
            program.about("before the command's path is walked");
            program.push(Op::CloseSlots);
        }
        program.about_owned(name);
        if self.holds_user_namespace {
            program.push(Op::Unshare { flags: CLONE_NEWUSER });
        }
        if self.rehearsal {
            program.push(Op::Rehearse { candidates });
            return;
        }
        let mut argv = Vec::with_capacity(self.argv.len());
        for argument in &self.argv {
            argv.push(program.text(argument));
        }
        let argv = program.string_list(argv);
        // Those of a launcher were given to it.
        let envp = if self.launched { program.string_list([]) } else { environment(program, &self.envp) };
        program.push(Op::Exec { candidates, argv, envp });
    }
}

pub(super) fn environment<'a>(program: &mut Program<'a>, variables: &'a [OsString]) -> StringList<'a> {
    let mut envp = Vec::with_capacity(variables.len());
    for entry in variables {
        envp.push(program.text(entry));
    }
    program.string_list(envp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_for_in_every_directory_of_path_in_its_order_and_nowhere_else() {
        let env = [("PATH".into(), "/a::/b".into())];
        assert_eq!(candidates(OsStr::new("ls"), &env), ["/a/ls", "/b/ls"]);
        assert_eq!(candidates(OsStr::new("./ls"), &env), ["./ls"]);
        assert_eq!(candidates(OsStr::new("ls"), &[]).len(), 6, "without one there is the usual");
    }
}
