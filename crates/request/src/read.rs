//! From JSON, TOML and values of other languages to a request, and back.

use serde::Deserialize;
use toml::ser::Error as TomlError;

use crate::reader::At;
use crate::value::MOST_DEPTH;
use crate::{Field, Request, Spelling, Value, Why, Wrong};

/// How many bytes a request may have, in JSON or TOML.
pub const MOST_BYTES: usize = 4 << 20;

/// How a request is written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// RFC 8259.
    Json,
    /// TOML 1.0.
    Toml,
}

impl Request {
    /// Reads a request. What is wrong is told with its place; nothing is ignored.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn parse(bytes: &[u8], format: Format) -> Result<Request, Wrong> {
        Request::from_value(&value(bytes, format)?, Spelling::Snake)
    }

    /// Takes a request from a value of another language.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn from_value(value: &Value, spelling: Spelling) -> Result<Request, Wrong> {
        if !value.is_shallow(MOST_DEPTH) {
            return Err(Wrong::range(Field::whole(), format!("it is nested deeper than {MOST_DEPTH} levels")));
        }
        if !matches!(value, Value::Object(_)) {
            let why = Why::Type { found: value.kind(), expected: "an object".into() };
            return Err(Wrong::new(Field::whole(), why));
        }
        let request = Request::deserialize(At { value, spelling })?;
        request.check()?;
        Ok(request)
    }

    /// As JSON, with line breaks.
    pub fn to_json(&self) -> String {
        // Nothing in it has keys that are no strings.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As TOML.
    ///
    /// # Errors
    /// A number above 2^63, for which TOML has none.
    pub fn to_toml(&self) -> Result<String, TomlError> {
        toml::to_string(self)
    }
}

/// The value that a document is.
///
/// # Errors
/// [`Why::Syntax`].
pub fn value(bytes: &[u8], format: Format) -> Result<Value, Wrong> {
    let wrong = |why: String| Wrong::new(Field::whole(), Why::Syntax(why));
    if bytes.len() > MOST_BYTES {
        return Err(wrong(format!("it has more than {MOST_BYTES} bytes")));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| wrong(format!("it is no UTF-8, from byte {} on", error.valid_up_to())))?;
    match format {
        Format::Json => serde_json::from_str(text).map_err(|error| wrong(format!("it is no JSON: {error}"))),
        Format::Toml => toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
            let place = line.map_or_else(String::new, |line| format!(" at line {line}"));
            wrong(format!("it is no TOML: {}{place}", error.message().replace('\n', ", ")))
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_document_is_too_strange_to_be_refused(text in "\\PC{0,80}", likely in "(\\{|\\}|\\[|\\]|\"limits\"|\"mounts\"|:|,|=|\"type\"|\"/a\"|1|-1|1e9|true|null|\n){0,20}") {
            for text in [text, likely] {
                let _ = Request::parse(text.as_bytes(), Format::Json).map_err(|wrong| wrong.to_string());
                let _ = Request::parse(text.as_bytes(), Format::Toml).map_err(|wrong| wrong.to_string());
            }
        }
    }
}
