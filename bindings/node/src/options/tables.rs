//! What the options have under another name than a request, or in another form. What is not here is the request's own.

use std::path;

use seclude::request::{Field, Value, snake};

use super::{Read, Wrong};

/// A key in snake case, where a request has it, and what becomes of its value.
pub(super) type Row = (&'static str, &'static str, Make);

/// Makes a value of a request's from one of a key's. What it does not know stays, to be refused as what it is.
pub(super) type Make = fn(Value, &Field) -> Read<Value>;

pub(super) const CONTAINER: &[Row] = &[
    ("uid", "user.uid", same),
    ("gid", "user.gid", same),
    ("groups", "user.groups", same),
    ("host_root", "user.map", host_root),
    ("capabilities", "rights.capabilities", capabilities),
    ("ambient_capabilities", "rights.ambient", capabilities),
    ("no_new_privileges", "rights.no_new_privileges", same),
    ("no_new_privs", "rights.no_new_privileges", same),
    ("rlimit", "rlimits", same),
    ("dns", "dns", dns),
];

pub(super) const LIMITS: &[Row] = &[
    ("ram", "memory_max", same),
    ("memory", "memory_max", same),
    ("memory_swap", "memory_swap_max", same),
    ("swap", "memory_swap_max", same),
    ("cpu", "cpu_max", percent),
    ("cpus", "cpu_max", same),
    ("pids", "pids_max", same),
];

pub(super) const NETWORK: &[Row] = &[
    ("mode", "type", same),
    ("ip", "address", same),
    ("ip6", "ipv6", same),
    ("ports", "publish", ports),
    ("publish", "publish", ports),
];

pub(super) const CALLER_AS: &[Row] = &[("uid", "caller_uid", same), ("gid", "caller_gid", same)];
pub(super) const EXTENT: &[Row] =
    &[("inside_id", "inside", same), ("outside_id", "outside", same), ("length", "count", same)];

/// Of an overlay, wherever it is, and of every other entry's options.
pub(super) const LAYERS: &[Row] = &[
    ("lower_dirs", "lowers", same),
    ("upper_dir", "upper", same),
    ("work_dir", "work", same),
    ("readonly", "read_only", same),
];

/// Other names: of what a container has, of kinds of namespaces, of maps of ids, of entries of `fs`, of a key there.
pub(super) const NOUNS: &[(&str, &str)] =
    &[("namespace", "namespaces"), ("limit", "limits"), ("fs", "mounts"), ("net", "network")];
pub(super) const NAMESPACES: &[(&str, &str)] = &[("network", "net"), ("mnt", "mount")];
pub(super) const ORIGINS: &[(&str, &str)] = &[("loopback", "new"), ("none", "new"), ("host", "inherit")];
pub(super) const MAPS: &[(&str, &str)] = &[("root", "caller-as-root"), ("subids", "sub-ids")];
pub(super) const ENTRIES: &[(&str, &str)] = &[
    ("overlayfs", "overlay"),
    ("directory", "directory"),
    ("dir", "directory"),
    ("readonly", "read-only-path"),
    ("readOnly", "read-only-path"),
    ("read_only", "read-only-path"),
];
pub(super) const READ_ONLY: &[(&str, &str)] = &[("readonly", "read_only")];

/// What a word stands for.
pub(super) fn renamed<'a>(names: &[(&str, &'static str)], word: &'a str) -> &'a str {
    names.iter().find(|(own, _)| *own == word).map_or(word, |(_, name)| name)
}

/// What is below a field, by a path of ours.
pub(super) fn below(field: &Field, path: &str) -> Field {
    path.split('.').filter(|key| !key.is_empty()).fold(field.clone(), Field::key)
}

/// Takes a key out of an object, unless that is `false`.
pub(super) fn without(value: Value, name: &str) -> (Option<(String, Value)>, Value) {
    let Value::Object(mut entries) = value else { return (None, value) };
    let place = entries.iter().position(|(key, _)| snake(key) == name);
    let taken = place.map(|place| entries.remove(place)).filter(|(_, value)| *value != Value::Bool(false));
    (taken, Value::Object(entries))
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// What a value is, and what it could be.
pub(super) fn wrong_type(from: &Field, value: &Value, expected: &str) -> Wrong {
    Wrong::type_of(&from, format!("{from} is {}; it can be {expected}", value.kind()))
}

pub(super) fn same(value: Value, _: &Field) -> Read<Value> {
    Ok(value)
}

fn percent(value: Value, from: &Field) -> Read<Value> {
    let number = match value {
        Value::Integer(number) => number as f64,
        Value::Float(number) => number,
        other => return Ok(other),
    };
    match number.is_finite() && number >= 1.0 {
        true => Ok(Value::Float(number / 100.0)),
        false => Err(Wrong::range_of(
            &from,
            format!("{from} is {number}; it can be percent of one CPU, 1 to 100 for each CPU"),
        )),
    }
}

fn host_root(value: Value, from: &Field) -> Read<Value> {
    match value {
        Value::Bool(true) => Ok(text("host-root")),
        Value::Bool(false) => Ok(value),
        other => Err(wrong_type(from, &other, "true or false")),
    }
}

fn capabilities(value: Value, from: &Field) -> Read<Value> {
    match value {
        Value::Bool(false) => Ok(Value::List(Vec::new())),
        Value::Text(word) if word == "all" => Ok(Value::List(vec![text("ALL")])),
        Value::List(_) => Ok(value),
        other => Err(wrong_type(from, &other, "an array of names, \"all\" or false")),
    }
}

fn dns(value: Value, _: &Field) -> Read<Value> {
    Ok(if value == Value::Bool(false) { text("unchanged") } else { value })
}

fn ports(value: Value, _: &Field) -> Read<Value> {
    let port = |item| match item {
        Value::Integer(port) => Value::Text(format!("{port}:{port}")),
        other => other,
    };
    Ok(match value {
        Value::List(items) => Value::List(items.into_iter().map(port).collect()),
        other => other,
    })
}

/// A path of the host, which may be relative to the working directory.
pub(super) fn absolute(value: Value, from: &Field) -> Read<Value> {
    match value {
        Value::Text(given) => match path::absolute(&given) {
            Ok(path) => Ok(Value::Text(path.to_string_lossy().into_owned())),
            Err(error) => Err(Wrong::range_of(&from, format!("{from}: {given:?}: {error}"))),
        },
        other => Err(wrong_type(from, &other, "a path")),
    }
}
