//! The command itself, or the init above it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, fcntl_dupfd_cloexec, write};
use seclude_child::Op;
use seclude_child::wire::Call;
use seclude_sys::Fd;

use super::{Preparation, Step};
use crate::command::Command;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::plan::Describe;
use crate::program::Program;

const NAME: &str = "exec";
/// Where a name without a slash is looked for if the command has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Exec {
    program: OsString,
    candidates: Vec<OsString>,
    argv: Vec<OsString>,
    envp: Vec<OsString>,
    signal_mask: u64,
    init: Option<Init>,
    rehearsal: bool,
}

struct Init {
    flags: &'static str,
    image: Option<OwnedFd>,
}

pub(super) fn compile(command: &Command) -> Result<Option<Box<dyn Step>>> {
    if command.program.is_empty() {
        return Err(Error::invalid(NAME, "no command was given"));
    }
    if command.init && !command.namespaces.is_new(Namespace::Pid) {
        return Err(Error::invalid(NAME, "an init needs a new pid namespace: it has to be its first process"));
    }
    let mut env: Vec<(OsString, OsString)> = if command.clear_env { Vec::new() } else { std::env::vars_os().collect() };
    for (key, value) in &command.env {
        if key.is_empty() || key.as_bytes().contains(&b'=') {
            return Err(Error::invalid(NAME, format!("{key:?} cannot name an environment variable")));
        }
        env.retain(|(other, _)| other != key);
        env.extend(value.clone().map(|value| (key.clone(), value)));
    }
    let path = env.iter().find(|(key, _)| key == "PATH").map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value);
    let candidates = candidates(&command.program, path);
    let envp = env
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
    // While the caller runs nobody can write to its program's file (ETXTBSY). What outlives it could, through
    // /proc/self/exe of an exec that came straight from it (CVE-2019-5736): so another file comes between.
    let flags = match (command.init, command.terminal.is_some(), command.die_with_parent) {
        (true, true, true) => Some("t"),
        (true, true, false) => Some("td"),
        (true, false, true) => Some("-"),
        (true, false, false) => Some("d"),
        (false, _, false) => Some("x"),
        (false, _, true) => None,
    };
    let init = flags.map(|flags| Init { flags, image: None });
    Ok(Some(Box::new(Exec {
        program: command.program.clone(),
        candidates,
        argv,
        envp,
        signal_mask: command.signal_mask,
        init,
        rehearsal: command.rehearsal,
    })))
}

/// Where the command may be: itself if it has a slash, else in each directory of PATH, as execvp(3).
fn candidates(program: &OsStr, path: &OsStr) -> Vec<OsString> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.to_owned()];
    }
    let directories = path.as_bytes().split(|byte| *byte == b':');
    directories
        .map(|directory| {
            // An empty entry is the working directory.
            let mut candidate = OsStr::from_bytes(if directory.is_empty() { b"." } else { directory }).to_owned();
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

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        if let Some(init) = &mut self.init {
            let failed = |call| move |errno: Errno| Error::parent(NAME, "the init's image", errno).call(call);
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let image = match memfd_create("seclude-init", flags | MemfdFlags::EXEC) {
                // Before Linux 6.3 every memfd may be executed, and the flag is unknown.
                Err(Errno::INVAL) => memfd_create("seclude-init", flags),
                made => made,
            };
            let image = image.map_err(failed("memfd_create"))?;
            let mut rest = seclude_init::IMAGE;
            while !rest.is_empty() {
                let written = write(&image, rest).map_err(failed("write"))?;
                rest = rest.get(written..).unwrap_or_default();
            }
            // Nobody who reaches it through /proc can change what runs (CVE-2019-5736).
            let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
            fcntl_add_seals(&image, seals).map_err(failed("fcntl"))?;
            let lifted = fcntl_dupfd_cloexec(&image, preparation.ends.socket_above + 1).map_err(failed("fcntl"))?;
            init.image = Some(lifted);
        }
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        let image = self.init.as_ref().and_then(|init| init.image.as_ref());
        image.map(|image| Fd(image.as_raw_fd())).into_iter().collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let mut candidates = Vec::with_capacity(self.candidates.len());
        for candidate in &self.candidates {
            candidates.push(program.text(candidate));
        }
        let mut argv = Vec::with_capacity(self.argv.len());
        for argument in &self.argv {
            argv.push(program.text(argument));
        }
        let mut envp = Vec::with_capacity(self.envp.len());
        for entry in &self.envp {
            envp.push(program.text(entry));
        }
        let envp = program.string_list(envp);
        let name = self.program.to_string_lossy().into_owned();

        program.about("signals");
        // CLONE_CLEAR_SIGHAND leaves ignored signals ignored, clone(2); Rust programs ignore SIGPIPE.
        program.push(Op::DefaultSignals);
        if self.rehearsal {
            program.about_owned(name);
            let candidates = program.slice(&candidates);
            program.push(Op::Rehearse { candidates });
            return;
        }
        let Some(init) = &self.init else {
            program.push(Op::SignalMask { mask: self.signal_mask });
            program.about_owned(name);
            let candidates = program.slice(&candidates);
            let argv = program.string_list(argv);
            program.push(Op::Exec { candidates, argv, envp });
            return;
        };
        // The init wants them blocked; the mask goes to the command.
        program.about_owned(name);
        let calls = [Call::Execve, Call::ExecInterpreter, Call::ExecDirectory, Call::Init];
        let calls = calls.map(|call| (call as u8).to_string());
        let head = [
            "seclude-init".to_owned(),
            program.socket.0.to_string(),
            init.flags.to_owned(),
            format!("{:x}", self.signal_mask),
            format!("{}:{}", program.step_number(), program.next_op()),
            calls.join(":"),
            candidates.len().to_string(),
        ];
        let mut all = Vec::with_capacity(head.len() + candidates.len() + argv.len());
        for word in head {
            all.push(program.text(word));
        }
        all.extend(candidates);
        all.extend(argv);
        let all = program.string_list(all);
        let image = init.image.as_ref().map_or(Fd::NONE, |image| Fd(image.as_raw_fd()));
        program.push(Op::ExecInit { init: image, argv: all, envp });
    }

    fn describe(&self, to: &mut Describe) {
        if self.init.is_some() {
            to.prepare(
                NAME,
                "put the init, or what stands between for a command that outlives us, into a sealed memfd".to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_for_in_every_directory_of_path_in_its_order() {
        let found = candidates(OsStr::new("ls"), OsStr::new("/a::/b"));
        assert_eq!(found, ["/a/ls", "./ls", "/b/ls"]);
        assert_eq!(candidates(OsStr::new("./ls"), OsStr::new("/a")), ["./ls"]);
    }
}
