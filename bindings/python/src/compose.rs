//! From Python's keywords to a command.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use seclude::request::{Field, Part, Request, Spelling, Value, Why, Wrong};
use seclude::{Command, Remedy};

use serde_json::Value as Json;

use crate::object::{self, error_of};

/// A keyword argument that stands for a part of the container: its name, the field's path, and the object.
pub(crate) type Keyword<'py> = (String, String, Bound<'py, PyAny>);

/// What comes of it.
pub(crate) struct Composed {
    pub(crate) command: Command,
    pub(crate) request: Request,
    pub(crate) names: Names,
}

/// How the caller calls the parts of the request.
#[derive(Debug)]
pub(crate) struct Names {
    /// Keywords, and the fields that they stand for.
    keywords: Vec<(String, Vec<Part>)>,
    /// How many mounts are the container's own, those of the keyword coming after them.
    own_mounts: usize,
}

impl Default for Names {
    fn default() -> Names {
        Names { keywords: Vec::new(), own_mounts: usize::MAX }
    }
}

impl Names {
    /// `keyword` stands for what is at `path`.
    pub(crate) fn add(&mut self, keyword: &str, path: &[Part]) {
        self.keywords.push((keyword.to_owned(), path.to_vec()));
    }

    /// A remedy as data.
    pub(crate) fn as_json(&self, remedy: &Remedy) -> Json {
        remedy.to_json(&|field| self.place(field))
    }

    /// The path of a field as the caller wrote it.
    pub(crate) fn place(&self, field: &Field) -> String {
        let parts = field.parts();
        let below = |name: &str, rest: &[Part]| below(Field::of(name), rest).to_string();
        match parts {
            [Part::Key(key), rest @ ..] if key == "command" => return below("args", rest),
            [Part::Key(key), Part::Index(index), rest @ ..] if key == "mounts" && *index >= self.own_mounts => {
                return self::below(Field::of("mounts").index(index - self.own_mounts), rest).to_string();
            }
            _ => {}
        }
        let keyword = self.keywords.iter().find(|(_, path)| parts.starts_with(path));
        match keyword {
            Some((name, path)) => below(name, &parts[path.len()..]),
            None => below("container", parts),
        }
    }
}

fn below(field: Field, rest: &[Part]) -> Field {
    rest.iter().fold(field, |field, part| match part {
        Part::Key(key) => field.key(key),
        Part::Index(index) => field.index(*index),
    })
}

/// The request that `container` and `keywords` make, for `command`: bytes or strings.
pub(crate) fn compose(
    command: &[Bound<'_, PyAny>],
    container: Option<&Bound<'_, PyAny>>,
    keywords: &[Keyword<'_>],
) -> PyResult<Composed> {
    let container = container.map(object::value).transpose();
    let in_container = |field: &Field| below(Field::of("container"), field.parts()).to_string();
    let value = container.map_err(|refused| refused.raise(in_container))?.unwrap_or(Value::Null);
    let mut entries = match value {
        Value::Null => Vec::new(),
        Value::Object(entries) => entries,
        other => {
            let why = Why::Type { found: other.kind(), expected: "a dict, a seclude.types.Container or a path".into() };
            return Err(error_of(&Wrong::new(Field::whole(), why), "container"));
        }
    };
    let mut names = Names::default();
    for (name, path, given) in keywords {
        let at = |field: &Field| below(Field::of(name), field.parts()).to_string();
        let value = object::value(given).map_err(|refused| refused.raise(at))?;
        if path == "mounts" {
            let Value::List(more) = value else {
                let why = Why::Type { found: value.kind(), expected: "a list".into() };
                return Err(error_of(&Wrong::new(Field::whole(), why), name));
            };
            names.own_mounts = append(&mut entries, "mounts", more);
            continue;
        }
        let keys: Vec<&str> = path.split('.').collect();
        // What the container has of the same in another place is not to stand beside it.
        match path.as_str() {
            "network" => leave(&mut entries, &["namespaces", "net"]),
            "namespaces.net" => leave(&mut entries, &["network"]),
            _ => {}
        }
        set(&mut entries, &keys, value);
        let path = keys.into_iter().map(|key| Part::Key(key.to_owned())).collect();
        names.keywords.push((name.clone(), path));
    }
    if !command.is_empty() {
        // Another command's own name is none for this one.
        if entries.iter().any(|(key, value)| key == "command" && *value != Value::Null) {
            leave(&mut entries, &["arg0"]);
        }
        set(&mut entries, &["command"], Value::List(words(command)?));
    }
    let read = Request::from_value(&Value::Object(entries), Spelling::Snake);
    let raise = |wrong: Wrong| error_of(&wrong, &names.place(&wrong.field));
    let request = read.map_err(raise)?;
    let command = Command::from_request(&request).map_err(raise)?;
    Ok(Composed { command, request, names })
}

fn words(command: &[Bound<'_, PyAny>]) -> PyResult<Vec<Value>> {
    let word = |(index, word): (usize, &Bound<'_, PyAny>)| {
        let value = object::value(word).map_err(|refused| {
            refused.raise(|field| below(Field::of("args").index(index), field.parts()).to_string())
        })?;
        match value {
            Value::Text(_) | Value::Bytes(_) => Ok(value),
            _ => {
                let name = word.get_type().name().unwrap_or_else(|_| PyString::new(word.py(), "?"));
                Err(PyTypeError::new_err(format!(
                    "args[{index}] is of the type {name}; it can be a str, bytes or a path"
                )))
            }
        }
    };
    command.iter().enumerate().map(word).collect()
}

/// Puts `value` where `keys` lead to, in the stead of what is there. What is no object is left to be refused.
fn set(entries: &mut Vec<(String, Value)>, keys: &[&str], value: Value) {
    let [key, rest @ ..] = keys else { return };
    let place = match entries.iter().position(|(name, _)| name == key) {
        Some(place) => place,
        None => {
            entries.push(((*key).to_owned(), Value::Null));
            entries.len() - 1
        }
    };
    let slot = &mut entries[place].1;
    if rest.is_empty() {
        *slot = value;
        return;
    }
    if *slot == Value::Null {
        *slot = Value::Object(Vec::new());
    }
    if let Value::Object(entries) = slot {
        set(entries, rest, value);
    }
}

/// Takes out what `keys` lead to, if there is anything.
fn leave(entries: &mut Vec<(String, Value)>, keys: &[&str]) {
    match keys {
        [] => {}
        [key] => entries.retain(|(name, _)| name != key),
        [key, rest @ ..] => {
            if let Some((_, Value::Object(below))) = entries.iter_mut().find(|(name, _)| name == key) {
                leave(below, rest);
            }
        }
    }
}

/// Adds `more` to a list, and answers how long it was.
fn append(entries: &mut Vec<(String, Value)>, key: &str, more: Vec<Value>) -> usize {
    match entries.iter_mut().find(|(name, _)| name == key) {
        Some((_, Value::List(items))) => {
            let before = items.len();
            items.extend(more);
            before
        }
        Some((_, slot @ Value::Null)) => {
            *slot = Value::List(more);
            0
        }
        // It is refused as what it is.
        Some(_) => usize::MAX,
        None => {
            entries.push((key.to_owned(), Value::List(more)));
            0
        }
    }
}
