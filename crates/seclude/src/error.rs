//! One kind of error: which step failed, on which side, at what, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use seclude_cgroup::Limit;
use seclude_child::wire::Call;
use seclude_request::{Field, Remedy};
use seclude_sys::Errno;

use crate::advice::Hint;
use crate::one_line::OneLine;

/// The answer of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a container was not started, or why its end is not known.
///
/// `Display` is one line: `step action: ERRNO in call (side): hint`. `source()` is the operating system's error.
#[derive(Debug)]
#[non_exhaustive]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    code: Code,
    step: &'static str,
    side: Side,
    action: String,
    path: Option<PathBuf>,
    call: Option<&'static str>,
    errno: Option<Errno>,
    hint: Option<Hint>,
    field: Option<Field>,
    contradicts: bool,
    undo: Vec<String>,
    /// Whether any of it should not be there.
    resisted: bool,
    limit: Option<Limit>,
    mount: Option<usize>,
    source: Option<io::Error>,
}

/// Which half of the spawn failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Side {
    /// Compiling the request: nothing had been made yet.
    Plan,
    /// The spawning process.
    Parent,
    /// The new process, before its exec.
    Child,
}

/// What kind of failure it was. The names are stable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Code {
    /// The request contradicts itself or has a value out of range.
    Invalid,
    /// The command, its interpreter or its loader is missing inside the root.
    NotFound,
    /// The command is there but cannot be executed.
    NotExecutable,
    /// The host refused a step.
    Refused,
    /// The process ran, but its end or its state could not be read.
    Lost,
    /// The deadline passed before the command ran.
    Deadline,
    /// A [`crate::Canceller`] ended the start.
    Cancelled,
}

impl Code {
    /// The stable name, such as `"not-found"`.
    pub fn name(self) -> &'static str {
        match self {
            Code::Invalid => "invalid",
            Code::NotFound => "not-found",
            Code::NotExecutable => "not-executable",
            Code::Refused => "refused",
            Code::Lost => "lost",
            Code::Deadline => "deadline",
            Code::Cancelled => "cancelled",
        }
    }
}

impl Side {
    /// The name that `Display` shows.
    pub fn name(self) -> &'static str {
        match self {
            Side::Plan => "plan",
            Side::Parent => "parent",
            Side::Child => "child",
        }
    }
}

/// path_resolution(7), of ENAMETOOLONG and ELOOP.
const LENGTH: &str = "a name can have 255 bytes, a path 4095";
const CIRCLE: &str = "the symlinks on the way lead round in a circle, or they are more than 40";

impl Error {
    /// A request that cannot be meant: `action` says what is wrong with it.
    pub(crate) fn invalid(step: &'static str, action: impl Into<String>) -> Error {
        Error::new(Code::Invalid, step, Side::Plan, action.into())
    }

    /// A parent's action that the system refused.
    pub(crate) fn parent(step: &'static str, action: impl Into<String>, errno: impl Into<Failure>) -> Error {
        let failure = errno.into();
        let mut error = Error::new(Code::Refused, step, Side::Parent, action.into());
        error.inner.errno = failure.0;
        error.inner.source = failure.1;
        error
    }

    /// An op that failed in the child.
    pub(crate) fn child(code: Code, step: &'static str, action: String, call: &'static str, errno: Errno) -> Error {
        let mut error = Error::new(code, step, Side::Child, action);
        error.inner.call = Some(call);
        error.inner.errno = Some(errno);
        error.inner.source = Some(io::Error::from_raw_os_error(i32::from(errno.0)));
        error.inner.hint = (errno == Errno::ENAMETOOLONG).then(|| LENGTH.into());
        error
    }

    pub(crate) fn lost(action: impl Into<String>, errno: impl Into<Failure>) -> Error {
        let mut error = Error::parent("wait", action, errno);
        error.inner.code = Code::Lost;
        error
    }

    fn new(code: Code, step: &'static str, side: Side, action: String) -> Error {
        Error {
            inner: Box::new(Inner {
                code,
                step,
                side,
                action,
                path: None,
                call: None,
                errno: None,
                hint: None,
                field: None,
                contradicts: false,
                undo: Vec::new(),
                resisted: false,
                limit: None,
                mount: None,
                source: None,
            }),
        }
    }

    pub(crate) fn coded(mut self, code: Code) -> Error {
        self.inner.code = code;
        self
    }

    pub(crate) fn call(mut self, call: &'static str) -> Error {
        self.inner.call = Some(call);
        let of_any_call = match self.inner.errno {
            Some(Errno::ENOSYS) => Some(format!(
                "{call} is not there: the kernel is older, or a filter that this process is in, as an outer sandbox has one, refuses it"
            )),
            Some(Errno::ELOOP) => Some(CIRCLE.to_owned()),
            Some(Errno::ENAMETOOLONG) => Some(LENGTH.to_owned()),
            _ => None,
        };
        self.inner.hint = self.inner.hint.take().or(of_any_call.map(Into::into));
        self
    }

    pub(crate) fn path_of(mut self, path: impl Into<PathBuf>) -> Error {
        self.inner.path = Some(path.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<Hint>) -> Error {
        self.inner.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_if(mut self, hint: Option<impl Into<Hint>>) -> Error {
        self.inner.hint = hint.map(Into::into).or(self.inner.hint.take());
        self
    }

    /// The field of the request that it is about: a path such as `namespaces.user`, or below that of the step
    /// ([`Error::within`]). What the program has no path of is spelled out with [`Error::at_field`].
    pub(crate) fn at(self, field: &str) -> Error {
        let read = field.parse();
        debug_assert!(read.is_ok(), "{field:?}");
        self.at_field(read.unwrap_or_default())
    }

    pub(crate) fn at_field(mut self, field: Field) -> Error {
        self.inner.field = Some(field);
        self
    }

    /// The value is well by itself; what it cannot be together with is in another field.
    pub(crate) fn contradicting(mut self) -> Error {
        self.inner.contradicts = true;
        self
    }

    /// What has a field has it inside this one, and what has none is about the whole of it.
    pub(crate) fn within(mut self, outer: &Field) -> Error {
        self.inner.field = Some(self.inner.field.take().unwrap_or_default().within(outer));
        self
    }

    /// For what does not say itself which field it is about.
    pub(crate) fn or_at(mut self, field: Option<Field>) -> Error {
        self.inner.field = self.inner.field.take().or(field);
        self
    }

    pub(crate) fn limit_of(mut self, limit: Limit) -> Error {
        self.inner.limit = Some(limit);
        self
    }

    pub(crate) fn mount_of(mut self, number: usize) -> Error {
        self.inner.mount = Some(number);
        self
    }

    pub(crate) fn attach_undo(&mut self, failed: String) {
        self.inner.undo.push(failed);
        self.inner.resisted = true;
    }

    /// Something stays that has come into use meanwhile.
    pub(crate) fn attach_stay(&mut self, stays: String) {
        self.inner.undo.push(stays);
    }

    /// What kind of failure this is.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// The step that failed, such as `"mount"` or `"user map"`.
    pub fn step(&self) -> &'static str {
        self.inner.step
    }

    /// The half of the spawn that failed.
    pub fn side(&self) -> Side {
        self.inner.side
    }

    /// What the step was about to do, such as `"tmpfs on /tmp"`.
    pub fn action(&self) -> &str {
        &self.inner.action
    }

    /// The path that was refused, if it was one: of the command, inside; of what was to be mounted, on the host; of the
    /// place for it, inside.
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// The system call that was refused.
    pub fn system_call(&self) -> Option<&'static str> {
        self.inner.call
    }

    /// The symbol of the error number, such as `"EPERM"`.
    pub fn errno_name(&self) -> Option<&'static str> {
        self.inner.errno.and_then(Errno::name)
    }

    /// The error number, errno(3).
    pub fn raw_os_error(&self) -> Option<i32> {
        self.inner.errno.map(|errno| i32::from(errno.0))
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.inner.hint.as_ref().map(|hint| hint.text.as_str())
    }

    /// The field of the request that it is about, or whose step failed, where it is about one.
    pub fn field(&self) -> Option<&Field> {
        self.inner.field.as_ref()
    }

    /// Whether two fields cannot be meant together: the value of [`Error::field`] is well by itself.
    pub fn contradicts(&self) -> bool {
        self.inner.contradicts
    }

    /// What would make it go on, as data: of the request's fields, or of the host. [`Error::advice`] says the same in a sentence.
    pub fn remedies(&self) -> &[Remedy] {
        self.inner.hint.as_ref().map_or(&[], |hint| &hint.remedies)
    }

    /// The line of `Display`, with the remedies behind the hint as `say` has them: a flag, a key. `None` is left out.
    pub fn message_with(&self, say: impl Fn(&Remedy) -> Option<String>) -> String {
        let mut line = String::new();
        // A String takes whatever is written to it.
        let _ = self.write(&mut line, |hint| Remedy::behind(&hint.text, &hint.remedies, &say));
        line
    }

    /// The limit that it is about, if it is about one.
    pub fn limit(&self) -> Option<Limit> {
        self.inner.limit
    }

    /// Which of the caller's mounts cannot be meant, [`Side::Plan`]: 0 is the first of [`crate::Command::mount`].
    pub fn mount(&self) -> Option<usize> {
        self.inner.mount
    }

    /// Whether something could not be undone that should be.
    pub(crate) fn has_resisted(&self) -> bool {
        self.inner.resisted
    }

    /// What could not be undone after the failure, or has come into use meanwhile; empty when the host is as it was.
    pub fn left_behind(&self) -> &[String] {
        &self.inner.undo
    }

    /// Whether it is only the end of [`crate::Command::rehearse`].
    pub(crate) fn ends_rehearsal(&self) -> bool {
        self.inner.call == Some(Call::Rehearsed.name())
    }

    /// The exit status of a command line that reports this: 127 not found, 126 not executable, 125 the rest.
    pub fn exit_code(&self) -> u8 {
        match self.inner.code {
            Code::NotFound => 127,
            Code::NotExecutable => 126,
            Code::Invalid | Code::Refused | Code::Lost | Code::Deadline | Code::Cancelled => 125,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, |hint| hint.text.clone())
    }
}

impl Error {
    fn write(&self, f: &mut dyn fmt::Write, advise: impl Fn(&Hint) -> String) -> fmt::Result {
        let (inner, mut line) = (&*self.inner, OneLine(f));
        let f: &mut dyn fmt::Write = &mut line;
        write!(f, "{}", inner.step)?;
        if !inner.action.is_empty() {
            let colon = if inner.side == Side::Plan { ":" } else { "" };
            write!(f, "{colon} {}", inner.action)?;
        }
        if let Some(errno) = inner.errno {
            write!(f, ": {errno}")?;
            if let Some(call) = inner.call {
                write!(f, " in {call}")?;
            }
            write!(f, " ({})", inner.side.name())?;
        } else if let Some(source) = &inner.source {
            write!(f, ": {source} ({})", inner.side.name())?;
        }
        if let Some(hint) = &inner.hint {
            write!(f, ": {}", advise(hint))?;
        }
        for left in &inner.undo {
            write!(f, "; left behind: {left}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| source as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = error
            .raw_os_error()
            .map_or(io::ErrorKind::InvalidInput, |errno| io::Error::from_raw_os_error(errno).kind());
        io::Error::new(kind, error)
    }
}

/// A failure of the system as its callers hand it over.
pub(crate) struct Failure(Option<Errno>, Option<io::Error>);

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure(Some(errno), Some(io::Error::from_raw_os_error(i32::from(errno.0))))
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(errno: rustix::io::Errno) -> Failure {
        Errno(errno.raw_os_error() as u16).into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.raw_os_error() {
            Some(number) => Failure(Some(Errno(number as u16)), Some(error)),
            None => Failure(None, Some(error)),
        }
    }
}
