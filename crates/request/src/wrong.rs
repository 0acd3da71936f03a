//! Why something is no request.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::{Field, Part, camel};

/// Why a value is no request, and where in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// Where.
    pub field: Field,
    /// Why.
    pub why: Why,
}

/// What is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Why {
    /// There is no such key; the nearest that there is, and all of them.
    UnknownKey {
        /// The one that is spelled most like it, if one is.
        nearest: Option<&'static str>,
        /// All that there are.
        known: &'static [&'static str],
    },
    /// The key has to be there.
    Missing,
    /// A value of another type.
    Type {
        /// What was given.
        found: String,
        /// What can be.
        expected: String,
    },
    /// A value of the right type that cannot be meant.
    Range(String),
    /// It contradicts another part of the request, or means nothing beside it.
    Contradicts(String),
    /// No JSON or TOML at all, or too much of it.
    Syntax(String),
}

impl Why {
    /// The stable name, such as `"unknown-key"`.
    pub fn name(&self) -> &'static str {
        match self {
            Why::UnknownKey { .. } => "unknown-key",
            Why::Missing => "missing",
            Why::Type { .. } => "type",
            Why::Range(_) => "range",
            Why::Contradicts(_) => "contradicts",
            Why::Syntax(_) => "syntax",
        }
    }
}

impl Wrong {
    /// About `field`.
    pub fn new(field: Field, why: Why) -> Wrong {
        Wrong { field, why }
    }

    /// A value that cannot be meant.
    pub fn range(field: Field, why: impl Into<String>) -> Wrong {
        Wrong::new(field, Why::Range(why.into()))
    }

    /// A part that contradicts another.
    pub fn contradicts(field: Field, why: impl Into<String>) -> Wrong {
        Wrong::new(field, Why::Contradicts(why.into()))
    }

    /// The same, one level further out.
    pub(crate) fn below(mut self, part: Part) -> Wrong {
        self.field = self.field.below(part);
        self
    }

    /// Whether it is about the type of something, a key or a contradiction, and not about a value out of range: a TypeError of
    /// JavaScript's or Python's.
    pub fn is_type(&self) -> bool {
        !matches!(self.why, Why::Range(_) | Why::Syntax(_))
    }

    /// The line with keys in camel case, `root` being what the request is called.
    pub fn camel(&self, root: &str) -> String {
        self.line(&joined(root, &self.field.camel()), camel)
    }

    /// The line with `place` instead of the path, and keys of ours in camel case.
    pub fn camel_of(&self, place: &str) -> String {
        self.line(place, camel)
    }

    /// The line with `place` instead of the path.
    pub fn said_of(&self, place: &str) -> String {
        self.line(place, str::to_owned)
    }

    fn line(&self, place: &str, spell: impl Fn(&str) -> String) -> String {
        let place = if place.is_empty() { "the request" } else { place };
        match &self.why {
            Why::UnknownKey { nearest: Some(nearest), .. } => {
                format!("{place}: there is no such key; the nearest is {}", spell(nearest))
            }
            Why::UnknownKey { nearest: None, known } => {
                let known: Vec<String> = known.iter().map(|key| spell(key)).collect();
                format!("{place}: there is no such key; there are {}", known.join(", "))
            }
            Why::Missing => format!("{place} is missing"),
            Why::Type { found, expected } => format!("{place} is {found}; it can be {expected}"),
            Why::Range(why) | Why::Contradicts(why) => format!("{place}: {why}"),
            Why::Syntax(why) => why.clone(),
        }
    }
}

fn joined(root: &str, path: &str) -> String {
    match (root, path) {
        ("", path) => path.to_owned(),
        (root, "") => root.to_owned(),
        (root, path) if path.starts_with('[') => format!("{root}{path}"),
        (root, path) => format!("{root}.{path}"),
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(&self.field.to_string(), str::to_owned))
    }
}

impl std::error::Error for Wrong {}

/// serde says what is wrong by these.
impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Wrong {
        Wrong::range(Field::whole(), message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Wrong {
        let found = match found {
            Unexpected::Str(text) => format!("{text:?}"),
            Unexpected::Bool(value) => value.to_string(),
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => number.to_string(),
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "an object".to_owned(),
            Unexpected::Bytes(bytes) => format!("{} bytes", bytes.len()),
            other => other.to_string(),
        };
        Wrong::new(Field::whole(), Why::Type { found, expected: told(expected) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Wrong {
        let found = match found {
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => number.to_string(),
            Unexpected::Str(text) => format!("{text:?}"),
            other => other.to_string(),
        };
        Wrong::range(Field::whole(), format!("{found}; it can be {}", told(expected)))
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Wrong {
        let expected: Vec<String> = expected.iter().map(|word| format!("{word:?}")).collect();
        Wrong::range(Field::whole(), format!("{found:?}; it can be {}", expected.join(", ")))
    }

    fn unknown_field(found: &str, expected: &'static [&'static str]) -> Wrong {
        Wrong::new(Field::of(found), Why::UnknownKey { nearest: nearest(found, expected), known: expected })
    }

    fn duplicate_field(field: &'static str) -> Wrong {
        Wrong::contradicts(Field::of(field), "it is there in two spellings")
    }

    fn missing_field(field: &'static str) -> Wrong {
        Wrong::new(Field::of(field), Why::Missing)
    }
}

/// serde's own words for the integers of Rust.
fn told(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "u16" => "a whole number, 0 to 65535".to_owned(),
        "u32" => "a whole number, 0 to 4294967295".to_owned(),
        "u64" => "a whole number, 0 or more".to_owned(),
        "i16" => "a whole number, -32768 to 32767".to_owned(),
        "i32" | "i64" | "i128" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        other => match other.strip_prefix("struct ") {
            Some(_) => "an object".to_owned(),
            None => other.to_owned(),
        },
    }
}

/// The word that is spelled most like it, if it is not too far off.
fn nearest(word: &str, known: &'static [&'static str]) -> Option<&'static str> {
    let bare = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let wanted = bare(word);
    let (distance, found) = known.iter().map(|key| (distance(&wanted, &bare(key)), *key)).min()?;
    let is_near = distance * 3 <= wanted.chars().count().max(3);
    let begun = || known.iter().copied().find(|key| wanted.len() > 2 && bare(key).starts_with(&wanted));
    is_near.then_some(found).or_else(begun)
}

/// How many letters have to be changed, left out or put in, or two neighbours exchanged.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().take(64).collect(), other.chars().take(64).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, against) in other.iter().enumerate() {
            let change = rows[i][j] + usize::from(letter != against);
            let mut least = change.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && one[i - 1] == *against && other[j - 1] == *letter {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_the_one_with_the_fewest_letters_changed() {
        const KNOWN: &[&str] = &["mounts", "memory_max", "hostname", "domainname"];
        assert_eq!(nearest("mount", KNOWN), Some("mounts"));
        assert_eq!(nearest("memoryMax", KNOWN), Some("memory_max"));
        assert_eq!(nearest("memroy_max", KNOWN), Some("memory_max"));
        assert_eq!(nearest("memory", KNOWN), Some("memory_max"));
        assert_eq!(nearest("banana", KNOWN), None);
        assert_eq!(nearest("", KNOWN), None);
    }
}
