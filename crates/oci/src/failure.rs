//! Why a command did not do what it was asked for: one line, which names the field of config.json that it is about.

use std::fmt::{self, Write};
use std::io;

use seclude::{Code, OneLine};

/// The exit status of everything that fails here, as engines know it from others.
pub(crate) const FAILED: u8 = 1;

/// The same of `exec`, whose other statuses are those of what it executes.
pub(crate) const NOT_EXECUTED: u8 = 255;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failure.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    field: Option<String>,
    text: String,
}

impl Failure {
    /// Of no field.
    pub(crate) fn new(text: impl Into<String>) -> Failure {
        Failure { field: None, text: text.into() }
    }

    /// Of this field of config.json.
    pub(crate) fn at(field: impl Into<String>, text: impl Into<String>) -> Failure {
        Failure { field: Some(field.into()), text: text.into() }
    }

    /// What the system answered.
    pub(crate) fn of(what: impl fmt::Display, error: impl Into<io::Error>) -> Failure {
        Failure::new(format!("{what}: {}", error.into()))
    }

    /// For what has no field yet.
    pub(crate) fn or_at(mut self, field: &str) -> Failure {
        self.field.get_or_insert_with(|| field.to_owned());
        self
    }

    /// For what only takes errors of the system's: work of ours among the library's steps, which hands it back.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// What work of ours among the library's steps has failed with.
    fn of_own_work(error: &seclude::Error) -> Option<Failure> {
        let source = std::error::Error::source(error)?.downcast_ref::<io::Error>()?;
        source.get_ref()?.downcast_ref().cloned()
    }

    /// With what a program has said of it.
    pub(crate) fn told(mut self, said: &impl fmt::Display) -> Failure {
        let _ = write!(self.text, "{said}");
        self
    }

    /// With what went wrong besides.
    pub(crate) fn and(mut self, more: impl fmt::Display) -> Failure {
        self.text = format!("{}; {more}", self.text);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.replace(['\n', '\r'], " ");
        // Whoever made the configuration has chosen what is in it, names of fields among that.
        let mut line = OneLine(f);
        match &self.field {
            Some(field) => write!(line, "{field}: {text}"),
            None => line.write_str(&text),
        }
    }
}

impl std::error::Error for Failure {}

impl From<seclude::Error> for Failure {
    fn from(error: seclude::Error) -> Failure {
        if let Some(own) = Failure::of_own_work(&error) {
            let left = error.left_behind().iter();
            return left.fold(own, |failure, left| failure.and(format_args!("left behind: {left}")));
        }
        // Engines find their exit status by these words and by strerror(3)'s.
        let told = match (error.code(), error.path()) {
            (Code::NotFound, Some(program)) if program.as_os_str().as_encoded_bytes().contains(&b'/') => {
                format!("exec {}: no such file or directory: ", program.display())
            }
            (Code::NotFound, Some(program)) => {
                format!("exec {}: no such file or directory: executable file not found in $PATH: ", program.display())
            }
            (Code::NotFound, None) => "executable file not found in $PATH: ".to_owned(),
            _ => String::new(),
        };
        let answer = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
        let answer = answer.map_or_else(String::new, |errno| format!(" ({errno})"));
        Failure::new(format!("{told}{error}{}", answer.to_lowercase()))
    }
}

impl From<seclude::cgroup::Error> for Failure {
    fn from(error: seclude::cgroup::Error) -> Failure {
        let text = match error.hint() {
            Some(hint) => format!("cgroup {error}: {hint}"),
            None => format!("cgroup {error}"),
        };
        Failure::at("linux.cgroupsPath", text)
    }
}
