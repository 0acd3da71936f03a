//! Permissions, and the content of files.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Permission bits: octal digits in a string, `"755"`, or a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode(pub u32);

/// The bytes of a file: a string, or `{ hex = "…" }` of bytes that are no UTF-8.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content(pub Vec<u8>);

/// Reads octal permission bits.
///
/// # Errors
/// What is wrong, in one line.
pub fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 && !text.starts_with('+') => Ok(mode),
        _ => Err(format!("{text:?} is not an octal mode such as 755 or 022")),
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:o}", self.0))
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        struct ModeVisitor;
        impl Visitor<'_> for ModeVisitor {
            type Value = Mode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("permissions: octal digits in a string, such as \"755\", or a number up to 4095")
            }

            fn visit_u64<E: de::Error>(self, bits: u64) -> Result<Mode, E> {
                match u32::try_from(bits) {
                    Ok(bits) if bits <= 0o7777 => Ok(Mode(bits)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(bits), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, bits: i64) -> Result<Mode, E> {
                Err(E::invalid_value(de::Unexpected::Signed(bits), &self))
            }

            fn visit_f64<E: de::Error>(self, bits: f64) -> Result<Mode, E> {
                Err(E::invalid_value(de::Unexpected::Float(bits), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mode, E> {
                mode(text).map(Mode).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(ModeVisitor)
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("hex", &digits(&self.0))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(BytesVisitor).map(Content)
    }
}

/// Two hexadecimal digits a byte.
pub(crate) fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(byte).collect()
}

/// A string, bytes, or an object with hexadecimal digits.
pub(crate) struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or { hex = \"…\" } of bytes that are no UTF-8")
    }

    fn visit_str<E>(self, text: &str) -> Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_vec())
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<u8>, A::Error> {
        match map.next_entry::<String, String>()? {
            None => Err(de::Error::missing_field("hex")),
            Some((key, _)) if key != "hex" => Err(de::Error::unknown_field(&key, &["hex"])),
            Some((_, text)) => match (bytes(&text), map.next_key::<String>()?) {
                (_, Some(other)) => Err(de::Error::unknown_field(&other, &["hex"])),
                (None, None) => {
                    Err(de::Error::custom(format_args!("hex is {text:?}; it can be pairs of hexadecimal digits")))
                }
                (Some(bytes), None) => Ok(bytes),
            },
        }
    }
}

#[cfg(feature = "schema")]
mod schema {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    impl JsonSchema for super::Mode {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Mode".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "Permissions: octal digits in a string, such as \"755\", or a number.",
                "anyOf": [
                    { "type": "string", "pattern": "^[0-7]{1,5}$" },
                    { "type": "integer", "minimum": 0, "maximum": 4095 }
                ]
            })
        }
    }

    impl JsonSchema for super::Content {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Content".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "The bytes of a file; those that are no UTF-8 as hexadecimal digits.",
                "anyOf": [
                    { "type": "string" },
                    {
                        "type": "object",
                        "properties": { "hex": { "type": "string", "pattern": "^([0-9a-fA-F]{2})*$" } },
                        "required": ["hex"],
                        "additionalProperties": false
                    }
                ]
            })
        }
    }
}
