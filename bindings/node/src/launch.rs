//! From what `lib/` has made of the options to a request of the library.

use napi::bindgen_prelude::{Buffer, Object, Result};
use napi::{Env, Error, Status};
use napi_derive::napi;
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use seclude::{Command, Stdio};

use crate::descriptor;
use crate::options::container::{self, Facts};
use crate::options::{At, Wrong};
use crate::value::Value;

/// The command, as `lib/options.js` hands it over.
#[napi(object)]
pub struct Launch {
    /// A path, or a name for PATH.
    pub file: String,
    pub args: Vec<String>,
    pub argv0: Option<String>,
    pub cwd: Option<String>,
    /// Names and values by turns; without it this process's own environment.
    pub env: Option<Vec<String>>,
    /// stdin, stdout, stderr, and what follows: a descriptor, [`PIPE`], [`NULL`] or [`BYTES`].
    pub stdio: Vec<i32>,
    /// What stdin reads if it is [`BYTES`].
    pub input: Option<Buffer>,
}

const PIPE: i32 = -1;
const NULL: i32 = -2;
const BYTES: i32 = -3;

/// A command to start.
pub(crate) struct Composed {
    pub(crate) command: Command,
    pub(crate) facts: Facts,
}

/// The request. What is wrong with it has been thrown already.
pub(crate) fn compose(env: &Env, launch: Launch, options: Option<&Object<'_>>) -> Result<Composed> {
    let mut command = Command::new(&launch.file);
    command.args(&launch.args).env_clear();
    // Here, on the thread that may change the environment, and never later on another.
    match &launch.env {
        Some(env) => {
            for pair in env.chunks_exact(2) {
                command.env(&pair[0], &pair[1]);
            }
        }
        None => {
            for (name, value) in std::env::vars_os() {
                command.env(name, value);
            }
        }
    }
    if let Some(name) = &launch.argv0 {
        command.arg0(name);
    }
    if let Some(directory) = &launch.cwd {
        command.current_dir(directory);
    }
    // `{ container }`, so that the walker has a key to begin with.
    let mut facts = Facts::default();
    if let Some(Value::Object(properties)) = options.map(Value::read).transpose()? {
        for (name, value) in properties {
            let read = container::read(command, &At::new(&value, &name));
            (command, facts) = read.map_err(|wrong| throw(env, &wrong))?;
        }
    }
    stdio(env, &mut command, &launch)?;
    Ok(Composed { command, facts })
}

fn throw(env: &Env, wrong: &Wrong) -> Error {
    let thrown = match wrong {
        Wrong::Type(message) => env.throw_type_error(message, Some("ERR_INVALID_ARG_TYPE")),
        Wrong::Range(message) => env.throw_range_error(message, Some("ERR_OUT_OF_RANGE")),
    };
    match thrown {
        Ok(()) => Error::new(Status::PendingException, ""),
        Err(error) => error,
    }
}

fn stdio(env: &Env, command: &mut Command, launch: &Launch) -> Result<()> {
    const NAMES: [&str; 3] = ["stdin", "stdout", "stderr"];
    for (number, kind) in launch.stdio.iter().enumerate() {
        let name = || NAMES.get(number).map_or_else(|| format!("stdio[{number}]"), |name| (*name).to_owned());
        let wrong =
            |error: std::io::Error| throw(env, &Wrong::Range(format!("{}: descriptor {kind}: {error}", name())));
        let stdio = match (*kind, number) {
            (PIPE, 0..3) => Stdio::piped(),
            (NULL, 0..3) => Stdio::null(),
            // The library closes what is not given.
            (PIPE | NULL, _) => continue,
            (BYTES, _) => Stdio::from(memory(launch.input.as_deref().unwrap_or_default()).map_err(wrong)?),
            (fd, 0..3) => Stdio::from(descriptor::copy_of(fd).map_err(wrong)?),
            (fd, _) => {
                command.fd(descriptor::copy_of(fd).map_err(wrong)?, number as i32);
                continue;
            }
        };
        match number {
            0 => command.stdin(stdio),
            1 => command.stdout(stdio),
            _ => command.stderr(stdio),
        };
    }
    Ok(())
}

/// A file in memory with these bytes, to be read from its beginning.
fn memory(bytes: &[u8]) -> std::io::Result<std::os::fd::OwnedFd> {
    let file = memfd_create("seclude-stdin", MemfdFlags::CLOEXEC)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}
