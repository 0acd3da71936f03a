//! Which part of a request something is about.

use std::fmt;
use std::str::FromStr;

/// A path into a request, such as `mounts[3].target`.
///
/// Each door shows it in its own spelling by rule: `mounts[3].target` in TOML and JSON, `mounts[3].readOnly` for `read_only` in
/// JavaScript ([`Field::camel`]).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Field(Vec<Part>);

/// One step of a [`Field`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// The key of an object.
    Key(String),
    /// The place in a list, from 0.
    Index(usize),
}

impl Field {
    /// The request itself.
    pub fn whole() -> Field {
        Field::default()
    }

    /// A key of the request.
    pub fn of(key: impl Into<String>) -> Field {
        Field::whole().key(key)
    }

    /// A key below.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Field {
        self.0.push(Part::Key(key.into()));
        self
    }

    /// An item below.
    #[must_use]
    pub fn index(mut self, index: usize) -> Field {
        self.0.push(Part::Index(index));
        self
    }

    /// The same below `part`.
    #[must_use]
    pub fn below(mut self, part: Part) -> Field {
        self.0.insert(0, part);
        self
    }

    /// The same inside `outer`: `target` inside `mounts[3]` is `mounts[3].target`.
    #[must_use]
    pub fn within(self, outer: &Field) -> Field {
        Field(outer.0.iter().cloned().chain(self.0).collect())
    }

    /// What it is a part of: `mounts[3]` of `mounts[3].target`.
    #[must_use]
    pub fn above(&self) -> Field {
        Field(self.0.split_last().map(|(_, above)| above.to_vec()).unwrap_or_default())
    }

    /// Whether it is `outer` or a part of that.
    pub fn is_in(&self, outer: &Field) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// Its parts, from the outermost.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether it is the request itself.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of the request that it begins with.
    pub fn first(&self) -> Option<&str> {
        match self.0.first()? {
            Part::Key(key) => Some(key),
            Part::Index(_) => None,
        }
    }

    /// The key that it ends with.
    pub fn last(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|part| match part {
            Part::Key(key) => Some(key.as_str()),
            Part::Index(_) => None,
        })
    }

    /// As JavaScript spells it: keys in camel case.
    pub fn camel(&self) -> String {
        self.spelled(camel)
    }

    fn spelled(&self, spell: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Key(key) if is_plain(key) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(&spell(key));
                }
                Part::Key(key) => text.push_str(&format!("[{key:?}]")),
                Part::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }
}

/// Whether a key can stand in a path as it is.
fn is_plain(key: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '-';
    !key.is_empty() && key.chars().all(letter) && !key.starts_with(|c: char| c.is_ascii_digit())
}

/// `lowerDirs` for `lower_dirs`.
pub fn camel(snake: &str) -> String {
    let mut text = String::with_capacity(snake.len());
    let mut upper = false;
    for letter in snake.chars() {
        if letter == '_' && !text.is_empty() {
            upper = true;
        } else {
            text.push(if upper { letter.to_ascii_uppercase() } else { letter });
            upper = false;
        }
    }
    text
}

/// `lower_dirs` for `lowerDirs`.
pub fn snake(camel: &str) -> String {
    let mut text = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled(str::to_owned))
    }
}

/// What is no path of keys and numbers.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no path of a request, such as mounts[3].target")]
pub struct NoField(pub String);

impl FromStr for Field {
    type Err = NoField;

    fn from_str(text: &str) -> Result<Field, NoField> {
        let wrong = || NoField(text.to_owned());
        let mut field = Field::whole();
        for dotted in text.split('.').filter(|_| !text.is_empty()) {
            let (key, rest) = dotted.split_at(dotted.find('[').unwrap_or(dotted.len()));
            if !is_plain(key) {
                return Err(wrong());
            }
            field = field.key(key);
            for index in rest.split_inclusive(']') {
                let number = index.strip_prefix('[').and_then(|index| index.strip_suffix(']'));
                field = field.index(number.and_then(|number| number.parse().ok()).ok_or_else(wrong)?);
            }
        }
        Ok(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(text: &str) -> Field {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_is_read_back_and_spelled_as_each_door_has_it() {
        let field = Field::of("mounts").index(3).key("read_only");
        assert_eq!(field.to_string(), "mounts[3].read_only");
        assert_eq!(field.camel(), "mounts[3].readOnly");
        assert_eq!(field.to_string().parse(), Ok(field));
        let mount = Field::of("mounts").index(3);
        let field = field_of("target").within(&mount);
        assert_eq!(field.to_string(), "mounts[3].target");
        assert_eq!((field.above(), mount.above()), (mount.clone(), Field::of("mounts")));
        assert!(field.is_in(&mount) && mount.is_in(&mount) && !mount.is_in(&field));
        assert_eq!("".parse(), Ok(Field::whole()));
        assert_eq!(Field::of("env").key("A B").to_string(), "env[\"A B\"]");
        for wrong in [".", "a..b", "a[", "a[x]", "[1]", "a]"] {
            assert!(wrong.parse::<Field>().is_err(), "{wrong}");
        }
        assert_eq!((camel("lower_dirs"), snake("lowerDirs")), ("lowerDirs".into(), "lower_dirs".into()));
    }
}
