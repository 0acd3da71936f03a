//! Devices by their paths, or by numbers in a text.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use seclude::DeviceNumber;
use seclude::request::{Field, Value};

use super::tables::{text, wrong_type};
use super::{Read, Wrong};

/// `"8:0"`, or `"/dev/vda"`.
pub(super) fn number(device: &Value, from: &Field) -> Read<DeviceNumber> {
    let Value::Text(device) = device else {
        return Err(wrong_type(from, device, "a path such as \"/dev/vda\", or a number such as \"8:0\""));
    };
    let number = device
        .split_once(':')
        .and_then(|(major, minor)| Some(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? }));
    number.map_or_else(|| Ok(at(device, from)?.1), Ok)
}

fn at(path: &str, from: &Field) -> Read<(&'static str, DeviceNumber)> {
    let found = fs::metadata(path).map_err(|error| Wrong::range_of(&from, format!("{from}: {path}: {error}")))?;
    let kind = match found.file_type() {
        kind if kind.is_char_device() => "char",
        kind if kind.is_block_device() => "block",
        _ => return Err(Wrong::range_of(&from, format!("{from}: {path} is not a device"))),
    };
    Ok((kind, DeviceNumber::from_rdev(found.rdev())))
}

/// `"/dev/null:rw"`, or `"c 136:*:rw"`.
pub(super) fn rule(rule: &str, from: &Field) -> Read<Value> {
    let kind =
        [("c ", "char"), ("b ", "block")].into_iter().find_map(|(word, kind)| Some((kind, rule.strip_prefix(word)?)));
    let (kind, parts) = match kind {
        Some((kind, numbers)) => (kind, numbers.split(':').map(str::to_owned).collect::<Vec<_>>()),
        None => {
            let (path, access) = rule.rsplit_once(':').unwrap_or((rule, "rwm"));
            let (kind, number) = at(path, from)?;
            (kind, vec![number.major.to_string(), number.minor.to_string(), access.to_owned()])
        }
    };
    let expected = "it can be a path such as \"/dev/null:rw\", or a number such as \"c 136:*:rw\"";
    let wrong = || Wrong::range_of(&from, format!("{from} is {rule:?}; {expected}"));
    if !(2..=3).contains(&parts.len()) {
        return Err(wrong());
    }
    let mut made = vec![("type".to_owned(), text(kind))];
    for (key, part) in ["major", "minor", "access"].into_iter().zip(parts) {
        match (key, part.as_str()) {
            ("access", _) => made.push((key.to_owned(), Value::Text(part))),
            (_, "*") => {}
            (_, number) => {
                made.push((key.to_owned(), Value::Integer(number.parse::<u32>().map_err(|_| wrong())?.into())))
            }
        }
    }
    Ok(Value::Object(made))
}
