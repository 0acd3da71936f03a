//! A bundle: a directory with a config.json.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use serde_json::Value as Json;

use crate::failure::{Failure, Result};
use crate::log::Log;
use crate::spec::Spec;

/// Engines write some ten thousand bytes.
const MOST_BYTES: u64 = 4 << 20;

/// What was read.
pub(crate) struct Bundle {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) spec: Spec,
}

impl Bundle {
    /// Reads it; what is unknown is told, as the specification has it passed over.
    pub(crate) fn read(path: &Path, config: &Path, log: &Log) -> Result<Bundle> {
        let named = |error| Failure::of(format_args!("bundle {}", path.display()), error);
        let path = path.canonicalize().map_err(named)?;
        let file = path.join(config);
        let (mut spec, mut unknown): (Spec, Vec<String>) = read_json(&file)?;
        if let Some(filter) = spec.linux.as_mut().and_then(|linux| linux.seccomp.as_mut()) {
            let of_filter = seclude::Seccomp::take_unknown(filter);
            unknown.extend(of_filter.into_iter().map(|field| format!("linux.seccomp.{field}")));
        }
        for field in unknown {
            log.note(&format!("{field}: the runtime specification has no such field"));
        }
        Ok(Bundle { path, spec })
    }
}

/// A file of JSON, with the fields in it that nobody knows.
pub(crate) fn read_json<T: DeserializeOwned + serde::Serialize>(file: &Path) -> Result<(T, Vec<String>)> {
    let named = |error| Failure::of(file.display(), error);
    let flags = OFlags::NONBLOCK.bits() as i32;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(file).map_err(named)?;
    read_json_from(opened, &file.display().to_string())
}

/// The same of what is open.
pub(crate) fn read_json_from<T: DeserializeOwned + serde::Serialize>(
    opened: impl Read,
    name: &str,
) -> Result<(T, Vec<String>)> {
    let mut text = Vec::new();
    opened.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(|error| Failure::of(name, error))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(Failure::new(format!("{name}: it has more than {MOST_BYTES} bytes")));
    }
    let wrong = |error: serde_json::Error| Failure::new(format!("{name}: {error}"));
    let document = without_nulls(serde_json::from_slice(&text).map_err(wrong)?);
    let read: T = serde_path_to_error::deserialize(AsWritten(&document)).map_err(|error| {
        let field = error.path().to_string();
        match error.path().iter().next() {
            Some(_) => Failure::at(field, format!("{} (in {name})", error.into_inner())),
            None => wrong(error.into_inner()),
        }
    })?;
    let mut unknown = Vec::new();
    differing(&document, &serde_json::to_value(&read).map_err(wrong)?, "", &mut unknown);
    // Whether the document's own order is kept is up to who else uses the parser in a build.
    unknown.sort();
    Ok((read, unknown))
}

/// A value in which a list is no object. To what is derived it is one whose fields come in their order, by which `"user": [5, 6]` would be
/// a uid and a gid, and `[]` a configuration that has nothing in it.
struct AsWritten<'a>(&'a Json);

impl<'de> Deserializer<'de> for AsWritten<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Json::Array(list) => {
                let mut items = SeqDeserializer::new(list.iter().map(AsWritten));
                let read = visitor.visit_seq(&mut items)?;
                items.end().map(|()| read)
            }
            Json::Object(map) => {
                let mut entries = MapDeserializer::new(map.iter().map(|(key, value)| (key.as_str(), AsWritten(value))));
                let read = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| read)
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Json::Array(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Json::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for AsWritten<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Go writes what is not there as null.
fn without_nulls(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            let there = map.into_iter().filter(|(_, value)| !value.is_null());
            Json::Object(there.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Json::Array(list) => Json::Array(list.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// The keys that are in a document and not in what was made of it; what is empty or the default is not looked for.
fn differing(document: &Json, read: &Json, path: &str, unknown: &mut Vec<String>) {
    match (document, read) {
        (Json::Object(document), Json::Object(read)) => {
            for (key, value) in document {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match read.get(key) {
                    Some(read) => differing(value, read, &path, unknown),
                    None if is_nothing(value) => {}
                    None => unknown.push(path),
                }
            }
        }
        (Json::Array(document), Json::Array(read)) => {
            for (index, (document, read)) in document.iter().zip(read).enumerate() {
                differing(document, read, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::String(text) => text.is_empty(),
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => map.values().all(is_nothing),
        Json::Bool(true) | Json::Number(_) => false,
    }
}

/// Standard input, or a file.
pub(crate) fn read_json_or_stdin<T: DeserializeOwned + serde::Serialize>(file: &Path) -> Result<(T, Vec<String>)> {
    match file == Path::new("-") {
        true => read_json_from(std::io::stdin().lock(), "stdin"),
        false => read_json::<T>(file),
    }
}

/// A new file, written as a whole or not at all: under another name first.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    use std::io::Write;
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let other = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let flags = OFlags::NOFOLLOW.bits() as i32;
    let write = || {
        let mut options = OpenOptions::new();
        let mut file: File = options.write(true).create_new(true).mode(mode).custom_flags(flags).open(&other)?;
        file.write_all(content)?;
        std::fs::rename(&other, path)
    };
    let written = write();
    if written.is_err() {
        let _ = std::fs::remove_file(&other);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Resources;

    #[test]
    fn a_list_is_no_object() {
        let whole = |text: &str| read_json_from::<Spec>(text.as_bytes(), "test").map(drop);
        for (field, list, object) in [
            ("process.user", r#"{"process":{"user":[5,6]}}"#, r#"{"process":{"user":{"uid":5,"gid":6}}}"#),
            ("root", r#"{"root":["rootfs",true]}"#, r#"{"root":{"path":"rootfs","readonly":true}}"#),
            ("mounts[0]", r#"{"mounts":[["/a","tmpfs"]]}"#, r#"{"mounts":[{"destination":"/a","type":"tmpfs"}]}"#),
            (
                "linux.resources",
                r#"{"linux":{"resources":[[],[64000000]]}}"#,
                r#"{"linux":{"resources":{"memory":{"limit":64000000}}}}"#,
            ),
            (
                "linux.resources.rdma.a",
                r#"{"linux":{"resources":{"rdma":{"a":[1,2]}}}}"#,
                r#"{"linux":{"resources":{"rdma":{"a":{"hcaHandles":1}}}}}"#,
            ),
        ] {
            let said = whole(list).unwrap_err().to_string();
            assert!(said.starts_with(&format!("{field}: invalid type: sequence, expected an object")), "{said}");
            assert!(whole(object).is_ok(), "{object}");
        }
        assert!(whole("[]").is_err() && whole("{}").is_ok());
        let resources = |text: &str| read_json_from::<Resources>(text.as_bytes(), "test").map(drop);
        assert!(resources("[]").is_err() && resources(r#"{"memory":[1]}"#).is_err() && resources("{}").is_ok());
        // What is a list, or a text in its stead, stays one.
        assert!(whole(r#"{"process":{"args":["a"],"env":[]},"linux":{"intelRdt":{"schemata":"a"}}}"#).is_ok());
    }

    #[test]
    fn fields_that_nobody_knows_are_found_wherever_they_are() {
        let text = r#"{"ociVersion":"1.0.0","x":1,"linux":{"y":{"a":true},"devices":null,"seccomp":{"any":1}},
            "mounts":[{"destination":"/a","z":"b"}],"annotations":{"any":"thing"}}"#;
        let (_, unknown) = read_json_from::<Spec>(text.as_bytes(), "test").unwrap();
        assert_eq!(unknown, ["linux.y", "mounts[0].z", "x"]);
    }
}
