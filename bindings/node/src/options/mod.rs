//! How options are read: each object has one table of its keys, which is also where its TypeScript type comes from.

pub(crate) mod blame;
pub(crate) mod container;
mod declare;
mod fs;
mod limit;
mod namespace;
mod network;
mod process;
mod root;

pub(crate) use declare::declarations;

use crate::value::Value;

/// Why options cannot be meant.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// An unknown key, or a value of the wrong type: a TypeError.
    Type(String),
    /// A value out of range: a RangeError.
    Range(String),
}

pub(crate) type Read<T> = Result<T, Wrong>;

/// A value, and the path of keys that leads to it.
pub(crate) struct At<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: String,
}

/// One key of an object.
pub(crate) struct Key<T: 'static> {
    /// Its spellings, the one that the types show first. Each in camel case also stands for itself in snake case.
    pub(crate) names: &'static [&'static str],
    /// Its type in TypeScript, without `false`.
    pub(crate) ts: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) off: Off,
    pub(crate) read: fn(&mut T, &At<'_>) -> Read<()>,
}

/// What `false` does for a key. It always means off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Off {
    /// The same as leaving it out.
    Absent,
    /// The key's own reader is told.
    Told,
    /// No value of it: the key has to be there.
    Required,
}

/// An object of options.
pub(crate) struct Shape<T: 'static> {
    /// The name of its type.
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key<T>],
}

impl<T> Key<T> {
    fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|own| *own == name || snake(own) == name)
    }
}

/// `lowerDirs` as `lower_dirs`.
pub(crate) fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

impl<T> Shape<T> {
    /// What an object has under a key, in whichever spelling.
    fn find<'a>(&self, at: &At<'a>, name: &str) -> Option<At<'a>> {
        let key = self.keys.iter().find(|key| key.names[0] == name)?;
        let (name, value) = at.properties().ok()?.iter().find(|(name, _)| key.is_called(name))?;
        Some(At { value, path: at.child(name) })
    }

    /// The path of a key as it is spelled there.
    fn path(&self, at: &At<'_>, name: &str) -> String {
        self.find(at, name).map_or_else(|| at.child(name), |found| found.path)
    }

    /// Reads an object into `into`, in the order of the table.
    pub(crate) fn read(&self, into: &mut T, at: &At<'_>) -> Read<()> {
        let properties = at.properties()?;
        for (name, _) in properties {
            if !self.keys.iter().any(|key| key.is_called(name)) {
                let known: Vec<&str> = self.keys.iter().map(|key| key.names[0]).collect();
                let known = known.join(", ");
                return Err(Wrong::Type(format!("{}: unknown key; there are {known}", at.child(name))));
            }
        }
        for key in self.keys {
            let mut given = properties.iter().filter(|(name, _)| key.is_called(name));
            let Some((name, value)) = given.next() else {
                if key.off == Off::Required {
                    return Err(Wrong::Type(format!("{} is missing", at.child(key.names[0]))));
                }
                continue;
            };
            if let Some((again, _)) = given.next() {
                return Err(Wrong::Type(format!("{}: {} is the same", at.child(again), at.child(name))));
            }
            let at = At { value, path: at.child(name) };
            if !(key.off == Off::Absent && at.is_off()) {
                (key.read)(into, &at)?;
            }
        }
        Ok(())
    }
}

impl<'a> At<'a> {
    pub(crate) fn new(value: &'a Value, path: &str) -> At<'a> {
        At { value, path: path.to_owned() }
    }

    fn child(&self, name: &str) -> String {
        let plain = name
            .chars()
            .enumerate()
            .all(|(n, c)| c == '_' || c == '$' || c.is_alphabetic() || (n > 0 && c.is_ascii_digit()));
        if plain && !name.is_empty() { format!("{}.{name}", self.path) } else { format!("{}[{name:?}]", self.path) }
    }

    pub(crate) fn wrong_type(&self, expected: &str) -> Wrong {
        Wrong::Type(format!("{} is {}; it can be {expected}", self.path, self.value.kind()))
    }

    pub(crate) fn out_of_range(&self, expected: &str) -> Wrong {
        Wrong::Range(format!("{} is {}; it can be {expected}", self.path, self.value.kind()))
    }

    pub(crate) fn is_off(&self) -> bool {
        matches!(self.value, Value::Bool(false))
    }

    pub(crate) fn is_on(&self) -> bool {
        matches!(self.value, Value::Bool(true))
    }

    pub(crate) fn flag(&self) -> Read<bool> {
        match self.value {
            Value::Bool(value) => Ok(*value),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    pub(crate) fn text(&self) -> Read<&'a str> {
        match self.value {
            Value::Text(text) if text.contains('\0') => Err(self.out_of_range("a string without a NUL byte")),
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong_type("a string")),
        }
    }

    /// A path; empty ones lead nowhere.
    pub(crate) fn path_text(&self) -> Read<&'a str> {
        match self.value {
            Value::Text(text) if !text.is_empty() && !text.contains('\0') => Ok(text),
            Value::Text(_) => Err(self.out_of_range("a path, not empty and without a NUL byte")),
            _ => Err(self.wrong_type("a path")),
        }
    }

    /// A path of the host, which may be relative to the working directory.
    pub(crate) fn host_path(&self) -> Read<std::path::PathBuf> {
        let text = self.path_text()?;
        std::path::absolute(text).map_err(|error| Wrong::Range(format!("{}: {text:?}: {error}", self.path)))
    }

    pub(crate) fn number(&self, expected: &str) -> Read<f64> {
        match self.value {
            Value::Number(number) if number.is_finite() => Ok(*number),
            Value::Number(_) => Err(self.out_of_range(expected)),
            _ => Err(self.wrong_type(expected)),
        }
    }

    /// A whole number, as a number or a bigint.
    pub(crate) fn integer(&self, least: i128, most: i128, expected: &str) -> Read<i128> {
        /// Above it, not every whole number is a `number`.
        const SAFE: f64 = 9_007_199_254_740_991.0;
        let number = match self.value {
            Value::Integer(number) => *number,
            Value::Number(number) if number.fract() == 0.0 && number.abs() <= SAFE => *number as i128,
            Value::Number(_) => return Err(self.out_of_range(expected)),
            _ => return Err(self.wrong_type(expected)),
        };
        if (least..=most).contains(&number) { Ok(number) } else { Err(self.out_of_range(expected)) }
    }

    pub(crate) fn unsigned(&self, expected: &str) -> Read<u64> {
        self.integer(0, u64::MAX.into(), expected).map(|number| number as u64)
    }

    pub(crate) fn unsigned32(&self, expected: &str) -> Read<u32> {
        self.integer(0, u32::MAX.into(), expected).map(|number| number as u32)
    }

    /// A user or group id.
    pub(crate) fn id(&self) -> Read<u32> {
        // The last number means "no id" to the kernel.
        self.integer(0, (u32::MAX - 1).into(), "an id, 0 to 4294967294").map(|number| number as u32)
    }

    /// Permission bits.
    pub(crate) fn mode(&self) -> Read<u32> {
        self.integer(0, 0o7777, "permissions, 0 to 0o7777").map(|number| number as u32)
    }

    /// A length of time in milliseconds, more than 0.
    pub(crate) fn milliseconds(&self) -> Read<std::time::Duration> {
        const EXPECTED: &str = "a number of milliseconds, more than 0";
        let number = self.number(EXPECTED)?;
        let time = std::time::Duration::try_from_secs_f64(number / 1e3).ok().filter(|time| !time.is_zero());
        time.ok_or_else(|| self.out_of_range(EXPECTED))
    }

    pub(crate) fn items(&self, expected: &str) -> Read<Vec<At<'a>>> {
        match self.value {
            Value::List(items) => {
                let at = |(index, value)| At { value, path: format!("{}[{index}]", self.path) };
                Ok(items.iter().enumerate().map(at).collect())
            }
            _ => Err(self.wrong_type(expected)),
        }
    }

    fn properties(&self) -> Read<&'a [(String, Value)]> {
        match self.value {
            Value::Object(properties) => Ok(properties),
            _ => Err(self.wrong_type("an object")),
        }
    }

    /// The properties of an object whose keys are the caller's own.
    pub(crate) fn entries(&self) -> Read<Vec<(&'a str, At<'a>)>> {
        let properties = self.properties()?;
        Ok(properties.iter().map(|(name, value)| (name.as_str(), At { value, path: self.child(name) })).collect())
    }

    /// A value that has a text of its own, such as an address.
    pub(crate) fn parse<T: std::str::FromStr>(&self, expected: &str) -> Read<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text().map_err(|_| self.wrong_type(expected))?;
        text.parse().map_err(|error| Wrong::Range(format!("{} is {text:?}; it can be {expected} ({error})", self.path)))
    }
}
