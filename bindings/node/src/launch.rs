//! From what `lib/` has made of the options to a request of the library.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Function, JsObjectValue, JsValue, Object, Result, Unknown};
use napi::{Env, Error, JsRangeError, JsTypeError, Status};
use napi_derive::napi;
use rustix::fs::{MemfdFlags, OFlags, SeekFrom, memfd_create, seek};
use seclude::request::{Field, Text, Value};
use seclude::{Command, Stdio};
use serde_json::Value as Json;

use crate::descriptor;
use crate::opening::Opening;
use crate::options::{self, Facts, Names, Options, Told, Wrong};
use crate::report;
use crate::terminal::TerminalOptions;
use crate::value;

/// The command, as `lib/options.js` hands it over.
#[napi(object)]
pub struct Launch {
    /// A path, or a name for PATH.
    pub file: String,
    pub args: Vec<String>,
    pub argv0: Option<String>,
    pub cwd: Option<String>,
    /// As it was said, where that was relative to the caller's.
    pub relative_cwd: Option<String>,
    /// Names and values by turns; without it the caller's environment, as far as the container has it.
    pub env: Option<Vec<String>>,
    /// The caller's, where that is an object of JavaScript's (a worker's, Bun's); else this process's own.
    pub caller_env: Option<Vec<String>>,
    /// stdin, stdout, stderr, and what follows: a descriptor, [`PIPE`], [`NULL`], [`BYTES`], [`FILE`] or [`TERMINAL`].
    pub stdio: Vec<i32>,
    /// What is opened for each that is [`FILE`].
    pub files: Vec<Source>,
    /// What stdin reads if it is [`BYTES`].
    pub input: Option<Buffer>,
    /// What is there for each that is [`TERMINAL`].
    pub terminal: Option<TerminalOptions>,
    /// What is to be read of stdout and stderr is read as it comes.
    pub ahead: bool,
}

/// A file that a descriptor of the command leads to.
#[napi(object)]
pub struct Source {
    /// The descriptor.
    pub number: i32,
    /// Absolute.
    pub path: String,
    /// As fopen(3) has them: `r`, `w` or `a`.
    pub flags: String,
}

const PIPE: i32 = -1;
const NULL: i32 = -2;
const BYTES: i32 = -3;
const FILE: i32 = -4;
const TERMINAL: i32 = -5;

/// A command to start.
pub(crate) struct Composed {
    pub(crate) command: Command,
    pub(crate) facts: Facts,
    /// How the options call what it is about that a start fails.
    pub(crate) names: Arc<Names>,
    /// Our ends of what else than its first three descriptors it is connected by.
    pub(crate) further: Vec<(i32, OwnedFd)>,
    pub(crate) ahead: bool,
    files: Vec<Source>,
    input: Option<Vec<u8>>,
}

impl Composed {
    /// Whether [`Composed::open`] may take its time.
    pub(crate) fn opens(&self) -> bool {
        !self.files.is_empty() || self.input.is_some()
    }

    /// Which descriptors it opens, and what.
    pub(crate) fn opened(&self) -> impl Iterator<Item = (i32, String)> {
        let files = self.files.iter().map(|source| (source.number, source.path.clone()));
        let input = self.input.as_ref().map(|bytes| (0, format!("{} bytes in memory", bytes.len())));
        files.chain(input)
    }

    /// Opens what its descriptors lead to: not on the thread of JavaScript's. A FIFO waits for its other end, a network
    /// file system for its server, and bytes can be many.
    pub(crate) fn open(&mut self, opening: &Opening) -> std::result::Result<(), Json> {
        for source in self.files.drain(..) {
            let flags = match source.flags.as_str() {
                "r" => OFlags::RDONLY,
                "a" => OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE,
                _ => OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC,
            };
            let name = name_of(source.number);
            let file = opening
                .open(&source.path, flags)
                .map(File::from)
                .map_err(|error| report::of_file(&name, &source.path, &error))?;
            lead(&mut self.command, source.number, file);
        }
        if let Some(bytes) = self.input.take() {
            let file = memory(&bytes).map_err(|error| report::of_io("stdin", "bytes in memory", &error))?;
            lead(&mut self.command, 0, file);
        }
        Ok(())
    }
}

fn lead(command: &mut Command, number: i32, file: File) {
    match number {
        0 => drop(command.stdin(file)),
        1 => drop(command.stdout(file)),
        2 => drop(command.stderr(file)),
        _ => drop(command.fd(file, number)),
    }
}

fn name_of(number: i32) -> String {
    const NAMES: [&str; 3] = ["stdin", "stdout", "stderr"];
    let name = usize::try_from(number).ok().and_then(|number| NAMES.get(number));
    name.map_or_else(|| format!("stdio[{number}]"), |name| (*name).to_owned())
}

/// The request. What is wrong with it has been thrown already.
pub(crate) fn compose(env: &Env, launch: Launch, options: Option<&Object<'_>>) -> Result<Composed> {
    let given = match options.map(value::read).transpose() {
        Ok(given) => given.unwrap_or_else(|| Value::Object(Vec::new())),
        Err(refused) => return Err(throw(env, &refused.wrong()?)),
    };
    let read = options::read(given).and_then(|options| command(&launch, options));
    let (mut command, outlives, names) = read.map_err(|wrong| throw(env, &wrong))?;
    let further = stdio(env, &mut command, &launch)?;
    // What several options mean together is known here: a plan is compiled without a system call.
    let plan = command.plan().map_err(|error| throw(env, &names.refused(&error)))?;
    let facts = Facts::of(&plan, outlives);
    let input = launch.input.map(|bytes| bytes.to_vec());
    Ok(Composed { command, facts, names: Arc::new(names), further, ahead: launch.ahead, files: launch.files, input })
}

/// What is JavaScript's by nature, put into the request; whether it outlives this process.
fn command(launch: &Launch, options: Options) -> options::Read<(Command, bool, Names)> {
    let Options { mut request, names, joined } = options;
    let given = [
        ("command", "cmd", !request.command.is_empty()),
        ("arg0", "argv0", request.arg0.is_some() && launch.argv0.is_some()),
        ("workdir", "cwd", request.workdir.is_some() && launch.cwd.is_some()),
        ("terminal", "terminal", request.terminal.is_some() && launch.terminal.is_some()),
    ];
    if let Some((field, key, _)) = given.into_iter().find(|(.., twice)| *twice) {
        let place = names.place(&Field::of(field));
        return Err(Wrong::type_of(&place, format!("{place}: {key} says it already")));
    }
    if request.terminal.is_some() {
        let why = "nobody could read it; the option terminal makes one that is given out";
        let place = names.place(&Field::of("terminal"));
        return Err(Wrong::type_of(&place, format!("{place}: {why}")));
    }
    if let Some(said) = launch.relative_cwd.as_ref().filter(|_| request.has_own_tree()) {
        let line = format!("cwd is the string {said:?}; it can be an absolute path inside container.root");
        return Err(Wrong::range_of(&"cwd", line));
    }
    request.command = [&launch.file].into_iter().chain(&launch.args).map(Text::from).collect();
    request.arg0 = launch.argv0.as_ref().map(Text::from).or(request.arg0);
    if let Ok(directory) = std::env::current_dir() {
        request.paths_from(&directory);
    }
    let mut command = Command::from_request(&request).map_err(|wrong| options::refused(&names, &wrong))?;
    if let Some(directory) = &launch.cwd {
        command.caller_dir(directory);
    }
    let pair = |pair: &[String]| (OsString::from(&pair[0]), OsString::from(&pair[1]));
    if let Some(env) = &launch.env {
        command.environment(env.chunks_exact(2).map(pair));
    }
    let cleared = request.clear_env || (launch.env.is_some() && request.env_all != Some(true));
    if !cleared || !request.inherit_env.is_empty() {
        // Here, on the thread that may change the environment, and never later on another.
        match &launch.caller_env {
            Some(env) => command.caller_env(env.chunks_exact(2).map(pair)),
            None => command.caller_env(std::env::vars_os()),
        };
    }
    if let Some(TerminalOptions { rows, columns, name }) = &launch.terminal {
        command.terminal(*rows, *columns);
        let said = request.env.contains_key("TERM") || request.env_remove.iter().any(|name| name.as_os_str() == "TERM");
        if let Some(name) = name.as_ref().filter(|_| !said) {
            command.env("TERM", name);
        }
    }
    if let Some(directory) = joined {
        command.join_cgroup_fd(directory);
    }
    Ok((command, request.die_with_parent == Some(false), names))
}

fn throw(env: &Env, wrong: &Wrong) -> Error {
    let thrown = match wrong {
        Wrong::Remedied(wrong, remedies) => throw_with(env, wrong, Some(&remedies.to_string())),
        wrong => throw_with(env, wrong, None),
    };
    match thrown {
        Ok(()) => Error::new(Status::PendingException, ""),
        Err(error) => error,
    }
}

/// With the option's name, and with `remedies`, which are JSON.
fn throw_with(env: &Env, wrong: &Wrong, remedies: Option<&str>) -> Result<()> {
    let (field, made) = match wrong {
        Wrong::Type(Told { field, message }) => {
            (field, JsTypeError::from(Error::new("ERR_INVALID_ARG_TYPE", message)).into_unknown(*env))
        }
        Wrong::Range(Told { field, message }) => {
            (field, JsRangeError::from(Error::new("ERR_OUT_OF_RANGE", message)).into_unknown(*env))
        }
        Wrong::Remedied(wrong, _) => return throw_with(env, wrong, remedies),
    };
    let mut error = made.coerce_to_object()?;
    if !field.is_empty() {
        error.set_named_property("field", field.as_str())?;
    }
    let Some(remedies) = remedies else { return env.throw(made) };
    let parse: Function<'_, String, Unknown<'_>> =
        env.get_global()?.get_named_property::<Object<'_>>("JSON")?.get_named_property("parse")?;
    error.set_named_property("remedies", parse.call(remedies.to_owned())?)?;
    env.throw(made)
}

fn stdio(env: &Env, command: &mut Command, launch: &Launch) -> Result<Vec<(i32, OwnedFd)>> {
    let mut further = Vec::new();
    for (number, kind) in (0..).zip(&launch.stdio) {
        let wrong = |error: std::io::Error| {
            let place = name_of(number);
            throw(env, &Wrong::range_of(&place, format!("{place}: descriptor {kind}: {error}")))
        };
        let stdio = match (*kind, number) {
            // The library puts it where nothing else is.
            (TERMINAL, _) => continue,
            (PIPE, 0..3) => Stdio::piped(),
            // What is opened later takes its place.
            (NULL | BYTES | FILE, 0..3) => Stdio::null(),
            // The library closes what is not given.
            (NULL | BYTES | FILE, _) => continue,
            (PIPE, _) => {
                let (ours, theirs) = UnixStream::pair().map_err(wrong)?;
                command.fd(OwnedFd::from(theirs), number);
                further.push((number, ours.into()));
                continue;
            }
            (fd, 0..3) => Stdio::from(descriptor::blocking_copy_of(fd).map_err(wrong)?),
            (fd, _) => {
                command.fd(descriptor::copy_of(fd).map_err(wrong)?, number);
                continue;
            }
        };
        match number {
            0 => command.stdin(stdio),
            1 => command.stdout(stdio),
            _ => command.stderr(stdio),
        };
    }
    Ok(further)
}

/// A file in memory with these bytes, to be read from its beginning.
fn memory(bytes: &[u8]) -> std::io::Result<File> {
    let file = memfd_create("seclude-stdin", MemfdFlags::CLOEXEC)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file.into())
}
