//! Failures as Python raises them.

use std::os::unix::ffi::OsStrExt;

use pyo3::exceptions::{PyChildProcessError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use seclude::{Code, Error, Limit, Remedy};
use serde_json::Value as Json;

use crate::compose::Names;

/// A remedy in a sentence: `container.dns="none"`. What is of the host the hint says already.
pub(crate) fn say(remedy: &Remedy, names: &Names) -> Option<String> {
    match remedy {
        Remedy::Set(field, Some(value)) => Some(format!("{}={value}", names.place(field))),
        Remedy::Set(field, None) => Some(names.place(field)),
        Remedy::Leave(field) => Some(format!("without {}", names.place(field))),
        _ => None,
    }
}

/// A `SecludeError` with everything that the library says.
pub(crate) fn raise(py: Python<'_>, error: &Error, names: &Names) -> PyErr {
    made(py, error, names).unwrap_or_else(|raised| raised)
}

fn made(py: Python<'_>, error: &Error, names: &Names) -> PyResult<PyErr> {
    let facts = PyDict::new(py);
    let field = error.field().map(|field| names.place(field));
    let hint = error.advice().map(|hint| Remedy::behind(hint, error.remedies(), |remedy| say(remedy, names)));
    let remedies: Vec<Json> = error.remedies().iter().map(|remedy| names.as_json(remedy)).collect();
    let message = match (error.code(), &field) {
        // Nothing has been done yet: it is about what was said, not about a step.
        (Code::Invalid, Some(field)) => {
            let hint = hint.as_ref().map_or_else(String::new, |hint| format!(": {hint}"));
            format!("{field}: {}{hint}", error.action())
        }
        _ => error.message_with(|remedy| say(remedy, names)),
    };
    facts.set_item("message", message)?;
    facts.set_item("code", error.code().name())?;
    facts.set_item("errno", error.raw_os_error())?;
    facts.set_item("syscall", error.system_call())?;
    facts.set_item("step", error.step())?;
    facts.set_item("side", error.side().name())?;
    facts.set_item("action", error.action())?;
    facts.set_item("path", error.path().map(|path| PyBytes::new(py, path.as_os_str().as_bytes())))?;
    facts.set_item("hint", hint)?;
    facts.set_item("limit", error.limit().map(Limit::name))?;
    facts.set_item("left_behind", error.left_behind())?;
    facts.set_item("field", field)?;
    facts.set_item("remedies", Json::from(remedies).to_string())?;
    let module = py.import("seclude._errors")?;
    Ok(PyErr::from_value(module.getattr("_failure")?.call1((facts,))?))
}

/// An OSError of the binding's own part.
pub(crate) fn of_io(error: std::io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => Python::attach(|py| PyOSError::new_err((number, strerror(py, number)))),
        None => PyOSError::new_err(error.to_string()),
    }
}

/// What Python calls an error number: Rust's text has the number in it, which Python says itself.
pub(crate) fn strerror(py: Python<'_>, number: i32) -> String {
    let said = py.import("os").and_then(|os| os.call_method1("strerror", (number,))?.extract());
    said.unwrap_or_else(|_| "?".to_owned())
}

/// The handle belongs to the process that this one was forked from.
pub(crate) fn foreign() -> PyErr {
    PyChildProcessError::new_err((
        rustix::io::Errno::CHILD.raw_os_error(),
        "the process was started before a fork, by the parent of this one",
    ))
}
