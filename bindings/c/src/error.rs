//! What went wrong, for C.

use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null;

use rustix::io::Errno;
use seclude::request::{Text, Why, Wrong};
use seclude::{Code, Field, Limit};
use serde_json::{Value as Json, json};

use crate::guard::{Failure, quiet};
use crate::strings::c_string;

/// Why something was not done. Freed with seclude_error_free.
#[derive(Debug)]
pub struct Error {
    json: CString,
    message: CString,
    errno: c_int,
    exit_code: c_int,
}

impl Error {
    pub(crate) fn new(failure: &Failure) -> Error {
        let json = described(failure);
        let message = json["message"].as_str().unwrap_or_default();
        Error {
            message: c_string(message),
            errno: errno(failure),
            exit_code: exit_code(failure),
            json: c_string(json.to_string()),
        }
    }

    pub(crate) fn errno(&self) -> c_int {
        self.errno
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        self.json.to_str().unwrap_or_default()
    }
}

/// What the function returns, without its sign.
fn errno(failure: &Failure) -> c_int {
    let own = match failure {
        Failure::Null(_) => Errno::FAULT,
        Failure::Wrong(_) => Errno::INVAL,
        Failure::Panic(_) => Errno::NOTRECOVERABLE,
        Failure::System { error, .. } => Errno::from_io_error(error).unwrap_or(Errno::IO),
        Failure::Library(error) => match (error.raw_os_error(), error.code()) {
            // Never 0, nor anything that would not be a negative number.
            (Some(errno), _) if errno > 0 => return errno,
            (_, Code::Invalid) => Errno::INVAL,
            (_, Code::NotFound) => Errno::NOENT,
            (_, Code::NotExecutable) => Errno::ACCESS,
            (_, Code::Deadline) => Errno::TIMEDOUT,
            (_, Code::Cancelled) => Errno::CANCELED,
            _ => Errno::IO,
        },
    };
    own.raw_os_error()
}

fn exit_code(failure: &Failure) -> c_int {
    match failure {
        Failure::Library(error) => error.exit_code().into(),
        _ => 125,
    }
}

fn described(failure: &Failure) -> Json {
    match failure {
        Failure::Null(name) => own("invalid", "arguments", format!("{name} is NULL")),
        Failure::Panic(said) => own("panic", "library", format!("the library has failed itself: {said}")),
        Failure::System { step, action, error } => {
            let name = Errno::from_io_error(error).and_then(name);
            let about = if action.is_empty() { (*step).to_owned() } else { format!("{step} {action}") };
            let said = name.map_or_else(|| error.to_string(), str::to_owned);
            let mut json = own("refused", step, format!("{about}: {said} (parent)"));
            json["side"] = "parent".into();
            json["action"] = action.as_str().into();
            json["errno"] = error.raw_os_error().into();
            json["errno_name"] = name.into();
            json
        }
        Failure::Wrong(wrong) => of_request(wrong),
        Failure::Library(error) => of_library(error),
    }
}

/// Of what the binding itself asks the system.
fn name(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::BADF => Some("EBADF"),
        Errno::CHILD => Some("ECHILD"),
        Errno::MFILE => Some("EMFILE"),
        Errno::NFILE => Some("ENFILE"),
        Errno::NOMEM => Some("ENOMEM"),
        _ => None,
    }
}

/// With every key that an error has.
fn own(code: &str, step: &str, message: String) -> Json {
    json!({
        "code": code, "kind": null, "step": step, "side": "plan", "message": message, "action": null, "field": null, "remedies": [],
        "errno": null, "errno_name": null, "call": null, "path": null, "hint": null, "limit": null, "left_behind": [],
    })
}

fn of_request(wrong: &Wrong) -> Json {
    let mut json = own("invalid", "request", wrong.to_string());
    json["kind"] = wrong.why.name().into();
    json["field"] = if wrong.field.is_whole() { Json::Null } else { wrong.field.to_string().into() };
    if let Why::UnknownKey { nearest: Some(nearest), .. } = &wrong.why {
        json["hint"] = format!("the nearest is {nearest}").into();
    }
    json
}

fn of_library(error: &seclude::Error) -> Json {
    json!({
        "code": error.code().name(),
        "kind": null,
        "step": error.step(),
        "side": error.side().name(),
        "message": error.to_string(),
        "action": error.action(),
        "field": error.field().map(Field::to_string),
        "remedies": error.remedies().iter().map(|remedy| remedy.to_json(&Field::to_string)).collect::<Vec<_>>(),
        "errno": error.raw_os_error(),
        "errno_name": error.errno_name(),
        "call": error.system_call(),
        "path": error.path().map(path),
        "hint": error.advice(),
        "limit": error.limit().map(Limit::name),
        "left_behind": error.left_behind(),
    })
}

/// A path as requests have it: a string, or the hexadecimal digits of bytes that are no UTF-8.
fn path(path: &Path) -> Json {
    serde_json::to_value(Text::from(path))
        .unwrap_or_else(|_| String::from_utf8_lossy(path.as_os_str().as_bytes()).into())
}

/// All of it as JSON; it lives as long as the error. NULL for NULL.
///
/// The keys, all of which are always there:
/// `code`: "invalid", "not-found", "not-executable", "refused", "lost", "deadline", "cancelled" or "panic";
/// `kind`: of a request that is none: "unknown-key", "missing", "type", "range", "contradicts" or "syntax", else null;
/// `step`, `side` ("plan", "parent" or "child") and `action`: what was being done, and by whom;
/// `message`: one line for people;
/// `field`: the part of the request that it is about, such as "mounts[3].target", or null;
/// `remedies`: what would make it go on, as data; may be empty;
/// `errno` (a number), `errno_name` and `call`: what the system answered, or null;
/// `path`: what was refused, a string or { "hex": … }, or null; `hint`: what to do about it, or null;
/// `limit`: the limit that it is about, or null; `left_behind`: what could not be undone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_json(error: *const Error) -> *const c_char {
    // SAFETY: NULL, or an error that the caller has not freed.
    unsafe { error.as_ref() }.map_or(null(), |error| error.json.as_ptr())
}

/// The same in one line; it lives as long as the error. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_message(error: *const Error) -> *const c_char {
    // SAFETY: NULL, or an error that the caller has not freed.
    unsafe { error.as_ref() }.map_or(null(), |error| error.message.as_ptr())
}

/// The exit status of a program that ends with this error: 127 if the command was not found, 126 if it cannot be
/// executed, else 125. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_exit_code(error: *const Error) -> c_int {
    // SAFETY: NULL, or an error that the caller has not freed.
    unsafe { error.as_ref() }.map_or(0, |error| error.exit_code)
}

/// Frees it. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_free(error: *mut Error) {
    if !error.is_null() {
        // SAFETY: the caller hands back what a function of ours gave, once.
        quiet(|| drop(unsafe { Box::from_raw(error) }));
    }
}
