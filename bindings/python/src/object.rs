//! Between Python's objects and the values of a request.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use seclude::request::{Field, MOST_DEPTH, Part, Value, Why, Wrong};

/// How many values an object may have, counted as often as they are reached: a list of a list of itself has many.
const MOST_VALUES: usize = 1 << 18;

/// Why an object is no value.
pub(crate) enum Refused {
    /// What its own code has raised.
    Raised(PyErr),
    /// What it is, and where; the innermost part first.
    Wrong(Vec<Part>, Why),
}

impl Refused {
    fn below(self, part: impl FnOnce() -> Part) -> Refused {
        match self {
            Refused::Wrong(mut parts, why) => {
                parts.push(part());
                Refused::Wrong(parts, why)
            }
            raised => raised,
        }
    }

    /// As an error of something in `place`.
    pub(crate) fn raise(self, place: impl FnOnce(&Field) -> String) -> PyErr {
        match self {
            Refused::Raised(error) => error,
            Refused::Wrong(parts, why) => {
                let field = parts.into_iter().rev().fold(Field::whole(), |field, part| match part {
                    Part::Key(key) => field.key(key),
                    Part::Index(index) => field.index(index),
                });
                let place = place(&field);
                error_of(&Wrong::new(field, why), &place)
            }
        }
    }
}

impl From<PyErr> for Refused {
    fn from(error: PyErr) -> Refused {
        Refused::Raised(error)
    }
}

/// A TypeError or a ValueError, told of `place`, which it has as its `field` too.
pub(crate) fn error_of(wrong: &Wrong, place: &str) -> PyErr {
    let line = wrong.said_of(place);
    about(if wrong.is_type() { PyTypeError::new_err(line) } else { PyValueError::new_err(line) }, place)
}

/// With the key that it is about, as data.
pub(crate) fn about(error: PyErr, field: &str) -> PyErr {
    let given = Python::attach(|py| error.value(py).setattr("field", field));
    given.map_or_else(|failed| failed, |()| error)
}

/// The value that an object is: of `None`, bools, numbers, strings, bytes, paths, lists, tuples, mappings and dataclasses.
pub(crate) fn value(object: &Bound<'_, PyAny>) -> Result<Value, Refused> {
    convert(object, MOST_DEPTH, &mut 0)
}

fn wrong<T>(why: Why) -> Result<T, Refused> {
    Err(Refused::Wrong(Vec::new(), why))
}

fn convert(object: &Bound<'_, PyAny>, left: usize, count: &mut usize) -> Result<Value, Refused> {
    *count += 1;
    if *count > MOST_VALUES {
        return wrong(Why::Range(format!("it has more than {MOST_VALUES} values")));
    }
    if object.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(text) = object.cast::<PyString>() {
        return string(text);
    }
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Value::Bool(value.is_true()));
    }
    if object.is_instance_of::<PyInt>() {
        return match object.extract::<i128>() {
            Ok(number) => Ok(Value::Integer(number)),
            Err(_) => wrong(Why::Range("the number is out of range".into())),
        };
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(Value::Float(number.value()));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Value::Bytes(bytes.as_bytes().to_vec()));
    }
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        return Ok(Value::Bytes(bytes.to_vec()));
    }
    if let Ok(entries) = object.cast::<PyDict>() {
        return mapping(entries, left, count);
    }
    if let Ok(items) = object.cast::<PyList>() {
        return list(items.len(), items.iter(), left, count);
    }
    if let Ok(items) = object.cast::<PyTuple>() {
        return list(items.len(), items.iter(), left, count);
    }
    other(object, left, count)
}

/// What is none of the usual.
fn other(object: &Bound<'_, PyAny>, left: usize, count: &mut usize) -> Result<Value, Refused> {
    let py = object.py();
    let kind = object.get_type();
    if let Ok(fields) = kind.getattr(intern!(py, "__dataclass_fields__")) {
        let Ok(fields) = fields.cast_into::<PyDict>() else { return unknown(object) };
        let entries = PyDict::new(py);
        for name in fields.keys() {
            let Ok(name) = name.cast_into::<PyString>() else { continue };
            entries.set_item(&name, object.getattr(&name)?)?;
        }
        return mapping(&entries, left, count);
    }
    if kind.hasattr(intern!(py, "__fspath__"))? {
        let path = object.call_method0(intern!(py, "__fspath__"))?;
        return match (path.cast::<PyString>(), path.cast::<PyBytes>()) {
            (Ok(text), _) => string(text),
            (_, Ok(bytes)) => Ok(Value::Bytes(bytes.as_bytes().to_vec())),
            _ => unknown(object),
        };
    }
    if kind.hasattr(intern!(py, "keys"))? && kind.hasattr(intern!(py, "__getitem__"))? {
        let entries = PyDict::new(py);
        entries.update(object.cast::<pyo3::types::PyMapping>().map_err(PyErr::from)?)?;
        return mapping(&entries, left, count);
    }
    // Addresses and networks of ipaddress, which say themselves as text.
    if kind.module().is_ok_and(|module| module.to_string_lossy() == "ipaddress") {
        return string(&object.str()?);
    }
    unknown(object)
}

fn unknown<T>(object: &Bound<'_, PyAny>) -> Result<T, Refused> {
    let name = object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    let expected = "None, a bool, a number, a str, bytes, a path, a list, a dict or a dataclass";
    wrong(Why::Type { found: format!("of the type {name}"), expected: expected.into() })
}

/// Text, or the bytes that os.fsencode() makes of it.
fn string(text: &Bound<'_, PyString>) -> Result<Value, Refused> {
    match text.to_cow() {
        Ok(text) => Ok(Value::Text(text.into_owned())),
        Err(_) => match text.extract::<OsString>() {
            Ok(bytes) => Ok(Value::Bytes(bytes.into_vec())),
            Err(_) => wrong(Why::Range("the text is no UTF-8".into())),
        },
    }
}

fn mapping(entries: &Bound<'_, PyDict>, left: usize, count: &mut usize) -> Result<Value, Refused> {
    let left = deeper(left)?;
    let mut converted = Vec::with_capacity(entries.len());
    // A copy: code of its values may change it meanwhile.
    for (key, value) in entries.copy()?.iter() {
        let Ok(key) = key.cast::<PyString>() else {
            let name = key.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
            return wrong(Why::Type {
                found: format!("an object with a key of the type {name}"),
                expected: "one with strings as keys".into(),
            });
        };
        // Other bytes would be another key, of which nobody has spoken.
        let Ok(key) = key.to_cow().map(|key| key.into_owned()) else {
            return wrong(Why::Range(format!("the key {} is no UTF-8", key.repr()?)));
        };
        let value = convert(&value, left, count).map_err(|refused| refused.below(|| Part::Key(key.clone())))?;
        converted.push((key, value));
    }
    Ok(Value::Object(converted))
}

fn list<'py>(
    length: usize,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    left: usize,
    count: &mut usize,
) -> Result<Value, Refused> {
    let left = deeper(left)?;
    let mut converted = Vec::with_capacity(length.min(MOST_VALUES));
    for (index, item) in items.enumerate() {
        converted.push(convert(&item, left, count).map_err(|refused| refused.below(|| Part::Index(index)))?);
    }
    Ok(Value::List(converted))
}

fn deeper(left: usize) -> Result<usize, Refused> {
    match left.checked_sub(1) {
        Some(left) => Ok(left),
        None => wrong(Why::Range(format!("it is nested deeper than {MOST_DEPTH} levels"))),
    }
}

/// The object that a value is.
pub(crate) fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::Integer(number) => number.into_pyobject(py)?.into_any(),
        Value::Float(number) => PyFloat::new(py, *number).into_any(),
        Value::Text(text) => PyString::new(py, text).into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Value::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(object(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(entries) => {
            let dict = PyDict::new(py);
            for (key, value) in entries {
                dict.set_item(key, object(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
